//! Moving and copying messages within the Maildir.

use std::fs;
use std::io;
use std::path::Path;

use super::disk::{carry, copy_new, rename_new, shown};
use super::filename::FileName;
use super::index::FileRow;
use super::keywords::{Keywords, portable};
use super::listing::{Finder, Found};
use super::place::{Part, Place};
use super::read::date;
use super::remove::{ids, is_the_one};
use super::store::Shared;
use super::workers::Answers;
use crate::error::Result;
use crate::model::{Id, Known, Mailbox};
use crate::store::Done;

/// Two mailboxes and what letters mean in the first.
struct Route<'a> {
    from: &'a Place,
    to: &'a Place,
    keywords: &'a Keywords,
    /// The original goes.
    moves: bool,
}

impl Shared {
    /// Moves or copies messages into another mailbox, where each gets a new name: its old one may be taken there, under any
    /// flags. Messages that are not the ones that were meant are left alone.
    pub(super) fn transfer(
        &self,
        mailbox: &Mailbox,
        messages: &[Known],
        to: &Mailbox,
        moves: bool,
        answers: Answers,
    ) -> Result<()> {
        let Some((from, rows)) = self.meant(mailbox, messages, answers)? else {
            return Ok(());
        };
        let prepared = self.place(&to.raw).and_then(|to| Ok((to, self.keywords(&from)?)));
        let listed = Finder::by_listing(self, &from).map_err(|err| self.unlisted(mailbox, &err));
        let (target, keywords, mut finder) = match prepared.and_then(|(to, keywords)| Ok((to, keywords, listed?))) {
            Ok(prepared) => prepared,
            Err(failure) => return answers.tell(Done::Failed(ids(messages), failure)),
        };
        let route = Route {
            from: &from,
            to: &target,
            keywords: &keywords,
            moves,
        };
        let (mut done, mut arrived): (Vec<(Id, Option<Id>)>, Vec<FileRow>) = (Vec::new(), Vec::new());
        let (mut gone, mut differs) = (Vec::new(), Vec::new());
        for (known, row) in &rows {
            match finder.with(&row.unique, |found| self.transfer_one(&route, found, row, known)) {
                Ok(Some(Some(new))) => {
                    done.push((row.id, Some(new.id)));
                    arrived.push(new);
                }
                Ok(Some(None)) => differs.push(row.id),
                Ok(None) => gone.push(row.id),
                Err(err) => {
                    let verb = if moves { "move" } else { "copy" };
                    answers.fail(row, &err, format!("cannot {verb} into {}", shown(&target.path)))?;
                }
            }
        }
        self.index.put(to.id, &arrived)?;
        if moves {
            self.index.forget(
                mailbox.id,
                &super::scan::id_set(done.iter().map(|&(old, _)| old).collect()),
            )?;
        }
        answers.tell(if moves { Done::Moved(done) } else { Done::Copied(done) })?;
        answers.tell_some(Done::Gone, gone)?;
        answers.tell_some(Done::Differs, differs)
    }

    /// The row of the message where it is then; `None` if it is not the one that was meant.
    fn transfer_one(&self, route: &Route, found: &Found, row: &FileRow, known: &Known) -> io::Result<Option<FileRow>> {
        if !is_the_one(route.from, found, row, known)? {
            return Ok(None);
        }
        let from = route.from.file(found.part, &found.name);
        let meta = fs::metadata(&from)?;
        let name = FileName::parse(&found.name, self.separator);
        let flags = route.keywords.flags(&name);
        let keywords = self.keywords_for(route.to, &flags).map_err(io::Error::from)?;
        let letters: Vec<u8> = portable(name.letters).chain(keywords.letters(&flags)).collect();
        let fresh = found.part == Part::New && letters.is_empty();
        let target = self.fresh_name(
            &letters,
            if fresh { Part::New } else { Part::Cur },
            row.verbatim,
            meta.len(),
        );
        let directory = route.to.part(target.part);
        let to = route.to.file(target.part, &target.name);
        route.to.with_directory(&directory, || {
            if route.moves {
                carry(&from, &to)
            } else if known.date.is_none_or(|noted| noted == date(&meta)) {
                link_or_copy(&from, &to, route.to, &target.name)
            } else {
                // Two messages of different dates must not share a date by sharing a file (HAZARDS 20).
                copy_by_tmp(&from, &to, route.to, &target.name)
            }
        })?;
        self.changed(directory);
        if route.moves {
            self.changed(route.from.part(found.part));
        }
        let id = self.index.next_id().map_err(io::Error::from)?;
        let unique = FileName::parse(&target.name, self.separator).unique.to_vec();
        let mut new = FileRow {
            id,
            unique,
            content: row.content.or(known.content),
            ..row.clone()
        };
        super::read::note_look(&mut new, &fs::metadata(&to)?);
        Ok(Some(new))
    }
}

fn link_or_copy(from: &Path, to: &Path, place: &Place, name: &[u8]) -> io::Result<()> {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    match fs::hard_link(from, to) {
        Err(err)
            if matches!(
                err.kind(),
                CrossesDevices | PermissionDenied | TooManyLinks | Unsupported
            ) =>
        {
            copy_by_tmp(from, to, place, name)
        }
        other => other,
    }
}

/// Copies by way of `tmp/`, so that nobody sees half a message.
fn copy_by_tmp(from: &Path, to: &Path, place: &Place, name: &[u8]) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let tmp = place.tmp().join(std::ffi::OsStr::from_bytes(name));
    place.with_directory(&place.tmp(), || copy_new(from, &tmp))?;
    rename_new(&tmp, to).inspect_err(|_| drop(fs::remove_file(&tmp)))
}
