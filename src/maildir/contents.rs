//! What a Maildir holds, for whoever only takes copies: needs no books, and changes nothing.

use std::fs;
use std::io;

use super::disk::{failure, shown};
use super::filename::{FileName, is_verbatim};
use super::listing::Finder;
use super::place::Place;
use super::read::{date, pour};
use super::store::Maildir;
use crate::error::{Reach, Result};
use crate::model::{Flags, Identity, InternalDate, RawName};

/// A message in a Maildir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The part of its file's name that is its identity.
    pub unique: Vec<u8>,
    /// Its flags; a keyword for which the Maildir has no letter is not among them.
    pub flags: Flags,
    /// Its internal date.
    pub date: InternalDate,
    /// Its size on disk, in bytes.
    pub size: u64,
}

impl Maildir {
    /// The messages of a mailbox, in the order in which they arrived.
    pub fn messages(&self, mailbox: &RawName) -> Result<Vec<Message>> {
        let place = self.0.place(mailbox)?;
        let unlisted = |err: io::Error| failure(&err, Reach::Mailbox, format!("cannot list {}", shown(&place.path)));
        let listing = self.0.listing(&place).map_err(unlisted)?;
        let keywords = self.0.keywords(&place)?;
        let mut finder = Finder::by_hint(&self.0, &place).map_err(unlisted)?;
        let mut uniques: Vec<&[u8]> = listing.files().map(|listed| listed.unique).collect();
        uniques.dedup();
        let mut messages = Vec::new();
        for unique in uniques {
            let look = finder.with(unique, |found| {
                let meta = fs::metadata(place.file(found.part, &found.name))?;
                Ok(Message {
                    unique: unique.to_vec(),
                    flags: keywords.flags(&FileName::parse(&found.name, self.0.separator)),
                    date: date(&meta),
                    size: meta.len(),
                })
            });
            // What is gone by now is no message any more.
            messages.extend(look.map_err(unlisted)?);
        }
        messages.sort_by(|a, b| (a.date, &a.unique).cmp(&(b.date, &b.unique)));
        Ok(messages)
    }

    /// Hands a message's bytes on in canonical form, piece by piece. `None`: it is gone.
    pub fn pour(
        &self,
        mailbox: &RawName,
        unique: &[u8],
        mut into: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Option<Identity>> {
        let place: Place = self.0.place(mailbox)?;
        let open = |found: &super::listing::Found| super::disk::open_file(&place.file(found.part, &found.name));
        let file = Finder::by_hint(&self.0, &place)?.with(unique, open)?;
        file.map(|mut file| pour(&mut file, is_verbatim(unique), &mut into))
            .transpose()
    }
}
