//! Backup: what the archive holds is what the server has or had, and any past run comes back as it was.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::changes::Writer;
use crate::scene::{Scene, text};
use crate::support::dovecot::Dovecot;
use crate::support::raw::Mail;
use crate::support::witness::{Account, Layout, Server, canonical, look_at_disk};
use crate::support::world::{Run, local, remote};

/// An account that is backed up, and somebody who changes it.
struct Archived<'a> {
    scene: Scene<'a>,
    writer: Writer,
}

impl<'a> Archived<'a> {
    fn new(dovecot: &'a Dovecot, user: &str, mailboxes: &[&str], each: usize) -> Self {
        let mut scene = Scene::new(dovecot, user);
        let archive = scene.world.home().join("Archive");
        scene.world.unset("maildir");
        scene
            .world
            .set("archive", &format!("{:?}", archive.display().to_string()));
        let mut writer = Writer::new(61);
        writer.fill(&scene, mailboxes, each);
        Self { scene, writer }
    }

    fn root(&self) -> PathBuf {
        self.scene.world.home().join("Archive")
    }

    /// Backs up; the archive must then hold what the server has, which is given.
    #[track_caller]
    fn backup(&mut self, when: &str) -> (Run, Account) {
        let run = self.scene.world.run(&["backup"]);
        assert_eq!(run.exit, 0, "{when}: {run:#?}\n{}", self.scene.dovecot.log());
        let server = self.scene.server.look();
        let disk = look_at_disk(&self.root().join("mail"), Layout::Nested);
        assert_eq!(server.difference("server", &disk, "archive"), "", "{when}");
        (run, server)
    }

    fn files(&self, below: &str) -> BTreeSet<String> {
        local::listing(&self.root().join(below))
    }
}

/// The message files below a directory, by their contents.
fn contents(root: &Path) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if dir.ends_with("cur") || dir.ends_with("new") {
                found.insert(fs::read(&path).expect("a message"));
            }
        }
    }
    found
}

#[test]
fn what_the_server_drops_stays() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut it = Archived::new(dovecot, "archive-stays", &["INBOX", "Work", "Old"], 12);
    it.backup("first");
    let all = contents(&it.root());
    assert_eq!(all.len(), 36);
    assert!(it.root().join("homing.db").exists());

    // No guard asks: nothing is lost.
    let mut raw = it.scene.raw();
    let mut session = it.scene.server.session();
    for uid in remote::uids(&mut session, "INBOX") {
        remote::remove(&mut session, uid);
    }
    raw.command("DELETE Old").unwrap();
    let (run, _) = it.backup("emptied");
    assert_eq!(
        (run.count("left", "removed"), run.held_back().len()),
        (24, 0),
        "{run:#?}"
    );
    assert_eq!(contents(&it.root()), all, "all of it is still there");
    let gone = look_at_disk(&it.root().join("gone"), Layout::Nested);
    assert_eq!((gone.count("INBOX"), gone.count("Old")), (12, 12));

    // Nothing happened: nothing is written, not even the copy of the state.
    let before = it.files("");
    let (run, _) = it.backup("nothing to do");
    assert_eq!((run.changes(), it.files("")), (0, before));
}

#[test]
fn what_is_changed_in_an_archive_is_changed_back() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut it = Archived::new(dovecot, "archive-undo", &["INBOX", "Work"], 8);
    it.backup("first");
    it.scene.proxy.take();
    let files = local::messages(&it.root().join("mail/INBOX"));
    fs::remove_file(&files[0]).unwrap();
    let mut letters = local::letters(&files[1]);
    letters.extend(['F', 'R', 'T']);
    local::set_letters(&files[1], &letters);
    local::carry(&files[2], &it.root().join("mail/Work"), 900, true);
    fs::remove_dir_all(it.root().join("mail/Work")).unwrap();
    let (run, _) = it.backup("undone");
    assert_eq!(it.scene.proxy.take().changing(), Vec::<&str>::new(), "{run:#?}");
    let (run, _) = it.backup("nothing left");
    assert_eq!(run.changes(), 0, "{run:#?}");
}

