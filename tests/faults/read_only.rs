//! A mailbox that the server lets only be read: what was changed in it on disk waits and is told, all else goes on.

use std::collections::BTreeSet;
use std::fs;

use crate::scene::Scene;
use crate::support::server::Setup;
use crate::support::witness::digest;
use crate::support::world::{local, toml_string};

fn set_read_only(scene: &Scene, is_so: bool) {
    scene
        .server
        .with("user", |account| account.mailbox_mut("Work").read_only = is_so);
}

#[test]
fn what_was_changed_in_it_waits() {
    for setup in [
        Setup::default(),
        Setup::bare().with(&["AUTH=PLAIN", "SASL-IR", "CONDSTORE"]),
    ] {
        let scene = Scene::new(&setup);
        set_read_only(&scene, true);
        let [inbox, work] = ["INBOX", "Work"].map(|name| scene.world.maildir.join(name));
        let there = local::messages(&work);
        let content = |path: &std::path::Path| digest(&fs::read(path).expect("a message"));
        let [moved_out, moved_in] = [content(&there[2]), content(&local::messages(&inbox)[0])];
        // A removal, a flag, a new message, one moved out, one moved in; and a new one elsewhere.
        fs::remove_file(&there[0]).expect("a removal");
        local::set_letters(&there[1], &BTreeSet::from(['F']));
        let new = |id: &str| format!("Message-ID: <{id}@x>\nSubject: {id}\n\nhello\n").into_bytes();
        local::deliver(&work, &new("waits"), 1_700_000_000, Some("S"));
        local::carry(&local::messages(&inbox)[0], &work, 2, true);
        local::carry(&there[2], &inbox, 1, true);
        local::deliver(&inbox, &new("goes"), 1_700_000_000, Some("S"));
        let before = scene.look_at_server();

        let run = scene.world.sync(&[]);
        assert_eq!(run.exit, 1, "{run:#?}");
        let [problem] = run.problems() else {
            panic!("one problem: {run:#?}")
        };
        assert_eq!(
            (&problem["reach"], &problem["mailbox"]),
            (&"mailbox".into(), &"Work".into())
        );
        assert!(
            problem["next_try"].is_string() && problem["waiting"] == false,
            "{problem}"
        );
        let mut after = scene.look_at_server();
        assert_eq!(
            after.mailbox("Work"),
            before.mailbox("Work"),
            "nothing is changed there"
        );
        let sent = after.mailbox("INBOX").keys().map(|message| message.content);
        let sent: BTreeSet<_> = sent.collect();
        assert!(
            sent.is_superset(&BTreeSet::from([digest(&new("goes")), moved_out, moved_in])),
            "{run:#?}"
        );
        let disk = scene.world.look();
        let here: BTreeSet<_> = disk.mailbox("Work").keys().map(|message| message.content).collect();
        assert!(
            here.contains(&digest(&new("waits"))) && here.contains(&moved_in),
            "nothing is reverted"
        );
        assert_eq!(here.len(), 5, "nothing comes back");

        for _ in 0..2 {
            scene.server.clear();
            let run = scene.world.sync(&[]);
            assert_eq!((run.exit, run.changes()), (0, 0), "{run:#?}");
            assert!(run.problems().iter().all(|problem| problem["waiting"] == true) && !run.problems().is_empty());
            let changing = scene.server.changing().len() + scene.server.count("SELECT");
            assert_eq!(changing, 0, "it only looks: {}", scene.server.transcript());
        }
        // Its own users go on: what they do comes along, and what waits goes on waiting.
        scene.server.with("user", |account| {
            account.deliver("Work", &crate::scene::mail("from others"));
        });
        let run = scene.world.sync(&[]);
        assert_eq!(
            (run.exit, run.changes(), run.count("left", "added")),
            (0, 1, 1),
            "{run:#?}"
        );
        after = scene.look_at_server();
        assert_eq!(scene.world.look().count("Work"), 6);
        assert_eq!(after.count("Work"), 6, "{run:#?}");

        // It may be written again, and its time has come.
        set_read_only(&scene, false);
        let books = rusqlite::Connection::open(crate::disk::database(&scene)).expect("a database");
        books.execute("UPDATE problem SET next=0", []).expect("a problem");
        drop(books);
        scene.recover("may be written", "");
        scene.assert_same("may be written");
        scene.assert_idle("may be written");
    }
}

