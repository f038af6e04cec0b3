//! One account: opens its lock, state and stores, does the job, and reports.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::footing::{self, Footing, Holder, Owner};
use super::names::AccountNames;
use super::server::imap_options;
use super::{Event, Finished, Job, courtesy, layout, summary};
use crate::account::{self, Account};
use crate::config::patterns::Pattern;
use crate::error::{Failure, Kind, Reach, Result, Retry};
use crate::imap::{self, Imap};
use crate::maildir::{self, LayoutChoice, Maildir};
use crate::model::{Side, TrashChoice};
use crate::pace::Pace;
use crate::plan::{Adoption, Policy};
use crate::report::{AccountReport, MailboxLine, Problem};
use crate::state::{Lock, ProblemKey, State};
use crate::store::{Source, Stop, Store};

/// What `sync` asks for.
pub struct Sync<'a> {
    /// Which account.
    pub account: &'a Account,
    /// Where states are kept; each account has a directory of its own below.
    pub states: &'a Path,
    /// What to do with changes.
    pub policy: Policy,
    /// Act only on these mailboxes; empty: on all in scope.
    pub only: &'a [Pattern],
    /// Only look and plan.
    pub dry_run: bool,
    /// How long to wait for another run on this account.
    pub wait: Duration,
    /// Set when the user asked to stop.
    pub stop: Stop,
    /// Is told what happens.
    pub watch: &'a (dyn Fn(Event<'_>) + std::marker::Sync),
}

/// The database of an account's sync.
pub(super) fn database(states: &Path, account: &Account) -> PathBuf {
    states.join(&account.name).join("sync.db")
}

/// Reconciles an account once.
pub fn sync(job: &Sync<'_>) -> AccountReport {
    AccountReport::of(&job.account.name, |report| attempt(job, report))
}

fn attempt(job: &Sync<'_>, report: &mut AccountReport) -> Result<()> {
    let account = job.account;
    let settings = account.maildir()?;
    let db = database(job.states, account);
    let _lock = Lock::take(&db, job.wait, &job.stop)?;
    let state = Arc::new(open_state(&db, job.dry_run, report)?);
    let owner = Owner {
        account: &account.name,
        server: &account.server.host,
        user: &account.server.user,
        holder: Holder::Maildir,
    };
    let footing = footing::find(&state, &settings.root, owner)?;
    let layout = layout::find(&state, maildir_options(settings).layout, &settings.root, &account.name)?;
    courtesy::may_call(&state)?;
    let run = state.begin_run("sync")?;
    if !job.dry_run {
        layout::note(&state, layout)?;
        footing.begin(&state, &settings.root, owner, run)?;
    }

    let left = open_maildir(settings, &footing, &state, job);
    let right = Imap::new(imap::Options {
        serial: courtesy::is_serial(&state)?,
        ..imap_options(account, job.states, &job.stop)
    });
    let names = AccountNames::new(account, job.only);
    let left_out = state.left_out()?;
    let (finished, result) = super::run(&engine_job(job, &names, &footing, run, &state, [&left, &right]));
    summary::fill(report, &state, account, &finished, job.dry_run)?;
    summary::fill_left_out(report, &state, &left_out)?;
    settle(&state, &right, (&finished, result), &job.stop, job.dry_run, report)?;
    if job.dry_run {
        return Ok(());
    }
    end(job, &footing, &state, owner, run, &finished, report)
}

/// Opens the state; one that is damaged is replaced by an empty one, which is a problem of this run and not its end.
fn open_state(db: &Path, dry_run: bool, report: &mut AccountReport) -> Result<State> {
    if dry_run {
        let (state, damaged) = State::open_or_imagine(db)?;
        if damaged {
            let what = format!("the state database {} is damaged", db.display());
            let hint = "a run would set it aside and pair mail by content, and this is what it would do then";
            report.problems.push(Problem::new(
                &Failure::account(Kind::Partial, what).hint(hint),
                None,
                None,
            ));
        }
        return Ok(state);
    }
    let (state, aside) = State::open_or_replace(db)?;
    if let Some(aside) = aside {
        let what = format!("the state database was damaged; it is now {}", aside.display());
        let hint = "mail was paired by content, and nothing was removed; look at the disk, and delete that file when it is of \
                    no use to you";
        let failure = Failure::account(Kind::Partial, what).retry(Retry::Never).hint(hint);
        report.problems.push(Problem::new(&failure, None, None));
    }
    Ok(state)
}

/// Puts how a run ended into the report and, unless it was a dry one, into the books.
pub(super) fn settle(
    state: &State,
    right: &Imap,
    (finished, result): (&Finished, Result<()>),
    stop: &Stop,
    dry_run: bool,
    report: &mut AccountReport,
) -> Result<()> {
    report.wire = right.wire();
    let stopped = stop.load(Ordering::Relaxed);
    report.error = if stopped && (finished.outcome.stopped || result.is_err()) {
        Some(summary::stopped(finished))
    } else {
        result.err()
    };
    if dry_run {
        return Ok(());
    }
    courtesy::note(state, right.is_serial(), report.error.as_ref())?;
    if let Some(error) = &report.error {
        // What ended the run was met with a message, and told there, too.
        let problems = &mut report.problems;
        problems.retain(|problem| problem.reach != Reach::Account || problem.what != error.what);
    }
    match &report.error {
        Some(_) if stopped => Ok(()),
        Some(failure) => state.add_problem(ProblemKey::Run, failure),
        None => state.settle_run(),
    }
}

