//! A store in memory, for the laws: a Maildir-like one (takes messages as they stream in, durable after a flush, keeps the
//! flags it is given) or a server-like one (wants the whole message first, durable at once). Its fuse makes it fail at any
//! chosen step, as if the process had been killed there.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read as _, Write};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard};

use homing::error::{Failure, Kind, Result};
use homing::identity::Digester;
use homing::model::{
    Checkpoint, Envelope, Flags, Id, IdSet, Identity, InternalDate, Listed, Mailbox, MailboxPath, News, RawName, Seen,
    Since, Status, Survey, Token,
};
use homing::store::{
    Append, Delivered, Depth, Done, Head, IntentId, Landing, Outcome, ReadJob, Sink, Source, Store, Target, WriteJob,
};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub flags: Flags,
    pub date: InternalDate,
    pub body: Vec<u8>,
}

/// A mailbox.
#[derive(Clone, Debug, Default)]
pub struct Box_ {
    pub validity: u64,
    pub next_id: Id,
    pub messages: BTreeMap<Id, Message>,
    /// Counts every change.
    pub changes: u64,
}

#[derive(Default)]
struct Inner {
    mailboxes: BTreeMap<String, Box_>,
    validities: u64,
    /// Delivered, and lost in a crash before the next flush.
    unflushed: Vec<(String, Id, Message)>,
    writes: u64,
}

/// Burns down with every step of any store that shares it.
pub struct Fuse {
    left: Mutex<Option<u64>>,
    burnt: Box<dyn Fn() + Send + Sync>,
}

impl Fuse {
    /// Fails after so many steps, or never; `burnt` is called once at that moment.
    pub fn new(steps: Option<u64>, burnt: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            left: Mutex::new(steps),
            burnt: Box::new(burnt),
        })
    }

    fn step(&self) -> Result<()> {
        let mut left = self.left.lock().unwrap();
        match left.as_mut() {
            None => Ok(()),
            Some(0) => Err(Failure::account(Kind::Temporary, "killed")),
            Some(n) => {
                *n -= 1;
                if *n == 0 {
                    (self.burnt)();
                    return Err(Failure::account(Kind::Temporary, "killed"));
                }
                Ok(())
            }
        }
    }

    /// Whether it has burnt down.
    pub fn is_burnt(&self) -> bool {
        *self.left.lock().unwrap() == Some(0)
    }
}

/// The store.
pub struct Memory {
    inner: Mutex<Inner>,
    fuse: Mutex<Arc<Fuse>>,
    maildir: bool,
}

