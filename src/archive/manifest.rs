//! A list of digests that `sha256sum -c` reads: for who wants to check an archive without homing.
//!
//! Made when somebody asks, and not kept up to date: files are renamed when flags change, so each backup would have to
//! write all of it anew.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::error::{Failure, Kind, Result};
use crate::maildir::files::MessageFile;

/// A list under way. Whoever reads meanwhile sees the old one.
pub struct Manifest {
    path: PathBuf,
    /// Paths are relative to this directory.
    root: PathBuf,
    lines: Mutex<io::Result<BufWriter<NamedTempFile>>>,
}

impl Manifest {
    /// Begins the list `path` of an archive's files.
    pub fn begin(path: &Path, root: &Path) -> Self {
        let directory = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let made = tempfile::Builder::new()
            // As any file that a program makes: the umask decides.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory.unwrap_or(Path::new(".")));
        Self {
            path: path.to_owned(),
            root: root.to_owned(),
            lines: Mutex::new(made.map(BufWriter::new)),
        }
    }

    /// Adds a file. What goes wrong is told at the end.
    pub fn add(&self, file: &MessageFile) {
        let line = self.line(file);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(out) = &mut *lines
            && let Err(error) = line.and_then(|line| out.write_all(&line))
        {
            *lines = Err(error);
        }
    }

    /// Puts the list in its place.
    pub fn end(self) -> Result<()> {
        let lines = self.lines.into_inner().unwrap_or_else(PoisonError::into_inner);
        let ended = lines.and_then(|lines| {
            let file = lines.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            Ok(())
        });
        ended.map_err(|error| {
            let what = format!("the manifest {} could not be written: {error}", self.path.display());
            Failure::account(Kind::Partial, what).hint("name a file in a directory that you may write to")
        })
    }

    fn line(&self, file: &MessageFile) -> io::Result<Vec<u8>> {
        let mut hasher = Sha256::new();
        let mut open: File = file.open()?;
        let mut piece = vec![0; 64 * 1024];
        loop {
            match io::Read::read(&mut open, &mut piece)? {
                0 => break,
                n => hasher.update(&piece[..n]),
            }
        }
        let path = file.path.strip_prefix(&self.root).unwrap_or(&file.path);
        Ok(line(&hasher.finalize(), path.as_os_str().as_bytes()))
    }
}

/// As `sha256sum` writes it: a backslash before the digest where there are any in the name.
fn line(digest: &[u8], path: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(path.len());
    for &byte in path {
        match byte {
            b'\\' => name.extend(b"\\\\"),
            b'\n' => name.extend(b"\\n"),
            b'\r' => name.extend(b"\\r"),
            other => name.push(other),
        }
    }
    let mut line = Vec::new();
    if name.len() > path.len() {
        line.push(b'\\');
    }
    for byte in digest {
        line.extend(format!("{byte:02x}").bytes());
    }
    line.extend(b"  ");
    line.extend(name);
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        for (path, expected) in [("a/b", "0aff  a/b\n"), ("a\\b\nc", "\\0aff  a\\\\b\\nc\n")] {
            assert_eq!(line(&[10, 255], path.as_bytes()), expected.as_bytes());
        }
    }
}
