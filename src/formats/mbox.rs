//! Writes an mbox (mboxrd): messages one behind another, each begun by a From_ line and ended by a blank one.
//!
//! Lines that begin with `From `, or with that behind any number of `>`, get one `>` more; so whoever takes one away has
//! the line as it was. Line ends are LF. A message whose bytes cannot be had back from that, since a CR or an LF stands
//! alone in it or its last line has no end, is written as it is, marked, and with a line end more.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use super::header::is_blank;
use super::{Beside, from_line, marks};
use crate::error::Result;
use crate::lines::ToDisk;

/// So much of a message is waited for to find who sent it.
const HEADER: usize = 64 * 1024;

/// An mbox being written.
pub struct Writer {
    file: BufWriter<File>,
    /// Where the next message begins.
    end: u64,
    messages: u64,
}

/// A message with its bytes still to come, in canonical form. Asked again, it gives the same ones from the beginning.
pub trait Message {
    /// Hands them to `into`, piece by piece, after `begin` for each try; only what came after the last `begin` counts.
    fn pour(&self, into: &mut dyn Intake) -> Result<()>;
}

/// Where the bytes of a message go.
pub trait Intake {
    /// A new try begins; what came before is void.
    fn begin(&mut self) -> io::Result<()>;
    /// The next piece.
    fn piece(&mut self, piece: &[u8]) -> io::Result<()>;
}

impl Writer {
    /// Intake a file that is empty.
    pub fn new(file: File) -> Self {
        Self {
            file: BufWriter::with_capacity(64 * 1024, file),
            end: 0,
            messages: 0,
        }
    }

    /// Appends a message. After a failure the file is as before.
    pub fn add(&mut self, message: &dyn Message, beside: &Beside) -> Result<()> {
        let added = match self.try_add(message, beside, false) {
            Ok(false) => self.try_add(message, beside, true),
            other => other,
        };
        if let Err(failure) = added {
            self.back()?;
            return Err(failure);
        }
        self.messages += 1;
        Ok(())
    }

    /// False if its lines have to be written as they are.
    fn try_add(&mut self, message: &dyn Message, beside: &Beside, exact: bool) -> Result<bool> {
        let mut packing = Packing::new(self, beside, exact);
        message.pour(&mut packing)?;
        let is_whole = packing.finish()?;
        if is_whole {
            self.end = self.file.stream_position().map_err(|err| unwritten(&err))?;
        } else {
            self.back()?;
        }
        Ok(is_whole)
    }

    /// Drops what was written behind the last whole message.
    fn back(&mut self) -> Result<()> {
        let back = |file: &mut BufWriter<File>, end| {
            file.seek(SeekFrom::Start(end))?;
            file.get_ref().set_len(end)
        };
        back(&mut self.file, self.end).map_err(|err| unwritten(&err))
    }

    /// How many messages and bytes are in it.
    pub const fn size(&self) -> (u64, u64) {
        (self.messages, self.end)
    }

    /// Makes it durable.
    pub fn finish(self) -> io::Result<()> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    }
}

fn unwritten(err: &io::Error) -> crate::error::Failure {
    use crate::error::{Failure, Reach};
    Failure::carried(err).unwrap_or_else(|| crate::maildir::disk::failure(err, Reach::Account, "cannot write the mbox"))
}

/// One message on its way into the file.
struct Packing<'a> {
    writer: &'a mut Writer,
    beside: &'a Beside,
    exact: bool,
    /// The beginning of the message, until its sender is found in it; `None` once that was written.
    held: Option<Vec<u8>>,
    turn: ToDisk,
    turned: Vec<u8>,
    /// A line begins with the next byte.
    begins: bool,
    /// What a line that is not complete began with, as long as it can become a From_ line.
    line: Vec<u8>,
    /// The message cannot be had back from lines with LF.
    is_odd: bool,
}

