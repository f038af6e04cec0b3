//! How much was done.

/// What was done on one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Messages that arrived.
    pub added: u64,
    /// Messages whose flags were set.
    pub flags: u64,
    /// Messages moved.
    pub moved: u64,
    /// Messages removed.
    pub removed: u64,
    /// Mailboxes created.
    pub mailboxes_created: u64,
    /// Mailboxes removed.
    pub mailboxes_removed: u64,
    /// Mailboxes renamed.
    pub mailboxes_renamed: u64,
}

impl Counts {
    /// All of them together.
    pub const fn sum(&self) -> u64 {
        let messages = self.added + self.flags + self.moved + self.removed;
        messages + self.mailboxes_created + self.mailboxes_removed + self.mailboxes_renamed
    }
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            added: self.added + more.added,
            flags: self.flags + more.flags,
            moved: self.moved + more.moved,
            removed: self.removed + more.removed,
            mailboxes_created: self.mailboxes_created + more.mailboxes_created,
            mailboxes_removed: self.mailboxes_removed + more.mailboxes_removed,
            mailboxes_renamed: self.mailboxes_renamed + more.mailboxes_renamed,
        }
    }
}
