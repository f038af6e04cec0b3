//! What homing knew is lost, old or another program's: mail is paired by content, and nothing is sent twice or removed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::changes::Writer;
use crate::scene::{Scene, text};
use crate::support::dovecot::Dovecot;
use crate::support::proxy::Traffic;
use crate::support::raw::Mail;
use crate::support::witness::{Layout, Server, assert_same, canonical, digest, look_at_disk};
use crate::support::world::{ACCOUNT, Run, local, toml_string};

/// Ordinary mail, and mail that is hard to tell apart by its header.
fn fill(scene: &Scene, seed: u64) {
    Writer::without_marks(seed).fill(scene, &["INBOX", "Work", "Odd"], 15);
    let odd = |subject: &str, id: &str, body: &str| Mail {
        bytes: format!("From: a@example.org\r\nSubject: {subject}\r\n{id}\r\n{body}\r\n").into_bytes(),
        flags: "\\Seen".into(),
        date: 1_600_000_000,
    };
    let one = "Message-ID: <one@example.org>\r\n";
    let mails = [
        odd("no id", "", "first"),
        odd("no id, another", "", "second"),
        odd("one id", one, "a content"),
        odd("one id", one, "another content, longer"),
        odd("equal", one, "equal"),
        odd("equal", one, "equal"),
        odd("equal", one, "equal"),
    ];
    scene.raw().append_all("Odd", &mails);
    scene.raw().append_all("Work", &mails[4..5]);
}

/// How many messages [`fill`] makes.
const FILLED: u64 = 45 + 8;

/// An account in sync.
fn in_sync<'a>(dovecot: &'a Dovecot, user: &str) -> Scene<'a> {
    let mut scene = Scene::new(dovecot, user);
    fill(&scene, 71);
    scene.sync_to_equal(&[], "first pull");
    scene.proxy.take();
    scene
}

/// How many bodies were asked for and how many were sent.
fn bodies(traffic: &Traffic) -> (usize, usize) {
    let fetched = traffic.commands.iter().filter(|line| line.contains("BODY.PEEK[]"));
    (fetched.count(), traffic.count("APPEND"))
}

/// Everything is paired again, nothing is carried over, and there is nothing left to do.
#[track_caller]
fn paired_again(scene: &mut Scene, when: &str) -> Run {
    scene.proxy.take();
    let (run, account) = scene.sync_to_equal(&[], when);
    assert_eq!(bodies(&scene.proxy.take()), (0, 0), "{when}");
    assert_eq!((run.changes(), account.len() as u64), (0, FILLED), "{when}: {run:#?}");
    assert_eq!(run.account()["paired"], FILLED, "{when}: {run:#?}");
    scene.nothing_left(when);
    run
}

fn state(scene: &Scene) -> PathBuf {
    scene.world.home().join("xdg/state/homing").join(ACCOUNT)
}

/// As `cp -a` or `rsync -a` do it.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("cp").success(), "{} to {}", from.display(), to.display());
}

/// The server's own directory of a mailbox.
fn kept_by(scene: &Scene, mailbox: &str) -> PathBuf {
    let root = scene.dovecot.mail_home(&scene.user).join("Maildir");
    if mailbox == "INBOX" {
        root
    } else {
        root.join(format!(".{mailbox}"))
    }
}

/// All UIDs of the mailbox mean something else from now on.
fn change_validity(scene: &Scene, mailbox: &str) {
    let dir = kept_by(scene, mailbox);
    let list = dir.join("dovecot-uidlist");
    let text = fs::read_to_string(&list).expect("the list of UIDs");
    let (head, rest) = text.split_once('\n').expect("a first line");
    let turned = head.split(' ').map(|word| match word.strip_prefix('V') {
        Some(validity) => format!("V{}", validity.parse::<u32>().expect("a number") + 1),
        None => word.to_owned(),
    });
    let head: Vec<String> = turned.collect();
    fs::write(&list, format!("{}\n{rest}", head.join(" "))).expect("a file");
    for name in [
        "dovecot.index",
        "dovecot.index.log",
        "dovecot.index.log.2",
        "dovecot.index.cache",
    ] {
        let _ = fs::remove_file(dir.join(name));
    }
}

