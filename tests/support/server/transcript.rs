//! What was said: every command with its reply, and what the client did wrong.

use std::fmt;
use std::time::Duration;

use super::reply::Status;

/// Verbs that change something on the server.
pub const CHANGING: [&str; 15] = [
    "APPEND",
    "STORE",
    "UID STORE",
    "EXPUNGE",
    "UID EXPUNGE",
    "CLOSE",
    "COPY",
    "UID COPY",
    "MOVE",
    "UID MOVE",
    "CREATE",
    "DELETE",
    "RENAME",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
];

/// A command and what became of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Since the server started.
    pub at: Duration,
    /// Counted from 1.
    pub connection: u64,
    /// Its tag.
    pub tag: String,
    /// In capitals, such as `UID FETCH`.
    pub verb: String,
    /// All of it but the tag; literals are shown as `{n}` when they are long or binary.
    pub line: String,
    /// Sizes of its literals.
    pub literals: Vec<usize>,
    /// Came before the reply to the one before it had gone out.
    pub pipelined: bool,
    /// The untagged lines, without message bytes; of very long replies the first [`MOST`].
    pub replies: Vec<String>,
    /// The tagged line without its tag; empty when none was sent.
    pub result: String,
    /// How it ended; `None` when no tagged line was sent.
    pub status: Option<Status>,
    /// Bytes of the reply.
    pub sent: usize,
}

/// How many untagged lines an [`Entry`] keeps.
pub const MOST: usize = 2000;

impl Entry {
    /// Whether its verb is one of [`CHANGING`].
    pub fn is_changing(&self) -> bool {
        CHANGING.contains(&self.verb.as_str())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pipelined = if self.pipelined { "»" } else { " " };
        writeln!(f, "{:>3}{pipelined} C: {} {}", self.connection, self.tag, self.line)?;
        for reply in &self.replies {
            writeln!(f, "     S: {reply}")?;
        }
        write!(f, "     S: {} {}", self.tag, self.result)
    }
}
