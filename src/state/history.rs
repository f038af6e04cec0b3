//! What an archive remembers: which message was where, with which flags, from which run to which.
//!
//! Triggers on the base rows note which of them change, so that noting a run costs what changed in it.

use rusqlite::Row;

use super::{State, failed, keywords};
use crate::error::Result;
use crate::model::{
    ContentDigest, EnvelopeKey, Flags, HeaderDigest, Id, IdSet, InternalDate, MailboxId, MailboxPath, Role,
};

const TABLES: &str = include_str!("history.sql");

/// `to_run` of what is still so.
const STILL: i64 = i64::MAX;

/// The mailboxes that both sides have.
const MAILBOXES: &str = "SELECT m.id, m.path, t.role, coalesce(t.subscribed, 0) AS subscribed FROM mailbox m
  JOIN place l ON l.mailbox=m.id AND l.side=0 JOIN place r ON r.mailbox=m.id AND r.side=1
  LEFT JOIN told t ON t.mailbox=m.id";

/// What makes a base row a message that the server has.
const THERE: &str = "p.r_gone=0 AND p.r_id IS NOT NULL";

/// A message that the archive holds.
#[derive(Clone, Debug)]
pub struct Archived {
    /// Its number, never given twice.
    pub id: Id,
    /// Where it was last.
    pub mailbox: MailboxId,
    /// The name on the left of that mailbox: today's, or for what left the server the one that it had then.
    pub path: Option<MailboxPath>,
    /// It is on the server, as far as is known.
    pub on_server: bool,
    /// The unique part of its file's name.
    pub unique: Vec<u8>,
    /// Its file holds the exact bytes, line ends included.
    pub verbatim: bool,
    /// Bytes in canonical form.
    pub size: u64,
    /// Its internal date.
    pub date: InternalDate,
    /// Over the canonical form.
    pub content: ContentDigest,
    /// Over the header block.
    pub header: HeaderDigest,
    /// Over four header fields.
    pub envelope: Option<EnvelopeKey>,
    /// When it was pruned, in seconds since 1970.
    pub pruned: Option<i64>,
}

/// A mailbox as it was at a run.
#[derive(Clone, Debug)]
pub struct MailboxThen {
    /// Its number.
    pub id: MailboxId,
    /// Its name on the left.
    pub path: MailboxPath,
    /// What it was for.
    pub role: Option<Role>,
    /// Mail programs showed it.
    pub subscribed: bool,
}

/// A message as it was at a run.
#[derive(Clone, Debug)]
pub struct Then {
    /// The message.
    pub message: Archived,
    /// Its flags then.
    pub flags: Flags,
}

/// A message in `gone/`.
#[derive(Clone, Debug)]
pub struct Departed {
    /// The message.
    pub message: Archived,
    /// The end of the run that found it gone, in seconds since 1970.
    pub since: i64,
}

const ARCHIVED: &str =
    "a.id, a.mailbox, coalesce(a.path, m.path), a.pair IS NOT NULL, a.uniq, a.verbatim, a.size, a.date,
  a.content, a.header, a.envelope, a.pruned";
const COLUMNS: usize = 12;

fn read(row: &Row<'_>) -> rusqlite::Result<Archived> {
    Ok(Archived {
        id: row.get::<_, i64>(0)? as u64,
        mailbox: MailboxId(row.get(1)?),
        path: row
            .get::<_, Option<String>>(2)?
            .and_then(|path| MailboxPath::from_text(&path)),
        on_server: row.get(3)?,
        unique: row.get(4)?,
        verbatim: row.get(5)?,
        size: row.get::<_, i64>(6)? as u64,
        date: InternalDate(row.get::<_, Option<i64>>(7)?.unwrap_or(0)),
        content: ContentDigest(row.get(8)?),
        header: HeaderDigest(row.get(9)?),
        envelope: row.get::<_, Option<[u8; 16]>>(10)?.map(EnvelopeKey),
        pruned: row.get(11)?,
    })
}

impl State {
    /// Keeps a history from now on.
    pub fn keep_history(&self) -> Result<()> {
        self.conn().execute_batch(TABLES).map_err(failed)
    }

