//! The instruments themselves: what they report is what is there.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::dovecot::tls::Certificate;
use crate::support::dovecot::{Dovecot, Layout as Store, Variant};
use crate::support::proxy::{Cut, Proxy};
use crate::support::raw::{Mail, Raw};
use crate::support::witness::{Account, Layout, Server, assert_same, digest, look_at_disk};
use crate::support::world::{Chance, local, mails, remote};

fn capabilities(server: &Dovecot) -> Vec<String> {
    let mut raw = Raw::connect(server.host, server.port, "capable");
    let line = raw.ok("CAPABILITY").concat();
    line.split(' ').skip(2).map(str::to_owned).collect()
}

/// The subset that native-tls lets a client see: whether the handshake succeeds.
fn handshake(server: &Dovecot, kind: Certificate) -> Result<(), String> {
    let authority = fs::read(server.certificates.authority()).unwrap();
    let authority = native_tls::Certificate::from_pem(&authority).unwrap();
    let connector = native_tls::TlsConnector::builder()
        .disable_built_in_roots(true)
        .add_root_certificate(authority)
        .build()
        .unwrap();
    let stream = TcpStream::connect((kind.address(), server.tls_port)).unwrap();
    let mut tls = connector.connect(kind.address(), stream).map_err(|e| e.to_string())?;
    let mut greeting = [0; 4];
    tls.read_exact(&mut greeting).map_err(|e| e.to_string())?;
    assert_eq!(&greeting, b"* OK");
    Ok(())
}

#[test]
fn certificates_are_what_they_are_called() {
    let Some(dovecot) = Dovecot::shared() else { return };
    assert_eq!(handshake(dovecot, Certificate::Good), Ok(()));
    for (kind, reason) in [
        (Certificate::Expired, "expired"),
        (Certificate::WrongHost, "mismatch"),
        (Certificate::SelfSigned, "self"),
    ] {
        let refused = handshake(dovecot, kind).expect_err("must be refused");
        assert!(refused.contains(reason), "{kind:?}: {refused}");
    }
    let print = dovecot.certificates.fingerprint(Certificate::SelfSigned);
    assert_eq!(print.len(), 32 * 3 - 1, "{print}");
}

#[test]
fn variants_are_what_they_are_called() {
    let Some(full) = Dovecot::shared() else { return };
    let all = capabilities(full);
    for wanted in [
        "CONDSTORE",
        "QRESYNC",
        "UIDPLUS",
        "MOVE",
        "LITERAL+",
        "LIST-STATUS",
        "ESEARCH",
    ] {
        assert!(all.iter().any(|c| c == wanted), "{wanted}: {all:?}");
    }
    let Some(masked) = Dovecot::own(&Variant::masked("QRESYNC MOVE")) else {
        return;
    };
    let left = capabilities(&masked);
    for (capability, said) in [
        ("QRESYNC", false),
        ("MOVE", false),
        ("CONDSTORE", true),
        ("UIDPLUS", true),
    ] {
        assert_eq!(left.iter().any(|c| c == capability), said, "{capability}: {left:?}");
    }

    let Some(below) = Dovecot::own(&Variant::below_inbox()) else {
        return;
    };
    let mut raw = Raw::connect(below.host, below.port, "someone");
    raw.create("INBOX.Work.2026").unwrap();
    assert!(raw.create("Elsewhere").is_err());
    let names: Vec<_> = Server::new(below.host, below.port, "someone")
        .below("INBOX.")
        .look()
        .names();
    assert_eq!(names, ["INBOX", "Work/2026"]);

    let Some(any_name) = Dovecot::own(&Variant::stored_as(Store::Sdbox)) else {
        return;
    };
    let mut raw = Raw::connect(any_name.host, any_name.port, "someone");
    raw.create("v1.2").unwrap();
    let mut raw = Raw::connect(full.host, full.port, "names");
    raw.create("v1.2").expect_err("a dot in Maildir++");
}

#[test]
fn the_server_refuses_what_is_too_much() {
    // Not the shared one, where other tests use the users with limits.
    let Some(dovecot) = Dovecot::own(&Variant::default()) else {
        return;
    };
    let mut chance = Chance::new(1);
    let mut big = mails::mail(1, &mut chance);
    big.bytes.extend(vec![b'x'; 100_000]);
    let small = mails::mail(2, &mut chance);
    let mut raw = Raw::connect(dovecot.host, dovecot.port, "small");
    let results = raw.append("INBOX", &[big.clone(), small]);
    assert!(results[0].is_err() && results[1].is_ok(), "{results:?}");
    let mut raw = Raw::connect(dovecot.host, dovecot.port, "quota");
    let results = raw.append("INBOX", &[big.clone(), big.clone(), big]);
    assert!(
        results[1].is_ok() && results[2].as_ref().is_err_and(|e| e.contains("[OVERQUOTA]")),
        "{results:?}"
    );
}

