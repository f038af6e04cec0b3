//! Asks what messages without a partner are known by, and only where there is something to compare them with.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::key::Key;
use super::lost::Lost;
use super::observe::Observation;
use super::{Job, bounds, contents, trash, twins};
use crate::error::Result;
use crate::model::{Envelope, Gone, Id, IdSet, Mailbox, MailboxId, Pair, PairId, Side, TrashChoice};
use crate::plan::{self, Base, Now, Presence, Rule, View, Waiting};
use crate::store::Depth;

/// Fills in `waiting` of every view.
pub(super) fn identify(job: &Job<'_>, seen: &mut Observation) -> Result<()> {
    for view in &mut seen.views {
        void_rows(job, view)?;
    }
    let lost = Side::BOTH.map(|side| Lost::of(&seen.views, side));
    for side in Side::BOTH {
        let views = &mut seen.views.iter_mut();
        views.try_for_each(|view| bounds::look_among_left_out(job.state, view, side, &lost[side as usize].sizes))?;
    }
    look_at_both(job, seen, &lost)?;
    for side in Side::BOTH {
        if !job.stores[side as usize].keeps_flags() {
            let views = &mut seen.views.iter_mut();
            views.try_for_each(|view| bounds::look_for_the_new(job.state, view, side))?;
            identify_on_server(job, seen, side, &lost[side as usize])?;
        }
    }
    if job.stores.iter().all(|store| !store.keeps_flags()) {
        introduce_servers(job, seen)?;
    }
    read_what_is_kept(job, seen)?;
    trash::recognise(job, seen)?;
    trash::read_copies(job, seen)?;
    twins::settle(job, seen)?;
    seen.obscured = Side::BOTH.map(|side| lost[side as usize].obscured(job, &seen.views, side));
    for view in &seen.views {
        for side in Side::BOTH {
            for waiting in &view.waiting[side as usize] {
                if let Waiting::New(envelope) = waiting {
                    seen.waiting.insert((view.id, side, envelope.id), envelope.clone());
                }
            }
        }
    }
    Ok(())
}

/// The messages of a view that look for a partner: what waits for its next try only where something is lost.
pub(super) fn new(view: &View, side: Side, lost: &Lost) -> IdSet {
    let (added, resting) = (&view.added[side as usize], &view.resting[side as usize]);
    if lost.any() {
        added.union(resting)
    } else {
        added.clone()
    }
}

/// Looks at both sides at once: a Maildir's new messages are hashed, since their content is what everything later is compared
/// with; meanwhile a server is asked for the keys of those in mailboxes where these will look for a partner.
fn look_at_both(job: &Job<'_>, seen: &mut Observation, lost: &[Lost; 2]) -> Result<()> {
    let hashed = |view: &View, side: Side| {
        let looked_at = view.acted_on || lost[side as usize].any();
        let at_hand = job.stores[side as usize].keeps_flags() && view.at[side as usize] == Presence::There;
        (looked_at && at_hand).then(|| new(view, side, &lost[side as usize]))
    };
    let waits = |view: &View, side| hashed(view, side).is_some_and(|ids| !ids.is_empty());
    let questions = Side::BOTH.map(|side| {
        let there = side.other();
        let everywhere = seen.base != Base::Agreed && seen.views.iter().any(|view| waits(view, there));
        let wanted = |view: &View| {
            let asked = everywhere || waits(view, there);
            hashed(view, side).or_else(|| asked.then(|| new(view, side, &lost[side as usize])))
        };
        questions(seen, side, wanted)
    });
    let answers = |side: Side| {
        let is_local = job.stores[side as usize].keeps_flags();
        let depth = if is_local { Depth::Header } else { Depth::Key };
        answers(job, side, depth, &questions[side as usize])
    };
    let (left, right) = job.pace.both(|| answers(Side::Left), || answers(Side::Right));
    put(seen, Side::Left, left?);
    put(seen, Side::Right, right?);
    Ok(())
}

