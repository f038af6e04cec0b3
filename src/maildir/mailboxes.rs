//! Creating, renaming and deleting mailboxes.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::batch::{LEFT_BEHIND, remove_left_behind};
use super::disk::{create_directories, create_directory, create_file, failure, if_there, names, rename_new, shown};
use super::escape::respelled;
use super::layout::Layout;
use super::place::{Look, Part, Place};
use super::store::Shared;
use super::workers::Answers;
use crate::error::{Failure, Reach, Result, Retry};
use crate::model::{IdSet, MailboxPath, RawName};
use crate::store::Done;

/// Files in a mailbox's directory that go with the mailbox. What other programs keep there is theirs.
const CONTROL_FILES: [&str; 2] = ["dovecot-keywords", "maildirfolder"];

impl Shared {
    /// Makes a mailbox and the levels above it, which are plain directories. The `cur` comes last: what has one is a
    /// mailbox.
    pub(super) fn create(&self, path: &MailboxPath, answers: Answers) -> Result<()> {
        match self.make(path) {
            Ok((raw, look)) => answers.tell(Done::Created {
                raw,
                validity: Some(look.validity()),
                identity: Some(look.identity()),
            }),
            Err(err) => answers.tell(Done::Failed(
                IdSet::new(),
                failure(&err, Reach::Mailbox, format!("cannot create {path}")),
            )),
        }
    }

    fn make(&self, path: &MailboxPath) -> io::Result<(RawName, Look)> {
        let root = &self.options.root;
        create_directories(root)?;
        let raw = self.layout.raw(path);
        let raw = if Layout::is_root(&raw) {
            raw
        } else {
            self.make_levels(&raw)?
        };
        let place = self.place(&raw).map_err(io::Error::from)?;
        make_parts(&place)?;
        if self.layout == Layout::MaildirPlusPlus && !Layout::is_root(&raw) {
            // Maildir++: "each folder must contain a file called maildirfolder".
            match create_file(&place.path.join("maildirfolder")) {
                Err(err) if err.kind() != io::ErrorKind::AlreadyExists => return Err(err),
                _ => {}
            }
        }
        let look = place.look()?;
        self.changed(place.path);
        Ok((raw, look))
    }

    /// Makes the directories of a raw name; what they are called then.
    fn make_levels(&self, raw: &RawName) -> io::Result<RawName> {
        let mut at = self.options.root.clone();
        let mut made: Vec<Vec<u8>> = Vec::new();
        for name in raw.as_bytes().split(|&b| b == b'/') {
            let name = make_exactly(&at, name)?;
            self.changed(at.clone());
            at.push(OsStr::from_bytes(&name));
            made.push(name);
        }
        Ok(RawName::new(made.join(&b'/')))
    }

    /// Renames a mailbox with all that lies beneath it.
    pub(super) fn rename(&self, from: &RawName, to: &MailboxPath, answers: Answers) -> Result<()> {
        let old = self.shown(from);
        let renamed = if Layout::is_root(from) {
            Err(
                Failure::mailbox("the INBOX of this layout is the Maildir itself and cannot be renamed")
                    .retry(Retry::Never),
            )
        } else {
            match self.layout {
                Layout::Nested => self.rename_tree(from, to),
                Layout::MaildirPlusPlus => self.rename_each(from, to),
            }
            .map_err(|err| {
                Failure::carried(&err)
                    .unwrap_or_else(|| failure(&err, Reach::Mailbox, format!("cannot rename {old} to {to}")))
            })
        };
        match renamed {
            Ok(raw) => answers.tell(Done::Renamed { raw }),
            Err(failure) => answers.tell(Done::Failed(IdSet::new(), failure)),
        }
    }

    /// Nested: what lies beneath comes along by itself.
    fn rename_tree(&self, from: &RawName, to: &MailboxPath) -> io::Result<RawName> {
        let mut raw = self.layout.raw(to);
        let [source, target] = [from, &raw].map(|raw| self.place(raw).map(|place| place.path));
        let (source, mut target) = (source?, target?);
        if source == target {
            return Ok(raw);
        }
        if is_same(&source, &target)? {
            raw = spelled_apart(from, &raw).ok_or_else(|| taken(&target))?;
            target = self.place(&raw)?.path;
        }
        if target.starts_with(&source) || target.is_dir() {
            create_directories(&target)?;
            move_entries(&source, &target)?;
            let _ = fs::remove_dir(&source);
        } else {
            create_directories(target.parent().unwrap_or(&target))?;
            rename_new(&source, &target).inspect_err(|_| self.remove_empty_levels(&target))?;
        }
        self.changed(target.clone());
        target
            .ancestors()
            .skip(1)
            .take_while(|up| up.starts_with(&self.options.root))
            .for_each(|up| self.changed(up.to_owned()));
        self.remove_empty_levels(&source);
        Ok(raw)
    }

