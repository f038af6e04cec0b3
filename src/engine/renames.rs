//! Gathers what tells whether a mailbox was renamed: what names it for good, what we were about to do, and what is in it.
//!
//! Nothing is asked unless a mailbox of the base is not where it was, and there is one that nobody has a name for. What is
//! listed (UIDVALIDITY, a directory's inode) only proposes; a few messages that are still there prove (HAZARDS 12).

use std::collections::{BTreeMap, BTreeSet};

use super::Job;
use super::key::Key;
use crate::error::Result;
use crate::model::{Envelope, Id, IdSet, Listed, Mailbox, MailboxId, MailboxPath, Pair, Side};
use crate::plan::{Census, Kin, Row};
use crate::state::{Intent, IntentKind, IntentMessage, MailboxRow, Place, Renaming};
use crate::store::{Depth, IntentId};

/// So many messages are looked at before a mailbox is believed to be one that was elsewhere.
const SAMPLE: u32 = 16;

/// What is known of one side's mailboxes.
struct Search<'a> {
    job: &'a Job<'a>,
    side: Side,
    rows: &'a [MailboxRow],
    /// In the order of [`Census::seen`].
    listed: &'a [Listed],
    /// Rows that are not for sure where they were.
    lost: BTreeSet<usize>,
    /// Mailboxes that are not for sure those of a row.
    free: BTreeSet<usize>,
    kin: Vec<Kin>,
}

/// Fills in [`Census::kin`]. `open` are the renames of ours of which nobody knows what came of them.
pub(super) fn find_kin(
    job: &Job<'_>,
    rows: &[MailboxRow],
    listed: [&[Listed]; 2],
    open: &[Renaming],
    census: &mut Census,
) -> Result<()> {
    for side in Side::BOTH {
        one_claim_each(job, side, rows, listed[side as usize], census);
        let mut search = Search::new(job, side, rows, listed[side as usize], census);
        if search.is_on() {
            search.by_journal(open, census);
        }
        if search.is_on() {
            search.by_confirmed(census)?;
        }
        if search.is_on() {
            search.by_content()?;
        }
        if search.is_on() {
            search.by_what_was_sent()?;
        }
        if search.is_on() {
            search.by_exchange()?;
        }
        census.kin.append(&mut search.kin);
    }
    Ok(())
}

impl<'a> Search<'a> {
    fn new(job: &'a Job<'a>, side: Side, rows: &'a [MailboxRow], listed: &'a [Listed], census: &Census) -> Self {
        let (mut lost, mut sure) = (BTreeSet::new(), BTreeSet::new());
        for (nth, row) in rows.iter().enumerate() {
            let Some(place) = &row.places[side as usize] else {
                continue;
            };
            match census.rows[nth].at[side as usize] {
                // RENAME INBOX is a mass move out of it (RFC 9051 §6.3.6).
                Some(at) if row.path.is_inbox() || !is_doubtful(job, side, &listed[at], place) => {
                    sure.insert(at);
                }
                _ if row.path.is_inbox() => {}
                _ => {
                    lost.insert(nth);
                }
            }
        }
        let is_free = |&nth: &usize| !sure.contains(&nth) && !listed[nth].path.is_inbox();
        let free = (0..listed.len()).filter(is_free).collect();
        Self {
            job,
            side,
            rows,
            listed,
            lost,
            free,
            kin: Vec::new(),
        }
    }

    /// Whether there is something to find, and something that it could be.
    fn is_on(&self) -> bool {
        !self.lost.is_empty() && !self.free.is_empty()
    }

    fn found(&mut self, row: usize, seen: usize) {
        self.lost.remove(&row);
        self.free.remove(&seen);
        let side = self.side;
        self.kin.push(Kin { row, side, seen });
    }

