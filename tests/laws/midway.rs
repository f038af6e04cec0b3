//! Somebody else acts in the middle of a run: at every step of it, on either side, between stores of every kind. Names change
//! hands, messages go, move and get other flags, ids change their meaning.

use std::time::Instant;

use homing::plan::Policy;

use crate::Stage;
use crate::deeds::{Deed, Event};
use crate::history::{Round, Stops};
use crate::memory::Nature;
use crate::memory::world::TELLING;
use crate::trial::{Check, say};

/// Places in [`crate::deeds::MAILBOXES`].
const WORK: usize = 1;
const FREE: usize = 2;
const LISTS: usize = 3;

/// Nearly all that a run here makes.
const STEPS: u64 = 20;

const NATURES: [[Nature; 2]; 4] = [
    [Nature::MAILDIR, Nature::SERVER],
    [Nature::PLAIN, Nature::MAILDIR],
    [Nature::SERVER, Nature::PLAIN],
    [Nature::OLD, Nature::SERVER],
];

/// What somebody does to names.
const NAMES: [Deed; 2] = [
    Deed::Swap {
        one: WORK,
        other: LISTS,
    },
    Deed::Rename {
        mailbox: LISTS,
        to: FREE,
    },
];

/// What somebody does to messages, and to what they are known by.
const MESSAGES: [Deed; 9] = [
    Deed::Remove { mailbox: WORK, nth: 0 },
    Deed::Remove { mailbox: LISTS, nth: 0 },
    Deed::Move {
        from: WORK,
        nth: 0,
        to: LISTS,
    },
    Deed::Move {
        from: LISTS,
        nth: 0,
        to: WORK,
    },
    Deed::Flag {
        mailbox: LISTS,
        nth: 0,
        flag: 1,
        set: true,
    },
    // What the errand may have set just before.
    Deed::Flag {
        mailbox: LISTS,
        nth: 0,
        flag: 0,
        set: false,
    },
    Deed::Renew { mailbox: WORK },
    Deed::Renew { mailbox: LISTS },
    Deed::Delete { mailbox: LISTS },
];

/// What the run is about when they do.
fn errands() -> [Vec<Event>; 4] {
    let add = |side: usize| {
        Event::One(
            side,
            Deed::Add {
                mailbox: WORK,
                seen: false,
            },
        )
    };
    let moved = |side: usize| {
        Event::One(
            side,
            Deed::Move {
                from: WORK,
                nth: 0,
                to: LISTS,
            },
        )
    };
    let flag = |side: usize| {
        Event::One(
            side,
            Deed::Flag {
                mailbox: LISTS,
                nth: 0,
                flag: 0,
                set: true,
            },
        )
    };
    let removed = |side: usize| Event::One(side, Deed::Remove { mailbox: LISTS, nth: 0 });
    [
        vec![add(0), flag(1)],
        vec![add(1), flag(0)],
        vec![moved(0), removed(1)],
        vec![moved(1), removed(0)],
    ]
}

fn calm(events: Vec<Event>, meanwhile: Option<(u64, Event)>) -> Round {
    let stops = Stops {
        kill: None,
        again: None,
        late: None,
    };
    Round {
        events,
        stops,
        policy: Policy::SYNC,
        meanwhile,
    }
}

/// Two mailboxes with two messages each, then an errand, and what somebody does at that step of it.
fn history(errand: Vec<Event>, step: u64, event: Event) -> Vec<Round> {
    let add = |mailbox: usize| Event::One(0, Deed::Add { mailbox, seen: false });
    let made = [WORK, LISTS].map(|mailbox| Event::One(0, Deed::Create { mailbox }));
    let mail = [WORK, LISTS, WORK, LISTS].map(add);
    let begun = calm(made.into_iter().chain(mail).collect(), None);
    vec![begun, calm(errand, Some((step, event)))]
}

/// Both sides are equal at the end, nothing is doubled, and what nobody removed is there once.
fn comes_out(natures: [Nature; 2], rounds: &[Round]) -> Check {
    let stage = Stage::new(natures);
    rounds.iter().try_for_each(|round| stage.round(round))?;
    stage.in_peace(Policy::SYNC)?;
    let shape = stage.equal()?;
    stage.counts(&shape, Policy::SYNC)
}

/// Every kind of stores, what the run is about, who does something, and what.
fn walks(deeds: &[Deed]) -> Vec<([Nature; 2], Vec<Event>, Event)> {
    let mut walks = Vec::new();
    for natures in NATURES {
        for errand in errands() {
            for side in [0, 1] {
                for deed in deeds {
                    walks.push((natures, errand.clone(), Event::One(side, deed.clone())));
                }
            }
        }
    }
    walks
}

/// `HOMING_WALK` tells what happened in one of them.
fn walk(what: &str, deeds: &[Deed]) {
    let begun = Instant::now();
    let only: Option<usize> = std::env::var("HOMING_WALK").ok().and_then(|nth| nth.parse().ok());
    let (mut walked, mut failed) = (0, Vec::new());
    for (natures, errand, event) in walks(deeds) {
        for step in 1..=STEPS {
            walked += 1;
            if only.is_none_or(|only| only == walked) {
                TELLING.set(only.is_some());
                let rounds = history(errand.clone(), step, event.clone());
                if let Err(why) = comes_out(natures, &rounds) {
                    failed.push(format!("HOMING_WALK={walked}: {errand:?}, {event:?} at {step}: {why}"));
                }
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f32();
    say(&format!("{what}: {walked} walked in {seconds:.0} s"));
    assert!(failed.is_empty(), "{} failed: {}", failed.len(), failed.join("\n"));
}

#[test]
fn names_change_hands_at_every_step() {
    walk("names that change hands", &NAMES);
}

#[test]
fn messages_change_at_every_step() {
    walk("messages that change on the way", &MESSAGES);
}
