//! What the operating system is asked for, and what its refusals mean to a user.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;

use crate::error::{Failure, Kind, Reach, Result, Retry, clean};

/// Mail is nobody else's business.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

const IN_THE_WAY: &str = "something else lies where that should be: move it away";

/// What the system's refusal means, and how far it reaches at least.
///
/// A full or broken disk, or one without free descriptors, stops the account: each further message would only fail the
/// same way, and a file system that loses writes must not be trusted with more. All else reaches as far as `reach` says.
pub(crate) fn failure(err: &io::Error, reach: Reach, what: impl Display) -> Failure {
    let (reach, kind, hint) = match errno(err) {
        Some(Errno::NOSPC | Errno::DQUOT) => (
            Reach::Account,
            Kind::Partial,
            Some("free some space on that disk, then run again; what was done so far is kept"),
        ),
        Some(Errno::IO) => (
            Reach::Account,
            Kind::Partial,
            Some("look at the disk's health before you run again"),
        ),
        Some(Errno::MFILE | Errno::NFILE) => (
            Reach::Account,
            Kind::Temporary,
            Some("too many files are open; run again later"),
        ),
        Some(Errno::ROFS) => (reach, Kind::Partial, Some("the file system is mounted read-only")),
        Some(Errno::ACCESS | Errno::PERM) => (reach, Kind::Partial, Some("check who owns it and its permissions")),
        Some(Errno::NOTDIR | Errno::ISDIR) => (reach, Kind::Partial, Some(IN_THE_WAY)),
        Some(Errno::NAMETOOLONG) => {
            let failure = Failure::mailbox(format!("{what}: the name is too long for this file system"));
            return Failure {
                reach,
                retry: Retry::Never,
                ..failure
            };
        }
        _ if err.kind() == io::ErrorKind::InvalidInput => (reach, Kind::Partial, Some(IN_THE_WAY)),
        _ => (reach, Kind::Partial, None),
    };
    Failure {
        reach,
        retry: Retry::Later,
        kind,
        what: format!("{what}: {}", clean(err.to_string())),
        hint: hint.map(str::to_owned),
        after: None,
    }
}

/// Whether the disk itself refuses, or there are no descriptors: whatever is tried there fails likewise, and no
/// configuration is to blame.
pub(crate) fn is_of_the_disk(err: &io::Error) -> bool {
    let errno = errno(err);
    matches!(
        errno,
        Some(Errno::NOSPC | Errno::DQUOT | Errno::IO | Errno::MFILE | Errno::NFILE)
    )
}

/// How far a rename's refusal reaches at least: directories that may not be written, or are none, refuse every file.
pub(super) fn reach_of_rename(err: &io::Error) -> Reach {
    match errno(err) {
        Some(Errno::ACCESS | Errno::ROFS | Errno::NOTDIR) => Reach::Mailbox,
        _ => Reach::Message,
    }
}

/// A path for a message to the user.
pub(crate) fn shown(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    format!("\"{}\"", clean(path.as_os_str().as_bytes()))
}

fn errno(err: &io::Error) -> Option<Errno> {
    err.raw_os_error().map(Errno::from_raw_os_error)
}

/// `None` for what is not there, so that a vanished file is no error.
pub(crate) fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

/// Renames, but never onto an existing name: `AlreadyExists` then, and nothing has changed. The source is gone on success.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rename_exclusively(from, to) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => rename_by_link(from, to),
        other => other.map_err(io::Error::from),
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_exclusively(from: &Path, to: &Path) -> rustix::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_exclusively(_: &Path, _: &Path) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}

/// For file systems that cannot rename exclusively: a link refuses an existing name as well. One that has no links either
/// leaves a moment between looking and renaming.
fn rename_by_link(from: &Path, to: &Path) -> io::Result<()> {
    let is_directory = fs::symlink_metadata(from)?.is_dir();
    if !is_directory {
        match fs::hard_link(from, to) {
            Ok(()) => return fs::remove_file(from),
            Err(err)
                if matches!(
                    errno(&err),
                    Some(Errno::PERM | Errno::NOTSUP | Errno::NOSYS | Errno::MLINK)
                ) => {}
            Err(err) => return Err(err),
        }
    }
    if if_there(fs::symlink_metadata(to))?.is_some() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

/// Moves a file, across file systems too, and never onto an existing name. The date stays. When it was copied, the copy is
/// durable before the source goes.
pub(super) fn carry(from: &Path, to: &Path) -> io::Result<()> {
    match rename_new(from, to) {
        Err(err) if err.kind() == io::ErrorKind::CrossesDevices => carry_across(from, to, sync_directory),
        Err(err) => Err(err),
        Ok(()) => is_gone(from),
    }
}

/// Moves a file by copying it: the source goes when the copy is durable, and so is its name.
fn carry_across(from: &Path, to: &Path, sync: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    copy_new(from, to)?;
    sync(to.parent().unwrap_or(to))
        // Renamed under us: it would be there twice.
        .and_then(|()| fs::remove_file(from))
        .inspect_err(|_| drop(fs::remove_file(to)))
}

/// A rename between two links of one file succeeds and leaves the source (HAZARDS 20).
fn is_gone(from: &Path) -> io::Result<()> {
    match if_there(fs::symlink_metadata(from))? {
        None => Ok(()),
        Some(_) => Err(io::Error::other("the file is still there after it was renamed")),
    }
}

/// Copies a file with its date, durably; `AlreadyExists` if the name is taken. A failed copy leaves nothing behind.
pub(super) fn copy_new(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = open_file(from)?;
    let mut target = create_file(to)?;
    let copied = (|| {
        io::copy(&mut source, &mut target)?;
        target.set_modified(source.metadata()?.modified()?)?;
        target.sync_all()
    })();
    copied.inspect_err(|_| drop(fs::remove_file(to)))
}

/// Opens a message for reading. Pipes and devices that lie where messages should be are refused, not waited for.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    let not_blocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(not_blocking).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no regular file"))
    }
}