#[test]
fn the_state_is_lost() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = in_sync(dovecot, "lost");
    fs::remove_dir_all(state(&scene)).unwrap();
    paired_again(&mut scene, "the state is deleted");

    // What was done meanwhile is carried over, and nothing else.
    fs::remove_dir_all(state(&scene)).unwrap();
    let file = scene.files("Work")[0].clone();
    local::set_letters(&file, &"FS".chars().collect());
    scene.deliver("Work", "new on disk");
    let mail = Mail {
        bytes: canonical(&text("new there")),
        flags: String::new(),
        date: 1_600_000_000,
    };
    scene.raw().append_all("INBOX", &[mail]);
    let (run, account) = scene.sync_to_equal(&[], "changed meanwhile");
    assert_eq!(bodies(&scene.proxy.take()), (1, 1), "{run:#?}");
    assert_eq!(
        (run.count("left", "added"), run.count("right", "added")),
        (1, 1),
        "{run:#?}"
    );
    assert_eq!(account.len() as u64, FILLED + 2);
    scene.nothing_left("changed meanwhile");
}

#[test]
fn the_state_is_damaged() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = in_sync(dovecot, "damaged");
    fs::write(state(&scene).join("sync.db"), "no database".repeat(500)).unwrap();
    let look = scene.world.run(&["status"]);
    assert_eq!(look.exit, 78, "{look:#?}");
    let dry = scene.world.sync(&["--dry-run"]);
    assert_eq!((dry.exit, dry.changes()), (0, 0), "{dry:#?}");
    assert_eq!(dry.account()["paired"], FILLED, "what a run would do: {dry:#?}");
    assert!(dry.problems()[0]["what"].as_str().unwrap().ends_with("is damaged"));
    let run = scene.world.sync(&[]);
    assert_eq!(
        (run.exit, run.changes()),
        (1, 0),
        "a problem, but not the end: {run:#?}"
    );
    assert_eq!(run.account()["paired"], FILLED, "{run:#?}");
    let said = run.problems()[0]["what"].as_str().unwrap();
    let aside = said.split("it is now ").nth(1).expect("where it is");
    assert_eq!(fs::read(aside).unwrap(), "no database".repeat(500).as_bytes());
    assert_eq!(bodies(&scene.proxy.take()), (0, 0));
    scene.world.assert_same(&mut scene.server, "set aside");
    scene.nothing_left("set aside");
}

#[test]
fn the_uids_are_void() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = in_sync(dovecot, "void");
    change_validity(&scene, "Work");
    scene.proxy.take();
    let (run, _) = scene.sync_to_equal(&[], "one mailbox");
    assert_eq!((bodies(&scene.proxy.take()), run.changes()), ((0, 0), 0), "{run:#?}");
    scene.nothing_left("one mailbox");
    for mailbox in ["INBOX", "Work", "Odd"] {
        change_validity(&scene, mailbox);
    }
    paired_again(&mut scene, "all mailboxes");

    // What was done meanwhile is carried over; a deletion that coincides comes back.
    for mailbox in ["INBOX", "Work", "Odd"] {
        change_validity(&scene, mailbox);
    }
    fs::remove_file(&scene.files("INBOX")[3]).unwrap();
    let flagged = scene.files("Work")[2].clone();
    local::set_letters(&flagged, &"FRS".chars().collect());
    scene.deliver("Odd", "new on disk");
    let (run, account) = scene.sync_to_equal(&[], "changed meanwhile");
    assert_eq!(bodies(&scene.proxy.take()), (1, 1), "{run:#?}");
    assert_eq!(
        (run.count("left", "added"), run.count("right", "added")),
        (1, 1),
        "{run:#?}"
    );
    assert_eq!(
        (account.len() as u64, run.count("right", "removed")),
        (FILLED + 1, 0),
        "{run:#?}"
    );
    scene.nothing_left("changed meanwhile");
}

