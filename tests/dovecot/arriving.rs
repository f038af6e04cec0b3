//! Arriving and leaving: mail goes from files to the server and back into files, and is the same.

use std::fs;
use std::path::Path;

use crate::scene::{Scene, text};
use crate::support::dovecot::Dovecot;
use crate::support::mail::{Mail, odd};
use crate::support::witness::{Account, Server, canonical};
use crate::support::world::Run;

/// An mbox as another program would write it: From_ lines quoted, flags in the header, LF.
fn mbox(mails: &[Mail]) -> Vec<u8> {
    let mut out = Vec::new();
    for mail in mails {
        let has = |name: &str| mail.flags.iter().any(|flag| flag == name);
        let letters = [("\\Answered", 'A'), ("\\Flagged", 'F'), ("\\Draft", 'T')];
        let letters: String = letters
            .iter()
            .filter(|(name, _)| has(name))
            .map(|(_, letter)| letter)
            .collect();
        let keywords: Vec<&str> = mail
            .flags
            .iter()
            .map(String::as_str)
            .filter(|flag| !flag.starts_with('\\'))
            .collect();
        let date = jiff::Timestamp::from_second(mail.date.seconds)
            .unwrap()
            .strftime("%a %b %e %H:%M:%S %Y");
        let status = if has("\\Seen") { "RO" } else { "O" };
        let marks = format!(
            "Status: {status}\nX-Status: {letters}\nX-Keywords: {}\n",
            keywords.join(" ")
        );
        out.extend_from_slice(format!("From nobody {date}\n").as_bytes());
        let short: Vec<u8> = mail.bytes.iter().copied().filter(|&b| b != b'\r').collect();
        let end = short
            .windows(2)
            .position(|two| two == b"\n\n")
            .map_or(short.len(), |at| at + 1);
        let whole = [&short[..end], marks.as_bytes(), &short[end..]].concat();
        for line in whole.split_inclusive(|&b| b == b'\n') {
            let quotes = line.iter().take_while(|&&b| b == b'>').count();
            if line[quotes..].starts_with(b"From ") {
                out.push(b'>');
            }
            out.extend_from_slice(line);
        }
        out.push(b'\n');
    }
    out
}

/// Odd mail that an mbox with LF can hold; what it cannot is the business of what homing writes.
fn plain() -> Vec<Mail> {
    let mails = odd().into_iter();
    mails
        .filter(|mail| {
            let short: Vec<u8> = mail.bytes.iter().copied().filter(|&b| b != b'\r').collect();
            let has_header = short.starts_with(b"From: ") && short.windows(2).any(|two| two == b"\n\n");
            has_header && !short.contains(&0) && short.ends_with(b"\n") && canonical(&short) == mail.bytes
        })
        .collect()
}

fn other(scene: &mut Scene<'_>, name: &str) -> Server {
    let (dovecot, port) = (scene.dovecot, scene.proxy.port);
    let account = |user: &str| {
        format!(
            "[accounts.{user}]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nuser = \"{user}\"\n\
             password-command = \"echo pass\"\n"
        )
    };
    let mut tables = fs::read_to_string(scene.world.config()).unwrap();
    let beside = tables
        .find("\n[accounts.arrive")
        .map(|at| tables.split_off(at))
        .unwrap_or_default();
    scene.world.set_beside(&(beside + "\n" + &account(name)));
    Server::new(dovecot.host, dovecot.port, name)
}

#[track_caller]
fn done(run: &Run, added: usize) {
    assert_eq!((run.exit, run.count("right", "added")), (0, added as u64), "{run:#?}");
}

/// All of it went in; what a server may have changed is named, and nothing else.
#[track_caller]
fn arrived(run: &Run, added: usize) {
    let named = |problem: &serde_json::Value| problem["what"].as_str().unwrap().contains("CR without a LF");
    assert!(run.problems().iter().all(named), "{run:#?}");
    let exit = i32::from(!run.problems().is_empty());
    assert_eq!(
        (run.exit, run.count("right", "added")),
        (exit, added as u64),
        "{run:#?}"
    );
}

