//! A base row: what both sides agreed on about one message when they last met.

use super::flags::Flags;
use super::mailbox::{MailboxId, Side};
use super::message::{ContentDigest, Envelope, EnvelopeKey, HeaderDigest, Id, InternalDate, Known, ObjectId};

/// The row's own number; never changes while the pair lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairId(pub i64);

/// What one side of a pair was when last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Half {
    /// Its id; `None` when the side's ids were voided, or the message could not be told from others.
    pub id: Option<Id>,
    /// Its flags as that side was last seen to hold them. A change is a difference to this, never to the other side.
    pub flags: Flags,
    /// The flags were sent and never yet seen there: what is missing at first sight was dropped, not removed.
    pub unseen: bool,
    /// The message is gone on this side, and the removal waits to be carried over.
    pub gone: Gone,
    /// Its size as that side told it.
    pub size: Option<u64>,
    /// Its internal date as that side told it.
    pub date: Option<InternalDate>,
    /// That server's object id of it, where it has such.
    pub object: Option<ObjectId>,
}

impl Half {
    /// A message that is there, as that side just told it.
    pub fn seen(envelope: &Envelope, flags: Flags) -> Self {
        Self {
            id: Some(envelope.id),
            flags,
            unseen: false,
            gone: Gone::No,
            size: Some(envelope.size),
            date: Some(envelope.date),
            object: envelope.object.clone(),
        }
    }
}

/// Whether a message is gone from a side without the other having followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gone {
    /// It is there.
    #[default]
    No,
    /// Gone; the policy keeps the other side as it is, or carrying over failed.
    Pending,
    /// Gone, and the other side has another copy of it besides: the one that is left there is removed for good.
    Spare,
    /// Gone; a guard held the removal back. Stays so until approved or present again.
    Held,
}

/// A message that both sides have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its row.
    pub id: PairId,
    /// Its mailbox, the same on both sides.
    pub mailbox: MailboxId,
    /// Left half, right half.
    pub halves: [Half; 2],
    /// Bytes of what `content` is over: in canonical form, without the marks of sync tools.
    pub size: u64,
    /// Equal for both copies, even where they differ in the marks of sync tools.
    pub content: ContentDigest,
    /// Over the header block.
    pub header: HeaderDigest,
    /// Over four header fields.
    pub envelope: Option<EnvelopeKey>,
}

impl Pair {
    /// The half of that side.
    pub fn half(&self, side: Side) -> &Half {
        &self.halves[side as usize]
    }

    /// What proves that a message on that side is still this one; `None` when it has no id there.
    pub fn known(&self, side: Side) -> Option<Known> {
        let half = self.half(side);
        half.id.map(|id| Known {
            id,
            size: half.size,
            date: half.date,
            content: Some(self.content),
        })
    }
}
