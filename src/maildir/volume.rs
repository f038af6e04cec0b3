//! Making files durable: one `syncfs` for many where that can be trusted, else one `fsync` each.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

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
pub(crate) struct Volumes(Mutex<Enlisted>);

#[derive(Debug, Default)]
struct Enlisted {
    volumes: Vec<Volume>,
    /// The directories that are known to lie on them. Files of one that went elsewhere since are synced one by one.
    directories: HashSet<PathBuf>,
}

#[derive(Debug)]
struct Volume {
    device: u64,
    /// The descriptor to sync it through; `None` where `syncfs` is not trusted.
    whole: Option<Arc<File>>,
}

impl Volumes {
    /// To be called with a file just created in that directory, before anything is written into it.
    pub(crate) fn enlist(&self, file: &File, directory: &Path) -> io::Result<()> {
        let mut enlisted = self.enlisted();
        if enlisted.directories.contains(directory) {
            return Ok(());
        }
        let device = file.metadata()?.dev();
        if enlisted.volumes.iter().all(|volume| volume.device != device) {
            let whole = if is_trusted(file) {
                Some(Arc::new(File::open(directory)?))
            } else {
                None
            };
            enlisted.volumes.push(Volume { device, whole });
        }
        enlisted.directories.insert(directory.to_owned());
        Ok(())
    }

    fn enlisted(&self) -> MutexGuard<'_, Enlisted> {
        self.0.lock().expect("no panic while held")
    }

    /// Makes files durable that were enlisted. After an error nothing is known about any of them.
    pub(crate) fn sync_files(&self, files: &[(u64, &Path)]) -> io::Result<()> {
        let mut single: Vec<PathBuf> = Vec::new();
        let mut whole: BTreeMap<u64, Arc<File>> = BTreeMap::new();
        {
            let volumes = &self.enlisted().volumes;
            for &(device, path) in files {
                let volume = volumes.iter().find(|volume| volume.device == device);
                match volume.and_then(|volume| volume.whole.as_ref()) {
                    Some(descriptor) => drop(whole.entry(device).or_insert_with(|| Arc::clone(descriptor))),
                    None => single.push(path.to_owned()),
                }
            }
        }
        // Nobody waits for this with the next file.
        whole.values().try_for_each(|descriptor| sync_whole(descriptor))?;
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
        assert_eq!(volumes.enlisted().volumes.len(), 1);
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
