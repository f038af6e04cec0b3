//! Everything that can go wrong with a server, at every command of a sync; then a clean run, and all must be well.
//!
//! Each test walks one kind of fault: it changes both sides, lets the fault strike one point of the sync that follows,
//! heals the server and syncs again. Then both sides hold the same, nothing is lost, nothing is doubled, and a further
//! run changes nothing. One scene goes through all points of its walk, so that each starts from what the last one left.

#[cfg(target_os = "linux")]
mod disk;
#[cfg(target_os = "linux")]
mod exports;
mod flags;
mod lies;
mod manners;
mod marks;
mod outages;
#[cfg(target_os = "linux")]
mod places;
mod read_only;
mod renames;
mod scene;
#[cfg(target_os = "linux")]
mod waiting;
#[cfg(target_os = "linux")]
mod weekly;
#[path = "../support"]
#[allow(dead_code, unreachable_pub, unused_imports)] // these tests use a part
#[allow(clippy::struct_excessive_bools, clippy::format_collect, clippy::format_push_string)]
mod support {
    pub mod mail;
    pub(crate) mod raw;
    pub mod server;
    pub(crate) mod witness;
    pub(crate) mod world;
}

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use scene::{Scene, Tolerance};
use support::server::{Fault, Point, Setup, What, When, points};

/// Points walked by all tests so far.
static WALKED: AtomicUsize = AtomicUsize::new(0);

/// Scenes that go through a walk side by side.
const SCENES: usize = 2;

