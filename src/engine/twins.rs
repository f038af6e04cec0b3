//! Copies that a dead client's session made, or still makes: known by the open intents, and never taken for new mail
//! (DESIGN 8a "late twins").
//!
//! A server goes on executing what a killed client had sent. By then the next run may have sent it again, or the user may
//! have deleted or moved the original. So what is new on that side, holds what an intent was about to put there and is more
//! than the other side has, becomes a base row whose other half is gone: what follows from that is the planner's to say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::identify::{ask, without_key};
use super::key::Key;
use super::observe::Observation;
use super::{Job, contents};
use crate::error::Result;
use crate::model::{
    ContentDigest, Envelope, Flags, Gone, Half, HeaderDigest, Id, IdSet, Mailbox, MailboxId, Pair, PairId, Side,
};
use crate::plan::{Now, Touched, View, Waiting};
use crate::state::{IntentKind, IntentMessage};
use crate::store::Depth;

/// A message that may have been sent.
struct Sent {
    kind: IntentKind,
    /// Into this mailbox.
    mailbox: MailboxId,
    /// The smallest id that it can have got there.
    next_id: Option<Id>,
    /// Its id where it comes from.
    source: Id,
    /// Not known of a server's message before it was read.
    content: Option<ContentDigest>,
    key: Option<Key>,
}

/// Finds what open intents brought about and nobody waits for any more.
pub(super) fn settle(job: &Job<'_>, seen: &mut Observation) -> Result<()> {
    for side in Side::BOTH {
        // Files are found by the names that they were given.
        if job.stores[side as usize].keeps_flags() {
            continue;
        }
        let sent = sent(job, side)?;
        if !sent.is_empty() {
            settle_side(job, seen, side, sent)?;
        }
    }
    Ok(())
}

/// What may have been sent to that side.
fn sent(job: &Job<'_>, side: Side) -> Result<Vec<Sent>> {
    let mut sent = Vec::new();
    for intent in job
        .state
        .open_intents()?
        .into_iter()
        // Nothing waits for what goes into a trash: it is new there.
        .filter(|intent| intent.side == side && intent.kind != IntentKind::Trash)
    {
        for mut message in job.state.intent_messages(intent.id)? {
            // A server's message is known by its content only once it was transferred. That is noted while its base row still
            // has that id: it may be removed and come back under another.
            if let (None, IntentKind::Copy) = (message.content, intent.kind)
                && let Some(pair) = job.state.partner(intent.mailbox, side.other(), message.id)?
            {
                message = IntentMessage {
                    id: message.id,
                    content: Some(pair.content),
                    envelope: pair.envelope,
                    header: Some(pair.header),
                };
                job.state.know_intent_message(intent.id, &message)?;
            }
            sent.push(Sent {
                kind: intent.kind,
                mailbox: intent.mailbox,
                next_id: intent.next_id,
                source: message.id,
                content: message.content,
                key: Key::of(message.envelope, message.header),
            });
        }
    }
    Ok(sent)
}

fn settle_side(job: &Job<'_>, seen: &mut Observation, side: Side, mut sent: Vec<Sent>) -> Result<()> {
    if seen.views.iter().all(|view| view.added[side as usize].is_empty()) {
        return Ok(());
    }
    wake(seen, side, &sent);
    for side in [side, side.other()] {
        let depth = if job.stores[side as usize].keeps_flags() {
            Depth::Header
        } else {
            Depth::Key
        };
        ask(job, seen, side, depth, |view| Some(unknown(view, side)))?;
        ask(job, seen, side, Depth::Header, |view| Some(without_key(view, side)))?;
    }
    know_by_source(seen, side.other(), &mut sent);
    let mut found = Vec::new();
    let mut questions: Vec<(Mailbox, IdSet)> = Vec::new();
    for view in &seen.views {
        let suspects = suspects(view, side, &sent);
        let ids: IdSet = suspects.iter().map(|new| new.id).collect();
        let name = seen.names.get(&view.id).and_then(|names| names.mailbox(view.id, side));
        if let (Some(mailbox), false) = (name, ids.is_empty()) {
            questions.push((mailbox, ids));
            found.extend(suspects);
        }
    }
    read_sources(job, seen, side.other(), &mut sent, &found)?;
    let contents = contents::read(job.stores[side as usize], questions, job.pace)?;
    let read = found.into_iter().filter_map(|new| {
        let identity = contents.get(&(new.mailbox, new.id))?;
        Some(Envelope {
            content: Some(identity.content),
            header: Some(identity.header),
            size: identity.size,
            marks: identity.marks,
            ..new
        })
    });
    for new in beyond_the_other_side(&seen.views, side, &sent, read.collect()) {
        adopt(job, seen, side, &sent, &new)?;
    }
    Ok(())
}

