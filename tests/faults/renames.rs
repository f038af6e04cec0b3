//! Renamed mailboxes on servers of every kind, and renames that break off at any command.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::say;
use crate::scene::{Scene, mail};
use crate::support::server::{Account, Fault, Point, Setup, What, When, points};
use crate::support::world::{Run, local};

const USER: &str = "user";

/// Work and the mailboxes of a tree, with mail in each but `Tree`, which is a level only.
fn scene(setup: &Setup) -> Scene {
    let mut scene = Scene::new(setup);
    scene.server.with(USER, |account| {
        for mailbox in ["Tree/a", "Tree/b"] {
            account.create(mailbox);
            for number in 0..3 {
                account.deliver(mailbox, &mail(&format!("{mailbox} {number}")));
            }
        }
    });
    scene.world.sync_ok();
    // What was pulled is seen once more: under what it can be known again.
    scene.world.sync_ok();
    scene.server.clear();
    scene.forget_what_was_agreed("with a tree");
    scene
}

fn move_directory(scene: &Scene, from: &str, to: &str) {
    let [from, to] = [from, to].map(|name| scene.world.maildir.join(name));
    fs::create_dir_all(to.parent().expect("a parent")).expect("the level above");
    fs::rename(from, to).expect("a rename");
}

/// No body went over the wire, either way.
#[track_caller]
fn assert_no_bodies(scene: &Scene, when: &str) {
    let commands = scene.server.commands();
    // Only homing's tags begin with H; the witness reads everything.
    let ours = commands.iter().filter(|entry| entry.tag.starts_with('H'));
    let is_body = |line: &&str| line.contains("BODY.PEEK[]") || line.starts_with("APPEND");
    let bodies: Vec<&str> = ours.map(|entry| entry.line.as_str()).filter(is_body).collect();
    assert!(bodies.is_empty(), "{when}: {bodies:#?}\n{}", scene.server.transcript());
}

#[track_caller]
fn counts(run: &Run, side: &str) -> (u64, u64) {
    (run.count(side, "mailboxes_renamed"), run.count(side, "moved"))
}

fn id(scene: &Scene, mailbox: &str) -> u64 {
    scene.server.account(USER).mailbox(mailbox).id
}

#[test]
fn every_kind_of_server() {
    let void = |setup| Setup {
        renames_void_uids: true,
        ..setup
    };
    let named = || Setup::default().with(&["OBJECTID"]);
    // Mailboxes renamed and messages moved, for a rename on the server and for one on disk.
    let rows = [
        ("it has what most have", Setup::default(), (1, 0), (1, 0)),
        ("it names mailboxes for good", named(), (1, 0), (1, 0)),
        ("it does, and a rename voids UIDs", void(named()), (1, 0), (1, 0)),
        ("it has no extensions", Setup::bare(), (1, 0), (1, 0)),
        (
            "neither, and a rename voids UIDs: the messages move",
            void(Setup::bare()),
            (0, 5),
            (1, 0),
        ),
        (
            "all mailboxes share a UIDVALIDITY, and have names for good",
            Setup {
                one_validity: true,
                ..named()
            },
            (1, 0),
            (1, 0),
        ),
    ];
    for (what, setup, there, here) in rows {
        let scene = scene(&setup);
        scene.server.with(USER, |account| account.rename("Work", "Job"));
        let run = scene.world.sync_ok();
        assert_eq!(counts(&run, "left"), there, "{what}: {}", scene.server.transcript());
        assert_no_bodies(&scene, what);
        scene.assert_same(what);
        scene.world.sync_ok();
        let before = id(&scene, "Job");
        move_directory(&scene, "Job", "Old/Work & such");
        let run = scene.world.sync_ok();
        assert_eq!(counts(&run, "right"), here, "{what}: {}", scene.server.transcript());
        assert_eq!(
            (id(&scene, "Old/Work & such"), scene.server.count("RENAME")),
            (before, 1),
            "{what}"
        );
        // Where the UIDs are void now, the messages are paired again by what they are.
        scene.world.sync_ok();
        assert_no_bodies(&scene, what);
        scene.assert_same(what);
        scene.assert_idle(what);
    }
}

#[test]
fn with_everything_else_at_once() {
    let scene = scene(&Setup::default());
    // Renamed on the server with new mail, flags and a removal in it; a new mailbox in its place; one below it renamed on disk.
    scene.server.with(USER, |account: &mut Account| {
        account.rename("Work", "Job");
        account.deliver("Job", &mail("new in a renamed mailbox"));
        account.create("Work");
        account.deliver("Work", &mail("new in a new mailbox of that name"));
    });
    let work = local::messages(&scene.world.maildir.join("Work"));
    local::set_letters(&work[0], &"FRS".chars().collect());
    fs::remove_file(&work[1]).expect("a removal");
    move_directory(&scene, "Tree/a", "Tree/c");
    let run = scene.world.sync_ok();
    let told = (counts(&run, "left"), counts(&run, "right"));
    assert_eq!(told, ((1, 0), (1, 0)), "{run:#?}");
    assert_eq!(
        (run.count("left", "added"), run.count("left", "mailboxes_created")),
        (2, 1),
        "{run:#?}"
    );
    assert_eq!(
        (run.count("right", "flags"), run.count("right", "removed")),
        (1, 1),
        "{run:#?}"
    );
    scene.assert_same("everything at once");
    scene.assert_idle("everything at once");
}

