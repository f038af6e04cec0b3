//! Which mailboxes the account's mail programs show: subscriptions.

use std::collections::BTreeSet;

use super::command::Command;
use super::conn::Conn;
use super::pipeline::{Event, Pipeline};
use super::response::Data;
use super::wire::Keep;
use super::{Imap, pool::Account};
use crate::error::{Failure, Result};
use crate::model::RawName;

/// All names subscribed to, whether there is such a mailbox or not; `None`: the server does not tell.
fn subscribed(conn: &mut Conn) -> Result<Option<BTreeSet<RawName>>> {
    // RFC 9051 §6.3.9 leaves LSUB out; servers that do without it say so.
    for command in ["LSUB \"\" \"*\"", "LIST (SUBSCRIBED) \"\" \"*\""] {
        let mut names = BTreeSet::new();
        let reply = conn.ask(Command::new(command), |data| {
            if let Data::List(list) = data
                && !list.has("\\Noselect")
            {
                names.insert(RawName::new(&list.name));
            }
        })?;
        if reply.is_ok() {
            return Ok(Some(names));
        }
    }
    Ok(None)
}

/// Subscribes to these, and answers with a refusal for each that was refused.
fn subscribe(conn: &mut Conn, names: &[RawName]) -> Result<Vec<(RawName, Failure)>> {
    let mut refused = Vec::new();
    let mut pipeline = Pipeline::new(conn);
    for name in names {
        // RFC 9051 §6.3.7
        pipeline.push(Command::new("SUBSCRIBE").mailbox(name), name);
    }
    while let Some(event) = pipeline.next(&mut Keep)? {
        if let Event::Done(name, reply) = event
            && !reply.is_ok()
        {
            let what = format!("the server does not subscribe to it: {}", reply.text);
            refused.push((name.clone(), Failure::mailbox(what)));
        }
    }
    Ok(refused)
}

impl Imap {
    /// All names that the account is subscribed to, whether there is such a mailbox or not; `None`: the server does not tell.
    pub fn subscriptions(&self) -> Result<Option<BTreeSet<RawName>>> {
        Account::with_conn(&self.account, subscribed)
    }

    /// Subscribes to these mailboxes, and answers with a refusal for each that was refused.
    pub fn subscribe(&self, names: &[RawName]) -> Result<Vec<(RawName, Failure)>> {
        Account::with_conn(&self.account, |conn| subscribe(conn, names))
    }
}
