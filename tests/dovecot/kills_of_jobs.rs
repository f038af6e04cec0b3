//! Backup, restore, migrate, import and export, killed by SIGKILL at random moments and run again at once: all is there, once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use crate::changes::Writer;
use crate::kills::kill_on_the_way;
use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, say};
use crate::support::proxy::Proxy;
use crate::support::witness::{Account, Layout, Server, look_at_disk};
use crate::support::world::{Chance, remote};

const MAILBOXES: [&str; 2] = ["INBOX", "Work"];
/// Messages in each mailbox, and new ones in a round.
const MESSAGES: usize = 70;
const NEW: usize = 30;
const ROUNDS: usize = 6;

/// An account with an archive, and what is done with it.
struct Jobs {
    scene: Scene<'static>,
    writer: Writer,
    chance: Chance,
    /// How far such a run comes that is not killed.
    usual: (usize, u64),
    killed: usize,
}

impl Jobs {
    fn new(dovecot: &'static Dovecot, user: &str, seed: u64) -> Self {
        let mut scene = Scene::new(dovecot, user);
        let archive = scene.world.home().join("Archive");
        scene.world.unset("maildir");
        scene
            .world
            .set("archive", &format!("{:?}", archive.display().to_string()));
        let mut writer = Writer::new(seed);
        writer.fill(&scene, &MAILBOXES, MESSAGES);
        Self {
            scene,
            writer,
            chance: Chance::new(seed),
            usual: (0, 0),
            killed: 0,
        }
    }

    /// Runs it; in the first round it is watched, in each later one it is killed on the way, and run again at once.
    #[track_caller]
    fn run(&mut self, arguments: &[&str], proxy: &Proxy, round: usize) {
        proxy.take();
        if round > 0 {
            let child = self.scene.world.spawn(arguments);
            self.killed += usize::from(kill_on_the_way(child, proxy, self.usual, &mut self.chance));
        }
        let done = (0..3).any(|_| self.scene.world.run(arguments).exit == 0);
        assert!(done, "{arguments:?}, round {round}: three runs were not enough");
        if round == 0 {
            self.usual = proxy.progress();
        }
        // What the dead had sent may still come.
        std::thread::sleep(Duration::from_millis(100));
    }

    /// What `arguments` bring into a fresh account of each round is what the account holds.
    fn fill_fresh_accounts(&mut self, name: &str, arguments: impl Fn(&str) -> Vec<String>) {
        let wanted = self.scene.server.look();
        let dovecot = self.scene.dovecot;
        for round in 0..=ROUNDS {
            let (account, user) = (format!("to{round}"), format!("{name}-to{round}"));
            let proxy = Proxy::to(dovecot.port, Duration::ZERO);
            self.scene.world.set_beside(&format!(
                "[accounts.{account}]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nuser = \"{user}\"\n\
                 password-command = \"echo pass\"\n",
                proxy.port
            ));
            let arguments = arguments(&account);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            self.run(&arguments, &proxy, round);
            let there = Server::new(dovecot.host, dovecot.port, &user).look();
            same(&wanted, &there, &format!("{name}, round {round}"));
        }
        self.end(name);
    }

    /// The account as files, by way of its archive.
    fn exported(&self, format: &str) -> PathBuf {
        let to = self.scene.world.home().join(format!("Exported-{format}"));
        assert_eq!(self.scene.world.run(&["backup"]).exit, 0);
        let run = ["export", "personal", "--format", format, "--to", &to.to_string_lossy()];
        let run = self.scene.world.run(&run);
        assert_eq!(run.exit, 0, "{run:#?}");
        to
    }

    fn end(&self, what: &str) {
        say(&format!(
            "kills: {what}: {ROUNDS} rounds, {} of them in mid-run; none lost, none doubled",
            self.killed
        ));
        assert!(self.killed * 2 >= ROUNDS, "most must strike");
    }
}

#[track_caller]
fn same(wanted: &Account, there: &Account, when: &str) {
    assert_eq!(wanted.difference("what there was", there, "what came"), "", "{when}");
    assert_eq!(wanted.len(), there.len(), "{when}");
}

#[test]
fn killed_while_backing_up() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut it = Jobs::new(dovecot, "kill-backup", 311);
    let root = it.scene.world.home().join("Archive/mail");
    assert_eq!(it.scene.world.run(&["backup"]).exit, 0);
    for round in 0..=ROUNDS {
        it.writer.fill(&it.scene, &[&format!("Round{round}")], NEW);
        it.writer.change_server(&it.scene, NEW);
        let proxy = Proxy::to(dovecot.port, Duration::ZERO);
        it.scene.world.set("port", &proxy.port.to_string());
        it.run(&["backup"], &proxy, round);
        same(
            &it.scene.server.look(),
            &look_at_disk(&root, Layout::Nested),
            &format!("backup, round {round}"),
        );
    }
    it.end("backup");
    let verified = it.scene.world.run(&["verify", "--server"]);
    assert_eq!(verified.exit, 0, "{verified:#?}");
}

