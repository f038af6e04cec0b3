//! Opening a mailbox to change what is in it.

use super::command::Command;
use super::conn::Conn;
use super::pool::{Account, Holds};
use super::quirks;
use super::response::Reply;
use super::selected::Selected;
use super::write::ATTEMPTS;
use crate::error::{Failure, Result, Retry};
use crate::model::RawName;

/// One SELECT and what it tells.
pub(super) fn select(conn: &mut Conn, mailbox: &RawName) -> Result<(Selected, Reply)> {
    let mut selected = Selected::default();
    let reply = conn.ask(Command::new("SELECT").mailbox(mailbox), |data| selected.note(&data))?;
    Ok((selected, reply))
}

/// Opens a mailbox to change it. The inner failure is the mailbox's: it cannot be opened or written, or it is another
/// one than the caller means.
pub(super) fn open(account: &Account, conn: &mut Conn, mailbox: &RawName) -> Result<Result<Selected>> {
    let first = select(conn, mailbox)?;
    opened(account, conn, mailbox, first)
}

/// The same, with the first answer at hand.
pub(super) fn opened(
    account: &Account,
    conn: &mut Conn,
    mailbox: &RawName,
    (mut selected, mut reply): (Selected, Reply),
) -> Result<Result<Selected>> {
    for nth in 1..ATTEMPTS {
        if !account.rest(&reply, nth)? {
            break;
        }
        (selected, reply) = select(conn, mailbox)?;
    }
    if !reply.is_ok() {
        let what = format!("the mailbox cannot be opened: {}", reply.text);
        return Ok(Err(quirks::refused(Failure::mailbox(what), &reply)));
    }
    selected.note_code(&reply);
    selected.settle();
    let mut memory = account.memory();
    if selected.read_only {
        let what = "the server lets this mailbox only be read";
        return Ok(Err(quirks::read_only(Failure::mailbox(what))));
    }
    memory.permanent.insert(mailbox.clone(), Holds::new(&selected));
    // DESIGN 8a "Voided UIDs": nothing is changed under ids that may mean other messages.
    let expected = memory.expected(mailbox);
    if expected.is_none() || expected != selected.validity {
        let what = "the mailbox is not the one that was looked at: it was replaced meanwhile";
        return Ok(Err(Failure::mailbox(what).retry(Retry::Now)));
    }
    Ok(Ok(selected))
}
