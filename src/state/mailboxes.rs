//! Mailboxes, and what each side last had of them.

use super::{State, failed};
use crate::error::Result;
use crate::model::{Checkpoint, MailboxId, MailboxIdentity, MailboxPath, Permanent, RawName, Side, Token};

/// A mailbox as one side last had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The side's own name for it.
    pub raw: RawName,
    /// What survives a rename, as the mailbox was listed. Proposes only.
    pub identity: Option<MailboxIdentity>,
    /// The same as opening the mailbox told, where the store knows such a thing. Proves.
    pub confirmed: Option<MailboxIdentity>,
    /// Up to where its messages have been seen. An empty token: only under which validity its ids are.
    pub checkpoint: Option<Checkpoint>,
    /// When it was last listed in full, in seconds since 1970.
    pub listed: Option<i64>,
    /// Which flags it let be set when it was last asked, where some that were to be set were not; `None`: none ever was.
    pub permanent: Option<Permanent>,
}

/// A mailbox that the state knows.
#[derive(Clone, Debug)]
pub struct MailboxRow {
    /// Its number.
    pub id: MailboxId,
    /// The name that both sides agreed on, as the left spells it.
    pub path: MailboxPath,
    /// What each side last had of it; `None`: nothing.
    pub places: [Option<Place>; 2],
}

impl State {
    /// All mailboxes, ascending by name.
    pub fn mailboxes(&self) -> Result<Vec<MailboxRow>> {
        let mut rows: Vec<MailboxRow> = self
            .rows("SELECT id, path FROM mailbox ORDER BY path", [], |row| {
                Ok((MailboxId(row.get(0)?), row.get::<_, String>(1)?))
            })?
            .into_iter()
            .filter_map(|(id, path)| {
                Some(MailboxRow {
                    id,
                    path: MailboxPath::from_text(&path)?,
                    places: [None, None],
                })
            })
            .collect();
        let mut places: std::collections::HashMap<(u32, u8), Place> = self
            .rows(
                "SELECT mailbox, side, raw, identity, validity, next_id, token, listed, confirmed, permanent FROM place",
                [],
                |row| {
                    let checkpoint = match (row.get::<_, Option<i64>>(4)?, row.get::<_, Option<String>>(6)?) {
                        (Some(validity), token) => Some(Checkpoint {
                            validity: validity as u64,
                            next_id: row.get::<_, Option<i64>>(5)?.map(|id| id as u64),
                            token: Token(token.unwrap_or_default()),
                        }),
                        _ => None,
                    };
                    let place = Place {
                        raw: RawName::new(row.get::<_, Vec<u8>>(2)?),
                        identity: row
                            .get::<_, Option<String>>(3)?
                            .map(|text| MailboxIdentity(text.into())),
                        confirmed: row
                            .get::<_, Option<String>>(8)?
                            .map(|text| MailboxIdentity(text.into())),
                        checkpoint,
                        listed: row.get(7)?,
                        permanent: row
                            .get::<_, Option<String>>(9)?
                            .map(|text| Permanent::from_text(&text)),
                    };
                    Ok(((row.get(0)?, row.get(1)?), place))
                },
            )?
            .into_iter()
            .collect();
        for row in &mut rows {
            row.places = [places.remove(&(row.id.0, 0)), places.remove(&(row.id.0, 1))];
        }
        Ok(rows)
    }

    /// A number for a mailbox that neither side had before.
    pub fn new_mailbox(&self, path: &MailboxPath) -> Result<MailboxId> {
        let conn = self.conn();
        let id = conn
            .prepare_cached("INSERT INTO mailbox (path) VALUES (?)")
            .and_then(|mut insert| insert.insert([path.to_text()]))
            .map_err(failed)?;
        Ok(MailboxId(id as u32))
    }

    /// Both sides agree on that name.
    pub fn agree_name(&self, mailbox: MailboxId, path: &MailboxPath) -> Result<()> {
        self.execute("UPDATE mailbox SET path=? WHERE id=?", (path.to_text(), mailbox.0))
            .map(drop)
    }

    /// Notes by what a side knows the mailbox for good, as it told when the mailbox was opened.
    pub fn confirm_identity(&self, mailbox: MailboxId, side: Side, identity: &MailboxIdentity) -> Result<()> {
        self.execute(
            "UPDATE place SET confirmed=?1 WHERE mailbox=?2 AND side=?3 AND confirmed IS NOT ?1",
            (&*identity.0, mailbox.0, side as u8),
        )
        .map(drop)
    }

    /// Notes which flags a mailbox lets be set.
    pub fn set_permanent(&self, mailbox: MailboxId, side: Side, permanent: &Permanent) -> Result<()> {
        self.execute(
            "UPDATE place SET permanent=?1 WHERE mailbox=?2 AND side=?3 AND permanent IS NOT ?1",
            (permanent.to_string(), mailbox.0, side as u8),
        )
        .map(drop)
    }

