//! A rename is a rename: one command on the server or one rename(2) on disk, and nothing is sent or fetched again.

use std::collections::BTreeMap;
use std::fs;

use crate::changes::Writer;
use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, Layout, Variant};
use crate::support::proxy::Traffic;
use crate::support::witness::Layout as OnDisk;
use crate::support::world::{Run, local};

/// No body went over the wire, either way.
#[track_caller]
fn assert_no_bodies(traffic: &Traffic, when: &str) {
    let is_body = |line: &&String| line.contains("BODY.PEEK[]") || line.starts_with("APPEND");
    let bodies: Vec<_> = traffic.commands.iter().filter(is_body).collect();
    assert!(bodies.is_empty(), "{when}: {bodies:#?}");
}

/// Syncs; both sides must be equal, so many mailboxes renamed on a side, and nothing else have changed.
#[track_caller]
fn renamed(scene: &mut Scene, side: &str, count: u64, when: &str) -> (Run, Traffic) {
    scene.proxy.take();
    let (run, _) = scene.sync_to_equal(&[], when);
    let traffic = scene.proxy.take();
    assert_no_bodies(&traffic, when);
    assert_eq!(run.count(side, "mailboxes_renamed"), count, "{when}: {run:#?}");
    assert_eq!(run.changes(), count, "{when}: nothing else: {run:#?}");
    scene.nothing_left(when);
    (run, traffic)
}

/// What a file manager does; in a Maildir++, where what lies below lies beside, what a mail program does.
fn move_directory(scene: &Scene, from: &str, to: &str) {
    // A percent sign is escaped on disk.
    let (from, to) = (scene.dir(from), scene.dir(&to.replace('%', "%25")));
    if scene.world.layout() == OnDisk::Nested {
        fs::create_dir_all(to.parent().expect("a parent")).expect("the level above");
        fs::rename(from, to).expect("a rename");
        return;
    }
    let (from, to) = (from.display().to_string(), to.display().to_string());
    for entry in fs::read_dir(&scene.world.maildir).expect("a directory") {
        let path = entry.expect("an entry").path().display().to_string();
        if let Some(rest) = path
            .strip_prefix(&from)
            .filter(|rest| rest.is_empty() || rest.starts_with('.'))
        {
            fs::rename(&path, format!("{to}{rest}")).expect("a rename");
        }
    }
}

/// The inode of each message file: the same file, or another one.
fn inodes(scene: &Scene, mailbox: &str) -> BTreeMap<u64, u64> {
    use std::os::unix::fs::MetadataExt;
    let look = |path: &std::path::PathBuf| {
        let meta = fs::metadata(path).expect("a file");
        (meta.ino(), meta.len())
    };
    scene.files(mailbox).iter().map(look).collect()
}

/// Renames to try: what they are, the renames in order, how many mailboxes have a new name then, how many RENAMEs that
/// takes on the server when they were made on disk.
type Row = (&'static str, &'static [(&'static str, &'static str)], u64, usize);

const ROWS: [Row; 7] = [
    ("one", &[("Work", "Job")], 1, 1),
    ("into a level that is new", &[("Job", "Old/Job")], 1, 1),
    ("with all that lies below", &[("Lists", "Groups")], 3, 1),
    (
        "one of those below",
        &[("Groups/a", "Groups/Ünïcode & \"quotes\" 100%")],
        1,
        1,
    ),
    (
        "a swap",
        &[("Old/Job", "Aside"), ("Play", "Old/Job"), ("Aside", "Play")],
        2,
        3,
    ),
    (
        "three in a ring",
        &[
            ("Play", "Aside"),
            ("Old/Job", "Play"),
            ("Groups/b", "Old/Job"),
            ("Aside", "Groups/b"),
        ],
        3,
        4,
    ),
    ("out of its level", &[("Old/Job", "Work")], 1, 1),
];

const FILLED: [&str; 6] = ["INBOX", "Work", "Play", "Lists", "Lists/a", "Lists/b"];

