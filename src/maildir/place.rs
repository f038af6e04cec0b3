//! The directory of one mailbox: its parts, and how it looks from outside.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::disk::{create_directory, if_there, mtime, sync_directory};
use crate::model::{Checkpoint, MailboxIdentity, Status, Token};

/// File systems keep times as coarse as this; a change within it of a look may not show (DESIGN 8a).
const COARSE: i64 = 2_000_000_000;
/// Where times have nanoseconds, they still come from a clock that ticks this slowly.
const TICK: i64 = 20_000_000;

/// A mailbox's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: PathBuf,
}

/// The two directories that hold messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Messages that no mail program has looked at yet.
    New,
    /// All others.
    Cur,
}

impl Part {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Cur => "cur",
        }
    }
}

impl Place {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn part(&self, part: Part) -> PathBuf {
        self.path.join(part.name())
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    pub(super) fn file(&self, part: Part, name: &[u8]) -> PathBuf {
        self.part(part).join(OsStr::from_bytes(name))
    }

    pub(super) fn keywords(&self) -> PathBuf {
        self.path.join("dovecot-keywords")
    }

    /// Whether messages can be in it: a lost `new` or `cur` (git and some backups drop empty directories) is no lost
    /// mailbox. What cannot be looked at is an error, not an absence.
    pub(super) fn is_mailbox(&self) -> io::Result<bool> {
        for part in [Part::Cur, Part::New] {
            match fs::metadata(self.part(part)) {
                Ok(meta) if meta.is_dir() => return Ok(true),
                Err(err) if !matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    return Err(err);
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(false)
    }

    /// Does something that needs a `new`, `cur` or `tmp`, which is made if the mailbox lost it (some backups drop empty
    /// directories). A mailbox that is gone as a whole is not made again.
    pub(super) fn with_directory<T>(&self, directory: &Path, act: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match act() {
            Err(err) if err.kind() == io::ErrorKind::NotFound && !directory.is_dir() && self.is_mailbox()? => {
                create_directory(directory)?;
                sync_directory(&self.path)?;
                act()
            }
            other => other,
        }
    }

    /// How it looks from outside, now.
    pub(super) fn look(&self) -> io::Result<Look> {
        let meta = fs::metadata(&self.path)?;
        let stamp = |path: &Path| if_there(fs::metadata(path).map(|meta| Stamp::of(&meta)));
        let look = Look {
            device: meta.dev(),
            inode: meta.ino(),
            born: meta
                .created()
                .ok()
                .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
                .map_or(0, |age| age.as_nanos() as u64),
            new: stamp(&self.part(Part::New))?,
            cur: stamp(&self.part(Part::Cur))?,
            keywords: stamp(&self.keywords())?,
        };
        if look.new.is_none() && look.cur.is_none() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "there is no mailbox in this directory",
            ));
        }
        Ok(look)
    }
}

/// A directory's or file's time and number; changes with whatever happens in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Nanoseconds since 1970.
    mtime: i64,
    inode: u64,
}

impl Stamp {
    pub(super) fn of(meta: &fs::Metadata) -> Self {
        Self {
            mtime: mtime(meta),
            inode: meta.ino(),
        }
    }
}

/// A mailbox's directory as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    device: u64,
    inode: u64,
    /// When the directory was made, where the file system tells: inodes are given out again at once.
    born: u64,
    new: Option<Stamp>,
    cur: Option<Stamp>,
    keywords: Option<Stamp>,
}

impl Look {
    /// Proposes that two directories are one, under whatever name; no proof.
    pub(super) fn identity(&self) -> MailboxIdentity {
        MailboxIdentity(format!("{}:{}", self.device, self.inode).into())
    }

    /// The same as long as the directory is the same one, wherever it is renamed to. Fits into 63 bits.
    pub(super) fn validity(&self) -> u64 {
        // Not the device: its number can change with each mount.
        let hash = blake3::hash(format!("{}@{}", self.inode, self.born).as_bytes());
        let bytes = hash.as_bytes();
        u64::from_le_bytes([
            bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
        ]) >> 1
    }

    pub(super) fn status(&self) -> Status {
        Token(self.to_string())
    }