    /// Which flags a mailbox let be set, where that was noted.
    pub fn permanent(&self, mailbox: MailboxId, side: Side) -> Result<Option<Permanent>> {
        let noted = self.rows(
            "SELECT permanent FROM place WHERE mailbox=? AND side=?",
            (mailbox.0, side as u8),
            |row| row.get::<_, Option<String>>(0),
        )?;
        let noted = noted.into_iter().flatten().next();
        Ok(noted.map(|text| Permanent::from_text(&text)))
    }

    /// Notes that a side has the mailbox under that name. Its checkpoint stays, unless it was not there before.
    pub fn set_place(
        &self,
        mailbox: MailboxId,
        side: Side,
        raw: &RawName,
        identity: Option<&MailboxIdentity>,
    ) -> Result<()> {
        self.execute(
            "INSERT INTO place (mailbox, side, raw, identity) VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET raw=excluded.raw, identity=coalesce(excluded.identity, identity)",
            (mailbox.0, side as u8, raw.as_bytes(), identity.map(|i| &*i.0)),
        )
        .map(drop)
    }

    /// Notes that a side no longer has the mailbox.
    pub fn drop_place(&self, mailbox: MailboxId, side: Side) -> Result<()> {
        self.execute("DELETE FROM place WHERE mailbox=? AND side=?", (mailbox.0, side as u8))
            .map(drop)
    }

    /// Moves the checkpoint; `listed` tells when the mailbox was listed in full, if that just happened.
    pub fn set_checkpoint(&self, mailbox: MailboxId, side: Side, to: &Checkpoint, listed: Option<i64>) -> Result<()> {
        self.execute(
            "UPDATE place SET validity=?, next_id=?, token=?, listed=coalesce(?, listed) WHERE mailbox=? AND side=?",
            (
                to.validity as i64,
                to.next_id.map(|id| id as i64),
                &to.token.0,
                listed,
                mailbox.0,
                side as u8,
            ),
        )
        .map(drop)
    }

    /// Notes under which validity a mailbox's ids are, before any of them is written down.
    pub fn set_validity(&self, mailbox: MailboxId, side: Side, validity: u64) -> Result<()> {
        self.execute(
            "UPDATE place SET validity=?1, next_id=NULL, token=NULL WHERE mailbox=?2 AND side=?3 AND validity IS NOT ?1",
            (validity as i64, mailbox.0, side as u8),
        )
        .map(drop)
    }

    /// The validity under which a mailbox's ids are; where none was noted, this one is.
    pub fn validity_or_set(&self, mailbox: MailboxId, side: Side, validity: u64) -> Result<u64> {
        self.execute(
            "UPDATE place SET validity=? WHERE mailbox=? AND side=? AND validity IS NULL",
            (validity as i64, mailbox.0, side as u8),
        )?;
        let known = self.rows(
            "SELECT validity FROM place WHERE mailbox=? AND side=?",
            (mailbox.0, side as u8),
            |row| row.get::<_, Option<i64>>(0),
        )?;
        Ok(known.first().copied().flatten().map_or(validity, |known| known as u64))
    }

    /// Has every mailbox listed in full by the next look at it.
    pub fn forget_listings(&self) -> Result<()> {
        self.execute("UPDATE place SET listed=NULL", []).map(drop)
    }

    /// Has one listed in full.
    pub fn forget_listing(&self, mailbox: MailboxId, side: Side) -> Result<()> {
        self.execute(
            "UPDATE place SET listed=NULL WHERE mailbox=? AND side=?",
            (mailbox.0, side as u8),
        )
        .map(drop)
    }

    /// Forgets the checkpoint, so that the next run reads the mailbox from scratch and pairs by content.
    pub fn drop_checkpoint(&self, mailbox: MailboxId, side: Side) -> Result<()> {
        self.execute(
            "UPDATE place SET validity=NULL, next_id=NULL, token=NULL WHERE mailbox=? AND side=?",
            (mailbox.0, side as u8),
        )
        .map(drop)
    }

    /// Forgets a mailbox that neither side has, with everything known of its messages. Its number is not used again.
    pub fn forget_mailbox(&self, mailbox: MailboxId) -> Result<()> {
        for table in ["place", "pair", "pending", "problem", "file", "renaming"] {
            self.execute(&format!("DELETE FROM {table} WHERE mailbox=?"), [mailbox.0])?;
        }
        self.close_intents(mailbox)?;
        self.execute("DELETE FROM mailbox WHERE id=?", [mailbox.0]).map(drop)
    }
}
