//! What it answers, line by line.

use crate::raw::{Raw, deliver, play};
use crate::support::server::{Server, Setup};

#[test]
fn a_plain_session() {
    let server = Server::start(Setup::bare());
    deliver(&server, "INBOX", &["one", "two", "three"]);
    let mut raw = Raw::login(&server);
    play(
        &mut raw,
        r"
        > CAPABILITY
        * CAPABILITY IMAP4rev1
        OK …
        > SELECT inbox
        * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)]…
        * 3 EXISTS
        * 3 RECENT
        * OK [UNSEEN 1]…
        * OK [UIDVALIDITY 1700000002]…
        * OK [UIDNEXT 4]…
        OK [READ-WRITE]…
        > STORE 2 +FLAGS (\Deleted)
        * 2 FETCH (FLAGS (\Deleted \Recent))
        OK …
        > UID STORE 1 FLAGS.SILENT (\Seen $Work)
        OK …
        > FETCH 1:2 (UID FLAGS INTERNALDATE RFC822.SIZE)
        * 1 FETCH (UID 1 FLAGS ($Work \Seen \Recent) INTERNALDATE …
        * 2 FETCH (UID 2 FLAGS (\Deleted \Recent) INTERNALDATE …
        OK …
        > EXPUNGE
        * 2 EXPUNGE
        OK …
        > UID SEARCH ALL
        * SEARCH 1 3
        OK …
        > SEARCH KEYWORD $work
        * SEARCH 1
        OK …
        > UID FETCH 3 BODY.PEEK[HEADER.FIELDS (subject)]
        * 2 FETCH (UID 3 BODY[HEADER.FIELDS (SUBJECT)] {18}
        Subject: three
        )
        OK …
        > LOGOUT
        * BYE …
        OK …
        ",
    );
    assert!(raw.is_cut());
    server.assert_no_complaints();
}

/// Each command is fine with its capability, and BAD and complained of without it.
#[test]
fn without_the_capability_it_is_bad() {
    let table = [
        ("UIDPLUS", "UID EXPUNGE 1"),
        ("MOVE", "MOVE 1 Work"),
        ("MOVE", "UID MOVE 1 Work"),
        ("CONDSTORE", "UID FETCH 1:5 (FLAGS) (CHANGEDSINCE 1)"),
        ("CONDSTORE", "UID STORE 1 (UNCHANGEDSINCE 9) +FLAGS (\\Seen)"),
        ("CONDSTORE", "SELECT INBOX (CONDSTORE)"),
        ("CONDSTORE", "STATUS INBOX (HIGHESTMODSEQ)"),
        ("ESEARCH", "UID SEARCH RETURN (ALL) ALL"),
        ("LIST-EXTENDED", "LIST (SUBSCRIBED) \"\" *"),
        ("LIST-STATUS", "LIST \"\" * RETURN (STATUS (MESSAGES))"),
        ("SPECIAL-USE", "LIST \"\" * RETURN (SPECIAL-USE)"),
        ("CREATE-SPECIAL-USE", "CREATE Sent (USE (\\Sent))"),
        ("NAMESPACE", "NAMESPACE"),
        ("ENABLE", "ENABLE CONDSTORE"),
        ("UNSELECT", "UNSELECT"),
        ("OBJECTID", "UID FETCH 1 (EMAILID)"),
        ("OBJECTID", "STATUS INBOX (MAILBOXID)"),
        ("X-GM-EXT-1", "UID FETCH 1 (X-GM-MSGID)"),
        ("STATUS=SIZE", "STATUS INBOX (SIZE)"),
        ("ID", "ID (\"name\" \"x\")"),
        ("LITERAL+", "SELECT {5+}\r\nINBOX"),
        ("MULTIAPPEND", "APPEND INBOX {1+}\r\nx {1+}\r\ny"),
    ];
    for (needs, command) in table {
        for there in [true, false] {
            let setup = Setup::default().with(&["CREATE-SPECIAL-USE", "OBJECTID", "X-GM-EXT-1"]);
            let mut setup = if there { setup } else { setup.without(&[needs]) };
            setup.parses_refused_literals = false;
            let server = Server::start(setup);
            deliver(&server, "Work", &[]);
            deliver(&server, "INBOX", &["one"]);
            let mut raw = Raw::login(&server);
            raw.ask("SELECT INBOX");
            let result = raw.ask(command).pop().unwrap();
            assert_eq!(
                result.starts_with("OK"),
                there,
                "{command} with {needs} {there}: {result}"
            );
            assert_eq!(
                result.starts_with("BAD"),
                !there,
                "{command} with {needs} {there}: {result}"
            );
            assert_eq!(server.complaints().is_empty(), there, "{command}");
        }
    }
}

