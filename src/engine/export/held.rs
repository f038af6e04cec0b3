//! What is exported: the messages of a Maildir, or of an archive at a run.

use std::cell::RefCell;
use std::io;

use crate::archive::view::View;
use crate::error::{Failure, Reach, Result, clean};
use crate::formats::Beside;
use crate::formats::mbox::{Intake, Message};
use crate::identity::is_message_id;
use crate::maildir::Maildir;
use crate::maildir::disk::failure;
use crate::model::{MailboxId, MailboxPath, RawName};
use crate::state::Archived;
use crate::store::Source;

/// Where the mail is.
pub(super) enum Held {
    Maildir(Maildir),
    Archive(View),
}

/// What could not be listed, and why.
pub(super) type Troubles = Vec<(String, Failure)>;

/// A mailbox there.
pub(super) struct Mailbox {
    pub(super) path: MailboxPath,
    raw: RawName,
    id: MailboxId,
}

/// A message there.
pub(super) struct Item<'a> {
    held: &'a Held,
    raw: &'a RawName,
    which: Which,
    pub(super) beside: Beside,
    /// In bytes, as far as is known before it is read.
    pub(super) size: u64,
}

enum Which {
    File(Vec<u8>),
    Archived(Box<Archived>),
}

impl Held {
    /// All mailboxes, by name; and what could not be listed.
    pub(super) fn mailboxes(&self) -> Result<(Vec<Mailbox>, Troubles)> {
        let mut troubles = Vec::new();
        let mut found: Vec<Mailbox> = match self {
            Self::Maildir(maildir) => {
                let survey = maildir.survey()?;
                troubles = survey.failures;
                let real = survey.mailboxes.into_iter().filter(|listed| listed.selectable);
                let id = MailboxId(0);
                real.map(|listed| Mailbox {
                    path: listed.path,
                    raw: listed.raw,
                    id,
                })
                .collect()
            }
            Self::Archive(view) => {
                let raw = RawName::new("");
                let all = view.mailboxes()?.into_iter();
                all.map(|mailbox| Mailbox {
                    path: mailbox.path,
                    raw: raw.clone(),
                    id: mailbox.id,
                })
                .collect()
            }
        };
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((found, troubles))
    }

    /// The messages of a mailbox in the order in which they arrived; all, or those that somebody asks for by name.
    pub(super) fn items<'a>(&'a self, mailbox: &'a Mailbox, only: Option<&str>) -> Result<Vec<Item<'a>>> {
        let raw = &mailbox.raw;
        let item = |which, beside, size| Item {
            held: self,
            raw,
            which,
            beside,
            size,
        };
        let mut items: Vec<Item<'_>> = match self {
            Self::Maildir(maildir) => {
                let messages = maildir.messages(raw)?.into_iter();
                messages
                    .map(|message| {
                        let beside = Beside {
                            flags: message.flags,
                            date: message.date,
                        };
                        item(Which::File(message.unique), beside, message.size)
                    })
                    .collect()
            }
            Self::Archive(view) => {
                let then = view.then(mailbox.id, &view.messages(mailbox.id)?)?.into_iter();
                let mut items: Vec<_> = then
                    .map(|then| {
                        let beside = Beside {
                            flags: then.flags,
                            date: then.message.date,
                        };
                        let size = then.message.size;
                        item(Which::Archived(Box::new(then.message)), beside, size)
                    })
                    .collect();
                items.sort_by_key(|item| item.beside.date);
                items
            }
        };
        if let Some(wanted) = only {
            items.retain(|item| item.is_called(wanted));
        }
        Ok(items)
    }
}

/// Tells what a mailbox holds: equal for the same messages with the same flags and dates.
pub(super) fn fingerprint(items: &[Item<'_>]) -> String {
    let mut hasher = blake3::Hasher::new();
    for item in items {
        hasher.update(&(item.unique().len() as u64).to_le_bytes());
        hasher.update(item.unique());
        hasher.update(format!("{} {} {}\n", item.beside.flags, item.beside.date.0, item.size).as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

impl Item<'_> {
    fn unique(&self) -> &[u8] {
        match &self.which {
            Which::File(unique) => unique,
            Which::Archived(message) => &message.unique,
        }
    }

    /// What a user finds it by.
    pub(super) fn name(&self) -> String {
        clean(self.unique())
    }

    fn is_called(&self, wanted: &str) -> bool {
        match (&self.which, self.held) {
            (Which::Archived(message), Held::Archive(view)) => view.is_called(message, wanted),
            _ => self.name() == wanted || self.header().is_some_and(|header| is_message_id(&header, wanted)),
        }
    }

    /// The beginning of a file, with the header in it.
    fn header(&self) -> Option<Vec<u8>> {
        const ENOUGH: usize = 256 * 1024;
        let Held::Maildir(maildir) = self.held else { return None };
        let mut header = Vec::new();
        let read = maildir.pour(self.raw, self.unique(), |piece| {
            header.extend_from_slice(piece);
            let ended = header.windows(4).any(|end| end == b"\r\n\r\n");
            if ended || header.len() > ENOUGH {
                Err(io::Error::other("enough"))
            } else {
                Ok(())
            }
        });
        (read.is_ok() || !header.is_empty()).then_some(header)
    }
}

impl Message for Item<'_> {
    fn pour(&self, into: &mut dyn Intake) -> Result<()> {
        let into = RefCell::new(into);
        let unreadable = |err: io::Error| {
            Failure::carried(&err).unwrap_or_else(|| failure(&err, Reach::Message, "cannot read it or write the copy"))
        };
        match (&self.which, self.held) {
            (Which::Archived(message), Held::Archive(view)) => view
                .pour(message, || {
                    into.borrow_mut().begin().map_err(unreadable)?;
                    Ok(Pieces(&into))
                })
                .map(drop),
            (_, Held::Maildir(maildir)) => {
                let mut into = into.borrow_mut();
                into.begin().map_err(unreadable)?;
                let poured = maildir.pour(self.raw, self.unique(), |piece| into.piece(piece));
                let gone = || Failure::message("it is gone by now");
                poured.map_err(unreadable)?.ok_or_else(gone).map(drop)
            }
            (Which::File(_), Held::Archive(_)) => Err(Failure::message("an archive has no such message")),
        }
    }
}

/// Bytes on their way out of an archive.
struct Pieces<'a, 'b>(&'a RefCell<&'b mut dyn Intake>);

impl io::Write for Pieces<'_, '_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().piece(piece)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
