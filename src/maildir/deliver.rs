//! Messages on their way in: written to `tmp/` as they stream, made durable a batch at a time, then renamed into place.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::disk::{
    create_directory, create_file, failure, if_there, mtime, rename_new, shown, sync_directory, system_time,
};
use super::filename::{FileName, Origin, finished, is_ours};
use super::index::FileRow;
use super::lines::{Bare, ToCanonical, ToDisk};
use super::listing::Found;
use super::place::{Part, Place};
use super::store::Shared;
use super::volume::{Durability, sync_directories};
use super::workers::Answers;
use crate::error::{Failure, Reach, Result};
use crate::model::{Flags, Identity, InternalDate, Mailbox, MailboxId};
use crate::store::{Append, Done, Head, Landing, Meet, ReadJob, Sink, Target};

/// What is kept in memory of a message; a smaller one is written in one go, once all is known about it.
const BUFFER: usize = 64 * 1024;
/// What a killed run left in `tmp/` is removed after this time, as the Maildir page has it.
const LEFT_BEHIND: Duration = Duration::from_hours(36);
/// Attempts to find a free name. Names are unique; a taken one means that somebody copies our files about.
const ATTEMPTS: u32 = 10;

/// What was done since the last flush and is not durable yet.
#[derive(Debug, Default)]
pub(super) struct Batch {
    files: Vec<Delivery>,
    /// Directories whose entries changed.
    directories: BTreeSet<PathBuf>,
}

/// A complete file in `tmp/` that waits for the flush.
#[derive(Debug)]
struct Delivery {
    /// Where it is now.
    path: PathBuf,
    device: u64,
    place: Place,
    mailbox: MailboxId,
    part: Part,
    /// Its info, separator included; empty in `new/`.
    info: Vec<u8>,
    /// What its name says of where it came from; needed again if the name is taken.
    origin: Option<Origin>,
    row: FileRow,
}

impl Drop for Batch {
    /// What was never flushed was never promised.
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove_file(&file.path);
        }
    }
}

/// The Maildir as the target of messages.
pub(super) struct Deliveries(pub(super) Arc<Shared>);

impl Target for Deliveries {
    fn begin(&self, job: &ReadJob, head: &Head) -> Result<Box<dyn Sink>> {
        let origin = Origin {
            state: self.0.options.state,
            intent: job.intent,
            source: head.id,
        };
        let draft = Draft::new(&self.0, &job.to, Some(origin), head.flags.clone(), head.date)?;
        Ok(Box::new(Draft {
            meet: job.meet.clone(),
            ..draft
        }))
    }
}

/// A message being written.
struct Draft {
    shared: Arc<Shared>,
    place: Place,
    mailbox: MailboxId,
    origin: Option<Origin>,
    flags: Flags,
    date: InternalDate,
    meet: Option<Arc<Meet>>,
    body: Body,
}

/// The bytes of a message, in the form that they will have on disk.
struct Body {
    /// The name before size and info.
    stem: Vec<u8>,
    tmp: PathBuf,
    /// Made when the message outgrows the buffer, or is complete.
    file: Option<(PathBuf, File)>,
    /// What is not in the file yet.
    buffer: Vec<u8>,
    /// `None` once the message has turned out to be one to store verbatim.
    turn: Option<ToDisk>,
}

impl Draft {
    fn new(
        shared: &Arc<Shared>,
        to: &Mailbox,
        origin: Option<Origin>,
        flags: Flags,
        date: InternalDate,
    ) -> Result<Self> {
        if shared.options.read_only {
            return Err(Failure::mailbox("this Maildir is only read"));
        }
        let place = shared.place(&to.raw)?;
        shared.tidy(&place);
        let stem = shared.namer.stem(origin);
        let body = Body {
            stem,
            tmp: place.tmp(),
            file: None,
            buffer: Vec::new(),
            turn: Some(ToDisk::default()),
        };
        Ok(Self {
            shared: Arc::clone(shared),
            mailbox: to.id,
            place,
            origin,
            flags,
            date,
            meet: None,
            body,
        })
    }

    fn trouble(&self, err: &io::Error) -> Failure {
        Failure::carried(err).unwrap_or_else(|| {
            failure(
                err,
                Reach::Mailbox,
                format!("cannot write into {}", shown(&self.place.path)),
            )
        })
    }

