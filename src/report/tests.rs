use serde_json::Value;

use super::*;
use crate::model::{IdSet, MailboxId, MailboxPath};
use crate::plan::{Action, Step};

fn failure(kind: Kind) -> Failure {
    Failure::account(kind, "it broke").hint("mend it")
}

fn problem(waiting: bool) -> Problem {
    Problem {
        waiting,
        ..Problem::new(&failure(Kind::Partial), None, None)
    }
}

/// A server that is away is no more than that, whatever it hit; what was refused beside it is.
#[test]
fn what_a_server_was_away_for_is_tried_again_later() {
    let met = |kinds: &[Kind], waiting| AccountReport {
        problems: kinds
            .iter()
            .map(|&kind| Problem {
                waiting,
                ..Problem::new(&failure(kind), None, None)
            })
            .collect(),
        ..AccountReport::new("a")
    };
    for (kinds, waiting, job, exit) in [
        (&[Kind::Temporary][..], false, Job::Sync, 75),
        (&[Kind::Temporary, Kind::Partial], false, Job::Sync, 1),
        (&[Kind::Temporary, Kind::ReadOnly], false, Job::Sync, 1),
        (&[Kind::Temporary], true, Job::Sync, 0),
        (&[Kind::Temporary], true, Job::Status, 1),
    ] {
        assert_eq!(met(kinds, waiting).exit(job), exit, "{kinds:?} {waiting} {job:?}");
    }
}

fn held() -> HeldBack {
    HeldBack {
        guard: "max-delete",
        side: Side::Right,
        mailbox: "INBOX".into(),
        count: 40,
        ways_out: vec![
            "homing sync a --allow-deletes removes them".into(),
            "homing sync a --pull brings them back".into(),
        ],
    }
}

/// An account that met problems (each waiting or not), with or without something held, ended by an error or not.
fn account(problems: &[bool], guard: bool, error: Option<Kind>) -> AccountReport {
    AccountReport {
        problems: problems.iter().copied().map(problem).collect(),
        held_back: if guard { vec![held()] } else { Vec::new() },
        error: error.map(failure),
        ..AccountReport::new("a")
    }
}

#[test]
fn an_account_has_the_exit_code_of_its_worst() {
    use Kind::{Config, Login, Temporary};
    const FRESH: bool = false;
    const WAITING: bool = true;
    // Problems, held by a guard, ended by; exit of sync, dry run, status.
    type Row<'a> = (&'a [bool], bool, Option<Kind>, [u8; 3]);
    let rows: &[Row] = &[
        (&[], false, None, [0, 0, 0]),
        (&[FRESH], false, None, [1, 0, 1]),
        (&[WAITING], false, None, [0, 0, 1]),
        (&[WAITING, FRESH], false, None, [1, 0, 1]),
        (&[], true, None, [3, 3, 3]),
        (&[FRESH], true, None, [3, 3, 3]),
        (&[WAITING], true, Some(Temporary), [3, 3, 3]),
        (&[FRESH], false, Some(Temporary), [1, 75, 1]),
        (&[WAITING], false, Some(Temporary), [75, 75, 1]),
        (&[], false, Some(Temporary), [75, 75, 75]),
        (&[FRESH], true, Some(Login), [77, 77, 77]),
        (&[FRESH], true, Some(Config), [78, 78, 78]),
    ];
    for &(problems, guard, error, exits) in rows {
        let account = account(problems, guard, error);
        let found = [Job::Sync, Job::DryRun, Job::Status].map(|job| account.exit(job));
        assert_eq!(found, exits, "{problems:?} {guard} {error:?}");
    }
}

#[test]
fn a_run_has_the_exit_code_of_its_first() {
    use Kind::{Config, Guard, Login, Partial, Temporary, Usage};
    let order = [Config, Login, Guard, Partial, Temporary];
    for (first, a) in order.iter().enumerate() {
        for b in &order[first..] {
            let accounts = [*b, *a].map(|kind| account(&[], false, Some(kind))).into();
            let report = Report::new(Job::Sync, accounts);
            assert_eq!(report.exit(), exit_of(*a), "{a:?} {b:?}");
        }
    }
    assert_eq!(Report::new(Job::Sync, Vec::new()).exit(), 0);
    assert_eq!(Report::refused(None, failure(Usage)).exit(), 2);
    assert_eq!(Report::refused(Some(Job::Sync), failure(Config)).exit(), 78);
    let mut stopped = Report::new(Job::Sync, vec![account(&[], false, Some(Temporary))]);
    stopped.signal = Some(15);
    assert_eq!(stopped.exit(), 143);
}

