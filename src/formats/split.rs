//! Where in an mbox which message lies.
//!
//! A message begins behind a From_ line and ends before the next one, less the blank line between them. Lines of a
//! message that would look like From_ lines are quoted with `>`; where a program did not quote them, only those that have a
//! date are taken for one, so that a sentence which begins with "From" stays a sentence.

use std::io::{self, BufRead, Read};

use super::from_line::FromLine;
use super::header;

/// Lines are looked at in pieces of this many bytes: no line takes more memory.
pub(super) const PIECE: u64 = 64 * 1024;

/// A message of an mbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it begins in the file, behind the From_ line.
    pub(super) start: u64,
    /// Where it ends, before the blank line that is the mbox's.
    pub(super) end: u64,
    /// Where what is the mbox's ends.
    pub(super) beyond: u64,
    /// The date in its From_ line.
    pub(super) date: Option<i64>,
    /// No From_ line stands before it.
    pub(super) headless: bool,
    /// Its header, as much of it as is looked at.
    pub(super) header: Vec<u8>,
}

/// Tells each message of an mbox, in order.
pub(super) fn split(mut from: impl BufRead, mut tell: impl FnMut(Found)) -> io::Result<()> {
    let mut splitter = Splitter::default();
    let mut piece = Vec::new();
    loop {
        piece.clear();
        if (&mut from).take(PIECE).read_until(b'\n', &mut piece)? == 0 {
            break;
        }
        splitter.take(&piece, &mut tell);
    }
    splitter.end(&mut tell);
    Ok(())
}

#[derive(Default)]
struct Splitter {
    /// How far the file was looked at.
    at: u64,
    /// The next piece continues a line.
    in_line: bool,
    /// Where the blank line begins that was the last line.
    blank: Option<u64>,
    /// The message under way.
    open: Option<Found>,
    in_header: bool,
}

impl Splitter {
    fn take(&mut self, piece: &[u8], tell: &mut impl FnMut(Found)) {
        let begins = !std::mem::replace(&mut self.in_line, !piece.ends_with(b"\n"));
        let start = self.at;
        self.at += piece.len() as u64;
        if begins && let Some(line) = FromLine::parse(piece) {
            self.close(start, tell);
            self.begin(self.at, line.date, false);
            return;
        }
        if self.open.is_none() {
            if header::is_blank(piece) {
                return;
            }
            self.begin(start, None, true);
        }
        let is_blank = begins && header::is_blank(piece);
        self.blank = is_blank.then_some(start);
        if let Some(open) = self.open.as_mut().filter(|_| self.in_header) {
            open.header.extend_from_slice(piece);
            self.in_header = !is_blank && open.header.len() < header::LIMIT;
        }
    }

    fn begin(&mut self, start: u64, date: Option<i64>, headless: bool) {
        self.in_header = true;
        self.blank = None;
        self.open = Some(Found {
            start,
            end: start,
            beyond: start,
            date,
            headless,
            header: Vec::new(),
        });
    }

    fn close(&mut self, end: u64, tell: &mut impl FnMut(Found)) {
        if let Some(mut found) = self.open.take() {
            found.end = self.blank.unwrap_or(end);
            found.beyond = end;
            tell(found);
        }
    }

    fn end(&mut self, tell: &mut impl FnMut(Found)) {
        self.close(self.at, tell);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Thu Jan  1 00:00:07 1970";

    fn messages(mbox: &str) -> Vec<(String, Option<i64>, bool)> {
        let mut found = Vec::new();
        split(mbox.as_bytes(), |message| {
            let text = &mbox[message.start as usize..message.end as usize];
            assert!(text.as_bytes().starts_with(&message.header), "{mbox}");
            found.push((text.to_owned(), message.date, message.headless));
        })
        .unwrap();
        found
    }

    #[test]
    fn where_messages_begin_and_end() {
        type Row<'a> = (String, &'a [(&'a str, Option<i64>, bool)]);
        let from = format!("From a@b {DATE}\n");
        // (mbox, its messages: text, date, without a From_ line)
        let rows: &[Row<'_>] = &[
            (String::new(), &[]),
            ("\n\n".into(), &[]),
            (from.clone(), &[("", Some(7), false)]),
            (format!("{from}A: 1\n\nx\n\n"), &[("A: 1\n\nx\n", Some(7), false)]),
            (
                format!("{from}A: 1\n\nx\n\n{from}B: 1\n\n\n\n"),
                &[("A: 1\n\nx\n", Some(7), false), ("B: 1\n\n\n", Some(7), false)],
            ),
            // CRLF.
            (
                format!("From a@b {DATE}\r\nA: 1\r\n\r\nx\r\n\r\nFrom - \r\nB: 1\r\n"),
                &[("A: 1\r\n\r\nx\r\n", Some(7), false), ("B: 1\r\n", None, false)],
            ),
            // Cut off, and the next one written behind it.
            (
                format!("{from}A: 1\n\nx\n{from}B: 1\n\nhalf a li"),
                &[("A: 1\n\nx\n", Some(7), false), ("B: 1\n\nhalf a li", Some(7), false)],
            ),
            // No From_ line at the beginning.
            (
                format!("A: 1\n\nx\n\n{from}B: 1\n"),
                &[("A: 1\n\nx\n", None, true), ("B: 1\n", Some(7), false)],
            ),
            // Sentences, and quoted lines.
            (
                format!("{from}A: 1\n\nFrom here on\n\nFrom now on\n>From a@b {DATE}\n"),
                &[(
                    "A: 1\n\nFrom here on\n\nFrom now on\n>From a@b Thu Jan  1 00:00:07 1970\n",
                    Some(7),
                    false,
                )],
            ),
        ];
        for (mbox, expected) in rows {
            let expected: Vec<_> = expected
                .iter()
                .map(|&(text, date, headless)| (text.to_owned(), date, headless))
                .collect();
            assert_eq!(messages(mbox), expected, "{mbox:?}");
        }
    }

    #[test]
    fn lines_of_any_length() {
        let long = "x".repeat(3 * PIECE as usize);
        let mbox = format!("From a@b {DATE}\nA: {long}\n\nFrom {long}\n\nFrom a@b {DATE}\nB: 1\n");
        let found = messages(&mbox);
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0].0.len(),
            mbox.find("\nFrom a@b").unwrap() - mbox.find("A:").unwrap()
        );
    }
}
