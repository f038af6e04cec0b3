//! `homing prune`.

use std::time::Duration;

use super::Context;
use crate::archive::when;
use crate::engine::prune as engine;
use crate::error::{Failure, Kind, Result, clean};
use crate::report::{Job, Report};

/// Delete messages from an archive that left the server long ago
///
/// Nothing is ever deleted from an archive but by this command, and it touches nothing but `gone/`: what the server has
/// stays. A restore of a day on which pruned messages were there says how many it lacks.
#[derive(Debug, clap::Args)]
pub struct Prune {
    /// The account
    #[arg(value_name = "ACCOUNT")]
    pub account: String,

    /// Delete what left the server longer ago than this, such as 90d, 6m (months) or 1y
    #[arg(long, value_name = "AGE")]
    pub gone_longer_than: String,

    /// Only say which messages would go, and why
    #[arg(long)]
    pub dry_run: bool,

    /// Wait so long for another run on the same archive to end, instead of leaving at once with 75
    #[arg(long, value_name = "SECONDS", default_value = "0", hide_default_value = true)]
    pub wait: u32,
}

impl Prune {
    /// What the report is about.
    pub const fn job(&self) -> Job {
        if self.dry_run { Job::PruneDryRun } else { Job::Prune }
    }

    /// Does it.
    pub fn run(&self, context: &Context) -> Result<Report> {
        let account = context.config.account(&self.account)?;
        let age = &self.gone_longer_than;
        let before = when::before(&jiff::ZonedDateTime::now(), age).ok_or_else(|| {
            let what = format!("\"{}\" is no age", clean(age));
            Failure::account(Kind::Usage, what).hint("write something like 90d, 6m (months) or 1y")
        })?;
        let report = engine::prune(&engine::Prune {
            account,
            states: &context.states,
            before,
            dry_run: self.dry_run,
            wait: Duration::from_secs(self.wait.into()),
            stop: context.stop.clone(),
        });
        Ok(Report::new(self.job(), vec![report]))
    }
}
