//! A reply under construction. Bodies are shared, not copied, and single lines can still be dropped by a fault.

use std::ops::Range;
use std::sync::Arc;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `OK`.
    Ok,
    /// `NO`.
    No,
    /// `BAD`.
    Bad,
}

impl Status {
    /// As on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
        }
    }
}

/// A part of a line.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes made for this line.
    Text(Vec<u8>),
    /// A part of a message.
    Body(Arc<[u8]>, Range<usize>),
}

impl Piece {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text,
            Self::Body(body, range) => &body[range.clone()],
        }
    }
}

/// One response line with its literals.
#[derive(Clone, Debug, Default)]
pub struct Line(pub Vec<Piece>);

impl Line {
    /// Adds text.
    pub fn text(&mut self, text: &str) {
        if let Some(Piece::Text(last)) = self.0.last_mut() {
            last.extend_from_slice(text.as_bytes());
        } else {
            self.0.push(Piece::Text(text.as_bytes().to_vec()));
        }
    }

    /// Adds a literal that is a part of a message.
    pub fn literal(&mut self, body: &Arc<[u8]>, range: Range<usize>) {
        self.text(&format!("{{{}}}\r\n", range.len()));
        self.0.push(Piece::Body(Arc::clone(body), range));
    }

    /// For the transcript: message bytes left out, without the line end.
    pub fn shown(&self) -> String {
        let text = self.0.iter().filter_map(|p| match p {
            Piece::Text(t) => Some(String::from_utf8_lossy(t).into_owned()),
            Piece::Body(..) => None,
        });
        text.collect::<String>().replace("}\r\n", "}").trim_end().to_owned()
    }
}

/// Untagged lines and the tagged one.
#[derive(Clone, Debug)]
pub struct Reply {
    /// In order.
    pub lines: Vec<Line>,
    /// How it ends.
    pub status: Status,
    /// What stands after the status: a response code, a text.
    pub text: String,
    /// Close the connection afterwards.
    pub close: bool,
    /// Leave out the tagged line.
    pub untagged_only: bool,
}

impl Reply {
    /// Ends with OK.
    pub fn ok(text: impl Into<String>) -> Self {
        Self::new(Status::Ok, text)
    }

    /// Ends with NO.
    pub fn no(text: impl Into<String>) -> Self {
        Self::new(Status::No, text)
    }

    /// Ends with BAD.
    pub fn bad(text: impl Into<String>) -> Self {
        Self::new(Status::Bad, text)
    }

    /// Only `* BYE`, then the connection ends.
    pub fn bye(text: &str) -> Self {
        let mut reply = Self::ok("");
        reply.untagged(&format!("BYE {text}"));
        reply.close = true;
        reply.untagged_only = true;
        reply
    }

    /// Ends with that status.
    pub fn new(status: Status, text: impl Into<String>) -> Self {
        Self {
            lines: Vec::new(),
            status,
            text: text.into(),
            close: false,
            untagged_only: false,
        }
    }

    /// Adds `* text`.
    pub fn untagged(&mut self, text: &str) {
        let mut line = Line::default();
        line.text(&format!("* {text}\r\n"));
        self.lines.push(line);
    }
}

/// Why a command ends with NO or BAD: what an executing function returns instead of a reply.
pub type Refused = Reply;