fn engine_job<'a>(
    job: &'a Sync<'_>,
    naming: &'a AccountNames<'_>,
    footing: &Footing,
    run: i64,
    state: &'a State,
    stores: [&'a dyn Store; 2],
) -> Job<'a> {
    let account = job.account;
    Job {
        state,
        stores,
        naming,
        policy: footing.policy(job.policy),
        empty_guard: account.empty_guard,
        max_delete_percent: u64::from(account.max_delete),
        adopting: if job.policy.sides == Policy::PUSH.sides {
            Adoption::No
        } else {
            footing.adopting
        },
        bounds: account.bounds,
        expunge: account.expunge_marked.then_some(Side::Left),
        trash: [TrashChoice::None, account.trash.clone()],
        distrust: footing.distrust,
        dry_run: job.dry_run,
        run,
        stop: job.stop.clone(),
        pace: Pace::AtOnce,
        watch: job.watch,
    }
}

fn end(
    job: &Sync<'_>,
    footing: &Footing,
    state: &State,
    owner: Owner<'_>,
    run: i64,
    finished: &Finished,
    report: &mut AccountReport,
) -> Result<()> {
    let settings = job.account.maildir()?;
    let plan = &finished.plan;
    let held = plan.held.iter().any(|held| held.guard == crate::plan::Guard::Adoption);
    footing::note_adoption(state, held)?;
    let outcome = &finished.outcome;
    let whole = plan.left_alone.is_empty() && outcome.failures.is_empty() && !outcome.stopped;
    if whole && report.error.is_none() {
        Footing::settle(state)?;
    }
    summary::fill_doubt(report, state)?;
    // A run that had nothing to do leaves the Maildir as it is, to the last byte.
    if footing.is_uneven() || plan.steps.iter().any(|step| !step.action.is_note()) {
        note_end(state, footing.end(state, &settings.root, owner, run), report)?;
    }
    let today = jiff::ZonedDateTime::now().date();
    let cleared = maildir::attic::expire(&settings.attic, today, settings.attic_days);
    note_end(state, cleared.map(drop), report)?;
    let exit = report.exit(crate::report::Job::Sync);
    state.end_run(run, i64::from(exit), &report.to_json(crate::report::Job::Sync))?;
    state.trim_history(run)?;
    state.commit()
}

/// Notes what went wrong after all was done, so that the run still ends as a run does.
pub(super) fn note_end(state: &State, result: Result<()>, report: &mut AccountReport) -> Result<()> {
    if let Err(failure) = result {
        state.add_problem(ProblemKey::Run, &failure)?;
        report.error.get_or_insert(failure);
    }
    Ok(())
}

fn open_maildir(settings: &account::Maildir, footing: &Footing, state: &Arc<State>, job: &Sync<'_>) -> Maildir {
    let options = maildir::Options {
        read_only: job.dry_run,
        state: footing.number(),
        stop: job.stop.clone(),
        ..maildir_options(settings)
    };
    Maildir::new(options, Arc::clone(state) as Arc<dyn maildir::index::FileIndex>)
}

/// How the configuration wants a Maildir to be treated.
pub(super) fn maildir_options(settings: &account::Maildir) -> maildir::Options {
    maildir::Options {
        layout: match settings.layout {
            account::Layout::Auto => LayoutChoice::Auto,
            account::Layout::Nested => LayoutChoice::Nested,
            account::Layout::MaildirPlusPlus => LayoutChoice::MaildirPlusPlus,
        },
        info_separator: settings.info_separator,
        durability: match settings.fsync {
            account::Fsync::Batch => maildir::Durability::Batch,
            account::Fsync::Off => maildir::Durability::Off,
        },
        ..maildir::Options::new(&settings.root, &settings.attic)
    }
}

/// Lists the server's mailboxes, and what becomes of each.
pub fn mailboxes(account: &Account, states: &Path, stop: &Stop) -> AccountReport {
    let begun = Instant::now();
    let mut report = AccountReport::new(&account.name);
    let server = Imap::new(imap_options(account, states, stop));
    match server.survey() {
        Ok(survey) => {
            let selectable = survey.mailboxes.into_iter().filter(|listed| listed.selectable);
            report.mailboxes = selectable
                .map(|listed| MailboxLine {
                    name: listed.path.to_string(),
                    local: account.map.to_left(&listed.path).to_string(),
                    role: listed.roles.first().map(|role| role.attribute().to_owned()),
                    selected: account.scope.includes(&listed.path, &listed.roles),
                })
                .collect();
            let problems = survey.failures.into_iter();
            report.problems = problems
                .map(|(name, failure)| Problem::new(&failure, Some(name), None))
                .collect();
        }
        Err(failure) => report.error = Some(failure),
    }
    report.wire = server.wire();
    report.seconds = begun.elapsed().as_secs_f64();
    report
}
