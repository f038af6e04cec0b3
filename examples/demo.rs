//! `make demo`: an IMAP server in this process, a Maildir in a temporary folder, and the real `homing` between them.
//!
//! Both sides are looked at by others than homing: the server through the `imap` crate, the Maildir through the `maildir`
//! crate. It ends with 1 if anything is not as it should be. It needs no network, no root and no mail server.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Instant, SystemTime};

use changes::{change_maildir, change_server, find};
use support::mail::small_account;
use support::server::{Server, Setup};
use support::witness::{self, Layout, look_at_disk};

#[path = "demo/changes.rs"]
mod changes;
#[path = "../tests/support"]
#[allow(dead_code, unreachable_pub, unused_imports)] // the demo uses a part
#[allow(clippy::struct_excessive_bools, clippy::format_collect, clippy::format_push_string)]
mod support {
    pub mod mail;
    pub mod server;
    pub(crate) mod witness;
}

const USER: &str = "robin@example.org";
/// The password that the witness logs in with.
const PASSWORD: &str = "pass";

/// What a step of the demo ends with.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let paint = Paint(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    match Demo::new(paint).and_then(|demo| demo.run()) {
        Ok(()) => {
            println!(
                "\n{} Both sides are the same, and a further run has nothing to do.\n",
                paint.good("✓")
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("\n{} {error}\n", paint.bad("✗"));
            ExitCode::FAILURE
        }
    }
}

/// Colours, where somebody sees them.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn good(self, text: &str) -> String {
        self.with("1;32", text)
    }

    fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }
}

struct Demo {
    server: Server,
    homing: PathBuf,
    folder: tempfile::TempDir,
    paint: Paint,
}

impl Demo {
    fn new(paint: Paint) -> Outcome<Self> {
        let homing = program()?;
        let server = Server::start(Setup {
            users: vec![(USER.into(), PASSWORD.into())],
            ..Setup::default()
        });
        server.with(USER, |account| {
            for (mailbox, mail) in small_account() {
                account.create(mailbox);
                account.subscribed.insert(mailbox.to_owned());
                account.deliver(mailbox, &mail);
            }
            account.mailbox_mut("Sent").role = Some("\\Sent".into());
            account.mailbox_mut("Drafts").role = Some("\\Drafts".into());
        });
        let folder = tempfile::Builder::new().prefix("homing-demo-").tempdir()?;
        Ok(Self {
            server,
            homing,
            folder,
            paint,
        })
    }

    fn run(&self) -> Outcome {
        self.configure()?;
        self.step("A first sync into an empty Maildir");
        self.homing(&["sync", "-v"])?;
        self.compare()?;

        self.step("Meanwhile, on the server, another mail program is at work");
        self.server
            .with(USER, |account| change_server(account, |line| self.did(line)));
        self.step("and on this machine, offline, somebody works in the Maildir");
        change_maildir(&self.maildir(), |line| self.did(line))?;

        self.step("What would a sync do, and why?");
        let before = self.files();
        self.server.clear();
        self.homing(&["sync", "--dry-run"])?;
        self.unchanged(&before, "a dry run")?;

        self.step("Do it");
        self.homing(&["sync", "-v"])?;
        self.compare()?;
        self.spot_checks()?;

        self.step("Once more: nothing is left to do");
        let before = self.files();
        self.server.clear();
        self.homing(&["sync", "-v"])?;
        let took = self.commands();
        self.unchanged(&before, "a run with nothing to do")?;
        println!("    {took}");
        let complaints = self.server.complaints();
        if complaints.is_empty() {
            Ok(())
        } else {
            Err(complaints.join("\n").into())
        }
    }

    fn step(&self, title: &str) {
        println!("\n{}", self.paint.bold(title));
    }

    fn did(&self, line: &str) {
        println!("    {} {line}", self.paint.dim("·"));
    }

    fn maildir(&self) -> PathBuf {
        self.folder.path().join("Mail")
    }

    fn configure(&self) -> Outcome {
        let config = format!(
            "[accounts.demo]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"      # it never leaves this machine\n\
             user = \"{USER}\"\npassword-command = \"echo {PASSWORD}\"\nmaildir = \"{}\"\n",
            self.server.port(),
            self.maildir().display(),
        );
        fs::write(self.folder.path().join("config.toml"), &config)?;
        let account = self.server.account(USER);
        let messages: usize = account.mailboxes.values().map(|m| m.messages.len()).sum();
        println!(
            "{}\nAn IMAP server listens on 127.0.0.1:{}; its account has {messages} messages in {} mailboxes.",
            self.paint
                .bold("homing: a Maildir and an IMAP account, the same in both directions"),
            self.server.port(),
            account.mailboxes.len(),
        );
        self.step("The configuration");
        config.lines().for_each(|line| println!("    {}", self.paint.dim(line)));
        Ok(())
    }

