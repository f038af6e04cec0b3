//! Several at work at once: two runs, another client, a mail program that renames files under our hands. In the end both
//! sides are equal, nothing is lost, nothing is doubled.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, say};
use crate::support::raw::Mail;
use crate::support::witness::digest;
use crate::support::world::{Chance, World, local, mails};

const MAILBOXES: [&str; 2] = ["INBOX", "Work"];
/// How long both sides are being changed.
const BUSY: Duration = Duration::from_secs(5);

type Contents = BTreeSet<[u8; 32]>;

fn mail(number: usize, chance: &mut Chance, contents: &mut Contents) -> Mail {
    let bytes = mails::message(number, chance);
    contents.insert(digest(&bytes));
    Mail {
        bytes,
        flags: "\\Seen".into(),
        date: 1_700_000_000 + number as i64,
    }
}

/// An account with some mail, synced once.
fn begin(dovecot: &'static Dovecot, name: &str) -> (Scene<'static>, Contents) {
    let mut scene = Scene::new(dovecot, name);
    let (mut contents, mut chance) = (Contents::new(), Chance::new(77));
    let mut raw = scene.raw();
    raw.create("Work").expect("a mailbox");
    for (nth, mailbox) in MAILBOXES.into_iter().enumerate() {
        let numbers = nth * 100..nth * 100 + 60;
        let mails: Vec<Mail> = numbers.map(|number| mail(number, &mut chance, &mut contents)).collect();
        raw.append_all(mailbox, &mails);
    }
    scene.sync_to_equal(&[], "first pull");
    (scene, contents)
}

/// Both sides come to be equal and hold just these messages, once each.
#[track_caller]
fn end(scene: &mut Scene<'_>, contents: &Contents, what: &str) {
    let done = (0..4).any(|_| scene.world.sync(&[]).exit == 0);
    assert!(done, "{what}: four runs were not enough");
    let account = scene.world.assert_same(&mut scene.server, what);
    let there = account.contents();
    let lost = contents.iter().filter(|content| !there.contains_key(*content)).count();
    assert_eq!(
        (lost, account.len()),
        (0, contents.len()),
        "{what}: lost, and how many there are"
    );
    scene.nothing_left(what);
}

#[test]
fn two_runs_at_once() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let (mut scene, mut contents) = begin(dovecot, "two-at-once");
    let mut chance = Chance::new(78);
    for number in 1000..1060 {
        let mail = mail(number, &mut chance, &mut contents);
        let dir = scene.dir(MAILBOXES[number % 2]);
        local::deliver(&dir, &local::without_cr(&mail.bytes), mail.date, Some("S"));
    }
    let begun = Instant::now();
    let children: Vec<_> = [&["sync", "--wait", "60"][..], &["sync"], &["sync", "--wait", "60"]]
        .into_iter()
        .map(|arguments| scene.world.spawn(arguments))
        .collect();
    let exits: Vec<i32> = children
        .into_iter()
        .map(|child| World::finish(child, begun).exit)
        .collect();
    // Who does not wait is either the first or told to come again.
    assert!(
        exits[0] == 0 && exits[2] == 0 && [0, 75].contains(&exits[1]),
        "{exits:?}"
    );
    end(&mut scene, &contents, "two runs at once");
}

/// Two machines with a Maildir and a state each, on one account, both changed and both syncing.
#[test]
fn two_machines_at_once() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let (mut scene, mut contents) = begin(dovecot, "two-machines");
    let other = World::new(dovecot.port, &scene.user);
    assert_eq!(other.sync(&[]).exit, 0, "the first pull of the other machine");
    let roots = [scene.dir(""), other.maildir.clone()];
    let over = AtomicBool::new(false);
    let (delivered, runs) = std::thread::scope(|scope| {
        let work = |nth: usize| {
            let (root, over) = (&roots[nth], &over);
            scope.spawn(move || reader_at_work(root, 3000 + 2000 * nth, over))
        };
        let at_work = [work(0), work(1)];
        let begun = Instant::now();
        let syncing = [&scene.world, &other].map(|world| {
            scope.spawn(move || {
                let mut runs = 0;
                while begun.elapsed() < BUSY {
                    let run = world.sync(&[]);
                    assert!([0, 1, 75].contains(&run.exit), "{run:#?}");
                    runs += 1;
                }
                runs
            })
        });
        let runs: usize = syncing.map(|runs| runs.join().expect("no panic")).into_iter().sum();
        over.store(true, Ordering::SeqCst);
        (at_work.map(|work| work.join().expect("no panic").0), runs)
    });
    let added: usize = delivered.iter().map(Contents::len).sum();
    contents.extend(delivered.into_iter().flatten());
    // What one sent last is told by the other's next run, and the other way round.
    for _ in 0..3 {
        for world in [&scene.world, &other] {
            let run = world.sync(&[]);
            assert!([0, 1].contains(&run.exit), "{run:#?}");
        }
    }
    end(&mut scene, &contents, "one machine");
    assert_eq!(other.sync(&[]).exit, 0, "the other machine");
    other.assert_same(&mut scene.server, "the other machine");
    say(&format!(
        "at once: two machines, {runs} runs beside {added} new messages and renames on both; none lost, none doubled"
    ));
}

