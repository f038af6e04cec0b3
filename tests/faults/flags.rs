//! Flags that a server does not hold, and such as another client changes in the moment in which they are set (HAZARDS 14).

use crate::scene::{Scene, Tolerance};
use crate::support::server::{Fault, Lies, Permanent, Point, Setup, What};
use crate::support::world::local;

/// The letters that a message gets on disk: first, and then.
type Change = (&'static str, &'static str);

const SET: Change = ("", "FS");
const CLEARED: Change = ("FRS", "R");

fn setups() -> [Setup; 2] {
    [Setup::default(), Setup::bare()]
}

fn set_letters(scene: &Scene, letters: &str) {
    let inbox = scene.world.maildir.join("INBOX");
    local::set_letters(&local::messages(&inbox)[0], &letters.chars().collect());
}

/// How many messages of the INBOX have the flag: on disk, and on the server.
fn having(scene: &Scene, flag: &str) -> [usize; 2] {
    let flags = |account: crate::support::witness::Account| {
        let inbox = account.mailbox("INBOX");
        inbox.keys().filter(|message| message.flags.contains(flag)).count()
    };
    [flags(scene.world.look()), flags(scene.look_at_server())]
}

/// Another client takes the change back, in each message.
fn take_back((before, _): Change) -> What {
    let set = !before.is_empty();
    What::on_mailbox("take it back", move |account, name| {
        let uids: Vec<u32> = account.mailbox(name).messages.keys().copied().collect();
        for uid in uids {
            let answered = account.mailbox(name).message(uid).flags.has("\\Answered");
            match set {
                true if answered => account.flag(name, uid, &["\\Flagged"], &[]),
                true => {}
                false => account.flag(name, uid, &[], &["\\Flagged"]),
            }
        }
    })
}

#[test]
fn taken_back_in_that_moment() {
    for setup in setups() {
        for change in [SET, CLEARED] {
            for times in [1, 2, 3, 5] {
                let title = format!("{change:?} taken back {times} times");
                let mut scene = Scene::new(&setup);
                set_letters(&scene, change.0);
                scene.world.sync_ok();
                scene.forget_what_was_agreed(&title);
                set_letters(&scene, change.1);
                let fault = Fault::new("UID STORE", 1, Point::AfterExecution, take_back(change));
                let struck = scene.server.struck();
                scene.server.inject(Fault { times, ..fault });
                scene.world.sync_ok();
                assert!(scene.server.struck() > struck, "{title}");
                scene.server.heal();
                scene.world.sync_ok();
                if times < 3 {
                    scene.agree(&crate::scene::Changed::default(), Tolerance::NONE, &title);
                }
                scene.assert_idle(&title);
            }
        }
    }
}

/// What is not in PERMANENTFLAGS is not sent, and stays on disk; its absence there is no change.
#[test]
fn one_that_the_mailbox_does_not_hold() {
    for setup in setups() {
        let held = ["\\Seen", "\\Answered", "\\Deleted", "\\Draft"].map(String::from);
        let scene = Scene::new(&Setup {
            permanent: Permanent::Only(held.into()),
            ..setup
        });
        set_letters(&scene, "FS");
        scene.server.clear();
        scene.world.sync_ok();
        let sent = scene.server.transcript();
        assert!(
            !sent.contains("+FLAGS (\\Flagged") && sent.contains("+FLAGS (\\Seen)"),
            "{sent}"
        );
        scene.assert_idle("PERMANENTFLAGS without one");
        assert_eq!(
            (having(&scene, "\\flagged"), having(&scene, "\\seen")),
            ([1, 0], [1, 1])
        );
        // What comes with another change is as it was.
        set_letters(&scene, "FRS");
        scene.world.sync_ok();
        scene.assert_idle("PERMANENTFLAGS without one");
        assert_eq!(
            (having(&scene, "\\flagged"), having(&scene, "\\answered")),
            ([1, 0], [1, 1])
        );
    }
}

/// A server that says OK and keeps nothing is asked again in that run, and not in each that follows.
#[test]
fn one_that_the_server_does_not_keep() {
    for setup in setups() {
        let scene = Scene::new(&setup);
        scene.server.lie(Lies {
            drops_flags: true,
            ..Lies::default()
        });
        set_letters(&scene, "FS");
        scene.world.sync_ok();
        scene.assert_idle("OK and nothing kept");
        assert_eq!(scene.server.count("UID STORE"), 0);
        assert_eq!(having(&scene, "\\flagged"), [1, 0]);
    }
}

/// The mailbox lets these be set from now on, and another client sees to it that it is opened. Gives how many STOREs the run
/// that follows sends.
fn opened_with(scene: &Scene, permanent: &Permanent) -> usize {
    scene.server.with("user", |account| {
        account.mailbox_mut("INBOX").permanent = permanent.clone();
        let uid = *account.mailbox("INBOX").messages.keys().next_back().expect("a message");
        let answered: &[&str] = &["\\Answered"];
        if account.mailbox("INBOX").message(uid).flags.has("\\Answered") {
            account.flag("INBOX", uid, &[], answered);
        } else {
            account.flag("INBOX", uid, answered, &[]);
        }
    });
    scene.server.clear();
    scene.world.sync_ok();
    scene.server.count("UID STORE")
}

