//! New messages that the configuration leaves where they are: too large, or too old.
//!
//! They are looked at and paired like any other; the planner leaves out what it would transfer. The books keep these with
//! their sizes, so that one of them can be recognised as a message that is gone elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::Job;
use super::observe::Observation;
use crate::error::Result;
use crate::model::{Beyond, Bounds, Envelope, IdSet, InternalDate, MailboxId, Side};
use crate::plan::{LeftOut, Rule, View, Waiting};
use crate::state::State;
use crate::store::Depth;

/// The bounds of the last run.
const BOUNDS: &str = "bounds";

/// Where the bounds have become wider, what they left out is new again.
pub(super) fn widen(job: &Job<'_>) -> Result<()> {
    let (was, is) = (job.state.fact(BOUNDS)?, spelled(&job.bounds));
    let earlier = was.as_deref().and_then(parsed).unwrap_or_default();
    if earlier == job.bounds {
        return Ok(());
    }
    for reason in Beyond::ALL {
        if job.bounds.is_wider(&earlier, reason) {
            job.state.let_in(reason)?;
        }
    }
    job.state.set_fact(BOUNDS, &is)
}

fn spelled(bounds: &Bounds) -> String {
    let number = |number: Option<i128>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let since = bounds.since.map(|since| i128::from(since.0));
    format!("{} {}", number(bounds.max_size.map(i128::from)), number(since))
}

fn parsed(text: &str) -> Option<Bounds> {
    let (size, since) = text.split_once(' ')?;
    Some(Bounds {
        max_size: size.parse().ok(),
        since: since.parse().ok().map(InternalDate),
    })
}

/// What is gone from a side can be one of those that were left out on it: these are looked at again.
pub(super) fn look_among_left_out(state: &State, view: &mut View, side: Side, sizes: &BTreeSet<u64>) -> Result<()> {
    if sizes.is_empty() {
        return Ok(());
    }
    for (reason, messages) in state.left_out_of(view.id, side, sizes)? {
        let ids = messages.iter().map(|(id, _)| *id).collect();
        view.added[side as usize] = view.added[side as usize].union(&ids);
        let beyond = view.beyond[side as usize].entry(reason).or_default();
        beyond.extend(messages);
        beyond.sort_unstable();
        beyond.dedup();
    }
    Ok(())
}

/// So can what is new on the other side, where dates are not the same on both.
pub(super) fn look_for_the_new(state: &State, view: &mut View, side: Side) -> Result<()> {
    let new = view.waiting[side.other() as usize]
        .iter()
        .filter_map(|waiting| match waiting {
            Waiting::New(new) => Some(new),
            Waiting::Void(_) => None,
        });
    let sizes = new
        .flat_map(|new| [new.size, new.size.saturating_sub(new.marks)])
        .collect();
    look_among_left_out(state, view, side, &sizes)
}

/// Marks what is new and beyond the bounds.
pub(super) fn judge(job: &Job<'_>, seen: &mut Observation) -> Result<()> {
    if job.bounds.is_open() {
        return Ok(());
    }
    for side in Side::BOTH {
        if job.policy.of(side).new == Rule::Spread {
            let mut found = judge_known(job, &seen.views, side);
            judge_unknown(job, seen, side, &mut found)?;
            for view in &mut seen.views {
                let mut beyond = found.remove(&view.id).unwrap_or_default();
                for messages in beyond.values_mut() {
                    messages.sort_unstable();
                }
                view.beyond[side as usize] = beyond;
            }
        }
    }
    Ok(())
}

type Found = BTreeMap<MailboxId, LeftOut>;

/// Of some, size and date were asked for already.
fn judge_known(job: &Job<'_>, views: &[View], side: Side) -> Found {
    let mut found = Found::new();
    for view in views {
        let new = view.waiting[side as usize].iter().filter_map(|waiting| match waiting {
            Waiting::New(new) => Some(new),
            Waiting::Void(_) => None,
        });
        for new in new.filter(|new| view.added[side as usize].contains(new.id)) {
            note(job, &mut found, new);
        }
    }
    found
}

fn judge_unknown(job: &Job<'_>, seen: &Observation, side: Side, found: &mut Found) -> Result<()> {
    let question = |view: &View| {
        let known = view.waiting[side as usize].iter();
        let known: IdSet = known.filter_map(|waiting| waiting.id(side)).collect();
        let unknown = view.added[side as usize].difference(&known);
        let mailbox = seen.names.get(&view.id)?.mailbox(view.id, side)?;
        (view.acted_on && !unknown.is_empty()).then_some((mailbox, unknown))
    };
    let questions: Vec<_> = seen.views.iter().filter_map(question).collect();
    if questions.is_empty() {
        return Ok(());
    }
    job.stores[side as usize].envelopes(&questions, Depth::Look, &mut |envelope| note(job, found, &envelope))
}

fn note(job: &Job<'_>, found: &mut Found, message: &Envelope) {
    if let Some(reason) = job.bounds.beyond(message.size, message.date) {
        let messages = found.entry(message.mailbox).or_default().entry(reason).or_default();
        messages.push((message.id, message.size));
    }
}