fn full() -> AccountReport {
    AccountReport {
        left: Counts {
            added: 3,
            flags: 1,
            ..Counts::default()
        },
        right: Counts {
            removed: 4,
            mailboxes_created: 1,
            ..Counts::default()
        },
        paired: 2,
        held_back: vec![held()],
        problems: vec![Problem {
            next_try: Some(1_700_000_000),
            waiting: true,
            ..Problem::new(&Failure::message("too big"), Some("Work".into()), Some("12".into()))
        }],
        plan: vec![PlanLine {
            action: "copy",
            on: Some(Side::Left),
            mailbox: "INBOX".into(),
            to: None,
            count: 3,
            why: "new on the right".into(),
            text: "copy 3 messages to the left in INBOX: new on the right".into(),
        }],
        wire: Wire {
            bytes_in: 5,
            bytes_out: 4,
            commands: 3,
            round_trips: 2,
            connections: 1,
        },
        seconds: 0.123_456,
        ..AccountReport::new("personal")
    }
}

/// To the letter, the order of the fields included: scripts and people rely on it.
#[test]
fn the_json_is_the_one_that_was_promised() {
    let report = Report::new(Job::Sync, vec![full()]);
    let expected = r#"{"ok":false,"exit":3,"command":"sync","error":null,"accounts":[{"name":"personal","ok":false,"exit":3,
        "left":{"added":3,"flags":1,"moved":0,"removed":0,"mailboxes_created":0,"mailboxes_removed":0,"mailboxes_renamed":0},
        "right":{"added":0,"flags":0,"moved":0,"removed":4,"mailboxes_created":1,"mailboxes_removed":0,"mailboxes_renamed":0},
        "paired":2,
        "held_back":[{"guard":"max-delete","side":"right","mailbox":"INBOX","count":40,"ways_out":[
        "homing sync a --allow-deletes removes them","homing sync a --pull brings them back"]}],
        "problems":[{"reach":"message","mailbox":"Work","id":"12","what":"too big","retry":"later","tries":1,
        "next_try":"2023-11-14T22:13:20Z","waiting":true}],
        "wire":{"bytes_in":5,"bytes_out":4,"commands":3,"round_trips":2,"connections":1},"seconds":0.123}]}"#;
    assert_eq!(report.to_json(), expected.replace("\n        ", ""));
}

fn json(job: Job, account: AccountReport) -> Value {
    serde_json::from_str(&Report::new(job, vec![account]).to_json()).unwrap()
}

#[test]
fn commands_add_their_own() {
    let plan = json(Job::DryRun, full());
    let step = r#"[{"action":"copy","count":3,"mailbox":"INBOX","on":"left","to":null,"why":"new on the right"}]"#;
    assert_eq!(
        plan["accounts"][0]["plan"],
        serde_json::from_str::<Value>(step).unwrap()
    );
    assert_eq!(
        json(Job::DryRun, AccountReport::new("a"))["accounts"][0]["plan"],
        serde_json::json!([])
    );

    let mut account = AccountReport::new("a");
    (account.pending, account.serial) = (7, true);
    let status = json(Job::Status, account);
    let status = &status["accounts"][0];
    assert_eq!((&status["last_run"], &status["serial"]), (&Value::Null, &true.into()));
    let mut account = AccountReport::new("a");
    account.last_run = Some(LastRun {
        command: "sync".into(),
        run: 12,
        begun: 0,
        ended: Some(60),
        exit: Some(75),
    });
    let status = json(Job::Status, account);
    let run = serde_json::json!({"command": "sync", "run": 12, "begun": "1970-01-01T00:00:00Z", "ended": "1970-01-01T00:01:00Z", "exit": 75});
    assert_eq!(
        (&status["accounts"][0]["last_run"], &status["accounts"][0]["pending"]),
        (&run, &0.into())
    );

    let mut account = AccountReport::new("a");
    account.mailboxes.push(MailboxLine {
        name: "Sent Items".into(),
        local: "Sent".into(),
        role: Some("\\Sent".into()),
        selected: true,
    });
    let list = serde_json::json!([{"name": "Sent Items", "local": "Sent", "role": "\\Sent", "selected": true}]);
    assert_eq!(json(Job::Mailboxes, account)["accounts"][0]["mailboxes"], list);
}

#[test]
fn failures_are_in_the_json() {
    let report = Report::refused(None, Failure::account(Kind::Usage, "what?"));
    let expected = r#"{"ok":false,"exit":2,"command":null,"error":{"what":"what?","hint":null},"accounts":[]}"#;
    assert_eq!(report.to_json(), expected);
    let account = json(Job::Sync, account(&[], false, Some(Kind::Login)));
    let problem = serde_json::json!({"reach": "account", "mailbox": null, "id": null, "what": "it broke",
        "retry": "never", "tries": 1, "next_try": null, "waiting": false});
    assert_eq!(account["accounts"][0]["problems"], serde_json::json!([problem]));
    assert_eq!((&account["exit"], &account["ok"]), (&77.into(), &false.into()));
}

const NORMAL: Style = Style {
    verbosity: Verbosity::Normal,
    watched: false,
    colour: false,
};

