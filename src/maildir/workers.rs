//! Threads that share work.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use crate::error::{Failure, Kind, Result};
use crate::store::{Done, Outcome, Stop, Ticket};

/// How soon a waiting worker notices that it should stop.
const NOTICE: Duration = Duration::from_millis(50);

/// How many threads work on one Maildir at a time.
pub(super) fn count() -> usize {
    thread::available_parallelism().map_or(2, usize::from).clamp(2, 8)
}

/// Hands each job to one of several threads, until there are no more, one fails, or a stop is asked for. A job is taken
/// only by a thread that is free for it.
pub(super) fn pull<J: Send>(jobs: Receiver<J>, stop: &Stop, work: impl Fn(J) -> Result<()> + Sync) -> Result<()> {
    let jobs = Mutex::new(jobs);
    let failed = AtomicBool::new(false);
    let next = || {
        let jobs = jobs.lock().expect("no panic while held");
        while !stop.load(Ordering::Relaxed) && !failed.load(Ordering::Relaxed) {
            match jobs.recv_timeout(NOTICE) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        None
    };
    let one = || -> Result<()> {
        while let Some(job) = next() {
            work(job).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..count()).map(|_| scope.spawn(one)).collect();
        let ends: Vec<_> = workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker does not panic"))
            .collect();
        ends.into_iter().collect()
    })
}

/// Does something with each item, `threads` at a time; returns when all are done.
///
/// Each call has its own pool: the work waits on the disk and on channels, and in a pool for all, threads that wait for one
/// account's caller would never get to the work that another's waits for. Without a pool (no more threads are to be had)
/// this thread does it all.
pub(super) fn each<T: Sync>(items: &[T], threads: usize, work: impl Fn(&T) + Sync) {
    let threads = threads.min(items.len());
    let pool = (threads > 1).then(|| ThreadPoolBuilder::new().num_threads(threads).build());
    match pool {
        Some(Ok(pool)) => pool.install(|| items.par_iter().with_max_len(1).for_each(&work)),
        _ => items.iter().for_each(work),
    }
}

/// Where the answers to one job go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answers<'a> {
    pub(super) ticket: Ticket,
    pub(super) done: &'a SyncSender<Outcome>,
}

impl Answers<'_> {
    /// Fails when nobody takes answers any more, which ends the work.
    pub(super) fn tell(&self, done: Done) -> Result<()> {
        let outcome = Outcome {
            ticket: self.ticket,
            done,
        };
        self.done
            .send(outcome)
            .map_err(|_| Failure::account(Kind::Temporary, "stopped"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn a_failure_ends_all_workers_though_jobs_may_still_come() {
        let (send, jobs) = sync_channel(10);
        send.send(1).unwrap();
        let end = pull(jobs, &Stop::default(), |_| Err(Failure::message("no")));
        assert_eq!(end.unwrap_err().what, "no");
        assert!(send.send(2).is_err(), "the queue is closed");
    }

    #[test]
    fn each_item_once() {
        let sum = AtomicUsize::new(0);
        each(&(1..=100).collect::<Vec<usize>>(), 7, |n| {
            sum.fetch_add(*n, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 5050);
        each(&[] as &[usize], 7, |_| panic!("there is none"));
    }
}
