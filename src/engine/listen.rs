//! Asks both sides what happened in each mailbox since it was last seen, and takes it in: which ids are new, gone, or have
//! other flags than the base.

use std::collections::HashMap;

use super::Job;
use super::observe::Observation;
use super::survey::Candidate;
use crate::error::{Failure, Result, Retry};
use crate::model::{
    Checkpoint, Flags, Gone, Half, Id, IdSet, Mailbox, MailboxId, MailboxIdentity, News, Pair, PairId, Permanent, Seen,
    Side, Since, System,
};
use crate::plan::{Policy, Presence, Rule, seen_late};
use crate::state::{Place, State, now};

/// Every mailbox is listed in full at least so often, in seconds (HAZARDS 9).
const FULL_LISTING: i64 = 7 * 86_400;

/// What happened in one mailbox of one side.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) added: IdSet,
    /// Paired messages whose flags differ from what the base has for that side.
    pub(super) flags: HashMap<Id, Flags>,
    /// Paired messages that were told with the flags of the base.
    pub(super) as_base: IdSet,
    pub(super) removed: IdSet,
    /// Messages that are to get flags (again) that only their partners have, and the flags: a copy that is seen for the first
    /// time lacks them, or its mailbox did not let them be set until now.
    lacking: Vec<(PairId, Flags)>,
    /// Which flags the mailbox lets be set, where that was asked.
    permanent: Option<Permanent>,
    pub(super) complete: Option<Checkpoint>,
    pub(super) failure: Option<Failure>,
    /// It is not the mailbox that was listed under this name: nothing else was taken in.
    pub(super) is_another: bool,
}

/// As what each mailbox was listed.
type Listing = HashMap<MailboxId, MailboxIdentity>;

/// Asks both sides for their changes at once. A mailbox that is not the one that was listed is told of only where that does
/// not matter (not `strict`).
pub(super) fn listen(
    job: &Job<'_>,
    candidates: &[Candidate],
    strict: bool,
    seen: &mut Observation,
) -> Result<HashMap<(MailboxId, Side), Heard>> {
    let mut questions: [Vec<Since>; 2] = Default::default();
    for candidate in candidates {
        for side in Side::BOTH {
            questions[side as usize].extend(question(job, candidate, side, seen)?);
        }
    }
    let [left, right] = &questions;
    let listing = |side: Side| -> Listing {
        let candidates = candidates.iter().filter(|_| strict);
        let listed_as = |candidate: &Candidate| candidate.listed[side as usize].as_ref()?.identity.clone();
        candidates
            .filter_map(|candidate| Some((candidate.id, listed_as(candidate)?)))
            .collect()
    };
    let (left, right) = job.pace.both(
        || hear(job, Side::Left, left, &listing(Side::Left)),
        || hear(job, Side::Right, right, &listing(Side::Right)),
    );
    let mut heard = right?;
    heard.extend(left?);
    // Only now that nothing can fail any more: what is noted is not told again.
    for (&(mailbox, side), heard) in &mut heard {
        if let Some(permanent) = heard.permanent.take() {
            heard
                .lacking
                .extend(newly_permanent(job.state, mailbox, side, &permanent)?);
        }
    }
    ask_again(job.state, &mut heard)?;
    Ok(heard)
}

/// What a message lacks and is to get is a change of its partner, whose base has it no more. It waits until it is carried
/// over: that side may not tell of it again.
fn ask_again(state: &State, heard: &mut HashMap<(MailboxId, Side), Heard>) -> Result<()> {
    let lacking = heard.iter_mut().flat_map(|(&(_, side), heard)| {
        let lacking = std::mem::take(&mut heard.lacking).into_iter();
        lacking.map(move |(pair, flags)| (pair, side.other(), flags))
    });
    for (pair, side, flags) in lacking.collect::<Vec<_>>() {
        let Some(Pair { mailbox, halves, .. }) = state.pair(pair)? else {
            continue;
        };
        let half = &halves[side as usize];
        let base = half.flags.minus(&flags);
        if let (Some(id), true) = (half.id, half.gone == Gone::No && base != half.flags) {
            let (told, as_base) = heard.get_mut(&(mailbox, side)).map_or((false, false), |heard| {
                let told = heard.flags.contains_key(&id) || heard.removed.contains(id);
                (told, heard.as_base.remove(id))
            });
            let waits = !as_base && state.pending_flags(mailbox, side, id)?.is_some();
            if !told && !waits {
                state.add_pending_flags(mailbox, side, id, &half.flags)?;
            }
        }
        let flags = base;
        state.set_half(pair, side, &Half { flags, ..half.clone() })?;
    }
    Ok(())
}

