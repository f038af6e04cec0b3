//! The account as it was at a run: a source.

use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, OnceLock};

use super::Archive;
use crate::error::{Failure, Result, Retry};
use crate::maildir::files::{Files, MessageFile};
use crate::maildir::{self, LayoutChoice, Maildir};
use crate::model::{
    Checkpoint, Envelope, IdSet, Listed, Mailbox, MailboxId, News, RawName, Seen, Since, Status, Survey, Token,
};
use crate::only_read::tell;
use crate::state::{Archived, MailboxThen, State, Then};
use crate::store::{Depth, Done, Head, Outcome, ReadJob, Sink, Source, Stop, Target};

/// So much of a message is looked at for its Message-ID, in bytes.
const HEADER: u64 = 256 * 1024;

/// The account at a run. Ids are the numbers of archived messages; they mean the same at every run.
pub struct View {
    state: Arc<State>,
    run: i64,
    shelves: Shelves,
    /// Only these messages; `None`: all.
    only: Option<IdSet>,
    stop: Stop,
}

/// The files of an archive, listed when first needed.
pub struct Shelves {
    archive: Archive,
    state: Arc<State>,
    listed: OnceLock<Result<[Files; 2]>>,
}

impl Shelves {
    /// The files of that archive.
    pub fn new(archive: Archive, state: Arc<State>) -> Self {
        Self {
            archive,
            state,
            listed: OnceLock::new(),
        }
    }

    /// The files in `mail/` and in `gone/`.
    pub fn files(&self) -> Result<&[Files; 2]> {
        let list = |root| {
            let options = maildir::Options {
                layout: LayoutChoice::Nested,
                read_only: true,
                ..maildir::Options::new(root, self.archive.gone())
            };
            Maildir::new(options, Arc::clone(&self.state) as Arc<dyn maildir::index::FileIndex>).files()
        };
        // Whatever moves from one to the other meanwhile is seen twice rather than never.
        let listed = self
            .listed
            .get_or_init(|| Ok([list(self.archive.mail())?, list(self.archive.gone())?]));
        listed.as_ref().map_err(Clone::clone)
    }

    /// The files that can be this message's, the likeliest first.
    pub fn candidates(&self, message: &Archived) -> Result<Vec<MessageFile>> {
        let [mail, gone] = self.files()?;
        let order = if message.on_server { [mail, gone] } else { [gone, mail] };
        let found = order
            .into_iter()
            .flat_map(|files| files.find(message.path.as_ref(), &message.unique));
        Ok(found.collect())
    }
}

impl View {
    /// The account as the archive has it at that run, narrowed to some messages where they are named.
    pub fn new(archive: Archive, state: Arc<State>, run: i64, only: Option<IdSet>, stop: Stop) -> Self {
        Self {
            shelves: Shelves::new(archive, Arc::clone(&state)),
            state,
            run,
            only,
            stop,
        }
    }

    /// The mailboxes that there were.
    pub fn mailboxes(&self) -> Result<Vec<MailboxThen>> {
        self.state.mailboxes_at(self.run)
    }

    /// The messages that were in a mailbox.
    pub fn messages(&self, mailbox: MailboxId) -> Result<IdSet> {
        let all = self.state.messages_at(mailbox, self.run)?;
        Ok(match &self.only {
            Some(only) => all.intersection(only),
            None => all,
        })
    }

    /// Their flags and what they are known by.
    pub fn then(&self, mailbox: MailboxId, ids: &IdSet) -> Result<Vec<Then>> {
        self.state.then(mailbox, self.run, ids)
    }

    /// Hands a message's bytes on in canonical form, from a file that holds what was archived. `begin` is called for each
    /// file that is tried; what the last call gave is what the bytes went into.
    pub fn pour<S: std::io::Write>(&self, message: &Archived, mut begin: impl FnMut() -> Result<S>) -> Result<S> {
        let mut trouble = None;
        for file in self.shelves.candidates(message)? {
            let mut sink = begin()?;
            match file.pour(message.verbatim, |piece| sink.write_all(piece)) {
                Ok(identity) if identity.content == message.content => return Ok(sink),
                Ok(_) => trouble = Some(format!("{} is damaged", self.shelves.archive.shown(&file.path))),
                Err(err) => {
                    if let Some(carried) = Failure::carried(&err) {
                        return Err(carried);
                    }
                    let name = self.shelves.archive.shown(&file.path);
                    trouble = Some(format!("cannot read {name}: {err}"));
                }
            }
        }
        let name = crate::error::clean(&message.unique);
        let what = trouble.unwrap_or_else(|| format!("its file {name} is missing from the archive"));
        Err(Failure::message(what)
            .retry(Retry::Never)
            .hint("`homing verify` says what can be mended"))
    }

    /// Whether a message has that Message-ID, or its file that name (the part before the flags).
    pub fn is_called(&self, message: &Archived, wanted: &str) -> bool {
        if crate::error::clean(&message.unique) == wanted {
            return true;
        }
        let has_id = |file: &MessageFile| {
            let mut header = Vec::new();
            let mut beginning = std::io::Read::take(file.open().ok()?, HEADER);
            std::io::Read::read_to_end(&mut beginning, &mut header).ok()?;
            Some(crate::identity::is_message_id(&header, wanted))
        };
        // Without a Message-ID there is no key.
        let files = message.envelope.and_then(|_| self.shelves.candidates(message).ok());
        files
            .into_iter()
            .flatten()
            .find_map(|file| has_id(&file))
            .unwrap_or(false)
    }

