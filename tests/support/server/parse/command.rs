//! Commands, ready to be executed.

use super::super::date::Date;
use super::super::flags::Flags;
use super::super::set::Set;
use super::{Item, Key, ListArgs, Returns, StatusItem};

/// A command, ready to be executed.
#[derive(Clone, Debug)]
pub enum Command {
    Capability,
    Noop,
    Logout,
    StartTls,
    Id,
    Authenticate {
        mechanism: String,
        initial: Option<String>,
    },
    Login {
        user: String,
        password: String,
    },
    Enable(Vec<String>),
    Select {
        mailbox: String,
        examine: bool,
        condstore: bool,
        qresync: Option<Qresync>,
    },
    Create {
        mailbox: String,
        role: Option<String>,
    },
    Delete(String),
    Rename {
        from: String,
        to: String,
    },
    Subscribe(String),
    Unsubscribe(String),
    List(ListArgs),
    Namespace,
    Status {
        mailbox: String,
        items: Vec<StatusItem>,
    },
    Append {
        mailbox: String,
        messages: Vec<Appended>,
    },
    Check,
    Close,
    Unselect,
    Expunge {
        uids: Option<Set>,
    },
    Search {
        uid: bool,
        key: Key,
        returns: Option<Returns>,
    },
    Fetch {
        uid: bool,
        set: Set,
        items: Vec<Item>,
        changed_since: Option<u64>,
        vanished: bool,
    },
    Store(Store),
    Copy {
        uid: bool,
        set: Set,
        to: String,
        and_expunge: bool,
    },
}

/// What a client that resynchronises knows (RFC 7162 §3.2.5).
#[derive(Clone, Debug)]
pub struct Qresync {
    pub validity: u32,
    pub modseq: u64,
    pub known: Option<Set>,
}

/// One message of an APPEND.
#[derive(Clone, Debug)]
pub struct Appended {
    pub flags: Flags,
    pub date: Option<Date>,
    pub bytes: Vec<u8>,
}

/// How STORE combines the flags that it is given with those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Add,
    Remove,
    Replace,
}

/// A STORE.
#[derive(Clone, Debug)]
pub struct Store {
    pub uid: bool,
    pub set: Set,
    pub how: How,
    pub silent: bool,
    pub flags: Flags,
    pub unchanged_since: Option<u64>,
}

/// In which state of the connection a command may come (RFC 3501 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Any,
    NotAuthenticated,
    Authenticated,
    Selected,
}

impl Command {
    /// See [`Phase`].
    pub fn phase(&self) -> Phase {
        match self {
            Self::Capability | Self::Noop | Self::Logout | Self::Id => Phase::Any,
            Self::StartTls | Self::Authenticate { .. } | Self::Login { .. } => Phase::NotAuthenticated,
            Self::Check
            | Self::Close
            | Self::Unselect
            | Self::Expunge { .. }
            | Self::Search { .. }
            | Self::Fetch { .. }
            | Self::Store(_)
            | Self::Copy { .. } => Phase::Selected,
            _ => Phase::Authenticated,
        }
    }

    /// The mailbox that it names.
    pub fn mailbox(&self) -> Option<&str> {
        match self {
            Self::Select { mailbox, .. }
            | Self::Status { mailbox, .. }
            | Self::Append { mailbox, .. }
            | Self::Create { mailbox, .. }
            | Self::Delete(mailbox) => Some(mailbox),
            Self::Rename { from, .. } => Some(from),
            _ => None,
        }
    }
}