/// A way in which the sides are kept the same; whether what was done on disk goes to the server, so that it is told that Work
/// does not take it; and whether what others do there comes along.
const ONE_WAY: [(&str, bool, bool); 2] = [("pull", false, true), ("push", true, false)];

#[test]
fn one_way_only() {
    for (title, sends, comes) in ONE_WAY {
        let mut scene = Scene::new(&Setup::default());
        set_read_only(&scene, true);
        scene.world.set("policy", &toml_string(title));
        let [inbox, work] = ["INBOX", "Work"].map(|name| scene.world.maildir.join(name));
        let there = local::messages(&work);
        let content = |path: &std::path::Path| digest(&fs::read(path).expect("a message"));
        let removed = content(&there[0]);
        let new = |id: &str| format!("Message-ID: <{id}@x>\nSubject: {id}\n\nhello\n").into_bytes();
        fs::remove_file(&there[0]).expect("a removal");
        local::set_letters(&there[1], &BTreeSet::from(['F']));
        local::deliver(&work, &new("waits"), 1_700_000_000, Some("S"));
        local::carry(&there[2], &inbox, 1, true);
        local::deliver(&inbox, &new("goes"), 1_700_000_000, Some("S"));
        let (before, here) = (scene.look_at_server(), scene.world.look());

        for (nth, exit) in [(0, i32::from(sends)), (1, 0), (2, 0)] {
            scene.server.clear();
            let run = scene.world.sync(&[]);
            assert_eq!(run.exit, exit, "{title}, run {nth}: {run:#?}");
            assert_eq!(run.problems().len(), usize::from(sends), "{title}, run {nth}: {run:#?}");
            let waits = |problem: &serde_json::Value| problem["waiting"] == (nth > 0);
            assert!(run.problems().iter().all(waits), "{title}, run {nth}: {run:#?}");
            if nth > 0 {
                let sent = scene.server.changing().len() + scene.server.count("SELECT");
                assert_eq!((run.changes(), sent), (0, 0), "{title}, run {nth}: {run:#?}");
            }
        }
        let (after, now) = (scene.look_at_server(), scene.world.look());
        let same = |mailbox: &str| after.mailbox(mailbox) == before.mailbox(mailbox);
        assert_eq!((same("Work"), same("INBOX")), (true, !sends), "{title}");
        let untouched = "nothing comes back, nothing goes";
        assert_eq!(now.contents(), here.contents(), "{title}: {untouched}");

        scene.server.with("user", |account| {
            account.deliver("Work", &crate::scene::mail("from others"))
        });
        let run = scene.world.sync(&[]);
        let arrives = u64::from(comes);
        assert_eq!(
            (run.exit, run.changes(), run.count("left", "added")),
            (0, arrives, arrives),
            "{title}: {run:#?}"
        );

        // It may be written again, and both sides count: nothing is lost, and what was removed is gone.
        set_read_only(&scene, false);
        scene.world.unset("policy");
        let books = rusqlite::Connection::open(crate::disk::database(&scene)).expect("a database");
        books.execute("UPDATE problem SET next=0", []).expect("a problem");
        drop(books);
        scene.recover(title, "");
        let all = scene.assert_same(title);
        let is_there = |text: &[u8]| all.contains_key(&digest(text));
        assert!(is_there(&new("waits")) && is_there(&new("goes")), "{title}");
        assert!(!all.contains_key(&removed), "{title}");
        scene.forget_what_was_agreed(title);
        scene.assert_idle(title);
    }
}
