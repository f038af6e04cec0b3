//! `homing export`.

use super::selection::Selection;
use super::{Context, directory};
use crate::engine::export as engine;
use crate::error::Result;
use crate::report::{Job, Report};

/// Write an account's mail into mbox or .eml files, for other programs
///
/// The mail comes from the account's Maildir; with `--at`, or where there is none, from its archive. Nothing is overwritten:
/// what is there already is refused. An export that was cut off goes on when the same command is given again: what is whole
/// and has not changed stays, and only what it wrote itself is written anew.
///
/// An mbox (mboxrd) has to change what it holds: lines that begin with `From ` get a `>`, line ends are LF, and the flags of
/// a message stand in three fields before its own, `Status`, `X-Status` and `X-Keywords`. An .eml file is the message byte
/// for byte as the server has it; flags and dates stand in `flags.tsv` beside it. `import` makes of either the very same
/// messages, flags and dates.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// The account whose mail it is
    #[arg(value_name = "ACCOUNT")]
    pub account: String,

    /// The directory into which the files go; it is made if it is not there
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub to: String,

    /// What files: an mbox for each mailbox, or a directory for each mailbox with an .eml for each message
    #[arg(long, value_enum, default_value_t = Format::Mbox)]
    pub format: Format,

    /// What of the account
    #[command(flatten)]
    pub selection: Selection,

    /// Only say what would be written
    #[arg(long)]
    pub dry_run: bool,
}

/// What files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// An mbox for each mailbox
    Mbox,
    /// A directory for each mailbox, a file for each message
    Eml,
}

impl Export {
    /// What the report is about.
    pub const fn job(&self) -> Job {
        if self.dry_run { Job::ExportDryRun } else { Job::Export }
    }

    /// Does it.
    pub fn run(&self, context: &Context) -> Result<Report> {
        let account = context.config.account(&self.account)?;
        let at = self.selection.at()?;
        let bar = context.progress.bar(&account.name);
        let report = engine::export(&engine::Export {
            account,
            states: &context.states,
            to: directory("--to", &self.to)?,
            format: match self.format {
                Format::Mbox => engine::Format::Mbox,
                Format::Eml => engine::Format::Eml,
            },
            at: at.as_ref(),
            only: &self.selection.mailbox,
            message: self.selection.message.as_deref(),
            dry_run: self.dry_run,
            stop: context.stop.clone(),
            watch: &|event| bar.show(event),
        });
        Ok(Report::new(self.job(), vec![report]))
    }
}
