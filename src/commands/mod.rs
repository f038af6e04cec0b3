//! The commands: each builds a job for the engine and hands back its report.

pub mod backup;
pub mod export;
pub mod forget;
pub mod import;
pub mod log;
pub mod mailboxes;
pub mod migrate;
pub mod prune;
mod report_file;
pub mod restore;
pub mod selection;
pub mod status;
pub mod sync;
pub mod verify;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::account::Account;
use crate::archive::when::When;
use crate::config::Config;
use crate::config::places::{Environment, tidy};
use crate::engine::books::Whose;
use crate::engine::restore::To;
use crate::error::{Failure, Kind, Result};
use crate::progress::Progress;
use crate::report::AccountReport;
use crate::store::Stop;

/// What every command works with.
#[derive(Debug)]
pub struct Context {
    /// The configuration.
    pub config: Config,
    /// What the configuration is read against.
    pub environment: Environment,
    /// Where states are kept.
    pub states: PathBuf,
    /// Set when the user asked to stop.
    pub stop: Stop,
    /// Shows how far things are.
    pub progress: Progress,
}

impl Context {
    /// Whether the user asked to stop.
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The accounts of these names; without names, all that are synced.
    fn synced(&self, names: &[String]) -> Result<Vec<&Account>> {
        let accounts = self.config.select(names, |account| account.maildir.is_some())?;
        if accounts.is_empty() {
            return Err(Failure::account(Kind::Config, "no account has a \"maildir\"")
                .hint("say where the mail of an account is kept, such as maildir = \"~/Mail\""));
        }
        Ok(accounts)
    }

    /// The accounts of these names; without names, all that are backed up.
    fn archived(&self, names: &[String]) -> Result<Vec<&Account>> {
        let accounts = self.config.select(names, |account| account.archive.is_some())?;
        if accounts.is_empty() {
            return Err(Failure::account(Kind::Config, "no account has an \"archive\"")
                .hint("say where the backup of an account is kept, such as archive = \"~/Backup/mail\""));
        }
        Ok(accounts)
    }
}

impl Context {
    /// The books of these names; without names, of all accounts that are synced or backed up.
    fn books(&self, names: &[String]) -> Result<Vec<Whose<'_>>> {
        if !names.is_empty() {
            return names.iter().map(|name| self.book(name)).collect();
        }
        let has_books = |account: &Account| account.maildir.is_some() || account.archive.is_some();
        let accounts = self.config.select(names, has_books)?;
        if accounts.is_empty() {
            return self.synced(names).map(|_| Vec::new());
        }
        Ok(accounts.into_iter().map(Whose::Account).collect())
    }

    /// The books of an account, or of the migration `FROM--TO`.
    fn book(&self, name: &str) -> Result<Whose<'_>> {
        let pair = name.match_indices("--").find_map(|(at, joint)| {
            let (from, to) = (&name[..at], &name[at + joint.len()..]);
            Some((self.config.accounts.get(from)?, self.config.accounts.get(to)?))
        });
        match pair {
            Some((from, to)) if !self.config.accounts.contains_key(name) => Ok(Whose::Pair(from, to)),
            _ => self.config.account(name).map(Whose::Account),
        }
    }

    /// Where mail is to go: an account, or a directory.
    fn target<'a>(&'a self, argument: &str, to: &str) -> Result<To<'a>> {
        if is_path(to) {
            return directory(argument, to).map(To::Directory);
        }
        self.config.account(to).map(To::Account)
    }
}

/// What holds a `/`, or begins with `.` or `~`, is a directory and no account.
fn is_path(text: &str) -> bool {
    text.contains('/') || text.starts_with(['.', '~'])
}

/// A path that somebody wrote; the shell leaves the `~` in `--to=~/Mail`.
fn directory(argument: &str, text: &str) -> Result<PathBuf> {
    let path = match text.strip_prefix('~') {
        Some(below) if below.is_empty() || below.starts_with('/') => {
            Environment::process().home()?.join(below.trim_start_matches('/'))
        }
        _ => PathBuf::from(text),
    };
    let absolute = std::path::absolute(&path)
        .map_err(|error| Failure::account(Kind::Usage, format!("{argument}: {}: {error}", path.display())))?;
    Ok(tidy(&absolute))
}

/// What `--at` says.
fn point_in_time(text: &str) -> Result<When> {
    When::parse(text, &jiff::ZonedDateTime::now()).map_err(|why| Failure::account(Kind::Usage, why))
}

/// So many accounts are worked on at a time.
const SIDE_BY_SIDE: usize = 4;

/// Does the work for each account, several at a time; the reports come in the order of the accounts. One that panics
/// takes no other with it.
fn side_by_side(accounts: &[&Account], work: impl Fn(&Account) -> AccountReport + Sync) -> Vec<AccountReport> {
    let next = AtomicUsize::new(0);
    let reports: Vec<_> = accounts.iter().map(|_| Mutex::new(None)).collect();
    let worker = || {
        while let Some((n, account)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, accounts.get(n)?)))
        {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(account)));
            let report = done.unwrap_or_else(|_| AccountReport::failed(&account.name, bug()));
            *reports[n].lock().expect("no panic while held") = Some(report);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..accounts.len().min(SIDE_BY_SIDE) {
            scope.spawn(worker);
        }
    });
    let taken = reports
        .into_iter()
        .map(|report| report.into_inner().expect("no panic while held"));
    taken
        .map(|report| report.expect("each account was taken by a worker"))
        .collect()
}

fn bug() -> Failure {
    Failure::account(Kind::Partial, "a bug in homing ended this account's run")
        .hint("the message above says where; please report it. The next run recovers")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn accounts_are_worked_on_side_by_side() {
        let account = |n| format!("[accounts.a{n}]\nhost = \"h\"\nuser = \"u\"\npassword-env = \"P\"\n");
        let text = (0..9).map(account).collect::<Vec<_>>().concat();
        let config = Config::parse(&text, Path::new("/c"), &Environment::of([])).unwrap();
        let accounts: Vec<&Account> = config.accounts.values().collect();
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let reports = side_by_side(&accounts, |account| {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(20));
            running.fetch_sub(1, Ordering::SeqCst);
            assert_ne!(account.name, "a4", "this one is meant to panic");
            AccountReport::new(&account.name)
        });
        let names: Vec<&str> = reports.iter().map(|report| report.name.as_str()).collect();
        assert_eq!(names, ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"]);
        let failed: Vec<bool> = reports.iter().map(|report| report.error.is_some()).collect();
        assert_eq!(failed, [false, false, false, false, true, false, false, false, false]);
        assert_eq!(most.into_inner(), SIDE_BY_SIDE);
    }
}