#[test]
fn the_server_is_restored_from_a_backup() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = in_sync(dovecot, "backup");
    let (home, kept) = (kept_by(&scene, "INBOX"), scene.world.home().join("kept"));
    copy(&home, &kept);
    let mail = |subject: &str| Mail {
        bytes: canonical(&text(subject)),
        flags: String::new(),
        date: 1_600_000_000,
    };
    scene
        .raw()
        .append_all("INBOX", &[mail("lost by the server"), mail("lost as well")]);
    scene.sync_to_equal(&[], "two more");
    fs::remove_dir_all(&home).unwrap();
    copy(&kept, &home);
    scene.server = Server::new(dovecot.host, dovecot.port, &scene.user); // It remembers what was behind a UID.
    scene.raw().append_all("INBOX", &[mail("under an old UID")]);
    let (run, account) = scene.sync_to_equal(&[], "restored");
    assert_eq!(
        account.len() as u64,
        FILLED + 3,
        "what it lost came back to it: {run:#?}"
    );
    assert_eq!(
        (run.count("left", "added"), run.count("right", "added")),
        (1, 2),
        "{run:#?}"
    );
    scene.nothing_left("restored");
}

#[test]
fn the_state_is_an_old_one() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = in_sync(dovecot, "old-state");
    let old = scene.world.home().join("old");
    copy(&state(&scene), &old);
    // Moved on either side, flagged, deleted, new: all of it synced, and then forgotten.
    let files = scene.files("INBOX");
    for file in &files[..3] {
        let name = file.file_name().unwrap();
        fs::rename(file, scene.dir("Work/cur").join(name)).unwrap();
    }
    fs::remove_file(&files[4]).unwrap();
    scene.deliver("Work", "new on disk");
    scene.raw().ok("SELECT Work");
    let mut raw = scene.raw();
    raw.ok("SELECT Work");
    raw.ok("MOVE 1:2 Odd");
    raw.ok("STORE 3 +FLAGS.SILENT (\\Flagged)");
    let (_, account) = scene.sync_to_equal(&[], "changed");
    fs::remove_dir_all(state(&scene)).unwrap();
    copy(&old, &state(&scene));
    // And this happens before homing looks again. It does not count as removed.
    let gone = scene.files("Odd")[0].clone();
    fs::remove_file(gone).unwrap();
    scene.proxy.take();
    let (run, after) = scene.sync_to_equal(&[], "with the old state");
    let traffic = scene.proxy.take();
    assert_eq!(
        bodies(&traffic),
        (1, 0),
        "only what was deleted comes back: {run:#?}\n{traffic:#?}"
    );
    assert_eq!(account.difference("before", &after, "after"), "", "{run:#?}");
    assert_eq!(
        (run.count("left", "removed"), run.count("right", "removed")),
        (0, 0),
        "{run:#?}"
    );
    scene.nothing_left("with the old state");
    // From then on a deletion is one.
    let gone = scene.files("Odd")[0].clone();
    fs::remove_file(gone).unwrap();
    let (run, _) = scene.sync_to_equal(&[], "deleted");
    assert_eq!(run.count("right", "removed"), 1, "{run:#?}");
}

#[test]
fn an_old_state_stays_old_until_a_run_was_whole() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = in_sync(dovecot, "old-twice");
    let old = scene.world.home().join("old");
    copy(&state(&scene), &old);
    scene.deliver("Work", "new on disk");
    scene.sync_to_equal(&[], "changed");
    fs::remove_dir_all(state(&scene)).unwrap();
    copy(&old, &state(&scene));
    let gone = scene.files("Odd")[0].clone();
    fs::remove_file(gone).unwrap();
    // It narrows what is done; the rest is as doubtful as before, whatever the run's number.
    for _ in 0..3 {
        let run = scene.world.sync(&["--mailbox", "Work"]);
        assert_eq!((run.exit, run.count("right", "removed")), (0, 0), "{run:#?}");
        assert!(says_it_is_old(&run) && says_it_is_old(&scene.world.run(&["status"])));
    }
    let (run, account) = scene.sync_to_equal(&[], "whole");
    assert!(!says_it_is_old(&run), "{run:#?}");
    assert_eq!(
        (run.count("right", "removed"), run.count("left", "added")),
        (0, 1),
        "{run:#?}"
    );
    assert_eq!(account.len() as u64, FILLED + 1);
}

