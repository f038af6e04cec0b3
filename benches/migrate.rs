//! What it costs to migrate, against a pull into a Maildir and a push of it to the other server, and against imapsync where
//! that is installed. `ONLY=migrate make bench`; `DELAYS=0,100` measures other round trips, `QUICK=1` a tenth of the mail.
//! Two Dovecots, each behind a proxy. Nothing here is asserted but that all mail arrives.

#[path = "../tests/support"]
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

#[path = "peers/account.rs"]
#[allow(dead_code)]
mod account;
#[path = "peers/measure.rs"]
#[allow(dead_code)]
mod measure;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use measure::Sample;
use support::dovecot::{Dovecot, Variant};
use support::proxy::Proxy;

/// A run that takes longer is ended.
const LIMIT: Duration = Duration::from_secs(900);
const MAILBOXES: u64 = 50;
const FROM: &str = "from";

fn main() {
    let words = |name: &str| std::env::var(name).unwrap_or_default();
    let each = if matches!(words("QUICK").as_str(), "" | "0") {
        200
    } else {
        20
    };
    let delays: Vec<u64> = words("DELAYS")
        .split(',')
        .filter_map(|word| word.trim().parse().ok())
        .collect();
    let delays = if delays.is_empty() { vec![0, 100] } else { delays };
    let [from, to] = [(); 2].map(|()| Dovecot::own(&Variant::default()).expect("the measurement needs Dovecot"));
    for mailbox in 0..MAILBOXES {
        let numbers = mailbox * each..(mailbox + 1) * each;
        account::fill(&from, FROM, &name(mailbox), numbers);
    }
    println!("{MAILBOXES} mailboxes of {each} messages, from one Dovecot to another, both behind the round trip\n");
    println!("| round trip | what | seconds | of pull and push | CPU, s | peak, MiB |");
    println!("|---|---|---|---|---|---|");
    for delay in delays {
        Bench::new([&from, &to], delay).all(MAILBOXES * each);
    }
}

fn name(mailbox: u64) -> String {
    if mailbox == 0 {
        "INBOX".to_owned()
    } else {
        format!("Box{mailbox}")
    }
}

/// Two servers that are so far away.
struct Bench<'a> {
    servers: [&'a Dovecot; 2],
    proxies: [Option<Proxy>; 2],
    delay: u64,
    dir: tempfile::TempDir,
}

impl<'a> Bench<'a> {
    fn new(servers: [&'a Dovecot; 2], delay: u64) -> Self {
        let half = Duration::from_millis(delay) / 2;
        let proxies = servers.map(|server| (delay > 0).then(|| Proxy::to(server.port, half)));
        let dir = tempfile::tempdir().expect("a folder");
        Self {
            servers,
            proxies,
            delay,
            dir,
        }
    }

    fn all(&self, messages: u64) {
        let pull = self.homing("pull", &["sync", "from"], None);
        // The Maildir becomes that of another account.
        fs::remove_file(self.dir.path().join("Mail/.homing")).expect("a marker");
        let push = self.homing("push", &["sync", "--push", "pushed"], Some(("pushed", messages)));
        let both = pull.wall + push.wall;
        let tell = |what: &str, sample: &Sample| {
            println!(
                "| {} ms | {what} | {:.1} | {:.2} | {:.1} | {:.1} |",
                self.delay,
                sample.wall,
                sample.wall / both,
                sample.cpu,
                sample.peak_kib as f64 / 1024.0
            );
        };
        tell("pull", &pull);
        tell("push", &push);
        tell(
            "migrate",
            &self.homing(
                "migrate",
                &["migrate", "from", "migrated"],
                Some(("migrated", messages)),
            ),
        );
        tell(
            "migrate, nothing to do",
            &self.homing("again", &["migrate", "from", "migrated"], None),
        );
        match self.imapsync(messages) {
            Some(sample) => tell("imapsync", &sample),
            None => println!("| {} ms | imapsync: not installed | – | – | – | – |", self.delay),
        }
    }

    /// Runs homing; then the account of that name on the second server must hold so many messages.
    fn homing(&self, what: &str, arguments: &[&str], expected: Option<(&str, u64)>) -> Sample {
        let config = self.dir.path().join("config.toml");
        fs::write(&config, self.config(arguments.contains(&"pushed"))).expect("room on the disk");
        let mut command = Command::new(env!("CARGO_BIN_EXE_homing"));
        command
            .arg("--config")
            .arg(config)
            .arg("--state")
            .arg(self.dir.path().join("state"))
            .arg("-q")
            .args(arguments);
        self.run(what, &mut command, expected)
    }

    fn imapsync(&self, messages: u64) -> Option<Sample> {
        Command::new("imapsync")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .ok()?;
        let mut command = Command::new("imapsync");
        for (nth, user) in [(1, FROM), (2, "synced")] {
            let port = self.port(nth - 1).to_string();
            for (key, value) in [
                ("host", "127.0.0.1"),
                ("port", &port),
                ("user", &self.user(user)),
                ("password", "pass"),
            ] {
                command.arg(format!("--{key}{nth}")).arg(value);
            }
            command.args([format!("--nossl{nth}"), format!("--notls{nth}")]);
        }
        command.args(["--nolog", "--noreleasecheck"]).stdout(Stdio::null());
        Some(self.run("imapsync", &mut command, Some(("synced", messages))))
    }

    fn run(&self, what: &str, command: &mut Command, expected: Option<(&str, u64)>) -> Sample {
        account::settle();
        command.current_dir(self.dir.path());
        let sample = measure::run(command, LIMIT, None);
        assert_eq!(sample.failed, None, "{what}");
        if let Some((user, messages)) = expected {
            assert_eq!(count(&self.servers[1].mail_home(&self.user(user))), messages, "{what}");
        }
        sample
    }

    /// Accounts of TO are this round trip's own.
    fn user(&self, account: &str) -> String {
        if account == FROM {
            FROM.to_owned()
        } else {
            format!("{account}-{}", self.delay)
        }
    }

    fn port(&self, server: usize) -> u16 {
        self.proxies[server]
            .as_ref()
            .map_or(self.servers[server].port, |proxy| proxy.port)
    }

    /// Either account has the Maildir, one at a time.
    fn config(&self, pushes: bool) -> String {
        let maildir = format!("maildir = \"{}/Mail\"\n", self.dir.path().display());
        let [of_from, of_pushed] = if pushes { ["", &*maildir] } else { [&*maildir, ""] };
        let accounts = [(0, FROM, of_from), (1, "pushed", of_pushed), (1, "migrated", "")];
        let account = |(server, name, more): (usize, &str, &str)| {
            let (port, user) = (self.port(server), self.user(name));
            format!(
                "[accounts.{name}]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nuser = \"{user}\"\n\
                 password-command = \"echo pass\"\n{more}\n"
            )
        };
        accounts.map(account).concat()
    }
}

/// The message files below a directory.
fn count(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let holds = |entry: &fs::DirEntry| {
        let path = entry.path();
        if path.is_dir() {
            count(&path)
        } else {
            u64::from(dir.ends_with("cur") || dir.ends_with("new"))
        }
    };
    entries.map(|entry| holds(&entry)).sum()
}
