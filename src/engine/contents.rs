//! Reads messages only to know what they hold.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::sync_channel;

use crate::error::Result;
use crate::model::{Flags, Id, IdSet, Identity, Mailbox, MailboxId};
use crate::pace::Pace;
use crate::store::{Done, Head, IntentId, Landing, ReadJob, Sink, Store, Target, Ticket};

/// What these messages are known by; those that are gone or cannot be read are left out.
pub(super) fn read(
    store: &dyn Store,
    of: Vec<(Mailbox, IdSet)>,
    pace: Pace,
) -> Result<HashMap<(MailboxId, Id), Identity>> {
    if of.is_empty() {
        return Ok(HashMap::new());
    }
    let (jobs, jobs_out) = sync_channel(of.len());
    let answers = of.iter().map(|(_, ids)| ids.len() as usize + 1).sum();
    let mut mailboxes = Vec::new();
    for (mailbox, ids) in of {
        let ticket = Ticket(mailboxes.len() as u64);
        mailboxes.push(mailbox.id);
        let job = ReadJob {
            ticket,
            to: mailbox.clone(),
            from: mailbox,
            ids,
            newest_first: true,
            intent: IntentId(0),
            meet: None,
            max_size: None,
        };
        jobs.send(job).expect("the channel has room for all jobs");
    }
    drop(jobs);
    std::thread::scope(|scope| {
        let (done_in, done) = sync_channel(pace.room(answers, 64));
        let reader = pace.spawn(scope, move || store.read(jobs_out, &Nowhere, done_in));
        let mut found = HashMap::new();
        for answer in done {
            if let Done::Landed { head, identity, .. } = answer.done {
                found.insert((mailboxes[answer.ticket.0 as usize], head.id), identity);
            }
        }
        reader.join().map(|()| found)
    })
}

/// Takes messages and keeps nothing.
struct Nowhere;

impl Target for Nowhere {
    fn begin(&self, _: &ReadJob, _: &Head) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Self))
    }
}

impl io::Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Nowhere {
    fn finish(self: Box<Self>, _: &Identity) -> Result<Landing> {
        Ok(Landing::Here(0, Flags::none()))
    }
}
