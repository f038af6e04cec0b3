//! Removing messages: into the attic, after a look whether they are the ones that were meant.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use super::disk::{mtime, open_file, shown};
use super::index::FileRow;
use super::listing::{Finder, Found};
use super::place::Place;
use super::read::identify;
use super::scan::id_set;
use super::store::Shared;
use super::workers::Answers;
use crate::error::Result;
use crate::model::{Id, IdSet, Known, Mailbox, MailboxPath};
use crate::store::Done;

/// A message that a job names: what proves it, and its row.
pub(super) type Meant = (Known, FileRow);

impl Shared {
    /// Moves files into the attic. What is not there any more, by a settled listing, counts as removed; what was edited in
    /// place is left alone.
    pub(super) fn remove(
        &self,
        mailbox: &Mailbox,
        path: &MailboxPath,
        messages: &[Known],
        answers: Answers,
    ) -> Result<()> {
        let Some((place, rows)) = self.meant(mailbox, messages, answers)? else {
            return Ok(());
        };
        let mut finder = match Finder::by_listing(self, &place) {
            Ok(finder) => finder,
            Err(err) => return answers.tell(Done::Failed(ids(messages), self.unlisted(mailbox, &err))),
        };
        let (mut removed, mut differs) = (Vec::new(), Vec::new());
        for (known, row) in &rows {
            let done = finder.with(&row.unique, |found| {
                let same = is_the_one(&place, found, row, known)?;
                if same {
                    self.shelve(&place, found, path).map(|_| same)
                } else {
                    Ok(same)
                }
            });
            match done {
                Ok(Some(true) | None) => removed.push(row.id),
                Ok(Some(false)) => differs.push(row.id),
                Err(err) => answers.fail(row, &err, format!("cannot read it in {}", shown(&place.path)))?,
            }
        }
        let removed = id_set(removed);
        self.index.forget(mailbox.id, &removed)?;
        answers.tell(Done::Removed(removed))?;
        answers.tell_some(Done::Differs, differs)
    }

    /// The directory and the rows of messages; those without a row are answered as gone: we never saw them, so we could not
    /// tell what to look for.
    pub(super) fn meant(
        &self,
        mailbox: &Mailbox,
        messages: &[Known],
        answers: Answers,
    ) -> Result<Option<(Place, Vec<Meant>)>> {
        let place = match self.place(&mailbox.raw) {
            Ok(place) => place,
            Err(failure) => {
                answers.tell(Done::Failed(ids(messages), failure))?;
                return Ok(None);
            }
        };
        let mut rows = self.index.by_ids(mailbox.id, &ids(messages))?;
        rows.sort_unstable_by_key(|row| row.id);
        let (mut found, mut gone) = (Vec::with_capacity(rows.len()), Vec::new());
        for known in messages {
            match rows.binary_search_by_key(&known.id, |row| row.id) {
                Ok(at) => found.push((*known, rows[at].clone())),
                Err(_) => gone.push(known.id),
            }
        }
        answers.tell_some(Done::Gone, gone)?;
        Ok(Some((place, found)))
    }
}

impl Answers<'_> {
    /// Tells something of messages, if there are any.
    pub(super) fn tell_some(&self, done: impl FnOnce(IdSet) -> Done, ids: Vec<Id>) -> Result<()> {
        if ids.is_empty() {
            Ok(())
        } else {
            self.tell(done(id_set(ids)))
        }
    }
}

pub(super) fn ids(messages: &[Known]) -> IdSet {
    id_set(messages.iter().map(|known| known.id).collect())
}

/// Whether a file still is the message that was meant. Size, time and inode say so as long as they are the ones noted when
/// its content was read; else the content itself has to be the same. Without anything to compare with, the answer is no.
pub(super) fn is_the_one(place: &Place, found: &Found, row: &FileRow, known: &Known) -> io::Result<bool> {
    let path = place.file(found.part, &found.name);
    let Some(meant) = known.content.or(row.content) else {
        return Ok(false);
    };
    let meta = fs::metadata(&path)?;
    let unchanged = (meta.len(), mtime(&meta), meta.ino()) == (row.size, row.mtime, row.inode);
    if unchanged && row.content == Some(meant) {
        return Ok(true);
    }
    let mut file = open_file(&path)?;
    Ok(identify(&mut file, row.verbatim)?.content == meant)
}
