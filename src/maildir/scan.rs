//! What happened in a mailbox since it was last seen: its listing merged with the rows of the index.
//!
//! Nothing is opened and nothing is asked of any file: the name tells who it is and what flags it has.

use std::borrow::Cow;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::sync_channel;
use std::thread;

use rustix::fs::{Access, access};

use super::filename::{FileName, is_verbatim};
use super::index::FileRow;
use super::listing::{Listing, Snapshot};
use super::place::{Part, Place};
use super::store::Shared;
use super::workers::{count, each};
use crate::error::{Failure, Kind, Result};
use crate::model::{Id, IdSet, Mailbox, News, Seen, Since};

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
        let look = place.look().map_err(unreadable)?;
        let validity = look.validity();
        let read_only = self.options.read_only || !is_writable(&place);
        tell(Seen::Opened {
            validity,
            next_id: None,
            read_only,
            // The inode is listed already, and proves nothing (HAZARDS 12).
            identity: None,
            listed_as: Some(look.identity()),
            permanent: None,
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
        let mut view = self.look_for_gone(mailbox, &place, &known)?;
        if view.doubles && view.sure && !read_only && self.part_doubles(mailbox, &place, &view.snapshot.listing)? {
            view = self.look_for_gone(mailbox, &place, &known)?;
        }
        let name = || self.shown(&mailbox.raw);
        if view.snapshot.look.validity() != validity {
            return Err(Failure::mailbox(format!(
                "the directory of {} was replaced meanwhile",
                name()
            )));
        }
        self.tell_listed(mailbox, &place, &view, &known, tell)?;
        if !view.sure {
            return Err(Failure::mailbox(format!(
                "the files of {} are renamed all the time",
                name()
            )));
        }
        if same && view.snapshot.settled && !self.options.read_only {
            self.forget_stale(mailbox, &view.matched, &known)?;
        }
        if !view.gone.is_empty() {
            tell(Seen::Removed(view.gone));
        }
        tell(Seen::Complete(view.snapshot.look.checkpoint(view.snapshot.at)));
        Ok(())
    }

    /// Lists a mailbox until it is sure which known messages are gone: two full listings lacked them, and nothing moved
    /// during the second (HAZARDS 18). Costs one listing where nothing seems to be gone.
    fn look_for_gone(&self, mailbox: &Mailbox, place: &Place, known: &IdSet) -> Result<View> {
        let unreadable = |err: io::Error| self.unlisted(mailbox, &err);
        let mut snapshot = self.snapshot(place).map_err(unreadable)?;
        let mut matched = self.matched(mailbox, &snapshot.listing)?;
        let mut gone = known.difference(&matched.present());
        let mut doubles = has_doubles(&snapshot.listing);
        let mut sure = gone.is_empty() && !doubles;
        let mut tries = 0;
        while !sure && tries < PATIENCE {
            snapshot = self.settled(place).map_err(unreadable)?;
            matched = self.matched(mailbox, &snapshot.listing)?;
            let still = known.difference(&matched.present());
            doubles = has_doubles(&snapshot.listing);
            sure = snapshot.settled && still.difference(&gone).is_empty();
            gone = still;
            tries += 1;
        }
        Ok(View {
            snapshot,
            matched,
            gone,
            doubles,
            sure,
        })
    }

    /// Merges a listing with the rows of the index, which are in the same order.
    fn matched(&self, mailbox: &Mailbox, listing: &Listing) -> Result<Matched> {
        let mut matched = Matched {
            ids: vec![None; listing.files().len()],
            absent: Vec::new(),
        };
        let mut files = listing.files().enumerate().peekable();
        self.index.names(mailbox.id, &mut |id, unique| {
            while files.next_if(|(_, file)| file.unique < unique).is_some() {}
            let mut is_there = false;
            while let Some((at, _)) = files.next_if(|(_, file)| file.unique == unique) {
                matched.ids[at] = Some(id);
                is_there = true;
            }
            if !is_there {
                matched.absent.push(id);
            }
        })?;
        Ok(matched)
    }

    fn tell_listed(
        &self,
        mailbox: &Mailbox,
        place: &Place,
        view: &View,
        known: &IdSet,
        tell: &dyn Fn(Seen),
    ) -> Result<()> {
        // After the listing: a letter gets its meaning before it gets into a name.
        let keywords = self.keywords(place)?;
        let listing = &view.snapshot.listing;
        let mut old: Vec<(Id, usize)> = Vec::new();
        let mut added: Vec<Id> = Vec::new();
        let mut new: Vec<FileRow> = Vec::new();
        for (at, id) in view.matched.files(listing) {
            match id {
                Some(id) if known.contains(id) => old.push((id, at)),
                Some(id) => added.push(id),
                None => {
                    let row = unread(self.index.next_id()?, listing.at(at).unique);
                    added.push(row.id);
                    new.push(row);
                }
            }
        }
        for rows in new.chunks(PIECE) {
            self.index.put(mailbox.id, rows)?;
        }
        if !added.is_empty() {
            tell(Seen::Added(id_set(added)));
        }
        old.sort_unstable();
        let flags = |&(id, at): &(Id, usize)| {
            let name = FileName::parse(listing.at(at).name, self.separator);
            (id, keywords.flags(&name))
        };
        for piece in old.chunks(PIECE) {
            tell(Seen::Flags(piece.iter().map(flags).collect()));
        }
        Ok(())
    }

    /// Forgets rows of files that are gone and that nobody counts on any more.
    fn forget_stale(&self, mailbox: &Mailbox, matched: &Matched, known: &IdSet) -> Result<()> {
        let stale = matched.absent.iter().copied().filter(|id| !known.contains(*id));
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
    matched: Matched,
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

/// What the index knows of a listing: ids only, since a mailbox can hold a million files.
struct Matched {
    /// The id of each file, in the order of the listing, where it has one.
    ids: Vec<Option<Id>>,
    /// Ids whose files are not listed.
    absent: Vec<Id>,
}

impl Matched {
    /// Each file by its place in the listing, with its id. Of files with one unique part only the best is seen.
    fn files<'a>(&'a self, listing: &'a Listing) -> impl Iterator<Item = (usize, Option<Id>)> + 'a {
        let mut places = (0..self.ids.len()).peekable();
        std::iter::from_fn(move || {
            let first = places.next()?;
            let (mut best, mut file) = (first, listing.at(first));
            while let Some(next) = places.next_if(|&next| listing.at(next).unique == file.unique) {
                let better = listing.better(file, listing.at(next));
                if better != file {
                    (best, file) = (next, better);
                }
            }
            Some((best, self.ids[first]))
        })
    }

    /// The ids whose files are there.
    fn present(&self) -> IdSet {
        id_set(self.ids.iter().flatten().copied().collect())
    }
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
