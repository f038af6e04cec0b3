//! Others at work in the same Maildir, and disks that refuse.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::maildir::testing::Fixture;
use crate::model::{Flags, IdSet, MailboxPath};
use crate::store::{Done, Ticket, WriteJob};

const MESSAGES: u64 = 400;

/// Renames files of a mailbox as mail programs do, until told to stop: new to cur, and flags on and off. Counts them.
fn reader(path: &Path, stop: &AtomicBool, renames: &AtomicU64) {
    for round in 0_u64.. {
        for n in 0..MESSAGES {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let name = |letters: &str| path.join(format!("cur/{n}.x.h:2,{letters}"));
            let (from, to) = match round {
                0 => (path.join(format!("new/{n}.x.h")), name("")),
                r if r % 2 == 1 => (name(""), name("S")),
                _ => (name("S"), name("")),
            };
            renames.fetch_add(u64::from(fs::rename(from, to).is_ok()), Ordering::Relaxed);
        }
    }
}

#[test]
fn under_a_busy_reader_nothing_is_gone_and_nothing_twice() {
    let it = Fixture::new();
    for n in 0..MESSAGES {
        it.file("INBOX", &format!("new/{n}.x.h"), "x");
    }
    let path = it.mailbox("INBOX").path;
    let (stop, renames) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| reader(&path, &stop, &renames));
        let mut known = IdSet::new();
        let mut scans = 0;
        // On a busy machine the reader gets to little at first.
        while scans < 12 || renames.load(Ordering::Relaxed) < 1000 {
            let told = it.scan("INBOX", None, &known.to_string());
            assert!(told.removed.is_empty(), "told as gone: {}", told.removed);
            assert!(told.flags.windows(2).all(|pair| pair[0].0 < pair[1].0), "told twice");
            known = known.union(&told.added);
            assert!(known.len() <= MESSAGES, "more ids than messages: {}", known.len());
            scans += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
    let told = it.scan("INBOX", None, "");
    assert!(told.complete);
    assert_eq!(told.added.len(), MESSAGES);
    assert!(it.attic().is_empty(), "no double was ever seen");
    assert_eq!(it.files("INBOX").len() as u64, MESSAGES);
}

