//! Mailboxes and their names.

use crate::raw::{Raw, deliver, play};
use crate::support::server::{Server, Setup};

#[test]
fn names_separators_and_prefixes() {
    let setup = Setup {
        separator: Some('.'),
        prefix: "INBOX.".into(),
        ..Setup::default()
    };
    let server = Server::start(setup);
    server.with("user", |account| {
        account.create("INBOX.Entwürfe.2026");
        account.create("INBOX.a & b");
        account.mailbox_mut("INBOX.Entwürfe.2026").role = Some("\\Drafts".into());
    });
    let mut raw = Raw::login(&server);
    play(
        &mut raw,
        r#"
        > NAMESPACE
        * NAMESPACE (("INBOX." ".")) NIL NIL
        OK …
        > LIST "" * RETURN (SPECIAL-USE)
        * LIST (\HasChildren) "." INBOX
        * LIST (\NonExistent \HasChildren) "." INBOX.Entw&APw-rfe
        * LIST (\HasNoChildren \Drafts) "." INBOX.Entw&APw-rfe.2026
        * LIST (\HasNoChildren) "." "INBOX.a &- b"
        OK …
        > LIST "INBOX." %
        * LIST (\Noselect \HasChildren) "." INBOX.Entw&APw-rfe
        * LIST (\HasNoChildren) "." "INBOX.a &- b"
        OK …
        > CREATE Work
        NO [CANNOT]…
        > CREATE INBOX.Work.
        OK …
        > CREATE INBOX.Work
        NO [ALREADYEXISTS]…
        > RENAME INBOX.Entw&APw-rfe "INBOX.Drafts"
        OK …
        > DELETE INBOX
        NO [CANNOT]…
        "#,
    );
    let account = server.account("user");
    let names: Vec<&String> = account.mailboxes.keys().collect();
    assert_eq!(names, ["INBOX", "INBOX.Drafts.2026", "INBOX.Work", "INBOX.a & b"]);
    server.assert_no_complaints();
}

#[test]
fn permanent_flags() {
    use crate::support::server::Permanent;
    let only = Permanent::Only(vec!["\\Seen".into(), "\\Deleted".into(), "$Forwarded".into()]);
    let server = Server::start(Setup {
        permanent: only,
        ..Setup::default()
    });
    deliver(&server, "INBOX", &["one"]);
    let mut raw = Raw::login(&server);
    let open = raw.ask("SELECT INBOX");
    assert!(
        open.iter()
            .any(|l| l.starts_with("* OK [PERMANENTFLAGS (\\Seen \\Deleted $Forwarded)]")),
        "{open:?}"
    );
    raw.ask("UID STORE 1 +FLAGS (\\Seen \\Flagged $Forwarded todo)");
    assert_eq!(
        server.account("user").mailbox("INBOX").message(1).flags.to_string(),
        "$Forwarded \\Seen"
    );
}

#[test]
fn rename_of_the_inbox_moves_its_messages() {
    let server = Server::start(Setup::default());
    deliver(&server, "INBOX", &["one", "two"]);
    deliver(&server, "INBOX/below", &[]);
    let mut raw = Raw::login(&server);
    play(&mut raw, "> RENAME INBOX Old\nOK …");
    let account = server.account("user");
    assert_eq!(
        (
            account.mailbox("INBOX").messages.len(),
            account.mailbox("Old").messages.len()
        ),
        (0, 2)
    );
    assert!(account.mailboxes.contains_key("INBOX/below"));
}

#[test]
fn a_selected_mailbox_that_is_gone() {
    for (gone_is_no, expected) in [(false, "* BYE"), (true, "NO [NONEXISTENT]")] {
        let server = Server::start(Setup {
            gone_is_no,
            ..Setup::default()
        });
        deliver(&server, "Work", &["one"]);
        let mut raw = Raw::login(&server);
        raw.ask("SELECT Work");
        server.with("user", |account| account.bump_validity("Work"));
        raw.send(b"z UID FETCH 1 (FLAGS)\r\n");
        let line = raw.line().unwrap();
        assert!(line.trim_start_matches("z ").starts_with(expected), "{line}");
    }
}