impl<'a> Packing<'a> {
    fn new(writer: &'a mut Writer, beside: &'a Beside, exact: bool) -> Self {
        Self {
            writer,
            beside,
            exact,
            held: Some(Vec::new()),
            turn: ToDisk::default(),
            turned: Vec::new(),
            begins: true,
            line: Vec::new(),
            is_odd: false,
        }
    }

    fn head(&mut self, header: &[u8]) -> io::Result<()> {
        let Beside { flags, date } = self.beside;
        // It would be taken for ours.
        self.is_odd |= header.starts_with(marks::EXACT.trim_ascii_end());
        let file = &mut self.writer.file;
        file.write_all(from_line::write(header, date.0).as_bytes())?;
        file.write_all(marks::write(flags, self.exact).as_bytes())?;
        self.lines(header)
    }

    fn lines(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.exact {
            return self.quoted(piece);
        }
        let mut turned = std::mem::take(&mut self.turned);
        turned.clear();
        self.is_odd |= self.turn.turn(piece, &mut turned).is_err();
        let written = if self.is_odd { Ok(()) } else { self.quoted(&turned) };
        self.turned = turned;
        written
    }

    fn quoted(&mut self, piece: &[u8]) -> io::Result<()> {
        for line in piece.split_inclusive(|&b| b == b'\n') {
            let ends = line.ends_with(b"\n");
            if !self.begins {
                self.writer.file.write_all(line)?;
                self.begins = ends;
                continue;
            }
            self.line.extend_from_slice(line);
            if ends || !can_become(&self.line) {
                self.begin_line()?;
                self.begins = ends;
            }
        }
        Ok(())
    }

    /// Writes the beginning of a line, quoted if need be.
    fn begin_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        if is_from(&line) {
            self.writer.file.write_all(b">")?;
        }
        self.writer.file.write_all(&line)
    }

    /// False: it has to be written as it is.
    fn finish(mut self) -> Result<bool> {
        self.end().map_err(|err| unwritten(&err))
    }

    fn end(&mut self) -> io::Result<bool> {
        if let Some(header) = self.held.take() {
            self.head(&header)?;
        }
        let unended = !self.line.is_empty() || !self.begins;
        if !self.exact && (self.is_odd || unended || !self.turn.held_back().is_empty()) {
            return Ok(false);
        }
        self.begin_line()?;
        self.writer.file.write_all(if self.exact { b"\n\n" } else { b"\n" })?;
        Ok(true)
    }
}

impl Intake for Packing<'_> {
    fn begin(&mut self) -> io::Result<()> {
        self.writer.back()?;
        self.held = Some(Vec::new());
        (self.turn, self.begins, self.is_odd) = (ToDisk::default(), true, false);
        self.line.clear();
        Ok(())
    }

    fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        let Some(mut held) = self.held.take() else {
            return self.lines(piece);
        };
        held.extend_from_slice(piece);
        let ended = held.split_inclusive(|&b| b == b'\n').any(is_blank);
        if ended || held.len() >= HEADER {
            return self.head(&held);
        }
        self.held = Some(held);
        Ok(())
    }
}

/// Whether a line would be taken for a From_ line, or for a quoted one.
fn is_from(line: &[u8]) -> bool {
    unquoted(line).starts_with(b"From ")
}

/// Whether a line is a From_ line with at least one `>` before it.
pub(super) fn is_quoted(line: &[u8]) -> bool {
    line.starts_with(b">") && is_from(line)
}

/// Whether a line that begins so can still turn out to be one.
fn can_become(line: &[u8]) -> bool {
    let rest = unquoted(line);
    line.len() < 64 * 1024 && rest.len() < 5 && b"From ".starts_with(rest)
}