/// Creates a file that must not exist yet, for writing and reading back.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
}

/// Creates a directory and what is missing above it.
pub(crate) fn create_directories(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
}

/// Creates one directory; true if it was not there before.
pub(super) fn create_directory(path: &Path) -> io::Result<bool> {
    match fs::DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Ok(()) => Ok(true),
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(err) => Err(err),
    }
}

/// Makes the entries of a directory durable. A directory that is gone has none.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    if_there(File::open(path))?.map_or(Ok(()), |directory| directory.sync_all())
}

/// Replaces a small file as a whole, keeping its permissions: readers see the old one or the new one. Durable on return.
pub(super) fn replace_file(path: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write;
    let written = (|| {
        let mut file = create_file(temporary)?;
        if let Some(old) = if_there(fs::metadata(path))? {
            file.set_permissions(old.permissions())?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(temporary, path)
    })();
    written.inspect_err(|err| {
        if err.kind() != io::ErrorKind::AlreadyExists {
            let _ = fs::remove_file(temporary);
        }
    })?;
    sync_directory(path.parent().unwrap_or(path))
}

/// Nanoseconds since 1970 of a modification time; clamped where they do not fit.
pub(crate) fn mtime(meta: &fs::Metadata) -> i64 {
    meta.mtime()
        .saturating_mul(1_000_000_000)
        .saturating_add(meta.mtime_nsec())
}

/// Nanoseconds since 1970.
pub(super) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX))
}

/// A date as a system time; dates that no clock can hold become 1970.
pub(crate) fn system_time(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(UNIX_EPOCH)
}

/// The names in a directory, in no order.
pub(super) fn names(path: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(path)?
        .map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())))
        .collect()
}

/// The text of a file no longer than `limit` bytes; `None` where there is none.
pub(super) fn small_file(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    use io::Read;
    let read = || {
        let Some(file) = if_there(open_file(path))? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    };
    read().map_err(|err| failure(&err, Reach::Mailbox, format!("cannot read {}", shown(path))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_reach_as_far_as_they_should() {
        for (errno, reach, retry) in [
            (Errno::NOSPC, Reach::Account, Retry::Later),
            (Errno::DQUOT, Reach::Account, Retry::Later),
            (Errno::IO, Reach::Account, Retry::Later),
            (Errno::ROFS, Reach::Mailbox, Retry::Later),
            (Errno::ACCESS, Reach::Mailbox, Retry::Later),
            (Errno::NAMETOOLONG, Reach::Mailbox, Retry::Never),
            (Errno::NOENT, Reach::Mailbox, Retry::Later),
        ] {
            let failure = failure(&errno.into(), Reach::Mailbox, "x");
            assert_eq!((failure.reach, failure.retry), (reach, retry), "{errno:?}");
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        for rename in [rename_new, rename_by_link, carry] {
            fs::write(&a, "a").unwrap();
            fs::write(&b, "b").unwrap();
            assert_eq!(rename(&a, &b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(
                (fs::read(&a).unwrap(), fs::read(&b).unwrap()),
                (b"a".to_vec(), b"b".to_vec())
            );
            fs::remove_file(&b).unwrap();
            rename(&a, &b).unwrap();
            assert!(!a.exists() && b.exists());
            fs::hard_link(&b, &a).unwrap();
            assert!(rename(&a, &b).is_err(), "two links of one file");
            assert!(a.exists() && b.exists());
            fs::remove_file(&a).unwrap();
            fs::remove_file(&b).unwrap();
        }
    }

    #[test]
    fn a_source_outlives_a_copy_whose_name_may_be_lost() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        fs::write(&a, "a").unwrap();
        let refused = carry_across(&a, &b, |_| Err(Errno::IO.into())).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(Errno::IO.raw_os_error()));
        assert!(a.exists() && !b.exists());
        let both = |synced: &Path| {
            assert!(synced == dir.path() && a.exists() && b.exists());
            Ok(())
        };
        carry_across(&a, &b, both).unwrap();
        assert!(!a.exists() && fs::read(&b).unwrap() == b"a");
    }

    #[test]
    fn pipes_are_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "mkfifo is part of every system"
        );
        assert_eq!(open_file(&pipe).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(open_file(dir.path()).is_err());
    }

    #[test]
    fn dates_that_no_clock_can_hold() {
        assert_eq!(system_time(-1), UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(system_time(5), UNIX_EPOCH + Duration::from_secs(5));
        let _ = (system_time(i64::MAX), system_time(i64::MIN));
    }
}
