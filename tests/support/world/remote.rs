//! Changes on the server, made by another client.

use std::net::TcpStream;

use imap::Session;

use super::Chance;
use super::mails::{KEYWORDS, SYSTEM};
use crate::support::raw::quoted;
use crate::support::witness::encode_name;

/// The UIDs of a selected mailbox, ascending.
pub(crate) fn uids(session: &mut Session<TcpStream>, mailbox: &str) -> Vec<u32> {
    let name = encode_name(mailbox);
    session.select(&name).unwrap_or_else(|e| panic!("{mailbox}: {e}"));
    let mut uids: Vec<u32> = session.uid_search("ALL").expect("a search").into_iter().collect();
    uids.sort_unstable();
    uids
}

/// Sets or clears a random flag or keyword of a message in the selected mailbox.
pub(crate) fn change_flags(session: &mut Session<TcpStream>, uid: u32, chance: &mut Chance) {
    let flag = if chance.happens(40) {
        *chance.pick(&KEYWORDS)
    } else {
        *chance.pick(&SYSTEM[..4])
    };
    let sign = if chance.happens(60) { '+' } else { '-' };
    store(session, uid, &format!("{sign}FLAGS.SILENT ({flag})"));
}

/// Removes a message of the selected mailbox for good.
pub(crate) fn remove(session: &mut Session<TcpStream>, uid: u32) {
    store(session, uid, "+FLAGS.SILENT (\\Deleted)");
    let expunge = format!("UID EXPUNGE {uid}");
    session.run_command_and_check_ok(expunge).expect("an expunge");
}

/// `UID STORE`, without the crate's reading of the answer.
pub(crate) fn store(session: &mut Session<TcpStream>, uid: u32, what: &str) {
    session
        .run_command_and_check_ok(format!("UID STORE {uid} {what}"))
        .expect("a store");
}

/// Copies a message of the selected mailbox into another (decoded name).
pub(crate) fn copy(session: &mut Session<TcpStream>, uid: u32, mailbox: &str) {
    let name = quoted(&encode_name(mailbox));
    session
        .run_command_and_check_ok(format!("UID COPY {uid} {name}"))
        .expect("a copy");
}