#[test]
fn a_lost_state_comes_back_from_the_archive() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut it = Archived::new(dovecot, "archive-state", &["INBOX", "Work"], 8);
    it.backup("first");
    let state = it.scene.world.home().join("xdg/state/homing/personal");
    assert!(state.join("backup.db").exists(), "{:?}", fs::read_dir(&state));
    fs::remove_dir_all(&state).unwrap();
    it.writer.change_server(&it.scene, 20);
    let (run, _) = it.backup("with the copy of the state");
    assert!(run.count("left", "added") < 16, "nothing is fetched twice: {run:#?}");

    // Not even the copy: all is paired by content.
    fs::remove_dir_all(&state).unwrap();
    fs::remove_file(it.root().join("homing.db")).unwrap();
    let (run, account) = it.backup("without any state");
    assert_eq!(run.count("left", "added"), 0, "{run:#?}");
    assert_eq!(run.account()["paired"], account.len() as u64, "{run:#?}");

    // An archive that is not there is no empty one.
    fs::rename(it.root(), it.root().with_extension("away")).unwrap();
    let run = it.scene.world.run(&["backup"]);
    assert_eq!(run.exit, 3, "{run:#?}");
    assert!(!it.root().exists());
}

/// Thirty days of changes, a backup each; the account as it was on some of them, by the run that saw it.
#[test]
fn thirty_days_and_any_of_them_comes_back() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut it = Archived::new(dovecot, "archive-days", &["INBOX", "Work", "Work/2026"], 10);
    let mut days = Vec::new();
    for day in 1..=30 {
        if day > 1 {
            it.writer.change_server(&it.scene, 12);
        }
        if day == 10 {
            it.scene.raw().command("RENAME Work Job").unwrap();
        }
        let (_, account) = it.backup(&format!("day {day}"));
        days.push(account);
    }
    let mut others = Vec::new();
    for day in [1, 15, 30] {
        let user = format!("archive-day-{day}");
        others.push(format!(
            "[accounts.{user}]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nuser = \"{user}\"\n\
             password-command = \"echo pass\"\n",
            it.scene.proxy.port
        ));
        it.scene.world.set_beside(&others.concat());
        let at = format!("#{day}");
        let arguments = ["restore", "personal", "--to", &user, "--at", &at];
        let dry = it.scene.world.run(&[&arguments[..], &["--dry-run"]].concat());
        assert_eq!(dry.exit, 0, "{dry:#?}");
        let run = it.scene.world.run(&arguments);
        assert_eq!(run.exit, 0, "day {day}: {run:#?}");
        let expected = &days[day - 1];
        assert_eq!(run.count("right", "added"), expected.len() as u64, "{run:#?}");
        assert_eq!(dry.count("right", "added"), run.count("right", "added"), "as planned");
        let mut server = Server::new(dovecot.host, dovecot.port, &user);
        let restored = server.look();
        assert_eq!(expected.difference("then", &restored, "restored"), "", "day {day}");

        let again = it.scene.world.run(&arguments);
        assert_eq!(
            (again.exit, again.changes()),
            (0, 0),
            "only what is missing: {again:#?}"
        );

        let dir = it.scene.world.home().join(format!("day-{day}"));
        let arguments = ["restore", "personal", "--to", dir.to_str().unwrap(), "--at", &at];
        let run = it.scene.world.run(&arguments);
        assert_eq!(run.exit, 0, "day {day}: {run:#?}");
        let disk = look_at_disk(&dir, Layout::Nested);
        assert_eq!(expected.difference("then", &disk, "on disk"), "", "day {day}");
        let again = it.scene.world.run(&arguments);
        assert_eq!((again.exit, again.changes()), (0, 0), "{again:#?}");
    }
    let run = it.scene.world.run(&["verify", "--server"]);
    assert_eq!(run.exit, 0, "{run:#?}");
    assert_eq!(run.account()["foreign"].as_array().map(Vec::len), Some(0), "{run:#?}");
}

