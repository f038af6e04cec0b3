//! One way only, looking only, and one run at a time.

use std::fs;
use std::time::{Duration, Instant};

use crate::changes::Writer;
use crate::scene::Scene;
use crate::support::dovecot::Dovecot;
use crate::support::proxy::Proxy;
use crate::support::witness::Account;
use crate::support::world::{World, local, remote};

/// An account in sync, then changed on both sides: on disk a message more, one less, one flagged; on the server likewise.
fn changed<'a>(dovecot: &'a Dovecot, user: &str) -> Scene<'a> {
    let mut scene = Scene::new(dovecot, user);
    let mut writer = Writer::new(41);
    writer.fill(&scene, &["INBOX", "Work"], 30);
    scene.sync_to_equal(&[], "first pull");
    scene.deliver("INBOX", "from disk");
    let files = scene.files("INBOX");
    fs::remove_file(&files[3]).unwrap();
    let mut letters = local::letters(&files[5]);
    letters.extend(['F', 'R']);
    local::set_letters(&files[5], &letters);
    local::create(&scene.dir("Made on disk"));

    let mut session = scene.server.session();
    let uids = remote::uids(&mut session, "Work");
    remote::remove(&mut session, uids[3]);
    remote::store(&mut session, uids[5], "+FLAGS.SILENT (\\Flagged \\Answered todo)");
    writer.fill(&scene, &["Made on the server"], 2);
    scene.proxy.take();
    scene
}

#[track_caller]
fn assert_equal(before: &Account, after: &Account, what: &str) {
    assert_eq!(before.difference("before", after, "after"), "", "{what}");
}

#[test]
fn pull_leaves_the_server_alone() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = changed(dovecot, "pull");
    let (server, disk) = (scene.server.look(), scene.world.look());
    let run = scene.world.sync(&["--pull"]);
    assert_eq!(run.exit, 0, "{run:#?}");
    assert_eq!(scene.proxy.take().changing(), Vec::<&str>::new());
    assert_equal(&server, &scene.server.look(), "the server");
    let pulled = scene.world.look();
    assert_eq!(pulled.count("Work"), disk.count("Work") - 1);
    assert_eq!(pulled.count("Made on the server"), 2);
    assert!(
        pulled.names().contains(&"Made on disk".to_owned()),
        "what was made on disk stays there"
    );
    scene.sync_to_equal(&[], "the next run both ways carries what waited");
    assert_eq!(scene.server.look().count("INBOX"), 30);
    scene.nothing_left("both ways");
}

#[test]
fn push_leaves_the_disk_alone() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = changed(dovecot, "push");
    let (server, disk) = (scene.server.look(), scene.world.look());
    let run = scene.world.sync(&["--push"]);
    assert_eq!(run.exit, 0, "{run:#?}");
    assert_equal(&disk, &scene.world.look(), "the disk");
    let pushed = scene.server.look();
    assert_eq!(pushed.count("INBOX"), server.count("INBOX"), "one more, one less");
    assert_eq!(pushed.count("Work"), server.count("Work"));
    assert!(pushed.names().contains(&"Made on disk".to_owned()));
    let (_, account) = scene.sync_to_equal(&[], "the next run both ways carries what waited");
    assert_eq!((account.count("Work"), account.count("Made on the server")), (29, 2));
    scene.nothing_left("both ways");
}

#[test]
fn a_dry_run_changes_nothing_and_says_what_the_next_run_does() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = changed(dovecot, "dry");
    let (server, files) = (scene.server.look(), local::listing(&scene.world.maildir));
    let dry = scene.world.sync(&["--dry-run"]);
    assert_eq!(dry.exit, 0, "{dry:#?}");
    assert_eq!(scene.proxy.take().changing(), Vec::<&str>::new());
    assert_equal(&server, &scene.server.look(), "the server");
    assert_eq!(local::listing(&scene.world.maildir), files, "the disk");
    let plan = dry.account()["plan"]
        .as_array()
        .unwrap_or_else(|| panic!("no plan in {dry:#?}"));
    assert!(
        plan.len() >= 6
            && plan
                .iter()
                .all(|step| step["why"].as_str().is_some_and(|w| !w.is_empty())),
        "{plan:#?}"
    );

    let (run, _) = scene.sync_to_equal(&[], "for real");
    for side in ["left", "right"] {
        assert_eq!(dry.account()[side], run.account()[side], "{side} as planned");
    }
    assert!(
        run.count("right", "added") == 1 && run.count("left", "removed") == 1,
        "{run:#?}"
    );
    let dry = scene.world.sync(&["--dry-run"]);
    assert_eq!((dry.exit, dry.changes()), (0, 0), "{dry:#?}");
    assert!(dry.account()["plan"].as_array().is_some_and(Vec::is_empty), "{dry:#?}");
}

#[test]
fn a_dry_run_before_the_first_sync_makes_nothing() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "dry-first");
    Writer::new(42).fill(&scene, &["INBOX", "Work"], 5);
    let dry = scene.world.sync(&["--dry-run"]);
    assert_eq!((dry.exit, dry.count("left", "added")), (0, 10), "{dry:#?}");
    assert!(!scene.world.maildir.exists());
    let (run, _) = scene.sync_to_equal(&[], "for real");
    assert_eq!(run.account()["left"], dry.account()["left"]);
}

#[test]
fn one_run_at_a_time() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "lock");
    Writer::new(43).fill(&scene, &["INBOX"], 20);
    let slow = Proxy::to(dovecot.port, Duration::from_millis(250));
    scene.world.set("port", &slow.port.to_string());
    let first = scene.world.spawn(&["sync"]);
    let begun = Instant::now();
    while slow.peek_connections() == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the first run never connects"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = scene.world.sync(&[]);
    assert_eq!(second.exit, 75, "{second:#?}");
    assert!(second.took < Duration::from_secs(1), "at once: {second:#?}");
    let third = scene.world.sync(&["--wait", "60"]);
    assert_eq!(
        (third.exit, third.changes()),
        (0, 0),
        "it waits, and finds nothing left to do: {third:#?}"
    );
    let first = World::finish(first, begun);
    assert_eq!((first.exit, first.count("left", "added")), (0, 20), "{first:#?}");
}
