//! Whole messages, streamed from the wire into the other side's sinks.

use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::SpooledTempFile;

use super::command::{Command, portions};
use super::conn::Conn;
use super::crew::{self, Queue, Task};
use super::envelopes::halve;
use super::pool::Account;
use super::reading::{self, Chunk};
use super::response::{Body, Fetch};
use crate::error::{Failure, Reach, Result, Retry};
use crate::identity::Digester;
use crate::model::{Id, IdSet, Identity, RawName};
use crate::store::{Done, Head, Landing, Outcome, ReadJob, Sink, Target};

/// Messages in one command.
const CHUNK: u64 = 100;
/// A body whose head comes after it waits in memory up to this size.
const SPOOL: usize = 4 << 20;
/// So many sinks in a row that fail alike mean that the next will, too: the disk is full.
const HOPELESS: u32 = 3;

/// See [`crate::store::Source::read`].
pub(super) fn read(
    account: &Account,
    jobs: &Receiver<ReadJob>,
    into: &dyn Target,
    done: &SyncSender<Outcome>,
) -> Result<()> {
    let next = || {
        if account.is_stopped() {
            return None;
        }
        match jobs.recv_timeout(Duration::from_millis(100)) {
            Ok(job) => Some(chunks(job, into, done)),
            Err(RecvTimeoutError::Timeout) => Some(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    };
    crew::serve(account, next, |queue: &Queue<Wanted<'_>>| {
        reading::work(account, queue, done)
    })
}

/// A job under way.
struct Job<'t> {
    order: ReadJob,
    into: &'t dyn Target,
    /// Chunks that are not over yet.
    left: AtomicU64,
    /// Sinks that failed in a row.
    failures: AtomicU32,
    /// Why nothing more is worth trying.
    hopeless: Mutex<Option<Failure>>,
}

impl Job<'_> {
    fn answer(&self, done: Done, out: &SyncSender<Outcome>) -> bool {
        let ticket = self.order.ticket;
        out.send(Outcome { ticket, done }).is_ok()
    }

    fn hopeless(&self) -> Option<Failure> {
        self.hopeless.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn sink_worked(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    fn sink_failed(&self, failure: &Failure) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failure.reach == Reach::Account || failures >= HOPELESS {
            *self.hopeless.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.clone());
        }
    }
}

/// Cuts a job into chunks, newest first.
fn chunks<'t>(job: ReadJob, into: &'t dyn Target, done: &SyncSender<Outcome>) -> Vec<Wanted<'t>> {
    let mut parts = portions(&job.ids, CHUNK);
    parts.reverse();
    if parts.is_empty() {
        let _ = done.send(Outcome {
            ticket: job.ticket,
            done: Done::Finished,
        });
    }
    let sized = job.max_size.is_none();
    let job = Arc::new(Job {
        order: job,
        into,
        left: AtomicU64::new(parts.len() as u64),
        failures: AtomicU32::new(0),
        hopeless: Mutex::new(None),
    });
    let wanted = |ids| Wanted {
        job: Arc::clone(&job),
        ids,
        sized,
        garbled: false,
        attempts: 0,
    };
    parts.into_iter().map(wanted).collect()
}

/// Messages that are wanted whole.
struct Wanted<'t> {
    job: Arc<Job<'t>>,
    /// Those not answered yet.
    ids: IdSet,
    /// Those that are too large are out already.
    sized: bool,
    /// A line of the answer could not be read.
    garbled: bool,
    attempts: u32,
}

/// A message on its way in.
pub(super) struct Streaming {
    digester: Digester,
    into: Into,
}

enum Into {
    /// The message's own sink.
    Sink(Head, Box<dyn Sink>),
    /// Its head is still to come: it waits.
    Spool(SpooledTempFile),
    /// It cannot be taken; the rest of it is read and dropped.
    Failed(Failure),
    /// Nobody asked for it.
    Nobody,
}

