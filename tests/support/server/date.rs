//! Dates as IMAP writes them (RFC 3501 §9 `date-time`), without a library, so that they are no copy of the client's.

use std::fmt;

/// A moment and the zone in which it was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    /// Seconds since 1970-01-01 UTC.
    pub seconds: i64,
    /// Minutes east of UTC; kept only to be written back.
    pub zone: i32,
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

impl Date {
    /// That moment, told in UTC.
    pub const fn utc(seconds: i64) -> Self {
        Self { seconds, zone: 0 }
    }

    /// Reads `dd-Mon-yyyy hh:mm:ss +zzzz`, strictly: the day may begin with a blank, nothing else may be left out.
    pub fn parse(text: &str) -> Option<Self> {
        let b = text.as_bytes();
        if b.len() != 26 || b[2] != b'-' || b[6] != b'-' || b[11] != b' ' || b[14] != b':' || b[17] != b':' {
            return None;
        }
        let number = |from: usize, to: usize| -> Option<i64> {
            let digits = text.get(from..to)?;
            digits
                .bytes()
                .all(|d| d.is_ascii_digit())
                .then(|| digits.parse().ok())?
        };
        let day = if b[0] == b' ' { number(1, 2)? } else { number(0, 2)? };
        let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(&text[3..6]))? as i64 + 1;
        let (year, hour, minute, second) = (number(7, 11)?, number(12, 14)?, number(15, 17)?, number(18, 20)?);
        let sign = match (b[20], b[21]) {
            (b' ', b'+') => 1,
            (b' ', b'-') => -1,
            _ => return None,
        };
        let zone = sign * (number(22, 24)? * 60 + number(24, 26)?);
        let known = (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
        let days = days_from_civil(year, month, day);
        known.then_some(Self {
            seconds: days * 86400 + hour * 3600 + minute * 60 + second - zone * 60,
            zone: zone as i32,
        })
    }

    /// As in a `Date:` field of a message.
    pub fn rfc5322(self) -> String {
        let local = self.seconds + i64::from(self.zone) * 60;
        let (year, month, day) = civil_from_days(local.div_euclid(86400));
        let weekday = DAYS[local.div_euclid(86400).rem_euclid(7) as usize];
        let month = MONTHS[month as usize - 1];
        format!("{weekday}, {day} {month} {year:04} {} {}", clock(local), self.offset())
    }

    fn offset(self) -> String {
        let sign = if self.zone < 0 { '-' } else { '+' };
        let minutes = self.zone.unsigned_abs();
        format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.seconds + i64::from(self.zone) * 60;
        let (year, month, day) = civil_from_days(local.div_euclid(86400));
        let month = MONTHS[month as usize - 1];
        write!(f, "{day:02}-{month}-{year:04} {} {}", clock(local), self.offset())
    }
}

fn clock(local: i64) -> String {
    let s = local.rem_euclid(86400);
    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// Days since 1970-01-01 of a day in the Gregorian calendar.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * of_year + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * mp + 2) / 5 + 1)
}
