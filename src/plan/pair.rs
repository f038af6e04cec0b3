//! New messages: which of them are the same on both sides, and what becomes of the others.
//!
//! Header hashes propose (DESIGN 5). They decide alone only where the sizes agree too and all candidates have one
//! content; else the message is transferred and its content compared on arrival.

use std::collections::BTreeMap;

use super::{Action, Policy, Rule, Step, View, flags};
use crate::model::{ContentDigest, Envelope, EnvelopeKey, Flags, HeaderDigest, Id, IdSet, Pair, Side, System};

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
}

/// By what two messages can be proposed to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tag {
    Envelope(EnvelopeKey, u64),
    Header(HeaderDigest, u64),
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

    fn tags(&self) -> impl Iterator<Item = Tag> {
        let (envelope, header, size) = match self {
            Self::New(e) => (e.envelope, e.header, e.size),
            Self::Void(p) => (p.envelope, Some(p.header), p.size),
        };
        envelope
            .map(|key| Tag::Envelope(key, size))
            .into_iter()
            .chain(header.map(|digest| Tag::Header(digest, size)))
    }
}

/// Proposes pairs: candidates of both sides under one tag, if they cannot be of different content, in order of their ids.
fn propose(waiting: &[Vec<Waiting>; 2]) -> Vec<(usize, usize)> {
    let mut groups: BTreeMap<Tag, [Vec<usize>; 2]> = BTreeMap::new();
    for side in Side::BOTH {
        for (at, candidate) in waiting[side as usize].iter().enumerate() {
            for tag in candidate.tags() {
                groups.entry(tag).or_default()[side as usize].push(at);
            }
        }
    }
    let mut taken = [vec![false; waiting[0].len()], vec![false; waiting[1].len()]];
    let mut pairs = adopt(waiting);
    for &(left, right) in &pairs {
        taken[0][left] = true;
        taken[1][right] = true;
    }
    for mut group in groups.into_values() {
        let contents = Side::BOTH.map(|side| {
            group[side as usize].retain(|&at| !taken[side as usize][at]);
            group[side as usize].sort_by_key(|&at| waiting[side as usize][at].id(side));
            group[side as usize]
                .iter()
                .map(|&at| waiting[side as usize][at].content())
                .collect::<Vec<_>>()
        });
        if one_content(&contents) {
            for (&left, &right) in group[0].iter().zip(&group[1]) {
                taken[0][left] = true;
                taken[1][right] = true;
                pairs.push((left, right));
            }
        }
    }
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

/// Whether all contents that are known are the same, and at least one is.
fn one_content(contents: &[Vec<Option<ContentDigest>>; 2]) -> bool {
    let mut known = contents.iter().flatten().flatten();
    let first = known.next();
    first.is_some() && known.all(|content| Some(content) == first)
}

/// Decides on everything that has no partner yet. Gives the pairs whose base row lived on, for the flags.
pub(super) fn decide(view: &View, policy: &Policy, steps: &mut Vec<Step>) -> Vec<Match> {
    let pairs = propose(&view.waiting);
    let mut rest = view.added.clone();
    let mut meets: [Vec<(ContentDigest, Id)>; 2] = [Vec::new(), Vec::new()];
    for side in Side::BOTH {
        let paired: std::collections::BTreeSet<usize> = pairs
            .iter()
            .map(|&(left, right)| if side == Side::Left { left } else { right })
            .collect();
        for (at, candidate) in view.waiting[side as usize].iter().enumerate() {
            let Some(id) = candidate.id(side) else { continue };
            if paired.contains(&at) {
                rest[side as usize].remove(id);
            } else if !candidate.was_sent(side) {
                // A base row without a partner is not deleted over there, it is unknown: it is copied again.
                rest[side as usize].insert(id);
                meets[side as usize].extend(candidate.content().map(|content| (content, id)));
            }
        }
    }
    let matches: Vec<Match> = pairs
        .iter()
        .map(|&(left, right)| Match {
            left: view.waiting[0][left].clone(),
            right: view.waiting[1][right].clone(),
        })
        .collect();
    for side in Side::BOTH {
        let meet = std::mem::take(&mut meets[side.other() as usize]);
        carry_over(
            view,
            side,
            std::mem::take(&mut rest[side as usize]),
            meet,
            policy,
            steps,
        );
    }
    let (new, lived_on): (Vec<_>, Vec<_>) = matches
        .into_iter()
        .partition(|m| matches!((&m.left, &m.right), (Waiting::New(_), Waiting::New(_))));
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

/// What is new on one side and has no partner.
fn carry_over(
    view: &View,
    of: Side,
    ids: IdSet,
    meet: Vec<(ContentDigest, Id)>,
    policy: &Policy,
    steps: &mut Vec<Step>,
) {
    if ids.is_empty() {
        return;
    }
    let (action, why) = match (policy.of(of).new, of) {
        (Rule::Spread, Side::Left) => (
            Action::Copy {
                to: Side::Right,
                ids,
                meet,
            },
            "new on the left",
        ),
        (Rule::Spread, Side::Right) => (
            Action::Copy {
                to: Side::Left,
                ids,
                meet,
            },
            "new on the right",
        ),
        (Rule::Keep | Rule::Undo, _) => (
            Action::KeepNew { of, ids },
            "new, and the policy keeps this side's changes",
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
            match policy.of(on.other()).flags {
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
        step(Action::KeepFlags { of, flags }, "the policy keeps this side's flags");
    }
}

impl Match {
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
    use crate::model::{InternalDate, MailboxId};

    fn new(id: Id, key: Option<u8>, header: Option<u8>, size: u64, content: Option<u8>) -> Waiting {
        Waiting::New(Envelope {
            mailbox: MailboxId(1),
            id,
            flags: Flags::none(),
            date: InternalDate(0),
            size,
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
