//! SIGKILL at random moments and a rerun at once, and the same with a proxy that cuts: no message lost, none doubled, on
//! either side.
//!
//! What the dead run had sent may still be on its way while the next one is at work: the server goes on with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, say};
use crate::support::proxy::{Cut, Proxy, Traffic};
use crate::support::raw::Mail;
use crate::support::witness::digest;
use crate::support::world::{Chance, local, mails, remote};

/// Where the mail is.
const MAILBOXES: [&str; 3] = ["INBOX", "Work", "Work/2026"];
/// Messages in each at the beginning: so many that no guard wakes up.
const MESSAGES: usize = 60;
/// New messages in a round, over all mailboxes.
const NEW: usize = 36;
/// The same where they are sent: so many that the server is at it for a while after its client has died.
const SENT: usize = 210;
/// Messages removed, or moved, in a round and on a side: no more than a guard lets through.
const SOME: usize = 9;

/// Commands at which a proxy can cut.
const VERBS: [&str; 11] = [
    "AUTHENTICATE",
    "LIST",
    "EXAMINE",
    "SELECT",
    "FETCH",
    "SEARCH",
    "APPEND",
    "STORE",
    "EXPUNGE",
    "MOVE",
    "COPY",
];

/// What changes before a run that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Doing {
    Pulling,
    Pushing,
    Moving,
    Removing,
}

/// Several kills, one after the other, of one account.
struct Story {
    scene: Scene<'static>,
    chance: Chance,
    number: usize,
    /// What must be there, on both sides, once each.
    contents: BTreeSet<[u8; 32]>,
    /// How many commands and bytes such a run takes that is not killed.
    usual: (usize, u64),
    /// What such a run says when it is not cut.
    usual_traffic: BTreeMap<Doing, Traffic>,
    /// Runs that were killed before they were over.
    killed: usize,
    /// Runs it took to be done.
    reruns: usize,
}

impl Story {
    fn begin(dovecot: &'static Dovecot, name: &str, seed: u64) -> Self {
        let mut story = Self {
            scene: Scene::new(dovecot, name),
            chance: Chance::new(seed),
            number: 0,
            contents: BTreeSet::new(),
            usual: (0, 0),
            usual_traffic: BTreeMap::new(),
            killed: 0,
            reruns: 0,
        };
        let mut raw = story.scene.raw();
        for mailbox in MAILBOXES {
            if mailbox != "INBOX" {
                raw.create(mailbox).expect("a mailbox");
            }
        }
        story.add_to_server(MAILBOXES.len() * MESSAGES);
        story.scene.sync_to_equal(&[], "first pull");
        story
    }

    /// A message that is nowhere yet.
    fn mail(&mut self) -> Mail {
        self.number += 1;
        let bytes = mails::message(self.number, &mut self.chance);
        self.contents.insert(digest(&bytes));
        Mail {
            bytes,
            flags: "\\Seen".into(),
            date: 1_700_000_000 + self.number as i64,
        }
    }

    fn add_to_server(&mut self, count: usize) {
        let mut raw = self.scene.raw();
        for mailbox in MAILBOXES {
            let mails: Vec<Mail> = (0..count / MAILBOXES.len()).map(|_| self.mail()).collect();
            raw.append_all(mailbox, &mails);
        }
    }

    fn add_to_disk(&mut self, count: usize) {
        for nth in 0..count {
            let mail = self.mail();
            let dir = self.scene.dir(MAILBOXES[nth % MAILBOXES.len()]);
            local::deliver(&dir, &local::without_cr(&mail.bytes), mail.date, Some("S"));
        }
    }

    /// Some files of a mailbox: those of the first half of its list, so that the other side's [`Self::uids`] are others.
    fn files(&mut self, mailbox: &str) -> Vec<PathBuf> {
        let files = self.scene.files(mailbox);
        let from = self.chance.below(files.len() / 2 - SOME);
        files[from..from + SOME / MAILBOXES.len()].to_vec()
    }

