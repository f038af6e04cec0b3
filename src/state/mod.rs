//! What homing remembers of one pair of stores, in SQLite. On a local disk, WAL mode, so that `status` can look while a
//! run writes.
//!
//! There is always one transaction open: every call joins it, and [`State::commit`] ends it and begins the next. So what
//! stores note on the way (the `file` table) becomes durable together with the books that refer to it, and a dry run is a
//! run whose transaction is rolled back.

mod damage;
mod deeds;
mod doubts;
mod files;
mod history;
mod journal;
mod keywords;
mod lock;
mod mailboxes;
mod pairs;
mod pending;
mod problems;
mod runs;
mod traffic;
mod upgrade;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{Failure, Kind, Result};
use crate::model::Side;

pub use deeds::{Deed, DeedMessage, DeedRow};
pub use history::{Archived, Departed, MailboxThen, Then};
pub use journal::{Intent, IntentKind, IntentMessage, Renaming};
pub use lock::Lock;
pub use mailboxes::{MailboxRow, Place};
pub use pairs::Lost;
pub use pending::{Pending, PendingKind};
pub use problems::{Changes, ProblemKey, ProblemRow};
pub use runs::{BACKUP, RunRow};
pub use traffic::Traffic;

/// The state of one pair of stores. Calls may come from any thread.
pub struct State {
    conn: Mutex<Connection>,
    /// Nothing is made durable (any more).
    frozen: AtomicBool,
    /// Why nothing is made durable any more: a transaction was lost.
    broken: OnceLock<Failure>,
    /// File ids set aside for this process; see files.rs.
    file_ids: Mutex<std::ops::Range<u64>>,
}

/// So many statements are kept ready: all there are.
const STATEMENTS: usize = 256;

const DISK_HINT: &str = "look at the disk with the state: has it room, is it in good health? Then run again";

/// So long another program may hold the database.
const BUSY: Duration = Duration::from_secs(10);

/// What a state is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A run: made when missing, written.
    Run,
    /// A dry run: nothing stays written; when missing, an empty one in memory.
    DryRun,
    /// To look only; when missing, an empty one in memory. Does not need the lock.
    Look,
}

impl State {
    /// Opens `path`. Upgrades an older layout, refuses a newer one, and refuses a damaged file rather than guess.
    pub fn open(path: &Path, purpose: Purpose) -> Result<Self> {
        let in_memory = purpose != Purpose::Run && !path.exists();
        let conn = if in_memory {
            Connection::open_in_memory()
        } else {
            Connection::open_with_flags(
                path,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )
        }
        .map_err(failed)?;
        conn.busy_timeout(BUSY).map_err(failed)?;
        Self::begin(conn, purpose != Purpose::Run)
    }

    /// One that lives as long as the value, for tests.
    pub fn in_memory() -> Result<Self> {
        Self::begin(Connection::open_in_memory().map_err(failed)?, false)
    }

