//! A plan checks itself: every message of the input is answered for exactly once.

use std::collections::BTreeMap;

use super::{Action, Input, Now, Plan, Presence, View};
use crate::model::{IdSet, Side};

/// What the plan forgot or does twice; empty when it is whole. Each entry is a bug of the planner.
pub(super) fn gaps(input: &Input, plan: &Plan) -> Vec<String> {
    input
        .mailboxes
        .iter()
        .filter(|view| decided(view))
        .flat_map(|view| mailbox_gaps(view, plan))
        .collect()
}

/// Mailboxes in which nothing is done in this run have nothing to answer for.
fn decided(view: &View) -> bool {
    view.acted_on && view.at == [Presence::There; 2]
}

fn mailbox_gaps(view: &View, plan: &Plan) -> Vec<String> {
    let mut gaps = Vec::new();
    let mut answered: [BTreeMap<u64, u32>; 2] = Default::default();
    let mut answer = |side: Side, ids: &IdSet| {
        ids.iter()
            .for_each(|id| *answered[side as usize].entry(id).or_default() += 1);
    };
    let mut removed = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| step.mailbox == view.id) {
        match &step.action {
            Action::Copy { to, ids, .. } => answer(to.other(), ids),
            Action::KeepNew { of, ids } => answer(*of, ids),
            Action::Pair { matches } => {
                for side in Side::BOTH {
                    let ids = matches
                        .iter()
                        .filter_map(|m| [&m.left, &m.right][side as usize].id(side))
                        .collect();
                    answer(side, &ids);
                }
            }
            Action::Remove { pairs, .. } | Action::KeepRemoval { pairs, .. } | Action::Forget { pairs } => {
                for pair in pairs {
                    *removed.entry(*pair).or_insert(0u32) += 1;
                }
            }
            _ => {}
        }
    }
    for side in Side::BOTH {
        for id in view.added[side as usize].iter() {
            let times = answered[side as usize].get(&id).copied().unwrap_or(0);
            if times != 1 {
                gaps.push(format!(
                    "{}: message {id} on the {side} is answered for {times} times",
                    view.path
                ));
            }
        }
    }
    for touched in view.touched.iter().filter(|touched| touched.now.contains(&Now::Gone)) {
        let copied_back = Side::BOTH.iter().any(|&side| {
            touched
                .pair
                .half(side)
                .id
                .is_some_and(|id| answered[side as usize].contains_key(&id))
        });
        let times = removed.get(&touched.pair.id).copied().unwrap_or(0) + u32::from(copied_back);
        if times != 1 {
            gaps.push(format!(
                "{}: removed pair {} is answered for {times} times",
                view.path, touched.pair.id.0
            ));
        }
    }
    gaps
}
