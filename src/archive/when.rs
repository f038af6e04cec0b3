//! Points in time and spans as people write them: `#12`, `2026-03-01`, `3 days ago`, `1y`.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime};

/// A point in time for `--at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// The end of that run.
    Run(i64),
    /// The last run that had ended by then, in seconds since 1970.
    By(i64),
}

/// A unit of spans: every name that is understood, the short one first, and so many of it.
type Unit = (&'static [&'static str], fn(i64) -> Option<Span>);

const UNITS: [Unit; 6] = [
    (&["h", "hour", "hours"], |n| Span::new().try_hours(n).ok()),
    (&["d", "day", "days"], |n| Span::new().try_days(n).ok()),
    (&["w", "week", "weeks"], |n| Span::new().try_weeks(n).ok()),
    (&["m", "month", "months"], |n| Span::new().try_months(n).ok()),
    (&["y", "year", "years"], |n| Span::new().try_years(n).ok()),
    (&["min", "minute", "minutes"], |n| Span::new().try_minutes(n).ok()),
];

impl When {
    /// Reads `#12`, an RFC 3339 §5.6 time, `YYYY-MM-DD` (the end of that local day) or `3 days ago`.
    pub fn parse(text: &str, now: &ZonedDateTime) -> Result<Self, String> {
        let text = text.trim();
        if let Some(number) = text.strip_prefix('#') {
            return number.parse().map(Self::Run).map_err(|_| refusal(text));
        }
        if let Some(span) = text.strip_suffix(" ago") {
            return before(now, span).map(Self::By).ok_or_else(|| refusal(text));
        }
        if let Ok(day) = text.parse::<Date>()
            && day.to_string() == text
        {
            return end_of(day, now.time_zone()).map(Self::By).ok_or_else(|| refusal(text));
        }
        // RFC 3339 §5.6
        text.parse::<Timestamp>()
            .map(|time| Self::By(time.as_second()))
            .map_err(|_| refusal(text))
    }
}

/// The time that lies a span such as `90d`, `1y` or `3 days` before another, in seconds since 1970.
pub fn before(now: &ZonedDateTime, span: &str) -> Option<i64> {
    let span = span.trim();
    let digits = span.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = span.split_at(digits);
    let number: i64 = number.parse().ok()?;
    let (_, span) = UNITS.iter().find(|(names, _)| names.contains(&unit.trim()))?;
    let then = now.checked_sub(span(number)?).ok()?;
    Some(then.timestamp().as_second())
}

/// A time in seconds since 1970 as people read it, in their own zone.
pub fn shown(seconds: i64) -> Option<String> {
    let time = Timestamp::from_second(seconds)
        .ok()?
        .to_zoned_datetime(TimeZone::system());
    Some(time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// The last second of a day.
fn end_of(day: Date, zone: &TimeZone) -> Option<i64> {
    let next = day.tomorrow().ok()?.to_zoned_datetime(zone.clone()).ok()?;
    Some(next.timestamp().as_second() - 1)
}

fn refusal(text: &str) -> String {
    format!(
        "\"{}\" is no point in time: write a run such as #12, a day such as 2026-03-01, a time such as \
         2026-03-01T12:00:00Z, or \"3 days ago\"",
        crate::error::clean(text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> ZonedDateTime {
        "2026-03-31T12:00:00+02:00[Europe/Berlin]".parse().unwrap()
    }

    #[test]
    fn points_in_time() {
        let by = |text: &str| When::By(text.parse::<Timestamp>().unwrap().as_second());
        for (text, expected) in [
            ("#12", When::Run(12)),
            ("2026-03-01", by("2026-03-01T22:59:59Z")),
            // The day on which clocks go forward.
            ("2026-03-29", by("2026-03-29T21:59:59Z")),
            ("2026-03-01T12:00:00Z", by("2026-03-01T12:00:00Z")),
            ("2026-03-01T12:00:00+02:00", by("2026-03-01T10:00:00Z")),
            ("3 days ago", by("2026-03-28T11:00:00Z")),
            ("1 month ago", by("2026-02-28T11:00:00Z")),
            ("2w ago", by("2026-03-17T11:00:00Z")),
        ] {
            assert_eq!(When::parse(text, &now()), Ok(expected), "{text}");
        }
        for text in [
            "",
            "#",
            "#x",
            "yesterday",
            "days ago",
            "3 fortnights ago",
            "2026-13-01",
            "-1d ago",
            "2026-03",
        ] {
            assert!(When::parse(text, &now()).is_err(), "{text}");
        }
    }

    #[test]
    fn spans() {
        for (text, expected) in [
            ("1y", Some("2025-03-31T10:00:00Z")),
            ("90d", Some("2025-12-31T11:00:00Z")),
            ("6m", Some("2025-09-30T10:00:00Z")),
            ("12h", Some("2026-03-30T22:00:00Z")),
            ("0d", Some("2026-03-31T10:00:00Z")),
            ("1", None),
            ("y", None),
            ("99999999999999999999y", None),
            ("1000000y", None),
        ] {
            let expected = expected.map(|text| text.parse::<Timestamp>().unwrap().as_second());
            assert_eq!(before(&now(), text), expected, "{text}");
        }
    }
}