    fn change(&mut self, doing: Doing) {
        match doing {
            Doing::Pulling => self.add_to_server(NEW),
            Doing::Pushing => self.add_to_disk(SENT),
            Doing::Removing => {
                self.add_to_server(2 * SOME);
                self.remove();
            }
            Doing::Moving => self.shift(),
        }
    }

    /// Removes the oldest messages on the server, and any on disk.
    fn remove(&mut self) {
        for mailbox in MAILBOXES {
            for file in self.files(mailbox) {
                let content = digest(&std::fs::read(&file).expect("a message"));
                std::fs::remove_file(&file).expect("a removal");
                self.contents.remove(&content);
            }
        }
        let before = self.scene.server.look().contents();
        let mut session = self.scene.server.session();
        for mailbox in MAILBOXES {
            for uid in remote::uids(&mut session, mailbox)
                .into_iter()
                .take(SOME / MAILBOXES.len())
            {
                remote::remove(&mut session, uid);
            }
        }
        let after = self.scene.server.look().contents();
        for content in before.keys().filter(|content| !after.contains_key(*content)) {
            self.contents.remove(content);
        }
    }

    /// Moves messages on disk, and the newest ones on the server, into the next mailbox.
    fn shift(&mut self) {
        let mut raw = self.scene.raw();
        for (nth, mailbox) in MAILBOXES.iter().enumerate() {
            let next = MAILBOXES[(nth + 1) % MAILBOXES.len()];
            for file in self.files(mailbox) {
                let name = file.file_name().expect("a name");
                std::fs::rename(&file, self.scene.dir(next).join("cur").join(name)).expect("a move");
            }
            raw.ok(&format!("SELECT \"{mailbox}\""));
            let newest: Vec<String> = raw.ok("UID SEARCH ALL").iter().flat_map(|line| uids_of(line)).collect();
            let some = newest[newest.len() - SOME / MAILBOXES.len()..].join(",");
            raw.ok(&format!("UID MOVE {some} \"{next}\""));
        }
    }

    /// Runs until one ends with 0.
    #[track_caller]
    fn run_until_done(&mut self, when: &str) {
        for _ in 0..4 {
            let run = self.scene.world.sync(&[]);
            self.reruns += 1;
            assert!([0, 1, 75].contains(&run.exit), "{when}: {run:#?}");
            if run.exit == 0 {
                return;
            }
        }
        panic!("{when}: four runs were not enough");
    }

    /// Both sides hold what they must, once each.
    #[track_caller]
    fn check(&mut self, when: &str) {
        let account = self.scene.world.assert_same(&mut self.scene.server, when);
        let there: BTreeMap<[u8; 32], usize> = account.contents();
        let lost = self
            .contents
            .iter()
            .filter(|content| !there.contains_key(*content))
            .count();
        let doubled = there.values().filter(|count| **count > 1).count();
        let returned = there.keys().filter(|content| !self.contents.contains(*content)).count();
        let log = self.scene.dovecot.log();
        assert_eq!(
            (lost, doubled, returned),
            (0, 0, 0),
            "{when}: lost, doubled, returned\n{log}"
        );
    }

    /// Changes, a run that is killed when it has come a random part of its way, and a rerun at once.
    fn kill(&mut self, doing: Doing, round: usize) {
        self.change(doing);
        self.scene.proxy.take();
        if round == 0 {
            let run = self.scene.world.sync(&[]);
            assert_eq!(run.exit, 0, "{run:#?}");
            self.usual = self.scene.proxy.progress();
            return self.check("not killed");
        }
        let child = self.scene.world.spawn(&["sync"]);
        let struck = kill_on_the_way(child, &self.scene.proxy, self.usual, &mut self.chance);
        self.killed += usize::from(struck);
        let title = format!(
            "{doing:?}, round {round}, killed after {:?}",
            self.scene.proxy.progress()
        );
        self.run_until_done(&title);
        self.settle(&title);
    }

    /// Lets the server end what the dead had sent; a further run takes in what came of it.
    fn settle(&mut self, title: &str) {
        std::thread::sleep(Duration::from_millis(100));
        self.run_until_done(title);
        self.check(title);
    }

