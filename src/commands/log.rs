//! `homing log`.

use super::Context;
use crate::engine::books as engine;
use crate::error::Result;
use crate::report::{Job, Report};

/// Show what past runs did to which message, and why
///
/// Without options, the last runs, each with what it did; with `--run` or `--verbose`, every message too: its UID on the
/// server, the name of its file, its size and when it arrived. A removed file has the same name in the attic.
///
/// The number of a backup is what `--at` of `restore` and `export` takes. Restores are among the runs of the account whose
/// archive it is.
///
/// Looks at homing's own books only. What a run did is kept for a year; of one step, a thousand messages are named and the
/// rest counted. `homing forget` drops this history too.
#[derive(Debug, clap::Args)]
pub struct Log {
    /// The account; FROM--TO is a migration
    #[arg(value_name = "ACCOUNT")]
    pub account: String,

    /// Show this run only; of syncs and of backups, both that have the number
    #[arg(long, value_name = "NUMBER", conflicts_with = "last")]
    pub run: Option<u64>,

    /// Show so many runs that did something
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10)]
    pub last: u64,
}

impl Log {
    /// Does it.
    pub fn run(&self, context: &Context) -> Result<Report> {
        let whose = context.book(&self.account)?;
        let report = engine::log(whose, &context.states, self.run, self.last);
        Ok(Report::new(Job::Log, vec![report]))
    }
}
