//! Changing an account: jobs by kind, those of one mailbox together so that it is opened once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use super::append;
use super::crew::{self, Queue, Task};
use super::groups;
use super::mailboxes::{self, Wanted};
use super::marks::Marks;
use super::moves::Transfer;
use super::pool::{Account, Lease};
use super::remove::Removal;
use super::retry::Tries;
use super::selected::Selected;
use super::upload::Upload;
use super::wire::stopped;
use crate::error::{Failure, Result};
use crate::model::{IdSet, RawName};
use crate::store::{Done, Outcome, Ticket, WriteJob};

/// How often a job is tried when the connection is lost under it, or a command when its refusal passes.
pub(super) const ATTEMPTS: u32 = 3;

/// Changes that are taken in at once.
const TOGETHER: usize = 64;

/// See [`crate::store::Store::write`].
pub(super) fn write(account: &Account, jobs: &Receiver<WriteJob>, done: &SyncSender<Outcome>) -> Result<()> {
    let answers = Answers {
        done: done.clone(),
        gone: AtomicBool::new(false),
    };
    let next = || {
        if account.is_stopped() {
            return None;
        }
        match jobs.recv_timeout(Duration::from_millis(100)) {
            Ok(job) => Some(with_those_behind(job, jobs)),
            Err(RecvTimeoutError::Timeout) => Some(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    };
    crew::serve(account, next, |queue: &Queue<Work>| worker(account, queue, &answers))
}

/// A job, and with a change the changes right behind it: those of one mailbox come together, and are done together.
fn with_those_behind(first: WriteJob, jobs: &Receiver<WriteJob>) -> Vec<Work> {
    let mut works = vec![Work::new(first)];
    while matches!(works.last(), Some(Work::Change(..))) && works.len() < TOGETHER {
        match jobs.try_recv() {
            Ok(job) => works.push(Work::new(job)),
            Err(_) => break,
        }
    }
    works
}

/// Where answers go.
pub(super) struct Answers {
    done: SyncSender<Outcome>,
    gone: AtomicBool,
}

impl Answers {
    pub(super) fn send(&self, ticket: Ticket, done: Done) {
        if self.done.send(Outcome { ticket, done }).is_err() {
            self.gone.store(true, Ordering::Relaxed);
        }
    }

    /// The same, unless it is about no message.
    pub(super) fn about(&self, ticket: Ticket, ids: IdSet, done: impl FnOnce(IdSet) -> Done) {
        if !ids.is_empty() {
            self.send(ticket, done(ids));
        }
    }
}

/// A job under way.
pub(super) enum Work {
    Upload(Box<Upload>),
    Change(RawName, Change),
    Tree(WriteJob),
}

/// What is done to messages in an open mailbox.
pub(super) enum Change {
    Marks(Marks),
    Transfer(Transfer),
    Removal(Removal),
}

impl Work {
    fn new(job: WriteJob) -> Self {
        match job {
            WriteJob::Append(append) => Self::Upload(Box::new(Upload::new(append))),
            WriteJob::Flags {
                ticket,
                mailbox,
                ids,
                add,
                remove,
            } => Self::Change(mailbox.raw, Change::Marks(Marks::new(ticket, ids, add, remove))),
            WriteJob::Move {
                ticket,
                mailbox,
                messages,
                to,
            } => Self::Change(
                mailbox.raw,
                Change::Transfer(Transfer::new(ticket, messages, to.raw, true)),
            ),
            WriteJob::Copy {
                ticket,
                mailbox,
                messages,
                to,
            } => Self::Change(
                mailbox.raw,
                Change::Transfer(Transfer::new(ticket, messages, to.raw, false)),
            ),
            WriteJob::Remove {
                ticket,
                mailbox,
                messages,
                ..
            } => Self::Change(mailbox.raw, Change::Removal(Removal::new(ticket, messages))),
            tree @ (WriteJob::Create { .. } | WriteJob::Rename { .. } | WriteJob::Delete { .. }) => Self::Tree(tree),
        }
    }
}

impl Task for Work {
    fn weight(&self) -> u64 {
        match self {
            // What waits is held in memory, so size counts: about 1 MB of small messages waits, or one that is larger.
            Self::Upload(upload) => 8 + upload.size() / 1024,
            // A mailbox is opened, and answers are waited for: five of them are worth another connection.
            Self::Change(_, change) => 50 + change.left().len() / 100,
            Self::Tree(_) => 5,
        }
    }

    /// Dovecot took 10,000 messages in 15 s over one connection, in 24 s over four.
    fn flows(&self) -> Option<u64> {
        matches!(self, Self::Upload(_)).then_some(250)
    }
}

impl Change {
    pub(super) fn ticket(&self) -> Ticket {
        match self {
            Self::Marks(marks) => marks.ticket,
            Self::Transfer(transfer) => transfer.ticket,
            Self::Removal(removal) => removal.ticket,
        }
    }

    /// The messages that are not answered yet.
    pub(super) fn left(&self) -> IdSet {
        match self {
            Self::Marks(marks) => marks.ids.clone(),
            Self::Transfer(transfer) => transfer.messages.iter().map(|known| known.id).collect(),
            Self::Removal(removal) => removal.messages.iter().map(|known| known.id).collect(),
        }
    }

    pub(super) fn attempts(&mut self) -> &mut u32 {
        match self {
            Self::Marks(marks) => &mut marks.attempts,
            Self::Transfer(transfer) => &mut transfer.attempts,
            Self::Removal(removal) => &mut removal.attempts,
        }
    }

    pub(super) fn fail(&self, failure: &Failure, answers: &Answers) {
        answers.about(self.ticket(), self.left(), |ids| Done::Failed(ids, failure.clone()));
        answers.send(self.ticket(), Done::Finished);
    }
}

fn worker(account: &Account, queue: &Queue<Work>, answers: &Answers) -> Result<()> {
    let mut tries = Tries::default();
    let mut lease: Option<Lease<'_>> = None;
    while let Some(work) = queue.take() {
        if account.is_stopped() {
            return Err(stopped());
        }
        let mut conn = match lease.take().map_or_else(|| account.lease(), Ok) {
            Ok(conn) => conn,
            Err(failure) => {
                queue.put_back(work);
                tries.again(account, failure)?;
                continue;
            }
        };
        // An answer to what was sent is worth waiting for, whatever the user wants meanwhile.
        conn.wire.impatient = false;
        let outcome = match work {
            Work::Upload(upload) => append::uploads(account, &mut conn, queue, *upload, answers),
            Work::Change(mailbox, change) => {
                groups::changes(account, &mut conn, queue, (mailbox, change), answers, &mut tries)
            }
            Work::Tree(WriteJob::Create { ticket, path, role }) => {
                let wanted = with_waiting(queue, Wanted { ticket, path, role });
                mailboxes::create_some(account, &mut conn, &wanted, answers)
            }
            Work::Tree(job) => mailboxes::tree(account, &mut conn, job, answers),
        };
        if answers.gone.load(Ordering::Relaxed) {
            queue.abandon();
        }
        match outcome {
            Ok(()) => {
                tries.progress();
                lease = Some(conn).filter(|conn| conn.clean);
            }
            Err(failure) => {
                drop(conn);
                tries.again(account, failure)?;
            }
        }
    }
    Ok(())
}

/// A mailbox to create, and with it others that wait to be.
fn with_waiting(queue: &Queue<Work>, first: Wanted) -> Vec<Wanted> {
    let mut wanted = vec![first];
    while wanted.len() < mailboxes::TOGETHER {
        let Some(Work::Tree(WriteJob::Create { ticket, path, role })) =
            queue.try_take(|work| matches!(work, Work::Tree(WriteJob::Create { .. })))
        else {
            break;
        };
        wanted.push(Wanted { ticket, path, role });
    }
    wanted
}

/// An open mailbox, and all that is needed to change what is in it.
pub(super) struct Place<'a> {
    pub(super) account: &'a Account,
    pub(super) mailbox: RawName,
    pub(super) open: Selected,
    pub(super) answers: &'a Answers,
}
