//! What the Maildir remembers of its files: a contract that the state implements.

use crate::error::Result;
use crate::model::{ContentDigest, Id, IdSet, MailboxId};

/// One file as last seen. The unique part of its name is its identity; any rename that keeps it is harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// Its number for everyone else; ascending in order of discovery, never given twice.
    pub id: Id,
    /// The part of its name before the info separator, as bytes (names need not be UTF-8).
    pub unique: Vec<u8>,
    /// Bytes on disk.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub mtime: i64,
    /// A hint only: hard links and restored backups share them.
    pub inode: u64,
    /// Stored exactly as it is on the wire, because a form with LF could not be turned back.
    pub verbatim: bool,
    /// Of the canonical form, once it was read.
    pub content: Option<ContentDigest>,
}

/// The `file` table. Calls are cheap and may come from any thread; rows become durable with the executor's next commit.
/// A row whose file is gone is harmless.
pub trait FileIndex: Send + Sync {
    /// Tells the id and the unique part of each row of a mailbox, ascending by `unique` (bytewise), one after the other:
    /// there can be a million. `tell` must not call the index, which is held meanwhile.
    fn names(&self, mailbox: MailboxId, tell: &mut dyn FnMut(Id, &[u8])) -> Result<()>;
    /// The row of the file with that unique part.
    fn by_name(&self, mailbox: MailboxId, unique: &[u8]) -> Result<Option<FileRow>>;
    /// The rows of these ids; missing ones are left out.
    fn by_ids(&self, mailbox: MailboxId, ids: &IdSet) -> Result<Vec<FileRow>>;
    /// Inserts rows, or replaces those with the same id.
    fn put(&self, mailbox: MailboxId, rows: &[FileRow]) -> Result<()>;
    /// Forgets rows.
    fn forget(&self, mailbox: MailboxId, ids: &IdSet) -> Result<()>;
    /// An id that was never given before.
    fn next_id(&self) -> Result<Id>;
}
