//! The program from outside: exit codes, the one JSON object, and what is said to whom.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// What nobody may ever read in any output.
const SECRET: &str = "korrekt-pferd-batterie";

/// A home directory with a configuration in it.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(config: &str) -> Self {
        let home = Self::new();
        home.write(".config/homing/config.toml", config);
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_homing"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("MAIL_PASSWORD", SECRET)
            .current_dir(self.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::new(&self.command(arguments).output().unwrap())
    }
}

/// What came of running the program.
#[derive(Debug)]
struct Run {
    exit: i32,
    out: String,
    err: String,
}

impl Run {
    fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let run = Self {
            exit: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        };
        assert!(!run.out.contains(SECRET) && !run.err.contains(SECRET), "{run:?}");
        run
    }

    /// Its standard output as exactly one JSON object on one line, whose exit code is the real one.
    fn json(&self) -> Value {
        assert_eq!(
            (self.out.matches('\n').count(), self.out.ends_with('\n')),
            (1, true),
            "{self:?}"
        );
        let json: Value = serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(json["exit"], self.exit, "{self:?}");
        assert_eq!(json["ok"], self.exit == 0, "{self:?}");
        assert!(json["accounts"].is_array(), "{self:?}");
        json
    }
}

fn account(name: &str, host: &str, port: u16) -> String {
    format!(
        "[accounts.{name}]\nhost = \"{host}\"\nport = {port}\ntls = \"none\"\nuser = \"me\"\n\
         password-env = \"MAIL_PASSWORD\"\nmaildir = \"~/Mail/{name}\"\ntimeout = 5\n"
    )
}

/// A port of this machine where nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn failures_have_their_exit_codes_and_say_why() {
    let good = account("a", "127.0.0.1", 1);
    // Configuration, arguments, exit code, what the error says, what the hint says.
    let rows: &[(&str, &[&str], i32, &str, &str)] = &[
        (
            &good,
            &["sync", "b"],
            2,
            "there is no account \"b\"",
            "configured are: a",
        ),
        (
            &good,
            &["forget", "aa"],
            2,
            "there is no account \"aa\"",
            "did you mean \"a\"?",
        ),
        (
            &good,
            &["sync", "--pull", "--push"],
            2,
            "'--pull' cannot be used with '--push'",
            "Usage: homing sync",
        ),
        (&good, &["sync", "--wait", "soon"], 2, "invalid value 'soon'", ""),
        (&good, &["sync", "--mailbox", "\\Snet"], 2, "did you mean \\Sent?", ""),
        (
            &good,
            &["sync", "-q", "-v"],
            2,
            "'--quiet' cannot be used with '--verbose'",
            "Usage",
        ),
        (&good, &["watch"], 2, "unrecognized subcommand 'watch'", ""),
        (&good, &["backup"], 78, "no account has an \"archive\"", "archive = "),
        (&good, &["prune", "a"], 2, "--gone-longer-than <AGE>", "Usage"),
        (&good, &["mailboxes"], 2, "<ACCOUNT>", "Usage: homing mailboxes"),
        (&good, &[], 2, "requires a subcommand", "Usage"),
        ("[accounts.a\n", &["sync"], 78, "config.toml:1:12: ", ""),
        (
            "[accounts.a]\nhots = 1\n",
            &["sync"],
            78,
            "config.toml:2:1: unknown key \"hots\"",
            "did you mean \"host\"?",
        ),
        (
            "[accounts.a]\nhost = 5\n",
            &["status"],
            78,
            "config.toml:2:8: \"host\" must be a string",
            "",
        ),
        ("", &["status"], 78, "no account is configured", "[accounts.personal]"),
        (
            "[accounts.a]\nhost = \"h\"\nuser = \"u\"\npassword-env = \"MAIL_PASSWORD\"\n",
            &["sync"],
            78,
            "no account has a \"maildir\"",
            "maildir = ",
        ),
    ];
    for &(config, arguments, exit, what, hint) in rows {
        let home = Home::with(config);
        let text = home.run(arguments);
        assert_eq!((text.exit, text.out.as_str()), (exit, ""), "{arguments:?} {text:?}");
        if !arguments.is_empty() {
            assert!(
                text.err.contains(what) && text.err.contains(hint),
                "{arguments:?} {text:?}"
            );
        }
        let json = home.run(&[&["--json"], arguments].concat());
        let error = &json.json()["error"];
        assert_eq!(json.exit, exit, "{json:?}");
        assert!(error["what"].as_str().unwrap().contains(what), "{json:?}");
        assert!(
            hint.is_empty() || error["hint"].as_str().unwrap().contains(hint),
            "{json:?}"
        );
    }
}

