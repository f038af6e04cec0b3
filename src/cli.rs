//! The command line: what can be written there, and from there to the exit code.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::commands::{
    Context, backup, export, forget, import, log, mailboxes, migrate, prune, restore, status, sync, verify,
};
use crate::config::Config;
use crate::config::places::Environment;
use crate::error::{Failure, Kind, Result, clean};
use crate::progress::Progress;
use crate::report::{Job, Report, Style, Verbosity};
use crate::store::Stop;

/// Where help lists what every command takes.
const EVERYWHERE: &str = "Options for every command";

/// Keep a Maildir and an IMAP account the same, in both directions, offline in between
///
/// What was added, flagged or deleted on one side is so on the other after the next sync. homing is made to be run by hand,
/// from cron or from a timer: it says nothing when all went well and nobody watches, and its exit code says what happened.
///
/// Accounts are configured in a file that homing-config(5) describes.
#[derive(Debug, Parser)]
#[command(
    name = "homing",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
#[command(after_long_help = exit_help())]
pub struct Cli {
    /// The configuration file
    ///
    /// Without it, $XDG_CONFIG_HOME/homing/config.toml, which is ~/.config/homing/config.toml where that is not set.
    #[arg(long, value_name = "FILE", global = true, help_heading = EVERYWHERE, value_hint = clap::ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Where homing keeps what it knows of each account
    ///
    /// Without it, $XDG_STATE_HOME/homing, which is ~/.local/state/homing where that is not set. Must be on a local disk.
    #[arg(long, value_name = "DIR", global = true, help_heading = EVERYWHERE, value_hint = clap::ValueHint::DirPath)]
    pub state: Option<PathBuf>,

    /// Write one JSON object to standard output, whatever happens
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,

    /// Say nothing but what went wrong
    #[arg(short, long, global = true, help_heading = EVERYWHERE, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say what is done and why
    #[arg(short, long, global = true, help_heading = EVERYWHERE)]
    pub verbose: bool,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands; each one's help is with its file in `commands/`.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[allow(missing_docs)]
    Sync(sync::Sync),
    #[allow(missing_docs)]
    Backup(backup::Backup),
    #[allow(missing_docs)]
    Verify(verify::Verify),
    #[allow(missing_docs)]
    Restore(restore::Restore),
    #[allow(missing_docs)]
    Prune(prune::Prune),
    #[allow(missing_docs)]
    Export(export::Export),
    #[allow(missing_docs)]
    Import(import::Import),
    #[allow(missing_docs)]
    Migrate(migrate::Migrate),
    #[allow(missing_docs)]
    Status(status::Status),
    #[allow(missing_docs)]
    Log(log::Log),
    #[allow(missing_docs)]
    Mailboxes(mailboxes::Mailboxes),
    #[allow(missing_docs)]
    Forget(forget::Forget),
}

/// What each exit code says; where accounts differ, the run's is the first of 78, 77, 3, 1, 75, 0 that one of them has.
pub const EXIT_CODES: [(&str, &str); 8] = [
    ("0", "All done, or nothing to do"),
    (
        "1",
        "Done in part: the report says what was not, and later runs try it again",
    ),
    ("2", "The command line asks for something that does not exist"),
    (
        "3",
        "Held back by a guard: it looks like an accident; the report names the ways out",
    ),
    (
        "75",
        "Try again later: another run is at work, or the network or server is not",
    ),
    ("77", "The login was refused, or there was no password"),
    ("78", "The configuration is wrong, or does not fit what is there"),
    (
        "130, 143",
        "Stopped by SIGINT or SIGTERM; the next run goes on from there",
    ),
];

fn exit_help() -> String {
    let lines = EXIT_CODES.map(|(code, says)| format!("\n  {code:>8}  {says}"));
    format!("Exit codes:{}", lines.concat())
}

