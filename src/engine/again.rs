//! A run whose connection broke in the middle looks again, finds out what came of what it had sent, and does the rest.
//!
//! It is what the next run would do, with the same means: the dead session is given time to rest ([`super::quiet`]), what
//! arrived is adopted, what did not is sent again. Bounded: who is thrown out each time leaves the rest to the next run.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Finished, Job};
use crate::error::{Kind, Result, Retry};
use crate::execute::Outcome;
use crate::pause::{grown, pause};
use crate::plan::Plan;
use crate::state::ProblemKey;

/// So often one run looks, the first time included.
const PASSES: u32 = 3;
/// About how long before the third; the second begins as soon as the server has come to rest.
const WAIT: Duration = Duration::from_secs(1);

/// What earlier passes of a run came to.
#[derive(Default)]
pub(super) struct Tried {
    /// What was refused: once is enough.
    pub(super) refused: BTreeSet<ProblemKey>,
    /// Both sides were looked at before: what does not add up this time either is how things are.
    pub(super) looked: bool,
}

/// One look and what follows from it.
type Pass = fn(&Job<'_>, &Tried, &mut Finished) -> Result<()>;

/// Makes passes until nothing is in doubt, and gives what came of all together.
pub(super) fn passes(job: &Job<'_>, pass: Pass) -> (Finished, Result<()>) {
    let mut finished = Finished::default();
    let mut result = pass(job, &Tried::default(), &mut finished);
    let mut again = finished.wants_another();
    for nth in 1..PASSES {
        // A dry run changes nothing that a second look could see.
        if job.dry_run || result.is_err() || !again || !waited(job, nth) {
            break;
        }
        let mut next = Finished::default();
        result = pass(job, &finished.tried(), &mut next);
        again = next.wants_another();
        finished = finished.and_then(next);
    }
    let noted = give_up(job, &mut finished);
    (finished, result.and(noted))
}

/// Waits after that pass; false: the user wants to stop.
fn waited(job: &Job<'_>, nth: u32) -> bool {
    let wait = if nth == 1 {
        Duration::ZERO
    } else {
        grown(WAIT, 1, 0, WAIT)
    };
    pause(wait, &job.stop)
}

/// What is in doubt still waits for the next run.
fn give_up(job: &Job<'_>, finished: &mut Finished) -> Result<()> {
    let failures = finished.outcome.failures.iter_mut();
    for (key, failure) in failures.filter(|(_, failure)| failure.retry == Retry::Now) {
        failure.retry = Retry::Later;
        job.state.add_problem(*key, failure)?;
    }
    job.state.commit()
}

impl Finished {
    /// Whether another look may settle something: what is in doubt, or what can be done without a mailbox that turned out to
    /// take no changes. Or what went into a trash is to come from there.
    fn wants_another(&self) -> bool {
        let mut failures = self.outcome.failures.iter();
        self.under_way || failures.any(|(_, failure)| failure.retry == Retry::Now || failure.kind == Kind::ReadOnly)
    }

    /// What the next pass need not try again.
    fn tried(&self) -> Tried {
        let refused = self
            .outcome
            .failures
            .iter()
            .filter(|(_, failure)| failure.retry != Retry::Now);
        Tried {
            refused: refused.map(|(key, _)| *key).collect(),
            looked: true,
        }
    }

    /// What was done and then looked at again: what was in doubt is as `next` found it.
    fn and_then(self, next: Self) -> Self {
        let roles = next.roles;
        let (
            mut plan,
            Outcome {
                counts,
                paired,
                mut failures,
                mut tainted,
                ..
            },
        ) = (self.plan, self.outcome);
        plan.steps.extend(next.plan.steps);
        let told = |held: &crate::plan::Held| (held.mailbox, held.lost_by);
        let known: BTreeSet<_> = plan.held.iter().map(told).collect();
        plan.held
            .extend(next.plan.held.into_iter().filter(|held| !known.contains(&told(held))));
        failures.retain(|(_, failure)| failure.retry != Retry::Now);
        failures.extend(next.outcome.failures);
        tainted.extend(next.outcome.tainted);
        Self {
            plan: Plan {
                left_alone: next.plan.left_alone,
                ..plan
            },
            outcome: Outcome {
                counts: [0, 1].map(|side| counts[side] + next.outcome.counts[side]),
                paired: paired + next.outcome.paired,
                failures,
                tainted,
                in_trash: next.outcome.in_trash,
                stopped: next.outcome.stopped,
            },
            roles,
            under_way: next.under_way,
        }
    }
}
