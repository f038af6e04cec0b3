//! The base rows.

use rusqlite::{Connection, Row};

use super::{State, failed, keywords, prefix, side_of};
use crate::error::Result;
use crate::model::{
    ContentDigest, EnvelopeKey, Gone, Half, HeaderDigest, Id, IdSet, InternalDate, MailboxId, MailboxPath, ObjectId,
    Pair, PairId, Side,
};

const SELECT: &str = "SELECT p.id, p.mailbox, p.size, p.content, p.header, p.envelope,
  l_id, l_flags, l_unseen, l_gone, l_size, l_date, lk.names, l_object,
  r_id, r_flags, r_unseen, r_gone, r_size, r_date, rk.names, r_object
  FROM pair p LEFT JOIN keyword_set lk ON lk.id=l_keywords LEFT JOIN keyword_set rk ON rk.id=r_keywords";

/// As the index `pair_gone` has it: only a query with these very words uses it.
const GONE: &str = "(l_gone <> 0 OR r_gone <> 0)";

/// Both sides have it, marked as deleted. As the index `pair_marked` has it.
const MARKED: &str = "(l_flags & r_flags & 8) <> 0 AND l_gone=0 AND r_gone=0";

/// A base row whose message was not found again on a side where its id had become void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The row.
    pub pair: PairId,
    /// The message's id on the other side, which still has it.
    pub id: Id,
    /// Under what validity the mailbox was looked at.
    pub validity: u64,
}

fn read_half(row: &Row<'_>, from: usize) -> rusqlite::Result<Half> {
    let names: Option<String> = row.get(from + 6)?;
    Ok(Half {
        id: row.get::<_, Option<i64>>(from)?.map(|id| id as u64),
        flags: keywords::flags(row.get(from + 1)?, names.as_deref()),
        unseen: row.get(from + 2)?,
        gone: match row.get::<_, u8>(from + 3)? {
            0 => Gone::No,
            1 => Gone::Pending,
            3 => Gone::Spare,
            _ => Gone::Held,
        },
        size: row.get::<_, Option<i64>>(from + 4)?.map(|size| size as u64),
        date: row.get::<_, Option<i64>>(from + 5)?.map(InternalDate),
        object: row.get::<_, Option<Box<str>>>(from + 7)?.map(ObjectId),
    })
}

fn read(row: &Row<'_>) -> rusqlite::Result<Pair> {
    Ok(Pair {
        id: PairId(row.get(0)?),
        mailbox: MailboxId(row.get(1)?),
        size: row.get::<_, i64>(2)? as u64,
        content: ContentDigest(row.get(3)?),
        header: HeaderDigest(row.get(4)?),
        envelope: row.get::<_, Option<[u8; 16]>>(5)?.map(EnvelopeKey),
        halves: [read_half(row, 6)?, read_half(row, 14)?],
    })
}

const fn gone_code(gone: Gone) -> u8 {
    match gone {
        Gone::No => 0,
        Gone::Pending => 1,
        Gone::Held => 2,
        Gone::Spare => 3,
    }
}

fn update_half(conn: &Connection, pair: PairId, side: Side, half: &Half) -> rusqlite::Result<usize> {
    let p = prefix(side);
    let keywords = keywords::store(conn, &half.flags)?;
    conn.prepare_cached(&format!(
        "UPDATE pair SET {p}_id=?, {p}_flags=?, {p}_keywords=?, {p}_unseen=?, {p}_gone=?, {p}_size=?, {p}_date=?, {p}_object=?
         WHERE id=?"
    ))?
    .execute((
        half.id.map(|id| id as i64), half.flags.system.bits(), keywords, half.unseen, gone_code(half.gone),
        half.size.map(|size| size as i64), half.date.map(|date| date.0),
        half.object.as_ref().map(|object| &*object.0), pair.0,
    ))
}

impl State {
    /// How many pairs a mailbox has.
    pub fn pair_count(&self, mailbox: MailboxId) -> Result<u64> {
        self.rows("SELECT count(*) FROM pair WHERE mailbox=?", [mailbox.0], |row| {
            row.get::<_, i64>(0)
        })
        .map(|rows| rows.first().map_or(0, |&n| n as u64))
    }

    /// Every id of a side that should be there: paired and not gone, pending as new, or left out.
    pub fn known_ids(&self, mailbox: MailboxId, side: Side) -> Result<IdSet> {
        let p = prefix(side);
        // In two steps, each answered from an index alone: the rows of a large mailbox are ten times as much to read.
        let all = format!("SELECT {p}_id FROM pair WHERE mailbox=? AND {p}_id IS NOT NULL ORDER BY {p}_id");
        let gone =
            format!("SELECT {p}_id FROM pair WHERE mailbox=? AND {GONE} AND {p}_gone <> 0 AND {p}_id IS NOT NULL");
        let new = "SELECT id FROM pending WHERE mailbox=? AND side=? AND kind<>1 ORDER BY id";
        let gone = self.ids(&gone, [mailbox.0])?;
        let new = self.ids(new, (mailbox.0, side as u8))?;
        let known = self.ids(&all, [mailbox.0])?.difference(&gone).union(&new);
        Ok(known)
    }

