//! Every fault does what its name says, and nothing else.

use std::time::{Duration, Instant};

use crate::raw::{Raw, deliver};
use crate::support::server::{Fault, Lies, Point, Server, Setup, What, points};

fn server() -> Server {
    let server = Server::start(Setup::default());
    deliver(&server, "INBOX", &["one", "two"]);
    server
}

fn flags(server: &Server, uid: u32) -> String {
    server.account("user").mailbox("INBOX").message(uid).flags.to_string()
}

const STORE: &str = "UID STORE 1 +FLAGS (\\Seen)";

fn store(server: &Server) -> Vec<String> {
    let mut raw = Raw::login(server);
    raw.ask("SELECT INBOX");
    raw.send(format!("z {STORE}\r\n").as_bytes());
    std::iter::from_fn(|| raw.line().filter(|l| !l.starts_with("z "))).collect()
}

#[test]
fn cut_before_and_after() {
    for (point, executed) in [(Point::BeforeExecution, ""), (Point::AfterExecution, "\\Seen")] {
        let server = server();
        server.inject(Fault::new("UID STORE", 1, point, What::Cut));
        assert!(store(&server).is_empty(), "nothing is sent");
        assert_eq!(
            (flags(&server, 1).as_str(), server.struck()),
            (executed, 1),
            "{point:?}"
        );
        assert_eq!(server.count("UID STORE"), 1, "it is in the transcript");
    }
}

#[test]
fn the_answer_is_cut() {
    let server = server();
    server.inject(Fault::new("UID STORE", 1, Point::MidReply(7), What::Cut));
    assert_eq!(store(&server), ["* 1 FET"]);
    assert_eq!(flags(&server, 1), "\\Seen");
    server.inject(Fault::new("UID STORE", 1, Point::AfterExecution, What::TaggedOkLost));
    assert_eq!(store(&server), ["* 1 FETCH (UID 1 FLAGS (\\Seen))"]);
}

#[test]
fn a_dead_clients_session_goes_on() {
    let server = server();
    let late = What::ExecuteAfterCut(Duration::from_millis(150));
    server.inject(Fault::new("UID STORE", 1, Point::BeforeExecution, late));
    let mut raw = Raw::login(&server);
    raw.ask("SELECT INBOX");
    raw.send(format!("y {STORE}\r\nz UID STORE 2 +FLAGS (\\Flagged)\r\n").as_bytes());
    assert!(raw.is_cut());
    assert_eq!(
        (flags(&server, 1), flags(&server, 2)),
        (String::new(), String::new()),
        "not yet"
    );
    let end = Instant::now() + Duration::from_secs(5);
    while flags(&server, 2).is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(
        (flags(&server, 1), flags(&server, 2)),
        ("\\Seen".into(), "\\Flagged".into()),
        "but then all of it"
    );
}

#[test]
fn refusals() {
    let table = [
        (
            Point::BeforeExecution,
            What::No("[OVERQUOTA] full".into()),
            "NO [OVERQUOTA] full",
            "",
        ),
        (Point::BeforeExecution, What::Bad("what?".into()), "BAD what?", ""),
        (Point::AfterExecution, What::No("odd".into()), "NO odd", "\\Seen"),
    ];
    for (point, what, expected, executed) in table {
        let server = server();
        server.inject(Fault::new("UID STORE", 2, point, what));
        let mut raw = Raw::login(&server);
        raw.ask("SELECT INBOX");
        assert!(
            raw.ask("UID STORE 2 +FLAGS (\\Seen)").pop().unwrap().starts_with("OK"),
            "the first is spared"
        );
        assert_eq!(raw.ask(STORE).pop().unwrap(), expected);
        assert_eq!(flags(&server, 1), executed);
        assert!(raw.ask(STORE).pop().unwrap().starts_with("OK"), "and so is the third");
        server.assert_no_complaints();
    }
    let server = server();
    server.inject(Fault::always(
        "UID STORE",
        Point::BeforeExecution,
        What::Bye("enough".into()),
    ));
    assert_eq!(store(&server), ["* BYE enough"]);
    server.heal();
    assert_eq!(store(&server).len(), 1);
}

#[test]
fn an_upload_is_cut() {
    let server = server();
    server.inject(Fault::new("APPEND", 1, Point::MidLiteral(3), What::Cut));
    let mut raw = Raw::login(&server);
    raw.send(b"z APPEND INBOX {6}\r\n");
    assert!(raw.line().unwrap().starts_with('+'));
    raw.send(b"hello!\r\n");
    assert!(raw.is_cut());
    assert_eq!(server.account("user").mailbox("INBOX").messages.len(), 2);
    assert_eq!(server.commands().last().unwrap().verb, "APPEND");
}

