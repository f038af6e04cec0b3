//! Where it was measured.

use std::fs;
use std::process::Command;

use crate::support::dovecot::Dovecot;
use crate::tools::Tool;

/// The machine and the versions, a line each.
pub(crate) fn describe(dovecot: &Dovecot, tools: &[Tool], missing: &[Tool]) -> Vec<String> {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let mut lines = vec![
        format!("Processor: {}, {cpus} cores", after("/proc/cpuinfo", "model name")),
        format!("Memory: {}", after("/proc/meminfo", "MemTotal")),
        format!(
            "Kernel: {}; disk: {}",
            said("uname", &["-sr"]),
            said("stat", &["-f", "-c", "%T", "/tmp"])
        ),
        format!(
            "Server: Dovecot {}, Maildir, cleartext over loopback, without fsync",
            dovecot.version
        ),
    ];
    let own = |tool: &&Tool| !tool.is_variant();
    lines.extend(
        tools
            .iter()
            .filter(own)
            .filter_map(|tool| Some(format!("{}: {}", tool.name(), tool.version()?))),
    );
    let missing: Vec<&str> = missing.iter().filter(own).map(|tool| tool.name()).collect();
    if !missing.is_empty() {
        lines.push(format!("Not installed here, so not measured: {}", missing.join(", ")));
    }
    lines
}

fn after(file: &str, word: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(word)).unwrap_or_default();
    line.split_once(':')
        .map_or("unknown", |(_, value)| value.trim())
        .to_owned()
}

fn said(program: &str, arguments: &[&str]) -> String {
    let out = Command::new(program).args(arguments).output();
    out.map_or_else(
        |_| "unknown".into(),
        |out| String::from_utf8_lossy(&out.stdout).trim().to_owned(),
    )
}