    /// Maildir++: each mailbox beneath is renamed by itself, after a look whether all the new names are free.
    fn rename_each(&self, from: &RawName, to: &MailboxPath) -> io::Result<RawName> {
        let survey = self.survey()?;
        let old = self.layout.path(from).ok_or(io::ErrorKind::NotFound)?;
        let mut renames: Vec<(PathBuf, PathBuf)> = Vec::new();
        let mut new_raw = self.layout.raw(to);
        for listed in &survey.mailboxes {
            let Some(rest) = listed.path.components().strip_prefix(old.components()) else {
                continue;
            };
            let new = MailboxPath::new(to.components().iter().chain(rest).cloned()).unwrap_or_else(|| to.clone());
            let source = self.place(&listed.raw)?.path;
            let mut raw = self.layout.raw(&new);
            let mut target = self.place(&raw)?.path;
            if is_same(&source, &target)? {
                raw = spelled_apart(&listed.raw, &raw).ok_or_else(|| taken(&target))?;
                target = self.place(&raw)?.path;
            }
            if if_there(fs::symlink_metadata(&target))?.is_some() {
                return Err(taken(&target));
            }
            if new == *to {
                new_raw = raw;
            }
            renames.push((source, target));
        }
        if renames.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        for (source, target) in renames {
            create_directories(target.parent().unwrap_or(&target))?;
            rename_new(&source, &target)?;
            self.changed(self.options.root.clone());
            self.remove_empty_levels(&source);
        }
        Ok(new_raw)
    }

    /// Deletes a mailbox that is empty: its `cur`, `new` and `tmp`, and nothing beneath it. Only empty directories are
    /// removed, so a message that arrives meanwhile keeps the mailbox alive.
    pub(super) fn delete(&self, raw: &RawName, answers: Answers) -> Result<()> {
        let what = format!("cannot delete {}", self.shown(raw));
        let deleted = if Layout::is_root(raw) {
            Err(Failure::mailbox(format!("{what}: the INBOX of this layout is the Maildir itself")).retry(Retry::Never))
        } else {
            self.place(raw).and_then(|place| {
                self.delete_parts(&place)
                    .map_err(|err| Failure::carried(&err).unwrap_or_else(|| failure(&err, Reach::Mailbox, what)))
            })
        };
        match deleted {
            Ok(()) => answers.tell(Done::Deleted),
            Err(failure) => answers.tell(Done::Failed(IdSet::new(), failure)),
        }
    }

    fn delete_parts(&self, place: &Place) -> io::Result<()> {
        if !place.is_mailbox()? {
            return Ok(());
        }
        if !self.settled(place)?.listing.is_empty() {
            return Err(not_empty(place).into());
        }
        // Other programs' too: it would keep the mailbox for ever.
        remove_left_behind(place, LEFT_BEHIND, |_| true);
        let parts = [place.part(Part::New), place.part(Part::Cur), place.tmp()];
        for (at, part) in parts.iter().enumerate() {
            if let Err(err) = if_there(fs::remove_dir(part)) {
                for removed in &parts[..at] {
                    create_directory(removed)?;
                }
                let full = err.kind() == io::ErrorKind::DirectoryNotEmpty;
                return Err(if full { not_empty(place).into() } else { err });
            }
        }
        for file in CONTROL_FILES {
            if_there(fs::remove_file(place.path.join(file)))?;
        }
        self.changed(place.path.clone());
        let _ = fs::remove_dir(&place.path);
        self.remove_empty_levels(&place.path);
        Ok(())
    }

    /// Removes directories that were only levels above something that is gone, and are empty now. The root stays.
    fn remove_empty_levels(&self, gone: &Path) {
        let root = &self.options.root;
        for level in gone.ancestors().skip(1).take_while(|level| level.starts_with(root)) {
            self.changed(level.to_owned());
            if level == root || fs::remove_dir(level).is_err() {
                return;
            }
        }
    }
}

/// Makes what a mailbox consists of: all, or nothing that would be taken for a mailbox later. `cur` goes before `new`: a
/// mailbox without `new` is one to other programs, and gets it with its first message.
fn make_parts(place: &Place) -> io::Result<()> {
    let mut made = Vec::new();
    for part in ["tmp", Part::Cur.name(), Part::New.name()] {
        let path = place.path.join(part);
        match create_directory(&path) {
            Ok(true) => made.push(path),
            Ok(false) => {}
            Err(err) => {
                for path in made.iter().rev() {
                    let _ = std::fs::remove_dir(path);
                }
                return Err(err);
            }
        }
    }
    Ok(())
}