#[test]
fn stalls_and_trickles() {
    for what in [
        What::Stall(Duration::from_millis(120)),
        What::Trickle(Duration::from_millis(2)),
    ] {
        let server = server();
        server.inject(Fault::new("NOOP", 1, Point::BeforeExecution, what.clone()));
        let mut raw = Raw::login(&server);
        let start = Instant::now();
        raw.ask("NOOP");
        assert!(start.elapsed() >= Duration::from_millis(20), "{what:?}");
    }
    let server = server();
    server.inject(Fault::new(
        "NOOP",
        1,
        Point::BeforeExecution,
        What::Stall(Duration::from_mins(10)),
    ));
    let mut raw = Raw::login(&server);
    raw.send(b"z NOOP\r\n");
    let start = Instant::now();
    drop(server);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "a stall does not outlive the server"
    );
}

#[test]
fn others_act_in_between() {
    let table = [
        (What::unsolicited_expunge(), "* VANISHED 1"),
        (
            What::unsolicited_fetch(),
            "* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ (4))",
        ),
        (What::bump_uid_validity(), "* BYE the selected mailbox is gone"),
        (What::GarbageLine(b"* \xff( 1 {".to_vec()), "* \u{fffd}( 1 {"),
        (
            What::other_client("create", |account| assert!(account.create("New"))),
            "OK done",
        ),
    ];
    for (what, expected) in table {
        for point in [Point::BeforeExecution, Point::AfterExecution] {
            let server = server();
            server.inject(Fault::new("NOOP", 1, point, what.clone()));
            let mut raw = Raw::login(&server);
            raw.ask("ENABLE QRESYNC");
            raw.ask("SELECT INBOX");
            raw.send(b"t9 NOOP\r\n");
            assert_eq!(
                raw.line().unwrap().trim_start_matches("t9 "),
                expected,
                "{what:?} {point:?}"
            );
        }
    }
    let server = server();
    deliver(&server, "Work", &["three"]);
    server.inject(Fault::new("SELECT", 1, Point::BeforeExecution, What::vanish_mailbox()));
    let mut raw = Raw::login(&server);
    assert!(raw.ask("SELECT Work").pop().unwrap().starts_with("NO [NONEXISTENT]"));
}

#[test]
fn lies_of_one_command() {
    let server = server();
    server.inject(Fault::new("UID FETCH", 1, Point::BeforeExecution, What::wrong_size(7)));
    server.inject(Fault::new("UID FETCH", 2, Point::BeforeExecution, What::DropFetchLine));
    server.inject(Fault::new("SELECT", 1, Point::BeforeExecution, What::no_uid_next()));
    server.inject(Fault::new("UID STORE", 1, Point::BeforeExecution, What::drop_flags()));
    let mut raw = Raw::login(&server);
    assert!(!raw.ask("SELECT INBOX").iter().any(|l| l.contains("UIDNEXT")));
    assert!(raw.ask("EXAMINE INBOX").iter().any(|l| l.contains("UIDNEXT")));
    let size = server.account("user").mailbox("INBOX").message(1).bytes.len();
    let line = |size: usize| format!("* 1 FETCH (UID 1 RFC822.SIZE {size})");
    assert_eq!(raw.ask("UID FETCH 1 (RFC822.SIZE)")[0], line(size + 7));
    assert_eq!(raw.ask("UID FETCH 1:2 (RFC822.SIZE)").len(), 2, "one line and the OK");
    assert_eq!(raw.ask("UID FETCH 1 (RFC822.SIZE)")[0], line(size));
    raw.ask("SELECT INBOX");
    assert!(raw.ask(STORE).pop().unwrap().starts_with("OK"));
    assert_eq!(flags(&server, 1), "");
}