/// A server is asked for what is cheap first, and for headers only where something could be compared with them: all of a
/// mailbox where the other side has messages without a partner too, elsewhere what has the size of a lost message.
fn identify_on_server(job: &Job<'_>, seen: &mut Observation, side: Side, lost: &Lost) -> Result<()> {
    let waits = |view: &View| !view.waiting[side.other() as usize].is_empty();
    // Without a base, a message can have its partner in any mailbox.
    let everywhere = seen.base != Base::Agreed && seen.views.iter().any(waits);
    let whole = |view: &View| everywhere || waits(view);
    let told: HashMap<MailboxId, IdSet> = seen.views.iter().map(|view| (view.id, looked_at(view, side))).collect();
    let unasked = |view: &View| new(view, side, lost).difference(&told[&view.id]);
    let named = job.stores[side as usize].names_objects();
    if named || lost.any() {
        ask(job, seen, side, Depth::Look, |view| {
            (named || !whole(view)).then(|| unasked(view))
        })?;
    }
    ask(job, seen, side, Depth::Key, |view| {
        Some(if whole(view) {
            unasked(view)
        } else {
            lost.candidates(view, side).difference(&told[&view.id])
        })
    })?;
    // Without a Message-ID only the whole header can tell.
    ask(job, seen, side, Depth::Header, |view| {
        let nameless = without_key(view, side);
        Some(if whole(view) {
            nameless
        } else {
            nameless.intersection(&lost.candidates(view, side))
        })
    })
}

/// Two servers, of which neither tells what its messages hold: where both have some without a partner, both are asked for
/// their keys, and what has one key on both sides is read there. Headers only propose (DESIGN 5): here no side's content
/// is known beforehand, so that it is known of both or of neither.
fn introduce_servers(job: &Job<'_>, seen: &mut Observation) -> Result<()> {
    for side in [Side::Right, Side::Left] {
        ask(job, seen, side, Depth::Key, |view| {
            let meet = view.acted_on && view.added.iter().all(|added| !added.is_empty());
            meet.then(|| view.added[side as usize].difference(&keyed(view, side)))
        })?;
        ask(job, seen, side, Depth::Header, |view| Some(without_key(view, side)))?;
    }
    Side::BOTH
        .into_iter()
        .try_for_each(|side| learn_contents(job, seen, side, alike))
}

/// What a server has of its own and keeps is never transferred, so its content does not come to light by itself. Where its
/// header alone does not decide whether it is a message of the other side, it is read. At the first meeting, what seems to
/// be on one side only is read too before anything is sent: servers do not tell every header as it was (HAZARDS 17).
fn read_what_is_kept(job: &Job<'_>, seen: &mut Observation) -> Result<()> {
    for side in Side::BOTH {
        let [own, other] = [side, side.other()].map(|side| job.stores[side as usize].keeps_flags());
        if !own && other && job.policy.of(side).new == Rule::Keep {
            learn_contents(job, seen, side, doubtful)?;
            if seen.base != Base::Agreed {
                learn_contents(job, seen, side, strange)?;
            }
        }
    }
    Ok(())
}

/// Reads some messages of each view to know their contents.
pub(super) fn learn_contents(
    job: &Job<'_>,
    seen: &mut Observation,
    side: Side,
    wanted: impl Fn(&View, Side) -> IdSet,
) -> Result<()> {
    let unknown = seen.views.iter().filter_map(|view| {
        let mailbox = seen.names.get(&view.id)?.mailbox(view.id, side)?;
        let ids = wanted(view, side);
        (!ids.is_empty()).then_some((mailbox, ids))
    });
    let mut contents = contents::read(job.stores[side as usize], unknown.collect(), job.pace)?;
    for view in &mut seen.views {
        for waiting in &mut view.waiting[side as usize] {
            if let Waiting::New(envelope) = waiting
                && let Some(identity) = contents.remove(&(view.id, envelope.id))
            {
                envelope.content = Some(identity.content);
                envelope.header = Some(identity.header);
            }
        }
    }
    Ok(())
}

