//! Where exported mail goes: files that are not there yet, whole and durable when they have their names.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Format;
use super::held::Item;
use super::under_way::{Notes, Stamp};
use crate::error::{Failure, Kind, Reach, Result};
use crate::formats::eml::{INDEX, Index, file_name};
use crate::formats::mbox::{Intake, Message, Writer};
use crate::identity::Digester;
use crate::maildir::disk::{
    create_directories, create_file, failure, if_there, rename_new, shown, sync_directory, system_time,
};
use crate::maildir::nested_name;
use crate::maildir::volume::Volumes;
use crate::model::MailboxPath;

/// What an unfinished file ends with.
const PARTIAL: &str = ".partial";

/// A directory for exported mail.
pub(super) struct Place<'a> {
    root: &'a Path,
    format: Format,
    volumes: Volumes,
}

impl<'a> Place<'a> {
    pub(super) fn new(root: &'a Path, format: Format) -> Self {
        Self {
            root,
            format,
            volumes: Volumes::default(),
        }
    }

    /// The file or the directory of a mailbox, relative to the root.
    fn name(&self, mailbox: &MailboxPath) -> PathBuf {
        let mut components = mailbox.components().to_vec();
        if let (Format::Mbox, Some(last)) = (self.format, components.last_mut()) {
            last.push_str(".mbox");
        }
        // An INBOX.mbox is no INBOX, whose name has one spelling.
        nested_name(&MailboxPath::new(components).unwrap_or_else(|| mailbox.clone()))
    }

    /// The same for people.
    pub(super) fn shown(&self, mailbox: &MailboxPath) -> String {
        crate::error::clean(self.root.join(self.name(mailbox)).as_os_str().as_encoded_bytes())
    }

    /// The file that stands for a whole mailbox, relative to the root.
    pub(super) fn sign(&self, mailbox: &MailboxPath) -> PathBuf {
        match self.format {
            Format::Mbox => self.name(mailbox),
            Format::Eml => self.name(mailbox).join(INDEX),
        }
    }

    /// Nothing is overwritten, and nothing is mixed with what is there, but what an export that was cut off wrote itself.
    pub(super) fn refuse_existing(&self, mailbox: &MailboxPath, notes: &Notes) -> Result<()> {
        let name = self.name(mailbox);
        let path = self.root.join(&name);
        let taken = match self.format {
            Format::Mbox => fs::symlink_metadata(&path).is_ok() && !notes.is_ours(&name),
            Format::Eml => messages(&path).iter().any(|file| !notes.is_ours(&name.join(file))),
        };
        if !taken {
            return Ok(());
        }
        let what = format!("{} is there already, and is not overwritten", shown(&path));
        Err(Failure::account(Kind::Usage, what).hint("name another directory with --to, or move it away"))
    }

    /// Begins a mailbox.
    pub(super) fn begin(&self, mailbox: &MailboxPath, notes: &mut Notes) -> Result<Writing<'_>> {
        notes.begin()?;
        let name = self.name(mailbox);
        let path = self.root.join(&name);
        let directory = match self.format {
            Format::Mbox => path.parent().unwrap_or(self.root).to_owned(),
            Format::Eml => path.clone(),
        };
        let unwritable = |err| failure(&err, Reach::Mailbox, format!("cannot write {}", shown(&path)));
        create_directories(&directory).map_err(unwritable)?;
        Ok(match self.format {
            Format::Mbox => {
                let partial = partial(&path);
                let file = create_anew(&partial).map_err(unwritable)?;
                Writing::Mbox(Box::new(Mbox {
                    writer: Writer::new(file),
                    name,
                    path,
                    partial,
                }))
            }
            Format::Eml => {
                clear(&directory, &name, notes).map_err(unwritable)?;
                Writing::Emls(Box::new(Emls {
                    volumes: &self.volumes,
                    name,
                    directory,
                    index: Index::default(),
                    written: Vec::new(),
                }))
            }
        })
    }
}

/// Removes what an export that was cut off wrote into a mailbox's directory, which is begun anew.
fn clear(directory: &Path, name: &Path, notes: &Notes) -> io::Result<()> {
    let files = messages(directory).into_iter();
    let mut ours = files.filter(|file| notes.is_ours(&name.join(file)));
    ours.try_for_each(|file| if_there(fs::remove_file(directory.join(file))).map(drop))
}

/// What of a mailbox is in its directory: messages and an index.
fn messages(directory: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = names.map(|entry| PathBuf::from(entry.file_name()));
    let is_one = |name: &PathBuf| name == Path::new(INDEX) || name.extension().is_some_and(|ending| ending == "eml");
    names.filter(is_one).collect()
}

fn partial(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(PARTIAL);
    PathBuf::from(name)
}

/// Creates a file; what an export that was cut off left under its name goes.
fn create_anew(partial: &Path) -> io::Result<File> {
    if_there(fs::remove_file(partial))?;
    create_file(partial)
}

