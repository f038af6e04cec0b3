//! `homing sync`.

use std::time::Duration;

use super::{Context, side_by_side};
use crate::account::Account;
use crate::config::patterns::Pattern;
use crate::engine::account as engine;
use crate::error::Result;
use crate::plan::Policy;
use crate::report::{AccountReport, Job, Report};

/// Reconcile Maildirs and servers once, both ways
///
/// New mail, flags, deletions, and mailboxes made or deleted since the last sync are carried over to the other side.
/// Where both sides changed the same message, nothing is lost: flags are merged one by one, and a deletion goes before a
/// change of flags. The first sync of a Maildir that holds mail already pairs what is the same on both sides and
/// transfers only the rest.
///
/// What looks like an accident, such as an emptied Maildir or a large part of the mail gone at once, is held back until
/// you say so; everything else is done all the same. What the server's removals take from the Maildir waits in the attic.
///
/// It can be stopped at any moment, by any means; the next run goes on from there.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the command line"
)]
pub struct Sync {
    /// The accounts; without any, all that have a maildir
    #[arg(value_name = "ACCOUNT")]
    pub accounts: Vec<String>,

    /// Act on these mailboxes only; can be given several times
    ///
    /// The server's name, `/` between its levels: `*` stands for anything, `%` for anything within a level, and a name
    /// such as `\Sent` for the mailbox of that role. The other mailboxes are looked at, so that nothing that moved there
    /// is taken for removed, but they stay as they are.
    #[arg(long, value_name = "GLOB")]
    pub mailbox: Vec<Pattern>,

    /// Only say what would be done, and why
    ///
    /// The exit code is 0, or 3 if a guard would hold something back.
    #[arg(long)]
    pub dry_run: bool,

    /// Carry changes from the server to the Maildir only
    ///
    /// Changes of the Maildir wait. Messages whose removal from the Maildir a guard held back are copied back into it.
    #[arg(long, conflicts_with = "push")]
    pub pull: bool,

    /// Carry changes from the Maildir to the server only
    ///
    /// Changes of the server wait. Messages whose removal from the server a guard held back are copied back to it. It is
    /// also how mail that was in a Maildir before homing is sent to the server when that was held back.
    #[arg(long)]
    pub push: bool,

    /// Approve the removals that a guard held back or would hold back
    #[arg(long)]
    pub allow_deletes: bool,

    /// Wait so long for another run on the same account to end, instead of leaving at once with 75
    #[arg(long, value_name = "SECONDS", default_value = "0", hide_default_value = true)]
    pub wait: u32,
}

impl Sync {
    /// What the report is about.
    pub const fn job(&self) -> Job {
        if self.dry_run { Job::DryRun } else { Job::Sync }
    }

    /// Does it.
    pub fn run(&self, context: &Context) -> Result<Report> {
        let accounts = context.synced(&self.accounts)?;
        let reports = side_by_side(&accounts, |account| self.account(account, context));
        Ok(Report::new(self.job(), reports))
    }

    fn account(&self, account: &Account, context: &Context) -> AccountReport {
        let bar = context.progress.bar(&account.name);
        engine::sync(&engine::Sync {
            account,
            states: &context.states,
            policy: self.policy(account),
            only: &self.mailbox,
            dry_run: self.dry_run,
            wait: Duration::from_secs(self.wait.into()),
            stop: context.stop.clone(),
            watch: &|event| bar.show(event),
        })
    }

    fn policy(&self, account: &Account) -> Policy {
        let policy = match (self.pull, self.push) {
            (true, _) => Policy::PULL,
            (_, true) => Policy::PUSH,
            _ => account.policy,
        };
        Policy {
            allow_deletes: self.allow_deletes,
            ..policy
        }
    }
}
