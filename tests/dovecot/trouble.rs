//! Disks and servers that refuse: a clear reason, nothing lost, the rest done, and all well once it is mended.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::changes::Writer;
use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, say};
use crate::support::witness::{Layout, assert_same, look_at_disk};
use crate::support::world::{Chance, Run, World, local, mails, remote};

/// `unshare` with which this user can mount things that nobody else sees; `None` where that is not allowed.
fn private_mounts() -> Option<Vec<&'static str>> {
    let ways = [vec!["unshare", "-m"], vec!["unshare", "-Urm"]];
    let works = |way: &Vec<&str>| {
        let mut tried = Command::new(way[0]);
        tried.args(&way[1..]).args(["mount", "-t", "tmpfs", "none", "/mnt"]);
        tried.stdout(Stdio::null()).stderr(Stdio::null());
        tried.status().is_ok_and(|status| status.success())
    };
    ways.into_iter().find(works)
}

/// Runs a shell script among private mounts; `homing` in it is the program with its options.
fn script(world: &World, way: &[&str], script: &str) {
    let homing = world.command();
    let mut words = vec![homing.get_program().to_string_lossy().into_owned()];
    words.extend(homing.get_args().map(|word| word.to_string_lossy().into_owned()));
    let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let text = format!("set -e\nhoming() {{ {} \"$@\"; }}\n{script}", words.join(" "));
    let mut shell = Command::new(way[0]);
    shell
        .args(&way[1..])
        .args(["sh", "-c", &text])
        .current_dir(world.home());
    for (name, value) in homing.get_envs() {
        shell.env(name, value.expect("all are set"));
    }
    let out = shell.output().expect("a shell");
    assert!(out.status.success(), "{script}: {out:?}");
}

/// What a run in a script left in `NAME.json` and `NAME.exit`.
fn left_by(world: &World, name: &str) -> (i32, Value) {
    let read = |ending: &str| fs::read_to_string(world.home().join(format!("{name}.{ending}"))).expect("a result");
    let report = serde_json::from_str(&read("json")).unwrap_or_else(|e| panic!("{e}: {}", read("json")));
    (read("exit").trim().parse().expect("an exit code"), report)
}

#[test]
fn a_maildir_that_cannot_be_written() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let Some(way) = private_mounts() else {
        return say("skipped: a_maildir_that_cannot_be_written: no private mounts here");
    };
    let mut scene = Scene::new(dovecot, "readonly");
    let mut writer = Writer::new(61);
    writer.fill(&scene, &["INBOX", "Work"], 20);
    scene.sync_to_equal(&[], "first pull");
    writer.fill(&scene, &["New"], 3);
    let mut session = scene.server.session();
    let uids = remote::uids(&mut session, "Work");
    remote::remove(&mut session, uids[0]);
    remote::store(&mut session, uids[1], "+FLAGS.SILENT (\\Flagged)");
    // What goes the other way is done all the same.
    scene.deliver("INBOX", "goes up");
    let server = scene.server.look();
    script(
        &scene.world,
        &way,
        "mount --bind Mail Mail && mount -o remount,bind,ro Mail\nset +e\nhoming sync >ro.json; echo $? >ro.exit",
    );
    let (exit, report) = left_by(&scene.world, "ro");
    assert!([1, 78].contains(&exit), "{report:#}");
    assert!(report.to_string().to_lowercase().contains("read-only"), "{report:#}");
    let after = scene.server.look();
    assert!(after.len() >= server.len(), "nothing is removed on the server");
    let (_, account) = scene.sync_to_equal(&[], "writable again");
    assert_eq!(
        (account.count("INBOX"), account.count("Work"), account.count("New")),
        (21, 19, 3)
    );
    scene.nothing_left("writable again");
}

#[test]
fn a_disk_that_is_full() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let Some(way) = private_mounts() else {
        return say("skipped: a_disk_that_is_full: no private mounts here");
    };
    let mut scene = Scene::new(dovecot, "full");
    Writer::new(62).fill(&scene, &["INBOX", "Work"], 400);
    let before = scene.server.look();
    script(
        &scene.world,
        &way,
        "mkdir Mail && mount -t tmpfs -o size=600k tmpfs Mail\nset +e\n\
         homing sync >full.json; echo $? >full.exit\nhoming sync >still.json; echo $? >still.exit\n\
         mount -o remount,size=200m Mail\nhoming sync >room.json; echo $? >room.exit\ncp -a Mail Kept",
    );
    for name in ["full", "still"] {
        let (exit, report) = left_by(&scene.world, name);
        assert!([1, 75].contains(&exit), "{name}: {report:#}");
        let said = report.to_string().to_lowercase();
        assert!(said.contains("space") || said.contains("full"), "{name}: {report:#}");
    }
    let (exit, report) = left_by(&scene.world, "room");
    assert_eq!(exit, 0, "{report:#}");
    let after = scene.server.look();
    assert_eq!(
        before.difference("before", &after, "after"),
        "",
        "the server is as it was"
    );
    let kept = look_at_disk(&scene.world.home().join("Kept"), Layout::Nested);
    assert_same(&kept, &after, "with room again");
}

