//! The mail under a path, as a source: found once, read from the files when it is wanted.

mod find;

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::Beside;
use super::tree::Sources;
use super::unpack::{self, Wrapping};
use crate::error::{Failure, Kind, Reach, Result};
use crate::maildir::disk::{failure, mtime, open_file, shown};
use crate::maildir::files::{on_threads, pull};
use crate::model::{
    Checkpoint, Envelope, Id, IdSet, Identity, Listed, Mailbox, MailboxPath, News, RawName, Seen, Since, Status,
    Survey, Token,
};
use crate::only_read::tell;
use crate::store::{Depth, Done, Head, Outcome, ReadJob, Source, Stop, Target};

/// Messages that wait to be told.
const WAITING: usize = 256;

/// Mail in files. Messages are numbered, and carried over, in the order of the files: so equal ones meet their own copies
/// when they are imported again.
pub struct Collection {
    mailboxes: Vec<(MailboxPath, Vec<Entry>)>,
    stop: Stop,
}

/// A message in a file.
struct Entry {
    origin: Arc<Origin>,
    range: Range<u64>,
    wrapping: Wrapping,
    beside: Beside,
}

/// A file as it was when its messages were found.
#[derive(PartialEq, Eq)]
struct Origin {
    path: PathBuf,
    length: u64,
    modified: i64,
}

/// What is odd about a file.
pub struct Trouble {
    /// The mailbox to which it belongs.
    pub mailbox: MailboxPath,
    /// The file.
    pub path: PathBuf,
    /// What is odd.
    pub failure: Failure,
}

impl Collection {
    /// Finds the messages in files, by mailbox.
    pub fn find(files: impl IntoIterator<Item = (MailboxPath, Sources)>, stop: Stop) -> Result<(Self, Vec<Trouble>)> {
        let (mut mailboxes, mut troubles) = (Vec::new(), Vec::new());
        for (mailbox, sources) in files {
            let mut entries = Vec::new();
            let mut note = |path: &Path, failure| {
                let (mailbox, path) = (mailbox.clone(), path.to_owned());
                troubles.push(Trouble { mailbox, path, failure });
            };
            for path in &sources.mboxes {
                if let Err(failure) = find::mbox(path, &mut entries, &mut note) {
                    note(path, failure);
                }
                if stop.load(Relaxed) {
                    return Err(Failure::account(
                        Kind::Temporary,
                        "stopped while looking; nothing was changed",
                    ));
                }
            }
            find::messages(&sources.messages, &mut entries, &mut note);
            mailboxes.push((mailbox, entries));
        }
        Ok((Self { mailboxes, stop }, troubles))
    }

    /// How a user finds a message.
    pub fn shown(&self, mailbox: &MailboxPath, id: Id) -> Option<String> {
        let entries = self.entries(mailbox)?;
        let at = usize::try_from(id).ok()?.checked_sub(1)?;
        let Entry { origin, wrapping, .. } = entries.get(at)?;
        let before = entries[..at].iter().filter(|entry| entry.origin == *origin).count();
        let file = crate::error::clean(origin.path.as_os_str().as_encoded_bytes());
        Some(match wrapping {
            Wrapping::Mbox => format!("message {} in {file}", before + 1),
            Wrapping::Eml | Wrapping::Bare => file,
        })
    }

    fn entries(&self, mailbox: &MailboxPath) -> Option<&[Entry]> {
        let found = self.mailboxes.iter().find(|(path, _)| path == mailbox);
        found.map(|(_, entries)| entries.as_slice())
    }

    fn of(&self, raw: &RawName) -> Result<&[Entry]> {
        let text = std::str::from_utf8(raw.as_bytes()).ok();
        text.and_then(MailboxPath::from_text)
            .and_then(|path| self.entries(&path))
            .ok_or_else(|| Failure::mailbox("there is no such mailbox"))
    }

    fn read_job(&self, job: &ReadJob, into: &dyn Target, done: &SyncSender<Outcome>) -> Result<()> {
        let entries = match self.of(&job.from.raw) {
            Ok(entries) => entries,
            Err(failure) => {
                tell(done, job.ticket, Done::Failed(job.ids.clone(), failure))?;
                return tell(done, job.ticket, Done::Finished);
            }
        };
        for id in job.ids.iter() {
            if self.stop.load(Relaxed) {
                return Ok(());
            }
            let answer = match entry(entries, id) {
                Some(entry) => entry.read(id, job, into),
                None => Ok(Some(Done::Gone(IdSet::range(id..=id)))),
            };
            match answer {
                Ok(Some(answer)) => tell(done, job.ticket, answer)?,
                Ok(None) => {}
                Err(failure) => {
                    let fatal = failure.reach == Reach::Account;
                    tell(done, job.ticket, Done::Failed(IdSet::range(id..=id), failure.clone()))?;
                    if fatal {
                        return Err(failure);
                    }
                }
            }
        }
        tell(done, job.ticket, Done::Finished)
    }
}