impl Streaming {
    fn new(into: Into) -> Self {
        Self {
            digester: Digester::new(),
            into,
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let written = match &mut self.into {
            Into::Sink(_, sink) => sink.write_all(bytes),
            Into::Spool(spool) => spool.write_all(bytes),
            Into::Failed(_) | Into::Nobody => return,
        };
        match written {
            Ok(()) => self.digester.update(bytes),
            Err(error) => self.into = Into::Failed(unstorable(&error)),
        }
    }
}

fn unstorable(error: &std::io::Error) -> Failure {
    Failure::message(format!("it cannot be stored: {error}"))
}

impl Wanted<'_> {
    /// A sink for a message whose head is known.
    fn sink(&self, head: Head) -> Into {
        match self.job.into.begin(&self.job.order, &head) {
            Ok(sink) => Into::Sink(head, sink),
            Err(failure) => Into::Failed(failure),
        }
    }

    /// The message is there in full, and so is its head: it lands.
    fn land(&mut self, id: Id, streaming: Streaming, fetch: &Fetch<'_>, out: &SyncSender<Outcome>) -> bool {
        let identity = streaming.digester.finish();
        let landed = match streaming.into {
            Into::Nobody => return true,
            Into::Sink(head, sink) => finish(head, sink, identity),
            Into::Spool(spool) => match head(fetch) {
                Some(head) => self.land_late(head, spool, identity),
                None => Err(Failure::message("the server did not tell its flags, date and size")),
            },
            Into::Failed(failure) => Err(failure),
        };
        self.ids.remove(id);
        match landed {
            Ok(done) => {
                self.job.sink_worked();
                done.is_none_or(|done| self.job.answer(done, out))
            }
            Err(failure) => {
                self.job.sink_failed(&failure);
                self.fail_ids(&IdSet::range(id..=id), failure, out)
            }
        }
    }

    /// Its head came after its body.
    fn land_late(&self, head: Head, mut spool: SpooledTempFile, identity: Identity) -> Landed {
        spool.seek(SeekFrom::Start(0)).map_err(|e| unstorable(&e))?;
        let (head, mut sink) = match self.sink(head) {
            Into::Sink(head, sink) => (head, sink),
            Into::Failed(failure) => return Err(failure),
            Into::Spool(_) | Into::Nobody => return Ok(None),
        };
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = spool.read(&mut buffer).map_err(|e| unstorable(&e))?;
            if n == 0 {
                return finish(head, sink, identity);
            }
            sink.write_all(&buffer[..n]).map_err(|e| unstorable(&e))?;
        }
    }

    fn fail_ids(&self, ids: &IdSet, failure: Failure, out: &SyncSender<Outcome>) -> bool {
        ids.is_empty() || self.job.answer(Done::Failed(ids.clone(), failure), out)
    }

    fn too_large(&mut self, fetch: &Fetch<'_>, out: &SyncSender<Outcome>) -> bool {
        let (Some(id), Some(size), Some(most)) = (fetch.uid, fetch.size, self.job.order.max_size) else {
            return true;
        };
        if size <= most || !self.ids.remove(id) {
            return true;
        }
        let failure = Failure::message(format!("it is larger than `max-size`: {size} bytes")).retry(Retry::Never);
        self.fail_ids(&IdSet::range(id..=id), failure, out)
    }

    /// The chunk is over; the last one ends the job.
    fn over(&self, out: &SyncSender<Outcome>) {
        if self.job.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.job.answer(Done::Finished, out);
        }
    }
}

/// The answer, unless the other side gives it.
type Landed = Result<Option<Done>>;

fn finish(head: Head, sink: Box<dyn Sink>, identity: Identity) -> Landed {
    let landing = sink.finish(&identity)?;
    Ok(match landing {
        Landing::Here(new, flags) => Some(Done::Landed {
            head,
            identity,
            id: Some(new),
            validity: None,
            flags,
        }),
        Landing::Met(equal) => Some(Done::Met {
            head,
            identity,
            id: equal,
        }),
        Landing::Queued => None,
    })
}

