//! The report as one JSON object (DESIGN 12).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::log::RunView;
use super::{
    AccountReport, Counts, ExportedLine, HeldBack, Job, LastRun, MailboxLine, MailboxVerdict, Migration, PlanLine,
    Problem, PrunedLine, Reason, Report, Verification,
};
use crate::store::Wire;

#[derive(Serialize)]
struct Whole<'a> {
    ok: bool,
    exit: u8,
    command: Option<&'static str>,
    error: Option<RunError<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<String>,
    accounts: Vec<Account<'a>>,
}

#[derive(Serialize)]
struct RunError<'a> {
    what: &'a str,
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct Account<'a> {
    name: &'a str,
    ok: bool,
    exit: u8,
    left: Counts,
    right: Counts,
    paired: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    left_out: BTreeMap<&'static str, u64>,
    held_back: Vec<Held<'a>>,
    problems: Vec<Trouble>,
    wire: WireCounts,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Vec<Step<'a>>>,
    #[serde(flatten)]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<Vec<RunView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mailboxes: Option<&'a [MailboxLine]>,
    #[serde(flatten)]
    verification: Option<&'a Verification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pruned: Option<&'a [PrunedLine]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exported: Option<&'a [ExportedLine]>,
    #[serde(flatten)]
    migration: Option<Outcome<'a>>,
}

#[derive(Serialize)]
struct Outcome<'a> {
    mailboxes: Vec<Verdict<'a>>,
    verdict: String,
}

#[derive(Serialize)]
struct Verdict<'a> {
    from: &'a str,
    to: &'a str,
    renamed: bool,
    messages: [u64; 2],
    bytes: [u64; 2],
    missing: u64,
    removed_there: u64,
    only_there: Option<u64>,
    reasons: Vec<Why<'a>>,
    remarks: Vec<Why<'a>>,
}

#[derive(Serialize)]
struct Why<'a> {
    what: &'a str,
    count: u64,
    uids: &'a str,
}

#[derive(Serialize)]
struct Held<'a> {
    guard: &'a str,
    side: &'a str,
    mailbox: &'a str,
    count: u64,
    ways_out: &'a [String],
}

#[derive(Serialize)]
struct Trouble {
    reach: &'static str,
    mailbox: Option<String>,
    id: Option<String>,
    what: String,
    retry: &'static str,
    tries: u32,
    next_try: Option<String>,
    waiting: bool,
}

#[derive(Serialize)]
struct WireCounts {
    bytes_in: u64,
    bytes_out: u64,
    commands: u64,
    round_trips: u64,
    connections: u64,
}

#[derive(Serialize)]
struct Step<'a> {
    action: &'a str,
    on: Option<&'static str>,
    mailbox: &'a str,
    to: Option<&'a str>,
    count: u64,
    why: &'a str,
}

#[derive(Serialize)]
struct Status {
    last_run: Option<Run>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_backup: Option<Run>,
    pending: u64,
    serial: bool,
}

#[derive(Serialize)]
pub(super) struct Run {
    command: String,
    #[serde(rename = "run")]
    number: u64,
    begun: Option<String>,
    ended: Option<String>,
    exit: Option<u8>,
}

/// RFC 3339 §5.6, in UTC; `None` for what no calendar holds.
pub(super) fn time(seconds: i64) -> Option<String> {
    Timestamp::from_second(seconds).ok().map(|time| time.to_string())
}

impl Report {
    /// The report as one line of JSON, without a line end.
    pub fn to_json(&self) -> String {
        let job = self.job.unwrap_or(Job::Sync);
        let exit = self.exit();
        let whole = Whole {
            ok: exit == 0,
            exit,
            command: self.job.map(Job::command),
            error: self.error.as_ref().map(|error| RunError {
                what: &error.what,
                hint: error.hint.as_deref(),
            }),
            verdict: self.overall(),
            accounts: self.accounts.iter().map(|account| account.view(job)).collect(),
        };
        serde_json::to_string(&whole).expect("strings, numbers and lists of them")
    }
}