    /// Runs the program and shows what it says. Anything but exit code 0 is an error.
    fn homing(&self, arguments: &[&str]) -> Outcome {
        println!(
            "    {}",
            self.paint.with("1;36", &format!("$ homing {}", arguments.join(" ")))
        );
        let home = self.folder.path();
        let begun = Instant::now();
        let output = Command::new(&self.homing)
            .arg("--config")
            .arg(home.join("config.toml"))
            .args(arguments)
            .env("HOME", home)
            .env("XDG_STATE_HOME", home.join("state"))
            .env("XDG_DATA_HOME", home.join("data"))
            .output()?;
        let took = begun.elapsed();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            println!("    {line}");
        }
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            println!("    {}", self.paint.bad(line));
        }
        println!("    {}", self.paint.dim(&format!("({} ms)", took.as_millis())));
        if output.status.success() {
            Ok(())
        } else {
            Err(format!("homing {} ended with {}", arguments.join(" "), output.status).into())
        }
    }

    /// Both sides must hold the same messages with the same flags and dates, as their witnesses see them.
    fn compare(&self) -> Outcome {
        let disk = look_at_disk(&self.maildir(), Layout::Nested);
        let server = witness::Server::new("127.0.0.1", self.server.port(), USER).look();
        let difference = disk.difference("the Maildir", &server, "the server");
        if !difference.is_empty() {
            return Err(format!("both sides differ:\n{difference}").into());
        }
        for (name, messages) in &disk.mailboxes {
            let count: usize = messages.values().sum();
            println!(
                "    {} {:<24} {count:>3} {}",
                self.paint.good("="),
                name.join("/"),
                if count == 1 { "message" } else { "messages" },
            );
        }
        println!(
            "    {} {} messages in {} mailboxes: equal by digest, flags and date",
            self.paint.good("✓"),
            disk.len(),
            disk.mailboxes.len(),
        );
        Ok(())
    }

    /// That both sides are equal could also mean that a change was undone: look at each of them.
    fn spot_checks(&self) -> Outcome {
        let account = self.server.account(USER);
        let flags = |mailbox: &str, subject: &str| find(&account, mailbox, subject).map(|m| m.flags.to_string());
        let expected = [
            ("INBOX", "First frost", Some("")),
            ("INBOX", "Two books are due on Friday", Some("\\Flagged \\Seen")),
            ("INBOX", "Saturday's flight", Some("\\Answered \\Seen")),
            ("INBOX", "Your order 20417 has left us", None),
            (
                "Archive/2026",
                "Minutes of the spring meeting",
                Some("\\Seen done todo"),
            ),
            ("Archive/2026", "Happy new year", None),
            ("Lists/Loft", "[loft] Summer meeting, a poll", Some("\\Seen")),
            ("Sent", "A note written offline", Some("\\Seen")),
            ("Travel", "Tickets to the coast", Some("")),
            ("Projects/New loft", "A list of beams", Some("\\Flagged \\Seen")),
        ];
        for (mailbox, subject, wanted) in expected {
            let got = flags(mailbox, subject);
            if got.as_deref() != wanted {
                return Err(format!("{mailbox}, \"{subject}\": {got:?} instead of {wanted:?}").into());
            }
        }
        println!(
            "    {} each change of both sides has arrived on the other",
            self.paint.good("✓")
        );
        Ok(())
    }

    /// Every file below the Maildir, with its time and size.
    fn files(&self) -> BTreeMap<PathBuf, (SystemTime, u64)> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.maildir()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(meta) if meta.is_dir() => open.push(entry.path()),
                    // The marker counts runs.
                    Ok(meta) if entry.file_name() != ".homing" => {
                        found.insert(
                            entry.path(),
                            (meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len()),
                        );
                    }
                    _ => {}
                }
            }
        }
        found
    }

    fn unchanged(&self, before: &BTreeMap<PathBuf, (SystemTime, u64)>, what: &str) -> Outcome {
        let changing = self.server.changing();
        if !changing.is_empty() {
            let commands: Vec<String> = changing.iter().map(|entry| entry.line.clone()).collect();
            return Err(format!("{what} sent {}", commands.join(", ")).into());
        }
        if self.files() != *before {
            return Err(format!("{what} changed files of the Maildir").into());
        }
        println!(
            "    {} no command that changes the server, no file touched",
            self.paint.good("✓")
        );
        Ok(())
    }

    /// What the server was asked, in words.
    fn commands(&self) -> String {
        let entries = self.server.commands();
        let verbs: Vec<&str> = entries.iter().map(|entry| entry.verb.as_str()).collect();
        format!("{} commands: {}", verbs.len(), verbs.join(", "))
    }
}

/// The program that was built together with this one.
fn program() -> Outcome<PathBuf> {
    let here = std::env::current_exe()?;
    let target = here
        .parent()
        .and_then(Path::parent)
        .ok_or("the demo lies in no folder")?;
    let program = target.join(format!("homing{}", std::env::consts::EXE_SUFFIX));
    if program.is_file() {
        Ok(program)
    } else {
        Err(format!("{} is not built; `make demo` does it", program.display()).into())
    }
}
