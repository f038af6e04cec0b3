//! The words of the program (DESIGN: one word per thing). Plain data; nothing here does I/O.

pub mod bounds;
pub mod changes;
pub mod flags;
pub mod mailbox;
pub mod message;
pub mod pair;
pub mod permanent;
pub mod trash;
pub mod uidset;

pub use bounds::{Beyond, Bounds};
pub use changes::{Checkpoint, Listed, News, Seen, Since, Status, Survey, Token};
pub use flags::{Flags, Keyword, System};
pub use mailbox::{Called, Mailbox, MailboxId, MailboxIdentity, MailboxPath, RawName, Role, Side};
pub use message::{ContentDigest, Envelope, EnvelopeKey, HeaderDigest, Id, Identity, InternalDate, Known, ObjectId};
pub use pair::{Gone, Half, Pair, PairId};
pub use permanent::Permanent;
pub use trash::TrashChoice;
pub use uidset::IdSet;