/// What a mailbox comes to let be set is set there as soon as it is opened, and asked for no more often than that changes.
#[test]
fn one_that_the_mailbox_comes_to_hold() {
    let system = Permanent::Only(
        ["\\Seen", "\\Answered", "\\Deleted", "\\Draft"]
            .map(String::from)
            .into(),
    );
    // what is set | what the mailbox lets be set first | keywords are refused then
    let rows = [
        ("\\flagged", &system, false),
        ("todo", &system, false),
        ("todo", &Permanent::Any, true),
    ];
    for (setup, (flag, first, refuses_keywords)) in setups().iter().flat_map(|s| rows.map(|row| (s, row))) {
        let title = format!("{flag}, {first:?}");
        let lies = Lies {
            refuses_keywords,
            ..Lies::default()
        };
        let scene = Scene::new(&Setup {
            permanent: first.clone(),
            lies,
            ..setup.clone()
        });
        let letter = match flag {
            "\\flagged" => 'F',
            keyword => local::letter_of(&scene.world.maildir.join("INBOX"), keyword).expect("a letter"),
        };
        set_letters(&scene, &format!("S{letter}"));
        scene.world.sync_ok();
        scene.assert_idle(&title);
        for permanent in [first, &system, &system] {
            assert_eq!(opened_with(&scene, permanent), 0, "{title}");
            assert_eq!(having(&scene, flag), [1, 0], "{title}");
            scene.server.lie(Lies::default());
        }
        assert_eq!(opened_with(&scene, &Permanent::Any), 1, "{title}");
        assert_eq!(having(&scene, flag), [1, 1], "{title}");
        scene.assert_idle(&title);
        assert_eq!(opened_with(&scene, &Permanent::Any), 0, "{title}");
    }
}

/// What is not kept though the mailbox says that it lets it be set is asked for each time that it says so anew.
#[test]
fn one_that_the_mailbox_only_says_to_hold() {
    for setup in setups() {
        let less = Permanent::Only(["\\Seen", "\\Answered"].map(String::from).into());
        let scene = Scene::new(&Setup {
            permanent: less.clone(),
            ..setup
        });
        set_letters(&scene, "FS");
        scene.world.sync_ok();
        scene.server.lie(Lies {
            drops_flags: true,
            ..Lies::default()
        });
        for _ in 0..2 {
            assert!(opened_with(&scene, &Permanent::Any) > 0);
            scene.assert_idle("said and not done");
            for permanent in [&Permanent::Any, &less] {
                assert_eq!(opened_with(&scene, permanent), 0);
            }
            assert_eq!(having(&scene, "\\flagged"), [1, 0]);
        }
    }
}

/// One flag is dropped, then another one when the mailbox has come to hold the first, which nobody has looked for yet.
#[test]
fn two_that_the_mailbox_comes_to_hold_one_by_one() {
    let only = |names: &[&str]| Permanent::Only(names.iter().map(ToString::to_string).collect());
    for setup in setups() {
        let scene = Scene::new(&Setup {
            permanent: only(&["\\Answered"]),
            ..setup
        });
        let messages = local::messages(&scene.world.maildir.join("INBOX"));
        local::set_letters(&messages[0], &['F'].into());
        scene.world.sync_ok();
        let some = only(&["\\Answered", "\\Flagged"]);
        scene
            .server
            .with("user", |account| account.mailbox_mut("INBOX").permanent = some.clone());
        local::set_letters(&messages[1], &['D'].into());
        scene.world.sync_ok();
        opened_with(&scene, &some);
        assert_eq!(
            (having(&scene, "\\flagged"), having(&scene, "\\draft")),
            ([1, 1], [1, 0])
        );
        assert_eq!(opened_with(&scene, &Permanent::Any), 1);
        assert_eq!(having(&scene, "\\draft"), [1, 1]);
        scene.assert_idle("one by one");
    }
}

/// Why only one side has a message marked as deleted cannot be told by then: it is not marked.
#[test]
fn deleted_that_the_mailbox_comes_to_hold() {
    for setup in setups() {
        let scene = Scene::new(&Setup {
            permanent: Permanent::Only(["\\Seen", "\\Answered"].map(String::from).into()),
            ..setup
        });
        set_letters(&scene, "FT");
        scene.world.sync_ok();
        assert_eq!(opened_with(&scene, &Permanent::Any), 1);
        assert_eq!(
            (having(&scene, "\\flagged"), having(&scene, "\\deleted")),
            ([1, 1], [1, 0])
        );
        scene.assert_idle("marked on disk only");
    }
}
