//! The laws: whatever happened on both sides, wherever a run was stopped, the sides converge, nothing is lost that nobody
//! deleted, nothing is doubled, and a further run does nothing.
//!
//! Histories are random, and shrink when they fail. Each law is tried on a number of histories (`HOMING_CASES`), always the
//! same ones, or for some seconds (`HOMING_SECONDS`); on other ones from another first seed (`HOMING_SEED=$RANDOM`). How
//! many that were is printed, and with a failure what happened and how to repeat it. Both stores work at once, so which of
//! two steps is the one to be killed at can differ.

#[path = "../support/memory/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod memory;

mod deeds;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use deeds::{Author, Deed, Event, deed, event};
use homing::plan::Policy;
use memory::world::{Run, TELLING, World, told};
use memory::{Memory, Nature};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

/// What happens between two runs, and how the run after it goes.
#[derive(Clone, Debug)]
struct Round {
    events: Vec<Event>,
    kill: Option<u64>,
    /// Kill the next one too, while it recovers.
    again: Option<u64>,
    policy: u8,
    /// A dead client's session goes on at this step of the next run.
    late: Option<u64>,
    /// Something happens in the middle of the run.
    meanwhile: Option<(u64, Event)>,
}

fn round() -> impl Strategy<Value = Round> {
    (
        proptest::collection::vec(event(), 0..7),
        proptest::option::of(1u64..60),
        proptest::option::weighted(0.3, 1u64..60),
        0u8..8,
        proptest::option::weighted(0.3, 1u64..60),
        proptest::option::weighted(0.2, (1u64..40, event())),
    )
        .prop_map(|(events, kill, again, policy, late, meanwhile)| Round {
            events,
            kill,
            again,
            policy,
            late,
            meanwhile,
        })
}

fn policy(code: u8) -> Policy {
    match code {
        0 => Policy::PULL,
        1 => Policy::PUSH,
        _ => Policy::SYNC,
    }
}

type Check = Result<(), TestCaseError>;

fn run(world: &World, how: Run) -> Result<memory::world::Ended, TestCaseError> {
    world
        .run(how)
        .map_err(|failure| TestCaseError::fail(failure.to_string()))
}

/// Both sides act, anything happens.
fn both_sides(natures: [Nature; 2], rounds: &[Round]) -> Check {
    let world = World::new(natures);
    let author = Arc::new(Mutex::new(Author::default()));
    for round in rounds {
        for event in &round.events {
            happens(&world.stores, &author, event);
        }
        let mut how = Run::calm(policy(round.policy));
        how.kill = round.kill;
        how.event = round
            .meanwhile
            .clone()
            .map(|(step, event)| -> (u64, Box<dyn FnOnce() + Send>) {
                let (stores, author) = (world.stores.clone(), Arc::clone(&author));
                (step, Box::new(move || happens(&stores, &author, &event)))
            });
        if run(&world, how)?.killed {
            let mut how = Run::calm(policy(round.policy));
            how.kill = round.again;
            how.event = late(&world, round.late);
            run(&world, how)?;
        }
    }
    in_peace(&world)?;
    world.stores.iter().for_each(Memory::execute_late);
    let left = in_peace(&world)?;
    let author = author.lock().unwrap();
    // Once the ids of its mailbox have changed, nobody can tell that a copy came late: in doubt both stay (DESIGN 8a).
    let late = world.stores.iter().map(Memory::late_done).sum();
    counts(&left, &author, if author.renewed { late } else { 0 })
}

fn happens(stores: &[Memory; 2], author: &Mutex<Author>, event: &Event) {
    told(|| format!("  {event:?}"));
    author.lock().unwrap().event([&stores[0], &stores[1]], event);
}

fn late(world: &World, at: Option<u64>) -> Option<(u64, Box<dyn FnOnce() + Send>)> {
    let stores = world.stores.clone();
    at.map(|at| -> (u64, Box<dyn FnOnce() + Send>) {
        (at, Box::new(move || stores.iter().for_each(Memory::execute_late)))
    })
}

/// Left in peace it converges, and a further run does nothing; a problem of an earlier run may take one more.
fn in_peace(world: &World) -> Result<memory::world::Shape, TestCaseError> {
    for _ in 0..3 {
        run(world, Run::calm(Policy::SYNC))?;
    }
    let [left, right] = world.shapes();
    prop_assert_eq!(&left, &right, "the sides are equal");
    let writes = world.writes();
    let last = run(world, Run::calm(Policy::SYNC))?;
    prop_assert_eq!(
        last.finished.plan.steps.len(),
        0,
        "a further run plans nothing: {:?}",
        last.finished.plan
    );
    prop_assert_eq!(world.writes(), writes, "a further run writes nothing");
    Ok(left)
}

