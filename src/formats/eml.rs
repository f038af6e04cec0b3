//! Messages as files of their own, byte for byte what the server holds, and beside them, in each mailbox's directory, an
//! index with what a file cannot hold: `flags.tsv`, a line a message with its file, internal date and flags.

use std::collections::HashMap;

use super::Beside;
use crate::model::{ContentDigest, Flags, InternalDate};

/// The name of the index.
pub const INDEX: &str = "flags.tsv";

/// The line above its columns.
const HEAD: &str = "file\tdate\tflags\n";

/// A file name: when the message arrived and what it holds; nothing in it was chosen by a server or a sender.
pub fn file_name(date: InternalDate, content: ContentDigest, nth: u32) -> String {
    let time = jiff::Timestamp::from_second(date.0).unwrap_or_default();
    let stamp = time.strftime("%Y%m%dT%H%M%SZ");
    let content = content.to_string();
    let again = if nth > 1 { format!("-{nth}") } else { String::new() };
    format!("{stamp}-{}{again}.eml", &content[..16])
}

/// An index being written.
pub struct Index(String);

impl Default for Index {
    fn default() -> Self {
        Self(HEAD.into())
    }
}

impl Index {
    /// Adds a line.
    pub fn add(&mut self, file: &str, beside: &Beside) {
        use std::fmt::Write;
        let date = jiff::Timestamp::from_second(beside.date.0).unwrap_or_default();
        let _ = writeln!(self.0, "{file}\t{date}\t{}", beside.flags);
    }

    /// The whole of it.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Reads an index; `None` if the file is something else. Lines that mean nothing are left out.
pub(super) fn read_index(text: &str) -> Option<HashMap<&str, Beside>> {
    let lines = text.strip_prefix(HEAD)?.lines();
    let beside = lines.filter_map(|line| {
        let (file, rest) = line.split_once('\t')?;
        let (date, flags) = rest.split_once('\t')?;
        let date: jiff::Timestamp = date.parse().ok()?;
        let beside = Beside {
            flags: Flags::from_names(flags.split(' ')),
            date: InternalDate(date.as_second()),
        };
        Some((file, beside))
    });
    Some(beside.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let rows = [("\\Seen $Forwarded work", 1_700_000_000), ("", -86_400), ("a", 0)];
        let mut index = Index::default();
        let beside: Vec<_> = rows
            .iter()
            .map(|(names, date)| Beside {
                flags: Flags::from_names(names.split_whitespace()),
                date: InternalDate(*date),
            })
            .collect();
        let names = ["a.eml", "b.eml", "c.eml"];
        for (name, beside) in names.iter().zip(&beside) {
            index.add(name, beside);
        }
        let text = format!("{}rubbish\nd.eml\tnever\t\n", index.text());
        let read = read_index(&text).unwrap();
        assert_eq!(read.len(), 3);
        for (name, beside) in names.iter().zip(&beside) {
            assert_eq!(read.get(name), Some(beside));
        }
        assert!(read_index("other\n").is_none());
    }

    #[test]
    fn names() {
        let content = ContentDigest([0xab; 16]);
        for (date, nth, name) in [
            (0, 1, "19700101T000000Z-abababababababab.eml"),
            (1_700_000_000, 2, "20231114T221320Z-abababababababab-2.eml"),
            (i64::MAX, 1, "19700101T000000Z-abababababababab.eml"),
        ] {
            assert_eq!(file_name(InternalDate(date), content, nth), name);
        }
    }
}