#[test]
fn what_an_archive_cannot_do_is_said() {
    let plain = account("a", "127.0.0.1", 1);
    let archived = format!("{plain}archive = \"~/Archive\"\n");
    // Configuration, arguments, exit code, what is said.
    let rows: [(&str, &[&str], i32, &str); 8] = [
        (&plain, &["verify", "a"], 78, "the account \"a\" has no \"archive\""),
        (&archived, &["verify"], 2, "there is no backup"),
        (&archived, &["restore", "a", "--to", "./there"], 2, "there is no backup"),
        (
            &archived,
            &["restore", "a", "--to", "./x", "--at", "yesterday"],
            2,
            "\"yesterday\" is no point in time",
        ),
        (
            &archived,
            &["restore", "a", "--to=~/Archive/x"],
            2,
            "lie within one another",
        ),
        (
            &archived,
            &["restore", "a", "--to", "b"],
            2,
            "there is no account \"b\"",
        ),
        (
            &archived,
            &["prune", "a", "--gone-longer-than", "long"],
            2,
            "\"long\" is no age",
        ),
        (
            &archived,
            &["prune", "a", "--gone-longer-than", "1y"],
            2,
            "there is no backup",
        ),
    ];
    for (config, arguments, exit, what) in rows {
        let home = Home::with(config);
        let text = home.run(arguments);
        assert_eq!((text.exit, text.out.as_str()), (exit, ""), "{arguments:?} {text:?}");
        assert!(text.err.contains(what), "{arguments:?} {text:?}");
        assert_eq!(home.run(&[&["--json"], arguments].concat()).json()["exit"], exit);
        assert!(!home.path().join("Archive").exists(), "{arguments:?}");
    }
}

#[test]
fn without_a_configuration_it_says_what_to_write_and_where() {
    let home = Home::new();
    let run = home.run(&["sync"]);
    assert_eq!((run.exit, run.out.as_str()), (78, ""));
    let file = home.path().join(".config/homing/config.toml");
    for needed in [
        file.to_str().unwrap(),
        "[accounts.personal]",
        "password-command = ",
        "homing-config(5)",
    ] {
        assert!(run.err.contains(needed), "{needed}: {run:?}");
    }
    // What it says works.
    let from = run.err.find("  [accounts").unwrap();
    let to = from + run.err[from..].find("maildir = \"~/Mail/personal\"").unwrap() + 27;
    home.write(".config/homing/config.toml", &run.err[from..to]);
    assert_eq!(home.run(&["sync", "nobody"]).exit, 2, "the configuration is read");
}

#[test]
fn the_configuration_can_be_named() {
    let home = Home::new();
    home.write("here.toml", &account("a", "127.0.0.1", 1));
    assert_eq!(home.run(&["sync", "b", "--config", "here.toml"]).exit, 2);
    let missing = home.run(&["--config", "there.toml", "sync"]);
    assert_eq!(missing.exit, 78);
    assert!(
        missing.err.contains("cannot read the configuration there.toml"),
        "{missing:?}"
    );
}

#[test]
fn a_host_that_cannot_be_reached_is_tried_later() {
    let home = Home::with(&account("a", "127.0.0.1", closed_port()));
    let unreachable = |arguments: &[&str]| {
        let text = home.run(arguments);
        assert_eq!((text.exit, text.out.as_str()), (75, ""), "{arguments:?} {text:?}");
        assert!(text.err.starts_with("error: a: "), "{text:?}");
    };
    // Each tries for a while, so all try at once; two runs that change the state would lock one another out.
    std::thread::scope(|scope| {
        scope.spawn(|| unreachable(&["mailboxes", "a"]));
        scope.spawn(|| unreachable(&["sync", "--dry-run", "--state", "other"]));
        let run = home.run(&["sync", "--json"]);
        let json = run.json();
        assert_eq!(
            (run.exit, &json["error"]),
            (75, &Value::Null),
            "the run could start: {run:?}"
        );
        let problem = &json["accounts"][0]["problems"][0];
        assert_eq!(
            (&problem["reach"], &problem["retry"]),
            (&"account".into(), &"later".into()),
            "{run:?}"
        );
    });
}

