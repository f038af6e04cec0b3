//! A message in a file, as a server would hold it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;

use super::header::{self, is_blank};
use super::marks::Marks;
use super::mbox::is_quoted;
use super::split::PIECE;
use crate::identity::Digester;
use crate::lines::ToCanonical;
use crate::model::Identity;

/// How a message lies in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// In an mbox: From_ lines are quoted, flags may stand in the header.
    Mbox,
    /// A file of its own, from another program, which may have put flags into the header.
    Eml,
    /// A file of its own that holds just the message.
    Bare,
}

/// Hands a message on in canonical form, piece by piece.
pub(super) fn pour(
    file: File,
    range: &Range<u64>,
    wrapping: Wrapping,
    into: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Identity> {
    let mut file = BufReader::with_capacity(PIECE as usize, file);
    file.seek(SeekFrom::Start(range.start))?;
    unpack(file.take(range.end - range.start), wrapping, into)
}

fn unpack(
    mut from: impl BufRead,
    wrapping: Wrapping,
    into: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Identity> {
    let mut out = Out {
        into,
        digester: Digester::new(),
        turn: ToCanonical::default(),
        turned: Vec::new(),
        quoted: wrapping == Wrapping::Mbox,
        exact: wrapping == Wrapping::Bare,
        begins: true,
    };
    if wrapping != Wrapping::Bare {
        let header = read_header(&mut from)?;
        let marks = Marks::find(&header);
        out.exact = marks.exact;
        out.lines_without(&header, &marks.cut)?;
    }
    let mut piece = Vec::new();
    loop {
        piece.clear();
        if (&mut from).take(PIECE).read_until(b'\n', &mut piece)? == 0 {
            return Ok(out.digester.finish());
        }
        out.piece(&piece)?;
    }
}

/// The header and its blank line, as far as headers are looked at.
fn read_header(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    loop {
        let line = header.len();
        let begins = header.last().is_none_or(|&b| b == b'\n');
        let read = from.take(PIECE).read_until(b'\n', &mut header)?;
        if read == 0 || (begins && is_blank(&header[line..])) || header.len() >= header::LIMIT {
            return Ok(header);
        }
    }
}

struct Out<F> {
    into: F,
    digester: Digester,
    turn: ToCanonical,
    turned: Vec<u8>,
    quoted: bool,
    exact: bool,
    /// The next piece begins a line.
    begins: bool,
}

impl<F: FnMut(&[u8]) -> io::Result<()>> Out<F> {
    fn lines_without(&mut self, header: &[u8], cut: &[Range<usize>]) -> io::Result<()> {
        let mut at = 0;
        for line in header.split_inclusive(|&b| b == b'\n') {
            let is_cut = cut.iter().any(|range| range.contains(&at));
            at += line.len();
            if !is_cut {
                self.piece(line)?;
            }
        }
        Ok(())
    }

    /// A line, or a piece of one.
    fn piece(&mut self, mut piece: &[u8]) -> io::Result<()> {
        let begins = std::mem::replace(&mut self.begins, piece.ends_with(b"\n"));
        if begins && self.quoted && is_quoted(piece) {
            piece = &piece[1..];
        }
        let piece = if self.exact {
            piece
        } else {
            self.turned.clear();
            self.turn.turn(piece, &mut self.turned);
            &self.turned
        };
        self.digester.update(piece);
        (self.into)(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_would_hold() {
        use Wrapping::{Bare, Eml, Mbox};
        for (wrapping, text, expected) in [
            (
                Mbox,
                "A: 1\n\n>From x\n>>From y\n> From z\n",
                "A: 1\r\n\r\nFrom x\r\n>From y\r\n> From z\r\n",
            ),
            (Mbox, "A: 1\r\nStatus: RO\r\n\r\nx\n", "A: 1\r\n\r\nx\r\n"),
            (
                Mbox,
                "Status: O\nX-Status: \nX-Keywords: \nX-Homing: exact\nA: 1\n\n>From\n>From a\rb",
                "A: 1\n\n>From\nFrom a\rb",
            ),
            (Eml, "A: 1\n\n>From x\n", "A: 1\r\n\r\n>From x\r\n"),
            (Eml, "X-Mozilla-Status: 0001\nA: 1\n\nx", "A: 1\r\n\r\nx"),
            (
                Bare,
                "X-Mozilla-Status: 0001\nA: 1\n\nx\r",
                "X-Mozilla-Status: 0001\nA: 1\n\nx\r",
            ),
            (Mbox, "", ""),
        ] {
            let mut out = Vec::new();
            let identity = unpack(text.as_bytes(), wrapping, |piece| {
                out.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
            assert_eq!(String::from_utf8_lossy(&out), expected, "{text:?}");
            assert_eq!(identity.size, expected.len() as u64);
        }
    }
}
