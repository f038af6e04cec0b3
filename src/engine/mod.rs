//! Job → what was done: looks at both sides, plans, carries out, and moves the checkpoints.
//!
//! `observe` looks and `identify` asks what new messages are known by; [`crate::plan`] decides; [`crate::execute`] does;
//! `sync` opens an account's stores and state, and makes the report.

pub mod account;
mod again;
pub mod backup;
pub mod books;
mod bounds;
mod contents;
mod courtesy;
pub mod export;
mod filing;
mod footing;
mod history;
mod identify;
pub mod import;
mod into;
mod key;
mod layout;
mod listen;
mod lost;
mod marked;
mod meeting;
pub mod migrate;
mod names;
mod observe;
pub mod prune;
mod quiet;
mod renames;
pub mod restore;
mod server;
mod subscriptions;
mod summary;
mod survey;
mod trash;
mod twins;
pub mod verify;

use std::collections::{BTreeMap, HashMap};

use crate::error::{Failure, Result, Retry};
use crate::execute::{self, Outcome, Scene, Spell};
use crate::model::{Bounds, MailboxId, MailboxPath, PairId, Role, Side, TrashChoice};
use crate::pace::Pace;
use crate::plan::{self, Adoption, Input, Limits, Now, Plan, Policy};
use crate::state::{ProblemKey, ProblemRow, State, now};
use crate::store::{Stop, Store};

use again::Tried;
use observe::Observation;

/// What the two sides call their mailboxes, and which of them matter.
pub trait Naming: Sync {
    /// Whether the mailbox is in scope at all. The name is the right side's.
    fn includes(&self, right: &MailboxPath, roles: &[Role]) -> bool;
    /// Whether this run acts on it (`--mailbox`). The name is the right side's.
    fn acts_on(&self, right: &MailboxPath, roles: &[Role]) -> bool;
    /// The left's name for a mailbox of the right.
    fn to_left(&self, right: &MailboxPath) -> MailboxPath;
    /// The right's name for a mailbox of the left.
    fn to_right(&self, left: &MailboxPath) -> MailboxPath;

    /// Whether a mailbox of that name on the right has to do with the job; the others are as if they were not there.
    fn meets_right(&self, _right: &MailboxPath) -> bool {
        true
    }
    /// Whether a mailbox of that name on the left has to do with the job.
    fn meets_left(&self, _left: &MailboxPath) -> bool {
        true
    }
    /// What to call a mailbox of the left on the right once the right has refused a name for good; `None`: there is no
    /// other name for it.
    fn instead(&self, _left: &MailboxPath, _refused: &MailboxPath) -> Option<MailboxPath> {
        None
    }
}

/// What a command asks for: two sides, and what to do with their changes.
pub struct Job<'a> {
    /// The books.
    pub state: &'a State,
    /// Left and right.
    pub stores: [&'a dyn Store; 2],
    /// Names and scope.
    pub naming: &'a dyn Naming,
    /// What to do with changes.
    pub policy: Policy,
    /// See [`Limits::empty_guard`].
    pub empty_guard: u64,
    /// See [`Limits::max_delete_percent`].
    pub max_delete_percent: u64,
    /// What is too large or too old to be carried over.
    pub bounds: Bounds,
    /// What both sides marked as deleted is removed, from this side first.
    pub expunge: Option<Side>,
    /// Where what is removed on a side goes.
    pub trash: [TrashChoice; 2],
    /// What the left holds at the first meeting and the right does not is held back if it is much.
    pub adopting: Adoption,
    /// Nothing that a side lacks counts as removed.
    pub distrust: bool,
    /// Only look and plan.
    pub dry_run: bool,
    /// The number of this run.
    pub run: i64,
    /// Set when the user asked to stop.
    pub stop: Stop,
    /// Whether both sides work at once.
    pub pace: Pace,
    /// Is told what happens: a plan is about to be carried out, so many messages of it are done.
    pub watch: &'a (dyn Fn(Event<'_>) + Sync),
}

