//! Getting in, and being kept out: each with its exit code and a reason, and without harm.

use std::net::TcpListener;
use std::time::Duration;

use crate::scene::Scene;
use crate::support::dovecot::Dovecot;
use crate::support::dovecot::tls::Certificate;
use crate::support::raw::Mail;
use crate::support::world::{Run, World, toml_string};

/// An account with one message, and a world that knows nothing of it yet.
fn prepare<'a>(dovecot: &'a Dovecot, user: &str) -> Scene<'a> {
    let scene = Scene::new(dovecot, user);
    scene.raw().append_all(
        "INBOX",
        &[Mail {
            bytes: b"Subject: the only one\r\n\r\nhello\r\n".to_vec(),
            flags: String::new(),
            date: 1_700_000_000,
        }],
    );
    scene
}

/// Points a world at one of the server's certificates.
fn by_tls(world: &mut World, dovecot: &Dovecot, tls: &str, kind: Certificate) {
    world.set("host", &toml_string(kind.address()));
    let port = if tls == "implicit" {
        dovecot.tls_port
    } else {
        dovecot.port
    };
    world.set("port", &port.to_string());
    world.set("tls", &toml_string(tls));
    let authority = dovecot.certificates.authority();
    world.set("ca-file", &toml_string(&authority.to_string_lossy()));
}

/// The report and standard error as one text.
fn all_said(run: &Run) -> String {
    format!("{} {}", run.report, run.stderr).to_lowercase()
}

/// Nothing came of it, the exit code is right, and somebody who reads the output learns why.
#[track_caller]
fn assert_kept_out(scene: &Scene, exit: i32, words: &[&str]) {
    let run = scene.world.sync(&[]);
    assert_eq!(run.exit, exit, "{run:#?}");
    assert_eq!(run.report["exit"], exit, "{run:#?}");
    assert_eq!(run.report["ok"], false, "{run:#?}");
    let said = all_said(&run);
    for word in words {
        assert!(said.contains(word), "nothing of \"{word}\" in {run:#?}");
    }
    assert!(!said.contains("wrong-pass"), "a secret in {run:#?}");
    assert!(!scene.world.maildir.join("INBOX").exists(), "a Maildir was made");
}

#[test]
fn wrong_password_is_77() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = prepare(dovecot, "password");
    scene.world.set("password-command", "\"echo wrong-pass\"");
    assert_kept_out(&scene, 77, &["login of password on 127.0.0.1 refused", "check `user`"]);
    scene.world.set("password-command", "\"exit 3\"");
    let run = scene.world.sync(&[]);
    assert!([77, 78].contains(&run.exit), "{run:#?}");
    scene.world.set("password-command", "[\"printf\", \"pass\"]");
    scene.sync_to_equal(&[], "with the right one");
}

#[test]
fn a_host_that_does_not_answer_is_75() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = prepare(dovecot, "unreachable");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    scene.world.set("port", &closed.to_string());
    assert_kept_out(&scene, 75, &["127.0.0.1"]);
    scene.world.set("port", &scene.proxy.port.to_string());
    scene.sync_to_equal(&[], "reachable again");
}

#[test]
fn a_server_that_says_nothing_is_75() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = prepare(dovecot, "silent");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    scene
        .world
        .set("port", &silent.local_addr().unwrap().port().to_string());
    scene.world.set("timeout", "2");
    let run = scene.world.sync(&[]);
    assert_eq!(run.exit, 75, "{run:#?}");
    assert!(run.took < Duration::from_secs(30), "{run:#?}");
}

#[test]
fn certificates_that_must_be_refused_are_78() {
    let Some(dovecot) = Dovecot::shared() else { return };
    for tls in ["implicit", "starttls"] {
        for kind in [Certificate::Expired, Certificate::WrongHost, Certificate::SelfSigned] {
            let mut scene = prepare(dovecot, &format!("refused-{tls}-{kind:?}"));
            by_tls(&mut scene.world, dovecot, tls, kind);
            assert_kept_out(&scene, 78, &["certificate"]);
        }
        let mut scene = prepare(dovecot, &format!("refused-{tls}-unknown"));
        by_tls(&mut scene.world, dovecot, tls, Certificate::Good);
        scene.world.unset("ca-file");
        assert_kept_out(&scene, 78, &["certificate"]);
    }
}

#[test]
fn certificates_that_must_be_taken() {
    let Some(dovecot) = Dovecot::shared() else { return };
    for tls in ["implicit", "starttls"] {
        // By the authority, by address and by name.
        for host in ["127.0.0.1", "localhost"] {
            let mut scene = prepare(dovecot, &format!("taken-{tls}-{host}"));
            by_tls(&mut scene.world, dovecot, tls, Certificate::Good);
            scene.world.set("host", &toml_string(host));
            scene.sync_to_equal(&[], &format!("{tls} to {host}"));
        }
        // By its fingerprint, whoever signed it.
        let mut scene = prepare(dovecot, &format!("pinned-{tls}"));
        by_tls(&mut scene.world, dovecot, tls, Certificate::SelfSigned);
        scene.world.unset("ca-file");
        let other = dovecot.certificates.fingerprint(Certificate::Good);
        scene.world.set("tls-fingerprint", &toml_string(&other));
        assert_kept_out(&scene, 78, &["fingerprint"]);
        let print = dovecot.certificates.fingerprint(Certificate::SelfSigned);
        scene.world.set("tls-fingerprint", &toml_string(&print));
        scene.sync_to_equal(&[], &format!("{tls} by fingerprint"));
    }
}

#[test]
fn cleartext_stays_on_this_machine() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = prepare(dovecot, "cleartext");
    scene.world.set("host", "\"192.0.2.1\"");
    let run = scene.world.sync(&[]);
    assert_eq!(run.exit, 78, "{run:#?}");
    assert!(all_said(&run).contains("allow-cleartext"), "{run:#?}");
    scene.world.set("host", "\"127.0.0.1\"");
    scene.sync_to_equal(&[], "on loopback");
}
