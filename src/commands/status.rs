//! `homing status`.

use super::Context;
use crate::engine::books as engine;
use crate::error::Result;
use crate::report::{Job, Report};

/// Show the last run, what waits, what is held back and what could not be done
///
/// Looks at homing's own books only, those of syncs and of backups: it needs no network, and works while a sync is running. The exit code is 3 while
/// something is held back, else 1 while there are problems.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// The accounts; without any, all that have a maildir or an archive. FROM--TO is a migration
    #[arg(value_name = "ACCOUNT")]
    pub accounts: Vec<String>,
}

impl Status {
    /// Does it.
    pub fn run(&self, context: &Context) -> Result<Report> {
        let reports = context.books(&self.accounts)?.into_iter();
        let reports = reports.map(|whose| engine::status(whose, &context.states));
        Ok(Report::new(Job::Status, reports.collect()))
    }
}