    /// A query of one column, ids, as a set: a million of them are a few ranges.
    fn ids(&self, sql: &str, params: impl rusqlite::Params) -> Result<IdSet> {
        let conn = self.conn();
        let mut query = conn.prepare_cached(sql).map_err(failed)?;
        let mut rows = query.query(params).map_err(failed)?;
        let mut ids = IdSet::new();
        while let Some(row) = rows.next().map_err(failed)? {
            ids.insert(row.get::<_, i64>(0).map_err(failed)? as u64);
        }
        Ok(ids)
    }

    /// The pairs with these ids on that side, ascending by id; ids without a pair are left out.
    pub fn pairs_by_ids(&self, mailbox: MailboxId, side: Side, ids: &IdSet) -> Result<Vec<Pair>> {
        let p = prefix(side);
        let sql = format!("{SELECT} WHERE mailbox=? AND {p}_id BETWEEN ? AND ? ORDER BY {p}_id");
        let mut found = Vec::new();
        for range in ids.ranges() {
            found.extend(self.rows(&sql, (mailbox.0, *range.start() as i64, *range.end() as i64), read)?);
        }
        Ok(found)
    }

    /// A few of a mailbox's pairs that have an id on that side: the newest and the oldest.
    pub fn some_pairs(&self, mailbox: MailboxId, side: Side, at_most: u32) -> Result<Vec<Pair>> {
        let p = prefix(side);
        let mut found = Vec::new();
        for order in ["DESC", "ASC"] {
            let sql = format!(
                "{SELECT} WHERE mailbox=? AND {p}_id IS NOT NULL AND {p}_gone=0 ORDER BY {p}_id {order} LIMIT ?"
            );
            found.extend(self.rows(&sql, (mailbox.0, at_most.div_ceil(2)), read)?);
        }
        found.sort_by_key(|pair| pair.id.0);
        found.dedup_by_key(|pair| pair.id);
        Ok(found)
    }

    /// The pair of that row.
    pub fn pair(&self, id: PairId) -> Result<Option<Pair>> {
        Ok(self.rows(&format!("{SELECT} WHERE p.id=?"), [id.0], read)?.pop())
    }

    /// The pairs of a mailbox that both sides marked as deleted.
    pub fn marked(&self, mailbox: MailboxId) -> Result<Vec<Pair>> {
        let mut marked = self.rows(&format!("{SELECT} WHERE mailbox=? AND {MARKED}"), [mailbox.0], read)?;
        marked.retain(|pair| pair.halves.iter().all(|half| half.id.is_some()));
        Ok(marked)
    }

    /// Whether there is any pair that both sides marked as deleted.
    pub fn has_marked(&self) -> Result<bool> {
        let sql = format!("SELECT 1 FROM pair WHERE {MARKED} AND l_id IS NOT NULL AND r_id IS NOT NULL LIMIT 1");
        Ok(!self.rows(&sql, [], |_| Ok(()))?.is_empty())
    }

    /// All pairs of a mailbox.
    pub fn pairs_of(&self, mailbox: MailboxId) -> Result<Vec<Pair>> {
        self.rows(&format!("{SELECT} WHERE mailbox=?"), [mailbox.0], read)
    }

    /// The pairs of a mailbox that are on both sides and have other flags on one than on the other.
    pub fn pairs_unlike(&self, mailbox: MailboxId) -> Result<Vec<Pair>> {
        let sql = format!(
            "{SELECT} WHERE mailbox=? AND (l_flags<>r_flags OR l_keywords<>r_keywords) AND l_gone=0 AND r_gone=0
             AND l_id IS NOT NULL AND r_id IS NOT NULL AND l_unseen=0 AND r_unseen=0"
        );
        self.rows(&sql, [mailbox.0], read)
    }

    /// The pairs of a mailbox that are gone on a side without the other having followed.
    pub fn pairs_gone(&self, mailbox: MailboxId) -> Result<Vec<Pair>> {
        self.rows(&format!("{SELECT} WHERE mailbox=? AND {GONE}"), [mailbox.0], read)
    }

