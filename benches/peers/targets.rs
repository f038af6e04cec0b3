//! What the measurement has to show: each target, what was measured, and whether that meets it.

use std::fmt::Write as _;

use crate::measure::Sample;
use crate::page::mib;
use crate::results::Results;
use crate::tools::Tool;

/// What was measured, in words, and whether it is enough.
type Shown = Option<(String, bool)>;

/// A target, and how it is read from the results; `None` where these lack something.
type Target = (&'static str, fn(&Results) -> Shown);

const TARGETS: [Target; 14] = [
    (
        "nothing to do, 50 mailboxes, 100 ms: at most 6 round trips in all",
        |results| {
            let wire = good(results, "idle", 100, Tool::Homing)?.wire.as_ref()?;
            let shown = format!("{} counted, and TCP's and the greeting", wire.round_trips);
            Some((shown, wire.round_trips + 2 <= 6))
        },
    ),
    ("… at least 25 times faster than mbsync", |results| {
        faster(results, "idle", 100, 25.0)
    }),
    (
        "one mailbox of 100,000, nothing to do: under 3 kB, login included",
        |results| {
            let wire = good(results, "idle-100000", 100, Tool::Homing)?.wire.as_ref()?;
            let bytes = wire.up + wire.down;
            Some((format!("{bytes} bytes"), bytes < 3000))
        },
    ),
    (
        "pull of 50 × 200 at 100 ms: at least 10 times faster than mbsync",
        |results| faster(results, "pull-many", 100, 10.0),
    ),
    (
        "pull of 20,000 at 0 ms: at least 6 times faster than mbsync with FSync",
        |results| faster(results, "pull-20000", 0, 6.0),
    ),
    ("… at least 3 times without", |results| {
        let own = good(results, "pull-20000", 0, Tool::HomingNoSync)?;
        Some(ratio(own, good(results, "pull-20000", 0, Tool::MbsyncNoSync)?, 3.0))
    }),
    ("… CPU no higher than mbsync's", |results| {
        let own = good(results, "pull-20000", 0, Tool::Homing)?.cpu;
        let peer = good(results, "pull-20000", 0, Tool::Mbsync)?.cpu;
        Some((format!("{own:.2} s against {peer:.2} s"), own <= peer))
    }),
    ("… peak under 20 MiB", |results| {
        Some(under(good(results, "pull-20000", 0, Tool::Homing)?, 20.0))
    }),
    (
        "… beside the floor, the slower of fetching to nowhere and writing with syncfs",
        |results| {
            let own = good(results, "pull-20000", 0, Tool::Homing)?.wall;
            let floors = results.floors.get("pull-20000")?;
            let slower = floors.iter().filter(|(what, _)| !what.ends_with("none"));
            let floor = slower.map(|(_, seconds)| *seconds).fold(0.0, f64::max);
            Some((
                format!("{own:.2} s, {:.1} times the floor of {floor:.2} s", own / floor),
                true,
            ))
        },
    ),
    ("a message of 100 MB in under 20 MiB", |results| {
        Some(under(good(results, "pull-100mb", 0, Tool::Homing)?, 20.0))
    }),
    (
        "100 changes on each side, 20 mailboxes, 100 ms: at least 5 times faster than mbsync",
        |results| faster(results, "changes", 100, 5.0),
    ),
    ("1,000 moves either way: no bodies on the wire", |results| {
        let bytes = |workload| {
            let wire = good(results, workload, 100, Tool::Homing)?.wire.as_ref()?;
            Some(wire.up + wire.down)
        };
        let (up, down) = (bytes("moves-up")?, bytes("moves-down")?);
        // The bodies are 10 MB.
        let shown = format!("{:.2} and {:.2} MB", up as f64 / 1e6, down as f64 / 1e6);
        Some((shown, up.max(down) < 1_000_000))
    }),
    (
        "a million messages, nothing to do: under 40 MiB and 0.5 s of CPU",
        |results| {
            let idle = &results.growth.get(&1_000_000)?.idle;
            let shown = format!("{:.1} MiB, {:.2} s", mib(idle), idle.cpu);
            Some((shown, idle.failed.is_none() && mib(idle) < 40.0 && idle.cpu < 0.5))
        },
    ),
    (
        "a first pull's memory does not grow with the mailbox (10,000 and 100,000)",
        |results| {
            let peak = |messages| Some(mib(&results.growth.get(&messages)?.pull));
            let (small, large) = (peak(10_000)?, peak(100_000)?);
            Some((format!("{small:.1} and {large:.1} MiB"), large < small + 2.0))
        },
    ),
];

/// All targets, met or not.
pub(crate) fn table(results: &Results) -> String {
    let mut text = String::from("\n## What it has to show\n\n| what | measured | met |\n|---|---|---|\n");
    for (what, shown) in TARGETS {
        let (shown, met) = match shown(results) {
            Some((shown, true)) => (shown, "yes"),
            Some((shown, false)) => (shown, "**no**"),
            None => ("not measured".to_owned(), "–"),
        };
        let _ = writeln!(text, "| {what} | {shown} | {met} |");
    }
    text
}

/// What stands for a program's runs, if they came to an end.
fn good<'a>(results: &'a Results, workload: &str, delay: u64, tool: Tool) -> Option<&'a Sample> {
    results
        .of(workload, delay, tool)
        .filter(|sample| sample.failed.is_none())
}

fn faster(results: &Results, workload: &str, delay: u64, times: f64) -> Shown {
    let own = good(results, workload, delay, Tool::Homing)?;
    Some(ratio(own, good(results, workload, delay, Tool::Mbsync)?, times))
}

fn ratio(own: &Sample, peer: &Sample, times: f64) -> (String, bool) {
    let ratio = peer.wall / own.wall;
    let shown = format!("{ratio:.1} times ({:.2} s and {:.2} s)", own.wall, peer.wall);
    (shown, ratio >= times)
}

fn under(sample: &Sample, limit: f64) -> (String, bool) {
    (format!("{:.1} MiB", mib(sample)), mib(sample) < limit)
}
