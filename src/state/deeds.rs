//! What runs did to which message, for `homing log`.
//!
//! Bounded: of one deed so many messages are kept by name, the rest as a number; all of it goes after a year, and with the
//! oldest first when there is much of it. A run that did nothing leaves one row, for a month. A backup leaves its row for good:
//! it is a point in time of the archive.

use super::{BACKUP, State, now, side_of};
use crate::error::Result;
use crate::model::{Id, Side};

/// What was done to messages of a mailbox for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Deed {
    /// In one word, as in plans.
    pub action: String,
    /// The side that was changed; `None`: only the books were.
    pub on: Option<Side>,
    /// Where; of a move, where from.
    pub mailbox: String,
    /// Where to, if that is another mailbox.
    pub to: Option<String>,
    /// Why.
    pub why: String,
}

/// What a message can be found by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeedMessage {
    /// Its UID on the server.
    pub uid: Option<Id>,
    /// Its number among the files of the Maildir.
    pub file: Option<Id>,
    /// The unique part of its file's name, if the file went with it.
    pub name: Option<String>,
    /// Bytes in canonical form.
    pub size: Option<u64>,
    /// Its internal date, in seconds since 1970.
    pub date: Option<i64>,
}

/// A deed as recorded.
#[derive(Clone, Debug)]
pub struct DeedRow {
    /// What and why.
    pub deed: Deed,
    /// To how many messages; 1 for a mailbox.
    pub count: u64,
    /// Some of them, [`State::LISTED`] at most.
    pub messages: Vec<DeedMessage>,
}

/// Runs are forgotten after so long, in seconds; those that did nothing sooner.
const KEPT: i64 = 365 * 86_400;
const IDLE_KEPT: i64 = 31 * 86_400;
/// So many messages of all runs together are kept by name: some 10 MB.
const MESSAGES: i64 = 100_000;
/// Every so many runs what is too old or too much is dropped.
const EVERY: i64 = 50;

impl State {
    /// So many messages of one deed are kept by name.
    pub const LISTED: u64 = 1000;

    /// Begins to record a deed of that run.
    pub fn add_deed(&self, run: i64, deed: &Deed) -> Result<i64> {
        let conn = self.conn();
        conn.prepare_cached("INSERT INTO deed (run, action, side, mailbox, target, why, count) VALUES (?,?,?,?,?,?,0)")
            .and_then(|mut insert| {
                let side = deed.on.map(|side| side as u8);
                insert.insert((run, &deed.action, side, &deed.mailbox, &deed.to, &deed.why))
            })
            .map_err(super::failed)
    }

    /// Records a message of a deed.
    pub fn add_deed_message(&self, deed: i64, message: &DeedMessage) -> Result<()> {
        self.execute(
            "INSERT INTO deed_message (deed, uid, file, name, size, date) VALUES (?,?,?,?,?,?)",
            (
                deed,
                message.uid.map(|uid| uid as i64),
                message.file.map(|file| file as i64),
                &message.name,
                message.size.map(|size| size as i64),
                message.date,
            ),
        )
        .map(drop)
    }

    /// Records how many messages a deed has so far.
    pub fn count_deed(&self, deed: i64, count: u64) -> Result<()> {
        self.execute("UPDATE deed SET count=? WHERE id=?", (count as i64, deed))
            .map(drop)
    }

    /// The deeds of a run, in the order in which they were begun.
    pub fn deeds(&self, run: i64) -> Result<Vec<DeedRow>> {
        let rows = self.rows(
            "SELECT id, action, side, mailbox, target, why, count FROM deed WHERE run=? ORDER BY id",
            [run],
            |row| {
                let deed = Deed {
                    action: row.get(1)?,
                    on: row.get::<_, Option<u8>>(2)?.map(side_of),
                    mailbox: row.get(3)?,
                    to: row.get(4)?,
                    why: row.get(5)?,
                };
                Ok((row.get::<_, i64>(0)?, deed, row.get::<_, i64>(6)? as u64))
            },
        )?;
        let with_messages = |(id, deed, count)| {
            let messages = self.deed_messages(id)?;
            Ok(DeedRow { deed, count, messages })
        };
        rows.into_iter().map(with_messages).collect()
    }

