//! What of an account is meant, for the commands that take it from an archive.

use super::point_in_time;
use crate::archive::when::When;
use crate::config::patterns::Pattern;
use crate::error::Result;

/// Which of an account's mail.
#[derive(Debug, clap::Args)]
pub struct Selection {
    /// From the archive, as the account was then
    ///
    /// A run such as `#12`, a day such as 2026-03-01 (its end), a time such as 2026-03-01T12:00:00Z, or `3 days ago`: the
    /// last backup that had ended by then.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,

    /// Only these mailboxes; can be given several times
    ///
    /// The server's name, `/` between its levels: `*` stands for anything, `%` for anything within a level.
    #[arg(long, value_name = "GLOB")]
    pub mailbox: Vec<Pattern>,

    /// Only messages with this Message-ID, or whose file has this name
    ///
    /// The name is the part before the flags, as `log -v` shows it.
    #[arg(long, value_name = "ID")]
    pub message: Option<String>,
}

impl Selection {
    /// As of when.
    pub fn at(&self) -> Result<Option<When>> {
        self.at.as_deref().map(point_in_time).transpose()
    }
}
