//! Messages on their way in.

use std::io::{self, Cursor, Write};
use std::sync::Mutex;
use std::sync::mpsc::SyncSender;

use super::{Memory, Message};
use homing::error::Result;
use homing::model::Identity;
use homing::store::{Append, Head, Landing, ReadJob, Sink, Target, WriteJob};

/// Hands every message to the writing side once it is whole; a Maildir delivers it at once.
pub(super) struct Queue {
    store: Memory,
    appends: Mutex<SyncSender<WriteJob>>,
}

impl Queue {
    pub(super) fn new(store: &Memory, appends: SyncSender<WriteJob>) -> Self {
        Self {
            store: store.clone(),
            appends: Mutex::new(appends),
        }
    }
}

impl Target for Queue {
    fn begin(&self, job: &ReadJob, head: &Head) -> Result<Box<dyn Sink>> {
        let appends = self.appends.lock().unwrap().clone();
        Ok(Box::new(Pouring {
            store: self.store.clone(),
            job: job.clone(),
            head: head.clone(),
            body: Vec::new(),
            appends,
        }))
    }
}

/// A message on its way in.
struct Pouring {
    store: Memory,
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
        if self.store.nature.maildir {
            let name = Memory::name(&self.job.to);
            let flags = self.head.flags.clone();
            let message = Message {
                flags: flags.clone(),
                date: self.head.date,
                body: self.body,
            };
            let under = Some((self.job.intent, self.head.id));
            let id = self.store.deliver(&name, message, under)?;
            return Ok(Landing::Here(id, flags));
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
