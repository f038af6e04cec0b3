//! The instruments themselves: what they report is what is there.

use crate::support::dovecot::Dovecot;

#[test]
fn the_server_starts() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let said = dovecot.doveadm(&["mailbox", "list", "-u", "somebody"]);
    assert_eq!(String::from_utf8_lossy(&said.stdout), "INBOX\n", "{said:?} {}", dovecot.log());
}
