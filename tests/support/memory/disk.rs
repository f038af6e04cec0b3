//! What a power loss takes from a Maildir: everything delivered since the last flush, and of the renames since then any.

use homing::model::{Flags, Id};

use super::{Inner, Kept, Memory};

/// A rename of a file that is not yet durable, as it was before.
pub(super) enum Undone {
    Flags(String, Id, Flags),
    Removed(String, Id, Kept),
    Moved((String, Id), (String, Id)),
}

impl Memory {
    /// Notes what homing did, where a crash can undo it.
    pub(super) fn can_be_lost(&self, undone: Undone) {
        if self.nature.maildir {
            self.inner().undone.push(undone);
        }
    }

    /// Somebody else writes into the same file system: what was renamed before that is durable then.
    pub fn settle(&self) {
        self.inner().undone.clear();
    }

    /// What was delivered and not flushed is lost. Of what was renamed some is: which, `chance` says.
    pub fn crash(&self, chance: u64) {
        let mut inner = self.inner();
        inner.unflushed.clear();
        let undone = std::mem::take(&mut inner.undone);
        for (at, undone) in undone.into_iter().enumerate().rev() {
            // Spreads the bits of small numbers.
            let mixed = (chance + at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            if mixed >> 63 == 1 {
                inner.undo(undone);
            }
        }
    }
}

impl Inner {
    /// Puts back what was there, unless something is in its way.
    fn undo(&mut self, undone: Undone) {
        match undone {
            Undone::Flags(name, id, flags) => {
                if let Some(b) = self.mailboxes.get_mut(&name)
                    && let Some(kept) = b.messages.get_mut(&id)
                {
                    kept.message.flags = flags;
                    b.changes += 1;
                }
            }
            Undone::Removed(name, id, kept) => {
                if let Some(b) = self.mailboxes.get_mut(&name) {
                    b.messages.entry(id).or_insert(kept);
                    b.changes += 1;
                }
            }
            Undone::Moved((from, old), (to, new)) => {
                if !self.mailboxes.contains_key(&from) {
                    return;
                }
                let kept = self.mailboxes.get_mut(&to).and_then(|b| {
                    b.changes += 1;
                    b.messages.remove(&new)
                });
                if let (Some(kept), Some(b)) = (kept, self.mailboxes.get_mut(&from)) {
                    b.messages.insert(old, kept);
                    b.changes += 1;
                }
            }
        }
    }
}
