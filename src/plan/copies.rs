//! Copies across mailboxes: what is new on a side though its content is known there is copied on the other side too, instead
//! of transferred.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::moves::{fresh, places};
use super::pair::{Matched, Waiting};
use super::{Action, Base, Input, Now, Presence, Rule, Source, Step, Twin};
use crate::model::{ContentDigest, Envelope, InternalDate, MailboxId, ObjectId, PairId, Side};

/// Decides on copies, and takes them out of what is left to decide in each mailbox.
pub(super) fn decide(input: &Input, open: &mut [Matched<'_>], steps: &mut Vec<Step>) {
    for side in Side::BOTH {
        if input.policy.of(side).new == Rule::Spread {
            copies_of(input, open, side, steps);
        }
    }
}

const COPIED: [&str; 2] = ["copied on the left", "copied on the right"];

fn copies_of(input: &Input, open: &mut [Matched<'_>], of: Side, steps: &mut Vec<Step>) {
    let places = places(open);
    let there = sources(input, open, of);
    // Of two that are both new each keeps its own date, or a first upload would change them.
    let mut arriving: HashMap<(Key, InternalDate), (MailboxId, Source)> = HashMap::new();
    let mut copies: BTreeMap<(MailboxId, MailboxId), Vec<Twin>> = BTreeMap::new();
    for (to, new) in fresh(open, of) {
        let matched = &mut open[places[&to]];
        if matched.view.closed[of.other() as usize] {
            continue;
        }
        let Some(key) = Key::of(&new, of).filter(|_| !matched.rests(of, new.id)) else {
            continue;
        };
        if may_be_there(input.base, matched, &new, of) {
            continue;
        }
        let dated = (key, new.date);
        if let Some((from, source)) = there.get(&dated.0).or_else(|| arriving.get(&dated)).cloned() {
            matched.take(of, new.id);
            let (id, flags) = (new.id, new.flags);
            copies.entry((to, from)).or_default().push(Twin { source, id, flags });
        } else if !matched.is_beyond(of, new.id) {
            arriving.insert(dated, (to, Source::Arriving(new.id)));
        }
    }
    let paths: HashMap<MailboxId, _> = input.mailboxes.iter().map(|view| (view.id, &view.path)).collect();
    for ((mailbox, from), twins) in copies {
        let (on, from_path) = (of.other(), paths[&from].clone());
        steps.push(Step {
            mailbox,
            path: paths[&mailbox].clone(),
            action: Action::CopyWithin {
                on,
                from,
                from_path,
                twins,
            },
            why: COPIED[of as usize],
        });
    }
}

/// The other side has something new in that mailbox which could be this message: only a transfer and a look at the content
/// tells (HAZARDS 17), and a copy made before would be one too many.
fn may_be_there(base: Base, matched: &Matched<'_>, new: &Envelope, of: Side) -> bool {
    matched.new_of(of.other()).any(|other| {
        let unknown = new.content.is_none() || other.content.is_none();
        let alike = other.envelope.is_none() || new.envelope.is_none() || other.envelope == new.envelope;
        unknown && (alike || base != Base::Agreed)
    })
}

/// What the other side has already.
fn sources(input: &Input, open: &[Matched<'_>], of: Side) -> HashMap<Key, (MailboxId, Source)> {
    let mut sources = known(input, of);
    for matched in open.iter().filter(|matched| !matched.view.closed[of.other() as usize]) {
        for m in &matched.matches {
            let [here, there] = if of == Side::Left {
                [&m.left, &m.right]
            } else {
                [&m.right, &m.left]
            };
            if let (Waiting::New(new), Waiting::New(found)) = (here, there)
                && let Some(key) = Key::of(new, of)
            {
                let source = Source::There(found.id, found.flags.clone());
                sources.entry(key).or_insert((matched.view.id, source));
            }
        }
    }
    sources
}

/// Base rows whose message is still on the side where it is to be copied.
fn known(input: &Input, of: Side) -> HashMap<Key, (MailboxId, Source)> {
    let on = of.other();
    let there = input
        .mailboxes
        .iter()
        .filter(|view| view.at[on as usize] == Presence::There && !view.closed[on as usize]);
    let there: BTreeSet<MailboxId> = there.map(|view| view.id).collect();
    let touched = input.mailboxes.iter().flat_map(|view| &view.touched);
    let now: HashMap<PairId, &Now> = touched.map(|t| (t.pair.id, &t.now[on as usize])).collect();
    let mut sources = HashMap::new();
    for pair in input.known.iter().filter(|pair| there.contains(&pair.mailbox)) {
        let flags = match now.get(&pair.id) {
            Some(Now::Gone) => continue,
            Some(Now::Flags(flags)) => flags,
            Some(Now::AsBase) | None => &pair.half(on).flags,
        };
        let Some(id) = pair.half(on).id else { continue };
        for key in Key::of_pair(pair, of) {
            let source = || (pair.mailbox, Source::There(id, flags.clone()));
            sources.entry(key).or_insert_with(source);
        }
    }
    sources
}

/// By what a message is known to be a copy of another.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Content(ContentDigest),
    /// And its internal date: copies of different dates must not share a file (HAZARDS 20).
    Object(Side, ObjectId, Option<InternalDate>),
}

impl Key {
    fn of(new: &Envelope, side: Side) -> Option<Self> {
        let object = || Some(Self::Object(side, new.object.clone()?, Some(new.date)));
        new.content.map(Self::Content).or_else(object)
    }

    fn of_pair(pair: &crate::model::Pair, side: Side) -> impl Iterator<Item = Self> {
        let half = pair.half(side);
        let object = half.object.clone().map(|object| Self::Object(side, object, half.date));
        [Some(Self::Content(pair.content)), object].into_iter().flatten()
    }
}
