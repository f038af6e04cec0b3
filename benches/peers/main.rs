//! homing beside other programs that keep a Maildir and an IMAP account the same, on one Dovecot, in one run.
//!
//! `make bench` measures all and writes `docs/benchmarks.md`. `ONLY=idle,changes` measures these workloads again and
//! keeps what the last run found of the others; `QUICK=1` takes a tenth of the mail, once, and prints only. A program
//! that is not installed is left out, and the page says so. Nothing here is asserted by a test.

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
mod floor;
mod machine;
mod measure;
mod page;
mod results;
mod scale;
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
    /// Less of everything, and no page.
    quick: bool,
}

impl Scope {
    fn from_environment() -> Self {
        let text = |name: &str| std::env::var(name).unwrap_or_default();
        let words = text("ONLY");
        Self {
            only: words
                .split([',', ' '])
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect(),
            quick: !matches!(text("QUICK").as_str(), "" | "0"),
        }
    }

    /// Whether a workload is to be measured.
    pub(crate) fn wants(&self, workload: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == workload)
    }

    /// A number of messages, or less of them.
    pub(crate) fn scaled(&self, count: usize) -> usize {
        if self.quick { count / 10 } else { count }
    }

    /// How often each step is measured, at most.
    pub(crate) fn runs(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }

    /// The round trips that the proxy adds.
    pub(crate) fn delays(&self) -> &'static [Duration] {
        const ALL: [Duration; 3] = [Duration::ZERO, Duration::from_millis(20), Duration::from_millis(100)];
        if self.quick { &ALL[2..] } else { &ALL }
    }
}

fn main() {
    let scope = Scope::from_environment();
    let dovecot = Dovecot::own(&Variant::default()).expect("the measurement needs Dovecot");
    let (tools, missing): (Vec<Tool>, Vec<Tool>) = Tool::ALL.into_iter().partition(|tool| tool.version().is_some());
    for tool in &missing {
        println!("{}: not installed, left out", tool.name());
    }
    let mut results = if scope.quick {
        Results::default()
    } else {
        Results::load()
    };
    results.about = machine::describe(&dovecot, &tools, &missing);
    workloads::measure(&scope, &dovecot, &tools, &mut results);
    if scope.wants("scale") {
        scale::measure(&scope, &mut results);
    }
    let page = page::tables(&results);
    println!("{page}");
    if !scope.quick {
        page::write(&page);
    }
}
