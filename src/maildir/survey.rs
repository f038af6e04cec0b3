//! Finding all mailboxes of a root.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::disk::{failure, if_there, shown};
use super::escape::goes_on;
use super::layout::Layout;
use super::store::Shared;
use crate::error::{Failure, Reach, Result, Retry, clean};
use crate::model::{Listed, RawName, Survey};

/// A directory below the root.
struct Directory {
    /// Relative to the root.
    raw: Vec<u8>,
    /// Reached through a symbolic link: a mailbox it can be, but what lies beneath is not looked at, since links make loops.
    linked: bool,
}

impl Shared {
    /// All mailboxes, each with its status. A root that is not there has none.
    pub(super) fn survey(&self) -> Result<Survey> {
        let mut survey = Survey::default();
        let root = &self.options.root;
        let there = if_there(fs::metadata(root)).map_err(|err| unreadable(&err, root, Reach::Account))?;
        if there.is_none() {
            return Ok(survey);
        }
        match self.layout {
            Layout::Nested => self.survey_nested(&mut survey)?,
            Layout::MaildirPlusPlus => self.survey_side_by_side(&mut survey)?,
        }
        // Of two directories for one mailbox the one that we would have made ourselves is the mailbox.
        survey.mailboxes.sort_by(|a, b| {
            let foreign = |listed: &Listed| {
                (
                    !listed.selectable,
                    self.layout.raw(&listed.path) != listed.raw,
                    listed.raw.clone(),
                )
            };
            a.path.cmp(&b.path).then_with(|| foreign(a).cmp(&foreign(b)))
        });
        let failures = &mut survey.failures;
        survey.mailboxes.dedup_by(|other, first| {
            let double = other.path == first.path;
            if double && other.selectable {
                failures.push((other.path.to_string(), name_taken(&other.raw, &first.raw)));
            }
            double
        });
        Ok(survey)
    }

    fn survey_nested(&self, survey: &mut Survey) -> Result<()> {
        let mut waiting = self.top(survey)?;
        while let Some(directory) = waiting.pop() {
            let raw = RawName::new(&directory.raw);
            match self.is_mailbox(&raw, survey) {
                Some(true) => self.list_mailbox(&raw, survey),
                Some(false) if !directory.linked => self.list_level(&raw, survey),
                _ => {}
            }
            if !directory.linked {
                self.go_into(&directory, &mut waiting, survey);
            }
        }
        Ok(())
    }

    fn survey_side_by_side(&self, survey: &mut Survey) -> Result<()> {
        if self.is_mailbox(&Layout::root(), survey) == Some(true) {
            self.list_mailbox(&Layout::root(), survey);
        }
        let mut waiting = self.top(survey)?;
        while let Some(directory) = waiting.pop() {
            let raw = RawName::new(&directory.raw);
            if goes_on(last_component(&directory.raw)) {
                self.go_into(&directory, &mut waiting, survey);
            } else if self.is_mailbox(&raw, survey) == Some(true) {
                self.list_mailbox(&raw, survey);
            }
        }
        Ok(())
    }

    /// The directories in the root.
    fn top(&self, survey: &mut Survey) -> Result<Vec<Directory>> {
        let root = &self.options.root;
        self.directories(b"", survey)
            .map_err(|err| unreadable(&err, root, Reach::Account))
    }

    fn go_into(&self, directory: &Directory, waiting: &mut Vec<Directory>, survey: &mut Survey) {
        match self.directories(&directory.raw, survey) {
            Ok(more) => waiting.extend(more),
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => self.note(&directory.raw, &err, survey),
        }
    }

    /// Whether a directory is a mailbox; `None` if that cannot be told, which is noted: it must not look gone.
    fn is_mailbox(&self, raw: &RawName, survey: &mut Survey) -> Option<bool> {
        let place = self.place(raw).ok()?;
        place
            .is_mailbox()
            .inspect_err(|err| self.note(raw.as_bytes(), err, survey))
            .ok()
    }

    /// Notes that something could not be looked into.
    fn note(&self, raw: &[u8], err: &io::Error, survey: &mut Survey) {
        let path = self.options.root.join(OsStr::from_bytes(raw));
        let failure = unreadable(err, &path, Reach::Mailbox);
        survey.failures.push((self.shown(&RawName::new(raw)), failure));
    }

