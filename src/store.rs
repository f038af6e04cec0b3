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

mod jobs;

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex};

use crate::error::Result;
use crate::model::{
    Checkpoint, ContentDigest, Envelope, Flags, Id, IdSet, Identity, InternalDate, Mailbox, MailboxId, MailboxIdentity,
    News, ObjectId, Permanent, Since, Status, Survey,
};

pub use jobs::{Append, Done, Outcome, Spooled, WriteJob};

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

    /// What these messages are known by. Messages that are gone are left out without a word, and so are those that the
    /// store may not look into; so the caller must count. Of some of the latter it still tells the size, and nothing more.
    fn envelopes(&self, of: &[(Mailbox, IdSet)], depth: Depth, found: &mut dyn FnMut(Envelope)) -> Result<()>;

    /// Reads whole messages into `into`, in the order that the job names; files that are imported, in their own. Bodies go
    /// from the worker straight into the sink, in canonical form (CRLF, exactly the bytes that a server holds or would hold).
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

    /// Which flags a mailbox lets be set, as it told when it was last opened to be changed; `None` where it was not, or where
    /// all are.
    fn permanent(&self, mailbox: &Mailbox) -> Option<Permanent> {
        let _ = mailbox;
        None
    }

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
    /// The newest (largest id) first, for who waits for new mail; else the oldest, so that ids are given there in the order
    /// in which the messages arrived. As far as several workers keep to it.
    pub newest_first: bool,
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

impl Landing {
    /// The reading side's answer, if it is the one to answer.
    pub fn answer(self, head: Head, identity: Identity) -> Option<Done> {
        match self {
            Self::Here(id, flags) => Some(Done::Landed {
                head,
                identity,
                id: Some(id),
                validity: None,
                flags,
            }),
            Self::Met(id) => Some(Done::Met { head, identity, id }),
            Self::Queued => None,
        }
    }
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
