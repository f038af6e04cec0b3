//! Accounts on the server: filled once, then copied for each program.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

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

/// A copy of an account under another name. Messages are hard links: a Maildir's files never change.
pub(crate) fn copy(dovecot: &Dovecot, from: &str, to: &str) {
    let (from, to) = (dovecot.mail_home(from), dovecot.mail_home(to));
    remove(&to);
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

/// Removes a folder, if it is there.
pub(crate) fn remove(dir: &Path) {
    if dir.exists() {
        fs::remove_dir_all(dir).expect("a folder of ours");
    }
}

/// Everything written until now is on the disk, so that nobody pays for another's writing.
pub(crate) fn settle() {
    let _ = std::process::Command::new("sync").status();
}
