//! `homing verify`.

use std::time::Duration;

use super::{Context, side_by_side};
use crate::engine::verify as engine;
use crate::error::Result;
use crate::report::{Job, Report};

/// Check archives: every message against its digest, the books against the disk
///
/// Reads every file of an archive. Damaged are messages whose file is not what was archived, missing those without a file,
/// foreign the files that no message has. The exit code is 1 where something is damaged or missing; each line comes with
/// the command that mends it.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The accounts; without any, all that have an archive
    #[arg(value_name = "ACCOUNT")]
    pub accounts: Vec<String>,

    /// Compare the archive with the server too
    ///
    /// Lists all mailboxes on the server in full; nothing is fetched.
    #[arg(long)]
    pub server: bool,

    /// Fetch damaged and missing messages again that the server still has
    ///
    /// Damaged files go to `damaged/` in the archive, then a backup brings back what is missing.
    #[arg(long)]
    pub repair: bool,

    /// Wait so long for another run on the same archive to end, instead of leaving at once with 75
    #[arg(long, value_name = "SECONDS", default_value = "0", hide_default_value = true)]
    pub wait: u32,
}

impl Verify {
    /// Does it.
    pub fn run(&self, context: &Context) -> Result<Report> {
        let accounts = context.archived(&self.accounts)?;
        let reports = side_by_side(&accounts, |account| {
            let bar = context.progress.bar(&account.name);
            engine::verify(&engine::Verify {
                account,
                states: &context.states,
                server: self.server,
                repair: self.repair,
                wait: Duration::from_secs(self.wait.into()),
                stop: context.stop.clone(),
                watch: &|event| bar.show(event),
            })
        });
        Ok(Report::new(Job::Verify, reports))
    }
}
