//! What is on disk, through the `maildir` crate.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use maildir::{MailEntry, Maildir};

use super::names::decode;
use super::{Account, Message, Name, digest, label};

/// How mailboxes lie below the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `Work/2026/`.
    Nested,
    /// `.Work.2026/`, in modified UTF-7 as on the wire, the root being the INBOX.
    PlusPlus,
}

/// Everything below `root`.
pub(crate) fn look_at_disk(root: &Path, layout: Layout) -> Account {
    let mut account = Account::default();
    match layout {
        Layout::Nested => walk(root, &mut Vec::new(), &mut account),
        Layout::PlusPlus => {
            read_mailbox(root, &vec!["INBOX".into()], &mut account);
            for dir in directories(root) {
                if let Some(levels) = dir.strip_prefix('.') {
                    let name = levels.split('.').map(|level| decode(&unescape(level))).collect();
                    read_mailbox(&root.join(&dir), &name, &mut account);
                }
            }
        }
    }
    account
}

/// `disk_names` holds the names of directories as they are.
fn walk(dir: &Path, disk_names: &mut Vec<String>, account: &mut Account) {
    if !disk_names.is_empty() && dir.join("cur").is_dir() {
        read_mailbox(dir, &levels(disk_names), account);
    }
    for name in directories(dir) {
        if ["cur", "new", "tmp"].contains(&name.as_str()) || name.starts_with('.') {
            continue;
        }
        let below = dir.join(&name);
        disk_names.push(name);
        walk(&below, disk_names, account);
        disk_names.pop();
    }
}

fn directories(dir: &Path) -> Vec<String> {
    let mut found: Vec<String> = fs::read_dir(dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.file_type().expect("a type").is_dir())
        .map(|entry| entry.file_name().into_string().expect("UTF-8"))
        .collect();
    found.sort();
    found
}

/// Decoded levels: `%` and two hex digits stand for a byte; an over-long level is cut into `…%+` and `%+…`.
fn levels(disk_names: &[String]) -> Name {
    let mut joined: Vec<String> = Vec::new();
    for name in disk_names {
        match (joined.last_mut(), name.strip_prefix("%+")) {
            (Some(before), Some(rest)) if before.ends_with("%+") => {
                before.truncate(before.len() - 2);
                before.push_str(rest);
            }
            _ => joined.push(name.clone()),
        }
    }
    joined.iter().map(|name| unescape(name)).collect()
}

fn unescape(name: &str) -> String {
    let (mut out, bytes, mut at) = (Vec::new(), name.as_bytes(), 0);
    while at < bytes.len() {
        let hex = name
            .get(at + 1..at + 3)
            .filter(|h| bytes[at] == b'%' && h.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b)));
        if let Some(hex) = hex {
            out.push(u8::from_str_radix(hex, 16).expect("two hex digits"));
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).expect("UTF-8")
}

fn read_mailbox(dir: &Path, name: &Name, account: &mut Account) {
    account.mailboxes.entry(name.clone()).or_default();
    let keywords = fs::read_to_string(dir.join("dovecot-keywords")).unwrap_or_default();
    let mailbox = Maildir::from(dir.to_owned());
    for entry in mailbox.list_new().chain(mailbox.list_cur()) {
        let entry = entry.unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        let bytes = fs::read(entry.path()).expect("a readable message");
        let date = fs::metadata(entry.path()).expect("metadata").mtime();
        let message = Message {
            content: digest(&bytes),
            flags: flags(&entry, &keywords),
            date,
        };
        account.note(name, message, || label(&bytes));
    }
}

fn flags(entry: &MailEntry, keywords: &str) -> BTreeSet<String> {
    let system = [
        (entry.is_draft(), "\\draft"),
        (entry.is_flagged(), "\\flagged"),
        (entry.is_passed(), "$forwarded"),
        (entry.is_replied(), "\\answered"),
        (entry.is_seen(), "\\seen"),
        (entry.is_trashed(), "\\deleted"),
    ];
    let system = system
        .into_iter()
        .filter(|(on, _)| *on)
        .map(|(_, name)| name.to_owned());
    let letters = entry.flags().bytes().filter(u8::is_ascii_lowercase).map(|letter| {
        let number = format!("{} ", letter - b'a');
        let line = keywords.lines().find_map(|line| line.strip_prefix(&number));
        line.map_or_else(|| format!("(letter {})", letter as char), str::to_lowercase)
    });
    system.chain(letters).collect()
}
