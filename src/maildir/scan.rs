//! What happened in a mailbox since it was last seen: its listing merged with the rows of the index.
//!
//! Nothing is opened and nothing is asked of any file: the name tells who it is and what flags it has.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::sync_channel;
use std::thread;

use rustix::fs::{Access, access};

use super::filename::{FileName, is_verbatim};
use super::index::FileRow;
use super::listing::{Listed, Listing, Snapshot};
use super::place::{Part, Place};
use super::store::Shared;
use super::workers::{count, each};
use crate::error::{Failure, Kind, Result};
use crate::model::{Flags, Id, IdSet, Mailbox, News, Seen, Since};

/// Flags told in one piece, and rows put at a time.
const PIECE: usize = 4096;
/// Pieces of news that wait to be taken.
const WAITING: usize = 16;
/// How often a mailbox in which files seem to be gone is listed again before we give up for this run.
const PATIENCE: u32 = 6;

impl Shared {
    /// Scans mailboxes side by side; the news is told on the calling thread.
    pub(super) fn changes(&self, since: &[Since], news: &mut dyn FnMut(News)) {
        let (send, receive) = sync_channel(WAITING);
        thread::scope(|scope| {
            scope.spawn(move || {
                each(since, count(), |since| {
                    // Nobody listens only when the caller is unwinding.
                    self.scan(since, &|seen| drop(send.send((since.mailbox.id, seen))));
                });
            });
            receive.into_iter().for_each(news);
        });
    }

    fn scan(&self, since: &Since, tell: &dyn Fn(Seen)) {
        if let Err(failure) = self.try_scan(since, tell) {
            tell(Seen::Partial(failure));
        }
    }

    fn try_scan(&self, since: &Since, tell: &dyn Fn(Seen)) -> Result<()> {
        if self.options.stop.load(Relaxed) {
            return Err(Failure::account(Kind::Temporary, "stopped"));
        }
        let mailbox = &since.mailbox;
        let place = self.place(&mailbox.raw)?;
        let unreadable = |err: io::Error| self.unlisted(mailbox, &err);
        let validity = place.look().map_err(unreadable)?.validity();
        let read_only = self.options.read_only || !is_writable(&place);
        tell(Seen::Opened {
            validity,
            next_id: None,
            read_only,
            // The inode is listed already, and proves nothing (HAZARDS 12).
            identity: None,
        });

        // In a directory that took the place of another one nothing is known, so nothing is gone.
        let same = since
            .checkpoint
            .as_ref()
            .is_none_or(|checkpoint| checkpoint.validity == validity);
        let known = if same {
            Cow::Borrowed(&since.known)
        } else {
            Cow::Owned(IdSet::new())
        };
        let rows = self.index.files(mailbox.id)?;
        let mut view = self.look_for_gone(&place, &rows, &known).map_err(unreadable)?;
        if view.doubles
            && view.sure
            && !read_only
            && self.part_doubles(mailbox, &place, &view.snapshot.listing, &rows)?
        {
            view = self.look_for_gone(&place, &rows, &known).map_err(unreadable)?;
        }
        let name = || self.shown(&mailbox.raw);
        if view.snapshot.look.validity() != validity {
            return Err(Failure::mailbox(format!(
                "the directory of {} was replaced meanwhile",
                name()
            )));
        }
        self.tell_listed(mailbox, &place, &view.snapshot.listing, &rows, &known, tell)?;
        if !view.sure {
            return Err(Failure::mailbox(format!(
                "the files of {} are renamed all the time",
                name()
            )));
        }
        if same && view.snapshot.settled && !self.options.read_only {
            self.forget_stale(mailbox, &view.snapshot.listing, &rows, &known)?;
        }
        if !view.gone.is_empty() {
            tell(Seen::Removed(view.gone));
        }
        tell(Seen::Complete(view.snapshot.look.checkpoint(view.snapshot.at)));
        Ok(())
    }

    /// Lists a mailbox until it is sure which known messages are gone: two full listings lacked them, and nothing moved
    /// during the second (HAZARDS 18). Costs one listing where nothing seems to be gone.
    fn look_for_gone(&self, place: &Place, rows: &[FileRow], known: &IdSet) -> io::Result<View> {
        let mut snapshot = self.snapshot(place)?;
        let mut gone = known.difference(&present(&snapshot.listing, rows));
        let mut doubles = has_doubles(&snapshot.listing);
        let mut sure = gone.is_empty() && !doubles;
        let mut tries = 0;
        while !sure && tries < PATIENCE {
            snapshot = self.settled(place)?;
            let still = known.difference(&present(&snapshot.listing, rows));
            doubles = has_doubles(&snapshot.listing);
            sure = snapshot.settled && still.difference(&gone).is_empty();
            gone = still;
            tries += 1;
        }
        Ok(View {
            snapshot,
            gone,
            doubles,
            sure,
        })
    }