/// Killed as soon as the first file is gone: the books never tell of a file that is not there.
#[test]
fn killed_while_pruning() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let it = Jobs::new(dovecot, "kill-prune", 317);
    let run = |arguments: &[&str], exit: i32| {
        let run = it.scene.world.run(arguments);
        assert_eq!(run.exit, exit, "{arguments:?}: {run:#?}");
        run
    };
    run(&["backup"], 0);
    let mut session = it.scene.server.session();
    for mailbox in MAILBOXES {
        for uid in remote::uids(&mut session, mailbox) {
            remote::remove(&mut session, uid);
        }
    }
    run(&["backup"], 0);
    let gone = it.scene.world.home().join("Archive/gone");
    let files_of = |mailbox: &str| fs::read_dir(gone.join(mailbox).join("cur")).unwrap().count();
    let files = || MAILBOXES.into_iter().map(files_of).sum::<usize>();
    assert_eq!(files(), MAILBOXES.len() * MESSAGES);
    // What left in the second that still runs is not old yet.
    std::thread::sleep(Duration::from_millis(1100));
    let prune = ["prune", "personal", "--gone-longer-than", "0d"];
    let mut killed = 0;
    for _ in 0..ROUNDS {
        let before = files();
        let mut child = it.scene.world.spawn(&prune);
        while files() == before && child.try_wait().unwrap().is_none() {}
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
        let verified = it.scene.world.run(&["verify"]);
        assert_eq!(
            verified.account()["missing"],
            serde_json::json!([]),
            "{} of {before} are left: {verified:#?}",
            files()
        );
    }
    run(&prune, 0);
    assert_eq!(files(), 0);
    run(&["verify"], 0);
    say(&format!("kills: prune: {killed} of {ROUNDS} struck"));
}

#[test]
fn killed_while_restoring() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut it = Jobs::new(dovecot, "kill-restore", 312);
    assert_eq!(it.scene.world.run(&["backup"]).exit, 0);
    it.fill_fresh_accounts("kill-restore", |to| {
        ["restore", "personal", "--to", to].map(str::to_owned).to_vec()
    });
}

#[test]
fn killed_while_migrating() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut it = Jobs::new(dovecot, "kill-migrate", 313);
    it.fill_fresh_accounts("kill-migrate", |to| {
        ["migrate", "personal", to].map(str::to_owned).to_vec()
    });
}

#[test]
fn killed_while_importing() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut it = Jobs::new(dovecot, "kill-import", 314);
    let files = it.exported("mbox");
    it.fill_fresh_accounts("kill-import", |to| {
        ["import", &files.to_string_lossy(), "--to", to]
            .map(str::to_owned)
            .to_vec()
    });
}

/// What is written by path, relative to where it was exported to.
fn written(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                // Else it got another name just now.
                let name = path.strip_prefix(root).expect("below the root").to_owned();
                found.insert(name, bytes);
            }
        }
    }
    found
}

/// Kills a program when that is so, or as it ends; whether it was still at work.
fn kill_when(mut child: Child, is_time: impl Fn() -> bool) -> bool {
    let over = loop {
        let over = child.try_wait().expect("a child").is_some();
        if over || is_time() {
            break over;
        }
    };
    child.kill().expect("SIGKILL");
    child.wait().expect("a child");
    !over
}

fn size(files: &BTreeMap<PathBuf, Vec<u8>>) -> usize {
    files.values().map(Vec::len).sum()
}

/// What has its name is whole; beside it is what is unfinished, and a note of what was written. The same command goes on.
#[test]
fn killed_while_exporting() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut it = Jobs::new(dovecot, "kill-export", 315);
    for format in ["mbox", "eml"] {
        let root = it.exported(format);
        let whole = written(&root);
        for round in 0..ROUNDS / 2 {
            let when = format!("{format}, round {round}");
            let out = root.with_extension(round.to_string());
            let arguments = ["export", "personal", "--format", format, "--to", &out.to_string_lossy()];
            // A random part of what is to be written is there.
            let enough = it.chance.below(size(&whole));
            let child = it.scene.world.spawn(&arguments);
            it.killed += usize::from(kill_when(child, || size(&written(&out)) > enough));
            let left = written(&out);
            let was_done = left == whole;
            for (name, bytes) in left {
                let is_partial = name.extension().is_some_and(|ending| ending == "partial");
                let is_note = name.to_string_lossy().starts_with(".homing-export-");
                assert!(
                    is_partial || is_note || whole.get(&name) == Some(&bytes),
                    "{when}: {name:?} is not whole"
                );
            }
            let again = it.scene.world.run(&arguments);
            // One that is done overwrites nothing.
            assert!(again.exit == if was_done { 2 } else { 0 }, "{when}: {again:#?}");
            assert!(written(&out) == whole, "{when}: all of it, and nothing besides");
        }
    }
    it.end("export");
}

/// What it was writing when it died stays in a `tmp` for 36 hours, as in any Maildir.
#[test]
fn killed_while_importing_into_a_maildir() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut it = Jobs::new(dovecot, "kill-import-dir", 316);
    let files = it.exported("eml").to_string_lossy().into_owned();
    let wanted = it.scene.server.look();
    for round in 0..ROUNDS {
        let to = it.scene.world.home().join(format!("Imported{round}"));
        let arguments = ["import", &files, "--to", &to.to_string_lossy()];
        let enough = it.chance.below(wanted.len());
        let child = it.scene.world.spawn(&arguments);
        it.killed += usize::from(kill_when(child, || written(&to).len() > enough));
        let again = it.scene.world.run(&arguments);
        assert_eq!(again.exit, 0, "round {round}: {again:#?}");
        same(
            &wanted,
            &look_at_disk(&to, Layout::Nested),
            &format!("import, round {round}"),
        );
    }
    it.end("import into a Maildir");
}
