//! What was seen and recorded, and not carried over.

use std::collections::{BTreeMap, BTreeSet};

use super::{State, failed, keywords, side_of};
use crate::error::Result;
use crate::model::{Beyond, Flags, Gone, Id, IdSet, MailboxId, Side};

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
    /// All that waits in a mailbox; what is left out does not.
    pub fn pending(&self, mailbox: MailboxId) -> Result<Vec<Pending>> {
        self.rows(
            "SELECT d.side, d.id, d.kind, d.flags, k.names, CASE WHEN p.key IS NULL THEN NULL ELSE coalesce(p.next, ?2) END
             FROM pending d LEFT JOIN keyword_set k ON k.id=d.keywords
             LEFT JOIN problem p ON p.mailbox=d.mailbox AND p.side=d.side AND p.id=d.id
             WHERE d.mailbox=?1 AND d.kind < 2 ORDER BY d.side, d.id",
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
                "DELETE FROM pending WHERE mailbox=? AND side=? AND kind<>1 AND id BETWEEN ? AND ?",
                (mailbox.0, side as u8, *range.start() as i64, *range.end() as i64),
            )?;
        }
        self.settle_problems(mailbox, side, ids)
    }

    /// Whether something waits for a message: itself, a change of its flags, or a removal of its partner.
    pub fn is_waited_for(&self, mailbox: MailboxId, side: Side, id: Id) -> Result<bool> {
        let is_pending = |side: Side, id: Id| -> Result<bool> {
            let sql = "SELECT 1 FROM pending WHERE mailbox=? AND side=? AND id=?";
            let rows = self.rows(sql, (mailbox.0, side as u8, id as i64), |_| Ok(()))?;
            Ok(!rows.is_empty())
        };
        if is_pending(side, id)? {
            return Ok(true);
        }
        let Some(pair) = self.partner(mailbox, side, id)? else {
            return Ok(false);
        };
        let is_gone = pair.halves.iter().any(|half| half.gone != Gone::No);
        let there = pair.half(side.other()).id;
        Ok(is_gone || there.map_or(Ok(false), |there| is_pending(side.other(), there))?)
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

    /// Problems with these messages are over.
    pub fn settle_problems(&self, mailbox: MailboxId, side: Side, ids: &IdSet) -> Result<()> {
        for range in ids.ranges() {
            self.execute(
                "DELETE FROM problem WHERE mailbox=? AND side=? AND id BETWEEN ? AND ?",
                (mailbox.0, side as u8, *range.start() as i64, *range.end() as i64),
            )?;
        }
        Ok(())
    }
}

/// How a reason is kept in the column `kind`.
const fn kind(reason: Beyond) -> u8 {
    match reason {
        Beyond::Size => 2,
        Beyond::Date => 3,
    }
}

const fn reason(kind: u8) -> Beyond {
    if kind == 2 { Beyond::Size } else { Beyond::Date }
}

/// What the configuration leaves out.
impl State {
    /// Records new messages as left out, with their sizes as their side tells them.
    pub fn leave_out(&self, mailbox: MailboxId, side: Side, reason: Beyond, messages: &[(Id, u64)]) -> Result<()> {
        for &(id, size) in messages {
            let key = (mailbox.0, side as u8, id as i64);
            self.execute(
                "DELETE FROM pending WHERE mailbox=? AND side=? AND id=? AND kind<>1",
                key,
            )?;
            self.execute(
                "INSERT INTO pending (mailbox, side, id, kind, size) VALUES (?, ?, ?, ?, ?)",
                (mailbox.0, side as u8, id as i64, kind(reason), size as i64),
            )?;
        }
        Ok(())
    }

    /// What was left out for that reason is new again.
    pub fn let_in(&self, reason: Beyond) -> Result<()> {
        let sql = "UPDATE OR REPLACE pending SET kind=0, size=NULL WHERE kind=?";
        self.execute(sql, [kind(reason)]).map(drop)
    }

    /// The messages left out that have one of these sizes.
    pub fn left_out_of(
        &self,
        mailbox: MailboxId,
        side: Side,
        sizes: &BTreeSet<u64>,
    ) -> Result<BTreeMap<Beyond, Vec<(Id, u64)>>> {
        let sql = "SELECT kind, id, size FROM pending WHERE mailbox=? AND side=? AND kind>=2 ORDER BY id";
        let rows = self.rows(sql, (mailbox.0, side as u8), |row| {
            let kind: u8 = row.get(0)?;
            Ok((kind, row.get::<_, i64>(1)? as u64, row.get::<_, i64>(2)? as u64))
        })?;
        let mut found = BTreeMap::<_, Vec<_>>::new();
        for (kind, id, size) in rows.into_iter().filter(|(.., size)| sizes.contains(size)) {
            found.entry(reason(kind)).or_default().push((id, size));
        }
        Ok(found)
    }

    /// All messages of a mailbox that are left out.
    pub fn left_out_in(&self, mailbox: MailboxId, side: Side) -> Result<IdSet> {
        let sql = "SELECT id FROM pending WHERE mailbox=? AND side=? AND kind>=2 ORDER BY id";
        let ids = self.rows(sql, (mailbox.0, side as u8), |row| row.get::<_, i64>(0))?;
        Ok(ids.into_iter().map(|id| id as u64).collect())
    }

    /// How many messages are left out for each reason.
    pub fn left_out(&self) -> Result<BTreeMap<Beyond, u64>> {
        let sql = "SELECT kind, count(*) FROM pending WHERE kind>=2 GROUP BY kind";
        let rows = self.rows(sql, [], |row| Ok((row.get::<_, u8>(0)?, row.get::<_, i64>(1)? as u64)))?;
        Ok(rows.into_iter().map(|(kind, count)| (reason(kind), count)).collect())
    }
}
