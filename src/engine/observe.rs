//! Looks at both sides: what happened in each mailbox since it was last seen, in the planner's terms.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::again::Tried;
use super::listen::{Heard, listen};
use super::survey::{self, Candidate};
use super::trash::Located;
use super::{Job, bounds, identify};
use crate::error::{Failure, Result, Retry};
use crate::execute::Names;
use crate::model::{Checkpoint, Envelope, Gone, Id, IdSet, MailboxId, Pair, PairId, RawName, Side, Status};
use crate::plan::{Base, Now, Presence, Touched, View};
use crate::state::{Changes, PendingKind, ProblemKey, ProblemRow, State, now};

/// What was seen.
#[derive(Default)]
pub(super) struct Observation {
    pub views: Vec<View>,
    pub names: BTreeMap<MailboxId, Names>,
    pub statuses: BTreeMap<(MailboxId, Side), Status>,
    pub checkpoints: Vec<(MailboxId, Side, Checkpoint)>,
    pub listed_in_full: BTreeSet<(MailboxId, Side)>,
    pub next_ids: BTreeMap<(MailboxId, Side), Id>,
    pub waiting: HashMap<(MailboxId, Side, Id), Envelope>,
    pub failures: Vec<(ProblemKey, Failure)>,
    pub settled: [bool; 2],
    /// See [`plan::Input::obscured`](crate::plan::Input::obscured).
    pub obscured: [BTreeSet<u64>; 2],
    pub base: Base,
    /// Where removals go on each side.
    pub trash: [Located; 2],
    /// Some mailboxes in scope were only looked at (`--mailbox`).
    pub narrowed: bool,
    /// Names came to mean other mailboxes between the list and a look into these: only the failures hold.
    pub outdated: bool,
}

impl Observation {
    pub(super) fn has_removals(&self) -> bool {
        self.views
            .iter()
            .any(|view| view.touched.iter().any(|touched| touched.now.contains(&Now::Gone)))
    }
}

/// Looks at everything in scope. New messages that were `tried` and refused rest.
pub(super) fn observe(job: &Job<'_>, tried: &Tried) -> Result<Observation> {
    let mailboxes = survey::mailboxes(job)?;
    let mut seen = Observation {
        failures: mailboxes.failures,
        settled: mailboxes.complete,
        trash: mailboxes.trash,
        base: base(job)?,
        ..Observation::default()
    };
    let mut candidates = mailboxes.candidates;
    seen.narrowed = candidates.iter().any(|candidate| !candidate.acted_on);
    // What is so at the second look too is a side that tells one thing in two ways; a dry run looks once.
    let strict = !tried.looked && !job.dry_run;
    let mut heard = listen(job, &candidates, strict, &mut seen)?;
    seen.outdated = heard.values().any(|heard| heard.is_another);
    for candidate in &mut candidates {
        judge(candidate, &mut heard, &mut seen);
    }
    if seen.outdated {
        return Ok(seen);
    }
    let problems = job.state.problems()?;
    for candidate in &candidates {
        let mut view = view(job.state, candidate, &mut heard, tried, job.expunge.is_some())?;
        refusals(&mut view, &problems, tried);
        seen.names.insert(candidate.id, names(candidate));
        seen.views.push(view);
    }
    count_pairs(job.state, &mut seen.views)?;
    identify::identify(job, &mut seen)?;
    bounds::judge(job, &mut seen)?;
    Ok(seen)
}

/// What was refused when it was last tried, and is not to be tried again yet.
fn refusals(view: &mut View, problems: &[ProblemRow], tried: &Tried) {
    let now = now();
    for row in problems.iter().filter(|row| row.mailbox_id == Some(view.id)) {
        let (at, waits) = (row.side as usize, row.next.is_none_or(|next| next > now));
        let was_tried = |key| tried.refused.contains(&key);
        match (row.refuses, row.id) {
            (Some(changes), _) => {
                let rests = waits || was_tried(ProblemKey::Changes(view.id, row.side, changes));
                match changes {
                    Changes::All => view.closed[at] |= rests,
                    Changes::Flags => view.refused[at].flags |= rests,
                    Changes::Removals => view.refused[at].removals |= rests,
                }
            }
            // What is never tried again is a doubt about a message, no refusal to change it.
            (None, Some(id)) if row.retry != Retry::Never => {
                if waits || was_tried(ProblemKey::Message(view.id, row.side, id)) {
                    view.refused[at].messages.insert(id);
                }
            }
            (None, _) => {}
        }
    }
}

