//! CREATE, DELETE, RENAME.

use super::super::account::Account;
use super::super::reply::{Refused, Reply};
use super::super::session::Session;
use super::existing;

impl Session {
    /// Whether a mailbox can have that name.
    fn check_name(&self, name: &str) -> Result<(), Refused> {
        let setup = &self.shared.setup;
        let no = |why: &str| Err(Reply::no(format!("[CANNOT] {why}: {name:?}")));
        if name.is_empty() || name.chars().any(char::is_control) {
            return no("no name for a mailbox");
        }
        if name != "INBOX" && !name.starts_with(&setup.prefix) {
            return no("outside of the namespace");
        }
        if setup.separator.is_some_and(|s| name.split(s).any(str::is_empty)) {
            return no("an empty level");
        }
        Ok(())
    }

    pub(in super::super) fn create(
        &self,
        account: &mut Account,
        name: &str,
        role: Option<String>,
    ) -> Result<Reply, Refused> {
        // RFC 3501 §6.3.3: a separator at the end only declares the intent to create inferiors.
        let name = self
            .shared
            .setup
            .separator
            .map_or(name, |s| name.strip_suffix(s).unwrap_or(name));
        self.check_name(name)?;
        if !account.create(name) {
            return Err(Reply::no("[ALREADYEXISTS] there is one of that name"));
        }
        let mailbox = account.mailbox_mut(name);
        mailbox.role = role;
        let object = self
            .caps()
            .has("OBJECTID")
            .then(|| format!("[MAILBOXID (F{})] ", mailbox.id));
        Ok(Reply::ok(object.unwrap_or_default() + "created"))
    }

    pub(in super::super) fn delete(&mut self, account: &mut Account, name: &str) -> Result<Reply, Refused> {
        existing(account, name)?;
        let epoch = account.mailbox(name).epoch;
        if !account.delete(name) {
            return Err(Reply::no("[CANNOT] the INBOX stays"));
        }
        let mut reply = Reply::ok("deleted");
        if self.view.as_ref().is_some_and(|view| view.epoch == epoch) {
            self.view = None;
            reply.untagged("OK [CLOSED] the selected mailbox was deleted");
        }
        Ok(reply)
    }

    pub(in super::super) fn rename(&mut self, account: &mut Account, from: &str, to: &str) -> Result<Reply, Refused> {
        self.check_name(to)?;
        if account.mailboxes.contains_key(to) {
            return Err(Reply::no("[ALREADYEXISTS] there is one of that name"));
        }
        let below = self
            .shared
            .setup
            .separator
            .is_some_and(|s| to.starts_with(&format!("{from}{s}")));
        if below && from != "INBOX" {
            return Err(Reply::no("[CANNOT] into itself"));
        }
        if account.rename(from, to) {
            Ok(Reply::ok("renamed"))
        } else {
            Err(Reply::no("[NONEXISTENT] no such mailbox"))
        }
    }
}
