//! Workers: a thread for each connection, as many as the work is worth, fed from one queue.

use std::collections::VecDeque;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::counters::Counters;
use super::pool::Account;
use crate::error::{Failure, Kind, Result};

/// So much waiting work for each connection makes another one worth its login.
const WORTH: u64 = 250;
/// The caller is asked for no more work while so much waits.
const ENOUGH: u64 = 4 * WORTH;
/// So long it is watched how many that are.
const WATCH: Duration = Duration::from_millis(500);
/// How long a wait lasts before it looks around.
const GLANCE: Duration = Duration::from_millis(100);

/// A piece of work for a connection.
pub(super) trait Task: Send {
    /// About how many messages it is.
    fn weight(&self) -> u64;

    /// Of these, a connection has so many in flight that another one is worth it only where the server is slow: where it
    /// does fewer of them each second than this. A faster one only gets in its own way.
    fn flows(&self) -> Option<u64> {
        None
    }
}

/// Work that waits.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    counters: Arc<Counters>,
}

struct State<T> {
    tasks: VecDeque<T>,
    /// Tasks that came, ever.
    came: u64,
    weight: u64,
    /// No more work will come.
    closed: bool,
    /// Nobody wants the answers any more.
    abandoned: bool,
    workers: usize,
    /// When a worker was last hired.
    hired: Instant,
    /// Tasks taken since.
    taken: u64,
}

