//! Mail in files, as people bring it: whatever it is like, `import` takes what it can, names the rest, and does not fall over.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A home with an account whose server nobody needs.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let config = "[accounts.a]\nhost = \"127.0.0.1\"\nport = 1\ntls = \"none\"\nuser = \"me\"\n\
                      password-env = \"P\"\nmaildir = \"~/Mail\"\n";
        home.write(".config/homing/config.toml", config.as_bytes());
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Exit code, and the account's part of the report.
    fn run(&self, arguments: &[&str]) -> (i32, Value) {
        let output = Command::new(env!("CARGO_BIN_EXE_homing"))
            .args(arguments)
            .arg("--json")
            .env_clear()
            .env("HOME", self.path())
            .current_dir(self.path())
            .output()
            .unwrap();
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.status.code().unwrap(), report["accounts"][0].clone())
    }

    /// The messages of a mailbox of the Maildir, and their flags' letters, sorted.
    fn messages(&self, mailbox: &str) -> Vec<(Vec<u8>, String)> {
        let mut found = Vec::new();
        for part in ["cur", "new"] {
            for entry in fs::read_dir(self.path().join("Mail").join(mailbox).join(part))
                .into_iter()
                .flatten()
            {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                let letters = name.split_once(":2,").map_or("", |(_, letters)| letters);
                found.push((fs::read(&path).unwrap(), letters.to_owned()));
            }
        }
        found.sort();
        found
    }
}

const FROM: &str = "From a@b Thu Jan  1 00:00:07 2020\n";

/// What `import` says of a problem: the file it names, and what.
fn problems(account: &Value) -> Vec<String> {
    let text = |problem: &Value, key: &str| problem[key].as_str().unwrap_or_default().to_owned();
    let problems = account["problems"].as_array().unwrap();
    problems
        .iter()
        .map(|problem| format!("{}: {}", text(problem, "id"), text(problem, "what")))
        .collect()
}

/// File, what is in it, its mailbox, the messages and letters there, what is said of it.
type Row<'a> = (&'a str, Vec<u8>, &'a str, &'a [(&'a str, &'a str)], &'a str);

#[test]
#[allow(clippy::too_many_lines)] // a table
fn odd_files_are_taken_or_named() {
    let long = format!("{FROM}Subject: long\n\n{}\n\n", "x".repeat(3_000_000));
    let many = format!("{FROM}Subject: many\n\n\n\n\n\n");
    let rows: &[Row<'_>] = &[
        ("empty.mbox", Vec::new(), "empty", &[], ""),
        ("blank.mbox", b"\n\n".to_vec(), "blank", &[], ""),
        (
            "headless.mbox",
            b"Subject: x\n\nbody\n".to_vec(),
            "headless",
            &[("Subject: x\n\nbody\n", "")],
            "From_ line",
        ),
        (
            "cut.mbox",
            format!("{FROM}Subject: x\nX-St").into_bytes(),
            "cut",
            &[("Subject: x\nX-St", "")],
            "",
        ),
        (
            "crlf.mbox",
            b"From a@b Thu Jan  1 00:00:07 2020\r\nSubject: x\r\nStatus: RO\r\n\r\nbody\r\n\r\n".to_vec(),
            "crlf",
            &[("Subject: x\n\nbody\n", "S")],
            "",
        ),
        (
            "nul.mbox",
            format!("{FROM}Subject: \0\n\n\0\n\n").into_bytes(),
            "nul",
            &[("Subject: \0\n\n\0\n", "")],
            "",
        ),
        (
            "thunderbird",
            b"From - Thu Jan  1 00:00:07 2020\r\nX-Mozilla-Status: 0005\r\nX-Mozilla-Status2: 00000000\r\n\
              Date: Wed, 1 Jan 2020 00:00:00 +0000\r\nSubject: x\r\n\r\n>From us\r\n\r\n"
                .to_vec(),
            "thunderbird",
            &[("Date: Wed, 1 Jan 2020 00:00:00 +0000\nSubject: x\n\nFrom us\n", "FS")],
            "",
        ),
        (
            "long.mbox",
            long.clone().into_bytes(),
            "long",
            &[(&long[FROM.len()..long.len() - 1], "")],
            "",
        ),
        (
            "many.mbox",
            many.clone().into_bytes(),
            "many",
            &[(&many[FROM.len()..many.len() - 1], "")],
            "",
        ),
        (
            "picture.jpg",
            vec![0xff, 0xd8, 0xff],
            "picture.jpg",
            &[],
            "neither an mbox nor a message",
        ),
        (
            "one/1.eml",
            b"Subject: x\r\n\r\nno end".to_vec(),
            "one",
            &[("Subject: x\n\nno end", "")],
            "",
        ),
        ("one/bytes.eml", vec![0xff; 3], "one", &[], ""),
    ];
    let home = Home::new();
    for (file, bytes, ..) in rows {
        home.write(&format!("in/{file}"), bytes);
    }
    let (exit, account) = home.run(&["import", "in", "--to", "./Mail"]);
    assert_eq!(exit, 1, "what was left out is named: {account:#}");
    let said = problems(&account);
    for (file, _, mailbox, expected, what) in rows {
        let about: Vec<_> = said
            .iter()
            .filter(|line| line.starts_with(&format!("{file}: ")))
            .collect();
        assert_eq!(about.len(), usize::from(!what.is_empty()), "{file}: {said:#?}");
        assert!(about.iter().all(|line| line.contains(what)), "{file}: {said:#?}");
        let there = home.messages(mailbox);
        for (text, letters) in *expected {
            assert!(
                there.contains(&(text.as_bytes().to_vec(), (*letters).to_owned())),
                "{file}: {letters}"
            );
        }
        assert_eq!(
            home.path().join("Mail").join(mailbox).exists(),
            *file != "picture.jpg",
            "{file}"
        );
    }
    let (_, again) = home.run(&["import", "in", "--to", "./Mail"]);
    assert_eq!(again["right"]["added"], 0, "{again:#}");

    // Out again, and in: the same.
    for format in ["mbox", "eml"] {
        let (exit, out) = home.run(&["export", "a", "--to", format, "--format", format]);
        assert_eq!(
            (exit, &out["right"]["added"]),
            (0, &account["right"]["added"]),
            "{out:#}"
        );
        let (exit, back) = home.run(&["import", format, "--to", "./Mail"]);
        let counts = (exit, &back["right"]["added"], &back["right"]["flags"], &back["paired"]);
        assert_eq!(
            counts,
            (0, &0.into(), &0.into(), &account["right"]["added"]),
            "{back:#}"
        );
    }
}

