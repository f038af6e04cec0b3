//! What the programs are made to do, each on a copy of the same account.

mod changes;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::account;
use crate::floor;
use crate::measure::{self, Sample};
use crate::results::Results;
use crate::support::dovecot::Dovecot;
use crate::support::mail::Mail;
use crate::support::proxy::Proxy;
use crate::tools::{Near, Place, Servers, Tool};
use crate::{Scope, workloads::changes::Step};

/// A run that takes longer is ended, and counts as failed.
const LIMIT: Duration = Duration::from_secs(240);
/// A mailbox that changed within this time is looked at again by all programs; mbsync even waits.
const SETTLED: Duration = Duration::from_millis(2200);
/// The mailboxes of the account with many.
const MAILBOXES: usize = 50;
const EACH: u64 = 200;

/// The workloads, with what the page calls them, in its order.
pub(crate) const TITLES: [(&str, &str); 12] = [
    ("idle", "Nothing to do, 50 mailboxes of 200 messages"),
    ("idle-100000", "Nothing to do, one mailbox of 100,000 messages"),
    ("pull-many", "First pull of 50 mailboxes of 200 messages"),
    ("pull-20000", "First pull of 20,000 messages in one mailbox"),
    ("pull-100mb", "Pull of one message of 100 MB"),
    (
        "changes",
        "100 changes on each side, over 20 mailboxes (2 flags, 2 new, 1 removed in each)",
    ),
    ("push", "1,000 new messages on disk"),
    ("flags-up", "1,000 messages flagged on disk"),
    ("flags-down", "1,000 messages flagged on the server"),
    ("moves-up", "1,000 messages moved on disk, between 20 mailboxes"),
    ("moves-down", "1,000 messages moved on the server, between 20 mailboxes"),
    ("scale", "Growth"),
];

/// Where and with what a workload is measured.
struct Bench<'a> {
    scope: &'a Scope,
    dovecot: &'a Dovecot,
    tools: &'a [Tool],
    results: &'a mut Results,
    /// For Maildirs and states, on the disk that the server is on.
    dir: PathBuf,
}

/// Measures what is asked for.
pub(crate) fn measure(scope: &Scope, dovecot: &Dovecot, tools: &[Tool], results: &mut Results) {
    let dir = tempfile::Builder::new()
        .prefix("homing-bench-")
        .tempdir()
        .expect("a folder");
    let mut bench = Bench {
        scope,
        dovecot,
        tools,
        results,
        dir: dir.path().to_owned(),
    };
    if Step::ALL.iter().any(|step| scope.wants(step.name())) || scope.wants("pull-many") {
        bench.many();
    }
    if scope.wants("pull-20000") {
        let count = scope.scaled(20_000) as u64;
        account::fill(dovecot, "big", "INBOX", 0..count);
        bench.pull("pull-20000", "big", &Tool::ALL);
    }
    if scope.wants("pull-100mb") {
        account::append(dovecot, "one", "INBOX", 0..1, |_| huge(scope.scaled(100_000_000)));
        bench.pull("pull-100mb", "one", &Tool::ALL);
    }
    if scope.wants("idle-100000") {
        let count = scope.scaled(100_000) as u64;
        account::append(dovecot, "hundred", "INBOX", 0..count, |n| {
            Mail::simple(&format!("number {n}"))
        });
        bench.idle("idle-100000", "hundred");
    }
}

/// A message as large as they get.
fn huge(size: usize) -> Mail {
    let line = [&[b'x'; 76][..], b"\r\n"].concat();
    let mut mail = Mail::simple("huge");
    mail.bytes.extend(line.repeat(size / line.len()));
    mail
}

