//! Lists of accounts.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::scene::mail;
use crate::support::server::{Server, Setup};
use crate::support::witness;
use crate::support::world::{Run, World};

/// Two servers with so many accounts, and a list of all of them.
struct Crowd {
    from: Server,
    to: Server,
    world: World,
    list: PathBuf,
    users: Vec<String>,
}

impl Crowd {
    fn new(count: usize, setup: Setup) -> Self {
        let users: Vec<String> = (0..count).map(|n| format!("user{n}@example.org")).collect();
        let setup = Setup {
            users: users.iter().map(|user| (user.clone(), "pass".into())).collect(),
            ..setup
        };
        let (from, to) = (Server::start(setup.clone()), Server::start(setup));
        let world = World::in_memory(from.port(), "nobody");
        fs::remove_file(world.config()).unwrap();
        let password = world.home().join("password");
        fs::write(&password, "pass\n").unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
        let list = world.home().join("accounts.csv");
        let crowd = Self {
            from,
            to,
            world,
            list,
            users,
        };
        crowd.write_list(&[]);
        for (n, user) in crowd.users.iter().enumerate() {
            crowd.from.with(user, |account| {
                account.create("Work");
                account.deliver("INBOX", &mail(&format!("{n} inbox")).flagged("\\Seen"));
                for nth in 0..=n % 3 {
                    account.deliver("Work", &mail(&format!("{n} work {nth}")).flagged("todo"));
                }
            });
        }
        crowd
    }

    /// A row for each account and these others.
    fn write_list(&self, more: &[&str]) {
        let mut text = String::from("from,to");
        for side in ["from", "to"] {
            for key in ["host", "port", "tls", "user", "password-file"] {
                let _ = write!(text, ",{side}-{key}");
            }
        }
        text.push('\n');
        for user in &self.users {
            let side = |server: &Server| format!("127.0.0.1,{},none,{user},password", server.port());
            let _ = writeln!(text, ",,{},{}", side(&self.from), side(&self.to));
        }
        fs::write(&self.list, text + &more.join("\n")).unwrap();
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["migrate", "--list", self.list.to_str().unwrap()], more].concat()
    }

    fn migrate(&self, more: &[&str]) -> Run {
        self.world.run(&self.arguments(more))
    }

    /// How many messages have arrived.
    fn arrived(&self) -> usize {
        let of = |user: &String| {
            self.to.with(user, |to| {
                to.mailboxes
                    .values()
                    .map(|mailbox| mailbox.messages.len())
                    .sum::<usize>()
            })
        };
        self.users.iter().map(of).sum()
    }

    #[track_caller]
    fn assert_all_same(&self) {
        for user in &self.users {
            let [from, to] =
                [&self.from, &self.to].map(|server| witness::Server::new("127.0.0.1", server.port(), user).look());
            witness::assert_same(&from, &to, user);
        }
    }
}

fn exits(run: &Run) -> Vec<i64> {
    let accounts = run.report["accounts"].as_array().unwrap();
    accounts
        .iter()
        .map(|account| account["exit"].as_i64().unwrap())
        .collect()
}

#[test]
fn two_hundred_accounts_killed_in_the_middle_and_run_again() {
    let crowd = Crowd::new(200, Setup::default());
    let mut run = crowd.world.spawn(&crowd.arguments(&["--jobs", "8"]));
    while crowd.arrived() < 150 && run.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(2));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    crowd.to.settle();
    let so_far = crowd.arrived();
    assert!((150..500).contains(&so_far), "{so_far} arrived before it was cut");

    let report = crowd.world.home().join("report.html");
    let run = crowd.migrate(&["--jobs", "8", "--report", report.to_str().unwrap()]);
    assert_eq!((run.exit, exits(&run)), (0, vec![0; 200]), "{}", run.stderr);
    let verdict = run.report["verdict"].as_str().unwrap();
    assert!(
        verdict.starts_with("All 200 pairs of accounts are done: 599 messages"),
        "{verdict}"
    );
    let page = fs::read_to_string(report).unwrap();
    assert!(page.contains(verdict) && page.matches("<section").count() == 200);
    crowd.assert_all_same();

    crowd.to.clear();
    let run = crowd.migrate(&[]);
    assert_eq!(run.exit, 0, "{}", run.stderr);
    assert!(crowd.to.changing().is_empty() && crowd.from.changing().is_empty());
}

