//! The contract of both sides.
//!
//! A [`Source`] can be read: a Maildir, an IMAP account, an archive at a time. A [`Store`] is a source that can be
//! written. The engine knows only these traits; what is pipelined, over how many connections or threads and in what
//! windows is the store's own business.
//!
//! **Order.** Each call takes the work of the whole account and answers piece by piece: in any order across mailboxes,
//! in order within one. Each call returns when all it was given is answered.
//!
//! **Failure.** `Err` means that the account cannot go on (login, network for good). What hits one message or mailbox is
//! an answer ([`Seen::Partial`](crate::model::Seen::Partial), [`Done::Failed`]), never an `Err`. A store reconnects and
//! continues by itself as long as that makes sense; what it can no longer know the fate of (a command sent, its answer
//! lost) it answers with [`Done::Unknown`].
//!
//! **Callbacks and channels.** Callbacks are called on the calling thread. Job queues are bounded by the caller and
//! pulled by the store's workers one by one, which is the back-pressure: a store takes no job that it has no room for.
//! A disconnected job channel means that no more will come. When the `done` channel is disconnected the store stops.
//!
//! **Ids.** See [`Id`]. A store answers with the ids it was asked for and never with others.

use std::fmt;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex};

use crate::error::{Failure, Result};
use crate::model::{
    Checkpoint, ContentDigest, Envelope, Flags, Id, IdSet, Identity, InternalDate, Known, Mailbox, MailboxId,
    MailboxIdentity, MailboxPath, News, ObjectId, RawName, Role, Since, Status, Survey,
};

/// A side that can be read.
pub trait Source: Send + Sync {
    /// All mailboxes, each with as much status as one cheap question gives. Never filtered.
    fn survey(&self) -> Result<Survey>;

    /// Whether `status`, taken just now, proves that nothing happened since `checkpoint`. When in doubt: false.
    ///
    /// On a server this needs a HIGHESTMODSEQ above 0 on both (HAZARDS 11); a Maildir allows for coarse clocks.
    fn untouched(&self, status: &Status, checkpoint: &Checkpoint) -> bool;

    /// What happened in each mailbox; see [`Seen`](crate::model::Seen) for the order of the news.
    fn changes(&self, since: &[Since], news: &mut dyn FnMut(News)) -> Result<()>;

    /// By what the store knows each of these mailboxes whatever it is called, as opening it tells; those of which it tells
    /// nothing are left out. Proves that two names are one mailbox (HAZARDS 12: what is listed only proposes).
    fn identities(&self, of: &[Mailbox]) -> Result<Vec<(MailboxId, MailboxIdentity)>> {
        let _ = of;
        Ok(Vec::new())
    }

    /// What these messages are known by. Messages that are gone are left out without a word; so the caller must count.
    fn envelopes(&self, of: &[(Mailbox, IdSet)], depth: Depth, found: &mut dyn FnMut(Envelope)) -> Result<()>;

    /// Reads whole messages into `into`. Within a job the newest (largest id) comes first, where somebody may wait for new
    /// mail; files are read in their order. Bodies go from the worker
    /// straight into the sink, in canonical form (CRLF, exactly the bytes that a server holds or would hold).
    ///
    /// Answers for each id exactly one of [`Done::Landed`], [`Done::Met`], [`Done::Gone`], [`Done::Failed`], except for
    /// those whose sink said [`Landing::Queued`] (the other side's [`Store::write`] answers them), and at the end of each
    /// job one [`Done::Finished`].
    fn read(&self, jobs: Receiver<ReadJob>, into: &dyn Target, done: SyncSender<Outcome>) -> Result<()>;

    /// Whether messages have object ids here (EMAILID, X-GM-MSGID), by which equal ones are known without their headers.
    /// Asked after [`Source::survey`].
    fn names_objects(&self) -> bool {
        false
    }

    /// What went over the wire so far; all zero where there is no wire.
    fn wire(&self) -> Wire {
        Wire::default()
    }
}

/// A side that can be written as well.
pub trait Store: Source {
    /// Does each job and answers it: any number of partial answers, then exactly one [`Done::Finished`] with its ticket.
    /// Jobs may be done in any order; the caller keeps apart what must not overlap.
    fn write(&self, jobs: Receiver<WriteJob>, done: SyncSender<Outcome>) -> Result<()>;

    /// Where messages from the other side go. A store that cannot take a message as it streams in (an IMAP server, which
    /// must be told the true size first) spools it and puts a [`WriteJob::Append`] into `appends`, which the caller has
    /// connected to [`Store::write`]; a Maildir writes the file and ignores `appends`.
    fn target(&self, appends: SyncSender<WriteJob>) -> Box<dyn Target + '_>;

    /// Makes durable all that was answered as done before the call: the caller commits its own books right after.
    /// A file that `read` delivered may still lie in `tmp/` before the flush, never after.
    fn flush(&self) -> Result<()>;

