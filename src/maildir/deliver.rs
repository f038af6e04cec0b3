//! Messages on their way in: written to `tmp/` as they stream, made durable a batch at a time, then renamed into place.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use super::batch::Delivery;
use super::body::Body;
use super::disk::{failure, mtime, shown};
use super::filename::{FileName, Origin, finished};
use super::index::FileRow;
use super::listing::Found;
use super::place::{Part, Place};
use super::store::Shared;
use super::workers::Answers;
use crate::error::{Failure, Reach, Result};
use crate::model::{Flags, IdSet, Identity, InternalDate, Mailbox, MailboxId};
use crate::store::{Append, Done, Head, Landing, Meet, ReadJob, Sink, Target};

/// The Maildir as the target of messages.
pub(super) struct Deliveries(pub(super) Arc<Shared>);

impl Target for Deliveries {
    fn begin(&self, job: &ReadJob, head: &Head) -> Result<Box<dyn Sink>> {
        let origin = Origin {
            state: self.0.options.state,
            intent: job.intent,
            source: head.id,
        };
        let draft = Draft::new(&self.0, &job.to, Some(origin), head.flags.clone(), head.date)?;
        Ok(Box::new(Draft {
            meet: job.meet.clone(),
            ..draft
        }))
    }
}

/// A message being written.
struct Draft {
    shared: Arc<Shared>,
    place: Place,
    mailbox: MailboxId,
    origin: Option<Origin>,
    flags: Flags,
    date: InternalDate,
    meet: Option<Arc<Meet>>,
    body: Body,
}

impl Draft {
    fn new(
        shared: &Arc<Shared>,
        to: &Mailbox,
        origin: Option<Origin>,
        flags: Flags,
        date: InternalDate,
    ) -> Result<Self> {
        if shared.options.read_only {
            return Err(Failure::mailbox("this Maildir is only read"));
        }
        let place = shared.place(&to.raw)?;
        shared.tidy(&place);
        let body = Body::new(shared.namer.stem(origin), &place);
        Ok(Self {
            shared: Arc::clone(shared),
            mailbox: to.id,
            place,
            origin,
            flags,
            date,
            meet: None,
            body,
        })
    }

    fn trouble(&self, err: &io::Error) -> Failure {
        Failure::carried(err).unwrap_or_else(|| {
            failure(
                err,
                Reach::Mailbox,
                format!("cannot write into {}", shown(&self.place.path)),
            )
        })
    }

    /// Completes the file and puts it into the batch.
    fn complete(&mut self, identity: &Identity) -> Result<Landing> {
        // Most have none, and then it does not matter what the letters of this mailbox mean.
        let keywords = if self.flags.keywords().is_empty() {
            Arc::default()
        } else {
            self.shared.keywords_for(&self.place, &self.flags)?
        };
        let letters = keywords.letters(&self.flags);
        let (part, info) = place_and_info(&letters, self.shared.separator);
        let flags = keywords.flags(&FileName {
            unique: b"",
            letters: &letters,
            rest: b"",
        });
        let id = self.shared.index.next_id()?;

        let verbatim = self.body.is_verbatim();
        let completed = self.body.complete(&self.shared.volumes, &self.place, self.date);
        let (path, meta) = completed.map_err(|err| self.trouble(&err))?;
        let unique = finished(&self.body.stem, verbatim, meta.len());
        let row = FileRow {
            id,
            unique,
            size: meta.len(),
            mtime: mtime(&meta),
            inode: meta.ino(),
            verbatim,
            content: Some(identity.content),
        };
        let delivery = Delivery {
            path,
            device: meta.dev(),
            place: self.place.clone(),
            mailbox: self.mailbox,
            part,
            info,
            origin: self.origin,
            row,
        };
        self.shared
            .batch
            .lock()
            .expect("no panic while held")
            .files
            .push(delivery);
        Ok(Landing::Here(id, flags))
    }
}

/// A fresh message waits in `new/` for a mail program to notice it; one with flags has been seen by one.
fn place_and_info(letters: &[u8], separator: u8) -> (Part, Vec<u8>) {
    if letters.is_empty() {
        return (Part::New, Vec::new());
    }
    let info = FileName {
        unique: b"",
        letters: b"",
        rest: b"",
    }
    .with_letters(letters, separator);
    (Part::Cur, info)
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.body
            .write(&self.shared.volumes, &self.place, bytes)
            .map_err(|err| self.trouble(&err))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Draft {
    fn finish(mut self: Box<Self>, identity: &Identity) -> Result<Landing> {
        if let Some(id) = self.meet.as_ref().and_then(|meet| meet.take(&identity.content)) {
            return Ok(Landing::Met(id));
        }
        self.body.end().map_err(|err| self.trouble(&err))?;
        self.complete(identity)
    }
}

impl Shared {
    /// Writes a message that waits as a whole.
    pub(super) fn append(self: &Arc<Self>, mut append: Append, answers: Answers) -> Result<()> {
        let head = append.head.clone();
        let written = Draft::new(self, &append.to, None, head.flags.clone(), head.date).and_then(|mut draft| {
            io::copy(&mut append.body, &mut draft).map_err(|err| draft.trouble(&err))?;
            Box::new(draft).finish(&append.identity)
        });
        let ids = IdSet::range(head.id..=head.id);
        match written {
            Ok(Landing::Here(id, flags)) => answers.tell(Done::Landed {
                head,
                identity: append.identity,
                id: Some(id),
                validity: None,
                flags,
            }),
            Ok(Landing::Met(_) | Landing::Queued) => unreachable!("there is nothing to meet"),
            Err(failure) => answers.tell(Done::Failed(ids, failure)),
        }
    }

    /// A free name in the given part of a mailbox, for a file that we rename there ourselves.
    pub(super) fn fresh_name(&self, letters: &[u8], part: Part, verbatim: bool, size: u64) -> Found {
        let unique = finished(&self.namer.stem(None), verbatim, size);
        let bare = FileName {
            unique: &unique,
            letters: b"",
            rest: b"",
        };
        let name = if part == Part::New {
            unique
        } else {
            bare.with_letters(letters, self.separator)
        };
        Found { part, name }
    }
}
