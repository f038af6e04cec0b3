//! Backup, restore and migrate, killed by SIGKILL at random moments and run again at once: all is there, once.

use std::time::Duration;

use crate::changes::Writer;
use crate::kills::kill_on_the_way;
use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, say};
use crate::support::proxy::Proxy;
use crate::support::witness::{Account, Layout, Server, look_at_disk};
use crate::support::world::Chance;

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
