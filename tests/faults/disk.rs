//! A disk that fails at any call, and a process that dies before any: mail, books and database alike.
//!
//! The calls are those to the C library, counted by a small library of ours that is loaded into the program (`disk.c`).

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::say;
use crate::scene::{Scene, Tolerance};
use crate::support::server::Setup;
use crate::support::world::World;

/// No room, a broken disk, no permission; and death.
const FAULTS: [&str; 4] = ["28", "5", "13", "kill"];
/// Each call gets this many of them, in turn.
const EACH: usize = 2;
/// Scenes that go through the walk side by side.
const SCENES: usize = 2;

/// The library, built once. A C compiler is there: SQLite was built with it.
pub(crate) fn library() -> &'static Path {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let build = || {
        let folder = tempfile::tempdir().expect("a folder");
        let library = folder.path().join("disk.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/disk.c");
        let built = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status();
        assert!(built.expect("a C compiler").success());
        (folder, library)
    };
    &BUILT.get_or_init(build).1
}

/// A sync with the library loaded; how it ended and what it said.
fn sync(scene: &Scene, library: &Path, fault: Option<&str>, count: Option<&Path>) -> (i32, String) {
    let mut command = scene.world.command();
    command.arg("sync").env("LD_PRELOAD", library);
    if let Some(fault) = fault {
        command.env("HOMING_DISK_FAULT", fault);
    }
    if let Some(count) = count {
        command.env("HOMING_DISK_COUNT", count);
    }
    let child = command.spawn().expect("the program starts");
    if fault.is_some_and(|fault| fault.ends_with("kill")) {
        let output = child.wait_with_output().expect("a child");
        let died = output.status.signal() == Some(9);
        return (
            if died { -1 } else { output.status.code().unwrap_or(-2) },
            String::new(),
        );
    }
    let run = World::finish(child, Instant::now());
    (run.exit, format!("{run:#?}"))
}

/// How many calls a standard sync makes.
fn calls(scene: &mut Scene, library: &Path) -> usize {
    scene.settle_in();
    let changed = scene.change();
    let count = scene.world.home().join("count");
    let (exit, said) = sync(scene, library, None, Some(&count));
    assert_eq!(exit, 0, "{said}");
    scene.agree(&changed, Tolerance::NONE, "without a fault");
    let count = std::fs::read_to_string(count).expect("a count");
    count.trim().parse().expect("a number")
}

/// Changes both sides, syncs on a disk that fails once, syncs again and looks; 1 if the fault was felt.
fn survive(scene: &mut Scene, library: &Path, fault: &str) -> usize {
    let changed = scene.change();
    let (exit, said) = sync(scene, library, Some(fault), None);
    let title = format!("disk fault {fault}");
    assert!([0, 1, 75, 78, -1].contains(&exit), "{title}: {exit}: {said}");
    scene.server.settle();
    scene.recover(&title, &said);
    scene.agree(&changed, Tolerance::NONE, &title);
    scene.assert_idle(&title);
    usize::from(exit != 0)
}

#[test]
fn a_disk_that_fails_anywhere() {
    let library = library();
    let (walked, felt) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let part = |nth: usize| {
        let mut scene = Scene::new(&Setup::default());
        let calls = calls(&mut scene, library);
        assert!(calls > 100, "{calls} calls are too few to be all");
        for at in (1..=calls).filter(|at| at % SCENES == nth) {
            for turn in 0..EACH {
                let fault = format!("{at} {}", FAULTS[(at / SCENES + turn * 3) % FAULTS.len()]);
                felt.fetch_add(survive(&mut scene, library, &fault), Ordering::Relaxed);
                walked.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..SCENES)
            .map(|nth| {
                let part = &part;
                scope.spawn(move || part(nth))
            })
            .collect();
        for part in parts {
            part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    let (walked, felt) = (walked.into_inner(), felt.into_inner());
    let all = crate::WALKED.fetch_add(walked, Ordering::Relaxed) + walked;
    say(&format!(
        "faults: {walked} of the disk walked, {felt} felt; {all} points by all tests so far"
    ));
    assert!(felt * 2 >= walked, "most must be felt: {felt} of {walked}");
}

pub(crate) fn database(scene: &Scene) -> PathBuf {
    scene.world.home().join("xdg/state/homing/personal/sync.db")
}

#[test]
fn a_database_that_another_program_holds() {
    let mut scene = Scene::new(&Setup::default());
    let changed = scene.change();
    let other = rusqlite::Connection::open(database(&scene)).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let run = scene.world.sync(&[]);
    assert_eq!(run.exit, 75, "{run:#?}");
    other.execute_batch("ROLLBACK").expect("the lock's end");
    scene.recover("free again", "");
    scene.agree(&changed, Tolerance::NONE, "free again");
    scene.assert_idle("free again");
}

/// Nothing is guessed from a damaged database: it is put aside, told, and what is there is paired by content.
#[test]
fn a_database_that_is_damaged() {
    let mut scene = Scene::new(&Setup::default());
    let path = database(&scene);
    for (what, at) in [("the beginning", 0), ("the middle", 4096 + 100)] {
        let mut bytes = std::fs::read(&path).expect("a database");
        let end = bytes.len().min(at + 40_000);
        bytes[at..end].fill(0x5a);
        std::fs::write(&path, bytes).expect("room on the disk");
        let run = scene.world.sync(&[]);
        assert_eq!(run.exit, 1, "{what}: {run:#?}");
        assert!(run.report.to_string().contains("damaged"), "{what}: {run:#?}");
        // Nothing crosses the wire twice, nothing is doubled.
        let added = (run.count("left", "added"), run.count("right", "added"));
        assert_eq!(added, (0, 0), "{what}: {run:#?}");
        scene.recover(what, "");
        let changed = scene.change();
        scene.recover(what, "");
        scene.agree(&changed, Tolerance::NONE, what);
        scene.assert_idle(what);
    }
}
