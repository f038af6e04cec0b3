//! `homing verify`.

use std::path::PathBuf;
use std::time::Duration;

use super::{Context, side_by_side};
use crate::engine::verify as engine;
use crate::error::{Failure, Kind, Result};
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

    /// Write a list of all whole files there, with their SHA-256, as `sha256sum -c` reads it
    ///
    /// For one account. The paths begin in the archive's directory, and hold until a backup renames files.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub manifest: Option<PathBuf>,

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
        if self.manifest.is_some() && accounts.len() != 1 {
            let what = "--manifest is for one account";
            return Err(Failure::account(Kind::Usage, what).hint("name the account"));
        }
        let reports = side_by_side(&accounts, |account| {
            let bar = context.progress.bar(&account.name);
            engine::verify(&engine::Verify {
                account,
                states: &context.states,
                server: self.server,
                manifest: self.manifest.as_deref(),
                repair: self.repair,
                wait: Duration::from_secs(self.wait.into()),
                stop: context.stop.clone(),
                watch: &|event| bar.show(event),
            })
        });
        Ok(Report::new(Job::Verify, reports))
    }
}
