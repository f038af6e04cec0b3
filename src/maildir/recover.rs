//! What a killed run left behind: files delivered under intents that were never committed, told by their names.

use std::collections::BTreeMap;
use std::io;

use super::batch::discard_unfinished;
use super::disk::{failure, if_there, open_file};
use super::filename::{FileName, origin};
use super::index::FileRow;
use super::listing::Listed;
use super::place::Place;
use super::read::{date, identify, note_look};
use super::scan::unread;
use super::store::Shared;
use crate::error::{Reach, Result};
use crate::model::{Identity, InternalDate, Mailbox};
use crate::store::{Delivered, IntentId};

impl Shared {
    /// Files in these mailboxes that were delivered under these intents. What such an intent left unfinished in `tmp/` is
    /// removed.
    pub(super) fn delivered(&self, intents: &[(IntentId, Mailbox)]) -> Result<Vec<Delivered>> {
        let mut by_mailbox: BTreeMap<_, (&Mailbox, Vec<IntentId>)> = BTreeMap::new();
        for (intent, mailbox) in intents {
            by_mailbox
                .entry(mailbox.id)
                .or_insert((mailbox, Vec::new()))
                .1
                .push(*intent);
        }
        let mut out = Vec::new();
        for (mailbox, intents) in by_mailbox.into_values() {
            self.delivered_to(mailbox, &intents, &mut out)?;
        }
        Ok(out)
    }

    fn delivered_to(&self, mailbox: &Mailbox, intents: &[IntentId], out: &mut Vec<Delivered>) -> Result<()> {
        let trouble = |err: io::Error| {
            failure(
                &err,
                Reach::Account,
                format!("cannot look for unfinished deliveries in {}", self.shown(&mailbox.raw)),
            )
        };
        let place = self.place(&mailbox.raw)?;
        if !place.is_mailbox().map_err(trouble)? {
            return Ok(());
        }
        let ours =
            |unique: &[u8]| origin(unique).filter(|o| o.state == self.options.state && intents.contains(&o.intent));
        if !self.options.read_only {
            discard_unfinished(&place, |name| ours(name).is_some()).map_err(trouble)?;
        }
        let listing = self.settled(&place).map_err(trouble)?.listing;
        let keywords = self.keywords(&place)?;
        for file in listing.files() {
            let Some(from) = ours(file.unique) else { continue };
            let mut row = match self.index.by_name(mailbox.id, file.unique)? {
                Some(row) => row,
                None => unread(self.index.next_id()?, file.unique),
            };
            // Gone again by now: then there is nothing to adopt.
            let Some((identity, date)) = if_there(look_at(&place, &file, &mut row)).map_err(trouble)? else {
                continue;
            };
            let flags = keywords.flags(&FileName::parse(file.name, self.separator));
            out.push(Delivered {
                intent: from.intent,
                source: from.source,
                id: row.id,
                flags,
                date,
                identity,
            });
            self.index.put(mailbox.id, &[row])?;
        }
        Ok(())
    }
}

fn look_at(place: &Place, file: &Listed, row: &mut FileRow) -> io::Result<(Identity, InternalDate)> {
    let mut open = open_file(&place.file(file.part, file.name))?;
    let meta = open.metadata()?;
    let identity = identify(&mut open, row.verbatim)?;
    note_look(row, &meta);
    row.content = Some(identity.content);
    Ok((identity, date(&meta)))
}