    /// The pairs of a mailbox that have no id on a side.
    pub fn pairs_void(&self, mailbox: MailboxId) -> Result<Vec<Pair>> {
        self.rows(
            &format!("{SELECT} WHERE mailbox=? AND (l_id IS NULL OR r_id IS NULL)"),
            [mailbox.0],
            read,
        )
    }

    /// What the last complete look at its mailbox on that side did not find again, after its ids had become void.
    pub fn lost(&self, side: Side) -> Result<Vec<Lost>> {
        let (here, there) = (prefix(side.other()), prefix(side));
        let sql = format!(
            "SELECT p.mailbox, p.id, p.{here}_id, m.validity FROM pair p JOIN place m ON m.mailbox=p.mailbox AND m.side=?
             WHERE (l_id IS NULL OR r_id IS NULL) AND p.{there}_id IS NULL AND p.{there}_unseen=0 AND p.{there}_gone=0 AND p.{here}_id IS NOT NULL
             AND p.{here}_gone=0 AND m.token IS NOT NULL"
        );
        self.rows(&sql, [side as u8], |row| {
            Ok(Lost {
                mailbox: MailboxId(row.get(0)?),
                pair: PairId(row.get(1)?),
                id: row.get::<_, i64>(2)? as u64,
                validity: row.get::<_, Option<i64>>(3)?.unwrap_or(0) as u64,
            })
        })
    }

