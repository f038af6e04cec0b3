//! `homing forget`.

use super::Context;
use crate::engine::books as engine;
use crate::error::Result;
use crate::report::{Job, Report};

/// Drop what homing knows of an account; no mail is touched
///
/// The next sync pairs what is the same on both sides by its content and transfers only the rest. What was deleted on one
/// side since the last sync comes back from the other, since nobody remembers that it was there. An
/// archive keeps its history.
#[derive(Debug, clap::Args)]
pub struct Forget {
    /// The account; FROM--TO is a migration
    #[arg(value_name = "ACCOUNT")]
    pub account: String,
}

impl Forget {
    /// Does it.
    pub fn run(&self, context: &Context) -> Result<Report> {
        let whose = context.book(&self.account)?;
        Ok(Report::new(Job::Forget, vec![engine::forget(whose, &context.states)]))
    }
}