    /// Whether a message that landed holds just the flags it was given. A server may drop some without a word, so what it
    /// holds is known only once it was seen there (HAZARDS 14).
    fn keeps_flags(&self) -> bool;

    /// What is still there of deliveries that were begun under `intents` and maybe not committed (a Maildir finds them by
    /// the names it gave them). Used after a dirty stop only; a server answers with nothing.
    fn delivered(&self, intents: &[(IntentId, Mailbox)]) -> Result<Vec<Delivered>>;

    /// Waits, not for long, until what a run that was cut off had sent has come to its end, as far as that can be seen. Used
    /// after a dirty stop only; most stores have nothing that outlives us.
    fn calm_down(&self) -> Result<()> {
        Ok(())
    }
}

/// How much identity material [`Source::envelopes`] is to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// What needs no header: flags, internal date, size, and the server's object id where [`Source::names_objects`].
    Look,
    /// The envelope key, from a few header fields.
    Key,
    /// The header digest too, from the whole header block.
    Header,
}

/// The caller's number of a job, given back with each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A row of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntentId(pub u64);

/// A file found by [`Store::delivered`].
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The intent under which it was delivered.
    pub intent: IntentId,
    /// The id of the message in the source, as it was in the job.
    pub source: Id,
    /// Its id here.
    pub id: Id,
    /// Its flags here.
    pub flags: Flags,
    /// Its internal date here.
    pub date: InternalDate,
    /// What it is known by, computed from the file.
    pub identity: Identity,
}

/// Messages to carry over to the other side.
#[derive(Clone, Debug)]
pub struct ReadJob {
    /// Given back with each answer.
    pub ticket: Ticket,
    /// Where to read.
    pub from: Mailbox,
    /// What to read.
    pub ids: IdSet,
    /// Where to put it, in the target's terms.
    pub to: Mailbox,
    /// The journal row under which the target may deliver.
    pub intent: IntentId,
    /// Messages of the target's mailbox that have no partner yet: what arrives with the same content is that message
    /// and is not delivered again.
    pub meet: Option<Arc<Meet>>,
    /// Leave out bodies larger than this many bytes; they are answered with `Failed` and `Retry::Never`.
    pub max_size: Option<u64>,
}

/// Messages without a partner, by content. Shared by all sinks of a job.
#[derive(Debug, Default)]
pub struct Meet(Mutex<std::collections::HashMap<ContentDigest, Vec<Id>>>);

impl Meet {
    /// From pairs of content and id. Equal copies are handed out in ascending order of ids.
    pub fn new(unpaired: impl IntoIterator<Item = (ContentDigest, Id)>) -> Self {
        let mut by_content = std::collections::HashMap::<_, Vec<Id>>::new();
        for (content, id) in unpaired {
            by_content.entry(content).or_default().push(id);
        }
        for ids in by_content.values_mut() {
            ids.sort_unstable_by(|a, b| b.cmp(a));
        }
        Self(Mutex::new(by_content))
    }

    /// The id of a message with that content, once; `None` when there is none left.
    pub fn take(&self, content: &ContentDigest) -> Option<Id> {
        self.0
            .lock()
            .expect("no panic while held")
            .get_mut(content)
            .and_then(Vec::pop)
    }
}

/// A message about to be read.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its id in the source.
    pub id: Id,
    /// Its flags as read together with the body.
    pub flags: Flags,
    /// Its internal date.
    pub date: InternalDate,
    /// Its size as the source tells it; can be wrong on a server.
    pub size: u64,
    /// The server's object id.
    pub object: Option<ObjectId>,
}

/// Where messages go. Called from any thread, for several messages at a time.
pub trait Target: Send + Sync {
    /// A sink for one message. Cheap: nothing of the body is there yet.
    fn begin(&self, job: &ReadJob, head: &Head) -> Result<Box<dyn Sink>>;
}

/// Takes one message in canonical form. Dropped without `finish`, it leaves nothing behind.
pub trait Sink: io::Write + Send {
    /// The message is complete and this is what it is known by.
    fn finish(self: Box<Self>, identity: &Identity) -> Result<Landing>;
}

/// What became of a message whose bytes went into a sink.
#[derive(Clone, Debug)]
pub enum Landing {
    /// It is there, with that id and those flags; durable after the next flush.
    Here(Id, Flags),
    /// It was there already, without a partner, and nothing was delivered.
    Met(Id),
    /// It waits for its turn; the writing side answers.
    Queued,
}

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

/// What was done. Durable on a Maildir after the next [`Store::flush`], on a server at once.
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

/// What went over the wire, for reports and benchmarks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    /// Bytes received, after TLS.
    pub bytes_in: u64,
    /// Bytes sent, before TLS.
    pub bytes_out: u64,
    /// Commands sent.
    pub commands: u64,
    /// How often all answers were in and then more was sent.
    pub round_trips: u64,
    /// Connections made.
    pub connections: u64,
}

/// Set when the user asked to stop: stores take no new job and end the ones under way at the next safe point.
pub type Stop = Arc<AtomicBool>;
