//! What a command did: the one value from which exit code, text and JSON come.
//!
//! The engine fills in an [`AccountReport`] for each account; the exit code is computed from what is in it and never set,
//! so the three cannot disagree. The fields of the JSON and their order are a promise to scripts: `json` has them.

mod archive;
mod codes;
mod counts;
mod files;
mod json;
mod log;
mod migration;
mod page;
mod sheet;
mod sides;
mod text;
mod words;

pub use codes::exit_of;
pub use counts::Counts;
pub use files::{ExportedLine, FileLine, PrunedLine, Verification};
pub use log::{DoneLine, MessageLine, RunLine};
pub use migration::{MailboxVerdict, Migration, Reason, Total};
pub use text::{Style, Verbosity};

use std::collections::BTreeMap;
use std::time::Instant;

use codes::first_present;

use crate::error::{Failure, Kind, Reach, Result, Retry};
use crate::model::{Beyond, Side};
use crate::store::Wire;

/// What was asked for; decides what counts for the exit code and what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// `sync`.
    Sync,
    /// `sync --dry-run`.
    DryRun,
    /// `backup`.
    Backup,
    /// `restore`.
    Restore,
    /// `restore --dry-run`.
    RestoreDryRun,
    /// `verify`.
    Verify,
    /// `prune`.
    Prune,
    /// `prune --dry-run`.
    PruneDryRun,
    /// `export`.
    Export,
    /// `export --dry-run`.
    ExportDryRun,
    /// `import`.
    Import,
    /// `import --dry-run`.
    ImportDryRun,
    /// `status`.
    Status,
    /// `log`.
    Log,
    /// `mailboxes`.
    Mailboxes,
    /// `forget`.
    Forget,
    /// `migrate`.
    Migrate,
    /// `migrate --dry-run`.
    MigrateDryRun,
}

impl Job {
    /// The command's name.
    pub const fn command(self) -> &'static str {
        match self {
            Self::Sync | Self::DryRun => "sync",
            Self::Backup => "backup",
            Self::Restore | Self::RestoreDryRun => "restore",
            Self::Verify => "verify",
            Self::Prune | Self::PruneDryRun => "prune",
            Self::Export | Self::ExportDryRun => "export",
            Self::Import | Self::ImportDryRun => "import",
            Self::Status => "status",
            Self::Log => "log",
            Self::Mailboxes => "mailboxes",
            Self::Forget => "forget",
            Self::Migrate | Self::MigrateDryRun => "migrate",
        }
    }

    /// Whether only a plan was asked for.
    pub const fn is_dry_run(self) -> bool {
        matches!(
            self,
            Self::DryRun
                | Self::MigrateDryRun
                | Self::RestoreDryRun
                | Self::PruneDryRun
                | Self::ExportDryRun
                | Self::ImportDryRun
        )
    }
}

/// The report of one run of the program.
#[derive(Debug)]
pub struct Report {
    /// What was asked for; `None`: it could not be understood.
    pub job: Option<Job>,
    /// Why nothing was done at all.
    pub error: Option<Failure>,
    /// What was done for each account.
    pub accounts: Vec<AccountReport>,
    /// The signal that ended the run early.
    pub signal: Option<i32>,
    /// The accounts come from a list: what all of them came to is told too.
    pub is_list: bool,
}

