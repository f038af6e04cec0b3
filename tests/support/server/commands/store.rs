//! STORE, EXPUNGE.

use super::super::account::Account;
use super::super::parse::{How, Store};
use super::super::reply::{Refused, Reply};
use super::super::session::Session;
use super::super::set::{self, Set};
use super::append::has_keyword;

impl Session {
    fn writable(&self) -> Result<(), Refused> {
        let read_only = self.view.as_ref().is_some_and(|view| view.read_only);
        if read_only {
            Err(Reply::no("[READ-ONLY] opened read-only"))
        } else {
            Ok(())
        }
    }

    pub(in super::super) fn store(
        &mut self,
        account: &mut Account,
        name: &str,
        store: &Store,
    ) -> Result<Reply, Refused> {
        self.condstore |= store.unchanged_since.is_some();
        let uids = self
            .view
            .as_ref()
            .expect("selected")
            .pick(&store.set, store.uid)
            .map_err(Reply::bad)?;
        self.writable()?;
        if self.lies.refuses_keywords && has_keyword(&store.flags) {
            return Err(Reply::no("[CANNOT] no keywords here"));
        }
        let asked = self.kept(account, name, &store.flags);
        let (mut reply, mut modified) = (Reply::ok("stored"), Vec::new());
        let manner = self.manner();
        let view = self.view.as_mut().expect("selected");
        let mailbox = account.mailbox_mut(name);
        for uid in uids {
            let Some(message) = mailbox.messages.get(&uid) else {
                continue;
            };
            if store.unchanged_since.is_some_and(|since| message.modseq > since) {
                modified.push(if store.uid { uid } else { view.number(uid).unwrap_or(0) });
                continue;
            }
            let mut flags = message.flags.clone();
            match store.how {
                How::Replace => flags = asked.clone(),
                How::Add => asked.names().for_each(|name| flags.insert(name)),
                How::Remove => asked.names().for_each(|name| flags.remove(name)),
            }
            mailbox.set_flags(uid, &flags);
            let message = mailbox.message(uid);
            view.tell_own(uid, message.modseq);
            // RFC 7162 §3.1.3: with UNCHANGEDSINCE or CONDSTORE on, MODSEQ is told even when silent.
            if !store.silent {
                reply.untagged(&view.flags_line(message, store.uid, manner));
            } else if manner.condstore {
                let (number, modseq) = (view.number(uid).unwrap_or(0), message.modseq);
                reply.untagged(&format!("{number} FETCH (UID {uid} MODSEQ ({modseq}))"));
            }
        }
        if !modified.is_empty() {
            reply.text = format!("[MODIFIED {}] not all", set::write(modified));
        }
        Ok(reply)
    }

    pub(in super::super) fn expunge(
        &mut self,
        account: &mut Account,
        name: &str,
        uids: Option<&Set>,
    ) -> Result<Reply, Refused> {
        self.writable()?;
        let picked = match uids {
            Some(set) => Some(
                self.view
                    .as_ref()
                    .expect("selected")
                    .pick(set, true)
                    .map_err(Reply::bad)?,
            ),
            None => None,
        };
        expunge_marked(account, name, picked.as_deref());
        let mailbox = account.mailbox(name);
        let code = if self.qresync {
            format!("[HIGHESTMODSEQ {}] ", mailbox.modseq)
        } else {
            String::new()
        };
        Ok(Reply::ok(code + "expunged"))
    }
}

/// Expunges what is marked `\Deleted`, of these UIDs only if any are given.
pub fn expunge_marked(account: &mut Account, name: &str, only: Option<&[u32]>) {
    let mailbox = account.mailbox_mut(name);
    let marked = mailbox.iter().filter(|m| m.flags.has("\\Deleted")).map(|m| m.uid);
    let chosen: Vec<u32> = marked
        .filter(|uid| only.is_none_or(|only| only.contains(uid)))
        .collect();
    for uid in chosen {
        mailbox.expunge(uid);
    }
}