fn says_it_is_old(run: &Run) -> bool {
    let mut problems = run.problems().iter();
    problems.any(|problem| problem["what"].as_str().unwrap().starts_with("the state is older"))
}

#[test]
fn a_first_meeting_in_parts() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "in-parts");
    let mut raw = scene.raw();
    raw.ok("CREATE Work");
    let mail = Mail {
        bytes: canonical(&text("in another mailbox")),
        flags: String::new(),
        date: 1_700_000_000,
    };
    raw.append_all("Work", &[mail]);
    local::create(&scene.dir("INBOX"));
    local::create(&scene.dir("Play"));
    scene.deliver("Play", "in another mailbox");
    // Its mailboxes have not met yet, so that it is one message still, not two new ones.
    let run = scene.world.sync(&["--mailbox", "INBOX"]);
    assert_eq!((run.exit, run.changes()), (0, 0), "{run:#?}");
    scene.proxy.take();
    let (run, account) = scene.sync_to_equal(&[], "the rest");
    assert_eq!((account.len(), bodies(&scene.proxy.take())), (1, (0, 0)), "{run:#?}");
    scene.nothing_left("the rest");
}

/// What happens to an account while homing is not looking.
type Change = fn(&Scene);

/// How a Maildir comes back from a backup.
type Restore = fn(&Path, &Path);

#[test]
fn the_maildir_is_restored_from_a_backup() {
    let rows: [(&str, Restore); 2] = [
        ("new directories", |kept, maildir| {
            fs::remove_dir_all(maildir).unwrap();
            copy(kept, maildir);
        }),
        ("the same directories", |kept, maildir| {
            // As `rsync -a --delete` does it.
            for mailbox in ["INBOX", "Work", "Odd"] {
                for part in ["cur", "new"] {
                    let dir = maildir.join(mailbox).join(part);
                    for entry in fs::read_dir(&dir).unwrap() {
                        fs::remove_file(entry.unwrap().path()).unwrap();
                    }
                    copy(&kept.join(mailbox).join(part).join("."), &dir);
                }
            }
            fs::remove_dir_all(maildir.join("Later")).unwrap();
            copy(&kept.join(".homing"), &maildir.join(".homing"));
        }),
    ];
    let Some(dovecot) = Dovecot::shared() else { return };
    for (nth, (how, restore)) in rows.into_iter().enumerate() {
        let mut scene = in_sync(dovecot, &format!("old-maildir-{nth}"));
        let kept = scene.world.home().join("kept");
        copy(&scene.world.maildir, &kept);
        let files = scene.files("INBOX");
        fs::rename(&files[0], scene.dir("Work/cur").join(files[0].file_name().unwrap())).unwrap();
        fs::remove_file(&files[1]).unwrap();
        scene.deliver("Work", "after the backup");
        let mut raw = scene.raw();
        raw.ok("SELECT Work");
        raw.ok("STORE 3 +FLAGS.SILENT (\\Flagged todo)");
        raw.ok("CREATE Later");
        raw.ok("MOVE 4 Later");
        let (_, account) = scene.sync_to_equal(&[], "changed");
        restore(&kept, &scene.world.maildir);
        scene.proxy.take();
        let (run, after) = scene.sync_to_equal(&[], how);
        let traffic = scene.proxy.take();
        // All is as it was, but for what had been deleted: that is there again, and so it is new.
        assert_eq!(after.len(), account.len() + 1, "{how}: {run:#?}");
        assert_eq!(
            (run.count("right", "removed"), run.count("right", "moved")),
            (0, 0),
            "{how}: {run:#?}"
        );
        for mailbox in ["Work", "Odd", "Later"] {
            assert_eq!(account.mailbox(mailbox), after.mailbox(mailbox), "{how}: {mailbox}");
        }
        assert_eq!(bodies(&traffic), (1, 1), "{how}: {run:#?}");
        scene.nothing_left(how);
    }
}

