//! The marker file in the root of a Maildir: which account's mail this is (DESIGN 7).
//!
//! This module gives and takes the data; what a missing or foreign marker means is decided by the guards.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::disk::{create_directories, failure, if_there, replace_file, shown, small_file};
use crate::error::{Failure, Kind, Reach, Result, clean};

/// Its name. A mailbox that would get that name on disk is escaped.
pub const NAME: &str = ".homing";
const TEMPORARY: &str = ".homing.new";
const LARGEST: u64 = 64 * 1024;
const PREFACE: &str = "# Written by homing: whose mail lies here, and the last run. Leave it where it is.\n";

/// Which account a Maildir belongs to and up to which run it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Host name of the server.
    pub server: String,
    /// The user there.
    pub user: String,
    /// A random name that the state and the Maildir share.
    pub pair: String,
    /// The last run that wrote to this Maildir.
    pub run: u64,
}

impl Marker {
    /// The marker of a root; `None` where there is none. One that cannot be read is a failure of the guard's kind: nobody
    /// can say whose mail it is.
    pub fn read(root: &Path) -> Result<Option<Self>> {
        let path = root.join(NAME);
        let Some(text) = small_file(&path, LARGEST)? else {
            return Ok(None);
        };
        let marker = std::str::from_utf8(&text).map_err(|err| err.to_string());
        let marker = marker.and_then(|text| toml::from_str(text).map_err(|err| err.message().to_owned()));
        marker.map(Some).map_err(|why| {
            Failure::account(
                Kind::Guard,
                format!("the marker {} cannot be read: {}", shown(&path), clean(why)),
            )
            .hint("if the mail in this directory belongs to this account, delete that file; else correct `maildir`")
        })
    }

    /// Writes the marker, making the root if need be. Durable on return; a reader sees the old one or the new one.
    pub fn write(&self, root: &Path) -> Result<()> {
        let text = toml::to_string(self)
            .map_err(|err| Failure::account(Kind::Partial, format!("cannot write the marker: {err}")))?;
        let written = || {
            create_directories(root)?;
            // Left by a run that was killed right there; only one run at a time comes here.
            if_there(fs::remove_file(root.join(TEMPORARY)))?;
            replace_file(
                &root.join(NAME),
                &root.join(TEMPORARY),
                format!("{PREFACE}{text}").as_bytes(),
            )
        };
        written().map_err(|err| {
            failure(
                &err,
                Reach::Account,
                format!("cannot write the marker {}", shown(&root.join(NAME))),
            )
        })
    }
}

/// Whether a Maildir's root is there as a directory. What cannot be looked at is a failure, not an absence.
pub fn is_root_present(root: &Path) -> Result<bool> {
    let meta = if_there(fs::metadata(root))
        .map_err(|err| failure(&err, Reach::Account, format!("cannot look at {}", shown(root))))?;
    match meta {
        None => Ok(false),
        Some(meta) if meta.is_dir() => Ok(true),
        Some(_) => Err(Failure::account(
            Kind::Config,
            format!("{} is not a directory", shown(root)),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/b");
        assert!(!is_root_present(&root).unwrap());
        assert_eq!(Marker::read(&root).unwrap(), None);
        for run in [1, u32::MAX.into()] {
            let marker = Marker {
                server: "imap.example.org".into(),
                user: "a \"b\"\n".into(),
                pair: "5f".into(),
                run,
            };
            marker.write(&root).unwrap();
            assert_eq!(Marker::read(&root).unwrap(), Some(marker));
        }
        assert!(is_root_present(&root).unwrap());
        let mut names = super::super::disk::names(&root).unwrap();
        names.sort();
        assert_eq!(names, [Path::new(NAME)], "nothing else is left");
    }

    #[test]
    fn what_cannot_be_read_is_held() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "server = 1", "\u{0}", "server = \"x\""] {
            fs::write(dir.path().join(NAME), text).unwrap();
            assert_eq!(Marker::read(dir.path()).unwrap_err().kind, Kind::Guard, "{text:?}");
        }
        assert_eq!(is_root_present(&dir.path().join(NAME)).unwrap_err().kind, Kind::Config);
    }
}
