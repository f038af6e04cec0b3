//! The Maildir behind the contract of [`crate::store`].

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex};

use super::batch::Batch;
use super::deliver::Deliveries;
use super::filename::Namer;
use super::index::FileIndex;
use super::keywords::KeywordFiles;
use super::layout::{Layout, LayoutChoice, directory};
use super::listing::Listings;
use super::place::{Place, untouched};
use super::volume::{Durability, Volumes};
use super::workers::{Answers, pull};
use crate::error::{Failure, Result, clean};
use crate::model::{Checkpoint, Envelope, IdSet, Mailbox, MailboxPath, News, RawName, Since, Status, Survey};
use crate::store::{Delivered, Depth, Done, IntentId, Outcome, ReadJob, Source, Stop, Store, Target, WriteJob};

/// How removed files lie in the attic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelves {
    /// `DATE/MAILBOX/FILE`: they wait.
    Days,
    /// `MAILBOX/cur/FILE`: they stay for good, and mail programs can read them.
    Mailboxes,
}

/// How a Maildir is to be treated.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its root.
    pub root: PathBuf,
    /// How mailboxes lie in it.
    pub layout: LayoutChoice,
    /// What stands between a file name and its info; one ASCII character. `:`, or `;` or `!` on file systems that have no
    /// colons in names.
    pub info_separator: char,
    /// What is done so that mail survives a power cut.
    pub durability: Durability,
    /// Where removed files go. May be on another file system.
    pub attic: PathBuf,
    /// How they lie there.
    pub shelves: Shelves,
    /// The local date, under which the attic keeps what is removed in this run.
    pub today: jiff::civil::Date,
    /// Nothing on disk is changed: for dry runs and for sources that are only read. Writing is answered with failures.
    pub read_only: bool,
    /// A random number that the state keeps for good. It becomes part of the names of delivered files, so that
    /// [`Store::delivered`] takes no file of an earlier state, with other intents under the same numbers, for its own.
    pub state: u32,
    /// Set when the user asked to stop.
    pub stop: Stop,
}

impl Options {
    /// Everything as DESIGN 13 has it by default, for this root and attic, today.
    pub fn new(root: impl Into<PathBuf>, attic: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            layout: LayoutChoice::Auto,
            info_separator: ':',
            durability: Durability::Batch,
            attic: attic.into(),
            shelves: Shelves::Days,
            today: jiff::ZonedDateTime::now().date(),
            read_only: false,
            state: 0,
            stop: Stop::default(),
        }
    }
}

/// A Maildir. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Maildir(pub(super) Arc<Shared>);

/// What all the work on one Maildir shares.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) layout: Layout,
    pub(super) separator: u8,
    pub(super) index: Arc<dyn FileIndex>,
    pub(super) namer: Namer,
    pub(super) volumes: Volumes,
    pub(super) batch: Mutex<Batch>,
    pub(super) listings: Listings,
    pub(super) keyword_files: KeywordFiles,
    /// Mailboxes whose `tmp` was looked through for old leavings of ours.
    pub(super) tidied: Mutex<HashSet<PathBuf>>,
}

impl Maildir {
    /// A Maildir whose files `index` remembers. Touches nothing; a root that is not there yet is an empty Maildir.
    pub fn new(options: Options, index: Arc<dyn FileIndex>) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self(Arc::new(Shared {
            layout: Layout::of(options.layout, &options.root),
            separator: u8::try_from(options.info_separator)
                .ok()
                .filter(u8::is_ascii_punctuation)
                .unwrap_or(b':'),
            options,
            index,
            namer: Namer::new(&host),
            volumes: Volumes::default(),
            batch: Mutex::default(),
            listings: Listings::default(),
            keyword_files: KeywordFiles::default(),
            tidied: Mutex::default(),
        }))
    }

    /// Its root.
    pub fn root(&self) -> &Path {
        &self.0.options.root
    }
}

impl Shared {
    /// The directory of a mailbox.
    pub(super) fn place(&self, raw: &RawName) -> Result<Place> {
        directory(&self.options.root, raw).map(Place::new)
    }

    /// What to call a mailbox towards the user.
    pub(super) fn shown(&self, raw: &RawName) -> String {
        self.layout
            .path(raw)
            .map_or_else(|| clean(raw.as_bytes()), |path| path.to_string())
    }

    /// Under what name the attic keeps a mailbox's files.
    pub(super) fn path(&self, raw: &RawName) -> MailboxPath {
        self.layout.path(raw).unwrap_or_else(MailboxPath::inbox)
    }

    fn write_one(self: &Arc<Self>, job: WriteJob, done: &SyncSender<Outcome>) -> Result<()> {
        let answers = Answers {
            ticket: job.ticket(),
            done,
        };
        if self.options.read_only {
            answers.tell(Done::Failed(
                IdSet::new(),
                Failure::mailbox("this Maildir is only read"),
            ))?;
            return answers.tell(Done::Finished);
        }
        match job {
            WriteJob::Append(append) => self.append(append, answers)?,
            WriteJob::Flags {
                mailbox,
                ids,
                add,
                remove,
                ..
            } => self.set_flags(&mailbox, &ids, &add, &remove, answers)?,
            WriteJob::Move {
                mailbox, messages, to, ..
            } => self.transfer(&mailbox, &messages, &to, true, answers)?,
            WriteJob::Copy {
                mailbox, messages, to, ..
            } => self.transfer(&mailbox, &messages, &to, false, answers)?,
            WriteJob::Remove {
                mailbox,
                path,
                messages,
                ..
            } => self.remove(&mailbox, &path, &messages, answers)?,
            WriteJob::Create { path, .. } => self.create(&path, answers)?,
            WriteJob::Rename { mailbox, to, .. } => self.rename(&mailbox.raw, &to, answers)?,
            WriteJob::Delete { mailbox, .. } => self.delete(&mailbox.raw, answers)?,
        }
        answers.tell(Done::Finished)
    }
}

impl Source for Maildir {
    fn survey(&self) -> Result<Survey> {
        self.0.survey()
    }

    fn untouched(&self, status: &Status, checkpoint: &Checkpoint) -> bool {
        untouched(status, checkpoint)
    }

    fn changes(&self, since: &[Since], news: &mut dyn FnMut(News)) -> Result<()> {
        self.0.changes(since, news);
        Ok(())
    }

    fn envelopes(&self, of: &[(Mailbox, IdSet)], _: Depth, found: &mut dyn FnMut(Envelope)) -> Result<()> {
        // Reading the file gives all there is at once.
        self.0.envelopes(of, found)
    }

    fn read(&self, jobs: Receiver<ReadJob>, into: &dyn Target, done: SyncSender<Outcome>) -> Result<()> {
        pull(jobs, &self.0.options.stop, |job| self.0.read_job(&job, into, &done))
    }
}

impl Store for Maildir {
    fn write(&self, jobs: Receiver<WriteJob>, done: SyncSender<Outcome>) -> Result<()> {
        pull(jobs, &self.0.options.stop, |job| self.0.write_one(job, &done))
    }

    fn target(&self, _: SyncSender<WriteJob>) -> Box<dyn Target + '_> {
        Box::new(Deliveries(Arc::clone(&self.0)))
    }

    fn flush(&self) -> Result<()> {
        self.0.flush()
    }

    fn keeps_flags(&self) -> bool {
        // What is told of a landed message is read off the name that it gets.
        true
    }

    fn delivered(&self, intents: &[(IntentId, Mailbox)]) -> Result<Vec<Delivered>> {
        self.0.delivered(intents)
    }
}
