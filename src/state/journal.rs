//! The journal: what is about to be done, committed before it is done.

use super::{State, failed, side_of};
use crate::error::Result;
use crate::model::{ContentDigest, Envelope, EnvelopeKey, HeaderDigest, Id, IdSet, MailboxId, MailboxPath, Pair, Side};
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
    /// Move messages from another mailbox of this side, because they are gone on the other.
    Trash,
}

impl IntentKind {
    const ALL: [Self; 4] = [Self::Copy, Self::CopyWithin, Self::Move, Self::Trash];

    const fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::CopyWithin => "copy-within",
            Self::Move => "move",
            Self::Trash => "trash",
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
    /// Which messages, by their ids where they come from; once recovery has seen to them, none.
    pub ids: IdSet,
    /// The id that the next new message of the mailbox would have got when it was written.
    pub next_id: Option<Id>,
    /// The run that wrote it.
    pub run: i64,
    /// When it was written, in seconds since 1970.
    pub begun: i64,
}

/// A message of an intent, by which its copy is known again.
#[derive(Clone, Copy, Debug)]
pub struct IntentMessage {
    /// Its id where it comes from.
    pub id: Id,
    /// Its content, where known before it was sent.
    pub content: Option<ContentDigest>,
    /// Its envelope key.
    pub envelope: Option<EnvelopeKey>,
    /// Its header digest.
    pub header: Option<HeaderDigest>,
}

impl IntentMessage {
    /// Of a message that was looked at.
    pub fn seen(envelope: &Envelope) -> Self {
        Self {
            id: envelope.id,
            content: envelope.content,
            envelope: envelope.envelope,
            header: envelope.header,
        }
    }

    /// Of one that nobody has looked at.
    pub const fn unknown(id: Id) -> Self {
        Self {
            id,
            content: None,
            envelope: None,
            header: None,
        }
    }

    /// Of a pair, by its id on that side.
    pub fn paired(id: Id, pair: &Pair) -> Self {
        Self {
            id,
            content: Some(pair.content),
            envelope: pair.envelope,
            header: Some(pair.header),
        }
    }
}

/// A rename of a mailbox that was begun. Its inferiors go along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renaming {
    /// Which.
    pub mailbox: MailboxId,
    /// On which side.
    pub side: Side,
    /// Its decoded name on that side until then.
    pub was: MailboxPath,
    /// Its decoded name on that side afterwards.
    pub becomes: MailboxPath,
    /// The run that began it.
    pub run: i64,
}