/// A lie, commands, a text, and whether it is among the answers.
type Row = (Lies, &'static [&'static str], &'static str, bool);

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn lies_of_the_server() {
    let answers = |lies: Lies, commands: &[&str]| -> String {
        let server = server();
        deliver(&server, "Work/2026", &[]);
        server.lie(lies);
        let mut raw = Raw::login(&server);
        raw.ask("ENABLE QRESYNC");
        raw.ask("SELECT INBOX");
        commands
            .iter()
            .flat_map(|command| raw.ask(command))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let table: [Row; 11] = [
        (
            Lies {
                no_append_uid: true,
                ..Lies::default()
            },
            &["APPEND INBOX {1+}\r\nx"],
            "APPENDUID",
            false,
        ),
        (
            Lies {
                no_copy_uid: true,
                ..Lies::default()
            },
            &["UID COPY 1 Work/2026"],
            "COPYUID",
            false,
        ),
        (
            Lies {
                copies_nothing: true,
                ..Lies::default()
            },
            &["UID COPY 1 Work/2026", "STATUS Work/2026 (MESSAGES)"],
            "MESSAGES 0",
            true,
        ),
        (
            Lies {
                drops_keywords: true,
                ..Lies::default()
            },
            &["UID STORE 1 +FLAGS (\\Seen a)"],
            "FLAGS (\\Seen \\Recent)",
            true,
        ),
        (
            Lies {
                refuses_keywords: true,
                ..Lies::default()
            },
            &["UID STORE 1 +FLAGS (\\Seen a)"],
            "NO [CANNOT]",
            true,
        ),
        (
            Lies {
                first_spelling: true,
                ..Lies::default()
            },
            &["UID STORE 1 +FLAGS (Abc)", "UID STORE 2 +FLAGS (aBC)"],
            "aBC",
            false,
        ),
        (
            Lies {
                zero_modseq: true,
                ..Lies::default()
            },
            &["STATUS INBOX (HIGHESTMODSEQ)"],
            "HIGHESTMODSEQ 0",
            true,
        ),
        (
            Lies {
                vanished_names_living: true,
                ..Lies::default()
            },
            &["UID STORE 2 +FLAGS (\\Deleted)", "UID EXPUNGE 2"],
            "VANISHED 1:2",
            true,
        ),
        (
            Lies {
                date: 3600,
                ..Lies::default()
            },
            &["UID FETCH 1 (INTERNALDATE)"],
            "01-Mar-2026 01:00:00 +0000",
            true,
        ),
        (
            Lies {
                mends_line_ends: true,
                ..Lies::default()
            },
            &["APPEND INBOX {4+}\r\na\nb\n", "UID FETCH 3 (RFC822.SIZE)"],
            "RFC822.SIZE 6",
            true,
        ),
        (
            Lies {
                ghosts: true,
                ..Lies::default()
            },
            &["LIST \"\" * RETURN (STATUS (MESSAGES))"],
            "NonExistent",
            false,
        ),
    ];
    for (lies, commands, text, told) in table {
        assert_ne!(
            answers(Lies::default(), commands).contains(text),
            told,
            "without the lie: {text}"
        );
        assert_eq!(answers(lies, commands).contains(text), told, "with the lie: {text}");
    }
}

#[test]
fn a_recorded_run_gives_its_points() {
    let server = server();
    let mut raw = Raw::login(&server);
    raw.ask("SELECT INBOX");
    server.clear();
    raw.ask("UID FETCH 1 (FLAGS)");
    raw.ask("APPEND INBOX {10+}\r\n0123456789");
    raw.ask("UID FETCH 2 (FLAGS)");
    let all = points(&server.commands());
    let shown: Vec<String> = all
        .iter()
        .map(|w| format!("{} {} {:?}", w.verb, w.nth, w.point))
        .collect();
    assert_eq!(shown.len(), 3 + 4 + 3);
    assert_eq!(shown[0], "UID FETCH 1 BeforeExecution");
    assert_eq!(shown[4], "APPEND 1 MidLiteral(5)");
    assert_eq!(shown[7], "UID FETCH 2 BeforeExecution");
}

#[test]
fn the_transcript() {
    let server = server();
    let mut raw = Raw::login(&server);
    raw.ask("SELECT INBOX");
    server.clear();
    raw.ask("UID FETCH 1 (BODY.PEEK[])");
    assert!(server.changing().is_empty());
    raw.send(b"p UID SEARCH ALL\r\nq UID STORE 1 +FLAGS (\\Seen)\r\n");
    raw.reply("p");
    raw.reply("q");
    let entries = server.commands();
    let size = server.account("user").mailbox("INBOX").message(1).bytes.len();
    assert_eq!(entries[0].replies, [format!("* 1 FETCH (UID 1 BODY[] {{{size}}})")]);
    assert_eq!(
        entries.iter().map(|e| e.pipelined).collect::<Vec<_>>(),
        [false, false, true]
    );
    assert_eq!(server.changing().len(), 1);
    assert_eq!(server.changing()[0].line, "UID STORE 1 +FLAGS (\\Seen)");
    assert_eq!(server.round_trips(), 2);
}
