//! Messages that both sides marked as deleted, where the configuration wants these removed.

use super::{Finished, Job};
use crate::error::Result;
use crate::model::MailboxPath;
use crate::plan::{Action, Guard, Plan, Rule};
use crate::report::Counts;
use crate::state::{MailboxRow, State};

/// A guard holds back the removal of what is marked.
const HELD: &str = "marked-held";

/// Whether a guard held them back in an earlier run. That stays so, whatever later counts say.
pub(super) fn are_held(job: &Job<'_>) -> Result<bool> {
    Ok(job.expunge.is_some() && job.state.fact(HELD)?.is_some())
}

/// Notes whether they are held back from now on.
pub(super) fn note(job: &Job<'_>, plan: &Plan) -> Result<()> {
    match (is_held(plan), job.state.fact(HELD)?) {
        (true, None) => job.state.set_fact(HELD, "yes"),
        (false, Some(_)) if expunges(plan) || !job.state.has_marked()? => job.state.drop_fact(HELD),
        _ => Ok(()),
    }
}

/// What is held back, by mailbox.
pub(super) fn held(state: &State) -> Result<Vec<(MailboxPath, u64)>> {
    if state.fact(HELD)?.is_none() {
        return Ok(Vec::new());
    }
    let count = |row: MailboxRow| Ok((row.path, state.marked(row.id)?.len() as u64));
    let held: Result<Vec<_>> = state.mailboxes()?.into_iter().map(count).collect();
    Ok(held?.into_iter().filter(|(_, count)| *count > 0).collect())
}

fn is_held(plan: &Plan) -> bool {
    plan.held.iter().any(|held| held.guard == Guard::Marked)
}

fn expunges(plan: &Plan) -> bool {
    plan.steps
        .iter()
        .any(|step| matches!(step.action, Action::Expunge { .. }))
}

/// Whether another look finds something to do: what this one brought marks to, or began to remove.
pub(super) fn are_under_way(job: &Job<'_>, finished: &Finished) -> Result<bool> {
    let outcome = &finished.outcome;
    let did_something = outcome.paired > 0 || outcome.counts.iter().map(Counts::sum).sum::<u64>() > 0;
    let both_ways = job.policy.sides.iter().all(|side| side.removals == Rule::Spread);
    if job.expunge.is_none() || !both_ways || !did_something || is_held(&finished.plan) {
        return Ok(false);
    }
    Ok(outcome.expunged || job.state.has_marked()?)
}
