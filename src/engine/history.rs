//! Puts what past runs did into the report's terms.

use crate::error::{Failure, Kind, Result};
use crate::report::{AccountReport, DoneLine, LastRun, MessageLine, RunLine};
use crate::state::{DeedMessage, DeedRow, RunRow, State};

/// So many runs are looked through for those that did something.
const LOOKED_AT: u64 = 100_000;

/// Adds that run, or the last ones that did something.
pub(super) fn fill(report: &mut AccountReport, state: &State, number: Option<u64>, last: u64) -> Result<()> {
    let before = report.runs.len() as u64;
    for row in state.past_runs(number, LOOKED_AT)? {
        if report.runs.len() as u64 - before >= last && number.is_none() {
            break;
        }
        let done = state.deeds(row.id)?;
        if number.is_some() || !done.is_empty() {
            report.runs.push(RunLine {
                run: run(&row),
                done: done.into_iter().map(line).collect(),
                asked_for: number.is_some(),
            });
        }
    }
    Ok(())
}

/// A run that somebody asks for has to be there.
pub(super) fn refuse_none(report: &AccountReport, number: Option<u64>) -> Result<()> {
    match number {
        Some(number) if report.runs.is_empty() => {
            let what = format!("there is no run {number}");
            Err(Failure::account(Kind::Usage, what).hint("`homing log` without --run shows which there are"))
        }
        _ => Ok(()),
    }
}

/// A run as the report has it.
pub(super) fn run(row: &RunRow) -> LastRun {
    LastRun {
        command: row.command.clone(),
        run: row.id as u64,
        begun: row.begun,
        ended: row.ended,
        exit: row.exit.map(|exit| exit as u8),
    }
}

fn line(row: DeedRow) -> DoneLine {
    DoneLine {
        action: row.deed.action,
        on: row.deed.on,
        mailbox: row.deed.mailbox,
        to: row.deed.to,
        count: row.count,
        why: row.deed.why,
        messages: row.messages.into_iter().map(message).collect(),
    }
}

fn message(message: DeedMessage) -> MessageLine {
    MessageLine {
        uid: message.uid,
        file: message.name.map(crate::error::clean),
        size: message.size,
        date: message.date,
    }
}