/// What to ask a side about a mailbox; `None` when there is nothing to ask.
fn question(job: &Job<'_>, candidate: &Candidate, side: Side, seen: &mut Observation) -> Result<Option<Since>> {
    let key = (candidate.id, side);
    let (Presence::There, Some(listed)) = (candidate.at[side as usize], &candidate.listed[side as usize]) else {
        return Ok(None);
    };
    if let Some(status) = &listed.status {
        seen.statuses.insert(key, status.clone());
    }
    let place = candidate.places[side as usize].as_ref();
    let checkpoint = place.and_then(|place| place.checkpoint.clone());
    if let Some(next_id) = checkpoint.as_ref().and_then(|checkpoint| checkpoint.next_id) {
        seen.next_ids.insert(key, next_id);
    }
    let due = place
        .and_then(|place| place.listed)
        .is_none_or(|at| now() - at > FULL_LISTING);
    let untouched = match (&listed.status, &checkpoint) {
        (Some(status), Some(checkpoint)) => job.stores[side as usize].untouched(status, checkpoint),
        _ => false,
    };
    if untouched && !due {
        return Ok(None);
    }
    if due {
        seen.listed_in_full.insert(key);
    }
    let mailbox = Mailbox {
        id: candidate.id,
        raw: listed.raw.clone(),
    };
    // Ids under no known validity are void as soon as the mailbox is opened.
    let known = checkpoint
        .as_ref()
        .map_or(Ok(IdSet::new()), |_| job.state.known_ids(candidate.id, side))?;
    Ok(Some(Since {
        mailbox,
        checkpoint,
        known,
        full: due,
        permanent: asks_permanent(job, side, place),
    }))
}

/// Whether the mailbox is to tell which flags it lets be set: some were not, and the policy would have them set. A dry run
/// opens nothing to change it.
fn asks_permanent(job: &Job<'_>, side: Side, place: Option<&Place>) -> bool {
    let was_refused = place.is_some_and(|place| place.permanent.is_some());
    was_refused && !job.dry_run && job.policy.of(side.other()).flags == Rule::Spread
}

/// A mailbox tells which flags it lets be set. Those of the other side that it did not let be set before, and does now, are
/// to be set; but not `\Deleted`: why only one side has that, nobody can tell, and in doubt nothing is marked.
fn newly_permanent(state: &State, mailbox: MailboxId, side: Side, now: &Permanent) -> Result<Vec<(PairId, Flags)>> {
    let Some(then) = state.permanent(mailbox, side)? else {
        return Ok(Vec::new());
    };
    state.set_permanent(mailbox, side, now)?;
    if !now.exceeds(&then) {
        return Ok(Vec::new());
    }
    let missing = |pair: &Pair| {
        let missing = pair.half(side.other()).flags.minus(&pair.half(side).flags);
        let mut newly = now.newly(&then, &missing);
        newly.system = newly.system.minus(System::DELETED);
        newly
    };
    let unlike = state.pairs_unlike(mailbox)?.into_iter();
    Ok(unlike
        .map(|pair| (pair.id, missing(&pair)))
        .filter(|(_, newly)| !newly.is_empty())
        .collect())
}

