//! Files that hold mail beside Maildirs: mbox, and one message a file (`.eml`). People arrive and leave that way.
//!
//! `tree` finds out what lies under a path, `split` finds the messages of an mbox, `unpack` turns a message there into
//! what a server holds, and `collection` makes a store of all that, which is only read. `mbox` and `eml` write.
//! `from_line` and `marks` are what mbox puts around a message: the line that begins it, and the fields for its flags.
//!
//! What was written here is read back byte for byte. What others wrote is read with patience: what cannot be told is
//! taken as part of the message, so nothing is lost.

pub mod collection;
mod dates;
pub mod eml;
mod from_line;
mod header;
mod marks;
pub mod mbox;
mod split;
pub mod tree;
mod unpack;

use crate::model::{Flags, InternalDate};

/// What a format has to keep beside the bytes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// Its flags.
    pub flags: Flags,
    /// Its internal date.
    pub date: InternalDate,
}