#[test]
fn conflicts() {
    let scene = scene(&Setup::default());
    // Renamed on both sides: the right's name wins.
    scene.server.with(USER, |account| account.rename("Work", "Right"));
    move_directory(&scene, "Work", "Left");
    let run = scene.world.sync_ok();
    assert_eq!(counts(&run, "left"), (1, 0), "{run:#?}");
    assert!(scene.world.maildir.join("Right/cur").is_dir());
    // Renamed on one, deleted on the other: the rename wins.
    scene.server.with(USER, |account| account.delete("Right"));
    move_directory(&scene, "Right", "Kept");
    let run = scene.world.sync_ok();
    assert_eq!(
        (run.count("left", "removed"), run.count("right", "added")),
        (0, 5),
        "{run:#?}"
    );
    scene.assert_same("renamed and deleted");
    scene.assert_idle("renamed and deleted");
    // Two mailboxes that want one name: the messages meet there.
    scene.server.with(USER, |account| account.rename("Kept", "One"));
    move_directory(&scene, "Tree/a", "One");
    scene.server.clear();
    let (mut run, mut runs) = (scene.world.sync_ok(), 1);
    while run.changes() > 0 && runs < 4 {
        (run, runs) = (scene.world.sync_ok(), runs + 1);
    }
    assert_no_bodies(&scene, "two that want one name");
    scene.assert_same("two that want one name");
    assert_eq!(local::messages(&scene.world.maildir.join("One")).len(), 8);
    scene.assert_idle("two that want one name");
}

#[test]
fn policies_and_the_map() {
    let mut scene = scene(&Setup::default());
    move_directory(&scene, "Work", "Job");
    let run = scene.world.sync(&["--pull"]);
    assert_eq!((run.exit, run.changes()), (0, 0), "kept: {run:#?}");
    scene
        .server
        .with(USER, |account| account.deliver("Work", &mail("after the rename")));
    let run = scene.world.sync(&["--pull"]);
    assert_eq!(
        (run.exit, run.count("left", "added")),
        (0, 1),
        "under two names: {run:#?}"
    );
    assert_eq!(local::messages(&scene.world.maildir.join("Job")).len(), 6);

    let run = scene.world.sync(&["--dry-run"]);
    let plan: &Value = &run.account()["plan"];
    let line = |key: &str| plan[0][key].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        [line("action"), line("on"), line("mailbox"), line("to"), line("why")],
        ["rename-mailbox", "right", "Work", "Job", "renamed on the left"],
        "{plan:#?}"
    );
    assert_eq!(
        (run.count("right", "mailboxes_renamed"), scene.server.count("RENAME")),
        (1, 0)
    );
    let run = scene.world.sync_ok();
    assert_eq!(counts(&run, "right"), (1, 0), "what was kept is carried over: {run:#?}");
    scene.assert_same("after the policies");

    scene.server.clear();
    scene.world.set("map", r#"{"Job" = "Mapped/Job"}"#);
    let run = scene.world.sync_ok();
    assert_eq!(counts(&run, "left"), (1, 0), "a changed map: {run:#?}");
    assert_eq!(local::messages(&scene.world.maildir.join("Mapped/Job")).len(), 6);
    assert_eq!(scene.server.changing().len(), 0);
    assert_no_bodies(&scene, "a changed map");
    scene.assert_idle("a changed map");
}

/// Swaps two mailboxes on disk, and renames a level with two mailboxes below it.
fn change(scene: &Scene, step: usize) {
    move_directory(scene, "Work", "Aside");
    move_directory(scene, "Archive/2026", "Work");
    move_directory(scene, "Aside", "Archive/2026");
    let names = ["Tree/a", "Wood/a"];
    move_directory(scene, names[step % 2], names[(step + 1) % 2]);
}

fn survive(scene: &Scene, step: usize, when: &When, what: &What) -> usize {
    let title = format!("{what:?} at {when:?}");
    let before = [id(scene, "Work"), id(scene, "Archive/2026")];
    change(scene, step);
    scene.server.clear();
    let struck = scene.server.struck();
    scene.server.inject(Fault {
        when: when.clone(),
        what: what.clone(),
        times: 1,
    });
    let (_, said) = scene.run_under(what);
    scene.server.heal();
    scene.server.settle();
    scene.recover(&title, &said);
    scene.assert_same(&title);
    assert_no_bodies(scene, &title);
    let after = [id(scene, "Archive/2026"), id(scene, "Work")];
    assert_eq!(after, before, "{title}: no rename\n{}", scene.server.transcript());
    scene.assert_idle(&title);
    scene.server.struck() - struck
}

#[test]
fn broken_off_anywhere() {
    let faults = |when: &When| match when.point {
        Point::BeforeExecution => vec![What::Cut, What::ExecuteAfterCut(Duration::from_millis(40))],
        Point::AfterExecution => vec![What::Cut, What::TaggedOkLost, What::Signal(Signal::KILL)],
        _ => vec![],
    };
    for setup in [Setup::default().with(&["OBJECTID"]), Setup::bare()] {
        let scene = scene(&setup);
        change(&scene, 0);
        scene.server.clear();
        scene.world.sync_ok();
        let run = points(&scene.server.commands());
        let about = ["RENAME", "SUBSCRIBE", "LIST"];
        let (mut walked, mut struck) = (0, 0);
        for when in run.iter().filter(|when| about.contains(&when.verb.as_str())) {
            for what in faults(when) {
                walked += 1;
                struck += survive(&scene, walked, when, &what);
            }
        }
        say(&format!("faults: renames: {walked} points walked, {struck} struck"));
        assert!(
            struck * 10 >= walked * 7,
            "most faults must strike: {struck} of {walked}"
        );
    }
}
