//! The bytes of a message on their way into a file of `tmp/`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::disk::{create_file, system_time};
use super::place::Place;
use super::volume::Volumes;
use crate::lines::{Bare, ToCanonical, ToDisk};
use crate::model::InternalDate;

/// What is kept in memory of a message; a smaller one is written in one go, once all is known about it.
const BUFFER: usize = 64 * 1024;

/// The bytes of a message, in the form that they will have on disk.
pub(super) struct Body {
    /// The name before size and info.
    pub(super) stem: Vec<u8>,
    tmp: PathBuf,
    /// Made when the message outgrows the buffer, or is complete.
    file: Option<(PathBuf, File)>,
    /// What is not in the file yet.
    buffer: Vec<u8>,
    /// `None` once the message has turned out to be one to store verbatim.
    turn: Option<ToDisk>,
}

impl Body {
    /// Nothing taken in yet, and nothing on disk.
    pub(super) fn new(stem: Vec<u8>, place: &Place) -> Self {
        Self {
            stem,
            tmp: place.tmp(),
            file: None,
            buffer: Vec::new(),
            turn: Some(ToDisk::default()),
        }
    }

    /// Takes in the next piece, in canonical form.
    pub(super) fn write(&mut self, volumes: &Volumes, place: &Place, bytes: &[u8]) -> io::Result<()> {
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
            self.spill(volumes, place).map(|_| ())
        } else {
            Ok(())
        }
    }

    /// No more will come. A CR at the very end is a bare one.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if self.turn.as_ref().is_some_and(|turn| !turn.held_back().is_empty()) {
            self.turn_back()
        } else {
            Ok(())
        }
    }

    /// Whether the message has turned out to be one that is stored as it is on the wire.
    pub(super) fn is_verbatim(&self) -> bool {
        self.turn.is_none()
    }

    /// From here on the message is stored verbatim; what was written in LF form is turned back.
    fn turn_back(&mut self) -> io::Result<()> {
        let Some(turn) = self.turn.take() else { return Ok(()) };
        let mut back = ToCanonical::default();
        if let Some((path, _)) = &self.file {
            let verbatim = path.with_extension("verbatim");
            let new = create_file(&verbatim)?;
            if let Some((path, mut file)) = self.file.replace((verbatim, new)) {
                let rewritten = self.rewrite(&mut file, &mut back);
                fs::remove_file(&path)?;
                rewritten?;
            }
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
    fn spill(&mut self, volumes: &Volumes, place: &Place) -> io::Result<&(PathBuf, File)> {
        if self.file.is_none() {
            let path = self.tmp.join(OsStr::from_bytes(&self.stem));
            let file = place.with_directory(&self.tmp, || create_file(&path))?;
            let (_, file) = self.file.insert((path, file));
            volumes.enlist(file, &self.tmp)?;
        }
        let Some(opened) = &mut self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        opened.1.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(opened)
    }

    /// Writes the rest and sets the date. The file is the caller's from then on.
    pub(super) fn complete(
        &mut self,
        volumes: &Volumes,
        place: &Place,
        date: InternalDate,
    ) -> io::Result<(PathBuf, fs::Metadata)> {
        let (path, file) = self.spill(volumes, place)?;
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
