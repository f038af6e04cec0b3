//! `homing restore`.

use std::time::Duration;

use super::Context;
use super::selection::Selection;
use crate::engine::restore as engine;
use crate::error::Result;
use crate::report::{Job, Report};

/// Bring an account back from its archive as it was at any past backup
///
/// Without `--at`, as it was at the last one.
///
/// The messages go into an account on a server or into a Maildir, with their mailboxes, flags and dates. What is there
/// already is recognised by its content: only what is missing is added, and nothing is ever removed. It can be stopped at
/// any moment and run again.
///
/// On a server, a mailbox goes where `map` says, else to the one of the same role (Sent, Trash), else to the one of the same
/// name. One that is made gets its role where the server allows it, and what was subscribed to is subscribed to again.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The account whose archive it is
    #[arg(value_name = "ACCOUNT")]
    pub account: String,

    /// Where the messages go: an account, which can be the same one, or a directory
    ///
    /// What holds a `/`, or begins with `.` or `~`, is a directory. It becomes a Maildir, or is one already.
    #[arg(long, value_name = "ACCOUNT|DIR")]
    pub to: String,

    /// What of the account
    #[command(flatten)]
    pub selection: Selection,

    /// Only say what would be done, and why
    #[arg(long)]
    pub dry_run: bool,

    /// Wait so long for another run on the same archive to end, instead of leaving at once with 75
    #[arg(long, value_name = "SECONDS", default_value = "0", hide_default_value = true)]
    pub wait: u32,
}

impl Restore {
    /// What the report is about.
    pub const fn job(&self) -> Job {
        if self.dry_run { Job::RestoreDryRun } else { Job::Restore }
    }

    /// Does it.
    pub fn run(&self, context: &Context) -> Result<Report> {
        let account = context.config.account(&self.account)?;
        let at = self.selection.at()?;
        let bar = context.progress.bar(&account.name);
        let report = engine::restore(&engine::Restore {
            account,
            states: &context.states,
            to: context.target("--to", &self.to)?,
            at: at.as_ref(),
            only: &self.selection.mailbox,
            message: self.selection.message.as_deref(),
            dry_run: self.dry_run,
            wait: Duration::from_secs(self.wait.into()),
            stop: context.stop.clone(),
            watch: &|event| bar.show(event),
        });
        Ok(Report::new(self.job(), vec![report]))
    }
}