#[test]
fn what_breaks_the_grammar_is_bad_and_complained_of() {
    let commands = [
        "NOSUCH",
        "UID NOSUCH 1",
        "SELECT",
        "SELECT  INBOX",
        "SELECT INBOX ",
        "SELECT \"a\\b\"",
        "SELECT \"Entw\u{fc}rfe\"",
        "SELECT Entw&APx-rfe&",
        "CREATE &AGE-",
        "FETCH 0 FLAGS",
        "FETCH 1:2",
        "FETCH 4 (FLAGS)",
        "UID FETCH a (FLAGS)",
        "UID FETCH 1 (FLAGS FLAG)",
        "UID FETCH 1 (BODY[)",
        "UID FETCH 1 (BODY[]<1>)",
        "UID FETCH 1 (FLAGS) (VANISHED)",
        "UID STORE 1 +FLAGS (\\Recent)",
        "UID STORE 1 +FLAGS (\\Odd)",
        "UID STORE 1 +FLAGS (a(b)",
        "UID STORE 1 +FLAG (\\Seen)",
        "UID SEARCH",
        "UID SEARCH KEYWORD \"a b\"",
        "UID SEARCH SINCE yesterday",
        "APPEND INBOX (\\Seen)",
        "APPEND INBOX (\\Recent) {1}",
        "APPEND INBOX \"1-Jan-2026 10:00:00 +0000\" {1}",
        "APPEND INBOX \"01-Jan-2026 10:00 +0000\" {1}",
        "STATUS INBOX ()",
        "LIST \"\"",
        "LOGIN user pass",
    ];
    let server = Server::start(Setup::default());
    deliver(&server, "INBOX", &["one", "two", "three"]);
    let mut raw = Raw::login(&server);
    raw.ask("SELECT INBOX");
    for command in commands {
        let before = server.complaints().len();
        let result = raw.ask(command).pop().unwrap();
        assert!(result.starts_with("BAD"), "{command}: {result}");
        assert_eq!(
            server.complaints().len(),
            before + usize::from(command != "FETCH 4 (FLAGS)"),
            "{command}"
        );
    }
    // Within the grammar, and yet better not sent.
    for command in ["UID FETCH * (FLAGS)", "UID FETCH 3:1 (FLAGS)", "UID FETCH 2,1 (FLAGS)"] {
        let before = server.complaints().len();
        assert!(raw.ask(command).pop().unwrap().starts_with("OK"), "{command}");
        assert_eq!(server.complaints().len(), before + 1, "{command}");
    }
}

#[test]
fn literals() {
    for (caps, literal, answer) in [
        (&["LITERAL+"][..], "{5+}", "OK"),
        (&["LITERAL-"][..], "{5+}", "OK"),
        (&[][..], "{5+}", "BAD"),
    ] {
        let mut setup = Setup::bare().with(caps);
        setup.parses_refused_literals = false;
        let server = Server::start(setup);
        let mut raw = Raw::login(&server);
        assert!(
            raw.ask(&format!("SELECT {literal}\r\nINBOX"))
                .pop()
                .unwrap()
                .starts_with(answer),
            "{caps:?}"
        );
    }
    let server = Server::start(Setup::bare().with(&["LITERAL-"]));
    let mut raw = Raw::login(&server);
    raw.send(b"s1 APPEND INBOX {5}\r\n");
    assert!(raw.line().unwrap().starts_with("+ "));
    raw.send(b"hello\r\n");
    assert!(raw.reply("s1").pop().unwrap().starts_with("OK"));
    raw.send(b"s2 APPEND Nowhere {5}\r\n");
    assert!(
        raw.reply("s2").pop().unwrap().starts_with("NO [TRYCREATE]"),
        "before the message is sent"
    );
    assert_eq!(&*server.account("user").mailbox("INBOX").message(1).bytes, b"hello");
    server.assert_no_complaints();
}