/// Turns what homing pulled into what another program would have pulled: its names, its marks, its files beside the mail.
fn disguise(scene: &Scene, beside: &[(&str, &str)], name: fn(usize, u64) -> String, mark: Option<&str>) {
    fs::remove_dir_all(state(scene)).unwrap();
    fs::remove_file(scene.world.maildir.join(".homing")).unwrap();
    let mut nth = 0;
    for mailbox in ["INBOX", "Work", "Odd"] {
        for file in &scene.files(mailbox) {
            nth += 1;
            let date = fs::metadata(file).unwrap().modified().unwrap();
            let mut bytes = fs::read(file).unwrap();
            if let Some(mark) = mark {
                let end = bytes
                    .windows(2)
                    .position(|two| two == b"\n\n")
                    .map_or(bytes.len(), |at| at + 1);
                bytes.splice(end..end, mark.bytes());
            }
            let letters: String = local::letters(file).into_iter().collect();
            let unique = name(nth, bytes.len() as u64);
            let target = file
                .parent()
                .unwrap()
                .parent()
                .unwrap()
                .join("cur")
                .join(format!("{unique}:2,{letters}"));
            fs::write(&target, bytes).unwrap();
            fs::File::open(&target).unwrap().set_modified(date).unwrap();
            fs::remove_file(file).unwrap();
        }
        for (name, text) in beside {
            fs::write(scene.dir(mailbox).join(name), text).unwrap();
        }
    }
}

/// The contents on disk, the marks of sync tools taken out.
fn without_marks(scene: &Scene) -> BTreeMap<[u8; 32], usize> {
    let mut contents = BTreeMap::new();
    for file in ["INBOX", "Work", "Odd"].iter().flat_map(|mailbox| scene.files(mailbox)) {
        let bytes = fs::read(file).unwrap();
        let lines = bytes.split_inclusive(|&b| b == b'\n');
        let kept = lines.filter(|line| !line.starts_with(b"X-TUID: ") && !line.starts_with(b"X-OfflineIMAP: "));
        *contents.entry(digest(&kept.collect::<Vec<_>>().concat())).or_default() += 1;
    }
    contents
}