/// The head of a message, as soon as all of it was told. A date that is missing or none is the epoch.
fn head(fetch: &Fetch<'_>) -> Option<Head> {
    Some(Head {
        id: fetch.uid?,
        flags: fetch.flags.clone()?,
        date: fetch.has_date.then(|| fetch.date.unwrap_or_default())?,
        size: fetch.size?,
        object: fetch.object.clone(),
    })
}

impl Task for Wanted<'_> {
    fn weight(&self) -> u64 {
        self.ids.len()
    }
}

impl Chunk for Wanted<'_> {
    type Out = SyncSender<Outcome>;
    type Body = Streaming;

    fn mailbox(&self) -> &RawName {
        &self.job.order.from.raw
    }

    fn command(&self, conn: &Conn) -> Option<Command> {
        if self.ids.is_empty() || self.job.hopeless().is_some() {
            return None;
        }
        let command = Command::new("UID FETCH").set(&self.ids);
        if !self.sized {
            return Some(command.words("(UID RFC822.SIZE)"));
        }
        let object = conn
            .capabilities
            .object_item()
            .map_or(String::new(), |item| format!(" {item}"));
        Some(command.words(format_args!("(UID FLAGS INTERNALDATE RFC822.SIZE{object} BODY.PEEK[])")))
    }

    fn awaits(&self, id: Id) -> bool {
        self.ids.contains(id)
    }

    fn begin(chunk: Option<&Self>, fetch: &Fetch<'_>) -> Option<Streaming> {
        let into = match (chunk, head(fetch)) {
            (None, _) if fetch.uid.is_some() => Into::Nobody,
            (Some(chunk), Some(head)) => chunk.sink(head),
            _ => Into::Spool(SpooledTempFile::new(SPOOL)),
        };
        Some(Streaming::new(into))
    }

    fn feed(streaming: &mut Streaming, bytes: &[u8]) {
        streaming.write(bytes);
    }

    fn line(&mut self, fetch: &Fetch<'_>, streaming: Option<Streaming>, out: &Self::Out) -> bool {
        let Some(id) = fetch.uid else { return true };
        if !self.sized {
            return self.too_large(fetch, out);
        }
        match (streaming, &fetch.body) {
            (Some(streaming), _) => self.land(id, streaming, fetch, out),
            // Short enough for a quoted string.
            (None, Body::Text(text)) => {
                let mut streaming = Streaming::new(Into::Spool(SpooledTempFile::new(SPOOL)));
                streaming.write(text);
                self.land(id, streaming, fetch, out)
            }
            (None, Body::Nil) => {
                self.ids.remove(id);
                self.fail_ids(
                    &IdSet::range(id..=id),
                    Failure::message("the server has no text for it"),
                    out,
                )
            }
            // Somebody changed a flag.
            (None, Body::Absent) => true,
        }
    }

    fn garbled(&mut self) {
        self.garbled = true;
    }

    fn done(mut self, out: &Self::Out) -> Option<Self> {
        if let Some(failure) = self.job.hopeless() {
            self.fail_ids(&self.ids, failure, out);
        } else if !self.sized {
            self.sized = true;
            return Some(self);
        } else if self.garbled {
            let failure = Failure::message("the server handed it out in a way that cannot be read");
            self.fail_ids(&self.ids, failure, out);
        } else if !self.ids.is_empty() {
            self.job.answer(Done::Gone(self.ids.clone()), out);
        }
        self.over(out);
        None
    }

    fn fail(self, failure: &Failure, out: &Self::Out) {
        self.fail_ids(&self.ids, failure.clone(), out);
        self.over(out);
    }

    fn split(mut self) -> (Self, Option<Self>) {
        let second = halve(&mut self.ids).map(|ids| {
            self.job.left.fetch_add(1, Ordering::AcqRel);
            Self {
                job: Arc::clone(&self.job),
                ids,
                sized: self.sized,
                garbled: false,
                attempts: 0,
            }
        });
        self.attempts = 0;
        (self, second)
    }

    fn attempts(&mut self) -> &mut u32 {
        &mut self.attempts
    }
}