#[test]
fn a_password_that_cannot_be_had_is_77_or_78() {
    let base = account("a", "127.0.0.1", closed_port());
    for (source, exit, what) in [
        (
            "password-command = \"echo korrekt-pferd-batterie; exit 3\"",
            77,
            "password-command failed: exit status: 3",
        ),
        (
            "password-command = [\"/no/such/program\"]",
            77,
            "password-command cannot be run",
        ),
        ("password-env = \"NOT_SET\"", 78, "NOT_SET"),
        ("password-file = \"~/nothing\"", 78, "cannot read password-file"),
    ] {
        let home = Home::with(&base.replace("password-env = \"MAIL_PASSWORD\"", source));
        let run = home.run(&["sync"]);
        // The connection comes first, and nobody listens: the password is not even asked for.
        assert_eq!(run.exit, 75, "{source} {run:?}");
        let server = Greeter::start();
        let home =
            Home::with(&account("a", "127.0.0.1", server.port).replace("password-env = \"MAIL_PASSWORD\"", source));
        let run = home.run(&["sync"]);
        assert_eq!(run.exit, exit, "{source} {run:?}");
        assert!(run.err.contains(what), "{source} {run:?}");
    }
}

#[test]
fn one_account_does_not_stop_another() {
    let home = Home::with(&(account("a", "127.0.0.1", closed_port()) + &account("b", "127.0.0.1", closed_port())));
    home.write("Mail/b", "not a directory");
    let run = home.run(&["sync", "--json"]);
    let json = run.json();
    let names: Vec<&str> = json["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(json["accounts"][0]["exit"], 75, "{run:?}");
    assert_ne!(json["accounts"][1]["exit"], 75, "{run:?}");
}

#[test]
fn a_status_without_a_run_says_so() {
    let home = Home::with(&account("a", "127.0.0.1", closed_port()));
    let run = home.run(&["status", "--json"]);
    assert_eq!(run.exit, 0, "{run:?}");
    let json = run.json();
    assert_eq!(
        (&json["accounts"][0]["last_run"], &json["accounts"][0]["pending"]),
        (&Value::Null, &0.into())
    );
    assert_eq!(home.run(&["status"]).out, "a  never run\n");
    assert!(!home.path().join(".local").exists(), "looking changes nothing");
}

#[test]
fn forgetting_what_is_not_known_is_fine() {
    let home = Home::with(&account("a", "127.0.0.1", closed_port()));
    let run = home.run(&["forget", "a", "--json"]);
    assert_eq!((run.exit, &run.json()["command"]), (0, &"forget".into()), "{run:?}");
}

#[test]
fn help_and_version_are_no_failures() {
    let home = Home::new();
    for arguments in [
        &["--help"] as &[&str],
        &["--version"],
        &["sync", "--help"],
        &["-h", "--json"],
    ] {
        let run = home.run(arguments);
        assert_eq!((run.exit, run.err.as_str()), (0, ""), "{arguments:?} {run:?}");
        assert!(run.out.contains("homing"), "{arguments:?} {run:?}");
    }
}

#[test]
fn what_nobody_reads_is_no_failure() {
    let home = Home::with(&account("a", "127.0.0.1", closed_port()));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = home.command(&["status"]).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// A server that greets, tells what it can, and then says nothing to anybody.
struct Greeter {
    port: u16,
    /// Hears of each command that gets no answer.
    unanswered: Receiver<()>,
}

impl Greeter {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, unanswered) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = Self::serve(stream.unwrap(), &heard);
            }
        });
        Self { port, unanswered }
    }

    fn serve(mut stream: TcpStream, heard: &Sender<()>) -> std::io::Result<()> {
        stream.write_all(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] here\r\n")?;
        for line in BufReader::new(stream.try_clone()?).lines() {
            let line = line?;
            match line.split_once(' ') {
                Some((tag, "CAPABILITY")) => {
                    let answer = format!("* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n{tag} OK done\r\n");
                    stream.write_all(answer.as_bytes())?;
                }
                _ => drop(heard.send(())),
            }
        }
        Ok(())
    }
}

#[test]
fn a_signal_stops_it_with_its_code() {
    let server = Greeter::start();
    let home = Home::with(&account("a", "127.0.0.1", server.port));
    for (signal, exit) in [("INT", 130), ("TERM", 143)] {
        let mut command = home.command(&["sync", "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        server.unanswered.recv_timeout(Duration::from_secs(30)).unwrap();
        let kill = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status()
            .unwrap();
        assert!(kill.success());
        let run = Run::new(&child.wait_with_output().unwrap());
        assert_eq!(run.exit, exit, "{run:?}");
        run.json();
    }
}
