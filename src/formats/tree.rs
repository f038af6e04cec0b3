//! What lies under a path: an mbox, a message, or a directory of them, as mail programs and `homing export` leave them.
//!
//! Directories and files are levels and mailboxes of the same names, without `.mbox`. What Thunderbird keeps (`Work`, its
//! index `Work.msf`, its children in `Work.sbd/`) and what Apple Mail exports (`Work.mbox/mbox`) is known.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::eml::{INDEX, read_index};
use super::from_line::FromLine;
use crate::error::{Failure, Kind, Result};
use crate::maildir::disk::{failure, open_file, shown};
use crate::maildir::nested_mailbox;
use crate::model::MailboxPath;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Tree {
    /// A Maildir, or a directory of them.
    Maildir,
    /// Files.
    Files(Files),
}

/// Files with mail.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// By mailbox; `None` is the place itself that was named: a single file, or messages beside one another in it.
    pub mailboxes: BTreeMap<Option<MailboxPath>, Sources>,
    /// What it would be called, if it is a single file with a name.
    pub name: Option<MailboxPath>,
    /// What was left out, and why.
    pub left_out: Vec<(PathBuf, String)>,
}

/// Where the messages of a mailbox lie.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// mbox files.
    pub mboxes: Vec<PathBuf>,
    /// Files with one message each.
    pub messages: Vec<PathBuf>,
}

/// Levels below which nothing is looked for.
const DEEPEST: usize = 64;

/// So much of a file is looked at to tell what it is.
const BEGINNING: u64 = 2048;

/// Looks at a path.
pub fn look(path: &Path) -> Result<Tree> {
    let unreadable = |err: &io::Error| {
        let failure = failure(
            err,
            crate::error::Reach::Account,
            format!("cannot read {}", shown(path)),
        );
        match err.kind() {
            io::ErrorKind::NotFound => Failure::account(Kind::Usage, format!("there is no {}", shown(path))),
            _ => failure,
        }
    };
    if !fs::metadata(path).map_err(|err| unreadable(&err))?.is_dir() {
        return single(path).map(Tree::Files);
    }
    let mut walk = Walk::default();
    walk.directory(path, &[]).map_err(|err| unreadable(&err))?;
    let Walk { mut files, maildirs } = walk;
    match (maildirs.first(), files.mailboxes.is_empty()) {
        (Some(_), true) => Ok(Tree::Maildir),
        (None, _) => Ok(Tree::Files(files)),
        (Some(_), false) => {
            let why = "this is a Maildir beside other files; import it on its own";
            files
                .left_out
                .extend(maildirs.into_iter().map(|path| (path, why.to_owned())));
            Ok(Tree::Files(files))
        }
    }
}

/// A file that somebody named.
fn single(path: &Path) -> Result<Files> {
    let mut files = Files::default();
    let name = path.file_name().unwrap_or_default();
    let unreadable = |err: io::Error| {
        failure(
            &err,
            crate::error::Reach::Account,
            format!("cannot read {}", shown(path)),
        )
    };
    let mut sources = Sources::default();
    match kind(path).map_err(unreadable)? {
        Looks::Message => sources.messages.push(path.to_owned()),
        Looks::Mbox | Looks::Empty => {
            sources.mboxes.push(path.to_owned());
            files.name = nested_mailbox(Path::new(name)).map(without_ending);
        }
        // Somebody says that it is mail: what stands before the first From_ line is kept as a message.
        Looks::Other if ending(name).is_some() => sources.mboxes.push(path.to_owned()),
        Looks::Other | Looks::Index => {
            let what = format!("{} is neither an mbox nor a message", shown(path));
            let hint = "an mbox begins with a line such as \"From ada@example.org Thu Jan  1 00:00:00 2026\", a message \
                        with its header";
            return Err(Failure::account(Kind::Usage, what).hint(hint));
        }
    }
    files.mailboxes.insert(None, sources);
    Ok(files)
}

/// What a file looks like.
#[derive(Debug, PartialEq, Eq)]
enum Looks {
    Mbox,
    Message,
    Empty,
    /// Other programs' business, and our own index.
    Index,
    Other,
}

/// Endings of mbox files.
const MBOX: [&str; 2] = [".mbox", ".mbx"];

fn ending(name: &OsStr) -> Option<&'static str> {
    let name = name.to_str()?.to_ascii_lowercase();
    MBOX.into_iter().find(|ending| name.ends_with(ending))
}

