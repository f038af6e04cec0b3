//! A disk that fails in one place for as long as a run takes, all else being well: how the run ends, what it says and
//! advises, that nothing is lost meanwhile, and that the next run, with the place well again, makes good for it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;

use crate::disk::library;
use crate::say;
use crate::scene::{Changed, Content, Contents, Scene, Tolerance};
use crate::support::server::Setup;
use crate::support::witness::{Layout, digest, look_at_disk};

/// What the disk answers with, as errno(3) has it: no room, a broken disk, no permission.
const ERRORS: [i32; 3] = [28, 5, 13];

/// What fails in a place.
#[derive(Clone, Copy, Debug)]
enum Fails {
    /// Every call that changes something.
    Changes,
    /// Every call that writes into an open file, after so many.
    Writes(usize),
    /// Every call that opens something.
    Reads,
}
use Fails::{Changes, Reads, Writes};

/// What happens besides the usual changes.
#[derive(Clone, Copy, Debug)]
enum Also {
    Nothing,
    /// A message on the server gets a keyword that its mailbox never had.
    NewKeyword,
    /// A message that is too large to be spooled in memory waits on disk.
    Large,
}
use Also::{Large, NewKeyword, Nothing};

/// A row: the place as a part of the path, what fails there, what happens besides; for no room, a broken disk and no
/// permission how the run ends (`SKIP`: that does not happen there), what it says then, and what it advises.
type Row = (&'static str, Fails, Also, [i32; 3], &'static str, [&'static str; 3]);

const SKIP: i32 = -1;
const ROOM: &str = "free some space";
const HEALTH: &str = "the disk's health";
const OWNER: &str = "check who owns it";
const STATE: &str = "the state database";
const PLACE: &str = "the state's directory";
const DISK: &str = "look at the disk with the state";
const FULL: &str = "the disk with the state is full";
const AWAY: &str = "move it away";
const COPY: &str = "only the copy of the books";
const TMPDIR: &str = "variable TMPDIR";

#[rustfmt::skip]
const SYNC: &[Row] = &[
    ("/attic",            Changes,    Nothing,    [1, 1, 1],    "into the attic \"/",  [ROOM, HEALTH, OWNER]),
    ("Mail/INBOX/tmp",    Changes,    Nothing,    [1, 1, 1],    "Mail/INBOX\"",        [ROOM, HEALTH, OWNER]),
    ("Mail/INBOX/tmp",    Writes(0),  Nothing,    [1, 1, SKIP], "durable in \"/",      [ROOM, HEALTH, ""]),
    ("Mail/INBOX/cur",    Changes,    Nothing,    [1, 1, 1],    "change flags in \"/", [ROOM, HEALTH, OWNER]),
    ("Mail/Work/",        Reads,      Nothing,    [SKIP, 1, 1], "cannot list Work",    ["", HEALTH, OWNER]),
    ("Mail/.homing",      Changes,    Nothing,    [1, 1, 1],    "the marker \"/",      [ROOM, HEALTH, OWNER]),
    ("Mail/.homing",      Reads,      Nothing,    [SKIP, 1, 1], "Mail/.homing\"",      ["", HEALTH, OWNER]),
    ("dovecot-keywords",  Changes,    NewKeyword, [1, 1, 1],    "dovecot-keywords\"",  [ROOM, HEALTH, OWNER]),
    ("dovecot-keywords",  Reads,      NewKeyword, [SKIP, 1, 1], "dovecot-keywords\"",  ["", HEALTH, OWNER]),
    ("sync.db",           Changes,    Nothing,    [78, 78, 78], STATE,                 [PLACE, PLACE, "cannot be written"]),
    ("sync.db",           Reads,      Nothing,    [SKIP, 78, 78], STATE,               ["", PLACE, PLACE]),
    ("sync.db",           Writes(0),  Nothing,    [1, 1, SKIP], STATE,                 [DISK, DISK, ""]),
    ("sync.db-wal",       Writes(0),  Nothing,    [1, 1, SKIP], STATE,                 [FULL, DISK, ""]),
    ("sync.db-wal",       Writes(15), Nothing,    [1, 1, SKIP], STATE,                 [FULL, DISK, ""]),
    ("sync.db-wal",       Writes(60), Nothing,    [1, 1, SKIP], STATE,                 [FULL, DISK, ""]),
    ("sync.db-shm",       Writes(0),  Nothing,    [1, 1, SKIP], STATE,                 [DISK, DISK, ""]),
    ("sync.lock",         Changes,    Nothing,    [1, 1, 78],   "cannot lock the",     [ROOM, HEALTH, "--state"]),
    ("spool/",            Changes,    Large,      [1, 1, 1],    "temporary file in /", [TMPDIR; 3]),
    ("spool/",            Writes(0),  Large,      [1, SKIP, SKIP], "temporary file in /", [TMPDIR; 3]),
];

/// Both sides and what was put away, as contents.
struct Held {
    disk: Contents,
    server: Contents,
    away: BTreeSet<Content>,
}

impl Held {
    fn by(scene: &Scene) -> Self {
        Self {
            disk: scene.world.look().contents(),
            server: scene.look_at_server().contents(),
            away: below(&scene.world.home().join("xdg/data")),
        }
    }

    /// Nothing left either side but what was removed on the other; and what left the disk is in the attic.
    fn lost(&self, now: &Self, changed: &Changed) -> Vec<String> {
        let mut lost = Vec::new();
        for (before, after, side) in [(&self.disk, &now.disk, "disk"), (&self.server, &now.server, "server")] {
            for content in before.keys().filter(|content| !after.contains_key(*content)) {
                if !changed.has_removed(content) {
                    lost.push(format!("{side}: lost"));
                }
                if side == "disk" && !now.away.contains(content) {
                    lost.push("disk: removed, and not in the attic".into());
                }
            }
        }
        lost
    }
}

/// The contents of all files below a directory.
fn below(directory: &Path) -> BTreeSet<Content> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.append(&mut below(&path));
        } else {
            found.insert(digest(&fs::read(path).expect("a file")));
        }
    }
    found
}

