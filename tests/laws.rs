//! The laws: whatever happened on both sides, wherever a run was stopped, the sides converge, nothing is lost that nobody
//! deleted, nothing is doubled, and a further run does nothing.
//!
//! Histories are random (proptest shrinks them); the stores are in memory, the state is a real database.

#[path = "support/memory/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use homing::engine::{self, Job, Naming};
use homing::error::{Kind, Result};
use homing::model::{Flags, InternalDate, MailboxPath, Role};
use homing::plan::{Adoption, Policy};
use homing::state::{Purpose, State};
use homing::store::Stop;
use memory::{Fuse, Memory, Message, Nature};
use proptest::prelude::*;

const MAILBOXES: [&str; 4] = ["INBOX", "Work", "Work/2026", "Lists"];
const FLAGS: [&str; 5] = ["\\Seen", "\\Flagged", "\\Answered", "$Forwarded", "todo"];

/// Something a user does on one side.
#[derive(Clone, Debug)]
enum Deed {
    Add {
        side: usize,
        mailbox: usize,
        seen: bool,
    },
    /// The same message, put into the same mailbox of both sides by hand.
    AddBoth {
        mailbox: usize,
        flag: usize,
    },
    Flag {
        side: usize,
        mailbox: usize,
        nth: usize,
        flag: usize,
        set: bool,
    },
    Remove {
        side: usize,
        mailbox: usize,
        nth: usize,
    },
    Create {
        side: usize,
        mailbox: usize,
    },
    Delete {
        side: usize,
        mailbox: usize,
    },
    Renew {
        side: usize,
        mailbox: usize,
    },
}

fn deed() -> impl Strategy<Value = Deed> {
    let (side, mailbox, nth, flag) = (0..2usize, 0..MAILBOXES.len(), 0..6usize, 0..FLAGS.len());
    prop_oneof![
        5 => (side.clone(), mailbox.clone(), any::<bool>()).prop_map(|(side, mailbox, seen)| Deed::Add { side, mailbox, seen }),
        1 => (mailbox.clone(), flag.clone()).prop_map(|(mailbox, flag)| Deed::AddBoth { mailbox, flag }),
        3 => (side.clone(), mailbox.clone(), nth.clone(), flag, any::<bool>())
            .prop_map(|(side, mailbox, nth, flag, set)| Deed::Flag { side, mailbox, nth, flag, set }),
        3 => (side.clone(), mailbox.clone(), nth).prop_map(|(side, mailbox, nth)| Deed::Remove { side, mailbox, nth }),
        1 => (side.clone(), mailbox.clone()).prop_map(|(side, mailbox)| Deed::Create { side, mailbox }),
        1 => (side.clone(), 1..MAILBOXES.len()).prop_map(|(side, mailbox)| Deed::Delete { side, mailbox }),
        1 => (side, mailbox).prop_map(|(side, mailbox)| Deed::Renew { side, mailbox }),
    ]
}

/// What happens between two runs, and how the run after it ends.
#[derive(Clone, Debug)]
struct Round {
    deeds: Vec<Deed>,
    /// Kill it at this step; beyond its end: let it finish.
    kill: Option<u64>,
    policy: u8,
}

fn round() -> impl Strategy<Value = Round> {
    (
        proptest::collection::vec(deed(), 0..8),
        proptest::option::of(1u64..60),
        0u8..6,
    )
        .prop_map(|(deeds, kill, policy)| Round { deeds, kill, policy })
}

struct Same;

impl Naming for Same {
    fn includes(&self, _: &MailboxPath, _: &[Role]) -> bool {
        true
    }
    fn acts_on(&self, _: &MailboxPath, _: &[Role]) -> bool {
        true
    }
    fn to_left(&self, right: &MailboxPath) -> MailboxPath {
        right.clone()
    }
    fn to_right(&self, left: &MailboxPath) -> MailboxPath {
        left.clone()
    }
}

/// Two stores and what a user did to them.
struct World {
    stores: [Memory; 2],
    made: u32,
    deleted: BTreeSet<Vec<u8>>,
}

impl World {
    fn new(natures: [Nature; 2]) -> Self {
        Self {
            stores: natures.map(Memory::new),
            made: 0,
            deleted: BTreeSet::new(),
        }
    }

    /// Every third message has no Message-ID, every fifth shares its header with the one before.
    fn message(&mut self, seen: bool) -> Message {
        self.made += 1;
        let n = self.made;
        let named = if n.is_multiple_of(5) { n - 1 } else { n };
        let id = if n.is_multiple_of(3) {
            String::new()
        } else {
            format!("Message-ID: <{named}@example.org>\r\n")
        };
        // Each body has a length of its own: header and size together are taken as proof (DESIGN 5).
        let padding = "x".repeat(n as usize);
        let body = format!("{id}Subject: {named}\r\n\r\n{padding}\r\nbody {n}\r\n").into_bytes();
        let flags = if seen {
            Flags::from_names(["\\Seen"])
        } else {
            Flags::none()
        };
        Message {
            flags,
            date: InternalDate(i64::from(n)),
            body,
        }
    }

