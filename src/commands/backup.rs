//! `homing backup`.

use std::time::Duration;

use super::{Context, side_by_side};
use crate::engine::backup as engine;
use crate::error::Result;
use crate::report::{Job, Report};

/// Copy accounts into their archives; nothing that the server drops is lost
///
/// An archive is a directory: `mail/` is a Maildir with the account as the server has it, `gone/` another one with
/// everything that has left the server since, and `homing.db` remembers which message was where, with which flags, at each
/// run. Nothing is ever sent to the server, and what is changed in the archive by hand is changed back.
///
/// Files in an archive are added and renamed, never changed, so it suits snapshots and backup programs; it can be copied
/// while a backup is running.
#[derive(Debug, clap::Args)]
pub struct Backup {
    /// The accounts; without any, all that have an archive
    #[arg(value_name = "ACCOUNT")]
    pub accounts: Vec<String>,

    /// Wait so long for another run on the same archive to end, instead of leaving at once with 75
    #[arg(long, value_name = "SECONDS", default_value = "0", hide_default_value = true)]
    pub wait: u32,
}

impl Backup {
    /// Does it.
    pub fn run(&self, context: &Context) -> Result<Report> {
        let accounts = context.archived(&self.accounts)?;
        let reports = side_by_side(&accounts, |account| {
            let bar = context.progress.bar(&account.name);
            engine::backup(&engine::Backup {
                account,
                states: &context.states,
                dry_run: false,
                wait: Duration::from_secs(self.wait.into()),
                stop: context.stop.clone(),
                watch: &|event| bar.show(event),
            })
        });
        Ok(Report::new(Job::Backup, reports))
    }
}