/// Changes the mode of a mailbox's folder in the server's own store.
fn set_mode(dovecot: &Dovecot, user: &str, folder: &str, mode: u32) {
    let path = dovecot.mail_home(user).join("Maildir").join(folder);
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

#[test]
fn a_mailbox_that_cannot_be_selected() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "noselect");
    let mut writer = Writer::new(63);
    writer.fill(&scene, &["INBOX", "Broken", "Work"], 15);
    scene.sync_to_equal(&[], "first pull");
    set_mode(dovecot, "noselect", ".Broken", 0);
    scene.deliver("Work", "goes up all the same");
    scene.deliver("Broken", "waits");
    fs::remove_file(&scene.files("Broken")[0]).unwrap();
    let run = scene.world.sync(&[]);
    set_mode(dovecot, "noselect", ".Broken", 0o700);
    assert_eq!(run.exit, 1, "{run:#?}");
    assert!(
        run.problems()
            .iter()
            .any(|p| p["mailbox"] == "Broken" && p["reach"] == "mailbox"),
        "{run:#?}"
    );
    assert_eq!(
        scene.files("Broken").len(),
        15,
        "nothing is taken for removed: {run:#?}"
    );
    let account = scene.server.look();
    assert_eq!((account.count("Work"), account.count("Broken")), (16, 15), "{run:#?}");
    let (_, account) = scene.sync_to_equal(&[], "mended");
    assert_eq!(account.count("Broken"), 15);
    scene.nothing_left("mended");
}

#[test]
fn a_mailbox_that_cannot_be_selected_the_first_time() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "noselect-first");
    Writer::new(64).fill(&scene, &["INBOX", "Broken", "Work"], 15);
    set_mode(dovecot, "noselect-first", ".Broken", 0);
    let run = scene.world.sync(&[]);
    set_mode(dovecot, "noselect-first", ".Broken", 0o700);
    assert_eq!(run.exit, 1, "{run:#?}");
    assert_eq!(
        (scene.files("INBOX").len(), scene.files("Work").len()),
        (15, 15),
        "{run:#?}"
    );
    scene.sync_to_equal(&[], "mended");
    scene.nothing_left("mended");
}

/// A message of about so many bytes.
fn large(scene: &Scene, subject: &str, bytes: usize) -> std::path::PathBuf {
    let mut text = crate::scene::text(subject);
    text.extend(b"0123456789abcde\n".repeat(bytes / 16));
    local::deliver(&scene.dir("INBOX"), &text, 1_700_000_000, Some("S"))
}

fn names_message(run: &Run, file: &Path) -> bool {
    let unique = file
        .file_name()
        .unwrap()
        .to_string_lossy()
        .split(":2,")
        .next()
        .unwrap()
        .to_owned();
    let named = |problem: &Value| problem["reach"] == "message" && problem["id"].to_string().contains(&unique);
    run.problems().iter().any(named)
}

#[test]
fn a_message_over_the_servers_limit() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "small");
    scene
        .raw()
        .append_all("INBOX", &mails::mails(1, 5, &mut Chance::new(65)));
    scene.sync_to_equal(&[], "first pull");
    let big = large(&scene, "too big", 100_000);
    scene.deliver("INBOX", "fits");
    let run = scene.world.sync(&[]);
    assert_eq!(run.exit, 1, "{run:#?}");
    assert!(names_message(&run, &big), "{run:#?}");
    assert_eq!(run.count("right", "added"), 1, "the other one goes: {run:#?}");
    let sent = scene.proxy.take().sent;
    let again = scene.world.sync(&[]);
    assert!(
        again.exit <= 1 && scene.proxy.take().sent < sent,
        "not sent in full each time: {again:#?}"
    );
    assert!(big.exists(), "it stays");
    fs::remove_file(big).unwrap();
    let (_, account) = scene.sync_to_equal(&[], "without it");
    assert_eq!(account.len(), 6);
    scene.nothing_left("without it");
}

#[test]
fn a_server_that_is_full() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "quota");
    scene.world.sync_ok();
    let files: Vec<_> = (0..4).map(|n| large(&scene, &format!("number {n}"), 100_000)).collect();
    let run = scene.world.sync(&[]);
    assert_eq!(run.exit, 1, "{run:#?}");
    assert!(run.report.to_string().to_lowercase().contains("quota"), "{run:#?}");
    let named = files.iter().filter(|file| names_message(&run, file)).count();
    let there = scene.server.look().len();
    assert_eq!((there, named), (2, 2), "two fit, two are named: {run:#?}");
    assert!(files.iter().all(|file| file.exists()));
    // Mended: room is made on the server. What waited goes without being asked for, now or when its retry is due.
    let mut session = scene.server.session();
    for uid in remote::uids(&mut session, "INBOX") {
        remote::remove(&mut session, uid);
    }
    let run = scene.world.sync(&[]);
    assert!([0, 1].contains(&run.exit), "{run:#?}");
    assert_eq!(run.count("left", "removed"), 2, "{run:#?}");
    let (_, account) = scene.sync_to_equal(&[], "with room again");
    assert_eq!(account.len(), 2);
}
