//! Tries a law on many histories, and says how to repeat the one that breaks it.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use crate::memory::world::{Run, TELLING, World, told};

pub(crate) type Check = Result<(), TestCaseError>;

/// What all laws together came to.
static HISTORIES: AtomicU64 = AtomicU64::new(0);
static RUNS: AtomicU64 = AtomicU64::new(0);
static STOPPED: AtomicU64 = AtomicU64::new(0);
static FINISHED: AtomicU64 = AtomicU64::new(0);

/// Runs the engine once, and counts it.
pub(crate) fn run(world: &World, how: Run) -> Result<crate::memory::world::Ended, TestCaseError> {
    let ended = world
        .run(how)
        .map_err(|failure| TestCaseError::fail(failure.to_string()))?;
    RUNS.fetch_add(1, Relaxed);
    STOPPED.fetch_add(u64::from(ended.killed), Relaxed);
    Ok(ended)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Past the capture of passed tests: what was tried is to be seen each time.
pub(crate) fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "laws: {line}"));
}

/// Tries a law of the whole engine on so many histories.
pub(crate) fn try_law<S: Strategy>(test: &str, cases: u64, strategy: &S, law: impl Fn(&S::Value) -> Check)
where
    S::Value: Clone,
{
    HISTORIES.fetch_add(tries(test, cases, "histories", strategy, law), Relaxed);
}

/// Tries a law so many times, each with a seed of its own (`HOMING_SEED` the first, `HOMING_CASES` how many), or for some
/// seconds (`HOMING_SECONDS`). Gives how often.
pub(crate) fn tries<S: Strategy>(
    test: &str,
    cases: u64,
    of_what: &str,
    strategy: &S,
    law: impl Fn(&S::Value) -> Check,
) -> u64
where
    S::Value: Clone,
{
    let cases = number("HOMING_CASES").unwrap_or(cases);
    let first = number("HOMING_SEED").unwrap_or(1);
    let seconds = number("HOMING_SECONDS").map(Duration::from_secs);
    let begun = Instant::now();
    let mut tried = 0;
    while seconds.map_or(tried < cases, |seconds| begun.elapsed() < seconds) {
        let seed = first.wrapping_add(tried);
        let config = Config {
            cases: 1,
            rng_seed: RngSeed::Fixed(seed),
            max_shrink_iters: 20_000,
            failure_persistence: None,
            ..Config::default()
        };
        match TestRunner::new(config).run(strategy, |history| law(&history)) {
            Ok(()) => tried += 1,
            Err(TestError::Fail(why, history)) => {
                TELLING.set(true);
                told(|| format!("{test}: what happened:"));
                let _ = law(&history);
                let again = format!("HOMING_SEED={seed} HOMING_CASES=1 cargo test --test laws {test}");
                panic!("{test}, after {tried} {of_what}: {why} (again: {again})");
            }
            Err(TestError::Abort(why)) => panic!("{test}: {why}"),
        }
    }
    let seconds = begun.elapsed().as_secs_f32();
    say(&format!("{test}: {tried} {of_what} in {seconds:.0} s"));
    tried
}

/// Says what all came to, once the last law of so many is done.
pub(crate) fn sum_up(laws: u64) {
    if FINISHED.fetch_add(1, Relaxed) + 1 == laws {
        say(&format!(
            "in all {HISTORIES:?} histories by the whole engine: {RUNS:?} runs, {STOPPED:?} of them stopped on the way"
        ));
    }
}