impl Memory {
    /// An empty store with an INBOX; `maildir`: see the module.
    pub fn new(maildir: bool) -> Self {
        let store = Self {
            inner: Mutex::default(),
            fuse: Mutex::new(Fuse::new(None, || ())),
            maildir,
        };
        store.create("INBOX");
        store
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The next steps burn this fuse.
    pub fn set_fuse(&self, fuse: &Arc<Fuse>) {
        *self.fuse.lock().unwrap() = Arc::clone(fuse);
    }

    fn step(&self) -> Result<()> {
        let fuse = Arc::clone(&self.fuse.lock().unwrap());
        fuse.step()
    }

    /// The machine went down: what was not flushed is lost.
    pub fn crash(&self) {
        self.inner().unflushed.clear();
    }

    /// How many changes homing made.
    pub fn writes(&self) -> u64 {
        self.inner().writes
    }

    /// Everything in it.
    pub fn contents(&self) -> BTreeMap<String, Vec<Message>> {
        let inner = self.inner();
        inner
            .mailboxes
            .iter()
            .map(|(name, b)| (name.clone(), b.messages.values().cloned().collect()))
            .collect()
    }

    // What a user does.

    /// Makes a mailbox.
    pub fn create(&self, name: &str) {
        let mut inner = self.inner();
        inner.validities += 1;
        let validity = inner.validities;
        inner.mailboxes.entry(name.into()).or_insert_with(|| Box_ {
            validity,
            next_id: 1,
            ..Box_::default()
        });
    }

    /// Deletes a mailbox with all that is in it.
    pub fn delete(&self, name: &str) {
        self.inner().mailboxes.remove(name);
    }

    /// Adds a message.
    pub fn add(&self, name: &str, message: Message) -> Option<Id> {
        self.with(name, |b| {
            let id = b.next_id;
            b.next_id += 1;
            b.messages.insert(id, message);
            id
        })
    }

    /// Changes the n-th message's flags.
    pub fn flag(&self, name: &str, nth: usize, change: impl FnOnce(&mut Flags)) {
        self.with(name, |b| {
            if let Some(message) = b.messages.values_mut().nth(nth) {
                change(&mut message.flags);
            }
        });
    }

    /// Removes the n-th message and gives it.
    pub fn remove(&self, name: &str, nth: usize) -> Option<Message> {
        self.with(name, |b| {
            let id = *b.messages.keys().nth(nth)?;
            b.messages.remove(&id)
        })
        .flatten()
    }

    /// The ids mean nothing any more.
    pub fn renew(&self, name: &str) {
        let mut inner = self.inner();
        inner.validities += 1;
        let validity = inner.validities;
        if let Some(b) = inner.mailboxes.get_mut(name) {
            b.validity = validity;
            let messages = std::mem::take(&mut b.messages);
            b.messages = messages
                .into_values()
                .enumerate()
                .map(|(at, m)| (at as Id + 1, m))
                .collect();
            b.next_id = b.messages.len() as Id + 1;
            b.changes += 1;
        }
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Box_) -> T) -> Option<T> {
        let mut inner = self.inner();
        let b = inner.mailboxes.get_mut(name)?;
        b.changes += 1;
        Some(act(b))
    }

    // What homing does.

    fn name(mailbox: &Mailbox) -> String {
        String::from_utf8(mailbox.raw.as_bytes().to_vec()).unwrap()
    }

    fn status(b: &Box_) -> Status {
        Token(format!("{}:{}", b.validity, b.changes))
    }

    /// Puts a message in, as homing does; on a Maildir-like store it is safe only after the flush.
    fn deliver(&self, name: &str, message: Message) -> Result<Id> {
        self.step()?;
        let mut inner = self.inner();
        inner.writes += 1;
        let b = inner
            .mailboxes
            .get_mut(name)
            .ok_or_else(|| Failure::mailbox("no such mailbox"))?;
        let id = b.next_id;
        b.next_id += 1;
        if self.maildir {
            inner.unflushed.push((name.into(), id, message));
        } else {
            b.messages.insert(id, message);
            b.changes += 1;
        }
        Ok(id)
    }

    fn write_one(&self, job: WriteJob, done: &SyncSender<Outcome>) -> Result<()> {
        let send = |ticket, done_: Done| drop(done.send(Outcome { ticket, done: done_ }));
        let ticket = match job {
            WriteJob::Append(append) => return self.append(append, done),
            WriteJob::Flags {
                ticket,
                mailbox,
                ids,
                add,
                remove,
            } => {
                for id in ids.iter() {
                    self.step()?;
                    self.inner().writes += 1;
                    let seen = self.with(&Self::name(&mailbox), |b| {
                        let message = b.messages.get_mut(&id)?;
                        message.flags = message.flags.union(&add).minus(&remove);
                        Some(message.flags.clone())
                    });
                    match seen.flatten() {
                        Some(flags) => send(ticket, Done::Flags(vec![(id, flags)])),
                        None => send(ticket, Done::Gone(IdSet::range(id..=id))),
                    }
                }
                ticket
            }
            WriteJob::Remove {
                ticket,
                mailbox,
                messages,
                ..
            } => {
                for known in messages {
                    self.step()?;
                    self.inner().writes += 1;
                    let id = IdSet::range(known.id..=known.id);
                    let differs = self
                        .with(&Self::name(&mailbox), |b| {
                            let differs = b
                                .messages
                                .get(&known.id)
                                .is_some_and(|m| Some(digest(&m.body).content) != known.content);
                            if !differs {
                                b.messages.remove(&known.id);
                            }
                            differs
                        })
                        .unwrap_or(false);
                    send(ticket, if differs { Done::Differs(id) } else { Done::Removed(id) });
                }
                ticket
            }
            WriteJob::Create { ticket, path, .. } => {
                self.step()?;
                self.inner().writes += 1;
                self.create(&path.to_string());
                send(
                    ticket,
                    Done::Created {
                        raw: RawName::new(path.to_string()),
                        validity: None,
                    },
                );
                ticket
            }
            WriteJob::Delete { ticket, mailbox } => {
                self.step()?;
                let name = Self::name(&mailbox);
                let empty = self.inner().mailboxes.get(&name).is_none_or(|b| b.messages.is_empty());
                if empty {
                    self.inner().writes += 1;
                    self.delete(&name);
                    send(ticket, Done::Deleted);
                } else {
                    send(ticket, Done::Failed(IdSet::new(), Failure::mailbox("not empty")));
                }
                ticket
            }
            WriteJob::Move { .. } | WriteJob::Copy { .. } | WriteJob::Rename { .. } => unimplemented!("with the moves"),
        };
        send(ticket, Done::Finished);
        Ok(())
    }

