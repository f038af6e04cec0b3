//! Changing flags: renaming files.

use std::fmt::Display;
use std::io;

use super::disk::{failure, reach_of_rename, rename_new, shown};
use super::filename::FileName;
use super::index::FileRow;
use super::keywords::{Keywords, LetterChange};
use super::listing::{Finder, Found};
use super::place::{Part, Place};
use super::scan::id_set;
use super::store::Shared;
use super::workers::Answers;
use crate::error::{Failure, Reach, Result};
use crate::model::{Flags, Id, IdSet, Mailbox};
use crate::store::Done;

/// Messages answered for at a time.
const PIECE: usize = 1000;

impl Shared {
    /// Adds and takes away flags. Letters that mean nothing to us stay. A keyword that has no letter, and cannot get one, is
    /// missing from the answer.
    pub(super) fn set_flags(
        &self,
        mailbox: &Mailbox,
        ids: &IdSet,
        add: &Flags,
        remove: &Flags,
        answers: Answers,
    ) -> Result<()> {
        let prepared = self
            .place(&mailbox.raw)
            .and_then(|place| Ok((self.keywords_for(&place, add)?, place)));
        let (keywords, place) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return answers.tell(Done::Failed(ids.clone(), failure)),
        };
        let change = LetterChange {
            add: keywords.letters(add),
            remove: keywords.letters(remove),
        };
        let rows = self.index.by_ids(mailbox.id, ids)?;
        let mut gone = ids.difference(&id_set(rows.iter().map(|row| row.id).collect()));
        let mut finder = match Finder::by_listing(self, &place) {
            Ok(finder) => finder,
            Err(err) => return answers.tell(Done::Failed(ids.clone(), self.unlisted(mailbox, &err))),
        };
        for rows in rows.chunks(PIECE) {
            let mut done: Vec<(Id, Flags)> = Vec::new();
            for row in rows {
                let changed = finder.with(&row.unique, |found| self.rename_for(&place, found, &change, &keywords));
                match changed {
                    Ok(Some(flags)) => done.push((row.id, flags)),
                    Ok(None) => {
                        gone.insert(row.id);
                    }
                    Err(err) => {
                        let what = format!("cannot change flags in {}", shown(&place.path));
                        answers.fail_in(row, &err, reach_of_rename(&err), what)?;
                    }
                }
            }
            answers.tell(Done::Flags(done))?;
        }
        if gone.is_empty() {
            Ok(())
        } else {
            answers.tell(Done::Gone(gone))
        }
    }

    /// Renames one file, if its name is to change at all; what its name says then.
    fn rename_for(
        &self,
        place: &Place,
        found: &Found,
        change: &LetterChange,
        keywords: &Keywords,
    ) -> io::Result<Flags> {
        let old = FileName::parse(&found.name, self.separator);
        let letters = change.apply(old.letters);
        if letters == LetterChange::NONE.apply(old.letters) {
            return Ok(keywords.flags(&old));
        }
        let name = old.with_letters(&letters, self.separator);
        let cur = place.part(Part::Cur);
        place.with_directory(&cur, || {
            rename_new(&place.file(found.part, &found.name), &place.file(Part::Cur, &name))
        })?;
        self.changed(cur);
        if found.part == Part::New {
            self.changed(place.part(Part::New));
        }
        Ok(keywords.flags(&FileName::parse(&name, self.separator)))
    }

    /// That a mailbox could not be listed.
    pub(super) fn unlisted(&self, mailbox: &Mailbox, err: &io::Error) -> Failure {
        failure(err, Reach::Mailbox, format!("cannot list {}", self.shown(&mailbox.raw)))
    }
}

impl Answers<'_> {
    /// Tells that something failed for one message; fails itself if that is the end for the account.
    pub(super) fn fail(&self, row: &FileRow, err: &io::Error, what: impl Display) -> Result<()> {
        self.fail_in(row, err, Reach::Message, what)
    }

    /// The same for a failure that reaches so far at least.
    pub(super) fn fail_in(&self, row: &FileRow, err: &io::Error, reach: Reach, what: impl Display) -> Result<()> {
        let failure = Failure::carried(err).unwrap_or_else(|| failure(err, reach, what));
        self.tell(Done::Failed(IdSet::range(row.id..=row.id), failure.clone()))?;
        if failure.reach == Reach::Account {
            Err(failure)
        } else {
            Ok(())
        }
    }
}
