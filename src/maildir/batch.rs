//! What was done since the last flush: complete files in `tmp/`, and directories whose entries changed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::disk::{failure, if_there, rename_new, shown, system_time};
use super::filename::{Origin, finished, is_ours};
use super::index::FileRow;
use super::place::{Part, Place};
use super::store::Shared;
use super::volume::{Durability, sync_directories};
use crate::error::{Reach, Result};
use crate::model::MailboxId;

/// What a killed run left in `tmp/` is removed after this time, as the Maildir page has it.
pub(super) const LEFT_BEHIND: Duration = Duration::from_secs(36 * 3600);
/// Attempts to find a free name. Names are unique; a taken one means that somebody copies our files about.
const ATTEMPTS: u32 = 10;

/// What was done since the last flush and is not durable yet.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) files: Vec<Delivery>,
    /// Directories whose entries changed.
    directories: BTreeSet<PathBuf>,
}

/// A complete file in `tmp/` that waits for the flush.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Where it is now.
    pub(super) path: PathBuf,
    pub(super) device: u64,
    pub(super) place: Place,
    pub(super) mailbox: MailboxId,
    pub(super) part: Part,
    /// Its info, separator included; empty in `new/`.
    pub(super) info: Vec<u8>,
    /// What its name says of where it came from; needed again if the name is taken.
    pub(super) origin: Option<Origin>,
    pub(super) row: FileRow,
}

impl Delivery {
    /// Whether its file has that name too. It is in no directory but `tmp/` before that, so the name is its own.
    fn is_at(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|meta| (meta.dev(), meta.ino()) == (self.device, self.row.inode))
    }
}

impl Drop for Batch {
    /// What was never flushed was never promised.
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove_file(&file.path);
        }
    }
}

impl Shared {
    /// Notes that entries of a directory changed and must be durable after the next flush.
    pub(super) fn changed(&self, directory: PathBuf) {
        self.batch
            .lock()
            .expect("no panic while held")
            .directories
            .insert(directory);
    }

    /// Makes durable what was done up to now. Files become durable under their names in `tmp/` first, so that no name in
    /// `new/` or `cur/` ever stands for half a message. After an error, what is still in `tmp/` is dropped: nothing can be
    /// known about data that could not be synced, and the intents are still open.
    pub(super) fn flush(&self) -> Result<()> {
        let mut batch = std::mem::take(&mut *self.batch.lock().expect("no panic while held"));
        let root = shown(&self.options.root);
        let trouble = |err: io::Error| failure(&err, Reach::Account, format!("cannot make mail durable in {root}"));
        if self.options.durability == Durability::Batch {
            let files: Vec<(u64, &Path)> = batch
                .files
                .iter()
                .map(|file| (file.device, file.path.as_path()))
                .collect();
            self.volumes.sync_files(&files).map_err(trouble)?;
        }
        let mut rows: Vec<(MailboxId, FileRow)> = Vec::with_capacity(batch.files.len());
        while let Some(mut file) = batch.files.pop() {
            if let Err(err) = self.put_in_place(&mut file) {
                batch.files.push(file);
                return Err(trouble(err));
            }
            batch.directories.insert(file.place.part(file.part));
            rows.push((file.mailbox, file.row.clone()));
        }
        if self.options.durability == Durability::Batch {
            let directories: Vec<PathBuf> = std::mem::take(&mut batch.directories).into_iter().collect();
            sync_directories(&directories).map_err(trouble)?;
        }
        self.put_all(rows)
    }

    /// Gives a delivered file its name. If that is taken it gets another one; nothing is overwritten.
    fn put_in_place(&self, file: &mut Delivery) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            let name = [file.row.unique.as_slice(), &file.info].concat();
            let to = file.place.file(file.part, &name);
            match file
                .place
                .with_directory(&file.place.part(file.part), || rename_new(&file.path, &to))
            {
                // NFS makes a link and may say that it was there already.
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists && file.is_at(&to) => {
                    return fs::remove_file(&file.path);
                }
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                    file.row.unique = finished(&self.namer.stem(file.origin), file.row.verbatim, file.row.size);
                }
                other => return other,
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn put_all(&self, mut rows: Vec<(MailboxId, FileRow)>) -> Result<()> {
        rows.sort_by_key(|(mailbox, row)| (*mailbox, row.id));
        for group in rows.chunk_by(|a, b| a.0 == b.0) {
            let of_mailbox: Vec<FileRow> = group.iter().map(|(_, row)| row.clone()).collect();
            self.index.put(group[0].0, &of_mailbox)?;
        }
        Ok(())
    }

    /// Once per mailbox and run: removes what a killed run left in `tmp/` long ago.
    pub(super) fn tidy(&self, place: &Place) {
        let first = self
            .tidied
            .lock()
            .expect("no panic while held")
            .insert(place.path.clone());
        if first {
            remove_left_behind(place, LEFT_BEHIND, is_ours);
        }
    }
}

/// Removes such files from `tmp/` as nobody has touched for that long. Failing is no harm: it is tried in each run.
pub(super) fn remove_left_behind(place: &Place, for_longer_than: Duration, such: impl Fn(&[u8]) -> bool) {
    let Ok(entries) = fs::read_dir(place.tmp()) else { return };
    for entry in entries.flatten().filter(|entry| such(entry.file_name().as_bytes())) {
        // Not the mtime: that is the message's date, which can be years back.
        let touched = entry.metadata().map(|meta| system_time(meta.ctime()));
        let age = touched.map(|touched| SystemTime::now().duration_since(touched).unwrap_or_default());
        if age.is_ok_and(|age| age > for_longer_than) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Removes what a killed run left in `tmp/` under an intent that is being looked for.
pub(super) fn discard_unfinished(place: &Place, is_one: impl Fn(&[u8]) -> bool) -> io::Result<()> {
    let Some(entries) = if_there(fs::read_dir(place.tmp()))? else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        if is_one(entry.file_name().as_bytes()) {
            if_there(fs::remove_file(entry.path()))?;
        }
    }
    Ok(())
}
