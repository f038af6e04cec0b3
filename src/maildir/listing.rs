//! Listing a mailbox's files, while others rename them.
//!
//! A listing costs one pass over `new` and `cur` and no look at any file. It may miss files that are renamed meanwhile, or
//! show one twice (HAZARDS 18); `Shared::settled` says how that is dealt with.

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::disk::{if_there, now};
use super::filename::FileName;
use super::place::{Look, Part, Place};
use super::store::Shared;

/// How often a directory that keeps changing is listed before we make do with what was seen.
const PATIENCE: u32 = 8;
/// Listings kept for later lookups; a hint that spares listing a directory for each small job.
const KEPT: usize = 8;
/// Files in all of them, unless the newest alone has more: a file takes some 80 bytes.
const KEPT_FILES: usize = 100_000;

/// The files of a mailbox, sorted by unique part. Names lie in one piece of memory: there can be a million.
#[derive(Debug, Default)]
pub(super) struct Listing {
    names: Vec<u8>,
    entries: Vec<Entry>,
    separator: u8,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    length: u16,
    unique: u16,
    part: Part,
}

/// A file as listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed<'a> {
    /// Where it lies.
    pub(super) part: Part,
    /// Its whole name.
    pub(super) name: &'a [u8],
    /// The part of its name that is its identity.
    pub(super) unique: &'a [u8],
}

/// A file's place and name, kept beyond the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) part: Part,
    pub(super) name: Vec<u8>,
}

impl Listed<'_> {
    pub(super) fn found(&self) -> Found {
        Found {
            part: self.part,
            name: self.name.to_vec(),
        }
    }
}

impl Listing {
    /// Lists `new` first: whoever moves a file to `cur` meanwhile moves it to where we have not been yet.
    pub(super) fn read(place: &Place, separator: u8) -> io::Result<Self> {
        let mut listing = Self {
            separator,
            ..Self::default()
        };
        for part in [Part::New, Part::Cur] {
            listing.read_part(place, part)?;
        }
        let names = &listing.names;
        listing.entries.sort_unstable_by(|a, b| order(names, a, b));
        Ok(listing)
    }

    fn read_part(&mut self, place: &Place, part: Part) -> io::Result<()> {
        let Some(entries) = if_there(fs::read_dir(place.part(part)))? else {
            return Ok(());
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.as_bytes();
            // The type comes with the listing; symbolic links count, because a message behind one is not gone.
            let is_message = entry.file_type().is_ok_and(|kind| kind.is_file() || kind.is_symlink());
            if is_message && !name.starts_with(b".") {
                self.push(part, name);
            }
        }
        Ok(())
    }

    fn push(&mut self, part: Part, name: &[u8]) {
        let unique = FileName::parse(name, self.separator).unique.len();
        // No file system has names that do not fit.
        let (Ok(length), Ok(unique)) = (u16::try_from(name.len()), u16::try_from(unique)) else {
            return;
        };
        self.entries.push(Entry {
            start: self.names.len(),
            length,
            unique,
            part,
        });
        self.names.extend_from_slice(name);
    }

    /// All files, ascending by unique part (bytewise).
    pub(super) fn files(&self) -> impl ExactSizeIterator<Item = Listed<'_>> + Clone {
        self.entries.iter().map(|entry| self.listed(entry))
    }

    /// One of them, by its place in that order.
    pub(super) fn at(&self, place: usize) -> Listed<'_> {
        self.listed(&self.entries[place])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All files with that unique part; more than one only where something went wrong, or in a race.
    pub(super) fn all(&self, unique: &[u8]) -> impl Iterator<Item = Listed<'_>> {
        let from = self
            .entries
            .partition_point(|entry| unique_of(&self.names, entry) < unique);
        self.entries[from..]
            .iter()
            .map(|entry| self.listed(entry))
            .take_while(move |file| file.unique == unique)
    }

    /// The file with that unique part; of several, the one that [`Self::better`] prefers.
    pub(super) fn find(&self, unique: &[u8]) -> Option<Listed<'_>> {
        self.all(unique).reduce(|a, b| self.better(a, b))
    }

    /// Of two files with one unique part, the one that looks further on: in `cur`, with more flags.
    pub(super) fn better<'a>(&self, a: Listed<'a>, b: Listed<'a>) -> Listed<'a> {
        let rank = |file: &Listed| (file.part, FileName::parse(file.name, self.separator).letters.len());
        if rank(&b) > rank(&a) { b } else { a }
    }

    fn listed(&self, entry: &Entry) -> Listed<'_> {
        let name = &self.names[entry.start..entry.start + usize::from(entry.length)];
        Listed {
            part: entry.part,
            name,
            unique: &name[..usize::from(entry.unique)],
        }
    }
}

