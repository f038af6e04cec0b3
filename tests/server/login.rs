//! Logging in, in all ways.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::raw::Raw;
use crate::support::server::{Certificate, Server, Setup, Tls};

#[test]
fn mechanisms() {
    let table = [
        ("PLAIN", "\0user\0pass", "OK"),
        ("PLAIN", "user\0user\0pass", "OK"),
        ("PLAIN", "\0user\0wrong", "NO [AUTHENTICATIONFAILED]"),
        ("XOAUTH2", "user=user\x01auth=Bearer token\x01\x01", "OK"),
        ("OAUTHBEARER", "n,a=user,\x01auth=Bearer token\x01\x01", "OK"),
        ("CRAM-MD5", "x", "NO"),
    ];
    for (mechanism, response, expected) in table {
        for initial in [true, false] {
            let server = Server::start(Setup::default().with(&["AUTH=XOAUTH2", "AUTH=OAUTHBEARER"]));
            let mut raw = Raw::connect(&server);
            let response = BASE64.encode(response);
            if initial {
                raw.send(format!("a AUTHENTICATE {mechanism} {response}\r\n").as_bytes());
            } else {
                raw.send(format!("a AUTHENTICATE {mechanism}\r\n").as_bytes());
                if mechanism != "CRAM-MD5" {
                    assert_eq!(raw.line().unwrap(), "+");
                    raw.send(format!("{response}\r\n").as_bytes());
                }
            }
            let result = raw.reply("a").pop().unwrap();
            assert!(result.starts_with(expected), "{mechanism}: {result}");
        }
    }
}

#[test]
fn a_wrong_token_is_told_by_a_challenge() {
    for (mechanism, good, bad) in [("XOAUTH2", "", "AQ=="), ("OAUTHBEARER", "AQ==", "")] {
        for (answer, complaints) in [(good, 0), (bad, 1)] {
            let server = Server::start(Setup::default().with(&["AUTH=XOAUTH2", "AUTH=OAUTHBEARER"]));
            let mut raw = Raw::connect(&server);
            let response = BASE64.encode("user=user\x01auth=Bearer stale\x01\x01");
            raw.send(format!("a AUTHENTICATE {mechanism} {response}\r\n").as_bytes());
            assert!(raw.line().unwrap().starts_with("+ "), "the error comes as a challenge");
            raw.send(format!("{answer}\r\n").as_bytes());
            assert!(raw.reply("a").pop().unwrap().starts_with("NO"));
            assert_eq!(server.complaints().len(), complaints, "{mechanism} {answer:?}");
        }
    }
}

#[test]
fn capabilities_change_with_the_login() {
    let server = Server::start(Setup::default().with(&["LOGINDISABLED"]));
    let mut raw = Raw::connect(&server);
    let before = raw.ask("CAPABILITY")[0].clone();
    assert!(
        before.contains("LOGINDISABLED") && !before.contains("AUTH=") && !before.contains("UIDPLUS"),
        "{before}"
    );
    assert!(raw.ask("LOGIN user pass")[0].starts_with("NO [PRIVACYREQUIRED]"));
    assert_eq!(server.complaints().len(), 1);

    let server = Server::start(Setup {
        preauth: Some("user".into()),
        ..Setup::default()
    });
    let mut raw = Raw::connect(&server);
    let after = raw.ask("CAPABILITY")[0].clone();
    assert!(after.contains("UIDPLUS") && !after.contains("AUTH="), "{after}");
}

#[test]
fn only_so_many_connections() {
    let server = Server::start(Setup {
        max_connections: Some(1),
        ..Setup::default()
    });
    let mut first = Raw::login(&server);
    let mut second = Raw::connect(&server);
    assert!(second.ask("LOGIN user pass")[0].starts_with("NO [LIMIT]"));
    first.ask("LOGOUT");
    assert!(first.is_cut());
    let welcome = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        second.ask("LOGIN user pass")[0].starts_with("OK")
    });
    assert!(welcome, "a connection that ended counts no more");
}

#[test]
fn tls_from_the_start_and_after_starttls() {
    let dir = tempfile::tempdir().unwrap();
    let Some(certificate) = Certificate::make(dir.path()) else {
        eprintln!("skipped: no openssl command");
        return;
    };
    let pem = std::fs::read(&certificate.pem).unwrap();
    let connector = native_tls::TlsConnector::builder()
        .add_root_certificate(native_tls::Certificate::from_pem(&pem).unwrap())
        .build()
        .unwrap();

    let implicit = Server::start(Setup {
        tls: Tls::Implicit(certificate.clone()),
        ..Setup::default()
    });
    let tcp = TcpStream::connect(("127.0.0.1", implicit.port())).unwrap();
    let mut tls = connector.connect("localhost", tcp).unwrap();
    tls.write_all(b"a LOGIN user pass\r\nb LOGOUT\r\n").unwrap();
    let mut said = String::new();
    tls.read_to_string(&mut said).unwrap();
    assert!(said.contains("a OK") && said.contains("b OK"), "{said}");

    let setup = Setup::default().with(&["STARTTLS", "LOGINDISABLED"]);
    let explicit = Server::start(Setup {
        tls: Tls::Explicit(certificate),
        ..setup
    });
    let mut tcp = TcpStream::connect(("127.0.0.1", explicit.port())).unwrap();
    tcp.write_all(b"a STARTTLS\r\n").unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"a OK begin\r\n") {
        let mut byte = [0];
        tcp.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
    }
    let mut tls = connector.connect("localhost", tcp).unwrap();
    tls.write_all(b"b CAPABILITY\r\nc LOGIN user pass\r\nd LOGOUT\r\n")
        .unwrap();
    let mut said = String::new();
    tls.read_to_string(&mut said).unwrap();
    assert!(
        !said.contains("STARTTLS") && !said.contains("LOGINDISABLED") && said.contains("c OK"),
        "{said}"
    );
    explicit.assert_no_complaints();
}