    /// Completes the file and puts it into the batch.
    fn complete(&mut self, identity: &Identity) -> Result<Landing> {
        let keywords = self.shared.keywords_for(&self.place, &self.flags)?;
        let letters = keywords.letters(&self.flags);
        let (part, info) = place_and_info(&letters, self.shared.separator);
        let flags = keywords.flags(&FileName {
            unique: b"",
            letters: &letters,
            rest: b"",
        });
        let id = self.shared.index.next_id()?;

        let verbatim = self.body.is_verbatim();
        let completed = self.body.complete(&self.shared, &self.place, self.date);
        let (path, meta) = completed.map_err(|err| self.trouble(&err))?;
        let unique = finished(&self.body.stem, verbatim, meta.len());
        let row = FileRow {
            id,
            unique,
            size: meta.len(),
            mtime: mtime(&meta),
            inode: meta.ino(),
            verbatim,
            content: Some(identity.content),
        };
        let delivery = Delivery {
            path,
            device: meta.dev(),
            place: self.place.clone(),
            mailbox: self.mailbox,
            part,
            info,
            origin: self.origin,
            row,
        };
        self.shared
            .batch
            .lock()
            .expect("no panic while held")
            .files
            .push(delivery);
        Ok(Landing::Here(id, flags))
    }
}

