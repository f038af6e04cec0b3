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
use crate::spool::unspooled;
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

/// Cuts a job into chunks, in its order.
fn chunks<'t>(job: ReadJob, into: &'t dyn Target, done: &SyncSender<Outcome>) -> Vec<Wanted<'t>> {
    let mut parts = portions(&job.ids, CHUNK);
    if job.newest_first {
        parts.reverse();
    }
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
            Into::Sink(_, sink) => sink.write_all(bytes).map_err(|error| unstorable(&error)),
            Into::Spool(spool) => spool.write_all(bytes).map_err(|error| unspooled(&error)),
            Into::Failed(_) | Into::Nobody => return,
        };
        match written {
            Ok(()) => self.digester.update(bytes),
            Err(failure) => self.into = Into::Failed(failure),
        }
    }
}

fn unstorable(error: &std::io::Error) -> Failure {
    Failure::carried(error).unwrap_or_else(|| Failure::message(format!("it cannot be stored: {error}")))
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
            Into::Failed(failure) => Err(failure),
            // Sizes are told wrongly, but not of nothing; and an empty file would pass for the message from then on.
            _ if identity.size == 0 && fetch.size.is_some_and(|size| size > 0) => {
                let what = format!("the server handed out nothing of its {} bytes", fetch.size.unwrap_or(0));
                self.ids.remove(id);
                return self.fail_ids(&IdSet::range(id..=id), Failure::message(what), out);
            }
            Into::Sink(head, sink) => finish(head, sink, identity),
            Into::Spool(spool) => match head(fetch) {
                Some(head) => self.land_late(head, spool, identity),
                None => Err(Failure::message("the server did not tell its flags, date and size")),
            },
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
        spool.seek(SeekFrom::Start(0)).map_err(|e| unspooled(&e))?;
        let (head, mut sink) = match self.sink(head) {
            Into::Sink(head, sink) => (head, sink),
            Into::Failed(failure) => return Err(failure),
            Into::Spool(_) | Into::Nobody => return Ok(None),
        };
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = spool.read(&mut buffer).map_err(|e| unspooled(&e))?;
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::imap::script::{Scene, Script};
    use crate::model::{Flags, Mailbox, MailboxId};
    use crate::store::{IntentId, Source, Ticket};

    /// Keeps messages; refuses those with `full` in them as a full disk would.
    #[derive(Default)]
    struct Shelf(Mutex<Vec<(Id, String)>>);

    struct Book<'s> {
        shelf: &'s Shelf,
        id: Id,
        text: Vec<u8>,
    }

    impl Target for &'static Shelf {
        fn begin(&self, _job: &ReadJob, head: &Head) -> Result<Box<dyn Sink>> {
            Ok(Box::new(Book {
                shelf: self,
                id: head.id,
                text: Vec::new(),
            }))
        }
    }

    impl Write for Book<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.starts_with(b"full") {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.text.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Book<'_> {
        fn finish(self: Box<Self>, identity: &Identity) -> Result<Landing> {
            assert_eq!(identity.content, crate::identity::content_digest(&self.text));
            let text = String::from_utf8(self.text).unwrap();
            self.shelf.0.lock().unwrap().push((self.id, text));
            Ok(Landing::Here(self.id + 100, Flags::none()))
        }
    }

    fn shown(done: &Done) -> String {
        match done {
            Done::Landed { head, id, .. } => {
                format!(
                    "{} landed as {} {:?} {} {}",
                    head.id,
                    id.unwrap(),
                    head.flags,
                    head.date.0,
                    head.size
                )
            }
            Done::Gone(ids) => format!("{ids} gone"),
            Done::Failed(ids, failure) => format!("{ids} failed: {failure}"),
            Done::Finished => "finished".into(),
            other => panic!("{other:?}"),
        }
    }

    fn read(scenes: Vec<Scene>, ids: &str, max_size: Option<u64>) -> (Vec<String>, Vec<(Id, String)>) {
        let shelf: &'static Shelf = Box::leak(Box::default());
        let script = Script::new("", scenes);
        let mailbox = Mailbox {
            id: MailboxId(1),
            raw: RawName::new("A"),
        };
        let job = ReadJob {
            ticket: Ticket(1),
            from: mailbox.clone(),
            ids: ids.parse().unwrap(),
            newest_first: true,
            to: mailbox,
            intent: IntentId(1),
            meet: None,
            max_size,
        };
        let (jobs, inbox) = sync_channel(1);
        jobs.send(job).unwrap();
        drop(jobs);
        let (done, outcomes) = sync_channel(1000);
        script.imap.read(inbox, &shelf, done).unwrap();
        script.end();
        let shelf = std::mem::take(&mut *shelf.0.lock().unwrap());
        (outcomes.iter().map(|outcome| shown(&outcome.done)).collect(), shelf)
    }

    const OPEN: (&str, &str) = ("EXAMINE \"A\"", "* 3 EXISTS\n* OK [UIDVALIDITY 7] v\n$ OK open");
    const DATE: &str = "INTERNALDATE \" 1-Jan-1970 00:00:09 +0000\"";

    fn one(body: &str) -> (Vec<String>, Vec<(Id, String)>) {
        let answer: &'static str = Box::leak(format!("{body}\n$ OK").into_boxed_str());
        read(vec![vec![OPEN, ("UID FETCH 5 (UID FLAGS", answer)]], "5", None)
    }

    #[test]
    fn messages_as_servers_hand_them_out() {
        for (line, told, text) in [
            (
                format!("* 1 FETCH (UID 5 FLAGS (\\Seen) {DATE} RFC822.SIZE 3 BODY[] {{3}}\r\nabc)"),
                "5 landed as 105 (\\Seen) 9 3",
                Some("abc"),
            ),
            (
                format!("* 1 FETCH (BODY[] {{3}}\r\nabc RFC822.SIZE 3 {DATE} FLAGS () UID 5)"),
                "5 landed as 105 () 9 3",
                Some("abc"),
            ),
            (
                format!("* 1 FETCH (UID 5 FLAGS () {DATE} RFC822.SIZE 99 BODY[] \"a)c\")"),
                "5 landed as 105 () 9 99",
                Some("a)c"),
            ),
            (
                "* 1 FETCH (UID 5 FLAGS () INTERNALDATE NIL RFC822.SIZE 0 BODY[] {0}\r\n)".into(),
                "5 landed as 105 () 0 0",
                Some(""),
            ),
            (
                format!(
                    "* 1 FETCH (UID 5 FLAGS ())\r\n* 2 EXPUNGE\r\n* 1 FETCH (UID 5 FLAGS () {DATE} RFC822.SIZE 3 BODY[] {{3}}\r\nabc)"
                ),
                "5 landed as 105 () 9 3",
                Some("abc"),
            ),
            (
                format!("* 1 FETCH (UID 5 FLAGS () {DATE} RFC822.SIZE 3 BODY[] NIL)"),
                "5 failed: the server has no text for it",
                None,
            ),
            (
                format!("* 1 FETCH (UID 5 FLAGS () {DATE} RFC822.SIZE 3 BODY[] {{0}}\r\n)"),
                "5 failed: the server handed out nothing of its 3 bytes",
                None,
            ),
            (
                format!("* 1 FETCH (BODY[] \"\" UID 5 FLAGS () {DATE} RFC822.SIZE 3)"),
                "5 failed: the server handed out nothing of its 3 bytes",
                None,
            ),
            (
                format!("* 1 FETCH (UID 5 FLAGS () {DATE} RFC822.SIZE 4 BODY[] {{4}}\r\nfull)"),
                "5 failed: it cannot be stored: no storage space",
                None,
            ),
            (
                "* 1 FETCH (UID 5 FLAGS () RFC822.SIZE x BODY[] {3}\r\nabc)".into(),
                "5 failed: the server handed it out in a way that cannot be read",
                None,
            ),
            ("* 2 FETCH (UID 6 BODY[] {3}\r\nabc)".into(), "5 gone", None),
        ] {
            let (seen, shelf) = one(&line);
            assert_eq!(seen, [told, "finished"], "{line}");
            let texts: Vec<&str> = shelf.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(texts, text.into_iter().collect::<Vec<_>>(), "{line}");
        }
    }

    #[test]
    fn answers_of_several_commands_can_be_mixed() {
        let scene = vec![
            OPEN,
            ("UID FETCH 101:150", ""),
            (
                "UID FETCH 1:100",
                "* 2 FETCH (UID 102 FLAGS () INTERNALDATE NIL RFC822.SIZE 1 BODY[] {1}\nb)\n\
                 * 1 FETCH (UID 1 FLAGS () INTERNALDATE NIL RFC822.SIZE 1 BODY[] {1}\na)\n$- OK\n$ OK",
            ),
        ];
        let (seen, shelf) = read(vec![scene], "1:150", None);
        assert_eq!(shelf, [(102, "b".into()), (1, "a".into())]);
        assert_eq!(seen[2..], ["101,103:150 gone", "2:100 gone", "finished"]);
    }

    #[test]
    fn what_was_cut_off_is_asked_again() {
        let cut = vec![
            OPEN,
            (
                "UID FETCH 4:6 (UID FLAGS",
                "* 1 FETCH (UID 4 FLAGS () INTERNALDATE NIL RFC822.SIZE 1 BODY[] {1}\nd)\n\
                 * 2 FETCH (UID 5 FLAGS () INTERNALDATE NIL RFC822.SIZE 9 BODY[] {9}\nhalfCUT",
            ),
        ];
        let again = vec![
            OPEN,
            (
                "UID FETCH 5:6 (UID FLAGS",
                "* 2 FETCH (UID 5 FLAGS () INTERNALDATE NIL RFC822.SIZE 1 BODY[] {1}\ne)\n\
                 * 3 FETCH (UID 6 FLAGS () INTERNALDATE NIL RFC822.SIZE 1 BODY[] {1}\nf)\n$ OK",
            ),
        ];
        let (seen, shelf) = read(vec![cut, again], "4:6", None);
        assert_eq!(shelf, [(4, "d".to_owned()), (5, "e".to_owned()), (6, "f".to_owned())]);
        assert_eq!(seen.len(), 4);
    }

    #[test]
    fn large_messages_are_left_out_before_they_are_sent() {
        let scene = vec![
            OPEN,
            (
                "UID FETCH 4:5 (UID RFC822.SIZE)",
                "* 1 FETCH (UID 4 RFC822.SIZE 11)\n* 2 FETCH (UID 5 RFC822.SIZE 10)\n$ OK",
            ),
            (
                "UID FETCH 5 (UID FLAGS",
                "* 2 FETCH (UID 5 FLAGS () INTERNALDATE NIL RFC822.SIZE 10 BODY[] {1}\ne)\n$ OK",
            ),
        ];
        let (seen, _) = read(vec![scene], "4:5", Some(10));
        let wanted = [
            "4 failed: it is larger than `max-size`: 11 bytes",
            "5 landed as 105 () 0 10",
            "finished",
        ];
        assert_eq!(seen, wanted);
    }

    #[test]
    fn one_message_that_the_server_cannot_read() {
        let scene = vec![
            OPEN,
            ("UID FETCH 4:5 (UID FLAGS", "$ NO corrupt"),
            ("UID FETCH 4 (UID FLAGS", "$ NO corrupt"),
            (
                "UID FETCH 5 (UID FLAGS",
                "* 2 FETCH (UID 5 FLAGS () INTERNALDATE NIL RFC822.SIZE 1 BODY[] {1}\ne)\n$ OK",
            ),
        ];
        let (seen, _) = read(vec![scene], "4:5", None);
        let wanted = [
            "4 failed: the server refuses to hand it out: corrupt",
            "5 landed as 105 () 0 1",
            "finished",
        ];
        assert_eq!(seen, wanted);
    }

    #[test]
    fn a_mailbox_that_does_not_open_fails_its_messages() {
        let scene = vec![
            ("EXAMINE \"A\"", "$ NO gone"),
            ("UID FETCH", "$ BAD no mailbox"),
            ("EXAMINE \"A\"", "$ NO gone"),
            ("UID FETCH", "$ BAD no mailbox"),
            ("EXAMINE \"A\"", "$ NO gone"),
            ("UID FETCH", "$ BAD no mailbox"),
        ];
        let (seen, _) = read(vec![scene], "4:5", None);
        assert_eq!(seen, ["4:5 failed: the mailbox cannot be opened: gone", "finished"]);
    }
}