#[test]
fn a_part_of_an_account_comes_back_into_what_is_there() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut it = Archived::new(dovecot, "archive-part", &["INBOX", "Work", "Other"], 6);
    let mut raw = it.scene.raw();
    let wanted = Mail {
        bytes: canonical(&text("wanted")),
        flags: "\\Seen".into(),
        date: 1_700_000_000,
    };
    raw.append_all("INBOX", &[wanted]);
    let (_, before) = it.backup("first");
    let mut session = it.scene.server.session();
    for mailbox in ["INBOX", "Work"] {
        for uid in remote::uids(&mut session, mailbox) {
            remote::remove(&mut session, uid);
        }
    }
    it.writer.fill(&it.scene, &["New"], 2);
    it.backup("emptied");

    let head = String::from_utf8(text("wanted")).unwrap();
    let id = head.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap();
    let message = ["restore", "personal", "--to", "personal", "--at", "#1", "--message", id];
    let run = it.scene.world.run(&message);
    assert_eq!(
        (run.exit, run.changes(), run.count("right", "added")),
        (0, 1, 1),
        "{run:#?}"
    );
    let run = it.scene.world.run(&[
        "restore",
        "personal",
        "--to",
        "personal",
        "--at",
        "#1",
        "--mailbox",
        "w*",
    ]);
    assert_eq!(run.exit, 2, "no such mailbox: {run:#?}");
    let run = it.scene.world.run(&[
        "restore",
        "personal",
        "--to",
        "personal",
        "--at",
        "#1",
        "--mailbox",
        "W*",
    ]);
    assert_eq!(
        (run.exit, run.changes(), run.count("right", "added")),
        (0, 6, 6),
        "{run:#?}"
    );
    let run = it
        .scene
        .world
        .run(&["restore", "personal", "--to", "personal", "--at", "1 day ago"]);
    assert_eq!(run.exit, 2, "before the first run: {run:#?}");
    let run = it
        .scene
        .world
        .run(&["restore", "personal", "--to", "personal", "--at", "#1"]);
    assert_eq!(
        (run.exit, run.count("right", "added")),
        (0, 6),
        "the rest of the INBOX: {run:#?}"
    );
    let mut after = it.scene.server.look();
    after.mailboxes.remove(&vec!["New".to_owned()]);
    assert_eq!(before.difference("before", &after, "after"), "");
}

#[test]
fn one_flipped_bit_is_found_and_mended() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut it = Archived::new(dovecot, "archive-rot", &["INBOX", "Work"], 8);
    it.backup("first");
    let mut session = it.scene.server.session();
    let uids = remote::uids(&mut session, "Work");
    remote::remove(&mut session, uids[0]);
    it.backup("one is gone");
    let verify = |it: &Archived<'_>, arguments: &[&str]| it.scene.world.run(&[&["verify"], arguments].concat());
    let list = |run: &Run, what: &str| -> Vec<String> {
        let lines = run.account()[what]
            .as_array()
            .unwrap_or_else(|| panic!("no {what}: {run:#?}"));
        lines
            .iter()
            .map(|line| line["file"].as_str().unwrap().to_owned())
            .collect()
    };
    let run = verify(&it, &["--server"]);
    assert_eq!((run.exit, run.account()["whole"].as_u64()), (0, Some(16)), "{run:#?}");

    let files = local::messages(&it.root().join("mail/INBOX"));
    flip(&files[3]);
    fs::remove_file(&files[4]).unwrap();
    fs::write(it.root().join("mail/Work/cur/1.foreign.host:2,S"), "Subject: x\n\n").unwrap();
    let run = verify(&it, &[]);
    let name = files[3].strip_prefix(it.root()).unwrap().to_str().unwrap().to_owned();
    assert_eq!((run.exit, list(&run, "damaged")), (1, vec![name.clone()]), "{run:#?}");
    assert_eq!(
        (list(&run, "missing").len(), list(&run, "foreign").len()),
        (1, 1),
        "{run:#?}"
    );
    assert!(
        run.stderr.contains("--repair") && run.stderr.contains(&name),
        "{}",
        run.stderr
    );

    let run = verify(&it, &["--repair"]);
    assert_eq!((run.exit, run.account()["repaired"].as_u64()), (0, Some(2)), "{run:#?}");
    let run = verify(&it, &["--server"]);
    assert_eq!((run.exit, run.account()["whole"].as_u64()), (0, Some(16)), "{run:#?}");
    assert_eq!(
        contents(&it.root().join("damaged")).len(),
        1,
        "the damaged file is kept"
    );
    fs::remove_file(it.root().join("mail/Work/cur/1.foreign.host:2,S")).unwrap();
    it.backup("mended");

    // What the server no longer has cannot be fetched again.
    let gone = local::messages(&it.root().join("gone/Work"));
    flip(&gone[0]);
    let run = verify(&it, &["--repair"]);
    assert_eq!((run.exit, list(&run, "damaged").len()), (1, 1), "{run:#?}");
    let run = it
        .scene
        .world
        .run(&["restore", "personal", "--to", "personal", "--at", "#1"]);
    assert_eq!(
        (run.exit, run.count("right", "added")),
        (1, 0),
        "a damaged message is never restored: {run:#?}"
    );
}

