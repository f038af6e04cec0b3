//! What a server asks for or cannot bear is respected, in this run and in the next; and what the user asks for.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::scene::{Scene, Tolerance};
use crate::support::server::{Fault, Lies, Point, Setup, What};
use crate::support::world::{ACCOUNT, Run, World};

fn at(verb: &str, what: What) -> Fault {
    Fault::new(verb, 1, Point::BeforeExecution, what)
}

fn status(scene: &Scene) -> Run {
    scene.world.run(&["status"])
}

#[test]
fn a_server_that_wants_to_be_left_alone_is() {
    let scene = Scene::new(&Setup::default());
    scene.change();
    let words = "Request is throttled. Suggested Backoff Time: 299980 milliseconds";
    scene.server.inject(at("UID FETCH", What::No(words.into())));
    let run = scene.world.sync(&[]);
    assert_eq!(run.exit, 75, "{run:#?}");
    assert!(run.report.to_string().contains("left alone for 299 s"), "{run:#?}");
    scene.server.heal();
    scene.server.clear();

    let run = scene.world.sync(&[]);
    assert_eq!((run.exit, scene.server.connections()), (75, 0), "{run:#?}");
    let status = status(&scene);
    let problem = &status.problems()[0];
    assert_eq!((status.exit, &problem["reach"]), (1, &"account".into()), "{status:#?}");
    assert!(!problem["next_try"].is_null(), "{status:#?}");
}

#[test]
fn a_short_rest_is_taken_within_the_run() {
    let mut scene = Scene::new(&Setup::default());
    for (verb, words) in [
        ("UID FETCH", "Server Busy. Suggested Backoff Time: 200 milliseconds"),
        ("APPEND", "[LIMIT] slow down"),
        ("EXAMINE", "[THROTTLED] slow down"),
        ("SELECT", "[UNAVAILABLE] in a moment"),
        ("UID STORE", "[INUSE] locked"),
        ("UID EXPUNGE", "[LIMIT] slow down"),
        ("CREATE", "[UNAVAILABLE] in a moment"),
        ("DELETE", "[INUSE] locked"),
    ] {
        let changed = scene.change();
        scene.server.inject(at(verb, What::No(words.into())));
        let struck = scene.server.struck();
        let run = scene.world.sync(&[]);
        assert_eq!((run.exit, scene.server.struck()), (0, struck + 1), "{verb}: {run:#?}");
        scene.server.heal();
        scene.agree(&changed, Tolerance::NONE, words);
    }
}

#[test]
fn a_server_that_bears_no_company_is_asked_one_thing_at_a_time_for_ever_after() {
    let mut scene = Scene::new(&Setup {
        bears_no_company: true,
        ..Setup::default()
    });
    assert_eq!(status(&scene).account()["serial"], true, "the first sync found out");
    let changed = scene.change();
    scene.server.clear();
    scene.world.sync_ok();
    let commands = scene.server.commands();
    let in_company: Vec<String> = commands
        .iter()
        .filter(|e| e.pipelined)
        .map(|e| e.line.clone())
        .collect();
    assert!(in_company.is_empty(), "{in_company:?}");
    scene.agree(&changed, Tolerance::NONE, "one thing at a time");
}

#[test]
fn one_bad_answer_or_one_silence_condemns_nobody() {
    let mut scene = Scene::new(&Setup::default());
    scene.world.set("timeout", "\"1s\"");
    for what in [What::Bad("what?".into()), What::Stall(Duration::from_mins(10))] {
        let changed = scene.change();
        // Bad alone as well as in company; silent once.
        let times = if matches!(what, What::Bad(_)) { usize::MAX } else { 1 };
        let fault = Fault {
            times,
            ..at("UID STORE", what)
        };
        scene.server.inject(fault);
        scene.world.sync(&[]);
        scene.server.heal();
        assert_eq!(status(&scene).account()["serial"], false);
        scene.recover("healed", "");
        scene.agree(&changed, Tolerance::NONE, "healed");
    }
}

/// A key that differs proves nothing: what seems to be on one side only is read before anything is sent (HAZARDS 17).
#[test]
fn a_server_that_does_not_tell_headers_as_they_are_gets_nothing_twice() {
    for arguments in [&["--push"][..], &[]] {
        let mut scene = Scene::new(&Setup::default());
        scene.world.run(&["forget", ACCOUNT]);
        scene.server.lie(Lies {
            withholds_a_field: true,
            ..Lies::default()
        });
        scene.deliver_to("Work", 1, 300);
        scene.server.clear();
        let run = scene.world.sync(arguments);
        assert_eq!((run.exit, run.count("right", "added")), (0, 1), "{run:#?}");
        assert_eq!(scene.server.count("APPEND"), 1, "{}", scene.server.transcript());
        scene.forget_what_was_agreed("met again");
        scene.assert_idle("met again");
    }
}

