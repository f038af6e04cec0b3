//! The plan: data that can be printed, counted and carried out.

use std::collections::BTreeSet;
use std::fmt;

use super::guard::Held;
use super::pair::Match;
use crate::model::{Beyond, Called, ContentDigest, Flags, Gone, Id, IdSet, MailboxId, MailboxPath, PairId, Side};

/// What to do, in the order in which to do it, and what was held back.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// What a guard holds back, one entry for each guard, side and mailbox.
    pub held: Vec<Held>,
    /// Mailboxes in which nothing was decided: what was seen in them must be told again by the next run.
    pub left_alone: BTreeSet<MailboxId>,
}

/// An action and why it is done.
#[derive(Clone, Debug)]
pub struct Step {
    /// In which mailbox.
    pub mailbox: MailboxId,
    /// The mailbox's name on the left.
    pub path: MailboxPath,
    /// What.
    pub action: Action,
    /// Why, in the words of the planner's table.
    pub why: &'static str,
}

/// Something to do, or to write down.
#[derive(Clone, Debug)]
pub enum Action {
    /// Rename the mailbox on that side.
    RenameMailbox {
        /// Where.
        on: Side,
        /// Its new name, as the left spells it.
        to: MailboxPath,
    },
    /// The mailbox's new name is what both sides agree on from now on, as far as they were renamed.
    AgreeName {
        /// As the left spells it.
        to: MailboxPath,
    },
    /// Make the mailbox on that side.
    CreateMailbox {
        /// Where.
        on: Side,
    },
    /// Delete the mailbox on that side, if it is then empty.
    DeleteMailbox {
        /// Where.
        on: Side,
    },
    /// Neither side has the mailbox any more: forget it.
    ForgetMailbox,
    /// These are the same message: pair them without a transfer.
    Pair {
        /// Left and right of each.
        matches: Vec<Match>,
    },
    /// Copy messages to that side from the other.
    Copy {
        /// Where to.
        to: Side,
        /// Ids on the side that has them.
        ids: IdSet,
        /// Messages of the target that have no partner: what arrives with the same content is that message.
        meet: Vec<(ContentDigest, Id)>,
    },
    /// Move messages on that side into this mailbox, because they moved on the other; or back, because they should not.
    Move {
        /// Where.
        on: Side,
        /// Out of which mailbox.
        from: MailboxId,
        /// That mailbox's name on the left.
        from_path: MailboxPath,
        /// Which messages.
        moves: Vec<Move>,
    },
    /// Copy messages on that side into this mailbox, because the other side has copies there of what this side has.
    CopyWithin {
        /// Where.
        on: Side,
        /// Out of which mailbox.
        from: MailboxId,
        /// That mailbox's name on the left.
        from_path: MailboxPath,
        /// Which messages.
        twins: Vec<Twin>,
    },
    /// Add and take away flags on that side; settles just these flags for both bases.
    SetFlags {
        /// Where.
        on: Side,
        /// Ids on that side.
        ids: IdSet,
        /// To set.
        add: Flags,
        /// To clear.
        remove: Flags,
    },
    /// Both sides made the same change of flags: only write it down.
    Agree {
        /// Which pairs.
        pairs: Vec<PairId>,
        /// What both have set.
        add: Flags,
        /// What both have cleared.
        remove: Flags,
    },
    /// Remove messages on that side because they are gone on the other.
    Remove {
        /// Where.
        on: Side,
        /// Which pairs.
        pairs: Vec<PairId>,
    },
    /// Remove messages on that side because both marked them as deleted; the other side follows.
    Expunge {
        /// Where.
        on: Side,
        /// Which pairs.
        pairs: Vec<PairId>,
    },
    /// Move messages on that side into this mailbox, its trash, because they are gone on the other.
    Trash {
        /// Where.
        on: Side,
        /// Out of which mailbox.
        from: MailboxId,
        /// That mailbox's name on the left.
        from_path: MailboxPath,
        /// Which pairs.
        pairs: Vec<PairId>,
    },
    /// Both sides have lost the message: forget the pairs.
    Forget {
        /// Which pairs.
        pairs: Vec<PairId>,
    },
    /// New messages of that side stay where they are; recorded as pending.
    KeepNew {
        /// Whose.
        of: Side,
        /// Which.
        ids: IdSet,
    },
    /// New messages of that side stay where they are; recorded as left out.
    LeaveOut {
        /// Whose.
        of: Side,
        /// Why.
        reason: Beyond,
        /// Ids and sizes, as that side tells them.
        messages: Vec<(Id, u64)>,
    },
    /// Flags of that side stay where they are; recorded as pending.
    KeepFlags {
        /// Whose.
        of: Side,
        /// Which messages, and the flags they have there.
        flags: Vec<(Id, Flags)>,
    },
    /// Removals on that side are not carried over; recorded in the pairs.
    KeepRemoval {
        /// The side that lost the messages.
        of: Side,
        /// Which pairs.
        pairs: Vec<PairId>,
        /// Pending, or held by a guard.
        gone: Gone,
    },
}