/// The messages of a view that have a key of the other side, and another size, or a key that several contents have there.
fn doubtful(view: &View, side: Side) -> IdSet {
    let mut known: HashMap<Key, (BTreeSet<_>, BTreeSet<u64>)> = HashMap::new();
    for waiting in &view.waiting[side.other() as usize] {
        if let (Waiting::New(envelope), Some(key)) = (waiting, key(waiting)) {
            let (contents, sizes) = known.entry(key).or_default();
            contents.extend(envelope.content);
            sizes.insert(envelope.size.saturating_sub(envelope.marks));
        }
    }
    let unknown = view.waiting[side as usize].iter().filter_map(|waiting| {
        let Waiting::New(envelope) = waiting else { return None };
        let (contents, sizes) = known.get(&key(waiting)?)?;
        let decided = contents.len() == 1 && sizes.contains(&envelope.size.saturating_sub(envelope.marks));
        (envelope.content.is_none() && !decided).then_some(envelope.id)
    });
    unknown.collect()
}

/// The messages of a view that match none of the other side, but could be one of those by their size. Sizes are only told
/// roughly by some servers.
fn strange(view: &View, side: Side) -> IdSet {
    let strangers = plan::strangers(view);
    let there = strangers[side.other() as usize].iter().map(|envelope| envelope.size);
    let there: BTreeSet<u64> = there.collect();
    let alike = |size: u64| {
        let slack = ROUGHLY.max(size / 8);
        there.range(size.saturating_sub(slack)..=size + slack).next().is_some()
    };
    let unknown = strangers[side as usize]
        .iter()
        .filter(|envelope| envelope.content.is_none());
    unknown
        .filter(|envelope| alike(envelope.size))
        .map(|envelope| envelope.id)
        .collect()
}

/// Bytes by which the size of a small message may be told wrongly.
const ROUGHLY: u64 = 1024;

/// The messages of a view that have a key of the other side, and whose content is not known.
fn alike(view: &View, side: Side) -> IdSet {
    let other: HashSet<Key> = view.waiting[side.other() as usize].iter().filter_map(key).collect();
    let unknown = view.waiting[side as usize].iter().filter(|w| w.content().is_none());
    unknown
        .filter(|waiting| key(waiting).is_some_and(|key| other.contains(&key)))
        .filter_map(|waiting| waiting.id(side))
        .collect()
}

/// The key of a new message.
fn key(waiting: &Waiting) -> Option<Key> {
    match waiting {
        Waiting::New(envelope) => Key::of_message(envelope),
        Waiting::Void(_) => None,
    }
}

/// The new messages of a view of which a key is known.
fn keyed(view: &View, side: Side) -> IdSet {
    let new = view.waiting[side as usize].iter();
    new.filter(|waiting| key(waiting).is_some())
        .filter_map(|waiting| waiting.id(side))
        .collect()
}

/// The new messages of a view of which something was told.
pub(super) fn looked_at(view: &View, side: Side) -> IdSet {
    let new = view.waiting[side as usize].iter();
    new.filter(|waiting| matches!(waiting, Waiting::New(_)))
        .filter_map(|waiting| waiting.id(side))
        .collect()
}

/// The base rows of which a new message may be a copy: by its content, or by the server's object id.
pub(super) fn known(job: &Job<'_>, seen: &Observation) -> Result<Vec<Pair>> {
    if !job.state.has_pairs()? {
        return Ok(Vec::new());
    }
    let mut known: BTreeMap<PairId, Pair> = BTreeMap::new();
    let (mut contents, mut objects) = (BTreeSet::new(), BTreeSet::new());
    for ((_, side, _), envelope) in &seen.waiting {
        let pairs = match (&envelope.content, &envelope.object) {
            (Some(content), _) if contents.insert(content) => job.state.pairs_by_content(content)?,
            (None, Some(object)) if objects.insert((side, object)) => job.state.pairs_by_object(*side, object)?,
            _ => continue,
        };
        known.extend(pairs.into_iter().map(|pair| (pair.id, pair)));
    }
    for side in Side::BOTH {
        if job.trash[side as usize] != TrashChoice::None {
            known_like_removed(job, seen, side.other(), &mut known)?;
        }
    }
    Ok(known.into_values().collect())
}