/// The first one is number 1.
fn entry(entries: &[Entry], id: Id) -> Option<&Entry> {
    entries.get(usize::try_from(id).ok()?.checked_sub(1)?)
}

impl Origin {
    fn of(path: &Path, meta: &Metadata) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            length: meta.len(),
            modified: mtime(meta),
        })
    }

    fn open(&self) -> Result<File> {
        let unreadable = |err| failure(&err, Reach::Message, format!("cannot read {}", shown(&self.path)));
        let file = open_file(&self.path).map_err(unreadable)?;
        let meta = file.metadata().map_err(unreadable)?;
        if (meta.len(), mtime(&meta)) == (self.length, self.modified) {
            return Ok(file);
        }
        let what = format!("{} was changed meanwhile", shown(&self.path));
        Err(Failure::message(what).hint("leave the file alone and import again; what has arrived is not doubled"))
    }
}

impl Entry {
    fn pour(&self, into: impl FnMut(&[u8]) -> io::Result<()>) -> Result<Identity> {
        let poured = unpack::pour(self.origin.open()?, &self.range, self.wrapping, into);
        poured.map_err(|err| {
            Failure::carried(&err).unwrap_or_else(|| {
                failure(
                    &err,
                    Reach::Message,
                    format!("cannot read {}", shown(&self.origin.path)),
                )
            })
        })
    }

    /// `None` when the other side will answer.
    fn read(&self, id: Id, job: &ReadJob, into: &dyn Target) -> Result<Option<Done>> {
        let mut head = Head {
            id,
            flags: self.beside.flags.clone(),
            date: self.beside.date,
            size: self.range.end - self.range.start,
            object: None,
        };
        let mut sink = into.begin(job, &head)?;
        let identity = self.pour(|piece| sink.write_all(piece))?;
        head.size = identity.size;
        Ok(sink.finish(&identity)?.answer(head, identity))
    }
}

impl Source for Collection {
    fn survey(&self) -> Result<Survey> {
        let listed = self.mailboxes.iter().map(|(path, entries)| Listed {
            raw: RawName::new(path.to_text()),
            path: path.clone(),
            roles: Vec::new(),
            selectable: true,
            status: Some(Token("files".into())),
            identity: None,
            messages: Some(entries.len() as u64),
        });
        Ok(Survey {
            mailboxes: listed.collect(),
            failures: Vec::new(),
        })
    }

    fn untouched(&self, _: &Status, _: &Checkpoint) -> bool {
        false
    }

    fn changes(&self, since: &[Since], news: &mut dyn FnMut(News)) -> Result<()> {
        for since in since {
            let id = since.mailbox.id;
            let entries = self.of(&since.mailbox.raw)?;
            news((
                id,
                Seen::Opened {
                    validity: 1,
                    next_id: None,
                    identity: None,
                    listed_as: None,
                    permanent: None,
                    read_only: true,
                },
            ));
            if !entries.is_empty() {
                news((
                    id,
                    Seen::Added(IdSet::range(1..=entries.len() as u64).difference(&since.known)),
                ));
            }
            let checkpoint = Checkpoint {
                validity: 1,
                next_id: None,
                token: Token("files".into()),
            };
            news((id, Seen::Complete(checkpoint)));
        }
        Ok(())
    }

    fn envelopes(&self, of: &[(Mailbox, IdSet)], _: Depth, found: &mut dyn FnMut(Envelope)) -> Result<()> {
        let mut wanted = Vec::new();
        for (mailbox, ids) in of {
            let entries = self.of(&mailbox.raw)?;
            wanted.extend(ids.iter().filter_map(|id| Some((mailbox.id, id, entry(entries, id)?))));
        }
        let (send, receive) = sync_channel(WAITING);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                on_threads(&wanted, |&(mailbox, id, entry)| {
                    // What cannot be read is left out like what is gone.
                    let stopped = self.stop.load(Relaxed);
                    if let Some(identity) = (!stopped).then(|| entry.pour(|_| Ok(())).ok()).flatten() {
                        drop(send.send(Envelope {
                            mailbox,
                            id,
                            flags: entry.beside.flags.clone(),
                            date: entry.beside.date,
                            size: identity.size,
                            marks: identity.marks,
                            envelope: identity.envelope,
                            header: Some(identity.header),
                            content: Some(identity.content),
                            object: None,
                        }));
                    }
                });
            });
            receive.into_iter().for_each(found);
        });
        Ok(())
    }

    fn read(&self, jobs: Receiver<ReadJob>, into: &dyn Target, done: SyncSender<Outcome>) -> Result<()> {
        pull(jobs, &self.stop, |job| self.read_job(&job, into, &done))
    }
}
