//! What to do with changes of each side.

use crate::model::Side;

/// What happens to a kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Carry it over to the other side.
    Spread,
    /// Leave the other side alone and record it as pending.
    Keep,
    /// Bring it back from the other side.
    Undo,
}

/// Rules for the changes of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SidePolicy {
    /// New messages.
    pub new: Rule,
    /// Flags and keywords.
    pub flags: Rule,
    /// Messages that went from one mailbox into another.
    pub moves: Rule,
    /// Messages that are gone.
    pub removals: Rule,
    /// Mailboxes created and deleted.
    pub mailboxes: Rule,
    /// Removals that a guard holds back are undone.
    pub undo_held: bool,
}

impl SidePolicy {
    /// Everything is carried over.
    pub const SPREAD: Self = Self::all(Rule::Spread);
    /// Everything stays, but for what a guard holds.
    pub const KEEP: Self = Self {
        undo_held: true,
        ..Self::all(Rule::Keep)
    };

    /// The same rule for everything.
    pub const fn all(rule: Rule) -> Self {
        Self {
            new: rule,
            flags: rule,
            moves: rule,
            removals: rule,
            mailboxes: rule,
            undo_held: false,
        }
    }
}

/// Rules for both sides, and whether removals are approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For changes of the left and of the right.
    pub sides: [SidePolicy; 2],
    /// The user approved what a guard would hold (`--allow-deletes`).
    pub allow_deletes: bool,
}

impl Policy {
    /// Both ways.
    pub const SYNC: Self = Self {
        sides: [SidePolicy::SPREAD, SidePolicy::SPREAD],
        allow_deletes: false,
    };
    /// Only from the right to the left.
    pub const PULL: Self = Self {
        sides: [SidePolicy::KEEP, SidePolicy::SPREAD],
        allow_deletes: false,
    };
    /// Only from the left to the right.
    pub const PUSH: Self = Self {
        sides: [SidePolicy::SPREAD, SidePolicy::KEEP],
        allow_deletes: false,
    };

    /// The left is an archive: it becomes what the right is. What the right removes is kept elsewhere for good, so there
    /// is nothing to approve.
    pub const BACKUP: Self = Self {
        sides: [SidePolicy::all(Rule::Undo), SidePolicy::SPREAD],
        allow_deletes: true,
    };
    /// The left is only read, and what the right has beyond it stays.
    pub const RESTORE: Self = Self {
        sides: [SidePolicy::SPREAD, SidePolicy::all(Rule::Keep)],
        allow_deletes: false,
    };

    /// Rules for changes of that side.
    pub fn of(&self, side: Side) -> &SidePolicy {
        &self.sides[side as usize]
    }
}