/// HAZARDS 1, as Dovecot does it.
#[test]
fn a_refused_literal_becomes_commands() {
    let body = "x1 CREATE Owned\r\n";
    for parses in [true, false] {
        let setup = Setup {
            parses_refused_literals: parses,
            ..Setup::default()
        };
        let server = Server::start(setup);
        let mut raw = Raw::login(&server);
        let result = raw
            .ask(&format!("APPEND INBOX (\\Recent) {{{}+}}\r\n{body}", body.len()))
            .pop()
            .unwrap();
        assert!(result.starts_with("BAD"), "{result}");
        raw.ask("NOOP");
        assert_eq!(server.account("user").mailboxes.contains_key("Owned"), parses);
    }
}

#[test]
fn sequence_numbers_hold_until_expunges_may_be_told() {
    let server = Server::start(Setup::bare());
    deliver(&server, "INBOX", &["one", "two", "three"]);
    let mut raw = Raw::login(&server);
    raw.ask("SELECT INBOX");
    server.with("user", |account| {
        account.expunge("INBOX", 1);
        account.flag("INBOX", 3, &["\\Flagged"], &[]);
    });
    play(
        &mut raw,
        r"
        > FETCH 2 (UID)
        * 2 FETCH (UID 2)
        * 3 FETCH (FLAGS (\Flagged \Recent))
        OK …
        > FETCH 1 (UID)
        NO [EXPUNGEISSUED]…
        > STORE 2 +FLAGS.SILENT (\Seen)
        OK …
        > SEARCH SEEN
        * SEARCH 2
        OK …
        > UID SEARCH ALL
        * SEARCH 2 3
        * 1 EXPUNGE
        OK …
        > FETCH 1 (UID)
        * 1 FETCH (UID 2)
        OK …
        ",
    );
    deliver(&server, "INBOX", &["four"]);
    play(
        &mut raw,
        r"
        > NOOP
        * 3 EXISTS
        * 3 RECENT
        OK …
        ",
    );
}

#[test]
fn resynchronisation() {
    let server = Server::start(Setup::default());
    deliver(&server, "INBOX", &["one", "two", "three", "four"]);
    let since = server.account("user").mailbox("INBOX").modseq;
    server.with("user", |account| {
        account.expunge("INBOX", 2);
        account.flag("INBOX", 3, &["\\Seen"], &[]);
    });
    let validity = server.account("user").mailbox("INBOX").uid_validity;
    let mut raw = Raw::login(&server);
    play(&mut raw, "> ENABLE QRESYNC\n* ENABLED QRESYNC\nOK …");
    let told = |raw: &mut Raw, select: &str| -> Vec<String> {
        let lines = raw.ask(select);
        lines
            .into_iter()
            .filter(|l| l.contains("VANISHED") || l.contains("FETCH"))
            .collect()
    };
    let select = |validity: u32, rest: &str| format!("SELECT INBOX (QRESYNC ({validity} {since}{rest}))");
    let changed = format!("* 2 FETCH (UID 3 FLAGS (\\Seen) MODSEQ ({}))", since + 2);
    raw.ask("SELECT INBOX"); // takes the \Recent
    assert_eq!(
        told(&mut raw, &select(validity, "")),
        ["* VANISHED (EARLIER) 2", &changed]
    );
    assert_eq!(told(&mut raw, &select(validity, " 1,3:4")), [&*changed]);
    assert_eq!(told(&mut raw, &select(validity + 1, "")), [""; 0]);
    let fetch = format!("UID FETCH 1:4 (FLAGS) (CHANGEDSINCE {since} VANISHED)");
    assert_eq!(told(&mut raw, &fetch), ["* VANISHED (EARLIER) 2", &changed]);
    server.with("user", |account| account.expunge("INBOX", 4));
    play(&mut raw, "> NOOP\n* VANISHED 4\nOK …");
}
