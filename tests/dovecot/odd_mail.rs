//! Mail that breaks rules goes through byte for byte, or is named with the reason and holds up nothing else.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::scene::{Scene, text};
use crate::support::dovecot::{Dovecot, say};
use crate::support::mail::odd;
use crate::support::raw::Mail;
use crate::support::witness::{canonical, digest};
use crate::support::world::local;

/// When the first of them arrived; each next one a day later.
const DATE: i64 = 1_583_226_672;
const DAY: i64 = 86_400;

/// Odd on disk in other ways than the rest: an empty file, and line ends that no server sends.
fn odd_files() -> Vec<(String, Vec<u8>)> {
    let cr: Vec<u8> = text("CR for LF")
        .iter()
        .map(|&b| if b == b'\n' { b'\r' } else { b })
        .collect();
    let mixed = [canonical(&text("mixed line ends")), b"lf\ncrlf\r\nlf\n".to_vec()].concat();
    vec![
        ("empty file".into(), Vec::new()),
        ("file with CRLF".into(), canonical(&text("file with CRLF"))),
        ("file with mixed line ends".into(), mixed),
        ("file with CR for LF".into(), cr),
        (
            "file that ends like a literal".into(),
            [text("literal"), b"x {3}".to_vec()].concat(),
        ),
    ]
}

#[test]
fn odd_mail_comes_down_byte_for_byte() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "odd-down");
    let odd = odd();
    let mails: Vec<Mail> = odd
        .iter()
        .map(|mail| Mail {
            bytes: mail.bytes.clone(),
            flags: mail.flags.join(" "),
            date: mail.date.seconds,
        })
        .collect();
    scene.raw().append_all("INBOX", &mails);
    let (_, account) = scene.sync_to_equal(&[], "odd mail");
    assert_eq!(account.len(), odd.len());
    scene.nothing_left("odd mail");

    // Kept as what it is, so that each can be taken for itself again: flagged on disk, flagged there.
    for file in scene.files("INBOX") {
        let mut letters = local::letters(&file);
        letters.extend(['T', 'D']);
        local::set_letters(&file, &letters);
    }
    let (run, _) = scene.sync_to_equal(&[], "odd mail with other flags");
    assert_eq!(
        (run.count("right", "flags"), run.count("right", "added")),
        (odd.len() as u64, 0),
        "{run:#?}"
    );
    say(&format!("odd mail down: {} messages", account.len()));
}

/// What lies on disk: most programs write LF, and what would not come out of that again is kept as it is.
fn on_disk() -> Vec<(String, Vec<u8>)> {
    let odd = odd().into_iter().map(|mail| {
        let short = local::without_cr(&mail.bytes);
        let bytes = if canonical(&short) == mail.bytes {
            short
        } else {
            mail.bytes
        };
        (mail.name, bytes)
    });
    odd.chain(odd_files()).collect()
}

/// IMAP cannot carry it: it stays on disk.
fn cannot_go(bytes: &[u8]) -> bool {
    bytes.is_empty() || bytes.contains(&0)
}

/// A CR without a LF: servers change that without a word, so it is named whether this one does or not.
fn is_doubtful(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'))
}

/// The six letters that are set in the n-th of their 64 combinations.
fn letters(nth: usize) -> String {
    let set = |(bit, letter)| (nth >> bit & 1 == 1).then_some(letter);
    "DFPRST".chars().enumerate().filter_map(set).collect()
}

/// What the run says of each file, by the unique part of its name.
fn named<'a>(problems: &'a [Value]) -> BTreeMap<&'a str, &'a str> {
    let text = |problem: &'a Value, key: &str| problem[key].as_str();
    problems
        .iter()
        .filter_map(|problem| Some((text(problem, "id")?, text(problem, "what")?)))
        .collect()
}

#[test]
fn odd_mail_goes_up_byte_for_byte_or_is_named() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "odd-up");
    scene.world.sync_ok();
    let cases = on_disk();
    let mut files = Vec::new();
    for (nth, (_, bytes)) in cases.iter().enumerate() {
        let date = DATE + nth as i64 * DAY;
        files.push(local::deliver(
            &scene.dir("INBOX"),
            bytes,
            date,
            Some(&letters(nth % 64)),
        ));
    }
    let run = scene.world.sync(&[]);
    let there = scene.server.look().contents();
    let named = named(run.problems());
    let mut other = 0;
    for ((name, bytes), file) in cases.iter().zip(&files) {
        let unique = file.file_name().unwrap().to_str().unwrap().split(":2,").next().unwrap();
        let reason = named.get(unique);
        assert_eq!(
            reason.is_some(),
            cannot_go(bytes) || is_doubtful(bytes),
            "{name}: {reason:?}"
        );
        if !there.contains_key(&digest(bytes)) {
            let reason = reason.unwrap_or_else(|| panic!("{name} is not there as it was, and not named: {run:#?}"));
            say(&format!("odd mail up: {name}: {reason}"));
            other += 1;
            fs::remove_file(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        }
    }
    assert_eq!((run.exit, run.problems().len()), (1, named.len()), "{run:#?}");
    assert_eq!(
        scene.server.look().len(),
        cases.iter().filter(|(_, bytes)| !cannot_go(bytes)).count()
    );

    // The rest is on both sides alike, flags and dates too; nothing is sent again.
    scene.sync_to_equal(&[], "without what is other than it was");
    scene.nothing_left("without what is other than it was");
    say(&format!(
        "odd mail up: {} files, {other} other than they were or not sent, all of them named",
        cases.len()
    ));
}
