//! The report for people: what was asked for on standard output, what needs attention on standard error.

use std::fmt::Write as _;

use super::words::{bytes, grouped, local, plural};
use super::{AccountReport, Counts, HeldBack, Job, LastRun, Migration, Problem, Report, archive};
use crate::model::{Beyond, Side};
use crate::store::Wire;

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only (`-q`).
    Quiet,
    /// A line an account, and what was asked for.
    #[default]
    Normal,
    /// Each step and why (`-v`).
    Verbose,
}

/// How a text looks, and for whom it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// How much is said.
    pub verbosity: Verbosity,
    /// Somebody watches: lines are written even when all went well.
    pub watched: bool,
    /// Colours are welcome.
    pub colour: bool,
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn red(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.paint("1;33", text)
    }

    fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }
}

impl Report {
    /// What goes to standard output, with its line ends; empty when there is nothing to say.
    pub fn output(&self, style: Style) -> String {
        let Some(job) = self.job.filter(|_| style.verbosity > Verbosity::Quiet) else {
            return String::new();
        };
        let width = self
            .accounts
            .iter()
            .map(|account| account.name.chars().count())
            .max()
            .unwrap_or(0);
        let verbose = style.verbosity == Verbosity::Verbose;
        let mut out = String::new();
        for account in &self.accounts {
            let name = style.bold(&format!("{:width$}", account.name));
            match job {
                Job::Status => out.push_str(&status(account, &name)),
                Job::Log => out.push_str(&super::log::log(account, style)),
                Job::Mailboxes => out.push_str(&mailboxes(account, style)),
                Job::Sync
                | Job::DryRun
                | Job::Backup
                | Job::Restore
                | Job::RestoreDryRun
                | Job::Import
                | Job::ImportDryRun
                | Job::Migrate
                | Job::MigrateDryRun => {
                    if job.is_dry_run() || verbose {
                        out.push_str(&plan(account, style));
                    }
                    if (style.watched || verbose || job.is_dry_run()) && account.error.is_none() {
                        let _ = writeln!(out, "{name}  {}", summary(account, job));
                    }
                    let silent = !style.watched && !verbose;
                    let wanted =
                        |migration: &&Migration| !silent || !migration.is_complete || migration.total().missing > 0;
                    if let Some(migration) = account.migration.as_ref().filter(wanted) {
                        out.push_str(&verdict(migration, style));
                    }
                }
                Job::Verify if style.watched || verbose => out.push_str(&archive::verification(account, &name)),
                Job::PruneDryRun => out.push_str(&archive::pruned(account, &name, true, true)),
                Job::Prune if style.watched || verbose => {
                    out.push_str(&archive::pruned(account, &name, false, verbose));
                }
                Job::ExportDryRun => out.push_str(&archive::exported(account, &name, true, true)),
                Job::Export if style.watched || verbose => {
                    out.push_str(&archive::exported(account, &name, false, verbose));
                }
                Job::Verify | Job::Prune | Job::Export => {}
                Job::Forget if account.error.is_none() => {
                    let _ = writeln!(out, "{name}  forgotten; the next sync pairs by content");
                }
                Job::Forget => {}
            }
        }
        if let Some(overall) = self.overall().filter(|_| style.watched || verbose || self.exit() != 0) {
            let _ = writeln!(out, "{}", style.bold(&overall));
        }
        out
    }

    /// What goes to standard error, with its line ends: whatever kept something from being done.
    pub fn complaints(&self, style: Style) -> String {
        let mut out = String::new();
        if let Some(error) = &self.error {
            complain(&mut out, &style.red("error:"), &error.what, error.hint.as_deref());
        }
        for account in &self.accounts {
            if let Some(error) = &account.error {
                let what = format!("{}: {}", account.name, error.what);
                complain(&mut out, &style.red("error:"), &what, error.hint.as_deref());
            }
            for (n, held) in account.held_back.iter().enumerate() {
                // What holds for several mailboxes is said once, after the last of them.
                let next = account.held_back.get(n + 1);
                let ways_out = next.is_none_or(|next| next.ways_out != held.ways_out);
                held_back(&mut out, account, held, ways_out, style);
            }
            if let Some(found) = &account.verification {
                archive::findings(&mut out, &account.name, found, style);
            }
            for problem in &account.problems {
                let wanted = self.job == Some(Job::Status) || style.verbosity == Verbosity::Verbose;
                if !problem.waiting || wanted {
                    trouble(&mut out, &account.name, problem, style);
                }
            }
        }
        if let Some(signal) = self.signal {
            let what = format!("stopped by signal {signal}; the next run goes on from here");
            complain(&mut out, &style.yellow("stopped:"), &what, None);
        }
        out
    }
}

