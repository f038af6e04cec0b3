//! Changing an account: jobs by kind, those of one mailbox together so that it is opened once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use super::append::{self, Upload};
use super::command::Command;
use super::conn::{Conn, out_of_step};
use super::crew::{self, Queue, Task};
use super::mailboxes::{self, Wanted};
use super::marks::{self, Marks};
use super::moves::{self, Transfer};
use super::pipeline::{Event, Pipeline};
use super::pool::{Account, Holds, Lease};
use super::proof::Glance;
use super::quirks;
use super::remove::{self, Removal};
use super::response::Reply;
use super::retry::Tries;
use super::selected::Selected;
use super::wire::{Keep, stopped};
use crate::error::{Failure, Result, Retry};
use crate::model::{IdSet, RawName};
use crate::store::{Done, Outcome, Ticket, WriteJob};

/// How often a job is tried when the connection is lost under it, or a command when its refusal passes.
pub(super) const ATTEMPTS: u32 = 3;

/// Changes, and messages of each, that are looked at while a mailbox is opened: what is looked at waits in memory.
const GLANCES: usize = 500;

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
            Ok(job) => Some(vec![Work::new(job)]),
            Err(RecvTimeoutError::Timeout) => Some(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    };
    crew::serve(account, next, |queue: &Queue<Work>| worker(account, queue, &answers))
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
            // What waits is held in memory, so size counts.
            Self::Upload(upload) => 8 + upload.size() / 4096,
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
    fn ticket(&self) -> Ticket {
        match self {
            Self::Marks(marks) => marks.ticket,
            Self::Transfer(transfer) => transfer.ticket,
            Self::Removal(removal) => removal.ticket,
        }
    }

    /// The messages that are not answered yet.
    fn left(&self) -> IdSet {
        match self {
            Self::Marks(marks) => marks.ids.clone(),
            Self::Transfer(transfer) => transfer.messages.iter().map(|known| known.id).collect(),
            Self::Removal(removal) => removal.messages.iter().map(|known| known.id).collect(),
        }
    }

    fn attempts(&mut self) -> &mut u32 {
        match self {
            Self::Marks(marks) => &mut marks.attempts,
            Self::Transfer(transfer) => &mut transfer.attempts,
            Self::Removal(removal) => &mut removal.attempts,
        }
    }

    fn fail(&self, failure: &Failure, answers: &Answers) {
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
            Work::Change(mailbox, change) => changes(account, &mut conn, queue, &mailbox, change, answers),
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

/// Does a change, and with it all others that wait for the same mailbox.
fn changes(
    account: &Account,
    conn: &mut Conn,
    queue: &Queue<Work>,
    mailbox: &RawName,
    first: Change,
    answers: &Answers,
) -> Result<()> {
    let mut waiting = vec![first];
    while let Some(Work::Change(_, change)) =
        queue.try_take(|work| matches!(work, Work::Change(name, _) if name == mailbox))
    {
        waiting.push(change);
    }
    let outcome = do_changes(account, conn, mailbox, &mut waiting, answers);
    if let Err(failure) = &outcome {
        for mut change in waiting {
            *change.attempts() += 1;
            if *change.attempts() >= ATTEMPTS {
                change.fail(&Failure::mailbox(failure.what.clone()), answers);
            } else {
                queue.put_back(Work::Change(mailbox.clone(), change));
            }
        }
    }
    outcome
}

/// What is done leaves `waiting`.
fn do_changes(
    account: &Account,
    conn: &mut Conn,
    mailbox: &RawName,
    waiting: &mut Vec<Change>,
    answers: &Answers,
) -> Result<()> {
    let mut glance = Glance::default();
    let first = select_and_glance(conn, mailbox, waiting, &mut glance)?;
    let open = match opened(account, conn, mailbox, first)? {
        Ok(open) => open,
        Err(failure) => {
            waiting.drain(..).for_each(|change| change.fail(&failure, answers));
            return Ok(());
        }
    };
    let place = Place {
        account,
        mailbox,
        open: &open,
        answers,
    };
    let marks = |change: &Change| matches!(change, Change::Marks(_));
    waiting.sort_by_key(|change| !marks(change));
    let together: Vec<&Marks> = waiting
        .iter()
        .filter_map(|change| match change {
            Change::Marks(marks) => Some(marks),
            _ => None,
        })
        .collect();
    marks::store(&place, conn, &together)?;
    waiting.retain(|change| !marks(change));
    while let Some(change) = waiting.first_mut() {
        match change {
            Change::Marks(_) => {}
            Change::Transfer(transfer) => moves::transfer(&place, conn, transfer, &mut glance)?,
            Change::Removal(removal) => remove::remove(&place, conn, removal, &mut glance)?,
        }
        answers.send(change.ticket(), Done::Finished);
        waiting.remove(0);
    }
    Ok(())
}

/// An open mailbox, and all that is needed to change what is in it.
pub(super) struct Place<'a> {
    pub(super) account: &'a Account,
    pub(super) mailbox: &'a RawName,
    pub(super) open: &'a Selected,
    pub(super) answers: &'a Answers,
}

