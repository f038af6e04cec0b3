//! What happens to the account with many mailboxes, in this order. Both sides never touch the same message.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::many::mailbox;
use crate::account::{self, SEED};
use crate::support::dovecot::Dovecot;
use crate::support::mail::realistic;
use crate::support::raw::Raw;
use crate::support::world::local;
use crate::tools::Place;

/// Something to carry over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Idle,
    Changes,
    Push,
    FlagsUp,
    FlagsDown,
    MovesUp,
    MovesDown,
}

impl Step {
    pub(super) const ALL: [Self; 7] = [
        Self::Idle,
        Self::Changes,
        Self::Push,
        Self::FlagsUp,
        Self::FlagsDown,
        Self::MovesUp,
        Self::MovesDown,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Changes => "changes",
            Self::Push => "push",
            Self::FlagsUp => "flags-up",
            Self::FlagsDown => "flags-down",
            Self::MovesUp => "moves-up",
            Self::MovesDown => "moves-down",
        }
    }

    /// Makes the change.
    pub(super) fn prepare(self, place: &Place, dovecot: &Dovecot, user: &str) {
        let mut raw = Raw::connect(dovecot.host, dovecot.port, user);
        match self {
            Self::Idle => {}
            Self::Changes => (0..20).for_each(|nth| {
                change_here(place, nth);
                change_there(&mut raw, nth);
            }),
            Self::Push => (0..1000).for_each(|nth| deliver(place, 10, 2_000_000 + nth)),
            Self::FlagsUp => (25..30).for_each(|nth| {
                for file in messages(place, nth).values() {
                    flag(file);
                }
            }),
            Self::FlagsDown => (30..35).for_each(|nth| {
                raw.ok(&format!("SELECT {}", mailbox(nth)));
                raw.ok("UID STORE 1:* +FLAGS.SILENT (\\Flagged)");
            }),
            Self::MovesUp => (30..40).for_each(|nth| {
                let to = place.near.mailbox(&mailbox(nth - 10)).join("cur");
                for file in messages(place, nth).values().take(100) {
                    fs::rename(file, to.join(without_uid(file))).expect("a rename");
                }
            }),
            Self::MovesDown => (40..50).for_each(|nth| {
                raw.ok(&format!("SELECT {}", mailbox(nth)));
                raw.ok(&format!("UID MOVE 1:100 {}", mailbox(nth - 30)));
            }),
        }
    }
}

/// Two flags, two new messages, one gone, on disk: odd numbers.
fn change_here(place: &Place, nth: usize) {
    let files: Vec<PathBuf> = messages(place, nth)
        .into_iter()
        .filter_map(|(number, file)| (number % 2 == 1).then_some(file))
        .collect();
    flag(&files[0]);
    flag(&files[20]);
    fs::remove_file(&files[40]).expect("a file");
    deliver(place, nth, 1_000_000 + 2 * nth as u64);
    deliver(place, nth, 1_000_001 + 2 * nth as u64);
}

/// The same on the server: even numbers, which are odd UIDs.
fn change_there(raw: &mut Raw, nth: usize) {
    raw.ok(&format!("SELECT {}", mailbox(nth)));
    raw.ok("UID STORE 21,121 +FLAGS.SILENT (\\Flagged)");
    raw.ok("UID STORE 61 +FLAGS.SILENT (\\Deleted)");
    raw.ok("UID EXPUNGE 61");
    let new = (0..2).map(|n| {
        let mail = realistic(SEED, 3_000_000 + 2 * nth as u64 + n);
        crate::support::raw::Mail {
            bytes: mail.bytes,
            flags: "\\Seen".into(),
            date: mail.date.seconds,
        }
    });
    raw.append_all(&mailbox(nth), &new.collect::<Vec<_>>());
}

/// The messages of a mailbox on disk by their numbers; a few have none.
fn messages(place: &Place, nth: usize) -> BTreeMap<u64, PathBuf> {
    let dir = place.near.mailbox(&mailbox(nth));
    let files = local::messages(&dir).into_iter();
    files.filter_map(|file| Some((number_of(&file)?, file))).collect()
}

fn number_of(file: &std::path::Path) -> Option<u64> {
    let text = String::from_utf8_lossy(&fs::read(file).ok()?).into_owned();
    let line = text.lines().find(|line| line.starts_with("Message-ID:"))?;
    line.split_once('.')?.1.split_once('@')?.0.parse().ok()
}

/// Adds the flag to the file's name.
fn flag(file: &std::path::Path) {
    let mut letters = local::letters(file);
    letters.insert('F');
    local::set_letters(file, &letters);
}

/// A new message on disk.
fn deliver(place: &Place, nth: usize, number: u64) {
    let dir = place.near.mailbox(&mailbox(nth));
    let mail = realistic(SEED, number);
    let file = local::deliver(&dir, &local::without_cr(&mail.bytes), mail.date.seconds, Some("S"));
    account::own_as(&dir, &file);
}

/// mbsync and OfflineIMAP put the UID of the old mailbox into the name, where mail programs take it out.
fn without_uid(file: &std::path::Path) -> String {
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    let Some((before, after)) = name.split_once(",U=") else {
        return name;
    };
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}{after}")
}