    /// The state's number of the mailbox that the caller calls by this name.
    fn number(&self, raw: &RawName) -> Result<MailboxId> {
        let known = self.mailboxes()?;
        let found = known
            .into_iter()
            .find(|mailbox| mailbox.path.to_text().as_bytes() == raw.as_bytes());
        found
            .map(|mailbox| mailbox.id)
            .ok_or_else(|| Failure::mailbox("the archive did not have this mailbox then"))
    }

    fn changes_of(&self, since: &Since, news: &mut dyn FnMut(News)) -> Result<()> {
        let id = since.mailbox.id;
        let there = self.messages(self.number(&since.mailbox.raw)?)?;
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
        if !there.is_empty() {
            news((id, Seen::Added(there.difference(&since.known))));
        }
        let checkpoint = Checkpoint {
            validity: 1,
            next_id: None,
            token: Token(format!("#{}", self.run)),
        };
        news((id, Seen::Complete(checkpoint)));
        Ok(())
    }

    fn read_job(&self, job: &ReadJob, into: &dyn Target, done: &SyncSender<Outcome>) -> Result<()> {
        let tell = |answer| tell(done, job.ticket, answer);
        let found = self
            .number(&job.from.raw)
            .and_then(|number| self.then(number, &job.ids));
        let mut found = match found {
            Ok(found) => found,
            Err(failure) => {
                tell(Done::Failed(job.ids.clone(), failure))?;
                return tell(Done::Finished);
            }
        };
        let there: IdSet = found.iter().map(|then| then.message.id).collect();
        let gone = job.ids.difference(&there);
        if !gone.is_empty() {
            tell(Done::Gone(gone))?;
        }
        if job.newest_first {
            found.reverse();
        }
        for then in found {
            if self.stop.load(std::sync::atomic::Ordering::Relaxed) {
                return Ok(());
            }
            let id = then.message.id;
            match self.read_one(job, then, into) {
                Ok(Some(answer)) => tell(answer)?,
                Ok(None) => {}
                Err(failure) => {
                    let fatal = failure.reach == crate::error::Reach::Account;
                    tell(Done::Failed(IdSet::range(id..=id), failure.clone()))?;
                    if fatal {
                        return Err(failure);
                    }
                }
            }
        }
        tell(Done::Finished)
    }

    /// `None` when the other side will answer.
    fn read_one(&self, job: &ReadJob, then: Then, into: &dyn Target) -> Result<Option<Done>> {
        let message = then.message;
        let head = Head {
            id: message.id,
            flags: then.flags,
            date: message.date,
            size: message.size,
            object: None,
        };
        let sink = self.pour(&message, || into.begin(job, &head).map(Digesting::new))?;
        let (sink, identity) = sink.end();
        Ok(sink.finish(&identity)?.answer(head, identity))
    }
}

/// A sink that knows what went into it.
struct Digesting {
    sink: Box<dyn Sink>,
    digester: crate::identity::Digester,
}

impl Digesting {
    fn new(sink: Box<dyn Sink>) -> Self {
        Self {
            sink,
            digester: crate::identity::Digester::new(),
        }
    }

    fn end(self) -> (Box<dyn Sink>, crate::model::Identity) {
        (self.sink, self.digester.finish())
    }
}

impl std::io::Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.sink.write_all(bytes)?;
        self.digester.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush()
    }
}

impl Source for View {
    fn survey(&self) -> Result<Survey> {
        let listed = self.mailboxes()?.into_iter().map(|mailbox| {
            Ok(Listed {
                raw: RawName::new(mailbox.path.to_text()),
                roles: mailbox.role.into_iter().collect(),
                selectable: true,
                status: Some(Token(format!("#{}", self.run))),
                identity: None,
                messages: Some(self.messages(mailbox.id)?.len()),
                path: mailbox.path,
            })
        });
        Ok(Survey {
            mailboxes: listed.collect::<Result<_>>()?,
            failures: Vec::new(),
        })
    }

    fn untouched(&self, status: &Status, checkpoint: &Checkpoint) -> bool {
        *status == checkpoint.token
    }

    fn changes(&self, since: &[Since], news: &mut dyn FnMut(News)) -> Result<()> {
        since.iter().try_for_each(|since| self.changes_of(since, news))
    }

    fn envelopes(&self, of: &[(Mailbox, IdSet)], _: Depth, found: &mut dyn FnMut(Envelope)) -> Result<()> {
        for (mailbox, ids) in of {
            for then in self.then(self.number(&mailbox.raw)?, ids)? {
                let message = then.message;
                found(Envelope {
                    mailbox: mailbox.id,
                    id: message.id,
                    flags: then.flags,
                    date: message.date,
                    size: message.size,
                    // The size in the books is without them.
                    marks: 0,
                    envelope: message.envelope,
                    header: Some(message.header),
                    content: Some(message.content),
                    object: None,
                });
            }
        }
        Ok(())
    }

    fn read(&self, jobs: Receiver<ReadJob>, into: &dyn Target, done: SyncSender<Outcome>) -> Result<()> {
        maildir::files::pull(jobs, &self.stop, |job| self.read_job(&job, into, &done))
    }
}