    /// What we were about to rename, and is where it was to go; with it all that lies below.
    fn by_journal(&mut self, open: &[Renaming], census: &Census) {
        let by_path: BTreeMap<&MailboxPath, usize> =
            self.free.iter().map(|&nth| (&self.listed[nth].path, nth)).collect();
        let mut found = Vec::new();
        for &row in self
            .lost
            .iter()
            .filter(|&&row| census.rows[row].at[self.side as usize].is_none())
        {
            let path = super::survey::spell(self.job, &self.rows[row].path, self.side);
            let targets = open
                .iter()
                .filter(|renaming| renaming.side == self.side)
                .flat_map(|renaming| {
                    let on_the_way = Renaming::on_the_way(renaming.mailbox);
                    let own = renaming.mailbox == self.rows[row].id;
                    [&on_the_way, &renaming.becomes].map(|to| {
                        if own {
                            Some(to.clone())
                        } else {
                            path.carried(&renaming.was, to)
                        }
                    })
                });
            let at = targets.flatten().find_map(|target| by_path.get(&target));
            found.extend(at.map(|&at| (row, at)));
        }
        for (row, seen) in found {
            if self.free.contains(&seen) {
                self.found(row, seen);
            }
        }
    }

    /// What names a mailbox for good, where the server has such a thing.
    fn by_confirmed(&mut self, census: &Census) -> Result<()> {
        let confirmed = |row: usize| self.place(row).and_then(|place| place.confirmed.clone());
        let known: BTreeMap<usize, _> = self
            .lost
            .iter()
            .filter_map(|&row| Some((row, confirmed(row)?)))
            .collect();
        if known.is_empty() {
            return Ok(());
        }
        let asked: Vec<Mailbox> = self
            .free
            .iter()
            .map(|&nth| self.mailbox(nth, MailboxId(nth as u32)))
            .collect();
        let told = self.job.stores[self.side as usize].identities(&asked)?;
        let is_shared = |identity| told.iter().filter(|(_, other)| other == identity).count() > 1;
        for (row, identity) in known {
            let mut same = told.iter().filter(|(_, told)| *told == identity && !is_shared(told));
            let seen = same.next().map(|(id, _)| id.0 as usize);
            match seen {
                Some(seen) if census.rows[row].at[self.side as usize] == Some(seen) => {
                    // It only looks like another one.
                    self.lost.remove(&row);
                    self.free.remove(&seen);
                }
                Some(seen) if self.free.contains(&seen) => self.found(row, seen),
                _ => {}
            }
        }
        // What is known by a name of its own is no other mailbox, whatever its UIDVALIDITY.
        let others: BTreeSet<usize> = told.iter().map(|(id, _)| id.0 as usize).collect();
        let unnamed: BTreeSet<usize> = self
            .lost
            .iter()
            .copied()
            .filter(|&row| confirmed_of(self.rows, row, self.side))
            .collect();
        if !unnamed.is_empty() && !others.is_empty() {
            self.lost.retain(|row| !unnamed.contains(row));
        }
        Ok(())
    }

