//! Messages that a server may have changed while it took them: noted with the message, until somebody has looked.

use super::{State, failed};
use crate::error::Result;
use crate::model::{Id, IdSet, MailboxId, Side};

/// The id is that of the copy which was sent, on its own side.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS doubt (
  mailbox INTEGER NOT NULL, side INTEGER NOT NULL, id INTEGER NOT NULL,
  PRIMARY KEY (mailbox, side, id)) WITHOUT ROWID";

impl State {
    /// Keeps doubts from now on.
    pub fn keep_doubts(&self) -> Result<()> {
        self.conn().execute_batch(TABLE).map_err(failed)
    }

    fn keeps_doubts(&self) -> Result<bool> {
        let sql = "SELECT 1 FROM sqlite_master WHERE type='table' AND name='doubt'";
        self.rows(sql, [], |_| Ok(())).map(|found| !found.is_empty())
    }

    /// Notes a doubt, where these are kept: the other side of that message may not hold it as it was sent.
    pub fn doubt(&self, mailbox: MailboxId, side: Side, id: Id) -> Result<()> {
        if !self.keeps_doubts()? {
            return Ok(());
        }
        let key = (mailbox.0, side as u8, id as i64);
        self.execute("INSERT OR IGNORE INTO doubt (mailbox, side, id) VALUES (?,?,?)", key)
            .map(drop)
    }

    /// All doubts about what that side sent.
    pub fn doubts(&self, side: Side) -> Result<Vec<(MailboxId, Id)>> {
        if !self.keeps_doubts()? {
            return Ok(Vec::new());
        }
        let sql = "SELECT mailbox, id FROM doubt WHERE side=? ORDER BY mailbox, id";
        self.rows(sql, [side as u8], |row| {
            Ok((MailboxId(row.get(0)?), row.get::<_, i64>(1)? as u64))
        })
    }

    /// Somebody has looked.
    pub fn settle_doubts(&self, mailbox: MailboxId, side: Side, ids: &IdSet) -> Result<()> {
        for id in ids.iter() {
            let key = (mailbox.0, side as u8, id as i64);
            self.execute("DELETE FROM doubt WHERE mailbox=? AND side=? AND id=?", key)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::state::Purpose;

    #[test]
    fn doubts_are_kept_where_somebody_looks() {
        let state = State::open(Path::new("/nowhere/migrate.db"), Purpose::Look).unwrap();
        let mailbox = MailboxId(1);
        state.doubt(mailbox, Side::Left, 7).unwrap();
        assert_eq!(state.doubts(Side::Left).unwrap(), []);
        state.keep_doubts().unwrap();
        for id in [7, 7, 8] {
            state.doubt(mailbox, Side::Left, id).unwrap();
        }
        state.settle_doubts(mailbox, Side::Left, &IdSet::range(7..=7)).unwrap();
        assert_eq!(state.doubts(Side::Left).unwrap(), [(mailbox, 8)]);
        assert_eq!(state.doubts(Side::Right).unwrap(), []);
    }
}
