//! A move is a move: what went from one mailbox into another is neither sent again nor fetched again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::changes::Writer;
use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, Variant};
use crate::support::proxy::Traffic;
use crate::support::raw::Mail;
use crate::support::world::local;

/// No body went over the wire, either way.
#[track_caller]
fn assert_no_bodies(traffic: &Traffic, when: &str) {
    let bodies: Vec<_> = traffic
        .commands
        .iter()
        .filter(|line| line.contains("BODY.PEEK[]") || line.starts_with("APPEND"))
        .collect();
    assert!(bodies.is_empty(), "{when}: {bodies:#?}");
}

/// Moves a message into another mailbox's `cur/`, under its own name or a new one. Its keywords stay behind: letters mean
/// something else in another mailbox.
fn carry(message: &Path, mailbox: &Path, name: Option<&str>) -> PathBuf {
    let own = message.file_name().expect("a name").to_string_lossy();
    let unique = own.split(":2,").next().expect("a first part");
    let letters: String = local::letters(message)
        .iter()
        .filter(|letter| letter.is_uppercase())
        .collect();
    let target = mailbox
        .join("cur")
        .join(format!("{}:2,{letters}", name.unwrap_or(unique)));
    fs::rename(message, &target).expect("a rename");
    target
}

/// Copies a file with its time, as `cp -p` does.
fn copy(message: &Path, target: &Path) {
    let date = fs::metadata(message).and_then(|meta| meta.modified()).expect("a time");
    fs::copy(message, target).expect("a copy");
    let file = fs::File::open(target).expect("a file");
    file.set_modified(date).expect("a time");
}

/// What mail programs do to a message on disk that counts as a move.
type Local = fn(&Path, &Path);

const LOCAL: [(&str, Local); 4] = [
    ("the name kept", |message, to| drop(carry(message, to, None))),
    ("a new name", |message, to| {
        drop(carry(message, to, Some("1700000001.new.elsewhere")));
    }),
    ("copied and deleted", |message, to| {
        copy(message, &to.join("cur/1700000002.copy.elsewhere:2,S"));
        fs::remove_file(message).expect("a file");
    }),
    ("flagged on the way", |message, to| {
        let moved = carry(message, to, None);
        local::set_letters(&moved, &"FRS".chars().collect());
    }),
];

#[test]
fn moved_on_disk() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "moves-disk");
    Writer::without_marks(1).fill(&scene, &["INBOX", "Work", "Left"], 12);
    scene.sync_to_equal(&[], "first pull");
    for (name, make) in LOCAL {
        make(&scene.files("INBOX")[0], &scene.dir("Work"));
        moved_without_bodies(&mut scene, 1, "right", name);
    }

    local::create(&scene.dir("New"));
    for message in &scene.files("Left") {
        carry(message, &scene.dir("New"), None);
    }
    local::delete(&scene.dir("Left"));
    moved_without_bodies(
        &mut scene,
        12,
        "right",
        "all of a mailbox, into a new one, and the mailbox deleted",
    );
}

#[track_caller]
fn moved_without_bodies(scene: &mut Scene, count: u64, side: &str, when: &str) {
    scene.proxy.take();
    let (run, _) = scene.sync_to_equal(&[], when);
    assert_no_bodies(&scene.proxy.take(), when);
    let counts = (
        run.count(side, "moved"),
        run.count("left", "added") + run.count("right", "added"),
    );
    assert_eq!(counts, (count, 0), "{when}: {run:#?}");
    scene.nothing_left(when);
}

#[test]
fn moved_on_the_server() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "moves-server");
    Writer::without_marks(2).fill(&scene, &["INBOX", "Work", "Left"], 12);
    scene.sync_to_equal(&[], "first pull");
    let rows: [(&str, &[&str], u64); 4] = [
        ("moved", &["SELECT INBOX", "MOVE 1:2 Work"], 2),
        (
            "copied and expunged",
            &[
                "SELECT INBOX",
                "COPY 1 Work",
                "STORE 1 +FLAGS.SILENT (\\Deleted)",
                "EXPUNGE",
            ],
            1,
        ),
        (
            "flagged on the way",
            &["SELECT INBOX", "STORE 1 +FLAGS.SILENT (\\Flagged todo)", "MOVE 1 Work"],
            1,
        ),
        (
            "all of a mailbox, into a new one, and the mailbox deleted",
            &["CREATE New", "SELECT Left", "MOVE 1:* New", "UNSELECT", "DELETE Left"],
            12,
        ),
    ];
    for (when, commands, count) in rows {
        let mut raw = scene.raw();
        for command in commands {
            raw.ok(command);
        }
        moved_without_bodies(&mut scene, count, "left", when);
    }
}

#[test]
fn copied_on_disk() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "copies-disk");
    Writer::without_marks(3).fill(&scene, &["INBOX", "Work"], 6);
    scene.sync_to_equal(&[], "first pull");
    let source = scene.files("INBOX")[2].clone();
    for (name, mailbox) in [("a", "Work"), ("b", "Work"), ("c", "INBOX")] {
        let letters: String = local::letters(&source)
            .into_iter()
            .filter(char::is_ascii_uppercase)
            .collect();
        let target = format!("cur/1700000003.{name}.elsewhere:2,{letters}");
        copy(&source, &scene.dir(mailbox).join(target));
    }
    scene.proxy.take();
    let (run, _) = scene.sync_to_equal(&[], "copies");
    let traffic = scene.proxy.take();
    assert_no_bodies(&traffic, "copies");
    assert_eq!((run.count("right", "added"), traffic.count("COPY")), (3, 3), "{run:#?}");
    scene.nothing_left("after the copies");
}