    fn begin(mut conn: Connection, frozen: bool) -> Result<Self> {
        // FULL: an intent must be on disk before its effect begins. Recursive: a row that is replaced counts as deleted.
        // Spill, checkpoint (in pages): what a transaction changes stays in memory up to 16 MiB, and is written to its
        // place at the end rather than whenever 2 MiB have come together; re-pairing writes each page some ten times. More
        // of a cache than that only repeats what the system's holds.
        conn.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-2048;
             PRAGMA cache_spill=4096; PRAGMA wal_autocheckpoint=4096; PRAGMA recursive_triggers=ON",
        )
        .map_err(failed)?;
        // Else a statement is compiled again each time that another value is bound to it.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(failed)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        upgrade::upgrade(&mut conn)?;
        conn.execute_batch("BEGIN").map_err(failed)?;
        Ok(Self {
            conn: Mutex::new(conn),
            frozen: AtomicBool::new(frozen),
            broken: OnceLock::new(),
            file_ids: Mutex::new(0..0),
        })
    }

    /// Opens `path` for a run. A damaged file is first set aside; gives where to.
    pub fn open_or_replace(path: &Path) -> Result<(Self, Option<PathBuf>)> {
        let aside = damage::set_aside(path)?;
        Ok((Self::open(path, Purpose::Run)?, aside))
    }

    /// Opens `path` for a dry run. In place of a damaged file, which stays where it is, an empty one in memory; gives whether
    /// that is so.
    pub fn open_or_imagine(path: &Path) -> Result<(Self, bool)> {
        if damage::is_damaged(path)? {
            let conn = Connection::open_in_memory().map_err(failed)?;
            return Ok((Self::begin(conn, true)?, true));
        }
        Ok((Self::open(path, Purpose::DryRun)?, false))
    }

    /// Makes everything noted so far durable. In a dry run: nothing. Once that has failed it always does, with the same
    /// failure: what was noted before is lost, and what comes after must not stand alone.
    pub fn commit(&self) -> Result<()> {
        if self.frozen.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.begin_again("COMMIT")
    }

    /// Has SQLite look through the whole file for damage.
    pub fn check(&self) -> Result<()> {
        let found = self.rows("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))?;
        match found.into_iter().find(|line| line != "ok") {
            None => Ok(()),
            Some(damage) => {
                let what = format!("the state database is damaged: {}", crate::error::clean(damage));
                Err(Failure::account(Kind::Config, what)
                    .hint("move it away; for an archive, the next run brings its copy back, if that is whole"))
            }
        }
    }

    /// Makes nothing durable any more, as if the process had been killed at this very point; for tests of that.
    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::SeqCst);
    }

    /// Goes back to what was last made durable, as the next process would find it.
    pub fn thaw(&self) -> Result<()> {
        self.frozen.store(false, Ordering::SeqCst);
        *self.file_ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = 0..0;
        self.begin_again("ROLLBACK")
    }

    /// Forgets everything, as if it had just been made; for tests, which use one database after the other.
    pub fn clear(&self) -> Result<()> {
        self.thaw()?;
        let tables = self.rows("SELECT name FROM sqlite_master WHERE type='table'", [], |row| {
            row.get::<_, String>(0)
        })?;
        for table in tables {
            self.execute(&format!("DELETE FROM {table}"), [])?;
        }
        self.commit()
    }

    /// Ends the transaction and begins the next, with nothing of another thread in between.
    fn begin_again(&self, end: &str) -> Result<()> {
        let conn = self.conn();
        if let Some(failure) = self.broken.get() {
            return Err(failure.clone());
        }
        let run = |sql| conn.prepare_cached(sql)?.execute([]);
        let begun = run(end).and_then(|_| run("BEGIN")).map_err(failed);
        begun
            .map(drop)
            .inspect_err(|failure| drop(self.broken.set(failure.clone())))
    }

    /// The connection, always inside a transaction. On a full or broken disk SQLite takes back the one under way by itself
    /// (sqlite.org/lang_transaction.html, "Response To Errors Within A Transaction"); each later change would then be a
    /// transaction of its own. They go into one that is never committed.
    fn conn(&self) -> MutexGuard<'_, Connection> {
        let conn = self.conn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if conn.is_autocommit() {
            self.broken.get_or_init(|| {
                let what = "the state database: what was noted could not be written, and is undone";
                Failure::account(Kind::Partial, what).hint(DISK_HINT)
            });
            let _ = conn.execute_batch("BEGIN");
        }
        conn
    }

    /// A fact about the whole pair, such as the last run's number.
    pub fn fact(&self, name: &str) -> Result<Option<String>> {
        use rusqlite::OptionalExtension;
        let conn = self.conn();
        let mut query = conn
            .prepare_cached("SELECT value FROM fact WHERE name=?")
            .map_err(failed)?;
        query.query_row([name], |row| row.get(0)).optional().map_err(failed)
    }

    /// Forgets a fact.
    pub fn drop_fact(&self, name: &str) -> Result<()> {
        self.execute("DELETE FROM fact WHERE name=?", [name]).map(drop)
    }

    /// Notes a fact.
    pub fn set_fact(&self, name: &str, value: &str) -> Result<()> {
        self.execute("INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)", (name, value))
            .map(drop)
    }

    fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
        self.conn()
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map_err(failed)
    }

    /// All rows of a query. The text of the query is one of ours, never built from outside.
    fn rows<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let conn = self.conn();
        let mut query = conn.prepare_cached(sql).map_err(failed)?;
        let rows = query.query_map(params, read).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }
}

/// The column prefix of a side.
fn prefix(side: Side) -> &'static str {
    match side {
        Side::Left => "l",
        Side::Right => "r",
    }
}

/// The side of a stored number.
fn side_of(code: u8) -> Side {
    if code == 0 { Side::Left } else { Side::Right }
}

/// A failure of SQLite in our words.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failed(error: rusqlite::Error) -> Failure {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase, ReadOnly, SystemIoFailure,
    };
    let what = format!("the state database: {error}");
    match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => {
            Failure::account(Kind::Temporary, what).hint("another program holds the database; the next run will do")
        }
        Some(DatabaseCorrupt | NotADatabase) => Failure::account(Kind::Config, what).hint(
            "the file is damaged: the next sync sets it aside and pairs mail by content; nothing is sent twice or removed",
        ),
        Some(DiskFull) => Failure::account(Kind::Partial, what).hint("the disk with the state is full: make room"),
        // Of its smaller files SQLite says so for want of room, too.
        Some(SystemIoFailure) => Failure::account(Kind::Partial, what)
            .hint(DISK_HINT),
        Some(CannotOpen) => Failure::account(Kind::Config, what).hint(
            "check that the state's directory can be read and written and has room; another can be named with --state",
        ),
        Some(ReadOnly) => Failure::account(Kind::Config, what).hint("the state's directory cannot be written"),
        _ => Failure::account(Kind::Config, what).hint("check the state's directory; it can be named with --state"),
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_lost_transaction_is_not_made_durable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sync.db");
        let state = State::open(&path, Purpose::Run).unwrap();
        state.set_fact("before", "").unwrap();
        state.commit().unwrap();
        state.set_fact("with it", "").unwrap();
        // As SQLite does by itself when the disk fails.
        state.conn().execute_batch("ROLLBACK").unwrap();
        state.set_fact("after", "").unwrap();
        for _ in 0..2 {
            let failure = state.commit().unwrap_err();
            assert!(
                failure.kind == Kind::Partial && failure.what.contains("is undone"),
                "{failure}"
            );
        }
        drop(state);
        let state = State::open(&path, Purpose::Run).unwrap();
        let known = ["before", "with it", "after"].map(|name| state.fact(name).unwrap().is_some());
        assert_eq!(known, [true, false, false]);
    }
}