fn select(conn: &mut Conn, mailbox: &RawName) -> Result<(Selected, Reply)> {
    let mut selected = Selected::default();
    let reply = conn.ask(Command::new("SELECT").mailbox(mailbox), |data| selected.note(&data))?;
    Ok((selected, reply))
}

/// Opens a mailbox and looks, in the same round trip, at the messages that are to be moved or removed there. Looking behind
/// a SELECT does no harm: if it was refused, or opened another mailbox than was meant, nothing comes of it.
fn select_and_glance(
    conn: &mut Conn,
    mailbox: &RawName,
    waiting: &[Change],
    glance: &mut Glance,
) -> Result<(Selected, Reply)> {
    let mut selected = Selected::default();
    let mut pipeline = Pipeline::new(conn);
    pipeline.push(Command::new("SELECT").mailbox(mailbox), true);
    for change in waiting.iter().take(GLANCES) {
        let target = match change {
            Change::Marks(_) => continue,
            Change::Transfer(transfer) => Some(&transfer.to),
            Change::Removal(_) => None,
        };
        let ids: IdSet = change.left().iter().take(GLANCES).collect();
        if ids.is_empty() {
            continue;
        }
        for command in glance.commands(&ids, target) {
            pipeline.push(command, false);
        }
    }
    let mut open = None;
    while let Some(event) = pipeline.next(&mut Keep)? {
        match event {
            Event::Data(_, data) if open.is_none() => selected.note(&data),
            Event::Data(_, data) => glance.note(&data),
            Event::Done(true, reply) => open = Some(reply),
            Event::Done(false, _) => {}
        }
    }
    let reply = open.ok_or_else(|| out_of_step("it left a command unanswered"))?;
    if !reply.is_ok() {
        *glance = Glance::default();
    }
    Ok((selected, reply))
}

/// Opens a mailbox to change it. The inner failure is the mailbox's: it cannot be opened or written, or it is another
/// one than the caller means.
pub(super) fn open(account: &Account, conn: &mut Conn, mailbox: &RawName) -> Result<Result<Selected>> {
    let first = select(conn, mailbox)?;
    opened(account, conn, mailbox, first)
}

/// The same, with the first answer at hand.
fn opened(
    account: &Account,
    conn: &mut Conn,
    mailbox: &RawName,
    (mut selected, mut reply): (Selected, Reply),
) -> Result<Result<Selected>> {
    for nth in 1..ATTEMPTS {
        if !account.rest(&reply, nth)? {
            break;
        }
        (selected, reply) = select(conn, mailbox)?;
    }
    if !reply.is_ok() {
        let what = format!("the mailbox cannot be opened: {}", reply.text);
        return Ok(Err(Failure::mailbox(what).retry(quirks::retry_mailbox(&reply))));
    }
    selected.note_code(&reply);
    selected.settle();
    let mut memory = account.memory();
    if selected.read_only {
        return Ok(Err(
            Failure::mailbox("the server lets this mailbox only be read").retry(Retry::Never)
        ));
    }
    memory.permanent.insert(mailbox.clone(), Holds::new(&selected));
    // DESIGN 8a "Voided UIDs": nothing is changed under ids that may mean other messages.
    let expected = memory.expected(mailbox);
    if expected.is_none() || expected != selected.validity {
        let what = "the mailbox is not the one that was looked at: it was replaced meanwhile";
        return Ok(Err(Failure::mailbox(what).retry(Retry::Now)));
    }
    Ok(Ok(selected))
}
