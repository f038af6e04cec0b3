//! Looks at what homing knows of an account or of a migration, and drops it: `status`, `log` and `forget`. Needs no network.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::migrate::{PairVoice, pair_name};
use super::{account, backup, history, summary};
use crate::account::Account;
use crate::archive;
use crate::error::{Failure, Kind, Result};
use crate::report::AccountReport;
use crate::state::{Lock, Purpose, State};
use crate::store::Stop;

/// Whose books.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// An account's: of its syncs and of its backups.
    Account(&'a Account),
    /// Those of a migration from one to the other.
    Pair(&'a Account, &'a Account),
}

impl Whose<'_> {
    fn report(self) -> AccountReport {
        match self {
            Self::Account(account) => AccountReport::new(&account.name),
            Self::Pair(from, to) => AccountReport {
                sides: Some([from.name.clone(), to.name.clone()]),
                ..AccountReport::new(pair_name(&from.name, &to.name))
            },
        }
    }

    /// The database that the job itself keeps; `forget` drops this one.
    fn database(self, states: &Path) -> PathBuf {
        match self {
            Self::Account(account) => account::database(states, account),
            Self::Pair(from, to) => states.join(pair_name(&from.name, &to.name)).join("migrate.db"),
        }
    }

    /// The database of its archive.
    fn of_backups(self, states: &Path) -> Option<PathBuf> {
        match self {
            Self::Account(account) => Some(backup::database(states, account)),
            Self::Pair(..) => None,
        }
        .filter(|database| database.exists())
    }
}

/// Looks at what the books say, without touching anything.
pub fn status(whose: Whose<'_>, states: &Path) -> AccountReport {
    let mut report = whose.report();
    let looked = State::open(&whose.database(states), Purpose::Look).and_then(|state| match whose {
        Whose::Account(account) => summary::status(&mut report, &state, account),
        Whose::Pair(from, to) => summary::status(&mut report, &state, &PairVoice { from, to }),
    });
    let looked = looked.and_then(|()| match (whose, whose.of_backups(states)) {
        (Whose::Account(account), Some(database)) => {
            let state = State::open(&database, Purpose::Look)?;
            summary::problems(&mut report, &state, account)?;
            report.last_backup = state.last_run_of(archive::COMMAND)?.as_ref().map(history::run);
            Ok(())
        }
        _ => Ok(()),
    });
    report.error = looked.err();
    report
}

/// Looks at what past runs did: at those of that number, or at the last that did something.
pub fn log(whose: Whose<'_>, states: &Path, run: Option<u64>, last: u64) -> AccountReport {
    let mut report = whose.report();
    let own = Some(whose.database(states)).filter(|database| database.exists());
    let databases = own.into_iter().chain(whose.of_backups(states));
    let looked = databases
        .map(|database| State::open(&database, Purpose::Look))
        .try_for_each(|state| history::fill(&mut report, &state?, run, last));
    report.runs.sort_by_key(|line| std::cmp::Reverse(line.run.begun));
    if run.is_none() {
        report.runs.truncate(usize::try_from(last).unwrap_or(usize::MAX));
    }
    report.error = looked.and_then(|()| history::refuse_none(&report, run)).err();
    report
}

/// Drops the state of an account's syncs, or of a migration. Mail, marker and attic stay as they are, and so does an archive
/// with its history.
pub fn forget(whose: Whose<'_>, states: &Path) -> AccountReport {
    let mut report = whose.report();
    report.error = drop_state(&whose.database(states)).err();
    report
}

fn drop_state(db: &Path) -> Result<()> {
    let _lock = Lock::take(db, Duration::ZERO, &Stop::default())?;
    for suffix in ["", "-wal", "-shm"] {
        let mut file = db.to_owned().into_os_string();
        file.push(suffix);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let what = format!("cannot remove {}: {error}", file.display());
                return Err(Failure::account(Kind::Partial, what).hint("remove it by hand"));
            }
            _ => {}
        }
    }
    Ok(())
}