    fn act(&mut self, deed: &Deed) {
        match *deed {
            Deed::Add { side, mailbox, seen } => {
                let message = self.message(seen);
                if self.stores[side].add(MAILBOXES[mailbox], message).is_none() {
                    self.made -= 1;
                }
            }
            Deed::AddBoth { mailbox, flag } => {
                let message = self.message(false);
                let flagged = Message {
                    flags: Flags::from_names([FLAGS[flag]]),
                    ..message.clone()
                };
                let here = self.stores[0].add(MAILBOXES[mailbox], message).is_some();
                let there = self.stores[1].add(MAILBOXES[mailbox], flagged).is_some();
                if !here && !there {
                    self.made -= 1;
                }
            }
            Deed::Flag {
                side,
                mailbox,
                nth,
                flag,
                set,
            } => {
                let flag = Flags::from_names([FLAGS[flag]]);
                self.stores[side].flag(MAILBOXES[mailbox], nth, |flags| {
                    *flags = if set { flags.union(&flag) } else { flags.minus(&flag) };
                });
            }
            Deed::Remove { side, mailbox, nth } => {
                let gone = self.stores[side].remove(MAILBOXES[mailbox], nth);
                self.deleted.extend(gone.map(|message| message.body));
            }
            Deed::Create { side, mailbox } => self.stores[side].create(MAILBOXES[mailbox]),
            Deed::Delete { side, mailbox } => {
                let contents = self.stores[side].contents();
                let gone = contents.get(MAILBOXES[mailbox]).into_iter().flatten();
                self.deleted.extend(gone.map(|message| message.body.clone()));
                self.stores[side].delete(MAILBOXES[mailbox]);
            }
            Deed::Renew { side, mailbox } => self.stores[side].renew(MAILBOXES[mailbox]),
        }
    }

    fn run(&self, db: &Path, policy: Policy, kill: Option<u64>) -> Result<engine::Finished> {
        let state = Arc::new(State::open(db, Purpose::Run).expect("the state opens"));
        let frozen = Arc::clone(&state);
        let fuse = Fuse::new(kill, move || frozen.freeze());
        self.stores.iter().for_each(|store| store.set_fuse(&fuse));
        let run = state.begin_run("sync").expect("the state is written");
        let job = Job {
            state: &state,
            stores: [&self.stores[0], &self.stores[1]],
            naming: &Same,
            policy,
            empty_guard: 0,
            max_delete_percent: 100,
            adopting: Adoption::No,
            distrust: false,
            dry_run: false,
            run,
            stop: Stop::default(),
            watch: &|_| (),
        };
        let (finished, result) = engine::run(&job);
        if fuse.is_burnt() {
            self.stores.iter().for_each(Memory::crash);
        } else {
            state.commit().expect("the state is written");
        }
        result.map(|()| finished)
    }
}

/// In memory where the system has such a place: thousands of databases are made and synced.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a place for a database")
}

type Shape = BTreeMap<String, Vec<(Vec<u8>, Flags, InternalDate)>>;

fn shape(store: &Memory) -> Shape {
    let sorted = |messages: Vec<Message>| {
        let mut all: Vec<_> = messages.into_iter().map(|m| (m.body, m.flags, m.date)).collect();
        all.sort();
        all
    };
    store
        .contents()
        .into_iter()
        .map(|(name, messages)| (name, sorted(messages)))
        .collect()
}

fn policy(code: u8) -> Policy {
    match code {
        0 => Policy::PULL,
        1 => Policy::PUSH,
        _ => Policy::SYNC,
    }
}

fn check(natures: [Nature; 2], rounds: &[Round]) -> Result<(), TestCaseError> {
    let dir = scratch();
    let db = dir.path().join("sync.db");
    let mut world = World::new(natures);
    for round in rounds {
        round.deeds.iter().for_each(|deed| world.act(deed));
        if let Err(failure) = world.run(&db, policy(round.policy), round.kill) {
            prop_assert!(failure.kind == Kind::Temporary && failure.what == "killed", "{failure}");
        }
    }
    // Left in peace, it converges; a problem of an earlier run may take one more.
    for _ in 0..3 {
        world
            .run(&db, Policy::SYNC, None)
            .map_err(|failure| TestCaseError::fail(failure.what))?;
    }
    let [left, right] = [shape(&world.stores[0]), shape(&world.stores[1])];
    prop_assert_eq!(&left, &right, "the sides are equal");

    let writes: u64 = world.stores.iter().map(Memory::writes).sum();
    let last = world
        .run(&db, Policy::SYNC, None)
        .map_err(|failure| TestCaseError::fail(failure.what))?;
    prop_assert_eq!(last.plan.steps.len(), 0, "a further run plans nothing: {:?}", last.plan);
    prop_assert_eq!(
        world.stores.iter().map(Memory::writes).sum::<u64>(),
        writes,
        "a further run writes nothing"
    );

    let mut counts: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    for (body, ..) in left.into_values().flatten() {
        *counts.entry(body).or_default() += 1;
    }
    for (body, count) in &counts {
        prop_assert_eq!(*count, 1, "doubled: {}", String::from_utf8_lossy(body));
    }
    // Which message has which number: the body says it.
    for n in 1..=world.made {
        let marker = format!("body {n}\r\n").into_bytes();
        let there = counts.keys().any(|body| body.ends_with(&marker));
        let deleted = world.deleted.iter().any(|body| body.ends_with(&marker));
        prop_assert!(there || deleted, "lost: message {n}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, rng_seed: proptest::test_runner::RngSeed::Fixed(2), max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn a_maildir_and_a_server_converge(rounds in proptest::collection::vec(round(), 1..5)) {
        check([Nature::MAILDIR, Nature::PLAIN], &rounds)?;
    }
}
