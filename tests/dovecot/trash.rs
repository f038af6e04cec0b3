//! `trash`: what is removed from the Maildir is moved on the server, and nothing is removed that cannot be.

use std::fs;

use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, Variant};
use crate::support::world::{ACCOUNT, Run, local, remote};

/// An account of so many messages in its INBOX, in sync, with that trash.
fn in_sync<'a>(dovecot: &'a Dovecot, user: &str, trash: &str, messages: usize) -> Scene<'a> {
    let mut scene = Scene::new(dovecot, user);
    local::create(&scene.dir("INBOX"));
    for nth in 1..=messages {
        scene.deliver("INBOX", &format!("number {nth}"));
    }
    scene.sync_to_equal(&["--push"], "first upload");
    scene.world.set("trash", &format!("{trash:?}"));
    scene
}

fn remove(scene: &Scene, mailbox: &str, count: usize) {
    for file in scene.files(mailbox).into_iter().take(count) {
        fs::remove_file(file).unwrap();
    }
}

/// How many messages each mailbox holds on the server.
fn held<const N: usize>(scene: &mut Scene, mailboxes: [&str; N]) -> [usize; N] {
    let account = scene.server.look();
    mailboxes.map(|mailbox| account.count(mailbox))
}

/// What was moved and removed on the server, and what arrived on disk.
fn done(run: &Run) -> [u64; 3] {
    [
        run.count("right", "moved"),
        run.count("right", "removed"),
        run.count("left", "added"),
    ]
}

#[test]
fn what_is_removed_on_disk_goes_into_the_trash() {
    for (nth, variant) in [None, Some(Variant::saying("IMAP4rev1 SPECIAL-USE"))]
        .iter()
        .enumerate()
    {
        let Some(dovecot) = variant
            .as_ref()
            .map_or_else(|| Dovecot::own(&Variant::default()), Dovecot::own)
        else {
            return;
        };
        let mut scene = in_sync(&dovecot, &format!("trash{nth}"), "auto", 6);
        scene.raw().ok("CREATE Trash");
        scene.sync_to_equal(&[], "the trash is there");
        remove(&scene, "INBOX", 2);

        let planned = scene.world.sync(&["--dry-run"]);
        let step = &planned.account()["plan"][0];
        assert_eq!(
            (&step["action"], &step["mailbox"], &step["to"]),
            (&"move".into(), &"INBOX".into(), &"Trash".into())
        );
        let (run, _) = scene.sync_to_equal(&[], "removed on disk");
        assert_eq!(done(&run), [2, 0, 2], "{run:#?}");
        assert_eq!(held(&mut scene, ["INBOX", "Trash"]), [4, 2]);
        scene.nothing_left("once it is in the trash");
        let log = scene.world.run(&["log", ACCOUNT, "--last", "2"]);
        let deed = &log.report["accounts"][0]["runs"][0]["done"][0];
        assert_eq!(
            (&deed["action"], &deed["to"], &deed["count"]),
            (&"move".into(), &"Trash".into(), &2.into()),
            "{log:#?}"
        );

        remove(&scene, "Trash", 1);
        let (run, _) = scene.sync_to_equal(&[], "removed from the trash");
        assert_eq!(done(&run), [0, 1, 0], "{run:#?}");
        assert_eq!(held(&mut scene, ["INBOX", "Trash"]), [4, 1]);
        scene.nothing_left("at the end");
    }
}

#[test]
fn a_trash_of_a_name_that_is_not_synced() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = in_sync(dovecot, "trash-apart", "Old/Bin", 4);
    scene.world.set("mailboxes", r#"{ exclude = ["Old/*"] }"#);
    remove(&scene, "INBOX", 1);
    let run = scene.world.sync_ok();
    assert_eq!(done(&run), [1, 0, 0], "{run:#?}");
    assert_eq!(run.count("right", "mailboxes_created"), 1, "{run:#?}");
    scene.nothing_left("it stays on the server");
    remove(&scene, "INBOX", 2);
    let run = scene.world.sync_ok();
    assert_eq!(
        (done(&run), run.count("right", "mailboxes_created")),
        ([2, 0, 0], 0),
        "{run:#?}"
    );
    assert_eq!(held(&mut scene, ["INBOX", "Old/Bin"]), [1, 3]);
    assert!(!scene.dir("Old/Bin").exists());

    scene.world.unset("mailboxes");
    scene.sync_to_equal(&[], "synced from now on");
    assert_eq!(scene.files("Old/Bin").len(), 3);
    scene.nothing_left("at the end");
}

#[test]
fn a_server_that_marks_no_trash() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = in_sync(dovecot, "trash-none", "auto", 4);
    remove(&scene, "INBOX", 1);
    let run = scene.world.sync(&[]);
    assert_eq!((run.exit, done(&run)), (1, [0, 0, 0]), "{run:#?}");
    let problem = &run.problems()[0];
    assert!(
        problem["what"]
            .as_str()
            .unwrap()
            .contains("marks no mailbox as its trash"),
        "{problem:#}"
    );
    assert_eq!(held(&mut scene, ["INBOX"]), [4]);
    assert_eq!(scene.world.run(&["status"]).account()["pending"], 1);

    scene.raw().ok("CREATE Trash");
    let (run, _) = scene.sync_to_equal(&[], "now it marks one");
    assert_eq!((done(&run), run.problems().len()), ([1, 0, 1], 0), "{run:#?}");
    assert_eq!(held(&mut scene, ["INBOX", "Trash"]), [3, 1]);
    scene.nothing_left("at the end");
}

/// What failed is tried again by the next run.
fn is_due(scene: &Scene) {
    let books = scene.world.home().join("xdg/state/homing/personal/sync.db");
    let books = rusqlite::Connection::open(books).expect("a database");
    books.execute("UPDATE problem SET next=0", []).expect("problems");
}

/// Without UIDPLUS nothing is expunged while a message is marked that is not ours to remove: the copy is in the trash, and is
/// not made again in each run.
#[test]
fn an_original_that_cannot_be_expunged() {
    let Some(dovecot) = Dovecot::own(&Variant::masked("UIDPLUS MOVE")) else {
        return;
    };
    let mut scene = in_sync(&dovecot, "trash-marked", "Trash", 4);
    let mut session = scene.server.session();
    let marked = remote::uids(&mut session, "INBOX")[3];
    remote::store(&mut session, marked, "+FLAGS.SILENT (\\Deleted)");
    scene.sync_to_equal(&[], "marked");
    remove(&scene, "INBOX", 1);
    for when in ["the copy is made", "the original waits", "the original waits again"] {
        is_due(&scene);
        let run = scene.world.sync(&[]);
        assert!(run.exit <= 1, "{when}: {run:#?}");
        assert_eq!(held(&mut scene, ["INBOX", "Trash"]), [4, 1], "{when}");
        assert_eq!(scene.files("Trash").len(), 1, "{when}");
    }
    session.select("INBOX").unwrap();
    remote::store(&mut session, marked, "-FLAGS.SILENT (\\Deleted)");
    is_due(&scene);
    scene.sync_to_equal(&[], "nothing foreign is marked");
    assert_eq!(held(&mut scene, ["INBOX", "Trash"]), [3, 1]);
    scene.nothing_left("at the end");
}
