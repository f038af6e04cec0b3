//! What each command does, in the order of RFC 3501 §6.

mod append;
mod copy;
mod fetch;
mod list;
mod login;
mod mailbox;
mod search;
mod select;
mod store;

pub use fetch::Ask;
pub use store::expunge_marked;

use super::account::Account;
use super::reply::{Refused, Reply};
use super::session::Session;
use super::view::Manner;

impl Session {
    /// For lines about flags that the client asked for.
    fn manner(&self) -> Manner {
        Manner {
            expunges: true,
            condstore: self.condstore,
            qresync: self.qresync,
            zero_modseq: self.lies.zero_modseq,
            vanished_names_living: false,
        }
    }

    fn shown_modseq(&self, modseq: u64) -> u64 {
        if self.lies.zero_modseq { 1 } else { modseq }
    }
}

/// The mailbox must exist.
fn existing(account: &Account, name: &str) -> Result<(), Refused> {
    if account.mailboxes.contains_key(name) {
        Ok(())
    } else {
        Err(Reply::no(format!("[NONEXISTENT] no mailbox {name:?}")))
    }
}