fn unique_of<'a>(names: &'a [u8], entry: &Entry) -> &'a [u8] {
    &names[entry.start..entry.start + usize::from(entry.unique)]
}

fn order(names: &[u8], a: &Entry, b: &Entry) -> Ordering {
    let whole = |entry: &Entry| &names[entry.start..entry.start + usize::from(entry.length)];
    unique_of(names, a)
        .cmp(unique_of(names, b))
        .then(a.part.cmp(&b.part))
        .then_with(|| whole(a).cmp(whole(b)))
}

/// A listing with how the mailbox looked when it began.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) listing: Arc<Listing>,
    pub(super) look: Look,
    /// When the look was taken, in nanoseconds since 1970.
    pub(super) at: i64,
    /// Nothing changed while it was made, as far as clocks can tell: it has every file exactly once.
    pub(super) settled: bool,
}

/// The last listings, newest last. Whatever is found in one may have been renamed since.
#[derive(Debug, Default)]
pub(super) struct Listings(Mutex<Vec<(PathBuf, Look, Arc<Listing>)>>);

impl Listings {
    fn get(&self, place: &Place) -> Option<(Look, Arc<Listing>)> {
        let kept = self.0.lock().expect("no panic while held");
        kept.iter()
            .find(|(path, ..)| *path == place.path)
            .map(|(_, look, listing)| (look.clone(), Arc::clone(listing)))
    }

    fn keep(&self, place: &Place, look: &Look, listing: &Arc<Listing>) {
        let mut kept = self.0.lock().expect("no panic while held");
        kept.retain(|(path, ..)| *path != place.path);
        kept.push((place.path.clone(), look.clone(), Arc::clone(listing)));
        let files = |kept: &[(PathBuf, Look, Arc<Listing>)]| -> usize {
            kept.iter().map(|(.., listing)| listing.entries.len()).sum()
        };
        while kept.len() > 1 && (kept.len() > KEPT || files(&kept) > KEPT_FILES) {
            kept.remove(0);
        }
    }
}

impl Shared {
    /// Lists a mailbox; again while its directories' times move. Good for what is there, not for what is missing.
    pub(super) fn snapshot(&self, place: &Place) -> io::Result<Snapshot> {
        let mut tries = 1;
        loop {
            let look = place.look()?;
            let at = now();
            let listing = Arc::new(Listing::read(place, self.separator)?);
            let unmoved = place.look()? == look;
            if unmoved || tries == PATIENCE {
                self.listings.keep(place, &look, &listing);
                let settled = unmoved && look.unsettled_for(at) == 0;
                return Ok(Snapshot {
                    listing,
                    look,
                    at,
                    settled,
                });
            }
            tries += 1;
        }
    }

    /// Lists a mailbox so that the clock's tick hides nothing: what this does not have was not there at that moment. Waits
    /// for the tick, 20 ms at most times and two seconds on file systems that keep whole seconds. `settled` stays false
    /// where the mailbox would not keep still.
    pub(super) fn settled(&self, place: &Place) -> io::Result<Snapshot> {
        let mut tries = 1;
        loop {
            thread::sleep(Duration::from_nanos(place.look()?.unsettled_for(now())));
            let snapshot = self.snapshot(place)?;
            if snapshot.settled || tries == PATIENCE || self.options.stop.load(Relaxed) {
                return Ok(snapshot);
            }
            tries += 1;
        }
    }

    /// The current listing of a mailbox: the kept one if nothing has happened since, else a new one.
    pub(super) fn listing(&self, place: &Place) -> io::Result<Arc<Listing>> {
        match self.listings.get(place) {
            Some((look, listing)) if look.unsettled_for(now()) == 0 && place.look()? == look => Ok(listing),
            _ => Ok(self.snapshot(place)?.listing),
        }
    }
}

/// Finds the files of one mailbox for one job, with one listing as long as nobody renames what we look for.
pub(super) struct Finder<'a> {
    shared: &'a Shared,
    place: &'a Place,
    listing: Arc<Listing>,
    /// The listing was made during the job and is settled: what it lacks is gone.
    settled: bool,
}

impl<'a> Finder<'a> {
    /// Begins with the kept listing, if there is one: good where most files are where they were.
    pub(super) fn by_hint(shared: &'a Shared, place: &'a Place) -> io::Result<Self> {
        let listing = match shared.listings.get(place) {
            Some((_, listing)) => listing,
            None => shared.listing(place)?,
        };
        Ok(Self {
            shared,
            place,
            listing,
            settled: false,
        })
    }