    fn tell_listed(
        &self,
        mailbox: &Mailbox,
        place: &Place,
        listing: &Listing,
        rows: &[FileRow],
        known: &IdSet,
        tell: &dyn Fn(Seen),
    ) -> Result<()> {
        // After the listing: a letter gets its meaning before it gets into a name.
        let keywords = self.keywords(place)?;
        let mut flags: Vec<(Id, Flags)> = Vec::new();
        let mut added: Vec<Id> = Vec::new();
        let mut new: Vec<FileRow> = Vec::new();
        for pair in merged(listing, rows) {
            match pair {
                Pair::Both(file, row) if known.contains(row.id) => {
                    flags.push((row.id, keywords.flags(&FileName::parse(file.name, self.separator))));
                }
                Pair::Both(_, row) => added.push(row.id),
                Pair::File(file) => {
                    let row = unread(self.index.next_id()?, file.unique);
                    added.push(row.id);
                    new.push(row);
                }
                Pair::Row(_) => {}
            }
        }
        for rows in new.chunks(PIECE) {
            self.index.put(mailbox.id, rows)?;
        }
        if !added.is_empty() {
            tell(Seen::Added(id_set(added)));
        }
        flags.sort_unstable_by_key(|&(id, _)| id);
        let mut flags = flags.into_iter().peekable();
        while flags.peek().is_some() {
            tell(Seen::Flags(flags.by_ref().take(PIECE).collect()));
        }
        Ok(())
    }

    /// Forgets rows of files that are gone and that nobody counts on any more.
    fn forget_stale(&self, mailbox: &Mailbox, listing: &Listing, rows: &[FileRow], known: &IdSet) -> Result<()> {
        let stale = merged(listing, rows).filter_map(|pair| match pair {
            Pair::Row(row) if !known.contains(row.id) => Some(row.id),
            _ => None,
        });
        let stale = id_set(stale.collect());
        if stale.is_empty() {
            Ok(())
        } else {
            self.index.forget(mailbox.id, &stale)
        }
    }
}

/// A mailbox as the listings showed it.
struct View {
    snapshot: Snapshot,
    /// Known messages that are not there.
    gone: IdSet,
    /// Some unique part is there twice.
    doubles: bool,
    /// Whether `gone` and `doubles` can be believed.
    sure: bool,
}

/// The row of a file that was only listed yet.
pub(super) fn unread(id: Id, unique: &[u8]) -> FileRow {
    FileRow {
        id,
        unique: unique.to_vec(),
        size: 0,
        mtime: 0,
        inode: 0,
        verbatim: is_verbatim(unique),
        content: None,
    }
}

/// From ids in any order; inserting them one by one would take quadratic time.
pub(super) fn id_set(mut ids: Vec<Id>) -> IdSet {
    ids.sort_unstable();
    ids.into_iter().collect()
}

enum Pair<'a> {
    Both(Listed<'a>, &'a FileRow),
    File(Listed<'a>),
    Row(&'a FileRow),
}

/// Files and rows side by side. Of files with one unique part only the best is seen.
fn merged<'a>(listing: &'a Listing, rows: &'a [FileRow]) -> impl Iterator<Item = Pair<'a>> {
    let mut files = listing.files().peekable();
    let mut rows = rows.iter().peekable();
    std::iter::from_fn(move || {
        let order = match (files.peek(), rows.peek()) {
            (Some(file), Some(row)) => file.unique.cmp(row.unique.as_slice()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return None,
        };
        if order == Ordering::Greater {
            return rows.next().map(Pair::Row);
        }
        let mut file = files.next()?;
        while let Some(double) = files.next_if(|next| next.unique == file.unique) {
            file = listing.better(file, double);
        }
        match order {
            Ordering::Equal => rows.next().map(|row| Pair::Both(file, row)),
            _ => Some(Pair::File(file)),
        }
    })
}

fn present(listing: &Listing, rows: &[FileRow]) -> IdSet {
    let ids = merged(listing, rows).filter_map(|pair| match pair {
        Pair::Both(_, row) => Some(row.id),
        _ => None,
    });
    id_set(ids.collect())
}

fn has_doubles(listing: &Listing) -> bool {
    listing
        .files()
        .zip(listing.files().skip(1))
        .any(|(a, b)| a.unique == b.unique)
}

fn is_writable(place: &Place) -> bool {
    let can_write = |path: &std::path::Path| match access(path, Access::WRITE_OK | Access::EXEC_OK) {
        // What is not there is made when it is needed.
        Ok(()) | Err(rustix::io::Errno::NOENT) => true,
        Err(_) => false,
    };
    can_write(&place.path)
        && [place.part(Part::New), place.part(Part::Cur), place.tmp()]
            .iter()
            .all(|path| can_write(path))
}
