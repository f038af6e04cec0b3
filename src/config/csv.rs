//! CSV (RFC 4180 §2) as spreadsheets write it: each cell knows where it stands.

use std::borrow::Cow;
use std::ops::Range;

/// A cell: where it stands, quotes included, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    pub(super) span: Range<usize>,
    pub(super) text: Cow<'a, str>,
}

/// The rows of a text, blank ones left out; `Err` tells where a quote is opened and not closed.
///
/// Cells are parted by comma, semicolon or tab, whichever comes first in the first line. White space around a cell counts
/// for nothing unless it is quoted.
pub(super) fn rows(text: &str) -> Result<Vec<Vec<Cell<'_>>>, usize> {
    let start = text.len() - text.trim_start_matches('\u{feff}').len();
    let mut reader = Reader {
        text,
        at: start,
        separator: separator(&text[start..]),
    };
    let mut rows = Vec::new();
    while reader.at < text.len() {
        let row = reader.row()?;
        if row.iter().any(|cell| !cell.text.is_empty()) {
            rows.push(row);
        }
    }
    Ok(rows)
}

fn separator(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    first.bytes().find(|b| b",;\t".contains(b)).unwrap_or(b',')
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    separator: u8,
}

impl<'a> Reader<'a> {
    fn row(&mut self) -> Result<Vec<Cell<'a>>, usize> {
        let mut row = Vec::new();
        loop {
            row.push(self.cell()?);
            match self.peek() {
                Some(b) if b == self.separator => self.at += 1,
                Some(_) => {
                    self.at += 1;
                    return Ok(row);
                }
                None => return Ok(row),
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Reads up to the separator or the end of the line.
    fn cell(&mut self) -> Result<Cell<'a>, usize> {
        while self.peek().is_some_and(|b| b == b' ') {
            self.at += 1;
        }
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        let from = self.at;
        while self.peek().is_some_and(|b| b != self.separator && b != b'\n') {
            self.at += 1;
        }
        let text = self.text[from..self.at].trim_end();
        Ok(Cell {
            span: from..from + text.len(),
            text: Cow::Borrowed(text),
        })
    }

    /// A quote within quotes is written twice; what follows the closing one belongs to nothing and is passed over.
    fn quoted(&mut self) -> Result<Cell<'a>, usize> {
        let opened = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let end = rest.find('"').ok_or(opened)?;
            text.push_str(&rest[..end]);
            self.at += end + 1;
            if self.peek() != Some(b'"') {
                break;
            }
            text.push('"');
            self.at += 1;
        }
        let span = opened..self.at;
        while self.peek().is_some_and(|b| b != self.separator && b != b'\n') {
            self.at += 1;
        }
        Ok(Cell {
            span,
            text: Cow::Owned(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells() {
        for (text, wanted) in [
            ("", vec![]),
            ("a,b", vec![vec!["a", "b"]]),
            ("a,b\r\nc,d\r\n", vec![vec!["a", "b"], vec!["c", "d"]]),
            ("\u{feff}a;b,c\n1;2,3\n", vec![vec!["a", "b,c"], vec!["1", "2,3"]]),
            ("a\tb\n\t\n 1 \t\n", vec![vec!["a", "b"], vec!["1", ""]]),
            (
                "a,b\n\"x \"\"y\"\", z\n!\",\n",
                vec![vec!["a", "b"], vec!["x \"y\", z\n!", ""]],
            ),
            ("a,b\n\n,\n1,2", vec![vec!["a", "b"], vec!["1", "2"]]),
        ] {
            let found = rows(text).unwrap();
            let found: Vec<Vec<&str>> = found
                .iter()
                .map(|row| row.iter().map(|cell| &*cell.text).collect())
                .collect();
            assert_eq!(found, wanted, "{text:?}");
        }
        assert_eq!(rows("a,b\nc,\"d\n"), Err(6));
    }

    #[test]
    fn cells_know_where_they_stand() {
        let text = "from,to\n old , \"new\"\n";
        let rows = rows(text).unwrap();
        assert_eq!(&text[rows[1][0].span.clone()], "old");
        assert_eq!(&text[rows[1][1].span.clone()], "\"new\"");
    }
}
