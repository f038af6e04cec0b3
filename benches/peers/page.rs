//! `docs/benchmarks.md`: the part between two marks is written here, what is around it by hand.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::measure::{Sample, median};
use crate::results::Results;
use crate::tools::Tool;
use crate::workloads::TITLES;

const BEGIN: &str = "<!-- measured by `make bench`: do not edit -->";
const END: &str = "<!-- end of what was measured -->";

/// Puts the tables into the page.
pub(crate) fn write(tables: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md");
    let text = fs::read_to_string(&path).unwrap_or_else(|_| format!("# Benchmarks\n\n{BEGIN}\n{END}\n"));
    let (before, rest) = text.split_once(BEGIN).expect("the page has its first mark");
    let (_, after) = rest.split_once(END).expect("the page has its second mark");
    fs::write(&path, format!("{before}{BEGIN}\n\n{tables}\n{END}{after}")).expect("a page");
}

/// All tables.
pub(crate) fn tables(results: &Results) -> String {
    let mut text = String::new();
    for line in &results.about {
        let _ = writeln!(text, "- {line}");
    }
    for (workload, title) in TITLES {
        if let Some(by_delay) = results.samples.get(workload) {
            let _ = writeln!(text, "\n## {title}\n\n{HEAD}");
            for (&delay, by_tool) in by_delay {
                for tool in Tool::ALL {
                    let sample = |tool: Tool| by_tool.get(tool.name()).and_then(|samples| median(samples));
                    if let Some(own) = sample(tool) {
                        text += &row(tool, delay, own, sample(tool.counterpart()));
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

const HEAD: &str = "| round trip | program | seconds | × homing | CPU s | peak MiB | kB up | kB down | commands | round trips | connections |\n\
    |---|---|---|---|---|---|---|---|---|---|---|";

fn row(tool: Tool, delay: u64, sample: &Sample, homing: Option<&Sample>) -> String {
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
    let peak = sample.peak_kib as f64 / 1024.0;
    let (name, cpu) = (tool.name(), sample.cpu);
    format!("| {delay} ms | {name} | {seconds} | {ratio} | {cpu:.2} | {peak:.1} | {wire} |\n")
}

fn growth(results: &Results) -> String {
    if results.scale.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## Growth: first pull of small messages, then nothing to do\n\n\
         | messages | pull s | pull CPU s | pull peak MiB | idle s | idle CPU s | idle peak MiB | database MB |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for (messages, scale) in &results.scale {
        let half = |sample: &Sample| {
            let seconds = sample.failed.clone().unwrap_or_else(|| format!("{:.2}", sample.wall));
            format!("{seconds} | {:.2} | {:.1}", sample.cpu, sample.peak_kib as f64 / 1024.0)
        };
        let database = scale.database as f64 / 1e6;
        let _ = writeln!(
            text,
            "| {messages} | {} | {} | {database:.1} |",
            half(&scale.pull),
            half(&scale.idle)
        );
    }
    text
}
