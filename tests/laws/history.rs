//! Histories: what happens between two runs and during them, under which policy they go, where they are stopped.

use homing::plan::{Policy, Rule, SidePolicy};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

use crate::deeds::{Deed, Event, deed, event};

/// Where a run is stopped, where the next one is while it recovers, and where a dead client's session goes on in that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stops {
    pub kill: Option<u64>,
    pub again: Option<u64>,
    pub late: Option<u64>,
}

/// What happens before a run, and how it goes.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub events: Vec<Event>,
    pub stops: Stops,
    pub policy: Policy,
    /// Somebody else does something in the middle of the run.
    pub meanwhile: Option<(u64, Event)>,
}

/// What one user does before a run, and where that is stopped.
#[derive(Clone, Debug)]
pub(crate) struct OneSided {
    pub side: usize,
    pub deeds: Vec<Deed>,
    pub stops: Stops,
}

/// A step of a run; most runs make some twenty.
fn step() -> impl Strategy<Value = u64> {
    prop_oneof![1 => 1u64..6, 4 => 4u64..20, 1 => 15u64..60]
}

fn stops() -> impl Strategy<Value = Stops> {
    (weighted(0.7, step()), weighted(0.5, step()), weighted(0.3, step())).prop_map(|(kill, again, late)| Stops {
        kill,
        again,
        late,
    })
}

/// Any policy that can be configured.
pub(crate) fn policy() -> impl Strategy<Value = Policy> {
    let side = || {
        let any = || prop_oneof![2 => Just(Rule::Spread), 1 => Just(Rule::Keep), 1 => Just(Rule::Undo)];
        // What is new is never undone: that would be to remove it.
        let kept = || prop_oneof![2 => Just(Rule::Spread), 1 => Just(Rule::Keep)];
        (kept(), any(), any(), any(), kept()).prop_map(|(new, flags, moves, removals, mailboxes)| SidePolicy {
            new,
            flags,
            moves,
            removals,
            mailboxes,
            undo_held: false,
        })
    };
    prop_oneof![
        5 => Just(Policy::SYNC),
        1 => Just(Policy::PULL),
        1 => Just(Policy::PUSH),
        1 => Just(MIRROR),
        2 => [side(), side()].prop_map(|sides| Policy { sides, allow_deletes: false }),
    ]
}

/// The left becomes what the right is.
pub(crate) const MIRROR: Policy = Policy {
    sides: [SidePolicy::all(Rule::Undo), SidePolicy::SPREAD],
    allow_deletes: false,
};

/// DESIGN 3: FROM is only read, and what is done on TO stays there.
pub(crate) const fn migrate(delete_extra: bool) -> Policy {
    let removals = if delete_extra { Rule::Spread } else { Rule::Keep };
    let from = SidePolicy {
        removals,
        ..SidePolicy::SPREAD
    };
    Policy {
        sides: [from, SidePolicy::all(Rule::Keep)],
        allow_deletes: false,
    }
}

fn rounds(policy: impl Strategy<Value = Policy>) -> impl Strategy<Value = Vec<Round>> {
    let meanwhile = weighted(0.2, (step(), event()));
    let round = (vec(event(), 0..7), stops(), policy, meanwhile);
    let round = round.prop_map(|(events, stops, policy, meanwhile)| Round {
        events,
        stops,
        policy,
        meanwhile,
    });
    vec(round, 1..5)
}

pub(crate) fn any_policy() -> impl Strategy<Value = Vec<Round>> {
    rounds(policy())
}

pub(crate) fn one_policy(policy: Policy) -> impl Strategy<Value = Vec<Round>> {
    rounds(Just(policy))
}

/// Only one side acts before a run; that can be the other side before the next.
pub(crate) fn one_sided(side: std::ops::Range<usize>) -> impl Strategy<Value = Vec<OneSided>> {
    let round = (side, vec(deed(), 1..7), stops());
    vec(
        round.prop_map(|(side, deeds, stops)| OneSided { side, deeds, stops }),
        1..5,
    )
}