/// What was done for one account.
#[derive(Debug, Default)]
pub struct AccountReport {
    /// Its name.
    pub name: String,
    /// What was done on the left, or would be (dry run).
    pub left: Counts,
    /// What was done on the right, or would be (dry run).
    pub right: Counts,
    /// Messages matched by content without a transfer.
    pub paired: u64,
    /// What a guard holds back.
    pub held_back: Vec<HeldBack>,
    /// What could not be done.
    pub problems: Vec<Problem>,
    /// What ended the account's run before its time.
    pub error: Option<Failure>,
    /// The plan, in its order. Shown by a dry run and with `-v`.
    pub plan: Vec<PlanLine>,
    /// What went over the wire.
    pub wire: Wire,
    /// How long it took.
    pub seconds: f64,
    /// For `status`: the last run.
    pub last_run: Option<LastRun>,
    /// For `status`: the last backup, where there is an archive.
    pub last_backup: Option<LastRun>,
    /// For `status`: changes seen and not carried over.
    pub pending: u64,
    /// Messages that the configuration leaves out, by reason: of a run, those that came to it; for `status`, all.
    pub left_out: BTreeMap<Beyond, u64>,
    /// For `status`: the server is asked one thing at a time, since it broke otherwise.
    pub serial: bool,
    /// For `log`: past runs, newest first.
    pub runs: Vec<RunLine>,
    /// For `mailboxes`: the list.
    pub mailboxes: Vec<MailboxLine>,
    /// What people call the left and the right, where that is not the Maildir and the server.
    pub sides: Option<[String; 2]>,
    /// For `migrate`: the verdict.
    pub migration: Option<Migration>,
    /// For `verify`: what was found.
    pub verification: Option<Verification>,
    /// For `prune`: what was deleted, or would be.
    pub pruned: Vec<PrunedLine>,
    /// What `export` wrote, or would write.
    pub exported: Vec<ExportedLine>,
}

/// Removals that a guard holds back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// The guard, by the configuration key that sets it.
    pub guard: &'static str,
    /// The side on which the removals would have been made.
    pub side: Side,
    /// The mailbox; empty where the whole account is meant.
    pub mailbox: String,
    /// How many messages.
    pub count: u64,
    /// What the user can do about it: whole sentences with commands.
    pub ways_out: Vec<String>,
}

/// Something that could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How far it reaches.
    pub reach: Reach,
    /// The mailbox, where it is about one.
    pub mailbox: Option<String>,
    /// The message, where it is about one.
    pub id: Option<String>,
    /// What happened.
    pub what: String,
    /// Its kind, which decides what it means for the exit code.
    pub kind: Kind,
    /// Whether trying again helps.
    pub retry: Retry,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried again, in seconds since 1970.
    pub next_try: Option<i64>,
    /// It was found by an earlier run and not tried in this one: only listed.
    pub waiting: bool,
    /// What the user can do.
    pub hint: Option<String>,
}

impl Problem {
    /// What it means for the exit code of the run that met it: that a server was away is no more than that, whatever it hit.
    fn counts_as(&self) -> Option<Kind> {
        let kind = if self.kind == Kind::Temporary {
            Kind::Temporary
        } else {
            Kind::Partial
        };
        (!self.waiting).then_some(kind)
    }

    /// A failure found in this run.
    pub fn new(failure: &Failure, mailbox: Option<String>, id: Option<String>) -> Self {
        Self {
            reach: failure.reach,
            mailbox,
            id,
            what: failure.what.clone(),
            kind: failure.kind,
            retry: failure.retry,
            tries: 1,
            next_try: None,
            waiting: false,
            hint: failure.hint.clone(),
        }
    }
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanLine {
    /// What, in one word.
    pub action: &'static str,
    /// The side that is changed; `None`: only homing's own books are.
    pub on: Option<Side>,
    /// In which mailbox.
    pub mailbox: String,
    /// Into which mailbox, where it is another.
    pub to: Option<String>,
    /// How many messages; 1 for a mailbox.
    pub count: u64,
    /// Why.
    pub why: String,
    /// All of it in one sentence.
    pub text: String,
}

/// The last run of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastRun {
    /// The command.
    pub command: String,
    /// Its number.
    pub run: u64,
    /// When it began, in seconds since 1970.
    pub begun: i64,
    /// When it ended; `None`: it is under way or was cut off.
    pub ended: Option<i64>,
    /// How it ended.
    pub exit: Option<u8>,
}