/// The original of what may have arrived need not wait for its next try.
fn wake(seen: &mut Observation, side: Side, sent: &[Sent]) {
    let from = side.other() as usize;
    for view in seen
        .views
        .iter_mut()
        .filter(|view| !view.added[side as usize].is_empty())
    {
        for sent in sent
            .iter()
            .filter(|sent| sent.kind == IntentKind::Copy && sent.mailbox == view.id)
        {
            if view.resting[from].remove(sent.source) {
                view.added[from].insert(sent.source);
            }
        }
    }
}

/// What was sent and is not known is what its original is, as long as that waits.
fn know_by_source(seen: &Observation, from: Side, sent: &mut [Sent]) {
    let waiting: HashMap<(MailboxId, Id), &Envelope> = seen
        .views
        .iter()
        .flat_map(|view| &view.waiting[from as usize])
        .filter_map(|waiting| match waiting {
            Waiting::New(new) => Some(((new.mailbox, new.id), new)),
            Waiting::Void(_) => None,
        })
        .collect();
    for sent in sent
        .iter_mut()
        .filter(|sent| sent.key.is_none() && sent.kind == IntentKind::Copy)
    {
        if let Some(original) = waiting.get(&(sent.mailbox, sent.source)) {
            sent.key = Key::of_message(original);
            sent.content = original.content;
        }
    }
}

/// Reads the originals, not known yet, of what looks like one of these.
fn read_sources(job: &Job<'_>, seen: &Observation, from: Side, sent: &mut [Sent], like: &[Envelope]) -> Result<()> {
    let keys: BTreeSet<Key> = like.iter().filter_map(Key::of_message).collect();
    let unread = |sent: &Sent| sent.content.is_none() && sent.key.is_some_and(|key| keys.contains(&key));
    let mut ids: BTreeMap<MailboxId, IdSet> = BTreeMap::new();
    for sent in sent.iter().filter(|sent| unread(sent)) {
        ids.entry(sent.mailbox).or_default().insert(sent.source);
    }
    let questions = ids
        .into_iter()
        .filter_map(|(id, ids)| Some((seen.names.get(&id)?.mailbox(id, from)?, ids)));
    let contents = contents::read(job.stores[from as usize], questions.collect(), job.pace)?;
    for sent in sent.iter_mut().filter(|sent| unread(sent)) {
        sent.content = contents
            .get(&(sent.mailbox, sent.source))
            .map(|identity| identity.content);
    }
    Ok(())
}

/// New messages of a view that nobody has looked at yet.
fn unknown(view: &View, side: Side) -> IdSet {
    let looked_at = view.waiting[side as usize].iter();
    let known: IdSet = looked_at
        .filter(|waiting| Key::of_waiting(waiting).is_some())
        .filter_map(|waiting| waiting.id(side))
        .collect();
    view.added[side as usize].difference(&known)
}

/// What the other side has waiting for a copy on that side, by what proposes it: the contents, where they are known.
fn wanted(view: &View, side: Side, sent: &[Sent]) -> HashMap<Key, Vec<Option<ContentDigest>>> {
    let from = side.other();
    let is_lost =
        |touched: &&Touched| touched.now[side as usize] == Now::Gone && touched.now[from as usize] != Now::Gone;
    let lost = view.touched.iter().filter(is_lost);
    let lost = lost.filter_map(|touched| Some((Key::of_pair(&touched.pair)?, Some(touched.pair.content))));
    let from_here = sent
        .iter()
        .filter(|sent| sent.kind == IntentKind::Copy && sent.mailbox == view.id);
    let sources: HashMap<Id, Option<ContentDigest>> = from_here.map(|sent| (sent.source, sent.content)).collect();
    let content = |waiting: &Waiting| match waiting {
        Waiting::New(new) => new.content.or_else(|| sources.get(&new.id).copied().flatten()),
        Waiting::Void(pair) => Some(pair.content),
    };
    let waiting = view.waiting[from as usize].iter();
    let waiting = waiting.filter_map(|waiting| Some((Key::of_waiting(waiting)?, content(waiting))));
    let mut wanted = HashMap::<_, Vec<_>>::new();
    for (key, content) in waiting.chain(lost) {
        wanted.entry(key).or_default().push(content);
    }
    wanted
}

