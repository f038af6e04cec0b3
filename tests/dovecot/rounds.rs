//! The main job at size: 10,000 messages in 20 mailboxes, and twenty times 200 random changes on each side.

use std::time::{Duration, Instant};

use crate::changes::Writer;
use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, say};

const MAILBOXES: [&str; 20] = [
    "INBOX",
    "Sent",
    "Drafts",
    "Archive",
    "Trash",
    "Archive/2019",
    "Archive/2020",
    "Archive/2020/Q1",
    "Lists/rust",
    "Lists/mail",
    "Work",
    "Work/2026",
    "Work/Projekte",
    "Entwürfe",
    "日本語",
    "emoji 📬",
    "a&b",
    "per%cent",
    "with space",
    "Notes",
];
const MESSAGES: usize = 10_000;
const ROUNDS: usize = 20;
const CHANGES: usize = 200;

#[test]
fn twenty_rounds_of_changes_on_both_sides() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "rounds");
    let mut writer = Writer::new(20_260);
    let begun = Instant::now();
    writer.fill(&scene, &MAILBOXES, MESSAGES / MAILBOXES.len());
    say(&format!(
        "rounds: {MESSAGES} messages on the server after {:.1?}",
        begun.elapsed()
    ));

    let (run, account) = scene.sync_to_equal(&[], "first pull");
    assert_eq!((account.len(), account.mailboxes.len()), (MESSAGES, MAILBOXES.len()));
    assert_eq!(run.count("left", "added"), MESSAGES as u64, "{run:#?}");
    assert_eq!(
        run.count("left", "mailboxes_created"),
        MAILBOXES.len() as u64,
        "{run:#?}"
    );
    let rate = MESSAGES as f64 / run.took.as_secs_f64();
    say(&format!(
        "rounds: first pull {:.1?} ({rate:.0} messages/s), peak {} KiB",
        run.took, run.peak_kib
    ));
    scene.nothing_left("after the first pull");

    let (mut synced, mut idle) = (Duration::ZERO, Duration::ZERO);
    for round in 1..=ROUNDS {
        writer.change_disk(&scene, CHANGES);
        writer.change_server(&scene, CHANGES);
        let (run, account) = scene.sync_to_equal(&[], &format!("round {round}"));
        let (again, traffic) = scene.nothing_left(&format!("after round {round}"));
        (synced, idle) = (synced + run.took, idle + again.took);
        say(&format!(
            "rounds: {round}: {} changes in {:.1?}, {} messages; again: {:.2?}, {} round trips, {} bytes",
            run.changes(),
            run.took,
            account.len(),
            again.took,
            traffic.round_trips,
            traffic.received
        ));
    }
    say(&format!(
        "rounds: all in {:.1?}; syncs {synced:.1?}, runs with nothing to do {idle:.1?}",
        begun.elapsed()
    ));
}

/// Small accounts, so that both sides often touch the same message and the same mailbox. `HOMING_SEEDS=100..200` tries
/// others; a failure names its seed.
#[test]
fn small_accounts_where_changes_meet() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let seeds = std::env::var("HOMING_SEEDS").unwrap_or_else(|_| "0..6".into());
    let (first, end) = seeds.split_once("..").expect("HOMING_SEEDS=FIRST..END");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let begun = Instant::now();
    for seed in number(first)..number(end) {
        let mut scene = Scene::new(dovecot, &format!("small-{seed}"));
        let mut writer = Writer::new(seed);
        writer.fill(&scene, &["INBOX", "Work", "Extra/1", "Extra/2", "Trash"], 20);
        scene.sync_to_equal(&[], &format!("seed {seed}, first pull"));
        for round in 1..=4 {
            writer.change_disk(&scene, 60);
            writer.change_server(&scene, 60);
            scene.sync_to_equal(&[], &format!("seed {seed}, round {round}"));
            scene.disturb_all();
            scene.nothing_left(&format!("seed {seed}, after round {round}"));
        }
    }
    say(&format!(
        "rounds: small accounts of seeds {seeds} in {:.1?}",
        begun.elapsed()
    ));
}
