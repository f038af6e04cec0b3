//! What an account's configuration says of mailboxes.

use super::Naming;
use crate::account::Account;
use crate::config::patterns::Pattern;
use crate::model::{MailboxPath, Role};

/// An account's scope and map, and the mailboxes that a run was told to act on.
pub(super) struct AccountNames<'a> {
    account: &'a Account,
    /// Empty: all in scope.
    only: &'a [Pattern],
}

impl<'a> AccountNames<'a> {
    pub(super) const fn new(account: &'a Account, only: &'a [Pattern]) -> Self {
        Self { account, only }
    }
}

impl Naming for AccountNames<'_> {
    fn includes(&self, right: &MailboxPath, roles: &[Role]) -> bool {
        self.account.scope.includes(right, roles)
    }

    fn acts_on(&self, right: &MailboxPath, roles: &[Role]) -> bool {
        self.only.is_empty() || self.only.iter().any(|pattern| pattern.matches(right, roles))
    }

    fn to_left(&self, right: &MailboxPath) -> MailboxPath {
        self.account.map.to_left(right)
    }

    fn to_right(&self, left: &MailboxPath) -> MailboxPath {
        self.account.map.to_right(left)
    }
}
