//! The real program in a world of its own: configuration, state, Maildir, and somebody who changes both sides.

mod chance;
pub(crate) mod local;
pub(crate) mod mails;
pub(crate) mod remote;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) use chance::Chance;

use crate::support::witness::{self, Account, Layout, look_at_disk};

/// The name of the account in the configuration.
pub(crate) const ACCOUNT: &str = "personal";

/// A user's home with a configuration of one account.
pub(crate) struct World {
    home: tempfile::TempDir,
    /// The Maildir's root.
    pub(crate) maildir: PathBuf,
    /// The keys of the account, name and TOML value.
    keys: Vec<(String, String)>,
    /// Tables of the configuration besides.
    beside: String,
}

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Run {
    /// Its exit code.
    pub(crate) exit: i32,
    /// The one JSON object on its standard output.
    pub(crate) report: Value,
    /// What it said on standard error.
    pub(crate) stderr: String,
    /// How long it took.
    pub(crate) took: Duration,
    /// Its largest resident set, as last seen (a few milliseconds before the end).
    pub(crate) peak_kib: u64,
}

impl World {
    /// An account on a server that takes cleartext on loopback; the password is `pass`.
    pub(crate) fn new(port: u16, user: &str) -> Self {
        Self::below(&std::env::temp_dir(), port, user)
    }

    /// The same on a disk that costs no time, where there is one: for tests that do the same over and over.
    pub(crate) fn in_memory(port: u16, user: &str) -> Self {
        let memory = Path::new("/dev/shm");
        let disk = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        Self::below(&disk, port, user)
    }

    fn below(disk: &Path, port: u16, user: &str) -> Self {
        let home = tempfile::Builder::new()
            .prefix("homing-test-")
            .tempdir_in(disk)
            .expect("a folder");
        let maildir = home.path().join("Mail");
        let mut world = Self {
            keys: Vec::new(),
            beside: String::new(),
            maildir: maildir.clone(),
            home,
        };
        world.set("host", "\"127.0.0.1\"");
        world.set("port", &port.to_string());
        world.set("tls", "\"none\"");
        world.set("user", &toml_string(user));
        world.set("password-command", "\"echo pass\"");
        world.set("maildir", &toml_string(&maildir.to_string_lossy()));
        world
    }