/// The program with a place that fails; how it ended, what it said, and how often the place was felt.
fn run(mut command: Command, error: i32, row: &Row, home: &Path) -> (i32, String, usize) {
    let (fails, skip) = match row.1 {
        Changes => ("changes", 0),
        Writes(skip) => ("writes", skip),
        Reads => ("reads", 0),
    };
    let count = home.join("count");
    let output = command
        .env("LD_PRELOAD", library())
        .env("HOMING_DISK_PLACE", format!("{error} {fails} {skip} {}", row.0))
        .env("HOMING_DISK_COUNT", &count)
        .env("TMPDIR", home.join("spool"))
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let felt = fs::read_to_string(&count).expect("a count");
    (
        output.status.code().unwrap_or(-2),
        said,
        felt.trim().parse().expect("a number"),
    )
}

/// What is wrong with how a run ended.
fn judge(row: &Row, nth: usize, (exit, said, felt): &(i32, String, usize)) -> Vec<String> {
    let (_, _, _, exits, says, advises) = row;
    let mut wrong = Vec::new();
    if *exit != exits[nth] {
        wrong.push(format!("it ended with {exit}"));
    }
    if *felt == 0 {
        wrong.push("nothing failed".into());
    }
    if !said.contains(says) {
        wrong.push(format!("it does not say {says:?}"));
    }
    if !said.contains(advises[nth]) {
        wrong.push(format!("it does not advise {:?}", advises[nth]));
    }
    if !wrong.is_empty() {
        wrong.push(said.clone());
    }
    wrong
}

fn also(scene: &Scene, also: Also, nth: usize, changed: &mut Changed) {
    match also {
        Nothing => {}
        NewKeyword => scene.give_keyword(["first", "second", "third"][nth], changed),
        Large => changed.note_added(scene.deliver_to("Work", 1, (4 << 20) + 5_000)),
    }
}

