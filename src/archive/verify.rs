//! Compares the files of an archive with what the books say of them.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Archive;
use super::manifest::Manifest;
use super::view::Shelves;
use crate::error::{Failure, Kind, Result};
use crate::maildir::files::{Files, MessageFile, on_threads};
use crate::model::Id;
use crate::state::{Archived, State};
use crate::store::Stop;

/// What was found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Messages whose file is whole.
    pub whole: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Messages of which no file holds what was archived.
    pub damaged: Vec<Finding>,
    /// Messages of which there is no file.
    pub missing: Vec<Finding>,
    /// Files that no message of the books has.
    pub foreign: Vec<MessageFile>,
}

/// A message that is not as it should be.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The message.
    pub message: Archived,
    /// The file that should hold it, where there is one.
    pub file: Option<MessageFile>,
    /// What is wrong.
    pub what: String,
}

/// Messages that are looked at together.
const SET: usize = 1000;

/// Checks every message, or these; what is whole goes into the manifest.
pub fn verify(
    state: &State,
    shelves: &Shelves,
    only: Option<&BTreeSet<Id>>,
    manifest: Option<&Manifest>,
    stop: &Stop,
) -> Result<Verified> {
    let found = Mutex::new(Verified::default());
    let ours = Mutex::new(HashSet::new());
    let bytes = AtomicU64::new(0);
    let mut from = 0;
    loop {
        let mut set = state.archived_from(from, SET)?;
        let Some(last) = set.last() else { break };
        from = last.id + 1;
        set.retain(|message| only.is_none_or(|only| only.contains(&message.id)));
        on_threads(&set, |message| {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let checked = check(message, shelves, &bytes);
            if let (Some(manifest), Some(file)) = (manifest, &checked.whole) {
                manifest.add(file);
            }
            ours.lock()
                .expect("no panic while held")
                .extend(checked.files.into_iter().map(|file| file.path));
            let mut found = found.lock().expect("no panic while held");
            match checked.trouble {
                None => found.whole += 1,
                Some(finding) if finding.file.is_some() => found.damaged.push(finding),
                Some(finding) => found.missing.push(finding),
            }
        });
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::account(Kind::Temporary, "stopped before all was checked"));
        }
    }
    let mut found = found.into_inner().expect("no panic while held");
    found.bytes = bytes.into_inner();
    found.damaged.sort_by_key(|finding| finding.message.id);
    found.missing.sort_by_key(|finding| finding.message.id);
    if only.is_none() {
        found.foreign = foreign(state, shelves, &ours.into_inner().expect("no panic while held"))?;
    }
    Ok(found)
}

struct Checked {
    files: Vec<MessageFile>,
    /// The one that holds what was archived.
    whole: Option<MessageFile>,
    trouble: Option<Finding>,
}

fn check(message: &Archived, shelves: &Shelves, bytes: &AtomicU64) -> Checked {
    let finding = |file: Option<MessageFile>, what: String| {
        let message = message.clone();
        Some(Finding { message, file, what })
    };
    let files = match shelves.candidates(message) {
        Ok(files) => files,
        Err(failure) => {
            let trouble = finding(None, failure.what);
            return Checked {
                files: Vec::new(),
                whole: None,
                trouble,
            };
        }
    };
    let (mut whole, mut trouble) = (None, finding(None, "there is no file of it".to_owned()));
    for (nth, file) in files.iter().enumerate() {
        let what = match file.identify(message.verbatim) {
            Ok(identity) => {
                bytes.fetch_add(identity.size, Ordering::Relaxed);
                if identity.content == message.content {
                    (whole, trouble) = (Some(file.clone()), None);
                    break;
                }
                let (is, was) = (identity.size, message.size);
                if is == was {
                    "its content is not what was archived".to_owned()
                } else {
                    format!("its content is not what was archived: {is} bytes, not {was}")
                }
            }
            Err(err) => format!("it cannot be read: {err}"),
        };
        // The likeliest file is the one to name.
        if nth == 0 {
            trouble = finding(Some(file.clone()), what);
        }
    }
    Checked { files, whole, trouble }
}

/// Files that belong to no message, not even to one that a cut run left unnoted.
fn foreign(state: &State, shelves: &Shelves, ours: &HashSet<PathBuf>) -> Result<Vec<MessageFile>> {
    let mut foreign = Vec::new();
    for file in shelves.files()?.iter().flat_map(Files::all) {
        if !ours.contains(&file.path) && !state.is_paired_file(&file.unique)? {
            foreign.push(file);
        }
    }
    foreign.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(foreign)
}

/// Puts the damaged files of messages that the server has out of the way, so that the next backup fetches these again.
/// Gives the numbers of those messages.
pub fn set_aside(archive: &Archive, verified: &Verified) -> Result<BTreeSet<Id>> {
    let mut again = BTreeSet::new();
    for finding in verified.damaged.iter().filter(|finding| finding.message.on_server) {
        if let Some(file) = finding
            .file
            .as_ref()
            .filter(|file| file.path.starts_with(archive.mail()))
        {
            file.set_aside(&archive.damaged())?;
            again.insert(finding.message.id);
        }
    }
    let missing = verified.missing.iter().filter(|finding| finding.message.on_server);
    again.extend(missing.map(|finding| finding.message.id));
    Ok(again)
}