    /// The directories in a directory, symbolic links to directories included. A link that leads nowhere is noted: a
    /// mailbox on a disk that is not mounted is not gone.
    fn directories(&self, raw: &[u8], survey: &mut Survey) -> io::Result<Vec<Directory>> {
        let mut out = Vec::new();
        for entry in fs::read_dir(self.options.root.join(OsStr::from_bytes(raw)))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let mut below = raw.to_vec();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend(entry.file_name().into_vec());
            if !self.may_be_mailbox(&below) {
                continue;
            }
            if kind.is_dir() {
                out.push(Directory {
                    raw: below,
                    linked: false,
                });
            } else if kind.is_symlink() {
                match fs::metadata(entry.path()) {
                    Ok(meta) if meta.is_dir() => out.push(Directory {
                        raw: below,
                        linked: true,
                    }),
                    Ok(_) => {}
                    Err(err) => self.note(&below, &err, survey),
                }
            }
        }
        Ok(out)
    }

    /// Whether a mailbox, or a piece of its name, could lie in a directory of that name.
    fn may_be_mailbox(&self, raw: &[u8]) -> bool {
        let name = last_component(raw);
        match self.layout {
            Layout::Nested => !name.starts_with(b".") && !matches!(name, b"cur" | b"new" | b"tmp"),
            Layout::MaildirPlusPlus => raw.starts_with(b"."),
        }
    }

    fn list_level(&self, raw: &RawName, survey: &mut Survey) {
        if let Some(path) = self.layout.path(raw) {
            let raw = raw.clone();
            let level = Listed {
                path,
                raw,
                roles: Vec::new(),
                selectable: false,
                status: None,
                identity: None,
                messages: None,
            };
            survey.mailboxes.push(level);
        }
    }

    fn list_mailbox(&self, raw: &RawName, survey: &mut Survey) {
        let Some(path) = self.layout.path(raw) else {
            let failure = Failure::mailbox(format!(
                "no mailbox name can be read from the directory \"{}\"",
                clean(raw.as_bytes())
            ));
            survey.failures.push((
                clean(raw.as_bytes()),
                failure.retry(Retry::Never).hint("rename the directory"),
            ));
            return;
        };
        let look = self.place(raw).and_then(|place| {
            place
                .look()
                .map_err(|err| unreadable(&err, &place.path, Reach::Mailbox))
        });
        let (status, identity) = match look {
            Ok(look) => (Some(look.status()), Some(look.identity())),
            Err(failure) => {
                survey.failures.push((path.to_string(), failure));
                (None, None)
            }
        };
        let roles = Vec::new();
        survey.mailboxes.push(Listed {
            path,
            raw: raw.clone(),
            roles,
            selectable: true,
            status,
            identity,
            messages: None,
        });
    }
}

fn last_component(raw: &[u8]) -> &[u8] {
    raw.rsplit(|&b| b == b'/').next().unwrap_or(raw)
}

fn unreadable(err: &io::Error, path: &Path, reach: Reach) -> Failure {
    failure(err, reach, format!("cannot look into {}", shown(path)))
}

