//! A source where the engine asks for a store: whatever would change it is refused.

use std::sync::mpsc::{Receiver, SyncSender};

use crate::error::{Failure, Kind, Result};
use crate::model::{Checkpoint, Envelope, IdSet, Mailbox, News, Since, Status, Survey};
use crate::store::{
    Delivered, Depth, Done, Head, IntentId, Outcome, ReadJob, Sink, Source, Store, Target, Ticket, WriteJob,
};

/// A source that is only read.
pub struct OnlyRead<S>(pub S);

impl<S: Source> Source for OnlyRead<S> {
    fn survey(&self) -> Result<Survey> {
        self.0.survey()
    }

    fn untouched(&self, status: &Status, checkpoint: &Checkpoint) -> bool {
        self.0.untouched(status, checkpoint)
    }

    fn changes(&self, since: &[Since], news: &mut dyn FnMut(News)) -> Result<()> {
        self.0.changes(since, news)
    }

    fn envelopes(&self, of: &[(Mailbox, IdSet)], depth: Depth, found: &mut dyn FnMut(Envelope)) -> Result<()> {
        self.0.envelopes(of, depth, found)
    }

    fn read(&self, jobs: Receiver<ReadJob>, into: &dyn Target, done: SyncSender<Outcome>) -> Result<()> {
        self.0.read(jobs, into, done)
    }
}

impl<S: Source> Store for OnlyRead<S> {
    fn write(&self, jobs: Receiver<WriteJob>, done: SyncSender<Outcome>) -> Result<()> {
        for job in jobs {
            tell(&done, job.ticket(), Done::Failed(IdSet::new(), refused()))?;
            tell(&done, job.ticket(), Done::Finished)?;
        }
        Ok(())
    }

    fn target(&self, _: SyncSender<WriteJob>) -> Box<dyn Target + '_> {
        Box::new(Closed)
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn keeps_flags(&self) -> bool {
        true
    }

    fn delivered(&self, _: &[(IntentId, Mailbox)]) -> Result<Vec<Delivered>> {
        Ok(Vec::new())
    }
}

/// Takes nothing.
struct Closed;

impl Target for Closed {
    fn begin(&self, _: &ReadJob, _: &Head) -> Result<Box<dyn Sink>> {
        Err(refused())
    }
}

fn refused() -> Failure {
    Failure::mailbox("the mail comes from here; nothing is written")
}

/// Answers a job.
pub fn tell(done: &SyncSender<Outcome>, ticket: Ticket, answer: Done) -> Result<()> {
    done.send(Outcome { ticket, done: answer })
        .map_err(|_| Failure::account(Kind::Temporary, "stopped"))
}
