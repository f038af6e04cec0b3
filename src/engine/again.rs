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
/// And so often more, to see to what an earlier look has set going: what arrived in a trash, what left one side for good.
const FOLLOWING: u32 = 4;
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

impl Tried {
    /// Whether neither this pass nor one before it failed in anything that is not settled by now.
    pub(super) fn is_clean(&self, now: &Outcome) -> bool {
        self.refused.is_empty() && now.failures.is_empty() && now.tainted.is_empty()
    }
}

/// One look and what follows from it.
type Pass = fn(&Job<'_>, &Tried, &mut Finished) -> Result<()>;

/// Makes passes until nothing is in doubt, and gives what came of all together.
pub(super) fn passes(job: &Job<'_>, pass: Pass) -> (Finished, Result<()>) {
    let mut finished = Finished::default();
    let mut result = pass(job, &Tried::default(), &mut finished);
    let mut looks = Looks::default();
    let mut wait = looks.next(&finished);
    // A dry run changes nothing that a second look could see.
    while let Some(time) = wait.filter(|_| result.is_ok() && !job.dry_run) {
        if !pause(time, &job.stop) {
            break;
        }
        let mut next = Finished::default();
        result = pass(job, &finished.tried(), &mut next);
        wait = looks.next(&next);
        finished = finished.and_then(next);
    }
    let noted = give_up(job, &mut finished);
    (finished, result.and(noted))
}

/// The passes made after the first one.
#[derive(Default)]
struct Looks {
    in_doubt: u32,
    following: u32,
}

impl Looks {
    /// How long to wait before the next pass; `None`: there is none.
    fn next(&mut self, last: &Finished) -> Option<Duration> {
        if last.is_in_doubt() && self.in_doubt + 1 < PASSES {
            self.in_doubt += 1;
            let wait = || grown(WAIT, 1, 0, WAIT);
            return Some(if self.in_doubt == 1 { Duration::ZERO } else { wait() });
        }
        let follows = last.under_way && self.following < FOLLOWING;
        self.following += u32::from(follows);
        follows.then_some(Duration::ZERO)
    }
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
    /// take no changes.
    fn is_in_doubt(&self) -> bool {
        let mut failures = self.outcome.failures.iter();
        failures.any(|(_, failure)| failure.retry == Retry::Now || failure.kind == Kind::ReadOnly)
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
                expunged: next.outcome.expunged,
                in_trash: next.outcome.in_trash,
                stopped: next.outcome.stopped,
            },
            roles,
            under_way: next.under_way,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;
    use crate::model::{MailboxId, Side};

    #[test]
    fn a_run_is_clean_when_all_its_passes_were() {
        let key = ProblemKey::Mailbox(MailboxId(1), Side::Right);
        let pass = |retry: Option<Retry>| Finished {
            outcome: Outcome {
                failures: retry
                    .map(|retry| (key, Failure::mailbox("x").retry(retry)))
                    .into_iter()
                    .collect(),
                ..Outcome::default()
            },
            ..Finished::default()
        };
        for (before, now, clean) in [
            (None, None, true),
            (Some(Retry::Now), None, true),
            (Some(Retry::Later), None, false),
            (Some(Retry::Never), None, false),
            (None, Some(Retry::Now), false),
        ] {
            let tried = pass(before).tried();
            assert_eq!(tried.is_clean(&pass(now).outcome), clean, "{before:?}, {now:?}");
        }
    }
}
