//! A server that is away, in its several ways: how the run ends (DESIGN 12), and what it says.

use std::time::Duration;

use crate::say;
use crate::scene::{Scene, Tolerance};
use crate::support::server::{Fault, GREETING, Point, Setup, What};
use crate::support::world::World;

fn always(verb: &str, what: What) -> Fault {
    Fault::always(verb, Point::BeforeExecution, what)
}

/// From the second on: the first connection is let in.
fn from_the_second(what: What) -> Fault {
    Fault {
        times: usize::MAX,
        ..Fault::new(GREETING, 2, Point::BeforeExecution, what)
    }
}

fn once(verb: &str, what: What) -> Fault {
    Fault::new(verb, 1, Point::BeforeExecution, what)
}

fn no(text: &str) -> What {
    What::No(text.into())
}

fn bye(text: &str) -> What {
    What::Bye(text.into())
}

/// What it is called, what the server does, how the run ends, and what it says.
type Row = (&'static str, Vec<Fault>, i32, &'static str);

/// Scenes that go through the rows side by side.
const SCENES: usize = 6;

#[test]
fn each_ends_as_it_should() {
    let gone = || from_the_second(What::Cut);
    let hang = || What::Stall(Duration::from_mins(10));
    #[rustfmt::skip]
    let rows: Vec<Row> = vec![
        ("turned away",                   vec![always(GREETING, bye("[UNAVAILABLE] maintenance"))], 75, "turns us away: maintenance"),
        ("cut at the greeting",           vec![always(GREETING, What::Cut)], 75, ""),
        ("silent at the greeting",        vec![always(GREETING, hang())], 75, ""),
        ("login refused",                 vec![always("AUTHENTICATE", no("[AUTHENTICATIONFAILED] no"))], 77, "no"),
        ("login refused without a code",  vec![always("AUTHENTICATE", no("no"))], 77, "no"),
        ("login not possible now",        vec![always("AUTHENTICATE", no("[UNAVAILABLE] no database"))], 75, "no database"),
        ("too many connections",          vec![always("AUTHENTICATE", no("[LIMIT] enough"))], 75, "enough"),
        ("cut at the login",              vec![always("AUTHENTICATE", What::Cut)], 75, ""),
        ("thrown out at the login",       vec![always("AUTHENTICATE", bye("[UNAVAILABLE] down"))], 75, "down"),
        ("lost at the listing, away",     vec![once("LIST", What::Cut), gone()], 75, ""),
        ("lost in mid-run, away",         vec![once("EXAMINE", What::Cut), gone()], 75, ""),
        ("lost while fetching, away",     vec![once("UID FETCH", What::Cut), gone()], 75, ""),
        ("lost while sending, away",      vec![once("APPEND", What::Cut), gone()], 75, ""),
        ("lost after sending, away",      vec![once("APPEND", What::TaggedOkLost), gone()], 75, ""),
        ("lost while marking, away",      vec![once("UID STORE", What::Cut), gone()], 75, ""),
        ("lost while expunging, away",    vec![once("UID EXPUNGE", What::Cut), gone()], 75, ""),
        ("lost while making, away",       vec![once("CREATE", What::Cut), gone()], 75, ""),
        ("thrown out in mid-run, away",   vec![once("APPEND", bye("[UNAVAILABLE] down")), from_the_second(bye("[UNAVAILABLE] down"))], 75, "down"),
        ("silent in mid-run, away",       vec![once("APPEND", hang()), from_the_second(hang())], 75, ""),
        ("no listing now",                vec![always("LIST", no("[UNAVAILABLE] no database"))], 75, "no database"),
        ("no reading now",                vec![always("EXAMINE", no("[UNAVAILABLE] no database"))], 75, "no database"),
        ("no sending now",                vec![always("APPEND", no("[UNAVAILABLE] no database"))], 75, "no database"),
        ("no sending",                    vec![always("APPEND", no("something is wrong"))], 1, "something is wrong"),
        ("throttled",                     vec![always("APPEND", no("[THROTTLED] slowly"))], 75, "slowly"),
    ];
    // Most of the time is spent waiting for a server that does not come back.
    let wrong = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..SCENES)
            .map(|nth| {
                let rows: Vec<Row> = rows.iter().skip(nth).step_by(SCENES).cloned().collect();
                scope.spawn(move || walk(rows))
            })
            .collect();
        let ended = parts
            .into_iter()
            .map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.flatten().collect::<Vec<_>>()
    });
    say(&format!("faults: {} outages", rows.len()));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with how these end.
fn walk(rows: Vec<Row>) -> Vec<String> {
    let mut scene = Scene::new(&Setup::default());
    scene.settle_in();
    let mut wrong = Vec::new();
    for (title, faults, exit, says) in rows {
        let changed = scene.change();
        let struck = scene.server.struck();
        for fault in faults {
            scene.server.inject(fault);
        }
        scene.world.set("timeout", "\"1s\"");
        let run = scene.world.sync(&[]);
        if run.exit != exit || !run.report.to_string().contains(says) || scene.server.struck() == struck {
            wrong.push(format!(
                "{title}: {} instead of {exit}: {}",
                run.exit,
                run.account()["problems"]
            ));
        }
        scene.server.heal();
        scene.world.set("timeout", "\"60s\"");
        scene.server.settle();
        scene.recover(title, &run.stderr);
        scene.agree(&changed, Tolerance::NONE, title);
    }
    wrong
}

#[test]
fn nobody_is_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = free.expect("a port").port();
    for (host, says) in [("127.0.0.1", "cannot be reached"), ("mail.invalid", "mail.invalid")] {
        let mut world = World::in_memory(port, "user");
        world.set("host", &format!("{host:?}"));
        world.set("tls", "\"implicit\"");
        let run = world.sync(&[]);
        assert_eq!(run.exit, 75, "{host}: {run:#?}");
        assert!(run.report.to_string().contains(says), "{host}: {run:#?}");
    }
}