impl Bench<'_> {
    /// How often a program is measured: those that take minutes only once.
    fn runs(&self, tool: Tool) -> usize {
        let slow = matches!(tool, Tool::OfflineImap | Tool::InterImap);
        if slow { 1 } else { self.scope.runs }
    }

    /// A program with a fresh copy of an account.
    fn place(&self, tool: Tool, model: &str, port: u16) -> (Place, String) {
        let user = format!("{model}-copy");
        account::copy(self.dovecot, model, &user);
        let near_account = self.dovecot.mail_home(&format!("near-{user}"));
        account::remove(&near_account);
        account::remove(&self.dir.join(&user));
        let plus_plus = tool == Tool::InterImap;
        let root = if plus_plus {
            near_account.join("Maildir")
        } else {
            self.dir.join(&user).join("Mail")
        };
        let near = Near { root, plus_plus };
        (
            Place::new(tool, self.dir.join(&user), near, &self.servers(&user, port)),
            user,
        )
    }

    fn servers<'u>(&self, user: &'u str, port: u16) -> Servers<'u> {
        Servers {
            user,
            port,
            local_port: self.dovecot.port,
        }
    }

    /// One measured run, after which both sides must hold the same.
    fn step(&mut self, workload: &str, delay: Duration, proxy: Option<&Proxy>, place: &Place, user: &str) -> Sample {
        std::thread::sleep(SETTLED);
        account::settle();
        let mut sample = measure::run(&mut place.command(), LIMIT, proxy);
        let (near, far) = (counts(&place.near.root), counts(&self.dovecot.mail_home(user)));
        if sample.failed.is_none() && near != far {
            sample.failed = Some(format!("left {near:?} here and {far:?} there"));
        }
        let ms = delay.as_millis() as u64;
        println!(
            "{workload} {ms} ms {}: {:.2} s, {:.2} s of CPU, {} KiB, {:?} {}",
            place.tool.name(),
            sample.wall,
            sample.cpu,
            sample.peak_kib,
            sample.wire,
            sample
                .failed
                .as_ref()
                .map_or(String::new(), |why| format!("{why}: {}", place.log())),
        );
        if self.scope.wants(workload) {
            let runs = self.runs(place.tool);
            let kept = self.results.at(workload, ms, place.tool.name());
            if kept.len() >= runs {
                kept.clear();
            }
            kept.push(sample.clone());
            if !self.scope.quick {
                self.results.save();
            }
        }
        sample
    }

    /// At each round trip, each of these programs that is installed, as often as it is measured.
    fn each(&mut self, tools: &[Tool], mut one: impl FnMut(&mut Self, Tool, Duration, Option<&Proxy>)) {
        let scope = self.scope;
        for &delay in &scope.delays {
            // Without a delay there is no proxy either: it would take processor time from all, and hide the disk.
            let proxy = (!delay.is_zero()).then(|| Proxy::to(self.dovecot.port, delay / 2));
            let most = tools.iter().map(|&tool| self.runs(tool)).max().unwrap_or(0);
            for run in 0..most {
                for &tool in tools {
                    if self.tools.contains(&tool) && run < self.runs(tool) {
                        one(self, tool, delay, proxy.as_ref());
                    }
                }
            }
        }
    }

    /// First pulls of an account.
    fn pull(&mut self, workload: &str, model: &str, tools: &[Tool]) {
        let floor = floor::measure(self.dovecot, model, &self.dir);
        self.results.floors.insert(workload.into(), floor);
        self.each(tools, |bench, tool, delay, proxy| {
            if bench.hopeless(workload, tool, delay) {
                return;
            }
            let (place, user) = bench.place(tool, model, proxy.map_or(bench.dovecot.port, |proxy| proxy.port));
            bench.step(workload, delay, proxy, &place, &user);
        });
    }

    /// Whether a program took too long with a shorter round trip already; it is marked so and not run.
    fn hopeless(&mut self, workload: &str, tool: Tool, delay: Duration) -> bool {
        let ms = delay.as_millis() as u64;
        let over = |sample: &Sample| sample.failed.as_ref().is_some_and(|why| why.starts_with("over "));
        let by_delay = self.results.samples.get(workload);
        let shorter = by_delay.into_iter().flatten().filter(|(at, _)| **at < ms);
        let mut failed = shorter.filter_map(|(_, by_tool)| by_tool.get(tool.name())?.iter().find(|s| over(s)));
        let Some(sample) = failed.next_back().cloned() else {
            return false;
        };
        *self.results.at(workload, ms, tool.name()) = vec![sample];
        true
    }

    /// Runs with nothing to do, after a first pull that is not measured.
    fn idle(&mut self, workload: &str, model: &str) {
        let tools = [Tool::Homing, Tool::Mbsync, Tool::OfflineImap];
        let scope = self.scope;
        for tool in tools.into_iter().filter(|tool| self.tools.contains(tool)) {
            let (place, user) = self.place(tool, model, self.dovecot.port);
            settle(&place);
            for &delay in &scope.delays {
                let proxy = (!delay.is_zero()).then(|| Proxy::to(self.dovecot.port, delay / 2));
                place.configure(&self.servers(&user, proxy.as_ref().map_or(self.dovecot.port, |proxy| proxy.port)));
                settle(&place);
                for _ in 0..self.runs(tool) {
                    self.step(workload, delay, proxy.as_ref(), &place, &user);
                }
            }
        }
    }

    /// The account with many mailboxes, and all that happens to it.
    fn many(&mut self) {
        for nth in 0..MAILBOXES as u64 {
            account::fill(
                self.dovecot,
                "many",
                &mailbox(nth as usize),
                nth * EACH..(nth + 1) * EACH,
            );
        }
        let floor = floor::measure(self.dovecot, "many", &self.dir);
        self.results.floors.insert("pull-many".into(), floor);
        let tools = [Tool::Homing, Tool::Mbsync, Tool::OfflineImap, Tool::InterImap];
        self.each(&tools, |bench, tool, delay, proxy| {
            let port = proxy.map_or(bench.dovecot.port, |proxy| proxy.port);
            let (place, user) = bench.place(tool, "many", port);
            if !bench.hopeless("pull-many", tool, delay) && bench.scope.wants("pull-many") {
                bench.step("pull-many", delay, proxy, &place, &user);
            }
            // What was not pulled, or not in time, is pulled the short way.
            place.configure(&bench.servers(&user, bench.dovecot.port));
            settle(&place);
            place.configure(&bench.servers(&user, port));
            for step in Step::ALL.iter().filter(|step| bench.scope.wants(step.name())) {
                step.prepare(&place, bench.dovecot, &user);
                bench.step(step.name(), delay, proxy, &place, &user);
            }
        });
    }
}

/// Runs until nothing should be left to do.
fn settle(place: &Place) {
    for _ in 0..2 {
        std::thread::sleep(SETTLED);
        let _ = measure::run(&mut place.command(), LIMIT * 5, None);
    }
}

/// The name of a mailbox of the account with many.
fn mailbox(nth: usize) -> String {
    format!("box{nth:02}")
}

/// How many messages, and flagged ones, lie below a folder.
fn counts(root: &Path) -> (usize, usize) {
    let (mut all, mut flagged, mut open) = (0, 0, vec![root.to_owned()]);
    while let Some(dir) = open.pop() {
        let messages = dir.ends_with("cur") || dir.ends_with("new");
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if messages {
                all += 1;
                flagged += usize::from(name.split_once(":2,").is_some_and(|(_, info)| info.contains('F')));
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
    }
    (all, flagged)
}