    /// Begins with a current listing: good where files were just renamed.
    pub(super) fn by_listing(shared: &'a Shared, place: &'a Place) -> io::Result<Self> {
        Ok(Self {
            shared,
            place,
            listing: shared.listing(place)?,
            settled: false,
        })
    }

    /// Does something with the file of that unique part under the name that it has now. If it has another one by then,
    /// which `act` tells by `NotFound`, it is looked for again. `None`: it is not there; the listing that the job began
    /// with or the act itself says so, and then a settled listing.
    pub(super) fn with<T>(
        &mut self,
        unique: &[u8],
        mut act: impl FnMut(&Found) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        for _ in 0..=PATIENCE {
            match self.listing.find(unique).map(|file| file.found()) {
                Some(found) => {
                    if let Some(done) = if_there(act(&found))? {
                        return Ok(Some(done));
                    }
                }
                None if self.settled => return Ok(None),
                None => {}
            }
            let snapshot = self.shared.settled(self.place)?;
            (self.listing, self.settled) = (snapshot.listing, snapshot.settled);
        }
        Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "the file is renamed all the time",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn what_counts_as_a_message() {
        let it = Fixture::new();
        let place = it.mailbox("INBOX");
        for name in ["cur/b:2,S", "cur/a", "new/c", "cur/.hidden", "cur/x\ny:2,F"] {
            fs::write(place.path.join(name), "x").unwrap();
        }
        fs::create_dir(place.path.join("cur/directory")).unwrap();
        std::os::unix::net::UnixListener::bind(place.path.join("cur/socket")).unwrap();
        std::os::unix::fs::symlink("a", place.path.join("cur/link:2,")).unwrap();
        let listing = Listing::read(&place, b':').unwrap();
        let names: Vec<String> = listing
            .files()
            .map(|file| format!("{:?} {}", file.part, file.name.escape_ascii()))
            .collect();
        assert_eq!(names, ["Cur a", "Cur b:2,S", "New c", "Cur link:2,", r"Cur x\ny:2,F"]);
        assert_eq!(listing.find(b"b").unwrap().name, b"b:2,S");
        assert_eq!(listing.find(b"bb"), None);
    }

    #[test]
    fn a_lost_new_is_an_empty_one() {
        let it = Fixture::new();
        let place = it.mailbox("INBOX");
        fs::write(place.path.join("cur/a"), "x").unwrap();
        fs::remove_dir(place.part(Part::New)).unwrap();
        assert_eq!(Listing::read(&place, b':').unwrap().files().len(), 1);
    }

    #[test]
    fn of_two_the_one_further_on() {
        let it = Fixture::new();
        let place = it.mailbox("INBOX");
        for name in ["new/a", "cur/a:2,", "cur/a:2,FS", "new/a:2,FRS"] {
            fs::write(place.path.join(name), "x").unwrap();
        }
        let listing = Listing::read(&place, b':').unwrap();
        assert_eq!(listing.all(b"a").count(), 4);
        assert_eq!(listing.find(b"a").unwrap().name, b"a:2,FS");
    }

    #[test]
    fn large_listings_are_not_kept_beside_others() {
        let it = Fixture::new();
        let large = |files| {
            let entry = Entry {
                start: 0,
                length: 0,
                unique: 0,
                part: Part::Cur,
            };
            Arc::new(Listing {
                entries: vec![entry; files],
                ..Listing::default()
            })
        };
        for (sizes, kept) in [
            (&[10; 9][..], 8),
            (&[KEPT_FILES, 1], 1),
            (&[1, KEPT_FILES + 1], 1),
            (&[KEPT_FILES - 2, 1, 1], 3),
            (&[KEPT_FILES - 1, 1, 1], 2),
        ] {
            let listings = Listings::default();
            for (nth, &size) in sizes.iter().enumerate() {
                let place = it.mailbox(&format!("box{nth}"));
                listings.keep(&place, &place.look().unwrap(), &large(size));
            }
            assert_eq!(listings.0.lock().unwrap().len(), kept, "{sizes:?}");
        }
    }

    #[test]
    fn a_renamed_file_is_found_again() {
        let it = Fixture::new();
        let place = it.mailbox("INBOX");
        fs::write(place.path.join("new/a"), "x").unwrap();
        it.shared().snapshot(&place).unwrap();
        fs::rename(place.path.join("new/a"), place.path.join("cur/a:2,S")).unwrap();
        let open = |found: &Found| fs::read(place.file(found.part, &found.name)).map(|_| found.name.clone());
        let mut finder = Finder::by_hint(it.shared(), &place).unwrap();
        assert_eq!(finder.with(b"a", open).unwrap().unwrap(), b"a:2,S");
        assert_eq!(finder.with(b"b", open).unwrap(), None);
    }
}
