//! The layout's version: made when new, raised step by step when old, refused when newer than this program.

use rusqlite::Connection;

use super::failed;
use crate::error::{Failure, Kind, Result};

/// "homn": tells our files from other SQLite databases.
const APPLICATION_ID: i32 = 0x686f_6d6e;

/// Each step takes a database from the version of its place in the list to the next one. Steps are never changed once
/// released; the first makes the whole layout.
const STEPS: [&str; 1] = [include_str!("schema.sql")];

/// Brings the database to this program's version, all steps in one transaction.
pub(super) fn upgrade(conn: &mut Connection) -> Result<()> {
    let version: i64 = conn
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(failed)?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    let application: i32 = conn
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(failed)?;
    let foreign = if version == 0 {
        application != 0
    } else {
        application != APPLICATION_ID
    };
    if foreign {
        return Err(
            Failure::account(Kind::Config, "the state database belongs to another program")
                .hint("move that file away or name another directory with --state"),
        );
    }
    if version > STEPS.len() {
        return Err(Failure::account(
            Kind::Config,
            format!(
                "the state database has layout {version}; this homing knows layouts up to {}",
                STEPS.len()
            ),
        )
        .hint(
            "it was last used by a newer homing: run that one, or move the file away (mail is then paired by content)",
        ));
    }
    if version < STEPS.len() {
        let transaction = conn.transaction().map_err(failed)?;
        for step in &STEPS[version..] {
            transaction.execute_batch(step).map_err(failed)?;
        }
        transaction
            .execute_batch(&format!(
                "PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={}",
                STEPS.len()
            ))
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_keeps_and_refuses() {
        let mut conn = Connection::open_in_memory().unwrap();
        upgrade(&mut conn).unwrap();
        upgrade(&mut conn).unwrap();
        conn.execute_batch("PRAGMA user_version=99").unwrap();
        let newer = upgrade(&mut conn).unwrap_err();
        assert_eq!(newer.kind, Kind::Config);
        assert!(newer.what.contains("layout 99"), "{newer}");

        let mut foreign = Connection::open_in_memory().unwrap();
        foreign
            .execute_batch("PRAGMA application_id=7; PRAGMA user_version=1")
            .unwrap();
        assert!(upgrade(&mut foreign).unwrap_err().what.contains("another program"));
    }
}
