//! The wire is not idle: what need not wait for an answer does not.

use std::fs;

use crate::changes::Writer;
use crate::scene::Scene;
use crate::support::dovecot::Dovecot;
use crate::support::world::local;

/// Mailboxes with little to do in each. One connection, so that all can be counted.
#[test]
fn a_mailbox_costs_one_round_trip() {
    const MAILBOXES: [&str; 10] = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "flights");
    scene.world.set("connections", "1");
    Writer::without_marks(1).fill(&scene, &MAILBOXES, 4);
    scene.sync_to_equal(&[], "first pull");
    for name in MAILBOXES {
        let files = scene.files(name);
        let mut letters = local::letters(&files[0]);
        letters.insert('D');
        local::set_letters(&files[0], &letters);
        fs::remove_file(&files[1]).expect("a file");
    }
    scene.proxy.take();
    let (run, _) = scene.sync_to_equal(&["--allow-deletes"], "flags and removals");
    assert_eq!(
        (run.count("right", "flags"), run.count("right", "removed")),
        (10, 10),
        "{run:#?}"
    );
    let traffic = scene.proxy.take();
    assert_eq!(
        (
            traffic.count("SELECT"),
            traffic.count("STORE"),
            traffic.count("EXPUNGE")
        ),
        (10, 20, 10),
        "{traffic:#?}"
    );
    // Besides one for each mailbox: login, list, the first SELECT; and one to spare for the statuses after the last change.
    let trips = run.account()["wire"]["round_trips"].as_u64().expect("a number");
    assert!(trips <= 10 + 4, "{trips} round trips: {traffic:#?}");
}
