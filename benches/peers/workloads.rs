//! What the programs are made to do, each on a copy of the same account.
//!
//! Nothing is deleted before the end: a file system may avoid the inodes of files that went lately (ext4 without a journal
//! does, for a minute and more), and a program would be charged for what the one before it left behind.

mod changes;
mod hundred;
mod many;
mod pulls;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Scope;
use crate::account;
use crate::measure::{self, Sample};
use crate::results::Results;
use crate::support::dovecot::Dovecot;
use crate::support::proxy::Proxy;
use crate::tools::{Near, Place, Servers, Tool};

/// What is not measured itself, such as a first pull before runs with nothing to do, may take this long.
const PREPARING: Duration = Duration::from_secs(300);
/// A mailbox that changed within this time is looked at again by all programs; mbsync even waits.
const SETTLED: Duration = Duration::from_millis(2200);
/// What takes longer is measured once: against it, chance is small.
const LONG: f64 = 10.0;

/// The workloads, with what the page calls them, in its order.
pub(crate) const TITLES: [(&str, &str); 11] = [
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
];

/// Where and with what a workload is measured.
struct Bench<'a> {
    scope: &'a Scope,
    dovecot: &'a Dovecot,
    tools: &'a [Tool],
    results: &'a mut Results,
    /// For Maildirs and states, on the disk that the server is on.
    dir: PathBuf,
    /// Copies of accounts made so far: each has a name of its own.
    copies: usize,
    /// What has been measured in this run; samples of earlier runs make way.
    fresh: BTreeSet<(String, u64, Tool)>,
}

/// A program with a copy of an account.
struct Contender {
    place: Place,
    user: String,
}

/// The link to the server.
struct Line {
    delay: Duration,
    /// None without a delay: it would take processor time from all, and hide the disk.
    proxy: Option<Proxy>,
    port: u16,
}

impl Line {
    fn new(dovecot: &Dovecot, delay: Duration) -> Self {
        let proxy = (!delay.is_zero()).then(|| Proxy::to(dovecot.port, delay / 2));
        let port = proxy.as_ref().map_or(dovecot.port, |proxy| proxy.port);
        Self { delay, proxy, port }
    }

    fn ms(&self) -> u64 {
        self.delay.as_millis() as u64
    }
}

/// Measures what is asked for. All that was written lies in `dir`, and in the server's folder.
pub(crate) fn measure(scope: &Scope, dovecot: &Dovecot, tools: &[Tool], dir: &Path, results: &mut Results) {
    let mut bench = Bench {
        scope,
        dovecot,
        tools,
        results,
        dir: dir.to_owned(),
        copies: 0,
        fresh: BTreeSet::new(),
    };
    bench.many();
    bench.pulls();
    bench.hundred();
}

impl Bench<'_> {
    /// Those of these programs that are installed and asked for.
    fn present(&self, tools: &[Tool]) -> Vec<Tool> {
        tools.iter().copied().filter(|tool| self.tools.contains(tool)).collect()
    }

    /// A program with a fresh copy of an account.
    fn contender(&mut self, tool: Tool, model: &str, port: u16) -> Contender {
        self.copies += 1;
        let user = format!("{model}-{}", self.copies);
        account::copy(self.dovecot, model, &user);
        let plus_plus = tool == Tool::InterImap;
        let root = if plus_plus {
            self.dovecot.mail_home(&format!("near-{user}")).join("Maildir")
        } else {
            self.dir.join(&user).join("Mail")
        };
        let near = Near { root, plus_plus };
        let place = Place::new(tool, self.dir.join(&user), near, &self.servers(&user, port));
        Contender { place, user }
    }

    fn servers<'u>(&self, user: &'u str, port: u16) -> Servers<'u> {
        Servers {
            user,
            port,
            local_port: self.dovecot.port,
        }
    }

    /// Tells a program another way to the server.
    fn connect(&self, contender: &Contender, port: u16) {
        contender.place.configure(&self.servers(&contender.user, port));
    }

    /// Runs until nothing should be left to do, without a delay.
    fn settle(&self, contenders: &[Contender], port: u16) {
        for contender in contenders {
            self.connect(contender, self.dovecot.port);
        }
        rest();
        for contender in contenders {
            let sample = measure::run(&mut contender.place.command(), PREPARING, None);
            if let Some(why) = sample.failed {
                println!(
                    "{} before it is measured: {why}: {}",
                    contender.place.tool.name(),
                    contender.place.log()
                );
            }
            self.connect(contender, port);
        }
    }

    /// One measured run, after which both sides must hold the same. [`rest`] comes before it.
    fn step(&mut self, workload: &str, line: &Line, contender: &Contender) -> Sample {
        let Contender { place, user } = contender;
        let limit = self.scope.limit;
        let mut sample = measure::run(&mut place.command(), limit, line.proxy.as_ref());
        let (near, far) = (counts(&place.near.root), counts(&self.dovecot.mail_home(user)));
        if sample.failed.is_none() && near != far {
            sample.failed = Some(format!("left {near:?} here and {far:?} there"));
        }
        println!(
            "{workload} {} ms {}: {:.2} s, {:.2} s of CPU, {} KiB, {:?} {}",
            line.ms(),
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
            self.keep(workload, line.ms(), place.tool, sample.clone());
        }
        sample
    }

    fn keep(&mut self, workload: &str, ms: u64, tool: Tool, sample: Sample) {
        let first = self.fresh.insert((workload.into(), ms, tool));
        let kept = self.results.at(workload, ms, tool.name());
        if first {
            kept.clear();
        }
        kept.push(sample);
        if !self.scope.quick {
            self.results.save();
        }
    }
}

/// Before each step, or round of steps: all that was written is on the disk, and no mailbox is young.
fn rest() {
    account::settle();
    std::thread::sleep(SETTLED);
}

/// Whether a run is not worth another: it failed, or took so long that chance has little part in it.
fn is_final(sample: &Sample) -> bool {
    sample.failed.is_some() || sample.wall > LONG
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
