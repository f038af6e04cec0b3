//! The wire is not idle: what need not wait for an answer does not.

use std::fs;

use crate::changes::Writer;
use crate::scene::{Scene, text};
use crate::support::dovecot::Dovecot;
use crate::support::raw::Mail;
use crate::support::world::local;

/// What repeats itself crosses the wire small, both ways, and arrives whole.
#[test]
fn compressed() {
    const LINES: usize = 1000;
    const MESSAGES: usize = 20;
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "compressed");
    scene.world.set("compress", "true");
    let body = "The same line again.\n".repeat(LINES);
    let mail = |nth: usize| [text(&format!("number {nth}")), body.clone().into_bytes()].concat();
    let there: Vec<Mail> = (0..MESSAGES)
        .map(|nth| Mail {
            bytes: String::from_utf8(mail(nth)).expect("text").replace('\n', "\r\n").into(),
            flags: "\\Seen".into(),
            date: 1_700_000_000,
        })
        .collect();
    scene.raw().append_all("INBOX", &there);
    let small = (MESSAGES * body.len() / 10) as u64;
    let (run, account) = scene.sync_to_equal(&[], "pulled");
    assert_eq!(account.len(), MESSAGES);
    let came = run.account()["wire"]["bytes_in"].as_u64().expect("a number");
    assert!((1..small).contains(&came), "{came} bytes came, not {small}");

    for nth in MESSAGES..2 * MESSAGES {
        local::deliver(&scene.dir("INBOX"), &mail(nth), 1_700_000_000, Some("S"));
    }
    scene.proxy.take();
    let (run, account) = scene.sync_to_equal(&[], "pushed");
    assert_eq!(account.len(), 2 * MESSAGES);
    let went = run.account()["wire"]["bytes_out"].as_u64().expect("a number");
    assert!((1..small).contains(&went), "{went} bytes went, not {small}");
    // The report is written before the LOGOUT goes.
    let counted = scene.proxy.take().sent;
    assert!((went..went + 50).contains(&counted), "{went} told, {counted} counted");
}

/// Mailboxes with little to do in each. One connection, so that all can be counted.
#[test]
fn a_mailbox_costs_one_round_trip() {
    const MAILBOXES: [&str; 10] = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "flights");
    scene.world.set("connections", "1");
    Writer::without_marks(1).fill(&scene, &MAILBOXES, 4);
    scene.sync_to_equal(&[], "first pull");
    for name in MAILBOXES {
        let files = scene.files(name);
        let mut letters = local::letters(&files[0]);
        letters.insert('D');
        local::set_letters(&files[0], &letters);
        fs::remove_file(&files[1]).expect("a file");
    }
    scene.proxy.take();
    let (run, _) = scene.sync_to_equal(&["--allow-deletes"], "flags and removals");
    assert_eq!(
        (run.count("right", "flags"), run.count("right", "removed")),
        (10, 10),
        "{run:#?}"
    );
    let traffic = scene.proxy.take();
    assert_eq!(
        (
            traffic.count("SELECT"),
            traffic.count("STORE"),
            traffic.count("EXPUNGE")
        ),
        (10, 20, 10),
        "{traffic:#?}"
    );
    // Besides one for each mailbox: login, list, the first SELECT; and one to spare for the statuses after the last change.
    let trips = run.account()["wire"]["round_trips"].as_u64().expect("a number");
    assert!(trips <= 10 + 4, "{trips} round trips: {traffic:#?}");
}

/// What waits for the same mailbox goes up in few commands (RFC 3502 §6.3.11), each message once and with what belongs to it.
#[test]
fn new_mail_goes_up_together() {
    const MESSAGES: usize = 200;
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "together");
    scene.sync_to_equal(&[], "nothing yet");
    for nth in 0..MESSAGES {
        let (date, letters) = (1_700_000_000 + nth as i64, ["S", "F", "RS"][nth % 3]);
        local::deliver(
            &scene.dir("INBOX"),
            &text(&format!("number {nth}")),
            date,
            Some(letters),
        );
    }
    scene.proxy.take();
    let (run, account) = scene.sync_to_equal(&[], "pushed");
    assert_eq!(
        (run.count("right", "added"), account.len()),
        (MESSAGES as u64, MESSAGES)
    );
    let commands = scene.proxy.take().count("APPEND");
    assert!(commands < MESSAGES / 2, "{commands} commands");
}