impl Renaming {
    /// What a mailbox is called on the way when another one has its new name still.
    pub fn on_the_way(mailbox: MailboxId) -> MailboxPath {
        MailboxPath::new([format!("homing-rename-{}", mailbox.0)]).expect("the name is not empty")
    }
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
                    intent.begun,
                    intent.source.map(|source| source.0),
                ))?;
            let mut add = conn.prepare_cached(
                "INSERT INTO intent_message (intent, id, content, envelope, header) VALUES (?,?,?,?,?)",
            )?;
            for message in messages {
                add.execute((
                    id,
                    message.id as i64,
                    message.content.map(|c| c.0),
                    message.envelope.map(|e| e.0),
                    message.header.map(|h| h.0),
                ))?;
            }
            Ok(id)
        };
        write().map(|id| IntentId(id as u64)).map_err(failed)
    }

    /// All open intents, oldest first.
    pub fn open_intents(&self) -> Result<Vec<Intent>> {
        let rows = self.rows(
            "SELECT id, kind, mailbox, side, ids, next_id, run, source, begun FROM intent ORDER BY id",
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
                        begun: row.get(8)?,
                    })
                }))
            },
        )?;
        rows.into_iter()
            .flatten()
            .collect::<rusqlite::Result<_>>()
            .map_err(failed)
    }

    /// The messages of an open intent, ascending by id.
    pub fn intent_messages(&self, intent: IntentId) -> Result<Vec<IntentMessage>> {
        self.rows(
            "SELECT id, content, envelope, header FROM intent_message WHERE intent=? ORDER BY id",
            [intent.0 as i64],
            |row| {
                Ok(IntentMessage {
                    id: row.get::<_, i64>(0)? as u64,
                    content: row.get::<_, Option<[u8; 16]>>(1)?.map(ContentDigest),
                    envelope: row.get::<_, Option<[u8; 16]>>(2)?.map(EnvelopeKey),
                    header: row.get::<_, Option<[u8; 16]>>(3)?.map(HeaderDigest),
                })
            },
        )
    }

    /// Notes what a message of an open intent turned out to be.
    pub fn know_intent_message(&self, intent: IntentId, message: &IntentMessage) -> Result<()> {
        self.execute(
            "UPDATE intent_message SET content=?, envelope=?, header=? WHERE intent=? AND id=?",
            (
                message.content.map(|c| c.0),
                message.envelope.map(|e| e.0),
                message.header.map(|h| h.0),
                intent.0 as i64,
                message.id as i64,
            ),
        )
        .map(drop)
    }

    /// Recovery has seen to the messages of an intent that stays open, since its effect may still be under way.
    pub fn see_to_intent(&self, id: IntentId) -> Result<()> {
        self.execute("UPDATE intent SET ids='' WHERE id=?", [id.0 as i64])
            .map(drop)
    }

    /// Closes all intents about a mailbox: its ids mean nothing any more, or it is no more.
    pub fn close_intents(&self, mailbox: MailboxId) -> Result<()> {
        let of = "SELECT id FROM intent WHERE mailbox=?1 OR source=?1";
        self.execute(
            &format!("DELETE FROM intent_message WHERE intent IN ({of})"),
            [mailbox.0],
        )?;
        self.execute("DELETE FROM intent WHERE mailbox=?1 OR source=?1", [mailbox.0])
            .map(drop)
    }

    /// Closes an intent: its outcome stands in the base rows, or it is known that nothing came of it.
    pub fn close_intent(&self, id: IntentId) -> Result<()> {
        self.execute("DELETE FROM intent_message WHERE intent=?", [id.0 as i64])?;
        self.execute("DELETE FROM intent WHERE id=?", [id.0 as i64]).map(drop)
    }

    /// Writes down a rename. It must be committed before it begins; a mailbox has one at a time.
    pub fn open_rename(&self, renaming: &Renaming) -> Result<()> {
        let Renaming {
            mailbox,
            side,
            was,
            becomes,
            run,
        } = renaming;
        self.execute(
            "INSERT OR REPLACE INTO renaming (mailbox, side, was, becomes, run) VALUES (?,?,?,?,?)",
            (mailbox.0, *side as u8, was.to_text(), becomes.to_text(), run),
        )
        .map(drop)
    }

    /// The renames of which nobody knows what came of them.
    pub fn open_renames(&self) -> Result<Vec<Renaming>> {
        let rows = self.rows(
            "SELECT mailbox, side, was, becomes, run FROM renaming ORDER BY mailbox, side",
            [],
            |row| {
                let (was, becomes): (String, String) = (row.get(2)?, row.get(3)?);
                let paths = MailboxPath::from_text(&was).zip(MailboxPath::from_text(&becomes));
                let (mailbox, side, run) = (row.get(0)?, row.get(1)?, row.get(4)?);
                Ok(paths.map(|(was, becomes)| Renaming {
                    mailbox: MailboxId(mailbox),
                    side: side_of(side),
                    was,
                    becomes,
                    run,
                }))
            },
        )?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// It is known under what name the mailbox is.
    pub fn close_rename(&self, mailbox: MailboxId, side: Side) -> Result<()> {
        self.execute(
            "DELETE FROM renaming WHERE mailbox=? AND side=?",
            (mailbox.0, side as u8),
        )
        .map(drop)
    }
}
