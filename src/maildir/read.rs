//! Messages on their way out: opened under whatever name they have by now, and turned into canonical form as they stream.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::disk::{failure, mtime, open_file};
use super::filename::FileName;
use super::index::FileRow;
use super::keywords::Keywords;
use super::listing::{Finder, Found};
use super::place::Place;
use super::scan::id_set;
use super::store::Shared;
use super::workers::{Answers, count, each};
use crate::error::{Failure, Reach, Result, Retry};
use crate::identity::Digester;
use crate::lines::ToCanonical;
use crate::model::{Envelope, IdSet, Identity, InternalDate, Mailbox};
use crate::store::{Done, Head, Outcome, ReadJob, Target};

/// What is in memory of a message at a time.
const PIECE: usize = 64 * 1024;
/// Messages that a thread looks at before it takes the next set.
const SET: u64 = 256;

/// What it takes to read messages of one mailbox.
struct Reader<'a> {
    place: &'a Place,
    finder: Finder<'a>,
    keywords: Arc<Keywords>,
    separator: u8,
}

/// A message opened for reading.
struct Open {
    file: File,
    meta: Metadata,
    /// Its name when it was opened.
    found: Found,
}

impl Shared {
    /// Does one job, in its order. Asked to stop, it ends after the message under way and leaves the rest
    /// unanswered.
    pub(super) fn read_job(&self, job: &ReadJob, into: &dyn Target, done: &SyncSender<Outcome>) -> Result<()> {
        let answers = Answers {
            ticket: job.ticket,
            done,
        };
        let place = self.place(&job.from.raw);
        match place
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|place| self.reader(&job.from, place))
        {
            Ok(reader) => self.read_all(job, reader, into, answers)?,
            Err(failure) => answers.tell(Done::Failed(job.ids.clone(), failure))?,
        }
        answers.tell(Done::Finished)
    }

    fn reader<'a>(&'a self, mailbox: &Mailbox, place: &'a Place) -> Result<Reader<'a>> {
        let finder = Finder::by_hint(self, place).map_err(|err| self.unlisted(mailbox, &err))?;
        Ok(Reader {
            place,
            finder,
            keywords: self.keywords(place)?,
            separator: self.separator,
        })
    }

    fn read_all(&self, job: &ReadJob, mut reader: Reader, into: &dyn Target, answers: Answers) -> Result<()> {
        let mut rows = self.index.by_ids(job.from.id, &job.ids)?;
        rows.sort_unstable_by_key(|row| row.id);
        if job.newest_first {
            rows.reverse();
        }
        let gone = job.ids.difference(&id_set(rows.iter().map(|row| row.id).collect()));
        if !gone.is_empty() {
            answers.tell(Done::Gone(gone))?;
        }
        for rows in rows.chunks_mut(SET as usize) {
            for row in rows.iter_mut() {
                if self.options.stop.load(Relaxed) {
                    return Ok(());
                }
                let done = read_one(job, &mut reader, row, into);
                let fatal = done
                    .as_ref()
                    .err()
                    .filter(|failure| failure.reach == Reach::Account)
                    .cloned();
                match done {
                    Ok(Some(done)) => answers.tell(done)?,
                    Ok(None) => {}
                    Err(failure) => answers.tell(Done::Failed(IdSet::range(row.id..=row.id), failure))?,
                }
                fatal.map_or(Ok(()), Err)?;
            }
            self.index.put(job.from.id, rows)?;
        }
        Ok(())
    }

    /// What messages are known by: of those that cannot be read, only what their files look like from outside.
    pub(super) fn envelopes(&self, of: &[(Mailbox, IdSet)], found: &mut dyn FnMut(Envelope)) -> Result<()> {
        let sets: Vec<(&Mailbox, IdSet)> = of
            .iter()
            .flat_map(|(mailbox, ids)| ids.chunks(SET).into_iter().map(move |ids| (mailbox, ids)))
            .collect();
        // A set at a time: a message at a time, threads would wake each other more than they read.
        let (send, receive) = sync_channel::<Vec<Envelope>>(count());
        let failed = Mutex::new(None);
        thread::scope(|scope| {
            let failed = &failed;
            scope.spawn(move || {
                each(&sets, count(), |(mailbox, ids)| {
                    if let Err(failure) = self.envelopes_of(mailbox, ids, &send) {
                        failed.lock().expect("no panic while held").get_or_insert(failure);
                    }
                });
            });
            receive.into_iter().flatten().for_each(found);
        });
        failed.into_inner().expect("no panic while held").map_or(Ok(()), Err)
    }

    fn envelopes_of(&self, mailbox: &Mailbox, ids: &IdSet, send: &SyncSender<Vec<Envelope>>) -> Result<()> {
        let place = self.place(&mailbox.raw)?;
        let mut reader = self.reader(mailbox, &place)?;
        let mut rows = self.index.by_ids(mailbox.id, ids)?;
        let mut known = Vec::with_capacity(rows.len());
        rows.retain_mut(|row| {
            let stopped = self.options.stop.load(Relaxed);
            if stopped {
                return false;
            }
            let unread = |reader: &mut Reader<'_>, row: &FileRow| reader.outside(mailbox, row).ok().flatten();
            let mut open = match reader.open(&row.unique) {
                Ok(Some(open)) => open,
                Ok(None) => return false,
                Err(_) => {
                    known.extend(unread(&mut reader, row));
                    return false;
                }
            };
            let Ok(identity) = identify(&mut open.file, row.verbatim) else {
                known.extend(unread(&mut reader, row));
                return false;
            };
            let head = reader.head(&open, row);
            note(row, &open.meta, &identity);
            let Identity {
                size,
                marks,
                content,
                header,
                envelope,
                ..
            } = identity;
            let Head { id, flags, date, .. } = head;
            let content = Some(content);
            let found = Envelope {
                mailbox: mailbox.id,
                id,
                flags,
                date,
                size,
                marks,
                envelope,
                header: Some(header),
                content,
                object: None,
            };
            known.push(found);
            true
        });
        self.index.put(mailbox.id, &rows)?;
        // Nobody listens only when the caller is unwinding.
        drop(send.send(known));
        Ok(())
    }
}

