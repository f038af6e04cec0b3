//! The line that begins a message in an mbox: `From sender date` (RFC 4155, appendix A).

use super::dates;
use super::header::fields;

/// A longer one is none.
const LONGEST: usize = 1024;

/// What such a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FromLine {
    /// The date, in seconds since 1970; Thunderbird leaves it out.
    pub(super) date: Option<i64>,
}

impl FromLine {
    /// Reads a line. A sentence that begins with "From" is none: there has to be a date.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"From ")?.trim_ascii();
        if rest == b"-" {
            return Some(Self { date: None });
        }
        (rest.len() < LONGEST).then_some(())?;
        let date = dates::asctime(&String::from_utf8_lossy(rest))?;
        // The clock of the program that moved it there, not the date of the message.
        let date = (!rest.starts_with(b"- ")).then_some(date);
        Some(Self { date })
    }
}

/// Writes a line: by the header, who sent it, and when it arrived.
pub(super) fn write(header: &[u8], date: i64) -> String {
    format!("From {} {}\n", sender(header), dates::to_asctime(date))
}

/// The address in Return-Path, else in From; one word.
fn sender(header: &[u8]) -> String {
    let fields = fields(header);
    let address = |name| {
        let field = fields.iter().find(|field| field.is(name))?;
        let text = field.text();
        let inner = text.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let address = inner.map_or(text.as_str(), |(address, _)| address);
        let fits = address.len() <= 255 && address.bytes().all(|b| b.is_ascii_graphic());
        (fits && !address.is_empty()).then(|| address.to_owned())
    };
    address("return-path")
        .or_else(|| address("from"))
        .unwrap_or_else(|| "MAILER-DAEMON".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_sentences() {
        let date = |date| Some(FromLine { date });
        for (line, expected) in [
            ("From ada@example.org Thu Jan  1 00:00:07 1970\n", date(Some(7))),
            ("From ada@example.org Thu Jan  1 00:00:07 1970\r\n", date(Some(7))),
            ("From \"Ada L\"@example.org Thu Jan  1 00:00:07 1970\n", date(Some(7))),
            ("From - Thu Jan  1 00:00:07 1970\n", date(None)),
            ("From - \n", date(None)),
            ("From here on\n", None),
            ("from ada@example.org Thu Jan  1 00:00:07 1970\n", None),
            (">From ada@example.org Thu Jan  1 00:00:07 1970\n", None),
            ("From: Ada\n", None),
        ] {
            assert_eq!(FromLine::parse(line.as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn the_sender_is_one_word() {
        for (header, sender) in [
            ("Return-Path: <a@b>\nFrom: c@d\n", "a@b"),
            ("Return-Path: <>\nFrom: Ada <c@d>\n", "c@d"),
            ("From: c@d\n", "c@d"),
            ("From: Ada\n Lovelace\n", "MAILER-DAEMON"),
            ("From: \x1b[31m\n", "MAILER-DAEMON"),
            ("", "MAILER-DAEMON"),
        ] {
            let line = write(header.as_bytes(), 7);
            assert_eq!(line, format!("From {sender} Thu Jan  1 00:00:07 1970\n"));
            assert!(FromLine::parse(line.as_bytes()).is_some());
        }
    }
}
