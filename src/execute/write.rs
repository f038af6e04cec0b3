//! Hands jobs to both stores at once and books their answers as they come.

use std::sync::mpsc::{SyncSender, sync_channel};

use super::{BATCH, Executor};
use crate::error::Result;
use crate::model::Side;
use crate::pace::{Pace, Worker};
use crate::store::{Done, Outcome, Store, Ticket, WriteJob};

impl Executor<'_> {
    /// Gives each side its jobs and takes in the answers; durable before it returns.
    pub(super) fn write(
        &mut self,
        jobs: [Vec<WriteJob>; 2],
        mut book: impl FnMut(&mut Self, Side, Ticket, Done) -> Result<()>,
    ) -> Result<()> {
        let (pace, stores) = (self.scene.pace, self.scene.stores);
        let answers = jobs.iter().flatten().map(WriteJob::answers).sum();
        let [left, right] = jobs;
        let busy = [!left.is_empty(), !right.is_empty()];
        std::thread::scope(|scope| {
            let (done_in, done) = sync_channel(pace.room(answers, 2 * BATCH));
            let workers: Vec<_> = [(Side::Left, left), (Side::Right, right)]
                .into_iter()
                .filter(|(_, jobs)| !jobs.is_empty())
                .map(|(side, jobs)| {
                    let done_in = done_in.clone();
                    pace.spawn(scope, move || {
                        write_one_side(stores[side as usize], side, jobs, &done_in, pace)
                    })
                })
                .collect();
            drop(done_in);
            let mut booked = Ok(());
            for (side, answer) in &done {
                let answer: Outcome = answer;
                booked = booked.and_then(|()| book(self, side, answer.ticket, answer.done));
            }
            workers.into_iter().map(Worker::join).fold(booked, Result::and)
        })?;
        for side in Side::BOTH.into_iter().filter(|&side| busy[side as usize]) {
            self.scene.stores[side as usize].flush()?;
        }
        self.count_deeds()?;
        self.scene.state.commit()
    }
}

/// Feeds one store and marks its answers with its side.
fn write_one_side(
    store: &dyn Store,
    side: Side,
    jobs: Vec<WriteJob>,
    marked: &SyncSender<(Side, Outcome)>,
    pace: Pace,
) -> Result<()> {
    let answers = jobs.iter().map(WriteJob::answers).sum();
    let (jobs_in, jobs_out) = sync_channel(jobs.len());
    for job in jobs {
        jobs_in.send(job).expect("the channel has room for all jobs");
    }
    drop(jobs_in);
    std::thread::scope(|scope| {
        let (done_in, done) = sync_channel(pace.room(answers, BATCH));
        let writer = pace.spawn(scope, move || store.write(jobs_out, done_in));
        for answer in done {
            if marked.send((side, answer)).is_err() {
                break;
            }
        }
        writer.join()
    })
}
