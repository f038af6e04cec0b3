//! The tables of `docs/benchmarks.md`.

use std::fmt::Write as _;

use crate::between;
use crate::measure::Sample;
use crate::results::Results;
use crate::targets;
use crate::tools::Tool;
use crate::workloads::TITLES;

const BEGIN: &str = "<!-- measured by `make bench`: do not edit -->";
const END: &str = "<!-- end of what was measured -->";

/// Puts the tables into the page.
pub(crate) fn write(tables: &str) {
    between::put(BEGIN, END, tables);
}

/// All tables.
pub(crate) fn tables(results: &Results) -> String {
    let mut text = String::new();
    for line in &results.about {
        let _ = writeln!(text, "- {line}");
    }
    text += &targets::table(results);
    for (workload, title) in TITLES {
        if let Some(by_delay) = results.samples.get(workload) {
            let _ = writeln!(text, "\n## {title}\n\n{HEAD}");
            for (&delay, by_tool) in by_delay {
                for tool in Tool::ALL {
                    if let Some(own) = results.of(workload, delay, tool) {
                        let runs = by_tool.get(tool.name()).map_or(0, Vec::len);
                        text += &row(tool, delay, runs, own, results.of(workload, delay, tool.counterpart()));
                    }
                }
            }
        }
        if let Some(floors) = results.floors.get(workload) {
            let floors: Vec<String> = floors
                .iter()
                .map(|(what, seconds)| format!("{what} {seconds:.2} s"))
                .collect();
            let _ = writeln!(text, "\nThe floor: {}.", floors.join("; "));
        }
    }
    text + &growth(results)
}

const HEAD: &str = "| round trip | program | runs | seconds | × homing | CPU s | peak MiB | kB up | kB down | commands | round trips | connections |\n\
    |---|---|---|---|---|---|---|---|---|---|---|---|";

fn row(tool: Tool, delay: u64, runs: usize, sample: &Sample, homing: Option<&Sample>) -> String {
    let good = homing.filter(|homing| homing.failed.is_none() && sample.failed.is_none());
    let ratio = good.map_or("–".into(), |homing| format!("{:.1}", sample.wall / homing.wall));
    let seconds = sample.failed.clone().unwrap_or_else(|| format!("{:.2}", sample.wall));
    let wire = sample.wire.as_ref().map_or("– | – | – | – | –".into(), |wire| {
        format!(
            "{:.1} | {:.1} | {} | {} | {}",
            wire.up as f64 / 1e3,
            wire.down as f64 / 1e3,
            wire.commands,
            wire.round_trips,
            wire.connections
        )
    });
    let (name, cpu, peak) = (tool.name(), sample.cpu, mib(sample));
    format!("| {delay} ms | {name} | {runs} | {seconds} | {ratio} | {cpu:.2} | {peak:.1} | {wire} |\n")
}

fn growth(results: &Results) -> String {
    if results.growth.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## Growth: first pull of small messages, nothing to do, one change on each side\n\n\
         The largest mailbox holds 100,000. The server is the one that the tests carry, and shares the processor.\n\n\
         | messages | what | seconds | CPU s | peak MiB | database MB |\n|---|---|---|---|---|---|\n",
    );
    for (messages, growth) in &results.growth {
        let database = format!("{:.1}", growth.database as f64 / 1e6);
        let rows = [
            ("first pull", &growth.pull, "–"),
            ("nothing to do", &growth.idle, "–"),
            ("one change on each side", &growth.change, database.as_str()),
        ];
        for (what, sample, database) in rows {
            let seconds = sample.failed.clone().unwrap_or_else(|| format!("{:.2}", sample.wall));
            let _ = writeln!(
                text,
                "| {messages} | {what} | {seconds} | {:.2} | {:.1} | {database} |",
                sample.cpu,
                mib(sample)
            );
        }
    }
    text
}

/// The peak in MiB.
pub(crate) fn mib(sample: &Sample) -> f64 {
    sample.peak_kib as f64 / 1024.0
}