/// New messages of that side that look like something sent, and can be more than the other side has waiting: more by what
/// proposes them, or of one envelope with another content.
fn suspects(view: &View, side: Side, sent: &[Sent]) -> Vec<Envelope> {
    let mut alike: HashMap<Key, Vec<&Envelope>> = HashMap::new();
    for waiting in &view.waiting[side as usize] {
        if let (Waiting::New(new), Some(key)) = (waiting, Key::of_waiting(waiting)) {
            alike.entry(key).or_default().push(new);
        }
    }
    let mut contents: HashMap<Key, BTreeSet<Option<ContentDigest>>> = HashMap::new();
    for (key, content) in sent.iter().filter_map(|sent| Some((sent.key?, sent.content))) {
        contents.entry(key).or_default().insert(content);
    }
    let wanted = wanted(view, side, sent);
    let mut suspects = Vec::new();
    for (key, mut contents) in contents {
        let (Some(new), wanted) = (alike.get(&key), wanted.get(&key)) else {
            continue;
        };
        contents.extend(wanted.into_iter().flatten());
        if contents.len() > 1 || new.len() > wanted.map_or(0, Vec::len) {
            suspects.extend(new.iter().copied().cloned());
        }
    }
    suspects.sort_by_key(|new| new.id);
    suspects
}

/// Of these, read meanwhile, what the other side has not waiting: it will not find a partner. The oldest find theirs first.
fn beyond_the_other_side(views: &[View], side: Side, sent: &[Sent], mut read: Vec<Envelope>) -> Vec<Envelope> {
    let mut counts: BTreeMap<(MailboxId, Key, Option<ContentDigest>), usize> = BTreeMap::new();
    for view in views.iter().filter(|_| !read.is_empty()) {
        for (key, contents) in wanted(view, side, sent) {
            for content in contents {
                *counts.entry((view.id, key, content)).or_default() += 1;
            }
        }
    }
    read.sort_by_key(|new| (new.mailbox, new.id));
    let mut finds_its_partner = |new: &Envelope| {
        let Some(key) = Key::of_message(new) else { return false };
        // What is not known can be anything.
        [new.content, None]
            .into_iter()
            .any(|content| match counts.get_mut(&(new.mailbox, key, content)) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    true
                }
                _ => false,
            })
    };
    read.retain(|new| !finds_its_partner(new));
    read
}

/// Makes a base row of a message that was sent, or leaves it as it is.
fn adopt(job: &Job<'_>, seen: &mut Observation, side: Side, sent: &[Sent], new: &Envelope) -> Result<()> {
    let same = || {
        sent.iter()
            .filter(|sent| sent.content.is_some() && sent.content == new.content)
    };
    let here = same().any(|sent| sent.mailbox == new.mailbox && sent.next_id.is_some_and(|next| new.id >= next));
    if here {
        let halves = [Half::seen(new, new.flags.clone()), gone(&new.flags)];
        let row = row(new.mailbox, new, side, halves, new.size);
        return note(job, seen, side.other(), row);
    }
    // Another client may have moved it already: then the original follows. Not one that still finds its copy where it was sent.
    let mailboxes: HashMap<MailboxId, &View> = seen.views.iter().map(|view| (view.id, view)).collect();
    let moved = same().filter(|sent| sent.kind == IntentKind::Copy && sent.mailbox != new.mailbox);
    let original = moved.into_iter().find_map(|sent| {
        let view = mailboxes.get(&sent.mailbox).filter(|view| lacks_one(view, side, new))?;
        let waiting = view.waiting[side.other() as usize].iter();
        waiting.into_iter().find_map(|waiting| match waiting {
            Waiting::New(original) if original.id == sent.source && original.content == new.content => Some(original),
            _ => None,
        })
    });
    let Some(original) = original.cloned() else {
        return Ok(());
    };
    let halves = [Half::seen(&original, original.flags.clone()), gone(&original.flags)];
    let row = row(original.mailbox, &original, side.other(), halves, new.size);
    note(job, seen, side, row)
}

/// Whether fewer messages that can be this one wait in the view on that side than on the other.
fn lacks_one(view: &View, side: Side, new: &Envelope) -> bool {
    let key = Key::of_message(new);
    let alike = |side: Side| {
        let waiting = view.waiting[side as usize].iter();
        waiting.filter(|waiting| Key::of_waiting(waiting) == key).count()
    };
    alike(side) < alike(side.other())
}

fn gone(flags: &Flags) -> Half {
    Half {
        flags: flags.clone(),
        gone: Gone::Spare,
        ..Half::default()
    }
}