#[test]
fn a_bad_row_and_a_bad_account_stop_no_other() {
    let crowd = Crowd::new(3, Setup::default());
    let (from, to) = (crowd.from.port(), crowd.to.port());
    let side = |port: u16, user: &str| format!("127.0.0.1,{port},none,{user},password");
    let (one, other) = (side(from, &crowd.users[0]), side(to, "nobody"));
    crowd.write_list(&["old,new", &format!(",,{one},{other}"), ",,127.0.0.1"]);

    let dry = crowd.migrate(&["--dry-run"]);
    assert_eq!(
        (dry.exit, exits(&dry)),
        (78, vec![0, 0, 0, 78, 77, 78]),
        "{}",
        dry.stderr
    );
    assert_eq!(crowd.arrived(), 0);

    let run = crowd.migrate(&[]);
    assert_eq!(
        (run.exit, exits(&run)),
        (78, vec![0, 0, 0, 78, 77, 78]),
        "{}",
        run.stderr
    );
    crowd.assert_all_same();
    let verdict = run.report["verdict"].as_str().unwrap();
    assert!(
        verdict.ends_with("Of the others, 2 make no sense, 1 was refused the login."),
        "{verdict}"
    );
    for place in [
        "accounts.csv:5:1: there is no account",
        "accounts.csv:7:1: \"user\" is missing",
    ] {
        assert!(run.stderr.contains(place), "{place}: {}", run.stderr);
    }
}

/// What docs/many-accounts.md says between two lines that begin so, as it stands there; the first is included.
fn documented(begins: &str, ends: &str) -> String {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/many-accounts.md")).unwrap();
    let lines = page.lines().skip_while(|line| !line.trim_start().starts_with(begins));
    let lines: Vec<&str> = lines.take_while(|line| !line.trim_start().starts_with(ends)).collect();
    assert!(!lines.is_empty(), "no {begins} in the page");
    lines.join("\n")
}

/// Runs a script that calls `homing`, where the list of a crowd is.
#[track_caller]
fn run_script(crowd: &Crowd, script: &str, number: usize) {
    let own = crowd.world.command();
    let program = PathBuf::from(own.get_program());
    let paths = std::env::var_os("PATH").unwrap();
    let first = std::iter::once(program.parent().unwrap().to_owned());
    let path = std::env::join_paths(first.chain(std::env::split_paths(&paths))).unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("PATH", path)
        .env("USER", "somebody")
        .env("SLURM_ARRAY_TASK_ID", number.to_string())
        .env("JOB_COMPLETION_INDEX", number.to_string())
        .current_dir(crowd.world.home());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
}

#[test]
fn the_documented_commands_share_out_a_list() {
    for tool in ["parallel", "xargs"] {
        let there = Command::new(tool).arg("--version").output();
        if there.is_err() {
            eprintln!("{tool} is not installed: its example is not run");
            continue;
        }
        let crowd = Crowd::new(10, Setup::default());
        run_script(&crowd, &documented(&format!("seq 0 3 | {tool}"), "```"), 0);
        crowd.assert_all_same();
        let reports = (0..4).map(|n| {
            let text = fs::read_to_string(crowd.world.home().join(format!("report-{n}.json"))).unwrap();
            let report: serde_json::Value = serde_json::from_str(&text).unwrap();
            report["accounts"].as_array().unwrap().len()
        });
        assert_eq!(reports.collect::<Vec<_>>(), [3, 3, 2, 2], "{tool}");
    }
}

/// What Slurm and Kubernetes would run in each of their tasks, without them.
#[test]
fn the_documented_tasks_do_their_shards() {
    let slurm = documented("#!/bin/sh", "```").replace("/scratch/", "scratch/");
    assert!(slurm.contains("#SBATCH --array=0-49"), "{slurm}");
    let kubernetes = documented("- exec homing", "volumeMounts");
    let kubernetes = kubernetes.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
    let kubernetes = kubernetes.replace("/list/", "").replace("\"/state/", "\"");
    for script in [slurm, kubernetes] {
        let crowd = Crowd::new(3, Setup::default());
        for (number, arrived) in [2, 5, 9].into_iter().enumerate() {
            run_script(&crowd, &script, number);
            assert_eq!(crowd.arrived(), arrived, "{script}");
        }
        crowd.assert_all_same();
    }
}