#[test]
fn a_maildir_of_mbsync_or_offlineimap() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let rows: [(&str, Change); 2] = [
        ("mbsync", |scene| {
            let beside = [
                (".uidvalidity", "1700000000\n60\n"),
                (".mbsyncstate", "FarUidValidity 5\nNearUidValidity 7\n\n1 1 S\n"),
            ];
            disguise(
                scene,
                &beside,
                |nth, _| format!("1700000{nth:03}.77_{nth}.ada,U={}", nth + 1),
                Some("X-TUID: AbCdEfGhIjKl\n"),
            );
        }),
        ("offlineimap", |scene| {
            disguise(
                scene,
                &[],
                |nth, _| {
                    format!(
                        "1700000{nth:03}_0.77.ada,U={},FMD5=7e33429f656f1e6e9d79b29c3f82c57e",
                        nth + 1
                    )
                },
                None,
            );
        }),
    ];
    for (tool, disguise) in rows {
        let mut scene = in_sync(dovecot, tool);
        disguise(&scene);
        let before = local::listing(&scene.world.maildir);
        scene.proxy.take();
        let run = scene.world.sync(&[]);
        assert_eq!((run.exit, run.changes()), (0, 0), "{tool}: {run:#?}");
        assert_eq!(run.account()["paired"], FILLED, "{tool}: {run:#?}");
        let traffic = scene.proxy.take();
        assert_eq!((bodies(&traffic), traffic.changing()), ((0, 0), vec![]), "{tool}");
        let after = local::listing(&scene.world.maildir);
        let written: Vec<_> = after
            .symmetric_difference(&before)
            .filter(|line| !line.contains(".homing"))
            .collect();
        assert!(written.is_empty(), "{tool}: {written:#?}");
        scene.nothing_left(tool);

        // From then on it is a Maildir like any other; a marked copy that moves is still the same message.
        let file = scene.files("INBOX")[0].clone();
        local::set_letters(&file, &"FS".chars().collect());
        let moved = scene.files("INBOX")[1].clone();
        fs::rename(&moved, scene.dir("Work/cur").join(moved.file_name().unwrap())).unwrap();
        fs::remove_file(&scene.files("Odd")[0]).unwrap();
        let mut raw = scene.raw();
        raw.ok("SELECT Work");
        raw.ok("MOVE 2 INBOX");
        scene.deliver("Work", "new on disk");
        let run = scene.world.sync_ok();
        assert_eq!(bodies(&scene.proxy.take()), (0, 1), "{tool}: {run:#?}");
        let counts = [
            ("right", "flags"),
            ("right", "moved"),
            ("left", "moved"),
            ("right", "removed"),
            ("right", "added"),
        ];
        assert_eq!(
            counts.map(|(side, what)| run.count(side, what)),
            [1; 5],
            "{tool}: {run:#?}"
        );
        assert_eq!(without_marks(&scene), scene.server.look().contents(), "{tool}");
        scene.nothing_left(tool);
    }
}

#[test]
fn marks_on_the_server() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "marked");
    // mbsync and OfflineIMAP sent these: the copy there bears the mark, the one on disk does not.
    let marks = ["X-TUID: AbCdEfGhIjKl\r\n", "X-OfflineIMAP: 1234567-host-1\r\n", ""];
    let sent = |nth: usize, mark: &str| {
        let canonical = canonical(&text(&format!("sent {nth}")));
        Mail {
            bytes: [mark.as_bytes(), &canonical].concat(),
            flags: "\\Seen".into(),
            date: 1_700_000_000,
        }
    };
    let mails: Vec<Mail> = (0..12).map(|nth| sent(nth, marks[nth % 3])).collect();
    scene.raw().append_all("INBOX", &mails);
    local::create(&scene.dir("INBOX"));
    (0..12).for_each(|nth| drop(scene.deliver("INBOX", &format!("sent {nth}"))));
    let run = scene.world.sync_ok();
    assert_eq!((run.changes(), &run.account()["paired"]), (0, &12.into()), "{run:#?}");
    assert_eq!(bodies(&scene.proxy.take()), (0, 0));
    scene.nothing_left("marked on the server");
    // Known by its UID, the right one is removed.
    fs::remove_file(&scene.files("INBOX")[0]).unwrap();
    let run = scene.world.sync_ok();
    assert_eq!(
        (run.count("right", "removed"), scene.server.look().len()),
        (1, 11),
        "{run:#?}"
    );
    change_validity(&scene, "INBOX");
    let run = scene.world.sync_ok();
    assert_eq!((run.changes(), bodies(&scene.proxy.take())), (0, (0, 0)), "{run:#?}");
}

#[test]
fn a_maildir_that_dovecot_filled() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "dovecots-own");
    fill(&scene, 72);
    // Its files: uidlists, indexes, keywords, maildirfolder.
    scene.server.look();
    copy(&kept_by(&scene, "INBOX"), &scene.world.maildir);
    let names = |scene: &Scene| -> Vec<String> {
        let listing = local::listing(&scene.world.maildir).into_iter();
        listing.filter(|line| !line.contains("/.homing")).collect()
    };
    let before = names(&scene);
    assert!(
        before.iter().any(|line| line.contains("dovecot-uidlist")),
        "{before:#?}"
    );
    let run = scene.world.sync_ok();
    assert_eq!(
        (run.changes(), &run.account()["paired"]),
        (0, &FILLED.into()),
        "{run:#?}"
    );
    let traffic = scene.proxy.take();
    assert_eq!((bodies(&traffic), traffic.changing()), ((0, 0), vec![]));
    assert_eq!(names(&scene), before);
    assert_same(
        &look_at_disk(&scene.world.maildir, Layout::PlusPlus),
        &scene.server.look(),
        "adopted",
    );
}

