//! What the tests of this module stand on: a Maildir in a temporary directory and an index in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

use super::disk::system_time;
use super::index::{FileIndex, FileRow};
use super::place::Place;
use super::store::{Maildir, Options, Shared};
use crate::error::{Failure, Result};
use crate::identity::Digester;
use crate::model::{
    Checkpoint, Envelope, Flags, Id, IdSet, Identity, InternalDate, Known, Mailbox, MailboxId, MailboxPath, Seen, Since,
};
use crate::store::{Depth, Done, Head, IntentId, Landing, Meet, Outcome, ReadJob, Source, Store, Ticket, WriteJob};

/// The `file` table in memory.
#[derive(Default)]
pub(super) struct MemoryIndex {
    rows: Mutex<BTreeMap<(MailboxId, Id), FileRow>>,
    last: AtomicU64,
}

impl MemoryIndex {
    /// As if the state had been lost, but for the counter.
    pub(super) fn forget_all(&self) {
        self.rows.lock().unwrap().clear();
    }
}

impl FileIndex for MemoryIndex {
    fn names(&self, mailbox: MailboxId, tell: &mut dyn FnMut(Id, &[u8])) -> Result<()> {
        let rows = self.rows.lock().unwrap();
        let mut rows: Vec<_> = rows.iter().filter(|((of, _), _)| *of == mailbox).collect();
        rows.sort_by(|(_, a), (_, b)| a.unique.cmp(&b.unique));
        for (_, row) in rows {
            tell(row.id, &row.unique);
        }
        Ok(())
    }

    fn by_name(&self, mailbox: MailboxId, unique: &[u8]) -> Result<Option<FileRow>> {
        let rows = self.rows.lock().unwrap();
        let mut of_name = rows
            .iter()
            .filter(|((of, _), row)| *of == mailbox && row.unique == unique);
        Ok(of_name.next().map(|(_, row)| row.clone()))
    }

    fn by_ids(&self, mailbox: MailboxId, ids: &IdSet) -> Result<Vec<FileRow>> {
        let rows = self.rows.lock().unwrap();
        Ok(ids.iter().filter_map(|id| rows.get(&(mailbox, id)).cloned()).collect())
    }

    fn put(&self, mailbox: MailboxId, new: &[FileRow]) -> Result<()> {
        self.rows
            .lock()
            .unwrap()
            .extend(new.iter().map(|row| ((mailbox, row.id), row.clone())));
        Ok(())
    }

    fn forget(&self, mailbox: MailboxId, ids: &IdSet) -> Result<()> {
        self.rows
            .lock()
            .unwrap()
            .retain(|&(of, id), _| of != mailbox || !ids.contains(id));
        Ok(())
    }

    fn next_id(&self) -> Result<Id> {
        Ok(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A Maildir to play with.
pub(super) struct Fixture {
    dir: TempDir,
    pub(super) index: Arc<MemoryIndex>,
    pub(super) maildir: Maildir,
    /// Their place in the list is their id.
    names: Mutex<Vec<String>>,
}

/// What a scan told.
#[derive(Default)]
pub(super) struct Told {
    pub(super) validity: u64,
    pub(super) read_only: bool,
    pub(super) added: IdSet,
    pub(super) flags: Vec<(Id, String)>,
    pub(super) removed: IdSet,
    pub(super) complete: bool,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) failure: Option<Failure>,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(super) fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::over(TempDir::new().unwrap(), Arc::default(), change)
    }

    fn over(dir: TempDir, index: Arc<MemoryIndex>, change: impl FnOnce(&mut Options)) -> Self {
        let root = dir.path().join("mail");
        fs::create_dir_all(&root).unwrap();
        let mut options = Options::new(root, dir.path().join("attic"));
        options.state = 7;
        change(&mut options);
        let maildir = Maildir::new(options, Arc::clone(&index) as Arc<dyn FileIndex>);
        Self {
            dir,
            index,
            maildir,
            names: Mutex::default(),
        }
    }

    /// The same disk and index as another process would see them.
    pub(super) fn restarted(self, change: impl FnOnce(&mut Options)) -> Self {
        let names = self.names.into_inner().unwrap();
        let again = Self::over(self.dir, self.index, change);
        *again.names.lock().unwrap() = names;
        again
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.maildir.0
    }

    pub(super) fn root(&self) -> &Path {
        self.maildir.root()
    }

    /// The mailbox as a caller names it.
    pub(super) fn named(&self, name: &str) -> Mailbox {
        let mut names = self.names.lock().unwrap();
        let at = names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
        let raw = self.shared().layout.raw(&MailboxPath::parse(name).unwrap());
        Mailbox {
            id: MailboxId(u32::try_from(at).unwrap()),
            raw,
        }
    }

    /// Makes a mailbox the way any program would, without asking homing.
    pub(super) fn mailbox(&self, name: &str) -> Place {
        let place = self.shared().place(&self.named(name).raw).unwrap();
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(place.path.join(part)).unwrap();
        }
        place
    }

    /// Puts a file into a mailbox, behind homing's back.
    pub(super) fn file(&self, mailbox: &str, name: &str, text: &str) {
        fs::write(self.mailbox(mailbox).path.join(name), text).unwrap();
    }

    /// The files of a mailbox, as `cur/NAME`, sorted.
    pub(super) fn files(&self, mailbox: &str) -> Vec<String> {
        let place = self.shared().place(&self.named(mailbox).raw).unwrap();
        let mut out = Vec::new();
        for part in ["cur", "new", "tmp"] {
            for entry in fs::read_dir(place.path.join(part)).unwrap() {
                out.push(format!("{part}/{}", entry.unwrap().file_name().to_string_lossy()));
            }
        }
        out.sort();
        out
    }

