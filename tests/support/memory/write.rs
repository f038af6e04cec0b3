//! What homing does to a store.

use std::io::Read as _;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use homing::error::{Failure, Kind, Reach, Result, Retry};
use homing::model::{Flags, Id, IdSet, Known, Mailbox, RawName};
use homing::store::{Append, Done, IntentId, Outcome, Ticket, WriteJob};

use super::disk::Undone;
use super::{Box_, HUGE, Kept, Late, Memory, Message, Nature, SHARED, digest};

fn send(done: &SyncSender<Outcome>, ticket: Ticket, what: Done) {
    drop(done.send(Outcome { ticket, done: what }));
}

fn one(id: Id) -> IdSet {
    IdSet::range(id..=id)
}

/// As a server says it of a mailbox that may only be read.
fn closed(reach: Reach) -> Failure {
    let what = "the mailbox may only be read";
    Failure {
        reach,
        kind: Kind::ReadOnly,
        ..Failure::mailbox(what).after(Duration::from_secs(3600))
    }
}

/// What is at the place of a message that was meant.
enum There {
    It,
    Nothing,
    AnotherOne,
}

impl Memory {
    /// Under the name is not the mailbox whose ids homing knows: nothing is done in it.
    pub(super) fn another(&self, mailbox: &Mailbox) -> Option<Failure> {
        // A Maildir finds no file of that name in it.
        let as_told = self.nature.maildir || self.inner().is_as_told(&Self::name(mailbox));
        let failure = || Failure::mailbox("it is another mailbox by now").retry(Retry::Now);
        (!as_told).then(failure)
    }