#[test]
fn on_the_server() {
    let variants = [
        ("renames-server", Variant::default()),
        ("renames-server-plain", Variant::saying("IMAP4rev1")),
        ("renames-server-sdbox", Variant::stored_as(Layout::Sdbox)),
        ("renames-server-below", Variant::below_inbox()),
    ];
    for (user, variant) in variants {
        let Some(dovecot) = Dovecot::own(&variant) else { return };
        let mut scene = Scene::new(&dovecot, user);
        if user.ends_with("below") {
            scene = scene.below("INBOX.", '.');
            scene.world.set("layout", "\"maildir++\"");
        }
        Writer::without_marks(1).fill(&scene, &FILLED, 6);
        scene.sync_to_equal(&[], "first pull");
        for (when, steps, count, _) in ROWS {
            let before = inodes(&scene, "Play");
            let mut raw = scene.raw();
            for (from, to) in steps {
                let (from, to) = (scene.wire(from), scene.wire(to));
                raw.ok(&format!("RENAME {from} {to}"));
            }
            let (_, traffic) = renamed(&mut scene, "left", count, &format!("{user}: {when}"));
            assert_eq!(traffic.changing(), Vec::<&str>::new(), "{user}: {when}");
            if when == "a swap" {
                assert_eq!(inodes(&scene, "Old/Job"), before, "{user}: the very files");
            }
        }
    }
}

#[test]
fn on_disk() {
    let variants = [
        ("renames-disk", Variant::default()),
        ("renames-disk-plain", Variant::saying("IMAP4rev1")),
        ("renames-disk-sdbox", Variant::stored_as(Layout::Sdbox)),
        ("renames-disk-plus-plus", Variant::default()),
    ];
    for (user, variant) in variants {
        let Some(dovecot) = Dovecot::own(&variant) else { return };
        let mut scene = Scene::new(&dovecot, user);
        if user.ends_with("plus-plus") {
            scene.world.set("layout", "\"maildir++\"");
        }
        Writer::without_marks(2).fill(&scene, &FILLED, 6);
        scene.sync_to_equal(&[], "first pull");
        for (when, steps, count, commands) in ROWS {
            for (from, to) in steps {
                move_directory(&scene, from, to);
            }
            let (_, traffic) = renamed(&mut scene, "right", count, &format!("{user}: {when}"));
            assert_eq!(
                traffic.count("RENAME"),
                commands,
                "{user}: {when}: {:#?}",
                traffic.changing()
            );
        }
    }
}

/// Both were made by a run, neither was looked into since.
#[test]
fn a_swap_right_after_both_were_made() {
    let Some(dovecot) = Dovecot::shared() else { return };
    for (layout, side) in [
        ("nested", "left"),
        ("maildir++", "left"),
        ("nested", "right"),
        ("maildir++", "right"),
    ] {
        let when = format!("{layout}, renamed on the {side} then");
        let mut scene = Scene::new(dovecot, &format!("renames-made-{layout}-{side}"));
        scene.world.set("layout", &format!("\"{layout}\""));
        Writer::without_marks(3).fill(&scene, &["INBOX", "Work"], 3);
        local::create(&scene.dir("INBOX"));
        local::create(&scene.dir("Lists"));
        scene.sync_to_equal(&[], &when);
        let swap = [("Lists", "Aside"), ("Work", "Lists"), ("Aside", "Work")];
        let policy = if side == "left" { "--pull" } else { "--push" };
        for (from, to) in swap {
            if side == "left" {
                let (from, to) = (scene.wire(from), scene.wire(to));
                scene.raw().ok(&format!("RENAME {from} {to}"));
            } else {
                move_directory(&scene, from, to);
            }
        }
        scene.proxy.take();
        let (run, _) = scene.sync_to_equal(&[policy], &when);
        // Nothing proves which empty mailbox is which: the messages move instead.
        assert_no_bodies(&scene.proxy.take(), &when);
        let added = run.count("left", "added") + run.count("right", "added");
        assert_eq!(added, 0, "{when}: {run:#?}");
        scene.nothing_left(&when);
    }
}
