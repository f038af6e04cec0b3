//! The planner by itself: what it decides does not depend on which side is called left, and answers for every message.

use std::cell::RefCell;
use std::collections::BTreeSet;

use homing::model::{MailboxPath, Side};
use homing::plan::{Census, Kin, Known, Row, Sighting, gaps, names, plan};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::history::policy;
use crate::inputs::{Draft, draft};
use crate::mirror::{Mirror, told};
use crate::trial::{say, tries};

#[test]
fn a_mirrored_plan_is_the_plan_of_what_is_mirrored() {
    let test = "a_mirrored_plan_is_the_plan_of_what_is_mirrored";
    let (actions, reasons) = (RefCell::new(BTreeSet::new()), RefCell::new(BTreeSet::new()));
    tries(test, 25_000, "inputs", &draft(), |draft: &Draft| {
        let input = draft.input();
        let decided = plan(&input);
        for step in &decided.steps {
            actions.borrow_mut().insert(step.action.name());
            reasons.borrow_mut().insert(step.why);
        }
        prop_assert_eq!(gaps(&input, &decided), Vec::<String>::new(), "{:?}", told(&decided));
        let mirrored = plan(&input.clone().mirrored());
        prop_assert_eq!(told(&mirrored), told(&decided.mirrored()));
        Ok(())
    });
    let (actions, reasons) = (actions.into_inner(), reasons.into_inner());
    say(&format!(
        "{test}: {} kinds of action, {} reasons",
        actions.len(),
        reasons.len()
    ));
    // Else it tells nothing about what was never planned.
    assert!(
        actions.len() == 16 || std::env::var_os("HOMING_CASES").is_some(),
        "{actions:?}"
    );
}

const NAMES: [&str; 5] = ["INBOX", "Work", "Work/2026", "Lists", "Old"];

/// A mailbox of the base: its name, which sides had it, and under which name each side is proven to have it now.
type Told = (usize, [bool; 2], [Option<usize>; 2]);

/// Names as both sides list them; `None`: not there, `Some(None)`: a level that is no mailbox, else what it counts as.
type Lists = [Vec<Option<Option<usize>>>; 2];

fn census() -> impl Strategy<Value = (Vec<Told>, Lists)> {
    let name = || 0..NAMES.len();
    let kin = || prop_oneof![2 => Just(None), 1 => name().prop_map(Some)];
    let had = || prop::bool::weighted(0.9);
    let row = (name(), [had(), had()], [kin(), kin()]);
    let listed = || {
        let counts_as = prop_oneof![8 => Just(NAMES.len()), 1 => name()];
        prop_oneof![2 => Just(None), 1 => Just(Some(None)), 6 => counts_as.prop_map(|name| Some(Some(name)))]
    };
    let list = || vec(listed(), NAMES.len());
    (vec(row, 0..5), [list(), list()])
}

fn path(nth: usize) -> MailboxPath {
    MailboxPath::parse(NAMES[nth]).unwrap()
}

fn make((rows, lists): &(Vec<Told>, Lists)) -> Census {
    let mut census = Census::default();
    let mut seen: [Vec<Option<usize>>; 2] = Default::default();
    for side in [0, 1] {
        for (nth, listed) in lists[side].iter().enumerate() {
            seen[side].push(matches!(listed, Some(Some(_))).then_some(census.seen[side].len()));
            match *listed {
                Some(Some(name)) => census.seen[side].push(Sighting {
                    path: path(nth),
                    counts_as: path(if name == NAMES.len() { nth } else { name }),
                }),
                Some(None) => drop(census.levels[side].insert(path(nth))),
                None => {}
            }
        }
    }
    let mut known = BTreeSet::new();
    for &(name, had, kin) in rows {
        if !known.insert(name) {
            continue;
        }
        let row = census.rows.len();
        for side in Side::BOTH {
            let at = kin[side as usize].filter(|&at| had[side as usize] && at != name);
            if let Some(seen) = at.and_then(|at| seen[side as usize][at]) {
                census.kin.push(Kin { row, side, seen });
            }
        }
        let at = Side::BOTH.map(|side| seen[side as usize][name].filter(|_| had[side as usize]));
        let path = path(name);
        census.rows.push(Row { path, had, at });
    }
    census
}

/// What is known of each mailbox but for the name of one that goes on having two, which is the left's.
fn known(known: Vec<Known>) -> Vec<String> {
    let told = |known: Known| {
        let two = known.at.iter().all(Option::is_some) && !known.naming.agreed;
        let path = if two { String::new() } else { known.path.to_string() };
        format!(
            "{:?} {:?} {path} {:?} clashes: {}",
            known.row, known.at, known.naming, known.clashes
        )
    };
    known.into_iter().map(told).collect()
}

#[test]
fn mirrored_names_are_the_names_of_what_is_mirrored() {
    let test = "mirrored_names_are_the_names_of_what_is_mirrored";
    let tie = prop_oneof![Just(Side::Left), Just(Side::Right)];
    tries(
        test,
        25_000,
        "listings",
        &(census(), policy(), tie),
        |(told, policy, tie)| {
            let census = make(told);
            let one = names(&census, policy, *tie);
            let other = names(&census.clone().mirrored(), &policy.mirrored(), tie.mirrored());
            prop_assert_eq!(known(other), known(one.into_iter().map(Mirror::mirrored).collect()));
            Ok(())
        },
    );
}