    /// Sets a key of the account to a TOML value.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.keys.retain(|(name, _)| name != key);
        self.keys.push((key.into(), value.into()));
        self.write_config();
    }

    /// Takes a key out again.
    pub(crate) fn unset(&mut self, key: &str) {
        self.keys.retain(|(name, _)| name != key);
        self.write_config();
    }

    /// Writes tables into the configuration that stand besides the account's.
    pub(crate) fn set_beside(&mut self, tables: &str) {
        self.beside = tables.into();
        self.write_config();
    }

    fn write_config(&self) {
        let lines: Vec<String> = self
            .keys
            .iter()
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        let account = format!("[accounts.{ACCOUNT}]\n{}\n", lines.join("\n"));
        fs::write(self.config(), account + &self.beside).expect("a configuration");
    }

    /// The home folder.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.home.path().join("config.toml")
    }

    /// `homing sync` with these arguments more.
    pub(crate) fn sync(&self, arguments: &[&str]) -> Run {
        self.run(&[&["sync"], arguments].concat())
    }

    /// A sync that must end with 0.
    #[track_caller]
    pub(crate) fn sync_ok(&self) -> Run {
        let run = self.sync(&[]);
        assert_eq!(run.exit, 0, "{run:#?}");
        run
    }

    /// `homing` with these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Self::finish(self.spawn(arguments), Instant::now())
    }

    /// Starts `homing` and does not wait for it; see [`Self::finish`].
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.command();
        command.args(arguments);
        command.spawn().expect("the program starts")
    }

    /// The program with its surroundings and the options that all runs have.
    pub(crate) fn command(&self) -> Command {
        let home = self.home.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_homing"));
        command
            .arg("--config")
            .arg(self.config())
            .arg("--json")
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join("xdg/config"))
            .env("XDG_STATE_HOME", home.join("xdg/state"))
            .env("XDG_DATA_HOME", home.join("xdg/data"))
            .env("XDG_CACHE_HOME", home.join("xdg/cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Waits for a run that began at `begun`.
    pub(crate) fn finish(mut child: Child, begun: Instant) -> Run {
        let (mut out, mut err) = (
            child.stdout.take().expect("a pipe"),
            child.stderr.take().expect("a pipe"),
        );
        let reader = thread::spawn(move || {
            let mut text = String::new();
            let _ = out.read_to_string(&mut text);
            text
        });
        let errors = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = err.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let mut peak_kib = 0;
        let status = loop {
            peak_kib = peak_kib.max(high_water(child.id()).unwrap_or(0));
            if let Some(status) = child.try_wait().expect("a child") {
                break status;
            }
            thread::sleep(Duration::from_millis(3));
        };
        let took = begun.elapsed();
        let (stdout, stderr) = (reader.join().expect("text"), errors.join().expect("text"));
        let report = serde_json::from_str(&stdout)
            .unwrap_or_else(|e| panic!("not one JSON object on standard output ({e}): {stdout}\n{stderr}"));
        Run {
            exit: status.code().unwrap_or(-1),
            report,
            stderr,
            took,
            peak_kib,
        }
    }

    /// What is on disk.
    pub(crate) fn look(&self) -> Account {
        look_at_disk(&self.maildir, self.layout())
    }

    /// How mailboxes lie on disk: nested, unless the configuration says otherwise.
    pub(crate) fn layout(&self) -> Layout {
        let set = self
            .keys
            .iter()
            .any(|(key, value)| key == "layout" && value == "\"maildir++\"");
        if set { Layout::PlusPlus } else { Layout::Nested }
    }

    /// The mailboxes on disk that have ordinary names: levels joined by `/`.
    pub(crate) fn look_at_names(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.maildir.clone()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).expect("a directory") {
                let path = entry.expect("an entry").path();
                let own = path
                    .file_name()
                    .is_some_and(|name| ["cur", "new", "tmp"].iter().any(|own| name == *own));
                if own || !path.is_dir() {
                    continue;
                }
                if path.join("cur").is_dir() {
                    let name = path.strip_prefix(&self.maildir).expect("below the root");
                    found.push(name.to_string_lossy().into_owned());
                }
                open.push(path);
            }
        }
        found.sort();
        found
    }

    /// Fails unless disk and server hold the same; both as seen.
    #[track_caller]
    pub(crate) fn assert_same(&self, server: &mut witness::Server, when: &str) -> Account {
        let (disk, there) = (self.look(), server.look());
        witness::assert_same(&disk, &there, when);
        there
    }
}

impl Run {
    /// The part of the report on the one account.
    pub(crate) fn account(&self) -> &Value {
        &self.report["accounts"][0]
    }

    /// A count of the report, such as `("left", "added")`.
    pub(crate) fn count(&self, side: &str, what: &str) -> u64 {
        self.account()[side][what]
            .as_u64()
            .unwrap_or_else(|| panic!("no {side}.{what} in {self:#?}"))
    }

    /// All counts of changes together.
    pub(crate) fn changes(&self) -> u64 {
        let counts = |side: &str| {
            let all = self.account()[side]
                .as_object()
                .unwrap_or_else(|| panic!("no {side} in {self:#?}"));
            all.values().filter_map(Value::as_u64).sum::<u64>()
        };
        counts("left") + counts("right")
    }

    /// The problems of the account.
    pub(crate) fn problems(&self) -> &[Value] {
        self.account()["problems"].as_array().map_or(&[], Vec::as_slice)
    }

    /// What was held back.
    pub(crate) fn held_back(&self) -> &[Value] {
        self.account()["held_back"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// Peak resident memory of a running process (proc(5)).
fn high_water(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A basic string of TOML.
pub(crate) fn toml_string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