    fn append(&self, mut append: Append, done: &SyncSender<Outcome>) -> Result<()> {
        let mut body = Vec::new();
        append.body.read_to_end(&mut body).unwrap();
        let message = Message {
            flags: append.head.flags.clone(),
            date: append.head.date,
            body,
        };
        let id = self.deliver(&Self::name(&append.to), message)?;
        // Killed between the effect and the answer.
        self.step()?;
        let landed = Done::Landed {
            flags: append.head.flags.clone(),
            head: append.head,
            identity: append.identity,
            id: Some(id),
            validity: None,
        };
        drop(done.send(Outcome {
            ticket: append.ticket,
            done: landed,
        }));
        Ok(())
    }
}

fn digest(body: &[u8]) -> Identity {
    let mut digester = Digester::new();
    digester.update(body);
    digester.finish()
}

impl Source for Memory {
    fn survey(&self) -> Result<Survey> {
        self.step()?;
        let inner = self.inner();
        let mailboxes = inner.mailboxes.iter().map(|(name, b)| Listed {
            path: MailboxPath::parse(name).unwrap(),
            raw: RawName::new(name),
            roles: Vec::new(),
            selectable: true,
            status: Some(Self::status(b)),
            identity: None,
            messages: Some(b.messages.len() as u64),
        });
        Ok(Survey {
            mailboxes: mailboxes.collect(),
            failures: Vec::new(),
        })
    }

    fn untouched(&self, status: &Status, checkpoint: &Checkpoint) -> bool {
        *status == checkpoint.token
    }

    fn changes(&self, since: &[Since], news: &mut dyn FnMut(News)) -> Result<()> {
        for question in since {
            self.step()?;
            let id = question.mailbox.id;
            let Some(b) = self.inner().mailboxes.get(&Self::name(&question.mailbox)).cloned() else {
                news((id, Seen::Partial(Failure::mailbox("no such mailbox"))));
                continue;
            };
            news((
                id,
                Seen::Opened {
                    validity: b.validity,
                    next_id: Some(b.next_id),
                    read_only: false,
                },
            ));
            let same = question.checkpoint.as_ref().is_some_and(|c| c.validity == b.validity);
            let known = if same { question.known.clone() } else { IdSet::new() };
            let listed: IdSet = b.messages.keys().copied().collect();
            news((id, Seen::Added(listed.difference(&known))));
            let flags = b
                .messages
                .iter()
                .filter(|(id, _)| known.contains(**id))
                .map(|(id, m)| (*id, m.flags.clone()));
            news((id, Seen::Flags(flags.collect())));
            news((id, Seen::Removed(known.difference(&listed))));
            let token = Self::status(&b);
            news((
                id,
                Seen::Complete(Checkpoint {
                    validity: b.validity,
                    next_id: Some(b.next_id),
                    token,
                }),
            ));
        }
        Ok(())
    }