/// A base row of a message that is on that side and no more on the other.
fn row(mailbox: MailboxId, there: &Envelope, on: Side, [here, gone]: [Half; 2], size: u64) -> Pair {
    Pair {
        id: PairId(0),
        mailbox,
        halves: if on == Side::Left { [here, gone] } else { [gone, here] },
        size,
        content: there.content.unwrap_or(ContentDigest([0; 16])),
        header: there.header.unwrap_or(HeaderDigest([0; 16])),
        envelope: there.envelope,
    }
}

/// Writes the row down, and shows it to the planner in place of the new message.
fn note(job: &Job<'_>, seen: &mut Observation, gone: Side, mut pair: Pair) -> Result<()> {
    let there = gone.other();
    let Some(id) = pair.half(there).id else { return Ok(()) };
    pair.id = job.state.add_pair(&pair)?;
    job.state.settle(pair.mailbox, there, &IdSet::range(id..=id))?;
    let Some(view) = seen.views.iter_mut().find(|view| view.id == pair.mailbox) else {
        return Ok(());
    };
    view.added[there as usize].remove(id);
    view.resting[there as usize].remove(id);
    view.waiting[there as usize].retain(|waiting| !matches!(waiting, Waiting::New(new) if new.id == id));
    view.pairs += 1;
    let mut now = [Now::AsBase, Now::AsBase];
    now[gone as usize] = Now::Gone;
    view.touched.push(Touched { pair, now });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EnvelopeKey, InternalDate, MailboxPath};
    use crate::plan::{Naming, Presence};

    /// A letter is a content, its case the envelope: `a` and `A` share one, as two drafts of one letter do.
    fn new(id: Id, letter: char, content: bool) -> Waiting {
        Waiting::New(Envelope {
            mailbox: MailboxId(1),
            id,
            flags: Flags::none(),
            date: InternalDate(0),
            size: 1,
            marks: 0,
            envelope: Some(key(letter)),
            header: None,
            content: content.then(|| digest(letter)),
            object: None,
        })
    }

    fn key(letter: char) -> EnvelopeKey {
        EnvelopeKey([letter.to_ascii_lowercase() as u8; 16])
    }

    fn digest(letter: char) -> ContentDigest {
        ContentDigest([letter as u8; 16])
    }

    fn view(left: &str, right: &str) -> View {
        let waiting = |letters: &str, content| -> Vec<Waiting> {
            (1..)
                .zip(letters.chars())
                .map(|(id, letter)| new(id, letter, content))
                .collect()
        };
        View {
            id: MailboxId(1),
            path: MailboxPath::parse("INBOX").unwrap(),
            naming: Naming::default(),
            at: [Presence::There; 2],
            acted_on: true,
            emptied_often: false,
            pairs: 0,
            added: Default::default(),
            resting: Default::default(),
            waiting: [waiting(left, true), waiting(right, false)],
            beyond: Default::default(),
            closed: Default::default(),
            refused: Default::default(),
            touched: Vec::new(),
            marked: Vec::new(),
        }
    }

    #[test]
    fn what_is_more_than_the_other_side_has_waiting() {
        // waiting on the left | new on the right | sent to the right | read on the right | beyond the left
        let rows = [
            ("", "a", "a", "a", "a"),
            ("a", "a", "a", "", ""),
            ("a", "aa", "a", "aa", "a"),
            ("b", "a", "a", "a", "a"),
            ("", "a", "b", "", ""),
            // The envelopes add up, the contents do not.
            ("aA", "AA", "aA", "AA", "A"),
            ("a", "A", "aA", "A", "A"),
            ("aA", "aA", "aA", "aA", ""),
        ];
        for (left, right, sent, read, beyond) in rows {
            let view = view(left, right);
            let sent: Vec<Sent> = (100..)
                .zip(sent.chars())
                .map(|(source, letter)| Sent {
                    kind: IntentKind::Copy,
                    mailbox: MailboxId(1),
                    next_id: Some(1),
                    source,
                    content: Some(digest(letter)),
                    key: Some(Key::Envelope(key(letter))),
                })
                .collect();
            let suspects = suspects(&view, Side::Right, &sent);
            let letter = |new: &Envelope| right.as_bytes()[new.id as usize - 1] as char;
            assert_eq!(suspects.iter().map(letter).collect::<String>(), read, "{left}|{right}");
            let told = suspects.into_iter().map(|new| Envelope {
                content: Some(digest(letter(&new))),
                ..new
            });
            let found = beyond_the_other_side(&[view], Side::Right, &sent, told.collect());
            assert_eq!(found.iter().map(letter).collect::<String>(), beyond, "{left}|{right}");
        }
    }
}
