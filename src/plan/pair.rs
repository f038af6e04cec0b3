//! New messages: which of them are the same on both sides, and what becomes of the others.

use std::collections::{BTreeMap, BTreeSet};

use super::alike::{Traits, match_up};
use super::{Action, Policy, Rule, Step, View, flags};
use crate::model::{Beyond, ContentDigest, Envelope, EnvelopeKey, Flags, Gone, Id, IdSet, Pair, PairId, Side, System};

/// A message that looks for its partner on the other side.
#[derive(Clone, Debug)]
pub enum Waiting {
    /// New, or pending.
    New(Envelope),
    /// A base row that has no id on the other side any more (its UIDVALIDITY changed).
    Void(Box<Pair>),
}

/// Two messages that are one.
#[derive(Clone, Debug)]
pub struct Match {
    /// On the left.
    pub left: Waiting,
    /// On the right.
    pub right: Waiting,
    /// New on both sides, and both have lost it elsewhere: the base row of that message, which lives on here.
    pub base: Option<Box<Pair>>,
}

impl Waiting {
    /// Its id on its own side.
    pub fn id(&self, side: Side) -> Option<Id> {
        match self {
            Self::New(envelope) => Some(envelope.id),
            Self::Void(pair) => pair.half(side).id,
        }
    }

    /// Its content, where known without a transfer.
    pub fn content(&self) -> Option<ContentDigest> {
        match self {
            Self::New(envelope) => envelope.content,
            Self::Void(pair) => Some(pair.content),
        }
    }

    /// A message that was sent to the other side, whose answer did not say what it became there. Never sent again.
    fn was_sent(&self, side: Side) -> bool {
        matches!(self, Self::Void(pair) if pair.half(side.other()).unseen)
    }

    fn envelope(&self) -> Option<EnvelopeKey> {
        match self {
            Self::New(envelope) => envelope.envelope,
            Self::Void(pair) => pair.envelope,
        }
    }

    /// Of a message of `side`.
    fn traits(&self, side: Side) -> Traits {
        match self {
            Self::New(envelope) => Traits::of_new(envelope, side),
            Self::Void(pair) => Traits::of_lost(pair, side.other()),
        }
    }
}

/// The messages of a mailbox that had no partner, once those that are one have been matched.
pub(super) struct Matched<'a> {
    /// The mailbox.
    pub view: &'a View,
    /// Two that are one.
    pub matches: Vec<Match>,
    /// Still without a partner, where known by more than their ids.
    pub alone: [Vec<&'a Waiting>; 2],
    /// Still without a partner, to be carried over to the other side.
    pub rest: [IdSet; 2],
    /// Still without a partner, and not to be tried again yet.
    pub resting: [IdSet; 2],
    /// Of the rest: what the other side deleted while it was moved here.
    pub wins: [IdSet; 2],
}

impl Matched<'_> {
    /// The new messages of that side that nothing has answered for yet.
    pub(super) fn new_of(&self, side: Side) -> impl Iterator<Item = &Envelope> {
        let alone = self.alone[side as usize].iter();
        alone.filter_map(move |waiting| match waiting {
            Waiting::New(envelope)
                if self.rests(side, envelope.id) || self.rest[side as usize].contains(envelope.id) =>
            {
                Some(envelope)
            }
            _ => None,
        })
    }

    /// The base rows that have their messages again.
    pub(super) fn found_again(&self) -> impl Iterator<Item = PairId> {
        self.matches.iter().flat_map(Match::found_again)
    }

    /// It was tried before, and its time has not come again.
    pub(super) fn rests(&self, side: Side, id: Id) -> bool {
        self.resting[side as usize].contains(id)
    }

    /// The configuration does not want it to be transferred.
    pub(super) fn is_beyond(&self, side: Side, id: Id) -> bool {
        let beyond = &self.view.beyond[side as usize];
        let mut lists = beyond.values();
        lists.any(|messages| messages.binary_search_by_key(&id, |(id, _)| *id).is_ok())
    }

    /// It is answered for.
    pub(super) fn take(&mut self, side: Side, id: Id) {
        self.rest[side as usize].remove(id);
        self.resting[side as usize].remove(id);
    }
}

