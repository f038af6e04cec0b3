//! A store in memory, for the laws and the scenarios: a Maildir-like one (takes messages as they stream in, durable after a
//! flush, keeps the flags it is given) or a server-like one (wants the whole message first, durable at once). Its fuse
//! makes it fail at any chosen step, as if the process had been killed there; what a server-like one had been sent by then
//! it can still execute later.

mod disk;
mod sink;
pub mod world;
mod write;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard};

use disk::Undone;
use homing::error::{Failure, Kind, Reach, Result, Retry};
use homing::identity::Digester;
use homing::model::{
    Checkpoint, Envelope, Flags, Id, IdSet, Identity, InternalDate, Listed, Mailbox, MailboxId, MailboxIdentity,
    MailboxPath, News, ObjectId, RawName, Role, Seen, Since, Status, Survey, Token,
};
use homing::store::{
    Delivered, Depth, Done, Head, IntentId, Landing, Outcome, ReadJob, Source, Store, Target, WriteJob,
};
use sink::Queue;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub flags: Flags,
    pub date: InternalDate,
    pub body: Vec<u8>,
}

/// What a store is like.
#[allow(clippy::struct_excessive_bools)] // switches, in any combination
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nature {
    /// Like a Maildir, else like a server.
    pub maildir: bool,
    /// It tells the ids of what it was given (UIDPLUS).
    pub tells_ids: bool,
    /// It moves in one step (MOVE); else it copies first and then expunges.
    pub moves_at_once: bool,
    /// Its messages have object ids (OBJECTID).
    pub names_objects: bool,
    /// It changes what it is given: another header field (DESIGN 8a "servers that rewrite").
    pub rewrites: bool,
    /// It takes keywords and keeps none, without a word (HAZARDS 14).
    pub drops_keywords: bool,
    /// What a mailbox holds already it does not take again: it tells the id of what is there (DESIGN 8a "merging").
    pub merges: bool,
    /// It refuses for good what is called [`HUGE`].
    pub has_a_limit: bool,
    /// It takes no changes in the mailbox [`SHARED`].
    pub closes: bool,
    /// What is in the mailbox [`DARK`] is there and has a size, but cannot be read.
    pub darkens: bool,
}

/// The mailbox of which nothing can be read where a store [darkens](Nature::darkens) it.
pub const DARK: &str = "Dark";

/// The mailbox that may only be read where a store [closes](Nature::closes) it.
pub const SHARED: &str = "Shared";

/// The mailbox that a store calls its trash.
pub const BIN: &str = "Bin";

/// In the body of a message that is over a server's limit.
pub const HUGE: &str = "huge";

impl Nature {
    /// A Maildir.
    pub const MAILDIR: Self = Self {
        maildir: true,
        tells_ids: true,
        moves_at_once: true,
        names_objects: false,
        rewrites: false,
        drops_keywords: false,
        merges: false,
        has_a_limit: false,
        closes: false,
        darkens: false,
    };
    /// One where some files belong to somebody else.
    pub const DARKENED: Self = Self {
        darkens: true,
        ..Self::MAILDIR
    };
    /// A modern server.
    pub const SERVER: Self = Self {
        maildir: false,
        names_objects: true,
        ..Self::MAILDIR
    };
    /// A server with UIDPLUS and no more.
    pub const PLAIN: Self = Self {
        moves_at_once: false,
        names_objects: false,
        ..Self::SERVER
    };
    /// A server of 1996.
    pub const OLD: Self = Self {
        tells_ids: false,
        ..Self::PLAIN
    };
    /// One that changes what it is given.
    pub const REWRITING: Self = Self {
        rewrites: true,
        ..Self::SERVER
    };
    /// One that has each message once in a mailbox.
    pub const MERGING: Self = Self {
        merges: true,
        ..Self::SERVER
    };
    /// One that does not take every message.
    pub const LIMITED: Self = Self {
        has_a_limit: true,
        ..Self::SERVER
    };
    /// One where a mailbox may only be read.
    pub const CLOSING: Self = Self {
        closes: true,
        ..Self::SERVER
    };
    /// One that refuses to hand some messages out.
    pub const DARK: Self = Self {
        darkens: true,
        ..Self::PLAIN
    };
    /// One that keeps no keywords.
    pub const POOR: Self = Self {
        drops_keywords: true,
        ..Self::PLAIN
    };
}

