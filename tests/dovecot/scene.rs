//! One account on the server, homing's world beside it, and a proxy between them that tells what was said.

use std::path::PathBuf;
use std::time::Duration;

use crate::support::dovecot::Dovecot;
use crate::support::proxy::{Proxy, Traffic};
use crate::support::raw::Raw;
use crate::support::witness::{Account, Layout, Server, encode_name};
use crate::support::world::{Run, World, local};

pub(crate) struct Scene<'a> {
    pub(crate) dovecot: &'a Dovecot,
    pub(crate) user: String,
    pub(crate) proxy: Proxy,
    pub(crate) world: World,
    pub(crate) server: Server,
    /// Below what all mailboxes but the INBOX are, and what parts their levels.
    namespace: (&'static str, char),
}

impl<'a> Scene<'a> {
    /// A fresh account of that name. Each test has its own.
    pub(crate) fn new(dovecot: &'a Dovecot, user: &str) -> Self {
        let proxy = Proxy::to(dovecot.port, Duration::ZERO);
        Self {
            dovecot,
            user: user.into(),
            world: World::new(proxy.port, user),
            server: Server::new(dovecot.host, dovecot.port, user),
            proxy,
            namespace: ("", '/'),
        }
    }

    /// The same where the server has mailboxes below a prefix.
    pub(crate) fn below(self, prefix: &'static str, separator: char) -> Self {
        Self {
            server: self.server.below(prefix),
            namespace: (prefix, separator),
            ..self
        }
    }

    /// What the server calls a mailbox, decoded.
    pub(crate) fn on_server(&self, mailbox: &str) -> String {
        let (prefix, separator) = self.namespace;
        if mailbox == "INBOX" {
            return mailbox.to_owned();
        }
        format!("{prefix}{}", mailbox.replace('/', &separator.to_string()))
    }

    /// The same as it goes over the wire: encoded and quoted.
    pub(crate) fn wire(&self, mailbox: &str) -> String {
        crate::support::raw::quoted(&crate::support::witness::encode_name(&self.on_server(mailbox)))
    }

    /// Another client on the account.
    pub(crate) fn raw(&self) -> Raw {
        Raw::connect(self.dovecot.host, self.dovecot.port, &self.user)
    }

    /// The directory of a mailbox with an ordinary name.
    pub(crate) fn dir(&self, mailbox: &str) -> PathBuf {
        let root = &self.world.maildir;
        match self.world.layout() {
            Layout::Nested => root.join(mailbox),
            Layout::PlusPlus if mailbox == "INBOX" => root.clone(),
            Layout::PlusPlus => root.join(format!(".{}", encode_name(&mailbox.replace('/', ".")))),
        }
    }

    /// The message files of a mailbox.
    pub(crate) fn files(&self, mailbox: &str) -> Vec<PathBuf> {
        local::messages(&self.dir(mailbox))
    }

    /// Delivers a small message of that subject on disk.
    pub(crate) fn deliver(&self, mailbox: &str, subject: &str) -> PathBuf {
        local::deliver(&self.dir(mailbox), &text(subject), 1_700_000_000, Some("S"))
    }

    /// Syncs with these arguments; both sides must be equal afterwards.
    #[track_caller]
    pub(crate) fn sync_to_equal(&mut self, arguments: &[&str], when: &str) -> (Run, Account) {
        let run = self.world.sync(arguments);
        assert_eq!(run.exit, 0, "{when}: {run:#?}\n{}", self.dovecot.log());
        let account = self.world.assert_same(&mut self.server, when);
        (run, account)
    }

    /// Makes every directory look as if something had happened in it: the next run lists them all, and finds whatever the
    /// books and the disk differ in.
    pub(crate) fn disturb_all(&self) {
        local::touch_directories(&self.world.maildir);
    }

    /// Syncs once more: nothing may be changed on either side, nor anything written on disk.
    #[track_caller]
    pub(crate) fn nothing_left(&mut self, when: &str) -> (Run, Traffic) {
        let before = local::listing(&self.world.maildir);
        let earlier = self.proxy.take();
        let run = self.world.sync(&[]);
        let traffic = self.proxy.take();
        let is_quiet = (run.exit, run.changes()) == (0, 0) && traffic.changing().is_empty();
        assert!(is_quiet, "{when}: {run:#?}\n{}", self.story([&earlier, &traffic]));
        let after = local::listing(&self.world.maildir);
        let written: Vec<_> = after.symmetric_difference(&before).collect();
        assert!(written.is_empty(), "{when}: written on disk: {written:#?}");
        (run, traffic)
    }

    /// What the last runs did to which message, and what they sent.
    fn story(&self, said: [&Traffic; 2]) -> String {
        let log = self.world.run(&["log", "--last", "3", "--verbose", "personal"]);
        let said = said
            .map(|traffic| traffic.commands.join("\n"))
            .join("\n-- the run after it:\n");
        format!("{said}\n-- log: {:#}", log.report)
    }
}

/// A small message of that subject, LF line ends.
pub(crate) fn text(subject: &str) -> Vec<u8> {
    format!(
        "From: Ada <ada@example.org>\nTo: you@example.org\nSubject: {subject}\nMessage-ID: <{:x}@example.org>\n\
         Date: Tue, 3 Mar 2020 10:11:12 +0100\n\nThis is {subject}.\n",
        blake3_of(subject)
    )
    .into_bytes()
}

fn blake3_of(text: &str) -> u64 {
    let hash = blake3::hash(text.as_bytes());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight bytes"))
}
