//! `homing migrate`.

mod hosts;
mod list;

use std::path::PathBuf;
use std::time::Duration;

use super::Context;
use super::report_file::ReportFile;
use crate::account::Account;
use crate::engine::migrate as engine;
use crate::error::{Failure, Kind, Result};
use crate::report::{AccountReport, Job, Report};
pub use list::Shard;

/// Copy an account's mail to another server, as often as you like, with a verdict at the end
///
/// Every mailbox of FROM goes to TO with its messages, flags, keywords and dates, and is subscribed to where it was.
/// FROM is only read. What TO holds
/// already, from an earlier run or from another program, is recognised by its content and not sent again; what TO has of
/// its own stays as it is. A later run sends what has changed on FROM since: new messages, flags, moves. So a migration
/// can begin days before the change and end with a short last run.
///
/// Mailboxes meet by name, special ones by their role (Sent, Drafts, Trash, Junk, Archive), and as the `map` of either
/// account says: FROM's first, then TO's backwards. `mailboxes` of FROM says which. A name that TO refuses is changed,
/// and the report says so.
///
/// The verdict counts messages and bytes on both sides, says what has not arrived and why, and what the server changed as
/// it took it; the exit code is 0 only when everything has arrived and is as it was. It can be stopped at any moment, by any means; the next run goes on from there.
///
/// With `--list`, FILE has a pair of accounts in each row, as CSV or TOML. Either side is the name of a configured account
/// (columns `from` and `to`) or is described by keys of an account (`from-host`, `from-user`, `from-password-command`,
/// `to-provider` …); a password itself is refused. Each pair has a state of its own, so running the list again goes on with
/// what is unfinished, and what is done costs a look. A row that makes no sense is named with its line and stops no other.
#[derive(Debug, clap::Args)]
pub struct Migrate {
    /// The account whose mail it is
    #[arg(value_name = "FROM", required_unless_present = "list", requires = "to")]
    pub from: Option<String>,

    /// The account that it goes to
    #[arg(value_name = "TO")]
    pub to: Option<String>,

    /// Migrate the pairs of accounts in this file (.csv or .toml), side by side
    #[arg(long, value_name = "FILE", conflicts_with = "from", value_hint = clap::ValueHint::FilePath)]
    pub list: Option<PathBuf>,

    /// Of the list, take the rows whose number, counted from 0, is K modulo N: for N machines
    #[arg(long, value_name = "K/N", requires = "list", value_parser = Shard::parse)]
    pub shard: Option<Shard>,

    /// Of the list, work on so many pairs at a time
    #[arg(long, value_name = "N", requires = "list", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub jobs: u16,

    /// Of the list, have so many connections to one host at most, for all pairs together
    #[arg(long, value_name = "N", requires = "list", default_value = "16", value_parser = clap::value_parser!(u16).range(1..))]
    pub host_connections: u16,

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
        let report = match (&self.list, &self.from, &self.to) {
            (Some(file), ..) => list::run(self, file, context)?,
            (None, Some(from), Some(to)) => {
                let pair = [context.config.account(from)?, context.config.account(to)?];
                Report::new(self.job(), vec![self.pair(pair, None, context)])
            }
            _ => return Err(Failure::account(Kind::Usage, "both accounts have to be named")),
        };
        match &self.report {
            Some(file) => file.write(report),
            None => Ok(report),
        }
    }

    /// One pair; `connections` are the most that each side may have, where others need some too.
    fn pair(&self, [from, to]: [&Account; 2], connections: Option<[usize; 2]>, context: &Context) -> AccountReport {
        let bar = context.progress.bar(&engine::pair_name(&from.name, &to.name));
        engine::migrate(&engine::Migrate {
            from,
            to,
            states: &context.states,
            connections: connections.unwrap_or([from.server.connections, to.server.connections]),
            delete_extra: self.delete_extra,
            allow_deletes: self.allow_deletes,
            dry_run: self.dry_run,
            wait: Duration::from_secs(self.wait.into()),
            stop: context.stop.clone(),
            watch: &|event| bar.show(event),
        })
    }
}