    pub(super) fn write_one(&self, job: WriteJob, done: &SyncSender<Outcome>) -> Result<()> {
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
                    if self.is_closed(&mailbox) {
                        send(done, ticket, Done::Failed(one(id), closed(Reach::Mailbox)));
                        continue;
                    }
                    send(done, ticket, self.flag_one(&mailbox, id, &add, &remove));
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
                    if self.is_closed(&mailbox) {
                        send(done, ticket, Done::Failed(one(known.id), closed(Reach::Mailbox)));
                        continue;
                    }
                    send(done, ticket, self.remove_one(&mailbox, &known));
                }
                ticket
            }
            WriteJob::Move {
                ticket,
                mailbox,
                messages,
                to,
            } => {
                for known in messages {
                    send(done, ticket, self.move_one(&mailbox, &known, &to)?);
                }
                ticket
            }
            WriteJob::Copy {
                ticket,
                mailbox,
                messages,
                to,
            } => {
                for known in messages {
                    send(done, ticket, self.copy_one(&mailbox, &known, &to)?);
                }
                ticket
            }
            WriteJob::Create { ticket, path, .. } => {
                self.step()?;
                self.inner().writes += 1;
                self.create(&path.to_string());
                send(done, ticket, self.created(&path.to_string()));
                ticket
            }
            WriteJob::Rename { ticket, mailbox, to } => {
                self.step()?;
                send(done, ticket, self.rename_one(&mailbox, &to.to_string()));
                ticket
            }
            WriteJob::Delete { ticket, mailbox } => {
                self.step()?;
                send(done, ticket, self.delete_one(&mailbox));
                ticket
            }
        };
        // Killed between the effect and the end of the answer.
        self.step()?;
        send(done, ticket, Done::Finished);
        Ok(())
    }

    /// A job that was sent when the client died.
    pub(super) fn send_unanswered(&self, job: WriteJob) {
        if self.nature.maildir {
            return;
        }
        let late: Vec<Late> = match job {
            WriteJob::Append(append) => {
                let name = Self::name(&append.to);
                vec![Late::Append(name, message_of(append))]
            }
            WriteJob::Copy {
                mailbox, messages, to, ..
            } => {
                let (from, to) = (Self::name(&mailbox), Self::name(&to));
                let ids = messages.iter().map(|known| known.id);
                ids.map(|id| Late::Copy(from.clone(), id, to.clone())).collect()
            }
            _ => Vec::new(),
        };
        self.inner().late.extend(late);
    }

    /// Puts a message in, as homing does; on a Maildir-like store it is safe only after the flush.
    pub(super) fn deliver(&self, name: &str, message: Message, under: Option<(IntentId, Id)>) -> Result<Id> {
        if let Err(killed) = self.step() {
            if !self.nature.maildir {
                self.inner().late.push(Late::Append(name.into(), message));
            }
            return Err(killed);
        }
        let mut inner = self.inner();
        inner.writes += 1;
        if self.nature.closes && name == SHARED {
            return Err(closed(Reach::Mailbox));
        }
        if self.nature.refuses(&message) {
            return Err(Failure::message("it is larger than the server's limit").retry(Retry::Never));
        }
        let object = inner.count();
        let message = self.nature.takes(message);
        let kept = Kept { message, object, under };
        let missing = || Failure::mailbox("no such mailbox");
        let b = inner.mailboxes.get_mut(name).ok_or_else(missing)?;
        if self.nature.maildir {
            let id = b.next_id;
            b.next_id += 1;
            inner.unflushed.push((name.into(), id, kept));
            Ok(id)
        } else {
            Ok(b.take_in(kept, self.nature.merges))
        }
    }

    fn append(&self, append: Append, done: &SyncSender<Outcome>) -> Result<()> {
        let name = Self::name(&append.to);
        let (ticket, head, identity) = (append.ticket, append.head.clone(), append.identity.clone());
        let id = match self.deliver(&name, message_of(append), None) {
            Err(failure) if failure.reach != Reach::Account => {
                send(done, ticket, Done::Failed(one(head.id), failure));
                return Ok(());
            }
            id => id?,
        };
        // Killed between the effect and the answer.
        self.step()?;
        let flags = head.flags.clone();
        let validity = self.inner().mailboxes.get(&name).map(|b| b.validity);
        let landed = Done::Landed {
            head,
            identity,
            id: self.nature.tells_ids.then_some(id),
            validity: validity.filter(|_| self.nature.tells_ids),
            flags,
        };
        send(done, ticket, landed);
        Ok(())
    }

    fn is_closed(&self, mailbox: &Mailbox) -> bool {
        self.nature.closes && Self::name(mailbox) == SHARED
    }

    /// What a mailbox just made is known by.
    fn created(&self, name: &str) -> Done {
        let mut inner = self.inner();
        let made = inner.mailboxes.get(name).cloned();
        if let Some(made) = &made {
            inner.told.insert(name.into(), made.validity);
        }
        Done::Created {
            raw: RawName::new(name),
            validity: made.as_ref().map(|b| b.validity),
            identity: made.as_ref().map(Self::listed_as),
        }
    }

    fn flag_one(&self, mailbox: &Mailbox, id: Id, add: &Flags, remove: &Flags) -> Done {
        self.inner().writes += u64::from(!(add.is_empty() && remove.is_empty()));
        if let Some(failure) = self.another(mailbox) {
            return Done::Failed(one(id), failure);
        }
        let name = Self::name(mailbox);
        let seen = self.with(&name, |b| {
            let message = &mut b.messages.get_mut(&id)?.message;
            let now = self.nature.keeps(message.flags.union(add).minus(remove));
            Some((std::mem::replace(&mut message.flags, now.clone()), now))
        });
        let Some((before, now)) = seen.flatten() else {
            return Done::Gone(one(id));
        };
        if before != now {
            self.can_be_lost(Undone::Flags(name, id, before));
        }
        Done::Flags(vec![(id, now)])
    }

    fn there(&self, mailbox: &Mailbox, known: &Known) -> There {
        let inner = self.inner();
        let b = inner.mailboxes.get(&Self::name(mailbox));
        match b.and_then(|b| b.messages.get(&known.id)) {
            None => There::Nothing,
            Some(kept) => {
                let is = digest(&kept.message.body);
                // A server is only asked for the size; what it holds need not be what it was sent.
                let same = if self.nature.maildir {
                    known.content.is_none_or(|content| content == is.content)
                } else {
                    known.size.is_none_or(|size| size == is.size)
                };
                if same { There::It } else { There::AnotherOne }
            }
        }
    }

    fn remove_one(&self, mailbox: &Mailbox, known: &Known) -> Done {
        self.inner().writes += 1;
        if let Some(failure) = self.another(mailbox) {
            return Done::Failed(one(known.id), failure);
        }
        if matches!(self.there(mailbox, known), There::AnotherOne) {
            return Done::Differs(one(known.id));
        }
        let name = Self::name(mailbox);
        if let Some(kept) = self.with(&name, |b| b.messages.remove(&known.id)).flatten() {
            self.can_be_lost(Undone::Removed(name, known.id, kept));
            return Done::Removed(one(known.id));
        }
        Done::Gone(one(known.id))
    }

    /// A server without MOVE copies first; it can be stopped in between.
    fn move_one(&self, mailbox: &Mailbox, known: &Known, to: &Mailbox) -> Result<Done> {
        self.step()?;
        for (place, reach) in [(mailbox, Reach::Mailbox), (to, Reach::Message)] {
            if self.is_closed(place) {
                return Ok(Done::Failed(one(known.id), closed(reach)));
            }
        }
        if let Some(failure) = self.another(mailbox) {
            return Ok(Done::Failed(one(known.id), failure));
        }
        match self.there(mailbox, known) {
            There::Nothing => return Ok(Done::Gone(one(known.id))),
            There::AnotherOne => return Ok(Done::Differs(one(known.id))),
            There::It => {}
        }
        let selected = self.inner().mailboxes.get(&Self::name(mailbox)).map(|b| b.validity);
        let Some(new) = self.copy_kept(mailbox, known.id, to) else {
            return Ok(Done::Failed(one(known.id), Failure::mailbox("no such mailbox")));
        };
        if !self.nature.moves_at_once {
            self.step()?;
        }
        // What is open stays open, whatever it is called by now.
        let is_selected = |(name, b): (&String, &Box_)| (Some(b.validity) == selected).then(|| name.clone());
        let from = self.inner().mailboxes.iter().find_map(is_selected);
        let from = from.unwrap_or_else(|| Self::name(mailbox));
        self.with(&from, |b| b.messages.remove(&known.id));
        self.can_be_lost(Undone::Moved((from, known.id), (Self::name(to), new)));
        // Killed between the effect and the answer.
        self.step()?;
        Ok(Done::Moved(vec![(known.id, self.told_id(to, new))]))
    }

    fn copy_one(&self, mailbox: &Mailbox, known: &Known, to: &Mailbox) -> Result<Done> {
        if let Err(killed) = self.step() {
            if !self.nature.maildir {
                let late = Late::Copy(Self::name(mailbox), known.id, Self::name(to));
                self.inner().late.push(late);
            }
            return Err(killed);
        }
        if self.is_closed(to) {
            return Ok(Done::Failed(one(known.id), closed(Reach::Message)));
        }
        if let Some(failure) = self.another(mailbox) {
            return Ok(Done::Failed(one(known.id), failure));
        }
        match self.there(mailbox, known) {
            There::Nothing => return Ok(Done::Gone(one(known.id))),
            There::AnotherOne => return Ok(Done::Differs(one(known.id))),
            There::It => {}
        }
        let Some(new) = self.copy_kept(mailbox, known.id, to) else {
            return Ok(Done::Failed(one(known.id), Failure::mailbox("no such mailbox")));
        };
        self.step()?;
        Ok(Done::Copied(vec![(known.id, self.told_id(to, new))]))
    }

    /// An id that is told under another validity is ignored (HAZARDS 7).
    fn told_id(&self, to: &Mailbox, id: Id) -> Option<Id> {
        let told = self.nature.tells_ids && self.inner().is_as_told(&Self::name(to));
        told.then_some(id)
    }

    fn copy_kept(&self, mailbox: &Mailbox, id: Id, to: &Mailbox) -> Option<Id> {
        let mut inner = self.inner();
        inner.writes += 1;
        let kept = inner.mailboxes.get(&Self::name(mailbox))?.messages.get(&id)?.clone();
        let to = inner.mailboxes.get_mut(&Self::name(to))?;
        Some(to.take_in(kept, self.nature.merges))
    }

    fn rename_one(&self, mailbox: &Mailbox, to: &str) -> Done {
        self.inner().writes += 1;
        if self.rename(&Self::name(mailbox), to) {
            self.inner().told_of_rename(&Self::name(mailbox), to);
            Done::Renamed { raw: RawName::new(to) }
        } else {
            Done::Failed(IdSet::new(), Failure::mailbox("no such mailbox, or the name is taken"))
        }
    }

    fn delete_one(&self, mailbox: &Mailbox) -> Done {
        let name = Self::name(mailbox);
        let empty = self.inner().mailboxes.get(&name).is_none_or(|b| b.messages.is_empty());
        if empty {
            self.inner().writes += 1;
            self.delete(&name);
            Done::Deleted
        } else {
            Done::Failed(IdSet::new(), Failure::mailbox("not empty"))
        }
    }
}

impl Nature {
    /// Whether it takes that message at all.
    pub(super) fn refuses(self, message: &Message) -> bool {
        self.has_a_limit && message.body.windows(HUGE.len()).any(|part| part == HUGE.as_bytes())
    }

    /// What becomes of a message that it is given.
    pub(super) fn takes(self, mut message: Message) -> Message {
        if self.rewrites {
            message.body.splice(0..0, *b"X-Kept-By: a server\r\n");
        }
        message.flags = self.keeps(message.flags);
        message
    }

    fn keeps(self, flags: Flags) -> Flags {
        if self.drops_keywords {
            Flags::new(flags.system, [])
        } else {
            flags
        }
    }
}

fn message_of(mut append: Append) -> Message {
    let mut body = Vec::new();
    append.body.read_to_end(&mut body).unwrap();
    Message {
        flags: append.head.flags,
        date: append.head.date,
        body,
    }
}
