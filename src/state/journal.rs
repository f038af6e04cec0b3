//! The journal: what is about to be done, committed before it is done.

use super::{State, failed, now, side_of};
use crate::error::Result;
use crate::model::{ContentDigest, EnvelopeKey, Id, IdSet, MailboxId, Side};
use crate::store::IntentId;

/// What an intent is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentKind {
    /// Copy messages from the other side into a mailbox of this one.
    Copy,
    /// Copy messages from another mailbox of this side.
    CopyWithin,
    /// Move messages from another mailbox of this side.
    Move,
}

impl IntentKind {
    const ALL: [Self; 3] = [Self::Copy, Self::CopyWithin, Self::Move];

    const fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::CopyWithin => "copy-within",
            Self::Move => "move",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// An open row of the journal.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Its number.
    pub id: IntentId,
    /// What is done.
    pub kind: IntentKind,
    /// Where the messages go to.
    pub mailbox: MailboxId,
    /// Where they come from, where that is another mailbox of the same side.
    pub source: Option<MailboxId>,
    /// On which side.
    pub side: Side,
    /// Which messages, by their ids where they come from.
    pub ids: IdSet,
    /// The id that the next new message of the mailbox would have got when it was written.
    pub next_id: Option<Id>,
    /// The run that wrote it.
    pub run: i64,
}

/// A message of an intent to append, by which its copy is known again.
#[derive(Clone, Copy, Debug)]
pub struct IntentMessage {
    /// Its id on the source's side.
    pub id: Id,
    /// Its content.
    pub content: ContentDigest,
    /// Its envelope key.
    pub envelope: Option<EnvelopeKey>,
}

impl State {
    /// Writes an intent. It must be committed before its effect begins.
    pub fn open_intent(&self, intent: &Intent, messages: &[IntentMessage]) -> Result<IntentId> {
        let conn = self.conn();
        let write = || -> rusqlite::Result<i64> {
            let id = conn
                .prepare_cached(
                    "INSERT INTO intent (run, kind, mailbox, side, ids, next_id, begun, source) VALUES (?,?,?,?,?,?,?,?)",
                )?
                .insert((
                    intent.run,
                    intent.kind.name(),
                    intent.mailbox.0,
                    intent.side as u8,
                    intent.ids.to_string(),
                    intent.next_id.map(|id| id as i64),
                    now(),
                    intent.source.map(|source| source.0),
                ))?;
            let mut add =
                conn.prepare_cached("INSERT INTO intent_message (intent, id, content, envelope) VALUES (?,?,?,?)")?;
            for message in messages {
                add.execute((id, message.id as i64, message.content.0, message.envelope.map(|e| e.0)))?;
            }
            Ok(id)
        };
        write().map(|id| IntentId(id as u64)).map_err(failed)
    }

    /// All open intents, oldest first.
    pub fn open_intents(&self) -> Result<Vec<Intent>> {
        let rows = self.rows(
            "SELECT id, kind, mailbox, side, ids, next_id, run, source FROM intent ORDER BY id",
            [],
            |row| {
                let (kind, ids): (String, String) = (row.get(1)?, row.get(4)?);
                Ok(IntentKind::named(&kind).zip(ids.parse().ok()).map(|(kind, ids)| {
                    Ok(Intent {
                        id: IntentId(row.get::<_, i64>(0)? as u64),
                        kind,
                        mailbox: MailboxId(row.get(2)?),
                        side: side_of(row.get(3)?),
                        ids,
                        next_id: row.get::<_, Option<i64>>(5)?.map(|id| id as u64),
                        run: row.get(6)?,
                        source: row.get::<_, Option<u32>>(7)?.map(MailboxId),
                    })
                }))
            },
        )?;
        rows.into_iter()
            .flatten()
            .collect::<rusqlite::Result<_>>()
            .map_err(failed)
    }

    /// Closes an intent: its outcome stands in the base rows, or it is known that nothing came of it.
    pub fn close_intent(&self, id: IntentId) -> Result<()> {
        self.execute("DELETE FROM intent_message WHERE intent=?", [id.0 as i64])?;
        self.execute("DELETE FROM intent WHERE id=?", [id.0 as i64]).map(drop)
    }
}
