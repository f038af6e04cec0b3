//! The `file` table, as a Maildir sees it.

use rusqlite::Row;

use super::{State, failed};
use crate::error::Result;
use crate::maildir::index::{FileIndex, FileRow};
use crate::model::{ContentDigest, Id, IdSet, MailboxId};

const COLUMNS: &str = "id, uniq, size, mtime, inode, verbatim, content";

fn read(row: &Row<'_>) -> rusqlite::Result<FileRow> {
    Ok(FileRow {
        id: row.get::<_, i64>(0)? as u64,
        unique: row.get(1)?,
        size: row.get::<_, i64>(2)? as u64,
        mtime: row.get(3)?,
        inode: row.get::<_, i64>(4)? as u64,
        verbatim: row.get(5)?,
        content: row.get::<_, Option<[u8; 16]>>(6)?.map(ContentDigest),
    })
}

impl FileIndex for State {
    fn names(&self, mailbox: MailboxId, tell: &mut dyn FnMut(Id, &[u8])) -> Result<()> {
        let conn = self.conn();
        // From the index on names alone, in its order.
        let mut query = conn
            .prepare_cached("SELECT id, uniq FROM file WHERE mailbox=? ORDER BY uniq")
            .map_err(failed)?;
        let mut rows = query.query([mailbox.0]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let id = row.get::<_, i64>(0).map_err(failed)?;
            let unique = row.get_ref(1).and_then(|value| Ok(value.as_blob()?)).map_err(failed)?;
            tell(id as u64, unique);
        }
        Ok(())
    }

    fn by_name(&self, mailbox: MailboxId, unique: &[u8]) -> Result<Option<FileRow>> {
        let sql = format!("SELECT {COLUMNS} FROM file WHERE mailbox=? AND uniq=?");
        Ok(self.rows(&sql, (mailbox.0, unique), read)?.pop())
    }

    fn by_ids(&self, mailbox: MailboxId, ids: &IdSet) -> Result<Vec<FileRow>> {
        // The plus keeps SQLite from walking all files of the mailbox for the sake of an index on it.
        let sql = format!("SELECT {COLUMNS} FROM file WHERE +mailbox=? AND id BETWEEN ? AND ?");
        let mut found = Vec::new();
        for range in ids.ranges() {
            found.extend(self.rows(&sql, (mailbox.0, *range.start() as i64, *range.end() as i64), read)?);
        }
        Ok(found)
    }

    fn put(&self, mailbox: MailboxId, rows: &[FileRow]) -> Result<()> {
        let conn = self.conn();
        let mut insert = conn
            .prepare_cached(
                "INSERT OR REPLACE INTO file (id, mailbox, uniq, size, mtime, inode, verbatim, content)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .map_err(failed)?;
        for row in rows {
            let content = row.content.map(|c| c.0);
            insert
                .execute((
                    row.id as i64,
                    mailbox.0,
                    &row.unique,
                    row.size as i64,
                    row.mtime,
                    row.inode as i64,
                    row.verbatim,
                    content,
                ))
                .map_err(failed)?;
        }
        Ok(())
    }

    fn forget(&self, mailbox: MailboxId, ids: &IdSet) -> Result<()> {
        for range in ids.ranges() {
            self.execute(
                "DELETE FROM file WHERE +mailbox=? AND id BETWEEN ? AND ?",
                (mailbox.0, *range.start() as i64, *range.end() as i64),
            )?;
        }
        Ok(())
    }

    fn next_id(&self) -> Result<Id> {
        // Handed out from a block, so that 20,000 deliveries don't write this row 20,000 times. A block that is lost by
        // a crash leaves a gap, nothing else.
        let mut block = self.file_ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if block.is_empty() {
            const BLOCK: u64 = 1000;
            let start: u64 = self.fact("next-file")?.and_then(|text| text.parse().ok()).unwrap_or(1);
            self.set_fact("next-file", &(start + BLOCK).to_string())?;
            *block = start..start + BLOCK;
        }
        Ok(block.next().expect("the block is not empty"))
    }
}