    fn envelopes(&self, of: &[(Mailbox, IdSet)], _: Depth, found: &mut dyn FnMut(Envelope)) -> Result<()> {
        for (mailbox, ids) in of {
            self.step()?;
            let Some(b) = self.inner().mailboxes.get(&Self::name(mailbox)).cloned() else {
                continue;
            };
            for (id, message) in b.messages.into_iter().filter(|(id, _)| ids.contains(*id)) {
                let identity = digest(&message.body);
                found(Envelope {
                    mailbox: mailbox.id,
                    id,
                    flags: message.flags,
                    date: message.date,
                    size: identity.size,
                    envelope: identity.envelope,
                    header: Some(identity.header),
                    content: self.maildir.then_some(identity.content),
                    object: None,
                });
            }
        }
        Ok(())
    }

    fn read(&self, jobs: Receiver<ReadJob>, into: &dyn Target, done: SyncSender<Outcome>) -> Result<()> {
        for job in jobs {
            let send = |done_| {
                drop(done.send(Outcome {
                    ticket: job.ticket,
                    done: done_,
                }));
            };
            for id in job.ids.iter().rev() {
                self.step()?;
                let message = self
                    .inner()
                    .mailboxes
                    .get(&Self::name(&job.from))
                    .and_then(|b| b.messages.get(&id).cloned());
                let Some(message) = message else {
                    send(Done::Gone(IdSet::range(id..=id)));
                    continue;
                };
                let identity = digest(&message.body);
                let head = Head {
                    id,
                    flags: message.flags,
                    date: message.date,
                    size: identity.size,
                    object: None,
                };
                let mut sink = into.begin(&job, &head)?;
                sink.write_all(&message.body).unwrap();
                match sink.finish(&identity)? {
                    Landing::Here(at, flags) => send(Done::Landed {
                        head,
                        identity,
                        id: Some(at),
                        validity: None,
                        flags,
                    }),
                    Landing::Met(at) => send(Done::Met { head, identity, id: at }),
                    Landing::Queued => {}
                }
            }
            send(Done::Finished);
        }
        Ok(())
    }
}

impl Store for Memory {
    fn write(&self, jobs: Receiver<WriteJob>, done: SyncSender<Outcome>) -> Result<()> {
        jobs.into_iter().try_for_each(|job| self.write_one(job, &done))
    }

    fn target(&self, appends: SyncSender<WriteJob>) -> Box<dyn Target + '_> {
        Box::new(Queue(Mutex::new(appends)))
    }

    fn flush(&self) -> Result<()> {
        self.step()?;
        let mut inner = self.inner();
        for (name, id, message) in std::mem::take(&mut inner.unflushed) {
            if let Some(b) = inner.mailboxes.get_mut(&name) {
                b.messages.insert(id, message);
                b.changes += 1;
            }
        }
        Ok(())
    }

    fn keeps_flags(&self) -> bool {
        self.maildir
    }

    fn delivered(&self, _: &[(IntentId, Mailbox)]) -> Result<Vec<Delivered>> {
        // The names of files say under which intent they came; a plain store in memory has none.
        Ok(Vec::new())
    }
}

/// Hands every message to [`Store::write`] once it is whole.
struct Queue(Mutex<SyncSender<WriteJob>>);

impl Target for Queue {
    fn begin(&self, job: &ReadJob, head: &Head) -> Result<Box<dyn Sink>> {
        let appends = self.0.lock().unwrap().clone();
        Ok(Box::new(Pouring {
            job: job.clone(),
            head: head.clone(),
            body: Vec::new(),
            appends,
        }))
    }
}

/// A message on its way in.
struct Pouring {
    job: ReadJob,
    head: Head,
    body: Vec<u8>,
    appends: SyncSender<WriteJob>,
}

impl Write for Pouring {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Pouring {
    fn finish(self: Box<Self>, identity: &Identity) -> Result<Landing> {
        if let Some(id) = self.job.meet.as_ref().and_then(|meet| meet.take(&identity.content)) {
            return Ok(Landing::Met(id));
        }
        let append = Append {
            ticket: self.job.ticket,
            head: self.head,
            to: self.job.to,
            identity: identity.clone(),
            body: Box::new(Cursor::new(self.body)),
        };
        drop(self.appends.send(WriteJob::Append(append)));
        Ok(Landing::Queued)
    }
}
