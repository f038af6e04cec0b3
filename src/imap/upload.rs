//! A message on its way to the server.

use std::io::{Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use super::command::{Command, SharedBody};
use super::date;
use super::pool::{Account, Holds};
use super::write::Answers;
use crate::error::{Failure, Reach, Retry};
use crate::model::{Flags, Id, IdSet, Identity, Keyword, Mailbox};
use crate::store::{Append, Done, Head, Ticket};

/// A message to send.
pub(super) struct Upload {
    ticket: Ticket,
    pub(super) head: Head,
    pub(super) to: Mailbox,
    pub(super) identity: Identity,
    body: SharedBody,
    pub(super) attempts: u32,
    /// It was refused as bad in company: now it goes alone, and waits for the server's go-ahead (HAZARDS 1, 3).
    pub(super) alone: bool,
    /// It was refused with keywords: now it goes without, since one bad flag refuses the whole message (HAZARDS 14).
    pub(super) plain: bool,
    /// The flags that went out with it.
    pub(super) given: Flags,
}

impl Upload {
    pub(super) fn new(append: Append) -> Self {
        Self {
            ticket: append.ticket,
            head: append.head,
            to: append.to,
            identity: append.identity,
            body: Arc::new(Mutex::new(append.body)),
            attempts: 0,
            alone: false,
            plain: false,
            given: Flags::none(),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.identity.size
    }

    pub(super) fn failed(self, failure: Failure, answers: &Answers) {
        let id = self.head.id;
        answers.send(self.ticket, Done::Failed(IdSet::range(id..=id), failure));
    }

    pub(super) fn unknown(self, failure: &Failure, answers: &Answers) {
        let id = self.head.id;
        let failure = failure.hits(Reach::Message).retry(Retry::Now);
        answers.send(self.ticket, Done::Unknown(IdSet::range(id..=id), failure));
    }

    pub(super) fn landed(self, id: Option<Id>, account: &Account, answers: &Answers) {
        let validity = id.and_then(|_| account.memory().told(&self.to.raw));
        let done = Done::Landed {
            head: self.head,
            identity: self.identity,
            id,
            validity,
            flags: self.given,
        };
        answers.send(self.ticket, done);
    }

    /// Adds it to an APPEND (RFC 9051 §6.3.12), in a closed grammar (HAZARDS 1): flags that the mailbox listed, a date that
    /// we formatted. A keyword that is new to the mailbox waits for the go-ahead.
    pub(super) fn add_to(&mut self, mut command: Command, holds: Option<&Holds>) -> Command {
        self.given = self.flags(holds);
        if !self.given.is_empty() {
            command = command.flags(&self.given);
        }
        let command = command
            .words(format_args!("\"{}\"", date::format(self.head.date)))
            .body(Arc::clone(&self.body), self.identity.size);
        if self.needs_go_ahead(holds) {
            command.careful()
        } else {
            command
        }
    }

    /// Whether the server is asked before the message is sent.
    pub(super) fn needs_go_ahead(&self, holds: Option<&Holds>) -> bool {
        let is_listed = |keyword: &Keyword| holds.is_some_and(|holds| holds.listed.has(keyword));
        self.alone || !self.flags(holds).keywords().iter().all(is_listed)
    }

    /// Those of its flags that the mailbox can hold.
    fn flags(&self, holds: Option<&Holds>) -> Flags {
        let flags = &self.head.flags;
        match holds {
            Some(holds) if !self.plain => holds.permanent.filter(flags),
            Some(holds) => Flags::new(holds.permanent.filter(flags).system, []),
            // Nothing is known of the mailbox; every one holds the system flags.
            None => Flags::new(flags.system, []),
        }
    }

    /// Leaves the keywords behind from now on; false when there were none.
    pub(super) fn goes_plain(&mut self) -> bool {
        let had = !self.given.keywords().is_empty();
        self.plain |= had;
        had
    }

    pub(super) fn rewind(&self) -> std::io::Result<u64> {
        self.body
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .seek(SeekFrom::Start(0))
    }
}
