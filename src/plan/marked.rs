//! Messages that both sides marked as deleted, where these are to be removed: from one side first. The other follows as it
//! follows any removal, so that what was begun and stopped is one too.

use std::collections::BTreeSet;

use super::{Action, Base, Change, Input, Presence, Rule, Step, View};
use crate::model::{PairId, Side};

const WHY: &str = "marked as deleted on both sides; the other one follows";

/// Decides on the marked messages of a mailbox, as far as nothing else happened to them.
pub(super) fn decide(view: &View, input: &Input, steps: &mut Vec<Step>) {
    let Some(on) = input.expunge.filter(|_| can_go(view, input)) else {
        return;
    };
    let touched: BTreeSet<PairId> = view.touched.iter().map(|touched| touched.pair.id).collect();
    let marked = view.marked.iter().filter(|pair| !touched.contains(&pair.id));
    let pairs = marked.filter(|pair| {
        let is_refused = |side| view.refuses(side, Change::Removal, pair);
        !Side::BOTH.into_iter().any(is_refused)
    });
    let pairs: Vec<PairId> = pairs.map(|pair| pair.id).collect();
    if !pairs.is_empty() {
        steps.push(Step {
            mailbox: view.id,
            path: view.path.clone(),
            action: Action::Expunge { on, pairs },
            why: WHY,
        });
    }
}

/// Whether removals here would be carried over both ways: what is begun on one side must come to its end on the other.
fn can_go(view: &View, input: &Input) -> bool {
    let both_ways = |side: Side| view.rule(side, input.policy.of(side).removals) == Rule::Spread;
    let everything_seen = input.base == Base::Agreed && input.settled == [true; 2];
    everything_seen && view.at == [Presence::There; 2] && Side::BOTH.into_iter().all(both_ways)
}
