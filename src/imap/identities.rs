//! What names a mailbox for good, whatever it is called (RFC 8474 §4).

use super::code::Code;
use super::command::Command;
use super::pipeline::{Event, Pipeline};
use super::pool::Account;
use super::response::Data;
use super::wire::Keep;
use crate::error::Result;
use crate::model::{Mailbox, MailboxId, MailboxIdentity};

/// See [`crate::store::Source::identities`]. Opened to look only, one after the other on one connection: who asks has a few
/// mailboxes that may have been renamed.
pub(super) fn identities(account: &Account, of: &[Mailbox]) -> Result<Vec<(MailboxId, MailboxIdentity)>> {
    account.with_conn(|conn| {
        if !conn.capabilities.has("OBJECTID") || of.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = Pipeline::new(conn);
        for mailbox in of {
            pipeline.push(Command::new("EXAMINE").mailbox(&mailbox.raw), mailbox.id);
        }
        let (mut told, mut found) = (None, Vec::new());
        while let Some(event) = pipeline.next(&mut Keep)? {
            match event {
                // Mailboxes are opened one after the other (RFC 9051 §5.5), so this is of the oldest.
                Event::Data(_, Data::Status(reply)) => note(&reply.code, &mut told),
                Event::Data(..) => {}
                Event::Done(mailbox, reply) => {
                    if let Some(failure) = pipeline.conn.suspects_pipelining(&reply) {
                        return Err(failure);
                    }
                    note(&reply.code, &mut told);
                    let identity = told.take().filter(|_| reply.is_ok());
                    found.extend(identity.map(|identity| (mailbox, identity)));
                }
            }
        }
        drop(pipeline);
        conn.leave()?;
        Ok(found)
    })
}

fn note(code: &Code, told: &mut Option<MailboxIdentity>) {
    if let Code::MailboxId(identity) = code {
        *told = Some(identity.clone());
    }
}

#[cfg(test)]
mod tests {
    use crate::imap::script::{Script, mailbox};
    use crate::model::{Mailbox, MailboxId};
    use crate::store::Source;

    #[test]
    fn told_by_opening() {
        let lines = vec![
            (
                "EXAMINE \"A\"",
                "* OK [MAILBOXID (F-a)] id\n* 0 EXISTS\n$ OK [READ-ONLY] open",
            ),
            ("EXAMINE \"B\"", "* OK [MAILBOXID (F-b)] id\n$ NO gone"),
            ("EXAMINE \"C\"", "$ OK [MAILBOXID (F-c)] open"),
            ("EXAMINE \"D\"", "* OK [MAILBOXID \"\"] id\n$ OK open"),
            ("UNSELECT", "$ OK"),
        ];
        let script = Script::new("OBJECTID UNSELECT", vec![lines]);
        let asked = [("A", 1), ("B", 2), ("C", 3), ("D", 4)].map(|(name, id)| Mailbox {
            id: MailboxId(id),
            ..mailbox(name)
        });
        let told = script.imap.identities(&asked).unwrap();
        let told: Vec<_> = told.iter().map(|(id, identity)| (id.0, &*identity.0)).collect();
        assert_eq!(told, [(1, "F-a"), (3, "F-c")]);
        script.end();
    }
}
