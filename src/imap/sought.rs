//! Which id a message got, where the server does not tell (no UIDPLUS): it is looked for among what came since.

use std::collections::HashMap;

use super::command::Command;
use super::conn::Conn;
use super::response::{Body, Data, StatusItems};
use crate::error::Result;
use crate::identity::envelope_key;
use crate::model::{EnvelopeKey, Id, Identity, RawName};

/// A message that is about to be appended.
pub(super) struct Sought {
    key: Option<EnvelopeKey>,
    size: u64,
    to: RawName,
    /// UIDNEXT before it was sent; no older message can be it.
    next: Option<Id>,
}

impl Sought {
    /// To be called before the message is sent.
    pub(super) fn prepare(conn: &mut Conn, to: &RawName, identity: &Identity) -> Result<Self> {
        let mut next = None;
        conn.ask(Command::new("STATUS").mailbox(to).words("(UIDNEXT)"), |data| {
            if let Data::MailboxStatus(_, StatusItems { uidnext, .. }) = data {
                next = uidnext;
            }
        })?;
        Ok(Self {
            key: identity.envelope,
            size: identity.size,
            to: to.clone(),
            next,
        })
    }

    /// The one new message with that envelope, or with that size where there is no envelope; `None` when none or several
    /// could be it.
    pub(super) fn look(&self, conn: &mut Conn) -> Result<Option<Id>> {
        let Some(next) = self.next else { return Ok(None) };
        if !conn.ask(Command::new("EXAMINE").mailbox(&self.to), |_| ())?.is_ok() {
            return Ok(None);
        }
        let mut found: HashMap<Id, bool> = HashMap::new();
        let items = "(UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)])";
        conn.ask(Command::new(format!("UID FETCH {next}:4294967295 {items}")), |data| {
            if let Data::Fetch(fetch) = data
                && let (Some(id), Body::Text(header)) = (fetch.uid.filter(|id| *id >= next), &fetch.body)
            {
                let same = match self.key {
                    Some(key) => envelope_key(header) == Some(key),
                    None => fetch.size == Some(self.size),
                };
                found.insert(id, same);
            }
        })?;
        let mut same = found.into_iter().filter_map(|(id, same)| same.then_some(id));
        Ok(same.next().filter(|_| same.next().is_none()))
    }
}