    /// The files of the attic, relative to today's directory.
    pub(super) fn attic(&self) -> Vec<String> {
        let day = self
            .shared()
            .options
            .attic
            .join(self.shared().options.today.to_string());
        let mut out = Vec::new();
        let mut waiting = vec![day.clone()];
        while let Some(dir) = waiting.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    waiting.push(path);
                } else {
                    out.push(path.strip_prefix(&day).unwrap().to_string_lossy().into_owned());
                }
            }
        }
        out.sort();
        out
    }

    pub(super) fn scan(&self, mailbox: &str, checkpoint: Option<&Checkpoint>, known: &str) -> Told {
        let mailbox = self.named(mailbox);
        let since = Since {
            mailbox,
            checkpoint: checkpoint.cloned(),
            known: known.parse().unwrap(),
            full: false,
            permanent: false,
        };
        let mut told = Told::default();
        self.maildir
            .changes(&[since], &mut |(_, seen)| match seen {
                Seen::Opened {
                    validity, read_only, ..
                } => (told.validity, told.read_only) = (validity, read_only),
                Seen::Added(ids) => told.added = told.added.union(&ids),
                Seen::Flags(flags) => told
                    .flags
                    .extend(flags.into_iter().map(|(id, flags)| (id, flags.to_string()))),
                Seen::Removed(ids) => told.removed = told.removed.union(&ids),
                Seen::Complete(checkpoint) => (told.complete, told.checkpoint) = (true, Some(checkpoint)),
                Seen::Partial(failure) => told.failure = Some(failure),
            })
            .unwrap();
        told
    }

    pub(super) fn envelopes(&self, mailbox: &str, ids: &str) -> Vec<Envelope> {
        let mut out = Vec::new();
        let of = [(self.named(mailbox), ids.parse().unwrap())];
        self.maildir
            .envelopes(&of, Depth::Header, &mut |envelope| out.push(envelope))
            .unwrap();
        out.sort_by_key(|envelope| envelope.id);
        out
    }

    /// What proves messages, read from the disk now.
    pub(super) fn known(&self, mailbox: &str, ids: &str) -> Vec<Known> {
        let known = |e: Envelope| Known {
            id: e.id,
            size: Some(e.size),
            date: Some(e.date),
            content: e.content,
        };
        self.envelopes(mailbox, ids).into_iter().map(known).collect()
    }

    /// Does one job and flushes; the answers without the last.
    pub(super) fn write(&self, job: WriteJob) -> Vec<Done> {
        let (send, jobs) = sync_channel(1);
        let (done, answers) = sync_channel(1000);
        send.send(job).unwrap();
        drop(send);
        self.maildir.write(jobs, done).unwrap();
        self.maildir.flush().unwrap();
        without_last(answers.into_iter())
    }

    pub(super) fn create(&self, name: &str) -> Vec<Done> {
        self.write(WriteJob::Create {
            ticket: Ticket(1),
            path: MailboxPath::parse(name).unwrap(),
            role: None,
        })
    }

    /// Delivers a message, without a flush; pieces of 7 bytes show what does not care for pieces.
    pub(super) fn deliver(
        &self,
        mailbox: &str,
        source: Id,
        canonical: &[u8],
        flags: &str,
        meet: Option<Arc<Meet>>,
    ) -> Result<Landing> {
        let job = self.job(mailbox, "1", mailbox, meet);
        let flags = Flags::from_names(flags.split_whitespace());
        let head = Head {
            id: source,
            flags,
            date: InternalDate(1_000_000_000),
            size: 0,
            object: None,
        };
        let (appends, _keep) = sync_channel(1);
        let target = self.maildir.target(appends);
        let mut sink = target.begin(&job, &head)?;
        for piece in canonical.chunks(if canonical.len() < 1000 { 7 } else { 4096 }) {
            sink.write_all(piece)
                .map_err(|err| Failure::carried(&err).expect("sinks say why"))?;
        }
        sink.finish(&identity(canonical))
    }

    pub(super) fn job(&self, from: &str, ids: &str, to: &str, meet: Option<Arc<Meet>>) -> ReadJob {
        let (from, to) = (self.named(from), self.named(to));
        let ids = ids.parse().unwrap();
        ReadJob {
            ticket: Ticket(1),
            from,
            ids,
            newest_first: true,
            to,
            intent: IntentId(3),
            meet,
            max_size: None,
        }
    }

    /// Reads messages of this Maildir into another one; the answers without the last.
    pub(super) fn read_into(&self, job: ReadJob, other: &Self) -> Vec<Done> {
        let (send, jobs) = sync_channel(1);
        let (done, answers) = sync_channel(1000);
        let (appends, _keep) = sync_channel(1);
        let target = other.maildir.target(appends);
        send.send(job).unwrap();
        drop(send);
        thread::scope(|scope| {
            scope.spawn(|| self.maildir.read(jobs, target.as_ref(), done).unwrap());
            without_last(answers.into_iter())
        })
    }
}

fn without_last(answers: impl Iterator<Item = Outcome>) -> Vec<Done> {
    let mut all: Vec<Done> = answers.map(|outcome| outcome.done).collect();
    assert!(
        matches!(all.pop(), Some(Done::Finished)),
        "each job ends with its Finished"
    );
    assert!(!all.iter().any(|done| matches!(done, Done::Finished)));
    all
}

pub(super) fn identity(canonical: &[u8]) -> Identity {
    let mut digester = Digester::new();
    digester.update(canonical);
    digester.finish()
}

/// Sets a file's modification time.
pub(super) fn touch(path: &Path, seconds: i64) {
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(system_time(seconds))
        .unwrap();
}
