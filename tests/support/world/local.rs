//! Changes on disk, made as mail programs make them: with plain file operations.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use super::Chance;
use super::mails::{self, KEYWORDS};

/// Delivers a message into a mailbox's directory: written in `tmp/`, renamed to `new/`, or with flag letters to `cur/`.
pub(crate) fn deliver(mailbox: &Path, bytes: &[u8], date: i64, letters: Option<&str>) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let unique = format!(
        "{date}.M1P{}Q{}.elsewhere",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let temporary = mailbox.join("tmp").join(&unique);
    let mut file = File::create(&temporary).unwrap_or_else(|e| panic!("{}: {e}", temporary.display()));
    file.write_all(bytes).expect("room on the disk");
    file.set_modified(UNIX_EPOCH + Duration::from_secs(date as u64))
        .expect("a time");
    let target = match letters {
        None => mailbox.join("new").join(unique),
        Some(letters) => mailbox.join("cur").join(format!("{unique}:2,{letters}")),
    };
    fs::rename(&temporary, &target).expect("a rename");
    target
}

/// Makes a mailbox's directories.
pub(crate) fn create(mailbox: &Path) {
    for dir in ["cur", "new", "tmp"] {
        fs::create_dir_all(mailbox.join(dir)).expect("a directory");
    }
}

/// Removes a mailbox and what is below it.
pub(crate) fn delete(mailbox: &Path) {
    fs::remove_dir_all(mailbox).unwrap_or_else(|e| panic!("{}: {e}", mailbox.display()));
}

/// The message files of a mailbox, sorted.
pub(crate) fn messages(mailbox: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["cur", "new"]
        .iter()
        .flat_map(|dir| fs::read_dir(mailbox.join(dir)).into_iter().flatten())
        .map(|entry| entry.expect("an entry").path())
        .collect();
    found.sort();
    found
}

/// Gives a message these flag letters, as a mail program does: by rename into `cur/`.
pub(crate) fn set_letters(message: &Path, letters: &BTreeSet<char>) -> PathBuf {
    let name = message.file_name().expect("a name").to_string_lossy();
    let unique = name.split(":2,").next().expect("a first part");
    let letters: String = letters.iter().collect();
    let mailbox = message.parent().and_then(Path::parent).expect("MAILBOX/cur/FILE");
    let target = mailbox.join("cur").join(format!("{unique}:2,{letters}"));
    fs::rename(message, &target).expect("a rename");
    target
}

/// The flag letters of a message.
pub(crate) fn letters(message: &Path) -> BTreeSet<char> {
    let name = message.file_name().expect("a name").to_string_lossy();
    name.split_once(":2,")
        .map(|(_, letters)| letters.chars().collect())
        .unwrap_or_default()
}

/// The letter of a keyword in this mailbox, appended to `dovecot-keywords` where it is new; `None` when all 26 are taken.
pub(crate) fn letter_of(mailbox: &Path, keyword: &str) -> Option<char> {
    let file = mailbox.join("dovecot-keywords");
    let text = fs::read_to_string(&file).unwrap_or_default();
    let line = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(_, name)| name.eq_ignore_ascii_case(keyword));
    let number = if let Some((number, _)) = line {
        number.parse().expect("a number")
    } else {
        let number = text.lines().count() as u8;
        fs::write(&file, format!("{text}{number} {keyword}\n")).expect("a file");
        number
    };
    (number < 26).then(|| (b'a' + number) as char)
}

/// Changes a message's flags at random: one or two of the letters, a keyword now and then.
pub(crate) fn change_flags(mailbox: &Path, message: &Path, chance: &mut Chance) {
    let mut letters = letters(message);
    let keyword: &str = chance.pick::<&str>(&KEYWORDS[1..]);
    let keyword = if chance.happens(40) {
        letter_of(mailbox, keyword)
    } else {
        None
    };
    let letter = keyword.unwrap_or_else(|| *chance.pick(&['S', 'R', 'F', 'P', 'D', 'S', 'F']));
    if !letters.remove(&letter) {
        letters.insert(letter);
    }
    set_letters(message, &letters);
}

/// Delivers a message as it may come from anywhere: line ends as on disk, in `new/` or with flags in `cur/`.
pub(crate) fn deliver_any(mailbox: &Path, number: usize, chance: &mut Chance) {
    let bytes = mails::message(number, chance);
    let text = if chance.happens(90) { without_cr(&bytes) } else { bytes };
    let letters = *chance.pick(&[None, Some(""), Some("S"), Some("RS"), Some("F"), Some("DS"), Some("PS")]);
    deliver(mailbox, &text, mails::date(chance), letters);
}

/// Moves or copies a message into another mailbox, under a name of its own there; its keywords stay behind.
pub(crate) fn carry(message: &Path, mailbox: &Path, number: usize, moves: bool) {
    let letters: String = letters(message).iter().filter(|letter| letter.is_uppercase()).collect();
    let target = mailbox
        .join("cur")
        .join(format!("1700000000.carried{number}.elsewhere:2,{letters}"));
    let date = fs::metadata(message).and_then(|meta| meta.modified()).expect("a time");
    if moves {
        fs::rename(message, &target).expect("a rename");
    } else {
        fs::copy(message, &target).expect("a copy");
        File::open(&target)
            .and_then(|file| file.set_modified(date))
            .expect("a time");
    }
}

/// The message as most programs write it to disk.
pub(crate) fn without_cr(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|&b| b != b'\r').collect()
}

/// Every path below `root` with its inode, size and times of change: equal lists mean that nothing was written.
pub(crate) fn listing(root: &Path) -> BTreeSet<String> {
    use std::os::unix::fs::MetadataExt;
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            let meta = fs::symlink_metadata(&path).expect("metadata");
            let (inode, size, mtime, nanos) = (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
            let ctime = (meta.ctime(), meta.ctime_nsec());
            found.insert(format!("{} {inode} {size} {mtime}.{nanos} {ctime:?}", path.display()));
            if meta.is_dir() {
                open.push(path);
            }
        }
    }
    found
}

/// Gives every directory below `root` a new time of change.
pub(crate) fn touch_directories(root: &Path) {
    for entry in fs::read_dir(root).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            let now = std::time::SystemTime::now();
            fs::File::open(&path)
                .and_then(|directory| directory.set_modified(now))
                .expect("a time");
            touch_directories(&path);
        }
    }
}