/// A message to move.
#[derive(Clone, Debug)]
pub struct Move {
    /// The base row, which lives on in the new mailbox; `None`: there was none.
    pub base: Option<PairId>,
    /// Its id in the mailbox that it leaves.
    pub id: Id,
    /// The id, in the mailbox that it comes into, of the other side's copy.
    pub partner: Id,
    /// What each side holds now.
    pub flags: [Flags; 2],
}

/// A message to copy.
#[derive(Clone, Debug)]
pub struct Twin {
    /// Of what.
    pub source: Source,
    /// The id, in the mailbox that the copy comes into, of the other side's copy.
    pub id: Id,
    /// The flags that the other side's copy has.
    pub flags: Flags,
}

/// Where the original of a copy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// There already, under this id and with these flags, which its copy then has too.
    There(Id, Flags),
    /// It arrives in this run, from this id of the other side.
    Arriving(Id),
}

/// When a step is done. Phases are the only barriers: nothing is removed before all that was to be added is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// What is only written down.
    Note,
    /// Mailboxes are renamed.
    Rename,
    /// Mailboxes are made.
    Create,
    /// Messages are copied to the left.
    CopyLeft,
    /// Messages are copied to the right; by then it is known what met its equal.
    CopyRight,
    /// Messages are copied within a side: from what was there, or has just arrived.
    CopyWithin,
    /// Messages are moved.
    Move,
    /// Flags are set.
    Flags,
    /// Messages are removed.
    Remove,
    /// Mailboxes are deleted.
    Delete,
}

impl Action {
    /// When it is done.
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Pair { .. } | Self::Agree { .. } | Self::Forget { .. } => Phase::Note,
            Self::KeepNew { .. } | Self::KeepFlags { .. } | Self::KeepRemoval { .. } => Phase::Note,
            Self::LeaveOut { .. } => Phase::Note,
            Self::RenameMailbox { .. } | Self::AgreeName { .. } => Phase::Rename,
            Self::CreateMailbox { .. } => Phase::Create,
            Self::Copy { to: Side::Left, .. } => Phase::CopyLeft,
            Self::Copy { to: Side::Right, .. } => Phase::CopyRight,
            Self::CopyWithin { .. } => Phase::CopyWithin,
            Self::Move { .. } | Self::Trash { .. } => Phase::Move,
            Self::SetFlags { .. } => Phase::Flags,
            Self::Remove { .. } | Self::Expunge { .. } => Phase::Remove,
            Self::DeleteMailbox { .. } | Self::ForgetMailbox => Phase::Delete,
        }
    }

    /// One word for it, as in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RenameMailbox { .. } => "rename-mailbox",
            Self::AgreeName { .. } => "agree-name",
            Self::CreateMailbox { .. } => "create-mailbox",
            Self::DeleteMailbox { .. } => "delete-mailbox",
            Self::ForgetMailbox => "forget-mailbox",
            Self::Pair { .. } => "pair",
            Self::Copy { .. } => "copy",
            Self::CopyWithin { .. } => "copy-within",
            Self::Move { .. } | Self::Trash { .. } => "move",
            Self::SetFlags { .. } => "flags",
            Self::Agree { .. } => "agree",
            Self::Remove { .. } | Self::Expunge { .. } => "remove",
            Self::Forget { .. } => "forget",
            Self::KeepNew { .. } | Self::KeepFlags { .. } => "keep",
            Self::LeaveOut { .. } => "leave-out",
            Self::KeepRemoval { gone: Gone::Held, .. } => "hold",
            Self::KeepRemoval { .. } => "keep",
        }
    }

    /// The side that is changed; `None` where none is.
    pub const fn on(&self) -> Option<Side> {
        match self {
            Self::CreateMailbox { on } | Self::DeleteMailbox { on } | Self::RenameMailbox { on, .. } => Some(*on),
            Self::SetFlags { on, .. } | Self::Remove { on, .. } | Self::Expunge { on, .. } => Some(*on),
            Self::Move { on, .. } | Self::Trash { on, .. } | Self::CopyWithin { on, .. } => Some(*on),
            Self::Copy { to, .. } => Some(*to),
            _ => None,
        }
    }

    /// How many messages it is about; 1 for a mailbox.
    pub fn count(&self) -> u64 {
        match self {
            Self::CreateMailbox { .. } | Self::DeleteMailbox { .. } | Self::ForgetMailbox => 1,
            Self::RenameMailbox { .. } | Self::AgreeName { .. } => 1,
            Self::Pair { matches } => matches.len() as u64,
            Self::Move { moves, .. } => moves.len() as u64,
            Self::CopyWithin { twins, .. } => twins.len() as u64,
            Self::Copy { ids, .. } | Self::SetFlags { ids, .. } | Self::KeepNew { ids, .. } => ids.len(),
            Self::Agree { pairs, .. } | Self::Remove { pairs, .. } | Self::Expunge { pairs, .. } => pairs.len() as u64,
            Self::Trash { pairs, .. } | Self::Forget { pairs } | Self::KeepRemoval { pairs, .. } => pairs.len() as u64,
            Self::KeepFlags { flags, .. } => flags.len() as u64,
            Self::LeaveOut { messages, .. } => messages.len() as u64,
        }
    }

    /// Whether it changes nothing but homing's own books.
    pub const fn is_note(&self) -> bool {
        matches!(self.phase(), Phase::Note) || matches!(self, Self::ForgetMailbox | Self::AgreeName { .. })
    }
}

