//! What a store tells of its mailboxes: which there are, and what happened in them.

use super::flags::Flags;
use super::mailbox::{MailboxId, MailboxIdentity, MailboxPath, RawName, Role};
use super::message::Id;
use super::permanent::Permanent;
use super::uidset::IdSet;
use crate::error::Failure;

/// A store's own short text, opaque to everyone else, kept in the state. Readable, for the sake of whoever debugs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token(pub String);

/// How a mailbox looks from outside, without opening it. Two equal ones taken at different times mean: nothing that the
/// store can see from outside has happened in between.
pub type Status = Token;

/// Up to where a mailbox has been seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Ids compare only under one validity: UIDVALIDITY on a server; constant for a Maildir whose directory is the same.
    pub validity: u64,
    /// The smallest id that a message arriving later can get (UIDNEXT), where the store knows it.
    pub next_id: Option<Id>,
    /// The store's own part.
    pub token: Token,
}

/// One mailbox as a survey lists it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its decoded name.
    pub path: MailboxPath,
    /// The store's own name for it.
    pub raw: RawName,
    /// What it is for.
    pub roles: Vec<Role>,
    /// Whether it can be opened. One that cannot (`\Noselect`) is no mailbox, only a level in the tree.
    pub selectable: bool,
    /// `None`: listed, but the store could not say more; neither empty nor deleted (HAZARDS 13).
    pub status: Option<Status>,
    /// What survives a rename, where the store has such a thing. Proposes only.
    pub identity: Option<MailboxIdentity>,
    /// How many messages it holds, where that costs nothing to know.
    pub messages: Option<u64>,
}

/// All mailboxes of a store, never filtered by scope.
#[derive(Debug, Default)]
pub struct Survey {
    /// The mailboxes; each path once.
    pub mailboxes: Vec<Listed>,
    /// What could not be listed, such as a name that cannot be read. While there is one, no mailbox counts as gone.
    pub failures: Vec<(String, Failure)>,
}

/// One piece of news from a mailbox. For each mailbox asked about: first `Opened` (unless it cannot be opened), then any
/// number of the others in any order, last exactly one of `Complete` and `Partial`.
#[derive(Debug)]
pub enum Seen {
    /// The mailbox is open. When `validity` is not the one of the checkpoint asked about, every id known before is void
    /// and all messages are told as `Added`; nothing is ever told as `Removed` then.
    Opened {
        /// See [`Checkpoint::validity`].
        validity: u64,
        /// See [`Checkpoint::next_id`].
        next_id: Option<Id>,
        /// Nothing can be written to it.
        read_only: bool,
        /// By what the store knows the mailbox whatever it is called; `None` where it has no such thing.
        identity: Option<MailboxIdentity>,
        /// What a survey would list it as now ([`Listed::identity`]): another one than it did, and somebody has given the name
        /// to another mailbox in between.
        listed_as: Option<MailboxIdentity>,
        /// Which flags it lets be set; told only where that was asked for ([`Since::permanent`]) and it can be written.
        permanent: Option<Permanent>,
    },
    /// Messages that are there and were not among those known.
    Added(IdSet),
    /// Flags of known messages as they are now, whether they differ from the base or not; ids ascending within one piece.
    Flags(Vec<(Id, Flags)>),
    /// Known messages that are there no more. Told only after the store made sure (HAZARDS 8, 9, 18).
    Removed(IdSet),
    /// All that happened up to this checkpoint has been told.
    Complete(Checkpoint),
    /// What was told is true, but more may have happened; the old checkpoint stays.
    Partial(Failure),
}

/// What the caller knows of a mailbox when it asks for changes.
#[derive(Clone, Debug)]
pub struct Since {
    /// Which mailbox.
    pub mailbox: super::mailbox::Mailbox,
    /// Up to where it was seen; `None`: never.
    pub checkpoint: Option<Checkpoint>,
    /// Every id that should still be there: paired, pending and skipped ones.
    pub known: IdSet,
    /// A full listing is wanted, whatever shortcuts the store has (done now and then: HAZARDS 9).
    pub full: bool,
    /// It is to tell which flags it lets be set. On a server, only a mailbox that is opened to be changed does (HAZARDS 14).
    pub permanent: bool,
}

/// A mailbox's number with a piece of news of it.
pub type News = (MailboxId, Seen);