fn kind(path: &Path) -> io::Result<Looks> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_index = name == INDEX || name == "table_of_contents";
    if is_index || [".msf", ".dat"].iter().any(|ending| name.ends_with(ending)) {
        return Ok(Looks::Index);
    }
    let mut beginning = Vec::new();
    open_file(path)?.take(BEGINNING).read_to_end(&mut beginning)?;
    let first = beginning.split_inclusive(|&b| b == b'\n').next().unwrap_or_default();
    Ok(match first {
        _ if FromLine::parse(first).is_some() && !is_listed(path) => Looks::Mbox,
        _ if name.rsplit_once('.').is_some_and(|(_, ending)| ending == "eml") => Looks::Message,
        [] => Looks::Empty,
        _ if ending(name.as_ref()).is_none() && is_field(first) => Looks::Message,
        _ => Looks::Other,
    })
}

/// Whether an index beside it says that it is a message, whatever that begins with.
fn is_listed(path: &Path) -> bool {
    let index = fs::read_to_string(path.with_file_name(INDEX)).unwrap_or_default();
    let name = path.file_name().and_then(OsStr::to_str);
    read_index(&index).is_some_and(|index| name.is_some_and(|name| index.contains_key(name)))
}

/// Whether a line looks like a header field.
fn is_field(line: &[u8]) -> bool {
    let name = line.split(|&b| b == b':').next().unwrap_or_default();
    let is_name = name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    !name.is_empty() && name.len() < line.len() && is_name
}

/// The mailbox of a file of that name.
fn without_ending(path: MailboxPath) -> MailboxPath {
    let mut components = path.components().to_vec();
    if let Some(last) = components.last_mut()
        && let Some(ending) = ending(last.as_ref()).filter(|ending| ending.len() < last.len())
    {
        last.truncate(last.len() - ending.len());
    }
    MailboxPath::new(components).unwrap_or(path)
}

#[derive(Default)]
struct Walk {
    files: Files,
    maildirs: Vec<PathBuf>,
}

impl Walk {
    fn directory(&mut self, directory: &Path, levels: &[PathBuf]) -> io::Result<()> {
        if directory.join("cur").is_dir() {
            self.maildirs.push(directory.to_owned());
            return Ok(());
        }
        let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<DirEntry>>>()?;
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name());
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let looked = match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.level(&path, levels),
                Ok(kind) if kind.is_symlink() && path.is_dir() => {
                    self.leave_out(&path, "links to directories are not followed");
                    Ok(())
                }
                Ok(_) => self.file(&path, levels),
                Err(err) => Err(err),
            };
            if let Err(err) = looked {
                self.leave_out(&path, format!("it cannot be read: {err}"));
            }
        }
        Ok(())
    }

    fn level(&mut self, path: &Path, levels: &[PathBuf]) -> io::Result<()> {
        if levels.len() == DEEPEST {
            self.leave_out(path, "it lies too deep");
            return Ok(());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let own = match path.extension().and_then(OsStr::to_str) {
            // Thunderbird: the children of the mailbox beside it.
            Some("sbd") if path.with_extension("").exists() || path.with_extension("msf").exists() => {
                name.trim_end_matches(".sbd")
            }
            // Apple Mail: the directory is the mailbox.
            Some("mbox") if path.join("mbox").is_file() => {
                let own = nested(&[levels, &[PathBuf::from(name.trim_end_matches(".mbox"))]].concat());
                self.mailbox(own).mboxes.push(path.join("mbox"));
                return Ok(());
            }
            _ => name.as_str(),
        };
        let own = if own == name {
            path.file_name().map(PathBuf::from)
        } else {
            Some(PathBuf::from(own))
        };
        let levels: Vec<PathBuf> = levels.iter().cloned().chain(own).collect();
        self.directory(path, &levels)
    }

    fn file(&mut self, path: &Path, levels: &[PathBuf]) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default();
        let own = || nested(&[levels, &[PathBuf::from(name)]].concat()).map(without_ending);
        match kind(path)? {
            Looks::Message => self.mailbox(nested(levels)).messages.push(path.to_owned()),
            Looks::Mbox => self.mailbox(own()).mboxes.push(path.to_owned()),
            Looks::Empty if ending(name).is_some() || path.with_extension("msf").exists() => {
                self.mailbox(own()).mboxes.push(path.to_owned());
            }
            Looks::Empty | Looks::Index => {}
            Looks::Other if ending(name).is_some() => self.mailbox(own()).mboxes.push(path.to_owned()),
            Looks::Other => self.leave_out(path, "it is neither an mbox nor a message"),
        }
        Ok(())
    }

    fn mailbox(&mut self, path: Option<MailboxPath>) -> &mut Sources {
        self.files.mailboxes.entry(path).or_default()
    }

    fn leave_out(&mut self, path: &Path, why: impl Into<String>) {
        self.files.left_out.push((path.to_owned(), why.into()));
    }
}