#[test]
fn files_are_read_and_changed_under_a_busy_reader() {
    let it = Fixture::new();
    for n in 0..MESSAGES {
        it.file("INBOX", &format!("new/{n}.x.h"), &format!("message {n}"));
    }
    let ids = it.scan("INBOX", None, "").added;
    let known = it.known("INBOX", &ids.to_string());
    let path = it.mailbox("INBOX").path;
    let (stop, renames) = (AtomicBool::new(false), AtomicU64::new(0));
    let (changed, removed) = thread::scope(|scope| {
        scope.spawn(|| reader(&path, &stop, &renames));
        let mailbox = it.named("INBOX");
        let add = Flags::from_names(["\\Flagged"]);
        let ids = "1:100".parse().unwrap();
        let changed = it.write(WriteJob::Flags {
            ticket: Ticket(1),
            mailbox: mailbox.clone(),
            ids,
            add,
            remove: Flags::none(),
        });
        let messages = known[300..].to_vec();
        let removed = it.write(WriteJob::Remove {
            ticket: Ticket(2),
            mailbox,
            path: MailboxPath::inbox(),
            messages,
        });
        stop.store(true, Ordering::Relaxed);
        (changed, removed)
    });
    // A file that would not keep still may be left for the next run, but is never taken for gone.
    let (mut done, mut failed) = (0, 0);
    for answer in &changed {
        match answer {
            Done::Flags(flags) => done += flags.len() as u64,
            Done::Failed(ids, _) => failed += ids.len(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(done + failed, 100);
    let in_attic = it.attic().len() as u64;
    for answer in &removed {
        match answer {
            Done::Removed(ids) => assert_eq!(ids.len(), in_attic, "what is told as removed is in the attic"),
            Done::Failed(..) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(it.files("INBOX").len() as u64 + in_attic, MESSAGES);
}

#[test]
fn odd_things_in_a_mailbox_are_passed_by() {
    let it = Fixture::new();
    let place = it.mailbox("INBOX");
    let cur = place.path.join("cur");
    fs::create_dir(cur.join("directory:2,S")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(cur.join("pipe:2,S"))
            .status()
            .unwrap()
            .success()
    );
    std::os::unix::fs::symlink("nowhere", cur.join("broken:2,S")).unwrap();
    std::os::unix::fs::symlink(".", cur.join("loop:2,S")).unwrap();
    for name in [
        "cur/line\nbreak:2,S",
        "cur/:2,S",
        "cur/\u{202e}txt:2,",
        "cur/-rf",
        "cur/%2F",
        "cur/a b",
    ] {
        it.file("INBOX", name, "x");
    }
    let ids = it.scan("INBOX", None, "").added;
    assert_eq!(ids.len(), 8, "six files, and two links that may come alive again");
    assert_eq!(it.envelopes("INBOX", &ids.to_string()).len(), 6);
    let mailbox = it.named("INBOX");
    let add = Flags::from_names(["\\Flagged"]);
    it.write(WriteJob::Flags {
        ticket: Ticket(1),
        mailbox,
        ids: ids.clone(),
        add,
        remove: Flags::none(),
    });
    let told = it.scan("INBOX", None, &ids.to_string());
    assert!(told.removed.is_empty() && told.added.is_empty());
    assert!(
        told.flags.iter().all(|(_, flags)| flags.contains("\\Flagged")),
        "{:?}",
        told.flags
    );
}

/// Remounts the file system of `dir`, a tmpfs of ours, read-only or back.
fn mount(dir: &Path, options: &str) -> bool {
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "homing-test"])
        .arg(dir)
        .output();
    mount.is_ok_and(|output| output.status.success())
}

#[test]
fn a_read_only_maildir_is_read_and_each_change_refused() {
    let disk = tempfile::tempdir().unwrap();
    if !mount(disk.path(), "size=1m") {
        eprintln!("skipped: no right to mount a tmpfs");
        return;
    }
    let it = Fixture::with(|options| options.root = disk.path().join("mail"));
    it.file("INBOX", "cur/a:2,", "a");
    it.file("INBOX", "new/b", "b");
    assert!(mount(disk.path(), "remount,ro"));
    let told = it.scan("INBOX", None, "");
    assert!(told.read_only && told.complete);
    assert_eq!(told.added.to_string(), "1:2");
    let messages = it.known("INBOX", "1:2");
    let mailbox = it.named("INBOX");
    let add = Flags::from_names(["\\Seen", "todo"]);
    let jobs = [
        WriteJob::Flags {
            ticket: Ticket(1),
            mailbox: mailbox.clone(),
            ids: "1:2".parse().unwrap(),
            add,
            remove: Flags::none(),
        },
        WriteJob::Remove {
            ticket: Ticket(1),
            mailbox: mailbox.clone(),
            path: MailboxPath::inbox(),
            messages,
        },
        WriteJob::Create {
            ticket: Ticket(1),
            path: MailboxPath::parse("New").unwrap(),
            role: None,
        },
        WriteJob::Rename {
            ticket: Ticket(1),
            mailbox: mailbox.clone(),
            to: MailboxPath::parse("New").unwrap(),
        },
    ];
    for job in jobs {
        let what = format!("{job:?}");
        let done = it.write(job);
        let hints = done.iter().filter_map(|done| match done {
            Done::Failed(_, failure) => failure.hint.as_deref(),
            _ => None,
        });
        assert!(
            hints.clone().count() > 0 && hints.clone().all(|hint| hint.contains("read-only")),
            "{what}: {done:?}"
        );
    }
    let failure = it.deliver("INBOX", 1, b"x\r\n", "", None).unwrap_err();
    assert!(failure.hint.is_some_and(|hint| hint.contains("read-only")));
    assert_eq!(it.files("INBOX"), ["cur/a:2,", "new/b"]);
    drop(it);
    assert!(Command::new("umount").arg(disk.path()).status().unwrap().success());
}
