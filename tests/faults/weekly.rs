//! A change that no look since has shown, on either side: the full listing, once a week, finds it (HAZARDS 9), and transfers
//! nothing but what is new.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::disk::database;
use crate::scene::{Scene, mail};
use crate::support::server::{Account, Setup};
use crate::support::world::local;

const USER: &str = "user";
const DAY: i64 = 86_400;

/// What happened unnoticed; the mailbox into which mail comes meanwhile; and in the end how many flags change on the left and
/// on the right, and how many messages arrive on the left and go there.
type Row = (&'static str, fn(&Scene), &'static str, [u64; 4]);

#[rustfmt::skip]
const ROWS: [Row; 3] = [
    ("a flag, without a new mod-sequence",           flag_there, "INBOX", [1, 0, 0, 0]),
    ("one for another, in what STATUS tells as one", swap_there, "Work",  [0, 0, 1, 1]),
    ("a flag on disk, at the old time",              flag_here,  "Work",  [0, 1, 0, 0]),
];

fn on_inbox(scene: &Scene, deed: impl FnOnce(&mut Account)) {
    scene.server.with(USER, deed);
}

fn flag_there(scene: &Scene) {
    on_inbox(scene, |account| {
        let message = account.mailbox_mut("INBOX").messages.get_mut(&2).expect("a message");
        message.flags.insert("\\Flagged");
    });
}

/// The new one gets a UID that was left out, below UIDNEXT.
fn swap_there(scene: &Scene) {
    on_inbox(scene, |account| {
        let inbox = account.mailbox_mut("INBOX");
        let gone = inbox.messages.remove(&2).expect("a message");
        let bytes = mail("in the place of another").bytes.as_slice().into();
        let message = crate::support::server::Message {
            uid: LEFT_OUT,
            bytes,
            ..gone
        };
        inbox.messages.insert(LEFT_OUT, message);
    });
}

/// The first UID that a scene's INBOX has not given away yet.
const LEFT_OUT: u32 = 7;

fn flag_here(scene: &Scene) {
    let inbox = scene.world.maildir.join("INBOX");
    let times = PARTS.map(|part| modified(&inbox.join(part)));
    let there = local::messages(&inbox);
    let in_cur = there.iter().find(|path| path.starts_with(inbox.join("cur")));
    local::set_letters(in_cur.expect("a message"), &BTreeSet::from(['F', 'S']));
    date_back(&inbox, |nth| times[nth]);
}

const PARTS: [&str; 2] = ["new", "cur"];

fn date_back(mailbox: &Path, to: impl Fn(usize) -> SystemTime) {
    for (nth, part) in PARTS.iter().enumerate() {
        let directory = File::open(mailbox.join(part)).expect("a directory");
        directory.set_modified(to(nth)).expect("a time");
    }
}

fn modified(path: &Path) -> SystemTime {
    let time = fs::metadata(path).and_then(|meta| meta.modified());
    time.expect("a time")
}

/// The last full listing of each mailbox was that long ago.
fn listed_before(scene: &Scene, days: i64) {
    let books = rusqlite::Connection::open(database(scene)).expect("a database");
    let sql = "UPDATE place SET listed=unixepoch()-?";
    let rows = books.execute(sql, [days * DAY]).expect("places");
    assert!(rows >= 6, "{rows} places");
}

#[test]
fn what_no_look_has_shown() {
    let setups = [
        Setup::default(),
        Setup::bare().with(&["AUTH=PLAIN", "SASL-IR", "CONDSTORE"]),
    ];
    for (setup, (title, deed, busy, wanted)) in setups.iter().flat_map(|setup| ROWS.iter().map(move |row| (setup, row)))
    {
        let scene = Scene::new(setup);
        on_inbox(&scene, |account| {
            let uid = account.deliver("INBOX", &mail("gone again"));
            assert_eq!(uid, LEFT_OUT);
            account.expunge("INBOX", uid);
            for uid in [4, 5] {
                account.flag("INBOX", uid, &["\\Seen"], &[]);
            }
        });
        scene.world.sync_ok();
        // Times that are a minute old are believed.
        date_back(&scene.world.maildir.join("INBOX"), |_| {
            SystemTime::now() - Duration::from_mins(1)
        });
        scene.world.sync_ok();
        deed(&scene);
        listed_before(&scene, 6);
        let quiet = scene.world.sync_ok();
        assert_eq!(quiet.changes(), 0, "{title}: {quiet:#?}");
        on_inbox(&scene, |account| {
            account.deliver(busy, &mail("meanwhile"));
        });
        let other = scene.world.sync_ok();
        assert_eq!(other.changes(), 1, "{title}: only what is told: {other:#?}");

        listed_before(&scene, 8);
        scene.server.clear();
        let run = scene.world.sync_ok();
        let kinds = ["flags", "flags", "added", "removed"];
        let got = ["left", "right", "left", "left"].into_iter().zip(kinds);
        let got: Vec<u64> = got.map(|(side, kind)| run.count(side, kind)).collect();
        let sum = wanted.iter().sum();
        assert_eq!((&got[..], run.changes()), (&wanted[..], sum), "{title}: {run:#?}");
        let asked = |what: &str| {
            let commands = scene.server.commands();
            commands.iter().filter(|entry| entry.line.contains(what)).count() as u64
        };
        let sent = scene.server.count("APPEND");
        assert_eq!((asked("BODY.PEEK[]"), sent), (wanted[2], 0), "{title}: transferred");
        assert!(asked("UID FETCH 1:* (FLAGS)") >= 3, "{title}: each mailbox is listed");

        scene.assert_same(title);
        scene.server.clear();
        scene.world.sync_ok();
        let listed = scene.server.count("UID FETCH") + scene.server.count("EXAMINE");
        assert!(listed <= 2, "{title}: the week begins anew");
    }
}