#[test]
fn what_is_asked_for_wrongly_is_refused() {
    let home = Home::new();
    home.write("a.mbox", FROM.as_bytes());
    home.write("b.pdf", b"%PDF\n");
    home.write("Mail/INBOX/cur/1.x:2,S", b"Subject: x\n\n");
    for arguments in [
        &["import", "missing", "--to", "./Mail"][..],
        &["import", "b.pdf", "--to", "./Mail"],
        &["import", "a.mbox", "--to", "nobody"],
        &["import", "a.mbox", "--to", "./Mail", "--mailbox", "a//b"],
        &["import", "Mail", "--to", "./Mail"],
        &["export", "a", "--to", "./Mail/out"],
        &["export", "a", "--to", "out", "--mailbox", "None"],
        &["export", "a", "--to", "out", "--message", "none"],
        &["export", "a", "--to", "out", "--at", "then"],
    ] {
        let before = fs::read_dir(home.path()).unwrap().count();
        let (exit, account) = home.run(arguments);
        assert_eq!(exit, 2, "{arguments:?}: {account:#}");
        let made = fs::read_dir(home.path()).unwrap().count() - before;
        assert!(made <= 1, "at most the directory of the states: {arguments:?}");
    }
    // Nothing is overwritten, not even in part.
    assert_eq!(home.run(&["export", "a", "--to", "out"]).0, 0);
    home.write("Mail/A/cur/1.y:2,S", b"Subject: y\n\n");
    assert_eq!(home.run(&["export", "a", "--to", "out"]).0, 2);
    assert!(!home.path().join("out/A.mbox").exists());
    assert_eq!(home.run(&["export", "a", "--to", "out", "--mailbox", "A"]).0, 0);
    // Where nothing was synced yet, the advice is not about mailboxes.
    fs::remove_dir_all(home.path().join("Mail")).unwrap();
    let (exit, account) = home.run(&["export", "a", "--to", "empty"]);
    assert_eq!(exit, 2, "{account:#}");
    assert!(
        account.to_string().contains("there is no mail on disk yet"),
        "{account:#}"
    );
}

#[test]
fn what_a_killed_import_left_is_cleared_away() {
    let home = Home::new();
    home.write(
        "a.mbox",
        b"From a@example.org Mon Jan  1 00:00:00 2024\nSubject: a\n\nbody\n",
    );
    let states = home.path().join(".local/state/homing");
    // Of a dead one, of one at work, and of one that has only just begun.
    for name in ["import-dead", "import-alive", "import-begun", "other-dead"] {
        fs::create_dir_all(states.join(name)).unwrap();
        if name != "import-begun" {
            fs::write(states.join(name).join("books.db"), "").unwrap();
        }
    }
    let lock = fs::File::create(states.join("import-alive/books.lock")).unwrap();
    lock.try_lock().unwrap();
    let (exit, account) = home.run(&["import", "a.mbox", "--to", "./Mail"]);
    assert_eq!(exit, 0, "{account:#}");
    let mut left: Vec<_> = fs::read_dir(&states)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["import-alive", "import-begun", "other-dead"]);
    assert_eq!(home.messages("a").len(), 1);
}
