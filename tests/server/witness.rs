//! The `imap` crate understands it, and sees what is there.

use std::net::TcpStream;

use crate::raw::deliver;
use crate::support::mail::{odd, small_account};
use crate::support::server::{Server, Setup};

fn session(server: &Server) -> imap::Session<TcpStream> {
    let tcp = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let mut client = imap::Client::new(tcp);
    client.read_greeting().unwrap();
    client.login("user", "pass").map_err(|(e, _)| e).unwrap()
}

#[test]
fn reads_a_small_account() {
    let server = Server::start(Setup::default());
    server.with("user", |account| {
        for (mailbox, mail) in small_account() {
            account.create(mailbox);
            account.deliver(mailbox, &mail);
        }
    });
    let mut client = session(&server);
    let names: Vec<String> = client
        .list(None, Some("*"))
        .unwrap()
        .iter()
        .map(|n| n.name().to_owned())
        .collect();
    for (name, mailbox) in server.account("user").mailboxes {
        assert!(names.contains(&name), "{name}");
        let seen = client.examine(&name).unwrap();
        assert_eq!(
            (seen.exists as usize, seen.uid_next),
            (mailbox.messages.len(), Some(mailbox.uid_next))
        );
        assert_eq!(seen.uid_validity, Some(mailbox.uid_validity));
        for message in mailbox.iter() {
            let fetched = client
                .uid_fetch(
                    message.uid.to_string(),
                    "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])",
                )
                .unwrap();
            let fetched = fetched.iter().next().expect("one message");
            assert_eq!(fetched.body(), Some(&*message.bytes));
            assert_eq!(fetched.size, Some(message.bytes.len() as u32));
            assert_eq!(fetched.internal_date().unwrap().timestamp(), message.date.seconds);
            let mut flags: Vec<String> = fetched.flags().iter().map(ToString::to_string).collect();
            flags.retain(|f| f != "\\Recent");
            assert_eq!(flags.join(" "), message.flags.to_string());
        }
    }
    assert!(server.changing().is_empty());
    server.assert_no_complaints();
}

#[test]
fn changes_what_is_there() {
    let server = Server::start(Setup::default());
    deliver(&server, "INBOX", &["one", "two", "three", "four"]);
    let mut client = session(&server);
    client.create("Work").unwrap();
    client.create("Spare").unwrap();
    client.rename("Work", "Job").unwrap();
    client.delete("Spare").unwrap();
    client.select("INBOX").unwrap();
    client.uid_store("1", "+FLAGS (\\Seen todo)").unwrap();
    client.uid_copy("1", "Job").unwrap();
    client.uid_mv("2", "Job").unwrap();
    client.uid_store("3:4", "+FLAGS.SILENT (\\Deleted)").unwrap();
    client.uid_expunge("3").unwrap();
    assert_eq!(
        client.uid_search("UNSEEN").unwrap().into_iter().collect::<Vec<_>>(),
        [4]
    );
    client.expunge().unwrap();
    let text = b"Subject: five\r\n\r\nfive\r\n";
    client
        .append("Job", text)
        .flag(imap::types::Flag::Flagged)
        .finish()
        .unwrap();

    let account = server.account("user");
    let shown: Vec<String> = account
        .mailboxes
        .iter()
        .flat_map(|(name, mailbox)| mailbox.iter().map(move |m| format!("{name} {} ({})", m.uid, m.flags)))
        .collect();
    assert_eq!(
        shown,
        [
            "INBOX 1 (\\Seen todo)",
            "Job 1 (\\Seen todo)",
            "Job 2 ()",
            "Job 3 (\\Flagged)"
        ]
    );
    assert_eq!(&*account.mailbox("Job").message(3).bytes, text);
    server.assert_no_complaints();
}

#[test]
fn odd_mail_comes_back_byte_for_byte() {
    let server = Server::start(Setup::default());
    let all = odd();
    let mut client = session(&server);
    for mail in &all {
        client.append("INBOX", &mail.bytes).finish().unwrap();
    }
    client.select("INBOX").unwrap();
    for (at, mail) in all.iter().enumerate() {
        let fetched = client.uid_fetch((at + 1).to_string(), "(UID BODY.PEEK[])").unwrap();
        assert!(
            fetched.iter().next().unwrap().body() == Some(&*mail.bytes),
            "{}",
            mail.name
        );
    }
}