    /// Adds a pair; its `id` is not looked at. A row that has one of its ids already is replaced.
    pub fn add_pair(&self, pair: &Pair) -> Result<PairId> {
        let conn = self.conn();
        let [left, right] = &pair.halves;
        let add = || -> rusqlite::Result<i64> {
            let (left_keywords, right_keywords) = (
                keywords::store(&conn, &left.flags)?,
                keywords::store(&conn, &right.flags)?,
            );
            conn.prepare_cached(
                "INSERT OR REPLACE INTO pair (mailbox, size, content, header, envelope,
                   l_id, l_flags, l_keywords, l_unseen, l_gone, l_size, l_date, l_object,
                   r_id, r_flags, r_keywords, r_unseen, r_gone, r_size, r_date, r_object)
                 VALUES (?1,?2,?3,?4,?5, ?6,?7,?8,?9,?10,?11,?12,?13, ?14,?15,?16,?17,?18,?19,?20,?21)",
            )?
            .insert(rusqlite::params![
                pair.mailbox.0,
                pair.size as i64,
                pair.content.0,
                pair.header.0,
                pair.envelope.map(|e| e.0),
                left.id.map(|id| id as i64),
                left.flags.system.bits(),
                left_keywords,
                left.unseen,
                gone_code(left.gone),
                left.size.map(|size| size as i64),
                left.date.map(|date| date.0),
                left.object.as_ref().map(|object| &*object.0),
                right.id.map(|id| id as i64),
                right.flags.system.bits(),
                right_keywords,
                right.unseen,
                gone_code(right.gone),
                right.size.map(|size| size as i64),
                right.date.map(|date| date.0),
                right.object.as_ref().map(|object| &*object.0),
            ])
        };
        add().map(PairId).map_err(failed)
    }

    /// Writes one half of a pair anew.
    pub fn set_half(&self, pair: PairId, side: Side, half: &Half) -> Result<()> {
        update_half(&self.conn(), pair, side, half).map(drop).map_err(failed)
    }

    /// Marks a message as gone from a side, or as there again. A spare one stays so while its removal waits.
    pub fn set_gone(&self, pair: PairId, side: Side, gone: Gone) -> Result<()> {
        let p = prefix(side);
        self.execute(
            &format!("UPDATE pair SET {p}_gone=CASE WHEN {p}_gone=?3 AND ?1=?4 THEN ?3 ELSE ?1 END WHERE id=?2"),
            (
                gone_code(gone),
                pair.0,
                gone_code(Gone::Spare),
                gone_code(Gone::Pending),
            ),
        )
        .map(drop)
    }

    /// Puts a pair into another mailbox, with what each side now has of it.
    pub fn move_pair(&self, pair: PairId, mailbox: MailboxId, halves: [&Half; 2]) -> Result<()> {
        // Its old ids could be another message's there.
        self.execute(
            "UPDATE pair SET mailbox=?, l_id=NULL, r_id=NULL WHERE id=?",
            (mailbox.0, pair.0),
        )?;
        Side::BOTH
            .into_iter()
            .try_for_each(|side| self.set_half(pair, side, halves[side as usize]))
    }

    /// The pairs of that content, in any mailbox.
    pub fn pairs_by_content(&self, content: &ContentDigest) -> Result<Vec<Pair>> {
        self.rows(&format!("{SELECT} WHERE content=?"), [content.0], read)
    }

    /// Whether there is any pair at all.
    pub fn has_pairs(&self) -> Result<bool> {
        self.rows("SELECT 1 FROM pair LIMIT 1", [], |_| Ok(()))
            .map(|rows| !rows.is_empty())
    }

    /// The pairs that a server knows by that object id, in any mailbox.
    pub fn pairs_by_object(&self, side: Side, object: &ObjectId) -> Result<Vec<Pair>> {
        let p = prefix(side);
        self.rows(&format!("{SELECT} WHERE {p}_object=?"), [&*object.0], read)
    }

    /// Forgets pairs.
    pub fn drop_pair(&self, pair: PairId) -> Result<()> {
        self.execute("DELETE FROM pair WHERE id=?", [pair.0]).map(drop)
    }

    /// A side's ids of a mailbox mean nothing any more. What is paired stays known by content, what was pending is new; what
    /// was known to be gone stays gone, unless its content is found again.
    pub fn void_ids(&self, mailbox: MailboxId, side: Side) -> Result<()> {
        let p = prefix(side);
        self.execute(
            &format!("UPDATE pair SET {p}_id=NULL, {p}_unseen=0, {p}_size=NULL WHERE mailbox=?"),
            [mailbox.0],
        )?;
        self.execute(
            "DELETE FROM pending WHERE mailbox=? AND side=?",
            (mailbox.0, side as u8),
        )?;
        self.execute(
            "DELETE FROM problem WHERE mailbox=? AND side=? AND id IS NOT NULL",
            (mailbox.0, side as u8),
        )?;
        // What has an id on neither side is known of no message.
        self.execute(
            "DELETE FROM pair WHERE mailbox=? AND l_id IS NULL AND r_id IS NULL",
            [mailbox.0],
        )
        .map(drop)
    }

    /// The removals that guards hold back: where, which side lost the messages, how many.
    pub fn held(&self) -> Result<Vec<(MailboxPath, Side, u64)>> {
        let sql = format!(
            "SELECT m.path, 0, count(*) FROM pair p JOIN mailbox m ON m.id=p.mailbox WHERE l_gone=2 AND {GONE} GROUP BY m.path
             UNION ALL
             SELECT m.path, 1, count(*) FROM pair p JOIN mailbox m ON m.id=p.mailbox WHERE r_gone=2 AND {GONE} GROUP BY m.path"
        );
        let rows = self.rows(&sql, [], |row| {
            Ok((row.get::<_, String>(0)?, side_of(row.get(1)?), row.get::<_, i64>(2)?))
        })?;
        Ok(rows
            .into_iter()
            .filter_map(|(path, side, count)| Some((MailboxPath::from_text(&path)?, side, count as u64)))
            .collect())
    }

    /// What the left has of the paired messages of a mailbox, and what of that is on the right too: counts and bytes.
    pub fn tally(&self, mailbox: MailboxId) -> Result<[(u64, u64); 2]> {
        let sql =
            "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(there), 0), coalesce(sum(there * size), 0) FROM
                   (SELECT size, r_gone=0 AND (r_id IS NOT NULL OR r_unseen<>0) AS there FROM pair
                    WHERE mailbox=? AND l_id IS NOT NULL AND l_gone=0)";
        let rows = self.rows(sql, [mailbox.0], |row| {
            let number = |n| row.get::<_, i64>(n).map(|value| value as u64);
            Ok([(number(0)?, number(1)?), (number(2)?, number(3)?)])
        })?;
        Ok(rows.first().copied().unwrap_or_default())
    }

    /// How many messages of a mailbox, still on the left, were removed from the right since they were paired.
    pub fn removed_on_right(&self, mailbox: MailboxId) -> Result<u64> {
        let sql = "SELECT count(*) FROM pair WHERE mailbox=? AND l_id IS NOT NULL AND l_gone=0 AND r_gone<>0";
        let rows = self.rows(sql, [mailbox.0], |row| row.get::<_, i64>(0))?;
        Ok(rows.first().map_or(0, |&count| count as u64))
    }

    /// How many changes wait, because of a policy or a failure.
    pub fn pending_count(&self) -> Result<u64> {
        let sql = format!(
            "SELECT (SELECT count(*) FROM pending WHERE kind<2) + (SELECT count(*) FROM pair WHERE (l_gone IN (1,3) OR r_gone IN (1,3)) AND {GONE})"
        );
        self.rows(&sql, [], |row| row.get::<_, i64>(0))
            .map(|rows| rows.first().map_or(0, |&n| n as u64))
    }

    /// The id on the other side of a message, where it is paired.
    pub fn partner(&self, mailbox: MailboxId, side: Side, id: Id) -> Result<Option<Pair>> {
        Ok(self.pairs_by_ids(mailbox, side, &IdSet::range(id..=id))?.pop())
    }
}
