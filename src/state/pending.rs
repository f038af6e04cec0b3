//! What was seen and recorded, and not carried over.

use super::{State, failed, keywords, side_of};
use crate::error::Result;
use crate::model::{Flags, Id, IdSet, MailboxId, Side};

/// What happened to a message and waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PendingKind {
    /// It is new.
    Added,
    /// Its flags became these.
    Flags(Flags),
}

/// One change that waits. A removal waits in its pair, see [`crate::model::Gone`].
#[derive(Clone, Debug)]
pub struct Pending {
    /// Where it happened.
    pub side: Side,
    /// To which message.
    pub id: Id,
    /// What.
    pub kind: PendingKind,
    /// When carrying it over is tried again, if that failed before; seconds since 1970, `i64::MAX` for never.
    pub next_try: Option<i64>,
}

impl State {
    /// All that waits in a mailbox.
    pub fn pending(&self, mailbox: MailboxId) -> Result<Vec<Pending>> {
        self.rows(
            "SELECT d.side, d.id, d.kind, d.flags, k.names, CASE WHEN p.key IS NULL THEN NULL ELSE coalesce(p.next, ?2) END
             FROM pending d LEFT JOIN keyword_set k ON k.id=d.keywords
             LEFT JOIN problem p ON p.mailbox=d.mailbox AND p.side=d.side AND p.id=d.id
             WHERE d.mailbox=?1 ORDER BY d.side, d.id",
            (mailbox.0, i64::MAX),
            |row| {
                let names: Option<String> = row.get(4)?;
                Ok(Pending {
                    side: side_of(row.get(0)?),
                    id: row.get::<_, i64>(1)? as u64,
                    kind: match row.get::<_, u8>(2)? {
                        0 => PendingKind::Added,
                        _ => PendingKind::Flags(keywords::flags(row.get(3)?, names.as_deref())),
                    },
                    next_try: row.get(5)?,
                })
            },
        )
    }

    /// Records messages as new and not carried over.
    pub fn add_pending_new(&self, mailbox: MailboxId, side: Side, ids: &IdSet) -> Result<()> {
        for id in ids.iter() {
            self.execute(
                "INSERT OR IGNORE INTO pending (mailbox, side, id, kind) VALUES (?, ?, ?, 0)",
                (mailbox.0, side as u8, id as i64),
            )?;
        }
        Ok(())
    }

    /// The same, for those that are no pair.
    pub fn add_pending_unpaired(&self, mailbox: MailboxId, side: Side, ids: &IdSet) -> Result<()> {
        let paired: IdSet = self
            .pairs_by_ids(mailbox, side, ids)?
            .iter()
            .filter_map(|pair| pair.half(side).id)
            .collect();
        self.add_pending_new(mailbox, side, &ids.difference(&paired))
    }

    /// Records a message's flags as changed and not carried over.
    pub fn add_pending_flags(&self, mailbox: MailboxId, side: Side, id: Id, flags: &Flags) -> Result<()> {
        let conn = self.conn();
        let set = keywords::store(&conn, flags).map_err(failed)?;
        conn.prepare_cached(
            "INSERT OR REPLACE INTO pending (mailbox, side, id, kind, flags, keywords) VALUES (?, ?, ?, 1, ?, ?)",
        )
        .and_then(|mut insert| insert.execute((mailbox.0, side as u8, id as i64, flags.system.bits(), set)))
        .map(drop)
        .map_err(failed)
    }

    /// These messages are paired: they wait no more, but changes of their flags still do until they are made.
    pub fn settle_new(&self, mailbox: MailboxId, side: Side, ids: &IdSet) -> Result<()> {
        for range in ids.ranges() {
            self.execute(
                "DELETE FROM pending WHERE mailbox=? AND side=? AND kind=0 AND id BETWEEN ? AND ?",
                (mailbox.0, side as u8, *range.start() as i64, *range.end() as i64),
            )?;
        }
        self.settle_problems(mailbox, side, ids)
    }

    /// The flags that wait to be carried over.
    pub fn pending_flags(&self, mailbox: MailboxId, side: Side, id: Id) -> Result<Option<Flags>> {
        let found = self.rows(
            "SELECT d.flags, k.names FROM pending d LEFT JOIN keyword_set k ON k.id=d.keywords
             WHERE d.mailbox=? AND d.side=? AND d.id=? AND d.kind=1",
            (mailbox.0, side as u8, id as i64),
            |row| {
                let names: Option<String> = row.get(1)?;
                Ok(keywords::flags(row.get(0)?, names.as_deref()))
            },
        )?;
        Ok(found.into_iter().next())
    }

    /// Its flags wait no more.
    pub fn settle_flags(&self, mailbox: MailboxId, side: Side, id: Id) -> Result<()> {
        let params = (mailbox.0, side as u8, id as i64);
        self.execute(
            "DELETE FROM pending WHERE mailbox=? AND side=? AND id=? AND kind=1",
            params,
        )
        .map(drop)
    }

    /// Forgets what waited for these messages, and problems with them.
    pub fn settle(&self, mailbox: MailboxId, side: Side, ids: &IdSet) -> Result<()> {
        for range in ids.ranges() {
            let params = (mailbox.0, side as u8, *range.start() as i64, *range.end() as i64);
            self.execute(
                "DELETE FROM pending WHERE mailbox=? AND side=? AND id BETWEEN ? AND ?",
                params,
            )?;
        }
        self.settle_problems(mailbox, side, ids)
    }

    fn settle_problems(&self, mailbox: MailboxId, side: Side, ids: &IdSet) -> Result<()> {
        for range in ids.ranges() {
            self.execute(
                "DELETE FROM problem WHERE mailbox=? AND side=? AND id BETWEEN ? AND ?",
                (mailbox.0, side as u8, *range.start() as i64, *range.end() as i64),
            )?;
        }
        Ok(())
    }
}