/// Two base rows of one message, each of which lost the side that the other has: the older row has both from now on.
#[must_use]
pub fn joined(left: &Pair, right: &Pair) -> Pair {
    let halves = [left.half(Side::Left).clone(), right.half(Side::Right).clone()];
    let older = if left.id < right.id { left } else { right };
    Pair {
        halves,
        ..older.clone()
    }
}

/// Matches what is new on both sides of a mailbox.
pub(super) fn match_new(view: &View) -> Matched<'_> {
    let pairs = propose(&view.waiting);
    let found = pairs.iter().map(|&(left, right)| Match {
        left: view.waiting[0][left].clone(),
        right: view.waiting[1][right].clone(),
        base: None,
    });
    let mut matched = Matched {
        view,
        matches: found.collect(),
        alone: Default::default(),
        rest: view.added.clone(),
        resting: view.resting.clone(),
        wins: Default::default(),
    };
    for side in Side::BOTH {
        let at = side as usize;
        let paired: BTreeSet<usize> = pairs
            .iter()
            .map(|&(left, right)| if side == Side::Left { left } else { right })
            .collect();
        for (nth, candidate) in view.waiting[at].iter().enumerate() {
            let Some(id) = candidate.id(side) else { continue };
            if paired.contains(&nth) {
                matched.rest[at].remove(id);
                matched.resting[at].remove(id);
            } else {
                let unknown = matches!(candidate, Waiting::Void(pair) if pair.half(side.other()).gone == Gone::No);
                if unknown && !candidate.was_sent(side) {
                    // It is not deleted over there: it is copied again. What was sent is not, but may be found elsewhere.
                    matched.rest[at].insert(id);
                }
                matched.alone[at].push(candidate);
            }
        }
    }
    matched
}

/// The new messages of each side that by all that is known so far are not on the other.
pub fn strangers(view: &View) -> [Vec<&Envelope>; 2] {
    match_new(view).alone.map(|alone| {
        let new = alone.into_iter().filter_map(|waiting| match waiting {
            Waiting::New(envelope) => Some(envelope),
            Waiting::Void(_) => None,
        });
        new.collect()
    })
}

/// Proposes pairs: what was sent and arrived, then what is alike.
fn propose(waiting: &[Vec<Waiting>; 2]) -> Vec<(usize, usize)> {
    let mut pairs = adopt(waiting);
    let mut taken = [vec![false; waiting[0].len()], vec![false; waiting[1].len()]];
    for &(left, right) in &pairs {
        taken[0][left] = true;
        taken[1][right] = true;
    }
    let traits = Side::BOTH.map(|side| -> Vec<Traits> {
        let waiting = waiting[side as usize].iter();
        waiting.map(|candidate| candidate.traits(side)).collect()
    });
    pairs.extend(match_up([&traits[0], &traits[1]], taken));
    pairs
}

/// What was sent is the single new message with its envelope key, whatever the server made of its bytes (DESIGN 8a).
fn adopt(waiting: &[Vec<Waiting>; 2]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for side in Side::BOTH {
        for (at, sent) in waiting[side as usize]
            .iter()
            .enumerate()
            .filter(|(_, w)| w.was_sent(side))
        {
            let Some(key) = sent.envelope() else { continue };
            let mut arrived = waiting[side.other() as usize]
                .iter()
                .enumerate()
                .filter(|(_, w)| matches!(w, Waiting::New(_)) && w.envelope() == Some(key));
            if let (Some((there, _)), None) = (arrived.next(), arrived.next()) {
                let pair = if side == Side::Left { (at, there) } else { (there, at) };
                if !pairs.iter().any(|&(l, r)| l == pair.0 || r == pair.1) {
                    pairs.push(pair);
                }
            }
        }
    }
    pairs
}