    /// What is listed proposes, and messages that are there under their ids prove.
    fn by_content(&mut self) -> Result<()> {
        let (mut asked, mut samples, mut proposed) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for (row, seen) in self.proposed() {
            let id = self.rows[row].id;
            let sample = self.job.state.some_pairs(id, self.side, SAMPLE)?;
            let ids: IdSet = sample.iter().filter_map(|pair| pair.half(self.side).id).collect();
            if !ids.is_empty() {
                asked.push((self.mailbox(seen, id), ids));
                samples.insert(id, sample);
                proposed.insert(id, (row, seen));
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let mut votes: BTreeMap<MailboxId, (u32, u32)> = BTreeMap::new();
        let side = self.side;
        self.job.stores[side as usize].envelopes(&asked, Depth::Key, &mut |envelope| {
            let pair = samples[&envelope.mailbox]
                .iter()
                .find(|pair| pair.half(side).id == Some(envelope.id));
            if let Some(vote) = pair.and_then(|pair| is_same(pair, side, &envelope)) {
                let (yes, no) = votes.entry(envelope.mailbox).or_default();
                *(if vote { yes } else { no }) += 1;
            }
        })?;
        for (id, (yes, no)) in votes {
            let (row, seen) = proposed[&id];
            if yes > no && self.free.contains(&seen) {
                self.found(row, seen);
            }
        }
        Ok(())
    }

    /// Rows and what looks like them by its listing.
    fn proposed(&self) -> Vec<(usize, usize)> {
        let like = |row: usize| {
            let identity = self.place(row)?.identity.as_ref()?;
            let is_like = |nth: &&usize| self.listed[**nth].identity.as_ref() == Some(identity);
            self.free.iter().find(is_like).copied()
        };
        self.lost.iter().filter_map(|&row| Some((row, like(row)?))).collect()
    }

    /// A mailbox of which nothing is in the books yet: we were cut off while we sent the first messages there, or from
    /// there. Those that are there prove.
    fn by_what_was_sent(&mut self) -> Result<()> {
        let mut intents = self.job.state.open_intents()?;
        intents.retain(|intent| intent.kind == IntentKind::Copy);
        for (row, seen) in self.proposed() {
            let id = self.rows[row].id;
            if !self.job.state.some_pairs(id, self.side, 1)?.is_empty() {
                continue;
            }
            let (mut yes, mut no) = (0, 0);
            for intent in intents.iter().filter(|intent| intent.mailbox == id) {
                let (arrived, others) = if intent.side == self.side {
                    self.arrived(row, seen, intent)?
                } else {
                    self.remained(row, seen, intent)?
                };
                (yes, no) = (yes + arrived, no + others);
            }
            if yes > no && self.free.contains(&seen) {
                self.found(row, seen);
            }
        }
        Ok(())
    }

    /// A mailbox that holds nothing proves nothing. But where it looks like the one that has the name of a mailbox found
    /// elsewhere, the two have changed names.
    fn by_exchange(&mut self) -> Result<()> {
        let side = self.side;
        let is_vacated = |nth: usize| {
            let mut moved = self.kin.iter().filter(|kin| kin.side == side);
            moved.any(|kin| {
                self.place(kin.row)
                    .is_some_and(|place| place.raw == self.listed[nth].raw)
            })
        };
        let mut found = self.proposed();
        found.retain(|&(_, seen)| is_vacated(seen));
        for (row, seen) in found {
            let holds_nothing = self.job.state.some_pairs(self.rows[row].id, side, 1)?.is_empty();
            if holds_nothing && self.free.contains(&seen) {
                self.found(row, seen);
            }
        }
        Ok(())
    }

    /// Of the first messages that came after an intent: how many it was about, and how many others.
    fn arrived(&self, row: usize, seen: usize, intent: &Intent) -> Result<(u32, u32)> {
        let Some(first) = intent.next_id else { return Ok((0, 0)) };
        let sent = self.sent(row, intent.id)?;
        let ids = IdSet::range(first..=first + Id::from(SAMPLE) - 1);
        self.count(row, seen, ids, |_, key| sent.contains(&key))
    }

    /// Of the first messages of an intent: how many are still where it took them from, and how many are others.
    fn remained(&self, row: usize, seen: usize, intent: &Intent) -> Result<(u32, u32)> {
        let mut messages = self.job.state.intent_messages(intent.id)?;
        messages.truncate(SAMPLE as usize);
        let key = |message: IntentMessage| Some((message.id, Key::of(message.envelope, message.header)?));
        let known: BTreeMap<Id, Key> = messages.into_iter().filter_map(key).collect();
        let ids = known.keys().copied().collect();
        self.count(row, seen, ids, |id, key| known.get(&id) == Some(&key))
    }

    fn count(&self, row: usize, seen: usize, ids: IdSet, is_it: impl Fn(Id, Key) -> bool) -> Result<(u32, u32)> {
        let (mut yes, mut no) = (0, 0);
        if !ids.is_empty() {
            let question = [(self.mailbox(seen, self.rows[row].id), ids)];
            self.job.stores[self.side as usize].envelopes(&question, Depth::Header, &mut |found| {
                let same = Key::of_message(&found).is_some_and(|key| is_it(found.id, key));
                *(if same { &mut yes } else { &mut no }) += 1;
            })?;
        }
        Ok((yes, no))
    }

    /// What the first messages of an intent are known by; what was not known when they were sent is asked for.
    fn sent(&self, row: usize, intent: IntentId) -> Result<BTreeSet<Key>> {
        let from = self.side.other();
        let mut messages = self.job.state.intent_messages(intent)?;
        messages.truncate(SAMPLE as usize);
        let key = |message: &IntentMessage| Key::of(message.envelope, message.header);
        let mut keys: BTreeSet<Key> = messages.iter().filter_map(key).collect();
        let unknown: IdSet = messages.iter().filter(|m| key(m).is_none()).map(|m| m.id).collect();
        if let (Some(place), false) = (&self.rows[row].places[from as usize], unknown.is_empty()) {
            let raw = place.raw.clone();
            let question = [(
                Mailbox {
                    id: self.rows[row].id,
                    raw,
                },
                unknown,
            )];
            self.job.stores[from as usize].envelopes(&question, Depth::Header, &mut |found| {
                keys.extend(Key::of_message(&found));
            })?;
        }
        Ok(keys)
    }

    fn place(&self, row: usize) -> Option<&Place> {
        self.rows[row].places[self.side as usize].as_ref()
    }

    fn mailbox(&self, seen: usize, id: MailboxId) -> Mailbox {
        let raw = self.listed[seen].raw.clone();
        Mailbox { id, raw }
    }
}

fn confirmed_of(rows: &[MailboxRow], row: usize, side: Side) -> bool {
    rows[row].places[side as usize]
        .as_ref()
        .is_some_and(|place| place.confirmed.is_some())
}

/// A mailbox that was renamed has the name of one that was deleted before: what is listed there is the one that it looks like,
/// or else the one that is called so.
fn one_claim_each(job: &Job<'_>, side: Side, rows: &[MailboxRow], listed: &[Listed], census: &mut Census) {
    let is_sure = |nth: usize, at: usize| {
        let place = rows[nth].places[side as usize].as_ref();
        place.is_some_and(|place| !is_doubtful(job, side, &listed[at], place))
    };
    let claim = |(nth, row): (usize, &Row)| Some((nth, row.at[side as usize]?));
    let claims: Vec<(usize, usize)> = census.rows.iter().enumerate().filter_map(claim).collect();
    for &(nth, at) in &claims {
        let name = &census.seen[side as usize][at].counts_as;
        let claim = |nth: usize| (is_sure(nth, at), census.rows[nth].path == *name);
        let is_better = |&(other, seen): &(usize, usize)| other != nth && seen == at && claim(other) > claim(nth);
        if claims.iter().any(is_better) {
            census.rows[nth].at[side as usize] = None;
        }
    }
}

/// Whether what is listed under a mailbox's old name may be another mailbox by now.
fn is_doubtful(job: &Job<'_>, side: Side, listed: &Listed, place: &Place) -> bool {
    if let (Some(now), Some(then)) = (&listed.identity, &place.identity) {
        return now != then;
    }
    // Mailboxes that share a UIDVALIDITY can change their names unseen; what names them for good tells.
    let checkpoint = place.checkpoint.as_ref();
    let untouched = listed
        .status
        .as_ref()
        .zip(checkpoint)
        .is_some_and(|(now, then)| job.stores[side as usize].untouched(now, then));
    place.confirmed.is_some() && !untouched
}

/// Whether a message under a known id is the one that the base means; `None`: it cannot be told.
fn is_same(pair: &Pair, side: Side, found: &Envelope) -> Option<bool> {
    let half = pair.half(side);
    if let Some(content) = found.content {
        return Some(content == pair.content);
    }
    match (pair.envelope, found.envelope, half.size) {
        (Some(known), Some(found), _) => Some(known == found),
        (None, None, Some(bytes)) => Some(bytes == found.size && half.date.is_none_or(|date| date == found.date)),
        (None, None, None) => None,
        _ => Some(false),
    }
}
