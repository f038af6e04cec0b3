//! Past runs.

use super::problems::LONGEST_WAIT;
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
        self.mind_clock(now())?;
        let conn = self.conn();
        conn.prepare_cached("INSERT INTO run (command, begun) VALUES (?, ?)")
            .and_then(|mut insert| insert.insert((command, now())))
            .map_err(failed)
    }

    /// What was noted by a clock that was ahead is not waited for until then: no try is further off than a day.
    fn mind_clock(&self, now: i64) -> Result<()> {
        self.execute("UPDATE problem SET next=?1 WHERE next > ?1 + ?2", (now, LONGEST_WAIT))?;
        self.execute("UPDATE place SET listed=NULL WHERE listed > ?", [now])?;
        self.execute("UPDATE intent SET begun=?1 WHERE begun > ?1", [now])
            .map(drop)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;
    use crate::model::{Checkpoint, MailboxPath, RawName, Side, Token};
    use crate::state::ProblemKey;

    #[test]
    fn a_clock_that_was_ahead_puts_nothing_off_for_years() {
        let state = State::in_memory().unwrap();
        let mailbox = state.new_mailbox(&MailboxPath::inbox()).unwrap();
        let checkpoint = Checkpoint {
            validity: 1,
            next_id: None,
            token: Token("1".into()),
        };
        state
            .set_place(mailbox, Side::Right, &RawName::new("INBOX"), None)
            .unwrap();
        let key = ProblemKey::Message(mailbox, Side::Right, 7);
        // What was noted so many seconds after now | waits for its next try | is listed in full soon
        for (ahead, waits, due) in [(-60, false, false), (60, true, true), (10 * 365 * 86_400, false, true)] {
            state.add_problem(key, &Failure::message("it fails")).unwrap();
            let then = now() + ahead;
            state.execute("UPDATE problem SET next=?", [then]).unwrap();
            state
                .set_checkpoint(mailbox, Side::Right, &checkpoint, Some(then))
                .unwrap();
            state.begin_run("sync").unwrap();
            let next = state.problems().unwrap()[0].next.unwrap();
            let place = state.mailboxes().unwrap()[0].places[1].clone().unwrap();
            assert_eq!((next > now(), place.listed.is_none()), (waits, due), "{ahead}");
        }
    }
}