/// A mailbox as `mailboxes` lists it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MailboxLine {
    /// The server's name.
    pub name: String,
    /// What it is called in the Maildir.
    pub local: String,
    /// What it is for, as an attribute such as `\Sent`.
    pub role: Option<String>,
    /// Whether it is in scope.
    pub selected: bool,
}

impl AccountReport {
    /// An empty report for that account.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// The report that `work` makes, with what it took; what it failed with stands beside what was done until then.
    pub fn of(name: impl Into<String>, work: impl FnOnce(&mut Self) -> Result<()>) -> Self {
        let begun = Instant::now();
        let mut report = Self::new(name);
        if let Err(failure) = work(&mut report) {
            report.error.get_or_insert(failure);
        }
        report.seconds = begun.elapsed().as_secs_f64();
        report
    }

    /// A report of nothing but a failure.
    pub fn failed(name: impl Into<String>, failure: Failure) -> Self {
        Self {
            error: Some(failure),
            ..Self::new(name)
        }
    }

    /// The account's own exit code.
    ///
    /// A problem that waits for its retry counts only where problems are what was asked for. A dry run did not try, so
    /// what it met is not something that it left undone.
    pub fn exit(&self, job: Job) -> u8 {
        let troubles: Vec<Kind> = match job {
            Job::DryRun
            | Job::MigrateDryRun
            | Job::RestoreDryRun
            | Job::PruneDryRun
            | Job::ExportDryRun
            | Job::ImportDryRun => Vec::new(),
            Job::Status if !self.problems.is_empty() => vec![Kind::Partial],
            Job::Status => Vec::new(),
            Job::Migrate if self.missing() > 0 => vec![Kind::Partial],
            Job::Verify if self.verification.as_ref().is_some_and(Verification::is_damaged) => vec![Kind::Partial],
            Job::Sync
            | Job::Backup
            | Job::Restore
            | Job::Verify
            | Job::Prune
            | Job::Export
            | Job::Import
            | Job::Log
            | Job::Mailboxes
            | Job::Forget
            | Job::Migrate => self.problems.iter().filter_map(Problem::counts_as).collect(),
        };
        let held = (!self.held_back.is_empty()).then_some(Kind::Guard);
        let error = self.error.as_ref().map(|failure| failure.kind);
        first_present(troubles.into_iter().chain(held).chain(error).map(exit_of))
    }

    /// Messages that a migration left behind, whether this run tried them or they wait for their next try. What a run that
    /// ended early did not come to is no such message: why it ended says when to try again.
    fn missing(&self) -> u64 {
        let complete = self.migration.as_ref().filter(|migration| migration.is_complete);
        complete.map_or(0, |migration| migration.total().missing)
    }

    /// What ended the run and what it met on the way, in one list.
    fn all_problems(&self) -> Vec<Problem> {
        let error = self.error.as_ref().map(|failure| Problem::new(failure, None, None));
        error.into_iter().chain(self.problems.iter().cloned()).collect()
    }
}

impl Report {
    /// A run that did what it could for these accounts.
    pub const fn new(job: Job, accounts: Vec<AccountReport>) -> Self {
        Self {
            job: Some(job),
            error: None,
            accounts,
            signal: None,
            is_list: false,
        }
    }

    /// A run that could not start.
    pub const fn refused(job: Option<Job>, error: Failure) -> Self {
        Self {
            job,
            error: Some(error),
            accounts: Vec::new(),
            signal: None,
            is_list: false,
        }
    }

    /// The exit code of the program.
    pub fn exit(&self) -> u8 {
        if let Some(signal) = self.signal {
            return (128 + signal) as u8;
        }
        if let Some(error) = &self.error {
            return exit_of(error.kind);
        }
        let job = self.job.unwrap_or(Job::Sync);
        first_present(self.accounts.iter().map(|account| account.exit(job)))
    }
}

#[cfg(test)]
mod tests;