fn dir(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn odd_mail_arrives_and_leaves_as_it_is() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "arrive");
    let home = scene.world.home().to_owned();

    // Another program's mbox, into the server, from where a sync brings it.
    let mails = plain();
    assert!(mails.len() > 40, "{}", mails.len());
    fs::write(home.join("Work.mbox"), mbox(&mails)).unwrap();
    let import = [
        "import",
        dir(&home.join("Work.mbox")).to_owned().leak(),
        "--to",
        "personal",
    ];
    let dry = scene.world.run(&[&import[..], &["--dry-run"]].concat());
    done(&dry, mails.len());
    assert_eq!(scene.server.look().len(), 0);
    done(&scene.world.run(&import), mails.len());
    let there = scene.server.look();
    let mut expected = Account::default();
    for mail in &mails {
        expected.add("Work", &mail.bytes, &mail.flags, mail.date.seconds);
    }
    expected.add_empty("INBOX");
    assert_eq!(expected.difference("sent", &there, "arrived"), "");
    done(&scene.world.run(&import), 0);

    // All odd mail, byte for byte, out of a Maildir into mbox and .eml files, and into other accounts.
    let all: Vec<_> = odd()
        .into_iter()
        .map(|mail| crate::support::raw::Mail {
            bytes: mail.bytes,
            flags: mail.flags.join(" "),
            date: mail.date.seconds,
        })
        .collect();
    scene.raw().create("A & ü/b c").unwrap();
    scene.raw().append_all("A & ü/b c", &all);
    let (_, account) = scene.sync_to_equal(&[], "all of it");
    for format in ["mbox", "eml"] {
        let out = home.join(format);
        let run = scene
            .world
            .run(&["export", "personal", "--to", dir(&out), "--format", format]);
        done(&run, account.len());
        let again = scene
            .world
            .run(&["export", "personal", "--to", dir(&out), "--format", format]);
        assert_eq!(again.exit, 2, "nothing is overwritten: {again:#?}");

        let user = format!("arrive-{format}");
        let mut server = other(&mut scene, &user);
        arrived(&scene.world.run(&["import", dir(&out), "--to", &user]), account.len());
        assert_eq!(account.difference("left", &server.look(), "arrived"), "", "{format}");
        arrived(&scene.world.run(&["import", dir(&out), "--to", &user]), 0);
    }

    // And from the Maildir itself, some of it there already.
    let mut server = other(&mut scene, "arrive-maildir");
    let maildir = scene.world.maildir.clone();
    done(
        &scene
            .world
            .run(&["import", dir(&home.join("Work.mbox")), "--to", "arrive-maildir"]),
        mails.len(),
    );
    let run = scene.world.run(&["import", dir(&maildir), "--to", "arrive-maildir"]);
    arrived(&run, account.len() - mails.len());
    // Of equal messages one can be copied there, date and all.
    assert_eq!(account.contents(), server.look().contents());
    arrived(
        &scene
            .world
            .run(&["import", dir(&maildir), "--to", "arrive-maildir", "--mailbox", "Old"]),
        account.len(),
    );
}

#[test]
fn what_an_archive_held_then_leaves() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "arrive-archive");
    let home = scene.world.home().to_owned();
    scene.world.set("archive", &format!("{:?}", dir(&home.join("Archive"))));
    let mail = |subject: &str, flags: &str| crate::support::raw::Mail {
        bytes: canonical(&text(subject)),
        flags: flags.into(),
        date: 1_700_000_000,
    };
    scene
        .raw()
        .append_all("INBOX", &[mail("one", "\\Seen"), mail("two", "todo")]);
    assert_eq!(scene.world.run(&["backup"]).exit, 0);
    let mut session = scene.server.session();
    for uid in crate::support::world::remote::uids(&mut session, "INBOX") {
        crate::support::world::remote::remove(&mut session, uid);
    }
    assert_eq!(scene.world.run(&["backup"]).exit, 0);
    let out = home.join("then");
    let run = scene
        .world
        .run(&["export", "personal", "--to", dir(&out), "--at", "#1"]);
    done(&run, 2);
    let text = fs::read_to_string(out.join("INBOX.mbox")).unwrap();
    assert!(
        text.starts_with("From ada@example.org Tue Nov 14 22:13:20 2023\nStatus: "),
        "{text}"
    );
    assert!(text.contains("X-Keywords: todo\n"), "{text}");

    // One of them, by its Message-ID, and by the name of its file.
    let id = text.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap();
    let files = crate::support::world::local::messages(&home.join("Archive/gone/INBOX"));
    let name = files[0].file_name().unwrap().to_str().unwrap();
    for (nth, wanted) in [id, name.split(":2,").next().unwrap()].into_iter().enumerate() {
        let out = home.join(format!("one-{nth}"));
        let arguments = [
            "export",
            "personal",
            "--to",
            dir(&out),
            "--at",
            "#1",
            "--message",
            wanted,
        ];
        done(&scene.world.run(&arguments), 1);
    }
    let run = scene.world.run(&[
        "export",
        "personal",
        "--to",
        dir(&out),
        "--at",
        "#1",
        "--message",
        "none",
    ]);
    assert_eq!(run.exit, 2, "{run:#?}");
}
