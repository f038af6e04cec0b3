//! What an export has written so far, noted in a hidden file beside it until all is done. One that was cut off goes on when
//! it is asked for again: it keeps what is whole and still the same, and replaces nothing but what it wrote itself.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Failure, Kind, Reach, Result};
use crate::maildir::disk::{create_directories, failure, if_there, mtime, shown};

/// What its name begins with; `import` leaves hidden files alone.
const NAME: &str = ".homing-export-";

/// The notes of an export into a directory.
pub(super) struct Notes {
    root: PathBuf,
    path: PathBuf,
    /// Open and locked once something is written.
    file: Option<File>,
    /// Every file that got its name from this export, or was about to, by its path below the root.
    ours: HashMap<PathBuf, Vec<Stamp>>,
    /// Files that stand for whole mailboxes, and what these held.
    whole: HashMap<PathBuf, (Stamp, String)>,
}

/// By what a file is known again: its size, and the time of its last change in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u64, i64);

impl Stamp {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self(meta.len(), mtime(meta))
    }
}

impl Notes {
    /// Reads what an earlier export of the same left, if one was cut off; `key` tells what is exported. A dry run takes no
    /// lock.
    pub(super) fn open(root: &Path, key: &str, dry_run: bool) -> Result<Self> {
        let mut notes = Self {
            root: root.to_owned(),
            path: root.join(format!("{NAME}{key}")),
            file: None,
            ours: HashMap::new(),
            whole: HashMap::new(),
        };
        let path = notes.path.clone();
        let unreadable = |err: io::Error| failure(&err, Reach::Account, format!("cannot read {}", shown(&path)));
        let opened = OpenOptions::new().read(true).append(!dry_run).open(&path);
        let Some(mut file) = if_there(opened).map_err(unreadable)? else {
            return Ok(notes);
        };
        if !dry_run {
            notes.lock(&file)?;
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(unreadable)?;
        for line in String::from_utf8_lossy(&text).lines() {
            // The last line can be half a line.
            let _ = notes.read(line);
        }
        if !dry_run {
            file.write_all(b"\n").map_err(unreadable)?;
            notes.file = Some(file);
        }
        Ok(notes)
    }

    fn read(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_once('\t')?;
        let [size, time, rest] = rest.splitn(3, '\t').collect::<Vec<_>>().try_into().ok()?;
        let stamp = Stamp(size.parse().ok()?, time.parse().ok()?);
        if kind == "file" {
            self.ours.entry(PathBuf::from(rest)).or_default().push(stamp);
        } else if kind == "whole" {
            let (held, path) = rest.split_once('\t')?;
            self.whole.insert(PathBuf::from(path), (stamp, held.to_owned()));
        }
        Some(())
    }

    fn lock(&self, file: &File) -> Result<()> {
        match file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => {
                let what = format!("another export of this is at work in {}", shown(&self.root));
                Err(Failure::account(Kind::Temporary, what))
            }
            Err(TryLockError::Error(err)) => Err(failure(
                &err,
                Reach::Account,
                format!("cannot lock {}", shown(&self.path)),
            )),
        }
    }

    /// Whether a file is one that the export that was cut off wrote, as it wrote it.
    pub(super) fn is_ours(&self, path: &Path) -> bool {
        let now = fs::symlink_metadata(self.root.join(path)).ok();
        let now = now.filter(Metadata::is_file).map(|meta| Stamp::of(&meta));
        let stamps = self.ours.get(path);
        now.is_some_and(|now| stamps.is_some_and(|stamps| stamps.contains(&now)))
    }

    /// Whether a whole mailbox is there already, holding just this.
    pub(super) fn has(&self, path: &Path, held: &str) -> bool {
        let meta = fs::symlink_metadata(self.root.join(path)).ok();
        let noted = self.whole.get(path);
        meta.zip(noted)
            .is_some_and(|(meta, (stamp, then))| *stamp == Stamp::of(&meta) && then == held)
    }

    /// Something is about to be written.
    pub(super) fn begin(&mut self) -> Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        let unwritable = |err: io::Error| failure(&err, Reach::Account, format!("cannot write {}", shown(&self.path)));
        create_directories(&self.root).map_err(unwritable)?;
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        let file = file.map_err(unwritable)?;
        self.lock(&file)?;
        self.file = Some(file);
        Ok(())
    }

    /// A file is about to get this name. Not made durable: what is not noted is left alone.
    pub(super) fn note(&mut self, path: &Path, stamp: Stamp) -> io::Result<()> {
        self.ours.entry(path.to_owned()).or_default().push(stamp);
        self.line(&format!("file\t{}\t{}\t{}\n", stamp.0, stamp.1, path.display()))
    }

    /// The same for one that stands for a whole mailbox, which is durable but for that name.
    pub(super) fn note_whole(&mut self, path: &Path, stamp: Stamp, held: &str) -> io::Result<()> {
        self.note(path, stamp)?;
        self.line(&format!(
            "whole\t{}\t{}\t{held}\t{}\n",
            stamp.0,
            stamp.1,
            path.display()
        ))
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        self.file
            .as_mut()
            .map_or(Ok(()), |file| file.write_all(line.as_bytes()))
    }

    /// All was written: there is nothing to go on with.
    pub(super) fn end(self) {
        if self.file.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}
