//! What a store is asked to change, and what it answers.

use std::fmt;
use std::io;

use super::{Head, Ticket};
use crate::error::Failure;
use crate::model::{Flags, Id, IdSet, Identity, Known, Mailbox, MailboxIdentity, MailboxPath, RawName, Role};

/// A change to make.
#[derive(Debug)]
pub enum WriteJob {
    /// Put a message into a mailbox. Never sent twice by the store itself once it may have been executed. Answered with
    /// one of [`Done::Landed`], [`Done::Failed`], [`Done::Unknown`] (of the id in the source) and no [`Done::Finished`]:
    /// that is the reading side's.
    Append(Append),
    /// Add and take away flags of messages. Answered with [`Done::Flags`]: what the store then **saw** on each message.
    /// What a mailbox cannot hold (PERMANENTFLAGS) is not sent. With nothing to add and nothing to take away: only looks.
    Flags {
        /// See [`Ticket`].
        ticket: Ticket,
        /// Where.
        mailbox: Mailbox,
        /// Which messages.
        ids: IdSet,
        /// To set.
        add: Flags,
        /// To clear.
        remove: Flags,
    },
    /// Move messages into another mailbox of the same store, which exists.
    Move {
        /// See [`Ticket`].
        ticket: Ticket,
        /// Out of here.
        mailbox: Mailbox,
        /// Which messages, with what proves them.
        messages: Vec<Known>,
        /// Into here.
        to: Mailbox,
    },
    /// Copy messages into another mailbox of the same store, which exists.
    Copy {
        /// See [`Ticket`].
        ticket: Ticket,
        /// From here.
        mailbox: Mailbox,
        /// Which messages.
        messages: Vec<Known>,
        /// Into here.
        to: Mailbox,
    },
    /// Remove messages for good on a server, into the attic on a Maildir.
    Remove {
        /// See [`Ticket`].
        ticket: Ticket,
        /// Where.
        mailbox: Mailbox,
        /// Under what name the attic keeps them.
        path: MailboxPath,
        /// Which messages, with what proves them.
        messages: Vec<Known>,
    },
    /// Create a mailbox (and the levels above it) and subscribe to it. One that exists already is a success.
    Create {
        /// See [`Ticket`].
        ticket: Ticket,
        /// Its decoded name; the store spells it its own way.
        path: MailboxPath,
        /// What it is for, where the other side knows.
        role: Option<Role>,
    },
    /// Rename a mailbox, its inferiors included.
    Rename {
        /// See [`Ticket`].
        ticket: Ticket,
        /// Which.
        mailbox: Mailbox,
        /// Its new decoded name.
        to: MailboxPath,
    },
    /// Delete a mailbox, if it is then seen empty; its inferiors stay.
    Delete {
        /// See [`Ticket`].
        ticket: Ticket,
        /// Which.
        mailbox: Mailbox,
    },
}

impl WriteJob {
    /// Under which number it is answered.
    pub const fn ticket(&self) -> Ticket {
        match self {
            Self::Append(append) => append.ticket,
            Self::Flags { ticket, .. }
            | Self::Move { ticket, .. }
            | Self::Copy { ticket, .. }
            | Self::Remove { ticket, .. }
            | Self::Create { ticket, .. }
            | Self::Rename { ticket, .. }
            | Self::Delete { ticket, .. } => *ticket,
        }
    }

    /// How many answers it gets at most from a store that answers for each message by itself.
    pub fn answers(&self) -> usize {
        match self {
            Self::Append(_) => 1,
            Self::Flags { ids, .. } => ids.len() as usize + 1,
            Self::Move { messages, .. } | Self::Copy { messages, .. } | Self::Remove { messages, .. } => {
                messages.len() + 1
            }
            Self::Create { .. } | Self::Rename { .. } | Self::Delete { .. } => 2,
        }
    }
}

/// A whole message waiting to be appended.
pub struct Append {
    /// Of the read job that it came from.
    pub ticket: Ticket,
    /// What it was in the source when it was read; its flags and its date are to be given to the copy.
    pub head: Head,
    /// Where to.
    pub to: Mailbox,
    /// What it is known by.
    pub identity: Identity,
    /// Its bytes, `identity.size` of them, positioned at the start.
    pub body: Box<dyn Spooled>,
}

impl fmt::Debug for Append {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Append")
            .field("ticket", &self.ticket)
            .field("source", &self.head.id)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// A spooled body: in memory or a temporary file.
pub trait Spooled: io::Read + io::Seek + Send {}
impl<T: io::Read + io::Seek + Send> Spooled for T {}

/// An answer to a job.
#[derive(Debug)]
pub struct Outcome {
    /// Of that job.
    pub ticket: Ticket,
    /// What was done.
    pub done: Done,
}

/// What was done. Durable on a Maildir after the next [`Store::flush`](super::Store::flush), on a server at once.
#[derive(Debug)]
pub enum Done {
    /// A message landed at the target.
    Landed {
        /// What it was in the source when it was read.
        head: Head,
        /// What it is known by.
        identity: Identity,
        /// Its id at the target; `None`: it is there but could not be told from others.
        id: Option<Id>,
        /// The validity under which that id is, where the answer tells (APPENDUID, RFC 4315 §3).
        validity: Option<u64>,
        /// The flags that it was given there (sent, not yet seen: a server can drop some without a word).
        flags: Flags,
    },
    /// A message met its equal at the target, which had no partner.
    Met {
        /// What it was in the source when it was read.
        head: Head,
        /// What it is known by.
        identity: Identity,
        /// The id of its equal.
        id: Id,
    },
    /// The messages are not there any more. Not proof of a removal: the next `changes` tells.
    Gone(IdSet),
    /// The messages now hold these flags.
    Flags(Vec<(Id, Flags)>),
    /// The messages moved: old id and new id, where the new one is known.
    Moved(Vec<(Id, Option<Id>)>),
    /// The messages were copied: id of the original and of the copy, where known.
    Copied(Vec<(Id, Option<Id>)>),
    /// The messages are removed.
    Removed(IdSet),
    /// The messages are not the ones that were meant (edited in place, other mail under old ids): left alone.
    Differs(IdSet),
    /// The mailbox is there, and this is what it is called.
    Created {
        /// The store's name for it.
        raw: RawName,
        /// Where creating tells it.
        validity: Option<u64>,
        /// What survives a rename, as it will be listed; where creating tells it.
        identity: Option<MailboxIdentity>,
    },
    /// The mailbox is called this now.
    Renamed {
        /// The store's name for it.
        raw: RawName,
    },
    /// The mailbox is gone.
    Deleted,
    /// It could not be done for these messages (none named: for the whole job).
    Failed(IdSet, Failure),
    /// It may or may not have been done for these messages: the connection was lost before the answer. Whoever looks again
    /// finds out, so its [`Retry`](crate::error::Retry) is `Now`.
    Unknown(IdSet, Failure),
    /// The job is over; the last answer with its ticket.
    Finished,
}