/// Makes a directory of exactly that name, or finds it there. On a file system without case the name may be taken by
/// another one; then it is spelled in a way that differs.
fn make_exactly(parent: &Path, name: &[u8]) -> io::Result<Vec<u8>> {
    let path = parent.join(OsStr::from_bytes(name));
    if create_directory(&path)? || names(parent)?.iter().any(|there| there.as_os_str().as_bytes() == name) {
        return Ok(name.to_vec());
    }
    let other = other_spelling(name).ok_or_else(|| taken(&path))?;
    create_directory(&parent.join(OsStr::from_bytes(&other)))?;
    Ok(other)
}

/// The same name on disk in another spelling; the dot in front of a Maildir++ name stays.
fn other_spelling(name: &[u8]) -> Option<Vec<u8>> {
    let (dot, rest) = name.split_at(usize::from(name.starts_with(b".")));
    let other = respelled(std::str::from_utf8(rest).ok()?)?;
    Some([dot, other.as_bytes()].concat())
}

/// Whether both lead to one directory: on a file system without case, names that differ in nothing else do.
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let number = |path| if_there(fs::symlink_metadata(path)).map(|meta| meta.map(|meta| (meta.dev(), meta.ino())));
    let one = number(one)?;
    Ok(one.is_some() && one == number(other)?)
}

/// The new name of a directory to which it leads already, the first level that differs spelled in another way: nothing
/// has that name yet, so one rename is all it takes.
fn spelled_apart(from: &RawName, to: &RawName) -> Option<RawName> {
    let mut levels: Vec<Vec<u8>> = to.as_bytes().split(|&b| b == b'/').map(<[u8]>::to_vec).collect();
    let old = from.as_bytes().split(|&b| b == b'/');
    let differs = levels.iter_mut().zip(old).find(|(new, old)| new != old);
    let (level, _) = differs?;
    *level = other_spelling(level)?;
    Some(RawName::new(levels.join(&b'/')))
}

/// Moves all entries of one directory into another one that exists and may lie beneath it. Nothing is moved if a name is
/// taken there. `cur` goes last.
fn move_entries(from: &Path, to: &Path) -> io::Result<()> {
    let mut entries = names(from)?;
    entries.retain(|name| !to.starts_with(from.join(name)));
    entries.sort_by_key(|name| name.as_os_str() == Part::Cur.name());
    for name in &entries {
        if if_there(fs::symlink_metadata(to.join(name)))?.is_some() {
            return Err(taken(&to.join(name)));
        }
    }
    entries
        .iter()
        .try_for_each(|name| rename_new(&from.join(name), &to.join(name)))
}

fn taken(path: &Path) -> io::Error {
    Failure::mailbox(format!("{} is there already", shown(path))).into()
}

/// That something lies in a mailbox yet, and what.
fn not_empty(place: &Place) -> Failure {
    let parts = [place.part(Part::New), place.part(Part::Cur), place.tmp()];
    let first = |part: &PathBuf| Some(part.join(names(part).ok()?.into_iter().min()?));
    let what = parts.iter().find_map(first);
    let what = what.map_or_else(String::new, |path| format!(": it holds {}", shown(&path)));
    Failure::mailbox(format!("{} is not empty{what}", shown(&place.path)))
        .hint("it is deleted in a later run, once it is empty")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_are_spelled_apart() {
        for (from, to, wanted) in [
            ("work", "Work", Some("%57ork")),
            ("a/work", "a/Work", Some("a/%57ork")),
            ("work/x", "Work/x", Some("%57ork/x")),
            (".work.x", ".Work.x", Some(".%57ork.x")),
            ("%57ork", "%57ORK", None),
            ("x", "x", None),
        ] {
            let apart = spelled_apart(&RawName::new(from), &RawName::new(to));
            assert_eq!(apart, wanted.map(RawName::new), "{from} → {to}");
        }
    }

    #[test]
    fn one_directory_is_told_by_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b, link, none] = ["a", "b", "link", "none"].map(|name| dir.path().join(name));
        fs::create_dir(&a).unwrap();
        fs::create_dir(&b).unwrap();
        std::os::unix::fs::symlink(&a, &link).unwrap();
        for (one, other, same) in [
            (&a, &dir.path().join("./a"), true),
            (&a, &b, false),
            (&a, &link, false),
            (&a, &none, false),
            (&none, &none, false),
        ] {
            assert_eq!(is_same(one, other).unwrap(), same, "{one:?}, {other:?}");
        }
    }
}