/// A line for what is wrong and indented ones for what to do.
pub(super) fn complain(out: &mut String, label: &str, what: &str, hint: Option<&str>) {
    let _ = writeln!(out, "{label} {what}");
    for line in hint.iter().flat_map(|hint| hint.lines()) {
        let _ = writeln!(out, "{}", format!("  {line}").trim_end());
    }
}

fn held_back(out: &mut String, account: &AccountReport, held: &HeldBack, ways_out: bool, style: Style) {
    let (side, account) = (account.side(held.side), &account.name);
    let count = plural(held.count, "message");
    let place = match held.mailbox.as_str() {
        "" => String::new(),
        mailbox => format!(" in {mailbox}"),
    };
    let what = match held.guard {
        "adoption" => {
            format!("{account}: not copied to the {side}: {count}{place} (much of this Maildir is new to it)")
        }
        guard => format!("{account}: not removed on the {side}: {count}{place} ({guard})"),
    };
    let ways_out = ways_out.then(|| held.ways_out.join("\n"));
    complain(out, &style.yellow("held back:"), &what, ways_out.as_deref());
}

fn trouble(out: &mut String, account: &str, problem: &Problem, style: Style) {
    let mut what = account.to_owned();
    for part in [&problem.mailbox, &problem.id].into_iter().flatten() {
        let _ = write!(what, ": {part}");
    }
    let _ = write!(what, ": {}", problem.what);
    let next = problem.next_try.and_then(local);
    let _ = match (problem.tries, next) {
        (0 | 1, None) => Ok(()),
        (0 | 1, Some(next)) => write!(what, " (tried again after {next})"),
        (tries, None) => write!(what, " (tried {tries} times)"),
        (tries, Some(next)) => write!(what, " (tried {tries} times; again after {next})"),
    };
    complain(out, &style.yellow("problem:"), &what, problem.hint.as_deref());
}

fn plan(account: &AccountReport, style: Style) -> String {
    let mut out = String::new();
    for line in &account.plan {
        let _ = writeln!(out, "{} {}", style.dim(&format!("{}:", account.name)), line.text);
    }
    out
}

/// `3 new in the Maildir, 1 flag on the server · 4 kB in, 12 kB out · 0.4 s`.
fn summary(account: &AccountReport, job: Job) -> String {
    let mut parts = [(Side::Left, account.left), (Side::Right, account.right)]
        .into_iter()
        .filter_map(|(side, counts)| side_summary(&account.side(side), counts))
        .collect::<Vec<_>>();
    if account.paired > 0 {
        parts.push(format!("{} paired", account.paired));
    }
    parts.extend(account.left_out.iter().map(left_out));
    if parts.is_empty() {
        parts.push("nothing to do".into());
    }
    let held: u64 = account.held_back.iter().map(|held| held.count).sum();
    if held > 0 {
        parts.push(format!("{held} held back"));
    }
    let problems = account.problems.iter().filter(|problem| !problem.waiting).count() as u64;
    if problems > 0 {
        parts.push(plural(problems, "problem"));
    }
    let done = parts.join("; ");
    if job.is_dry_run() {
        return format!("would do: {done}");
    }
    let Wire {
        bytes_in, bytes_out, ..
    } = account.wire;
    format!(
        "{done}  ({} in, {} out, {:.1} s)",
        bytes(bytes_in),
        bytes(bytes_out),
        account.seconds
    )
}

/// `3 left out, larger than max-size`.
fn left_out((reason, count): (&Beyond, &u64)) -> String {
    let why = match reason {
        Beyond::Size => "larger than max-size",
        Beyond::Date => "older than since",
    };
    format!("{} left out, {why}", grouped(*count))
}

