//! `INTERNALDATE`, both ways.

use jiff::civil;
use jiff::tz::Offset;

use crate::model::InternalDate;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// 1970-01-02 and 2038-01-18: outside of this, servers answer with a date of their own (HAZARDS 5).
const SAFE: std::ops::RangeInclusive<i64> = 86_400..=2_147_385_600;

/// Reads `17-Jul-1996 02:44:25 -0700` (RFC 9051 §9 date-time), a one-digit day with or without its space; `None` for
/// what is no date.
pub(super) fn parse(text: &[u8]) -> Option<InternalDate> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let mut words = text.split_ascii_whitespace();
    let (date, time) = (words.next()?, words.next()?);
    let zone = words.next().unwrap_or("+0000");
    let mut date = date.split('-');
    let day = date.next()?.parse().ok()?;
    let month = date.next()?;
    let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(month))? + 1;
    let year = date.next()?.parse().ok()?;
    let mut time = time.split(':').map(str::parse::<i8>);
    let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    // A leap second is no date to a computer.
    let when = civil::DateTime::new(year, month as i8, day, hour, minute, second.min(59), 0).ok()?;
    let instant = offset(zone)?.to_timestamp(when).ok()?;
    Some(InternalDate(instant.as_second()))
}

fn offset(zone: &str) -> Option<Offset> {
    let (sign, digits) = match zone.as_bytes() {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return Some(Offset::UTC),
    };
    let number = super::token::number(digits)?;
    let (hours, minutes) = (i32::try_from(number / 100).ok()?, (number % 100) as i32);
    Offset::from_seconds(sign * (hours.checked_mul(3600)? + minutes * 60)).ok()
}

/// Writes a date for APPEND, clamped to what every server takes (HAZARDS 5).
pub(super) fn format(date: InternalDate) -> String {
    let seconds = date.0.clamp(*SAFE.start(), *SAFE.end());
    let when = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let when = Offset::UTC.to_datetime(when);
    format!(
        "{:2}-{}-{:04} {:02}:{:02}:{:02} +0000",
        when.day(),
        MONTHS[when.month() as usize - 1],
        when.year(),
        when.hour(),
        when.minute(),
        when.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_as_servers_send_them() {
        for (text, seconds) in [
            ("17-Jul-1996 02:44:25 -0700", Some(837_596_665)),
            (" 1-Jan-1970 00:00:00 +0000", Some(0)),
            ("1-jan-1970 00:00:60 +0000", Some(59)),
            ("01-Jan-2040 00:00:00 +1400", Some(2_208_938_400)),
            ("01-Jan-1960 00:00:00 +0000", Some(-315_619_200)),
            ("1-Jan-1970 00:00:00", Some(0)),
            ("", None),
            ("NIL", None),
            ("32-Jan-1970 00:00:00 +0000", None),
            ("1-Foo-1970 00:00:00 +0000", None),
            ("1-Jan-1970 00:00:00 +99999999999", None),
        ] {
            assert_eq!(parse(text.as_bytes()), seconds.map(InternalDate), "{text}");
        }
    }

    #[test]
    fn dates_are_clamped_when_sent() {
        for (seconds, text) in [
            (837_596_665, "17-Jul-1996 09:44:25 +0000"),
            (0, " 2-Jan-1970 00:00:00 +0000"),
            (-5, " 2-Jan-1970 00:00:00 +0000"),
            (i64::MAX, "18-Jan-2038 00:00:00 +0000"),
        ] {
            assert_eq!(format(InternalDate(seconds)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_is_read(seconds in SAFE) {
            prop_assert_eq!(parse(format(InternalDate(seconds)).as_bytes()), Some(InternalDate(seconds)));
        }

        #[test]
        fn any_text_is_read_or_not(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&text);
        }
    }
}