/// A message in its place.
#[derive(Clone, Debug)]
struct Kept {
    message: Message,
    object: u64,
    /// The intent under which homing delivered it, and its id in the source: part of a file's name.
    under: Option<(IntentId, Id)>,
}

/// A mailbox.
#[derive(Clone, Debug, Default)]
struct Box_ {
    /// Survives a rename.
    identity: u64,
    validity: u64,
    next_id: Id,
    messages: BTreeMap<Id, Kept>,
    /// Counts every change.
    changes: u64,
}

impl Box_ {
    /// Takes a message in, unless it has it and merges.
    fn take_in(&mut self, kept: Kept, merges: bool) -> Id {
        let same = |there: &Kept| merges && there.message.body == kept.message.body;
        let known = self.messages.iter().find_map(|(id, there)| same(there).then_some(*id));
        known.unwrap_or_else(|| self.put(kept))
    }

    fn put(&mut self, kept: Kept) -> Id {
        let id = self.next_id;
        self.next_id += 1;
        self.messages.insert(id, kept);
        self.changes += 1;
        id
    }
}

/// What a killed client had sent, and the server has not yet done.
#[derive(Clone, Debug)]
enum Late {
    Append(String, Message),
    Copy(String, Id, String),
}

#[derive(Default)]
struct Inner {
    mailboxes: BTreeMap<String, Box_>,
    /// Counts validities, identities and objects.
    counter: u64,
    /// Delivered, and lost in a crash before the next flush.
    unflushed: Vec<(String, Id, Kept)>,
    /// What else homing did since the last flush: each may be lost as well.
    undone: Vec<Undone>,
    late: Vec<Late>,
    late_done: u32,
    /// Under which validity homing knows the ids of each mailbox, in the run under way.
    told: BTreeMap<String, u64>,
    writes: u64,
    transfers: u64,
}

impl Inner {
    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// A mailbox and its inferiors have other names now.
    fn told_of_rename(&mut self, from: &str, to: &str) {
        let told = std::mem::take(&mut self.told).into_iter();
        let renamed = |name: String| match name.strip_prefix(from) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{to}{rest}"),
            _ => name,
        };
        self.told = told.map(|(name, validity)| (renamed(name), validity)).collect();
    }

    /// Whether the mailbox of that name is the one whose ids homing knows.
    fn is_as_told(&self, name: &str) -> bool {
        let validity = self.mailboxes.get(name).map(|b| b.validity);
        validity.is_none_or(|validity| self.told.get(name).is_none_or(|told| *told == validity))
    }
}

/// Something that happens in the middle of a run.
type Event = Box<dyn FnOnce() + Send>;

/// Burns down with every step of any store that shares it.
pub struct Fuse {
    left: Mutex<Option<u64>>,
    burnt: Box<dyn Fn() + Send + Sync>,
    steps: Mutex<u64>,
    event: Mutex<Option<(u64, Event)>>,
}

impl Fuse {
    /// Fails after so many steps, or never; `burnt` is called once at that moment.
    pub fn new(steps: Option<u64>, burnt: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            left: Mutex::new(steps),
            burnt: Box::new(burnt),
            steps: Mutex::new(0),
            event: Mutex::new(None),
        })
    }

    /// Makes something happen at that step.
    pub fn at(&self, step: u64, event: impl FnOnce() + Send + 'static) {
        *self.event.lock().unwrap() = Some((step, Box::new(event)));
    }

    fn step(&self) -> Result<()> {
        let now = {
            let mut steps = self.steps.lock().unwrap();
            *steps += 1;
            *steps
        };
        let due = self.event.lock().unwrap().take_if(|(at, _)| *at <= now);
        if let Some((_, event)) = due {
            event();
        }
        let mut left = self.left.lock().unwrap();
        match left.as_mut() {
            None => Ok(()),
            Some(0) => Err(killed()),
            Some(n) => {
                *n -= 1;
                if *n == 0 {
                    (self.burnt)();
                    return Err(killed());
                }
                Ok(())
            }
        }
    }

    /// Whether it has burnt down.
    pub fn is_burnt(&self) -> bool {
        *self.left.lock().unwrap() == Some(0)
    }

    /// How many steps were made.
    pub fn steps(&self) -> u64 {
        *self.steps.lock().unwrap()
    }
}

fn killed() -> Failure {
    Failure::account(Kind::Temporary, "killed")
}

/// The store; a clone is the same store.
#[derive(Clone)]
pub struct Memory {
    inner: Arc<Mutex<Inner>>,
    fuse: Arc<Mutex<Arc<Fuse>>>,
    nature: Nature,
}

