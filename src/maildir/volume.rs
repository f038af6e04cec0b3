//! Making files durable: one `syncfs` for many where that can be trusted, else one `fsync` each.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::disk::sync_directory;
use super::workers::each;

/// How much is done so that mail survives a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Each flush makes a batch of files durable together.
    #[default]
    Batch,
    /// Left to the operating system. What a power cut takes is fetched again in the next run, unless the state survived
    /// and the files did not: then they look removed, and the guards have to notice.
    Off,
}

/// How many files are synced at a time where each needs its own call: such calls mostly wait, and file systems join those
/// that come together.
const AT_A_TIME: usize = 16;

/// The file systems that were written to. Their descriptors stay open from before the first write, so that no write error
/// escapes a later `syncfs` (HAZARDS 21).
#[derive(Debug, Default)]
pub(crate) struct Volumes(Mutex<Vec<Volume>>);

#[derive(Debug)]
struct Volume {
    device: u64,
    /// The descriptor to sync it through; `None` where `syncfs` is not trusted.
    whole: Option<File>,
}

impl Volumes {
    /// To be called with a file just created, before anything is written into it.
    pub(crate) fn enlist(&self, file: &File, directory: &Path) -> io::Result<()> {
        let device = file.metadata()?.dev();
        let mut volumes = self.0.lock().expect("no panic while held");
        if volumes.iter().all(|volume| volume.device != device) {
            let whole = if is_trusted(file) {
                Some(File::open(directory)?)
            } else {
                None
            };
            volumes.push(Volume { device, whole });
        }
        Ok(())
    }

    /// Makes files durable that were enlisted. After an error nothing is known about any of them.
    pub(crate) fn sync_files(&self, files: &[(u64, &Path)]) -> io::Result<()> {
        let volumes = self.0.lock().expect("no panic while held");
        let mut single: Vec<PathBuf> = Vec::new();
        let mut whole: Vec<u64> = Vec::new();
        for &(device, path) in files {
            match volumes.iter().find(|volume| volume.device == device) {
                Some(Volume { whole: Some(_), .. }) if whole.contains(&device) => {}
                Some(Volume {
                    whole: Some(descriptor),
                    ..
                }) => {
                    sync_whole(descriptor)?;
                    whole.push(device);
                }
                _ => single.push(path.to_owned()),
            }
        }
        in_parallel(&single, |path| File::open(path)?.sync_all())
    }
}

/// Makes the entries of directories durable.
pub(crate) fn sync_directories(directories: &[PathBuf]) -> io::Result<()> {
    in_parallel(directories, sync_directory)
}

fn in_parallel(paths: &[PathBuf], sync: impl Fn(&Path) -> io::Result<()> + Sync) -> io::Result<()> {
    let error = Mutex::new(None);
    each(paths, AT_A_TIME, |path| {
        if let Err(err) = sync(path) {
            error.lock().expect("no panic while held").get_or_insert(err);
        }
    });
    error.into_inner().expect("no panic while held").map_or(Ok(()), Err)
}

/// Whether `syncfs` was tested to be durable on the file system of that file (HAZARDS 21).
#[cfg(target_os = "linux")]
fn is_trusted(file: &File) -> bool {
    // statfs(2), f_type: ext4, xfs, btrfs, tmpfs.
    const TESTED: [i64; 4] = [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994];
    rustix::fs::fstatfs(file).is_ok_and(|stat| TESTED.iter().any(|&kind| i128::from(stat.f_type) == i128::from(kind)))
}

#[cfg(not(target_os = "linux"))]
fn is_trusted(_: &File) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn sync_whole(descriptor: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(descriptor)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_whole(descriptor: &File) -> io::Result<()> {
    descriptor.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn syncfs_is_trusted_where_it_was_tested() {
        let trusted = |path: &str| File::open(path).map(|file| is_trusted(&file));
        // A tmpfs wherever there is one; and one that never holds files.
        assert!(trusted("/dev/shm").unwrap_or(true));
        assert!(!trusted("/proc").unwrap_or(false));
    }

    #[test]
    fn files_are_synced_one_way_or_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..40).map(|n| dir.path().join(n.to_string())).collect();
        let volumes = Volumes::default();
        for path in &paths {
            volumes.enlist(&File::create(path).unwrap(), dir.path()).unwrap();
        }
        let device = std::fs::metadata(dir.path()).unwrap().dev();
        assert_eq!(volumes.0.lock().unwrap().len(), 1);
        let on = |device: u64| paths.iter().map(|path| (device, path.as_path())).collect::<Vec<_>>();
        volumes.sync_files(&on(device)).unwrap();
        volumes.sync_files(&on(device + 1)).unwrap();
        std::fs::remove_file(&paths[7]).unwrap();
        assert!(
            volumes.sync_files(&on(device + 1)).is_err(),
            "a file that cannot be synced is told"
        );
        sync_directories(&[dir.path().to_owned(), dir.path().join("gone")]).unwrap();
    }
}