    /// Whether there is a history in this state.
    pub fn has_history(&self) -> Result<bool> {
        let sql = "SELECT 1 FROM sqlite_master WHERE type='table' AND name='stay'";
        self.rows(sql, [], |_| Ok(())).map(|found| !found.is_empty())
    }

    /// Notes what is different since the last noting, as of this run. Returns how many rows that took.
    pub fn note_history(&self, run: i64) -> Result<usize> {
        let touched = "SELECT a.id FROM changed c JOIN archived a ON a.pair=c.pair UNION SELECT message FROM departed";
        let steps = [
            // Messages that are new in the archive, numbered as they arrived.
            format!(
                "INSERT INTO archived (pair, mailbox, uniq, verbatim, size, date, content, header, envelope)
                 SELECT p.id, p.mailbox, f.uniq, f.verbatim, p.size, coalesce(p.r_date, p.l_date, f.mtime/1000000000),
                   p.content, p.header, p.envelope
                 FROM changed c JOIN pair p ON p.id=c.pair JOIN file f ON f.id=p.l_id
                 WHERE {THERE} AND NOT EXISTS (SELECT 1 FROM archived a WHERE a.pair=p.id)
                 ORDER BY p.mailbox, p.r_id"
            ),
            // Files that have another name or another mailbox by now.
            "UPDATE archived SET mailbox=p.mailbox, uniq=f.uniq, verbatim=f.verbatim
             FROM changed c JOIN pair p ON p.id=c.pair JOIN file f ON f.id=p.l_id
             WHERE archived.pair=p.id AND (archived.mailbox<>p.mailbox OR archived.uniq<>f.uniq)"
                .to_owned(),
            // What is not so any more.
            format!(
                "UPDATE stay SET to_run=?1 WHERE to_run={STILL} AND message IN ({touched}) AND NOT EXISTS (
                   SELECT 1 FROM archived a JOIN pair p ON p.id=a.pair WHERE a.id=stay.message AND {THERE}
                   AND p.mailbox=stay.mailbox AND p.r_flags=stay.flags AND p.r_keywords=stay.keywords)"
            ),
            // What is so from now on.
            format!(
                "INSERT INTO stay (message, from_run, to_run, mailbox, flags, keywords)
                 SELECT a.id, ?1, {STILL}, p.mailbox, p.r_flags, p.r_keywords
                 FROM changed c JOIN archived a ON a.pair=c.pair JOIN pair p ON p.id=a.pair WHERE {THERE}
                 AND NOT EXISTS (SELECT 1 FROM stay s WHERE s.message=a.id AND s.to_run={STILL})"
            ),
            // Where what left the server was filed: under the name that its mailbox had.
            format!(
                "UPDATE archived SET path=coalesce(
                   (SELECT path FROM mailbox_stay m WHERE m.mailbox=archived.mailbox AND m.to_run={STILL}),
                   (SELECT path FROM mailbox m WHERE m.id=archived.mailbox))
                 WHERE pair IS NULL AND path IS NULL AND id IN (SELECT message FROM departed)"
            ),
            // Mailboxes, which are few.
            format!(
                "UPDATE mailbox_stay SET to_run=?1 WHERE to_run={STILL} AND NOT EXISTS (
                   SELECT 1 FROM ({MAILBOXES}) m WHERE m.id=mailbox_stay.mailbox AND m.path=mailbox_stay.path
                   AND m.role IS mailbox_stay.role AND m.subscribed=mailbox_stay.subscribed)"
            ),
            format!(
                "INSERT INTO mailbox_stay (mailbox, from_run, to_run, path, role, subscribed)
                 SELECT m.id, ?1, {STILL}, m.path, m.role, m.subscribed FROM ({MAILBOXES}) m
                 WHERE NOT EXISTS (SELECT 1 FROM mailbox_stay s WHERE s.mailbox=m.id AND s.to_run={STILL})"
            ),
        ];
        let mut rows = 0;
        for sql in &steps {
            rows += if sql.contains("?1") {
                self.execute(sql, [run])?
            } else {
                self.execute(sql, [])?
            };
        }
        // What came and went within the run.
        for table in ["stay", "mailbox_stay"] {
            self.execute(&format!("DELETE FROM {table} WHERE to_run=?1 AND from_run=?1"), [run])?;
        }
        self.execute("DELETE FROM changed", [])?;
        self.execute("DELETE FROM departed", [])?;
        Ok(rows)
    }

    /// The mailboxes that there were at a run.
    pub fn mailboxes_at(&self, run: i64) -> Result<Vec<MailboxThen>> {
        let sql =
            "SELECT mailbox, path, role, subscribed FROM mailbox_stay WHERE from_run<=?1 AND to_run>?1 ORDER BY path";
        let rows = self.rows(sql, [run], |row| {
            let path = MailboxPath::from_text(&row.get::<_, String>(1)?);
            let role = row.get::<_, Option<String>>(2)?;
            let (id, subscribed) = (MailboxId(row.get(0)?), row.get(3)?);
            Ok(path.map(|path| MailboxThen {
                id,
                path,
                role: role.as_deref().and_then(Role::named),
                subscribed,
            }))
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// Notes what the server says a mailbox is for; the next [`State::note_history`] remembers it.
    pub fn tell_role(&self, mailbox: MailboxId, role: Option<Role>) -> Result<()> {
        self.execute(
            "INSERT INTO told (mailbox, role) VALUES (?, ?)
             ON CONFLICT DO UPDATE SET role=excluded.role WHERE role IS NOT excluded.role",
            (mailbox.0, role.map(Role::attribute)),
        )
        .map(drop)
    }

    /// Notes whether mail programs show a mailbox; the next [`State::note_history`] remembers it.
    pub fn tell_subscribed(&self, mailbox: MailboxId, subscribed: bool) -> Result<()> {
        self.execute(
            "INSERT INTO told (mailbox, subscribed) VALUES (?, ?)
             ON CONFLICT DO UPDATE SET subscribed=excluded.subscribed WHERE subscribed<>excluded.subscribed",
            (mailbox.0, subscribed),
        )
        .map(drop)
    }

    /// The messages that were in a mailbox at a run. Pruned ones are left out.
    pub fn messages_at(&self, mailbox: MailboxId, run: i64) -> Result<IdSet> {
        let sql = "SELECT s.message FROM stay s JOIN archived a ON a.id=s.message
                   WHERE s.mailbox=?1 AND s.to_run>?2 AND s.from_run<=?2 AND a.pruned IS NULL ORDER BY s.message";
        let ids = self.rows(sql, (mailbox.0, run), |row| row.get::<_, i64>(0))?;
        Ok(ids.into_iter().map(|id| id as u64).collect())
    }

    /// Whether a file of that unique part belongs to a base row.
    pub fn is_paired_file(&self, unique: &[u8]) -> Result<bool> {
        let sql = "SELECT 1 FROM mailbox m JOIN file f ON f.mailbox=m.id AND f.uniq=?1
                   JOIN pair p ON p.mailbox=m.id AND p.l_id=f.id LIMIT 1";
        self.rows(sql, [unique], |_| Ok(())).map(|found| !found.is_empty())
    }

    /// How many messages that were in a mailbox at a run have been pruned since.
    pub fn pruned_of(&self, mailbox: MailboxId, run: i64) -> Result<u64> {
        let sql = "SELECT count(*) FROM archived a JOIN stay s ON s.message=a.id
                   WHERE s.mailbox=?1 AND s.to_run>?2 AND s.from_run<=?2 AND a.pruned IS NOT NULL";
        self.rows(sql, (mailbox.0, run), |row| row.get::<_, i64>(0))
            .map(|rows| rows.first().map_or(0, |&n| n as u64))
    }

    /// These messages as they were at a run, ascending.
    pub fn then(&self, mailbox: MailboxId, run: i64, ids: &IdSet) -> Result<Vec<Then>> {
        let sql = format!(
            "SELECT {ARCHIVED}, s.flags, k.names FROM archived a JOIN stay s ON s.message=a.id
             LEFT JOIN mailbox m ON m.id=a.mailbox LEFT JOIN keyword_set k ON k.id=s.keywords
             WHERE a.id BETWEEN ?1 AND ?2 AND s.mailbox=?3 AND s.from_run<=?4 AND s.to_run>?4 ORDER BY a.id"
        );
        let mut found = Vec::new();
        for range in ids.ranges() {
            let params = (*range.start() as i64, *range.end() as i64, mailbox.0, run);
            found.extend(self.rows(&sql, params, |row| {
                let names: Option<String> = row.get(COLUMNS + 1)?;
                Ok(Then {
                    message: read(row)?,
                    flags: keywords::flags(row.get(COLUMNS)?, names.as_deref()),
                })
            })?);
        }
        Ok(found)
    }

    /// The messages of the archive from a number on, ascending, at most so many; pruned ones are left out.
    pub fn archived_from(&self, from: Id, most: usize) -> Result<Vec<Archived>> {
        let sql = format!(
            "SELECT {ARCHIVED} FROM archived a LEFT JOIN mailbox m ON m.id=a.mailbox
             WHERE a.id>=?1 AND a.pruned IS NULL ORDER BY a.id LIMIT ?2"
        );
        self.rows(&sql, (from as i64, most as i64), read)
    }

    /// The messages that left the server in a run that ended before `before` (seconds since 1970), oldest first.
    pub fn departed_before(&self, before: i64) -> Result<Vec<Departed>> {
        let sql = format!(
            "SELECT {ARCHIVED}, r.ended FROM archived a LEFT JOIN mailbox m ON m.id=a.mailbox
             JOIN run r ON r.id=(SELECT max(s.to_run) FROM stay s WHERE s.message=a.id)
             WHERE a.pair IS NULL AND a.pruned IS NULL AND r.ended<?1 ORDER BY r.ended, a.id"
        );
        self.rows(&sql, [before], |row| {
            Ok(Departed {
                message: read(row)?,
                since: row.get(COLUMNS)?,
            })
        })
    }

    /// Notes when the files of these messages were deleted for good; `None`: they were not.
    pub fn note_pruned(&self, ids: &IdSet, at: Option<i64>) -> Result<()> {
        let sql = "UPDATE archived SET pruned=? WHERE id BETWEEN ? AND ?";
        for range in ids.ranges() {
            self.execute(sql, (at, *range.start() as i64, *range.end() as i64))?;
        }
        Ok(())
    }

    /// Those of these messages that were pruned.
    pub fn pruned_among(&self, ids: &IdSet) -> Result<Vec<Archived>> {
        let sql = format!(
            "SELECT {ARCHIVED} FROM archived a LEFT JOIN mailbox m ON m.id=a.mailbox
             WHERE a.id BETWEEN ?1 AND ?2 AND a.pruned IS NOT NULL ORDER BY a.id"
        );
        let mut found = Vec::new();
        for range in ids.ranges() {
            found.extend(self.rows(&sql, (*range.start() as i64, *range.end() as i64), read)?);
        }
        Ok(found)
    }

    /// Whether the archive holds a message of that content under that name which was not pruned.
    pub fn is_kept(&self, message: &Archived) -> Result<bool> {
        let sql = "SELECT 1 FROM archived WHERE content=? AND uniq=? AND pruned IS NULL LIMIT 1";
        self.rows(sql, (message.content.0, &message.unique), |_| Ok(()))
            .map(|found| !found.is_empty())
    }

    /// The last run of that command that had ended by then (seconds since 1970).
    pub fn run_by(&self, command: &str, time: i64) -> Result<Option<i64>> {
        let sql = "SELECT max(id) FROM run WHERE command=? AND ended<=?";
        self.rows(sql, (command, time), |row| row.get(0))
            .map(|rows| rows.into_iter().next().flatten())
    }

    /// Whether that command made a run of that number, to its end.
    pub fn is_run(&self, command: &str, run: i64) -> Result<bool> {
        let sql = "SELECT 1 FROM run WHERE command=? AND id=? AND ended IS NOT NULL";
        self.rows(sql, (command, run), |_| Ok(()))
            .map(|found| !found.is_empty())
    }

    /// Writes a consistent copy of the database to a path where nothing is yet.
    pub fn copy_to(&self, path: &std::path::Path) -> Result<()> {
        let conn = self.conn();
        let path = path.to_string_lossy();
        conn.execute_batch("COMMIT").map_err(failed)?;
        let copied = conn.execute("VACUUM INTO ?", [&path]).map_err(failed);
        conn.execute_batch("BEGIN").map_err(failed)?;
        copied.map(drop)
    }
}
