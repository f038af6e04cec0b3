//! `expunge-marked`: what both sides hold marked as deleted is removed from both, under the guards.

use std::path::Path;

use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, Variant};
use crate::support::world::{Run, local, remote};

/// An account of so many messages in its INBOX, in sync.
fn in_sync<'a>(dovecot: &'a Dovecot, user: &str, messages: usize) -> Scene<'a> {
    let mut scene = Scene::new(dovecot, user);
    local::create(&scene.dir("INBOX"));
    for nth in 1..=messages {
        scene.deliver("INBOX", &format!("number {nth}"));
    }
    scene.sync_to_equal(&["--push"], "first upload");
    let attic = scene.world.home().join("attic");
    scene
        .world
        .set("attic", &format!("{:?}", attic.to_str().expect("UTF-8")));
    scene
}

fn mark(scene: &Scene, mailbox: &str, count: usize) {
    for file in scene.files(mailbox).into_iter().take(count) {
        local::set_letters(&file, &['S', 'T'].into());
    }
}

fn removed(run: &Run) -> [u64; 2] {
    [run.count("left", "removed"), run.count("right", "removed")]
}

/// How many files wait in the attic.
fn in_attic(scene: &Scene) -> usize {
    fn files(dir: &Path) -> usize {
        let entries = std::fs::read_dir(dir).into_iter().flatten();
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
    }
    files(&scene.world.home().join("attic"))
}

#[test]
fn what_is_marked_on_either_side_is_removed_from_both() {
    let variants = [Variant::default(), Variant::masked("UIDPLUS MOVE")];
    for (nth, variant) in variants.iter().enumerate() {
        let Some(dovecot) = Dovecot::own(variant) else { return };
        let mut scene = in_sync(&dovecot, &format!("marked{nth}"), 8);
        mark(&scene, "INBOX", 2);
        let (run, account) = scene.sync_to_equal(&[], "a mark is a flag");
        assert_eq!((removed(&run), account.len()), ([0, 0], 8), "{run:#?}");

        scene.world.set("expunge-marked", "true");
        let (run, account) = scene.sync_to_equal(&[], "it is to be removed");
        assert_eq!(
            (removed(&run), account.len(), in_attic(&scene)),
            ([2, 2], 6, 2),
            "{run:#?}"
        );
        let mut session = scene.server.session();
        let uids = remote::uids(&mut session, "INBOX");
        remote::store(&mut session, uids[5], "+FLAGS.SILENT (\\Deleted)");
        let (run, account) = scene.sync_to_equal(&[], "marked on the server");
        assert_eq!(
            (removed(&run), account.len(), in_attic(&scene)),
            ([1, 1], 5, 3),
            "{run:#?}"
        );
        scene.nothing_left("what is marked is gone");

        scene.world.set("trash", "\"Trash\"");
        mark(&scene, "INBOX", 1);
        let (run, account) = scene.sync_to_equal(&[], "and into the trash");
        assert_eq!((removed(&run), run.count("right", "moved")), ([1, 0], 1), "{run:#?}");
        assert_eq!((account.count("INBOX"), account.count("Trash")), (4, 1));
        scene.nothing_left("it stays in the trash");
    }
}

#[test]
fn much_that_is_marked_is_held_back() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = in_sync(dovecot, "marked-much", 40);
    scene.world.set("expunge-marked", "true");
    mark(&scene, "INBOX", 25);
    for when in ["marked", "held since"] {
        let run = scene.world.sync(&[]);
        assert_eq!((run.exit, removed(&run)), (3, [0, 0]), "{when}: {run:#?}");
        let held = &run.held_back()[0];
        assert_eq!(
            (&held["guard"], &held["count"]),
            (&"expunge-marked".into(), &25.into()),
            "{when}"
        );
        let status = scene.world.run(&["status"]);
        assert_eq!(
            (status.exit, &status.held_back()[0]["count"]),
            (3, &25.into()),
            "{when}: {status:#?}"
        );
    }
    // Arrivals do not make it less.
    for nth in 41..=120 {
        scene.deliver("INBOX", &format!("number {nth}"));
    }
    let run = scene.world.sync(&[]);
    assert_eq!(
        (run.exit, removed(&run), run.count("right", "added")),
        (3, [0, 0], 80),
        "{run:#?}"
    );
    let (run, account) = scene.sync_to_equal(&["--allow-deletes"], "approved");
    assert_eq!(
        (removed(&run), account.len(), in_attic(&scene)),
        ([25, 25], 95, 25),
        "{run:#?}"
    );
    assert_eq!(scene.world.run(&["status"]).exit, 0);
    scene.nothing_left("at the end");
}