/// What a job tells on the way.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Both sides are being looked at.
    Looking,
    /// This is about to be done.
    Planned(&'a Plan),
    /// So many more messages are done.
    Done(u64),
}

/// What came of a job.
#[derive(Debug, Default)]
pub struct Finished {
    /// What was planned; carried out unless it was a dry run.
    pub plan: Plan,
    /// What was done.
    pub outcome: Outcome,
    /// What the mailboxes are for, where a side told.
    pub roles: BTreeMap<MailboxId, Role>,
    /// Messages went into a trash that both sides have, or are on their way out of both: another look does the rest.
    pub under_way: bool,
}

/// Does a job. `Err` means that the account could not go on; what was done until then is in the books and in the result.
pub fn run(job: &Job<'_>) -> (Finished, Result<()>) {
    again::passes(job, steps)
}

/// One pass: looks, plans, does. What `tried` names was refused by an earlier pass of this run.
fn steps(job: &Job<'_>, tried: &Tried, finished: &mut Finished) -> Result<()> {
    (job.watch)(Event::Looking);
    if !job.dry_run {
        quiet::wait(job)?;
        let names = survey::names(job.state)?;
        finished.outcome.paired += execute::recover(job.state, job.stores, &names)?;
    }
    bounds::widen(job)?;
    let mut seen = observe::observe(job, tried)?;
    if seen.outdated {
        return note_failures(job, &seen, finished);
    }
    let roles = seen.names.iter().filter_map(|(id, names)| Some((*id, names.role?)));
    finished.roles = roles.collect();
    let mut trash = trash::find(job, &seen)?;
    let input = input(job, &mut seen, &mut trash)?;
    finished.plan = plan::plan(&input);
    let gaps = plan::gaps(&input, &finished.plan);
    if let Some(gap) = gaps.first() {
        return Err(Failure::account(
            crate::error::Kind::Partial,
            format!("a bug in homing: the plan has a gap: {gap}"),
        )
        .hint("nothing was done; please report it"));
    }
    note_failures(job, &seen, finished)?;
    if job.dry_run {
        return Ok(());
    }
    marked::note(job, &finished.plan)?;
    seen.names.extend(std::mem::take(&mut trash.names));
    (job.watch)(Event::Planned(&finished.plan));
    let advance = |n| (job.watch)(Event::Done(n));
    let spell = |path: &MailboxPath, side| {
        if side == Side::Left {
            path.clone()
        } else {
            job.naming.to_right(path)
        }
    };
    let instead = |path: &MailboxPath, refused: &MailboxPath| job.naming.instead(path, refused);
    let scene = Scene {
        instead: &instead,
        unseen: unseen(&input),
        ..scene(job, &mut seen, &spell, &advance)
    };
    let before = std::mem::take(&mut finished.outcome);
    let (outcome, result) = execute::run(&finished.plan, scene);
    finished.under_way = trash.shared && outcome.in_trash;
    finished.outcome = outcome;
    finished.under_way |= marked::are_under_way(job, finished)?;
    finished.outcome.paired += before.paired;
    finished.outcome.failures.splice(0..0, before.failures);
    result?;
    move_checkpoints(job, &seen, tried, finished)
}

/// Puts what was seen into the planner's terms.
fn input(job: &Job<'_>, seen: &mut Observation, trash: &mut trash::Found) -> Result<Input> {
    let pairs = seen.views.iter().map(|view| view.pairs).sum();
    let mut settled = seen.settled;
    if settled == [true; 2] && seen.has_removals() {
        settled = observe::still_the_same(job, seen)?;
    }
    Ok(Input {
        known: identify::known(job, seen)?,
        base: seen.base,
        tie: Side::Right,
        expunge: job.expunge,
        trash: std::mem::take(&mut trash.trash),
        mailboxes: std::mem::take(&mut seen.views),
        obscured: std::mem::take(&mut seen.obscured),
        policy: job.policy,
        limits: Limits {
            empty_guard: job.empty_guard,
            max_delete_percent: job.max_delete_percent,
            pairs,
            adopting: job.adopting,
            marked_held: marked::are_held(job)?,
        },
        settled: settled.map(|settled| settled && !job.distrust),
    })
}

