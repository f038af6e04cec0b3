//! SELECT and EXAMINE, resynchronisation included.

use std::collections::BTreeSet;

use super::super::account::{Account, Mailbox, Permanent};
use super::super::flags::SYSTEM;
use super::super::parse::Qresync;
use super::super::reply::{Refused, Reply};
use super::super::session::Session;
use super::super::set;
use super::super::view::View;
use super::existing;

impl Session {
    pub(in super::super) fn select(
        &mut self,
        account: &mut Account,
        name: &str,
        examine: bool,
        qresync: Option<&Qresync>,
    ) -> Result<Reply, Refused> {
        let had = self.view.take().is_some();
        let closed = (had && self.caps().has("CONDSTORE")).then_some("OK [CLOSED] the previous mailbox");
        let add = |reply: &mut Reply| closed.into_iter().for_each(|line| reply.untagged(line));
        if qresync.is_some() && !self.qresync {
            // RFC 7162 §3.2.5: only after ENABLE QRESYNC.
            self.shared
                .complain(self.number, b"SELECT", "(QRESYNC before ENABLE QRESYNC");
            return Err(Reply::bad("QRESYNC is not enabled"));
        }
        let refused = existing(account, name).err();
        let refused = refused.or_else(|| {
            account
                .mailbox(name)
                .closed
                .then(|| Reply::no("[NOPERM] cannot be opened"))
        });
        if let Some(mut refused) = refused {
            add(&mut refused);
            return Err(refused);
        }
        let mailbox = account.mailbox_mut(name);
        let read_only = examine || mailbox.read_only;
        let view = View::open(mailbox, read_only);
        let mut reply = Reply::ok(if read_only {
            "[READ-ONLY] open"
        } else {
            "[READ-WRITE] open"
        });
        add(&mut reply);
        self.describe(mailbox, &view, &mut reply);
        if let Some(known) = qresync.filter(|known| known.validity == mailbox.uid_validity) {
            self.resynchronise(mailbox, &view, known, &mut reply);
        }
        self.view = Some(view);
        Ok(reply)
    }

    fn describe(&self, mailbox: &Mailbox, view: &View, reply: &mut Reply) {
        let used: BTreeSet<&str> = mailbox.iter().flat_map(|m| m.flags.names()).collect();
        let keywords = used.iter().filter(|name| !name.starts_with('\\')).copied();
        let flags: Vec<&str> = SYSTEM.into_iter().chain(keywords).collect();
        reply.untagged(&format!("FLAGS ({})", flags.join(" ")));
        let permanent = match &mailbox.permanent {
            _ if view.read_only => String::new(),
            Permanent::Any => format!("{} \\*", flags.join(" ")),
            Permanent::Only(names) => names.join(" "),
        };
        reply.untagged(&format!("OK [PERMANENTFLAGS ({permanent})] kept"));
        reply.untagged(&format!("{} EXISTS", view.uids.len()));
        reply.untagged(&format!("{} RECENT", view.recent.len()));
        if let Some(first) = mailbox.iter().find(|m| !m.flags.has("\\Seen")) {
            reply.untagged(&format!(
                "OK [UNSEEN {}] first unseen",
                view.number(first.uid).unwrap_or(0)
            ));
        }
        reply.untagged(&format!("OK [UIDVALIDITY {}] valid", mailbox.uid_validity));
        if !self.lies.no_uid_next {
            reply.untagged(&format!("OK [UIDNEXT {}] next", mailbox.uid_next));
        }
        if self.caps().has("CONDSTORE") {
            match mailbox.modseq {
                _ if self.lies.zero_modseq => reply.untagged("OK [NOMODSEQ] none"),
                modseq => reply.untagged(&format!("OK [HIGHESTMODSEQ {modseq}] highest")),
            }
        }
        if self.caps().has("OBJECTID") {
            reply.untagged(&format!("OK [MAILBOXID (F{})] id", mailbox.id));
        }
    }

    fn resynchronise(&self, mailbox: &Mailbox, view: &View, known: &Qresync, reply: &mut Reply) {
        let asked = known
            .known
            .as_ref()
            .map(|set| set.resolve(mailbox.uid_next.saturating_sub(1)));
        let within = |uid: u32| asked.as_ref().is_none_or(|ranges| ranges.contains(uid));
        let gone: Vec<u32> = self
            .gone_since(mailbox, known.modseq)
            .into_iter()
            .filter(|&uid| within(uid))
            .collect();
        self.tell_earlier(mailbox, gone, reply);
        let changed = mailbox.iter().filter(|m| m.modseq > known.modseq && within(m.uid));
        for message in changed {
            reply.untagged(&view.flags_line(message, true, self.manner()));
        }
    }

    /// What was expunged since a mod-sequence, ascending; a server without memory names all UIDs that are not there
    /// (RFC 7162 §3.2.5.2).
    pub(super) fn gone_since(&self, mailbox: &Mailbox, modseq: u64) -> Vec<u32> {
        if self.shared.setup.remembers_expunges {
            let since = mailbox.gone.iter().filter(|&&(_, when)| when > modseq);
            return since
                .map(|&(uid, _)| uid)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect();
        }
        (1..mailbox.uid_next)
            .filter(|uid| !mailbox.messages.contains_key(uid))
            .collect()
    }

    /// `VANISHED (EARLIER)`, if there is anything to tell; with a living message where the server lies.
    pub(super) fn tell_earlier(&self, mailbox: &Mailbox, mut gone: Vec<u32>, reply: &mut Reply) {
        if self.lies.vanished_names_living {
            gone.extend(mailbox.messages.keys().next());
            gone.sort_unstable();
        }
        if !gone.is_empty() {
            reply.untagged(&format!("VANISHED (EARLIER) {}", set::write(gone)));
        }
    }
}