/// A mailbox being written.
pub(super) enum Writing<'a> {
    Mbox(Box<Mbox>),
    Emls(Box<Emls<'a>>),
}

pub(super) struct Mbox {
    writer: Writer,
    /// Relative to the root.
    name: PathBuf,
    path: PathBuf,
    partial: PathBuf,
}

pub(super) struct Emls<'a> {
    volumes: &'a Volumes,
    /// Relative to the root.
    name: PathBuf,
    directory: PathBuf,
    index: Index,
    /// What has to be made durable: device and path.
    written: Vec<(u64, PathBuf)>,
}

impl Writing<'_> {
    /// Adds a message; returns its bytes.
    pub(super) fn add(&mut self, item: &Item<'_>, notes: &mut Notes) -> Result<u64> {
        match self {
            Self::Mbox(mbox) => {
                let before = mbox.writer.size().1;
                mbox.writer.add(item, &item.beside)?;
                Ok(mbox.writer.size().1 - before)
            }
            Self::Emls(emls) => emls.add(item, notes),
        }
    }

    /// Makes it durable, and gives it its name; `held` is what its mailbox holds.
    pub(super) fn finish(self, held: &str, notes: &mut Notes) -> Result<()> {
        match self {
            Self::Mbox(mbox) => mbox.finish(held, notes),
            Self::Emls(emls) => emls.finish(held, notes),
        }
    }

    /// Leaves nothing that looks finished.
    pub(super) fn abandon(self) {
        match self {
            Self::Mbox(mbox) => drop(fs::remove_file(&mbox.partial)),
            // Whole messages, without an index: the next export of the same replaces them.
            Self::Emls(_) => {}
        }
    }
}

impl Mbox {
    fn finish(self, held: &str, notes: &mut Notes) -> Result<()> {
        let Self {
            writer,
            name,
            path,
            partial,
        } = self;
        let named = || {
            writer.finish()?;
            let replaces = notes.is_ours(&name);
            notes.note_whole(&name, Stamp::of(&fs::symlink_metadata(&partial)?), held)?;
            if replaces {
                fs::rename(&partial, &path)?;
            } else {
                rename_new(&partial, &path)?;
            }
            path.parent().map_or(Ok(()), sync_directory)
        };
        named().map_err(|err| failure(&err, Reach::Mailbox, format!("cannot write {}", shown(&path))))
    }
}

impl Emls<'_> {
    fn add(&mut self, item: &Item<'_>, notes: &mut Notes) -> Result<u64> {
        let partial = self.directory.join(format!("message{PARTIAL}"));
        let unwritable = |err| failure(&err, Reach::Mailbox, format!("cannot write {}", shown(&partial)));
        let file = create_anew(&partial).map_err(unwritable)?;
        self.volumes.enlist(&file, &self.directory).map_err(unwritable)?;
        let mut eml = Eml {
            file: io::BufWriter::new(file),
            digester: Digester::new(),
        };
        item.pour(&mut eml).inspect_err(|_| drop(fs::remove_file(&partial)))?;
        let identity = eml.digester.finish();
        let named = (|| {
            let file = eml.file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.set_modified(system_time(item.beside.date.0))?;
            let (meta, mut nth) = (file.metadata()?, 1);
            let device = meta.dev();
            loop {
                let name = file_name(item.beside.date, identity.content, nth);
                notes.note(&self.name.join(&name), Stamp::of(&meta))?;
                match rename_new(&partial, &self.directory.join(&name)) {
                    Err(err) if err.kind() == io::ErrorKind::AlreadyExists => nth += 1,
                    other => return other.map(|()| (device, name)),
                }
            }
        })();
        let (device, name) = named.map_err(unwritable)?;
        self.index.add(&name, &item.beside);
        self.written.push((device, self.directory.join(name)));
        Ok(identity.size)
    }

    fn finish(self, held: &str, notes: &mut Notes) -> Result<()> {
        let index = self.directory.join(INDEX);
        let partial = partial(&index);
        let mut named = || {
            let files: Vec<_> = self
                .written
                .iter()
                .map(|(device, path)| (*device, path.as_path()))
                .collect();
            self.volumes.sync_files(&files)?;
            let mut file = create_anew(&partial)?;
            file.write_all(self.index.text().as_bytes())?;
            file.sync_all()?;
            notes.note_whole(&self.name.join(INDEX), Stamp::of(&file.metadata()?), held)?;
            rename_new(&partial, &index)?;
            sync_directory(&self.directory)?;
            self.directory.parent().map_or(Ok(()), sync_directory)
        };
        named().map_err(|err| failure(&err, Reach::Mailbox, format!("cannot write {}", shown(&index))))
    }
}

/// A message on its way into a file of its own.
struct Eml {
    file: io::BufWriter<File>,
    digester: Digester,
}

impl Intake for Eml {
    fn begin(&mut self) -> io::Result<()> {
        self.digester = Digester::new();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.get_ref().set_len(0)
    }

    fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        self.digester.update(piece);
        self.file.write_all(piece)
    }
}
