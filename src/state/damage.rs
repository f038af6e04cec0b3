//! A damaged database is set aside, never repaired: what it knew is found again by content.

use std::fs::{File, rename};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::failed;
use crate::error::{Failure, Kind, Result};

/// Moves a database that SQLite cannot read out of the way, to a dated name in the same directory, which it gives.
/// `None`: nothing was found wrong. All pages are read only if the last run was cut off or ended for want of a
/// configuration, which is what a damaged database shows itself as.
pub(super) fn set_aside(path: &Path) -> Result<Option<PathBuf>> {
    if !is_damaged(path)? {
        return Ok(None);
    }
    let time = Timestamp::now().strftime("%Y-%m-%dT%H%M%SZ");
    let aside = (1..).map(|n| {
        with(
            path,
            &format!(".damaged-{time}{}", if n > 1 { format!(".{n}") } else { String::new() }),
        )
    });
    let aside = aside
        .into_iter()
        .find(|name| !name.exists())
        .expect("some name is free");
    // The log goes first: beside a new database it would be taken for its own.
    for suffix in ["-wal", "-shm", ""] {
        match rename(with(path, suffix), with(&aside, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let what = format!(
                    "the state database {} is damaged and cannot be moved away: {error}",
                    path.display()
                );
                return Err(Failure::account(Kind::Config, what).hint("move it away by hand and run again"));
            }
            _ => {}
        }
    }
    if let Some(directory) = path.parent() {
        // The name is a convenience; the next run would find it as damaged.
        let _ = File::open(directory).and_then(|directory| directory.sync_all());
    }
    Ok(Some(aside))
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Whether there is a database that SQLite cannot read; see [`set_aside`].
pub(super) fn is_damaged(path: &Path) -> Result<bool> {
    if !path.exists() {
        return Ok(false);
    }
    match look(path) {
        Ok(damaged) => Ok(damaged),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Ok(true),
            _ => Err(failed(error)),
        },
    }
}

fn look(path: &Path) -> rusqlite::Result<bool> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.busy_timeout(super::BUSY)?;
    let layout: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if layout == 0 {
        return Ok(false);
    }
    let query = "SELECT ended IS NULL OR exit=78 FROM run ORDER BY id DESC LIMIT 1";
    let suspect = conn.query_row(query, [], |row| row.get(0));
    let suspect = match suspect {
        // Another program's, or of a layout that is not ours: not for us to judge.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => false,
        Err(rusqlite::Error::QueryReturnedNoRows) => true,
        other => other?,
    };
    if !suspect {
        return Ok(false);
    }
    let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(verdict != "ok")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Seek, SeekFrom, Write};

    use super::super::{Purpose, State};
    use super::*;

    fn made(dir: &Path) -> PathBuf {
        let path = dir.join("sync.db");
        let state = State::open(&path, Purpose::Run).unwrap();
        let run = state.begin_run("sync").unwrap();
        for n in 0..5000 {
            state
                .set_fact(&format!("fact {n}"), "some text to fill pages with")
                .unwrap();
        }
        state.end_run(run, 0, "{}").unwrap();
        state.commit().unwrap();
        path
    }

    fn overwrite(path: &Path, from: u64, with: &[u8]) {
        let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(from)).unwrap();
        file.write_all(with).unwrap();
    }

    /// What is done to a database.
    type Change = fn(&Path);

    #[test]
    fn what_is_damaged_is_set_aside() {
        let rows: [(&str, Change, bool); 6] = [
            ("sound", |_| (), false),
            (
                "cut off, and sound",
                |path| {
                    let state = State::open(path, Purpose::Run).unwrap();
                    state.begin_run("sync").unwrap();
                    state.commit().unwrap();
                },
                false,
            ),
            ("no database", |path| fs::write(path, "mail".repeat(999)).unwrap(), true),
            ("its head is gone", |path| overwrite(path, 0, &[0xff; 4096]), true),
            (
                "a page of rows is gone, and the run that met it ended with 78",
                |path| {
                    let state = State::open(path, Purpose::Run).unwrap();
                    state.end_run(1, 78, "{}").unwrap();
                    state.commit().unwrap();
                    drop(state);
                    let length = fs::metadata(path).unwrap().len();
                    overwrite(path, length - 40_960, &vec![0xff; 36_864]);
                },
                true,
            ),
            ("empty", |path| fs::write(path, "").unwrap(), false),
        ];
        for (what, change, damaged) in rows {
            let dir = tempfile::tempdir().unwrap();
            let path = made(dir.path());
            change(&path);
            let before = fs::read(&path).unwrap();
            let aside = set_aside(&path).unwrap_or_else(|failure| panic!("{what}: {failure}"));
            assert_eq!(aside.is_some(), damaged, "{what}");
            if let Some(aside) = aside {
                assert_eq!(fs::read(&aside).unwrap(), before, "{what}: kept as it was");
                assert!(aside.to_string_lossy().contains("sync.db.damaged-20"), "{aside:?}");
                assert!(!path.exists(), "{what}");
                State::open(&path, Purpose::Run).unwrap();
            }
        }
    }

    #[test]
    fn a_newer_layout_is_not_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = made(dir.path());
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch("PRAGMA user_version=99; DROP TABLE run").unwrap();
        drop(conn);
        assert_eq!(set_aside(&path).unwrap(), None);
    }
}