/// A fresh message waits in `new/` for a mail program to notice it; one with flags has been seen by one.
pub(super) fn place_and_info(letters: &[u8], separator: u8) -> (Part, Vec<u8>) {
    if letters.is_empty() {
        return (Part::New, Vec::new());
    }
    let info = FileName {
        unique: b"",
        letters: b"",
        rest: b"",
    }
    .with_letters(letters, separator);
    (Part::Cur, info)
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.body
            .write(&self.shared, &self.place, bytes)
            .map_err(|err| self.trouble(&err))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Draft {
    fn finish(mut self: Box<Self>, identity: &Identity) -> Result<Landing> {
        if let Some(id) = self.meet.as_ref().and_then(|meet| meet.take(&identity.content)) {
            return Ok(Landing::Met(id));
        }
        self.body.end().map_err(|err| self.trouble(&err))?;
        self.complete(identity)
    }
}

impl Body {
    fn write(&mut self, shared: &Shared, place: &Place, bytes: &[u8]) -> io::Result<()> {
        let before = self.buffer.len();
        match self.turn.as_mut().map(|turn| turn.turn(bytes, &mut self.buffer)) {
            Some(Ok(())) => {}
            Some(Err(Bare)) => {
                self.buffer.truncate(before);
                self.turn_back()?;
                self.buffer.extend_from_slice(bytes);
            }
            None => self.buffer.extend_from_slice(bytes),
        }
        if self.buffer.len() >= BUFFER {
            self.spill(shared, place).map(|_| ())
        } else {
            Ok(())
        }
    }

    /// No more will come. A CR at the very end is a bare one.
    fn end(&mut self) -> io::Result<()> {
        if self.turn.as_ref().is_some_and(|turn| !turn.held_back().is_empty()) {
            self.turn_back()
        } else {
            Ok(())
        }
    }

    fn is_verbatim(&self) -> bool {
        self.turn.is_none()
    }

    /// From here on the message is stored verbatim; what was written in LF form is turned back.
    fn turn_back(&mut self) -> io::Result<()> {
        let Some(turn) = self.turn.take() else { return Ok(()) };
        let mut back = ToCanonical::default();
        if let Some((path, mut file)) = self.file.take() {
            let verbatim = path.with_extension("verbatim");
            self.file = Some((verbatim.clone(), create_file(&verbatim)?));
            let rewritten = self.rewrite(&mut file, &mut back);
            fs::remove_file(&path)?;
            rewritten?;
        }
        let mut buffer = Vec::with_capacity(self.buffer.len() + BUFFER);
        back.turn(&self.buffer, &mut buffer);
        buffer.extend_from_slice(turn.held_back());
        self.buffer = buffer;
        Ok(())
    }

    /// Copies what is in `from` into the new file, in canonical form.
    fn rewrite(&self, from: &mut File, back: &mut ToCanonical) -> io::Result<()> {
        let Some((_, to)) = &self.file else { return Ok(()) };
        let (mut to, mut raw, mut canonical) = (to, vec![0; BUFFER], Vec::new());
        from.rewind()?;
        loop {
            let n = from.read(&mut raw)?;
            if n == 0 {
                return Ok(());
            }
            canonical.clear();
            back.turn(&raw[..n], &mut canonical);
            to.write_all(&canonical)?;
        }
    }

    /// Writes the buffer into the file, which is made if it is not there yet.
    fn spill(&mut self, shared: &Shared, place: &Place) -> io::Result<&(PathBuf, File)> {
        let bytes = std::mem::take(&mut self.buffer);
        let opened = match self.file.take() {
            Some(opened) => opened,
            None => {
                let path = self.tmp.join(OsStr::from_bytes(&self.stem));
                let file = with_directory(place, &self.tmp, || create_file(&path))?;
                shared.volumes.enlist(&file, &self.tmp)?;
                (path, file)
            }
        };
        let opened = self.file.insert(opened);
        opened.1.write_all(&bytes)?;
        Ok(opened)
    }

    /// Writes the rest and sets the date. The file is the caller's from then on.
    fn complete(&mut self, shared: &Shared, place: &Place, date: InternalDate) -> io::Result<(PathBuf, fs::Metadata)> {
        let (path, file) = self.spill(shared, place)?;
        file.set_modified(system_time(date.0))?;
        let complete = (path.clone(), file.metadata()?);
        self.file = None;
        Ok(complete)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some((path, _)) = &self.file {
            let _ = fs::remove_file(path);
        }
    }
}

/// Does something that needs a `new`, `cur` or `tmp`, which is made if the mailbox lost it (some backups drop empty
/// directories). A mailbox that is gone as a whole is not made again.
pub(super) fn with_directory<T>(place: &Place, directory: &Path, act: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match act() {
        Err(err) if err.kind() == io::ErrorKind::NotFound && !directory.is_dir() && place.is_mailbox() => {
            create_directory(directory)?;
            sync_directory(&place.path)?;
            act()
        }
        other => other,
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
            if let Err(err) = self.into_place(&mut file) {
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
    fn into_place(&self, file: &mut Delivery) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            let name = [file.row.unique.as_slice(), &file.info].concat();
            let to = file.place.file(file.part, &name);
            match with_directory(&file.place, &file.place.part(file.part), || rename_new(&file.path, &to)) {
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

    /// Once per mailbox and run: removes files of ours from `tmp/` that a killed run left there long ago.
    fn tidy(&self, place: &Place) {
        if !self
            .tidied
            .lock()
            .expect("no panic while held")
            .insert(place.path.clone())
        {
            return;
        }
        let Ok(entries) = fs::read_dir(place.tmp()) else { return };
        for entry in entries.flatten().filter(|entry| is_ours(entry.file_name().as_bytes())) {
            let age = entry
                .metadata()
                .ok()
                .and_then(|meta| SystemTime::now().duration_since(last_touched(&meta)).ok());
            if age.is_some_and(|age| age > LEFT_BEHIND) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Writes a message that waits as a whole.
    pub(super) fn append(self: &Arc<Self>, mut append: Append, answers: Answers) -> Result<()> {
        let head = Head {
            id: append.source,
            flags: append.flags.clone(),
            date: append.date,
            size: append.identity.size,
            object: None,
        };
        let written = Draft::new(self, &append.to, None, append.flags.clone(), append.date).and_then(|mut draft| {
            io::copy(&mut append.body, &mut draft).map_err(|err| draft.trouble(&err))?;
            Box::new(draft).finish(&append.identity)
        });
        let ids = crate::model::IdSet::range(head.id..=head.id);
        match written {
            Ok(Landing::Here(id, flags)) => answers.tell(Done::Landed {
                head,
                identity: append.identity,
                id: Some(id),
                flags,
            }),
            Ok(Landing::Met(_) | Landing::Queued) => unreachable!("there is nothing to meet"),
            Err(failure) => answers.tell(Done::Failed(ids, failure)),
        }
    }

    /// A free name in the given part of a mailbox, for a file that we rename there ourselves.
    pub(super) fn fresh_name(&self, letters: &[u8], part: Part, verbatim: bool, size: u64) -> Found {
        let unique = finished(&self.namer.stem(None), verbatim, size);
        let bare = FileName {
            unique: &unique,
            letters: b"",
            rest: b"",
        };
        let name = if part == Part::New {
            unique
        } else {
            bare.with_letters(letters, self.separator)
        };
        Found { part, name }
    }
}

/// When a file was last touched by anybody: its mtime is the message's date, which can be years back.
fn last_touched(meta: &fs::Metadata) -> SystemTime {
    system_time(meta.ctime())
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
