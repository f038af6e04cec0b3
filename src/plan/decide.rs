//! Paired messages: the table.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::mailboxes::Fate;
use super::pair::{Match, Waiting, joined};
use super::{Action, Base, Change, Input, Now, Policy, REFUSED, Rule, Step, Touched, View, flags};
use crate::model::{Flags, Gone, Id, IdSet, Pair, PairId, Side};

/// What one side of a pair is, for the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    Same,
    Flagged,
    Gone,
    /// Its id means nothing any more; what has that content now is told as new.
    Void,
}

/// What to do about a pair.
enum Verdict {
    Nothing,
    Merge,
    /// The flags of that side wait until the message is known again on the other.
    Wait(Side),
    Forget(&'static str),
    /// Gone on that side, there on the other.
    Removal(Side, &'static str),
}

fn verdict(left: Is, right: Is) -> Verdict {
    use Is::{Flagged, Gone, Same, Void};
    match (left, right) {
        (Same, Same) => Verdict::Nothing,
        (Flagged, Same | Flagged) | (Same, Flagged) => Verdict::Merge,
        (Gone, Same) => Verdict::Removal(Side::Left, "gone on the left"),
        (Same, Gone) => Verdict::Removal(Side::Right, "gone on the right"),
        (Gone, Flagged) => Verdict::Removal(Side::Left, "gone on the left; a deletion wins over a change of flags"),
        (Flagged, Gone) => Verdict::Removal(Side::Right, "gone on the right; a deletion wins over a change of flags"),
        (Gone, Gone) => Verdict::Forget("gone on both sides"),
        // A deletion that coincides with changed ids comes back: what is there is told as new.
        (Gone, Void) | (Void, Gone | Void) => Verdict::Forget("gone on one side, its ids void on the other"),
        // Decided with the new messages; only a transfer may tell which of these it is.
        (Void, Same) | (Same, Void) => Verdict::Nothing,
        (Flagged, Void) => Verdict::Wait(Side::Left),
        (Void, Flagged) => Verdict::Wait(Side::Right),
    }
}

/// Steps under way, grouped so that a plan stays small whatever it is about.
#[derive(Default)]
struct Groups {
    set: BTreeMap<(Side, Flags, Flags), IdSet>,
    agree: BTreeMap<(Flags, Flags), Vec<PairId>>,
    keep_flags: BTreeMap<(Side, &'static str), Vec<(Id, Flags)>>,
    remove: BTreeMap<(Side, &'static str), Vec<PairId>>,
    copy_back: BTreeMap<(Side, &'static str), IdSet>,
    keep: BTreeMap<(Side, Held, &'static str), Vec<PairId>>,
    keep_new: BTreeMap<(Side, &'static str), IdSet>,
    forget: BTreeMap<&'static str, Vec<PairId>>,
}

/// [`Gone`] as a key of a map.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    Pending,
    Held,
}

/// Decides on all pairs of a mailbox that changed, and on the flags of those whose ids did.
///
/// Those that `moved` are decided already, but for the flags of those that live on here.
pub(super) fn decide(
    view: &View,
    lived_on: &[Match],
    moved: &BTreeSet<PairId>,
    fate: Fate,
    input: &Input,
    steps: &mut Vec<Step>,
) {
    let mut groups = Groups::default();
    let touched = || view.touched.iter().filter(|touched| !moved.contains(&touched.pair.id));
    let now: HashMap<PairId, &[Now; 2]> = view.touched.iter().map(|t| (t.pair.id, &t.now)).collect();
    let revived: BTreeMap<PairId, Touched> = lived_on
        .iter()
        .filter_map(|m| revive(m, &now, &input.policy))
        .map(|touched| (touched.pair.id, touched))
        .collect();
    for touched in touched().filter(|touched| !revived.contains_key(&touched.pair.id)) {
        one(touched, view, fate, input, &mut groups);
    }
    for touched in revived.values() {
        one(touched, view, fate, input, &mut groups);
    }
    groups.into_steps(view, steps);
}

/// A base row that found its message again: the pair with both ids, and what its sides are now.
fn revive(m: &Match, now: &HashMap<PairId, &[Now; 2]>, policy: &Policy) -> Option<Touched> {
    let now_of = |pair: &Pair, side: Side| now.get(&pair.id).map_or(Now::AsBase, |now| now[side as usize].clone());
    let (pair, found) = match (&m.left, &m.right, &m.base) {
        (Waiting::Void(pair), Waiting::New(found), _) => (pair, vec![(Side::Right, found)]),
        (Waiting::New(found), Waiting::Void(pair), _) => (pair, vec![(Side::Left, found)]),
        (Waiting::New(left), Waiting::New(right), Some(base)) => (base, vec![(Side::Left, left), (Side::Right, right)]),
        (Waiting::Void(left), Waiting::Void(right), _) => {
            return Some(Touched {
                pair: joined(left, right),
                now: [now_of(left, Side::Left), now_of(right, Side::Right)],
            });
        }
        (Waiting::New(_), Waiting::New(_), None) => return None,
    };
    let mut now = Side::BOTH.map(|side| now_of(pair, side));
    let mut pair: Pair = (**pair).clone();
    for (side, found) in found {
        pair.halves[side as usize].id = Some(found.id);
        if pair.half(side).unseen {
            let other = side.other();
            // It is what it was, but its base is not.
            if let Now::AsBase = now[other as usize] {
                now[other as usize] = Now::Flags(pair.half(other).flags.clone());
            }
            flags::seen_late(&mut pair, side, &found.flags, policy);
        }
        now[side as usize] = Now::Flags(found.flags.clone());
    }
    Some(Touched { pair, now })
}

fn is(touched: &Touched, side: Side) -> Is {
    match &touched.now[side as usize] {
        Now::Gone => Is::Gone,
        _ if touched.pair.half(side).id.is_none() => Is::Void,
        Now::Flags(now) if *now != touched.pair.half(side).flags => Is::Flagged,
        Now::Flags(_) | Now::AsBase => Is::Same,
    }
}

fn one(touched: &Touched, view: &View, fate: Fate, input: &Input, groups: &mut Groups) {
    match verdict(is(touched, Side::Left), is(touched, Side::Right)) {
        Verdict::Nothing => {}
        Verdict::Merge => merge(touched, view, input, groups),
        Verdict::Wait(side) => wait(touched, side, VOID, groups),
        Verdict::Forget(why) => groups.forget.entry(why).or_default().push(touched.pair.id),
        Verdict::Removal(gone, why) => removal(touched, (gone, why), view, fate, input, groups),
    }
}

const VOID: &str = "its ids are void on the other side: its flags wait until it is found there";
const OBSCURE: &str = "it may be a new message of its size there that cannot be read";
pub(super) const ABSENT: &str = "gone on the other side, and that is kept: its flags wait until it is there again";

/// What changed on that side and cannot be carried over yet is written down: no mailbox need tell of it again.
fn wait(touched: &Touched, side: Side, why: &'static str, groups: &mut Groups) {
    let half = touched.pair.half(side);
    if let (Now::Flags(flags), Some(id)) = (&touched.now[side as usize], half.id)
        && *flags != half.flags
    {
        let waiting = groups.keep_flags.entry((side, why)).or_default();
        waiting.push((id, flags.clone()));
    }
}

fn removal(
    touched: &Touched,
    (gone, why): (Side, &'static str),
    view: &View,
    fate: Fate,
    input: &Input,
    groups: &mut Groups,
) {
    let rules = input.policy.of(gone);
    let held = touched.pair.half(gone).gone == Gone::Held;
    let there = touched.pair.half(gone.other()).id;
    let keep = |groups: &mut Groups, held, why| {
        groups.keep.entry((gone, held, why)).or_default().push(touched.pair.id);
        wait(touched, gone.other(), ABSENT, groups);
    };
    let copy_back = |groups: &mut Groups, why| {
        groups.copy_back.entry((gone, why)).or_default().extend(there);
    };
    match view.rule(gone, rules.removals) {
        _ if fate == Fate::Restore => copy_back(groups, "the mailbox comes back with what it held"),
        _ if input.base == Base::Old => unknown(touched, gone.other(), input, groups),
        _ if held && rules.undo_held => {
            copy_back(groups, "held back by a guard, and the other side's copy was asked for");
        }
        _ if held && !input.policy.allow_deletes => keep(groups, Held::Held, "held back by a guard in an earlier run"),
        Rule::Keep => keep(
            groups,
            Held::Pending,
            view.why_kept(gone, rules.removals, "the policy keeps this side's removals"),
        ),
        Rule::Undo => copy_back(groups, "the policy undoes this side's removals"),
        Rule::Spread if !input.settled[gone as usize] => {
            keep(
                groups,
                Held::Pending,
                "not all of that side could be read; the message may have moved",
            );
        }
        Rule::Spread if input.obscures(gone, &touched.pair) => keep(groups, Held::Pending, OBSCURE),
        Rule::Spread if view.refuses(gone.other(), Change::Removal, &touched.pair) => {
            keep(groups, Held::Pending, REFUSED);
        }
        Rule::Spread => groups
            .remove
            .entry((gone.other(), why))
            .or_default()
            .push(touched.pair.id),
    }
}

/// The state is older than the mail: what one side lacks may have come back, or moved, or changed its id since. It is not
/// deleted, it is unknown, and what the other side has is new (DESIGN 8a).
fn unknown(touched: &Touched, there: Side, input: &Input, groups: &mut Groups) {
    const WHY: &str = "the state is older than the mail: nothing counts as removed";
    let id = touched.pair.half(there).id;
    if input.policy.of(there).new == Rule::Spread {
        groups.copy_back.entry((there.other(), WHY)).or_default().extend(id);
    } else {
        groups.forget.entry(WHY).or_default().push(touched.pair.id);
        groups.keep_new.entry((there, WHY)).or_default().extend(id);
    }
}

/// What to do with the flags of a message that a side changed: what is refused where they would be set is kept.
fn flags_rule(view: &View, pair: &Pair, by: Side, asked: Rule) -> Rule {
    let rule = view.rule(by, asked);
    let set_on = match rule {
        Rule::Spread => by.other(),
        Rule::Undo => by,
        Rule::Keep => return rule,
    };
    if view.refuses(set_on, Change::Flags, pair) {
        Rule::Keep
    } else {
        rule
    }
}

fn merge(touched: &Touched, view: &View, input: &Input, groups: &mut Groups) {
    let pair = &touched.pair;
    let base = Side::BOTH.map(|side| &pair.half(side).flags);
    let now = Side::BOTH.map(|side| match &touched.now[side as usize] {
        Now::Flags(flags) => flags,
        Now::AsBase | Now::Gone => base[side as usize],
    });
    // A side whose flags are kept or undone makes no change for the other.
    let asked = Side::BOTH.map(|side| input.policy.of(side).flags);
    let rules = Side::BOTH.map(|side| flags_rule(view, pair, side, asked[side as usize]));
    let spread = Side::BOTH.map(|side| {
        if rules[side as usize] == Rule::Spread {
            now[side as usize]
        } else {
            base[side as usize]
        }
    });
    let merged = flags::merge(base, spread);
    for side in Side::BOTH {
        let at = side as usize;
        if let (Rule::Keep, Some(id), true) = (rules[at], pair.half(side).id, now[at] != base[at]) {
            let why = match view.rule(side, asked[at]) {
                Rule::Keep => view.why_kept(side, asked[at], "the policy keeps this side's flags"),
                Rule::Spread | Rule::Undo => REFUSED,
            };
            groups
                .keep_flags
                .entry((side, why))
                .or_default()
                .push((id, now[at].clone()));
        }
        let (mut add, mut remove) = (merged.add[at].minus(now[at]), merged.remove[at].intersection(now[at]));
        if rules[at] == Rule::Undo {
            add = add.union(&base[at].minus(now[at]).minus(&merged.remove[at]));
            remove = remove.union(&now[at].minus(base[at]).minus(&merged.add[at]));
        }
        if let (false, Some(id)) = (add.is_empty() && remove.is_empty(), pair.half(side).id) {
            groups.set.entry((side, add, remove)).or_default().insert(id);
        }
    }
    // What one side spreads and the other, whose own changes do not count, holds already, both agree on too.
    let (mut add, mut remove) = (merged.agreed_add, merged.agreed_remove);
    for at in [0, 1] {
        add = add.union(&merged.add[at].intersection(now[at]));
        remove = remove.union(&merged.remove[at].minus(now[at]));
    }
    if !add.is_empty() || !remove.is_empty() {
        groups.agree.entry((add, remove)).or_default().push(pair.id);
    }
}

impl Groups {
    fn into_steps(self, view: &View, steps: &mut Vec<Step>) {
        let mut step = |action, why| {
            steps.push(Step {
                mailbox: view.id,
                path: view.path.clone(),
                action,
                why,
            });
        };
        for ((on, add, remove), ids) in self.set {
            step(
                Action::SetFlags { on, ids, add, remove },
                if on == Side::Left {
                    "changed on the right"
                } else {
                    "changed on the left"
                },
            );
        }
        for ((add, remove), pairs) in self.agree {
            step(Action::Agree { pairs, add, remove }, "changed alike on both sides");
        }
        for ((of, why), flags) in self.keep_flags {
            step(Action::KeepFlags { of, flags }, why);
        }
        for ((on, why), pairs) in self.remove {
            step(Action::Remove { on, pairs }, why);
        }
        for ((to, why), ids) in self.copy_back {
            step(
                Action::Copy {
                    to,
                    ids,
                    meet: Vec::new(),
                },
                why,
            );
        }
        for ((of, held, why), pairs) in self.keep {
            let gone = if held == Held::Held { Gone::Held } else { Gone::Pending };
            step(Action::KeepRemoval { of, pairs, gone }, why);
        }
        for ((of, why), ids) in self.keep_new {
            step(Action::KeepNew { of, ids }, why);
        }
        for (why, pairs) in self.forget {
            step(Action::Forget { pairs }, why);
        }
    }
}