impl<T: Task> Queue<T> {
    fn new(account: &Account) -> Self {
        Self {
            counters: Arc::clone(&account.counters),
            state: Mutex::new(State {
                tasks: VecDeque::new(),
                came: 0,
                weight: 0,
                closed: false,
                abandoned: false,
                workers: 0,
                hired: Instant::now(),
                taken: 0,
            }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, task: T) {
        let mut state = self.state();
        state.came += 1;
        state.weight += task.weight();
        state.tasks.push_back(task);
        self.changed.notify_all();
    }

    /// Gives a task back that could not be done here.
    pub(super) fn put_back(&self, task: T) {
        let mut state = self.state();
        state.weight += task.weight();
        state.tasks.push_front(task);
        self.changed.notify_all();
    }

    /// The next task that `suits`, if one waits.
    pub(super) fn try_take(&self, suits: impl Fn(&T) -> bool) -> Option<T> {
        let mut state = self.state();
        if state.abandoned || self.is_used_up() {
            return None;
        }
        let at = state.tasks.iter().position(suits)?;
        let task = state.tasks.remove(at)?;
        state.weight -= task.weight().min(state.weight);
        state.taken += 1;
        self.changed.notify_all();
        Some(task)
    }

    /// How many tasks wait that `weigh` gives something for, and how much that is in all.
    pub(super) fn waiting(&self, weigh: impl Fn(&T) -> Option<u64>) -> (usize, u64) {
        let state = self.state();
        let sizes = state.tasks.iter().filter_map(weigh);
        sizes.fold((0, 0), |(count, sum), size| (count + 1, sum + size))
    }

    /// Waits until another task comes; false: none came before the deadline, or none will, since all came or no more fit.
    pub(super) fn grows_before(&self, deadline: Instant) -> bool {
        let mut state = self.state();
        let came = state.came;
        while state.came == came {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.closed || state.abandoned || state.weight >= ENOUGH {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// The next task; waits for one, and `None` means that none will come.
    pub(super) fn take(&self) -> Option<T> {
        loop {
            if let Some(task) = self.try_take(|_| true) {
                return Some(task);
            }
            let state = self.state();
            if state.abandoned || self.is_used_up() || (state.closed && state.tasks.is_empty()) {
                return None;
            }
            if state.tasks.is_empty() {
                drop(self.changed.wait_timeout(state, GLANCE));
            }
        }
    }

    /// Nobody wants the answers any more: workers find no more work.
    pub(super) fn abandon(&self) {
        self.state().abandoned = true;
        self.changed.notify_all();
    }

    fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// Nothing that waits will be done.
    fn is_over(&self) -> bool {
        let state = self.state();
        state.abandoned || (self.is_used_up() && !state.tasks.is_empty())
    }

    /// The account bears no more today: what is under way is finished, and nothing is begun.
    fn is_used_up(&self) -> bool {
        self.counters.meter.is_used_up()
    }

    /// Why work that was there was not begun.
    fn refusal(&self) -> Option<Failure> {
        let left = !self.state().tasks.is_empty();
        (left && self.is_used_up()).then(|| self.counters.meter.refusal())
    }

    /// Waits until there is room for more; workers that are gone make none.
    fn wait_for_room(&self) {
        let mut state = self.state();
        while state.weight >= ENOUGH && state.workers > 0 && !state.abandoned {
            state = self
                .changed
                .wait_timeout(state, GLANCE)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Counts one more worker in if the work is worth it.
    fn hires(&self, limit: usize) -> bool {
        let mut state = self.state();
        let worth = !state.tasks.is_empty() && (state.workers == 0 || state.weight >= WORTH * state.workers as u64);
        let pace = state.tasks.front().and_then(T::flows).filter(|_| state.workers > 0);
        let is_fast = pace.is_some_and(|pace| is_fast(state.hired.elapsed(), state.taken, pace));
        let wanted = worth && !is_fast;
        let hires = wanted && state.workers < limit && !state.abandoned && !self.is_used_up();
        if hires {
            state.workers += 1;
            state.hired = Instant::now();
            state.taken = 0;
        }
        hires
    }

    /// Nothing waits for a worker, or nobody works on it any more.
    fn is_spread(&self) -> bool {
        let state = self.state();
        state.tasks.is_empty() || state.workers == 0
    }

    /// Counts a worker out; true: it was the last.
    fn leaves(&self) -> bool {
        let mut state = self.state();
        state.workers -= 1;
        self.changed.notify_all();
        state.workers == 0
    }
}

/// Whether so many tasks in that time are as fast as so many a second; as long as that cannot be told, they are.
fn is_fast(watched: Duration, taken: u64, pace: u64) -> bool {
    watched < WATCH || u128::from(taken) * 1000 >= u128::from(pace) * watched.as_millis()
}

/// Hands out work as it comes: `next` gives `None` when there is no more, and may give nothing for now.
///
/// A worker that fails leaves; the failure of the last one is the account's.
pub(super) fn serve<T: Task>(
    account: &Account,
    mut next: impl FnMut() -> Option<Vec<T>>,
    worker: impl Fn(&Queue<T>) -> Result<()> + Sync,
) -> Result<()> {
    let queue = Queue::new(account);
    let fatal = Mutex::new(None);
    let work = || run(account, &queue, &worker, &fatal);
    std::thread::scope(|scope| {
        loop {
            queue.wait_for_room();
            let Some(tasks) = next() else { break };
            for task in tasks {
                queue.put(task);
            }
            if queue.is_over() {
                break;
            }
            while queue.hires(account.limit()) {
                scope.spawn(work);
            }
        }
        queue.close();
    });
    end(&queue, fatal)
}

/// Hands out work that is all known, and each answer to `each` on the calling thread.
pub(super) fn spread<T: Task, A: Send>(
    account: &Account,
    tasks: Vec<T>,
    worker: impl Fn(&Queue<T>, &SyncSender<A>) -> Result<()> + Sync,
    each: &mut dyn FnMut(A),
) -> Result<()> {
    let queue = Queue::new(account);
    let fatal = Mutex::new(None);
    for task in tasks {
        queue.put(task);
    }
    queue.close();
    let (answers, inbox) = mpsc::sync_channel(64);
    std::thread::scope(|scope| {
        let mut answers = Some(answers);
        loop {
            while let Some(answers) = answers.as_ref().filter(|_| queue.hires(account.limit())) {
                let (answers, queue, worker, fatal) = (answers.clone(), &queue, &worker, &fatal);
                scope.spawn(move || run(account, queue, &|queue: &Queue<T>| worker(queue, &answers), fatal));
            }
            answers = answers.filter(|_| !queue.is_spread());
            match inbox.recv_timeout(GLANCE) {
                Ok(answer) => each(answer),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    });
    end(&queue, fatal)
}

fn end<T: Task>(queue: &Queue<T>, fatal: Mutex<Option<Failure>>) -> Result<()> {
    let fatal = fatal.into_inner().unwrap_or_else(PoisonError::into_inner);
    fatal.or_else(|| queue.refusal()).map_or(Ok(()), Err)
}

fn run<T: Task>(
    account: &Account,
    queue: &Queue<T>,
    worker: &(impl Fn(&Queue<T>) -> Result<()> + Sync),
    fatal: &Mutex<Option<Failure>>,
) {
    let outcome = worker(queue);
    let last = queue.leaves();
    let Err(failure) = outcome else { return };
    if !last && matches!(failure.kind, Kind::Temporary | Kind::Login) {
        // The others take over. The server may not want so many of us: some say so by refusing a login that worked before.
        account.lower_limit(account.limit() - 1);
        return;
    }
    *fatal.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    queue.abandon();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_server_is_left_to_one_connection() {
        for (milliseconds, taken, fast) in [
            (0, 0, true),
            (499, 0, true),
            (500, 124, false),
            (500, 125, true),
            (4000, 999, false),
            (4000, 1000, true),
        ] {
            let watched = Duration::from_millis(milliseconds);
            assert_eq!(is_fast(watched, taken, 250), fast, "{taken} in {milliseconds} ms");
        }
    }
}