fn sum_up(walked: usize, what: &str, wrong: &[String]) {
    let all = crate::WALKED.fetch_add(walked, Ordering::Relaxed) + walked;
    say(&format!("faults: {walked} {what}; {all} points by all tests so far"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn places_of_a_sync() {
    let mut scene = Scene::new(&Setup::default());
    let home = scene.world.home().to_owned();
    fs::create_dir(home.join("spool")).expect("a folder");
    scene.settle_in();
    let (mut walked, mut wrong) = (0, Vec::new());
    for row in SYNC {
        for (nth, error) in ERRORS.into_iter().enumerate().filter(|(nth, _)| row.3[*nth] != SKIP) {
            let title = format!("{} {:?} errno {error}", row.0, row.1);
            let mut changed = scene.change();
            also(&scene, row.2, nth, &mut changed);
            let before = Held::by(&scene);
            let ended = run(scene.plain(&["sync"]), error, row, &home);
            let mut faults = judge(row, nth, &ended);
            faults.append(&mut before.lost(&Held::by(&scene), &changed));
            wrong.extend(faults.into_iter().map(|fault| format!("{title}: {fault}")));
            scene.recover(&title, &ended.1);
            scene.agree(&changed, Tolerance::NONE, &title);
            scene.assert_idle(&title);
            walked += 1;
        }
    }
    sum_up(walked, "places of a sync", &wrong);
}

#[rustfmt::skip]
const BACKUP: &[Row] = &[
    ("Archive/mail/",        Changes,   Nothing, [1, 1, 1],    "Archive/mail",      [ROOM, HEALTH, OWNER]),
    ("Archive/mail/.homing", Changes,   Nothing, [1, 1, 1],    "the marker",        [ROOM, HEALTH, OWNER]),
    ("Archive/gone",         Changes,   Nothing, [1, 1, 1],    "Archive/gone\"",    [ROOM, HEALTH, OWNER]),
    ("Archive/homing.db",    Changes,   Nothing, [1, 1, 1],    "Archive/homing.db", [COPY; 3]),
    ("Archive/homing.db",    Writes(0), Nothing, [1, 1, SKIP], "Archive/homing.db", [COPY; 3]),
    ("backup.db-wal",        Writes(0), Nothing, [1, 1, SKIP], STATE,               [FULL, DISK, ""]),
    ("backup.lock",          Changes,   Nothing, [1, 1, 78],   "cannot lock",       [ROOM, HEALTH, "--state"]),
];

/// How many stays of messages a database knows, and the last run that noted one.
fn history(database: PathBuf) -> (i64, i64) {
    let books = rusqlite::Connection::open(database).expect("a database");
    let all = "SELECT count(*), max(from_run) FROM stay";
    books
        .query_row(all, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("a history")
}

#[test]
fn places_of_a_backup() {
    let mut scene = Scene::new(&Setup::default());
    let home = scene.world.home().to_owned();
    fs::create_dir(home.join("spool")).expect("a folder");
    let archive = home.join("Archive");
    scene
        .world
        .set("archive", &format!("{:?}", archive.display().to_string()));
    assert_eq!(scene.world.run(&["backup"]).exit, 0);
    let (mut walked, mut wrong) = (0, Vec::new());
    let mut ever = BTreeSet::new();
    for row in BACKUP {
        for (nth, error) in ERRORS.into_iter().enumerate().filter(|(nth, _)| row.3[*nth] != SKIP) {
            let title = format!("{} {:?} errno {error}", row.0, row.1);
            let changed = scene.change();
            scene.world.sync_ok();
            scene.agree(&changed, Tolerance::NONE, &title);
            ever.extend(scene.look_at_server().contents().into_keys());
            let kept = below(&archive);
            let ended = run(scene.plain(&["backup"]), error, row, &home);
            let mut faults = judge(row, nth, &ended);
            let lost = kept
                .difference(&below(&archive))
                .filter(|content| ever.contains(*content))
                .count();
            if lost > 0 {
                faults.push(format!("{lost} messages left the archive"));
            }
            let next: Vec<i32> = (0..2).map(|_| scene.world.run(&["backup"]).exit).collect();
            if next != [0, 0] {
                faults.push(format!("then: {next:?}"));
            }
            let [books, copy] = [
                home.join("xdg/state/homing/personal/backup.db"),
                archive.join("homing.db"),
            ]
            .map(history);
            if books != copy {
                faults.push(format!("the copy of the books is an old one: {copy:?}, not {books:?}"));
            }
            let there = scene.look_at_server();
            let mail = look_at_disk(&archive.join("mail"), Layout::Nested);
            faults.extend(Some(there.difference("server", &mail, "archive")).filter(|text| !text.is_empty()));
            let missing = ever.difference(&below(&archive)).count();
            if missing > 0 {
                faults.push(format!("{missing} messages are not in the archive"));
            }
            let verified = scene.world.run(&["verify", "--server"]);
            if verified.exit != 0 {
                faults.push(format!("{verified:#?}"));
            }
            wrong.extend(faults.into_iter().map(|fault| format!("{title}: {fault}")));
            walked += 1;
        }
    }
    sum_up(walked, "places of a backup", &wrong);
}

/// What lies where something else should: the path below the home, whether it is a directory (else a file), how the run ends,
/// what it says and advises.
type Obstacle = (&'static str, bool, i32, &'static str, &'static str);

#[rustfmt::skip]
const OBSTACLES: &[Obstacle] = &[
    ("xdg/data/homing/personal/attic",         false, 1,  "into the attic \"/",      AWAY),
    ("Mail/INBOX/tmp",                         false, 1,  "Mail/INBOX/",             AWAY),
    ("Mail/INBOX/dovecot-keywords",            true,  1,  "dovecot-keywords\"",      AWAY),
    ("Mail/.homing",                           true,  1,  "Mail/.homing\"",          AWAY),
    ("Mail/.homing.new",                       true,  1,  "the marker \"/",          AWAY),
    ("xdg/state/homing/personal/sync.lock",    true,  78, "cannot lock the state",   "--state"),
    ("xdg/state/homing/personal/sync.db",      true,  78, "the state database",      "--state"),
    ("xdg/state/homing/personal/sync.db-wal",  true,  78, "the state database",      "--state"),
];

#[test]
fn what_lies_in_the_way() {
    let mut scene = Scene::new(&Setup::default());
    scene.settle_in();
    let mut wrong = Vec::new();
    for (nth, &(path, is_directory, exit, says, advises)) in OBSTACLES.iter().enumerate() {
        let mut changed = scene.change();
        scene.give_keyword(["a", "b", "c", "d", "e", "f", "g", "h"][nth], &mut changed);
        let before = Held::by(&scene);
        let (there, aside) = (scene.world.home().join(path), scene.world.home().join("aside"));
        let moved = fs::rename(&there, &aside).is_ok();
        if is_directory {
            // Not empty: it cannot be renamed onto.
            fs::create_dir_all(there.join("full")).expect("a directory");
        } else {
            fs::write(&there, "in the way").expect("a file");
        }
        let output = scene.plain(&["sync"]).output().expect("the program runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if is_directory {
            fs::remove_dir_all(&there).expect("a removal");
        } else {
            fs::remove_file(&there).expect("a removal");
        }
        if moved {
            fs::rename(&aside, &there).expect("a rename");
        }
        let mut faults = before.lost(&Held::by(&scene), &changed);
        if output.status.code() != Some(exit) || !said.contains(says) || !said.contains(advises) {
            faults.push(format!("{:?} {says:?} {advises:?}: {said}", output.status.code()));
        }
        wrong.extend(faults.into_iter().map(|fault| format!("{path}: {fault}")));
        scene.recover(path, &said);
        scene.agree(&changed, Tolerance::NONE, path);
        scene.assert_idle(path);
    }
    sum_up(OBSTACLES.len(), "things in the way", &wrong);
}

/// What no disk can make is told, and done once the configuration names another place.
#[test]
fn an_attic_of_too_long_a_name() {
    let mut scene = Scene::new(&Setup::default());
    let place = scene.world.home().join("long".repeat(80));
    scene.world.set("attic", &format!("{:?}", place.display().to_string()));
    let changed = scene.change();
    let before = Held::by(&scene);
    let run = scene.world.sync(&[]);
    assert_eq!(run.exit, 1, "{run:#?}");
    assert!(run.report.to_string().contains("name is too long"), "{run:#?}");
    assert_eq!(before.lost(&Held::by(&scene), &changed), [""; 0]);
    scene.world.unset("attic");
    scene.recover("a good name", "");
    scene.agree(&changed, Tolerance::NONE, "a good name");
    scene.assert_idle("a good name");
}
