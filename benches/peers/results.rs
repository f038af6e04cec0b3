//! What was measured, kept between runs so that a part can be measured again.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::measure::{Sample, median};
use crate::tools::Tool;

/// All results.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// The machine and the versions, as lines of Markdown.
    pub(crate) about: Vec<String>,
    /// By workload, round trip in milliseconds, and program.
    pub(crate) samples: BTreeMap<String, BTreeMap<u64, BTreeMap<String, Vec<Sample>>>>,
    /// What the wire and the disk take alone, in seconds, by workload.
    pub(crate) floors: BTreeMap<String, BTreeMap<String, f64>>,
    /// By number of messages.
    #[serde(default)]
    pub(crate) growth: BTreeMap<u64, Growth>,
}

/// What one size of account takes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Growth {
    pub(crate) pull: Sample,
    /// Nothing to do.
    pub(crate) idle: Sample,
    /// One change on each side, in the largest mailbox.
    pub(crate) change: Sample,
    /// Bytes of the database.
    pub(crate) database: u64,
}

impl Results {
    fn path() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench-results.json")
    }

    /// What earlier runs found.
    pub(crate) fn load() -> Self {
        let text = fs::read_to_string(Self::path()).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Keeps what was found.
    pub(crate) fn save(&self) {
        let text = serde_json::to_string_pretty(self).expect("plain data");
        fs::write(Self::path(), text).expect("room on the disk");
    }

    /// What stands for one workload, round trip and program.
    pub(crate) fn of(&self, workload: &str, delay: u64, tool: Tool) -> Option<&Sample> {
        median(self.samples.get(workload)?.get(&delay)?.get(tool.name())?)
    }

    /// The samples of one workload, round trip and program.
    pub(crate) fn at(&mut self, workload: &str, delay: u64, tool: &str) -> &mut Vec<Sample> {
        let by_delay = self.samples.entry(workload.into()).or_default();
        by_delay.entry(delay).or_default().entry(tool.into()).or_default()
    }
}
