//! Dates as they stand in From_ lines and header fields.

use jiff::civil::DateTime;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::tz::Offset;

use super::header::fields;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The zones that RFC 5322 §4.3 knows by name, in hours.
const ZONES: [(&str, i32); 8] = [
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
];

/// Seconds since 1970 of the date in a line such as `Thu Jan  1 00:00:00 1970`, wherever in it it stands; in UTC, if it
/// names no zone (RFC 4155, appendix A). The seconds may lack, and the zone may stand on either side of the year.
pub(super) fn asctime(line: &str) -> Option<i64> {
    let words: Vec<&str> = line
        .split_ascii_whitespace()
        .map(|word| word.trim_end_matches(','))
        .collect();
    // The last one: what stands before can be called anything.
    (0..words.len()).rev().find_map(|at| date_at(&words[at..]))
}

fn date_at(words: &[&str]) -> Option<i64> {
    let [day_name, a, b, time, rest @ ..] = words else {
        return None;
    };
    DAYS.iter().find(|name| day_name.eq_ignore_ascii_case(name))?;
    let (day, month, rest, time) = match month(a) {
        Some(month) => (b.parse().ok()?, month, rest, *time),
        // `Thu, 1 Jan 1970 00:00:00`
        None => (a.parse().ok()?, month(b)?, words.get(3..)?, *rest.first()?),
    };
    let mut parts = time.split(':');
    let mut part = || parts.next().map(str::parse::<i8>);
    let (hour, minute, second) = (part()?.ok()?, part()?.ok()?, part().unwrap_or(Ok(0)).ok()?);
    let year = rest.iter().take(3).find_map(|word| year(word))?;
    let offset = rest.iter().take(3).find_map(|word| zone(word)).unwrap_or(Offset::UTC);
    let date = DateTime::new(year, month, day, hour, minute, second.min(59), 0).ok()?;
    offset.to_timestamp(date).ok().map(jiff::Timestamp::as_second)
}

fn month(word: &str) -> Option<i8> {
    let at = MONTHS.iter().position(|name| word.eq_ignore_ascii_case(name))?;
    Some(at as i8 + 1)
}

fn year(word: &str) -> Option<i16> {
    (word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit()))
        .then(|| word.parse().ok())
        .flatten()
}

fn zone(word: &str) -> Option<Offset> {
    if let Some(&(_, hours)) = ZONES.iter().find(|(name, _)| *name == word) {
        return Offset::from_seconds(hours * 3600).ok();
    }
    let (sign, digits) = match word.as_bytes() {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let number: i32 = (digits.len() == 4)
        .then(|| std::str::from_utf8(digits).ok()?.parse().ok())
        .flatten()?;
    Offset::from_seconds(sign * (number / 100 * 3600 + number % 100 * 60)).ok()
}

/// As From_ lines have it: in UTC, and within the years that have four digits.
pub(super) fn to_asctime(seconds: i64) -> String {
    let last = jiff::Timestamp::MAX.as_second();
    let time = jiff::Timestamp::from_second(seconds.clamp(0, last)).unwrap_or_default();
    let date = Offset::UTC.to_datetime(time);
    format!(
        "{} {} {:2} {:02}:{:02}:{:02} {:04}",
        DAYS[date.weekday().to_monday_zero_offset() as usize],
        MONTHS[date.month() as usize - 1],
        date.day(),
        date.hour(),
        date.minute(),
        date.second(),
        date.year()
    )
}

/// When the message arrived, as its header tells: by the newest Received field, else by Date.
pub(super) fn of_header(header: &[u8]) -> Option<i64> {
    let fields = fields(header);
    let received = fields.iter().filter(|field| field.is("received"));
    let received = received.filter_map(|field| rfc5322(field.text().rsplit_once(';')?.1));
    let date = fields.iter().filter(|field| field.is("date"));
    // The last server that had it stands first.
    received.chain(date.filter_map(|field| rfc5322(&field.text()))).next()
}

/// RFC 5322 §3.3, and what people make of it.
fn rfc5322(text: &str) -> Option<i64> {
    let parser = DateTimeParser::new().relaxed_weekday(true);
    let strict = parser.parse_timestamp(text.trim()).ok().map(jiff::Timestamp::as_second);
    strict.or_else(|| asctime(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_lines() {
        for (line, expected) in [
            ("Thu Jan  1 00:00:00 1970", Some(0)),
            ("ada@example.org Thu Jan  1 00:00:01 1970", Some(1)),
            ("ada@example.org Thu Jan  1 01:00:00 1970 +0100", Some(0)),
            ("123@xxx Thu Jan 01 00:00:00 +0000 1970", Some(0)),
            ("a Wed Dec 31 19:00:00 EST 1969", Some(0)),
            ("a Thu Jan  1 00:01 1970", Some(60)),
            ("Mon Tue Wed Thu Jan 1 00:00:00 1970", Some(0)),
            ("a Thu, 1 Jan 1970 00:00:00 +0000", Some(0)),
            ("a thu jan 1 00:00:60 1970 remote from x", Some(59)),
            ("- ", None),
            ("here on we walk", None),
            ("a Thu Jan 41 00:00:00 1970", None),
            ("a Thu Jan 1 00:00:00", None),
            ("a Thu Jan", None),
            ("", None),
        ] {
            assert_eq!(asctime(line), expected, "{line:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for (seconds, text) in [
            (0, "Thu Jan  1 00:00:00 1970"),
            (1_700_000_000, "Tue Nov 14 22:13:20 2023"),
            (-5, "Thu Jan  1 00:00:00 1970"),
            (i64::MAX, "Thu Dec 30 22:00:00 9999"),
        ] {
            assert_eq!(to_asctime(seconds), text);
            let held = seconds.clamp(0, 253_402_207_200);
            assert_eq!(asctime(text), Some(held));
        }
    }

    #[test]
    fn the_newest_received_field_counts() {
        for (header, expected) in [
            (
                "Received: from a\n by b; Thu, 1 Jan 1970 00:00:09 +0000\nReceived: x; Thu, 1 Jan 1970 00:00:05 +0000\n\
                 Date: Thu, 1 Jan 1970 00:00:01 +0000\n\n",
                Some(9),
            ),
            ("Received: no date\nDate: Thu, 1 Jan 1970 01:00:02 +0100\n", Some(2)),
            ("Date: Fri, 1 Jan 1970 00:00:02 GMT\n", Some(2)),
            ("Date: Thu Jan 1 00:00:03 1970\n", Some(3)),
            ("Date: tomorrow\n\nDate: Thu, 1 Jan 1970 00:00:02 GMT\n", None),
            ("", None),
        ] {
            assert_eq!(of_header(header.as_bytes()), expected, "{header:?}");
        }
    }
}
