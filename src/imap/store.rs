//! The contract, word by word; the work is done next door.

use std::sync::mpsc::{Receiver, SyncSender};

use super::{Imap, changes, envelopes, fetch, identities, quiet, survey, write};
use crate::error::Result;
use crate::model::{
    Checkpoint, Envelope, IdSet, Mailbox, MailboxId, MailboxIdentity, News, Permanent, Since, Status, Survey,
};
use crate::spool::SpoolTarget;
use crate::store::{Delivered, Depth, IntentId, Outcome, ReadJob, Source, Store, Target, Wire, WriteJob};

impl Source for Imap {
    fn survey(&self) -> Result<Survey> {
        survey::survey(&self.account)
    }

    fn untouched(&self, status: &Status, checkpoint: &Checkpoint) -> bool {
        survey::untouched(status, checkpoint)
    }

    fn changes(&self, since: &[Since], news: &mut dyn FnMut(News)) -> Result<()> {
        changes::changes(&self.account, since, news)
    }

    fn identities(&self, of: &[Mailbox]) -> Result<Vec<(MailboxId, MailboxIdentity)>> {
        identities::identities(&self.account, of)
    }

    fn envelopes(&self, of: &[(Mailbox, IdSet)], depth: Depth, found: &mut dyn FnMut(Envelope)) -> Result<()> {
        envelopes::envelopes(&self.account, of, depth, found)
    }

    fn read(&self, jobs: Receiver<ReadJob>, into: &dyn Target, done: SyncSender<Outcome>) -> Result<()> {
        fetch::read(&self.account, &jobs, into, &done)
    }

    fn names_objects(&self) -> bool {
        self.account.memory().objects
    }

    fn wire(&self) -> Wire {
        self.account.counters.sum()
    }
}

impl Store for Imap {
    fn write(&self, jobs: Receiver<WriteJob>, done: SyncSender<Outcome>) -> Result<()> {
        write::write(&self.account, &jobs, &done)
    }

    fn target(&self, appends: SyncSender<WriteJob>) -> Box<dyn Target + '_> {
        Box::new(SpoolTarget::new(appends))
    }

    fn flush(&self) -> Result<()> {
        // What a server answered as done, it keeps.
        Ok(())
    }

    fn keeps_flags(&self) -> bool {
        false
    }

    fn permanent(&self, mailbox: &Mailbox) -> Option<Permanent> {
        let memory = self.account.memory();
        memory.permanent.get(&mailbox.raw).map(|holds| holds.permanent.clone())
    }

    fn delivered(&self, _intents: &[(IntentId, Mailbox)]) -> Result<Vec<Delivered>> {
        Ok(Vec::new())
    }

    fn calm_down(&self) -> Result<()> {
        quiet::wait(&self.account)
    }
}