fn unquoted(line: &[u8]) -> &[u8] {
    let quotes = line.iter().take_while(|&&b| b == b'>').count();
    &line[quotes..]
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::super::split::split;
    use super::super::unpack::{self, Wrapping};
    use super::*;
    use crate::formats::marks::Marks;
    use crate::model::{Flags, InternalDate};

    /// Bytes in pieces of a size; a first try goes wrong.
    struct Pieces<'a>(&'a [u8], usize);

    impl Message for Pieces<'_> {
        fn pour(&self, into: &mut dyn Intake) -> Result<()> {
            let mut pour = || {
                into.begin()?;
                into.piece(b"From nobody\r\n\r\na damaged file")?;
                into.begin()?;
                self.0.chunks(self.1).try_for_each(|piece| into.piece(piece))
            };
            pour().map_err(|err| unwritten(&err))
        }
    }

    fn beside(names: &str) -> Beside {
        Beside {
            flags: Flags::from_names(names.split_whitespace()),
            date: InternalDate(1_700_000_000),
        }
    }

    fn written(mails: &[Vec<u8>], size: usize) -> Vec<u8> {
        let file = tempfile::tempfile().unwrap();
        let mut writer = Writer::new(file.try_clone().unwrap());
        for mail in mails {
            writer.add(&Pieces(mail, size), &beside("\\Seen a")).unwrap();
        }
        writer.finish().unwrap();
        let (mut file, mut out) = (file, Vec::new());
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut out).unwrap();
        out
    }

    /// What import makes of an mbox.
    fn read(mbox: &[u8]) -> Vec<Vec<u8>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(mbox).unwrap();
        let mut out = Vec::new();
        split(mbox, |found| {
            let marks = Marks::find(&found.header);
            assert_eq!(
                (marks.flags, found.date),
                (beside("\\Seen a").flags, Some(1_700_000_000))
            );
            let end = if marks.exact { found.beyond - 2 } else { found.end };
            let mut mail = Vec::new();
            unpack::pour(
                file.try_clone().unwrap(),
                &(found.start..end),
                Wrapping::Mbox,
                |piece| {
                    mail.extend_from_slice(piece);
                    Ok(())
                },
            )
            .unwrap();
            out.push(mail);
        })
        .unwrap();
        out
    }

    #[test]
    fn how_messages_lie_in_an_mbox() {
        let marks = "Status: RO\nX-Status: \nX-Keywords: a\n";
        for (mail, expected) in [
            (
                "From: Ada <a@b>\r\n\r\nFrom here\r\n>From there\r\n> From\r\nx From \r\n",
                format!(
                    "From a@b Tue Nov 14 22:13:20 2023\n{marks}From: Ada <a@b>\n\n>From here\n>>From there\n> From\nx From \n\n"
                ),
            ),
            (
                "From nobody\r\n",
                format!("From MAILER-DAEMON Tue Nov 14 22:13:20 2023\n{marks}>From nobody\n\n"),
            ),
            ("", format!("From MAILER-DAEMON Tue Nov 14 22:13:20 2023\n{marks}\n")),
            (
                "A: 1\r\n\r\nx",
                format!("From MAILER-DAEMON Tue Nov 14 22:13:20 2023\n{marks}X-Homing: exact\nA: 1\r\n\r\nx\n\n"),
            ),
        ] {
            for size in [1, 3, 100] {
                let mbox = written(&[mail.as_bytes().to_vec()], size);
                assert_eq!(String::from_utf8_lossy(&mbox), expected, "{mail:?} by {size}");
            }
        }
    }

    fn mail() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            6 => Just(b"\r\n".to_vec()), 1 => Just(b"\n".to_vec()), 1 => Just(b"\r".to_vec()),
            3 => Just(b"From ".to_vec()), 2 => Just(b">".to_vec()), 1 => Just(b"Status: O\r\n".to_vec()),
            1 => Just(b"From a@b Thu Jan  1 00:00:00 1970\r\n".to_vec()), 1 => Just(b"X-Homing: exact\r\n".to_vec()),
            2 => Just(b"Subject: x\r\n".to_vec()), 2 => proptest::collection::vec(any::<u8>(), 0..9)
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(mails in proptest::collection::vec(mail(), 0..5), size in 1usize..40) {
            prop_assert_eq!(read(&written(&mails, size)), mails);
        }
    }
}