#[test]
fn another_client_and_a_mail_program_at_once() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let (mut scene, mut contents) = begin(dovecot, "all-at-once");
    let over = AtomicBool::new(false);
    let (client, reader) = (scene.raw(), scene.dir(""));
    let (mut runs, mut reported) = (0, BTreeSet::new());
    let (from_client, from_reader) = std::thread::scope(|scope| {
        let client = scope.spawn(|| client_at_work(client, &over));
        let reader = scope.spawn(|| reader_at_work(&reader, 3000, &over));
        let begun = Instant::now();
        while begun.elapsed() < BUSY {
            let run = scene.world.sync(&[]);
            assert!([0, 1, 75].contains(&run.exit), "{run:#?}");
            reported.insert(run.exit);
            runs += 1;
        }
        over.store(true, Ordering::SeqCst);
        (client.join().expect("no panic"), reader.join().expect("no panic"))
    });
    let (added, renamed) = (from_client.len() + from_reader.0.len(), from_reader.1);
    contents.extend(from_client);
    contents.extend(from_reader.0);
    end(&mut scene, &contents, "all at once");
    say(&format!(
        "at once: {runs} runs ({reported:?}) beside {added} new messages on both sides and {renamed} renames; none lost, none doubled"
    ));
}

/// Appends, and flips flags of what is there.
fn client_at_work(mut raw: crate::support::raw::Raw, over: &AtomicBool) -> Contents {
    let (mut contents, mut chance) = (Contents::new(), Chance::new(79));
    for number in 2000.. {
        if over.load(Ordering::SeqCst) {
            break;
        }
        let mailbox = MAILBOXES[number % 2];
        if chance.happens(40) {
            raw.append_all(mailbox, &[mail(number, &mut chance, &mut contents)]);
        } else {
            raw.ok(&format!("SELECT {mailbox}"));
            let (nth, sign) = (1 + chance.below(60), *chance.pick(&['+', '-']));
            raw.ok(&format!("STORE {nth} {sign}FLAGS.SILENT (\\Answered \\Flagged)"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    contents
}

/// Delivers messages of numbers from `first` on, moves what is in `new` to `cur`, and changes flags, all by renames; how many there were.
fn reader_at_work(root: &Path, first: usize, over: &AtomicBool) -> (Contents, usize) {
    let (mut contents, mut chance, mut renamed) = (Contents::new(), Chance::new(80), 0);
    for number in first.. {
        if over.load(Ordering::SeqCst) {
            break;
        }
        let dir = root.join(MAILBOXES[number % 2]);
        if chance.happens(30) {
            let mail = mail(number, &mut chance, &mut contents);
            let letters = *chance.pick(&[None, Some("S")]);
            local::deliver(&dir, &local::without_cr(&mail.bytes), mail.date, letters);
        } else {
            let files = local::messages(&dir);
            let file = chance.pick(&files);
            let name = file.file_name().expect("a name").to_string_lossy().into_owned();
            let unique = name.split(":2,").next().expect("a first part");
            let letters = *chance.pick(&["S", "FS", "RS", "", "FRS"]);
            // homing may have renamed it meanwhile.
            renamed +=
                usize::from(std::fs::rename(file, dir.join("cur").join(format!("{unique}:2,{letters}"))).is_ok());
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    (contents, renamed)
}