/// What was refused and due was tried in this run; unless that failed again, it is over. So is what nothing waits for.
pub(super) fn settle_changes(state: &State, failures: &[(ProblemKey, Failure)]) -> Result<()> {
    for row in state.problems()? {
        let failed = failures.iter().any(|(key, failure)| row.is(*key, &failure.what));
        let Some(mailbox) = row.mailbox_id.filter(|_| !failed) else {
            continue;
        };
        match (row.refuses, row.id) {
            (Some(changes), _) if row.next.is_some_and(|next| next <= now()) => {
                state.settle_changes(mailbox, row.side, changes)?;
            }
            (None, Some(id)) if row.retry != Retry::Never && !state.is_waited_for(mailbox, row.side, id)? => {
                state.settle_problems(mailbox, row.side, &IdSet::range(id..=id))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A run was carried out to its end since the state was made.
const AGREED: &str = "agreed";

fn base(job: &Job<'_>) -> Result<Base> {
    Ok(match job.state.fact(AGREED)? {
        _ if job.distrust => Base::Old,
        None => Base::Unfinished,
        Some(_) => Base::Agreed,
    })
}

/// Notes that the sides have met: what is unpaired from now on is new.
pub(super) fn note_agreement(state: &State) -> Result<()> {
    state
        .fact(AGREED)?
        .map_or_else(|| state.set_fact(AGREED, "yes"), |_| Ok(()))
}

fn names(candidate: &Candidate) -> Names {
    let raw = Side::BOTH.map(|side| {
        let there = candidate.at[side as usize] != Presence::Gone;
        candidate.listed[side as usize]
            .as_ref()
            .filter(|listed| there && listed.selectable)
            .map(|listed| listed.raw.clone())
    });
    let mut roles = candidate.listed.iter().flatten().flat_map(|listed| &listed.roles);
    Names {
        path: candidate.path.clone(),
        raw,
        role: roles.find(|role| !role.is_view()).copied(),
    }
}

/// Takes statuses again after the last read: whether nothing changed on a side meanwhile, so that what is gone from one
/// mailbox cannot have appeared in another behind our back.
pub(super) fn still_the_same(job: &Job<'_>, seen: &Observation) -> Result<[bool; 2]> {
    let surveys = survey::surveys(job)?;
    Ok(Side::BOTH.map(|side| {
        let at = side as usize;
        let known = seen
            .names
            .iter()
            .filter_map(|(id, names)| Some((names.raw[at].as_ref()?, *id)));
        let ids: BTreeMap<&RawName, MailboxId> = known.collect();
        let survey = &surveys[at];
        survey.failures.is_empty()
            && survey
                .mailboxes
                .iter()
                .filter(|listed| listed.selectable && survey::meets(job, side, &listed.path))
                .all(|listed| {
                    let before = ids.get(&listed.raw).map(|id| seen.statuses.get(&(*id, side)));
                    // What is out of scope does not count.
                    before.is_none_or(|before| before == listed.status.as_ref())
                })
    }))
}

/// A mailbox that could not be read is left alone, and with it all removals of its side.
fn judge(candidate: &mut Candidate, heard: &mut HashMap<(MailboxId, Side), Heard>, seen: &mut Observation) {
    for side in Side::BOTH {
        let Some(heard) = heard.get_mut(&(candidate.id, side)) else {
            continue;
        };
        match (heard.complete.take(), heard.failure.take()) {
            (Some(checkpoint), None) => {
                if let Some(next_id) = checkpoint.next_id {
                    seen.next_ids.insert((candidate.id, side), next_id);
                }
                seen.checkpoints.push((candidate.id, side, checkpoint));
            }
            (_, failure) => {
                candidate.at[side as usize] = Presence::Unknown;
                seen.settled[side as usize] = false;
                let failure = failure.unwrap_or_else(|| Failure::mailbox("it could not be read to the end"));
                seen.failures.push((ProblemKey::Mailbox(candidate.id, side), failure));
            }
        }
    }
}

/// Puts together what is new, what waited, and what the base knows.
fn view(
    state: &State,
    candidate: &Candidate,
    heard: &mut HashMap<(MailboxId, Side), Heard>,
    tried: &Tried,
    expunges: bool,
) -> Result<View> {
    let mut touched: BTreeMap<PairId, Touched> = BTreeMap::new();
    let mut added: [IdSet; 2] = Default::default();
    let mut touch = |pair: Pair, side: Side, now: Now| {
        let entry = touched.entry(pair.id).or_insert_with(|| Touched {
            pair,
            now: [Now::AsBase, Now::AsBase],
        });
        entry.now[side as usize] = now;
    };
    for side in Side::BOTH {
        if let Some(heard) = heard.get(&(candidate.id, side)) {
            let differing = heard.flags.keys().copied().collect();
            drop_pending_flags(state, candidate.id, side, &heard.as_base.union(&differing))?;
        }
    }
    let mut resting = add_pending(state, candidate.id, tried, &mut added, &mut touch)?;
    for side in Side::BOTH {
        let at = side as usize;
        if candidate.at[side.other() as usize] == Presence::Gone {
            // What is left out is beyond the base: a mailbox that goes on holding it is not deleted (DESIGN 8a).
            resting[at] = resting[at].union(&state.left_out_in(candidate.id, side)?);
        }
        if matches!(candidate.at[at], Presence::Gone | Presence::Never) {
            // The mailbox that is made in its place may give these ids to other messages.
            let waited = std::mem::take(&mut added[at]).union(&std::mem::take(&mut resting[at]));
            state.settle(candidate.id, side, &waited)?;
        }
        if let Some(heard) = heard.remove(&(candidate.id, side)) {
            added[at] = added[at].union(&heard.added).difference(&heard.removed);
            // Only now, with both sides heard, are their ids what they will be: one may have voided them.
            let ids: IdSet = heard.flags.keys().copied().collect();
            for pair in state.pairs_by_ids(candidate.id, side, &ids)? {
                if let Some(flags) = pair.half(side).id.and_then(|id| heard.flags.get(&id)) {
                    let flags = flags.clone();
                    touch(pair, side, Now::Flags(flags));
                }
            }
            let gone = state.pairs_by_ids(candidate.id, side, &heard.removed)?;
            let paired: IdSet = gone.iter().filter_map(|pair| pair.half(side).id).collect();
            state.settle(candidate.id, side, &heard.removed.difference(&paired))?;
            for pair in gone {
                touch(pair, side, Now::Gone);
            }
        }
        if candidate.at[at] == Presence::Gone {
            state
                .pairs_of(candidate.id)?
                .into_iter()
                .for_each(|pair| touch(pair, side, Now::Gone));
        }
    }
    for pair in state.pairs_gone(candidate.id)? {
        for side in Side::BOTH {
            if pair.half(side).gone != Gone::No {
                touch(pair.clone(), side, Now::Gone);
            }
        }
    }
    let is_there = candidate.at == [Presence::There; 2];
    let marked = if expunges && is_there {
        state.marked(candidate.id)?
    } else {
        Vec::new()
    };
    Ok(View {
        id: candidate.id,
        path: candidate.path.clone(),
        naming: candidate.naming.clone(),
        at: candidate.at,
        acted_on: candidate.acted_on,
        emptied_often: candidate.emptied_often,
        pairs: 0, // see count_pairs
        resting: Side::BOTH.map(|side| resting[side as usize].difference(&added[side as usize])),
        added,
        closed: [false; 2], // see refusals
        refused: Default::default(),
        waiting: [Vec::new(), Vec::new()],
        beyond: Default::default(),
        touched: touched.into_values().collect(),
        marked,
    })
}

/// Counts what guards compare with. Where nothing happened there is nothing to guard, and a run with nothing to do does
/// not walk through the books of a million messages.
fn count_pairs(state: &State, views: &mut [View]) -> Result<()> {
    let quiet = |view: &View| view.touched.is_empty() && view.added.iter().all(IdSet::is_empty);
    if views.iter().all(quiet) {
        return Ok(());
    }
    for view in views {
        view.pairs = state.pair_count(view.id)?;
    }
    Ok(())
}

/// A change of flags that waited is not what was told just now: that can have been taken back, or be another.
fn drop_pending_flags(state: &State, mailbox: MailboxId, side: Side, told: &IdSet) -> Result<()> {
    for pending in state.pending(mailbox)? {
        if pending.side == side && matches!(pending.kind, PendingKind::Flags(_)) && told.contains(pending.id) {
            state.settle_flags(mailbox, side, pending.id)?;
        }
    }
    Ok(())
}

/// What waited since an earlier run, if its time has come. Gives the new messages whose time has not.
fn add_pending(
    state: &State,
    mailbox: MailboxId,
    tried: &Tried,
    added: &mut [IdSet; 2],
    touch: &mut impl FnMut(Pair, Side, Now),
) -> Result<[IdSet; 2]> {
    let now = now();
    let mut resting: [IdSet; 2] = Default::default();
    for pending in state.pending(mailbox)? {
        let rests = tried
            .refused
            .contains(&ProblemKey::Message(mailbox, pending.side, pending.id));
        let due = !rests && pending.next_try.is_none_or(|next| next <= now);
        match pending.kind {
            PendingKind::Added => {
                let list = if due { &mut *added } else { &mut resting };
                list[pending.side as usize].insert(pending.id);
            }
            PendingKind::Flags(flags) if due => {
                if let Some(pair) = state.partner(mailbox, pending.side, pending.id)? {
                    touch(pair, pending.side, Now::Flags(flags));
                }
            }
            PendingKind::Flags(_) => {}
        }
    }
    Ok(resting)
}
