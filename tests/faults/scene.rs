//! A scene that survives one fault after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::mail::Mail;
use crate::support::server::{Account, Fault, Server, Setup, What, When, points};
use crate::support::witness::{self, digest};
use crate::support::world::{World, local, toml_string};

const USER: &str = "user";

/// A run that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) type Content = [u8; 32];

/// How often each content is there.
pub(crate) type Contents = BTreeMap<Content, usize>;

/// What may differ from what is expected, because of what the fault itself does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    /// Other clients remove messages.
    lost: bool,
    /// A removal that coincides with a changed UIDVALIDITY comes back (DESIGN 8a), and what is not proven to be the message
    /// that is meant is not removed (HAZARDS 10).
    returned: bool,
}

impl Tolerance {
    /// Nothing may.
    pub(crate) const NONE: Self = Self {
        lost: false,
        returned: false,
    };
    pub(crate) const LOSES_WHAT_OTHERS_EXPUNGE: Self = Self {
        lost: true,
        returned: false,
    };
    pub(crate) const RETURNS_WHAT_WAS_REMOVED: Self = Self {
        lost: false,
        returned: true,
    };
}

/// A server, a world, and how far their story has gone.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) world: World,
    step: usize,
    /// What both sides held when they last agreed.
    agreed: Contents,
}

/// What was changed before a run.
#[derive(Default)]
pub(crate) struct Changed {
    added: Vec<Content>,
    removed: Vec<Content>,
    /// A flag, in lower case, that this content must have or must not have.
    flags: Vec<(Content, &'static str, bool)>,
}

impl Changed {
    pub(crate) fn note_added(&mut self, added: Vec<Content>) {
        self.added.extend(added);
    }

    pub(crate) fn has_removed(&self, content: &Content) -> bool {
        self.removed.contains(content)
    }
}

impl Scene {
    /// Both sides filled and synced once.
    pub(crate) fn new(setup: &Setup) -> Self {
        let server = Server::start(setup.clone());
        server.with(USER, |account| {
            for (mailbox, count) in [("INBOX", 6), ("Work", 5), ("Archive/2026", 2)] {
                account.create(mailbox);
                for number in 0..count {
                    account.deliver(mailbox, &mail(&format!("{mailbox} {number}")));
                }
            }
        });
        let mut world = World::in_memory(server.port(), USER);
        let password = world.home().join("password");
        fs::write(&password, "pass\n").expect("room on the disk");
        fs::set_permissions(&password, Permissions::from_mode(0o600)).expect("a mode");
        world.unset("password-command");
        world.set("password-file", &toml_string(&password.to_string_lossy()));
        world.set("connections", "2");

        let mut scene = Self {
            server,
            world,
            step: 0,
            agreed: Contents::new(),
        };
        scene.world.sync_ok();
        scene.agreed = scene.assert_same("after the first sync");
        scene
    }

    /// Both sides were changed by other hands, and are equal.
    pub(crate) fn forget_what_was_agreed(&mut self, when: &str) {
        self.agreed = self.assert_same(when);
    }

    /// Two syncs without a fault: from then on each change deletes the mailboxes of two steps ago too.
    pub(crate) fn settle_in(&mut self) {
        for _ in 0..2 {
            let changed = self.change();
            self.world.sync_ok();
            self.agree(&changed, Tolerance::NONE, "before the first fault");
        }
    }

    /// The points of a standard sync.
    pub(crate) fn record(&mut self) -> Vec<When> {
        self.settle_in();
        let changed = self.change();
        self.server.clear();
        self.world.sync_ok();
        let run = points(&self.server.commands());
        self.agree(&changed, Tolerance::NONE, "without a fault");
        run
    }

    /// Changes both sides, syncs under a fault, syncs again without it and looks; 1 if the fault struck.
    pub(crate) fn survive(&mut self, fault: &Fault, tolerance: Tolerance) -> usize {
        let title = format!("step {}, {:?} at {:?}", self.step, fault.what, fault.when);
        let changed = self.change();
        self.server.clear();
        let struck = self.server.struck();
        self.server.inject(fault.clone());
        let hangs = matches!(fault.what, What::Stall(_) | What::Trickle(_));
        self.world.set("timeout", if hangs { "\"1s\"" } else { "\"60s\"" });
        let begun = Instant::now();
        let (exit, said) = self.run_under(&fault.what);
        assert!(begun.elapsed() < PATIENCE, "{title}: it hangs: {said}");
        let struck = self.server.struck() - struck;
        let expected: &[i32] = match fault.what {
            What::Signal(Signal::INT) if struck > 0 => &[130],
            What::Signal(Signal::TERM) if struck > 0 => &[143],
            What::Signal(Signal::KILL) if struck > 0 => &[-1],
            // The run waits, unless it was not let in.
            What::No(ref text) if text.starts_with("[UNAVAILABLE]") => &[0, 75],
            // The run reconnects, finds out what was done, and does the rest.
            What::Cut | What::TaggedOkLost | What::ExecuteAfterCut(_) | What::ExecuteAmidNext(_) | What::Bye(_) => &[0],
            _ => &[0, 1, 75, 77],
        };
        assert!(expected.contains(&exit), "{title}: {exit}: {said}");
        self.world.set("timeout", "\"60s\"");
        self.server.heal();
        if let What::ExecuteAmidNext(_) = fault.what {
            self.world.sync(&[]);
        }
        self.server.settle();
        self.recover(&title, &said);
        self.agree(&changed, tolerance, &title);
        self.assert_idle(&title);
        struck
    }