/// Walks all points of a standard sync at which `what` names a fault.
fn walk(setup: &Setup, tolerance: Tolerance, what: impl Fn(&When) -> Vec<What> + Sync) {
    let (walked, struck) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let part = |nth| {
        let mut scene = Scene::new(setup);
        let points = scene.record();
        let faults = points.into_iter().flat_map(|when| {
            let faults = what(&when).into_iter();
            faults.map(move |what| (when.clone(), what))
        });
        for (when, what) in faults.skip(nth).step_by(SCENES) {
            let fault = Fault { when, what, times: 1 };
            struck.fetch_add(scene.survive(&fault, tolerance), Ordering::Relaxed);
            walked.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..SCENES)
            .map(|nth| {
                scope.spawn({
                    let part = &part;
                    move || part(nth)
                })
            })
            .collect();
        for part in parts {
            part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    let (walked, struck) = (walked.into_inner(), struck.into_inner());
    let all = WALKED.fetch_add(walked, Ordering::Relaxed) + walked;
    say(&format!(
        "faults: {walked} points walked, {struck} struck; {all} by all tests so far"
    ));
    assert!(
        struck * 10 >= walked * 7,
        "most faults must strike: {struck} of {walked}"
    );
}

/// Prints a line even where the test harness holds back what tests print.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn before(when: &When) -> bool {
    when.point == Point::BeforeExecution
}

fn after(when: &When) -> bool {
    when.point == Point::AfterExecution
}

/// Around the execution of a command whose answer somebody waits for.
fn waits(when: &When) -> bool {
    (before(when) || after(when)) && when.verb != "LOGOUT"
}

#[test]
fn cut_anywhere() {
    walk(&Setup::default(), Tolerance::NONE, |_| vec![What::Cut]);
}

#[test]
fn cut_anywhere_without_extensions() {
    walk(&Setup::bare(), Tolerance::NONE, |_| vec![What::Cut]);
}

#[test]
fn answers_lost() {
    walk(&Setup::default(), Tolerance::NONE, |when| {
        if after(when) { vec![What::TaggedOkLost] } else { vec![] }
    });
}

#[test]
fn executed_after_the_client_is_gone() {
    let late = What::ExecuteAfterCut(Duration::from_millis(40));
    walk(&Setup::default(), Tolerance::NONE, |when| {
        if before(when) { vec![late.clone()] } else { vec![] }
    });
}

#[test]
fn killed_anywhere() {
    walk(&Setup::default(), Tolerance::NONE, |when| {
        if waits(when) {
            vec![What::Signal(Signal::KILL)]
        } else {
            vec![]
        }
    });
}

#[test]
fn asked_to_stop_anywhere() {
    walk(&Setup::default(), Tolerance::NONE, |when| {
        if waits(when) {
            vec![What::Signal(Signal::INT), What::Signal(Signal::TERM)]
        } else {
            vec![]
        }
    });
}

#[test]
fn executed_amid_what_comes_next() {
    walk(&Setup::default(), Tolerance::NONE, |when| {
        let late = [1, 4, 12, 30].map(What::ExecuteAmidNext);
        if before(when) { late.into() } else { vec![] }
    });
}

#[test]
fn refused_for_now() {
    let no = || What::No("[UNAVAILABLE] not now".into());
    walk(&Setup::default(), Tolerance::NONE, |when| {
        if before(when) { vec![no()] } else { vec![] }
    });
}

#[test]
fn no_room() {
    walk(&Setup::default(), Tolerance::NONE, |when| {
        let adds = matches!(when.verb.as_str(), "APPEND" | "UID MOVE" | "UID COPY" | "CREATE");
        if before(when) && adds {
            vec![What::No("[OVERQUOTA] full".into())]
        } else {
            vec![]
        }
    });
}

#[test]
fn refused_although_done() {
    let no = || What::No("something went wrong".into());
    walk(&Setup::default(), Tolerance::NONE, |when| {
        if after(when) { vec![no()] } else { vec![] }
    });
}

#[test]
fn called_bad() {
    let bad = || What::Bad("what?".into());
    walk(&Setup::default(), Tolerance::NONE, |when| {
        if before(when) { vec![bad()] } else { vec![] }
    });
}

#[test]
fn thrown_out() {
    let bye = || What::Bye("[UNAVAILABLE] going down".into());
    walk(&Setup::default(), Tolerance::NONE, |_| vec![bye()]);
}

#[test]
fn garbage_between_the_lines() {
    let garbage = || What::GarbageLine(b"* 7 FETCH (UID ((( \xff\xfe {".to_vec());
    walk(&Setup::default(), Tolerance::NONE, |when| {
        if before(when) { vec![garbage()] } else { vec![] }
    });
}

#[test]
fn lines_and_numbers_that_are_wrong_or_missing() {
    // A message of another size is another message: it is not removed, and comes back.
    walk(
        &Setup::default(),
        Tolerance::RETURNS_WHAT_WAS_REMOVED,
        |when| match when.verb.as_str() {
            "UID FETCH" if before(when) => vec![What::DropFetchLine, What::wrong_size(11), What::wrong_size(-7)],
            "SELECT" | "EXAMINE" | "LIST" if before(when) => vec![What::no_uid_next()],
            _ => vec![],
        },
    );
}

/// At each command, before it is executed and after.
fn around(when: &When, what: Vec<What>) -> Vec<What> {
    if before(when) || after(when) { what } else { vec![] }
}

#[test]
fn others_at_work_in_between() {
    walk(&Setup::default(), Tolerance::LOSES_WHAT_OTHERS_EXPUNGE, |when| {
        around(when, vec![What::unsolicited_expunge(), What::unsolicited_fetch()])
    });
}

/// A server that does not tell the id of what it is sent may have rewritten it too, so that it is not known again. What
/// another client expunges there before its id was ever seen is therefore not believed to be gone, and stays on disk: only
/// messages that were there when the run began are expunged here.
#[test]
fn others_at_work_in_between_without_extensions() {
    walk(&Setup::bare(), Tolerance::LOSES_WHAT_OTHERS_EXPUNGE, |when| {
        around(when, vec![What::expunge_a_known_one(), What::unsolicited_fetch()])
    });
}

#[test]
fn a_new_validity_in_mid_run() {
    walk(&Setup::default(), Tolerance::RETURNS_WHAT_WAS_REMOVED, |when| {
        around(when, vec![What::bump_uid_validity()])
    });
}

/// Left out is what `marks` walks.
#[test]
fn a_new_validity_in_mid_run_without_extensions() {
    walk(&Setup::bare(), Tolerance::RETURNS_WHAT_WAS_REMOVED, |when| {
        if marks::is_between_mark_and_expunge(when) {
            vec![]
        } else {
            around(when, vec![What::bump_uid_validity()])
        }
    });
}

#[test]
fn a_mailbox_vanishes_in_mid_run() {
    for setup in [Setup::default(), Setup::bare()] {
        walk(&setup, Tolerance::LOSES_WHAT_OTHERS_EXPUNGE, |when| {
            around(when, vec![What::vanish_mailbox()])
        });
    }
}

/// The server hangs: homing must give up by itself, and soon.
#[test]
fn hangs() {
    walk(&Setup::default(), Tolerance::NONE, |when| {
        let stall = What::Stall(Duration::from_mins(10));
        if when.nth == 1 && before(when) {
            vec![stall]
        } else {
            vec![]
        }
    });
}

#[test]
fn the_standard_sync_has_all_that_can_be_struck() {
    let verbs = [
        "AUTHENTICATE",
        "LIST",
        "UID FETCH",
        "APPEND",
        "UID STORE",
        "UID EXPUNGE",
        "CREATE",
        "DELETE",
    ];
    let run = Scene::new(&Setup::default()).record();
    for verb in verbs {
        assert!(run.iter().any(|when| when.verb == verb), "no {verb} in a standard sync");
    }
    assert!(
        run.iter().any(|when| matches!(when.point, Point::MidLiteral(_))),
        "no literal"
    );
    assert!(points(&[]).is_empty());
}
