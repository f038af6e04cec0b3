//! `homing mailboxes`.

use super::Context;
use crate::engine::account as engine;
use crate::error::Result;
use crate::report::{Job, Report};

/// List the server's mailboxes and what becomes of each
///
/// A line each: `+` for those that are synced and `-` for those that are not, the server's name, the name in the Maildir,
/// and what the mailbox is for. A way to try the login, and to see what `mailboxes` and `map` in the configuration do.
#[derive(Debug, clap::Args)]
pub struct Mailboxes {
    /// The account
    #[arg(value_name = "ACCOUNT")]
    pub account: String,
}

impl Mailboxes {
    /// Does it.
    pub fn run(&self, context: &Context) -> Result<Report> {
        let account = context.config.account(&self.account)?;
        Ok(Report::new(
            Job::Mailboxes,
            vec![engine::mailboxes(account, &context.states, &context.stop)],
        ))
    }
}