    /// A run; its exit code, -1 where it was killed, and what it said.
    pub(crate) fn run_under(&self, what: &What) -> (i32, String) {
        let mut child = self.world.spawn(&["sync"]);
        self.server.client_is(child.id());
        if matches!(what, What::Signal(Signal::KILL)) {
            drop((child.stdout.take(), child.stderr.take()));
            let status = child.wait().expect("a child");
            return (status.code().unwrap_or(-1), String::new());
        }
        let run = World::finish(child, Instant::now());
        (run.exit, format!("{run:#?}"))
    }

    /// `homing` with these arguments, speaking as it does to people.
    pub(crate) fn plain(&self, arguments: &[&str]) -> Command {
        let usual = self.world.command();
        let mut plain = Command::new(usual.get_program());
        plain.args(usual.get_args().filter(|argument| *argument != "--json"));
        plain.args(arguments);
        plain.envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
        plain
    }

    /// Runs until all is done, which must not take more than two runs.
    pub(crate) fn recover(&self, title: &str, first: &str) {
        let mut said = vec![first.to_owned()];
        for _ in 0..2 {
            let run = self.world.sync(&[]);
            if run.exit == 0 && run.problems().is_empty() {
                return;
            }
            said.push(format!("{}: {}\n{}", run.exit, run.stderr, run.account()));
        }
        panic!(
            "{title}: it does not recover:\n{}\n{}",
            said.join("\n"),
            self.server.transcript()
        );
    }

    pub(crate) fn look_at_server(&self) -> witness::Account {
        witness::Server::new("127.0.0.1", self.server.port(), USER).look()
    }

    /// The last message of the INBOX gets a keyword on the server.
    pub(crate) fn give_keyword(&self, keyword: &'static str, changed: &mut Changed) {
        self.server.with(USER, |account| {
            let message = account.mailbox("INBOX").iter().last().expect("a message");
            let (uid, content) = (message.uid, digest(&message.bytes));
            account.flag("INBOX", uid, &[keyword], &[]);
            changed.flags.push((content, keyword, true));
        });
    }

    pub(crate) fn assert_same(&self, when: &str) -> Contents {
        let (disk, there) = (self.world.look(), self.look_at_server());
        let difference = disk.difference("disk", &there, "server");
        assert!(
            difference.is_empty(),
            "{when}: both sides differ:\n{difference}\n{}",
            self.server.transcript()
        );
        disk.contents()
    }

    /// Both sides hold the same, and that is what was agreed on before, with the changes.
    pub(crate) fn agree(&mut self, changed: &Changed, tolerance: Tolerance, when: &str) {
        let now = self.assert_same(when);
        let mut expected = std::mem::take(&mut self.agreed);
        for content in &changed.added {
            *expected.entry(*content).or_default() += 1;
        }
        for content in &changed.removed {
            expected.remove(content);
        }
        let count = |all: &Contents, content: &Content| all.get(content).copied().unwrap_or(0);
        let either: BTreeSet<&Content> = expected.keys().chain(now.keys()).collect();
        for content in either {
            let (wanted, got) = (count(&expected, content), count(&now, content));
            let lost = got < wanted && !tolerance.lost;
            let returned = tolerance.returned && wanted == 0 && got == 1 && changed.removed.contains(content);
            assert!(
                !lost && (got <= wanted || returned),
                "{when}: {got} times instead of {wanted}\n{}",
                self.server.transcript()
            );
        }
        let disk = self.world.look();
        for (content, flag, set) in &changed.flags {
            let mut all = disk.mailboxes.values().flat_map(BTreeMap::keys);
            let lacks = all.any(|m| m.content == *content && m.flags.contains(*flag) != *set);
            assert!(!lacks, "{when}: {flag} was lost\n{}", self.server.transcript());
        }
        self.agreed = now;
        self.step += 1;
    }

    /// What comes next is changed in other ways.
    pub(crate) fn next_step(&mut self) {
        self.step += 1;
    }

