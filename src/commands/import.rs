//! `homing import`.

use super::{Context, directory};
use crate::engine::import as engine;
use crate::error::{Failure, Kind, Result};
use crate::model::MailboxPath;
use crate::report::{Job, Report};

/// Bring mail from files into an account: from mbox, .eml or a Maildir
///
/// The mail goes to the account's server, from where the next sync brings it into the Maildir, or into a Maildir. What is in
/// its mailbox there already is recognised by its content: only what is missing is added, and nothing is ever removed. It
/// can be stopped at any moment and run again.
///
/// A directory can hold what `export` wrote, what Thunderbird or Apple Mail keep or export, or Maildirs. Flags and keywords
/// come from the files' names, or from the header fields that mail programs put into an mbox (Status, X-Status, X-Keywords,
/// X-Mozilla-Status, X-Gmail-Labels), which are not brought along. Dates come from the file, and else from the header: the
/// newest Received field, or Date.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// An mbox, a message, or a directory
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    pub path: String,

    /// Where the mail goes: an account, or a directory
    ///
    /// What holds a `/`, or begins with `.` or `~`, is a directory. It becomes a Maildir, or is one already.
    #[arg(long, value_name = "ACCOUNT|DIR")]
    pub to: String,

    /// The mailbox into which it goes
    ///
    /// Several mailboxes go below it, but for the INBOX, which becomes it. Without this, mailboxes have the names of their
    /// files, and single messages go into the INBOX.
    #[arg(long, value_name = "NAME")]
    pub mailbox: Option<String>,

    /// Only say what would be done, and why
    #[arg(long)]
    pub dry_run: bool,
}

impl Import {
    /// What the report is about.
    pub const fn job(&self) -> Job {
        if self.dry_run { Job::ImportDryRun } else { Job::Import }
    }

    /// Does it.
    pub fn run(&self, context: &Context) -> Result<Report> {
        let to = context.target("--to", &self.to)?;
        let parse = |name: &String| {
            let what = || format!("\"{}\" is no name for a mailbox", crate::error::clean(name));
            MailboxPath::parse(name).ok_or_else(|| Failure::account(Kind::Usage, what()))
        };
        let mailbox = self.mailbox.as_ref().map(parse).transpose()?;
        let bar = context.progress.bar(&self.to);
        let report = engine::import(&engine::Import {
            from: &directory("PATH", &self.path)?,
            states: &context.states,
            to,
            mailbox: mailbox.as_ref(),
            dry_run: self.dry_run,
            stop: context.stop.clone(),
            watch: &|event| bar.show(event),
        });
        Ok(Report::new(self.job(), vec![report]))
    }
}