#[test]
fn a_full_server_is_not_sent_what_cannot_fit() {
    let scene = Scene::new(&Setup {
        quota: Some(8_000),
        ..Setup::default()
    });
    scene.deliver_to("Work", 60, 2_000);
    scene.server.clear();
    let run = scene.world.sync(&[]);
    assert_eq!(run.exit, 1, "{run:#?}");
    assert!(run.report.to_string().contains("room"), "{run:#?}");
    let refused = scene
        .server
        .commands()
        .iter()
        .filter(|e| e.result.contains("OVERQUOTA"))
        .count();
    let named = run.problems().len() as u64;
    assert_eq!(named + run.count("right", "added"), 60, "each is told: {run:#?}");
    assert!(named > refused as u64, "{named} told, {refused} of them sent");
}

/// Messages that go up together are refused together; what could go alone does in the end, and only once.
#[test]
fn one_that_is_refused_does_not_hold_up_those_that_went_with_it() {
    let scene = Scene::new(&Setup {
        append_limit: Some(5_000),
        ..Setup::default()
    });
    scene.deliver_to("Work", 30, 300);
    scene.deliver_to("Work", 1, 6_000);
    scene.deliver_to("Work", 30, 400);
    scene.server.clear();
    let run = scene.world.sync(&[]);
    assert_eq!((run.exit, run.count("right", "added")), (1, 60), "{run:#?}");
    assert_eq!(run.problems().len(), 1, "{run:#?}");
    let commands = scene.server.commands();
    let several = commands.iter().filter(|e| e.line.matches('{').count() > 1);
    assert!(several.count() > 0, "{}", scene.server.transcript());
    let run = scene.world.sync(&[]);
    assert_eq!((run.exit, run.changes()), (0, 0), "{run:#?}");
}

#[test]
fn a_server_that_dribbles_is_not_listened_to_for_ever() {
    let mut scene = Scene::new(&Setup::default());
    for verb in ["LIST", "UID FETCH", "UID STORE", "APPEND"] {
        let dribble = What::Trickle(Duration::from_millis(60));
        scene.survive(&at(verb, dribble), Tolerance::NONE);
    }
}

/// As a computer does that was asleep: time passes, the connection is gone.
#[test]
fn a_run_survives_a_sleep() {
    let mut scene = Scene::new(&Setup::default());
    for verb in ["EXAMINE", "UID FETCH", "APPEND", "UID EXPUNGE"] {
        let changed = scene.change();
        let struck = scene.server.struck();
        scene.server.inject(at(verb, What::Signal(Signal::STOP)));
        let child = scene.world.spawn(&["sync"]);
        scene.server.client_is(child.id());
        let begun = Instant::now();
        while scene.server.struck() == struck {
            assert!(begun.elapsed() < Duration::from_secs(30), "{verb} never came");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(50));
        scene.server.heal();
        scene.server.drop_connections();
        kill(&child, Signal::CONT);
        let run = World::finish(child, begun);
        assert!([0, 1].contains(&run.exit), "{verb}: {run:#?}");
        scene.recover(verb, "");
        scene.agree(&changed, Tolerance::NONE, verb);
    }
}

#[test]
fn the_second_signal_ends_it_at_once() {
    let mut scene = Scene::new(&Setup::default());
    for (signal, exit) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let changed = scene.change();
        let struck = scene.server.struck();
        // What was sent is waited for, whatever the user wants: a minute, if need be.
        scene.server.inject(at("APPEND", What::Stall(Duration::from_mins(10))));
        let mut child = scene.world.spawn(&["sync"]);
        let begun = Instant::now();
        while scene.server.struck() == struck {
            assert!(begun.elapsed() < Duration::from_secs(30), "no APPEND");
            std::thread::sleep(Duration::from_millis(1));
        }
        kill(&child, signal);
        std::thread::sleep(Duration::from_millis(200));
        assert!(
            child.try_wait().unwrap().is_none(),
            "the first one lets it end what it does"
        );
        kill(&child, signal);
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(exit));
        assert!(begun.elapsed() < Duration::from_secs(30));
        scene.server.heal();
        scene.server.settle();
        scene.recover("killed twice", "");
        scene.agree(&changed, Tolerance::NONE, "killed twice");
    }
}

#[test]
fn who_is_stopped_says_where_it_stands() {
    let mut scene = Scene::new(&Setup::default());
    for (verb, says) in [("LIST", "nothing was changed"), ("APPEND", "changes made")] {
        let changed = scene.change();
        scene.server.inject(at(verb, What::Signal(Signal::TERM)));
        let child = scene.world.spawn(&["sync"]);
        scene.server.client_is(child.id());
        let run = World::finish(child, Instant::now());
        assert_eq!((run.exit, &run.account()["exit"]), (143, &75.into()), "{run:#?}");
        let what = run.problems()[0]["what"].to_string();
        assert!(what.contains("stopped") && what.contains(says), "{what}");
        scene.server.heal();
        scene.server.settle();
        scene.recover(says, "");
        scene.agree(&changed, Tolerance::NONE, says);
    }
}

fn kill(child: &std::process::Child, signal: Signal) {
    let process = Pid::from_raw(child.id().cast_signed()).expect("a process");
    kill_process(process, signal).expect("it is there");
}
