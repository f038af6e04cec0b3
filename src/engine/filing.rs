//! What left the server while its mailbox got a new UIDVALIDITY goes from an archive's `mail/` into `gone/`.
//!
//! A first look under new ids proves nothing (DESIGN 8a "voided UIDs"): what is not found again stays where it is, and the
//! history says that the server does not show it. What a second complete look does not find either has left.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Finished, Job, survey};
use crate::error::Result;
use crate::execute::{self, Scene};
use crate::model::{MailboxId, PairId, Side};
use crate::plan::{Action, Plan, Step};
use crate::state::{Lost, State};

const WHY: &str = "looked for twice under the mailbox's new ids, and not found";

/// What the last complete look at its mailbox did not find; asked before a run looks again.
pub(super) fn lost(state: &State) -> Result<BTreeSet<Lost>> {
    Ok(state.lost(Side::Right)?.into_iter().collect())
}

/// After a run that saw all of the account: files away what was lost before it and is so still.
pub(super) fn file_away(job: &Job<'_>, before: &BTreeSet<Lost>, finished: &mut Finished) -> Result<()> {
    let outcome = &finished.outcome;
    if outcome.stopped || !outcome.failures.is_empty() || !finished.plan.left_alone.is_empty() {
        return Ok(());
    }
    let lost = job.state.lost(Side::Right)?.into_iter();
    let lost = lost.filter(|lost| before.contains(lost) && is_kept(&finished.plan, lost));
    let mut pairs: BTreeMap<MailboxId, Vec<PairId>> = BTreeMap::new();
    for lost in lost.filter(|lost| !outcome.tainted.contains(&(lost.mailbox, Side::Right))) {
        pairs.entry(lost.mailbox).or_default().push(lost.pair);
    }
    let names = survey::names(job.state)?;
    let step = |(mailbox, pairs)| {
        let path = names.get(&mailbox)?.path.clone();
        let action = Action::Remove { on: Side::Left, pairs };
        Some(Step {
            mailbox,
            path,
            action,
            why: WHY,
        })
    };
    let plan = Plan {
        steps: pairs.into_iter().filter_map(step).collect(),
        ..Plan::default()
    };
    if !plan.steps.is_empty() && !job.dry_run {
        carry_out(&plan, job, finished)?;
    }
    finished.plan.steps.extend(plan.steps);
    Ok(())
}

/// The plan has no other use for it: it was not found elsewhere.
fn is_kept(plan: &Plan, lost: &Lost) -> bool {
    plan.steps.iter().any(|step| {
        matches!(&step.action, Action::KeepNew { of: Side::Left, ids } if ids.contains(lost.id))
            && step.mailbox == lost.mailbox
    })
}

fn carry_out(plan: &Plan, job: &Job<'_>, finished: &mut Finished) -> Result<()> {
    let (outcome, result) = execute::run(
        plan,
        Scene {
            state: job.state,
            stores: job.stores,
            names: survey::names(job.state)?,
            spell: &|path, _| path.clone(),
            instead: &|_, _| None,
            next_ids: BTreeMap::new(),
            waiting: HashMap::new(),
            unseen: HashMap::new(),
            policy: job.policy,
            run: job.run,
            stop: job.stop.clone(),
            pace: job.pace,
            advance: &|n| (job.watch)(super::Event::Done(n)),
        },
    );
    for side in Side::BOTH {
        let counts = &mut finished.outcome.counts[side as usize];
        *counts = *counts + outcome.counts[side as usize];
    }
    finished.outcome.failures.extend(outcome.failures);
    finished.outcome.stopped |= outcome.stopped;
    result
}