/// The mailbox at these levels below the place that was named.
fn nested(levels: &[PathBuf]) -> Option<MailboxPath> {
    nested_mailbox(&levels.iter().collect::<PathBuf>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MBOX: &str = "From a@b Thu Jan  1 00:00:00 1970\nSubject: x\n\n";

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            let is_directory = name.ends_with('/');
            fs::create_dir_all(if is_directory { &path } else { path.parent().unwrap() }).unwrap();
            if !is_directory {
                fs::write(path, text).unwrap();
            }
        }
        dir
    }

    /// `mailbox: files`, and `- file` for what was left out.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let dir = tree(files);
        let relative = |path: &PathBuf| path.strip_prefix(dir.path()).unwrap().display().to_string();
        let Tree::Files(files) = look(dir.path()).unwrap() else {
            return vec!["Maildir".into()];
        };
        let mailboxes = files.mailboxes.iter().map(|(path, sources)| {
            let all: Vec<_> = sources.mboxes.iter().chain(&sources.messages).map(relative).collect();
            let name = path.as_ref().map_or_else(|| ".".to_owned(), MailboxPath::to_string);
            format!("{name}: {}", all.join(" "))
        });
        let out = files.left_out.iter().map(|(path, _)| format!("- {}", relative(path)));
        mailboxes.chain(out).collect()
    }

    #[test]
    fn directories() {
        type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
        let rows: &[Row<'_>] = &[
            (&[], &[]),
            // homing's own.
            (
                &[
                    ("INBOX.mbox", MBOX),
                    ("Work.mbox", ""),
                    ("Work/2026.mbox", MBOX),
                    ("A%2FB.mbox", MBOX),
                ],
                &[
                    "A/B: A%2FB.mbox",
                    "INBOX: INBOX.mbox",
                    "Work: Work.mbox",
                    "Work/2026: Work/2026.mbox",
                ],
            ),
            (
                &[("INBOX/1.eml", "x"), ("INBOX/flags.tsv", "x"), ("Work/2026/2.eml", "")],
                &["INBOX: INBOX/1.eml", "Work/2026: Work/2026/2.eml"],
            ),
            // Thunderbird's.
            (
                &[
                    ("Inbox", MBOX),
                    ("Inbox.msf", "x"),
                    ("Inbox.sbd/Work", MBOX),
                    ("Inbox.sbd/Work.msf", "x"),
                    ("Inbox.sbd/Work.sbd/2026", MBOX),
                    ("Trash", ""),
                    ("Trash.msf", "x"),
                    ("msgFilterRules.dat", "x"),
                    (".hidden", "x"),
                ],
                &[
                    "INBOX: Inbox",
                    "INBOX/Work: Inbox.sbd/Work",
                    "INBOX/Work/2026: Inbox.sbd/Work.sbd/2026",
                    "Trash: Trash",
                ],
            ),
            // Apple Mail's.
            (
                &[("Work.mbox/mbox", MBOX), ("Work.mbox/table_of_contents", "x")],
                &["Work: Work.mbox/mbox"],
            ),
            // Messages beside one another, and what is no mail.
            (
                &[
                    ("a.eml", "x"),
                    ("b.EML", MBOX),
                    ("1", "Subject: x\n"),
                    ("photo.jpg", "\u{1}\u{2}"),
                    ("empty", ""),
                ],
                &[".: 1 a.eml", "b.EML: b.EML", "- photo.jpg"],
            ),
            (&[("cur/", ""), ("new/", "")], &["Maildir"]),
            (&[("Work/cur/", ""), ("x/y/cur/1", "x")], &["Maildir"]),
            (&[("Work/cur/1", ""), ("a.eml", "x")], &[".: a.eml", "- Work"]),
        ];
        for (files, expected) in rows {
            assert_eq!(found(files), *expected, "{files:?}");
        }
    }

    #[test]
    fn single_files() {
        // (name, text, what it would be called, "mbox", "message" or an error)
        for (name, text, called, kind) in [
            ("Sent.mbox", MBOX, Some("Sent"), "mbox"),
            ("sent", MBOX, Some("sent"), "mbox"),
            ("inbox.mbx", "", Some("INBOX"), "mbox"),
            ("a.eml", "Subject: x\n", None, "message"),
            ("a.txt", "Subject: x\n", None, "message"),
            ("cut.mbox", "Subject: x\n", None, "mbox"),
            ("a.pdf", "%PDF\n", None, "error"),
        ] {
            let dir = tree(&[(name, text)]);
            let looked = look(&dir.path().join(name));
            let Ok(Tree::Files(files)) = looked else {
                assert_eq!(kind, "error", "{name}: {looked:?}");
                continue;
            };
            assert_eq!(files.name.map(|path| path.to_string()).as_deref(), called, "{name}");
            let sources = &files.mailboxes[&None];
            let counts = (sources.mboxes.len(), sources.messages.len());
            assert_eq!(counts, if kind == "mbox" { (1, 0) } else { (0, 1) }, "{name}");
        }
        assert!(look(Path::new("/nonexistent/x")).is_err());
    }
}