impl Memory {
    /// An empty store with an INBOX.
    pub fn new(nature: Nature) -> Self {
        let store = Self {
            inner: Arc::default(),
            fuse: Arc::new(Mutex::new(Fuse::new(None, || ()))),
            nature,
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
        self.inner().told.clear();
    }

    fn step(&self) -> Result<()> {
        let fuse = Arc::clone(&self.fuse.lock().unwrap());
        fuse.step()
    }

    /// How many changes homing made.
    pub fn writes(&self) -> u64 {
        self.inner().writes
    }

    /// How many messages homing read.
    pub fn transfers(&self) -> u64 {
        self.inner().transfers
    }

    /// Everything in it.
    pub fn contents(&self) -> BTreeMap<String, Vec<Message>> {
        let inner = self.inner();
        let messages = |b: &Box_| b.messages.values().map(|kept| kept.message.clone()).collect();
        inner
            .mailboxes
            .iter()
            .map(|(name, b)| (name.clone(), messages(b)))
            .collect()
    }

    /// How much it executed late.
    pub fn late_done(&self) -> u32 {
        self.inner().late_done
    }

    /// Executes what a killed client had sent; tells whether there was anything.
    pub fn execute_late(&self) -> bool {
        let mut inner = self.inner();
        let late = std::mem::take(&mut inner.late);
        let any = !late.is_empty();
        for late in late {
            let closed = |name: &String| self.nature.closes && name == SHARED;
            if let Late::Append(to, _) | Late::Copy(_, _, to) = &late
                && closed(to)
            {
                continue;
            }
            inner.late_done += 1;
            match late {
                Late::Append(_, message) if self.nature.refuses(&message) => {}
                Late::Append(name, message) => {
                    let (object, message) = (inner.count(), self.nature.takes(message));
                    if let Some(b) = inner.mailboxes.get_mut(&name) {
                        let kept = Kept {
                            message,
                            object,
                            under: None,
                        };
                        b.take_in(kept, self.nature.merges);
                    }
                }
                Late::Copy(from, id, to) => {
                    let kept = inner.mailboxes.get(&from).and_then(|b| b.messages.get(&id).cloned());
                    if let (Some(kept), Some(b)) = (kept, inner.mailboxes.get_mut(&to)) {
                        b.take_in(kept, self.nature.merges);
                    }
                }
            }
        }
        any
    }

    // What a user does.

    /// Makes a mailbox.
    pub fn create(&self, name: &str) {
        let mut inner = self.inner();
        let (validity, identity) = (inner.count(), inner.count());
        inner.mailboxes.entry(name.into()).or_insert_with(|| Box_ {
            identity,
            validity,
            next_id: self.first_id(validity),
            ..Box_::default()
        });
    }

    /// A server counts in each mailbox; of a Maildir no two files have one id.
    fn first_id(&self, validity: u64) -> Id {
        if self.nature.maildir { validity << 20 } else { 1 }
    }

    /// Deletes a mailbox with all that is in it.
    pub fn delete(&self, name: &str) {
        self.inner().mailboxes.remove(name);
    }

    /// Adds a message.
    pub fn add(&self, name: &str, message: Message) -> Option<Id> {
        let object = self.inner().count();
        self.with(name, |b| {
            b.put(Kept {
                message,
                object,
                under: None,
            })
        })
    }

    /// Changes the n-th message's flags.
    pub fn flag(&self, name: &str, nth: usize, change: impl FnOnce(&mut Flags)) {
        self.with(name, |b| {
            if let Some(kept) = b.messages.values_mut().nth(nth) {
                change(&mut kept.message.flags);
            }
        });
    }

    /// Puts another body in the place of the n-th message's, as an editor does with a file.
    pub fn edit(&self, name: &str, nth: usize, body: Vec<u8>) {
        self.with(name, |b| {
            if let Some(kept) = b.messages.values_mut().nth(nth) {
                kept.message.body = body;
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
        .map(|kept| kept.message)
    }

    /// Moves the n-th message into another mailbox, or copies it; gives it.
    pub fn carry(&self, from: &str, nth: usize, to: &str, moves: bool) -> Option<Message> {
        let mut inner = self.inner();
        if from == to || !inner.mailboxes.contains_key(to) {
            return None;
        }
        let source = inner.mailboxes.get_mut(from)?;
        let (&id, kept) = source.messages.iter().nth(nth)?;
        let kept = kept.clone();
        if moves {
            source.messages.remove(&id);
            source.changes += 1;
        }
        let message = kept.message.clone();
        inner.mailboxes.get_mut(to)?.put(kept);
        Some(message)
    }

    /// Renames a mailbox and its inferiors; does nothing where the name is taken. Says whether it did.
    pub fn rename(&self, from: &str, to: &str) -> bool {
        let mut inner = self.inner();
        let below = |name: &str| name == from || name.strip_prefix(from).is_some_and(|rest| rest.starts_with('/'));
        let into_itself = to
            .strip_prefix(from)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !inner.mailboxes.contains_key(from) || into_itself {
            return false;
        }
        let names: Vec<String> = inner.mailboxes.keys().filter(|name| below(name)).cloned().collect();
        let renamed = |name: &str| format!("{to}{}", &name[from.len()..]);
        if names.iter().any(|name| inner.mailboxes.contains_key(&renamed(name))) {
            return false;
        }
        for name in names {
            if let Some(b) = inner.mailboxes.remove(&name) {
                inner.mailboxes.insert(renamed(&name), b);
            }
        }
        true
    }

    /// Swaps two mailboxes without their inferiors.
    pub fn swap(&self, one: &str, other: &str) -> bool {
        let mut inner = self.inner();
        let (Some(a), Some(b)) = (inner.mailboxes.get(one).cloned(), inner.mailboxes.get(other).cloned()) else {
            return false;
        };
        inner.mailboxes.insert(one.into(), b);
        inner.mailboxes.insert(other.into(), a);
        true
    }

    /// The ids mean nothing any more.
    pub fn renew(&self, name: &str) {
        let mut inner = self.inner();
        let validity = inner.count();
        let first = self.first_id(validity);
        if let Some(b) = inner.mailboxes.get_mut(name) {
            b.validity = validity;
            let messages = std::mem::take(&mut b.messages);
            b.messages = messages
                .into_values()
                .enumerate()
                .map(|(at, m)| (first + at as Id, m))
                .collect();
            b.next_id = first + b.messages.len() as Id;
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

    fn is_dark(&self, mailbox: &Mailbox) -> bool {
        self.nature.darkens && Self::name(mailbox) == DARK
    }

    fn object(&self, object: u64) -> Option<ObjectId> {
        self.nature.names_objects.then(|| ObjectId(object.to_string().into()))
    }

    fn identity(&self, b: &Box_) -> Option<MailboxIdentity> {
        let identity = || MailboxIdentity(b.identity.to_string().into());
        self.nature.names_objects.then(identity)
    }

    /// What is listed, and proves nothing.
    fn listed_as(b: &Box_) -> MailboxIdentity {
        MailboxIdentity(format!("v={}", b.validity).into())
    }

    fn status(b: &Box_) -> Status {
        Token(format!("{}:{}", b.validity, b.changes))
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
        let mut inner = self.inner();
        let validities: Vec<_> = inner
            .mailboxes
            .iter()
            .map(|(name, b)| (name.clone(), b.validity))
            .collect();
        for (name, validity) in validities {
            inner.told.entry(name).or_insert(validity);
        }
        let mailboxes = inner.mailboxes.iter().map(|(name, b)| Listed {
            path: MailboxPath::parse(name).unwrap(),
            raw: RawName::new(name),
            roles: (name == BIN).then_some(Role::Trash).into_iter().collect(),
            selectable: true,
            status: Some(Self::status(b)),
            identity: Some(Self::listed_as(b)),
            messages: Some(b.messages.len() as u64),
        });
        Ok(Survey {
            mailboxes: mailboxes.collect(),
            failures: Vec::new(),
        })
    }

    fn names_objects(&self) -> bool {
        self.nature.names_objects
    }

    fn identities(&self, of: &[Mailbox]) -> Result<Vec<(MailboxId, MailboxIdentity)>> {
        self.step()?;
        let inner = self.inner();
        let identity = |mailbox: &Mailbox| {
            let b = inner.mailboxes.get(&Self::name(mailbox))?;
            Some((mailbox.id, self.identity(b)?))
        };
        Ok(of.iter().filter_map(identity).collect())
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
            self.inner().told.insert(Self::name(&question.mailbox), b.validity);
            let next_id = (!self.nature.maildir).then_some(b.next_id);
            news((
                id,
                Seen::Opened {
                    validity: b.validity,
                    next_id,
                    read_only: false,
                    identity: self.identity(&b),
                    listed_as: Some(Self::listed_as(&b)),
                    permanent: None,
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
                .map(|(id, kept)| (*id, kept.message.flags.clone()));
            news((id, Seen::Flags(flags.collect())));
            news((id, Seen::Removed(known.difference(&listed))));
            let token = Self::status(&b);
            news((
                id,
                Seen::Complete(Checkpoint {
                    validity: b.validity,
                    next_id,
                    token,
                }),
            ));
        }
        Ok(())
    }

    fn envelopes(&self, of: &[(Mailbox, IdSet)], depth: Depth, found: &mut dyn FnMut(Envelope)) -> Result<()> {
        for (mailbox, ids) in of {
            self.step()?;
            let Some(b) = self.inner().mailboxes.get(&Self::name(mailbox)).cloned() else {
                continue;
            };
            let dark = self.is_dark(mailbox);
            if dark && !self.nature.maildir && depth > Depth::Look {
                continue;
            }
            for (id, kept) in b.messages.into_iter().filter(|(id, _)| ids.contains(*id)) {
                let (message, object) = (kept.message, self.object(kept.object));
                let identity = digest(&message.body);
                found(Envelope {
                    mailbox: mailbox.id,
                    id,
                    flags: message.flags,
                    date: message.date,
                    size: identity.size,
                    marks: identity.marks,
                    envelope: identity.envelope.filter(|_| depth >= Depth::Key && !dark),
                    header: Some(identity.header).filter(|_| depth >= Depth::Header && !dark),
                    content: Some(identity.content).filter(|_| self.nature.maildir && !dark),
                    object,
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
                let unread = || Failure::message("it cannot be read").retry(Retry::Never);
                let dark = self.is_dark(&job.from).then(unread);
                if let Some(failure) = self.another(&job.from).or(dark) {
                    send(Done::Failed(IdSet::range(id..=id), failure));
                    continue;
                }
                let message = self
                    .inner()
                    .mailboxes
                    .get(&Self::name(&job.from))
                    .and_then(|b| b.messages.get(&id).cloned());
                let Some(Kept { message, object, .. }) = message else {
                    send(Done::Gone(IdSet::range(id..=id)));
                    continue;
                };
                self.inner().transfers += 1;
                let identity = digest(&message.body);
                let head = Head {
                    id,
                    flags: message.flags,
                    date: message.date,
                    size: identity.size,
                    object: self.object(object),
                };
                let mut sink = into.begin(&job, &head)?;
                sink.write_all(&message.body).unwrap();
                let landing = match sink.finish(&identity) {
                    Err(failure) if failure.reach != Reach::Account => {
                        send(Done::Failed(IdSet::range(id..=id), failure));
                        continue;
                    }
                    landing => landing?,
                };
                match landing {
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
        let result = jobs.iter().try_for_each(|job| self.write_one(job, &done));
        if result.is_err() {
            // The rest may be on its way as well.
            for job in &jobs {
                self.send_unanswered(job);
            }
        }
        result
    }

    fn target(&self, appends: SyncSender<WriteJob>) -> Box<dyn Target + '_> {
        Box::new(Queue::new(self, appends))
    }

    fn flush(&self) -> Result<()> {
        self.step()?;
        let mut inner = self.inner();
        inner.undone.clear();
        for (name, id, kept) in std::mem::take(&mut inner.unflushed) {
            if let Some(b) = inner.mailboxes.get_mut(&name) {
                b.messages.insert(id, kept);
                b.changes += 1;
            }
        }
        drop(inner);
        // Killed between the effect and the books.
        self.step()
    }

    fn keeps_flags(&self) -> bool {
        self.nature.maildir
    }

    fn delivered(&self, intents: &[(IntentId, Mailbox)]) -> Result<Vec<Delivered>> {
        self.step()?;
        let inner = self.inner();
        let mut found = Vec::new();
        for (intent, mailbox) in intents.iter().filter(|_| self.nature.maildir) {
            let b = inner.mailboxes.get(&Self::name(mailbox));
            for (&id, kept) in b.iter().flat_map(|b| &b.messages) {
                if let Some((under, source)) = kept.under
                    && under == *intent
                {
                    found.push(Delivered {
                        intent: under,
                        source,
                        id,
                        flags: kept.message.flags.clone(),
                        date: kept.message.date,
                        identity: digest(&kept.message.body),
                    });
                }
            }
        }
        Ok(found)
    }
}