    fn deed_messages(&self, deed: i64) -> Result<Vec<DeedMessage>> {
        self.rows(
            "SELECT m.uid, m.file, coalesce(m.name, CAST(f.uniq AS TEXT)), m.size, m.date
             FROM deed_message m LEFT JOIN file f ON f.id=m.file WHERE m.deed=? ORDER BY m.id",
            [deed],
            |row| {
                Ok(DeedMessage {
                    uid: row.get::<_, Option<i64>>(0)?.map(|uid| uid as u64),
                    file: row.get::<_, Option<i64>>(1)?.map(|file| file as u64),
                    name: row.get::<_, Option<String>>(2).unwrap_or_default(),
                    size: row.get::<_, Option<i64>>(3)?.map(|size| size as u64),
                    date: row.get(4)?,
                })
            },
        )
    }

    /// Drops, now and then, what is too old or too much.
    pub fn trim_history(&self, run: i64) -> Result<()> {
        if run % EVERY == 0 { self.trim(now()) } else { Ok(()) }
    }

    fn trim(&self, now: i64) -> Result<()> {
        self.execute(
            "DELETE FROM deed WHERE run IN (SELECT id FROM run WHERE begun < ?)",
            [now - KEPT],
        )?;
        self.execute(
            "DELETE FROM run WHERE command<>?3 AND (begun < ?1 OR (begun < ?2 AND id NOT IN (SELECT run FROM deed)))",
            (now - KEPT, now - IDLE_KEPT, BACKUP),
        )?;
        self.execute(
            "UPDATE run SET report=NULL WHERE command=? AND begun < ? AND report IS NOT NULL",
            (BACKUP, now - IDLE_KEPT),
        )?;
        let enough = "(SELECT id FROM deed_message ORDER BY id DESC LIMIT 1 OFFSET ?)";
        self.execute(&format!("DELETE FROM deed_message WHERE id <= {enough}"), [MESSAGES])?;
        self.execute("DELETE FROM deed_message WHERE deed NOT IN (SELECT id FROM deed)", [])
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_bounded() {
        let state = State::in_memory().unwrap();
        let deed = Deed {
            action: "copy".into(),
            on: Some(Side::Left),
            mailbox: "INBOX".into(),
            to: None,
            why: "new on the right".into(),
        };
        // What, how long ago in days, and whether it did something.
        for (command, age, busy) in [
            ("sync", 400, true),
            ("sync", 100, true),
            ("sync", 100, false),
            ("sync", 2, false),
            ("sync", 1, true),
            ("backup", 400, false),
        ] {
            let run = state.begin_run(command).unwrap();
            state.end_run(run, 0, "{}").unwrap();
            state
                .execute("UPDATE run SET begun=? WHERE id=?", (now() - age * 86_400, run))
                .unwrap();
            if busy {
                let deed = state.add_deed(run, &deed).unwrap();
                for uid in 1..=MESSAGES as u64 / 2 + 5 {
                    let message = DeedMessage {
                        uid: Some(uid),
                        ..DeedMessage::default()
                    };
                    state.add_deed_message(deed, &message).unwrap();
                }
                state.count_deed(deed, 7).unwrap();
            }
        }
        state.trim(now()).unwrap();
        let runs: Vec<i64> = state.past_runs(None, 9).unwrap().iter().map(|run| run.id).collect();
        assert_eq!(runs, [6, 5, 4, 2]);
        let reports = state.rows("SELECT id FROM run WHERE report IS NOT NULL ORDER BY id", [], |row| {
            row.get::<_, i64>(0)
        });
        assert_eq!(reports.unwrap(), [2, 4, 5]);
        let of = |run| {
            let deeds = state.deeds(run).unwrap();
            deeds
                .iter()
                .map(|row| (row.deed.clone(), row.count, row.messages.len()))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(1), []);
        assert_eq!(of(2), [(deed.clone(), 7, MESSAGES as usize / 2 - 5)]);
        assert_eq!(of(5), [(deed, 7, MESSAGES as usize / 2 + 5)]);
    }
}
