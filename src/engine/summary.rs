//! Puts what was planned and done into the report's terms.

use std::collections::BTreeMap;

use super::{Finished, courtesy, footing, history, marked};
use crate::account::Account;
use crate::error::{Failure, Kind, Reach, Result};
use crate::maildir::index::FileIndex;
use crate::model::{Beyond, Called, Id, IdSet, MailboxId, Side};
use crate::plan::{Action, Guard, Held, Plan};
use crate::report::{AccountReport, Counts, HeldBack, PlanLine, Problem};
use crate::state::{ProblemRow, State, now};

/// How a job speaks to the user.
pub(super) trait Voice {
    /// What the user can do about what a guard holds: whole lines with commands.
    fn ways_out(&self, guard: Guard, lost_by: Side) -> Vec<String>;
    /// Whether messages of that side are named by their UIDs, as on a server; else by their files.
    fn has_uids(&self, side: Side) -> bool;
    /// What a user finds a message by, where it is neither of these.
    fn message(&self, _side: Side, _mailbox: &str, _id: Id) -> Option<String> {
        None
    }
}

/// Fills in what a run did, or would do.
pub(super) fn fill(
    report: &mut AccountReport,
    state: &State,
    voice: &dyn Voice,
    finished: &Finished,
    dry_run: bool,
) -> Result<()> {
    [report.left, report.right] = if dry_run {
        planned(&finished.plan)
    } else {
        finished.outcome.counts
    };
    report.paired = finished.outcome.paired + if dry_run { planned_pairs(&finished.plan) } else { 0 };
    let sides = Side::BOTH.map(|side| report.called(side));
    report.plan = finished
        .plan
        .steps
        .iter()
        .filter(|step| is_shown(&step.action))
        .map(|step| line(step, &sides))
        .collect();
    report.held_back = finished.plan.held.iter().map(|held| held_back(held, voice)).collect();
    // What ended an earlier run is that run's story; this one tells its own.
    for row in state.problems()?.into_iter().filter(|row| !row.ended_run) {
        let mut failures = finished.outcome.failures.iter();
        let found = failures.find(|(key, failure)| row.is(*key, &failure.what));
        let problem = problem(state, voice, row, found.is_none())?;
        let kind = found.map_or(problem.kind, |(_, failure)| failure.kind);
        report.problems.push(Problem { kind, ..problem });
    }
    Ok(())
}

/// Says that state and Maildir are of different age, as long as they are.
pub(super) fn fill_doubt(report: &mut AccountReport, state: &State) -> Result<()> {
    let doubt = footing::doubt(state)?.map(|doubt| Problem {
        waiting: true,
        ..Problem::new(&doubt, None, None)
    });
    report.problems.extend(doubt);
    Ok(())
}

/// Fills in how many more messages are left out than before.
pub(super) fn fill_left_out(report: &mut AccountReport, state: &State, before: &BTreeMap<Beyond, u64>) -> Result<()> {
    let more = state.left_out()?.into_iter().map(|(reason, count)| {
        let known = before.get(&reason).copied().unwrap_or(0);
        (reason, count.saturating_sub(known))
    });
    report.left_out = more.filter(|(_, count)| *count > 0).collect();
    Ok(())
}

/// Fills in what the state says.
pub(super) fn status(report: &mut AccountReport, state: &State, voice: &dyn Voice) -> Result<()> {
    for (path, lost_by, count) in state.held()? {
        let (mailbox, guard) = (MailboxId(0), Guard::Earlier);
        report.held_back.push(held_back(
            &Held {
                guard,
                lost_by,
                mailbox,
                path,
                count,
            },
            voice,
        ));
    }
    for (path, count) in marked::held(state)? {
        let held = Held {
            guard: Guard::Marked,
            lost_by: Side::Right,
            mailbox: MailboxId(0),
            path,
            count,
        };
        report.held_back.push(held_back(&held, voice));
    }
    problems(report, state, voice)?;
    fill_doubt(report, state)?;
    report.pending = state.pending_count()?;
    report.left_out = state.left_out()?;
    report.serial = courtesy::is_serial(state)?;
    report.last_run = state.last_run()?.as_ref().map(history::run);
    Ok(())
}

/// Adds the problems that the state knows.
pub(super) fn problems(report: &mut AccountReport, state: &State, voice: &dyn Voice) -> Result<()> {
    let rows = state.problems()?;
    let ended = rows.iter().find(|row| row.ended_run).map(|row| row.what.clone());
    // What ended a run is told once, though it was met with a message.
    let told = |row: &ProblemRow| !row.ended_run && row.reach() == Reach::Account && ended.as_ref() == Some(&row.what);
    for row in rows.into_iter().filter(|row| !told(row)) {
        let waiting = row.next.is_none_or(|next| next > now());
        report.problems.push(problem(state, voice, row, waiting)?);
    }
    Ok(())
}

