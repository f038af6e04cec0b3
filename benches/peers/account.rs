//! Accounts on the server: filled once, then copied for each program.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use rayon::prelude::*;

use crate::support::dovecot::Dovecot;
use crate::support::mail::{Mail, realistic};
use crate::support::raw::{self, Raw};

/// Which mail an account holds; it is the same every time.
pub(crate) const SEED: u64 = 5;

/// Fills a mailbox with realistic mail of these numbers.
pub(crate) fn fill(dovecot: &Dovecot, user: &str, mailbox: &str, numbers: std::ops::Range<u64>) {
    append(dovecot, user, mailbox, numbers, |number| realistic(SEED, number));
}

/// Fills a mailbox with what `make` gives.
pub(crate) fn append(
    dovecot: &Dovecot,
    user: &str,
    mailbox: &str,
    numbers: std::ops::Range<u64>,
    make: impl Fn(u64) -> Mail,
) {
    let mut raw = Raw::connect(dovecot.host, dovecot.port, user);
    let _ = raw.create(mailbox);
    let numbers: Vec<u64> = numbers.collect();
    for some in numbers.chunks(200) {
        let mails: Vec<raw::Mail> = some.iter().map(|&number| wire(make(number))).collect();
        raw.append_all(mailbox, &mails);
    }
}

fn wire(mail: Mail) -> raw::Mail {
    raw::Mail {
        bytes: mail.bytes,
        flags: mail.flags.join(" "),
        date: mail.date.seconds,
    }
}

/// The UIDVALIDITY of what [`write()`] makes, and the date of its messages.
pub(crate) const VALIDITY: u32 = 1_772_323_200;
pub(crate) const DATE: i64 = 1_772_323_200;

/// Fills the INBOX of a new account with so many small messages, which are seen, in the server's own files: sending a
/// hundred thousand takes minutes. Then has the server look at them once.
pub(crate) fn write(dovecot: &Dovecot, user: &str, count: usize) {
    drop(Raw::connect(dovecot.host, dovecot.port, user));
    let home = dovecot.mail_home(user);
    let root = home.join("Maildir");
    for part in ["", "cur", "new", "tmp"] {
        fs::create_dir_all(root.join(part)).expect("a folder");
        own_as(home.parent().unwrap_or(&home), &root.join(part));
    }
    own_as(home.parent().unwrap_or(&home), &home);
    let mut list = format!("3 V{VALIDITY} N{} G{:032x}\n", count + 1, VALIDITY);
    for number in 0..count {
        let file = root.join("cur").join(name(number));
        fs::write(&file, small(number).bytes).expect("room on the disk");
        own_as(&home, &file);
        let _ = writeln!(list, "{} :{}", number + 1, name(number));
    }
    let file = root.join("dovecot-uidlist");
    fs::write(&file, list).expect("room on the disk");
    own_as(&home, &file);
    let mut raw = Raw::connect(dovecot.host, dovecot.port, user);
    let seen = raw.ok("SELECT INBOX");
    assert!(seen.contains(&format!("* {count} EXISTS")), "{seen:#?}");
    raw.ok("UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)");
}

/// One of the small messages.
pub(crate) fn small(number: usize) -> Mail {
    Mail::simple(&format!("number {number}"))
}

/// Its file in `cur/`.
pub(crate) fn name(number: usize) -> String {
    let size = small(number).bytes.len();
    format!("{DATE}.M{number}P1.bench,S={size},W={size}:2,S")
}

/// A copy of an account under another name, which nobody has yet. Messages are hard links: a Maildir's files never change.
pub(crate) fn copy(dovecot: &Dovecot, from: &str, to: &str) {
    let (from, to) = (dovecot.mail_home(from), dovecot.mail_home(to));
    copy_tree(&from, &to);
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a folder");
    own_as(from, to);
    let messages = from.ends_with("cur") || from.ends_with("new");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_tree(&path, &target);
        } else if messages {
            fs::hard_link(&path, &target).expect("a link");
        } else {
            fs::copy(&path, &target).expect("room on the disk");
            own_as(&path, &target);
        }
    }
    let times = fs::metadata(from).and_then(|meta| meta.modified()).expect("a time");
    let folder = fs::File::open(to).expect("a folder");
    folder.set_modified(times).expect("a time"); // or the server would look at all files again
}

/// Gives a file the owner of another.
pub(crate) fn own_as(model: &Path, path: &Path) {
    let owner = fs::metadata(model).expect("metadata");
    let _ = chown(path, Some(owner.uid()), Some(owner.gid()));
}

/// Everything written until now is on the disk, so that nobody pays for another's writing.
pub(crate) fn settle() {
    let _ = std::process::Command::new("sync").status();
}

/// Removes all files below a folder, many at a time: where freed blocks are discarded at once (`mount -o discard`), each
/// file takes milliseconds of waiting.
pub(crate) fn clear(dir: &Path) {
    let (mut files, mut open) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(32).build();
    pool.expect("threads").install(|| {
        files.par_iter().for_each(|file| {
            let _ = fs::remove_file(file);
        });
    });
}
