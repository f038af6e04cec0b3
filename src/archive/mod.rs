//! What `backup` keeps, and everything that reads it.
//!
//! An archive is a directory: `mail/` is a Maildir (nested) with the account as the server last had it, `gone/` another one
//! with what has left the server since, and `homing.db` a copy of the state, with the history: which message was where, with
//! which flags, from which run to which. `README.txt` says so to who finds it. Files are added, renamed and at last pruned,
//! and never changed.
//!
//! `view` is the account as it was at a run; `verify` compares files with their digests, and `manifest` lists these for
//! other programs; `prune` deletes what left long ago; `when` reads points in time as people write them.

pub mod manifest;
pub mod prune;
pub mod verify;
pub mod view;
pub mod when;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Failure, Kind, Result};
use crate::state::{Purpose, State};
use when::When;

/// Where an archive lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Its directory.
    pub root: PathBuf,
}

impl Archive {
    /// The archive in that directory, whether it is there or not.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The account as the server last had it.
    pub fn mail(&self) -> PathBuf {
        self.root.join("mail")
    }

    /// What has left the server.
    pub fn gone(&self) -> PathBuf {
        self.root.join("gone")
    }

    /// Damaged files that were replaced.
    pub fn damaged(&self) -> PathBuf {
        self.root.join("damaged")
    }

    /// What tells how to read it without homing.
    pub fn readme(&self) -> PathBuf {
        self.root.join("README.txt")
    }

    /// The copy of the state.
    pub fn database(&self) -> PathBuf {
        self.root.join("homing.db")
    }

    /// Opens its books, which `database` holds, or else their copy in the archive. They are only looked at.
    pub fn books(&self, database: &Path) -> Result<Books> {
        let copied = tempfile::tempdir().map_err(|err| unreadable(database, &err))?;
        let mut path = database.to_owned();
        if !database.exists() {
            path = copied.path().join("homing.db");
            match std::fs::copy(self.database(), &path) {
                Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Err(self.empty()),
                Err(err) => return Err(unreadable(&self.database(), &err)),
                Ok(_) => {}
            }
        }
        let state = Arc::new(State::open(&path, Purpose::Look)?);
        if !state.has_history()? {
            return Err(self.empty());
        }
        Ok(Books { state, _copied: copied })
    }

    fn empty(&self) -> Failure {
        let what = format!("there is no backup in {} yet", self.root.display());
        Failure::account(Kind::Usage, what).hint("make one with `homing backup`")
    }

    /// A path in it as a user finds it: relative to the root.
    pub fn shown(&self, path: &Path) -> String {
        use std::os::unix::ffi::OsStrExt;
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        crate::error::clean(path.as_os_str().as_bytes())
    }
}

/// The books of an archive, for looking.
pub struct Books {
    /// The state with the history.
    pub state: Arc<State>,
    /// Where it lies if it is a copy; deleted with this value.
    _copied: tempfile::TempDir,
}

/// What stands in [`Archive::readme`].
pub const README: &str = include_str!("README.txt");

/// The command whose runs are the points in time of an archive.
pub const COMMAND: &str = crate::state::BACKUP;

impl Books {
    /// The run that a point in time means; the last one where none is given.
    pub fn run_at(&self, when: Option<&When>) -> Result<i64> {
        let found = match when {
            None => self.state.run_by(COMMAND, i64::MAX)?,
            Some(When::By(time)) => self.state.run_by(COMMAND, *time)?,
            Some(&When::Run(run)) => self.state.is_run(COMMAND, run)?.then_some(run),
        };
        if let Some(found) = found {
            return Ok(found);
        }
        let what = match when {
            Some(When::Run(run)) => format!("the archive has no backup #{run}"),
            _ => "the archive had no backup by then".to_owned(),
        };
        let failure = Failure::account(Kind::Usage, what);
        let first = self.state.first_run(COMMAND)?;
        Err(
            match first.and_then(|first| Some((first.id, when::shown(first.ended?)?))) {
                Some((id, ended)) => failure.hint(format!(
                    "the first, #{id}, ended {ended}; `homing log` shows the others"
                )),
                None => failure.hint("make one with `homing backup`"),
            },
        )
    }
}

fn unreadable(path: &Path, err: &std::io::Error) -> Failure {
    let what = format!("cannot read {}: {err}", path.display());
    Failure::account(Kind::Partial, what).hint("check who owns it and its permissions")
}