impl Reader<'_> {
    fn open(&mut self, unique: &[u8]) -> io::Result<Option<Open>> {
        let place = self.place;
        self.finder.with(unique, |found| {
            let file = open_file(&place.file(found.part, &found.name))?;
            Ok(Open {
                meta: file.metadata()?,
                file,
                found: found.clone(),
            })
        })
    }

    /// What is told of a message whose file cannot be read.
    fn outside(&mut self, mailbox: &Mailbox, row: &FileRow) -> io::Result<Option<Envelope>> {
        let (place, keywords, separator) = (self.place, &self.keywords, self.separator);
        self.finder
            .with(&row.unique, |found| {
                let meta = fs::metadata(place.file(found.part, &found.name))?;
                Ok(meta.is_file().then(|| Envelope {
                    mailbox: mailbox.id,
                    id: row.id,
                    flags: keywords.flags(&FileName::parse(&found.name, separator)),
                    date: date(&meta),
                    size: meta.len(),
                    marks: 0,
                    envelope: None,
                    header: None,
                    content: None,
                    object: None,
                }))
            })
            .map(Option::flatten)
    }

    /// The message as its name and date tell it. The size is the one on disk until the message was read.
    fn head(&self, open: &Open, row: &FileRow) -> Head {
        let flags = self.keywords.flags(&FileName::parse(&open.found.name, self.separator));
        Head {
            id: row.id,
            flags,
            date: date(&open.meta),
            size: open.meta.len(),
            object: None,
        }
    }
}

/// Carries one message over and notes in `row` what it was like. `None` when the other side will answer.
fn read_one(job: &ReadJob, reader: &mut Reader, row: &mut FileRow, into: &dyn Target) -> Result<Option<Done>> {
    let unreadable = |err: io::Error| {
        Failure::carried(&err).unwrap_or_else(|| {
            failure(
                &err,
                Reach::Message,
                format!("cannot read the message \"{}\"", crate::error::clean(&row.unique)),
            )
        })
    };
    let Some(mut open) = reader.open(&row.unique).map_err(unreadable)? else {
        return Ok(Some(Done::Gone(IdSet::range(row.id..=row.id))));
    };
    let limit = job.max_size.unwrap_or(u64::MAX);
    if open.meta.len() > limit {
        return Err(too_large(limit));
    }
    let mut head = reader.head(&open, row);
    let mut sink = into.begin(job, &head)?;
    let mut size = 0;
    let poured = pour(&mut open.file, row.verbatim, |piece| {
        size += piece.len() as u64;
        if size > limit {
            return Err(too_large(limit).into());
        }
        sink.write_all(piece)
    });
    let identity = poured.map_err(unreadable)?;
    head.size = identity.size;
    let landing = sink.finish(&identity)?;
    note(row, &open.meta, &identity);
    Ok(landing.answer(head, identity))
}

/// The internal date of a file: its modification time in whole seconds.
pub(super) fn date(meta: &Metadata) -> InternalDate {
    InternalDate(mtime(meta).div_euclid(1_000_000_000))
}

/// Notes what a file was like when it was read.
fn note(row: &mut FileRow, meta: &Metadata, identity: &Identity) {
    note_look(row, meta);
    row.content = Some(identity.content);
}

/// Notes how a file looks whose content is known.
pub(super) fn note_look(row: &mut FileRow, meta: &Metadata) {
    (row.size, row.mtime, row.inode) = (meta.len(), mtime(meta), meta.ino());
}

/// What an open file is known by.
pub(super) fn identify(file: &mut File, verbatim: bool) -> io::Result<Identity> {
    pour(file, verbatim, |_| Ok(()))
}

/// Reads a file from where it stands and hands it on in canonical form, piece by piece.
pub(super) fn pour(
    file: &mut File,
    verbatim: bool,
    mut into: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Identity> {
    let mut raw = vec![0; PIECE];
    let mut canonical = Vec::new();
    let mut turn = ToCanonical::default();
    let mut digester = Digester::new();
    loop {
        let n = match file.read(&mut raw) {
            Ok(0) => return Ok(digester.finish()),
            Ok(n) => n,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            Err(err) => return Err(err),
        };
        let mut piece = &raw[..n];
        if !verbatim {
            canonical.clear();
            turn.turn(piece, &mut canonical);
            piece = &canonical;
        }
        digester.update(piece);
        into(piece)?;
    }
}

fn too_large(limit: u64) -> Failure {
    Failure::message(format!("the message is larger than max-size ({limit} bytes)")).retry(Retry::Never)
}