/// Where a run stands that the user asked to stop.
pub(super) fn stopped(finished: &Finished) -> Failure {
    let sum = |counts: [Counts; 2]| counts.iter().map(Counts::sum).sum::<u64>();
    let (planned, done) = (sum(planned(&finished.plan)), sum(finished.outcome.counts));
    let what = if planned == 0 {
        "stopped while looking; nothing was changed".to_owned()
    } else {
        format!("stopped with {done} of {planned} changes made")
    };
    Failure::account(Kind::Temporary, what)
}

/// Bookkeeping that means nothing to a user is not shown.
fn is_shown(action: &Action) -> bool {
    !matches!(
        action,
        Action::Agree { .. } | Action::AgreeName { .. } | Action::Forget { .. } | Action::ForgetMailbox
    )
}

fn planned(plan: &Plan) -> [Counts; 2] {
    let mut counts = [Counts::default(); 2];
    for step in &plan.steps {
        let Some(on) = step.action.on() else { continue };
        let (side, count) = (&mut counts[on as usize], step.action.count());
        match step.action {
            Action::Copy { .. } | Action::CopyWithin { .. } => side.added += count,
            Action::Move { .. } | Action::Trash { .. } => side.moved += count,
            Action::SetFlags { .. } => side.flags += count,
            Action::Remove { .. } | Action::Expunge { .. } => side.removed += count,
            Action::RenameMailbox { .. } => side.mailboxes_renamed += count,
            Action::CreateMailbox { .. } => side.mailboxes_created += count,
            Action::DeleteMailbox { .. } => side.mailboxes_removed += count,
            _ => {}
        }
    }
    counts
}

fn planned_pairs(plan: &Plan) -> u64 {
    plan.steps
        .iter()
        .filter(|step| matches!(step.action, Action::Pair { .. }))
        .map(|step| step.action.count())
        .sum()
}

fn line(step: &crate::plan::Step, sides: &[Called; 2]) -> PlanLine {
    let (mailbox, to) = match &step.action {
        Action::Move { from_path, .. } | Action::Trash { from_path, .. } | Action::CopyWithin { from_path, .. } => {
            (from_path, Some(&step.path))
        }
        Action::RenameMailbox { to, .. } => (&step.path, Some(to)),
        _ => (&step.path, None),
    };
    PlanLine {
        action: step.action.name(),
        on: step.action.on(),
        mailbox: mailbox.to_string(),
        to: to.map(ToString::to_string),
        count: step.action.count(),
        why: step.why.to_owned(),
        text: step.sentence(sides),
    }
}

fn held_back(held: &Held, voice: &dyn Voice) -> HeldBack {
    HeldBack {
        guard: held.guard.name(),
        side: held.lost_by.other(),
        mailbox: held.path.to_string(),
        count: held.count,
        ways_out: voice.ways_out(held.guard, held.lost_by),
    }
}

impl Voice for Account {
    fn ways_out(&self, guard: Guard, lost_by: Side) -> Vec<String> {
        let name = &self.name;
        let approve = |from| format!("homing sync {name} --allow-deletes   removes them from {from} too");
        match (guard, lost_by) {
            (Guard::Adoption, _) => vec![
                format!("homing sync {name} --push   sends them to the server"),
                "move them out of the Maildir   if they do not belong to this account".to_owned(),
            ],
            (Guard::Marked, _) => vec![
                format!("homing sync {name} --allow-deletes   removes them from both sides"),
                "take the mark off those that are to stay   in any mail program".to_owned(),
            ],
            (_, Side::Left) => vec![
                approve("the server"),
                format!("homing sync {name} --pull   copies them back from the server"),
            ],
            (_, Side::Right) => vec![
                approve("the Maildir (into the attic)"),
                format!("homing sync {name} --push   copies them back to the server"),
            ],
        }
    }

    fn has_uids(&self, side: Side) -> bool {
        side == Side::Right
    }
}

fn problem(state: &State, voice: &dyn Voice, row: ProblemRow, waiting: bool) -> Result<Problem> {
    let id = match (row.mailbox_id, row.id) {
        (Some(mailbox), Some(id)) => {
            let own = voice.message(row.side, row.mailbox.as_deref().unwrap_or_default(), id);
            Some(own.map_or_else(|| message_name(state, voice, mailbox, row.side, id), Ok)?)
        }
        _ => None,
    };
    Ok(Problem {
        reach: row.reach(),
        mailbox: row.mailbox,
        id,
        what: row.what,
        kind: Kind::Partial,
        retry: row.retry,
        tries: row.tries,
        next_try: row.next,
        waiting,
        hint: row.hint,
    })
}

/// What a user can find a message by: its UID on the server, its file's name in the Maildir.
fn message_name(state: &State, voice: &dyn Voice, mailbox: MailboxId, side: Side, id: Id) -> Result<String> {
    if voice.has_uids(side) {
        return Ok(format!("UID {id}"));
    }
    let rows = state.by_ids(mailbox, &IdSet::range(id..=id))?;
    Ok(rows
        .first()
        .map_or_else(|| format!("file {id}"), |row| crate::error::clean(&row.unique)))
}