/// The same messages put on both sides by hand are equal to the witnesses, and any difference is seen.
#[test]
fn witnesses_agree_and_see_each_difference() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let disk = tempfile::tempdir().unwrap();
    let mut chance = Chance::new(2);
    let mut raw = Raw::connect(dovecot.host, dovecot.port, "witness");
    for (nth, name) in ["INBOX", "Entwürfe", "quo\"te \\ back", "Work/2026 📬"]
        .iter()
        .enumerate()
    {
        let _ = raw.create(name);
        let mut mails = mails::mails(nth * 100, 20, &mut chance);
        mails.push(mails[0].clone());
        mails[3].flags = "\\Seen $Forwarded todo".into();
        raw.append_all(name, &mails);
        let dir = disk.path().join(name);
        local::create(&dir);
        for mail in &mails {
            put(&dir, mail);
        }
    }
    let mut server = Server::new(dovecot.host, dovecot.port, "witness");
    let look = |disk: &Path| look_at_disk(disk, Layout::Nested);
    assert_same(&look(disk.path()), &server.look(), "by hand");
    assert_eq!(server.look().len(), 84);

    let differs = |server: &mut Server, expected: &str| {
        let difference = look(disk.path()).difference("disk", &server.look(), "server");
        assert!(difference.contains(expected), "{expected}: {difference}");
    };
    let mut session = server.session();
    let uids = remote::uids(&mut session, "Entwürfe");
    remote::store(&mut session, uids[3], "-FLAGS (todo)");
    differs(&mut server, "Entwürfe: disk 1x, server 0x: \"number 103\"");
    remote::store(&mut session, uids[3], "+FLAGS (TODO)");
    assert_same(&look(disk.path()), &server.look(), "keywords have no case");
    remote::remove(&mut session, uids[0]);
    differs(&mut server, "Entwürfe: disk 2x, server 1x: \"number 100\"");
    raw.create("more").unwrap();
    differs(&mut server, "more: server has it (0 messages), disk has not");
}

fn put(dir: &Path, mail: &Mail) {
    let letters = mail.flags.split_whitespace().map(|flag| match flag {
        "\\Seen" => 'S',
        "\\Answered" => 'R',
        "\\Flagged" => 'F',
        "\\Draft" => 'D',
        "\\Deleted" => 'T',
        "$Forwarded" => 'P',
        keyword => local::letter_of(dir, keyword).unwrap(),
    });
    let mut letters: Vec<char> = letters.collect();
    letters.sort_unstable();
    let letters: String = letters.into_iter().collect();
    local::deliver(dir, &local::without_cr(&mail.bytes), mail.date, Some(&letters));
}

#[test]
fn digests_do_not_depend_on_line_ends() {
    assert_eq!(digest(b"a\nb\r\nc\rd\n"), digest(b"a\r\nb\r\nc\rd\r\n"));
    assert_ne!(digest(b"a\n"), digest(b"a"));
    assert_eq!(Account::default().difference("a", &Account::default(), "b"), "");
}

#[test]
fn the_proxy_counts_delays_and_cuts() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let proxy = Proxy::to(dovecot.port, Duration::from_millis(20));
    let begun = Instant::now();
    let mut raw = Raw::connect("127.0.0.1", proxy.port, "proxied");
    assert!(
        begun.elapsed() >= Duration::from_millis(60),
        "greeting and login take three ways at least"
    );
    let mut chance = Chance::new(3);
    let mut mail = mails::mail(1, &mut chance);
    mail.bytes = b"Subject: commands\r\n\r\nt9 DELETE INBOX\r\nends in {5}\r\n".to_vec();
    raw.append_all("INBOX", &[mail.clone(), mail.clone()]);
    raw.ok("SELECT INBOX");
    raw.ok("UID STORE 1 +FLAGS (\\Seen)");
    let traffic = proxy.take();
    let verbs: Vec<_> = traffic
        .verbs()
        .into_iter()
        .map(|(verb, n)| format!("{verb} {n}"))
        .collect();
    assert_eq!(verbs, ["APPEND 2", "LOGIN 1", "SELECT 1", "STORE 1"]);
    assert_eq!(traffic.changing().len(), 3);
    assert_eq!((traffic.round_trips, traffic.connections), (4, 1));
    assert!(
        traffic.sent > 2 * mail.bytes.len() as u64 && traffic.received > 100,
        "{traffic:?}"
    );

    let holds = || Server::new(dovecot.host, dovecot.port, "proxied").look().count("INBOX");
    for (cut, left) in [(Cut::Before("APPEND", 1), 2), (Cut::Unanswered("APPEND", 1), 3)] {
        proxy.cut(cut);
        let append = || {
            let mut raw = Raw::connect("127.0.0.1", proxy.port, "proxied");
            let _ = raw.append("INBOX", std::slice::from_ref(&mail));
        };
        assert!(std::panic::catch_unwind(append).is_err(), "the connection was cut");
        let end = Instant::now() + Duration::from_secs(5);
        while holds() != left && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(holds(), left);
        assert!(proxy.uncut().is_empty());
        proxy.take();
    }
}