fn hear(
    job: &Job<'_>,
    side: Side,
    questions: &[Since],
    listing: &Listing,
) -> Result<HashMap<(MailboxId, Side), Heard>> {
    let mut heard: HashMap<(MailboxId, Side), Heard> = questions
        .iter()
        .map(|since| ((since.mailbox.id, side), Heard::default()))
        .collect();
    let validities: HashMap<MailboxId, Option<u64>> = questions
        .iter()
        .map(|since| (since.mailbox.id, since.checkpoint.as_ref().map(|c| c.validity)))
        .collect();
    if questions.is_empty() {
        return Ok(heard);
    }
    let mut broken = Ok(());
    job.stores[side as usize].changes(questions, &mut |(mailbox, news): News| {
        if let Some(heard) = heard.get_mut(&(mailbox, side)) {
            heard.is_another |= is_another(listing.get(&mailbox), &news);
            if heard.is_another {
                let what = "somebody gave its name to another mailbox while it was looked at";
                heard.failure = Some(Failure::mailbox(what).retry(Retry::Now));
                return;
            }
            let taken = take_in(job.state, mailbox, side, validities[&mailbox], &job.policy, heard, news);
            if broken.is_ok() {
                broken = taken;
            }
        }
    })?;
    broken?;
    Ok(heard)
}

/// Whether the mailbox that was opened is another than the one that was listed, by which it was decided which mailbox of the
/// base this is.
fn is_another(listed: Option<&MailboxIdentity>, news: &Seen) -> bool {
    match (listed, news) {
        (
            Some(then),
            Seen::Opened {
                listed_as: Some(now), ..
            },
        ) => then != now,
        _ => false,
    }
}

fn take_in(
    state: &State,
    mailbox: MailboxId,
    side: Side,
    validity: Option<u64>,
    policy: &Policy,
    heard: &mut Heard,
    news: Seen,
) -> Result<()> {
    match news {
        Seen::Opened {
            validity: now,
            identity,
            permanent,
            ..
        } => {
            if let Some(identity) = identity {
                state.confirm_identity(mailbox, side, &identity)?;
            }
            if validity != Some(now) {
                state.void_ids(mailbox, side)?;
                if validity.is_some() {
                    // What was noted about the old ids proves nothing any more.
                    state.close_intents(mailbox)?;
                }
            }
            state.set_validity(mailbox, side, now)?;
            heard.permanent = permanent.filter(|_| validity == Some(now));
        }
        Seen::Added(ids) => heard.added = heard.added.union(&there_again(state, mailbox, side, ids)?),
        Seen::Flags(flags) => flags_that_differ(state, mailbox, side, flags, policy, heard)?,
        Seen::Removed(ids) => heard.removed = heard.removed.union(&ids),
        Seen::Complete(checkpoint) => heard.complete = Some(checkpoint),
        Seen::Partial(failure) => heard.failure = Some(failure),
    }
    Ok(())
}

/// Of messages told as new: those that are. The others are paired, were gone, and are there again.
fn there_again(state: &State, mailbox: MailboxId, side: Side, mut ids: IdSet) -> Result<IdSet> {
    for pair in state.pairs_by_ids(mailbox, side, &ids)? {
        if let Some(id) = pair.half(side).id {
            ids.remove(id);
        }
        if pair.half(side).gone != Gone::No {
            state.set_gone(pair.id, side, Gone::No)?;
        }
    }
    Ok(ids)
}

/// Merges a listing, ascending by id, with the base.
fn flags_that_differ(
    state: &State,
    mailbox: MailboxId,
    side: Side,
    listing: Vec<(Id, Flags)>,
    policy: &Policy,
    heard: &mut Heard,
) -> Result<()> {
    let ids: IdSet = listing.iter().map(|(id, _)| *id).collect();
    let mut listing: HashMap<Id, Flags> = listing.into_iter().collect();
    for mut pair in state.pairs_by_ids(mailbox, side, &ids)? {
        let half = pair.half(side);
        let Some((id, flags)) = half.id.and_then(|id| listing.remove_entry(&id)) else {
            continue;
        };
        if half.unseen {
            let original = pair.half(side.other()).flags.clone();
            seen_late(&mut pair, side, &flags, policy);
            state.set_half(pair.id, side, pair.half(side))?;
            let lacking = original.minus(&pair.half(side.other()).flags);
            if !lacking.is_empty() {
                heard.lacking.push((pair.id, lacking));
            }
        }
        if pair.half(side).flags == flags {
            heard.as_base.insert(id);
        } else {
            heard.flags.insert(id, flags);
        }
    }
    Ok(())
}
