//! One run of a program: how long it took, what it took, and what crossed the wire.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use serde::{Deserialize, Serialize};

use crate::support::proxy::Proxy;

/// What one run took.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Seconds of processor time, user and system, of the program and the children that it waited for.
    pub(crate) cpu: f64,
    /// Largest resident set in KiB (`VmHWM`), as last seen some milliseconds before the end.
    pub(crate) peak_kib: u64,
    /// What went through the proxy; nothing where there was none.
    pub(crate) wire: Option<Wire>,
    /// It did not come to an end in time, or failed: why.
    pub(crate) failed: Option<String>,
}

/// What the proxy counted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Wire {
    /// Bytes from the program to the server, and back.
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(crate) commands: u64,
    /// How often a connection with nothing left to answer went on sending; greetings are not counted.
    pub(crate) round_trips: u64,
    pub(crate) connections: u64,
}

/// Runs a program to its end, or until `limit`.
pub(crate) fn run(command: &mut Command, limit: Duration, proxy: Option<&Proxy>) -> Sample {
    if let Some(proxy) = proxy {
        proxy.take();
    }
    let begun = Instant::now();
    let mut child = command.spawn().expect("an installed program starts");
    let mut sample = watch(&mut child, begun, limit);
    let status = child.wait().expect("a child");
    if sample.failed.is_none() && !status.success() {
        sample.failed = Some(format!("failed: {status}"));
    }
    if let Some(proxy) = proxy {
        std::thread::sleep(Duration::from_millis(250)); // what is still under way
        let traffic = proxy.take();
        sample.wire = Some(Wire {
            up: traffic.sent,
            down: traffic.received,
            commands: traffic.commands.len() as u64,
            round_trips: traffic.round_trips,
            connections: traffic.connections,
        });
    }
    sample
}

/// Looks at a child until it is a zombie, whose times can be read, but not its memory.
fn watch(child: &mut Child, begun: Instant, limit: Duration) -> Sample {
    let pid = Pid::from_child(child);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let mut sample = Sample::default();
    loop {
        let peak = field(child.id(), "status", "VmHWM:").unwrap_or(0);
        sample.peak_kib = sample.peak_kib.max(peak);
        if waitid(WaitId::Pid(pid), options).expect("a child").is_some() {
            break;
        }
        if begun.elapsed() > limit {
            sample.failed = Some(format!("over {} s", limit.as_secs()));
            let _ = child.kill();
            let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    sample.wall = begun.elapsed().as_secs_f64();
    sample.cpu = processor_time(child.id()).unwrap_or(0.0);
    sample
}

/// A number after a word in a file of proc(5).
fn field(pid: u32, file: &str, word: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(word))?;
    line.split_whitespace().next()?.parse().ok()
}

/// utime, stime, cutime and cstime of proc(5), which come in hundredths of a second.
fn processor_time(pid: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = text.rsplit_once(')')?.1.split_whitespace().skip(11).take(4);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(ticks as f64 / 100.0)
}

/// The sample in the middle by the clock; a failed one only where all failed.
pub(crate) fn median(samples: &[Sample]) -> Option<&Sample> {
    let mut order: Vec<&Sample> = samples.iter().filter(|sample| sample.failed.is_none()).collect();
    if order.is_empty() {
        return samples.first();
    }
    order.sort_by(|a, b| a.wall.total_cmp(&b.wall));
    order.get(order.len() / 2).copied()
}
