//! Backup: what the server has comes into the archive, and what it drops stays there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::account::{note_end, settle};
use super::footing::{self, Holder, Owner};
use super::names::AccountNames;
use super::server::imap_options;
use super::{Event, Finished, Job, courtesy, filing, summary};
use crate::account::Account;
use crate::archive::{Archive, COMMAND, README, prune};
use crate::error::{Failure, Kind, Result};
use crate::imap::{self, Imap};
use crate::maildir::{self, LayoutChoice, Maildir, Shelves};
use crate::pace::Pace;
use crate::plan::{Adoption, Policy};
use crate::report::{self, AccountReport};
use crate::state::{Lock, Purpose, State};
use crate::store::Stop;

/// What `backup` asks for.
pub struct Backup<'a> {
    /// Which account.
    pub account: &'a Account,
    /// Where states are kept; each account has a directory of its own below.
    pub states: &'a Path,
    /// Only look, at everything, and plan.
    pub dry_run: bool,
    /// How long to wait for another run on this archive.
    pub wait: Duration,
    /// Set when the user asked to stop.
    pub stop: Stop,
    /// Is told what happens.
    pub watch: &'a (dyn Fn(Event<'_>) + std::marker::Sync),
}

/// A fact: the copy of the books in the archive is older than the books.
pub(super) const UNCOPIED: &str = "uncopied";

/// The database of an account's archive.
pub(super) fn database(states: &Path, account: &Account) -> PathBuf {
    states.join(&account.name).join("backup.db")
}

/// Backs an account up once.
pub fn backup(job: &Backup<'_>) -> AccountReport {
    AccountReport::of(&job.account.name, |report| {
        report.sides = Some(["archive".into(), "server".into()]);
        attempt(job, report)
    })
}

fn attempt(job: &Backup<'_>, report: &mut AccountReport) -> Result<()> {
    let account = job.account;
    let archive = account.archive()?;
    let db = database(job.states, account);
    let _lock = Lock::take(&db, job.wait, &job.stop)?;
    bring_back(&db, archive)?;
    let purpose = if job.dry_run { Purpose::DryRun } else { Purpose::Run };
    let state = Arc::new(State::open(&db, purpose)?);
    state.keep_history()?;
    if !job.dry_run {
        prune::settle(&state, archive)?;
    }
    let (root, owner) = (archive.mail(), owner(account));
    let footing = footing::find(&state, &root, owner)?;
    courtesy::may_call(&state)?;
    let run = state.begin_run(COMMAND)?;
    if job.dry_run {
        // Whatever the checkpoints say: this is asked when they are in doubt.
        state.forget_listings()?;
    } else {
        footing.begin(&state, &root, owner, run)?;
    }
    let left = open(archive, &state, footing.number(), job.dry_run, &job.stop);
    let right = Imap::new(imap::Options {
        serial: courtesy::is_serial(&state)?,
        ..imap_options(account, job.states, &job.stop)
    });
    let names = AccountNames::new(account, &[]);
    let job_of_engine = Job {
        state: &state,
        stores: [&left, &right],
        naming: &names,
        policy: Policy::BACKUP,
        empty_guard: 0,
        max_delete_percent: 100,
        adopting: Adoption::No,
        bounds: account.bounds,
        expunge: None,
        trash: Default::default(),
        distrust: footing.distrust,
        dry_run: job.dry_run,
        run,
        stop: job.stop.clone(),
        pace: Pace::AtOnce,
        watch: job.watch,
    };
    let lost = filing::lost(&state)?;
    let left_out = state.left_out()?;
    let (mut finished, mut result) = super::run(&job_of_engine);
    if result.is_ok() {
        result = filing::file_away(&job_of_engine, &lost, &mut finished);
    }
    summary::fill(report, &state, account, &finished, job.dry_run)?;
    summary::fill_left_out(report, &state, &left_out)?;
    settle(&state, &right, (&finished, result), &job.stop, job.dry_run, report)?;
    if job.dry_run {
        return Ok(());
    }
    if report.error.is_none() {
        tell_of_mailboxes(&state, &right, &finished)?;
    }
    // A run that was cut off is no state of the account; the next one notes what this one did.
    let whole = report.error.is_none() && !finished.outcome.stopped;
    if finished.plan.steps.iter().any(|step| !step.action.is_note()) {
        note_end(&state, footing.end(&state, &root, owner, run), report)?;
    }
    end(&state, run, whole, report)?;
    if state.fact(UNCOPIED)?.is_some() || !archive.database().exists() {
        copy_database(&state, archive)?;
        explain(archive)?;
    }
    Ok(())
}