/// Of what a side lost, the base rows of the same content: only the last copy of a message goes into a trash.
fn known_like_removed(
    job: &Job<'_>,
    seen: &Observation,
    lost_by: Side,
    known: &mut BTreeMap<PairId, Pair>,
) -> Result<()> {
    let touched = seen.views.iter().flat_map(|view| &view.touched);
    let lost = touched.filter(|touched| touched.now[lost_by as usize] == Now::Gone);
    let contents: BTreeSet<_> = lost.map(|touched| touched.pair.content).collect();
    for content in contents {
        let pairs = job.state.pairs_by_content(&content)?;
        known.extend(pairs.into_iter().map(|pair| (pair.id, pair)));
    }
    Ok(())
}

/// Base rows that have no id on one side look for their message there.
fn void_rows(job: &Job<'_>, view: &mut View) -> Result<()> {
    if view.at != [Presence::There; 2] {
        return Ok(());
    }
    for pair in job.state.pairs_void(view.id)? {
        let Some(side) = Side::BOTH.into_iter().find(|&side| pair.half(side).id.is_some()) else {
            continue;
        };
        let gone = pair.half(side).gone != Gone::No
            || view
                .touched
                .iter()
                .any(|t| t.pair.id == pair.id && t.now[side as usize] == Now::Gone);
        if !gone {
            view.waiting[side as usize].push(Waiting::Void(Box::new(pair)));
        }
    }
    Ok(())
}

pub(super) fn without_key(view: &View, side: Side) -> IdSet {
    let new = view.waiting[side as usize].iter();
    new.filter_map(|waiting| match waiting {
        Waiting::New(envelope) if envelope.envelope.is_none() && envelope.header.is_none() => Some(envelope.id),
        _ => None,
    })
    .collect()
}

/// Asks one side in one go, and puts the answers in place of what was known of the same messages.
pub(super) fn ask(
    job: &Job<'_>,
    seen: &mut Observation,
    side: Side,
    depth: Depth,
    wanted: impl Fn(&View) -> Option<IdSet>,
) -> Result<()> {
    let questions = questions(seen, side, wanted);
    let answers = answers(job, side, depth, &questions)?;
    put(seen, side, answers);
    Ok(())
}

fn questions(seen: &Observation, side: Side, wanted: impl Fn(&View) -> Option<IdSet>) -> Vec<(Mailbox, IdSet)> {
    let question = |view: &View| {
        let mailbox = seen.names.get(&view.id)?.mailbox(view.id, side)?;
        let ids = wanted(view).filter(|ids| !ids.is_empty())?;
        Some((mailbox, ids))
    };
    seen.views.iter().filter_map(question).collect()
}

type Answers = HashMap<MailboxId, HashMap<Id, Envelope>>;

fn answers(job: &Job<'_>, side: Side, depth: Depth, questions: &[(Mailbox, IdSet)]) -> Result<Answers> {
    let mut answers = Answers::new();
    if !questions.is_empty() {
        job.stores[side as usize].envelopes(questions, depth, &mut |envelope| {
            let found = answers.entry(envelope.mailbox).or_default();
            found.insert(envelope.id, envelope);
        })?;
    }
    Ok(answers)
}

/// Puts answers in place of what was known of the same messages.
fn put(seen: &mut Observation, side: Side, mut answers: Answers) {
    for view in &mut seen.views {
        let Some(mut found) = answers.remove(&view.id) else {
            continue;
        };
        let waiting = &mut view.waiting[side as usize];
        waiting.retain(|known| !matches!(known, Waiting::New(envelope) if found.contains_key(&envelope.id)));
        let mut found: Vec<Envelope> = found.drain().map(|(_, envelope)| envelope).collect();
        found.sort_by_key(|envelope| envelope.id);
        waiting.extend(found.into_iter().map(Waiting::New));
    }
}
