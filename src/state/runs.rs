//! Past runs.

use super::{State, failed, now};
use crate::error::Result;

/// A run as recorded.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// Its number.
    pub id: i64,
    /// The command.
    pub command: String,
    /// When it began, in seconds since 1970.
    pub begun: i64,
    /// When it ended; `None`: it was cut off, or is under way.
    pub ended: Option<i64>,
    /// Its exit code.
    pub exit: Option<i64>,
}

/// The command whose runs are points in time of an archive, and stay in the books.
pub const BACKUP: &str = "backup";

const CLEAN: &str = "clean-run";

impl State {
    /// Begins a run and gives its number.
    pub fn begin_run(&self, command: &str) -> Result<i64> {
        let conn = self.conn();
        conn.prepare_cached("INSERT INTO run (command, begun) VALUES (?, ?)")
            .and_then(|mut insert| insert.insert((command, now())))
            .map_err(failed)
    }

    /// Ends a run; `report` is the account's part of the JSON report.
    pub fn end_run(&self, id: i64, exit: i64, report: &str) -> Result<()> {
        self.execute(
            "UPDATE run SET ended=?, exit=?, report=? WHERE id=?",
            (now(), exit, report, id),
        )
        .map(drop)
    }

    /// Notes that a run saw all of both sides and did all that it had planned.
    pub fn note_clean_run(&self, id: i64) -> Result<()> {
        self.set_fact(CLEAN, &id.to_string())
    }

    /// The last such run.
    pub fn last_clean_run(&self) -> Result<Option<i64>> {
        Ok(self.fact(CLEAN)?.and_then(|id| id.parse().ok()))
    }

    /// The last run that was begun.
    pub fn last_run(&self) -> Result<Option<RunRow>> {
        Ok(self.past_runs(None, 1)?.into_iter().next())
    }

    /// The last run that was begun of that command.
    pub fn last_run_of(&self, command: &str) -> Result<Option<RunRow>> {
        let sql = "SELECT max(id) FROM run WHERE command=?";
        let last = self.rows(sql, [command], |row| row.get::<_, Option<i64>>(0))?;
        match last.into_iter().next().flatten() {
            Some(id) => Ok(self.past_runs(Some(id as u64), 1)?.into_iter().next()),
            None => Ok(None),
        }
    }

    /// The first run of that command that came to its end.
    pub fn first_run(&self, command: &str) -> Result<Option<RunRow>> {
        let sql = "SELECT min(id) FROM run WHERE command=? AND ended IS NOT NULL";
        let first = self.rows(sql, [command], |row| row.get::<_, Option<i64>>(0))?;
        match first.into_iter().next().flatten() {
            Some(id) => Ok(self.past_runs(Some(id as u64), 1)?.into_iter().next()),
            None => Ok(None),
        }
    }

    /// That run, or the last ones, newest first.
    pub fn past_runs(&self, number: Option<u64>, last: u64) -> Result<Vec<RunRow>> {
        self.rows(
            "SELECT id, command, begun, ended, exit FROM run WHERE ?1 IS NULL OR id=?1 ORDER BY id DESC LIMIT ?2",
            (number.map(|id| id as i64), last as i64),
            |row| {
                Ok(RunRow {
                    id: row.get(0)?,
                    command: row.get(1)?,
                    begun: row.get(2)?,
                    ended: row.get(3)?,
                    exit: row.get(4)?,
                })
            },
        )
    }
}
