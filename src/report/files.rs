//! What `verify`, `prune` and `export` tell of files.

/// What `verify` found in an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verification {
    /// Messages whose file is what was archived.
    pub whole: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Messages fetched again.
    pub repaired: u64,
    /// Messages whose file is not what was archived.
    pub damaged: Vec<FileLine>,
    /// Messages without a file.
    pub missing: Vec<FileLine>,
    /// Files that no message has.
    pub foreign: Vec<FileLine>,
}

impl Verification {
    /// Whether mail is lost unless something is done.
    pub const fn is_damaged(&self) -> bool {
        !self.damaged.is_empty() || !self.missing.is_empty()
    }
}

/// A file that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FileLine {
    /// The mailbox.
    pub mailbox: Option<String>,
    /// The file, relative to the archive; of a missing one, the part of its name that does not change.
    pub file: String,
    /// What is wrong.
    pub what: String,
    /// What the user can do.
    pub hint: Option<String>,
}

/// A mailbox that is exported.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ExportedLine {
    /// The mailbox.
    pub mailbox: String,
    /// The file, or the directory of its messages.
    pub file: String,
    /// How many messages.
    pub messages: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// A message that is pruned.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PrunedLine {
    /// The mailbox that it was in.
    pub mailbox: String,
    /// Its file, relative to the archive.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// Why it goes.
    pub why: String,
}
