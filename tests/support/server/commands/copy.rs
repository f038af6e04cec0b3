//! COPY and MOVE.

use super::super::account::Account;
use super::super::reply::{Refused, Reply};
use super::super::session::Session;
use super::super::set::{self, Set};

impl Session {
    pub(in super::super) fn copy(
        &mut self,
        account: &mut Account,
        name: &str,
        uid: bool,
        set: &Set,
        to: &str,
        and_expunge: bool,
    ) -> Result<Reply, Refused> {
        let view = self.view.as_ref().expect("selected");
        let uids = view.pick(set, uid).map_err(Reply::bad)?;
        let Some(target) = account.mailboxes.get(to) else {
            return Err(Reply::no(format!("[TRYCREATE] no mailbox {to:?}")));
        };
        if target.read_only || (and_expunge && view.read_only) {
            return Err(Reply::no("[NOPERM] read-only"));
        }
        let there = |uid: &u32| account.mailbox(name).messages.contains_key(uid);
        let sources: Vec<u32> = uids.into_iter().filter(there).collect();
        if sources.is_empty() || self.lies.copies_nothing {
            // What real servers say about UIDs that are gone (HAZARDS 7).
            return Ok(Reply::ok("nothing to do"));
        }
        let mut targets = Vec::new();
        for &uid in &sources {
            targets.push(if and_expunge {
                account.relocate(name, uid, to)
            } else {
                account.duplicate(name, uid, to)
            });
        }
        let validity = account.mailbox(to).uid_validity;
        let code = format!("[COPYUID {validity} {} {}]", set::write(sources), set::write(targets));
        let told = self.caps().has("UIDPLUS") && !self.lies.no_copy_uid;
        // RFC 6851 §4.3: for MOVE the code comes untagged, before the expunges.
        let mut reply = Reply::ok("done");
        match (told, and_expunge) {
            (true, true) => reply.untagged(&format!("OK {code} moved")),
            (true, false) => reply.text = format!("{code} copied"),
            (false, _) => {}
        }
        if and_expunge && self.qresync {
            reply.text = format!("[HIGHESTMODSEQ {}] done", account.mailbox(name).modseq);
        }
        Ok(reply)
    }
}