/// What could not be read is a problem of its mailbox. It is looked at in each run, but what is as it was and waits for its
/// next try is only listed.
fn note_failures(job: &Job<'_>, seen: &Observation, finished: &mut Finished) -> Result<()> {
    for side in Side::BOTH {
        let same = seen
            .failures
            .iter()
            .filter(|(key, _)| *key == ProblemKey::Account(side));
        let same: Vec<&str> = same.map(|(_, failure)| &*failure.what).collect();
        job.state.settle_account(side, &same)?;
    }
    let known = job.state.problems()?;
    // A mailbox that is no more, or no more in scope, has no problems.
    for row in known
        .iter()
        .filter(|row| row.id.is_none() && seen.settled[row.side as usize])
    {
        let is_nowhere = |mailbox: &MailboxId| seen.names.get(mailbox).is_none_or(|names| names.raw == [None, None]);
        if let Some(mailbox) = row.mailbox_id.filter(is_nowhere) {
            job.state.settle_mailbox(mailbox, row.side)?;
        }
    }
    for (key, failure) in &seen.failures {
        let waits = |row: &ProblemRow| row.what == failure.what && row.next.is_none_or(|next| next > now());
        if known.iter().any(|row| row.is(*key, &failure.what) && waits(row)) {
            continue;
        }
        if failure.retry != Retry::Now {
            job.state.add_problem(*key, failure)?;
        }
        finished.outcome.failures.push((*key, failure.clone()));
    }
    for (mailbox, side, _) in &seen.checkpoints {
        job.state.settle_mailbox(*mailbox, *side)?;
    }
    job.state.commit()
}

/// What was told of messages whose copy nobody has seen yet.
fn unseen(input: &Input) -> HashMap<PairId, [Now; 2]> {
    let touched = input.mailboxes.iter().flat_map(|view| &view.touched);
    let unseen = touched.filter(|touched| touched.pair.halves.iter().any(|half| half.unseen));
    unseen.map(|touched| (touched.pair.id, touched.now.clone())).collect()
}

fn scene<'a>(
    job: &'a Job<'_>,
    seen: &mut Observation,
    spell: &'a Spell<'a>,
    advance: &'a (dyn Fn(u64) + Sync),
) -> Scene<'a> {
    Scene {
        state: job.state,
        stores: job.stores,
        names: std::mem::take(&mut seen.names),
        spell,
        instead: &|_, _| None,
        next_ids: std::mem::take(&mut seen.next_ids),
        waiting: std::mem::take(&mut seen.waiting),
        unseen: HashMap::new(),
        policy: job.policy,
        run: job.run,
        stop: job.stop.clone(),
        pace: job.pace,
        advance,
    }
}

/// Checkpoints are stored last, and only for what was applied or recorded as pending.
fn move_checkpoints(job: &Job<'_>, seen: &Observation, tried: &Tried, finished: &Finished) -> Result<()> {
    let outcome = &finished.outcome;
    if outcome.stopped {
        return job.state.commit();
    }
    // Mailboxes that this run left alone have not met yet.
    if !seen.narrowed {
        observe::note_agreement(job.state)?;
        observe::settle_changes(job.state, &outcome.failures)?;
    }
    if seen.settled == [true; 2] && tried.is_clean(outcome) {
        job.state.note_clean_run(job.run)?;
    }
    let full: BTreeMap<_, _> = seen.listed_in_full.iter().map(|key| (*key, now())).collect();
    for (mailbox, side, checkpoint) in &seen.checkpoints {
        let key = (*mailbox, *side);
        let failed = outcome
            .failures
            .iter()
            .any(|(known, _)| *known == ProblemKey::Mailbox(*mailbox, *side));
        if !finished.plan.left_alone.contains(mailbox) && !outcome.tainted.contains(&key) && !failed {
            job.state
                .set_checkpoint(*mailbox, *side, checkpoint, full.get(&key).copied())?;
        }
    }
    job.state.commit()
}