/// Flips one bit in the middle of a file, and leaves its date as it was.
fn flip(path: &Path) {
    let date = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(date)
        .unwrap();
}

#[test]
fn only_what_left_long_ago_is_pruned() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut it = Archived::new(dovecot, "archive-prune", &["INBOX"], 10);
    it.backup("first");
    let mut session = it.scene.server.session();
    let uids = remote::uids(&mut session, "INBOX");
    uids[..4].iter().for_each(|&uid| remote::remove(&mut session, uid));
    it.backup("four are gone");
    let prune =
        |it: &Archived<'_>, arguments: &[&str]| it.scene.world.run(&[&["prune", "personal"], arguments].concat());
    assert_eq!(prune(&it, &[]).exit, 2, "without a rule");
    let count = |run: &Run| run.account()["pruned"].as_array().map(Vec::len);
    let run = prune(&it, &["--gone-longer-than", "1d"]);
    assert_eq!((run.exit, count(&run)), (0, Some(0)), "{run:#?}");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let before = it.files("");
    let dry = prune(&it, &["--gone-longer-than", "0d", "--dry-run"]);
    assert_eq!((dry.exit, count(&dry), it.files("")), (0, Some(4), before), "{dry:#?}");
    let run = prune(&it, &["--gone-longer-than", "0d"]);
    assert_eq!(
        (run.exit, &run.account()["pruned"]),
        (0, &dry.account()["pruned"]),
        "{run:#?}"
    );
    assert_eq!(
        (contents(&it.root().join("gone")).len(), contents(&it.root()).len()),
        (0, 6)
    );
    let run = it.scene.world.run(&["verify"]);
    assert_eq!(run.exit, 0, "{run:#?}");

    // The log has the backups under the numbers that `--at` takes, and what was pruned.
    let log = it.scene.world.run(&["log", "personal"]);
    let runs = log.account()["runs"].as_array().unwrap();
    let line = |run: &serde_json::Value| {
        let last = run["done"]
            .as_array()
            .and_then(|done| done.last())
            .cloned()
            .unwrap_or_default();
        format!("{} {} {} {}", run["command"], run["run"], last["action"], last["count"])
    };
    let runs: Vec<_> = runs.iter().map(line).collect();
    let expected = [
        "\"prune\" 4 \"delete\" 4",
        "\"backup\" 2 \"remove\" 4",
        "\"backup\" 1 \"copy\" 10",
    ];
    assert_eq!(runs, expected, "{log:#?}");
    let status = it.scene.world.run(&["status"]);
    assert_eq!(
        (status.exit, &status.account()["last_backup"]["run"]),
        (0, &2.into()),
        "{status:#?}"
    );
    let dir = it.scene.world.home().join("restored");
    let run = it
        .scene
        .world
        .run(&["restore", "personal", "--to", dir.to_str().unwrap(), "--at", "#1"]);
    assert_eq!(
        (run.exit, run.count("right", "added")),
        (1, 6),
        "it says what it lacks: {run:#?}"
    );
    assert!(run.stderr.contains("4 of the messages"), "{}", run.stderr);
    it.backup("after pruning");
}
