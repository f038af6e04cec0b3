//! Finds the messages in files.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{Entry, Origin};
use crate::error::{Failure, Reach, Result, Retry};
use crate::formats::eml::{INDEX, read_index};
use crate::formats::marks::Marks;
use crate::formats::split::{self, split};
use crate::formats::unpack::Wrapping;
use crate::formats::{Beside, dates, header};
use crate::maildir::disk::{failure, if_there, open_file, shown};
use crate::maildir::files::on_threads;
use crate::model::InternalDate;

/// Finds the messages of an mbox.
pub(super) fn mbox(path: &Path, entries: &mut Vec<Entry>, note: &mut dyn FnMut(&Path, Failure)) -> Result<()> {
    let unreadable = |err: io::Error| failure(&err, Reach::Mailbox, format!("cannot read {}", shown(path)));
    let file = open_file(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    let origin = Origin::of(path, &meta);
    let mut headless = false;
    let end = origin.length;
    split(
        BufReader::with_capacity(split::PIECE as usize, file).take(end),
        |found| {
            let marks = Marks::find(&found.header);
            headless |= found.headless;
            if is_internal(&found.header) {
                return;
            }
            let end = if marks.exact {
                found.beyond.saturating_sub(2).max(found.start)
            } else {
                found.end
            };
            entries.push(Entry {
                origin: Arc::clone(&origin),
                range: found.start..end,
                wrapping: Wrapping::Mbox,
                beside: Beside {
                    flags: marks.flags,
                    date: InternalDate(date(found.date, &found.header, &origin)),
                },
            });
        },
    )
    .map_err(unreadable)?;
    if headless {
        let what = "it does not begin with a From_ line; what stands before the first one is taken as a message";
        note(path, Failure::message(what).retry(Retry::Never));
    }
    Ok(())
}

/// What mail programs built on c-client keep in an mbox for themselves.
fn is_internal(header: &[u8]) -> bool {
    let fields = header::fields(header);
    let has = |name: &str, text: &str| {
        fields
            .iter()
            .any(|field| field.is(name) && field.text().starts_with(text))
    };
    has("subject", "DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA") && has("x-imap", "")
}

/// When a message arrived: as its From_ line says, or its header, or else when the file was last written.
fn date(told: Option<i64>, header: &[u8], origin: &Origin) -> i64 {
    told.or_else(|| dates::of_header(header))
        .unwrap_or_else(|| origin.modified.div_euclid(1_000_000_000))
}

/// Looks at files with one message each.
pub(super) fn messages(paths: &[PathBuf], entries: &mut Vec<Entry>, note: &mut dyn FnMut(&Path, Failure)) {
    let directories: BTreeSet<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
    let listed: HashMap<PathBuf, Beside> = directories.into_iter().flat_map(indexed).collect();
    let found = Mutex::new(Vec::new());
    let numbered: Vec<(usize, &PathBuf)> = paths.iter().enumerate().collect();
    on_threads(&numbered, |&(n, path)| {
        let looked = message(path, listed.get(path.as_path()));
        found.lock().expect("no panic while held").push((n, looked));
    });
    let mut found = found.into_inner().expect("no panic while held");
    found.sort_by_key(|(n, _)| *n);
    for (n, looked) in found {
        match looked {
            Ok(entry) => entries.extend(entry),
            Err(err) => {
                let path = &paths[n];
                note(path, failure(&err, Reach::Message, "cannot read it"));
            }
        }
    }
    entries.sort_by_key(|entry| entry.beside.date);
}

/// What the index of a directory says of the files in it.
fn indexed(directory: &Path) -> Vec<(PathBuf, Beside)> {
    let text = std::fs::read_to_string(directory.join(INDEX)).unwrap_or_default();
    let index = read_index(&text).unwrap_or_default();
    index
        .into_iter()
        .map(|(file, beside)| (directory.join(file), beside))
        .collect()
}

/// `None`: it is gone by now.
fn message(path: &Path, listed: Option<&Beside>) -> io::Result<Option<Entry>> {
    let Some(file) = if_there(open_file(path))? else {
        return Ok(None);
    };
    let origin = Origin::of(path, &file.metadata()?);
    let range = 0..origin.length;
    let (wrapping, beside) = if let Some(beside) = listed {
        (Wrapping::Bare, beside.clone())
    } else {
        let mut beginning = Vec::new();
        file.take(header::LIMIT as u64).read_to_end(&mut beginning)?;
        let flags = Marks::find(&beginning).flags;
        let date = InternalDate(date(None, &beginning, &origin));
        (Wrapping::Eml, Beside { flags, date })
    };
    Ok(Some(Entry {
        origin,
        range,
        wrapping,
        beside,
    }))
}