    /// The same with a proxy that cuts once, at a command or an answer that such a run has.
    fn cut(&mut self, doing: Doing, round: usize) {
        self.change(doing);
        self.scene.proxy.take();
        let Some(usual) = self.usual_traffic.get(&doing) else {
            let run = self.scene.world.sync(&[]);
            assert_eq!(run.exit, 0, "{run:#?}");
            self.usual_traffic.insert(doing, self.scene.proxy.take());
            return self.check("not cut");
        };
        let verbs: Vec<&'static str> = VERBS.into_iter().filter(|verb| usual.count(verb) > 0).collect();
        let verb = verbs[self.chance.below(verbs.len())];
        let nth = 1 + self.chance.below(usual.count(verb));
        let cut = match self.chance.below(3) {
            0 => Cut::AfterBytes(1 + self.chance.below(usual.received as usize / 2) as u64),
            1 => Cut::Unanswered(verb, nth),
            _ => Cut::Before(verb, nth),
        };
        self.scene.proxy.cut(cut.clone());
        let title = format!("{doing:?}, round {round}, {cut:?}");
        let run = self.scene.world.sync(&[]);
        self.reruns += 1;
        assert_eq!(run.exit, 0, "{title}: the same run finds out and goes on: {run:#?}");
        self.settle(&title);
        self.killed += usize::from(self.scene.proxy.uncut().is_empty());
        self.scene.proxy.mend();
    }

    fn end(mut self, what: &str, rounds: usize) {
        self.scene.nothing_left(what);
        say(&format!(
            "kills: {what}: {rounds} rounds, {} of them in mid-run, {} runs to be done; {} messages, none lost, none doubled",
            self.killed,
            self.reruns,
            self.contents.len()
        ));
        assert!(self.killed * 2 >= rounds, "most must strike");
    }
}

/// Kills a program when it has come a random part of its usual way, in commands and bytes; whether it was still at work.
pub(crate) fn kill_on_the_way(mut child: Child, proxy: &Proxy, usual: (usize, u64), chance: &mut Chance) -> bool {
    let (by_commands, commands) = (chance.happens(50), chance.below(usual.0));
    let bytes = chance.below(usual.1 as usize) as u64;
    let over = loop {
        let now = proxy.progress();
        let far = if by_commands { now.0 > commands } else { now.1 > bytes };
        let over = child.try_wait().expect("a child").is_some();
        if far || over {
            break over;
        }
        std::thread::sleep(Duration::from_micros(100));
    };
    std::thread::sleep(Duration::from_micros(chance.below(3000) as u64));
    let struck = !over && child.try_wait().expect("a child").is_none();
    child.kill().expect("SIGKILL");
    child.wait().expect("a child");
    struck
}

fn uids_of(line: &str) -> Vec<String> {
    let uids = line.strip_prefix("* SEARCH").unwrap_or_default();
    uids.split_whitespace().map(str::to_owned).collect()
}

fn kills(name: &str, doing: Doing, rounds: usize, seed: u64) {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut story = Story::begin(dovecot, name, seed);
    for round in 0..=rounds {
        story.kill(doing, round);
    }
    story.end(&format!("{doing:?}, killed"), rounds);
}

#[test]
fn killed_while_pulling() {
    kills("kill-pull", Doing::Pulling, 15, 301);
}

#[test]
fn killed_while_pushing() {
    kills("kill-push", Doing::Pushing, 15, 302);
}

#[test]
fn killed_while_moving() {
    kills("kill-move", Doing::Moving, 15, 303);
}

#[test]
fn killed_while_removing() {
    kills("kill-remove", Doing::Removing, 15, 304);
}

#[test]
fn cut_while_doing_anything() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut story = Story::begin(dovecot, "cut-any", 305);
    let all = [Doing::Pulling, Doing::Pushing, Doing::Moving, Doing::Removing];
    let rounds = 24;
    for round in 0..rounds + all.len() {
        story.cut(all[round % all.len()], round);
    }
    story.end("cut", rounds);
}
