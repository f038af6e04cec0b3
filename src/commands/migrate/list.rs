//! `homing migrate --list`: many pairs of accounts, side by side.

use std::path::Path;
use std::sync::Mutex;

use super::hosts::{Hosts, Wish};
use super::{Context, Migrate};
use crate::account::Account;
use crate::commands::bug;
use crate::config::list::{self, Row, Side};
use crate::engine::migrate::pair_name;
use crate::error::{Failure, Kind, Result};
use crate::report::{AccountReport, Report};

/// Which rows of a list: those whose number is this modulo that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    which: usize,
    of: usize,
}

impl Shard {
    /// `K/N`, 0 ≤ K < N.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let shard = parts.and_then(|(which, of)| Some((which.parse().ok()?, of.parse().ok()?)));
        match shard {
            Some((which, of)) if which < of => Ok(Self { which, of }),
            _ => Err("a shard is K/N, such as 0/10 up to 9/10".to_owned()),
        }
    }

    const fn has(self, number: usize) -> bool {
        number % self.of == self.which
    }
}

/// Migrates the pairs of a list.
pub(super) fn run(command: &Migrate, file: &Path, context: &Context) -> Result<Report> {
    let mut rows = list::read(file, &context.config, &context.environment)?;
    rows.retain(|row| command.shard.is_none_or(|shard| shard.has(row.number)));
    let jobs = usize::from(command.jobs).min(rows.len()).max(1);
    let good = rows
        .iter()
        .enumerate()
        .filter_map(|(n, row)| Some((n, wish(row.pair.as_ref().ok()?))));
    let hosts = Hosts::new(command.host_connections.into(), jobs, good);
    let reports: Vec<Mutex<Option<AccountReport>>> = rows.iter().map(refusal).map(Mutex::new).collect();
    let worker = || {
        while let Some(turn) = hosts.next() {
            let row = &rows[turn.number];
            let work = || one(command, row, turn.connections, context);
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            hosts.leave(&turn);
            let report = done.unwrap_or_else(|_| AccountReport::failed(name(row), bug()));
            *reports[turn.number].lock().expect("no panic while held") = Some(report);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(worker);
        }
    });
    let reports = reports.into_iter().map(|report| {
        let report = report.into_inner().expect("no panic while held");
        report.expect("each row was refused or taken by a worker")
    });
    Ok(Report {
        is_list: true,
        ..Report::new(command.job(), reports.collect())
    })
}

/// The report of a row that makes no sense.
fn refusal(row: &Row<'_>) -> Option<AccountReport> {
    let failure = row.pair.as_ref().err()?;
    Some(AccountReport::failed(format!("row {}", row.number), failure.clone()))
}

fn name(row: &Row<'_>) -> String {
    match &row.pair {
        Ok([from, to]) => pair_name(&from.name, &to.name),
        Err(_) => format!("row {}", row.number),
    }
}

fn wish(pair: &[Side<'_>; 2]) -> Wish {
    let of = |account: &Account| (account.server.host.to_lowercase(), account.server.connections);
    [of(&pair[0]), of(&pair[1])]
}

/// Pairs that are not begun when the user stops are told as such.
fn one(command: &Migrate, row: &Row<'_>, connections: [usize; 2], context: &Context) -> AccountReport {
    let Ok(pair) = &row.pair else {
        return AccountReport::failed(name(row), bug());
    };
    if context.is_stopped() {
        let failure = Failure::account(Kind::Temporary, "stopped before it began");
        return AccountReport::failed(name(row), failure);
    }
    command.pair(pair.each_ref().map(|side| &**side), Some(connections), context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards() {
        for (text, which) in [("0/1", vec![0, 1, 2, 3, 4]), ("1/3", vec![1, 4]), ("4/5", vec![4])] {
            let shard = Shard::parse(text).unwrap();
            assert_eq!((0..5).filter(|&n| shard.has(n)).collect::<Vec<_>>(), which, "{text}");
        }
        for text in ["", "1", "1/1", "3/2", "0/0", "-1/2", "a/b", "1/2/3"] {
            assert!(Shard::parse(text).is_err(), "{text}");
        }
    }
}
