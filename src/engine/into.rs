//! Carries over what is missing, into an account or a Maildir, from a source that is only read: for `restore` and `import`.
//! Nothing has to be remembered, since what is there already is known by its content.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::server::imap_options;
use super::summary::{self, Voice};
use super::{Event, Job, Naming, observe, subscriptions};
use crate::account::Account;
use crate::error::{Failure, Kind, Result};
use crate::imap::Imap;
use crate::maildir::{self, Maildir};
use crate::model::{Bounds, MailboxPath, RawName};
use crate::pace::Pace;
use crate::plan::{Adoption, Policy};
use crate::report::AccountReport;
use crate::state::{DeedRow, Lock, Purpose, State};
use crate::store::{Source, Stop, Store, Wire};

/// Where mail goes.
#[derive(Clone, Debug)]
pub enum To<'a> {
    /// Into an account on a server.
    Account(&'a Account),
    /// Into a Maildir.
    Directory(PathBuf),
}

/// Mail on its way from a source.
pub(super) struct Pouring<'a> {
    /// Where it goes.
    pub(super) to: &'a To<'a>,
    /// The command.
    pub(super) command: &'static str,
    /// Where states are kept.
    pub(super) states: &'a Path,
    /// Where the books of this run may lie; they are deleted after it.
    pub(super) scratch: &'a Path,
    /// One that did the same was killed: a server may still be at work for it.
    pub(super) after_death: bool,
    /// Mailboxes that mail programs are to show there, by the source's names.
    pub(super) subscribed: &'a BTreeSet<MailboxPath>,
    /// Only look and plan.
    pub(super) dry_run: bool,
    /// Set when the user asked to stop.
    pub(super) stop: &'a Stop,
    /// Is told what happens.
    pub(super) watch: &'a (dyn Fn(Event<'_>) + Sync),
}

/// Names for the mailboxes of the source in a store, which can be asked what it has.
pub(super) type Meet<'a> = dyn Fn(&dyn Store) -> Result<Box<dyn Naming + 'a>> + 'a;

/// The database of such a run, in a folder of its own.
const BOOKS: &str = "books.db";

/// Removes what runs of that command left behind in a folder when they were killed; whether there was any.
pub(super) fn clear_up(scratch: &Path, command: &str, stop: &Stop) -> Result<bool> {
    let mut found = false;
    for entry in std::fs::read_dir(scratch).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(&format!("{command}-"));
        let database = entry.path().join(BOOKS);
        // Without books it was only just begun: its lock is taken before they are made.
        if is_ours && database.exists() && Lock::take(&database, Duration::ZERO, stop).is_ok() {
            found = true;
            std::fs::remove_dir_all(entry.path()).map_err(|err| {
                let what = format!(
                    "cannot remove {}, left by a killed {command}: {err}",
                    entry.path().display()
                );
                Failure::account(Kind::Config, what).hint("remove it by hand")
            })?;
        }
    }
    Ok(found)
}

impl Pouring<'_> {
    /// Does it, and gives what it did. What is among the report's problems stays there, last.
    pub(super) fn pour(
        &self,
        left: &dyn Store,
        meet: &Meet<'_>,
        voice: &dyn Voice,
        report: &mut AccountReport,
    ) -> Result<Vec<DeedRow>> {
        let scratch = self.scratch()?;
        let database = scratch.path().join(BOOKS);
        // As long as it is held nobody clears this away.
        let _lock = Lock::take(&database, Duration::ZERO, self.stop)?;
        let state = Arc::new(State::open(&database, Purpose::Run)?);
        observe::note_agreement(&state)?;
        let run = state.begin_run(self.command)?;
        let run_to = |right: &dyn Store| -> Result<_> {
            let names = meet(right)?;
            Ok(super::run(&Job {
                state: &state,
                stores: [left, right],
                naming: &*names,
                policy: Policy::RESTORE,
                empty_guard: 0,
                max_delete_percent: 100,
                adopting: Adoption::No,
                bounds: Bounds::default(),
                expunge: None,
                trash: Default::default(),
                distrust: false,
                dry_run: self.dry_run,
                run,
                stop: self.stop.clone(),
                pace: Pace::AtOnce,
                watch: self.watch,
            }))
        };
        let mut refused = Vec::new();
        let (finished, result, wire) = match self.to {
            To::Account(account) => {
                let right = Imap::new(imap_options(account, self.states, self.stop));
                if self.after_death {
                    right.calm_down()?;
                }
                let (finished, result) = run_to(&right)?;
                if result.is_ok() && !finished.outcome.stopped && !self.dry_run {
                    refused = subscriptions::subscribe(&right, &self.to_subscribe(&state)?)?;
                }
                (finished, result, right.wire())
            }
            To::Directory(root) => {
                let options = maildir::Options {
                    read_only: self.dry_run,
                    stop: self.stop.clone(),
                    ..maildir::Options::new(root, scratch.path().join("attic"))
                };
                let right = Maildir::new(options, Arc::clone(&state) as Arc<dyn maildir::index::FileIndex>);
                let (finished, result) = run_to(&right)?;
                (finished, result, Wire::default())
            }
        };
        report.wire = wire;
        let found = std::mem::take(&mut report.problems);
        summary::fill(report, &state, voice, &finished, self.dry_run)?;
        report.problems.extend(found.into_iter().chain(refused));
        let stopped = self.stop.load(Ordering::Relaxed);
        report.error = if stopped && (finished.outcome.stopped || result.is_err()) {
            Some(summary::stopped(&finished))
        } else {
            result.err()
        };
        state.deeds(run)
    }

    /// What it is to subscribe to, by its own names.
    fn to_subscribe(&self, state: &State) -> Result<Vec<RawName>> {
        let rows = state.mailboxes()?.into_iter();
        Ok(rows
            .filter(|row| self.subscribed.contains(&row.path))
            .filter_map(|row| Some(row.places[1].as_ref()?.raw.clone()))
            .collect())
    }

    fn scratch(&self) -> Result<tempfile::TempDir> {
        let made = std::fs::create_dir_all(self.scratch).and_then(|()| {
            tempfile::Builder::new()
                .prefix(&format!("{}-", self.command))
                .tempdir_in(self.scratch)
        });
        made.map_err(|err| {
            let what = format!("cannot write into {}: {err}", self.scratch.display());
            Failure::account(Kind::Config, what).hint("check that the directory is yours and on a local disk")
        })
    }
}