impl AccountReport {
    /// The account's part of the JSON report, as the state keeps it.
    pub fn to_json(&self, job: Job) -> String {
        serde_json::to_string(&self.view(job)).expect("strings, numbers and lists of them")
    }

    fn view(&self, job: Job) -> Account<'_> {
        let exit = self.exit(job);
        Account {
            name: &self.name,
            ok: exit == 0,
            exit,
            left: self.left,
            right: self.right,
            paired: self.paired,
            left_out: self
                .left_out
                .iter()
                .map(|(reason, count)| (reason.name(), *count))
                .collect(),
            held_back: self.held_back.iter().map(Held::from).collect(),
            problems: self.all_problems().into_iter().map(Trouble::from).collect(),
            wire: self.wire.into(),
            seconds: (self.seconds * 1000.0).round() / 1000.0,
            plan: (job.is_dry_run() && !matches!(job, Job::PruneDryRun | Job::ExportDryRun))
                .then(|| self.plan.iter().map(Step::from).collect()),
            status: (job == Job::Status).then(|| Status {
                last_run: self.last_run.as_ref().map(Run::from),
                last_backup: self.last_backup.as_ref().map(Run::from),
                pending: self.pending,
                serial: self.serial,
            }),
            runs: (job == Job::Log).then(|| self.runs.iter().map(RunView::from).collect()),
            mailboxes: (job == Job::Mailboxes).then_some(&self.mailboxes),
            verification: self.verification.as_ref(),
            pruned: matches!(job, Job::Prune | Job::PruneDryRun).then_some(&self.pruned),
            exported: matches!(job, Job::Export | Job::ExportDryRun).then_some(&self.exported),
            migration: self.migration.as_ref().map(Outcome::from),
        }
    }
}

impl<'a> From<&'a HeldBack> for Held<'a> {
    fn from(held: &'a HeldBack) -> Self {
        Self {
            guard: held.guard,
            side: held.side.name(),
            mailbox: &held.mailbox,
            count: held.count,
            ways_out: &held.ways_out,
        }
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self {
            reach: problem.reach.name(),
            mailbox: problem.mailbox,
            id: problem.id,
            what: problem.what,
            retry: problem.retry.name(),
            tries: problem.tries,
            next_try: problem.next_try.and_then(time),
            waiting: problem.waiting,
        }
    }
}

impl From<Wire> for WireCounts {
    fn from(wire: Wire) -> Self {
        Self {
            bytes_in: wire.bytes_in,
            bytes_out: wire.bytes_out,
            commands: wire.commands,
            round_trips: wire.round_trips,
            connections: wire.connections,
        }
    }
}

impl<'a> From<&'a Migration> for Outcome<'a> {
    fn from(migration: &'a Migration) -> Self {
        Self {
            mailboxes: migration.mailboxes.iter().map(Verdict::from).collect(),
            verdict: migration.sentence(),
        }
    }
}

impl<'a> From<&'a MailboxVerdict> for Verdict<'a> {
    fn from(mailbox: &'a MailboxVerdict) -> Self {
        let why = |reason: &'a Reason| Why {
            what: &reason.what,
            count: reason.count,
            uids: &reason.uids,
        };
        Self {
            from: &mailbox.from,
            to: &mailbox.to,
            renamed: mailbox.is_renamed,
            messages: mailbox.messages,
            bytes: mailbox.bytes,
            missing: mailbox.missing,
            removed_there: mailbox.removed_there,
            only_there: mailbox.only_there,
            reasons: mailbox.reasons.iter().map(why).collect(),
            remarks: mailbox.remarks.iter().map(why).collect(),
        }
    }
}

impl<'a> From<&'a PlanLine> for Step<'a> {
    fn from(line: &'a PlanLine) -> Self {
        Self {
            action: line.action,
            on: line.on.map(crate::model::Side::name),
            mailbox: &line.mailbox,
            to: line.to.as_deref(),
            count: line.count,
            why: &line.why,
        }
    }
}

impl From<&LastRun> for Run {
    fn from(run: &LastRun) -> Self {
        Self {
            command: run.command.clone(),
            number: run.run,
            begun: time(run.begun),
            ended: run.ended.and_then(time),
            exit: run.exit,
        }
    }
}
