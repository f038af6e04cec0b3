//! From Dovecot to a server that is unlike it, and from there to Dovecot again: all that went out comes back.

use crate::odd_names::NAMES;
use crate::scene::{Scene, text};
use crate::support::dovecot::{Dovecot, say};
use crate::support::mail::{odd, small_account};
use crate::support::raw::Mail;
use crate::support::server::{Server, Setup};
use crate::support::witness::{self, Account, canonical};

const USER: &str = "user";

fn table(name: &str, port: u16, user: &str) -> String {
    format!(
        "[accounts.{name}]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nuser = \"{user}\"\n\
         password-command = \"echo pass\"\n"
    )
}

fn raw(mail: &crate::support::mail::Mail) -> Mail {
    Mail {
        bytes: mail.bytes.clone(),
        flags: mail.flags.join(" "),
        date: mail.date.seconds,
    }
}

/// Every mailbox by what is in it, whatever it is called.
fn contents(account: &Account) -> Vec<String> {
    let mut all: Vec<String> = account
        .mailboxes
        .values()
        .map(|mailbox| format!("{mailbox:?}"))
        .collect();
    all.sort();
    all
}

#[test]
fn what_goes_out_comes_back() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "migrate-from");
    let mut client = scene.raw();
    for (mailbox, mail) in small_account() {
        let _ = client.create(mailbox);
        client.append_all(mailbox, &[raw(&mail)]);
    }
    // What IMAP cannot carry, and what is only ever carried with a warning, is another test's.
    let lone_cr = |bytes: &[u8]| {
        bytes
            .iter()
            .enumerate()
            .any(|(n, &b)| b == b'\r' && bytes.get(n + 1) != Some(&b'\n'))
    };
    let fits = |mail: &&crate::support::mail::Mail| !mail.bytes.contains(&0) && !lone_cr(&mail.bytes);
    client.append_all("INBOX", &odd().iter().filter(fits).map(raw).collect::<Vec<_>>());
    let mut named = 0;
    for name in NAMES {
        if client.create(name).is_ok() {
            let bytes = canonical(&text(name));
            client.append_all(
                name,
                &[Mail {
                    bytes,
                    flags: "\\Seen todo".into(),
                    date: 1_600_000_000,
                }],
            );
            named += 1;
        }
    }

    let mut between = Setup::default().without(&["CONDSTORE", "QRESYNC", "LIST-STATUS", "UIDPLUS"]);
    between.separator = Some('.');
    between.prefix = "INBOX.".into();
    let between = Server::start(between);
    scene.world.unset("maildir");
    scene
        .world
        .set_beside(&(table("between", between.port(), USER) + &table("back", dovecot.port, "migrate-back")));
    let there = scene.world.run(&["migrate", "personal", "between"]);
    assert_eq!(there.exit, 0, "{there:#?}");
    let first = scene.server.look();
    let middle = witness::Server::new("127.0.0.1", between.port(), USER)
        .below("INBOX.")
        .look();
    assert_eq!(contents(&first), contents(&middle), "{there:#?}");

    let back = scene.world.run(&["migrate", "between", "back"]);
    assert_eq!(back.exit, 0, "{back:#?}");
    let last = witness::Server::new(dovecot.host, dovecot.port, "migrate-back").look();
    assert_eq!(contents(&first), contents(&last), "{back:#?}");
    for pair in [["personal", "between"], ["between", "back"]] {
        let again = scene.world.run(&[&["migrate"], &pair[..]].concat());
        assert_eq!((again.exit, again.changes()), (0, 0), "{again:#?}");
    }
    // Its books go by the name of the pair.
    let name = "personal--between";
    for (command, known) in [("log", true), ("status", true), ("forget", true), ("status", false)] {
        let run = scene.world.run(&[command, name]);
        assert_eq!((run.exit, run.account()["name"].as_str()), (0, Some(name)), "{run:#?}");
        match command {
            "log" => assert_eq!(run.account()["runs"][0]["command"], "migrate", "{run:#?}"),
            "status" => assert_eq!(run.account()["last_run"].is_object(), known, "{run:#?}"),
            _ => {}
        }
    }
    say(&format!(
        "migrate: {} messages in {} mailboxes ({named} of them with odd names) there in {:.1?}, back in {:.1?}",
        first.len(),
        first.mailboxes.len(),
        there.took,
        back.took
    ));
}