    /// A further run sends nothing that changes the server.
    pub(crate) fn assert_idle(&self, title: &str) {
        self.server.clear();
        let run = self.world.sync_ok();
        let changing: Vec<String> = self.server.changing().iter().map(|e| e.line.clone()).collect();
        assert!(changing.is_empty(), "{title}: a further run sent {changing:?}");
        assert_eq!(run.changes(), 0, "{title}: a further run changed something: {run:#?}");
        let complaints = self.server.complaints();
        assert!(complaints.is_empty(), "{title}: {complaints:#?}");
    }

    /// Changes both sides: new mail, flags, removals, a mailbox made, a mailbox deleted.
    pub(crate) fn change(&self) -> Changed {
        let mut changed = Changed::default();
        self.server
            .with(USER, |account| change_server(account, self.step, &mut changed));
        self.change_disk(&mut changed);
        changed
    }

    /// Delivers so many messages of about that many bytes on disk.
    pub(crate) fn deliver_to(&self, mailbox: &str, count: usize, bytes: usize) -> Vec<Content> {
        let mut added = Vec::new();
        for nth in 0..count {
            let mail = mail(&format!("large {} {nth}", self.step));
            let text =
                String::from_utf8_lossy(&mail.bytes).replace("\r\n", "\n") + &"0123456789abcde\n".repeat(bytes / 16);
            local::deliver(
                &self.world.maildir.join(mailbox),
                text.as_bytes(),
                mail.date.seconds,
                Some("S"),
            );
            added.push(digest(text.as_bytes()));
        }
        added
    }

    fn change_disk(&self, changed: &mut Changed) {
        let step = self.step;
        let root = &self.world.maildir;
        let deliver = |mailbox: &str, subject: &str, changed: &mut Changed| {
            let mail = mail(subject);
            let text = String::from_utf8_lossy(&mail.bytes).replace("\r\n", "\n");
            local::create(&root.join(mailbox));
            local::deliver(&root.join(mailbox), text.as_bytes(), mail.date.seconds, Some("S"));
            changed.added.push(digest(&mail.bytes));
        };
        let content = |path: &PathBuf| digest(&fs::read(path).expect("a message"));
        let work = local::messages(&root.join("Work"));
        deliver("Work", &format!("work {step}"), changed);
        deliver(&format!("Near{step}"), &format!("near {step}"), changed);
        if let [first, second, third, _, ..] = &work[..] {
            changed.removed.push(content(first));
            fs::remove_file(first).expect("a removal");
            for (path, flag, letter) in [(second, "\\answered", 'R'), (third, "\\seen", 'S')] {
                let mut letters = local::letters(path);
                let set = !letters.remove(&letter) && letters.insert(letter);
                changed.flags.push((content(path), flag, set));
                local::set_letters(path, &letters);
            }
        }
        let old = root.join(format!("Near{}", step.wrapping_sub(2)));
        if old.is_dir() {
            changed.removed.extend(local::messages(&old).iter().map(content));
            local::delete(&old);
        }
    }
}

fn change_server(account: &mut Account, step: usize, changed: &mut Changed) {
    let mut deliver = |account: &mut Account, mailbox: &str, subject: &str| {
        let mail = mail(subject);
        account.create(mailbox);
        account.deliver(mailbox, &mail);
        changed.added.push(digest(&mail.bytes));
    };
    let inbox: Vec<u32> = account.mailbox("INBOX").messages.keys().copied().collect();
    deliver(account, "INBOX", &format!("inbox {step}"));
    deliver(account, &format!("Far{step}"), &format!("far {step}"));
    let content = |account: &Account, mailbox: &str, uid: u32| digest(&account.mailbox(mailbox).message(uid).bytes);
    if let [first, second, third, _, ..] = inbox[..] {
        changed.removed.push(content(account, "INBOX", first));
        account.expunge("INBOX", first);
        for (uid, flag, lower) in [(second, "\\Seen", "\\seen"), (third, "todo", "todo")] {
            let message = account.mailbox("INBOX").message(uid);
            let set = !message.flags.has(flag);
            changed.flags.push((digest(&message.bytes), lower, set));
            let (add, remove): (&[&str], &[&str]) = if set { (&[flag], &[]) } else { (&[], &[flag]) };
            account.flag("INBOX", uid, add, remove);
        }
    }
    let old = format!("Far{}", step.wrapping_sub(2));
    if let Some(mailbox) = account.mailboxes.get(&old) {
        changed
            .removed
            .extend(mailbox.iter().map(|message| digest(&message.bytes)));
        account.delete(&old);
    }
}

/// A message that no other step has.
pub(crate) fn mail(subject: &str) -> Mail {
    Mail::simple(subject)
}
