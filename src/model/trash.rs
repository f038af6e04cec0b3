//! Where messages go that one side removes because the other did.

use super::MailboxPath;

/// What the configuration says of a side's trash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrashChoice {
    /// There is none: what is removed is gone from that side.
    #[default]
    None,
    /// The mailbox that the side itself calls its trash (`\Trash`, RFC 6154 §2).
    Auto,
    /// The mailbox that the side calls so; made where it is missing.
    Named(MailboxPath),
}
