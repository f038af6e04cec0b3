//! homing beside other programs that keep a Maildir and an IMAP account the same, on one Dovecot, in one run.
//!
//! `make bench` measures all and writes `docs/benchmarks.md`. `ONLY=idle,changes` measures these workloads again and
//! keeps what the last run found of the others; `TOOLS=homing,mbsync`, `DELAYS=0,100` and `RUNS=1` measure less; a run
//! over `LIMIT` seconds is ended; `QUICK=1` takes a tenth of the mail, once, and prints only. `ONLY=kills` kills each
//! program on its way, and prints what is lost and doubled. A program that is not installed is left out, and the page says
//! so. Nothing here is asserted by a test.

#[path = "../../tests/support"]
#[allow(dead_code, unreachable_pub, unused_imports, clippy::pedantic)] // what the tests use
mod support {
    pub(crate) mod dovecot;
    pub(crate) mod mail;
    pub(crate) mod proxy;
    pub(crate) mod raw;
    pub(crate) mod server;
    pub(crate) mod witness;
    pub(crate) mod world;
}

mod account;
mod between;
mod floor;
mod growth;
mod kills;
mod machine;
mod measure;
mod page;
mod results;
mod targets;
mod tools;
mod workloads;

use std::time::Duration;

use results::Results;
use support::dovecot::{Dovecot, Variant};
use tools::Tool;

/// How much is measured.
pub(crate) struct Scope {
    /// The workloads asked for; empty: all.
    only: Vec<String>,
    /// The programs asked for, as words that their names begin with; empty: all.
    tools: Vec<String>,
    /// Round trips that the proxy adds.
    delays: Vec<Duration>,
    /// How often each step is measured, at most.
    runs: usize,
    /// What takes longer is ended, and counts as failed.
    limit: Duration,
    /// Less of everything, and no page.
    quick: bool,
}

impl Scope {
    fn from_environment() -> Self {
        let text = |name: &str| std::env::var(name).unwrap_or_default();
        let words = |name: &str| -> Vec<String> {
            let words = text(name);
            let words = words.split([',', ' ']).filter(|word| !word.is_empty());
            words.map(str::to_lowercase).collect()
        };
        let numbers = |name: &str, usual: &[u64]| {
            let given: Vec<u64> = words(name).iter().filter_map(|word| word.parse().ok()).collect();
            if given.is_empty() { usual.to_vec() } else { given }
        };
        let quick = !matches!(text("QUICK").as_str(), "" | "0");
        let (delays, runs): (&[u64], u64) = if quick { (&[100], 1) } else { (&[0, 20, 100], 3) };
        Self {
            only: words("ONLY"),
            tools: words("TOOLS"),
            delays: numbers("DELAYS", delays)
                .into_iter()
                .map(Duration::from_millis)
                .collect(),
            runs: numbers("RUNS", &[runs])[0] as usize,
            limit: Duration::from_secs(numbers("LIMIT", &[120])[0]),
            quick,
        }
    }

    /// Whether a workload is to be measured.
    pub(crate) fn wants(&self, workload: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == workload)
    }

    /// Whether anything is asked for that is measured here.
    fn is_for_us(&self) -> bool {
        let titles = workloads::TITLES.iter().map(|(workload, _)| *workload);
        titles.chain(["growth"]).any(|workload| self.wants(workload))
    }

    /// Whether all is measured again, so that nothing of earlier runs need be kept.
    fn is_whole(&self) -> bool {
        self.only.is_empty() && self.tools.is_empty() && std::env::var("DELAYS").unwrap_or_default().is_empty()
    }

    /// A number of messages, or less of them.
    pub(crate) fn scaled(&self, count: usize) -> usize {
        if self.quick { count / 10 } else { count }
    }

    /// Whether a program is to be measured.
    fn uses(&self, tool: Tool) -> bool {
        let name = tool.name().to_lowercase();
        self.tools.is_empty() || self.tools.iter().any(|word| name.starts_with(word))
    }
}

fn main() {
    let scope = Scope::from_environment();
    if !scope.is_for_us() {
        return;
    }
    let dovecot = Dovecot::own(&Variant::default()).expect("the measurement needs Dovecot");
    let asked = Tool::ALL.into_iter().filter(|tool| scope.uses(*tool));
    let (tools, missing): (Vec<Tool>, Vec<Tool>) = asked.partition(|tool| tool.version().is_some());
    for tool in &missing {
        println!("{}: not installed, left out", tool.name());
    }
    let mut results = if scope.quick || scope.is_whole() {
        Results::default()
    } else {
        Results::load()
    };
    results.about = machine::describe(&dovecot, &tools, &missing);
    // In the folder that the server's own is made in, so that both are on one disk.
    let dir = tempfile::Builder::new().prefix("homing-bench-").tempdir();
    let dir = dir.expect("a folder");
    if scope.only.iter().any(|word| word == "kills") {
        kills::measure(&scope, &dovecot, &tools, dir.path());
        return;
    }
    workloads::measure(&scope, &dovecot, &tools, dir.path(), &mut results);
    if scope.wants("growth") {
        growth::measure(&scope, dir.path(), &mut results);
    }
    let page = page::tables(&results);
    println!("{page}");
    if !scope.quick {
        page::write(&page);
    }
    println!("removing what was written");
    account::clear(dir.path());
    account::clear(&dovecot.mail_home(""));
}