impl Cli {
    fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }

    const fn job(&self) -> Job {
        match &self.command {
            Command::Sync(sync) => sync.job(),
            Command::Backup(_) => Job::Backup,
            Command::Verify(_) => Job::Verify,
            Command::Restore(restore) => restore.job(),
            Command::Prune(prune) => prune.job(),
            Command::Export(export) => export.job(),
            Command::Import(import) => import.job(),
            Command::Migrate(migrate) => migrate.job(),
            Command::Status(_) => Job::Status,
            Command::Log(_) => Job::Log,
            Command::Mailboxes(_) => Job::Mailboxes,
            Command::Forget(_) => Job::Forget,
        }
    }

    fn run(&self, stop: &Stop) -> Result<Report> {
        let environment = Environment::process();
        let file = match &self.config {
            Some(file) => file.clone(),
            None => environment.config_file()?,
        };
        let states = match &self.state {
            Some(directory) => directory.clone(),
            None => environment.state_dir()?,
        };
        let context = Context {
            config: match &self.command {
                Command::Migrate(migrate) if migrate.list.is_some() => Config::load_if_there(&file, &environment)?,
                _ => Config::load(&file, &environment)?,
            },
            environment,
            states: std::path::absolute(&states).unwrap_or(states),
            stop: stop.clone(),
            progress: Progress::new(self.verbosity() > Verbosity::Quiet && std::io::stderr().is_terminal()),
        };
        match &self.command {
            Command::Sync(command) => command.run(&context),
            Command::Backup(command) => command.run(&context),
            Command::Verify(command) => command.run(&context),
            Command::Restore(command) => command.run(&context),
            Command::Prune(command) => command.run(&context),
            Command::Export(command) => command.run(&context),
            Command::Import(command) => command.run(&context),
            Command::Migrate(command) => command.run(&context),
            Command::Status(command) => command.run(&context),
            Command::Log(command) => command.run(&context),
            Command::Mailboxes(command) => command.run(&context),
            Command::Forget(command) => command.run(&context),
        }
    }
}

/// Runs the program with these arguments, its own name first, and gives its exit code.
pub fn main(arguments: &[OsString]) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error, arguments),
    };
    let stop = Stop::default();
    let caught = Arc::new(AtomicUsize::new(0));
    let caught_all = catch_signals(&stop, &caught);
    let run = caught_all.and_then(|()| cli.run(&stop));
    let mut report = run.unwrap_or_else(|failure| Report::refused(Some(cli.job()), failure));
    report.signal = Some(caught.load(Ordering::SeqCst) as i32).filter(|&signal| signal != 0);
    tell(&report, cli.json, cli.verbosity())
}

/// The first SIGINT or SIGTERM asks for a stop, the second ends the program where it stands.
fn catch_signals(stop: &Stop, caught: &Arc<AtomicUsize>) -> Result<()> {
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(stop))
            .and_then(|_| flag::register_usize(signal, Arc::clone(caught), signal as usize))
            .and_then(|_| flag::register(signal, Arc::clone(stop)))
            .map_err(|error| Failure::account(Kind::Temporary, format!("cannot catch signals: {error}")))?;
    }
    Ok(())
}

/// Prints the report and gives its exit code.
fn tell(report: &Report, json: bool, verbosity: Verbosity) -> u8 {
    let style = |terminal: bool| Style {
        verbosity,
        watched: terminal,
        colour: terminal && colours_welcome(),
    };
    let output = if json {
        report.to_json() + "\n"
    } else {
        report.output(style(std::io::stdout().is_terminal()))
    };
    let complaints = report.complaints(style(std::io::stderr().is_terminal()));
    // Whoever does not read to the end (`homing mailboxes a | head`) has seen enough.
    let _ = std::io::stdout().write_all(output.as_bytes());
    let _ = std::io::stderr().write_all(complaints.as_bytes());
    report.exit()
}

/// See <https://no-color.org>.
fn colours_welcome() -> bool {
    let unwelcome = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !unwelcome && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Tells of a command line that means nothing, in JSON where that was asked for; `--help` and `--version` come here too.
fn not_understood(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let wished = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let json = arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--json");
    if wished || !json {
        let _ = error.print();
        return if wished { 0 } else { 2 };
    }
    let text = error.render().to_string();
    let (what, rest) = text.split_once("\n\n").unwrap_or((text.as_str(), ""));
    let rest = rest.split("For more information").next().unwrap_or_default();
    let lines = |text: &str| {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let what = clean(lines(what).trim_start_matches("error: "));
    let failure = Failure::account(Kind::Usage, what).hint(clean(lines(rest)));
    // Not even `-q` could be understood: JSON is what was asked for, and all of it.
    let report = Report::refused(None, failure);
    let _ = writeln!(std::io::stdout(), "{}", report.to_json());
    report.exit()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_stand_before_or_after_the_command() {
        for line in ["homing --json -v status", "homing status --json -v"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert!(cli.json, "{line}");
            assert_eq!(cli.verbosity(), Verbosity::Verbose, "{line}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for line in [
            "homing",
            "homing --json",
            "homing sink",
            "homing restore a",
            "homing prune a",
            "homing sync --pull --push",
            "homing sync -q -v",
            "homing sync --wait soon",
            "homing sync --mailbox \\Snet",
            "homing mailboxes",
            "homing forget a b",
            "homing log",
            "homing log a --run 3 -n 4",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