impl Step {
    /// `copy 3 messages to the Maildir in INBOX: new on the server`: what the sides are called is the caller's.
    pub fn sentence(&self, sides: &[Called; 2]) -> String {
        let (path, count) = (&self.path, self.action.count());
        let the = |side: &Side| &sides[*side as usize].the;
        let on_the = |side: &Side| &sides[*side as usize].on;
        let messages = if count == 1 { "message" } else { "messages" };
        let what = match &self.action {
            Action::RenameMailbox { on, to } => format!("rename {path} to {to} {}", on_the(on)),
            Action::AgreeName { to } => format!("note that the mailbox is called {to}"),
            Action::CreateMailbox { on } => format!("create {path} {}", on_the(on)),
            Action::DeleteMailbox { on } => format!("delete {path} {}", on_the(on)),
            Action::ForgetMailbox => format!("forget {path}"),
            Action::Pair { .. } => format!("pair {count} {messages} in {path}"),
            Action::Copy { to, .. } => format!("copy {count} {messages} to {} in {path}", the(to)),
            Action::CopyWithin { on, from_path, .. } => {
                format!("copy {count} {messages} {} from {from_path} to {path}", on_the(on))
            }
            Action::Move { on, from_path, .. } | Action::Trash { on, from_path, .. } => {
                format!("move {count} {messages} {} from {from_path} to {path}", on_the(on))
            }
            Action::SetFlags { on, add, remove, .. } => {
                let add = add.names().map(|name| format!(" +{name}"));
                let changes: String = add.chain(remove.names().map(|name| format!(" -{name}"))).collect();
                format!("flag {count} {messages} {} in {path}{changes}", on_the(on))
            }
            Action::Agree { .. } => format!("note the flags of {count} {messages} in {path}"),
            Action::Remove { on, .. } | Action::Expunge { on, .. } => {
                format!("remove {count} {messages} {} in {path}", on_the(on))
            }
            Action::Forget { .. } => format!("forget {count} {messages} in {path}"),
            Action::KeepNew { of, .. } => format!("leave {count} new {messages} {} in {path}", on_the(of)),
            Action::LeaveOut { of, .. } => format!("leave out {count} {messages} {} in {path}", on_the(of)),
            Action::KeepFlags { of, .. } => format!("leave flags of {count} {messages} {} in {path}", on_the(of)),
            Action::KeepRemoval {
                of, gone: Gone::Held, ..
            } => format!("hold {count} {messages} that {} lost in {path}", the(of)),
            Action::KeepRemoval { of, .. } => format!("keep {count} {messages} that {} lost in {path}", the(of)),
        };
        format!("{what}: {}", Called::reworded(self.why, sides))
    }
}

impl fmt::Display for Step {
    /// `copy 3 messages to the left in INBOX: new on the right`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence(&Called::sides()))
    }
}