fn name_taken(other: &RawName, first: &RawName) -> Failure {
    let [other, first] = [other, first].map(|raw| clean(raw.as_bytes()));
    Failure::mailbox(format!(
        "the directories \"{first}\" and \"{other}\" stand for one mailbox; only the first is used"
    ))
    .retry(Retry::Never)
    .hint(format!(
        "move the messages of \"{other}\" into \"{first}\", or rename it"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::layout::LayoutChoice;
    use super::super::testing::Fixture;
    use super::*;

    fn listed(it: &Fixture) -> (Vec<String>, usize) {
        let survey = it.shared().survey().unwrap();
        let mut names: Vec<String> = survey
            .mailboxes
            .iter()
            .map(|listed| {
                assert_eq!(listed.selectable, listed.status.is_some());
                format!(
                    "{} {:?}{}",
                    listed.path,
                    listed.raw,
                    if listed.selectable { "" } else { " (level)" }
                )
            })
            .collect();
        names.sort();
        (names, survey.failures.len())
    }

    fn make(it: &Fixture, directories: &[&[u8]]) {
        for directory in directories {
            fs::create_dir_all(it.root().join(OsStr::from_bytes(directory))).unwrap();
        }
    }

    #[test]
    fn nested() {
        let it = Fixture::new();
        make(
            &it,
            &[
                b"INBOX/cur",
                b"Work/2026/cur",
                b"Work/2026/new",
                b"caf\xe9/cur",
                b"a%2Fb/cur",
                b".git/cur",
                b"only/new",
            ],
        );
        make(&it, &[b"line\nbreak/cur", b"Loop/cur"]);
        std::os::unix::fs::symlink("..", it.root().join("Loop/up")).unwrap();
        std::os::unix::fs::symlink("Work/2026", it.root().join("Linked")).unwrap();
        std::os::unix::fs::symlink("nowhere", it.root().join(".broken")).unwrap();
        fs::write(it.root().join("file"), "x").unwrap();
        let (names, failures) = listed(&it);
        let expected = [
            "INBOX INBOX",
            "Linked Linked",
            "Loop Loop",
            "Work Work (level)",
            "Work/2026 Work/2026",
            "a/b a%2Fb",
            "caf%E9 caf\\xe9",
            "line\\nbreak line\\nbreak",
            "only only",
        ];
        assert_eq!((names, failures), (expected.map(String::from).to_vec(), 0));
    }

    #[test]
    fn side_by_side() {
        let it = Fixture::with(|options| options.layout = LayoutChoice::MaildirPlusPlus);
        make(
            &it,
            &[
                b"cur",
                b"new",
                b".Work.2026/cur",
                b".Work/cur",
                b".notmuch/xapian",
                b"Other/cur",
                b".a..b/cur",
            ],
        );
        let (names, failures) = listed(&it);
        assert_eq!(names, ["INBOX .", "Work .Work", "Work/2026 .Work.2026"]);
        assert_eq!(failures, 1, "a name with an empty component");
    }

    #[test]
    fn long_names_come_back() {
        for choice in [LayoutChoice::Nested, LayoutChoice::MaildirPlusPlus] {
            let it = Fixture::with(|options| options.layout = choice);
            let long = format!("{}/{}", "l".repeat(600), "m".repeat(300));
            it.create(&long);
            let survey = it.shared().survey().unwrap();
            let names: Vec<String> = survey
                .mailboxes
                .iter()
                .filter(|listed| listed.selectable)
                .map(|listed| listed.path.to_string())
                .collect();
            assert_eq!(names, [long], "{choice:?}");
            assert!(survey.failures.is_empty());
        }
    }

    #[test]
    fn two_directories_for_one_mailbox() {
        let it = Fixture::new();
        make(&it, &[b"Inbox/cur", b"INBOX/cur", b"a%41/cur", b"aA/cur"]);
        let (names, failures) = listed(&it);
        assert_eq!(
            (names, failures),
            (vec!["INBOX INBOX".to_owned(), "aA aA".to_owned()], 2)
        );
    }

    #[test]
    fn what_cannot_be_looked_into_is_not_gone() {
        for choice in [LayoutChoice::Nested, LayoutChoice::MaildirPlusPlus] {
            let it = Fixture::with(|options| options.layout = choice);
            let dot = if choice == LayoutChoice::Nested { "" } else { "." };
            // A mailbox on a disk that is not mounted, and one behind a link to itself.
            std::os::unix::fs::symlink("/nowhere/Work", it.root().join(format!("{dot}Work"))).unwrap();
            let inner = it.root().join(format!("{dot}Loop"));
            fs::create_dir(&inner).unwrap();
            std::os::unix::fs::symlink("cur", inner.join("cur")).unwrap();
            let survey = it.shared().survey().unwrap();
            let mut failed: Vec<_> = survey.failures.iter().map(|(name, _)| name.as_str()).collect();
            failed.sort_unstable();
            assert_eq!(failed, ["Loop", "Work"], "{choice:?}");
        }
    }

    #[test]
    fn no_root_no_mailboxes() {
        let it = Fixture::with(|options| options.root.push("missing"));
        assert_eq!(listed(&it), (Vec::new(), 0));
    }
}