    /// The checkpoint for a listing that began with this look at `at` (nanoseconds since 1970).
    pub(super) fn checkpoint(&self, at: i64) -> Checkpoint {
        Checkpoint {
            validity: self.validity(),
            next_id: None,
            token: Token(format!("{self} at={at}")),
        }
    }

    /// How long after `at` it takes until any further change must show in these times, in nanoseconds: until the clock
    /// that they come from has ticked. 0 for times far in the future, which some other clock made.
    pub(super) fn unsettled_for(&self, at: i64) -> u64 {
        let waits = self
            .times()
            .map(|time| time.saturating_add(tick(time)).saturating_sub(at));
        waits
            .filter(|wait| (0..=COARSE).contains(wait))
            .max()
            .unwrap_or(0)
            .unsigned_abs()
    }

    fn times(&self) -> impl Iterator<Item = i64> + '_ {
        [self.new, self.cur].into_iter().flatten().map(|stamp| stamp.mtime)
    }
}

/// How coarse the clock was that made this time.
const fn tick(time: i64) -> i64 {
    if time % 1_000_000_000 == 0 { COARSE } else { TICK }
}

/// Whether `status`, taken just now, proves that nothing happened since the listing of `checkpoint`: the same look, and all
/// its times well before that listing.
pub(super) fn untouched(status: &Status, checkpoint: &Checkpoint) -> bool {
    let Some((look, at)) = checkpoint.token.0.rsplit_once(" at=") else {
        return false;
    };
    let Ok(at) = at.parse::<i64>() else { return false };
    look == status.0 && times_in(look).is_some_and(|times| times.iter().all(|time| time.saturating_add(COARSE) < at))
}

/// The times in a status.
fn times_in(status: &str) -> Option<Vec<i64>> {
    let stamps = status
        .split(' ')
        .filter_map(|field| field.split_once('='))
        .filter(|(key, _)| *key != "dir");
    stamps
        .filter(|(_, stamp)| *stamp != "-")
        .map(|(_, stamp)| stamp.split_once('/')?.0.parse().ok())
        .collect()
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dir={}@{}", self.inode, self.born)?;
        for (name, stamp) in [("new", self.new), ("cur", self.cur), ("keywords", self.keywords)] {
            match stamp {
                Some(Stamp { mtime, inode }) => write!(f, " {name}={mtime}/{inode}")?,
                None => write!(f, " {name}=-")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untouched_needs_equal_and_old_times() {
        let s = 1_000_000_000_i64;
        let status = format!("dir=5@77 new={}/6 cur={}/7 keywords=-", 10 * s, 12 * s);
        // (token, untouched)
        for (token, expected) in [
            (format!("{status} at={}", 20 * s), true),
            (format!("{status} at={}", 14 * s + 1), true),
            (format!("{status} at={}", 14 * s), false),
            (format!("{status} at={}", 12 * s), false),
            (format!("{status} at={}", 5 * s), false),
            (status.clone(), false),
            (format!("{} at={}", status.replace("cur=12", "cur=11"), 20 * s), false),
            (format!("{} at={}", status.replace("dir=5", "dir=6"), 20 * s), false),
            (String::new(), false),
        ] {
            let checkpoint = Checkpoint {
                validity: 1,
                next_id: None,
                token: Token(token.clone()),
            };
            assert_eq!(untouched(&Token(status.clone()), &checkpoint), expected, "{token}");
        }
    }

    #[test]
    fn a_new_directory_is_another_one() {
        let root = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            let place = Place::new(root.path().join(name));
            fs::create_dir_all(place.part(Part::Cur)).unwrap();
            place
        };
        let before = place("a").look().unwrap();
        fs::rename(root.path().join("a"), root.path().join("b")).unwrap();
        let renamed = Place::new(root.path().join("b")).look().unwrap();
        assert_eq!(
            (renamed.validity(), renamed.identity()),
            (before.validity(), before.identity())
        );
        let other = place("a").look().unwrap();
        assert_ne!(other.validity(), before.validity());
        assert_eq!(
            Place::new(root.path().join("none")).look().unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
