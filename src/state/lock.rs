//! One run at a time for each pair of stores.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::{Failure, Kind, Reach, Result};
use crate::maildir::disk::{failure, is_of_the_disk};
use crate::store::Stop;

/// Held as long as the value lives; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing the file is what unlocks it")] File);

impl Lock {
    /// Takes the lock, waiting up to `wait` for another run to end. Fails with [`Kind::Temporary`] (exit 75) when it is
    /// still held then. `database` is the pair's; its directory is created, and the lock lies beside it.
    pub fn take(database: &Path, wait: Duration, stop: &Stop) -> Result<Self> {
        let state = database.parent().unwrap_or(database);
        let broken = |error: std::io::Error| {
            let what = format!("cannot lock the state in {}", state.display());
            if is_of_the_disk(&error) {
                return failure(&error, Reach::Account, what);
            }
            Failure::account(Kind::Config, format!("{what}: {error}"))
                .hint("check that the directory is yours and on a local disk, or name another one with --state")
        };
        std::fs::create_dir_all(state).map_err(broken)?;
        let path = database.with_extension("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(broken)?;
        let deadline = Instant::now() + wait;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(error)) => return Err(broken(error)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline && !stop.load(Ordering::Relaxed) => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(
                        Failure::account(Kind::Temporary, "another homing is at work on this account")
                            .hint("wait for it with --wait SECONDS, or let the next run do it"),
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_waits_or_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let stop = Stop::default();
        let first = Lock::take(&dir.path().join("sync.db"), Duration::ZERO, &stop).unwrap();
        assert_eq!(
            Lock::take(&dir.path().join("sync.db"), Duration::ZERO, &stop)
                .unwrap_err()
                .kind,
            Kind::Temporary
        );
        std::thread::scope(|scope| {
            let second = scope.spawn(|| Lock::take(&dir.path().join("sync.db"), Duration::from_secs(20), &stop));
            std::thread::sleep(Duration::from_millis(120));
            drop(first);
            assert!(second.join().unwrap().is_ok());
        });
    }
}
