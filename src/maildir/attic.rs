//! The attic: where removed files wait, `ATTIC/DATE/MAILBOX/FILE` (DESIGN 7), or in an archive stay for good,
//! `gone/MAILBOX/cur/FILE` (DESIGN 13).
//!
//! To undo a removal by hand, move the file into a `cur`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::disk::{carry, create_directories, failure, if_there, names, reach_of_rename, shown, sync_directory};
use super::filename::FileName;
use super::layout::{Layout, directory};
use super::listing::Found;
use super::place::{Part, Place};
use super::store::{Shared, Shelves};
use crate::error::{Reach, Result};
use crate::model::MailboxPath;

impl Shared {
    /// Moves a file into the attic; durable with the next flush. `NotFound` if it has another name by now; other errors carry
    /// a failure.
    pub(super) fn shelve(&self, place: &Place, found: &Found, path: &MailboxPath) -> io::Result<PathBuf> {
        let room = self.room(path).map_err(io::Error::from)?;
        let from = place.file(found.part, &found.name);
        let name = self.name_on_shelf(&found.name);
        let mut copy = 1;
        loop {
            let to = room.join(OsStr::from_bytes(&with_number(&name, copy)));
            match carry(&from, &to) {
                Ok(()) => {
                    self.changed(room);
                    self.changed(place.part(found.part));
                    return Ok(to);
                }
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => copy += 1,
                Err(err) if err.kind() == io::ErrorKind::NotFound => {
                    if room.is_dir() {
                        return Err(err);
                    }
                    let made = self.make_room(&room);
                    made.map_err(|err| self.unshelved(&err, Reach::Mailbox, place))?;
                }
                Err(err) => {
                    let reach = if room.is_dir() {
                        reach_of_rename(&err)
                    } else {
                        Reach::Mailbox
                    };
                    return Err(self.unshelved(&err, reach, place));
                }
            }
        }
    }

    /// That a file could not be moved into the attic, and whether no other of its mailbox can be either.
    fn unshelved(&self, err: &io::Error, reach: Reach, place: &Place) -> io::Error {
        let what = format!("cannot move from {} into {}", shown(&place.path), self.shelf());
        failure(err, reach, what).into()
    }

    /// What to call it towards the user.
    pub(super) fn shelf(&self) -> String {
        let attic = shown(&self.options.attic);
        match self.options.shelves {
            Shelves::Days => format!("the attic {attic}"),
            Shelves::Mailboxes => attic,
        }
    }

    /// What a file is called in the attic. In a `cur` every name has an info.
    fn name_on_shelf(&self, name: &[u8]) -> Vec<u8> {
        let file = FileName::parse(name, self.separator);
        match self.options.shelves {
            Shelves::Mailboxes if file.unique.len() == name.len() => file.with_letters(&[], self.separator),
            _ => name.to_vec(),
        }
    }

    /// The directory in the attic for what is removed from a mailbox.
    fn room(&self, path: &MailboxPath) -> Result<PathBuf> {
        let (attic, raw) = (&self.options.attic, Layout::Nested.raw(path));
        match self.options.shelves {
            Shelves::Days => directory(&attic.join(self.options.today.to_string()), &raw),
            Shelves::Mailboxes => directory(attic, &raw).map(|mailbox| mailbox.join(Part::Cur.name())),
        }
    }

    /// Makes a directory in the attic, and its parents, durably: what is moved here from another file system is nowhere else.
    fn make_room(&self, room: &Path) -> io::Result<()> {
        let missing = room.ancestors().take_while(|path| !path.exists());
        let changed: Vec<PathBuf> = missing.filter_map(Path::parent).map(Path::to_owned).collect();
        create_directories(room)?;
        if let (Shelves::Mailboxes, Some(mailbox)) = (self.options.shelves, room.parent()) {
            let mailbox = Place::new(mailbox.to_owned());
            create_directories(&mailbox.part(Part::New))?;
            create_directories(&mailbox.tmp())?;
        }
        changed.iter().try_for_each(|directory| sync_directory(directory))
    }
}

/// The name for the n-th file of that name: a number before the first comma or the info, so that it stays a good name.
pub(super) fn with_number(name: &[u8], n: u32) -> Vec<u8> {
    if n == 1 {
        return name.to_vec();
    }
    let at = name.iter().position(|b| b",:;!".contains(b)).unwrap_or(name.len());
    [&name[..at], format!("_{n}").as_bytes(), &name[at..]].concat()
}

/// Deletes what has waited in an attic for more than `days` days: whole days, by the date that their directories are
/// named after. What is named otherwise is left alone. Returns how many days were cleared.
pub fn expire(attic: &Path, today: jiff::civil::Date, days: u32) -> Result<u32> {
    let trouble = |err: io::Error| failure(&err, Reach::Account, format!("cannot clear the attic {}", shown(attic)));
    let mut cleared = 0;
    for name in if_there(names(attic)).map_err(trouble)?.unwrap_or_default() {
        let path = attic.join(&name);
        let is_directory = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir());
        if is_directory
            && day_of(&name).is_some_and(|day| (today - day).get_days() > i32::try_from(days).unwrap_or(i32::MAX))
        {
            fs::remove_dir_all(&path).map_err(trouble)?;
            cleared += 1;
        }
    }
    Ok(cleared)
}

/// The day that a directory is named after; only the spelling that we use counts.
fn day_of(name: &Path) -> Option<jiff::civil::Date> {
    let text = name.to_str()?;
    let day: jiff::civil::Date = text.parse().ok()?;
    (day.to_string() == text).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn numbers_keep_names_good() {
        for (name, n, expected) in [
            ("1.x.h,S=5:2,S", 1, "1.x.h,S=5:2,S"),
            ("1.x.h,S=5:2,S", 2, "1.x.h_2,S=5:2,S"),
            ("1.x.h:2,S", 3, "1.x.h_3:2,S"),
            ("1.x.h", 2, "1.x.h_2"),
        ] {
            assert_eq!(with_number(name.as_bytes(), n), expected.as_bytes(), "{name}");
        }
    }

    #[test]
    fn only_old_days_go() {
        let dir = tempfile::tempdir().unwrap();
        let all = [
            "2026-01-31",
            "2026-02-01",
            "2026-03-03",
            "2025-12-31",
            "20260101",
            "keep",
            "2026-13-01",
        ];
        for name in all {
            fs::create_dir_all(dir.path().join(name).join("INBOX")).unwrap();
            fs::write(dir.path().join(name).join("INBOX/x"), "x").unwrap();
        }
        std::os::unix::fs::symlink("keep", dir.path().join("2020-01-01")).unwrap();
        fs::write(dir.path().join("2019-01-01"), "a file").unwrap();
        assert_eq!(expire(dir.path(), date(2026, 3, 3), 30).unwrap(), 2);
        let mut left: Vec<_> = names(dir.path()).unwrap();
        left.sort();
        let expected = [
            "2019-01-01",
            "2020-01-01",
            "2026-02-01",
            "2026-03-03",
            "2026-13-01",
            "20260101",
            "keep",
        ];
        assert_eq!(left, expected.map(PathBuf::from));
        assert!(dir.path().join("keep/INBOX/x").exists());
        assert_eq!(expire(&dir.path().join("none"), date(2026, 3, 3), 0).unwrap(), 0);
    }
}
