//! `homing migrate`.

use std::time::Duration;

use super::Context;
use super::report_file::ReportFile;
use crate::engine::migrate as engine;
use crate::error::Result;
use crate::report::{Job, Report};

/// Copy an account's mail to another server, as often as you like, with a verdict at the end
///
/// Every mailbox of FROM goes to TO with its messages, flags, keywords and dates. FROM is only read. What TO holds
/// already, from an earlier run or from another program, is recognised by its content and not sent again; what TO has of
/// its own stays as it is. A later run sends what has changed on FROM since: new messages, flags, moves. So a migration
/// can begin days before the change and end with a short last run.
///
/// Mailboxes meet by name, special ones by their role (Sent, Drafts, Trash, Junk, Archive), and as the `map` of either
/// account says: FROM's first, then TO's backwards. `mailboxes` of FROM says which. A name that TO refuses is changed,
/// and the report says so.
///
/// The verdict counts messages and bytes on both sides, and says what has not arrived and why; the exit code is 0 only
/// when everything has. It can be stopped at any moment, by any means; the next run goes on from there.
#[derive(Debug, clap::Args)]
pub struct Migrate {
    /// The account whose mail it is
    #[arg(value_name = "FROM")]
    pub from: String,

    /// The account that it goes to
    #[arg(value_name = "TO")]
    pub to: String,

    /// Only say what would be done, and why
    ///
    /// The exit code is 0, or 3 if a guard would hold something back.
    #[arg(long)]
    pub dry_run: bool,

    /// Remove from TO what came from FROM and was removed there since
    ///
    /// Without it, removals wait. What did not come from FROM is never removed. A large part of the mail gone at once is
    /// held back.
    #[arg(long)]
    pub delete_extra: bool,

    /// Approve the removals that a guard held back or would hold back
    #[arg(long, requires = "delete_extra")]
    pub allow_deletes: bool,

    /// Write the verdict to a file too: a page for a browser (.html), .json or .csv, by its ending
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run", value_hint = clap::ValueHint::FilePath, value_parser = ReportFile::parse)]
    pub report: Option<ReportFile>,

    /// Wait so long for another run on the same accounts to end, instead of leaving at once with 75
    #[arg(long, value_name = "SECONDS", default_value = "0", hide_default_value = true)]
    pub wait: u32,
}

impl Migrate {
    /// What the report is about.
    pub const fn job(&self) -> Job {
        if self.dry_run { Job::MigrateDryRun } else { Job::Migrate }
    }

    /// Does it.
    pub fn run(&self, context: &Context) -> Result<Report> {
        let (from, to) = (context.config.account(&self.from)?, context.config.account(&self.to)?);
        let bar = context.progress.bar(&engine::pair_name(&self.from, &self.to));
        let report = engine::migrate(&engine::Migrate {
            from,
            to,
            states: &context.states,
            delete_extra: self.delete_extra,
            allow_deletes: self.allow_deletes,
            dry_run: self.dry_run,
            wait: Duration::from_secs(self.wait.into()),
            stop: context.stop.clone(),
            watch: &|event| bar.show(event),
        });
        let report = Report::new(self.job(), vec![report]);
        match &self.report {
            Some(file) => file.write(report),
            None => Ok(report),
        }
    }
}
