//! Independent witnesses: what is on the server, seen through the `imap` crate, and what is on disk, seen through the
//! `maildir` crate. Nothing of homing's own reading is used, so homing cannot vouch for its own writing.
//!
//! Both give an [`Account`]: by mailbox, how often which message is there.

mod disk;
mod names;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

pub(crate) use disk::{Layout, look_at_disk};
pub(crate) use names::{decode as decode_name, encode as encode_name};
pub(crate) use server::Server;

/// A mailbox's name by its levels, decoded.
pub(crate) type Name = Vec<String>;

/// What must be equal on both sides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Message {
    /// BLAKE3 over the message with CRLF line ends.
    pub(crate) content: [u8; 32],
    /// System flags (`\Seen`) and keywords, all in lower case, since keywords compare so.
    pub(crate) flags: BTreeSet<String>,
    /// Seconds since 1970: INTERNALDATE there, mtime here.
    pub(crate) date: i64,
}

/// From a name with `/` between its levels.
fn levels(mailbox: &str) -> Name {
    mailbox.split('/').map(str::to_owned).collect()
}

/// How often each message is in a mailbox.
pub(crate) type Mailbox = BTreeMap<Message, usize>;

/// What one side holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) mailboxes: BTreeMap<Name, Mailbox>,
    /// Something readable for each content.
    labels: BTreeMap<[u8; 32], String>,
}

impl Account {
    /// How many messages are in all mailboxes.
    pub(crate) fn len(&self) -> usize {
        self.mailboxes.values().flat_map(Mailbox::values).sum()
    }

    /// The messages of a mailbox, which must be there.
    pub(crate) fn mailbox(&self, name: &str) -> &Mailbox {
        let levels: Name = name.split('/').map(str::to_owned).collect();
        self.mailboxes
            .get(&levels)
            .unwrap_or_else(|| panic!("no mailbox {name} among {:?}", self.mailboxes.keys()))
    }

    /// How many messages are in a mailbox, which must be there.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.mailbox(name).values().sum()
    }

    /// The names of the mailboxes, levels joined by `/`.
    pub(crate) fn names(&self) -> Vec<String> {
        self.mailboxes.keys().map(|name| name.join("/")).collect()
    }

    /// All contents, each as often as it is there.
    pub(crate) fn contents(&self) -> BTreeMap<[u8; 32], usize> {
        let mut all = BTreeMap::new();
        for (message, count) in self.mailboxes.values().flatten() {
            *all.entry(message.content).or_default() += count;
        }
        all
    }

    /// Expects a message in a mailbox.
    pub(crate) fn add(&mut self, mailbox: &str, bytes: &[u8], flags: &[String], date: i64) {
        let message = Message {
            content: digest(bytes),
            flags: flags.iter().map(|flag| flag.to_lowercase()).collect(),
            date,
        };
        self.note(&levels(mailbox), message, || label(bytes));
    }

    /// Expects a mailbox, which may be empty.
    pub(crate) fn add_empty(&mut self, mailbox: &str) {
        self.mailboxes.entry(levels(mailbox)).or_default();
    }

    fn note(&mut self, mailbox: &Name, message: Message, label: impl FnOnce() -> String) {
        self.labels.entry(message.content).or_insert_with(label);
        let messages = self.mailboxes.entry(mailbox.clone()).or_default();
        *messages.entry(message).or_default() += 1;
    }

    /// What is on one side only, a line each, at most 40 of them; empty when both are equal.
    pub(crate) fn difference(&self, here: &str, other: &Self, there: &str) -> String {
        let mut lines = Vec::new();
        for (one, name_one, two, name_two) in [(self, here, other, there), (other, there, self, here)] {
            for (name, messages) in &one.mailboxes {
                let title = name.join("/");
                let Some(counterpart) = two.mailboxes.get(name) else {
                    let count: usize = messages.values().sum();
                    lines.push(format!(
                        "{title}: {name_one} has it ({count} messages), {name_two} has not"
                    ));
                    continue;
                };
                for (message, count) in messages {
                    let twin = counterpart.get(message).copied().unwrap_or(0);
                    if twin < *count {
                        let what = one.describe(message);
                        lines.push(format!("{title}: {name_one} {count}x, {name_two} {twin}x: {what}"));
                    }
                }
            }
        }
        let more = lines.len().saturating_sub(40);
        lines.truncate(40);
        if more > 0 {
            lines.push(format!("… and {more} more"));
        }
        lines.join("\n")
    }

    fn describe(&self, message: &Message) -> String {
        let mut out = self.labels[&message.content].clone();
        let flags: Vec<&str> = message.flags.iter().map(String::as_str).collect();
        let _ = write!(out, " [{}] at {}", flags.join(" "), message.date);
        out
    }
}

/// Fails, naming what differs, unless both sides hold the same.
#[track_caller]
pub(crate) fn assert_same(disk: &Account, server: &Account, when: &str) {
    let difference = disk.difference("disk", server, "server");
    assert!(difference.is_empty(), "{when}: both sides differ:\n{difference}");
}

/// The message with CRLF line ends: each LF that no CR precedes gets one.
pub(crate) fn canonical(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 32);
    let mut before = 0;
    for &b in message {
        if b == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(b);
        before = b;
    }
    out
}

/// BLAKE3 over the message with CRLF line ends.
pub(crate) fn digest(message: &[u8]) -> [u8; 32] {
    *blake3::hash(&canonical(message)).as_bytes()
}

/// Subject, size and the beginning of the digest.
fn label(message: &[u8]) -> String {
    let head = String::from_utf8_lossy(&message[..message.len().min(4000)]).into_owned();
    let subject = head
        .lines()
        .find_map(|line| line.strip_prefix("Subject: "))
        .unwrap_or("(no subject)");
    let short: String = subject.chars().take(50).collect();
    let hash = blake3::Hash::from(digest(message)).to_hex();
    format!("\"{}\" {} bytes {}", short.escape_debug(), message.len(), &hash[..8])
}
