//! Message files as they lie on disk, for books that know them by the unique parts of their names (an archive's).

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use super::attic::with_number;
use super::disk::{create_directories, failure, if_there, open_file, rename_new, shown, sync_directory};
use super::layout::nested_name;
use super::listing::{Listed, Listing};
use super::place::{Part, Place};
use super::read::pour;
use super::store::Maildir;
use super::workers::{self, count, each};
use crate::error::{Reach, Result};
use crate::model::{Identity, MailboxPath};
use crate::store::Stop;

/// The message files of a Maildir.
#[derive(Debug, Default)]
pub struct Files {
    mailboxes: Vec<(MailboxPath, Place, Listing)>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageFile {
    /// The mailbox in which it lies.
    pub mailbox: MailboxPath,
    /// The part of its name that is its identity.
    pub unique: Vec<u8>,
    /// Where it lies.
    pub path: PathBuf,
}

/// A removed file whose name was taken has a number in it; so many are looked for.
const NUMBERED: u32 = 9;

impl Maildir {
    /// Lists all message files. What cannot be listed is a failure: nothing of it may look missing.
    pub fn files(&self) -> Result<Files> {
        let survey = self.0.survey()?;
        if let Some((name, trouble)) = survey.failures.into_iter().next() {
            return Err(trouble.context(format!("mailbox {name}")));
        }
        let mut files = Files::default();
        for listed in survey.mailboxes.into_iter().filter(|listed| listed.selectable) {
            let place = self.0.place(&listed.raw)?;
            let listing = Listing::read(&place, self.0.separator)
                .map_err(|err| failure(&err, Reach::Account, format!("cannot list {}", shown(&place.path))))?;
            files.mailboxes.push((listed.path, place, listing));
        }
        Ok(files)
    }
}

impl Files {
    /// All files of a unique part: those in that mailbox first, then those that somebody moved elsewhere.
    pub fn find(&self, mailbox: Option<&MailboxPath>, unique: &[u8]) -> Vec<MessageFile> {
        let names: Vec<Vec<u8>> = (1..=NUMBERED).map(|n| with_number(unique, n)).collect();
        let mut found = Vec::new();
        for here in [true, false] {
            let lists = self
                .mailboxes
                .iter()
                .filter(|(path, ..)| (Some(path) == mailbox) == here);
            for (path, place, listing) in lists {
                let files = names.iter().flat_map(|name| listing.all(name));
                found.extend(files.map(|listed| file(path, place, &listed)));
            }
        }
        found
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = MessageFile> + '_ {
        let mailboxes = self.mailboxes.iter();
        mailboxes.flat_map(|(path, place, listing)| listing.files().map(move |listed| file(path, place, &listed)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.mailboxes.iter().map(|(_, _, listing)| listing.files().len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn file(path: &MailboxPath, place: &Place, listed: &Listed<'_>) -> MessageFile {
    MessageFile {
        mailbox: path.clone(),
        unique: listed.unique.to_vec(),
        path: place.file(listed.part, listed.name),
    }
}

impl MessageFile {
    /// What it is known by, read to its end.
    pub fn identify(&self, verbatim: bool) -> io::Result<Identity> {
        pour(&mut open_file(&self.path)?, verbatim, |_| Ok(()))
    }

    /// Hands its bytes on in canonical form, piece by piece.
    pub fn pour(&self, verbatim: bool, into: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<Identity> {
        pour(&mut open_file(&self.path)?, verbatim, into)
    }

    /// Opens it as it lies there.
    pub fn open(&self) -> io::Result<File> {
        open_file(&self.path)
    }

    /// Deletes it for good, durably. What is gone already is deleted.
    pub fn delete(&self) -> Result<()> {
        if_there(std::fs::remove_file(&self.path))
            .and_then(|_| self.path.parent().map_or(Ok(()), sync_directory))
            .map_err(|err| failure(&err, Reach::Message, format!("cannot delete {}", shown(&self.path))))
    }

    /// Moves it into the `cur` of its mailbox below another root, durably.
    pub fn set_aside(&self, root: &Path) -> Result<()> {
        let aside = Place::new(root.join(nested_name(&self.mailbox))).part(Part::Cur);
        let name = self.path.file_name().unwrap_or_default().as_bytes();
        let moved = || {
            create_directories(&aside)?;
            for n in 1.. {
                match rename_new(&self.path, &aside.join(OsStr::from_bytes(&with_number(name, n)))) {
                    Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
                    other => {
                        other?;
                        break;
                    }
                }
            }
            sync_directory(&aside)?;
            self.path.parent().map_or(Ok(()), sync_directory)
        };
        moved().map_err(|err: io::Error| failure(&err, Reach::Message, format!("cannot move {}", shown(&self.path))))
    }
}

/// Does something with each item on several threads; returns when all are done.
pub fn on_threads<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    each(items, count(), work);
}

/// Hands each job to one of several threads, until there are no more, one fails, or a stop is asked for.
pub fn pull<J: Send>(jobs: Receiver<J>, stop: &Stop, work: impl Fn(J) -> Result<()> + Sync) -> Result<()> {
    workers::pull(jobs, stop, work)
}
