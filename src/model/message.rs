//! One message: its ids, dates and what it is known by.

use std::fmt;

use super::flags::Flags;
use super::mailbox::MailboxId;

/// A message's number within one mailbox of one side: a UID on a server, the row of the `file` table for a Maildir.
///
/// It means something only together with the mailbox's validity (a server's UIDVALIDITY).
pub type Id = u64;

/// When a server received a message (RFC 9051 §2.3.3), in seconds since 1970-01-01 UTC; a Maildir keeps it as the file's
/// mtime. A difference in date is never a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InternalDate(pub i64);

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}

digest! {
    /// The first 16 bytes of BLAKE3 over the message exactly as a server holds it (CRLF), but for the lines with which sync
    /// tools mark their copies (X-TUID, X-OfflineIMAP). Equal means equal: two copies that differ in these are one message,
    /// and a copy whose mark was taken away was not edited.
    ContentDigest
}
digest! {
    /// A hash of the unfolded Message-ID, Date, From and Subject fields. Proposes, never proves.
    EnvelopeKey
}
digest! {
    /// A hash of the whole header block without the fields that sync tools add. Proposes, never proves.
    HeaderDigest
}

/// The server's own name for a message's content: EMAILID (RFC 8474 §5.1) or X-GM-MSGID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub Box<str>);

/// What a message is known by once its bytes have passed through us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Bytes in canonical form.
    pub size: u64,
    /// So many of them are lines that `content` leaves out.
    pub marks: u64,
    /// Over the canonical form.
    pub content: ContentDigest,
    /// Over the header block.
    pub header: HeaderDigest,
    /// Over four fields of the header; `None` where there is no Message-ID.
    pub envelope: Option<EnvelopeKey>,
    /// It holds a CR without a LF, which no mail may (RFC 5322 §2.3) and some servers change without a word.
    pub bare_cr: bool,
    /// Its header holds bytes that are not ASCII, which some servers change without a word (HAZARDS 17).
    pub eight_bit: bool,
}

/// What a side tells of a message without handing over its body.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Where it is.
    pub mailbox: MailboxId,
    /// Its id there.
    pub id: Id,
    /// Its flags now.
    pub flags: Flags,
    /// Its internal date.
    pub date: InternalDate,
    /// Its size as that side tells it; a server's RFC822.SIZE can be wrong.
    pub size: u64,
    /// So many bytes of it are lines that [`ContentDigest`] leaves out, where the header was asked for.
    pub marks: u64,
    /// Over four header fields; `None` where there is no Message-ID.
    pub envelope: Option<EnvelopeKey>,
    /// Over the whole header block, where that depth was asked for.
    pub header: Option<HeaderDigest>,
    /// Over the whole message, where it costs no transfer (a Maildir).
    pub content: Option<ContentDigest>,
    /// The server's object id.
    pub object: Option<ObjectId>,
}

/// A message that we think is there, with what proves that it still is the one we mean.
///
/// A store compares before it removes or moves (HAZARDS 10, DESIGN 8a "edited in place") and leaves alone what differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its id on that side.
    pub id: Id,
    /// Its size as that side told it when it was paired; `None` when never told.
    pub size: Option<u64>,
    /// Its internal date as that side told it when it was paired.
    pub date: Option<InternalDate>,
    /// Its content when it was paired.
    pub content: Option<ContentDigest>,
}