#[test]
fn cron_hears_nothing_when_all_is_well() {
    let mut account = full();
    account.held_back.clear();
    let report = Report::new(Job::Sync, vec![account]);
    assert_eq!(
        (
            report.exit(),
            report.output(NORMAL).as_str(),
            report.complaints(NORMAL).as_str()
        ),
        (0, "", "")
    );
    let watched = Style {
        watched: true,
        ..NORMAL
    };
    let line = "personal  Maildir: 3 new, 1 flagged; server: 4 removed, 1 mailbox created; 2 paired  (5 B in, 4 B out, 0.1 s)\n";
    assert_eq!(report.output(watched), line);
    let verbose = Style {
        verbosity: Verbosity::Verbose,
        ..NORMAL
    };
    let step = "personal: copy 3 messages to the left in INBOX: new on the right\n";
    assert_eq!(report.output(verbose), format!("{step}{line}"));
    assert!(
        report
            .complaints(verbose)
            .starts_with("problem: personal: Work: 12: too big (tried again after 2023-11-1")
    );
    let quiet = Style {
        verbosity: Verbosity::Quiet,
        watched: true,
        ..NORMAL
    };
    assert_eq!(report.output(quiet), "");
}

#[test]
fn what_needs_attention_is_always_said() {
    let report = Report::new(Job::Sync, vec![account(&[false], true, Some(Kind::Temporary))]);
    let text = "\
error: a: it broke
  mend it
held back: a: not removed on the server: 40 messages in INBOX (max-delete)
  homing sync a --allow-deletes removes them
  homing sync a --pull brings them back
problem: a: it broke
  mend it
";
    for verbosity in [Verbosity::Quiet, Verbosity::Normal, Verbosity::Verbose] {
        assert_eq!(report.complaints(Style { verbosity, ..NORMAL }), text);
    }
    let colour = Style { colour: true, ..NORMAL };
    assert!(
        report
            .complaints(colour)
            .starts_with("\x1b[1;31merror:\x1b[0m a: it broke\n")
    );
}

#[test]
fn lists_are_aligned() {
    let mut account = AccountReport::new("a");
    for (name, local, role, selected) in [("INBOX", "INBOX", None, true), ("Spam", "Junk", Some("\\Junk"), false)] {
        account.mailboxes.push(MailboxLine {
            name: name.into(),
            local: local.into(),
            role: role.map(str::to_owned),
            selected,
        });
    }
    let report = Report::new(Job::Mailboxes, vec![account]);
    assert_eq!(report.output(NORMAL), "+ INBOX  INBOX\n- Spam   Junk   \\Junk\n");
    let status = Report::new(Job::Status, vec![AccountReport::new("a"), AccountReport::new("long")]);
    assert_eq!(status.output(NORMAL), "a     never run\nlong  never run\n");
}

#[test]
fn what_is_held_for_one_reason_has_its_ways_out_once() {
    let mut account = account(&[], true, None);
    let mut more = |guard, mailbox: &str, ways_out: &[&str]| {
        account.held_back.push(HeldBack {
            guard,
            mailbox: mailbox.into(),
            ways_out: ways_out.iter().map(ToString::to_string).collect(),
            ..held()
        });
    };
    let same: Vec<String> = held().ways_out;
    more(
        "max-delete",
        "Work",
        &same.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    more("adoption", "Old", &["homing sync a --push sends them"]);
    let text = "\
held back: a: not removed on the server: 40 messages in INBOX (max-delete)
held back: a: not removed on the server: 40 messages in Work (max-delete)
  homing sync a --allow-deletes removes them
  homing sync a --pull brings them back
held back: a: not copied to the server: 40 messages in Old (much of this Maildir is new to it)
  homing sync a --push sends them
";
    assert_eq!(Report::new(Job::Sync, vec![account]).complaints(NORMAL), text);
}

#[test]
fn what_sides_are_called_in_a_plan() {
    let step = Step {
        mailbox: MailboxId(1),
        path: MailboxPath::parse("Work").unwrap(),
        action: Action::Copy {
            to: Side::Left,
            ids: IdSet::range(1..=3),
            meet: Vec::new(),
        },
        why: "moved here on the right, gone on the left: the move wins",
    };
    let [the_left, on_the_left] = ["to the left in Work", "gone on the left"];
    assert!(step.to_string().contains(the_left) && step.to_string().contains(on_the_left));
    for (sides, said) in [
        (
            None,
            "to the Maildir in Work: moved here on the server, gone in the Maildir: the move wins",
        ),
        (
            Some(["archive", "server"]),
            "to the archive in Work: moved here on the server, gone in the archive: the move wins",
        ),
        (
            Some(["old", "new"]),
            "to old in Work: moved here on new, gone on old: the move wins",
        ),
    ] {
        let account = AccountReport {
            sides: sides.map(|sides| sides.map(str::to_owned)),
            ..AccountReport::default()
        };
        let called = Side::BOTH.map(|side| account.called(side));
        assert_eq!(step.sentence(&called), format!("copy 3 messages {said}"));
    }
}
