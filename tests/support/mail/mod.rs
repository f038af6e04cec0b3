//! Mail to test with: a small account that looks real, realistic mail in any number, and odd mail.
//!
//! The same every time: all that looks like chance comes from a seed. Nobody in it exists.

mod odd;
mod realistic;
mod small;

pub use odd::odd;
pub use realistic::{Rng, realistic};
pub use small::small_account;

use super::server::Date;

/// A message as a server would hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// What it is about, for the one who reads a failed test.
    pub name: String,
    /// Its bytes, with CRLF unless it is about line ends.
    pub bytes: Vec<u8>,
    /// System flags and keywords.
    pub flags: Vec<String>,
    /// Its internal date.
    pub date: Date,
}

impl Mail {
    /// These bytes, without flags, of 2026-03-01.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.into(),
            flags: Vec::new(),
            date: Date::utc(1_772_323_200),
        }
    }

    /// A short message with that subject, and a Message-ID made of it.
    pub fn simple(subject: &str) -> Self {
        let id: String = subject.chars().filter(char::is_ascii_alphanumeric).collect();
        let text = format!(
            "From: Lena Falk <lena@example.org>\nTo: me@example.org\nSubject: {subject}\n\
             Date: Sun, 1 Mar 2026 00:00:00 +0000\nMessage-ID: <{id}@example.org>\n\nAbout {subject}.\n"
        );
        Self::new(subject, crlf(text.as_bytes()))
    }

    /// With these flags, parted by blanks.
    #[must_use]
    pub fn flagged(mut self, flags: &str) -> Self {
        self.flags = flags.split_whitespace().map(str::to_owned).collect();
        self
    }

    /// With that internal date.
    #[must_use]
    pub fn dated(mut self, date: Date) -> Self {
        self.date = date;
        self
    }
}

/// Each LF as CRLF.
fn crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 30);
    for &byte in text {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}