/// Decides on everything that has no partner yet. Gives the pairs whose base row lived on, for the flags.
pub(super) fn decide(matched: Matched<'_>, policy: &Policy, steps: &mut Vec<Step>) -> Vec<Match> {
    let view = matched.view;
    for side in Side::BOTH {
        let meet = &matched.alone[side.other() as usize];
        let meet: Vec<(ContentDigest, Id)> = meet
            .iter()
            .filter_map(|waiting| Some((waiting.content()?, waiting.id(side.other())?)))
            .filter(|&(_, id)| {
                let there = side.other();
                matched.rest[there as usize].contains(id) || matched.rests(there, id)
            })
            .collect();
        let wins = matched.wins[side as usize].intersection(&matched.rest[side as usize]);
        let mut new = matched.rest[side as usize].difference(&wins);
        leave_out(view, side, &mut new, policy, steps);
        carry_over(view, side, wins, meet.clone(), policy, WINS[side as usize], steps);
        carry_over(view, side, new, meet, policy, NEW[side as usize], steps);
    }
    let (new, lived_on): (Vec<_>, Vec<_>) = matched
        .matches
        .into_iter()
        .partition(|m| matches!((&m.left, &m.right, &m.base), (Waiting::New(_), Waiting::New(_), None)));
    let mut step = |matches: &Vec<Match>, why| {
        if !matches.is_empty() {
            steps.push(Step {
                mailbox: view.id,
                path: view.path.clone(),
                action: Action::Pair {
                    matches: matches.clone(),
                },
                why,
            });
        }
    };
    step(&new, "new on both sides with the same content");
    step(&lived_on, "the ids changed, the content did not");
    merge_flags_of_new(view, &new, policy, steps);
    lived_on
}

const NEW: [&str; 2] = ["new on the left", "new on the right"];
const WINS: [&str; 2] = [
    "moved here on the left, gone on the right: the move wins",
    "moved here on the right, gone on the left: the move wins",
];

const BEYOND: [(Beyond, &str); 2] = [
    (Beyond::Size, "larger than max-size"),
    (Beyond::Date, "older than since"),
];

/// Of what would be transferred, what the configuration does not want to be.
fn leave_out(view: &View, of: Side, ids: &mut IdSet, policy: &Policy, steps: &mut Vec<Step>) {
    for (reason, why) in BEYOND {
        let beyond = view.beyond[of as usize].get(&reason).into_iter().flatten();
        let messages: Vec<(Id, u64)> = beyond.filter(|(id, _)| ids.contains(*id)).copied().collect();
        if messages.is_empty() || policy.of(of).new != Rule::Spread {
            continue;
        }
        *ids = ids.difference(&messages.iter().map(|(id, _)| *id).collect());
        steps.push(Step {
            mailbox: view.id,
            path: view.path.clone(),
            action: Action::LeaveOut { of, reason, messages },
            why,
        });
    }
}

/// What is new on one side and has no partner.
fn carry_over(
    view: &View,
    of: Side,
    ids: IdSet,
    meet: Vec<(ContentDigest, Id)>,
    policy: &Policy,
    why: &'static str,
    steps: &mut Vec<Step>,
) {
    if ids.is_empty() {
        return;
    }
    let asked = policy.of(of).new;
    let (action, why) = match view.rule(of, asked) {
        Rule::Spread => (
            Action::Copy {
                to: of.other(),
                ids,
                meet,
            },
            why,
        ),
        Rule::Keep | Rule::Undo => (
            Action::KeepNew { of, ids },
            view.why_kept(of, asked, "new, and the policy keeps this side's changes"),
        ),
    };
    steps.push(Step {
        mailbox: view.id,
        path: view.path.clone(),
        action,
        why,
    });
}

/// New on both sides: both get the flags that either has.
fn merge_flags_of_new(view: &View, matches: &[Match], policy: &Policy, steps: &mut Vec<Step>) {
    let mut groups: BTreeMap<(Side, Flags), IdSet> = BTreeMap::new();
    let mut kept: BTreeMap<Side, Vec<(Id, Flags)>> = BTreeMap::new();
    for m in matches {
        let (Waiting::New(left), Waiting::New(right)) = (&m.left, &m.right) else {
            continue;
        };
        let missing = flags::union([&left.flags, &right.flags]);
        for (on, here, there) in [(Side::Left, left, right), (Side::Right, right, left)] {
            let missing = &missing[on as usize];
            match view.rule(on.other(), policy.of(on.other()).flags) {
                _ if missing.is_empty() => {}
                Rule::Spread => {
                    groups.entry((on, missing.clone())).or_default().insert(here.id);
                }
                Rule::Keep | Rule::Undo => kept
                    .entry(on.other())
                    .or_default()
                    .push((there.id, there.flags.clone())),
            }
        }
    }
    let mut step = |action, why| {
        steps.push(Step {
            mailbox: view.id,
            path: view.path.clone(),
            action,
            why,
        });
    };
    for ((on, add), ids) in groups {
        let action = Action::SetFlags {
            on,
            ids,
            add,
            remove: Flags::none(),
        };
        step(action, "new on both sides: the flags of either");
    }
    for (of, flags) in kept {
        let why = view.why_kept(of, policy.of(of).flags, "the policy keeps this side's flags");
        step(Action::KeepFlags { of, flags }, why);
    }
}