#[test]
fn moved_on_both_sides() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "moves-both");
    Writer::without_marks(4).fill(&scene, &["INBOX", "Work", "Play", "Trash"], 6);
    scene.sync_to_equal(&[], "first pull");
    // What the disk does, what the server does (always to the first message), where the message is then.
    let rows = [
        ("alike", "Work", "Work", "Work"),
        ("to different mailboxes: the right's place wins", "Work", "Play", "Play"),
        ("into the trash on the right: Trash yields", "Work", "Trash", "Work"),
        ("into the trash on the left", "Trash", "Play", "Play"),
    ];
    for (when, left, right, wins) in rows {
        // The oldest of the INBOX on both sides is one message: its Message-ID tells.
        let mut raw = scene.raw();
        raw.ok("SELECT INBOX");
        let before = scene.world.look().count(wins);
        let id = first_id(&mut raw);
        let file = scene
            .files("INBOX")
            .into_iter()
            .find(|file| String::from_utf8_lossy(&fs::read(file).expect("a file")).contains(&id))
            .expect("the message is on disk");
        carry(&file, &scene.dir(left), None);
        raw.ok(&format!("MOVE 1 {right}"));
        scene.proxy.take();
        let (_, account) = scene.sync_to_equal(&[], when);
        assert_no_bodies(&scene.proxy.take(), when);
        assert_eq!(account.count(wins), before + 1, "{when}");
        scene.nothing_left(when);
    }
}

#[test]
fn no_header_is_asked_for_where_nothing_fits() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "moves-none");
    let mail = |number: usize, size: usize| Mail {
        bytes: format!("Subject: {number}\r\n\r\n{}\r\n", "x".repeat(size)).into_bytes(),
        flags: String::new(),
        date: 1_500_000_000,
    };
    let mut raw = scene.raw();
    raw.append_all("INBOX", &[mail(1, 10), mail(2, 10)]);
    scene.sync_to_equal(&[], "first pull");
    raw.ok("CREATE New");
    let new: Vec<Mail> = (3..40).map(|number| mail(number, 500)).collect();
    raw.append_all("New", &new);
    for command in ["SELECT INBOX", "STORE 1 +FLAGS.SILENT (\\Deleted)", "EXPUNGE"] {
        raw.ok(command);
    }
    scene.proxy.take();
    scene.sync_to_equal(&[], "a deletion, and new mail of other sizes");
    let traffic = scene.proxy.take();
    let asked: Vec<_> = traffic
        .commands
        .iter()
        .filter(|line| line.contains("[HEADER"))
        .collect();
    assert!(asked.is_empty(), "{asked:#?}");
}

/// The Message-ID of the first message of the selected mailbox.
fn first_id(raw: &mut crate::support::raw::Raw) -> String {
    let line = raw.ok("FETCH 1 (ENVELOPE)").join(" ");
    let id = line.rsplit('<').next().expect("a Message-ID");
    id.split('>').next().expect("a Message-ID").to_owned()
}

#[test]
fn a_thousand_moves_either_way() {
    for (name, variant) in [
        ("moves-all", Variant::default()),
        ("moves-plain", Variant::saying("IMAP4rev1")),
    ] {
        let Some(dovecot) = Dovecot::own(&variant) else { return };
        let mut scene = Scene::new(&dovecot, name);
        Writer::without_marks(5).fill(&scene, &["INBOX", "Work"], 1000);
        scene.sync_to_equal(&[], "first pull");
        for message in &scene.files("INBOX") {
            carry(message, &scene.dir("Work"), None);
        }
        // All of a mailbox moved away, which is no removal: no guard asks.
        moved_without_bodies(&mut scene, 1000, "right", name);
        let mut raw = scene.raw();
        raw.ok("SELECT Work");
        raw.ok("COPY 1:1000 INBOX");
        raw.ok("STORE 1:1000 +FLAGS.SILENT (\\Deleted)");
        raw.ok("EXPUNGE");
        moved_without_bodies(&mut scene, 1000, "left", name);
    }
}

#[test]
fn what_lost_its_date_on_the_way_is_known_by_its_content() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "moves-undated");
    let mails = ["one", "two", "three"].map(crate::scene::text);
    for mailbox in ["INBOX", "Work"] {
        local::create(&scene.dir(mailbox));
    }
    for bytes in &mails {
        local::deliver(&scene.dir("INBOX"), bytes, 1_600_000_000, Some("S"));
    }
    scene.sync_to_equal(&[], "sent");
    // Known by what both sides told of them, dates included.
    assert_eq!(scene.world.run(&["forget", crate::support::world::ACCOUNT]).exit, 0);
    scene.sync_to_equal(&[], "paired");

    let files = scene.files("INBOX");
    let again = |at: usize, mailbox: &str| {
        let bytes = fs::read(&files[at]).expect("a message");
        local::deliver(&scene.dir(mailbox), &bytes, 1_700_000_000, Some("S"));
        fs::remove_file(&files[at]).expect("a file");
    };
    again(0, "Work");
    again(1, "INBOX");
    scene.proxy.take();
    let run = scene.world.sync_ok();
    assert_no_bodies(&scene.proxy.take(), "moved, and written anew");
    assert_eq!(
        (
            run.count("right", "moved"),
            run.count("right", "added"),
            run.count("right", "removed")
        ),
        (1, 0, 0),
        "{run:#?}"
    );
    scene.nothing_left("at the end");
}