fn side_summary(side: &str, counts: Counts) -> Option<String> {
    let parts: Vec<String> = [
        (counts.added, "new"),
        (counts.flags, "flagged"),
        (counts.moved, "moved"),
        (counts.removed, "removed"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .chain(
        [
            (counts.mailboxes_created, "created"),
            (counts.mailboxes_removed, "removed"),
            (counts.mailboxes_renamed, "renamed"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| {
            let mailboxes = if count == 1 { "mailbox" } else { "mailboxes" };
            format!("{count} {mailboxes} {what}")
        }),
    )
    .collect();
    (!parts.is_empty()).then(|| format!("{side}: {}", parts.join(", ")))
}

/// The verdict: the mailboxes about which there is something to say (all of them with `-v`), and the sentence.
fn verdict(migration: &Migration, style: Style) -> String {
    let mut out = String::new();
    for mailbox in &migration.mailboxes {
        let notable = mailbox.missing > 0 || mailbox.is_renamed || !mailbox.remarks.is_empty();
        if !notable && style.verbosity != Verbosity::Verbose {
            continue;
        }
        let [there, here] = mailbox.messages.map(grouped);
        let name = if mailbox.from == mailbox.to {
            mailbox.from.clone()
        } else {
            format!("{} → {}", mailbox.from, mailbox.to)
        };
        let _ = write!(out, "  {name}: {here} of {there}");
        if mailbox.is_renamed {
            out.push_str(" (its own name was refused)");
        }
        out.push('\n');
        let missing = mailbox.reasons.iter().map(|reason| (" missing", reason));
        let arrived = mailbox.remarks.iter().map(|remark| ("", remark));
        for (missing, reason) in missing.chain(arrived) {
            let _ = write!(out, "    {}{missing}: {}", grouped(reason.count), reason.what);
            if !reason.uids.is_empty() {
                let _ = write!(out, " (UID {})", reason.uids);
            }
            out.push('\n');
        }
    }
    let sentence = migration.sentence();
    let sentence = if migration.is_complete && migration.total().missing == 0 {
        style.bold(&sentence)
    } else {
        style.yellow(&sentence)
    };
    let _ = writeln!(out, "  {sentence}");
    out
}

fn status(account: &AccountReport, name: &str) -> String {
    if account.error.is_some() {
        return String::new();
    }
    let backup = account.last_backup.as_ref();
    let backup = backup.map(|run| format!("backup #{}: {}", run.run, last_run(run)));
    let last = account.last_run.as_ref().map(last_run).into_iter().chain(backup);
    let last: Vec<String> = last.collect();
    let mut out = match last.as_slice() {
        [] => format!("{name}  never run"),
        all => format!("{name}  {}", all.join("; ")),
    };
    if account.pending > 0 {
        let _ = write!(out, "; {} waiting", plural(account.pending, "change"));
    }
    for line in account.left_out.iter().map(left_out) {
        let _ = write!(out, "; {line}");
    }
    let held: u64 = account.held_back.iter().map(|held| held.count).sum();
    if held > 0 {
        let _ = write!(out, "; {held} held back");
    }
    if !account.problems.is_empty() {
        let _ = write!(out, "; {}", plural(account.problems.len() as u64, "problem"));
    }
    if account.serial {
        out.push_str("; asked one thing at a time, since the server breaks otherwise");
    }
    out.push('\n');
    out
}

fn last_run(run: &LastRun) -> String {
    let begun = local(run.begun).unwrap_or_default();
    match (run.ended.and_then(local), run.exit) {
        (Some(ended), Some(0)) => format!("last run ended {ended}: all done"),
        (Some(ended), Some(exit)) => format!("last run ended {ended} with {exit}"),
        _ => format!("a run began {begun} and is not over, or was cut off"),
    }
}

fn mailboxes(account: &AccountReport, style: Style) -> String {
    let width = |text: fn(&super::MailboxLine) -> &str| {
        account
            .mailboxes
            .iter()
            .map(|line| text(line).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (name, local) = (width(|line| &line.name), width(|line| &line.local));
    let mut out = String::new();
    for line in &account.mailboxes {
        let role = line.role.as_deref().unwrap_or("");
        let row = format!("{:name$}  {:local$}  {role}", line.name, line.local);
        if line.selected {
            let _ = writeln!(out, "+ {}", row.trim_end());
        } else {
            let _ = writeln!(out, "{}", style.dim(&format!("- {}", row.trim_end())));
        }
    }
    out
}