impl Match {
    /// The base rows that have their messages again.
    pub(super) fn found_again(&self) -> impl Iterator<Item = PairId> {
        [&self.left, &self.right]
            .into_iter()
            .filter_map(|waiting| match waiting {
                Waiting::Void(pair) => Some(pair.id),
                Waiting::New(_) => None,
            })
    }

    /// The flags that the base of a new pair starts with: what both have, so that what only one has is still a change
    /// until it is carried over; `\Deleted` is not carried over and stays as each side has it.
    pub fn base_flags(left: &Flags, right: &Flags) -> [Flags; 2] {
        let both = left.intersection(right);
        let own = |flags: &Flags| both.union(&Flags::new(flags.system.intersection(System::DELETED), []));
        [own(left), own(right)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HeaderDigest, InternalDate, MailboxId};

    fn new(id: Id, key: Option<u8>, header: Option<u8>, size: u64, content: Option<u8>) -> Waiting {
        Waiting::New(Envelope {
            mailbox: MailboxId(1),
            id,
            flags: Flags::none(),
            date: InternalDate(0),
            size,
            marks: 0,
            envelope: key.map(|k| EnvelopeKey([k; 16])),
            header: header.map(|h| HeaderDigest([h; 16])),
            content: content.map(|c| ContentDigest([c; 16])),
            object: None,
        })
    }

    /// Name, left, right, the pairs proposed.
    type Row = (&'static str, Vec<Waiting>, Vec<Waiting>, Vec<(usize, usize)>);

    #[test]
    fn proposals() {
        let l = |id, key, header, content| new(id, key, Some(header), 10, Some(content));
        let r = |id, key, header, size| new(id, key, header, size, None);
        let rows: [Row; 8] = [
            (
                "same key, same size",
                vec![l(1, Some(1), 1, 1)],
                vec![r(7, Some(1), None, 10)],
                vec![(0, 0)],
            ),
            (
                "same key, other size: only the content can tell",
                vec![l(1, Some(1), 1, 1)],
                vec![r(7, Some(1), None, 11)],
                vec![],
            ),
            (
                "no key: the header",
                vec![l(1, None, 5, 1)],
                vec![r(7, None, Some(5), 10)],
                vec![(0, 0)],
            ),
            (
                "other header",
                vec![l(1, None, 5, 1)],
                vec![r(7, None, Some(6), 10)],
                vec![],
            ),
            (
                "same key, two contents",
                vec![l(1, Some(1), 1, 1), l(2, Some(1), 1, 2)],
                vec![r(7, Some(1), None, 10)],
                vec![],
            ),
            (
                "equal copies, in order",
                vec![l(2, Some(1), 1, 1), l(1, Some(1), 1, 1)],
                vec![
                    r(9, Some(1), None, 10),
                    r(8, Some(1), None, 10),
                    r(10, Some(1), None, 10),
                ],
                vec![(1, 1), (0, 0)],
            ),
            (
                "two contents under one key, told apart by the header",
                vec![l(1, Some(1), 1, 1), l(2, Some(1), 2, 2)],
                vec![r(7, Some(1), Some(2), 10)],
                vec![(1, 0)],
            ),
            (
                "nothing known of either content",
                vec![r(1, Some(1), None, 10)],
                vec![r(7, Some(1), None, 10)],
                vec![],
            ),
        ];
        for (name, left, right, expected) in rows {
            assert_eq!(propose(&[left, right]), expected, "{name}");
        }
    }
}