pub(super) fn owner(account: &Account) -> Owner<'_> {
    Owner {
        account: &account.name,
        server: &account.server.host,
        user: &account.server.user,
        holder: Holder::Archive,
    }
}

/// The archive's `mail/` as a store: what is removed from it goes to `gone/`.
pub(super) fn open(archive: &Archive, state: &Arc<State>, number: u32, read_only: bool, stop: &Stop) -> Maildir {
    let options = maildir::Options {
        layout: LayoutChoice::Nested,
        shelves: Shelves::Mailboxes,
        read_only,
        state: number,
        stop: stop.clone(),
        ..maildir::Options::new(archive.mail(), archive.gone())
    };
    Maildir::new(options, Arc::clone(state) as Arc<dyn maildir::index::FileIndex>)
}

/// Notes what the server says of its mailboxes besides their names. Subscriptions that it does not tell stay as they were.
fn tell_of_mailboxes(state: &State, right: &Imap, finished: &Finished) -> Result<()> {
    let subscribed = right.subscriptions().ok().flatten();
    for row in state.mailboxes()? {
        state.tell_role(row.id, finished.roles.get(&row.id).copied())?;
        if let (Some(subscribed), Some(place)) = (&subscribed, &row.places[1]) {
            state.tell_subscribed(row.id, subscribed.contains(&place.raw))?;
        }
    }
    Ok(())
}

/// Notes what the run made of the account, if it came to its end, and how it ended.
fn end(state: &State, run: i64, whole: bool, report: &AccountReport) -> Result<()> {
    if whole && state.note_history(run)? > 0 {
        state.set_fact(UNCOPIED, "")?;
    }
    let exit = report.exit(report::Job::Backup);
    state.end_run(run, i64::from(exit), &report.to_json(report::Job::Backup))?;
    state.trim_history(run)?;
    state.commit()
}

/// A lost state comes back from its copy in the archive.
pub(super) fn bring_back(db: &Path, archive: &Archive) -> Result<()> {
    if db.exists() || !archive.database().exists() {
        return Ok(());
    }
    let new = db.with_extension("db.new");
    let copied = fs::copy(archive.database(), &new)
        .and_then(|_| fs::File::open(&new)?.sync_all())
        .and_then(|()| fs::rename(&new, db));
    copied.map_err(|err| {
        let what = format!(
            "cannot bring the state back from {}: {err}",
            archive.database().display()
        );
        Failure::account(Kind::Config, what).hint("check that both places can be read and written")
    })
}

/// Says in the archive what it is; as this program knows it today.
fn explain(archive: &Archive) -> Result<()> {
    let path = archive.readme();
    if fs::read(&path).is_ok_and(|text| text == README.as_bytes()) {
        return Ok(());
    }
    let new = path.with_extension("new");
    fs::write(&new, README)
        .and_then(|()| fs::rename(&new, &path))
        .map_err(|err| {
            let what = format!("cannot write {}: {err}", path.display());
            Failure::account(Kind::Partial, what).hint("the mail is archived; the file only explains the archive")
        })
}

/// Leaves a consistent copy of the state in the archive: readers see the old one or the new one.
pub(super) fn copy_database(state: &State, archive: &Archive) -> Result<()> {
    let new = archive.root.join("homing.db.new");
    let trouble = |why: &dyn std::fmt::Display| {
        let what = format!("cannot write {}: {why}", archive.database().display());
        let hint = "the mail is archived; only the copy of the books is an old one, until a run can write it: look at that \
                    disk's room and at the permissions";
        Failure::account(Kind::Partial, what).hint(hint)
    };
    match fs::remove_file(&new) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(trouble(&err)),
        _ => {}
    }
    state.set_fact(UNCOPIED, "")?;
    let copied = state.copy_to(&new).map_err(|failure| trouble(&failure));
    copied.inspect_err(|_| drop(fs::remove_file(&new)))?;
    fs::File::open(&new)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&new, archive.database()))
        .and_then(|()| fs::File::open(&archive.root)?.sync_all())
        .map_err(|err| trouble(&err))?;
    state.drop_fact(UNCOPIED)?;
    state.commit()
}
