//! What no program can go below: the wire alone, and the disk alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use crate::account;
use crate::support::dovecot::Dovecot;

/// Files between two calls of `syncfs`.
const BATCH: usize = 500;

/// Seconds for the messages of an account, by what is done with them.
pub(crate) fn measure(dovecot: &Dovecot, user: &str, dir: &Path, runs: usize) -> BTreeMap<String, f64> {
    let mailboxes = mailboxes(dovecot, user);
    // Once without the clock, so that the server has read what it will send.
    fetch(dovecot, user, &mailboxes);
    let mut fetched: Vec<f64> = (0..runs).map(|_| fetch(dovecot, user, &mailboxes)).collect();
    let messages = read_all(dovecot, user);
    let mut written: Vec<f64> = (0..runs).map(|_| write(&messages, dir, true)).collect();
    let mut unsynced: Vec<f64> = (0..runs).map(|_| write(&messages, dir, false)).collect();
    BTreeMap::from([
        ("one raw FETCH of all, to nowhere".to_owned(), middle(&mut fetched)),
        (format!("files written, one syncfs per {BATCH}"), middle(&mut written)),
        ("files written, none".to_owned(), middle(&mut unsynced)),
    ])
}

fn middle(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn mailboxes(dovecot: &Dovecot, user: &str) -> Vec<String> {
    let root = dovecot.mail_home(user).join("Maildir");
    let names = fs::read_dir(root).expect("a folder").flatten();
    let mut found: Vec<String> = names
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix('.')?.to_owned()))
        .filter(|name| !name.is_empty())
        .collect();
    found.push("INBOX".into());
    found
}

fn fetch(dovecot: &Dovecot, user: &str, mailboxes: &[String]) -> f64 {
    let begun = Instant::now();
    let mut stream = TcpStream::connect((dovecot.host, dovecot.port)).expect("the server listens");
    let mut text = format!("a LOGIN {user} pass\r\n");
    for mailbox in mailboxes {
        let _ = write!(text, "b EXAMINE {mailbox}\r\nc UID FETCH 1:* BODY.PEEK[]\r\n");
    }
    stream
        .write_all(format!("{text}z LOGOUT\r\n").as_bytes())
        .expect("a connection");
    let mut buffer = vec![0; 256 * 1024];
    while let Ok(1..) = stream.read(&mut buffer) {}
    begun.elapsed().as_secs_f64()
}

/// The messages as they lie on the server's disk.
fn read_all(dovecot: &Dovecot, user: &str) -> Vec<Vec<u8>> {
    let (mut found, mut open) = (Vec::new(), vec![dovecot.mail_home(user)]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if dir.ends_with("cur") || dir.ends_with("new") {
                found.push(fs::read(path).expect("a message"));
            }
        }
    }
    found
}

fn write(messages: &[Vec<u8>], dir: &Path, durable: bool) -> f64 {
    let root = tempfile::Builder::new().prefix("floor-").tempdir_in(dir);
    let root = root.expect("a folder").keep(); // its files go with all others, at the end
    for part in ["tmp", "cur"] {
        fs::create_dir_all(root.join(part)).expect("a folder");
    }
    account::settle();
    let folder = File::open(&root).expect("a folder");
    let begun = Instant::now();
    for (nth, batch) in messages.chunks(BATCH).enumerate() {
        let name = |at: usize| format!("{nth}.{at}");
        for (at, bytes) in batch.iter().enumerate() {
            let mut file = File::create(root.join("tmp").join(name(at))).expect("a file");
            file.write_all(bytes).expect("room on the disk");
        }
        if durable {
            rustix::fs::syncfs(&folder).expect("a disk");
        }
        for at in 0..batch.len() {
            fs::rename(root.join("tmp").join(name(at)), root.join("cur").join(name(at))).expect("a rename");
        }
    }
    if durable {
        rustix::fs::syncfs(&folder).expect("a disk");
    }
    begun.elapsed().as_secs_f64()
}