/// Two drafts under one header: only their content tells them apart, so bodies are fetched, but nothing is doubled.
#[test]
fn one_header_and_two_contents() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "drafts");
    let draft = |body: &str| Mail {
        bytes: format!("From: a@example.org\r\nSubject: a draft\r\nMessage-ID: <d@x>\r\n\r\n{body}\r\n").into_bytes(),
        flags: "\\Draft".into(),
        date: 1_600_000_000,
    };
    scene
        .raw()
        .append_all("INBOX", &["one", "two", "six", "six"].map(draft));
    let (_, account) = scene.sync_to_equal(&[], "first pull");
    let rows: [(&str, Change); 3] = [
        ("the state is deleted", |scene| {
            fs::remove_dir_all(state(scene)).unwrap();
        }),
        ("the UIDs are void", |scene| change_validity(scene, "INBOX")),
        ("both", |scene| {
            fs::remove_dir_all(state(scene)).unwrap();
            change_validity(scene, "INBOX");
        }),
    ];
    for (when, change) in rows {
        change(&scene);
        let (run, after) = scene.sync_to_equal(&[], when);
        assert_eq!(run.changes(), 0, "{when}: {run:#?}");
        assert_eq!(account.difference("before", &after, "after"), "", "{when}");
        scene.nothing_left(when);
    }

    change_validity(&scene, "INBOX");
    local::set_letters(&scene.files("INBOX")[1], &"DF".chars().collect());
    let (run, _) = scene.sync_to_equal(&[], "flagged while the UIDs became void");
    assert_eq!(run.count("right", "flags"), 1, "{run:#?}");
    scene.nothing_left("flagged");
}

#[test]
fn a_maildir_that_is_unknown_to_the_server_waits() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "stranger");
    fill(&scene, 73);
    local::create(&scene.dir("INBOX"));
    (0..30).for_each(|nth| drop(scene.deliver("INBOX", &format!("brought along {nth}"))));
    for _ in 0..2 {
        let run = scene.world.sync(&[]);
        assert_eq!((run.exit, run.count("right", "added")), (3, 0), "{run:#?}");
        let ways = run.held_back()[0]["ways_out"].to_string();
        assert!(ways.contains(&format!("homing sync {ACCOUNT} --push")), "{ways}");
    }
    assert_eq!(scene.files("INBOX").len(), 45, "what the server has came all the same");
    let run = scene.world.sync(&["--push"]);
    assert_eq!((run.exit, run.count("right", "added")), (0, 30), "{run:#?}");
    scene.sync_to_equal(&[], "pushed");
    scene.nothing_left("pushed");
}

/// The advice for a Maildir that is marked as somebody else's, followed to the letter.
#[test]
fn another_user_or_server() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = in_sync(dovecot, "renamed");
    // The provider's server has another name now; the mail is the same.
    scene.world.set("host", &toml_string("localhost"));
    let run = scene.world.sync(&[]);
    assert_eq!((run.exit, run.changes()), (3, 0), "{run:#?}");
    let marker = scene.world.maildir.join(".homing");
    let said = run.stderr.clone();
    assert!(
        said.contains(&format!("homing forget {ACCOUNT}")) && said.contains(&*marker.to_string_lossy()),
        "{said}"
    );
    assert_eq!(scene.world.run(&["forget", ACCOUNT]).exit, 0);
    fs::remove_file(marker).unwrap();
    paired_again(&mut scene, "forgotten and adopted");
}