/// Nothing is lost that nobody deleted, and nothing is there more often than users put it there.
fn counts(shape: &memory::world::Shape, author: &Author, doubtful: u32) -> Check {
    let mut there: BTreeMap<&str, u32> = BTreeMap::new();
    for (body, ..) in shape.values().flatten() {
        *there.entry(body).or_default() += 1;
    }
    for (body, life) in &author.lives {
        let count = there.get(&**body).copied().unwrap_or(0);
        prop_assert!(count <= life.born + doubtful, "doubled: {count} of {life:?} {body}");
        prop_assert!(count > 0 || life.removed > 0 || life.born == 0, "lost: {life:?} {body}");
    }
    Ok(())
}

/// What one user does in one round, and where the run after it is killed and its next one too.
type OneSided = (usize, Vec<Deed>, Option<u64>, Option<u64>, Option<u64>);

/// Only one side acts between two complete runs: the other follows it exactly, wherever they were killed.
fn one_side(natures: [Nature; 2], rounds: &[OneSided]) -> Check {
    let world = World::new(natures);
    let mut author = Author::default();
    for (side, deeds, kill, again, late_at) in rounds {
        for deed in deeds {
            told(|| format!("  {side} {deed:?}"));
            author.act(&world.stores[*side], deed);
        }
        let wanted = world.shapes()[*side].clone();
        let mut how = Run::calm(Policy::SYNC);
        how.kill = *kill;
        if run(&world, how)?.killed {
            let mut how = Run::calm(Policy::SYNC);
            how.kill = *again;
            how.event = late(&world, *late_at);
            run(&world, how)?;
        }
        world.stores.iter().for_each(Memory::execute_late);
        let there = in_peace(&world)?;
        prop_assert_eq!(&there, &wanted, "side {} is followed", side);
    }
    Ok(())
}

/// So many histories are tried under one seed.
const CHUNK: u64 = 50;

/// So many histories are tried of each law, where nothing else is said.
const CASES: u64 = 1500;

/// Tries a law under one seed after the other, for some seconds or on as many histories as were asked for.
fn try_law<S: Strategy>(name: &str, strategy: &S, law: impl Fn(&S::Value) -> Check)
where
    S::Value: Clone,
{
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (cases, mut seed) = (
        number("HOMING_CASES").unwrap_or(CASES),
        number("HOMING_SEED").unwrap_or(1),
    );
    let seconds = number("HOMING_SECONDS").map(Duration::from_secs);
    let begun = Instant::now();
    let mut tried = 0;
    loop {
        let config = Config {
            cases: CHUNK as u32,
            rng_seed: RngSeed::Fixed(seed),
            max_shrink_iters: 20_000,
            failure_persistence: None,
            ..Config::default()
        };
        let outcome = TestRunner::new(config).run(strategy, |history| law(&history));
        match outcome {
            Ok(()) => tried += CHUNK,
            Err(TestError::Fail(why, history)) => {
                println!("{name}: what happened:");
                TELLING.set(true);
                let _ = law(&history);
                panic!("{name}, after {tried} histories: {why} (again: HOMING_SEED={seed} HOMING_CASES={CHUNK})");
            }
            Err(TestError::Abort(why)) => panic!("{name}: {why}"),
        }
        if seconds.map_or(tried >= cases, |seconds| begun.elapsed() > seconds) {
            break;
        }
        seed = seed.wrapping_add(1);
    }
    println!(
        "{name}: {tried} histories in {:.1?}, the last under seed {seed}",
        begun.elapsed()
    );
}

fn histories() -> impl Strategy<Value = Vec<Round>> {
    proptest::collection::vec(round(), 1..5)
}

fn one_sided() -> impl Strategy<Value = Vec<OneSided>> {
    let round = (
        0..2usize,
        proptest::collection::vec(deed(), 1..7),
        proptest::option::of(1u64..60),
        proptest::option::weighted(0.3, 1u64..60),
        proptest::option::weighted(0.3, 1u64..60),
    );
    proptest::collection::vec(round, 1..5)
}

#[test]
fn a_maildir_and_a_server_converge() {
    try_law("maildir, server", &histories(), |rounds| {
        both_sides([Nature::MAILDIR, Nature::SERVER], rounds)
    });
}

#[test]
fn a_plain_server_and_a_maildir_converge() {
    try_law("plain server, maildir", &histories(), |rounds| {
        both_sides([Nature::PLAIN, Nature::MAILDIR], rounds)
    });
}

#[test]
fn what_one_side_does_the_other_follows() {
    try_law("one side acts", &one_sided(), |rounds: &Vec<OneSided>| {
        one_side([Nature::MAILDIR, Nature::SERVER], rounds)
    });
}

#[test]
fn what_one_side_does_an_old_server_follows() {
    try_law("one side acts, old server", &one_sided(), |rounds: &Vec<OneSided>| {
        one_side([Nature::OLD, Nature::MAILDIR], rounds)
    });
}
