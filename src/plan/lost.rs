//! Base rows of which a side has lost its message, and the search for these among what is new there.

use std::collections::{BTreeSet, HashMap};

use super::alike::{Traits, match_up};
use super::moves::Fresh;
use super::pair::{Matched, Waiting};
use super::{Now, Touched};
use crate::model::{Flags, Pair, PairId, Side};

/// A base row that at least one side has lost.
pub(super) struct Lost<'a> {
    pub(super) pair: &'a Pair,
    pub(super) is: [Is; 2],
    /// What each side that has it holds now.
    pub(super) flags: [&'a Flags; 2],
}

/// Where a message of the base is, on one side.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    There,
    Gone,
    /// Nobody knows: its id means nothing any more, and nothing in its mailbox was found to be it.
    Void,
}

impl<'a> Lost<'a> {
    fn of(pair: &'a Pair, touched: Option<&'a Touched>) -> Self {
        let now = |side: Side| touched.map_or(&Now::AsBase, |touched| &touched.now[side as usize]);
        Self {
            pair,
            is: Side::BOTH.map(|side| match (now(side), pair.half(side).id) {
                (Now::Gone, _) => Is::Gone,
                (_, None) => Is::Void,
                (Now::AsBase | Now::Flags(_), Some(_)) => Is::There,
            }),
            flags: Side::BOTH.map(|side| match now(side) {
                Now::Flags(flags) => flags,
                Now::AsBase | Now::Gone => &pair.half(side).flags,
            }),
        }
    }
}

/// Every base row that a side has lost, but for those `found` again.
pub(super) fn lost_rows<'a>(open: &[Matched<'a>], found: &BTreeSet<PairId>) -> Vec<Lost<'a>> {
    let mut lost = Vec::new();
    for matched in open {
        let view = matched.view;
        let touched: HashMap<PairId, &Touched> = view.touched.iter().map(|t| (t.pair.id, t)).collect();
        let gone = view
            .touched
            .iter()
            .filter(|t| t.now.contains(&Now::Gone))
            .map(|t| &t.pair);
        let void = matched.alone.iter().flatten().filter_map(|waiting| match waiting {
            Waiting::Void(pair) => Some(&**pair),
            Waiting::New(_) => None,
        });
        lost.extend(
            gone.chain(void)
                .filter(|pair| !found.contains(&pair.id))
                .map(|pair| Lost::of(pair, touched.get(&pair.id).copied())),
        );
    }
    // Where only one of two equal ones is still on the other side, that one moved.
    lost.sort_by_key(|lost| (!lost.is.contains(&Is::There), lost.pair.id));
    lost
}

/// Finds lost messages again among those that are new on the side that lost them; by their places in `lost`.
pub(super) fn find(lost: &[Lost<'_>], side: Side, fresh: &[Fresh]) -> HashMap<usize, Fresh> {
    let sought: Vec<Traits> = lost
        .iter()
        .map(|lost| Traits::of_lost(lost.pair, side).dated(lost.pair.half(side).date))
        .collect();
    let new: Vec<Traits> = fresh
        .iter()
        .map(|(_, new)| Traits::of_new(new, side).dated(Some(new.date)))
        .collect();
    let found_before = lost.iter().map(|lost| lost.is[side as usize] == Is::There).collect();
    match_up([&sought, &new], [found_before, vec![false; new.len()]])
        .into_iter()
        .map(|(lost, new)| (lost, fresh[new].clone()))
        .collect()
}
