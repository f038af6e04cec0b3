//! What a side refuses, run after run: it is tried again at once in the next run and then later and later. While it waits it
//! is only listed, nothing is tried, all else goes on; and once the cause is gone, its next try heals it.

use std::fs;
use std::time::Instant;

use crate::disk::{database, library};
use crate::scene::{Scene, mail};
use crate::support::server::{Fault, Point, Setup, What};
use crate::support::world::{Run, World, local};

const USER: &str = "user";

/// What refuses, as long as it lasts.
enum Cause {
    /// Calls that change something at this place of the disk get "permission denied".
    Place(&'static str),
    /// The server says NO to each of these commands.
    No(&'static str),
}
use Cause::{No, Place};

/// What is done before the first run.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// On the server, in INBOX and Work: flags of three messages each.
    FlagsThere,
    /// On the server: a keyword that INBOX never had, for three messages.
    KeywordThere,
    /// On the server: three messages of each are expunged.
    RemovalsThere,
    /// On the server: a mailbox is deleted.
    MailboxThere,
    /// On disk, in Work: flags of two messages.
    FlagsHere,
    /// On disk: two messages of Work are removed.
    RemovalsHere,
    /// On disk: two messages go from Work into INBOX.
    MovesHere,
}
use Deed::{FlagsHere, FlagsThere, KeywordThere, MailboxThere, MovesHere, RemovalsHere, RemovalsThere};

/// A row: what refuses, what is to be done, and the reach of each problem that this makes.
type Row = (Cause, Deed, &'static [&'static str]);

const ONE: &[&str] = &["mailbox"];
const TWO: &[&str] = &["mailbox", "mailbox"];
const EACH: &[&str] = &["message", "message"];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (Place("/attic"),           RemovalsThere, TWO),
    (Place("/attic"),           MailboxThere,  ONE),
    (Place("Mail/INBOX/new"),   RemovalsThere, ONE),
    (Place("Mail/INBOX/cur"),   FlagsThere,    ONE),
    (Place("dovecot-keywords"), KeywordThere,  ONE),
    (No("UID STORE"),           FlagsHere,     EACH),
    (No("UID STORE"),           RemovalsHere,  EACH),
    (No("UID EXPUNGE"),         RemovalsHere,  EACH),
    (No("UID MOVE"),            MovesHere,     EACH),
];

fn make(scene: &Scene, deed: Deed) {
    let [inbox, work] = ["INBOX", "Work"].map(|name| scene.world.maildir.join(name));
    let here = local::messages(&work);
    match deed {
        FlagsThere | KeywordThere | RemovalsThere => scene.server.with(USER, |account| {
            for mailbox in ["INBOX", "Work"] {
                for uid in account
                    .mailbox(mailbox)
                    .messages
                    .keys()
                    .copied()
                    .take(3)
                    .collect::<Vec<_>>()
                {
                    match deed {
                        FlagsThere => account.flag(mailbox, uid, &["\\Flagged"], &[]),
                        KeywordThere if mailbox == "INBOX" => account.flag(mailbox, uid, &["fresh"], &[]),
                        RemovalsThere => account.expunge(mailbox, uid),
                        _ => {}
                    }
                }
            }
        }),
        MailboxThere => scene
            .server
            .with(USER, |account| assert!(account.delete("Archive/2026"))),
        FlagsHere => {
            for path in &here[..2] {
                local::set_letters(path, &['F'].into());
            }
        }
        RemovalsHere => here[..2]
            .iter()
            .for_each(|path| fs::remove_file(path).expect("a removal")),
        MovesHere => here[..2].iter().enumerate().for_each(|(nth, path)| {
            local::carry(path, &inbox, 10 + nth, true);
        }),
    }
}

/// A run with what refuses; how often that was felt.
fn run(scene: &Scene, cause: &Cause) -> (Run, usize) {
    let count = scene.world.home().join("count");
    let mut command = scene.world.command();
    command.arg("sync");
    let struck = scene.server.struck();
    match cause {
        Place(place) => {
            command
                .env("LD_PRELOAD", library())
                .env("HOMING_DISK_PLACE", format!("13 changes 0 {place}"))
                .env("HOMING_DISK_COUNT", &count);
        }
        No(verb) => {
            let no = What::No("not here".into());
            scene.server.inject(Fault::always(verb, Point::BeforeExecution, no));
        }
    }
    let run = World::finish(command.spawn().expect("the program starts"), Instant::now());
    scene.server.heal();
    let felt = match cause {
        Place(_) => fs::read_to_string(count)
            .expect("a count")
            .trim()
            .parse()
            .expect("a number"),
        No(_) => scene.server.struck() - struck,
    };
    (run, felt)
}

fn reaches(run: &Run) -> Vec<&str> {
    run.problems()
        .iter()
        .map(|problem| problem["reach"].as_str().expect("a reach"))
        .collect()
}

fn are_waiting(run: &Run, waiting: bool) -> bool {
    run.problems().iter().all(|problem| problem["waiting"] == waiting)
}

#[test]
fn it_is_tried_later_and_later_and_heals() {
    for (nth, (cause, deed, problems)) in ROWS.iter().enumerate() {
        let scene = Scene::new(&Setup::default());
        let title = format!("row {nth}, {deed:?}");
        make(&scene, *deed);
        for nth in 0..2 {
            let (run, felt) = run(&scene, cause);
            assert_eq!(
                (run.exit, reaches(&run), are_waiting(&run, false)),
                (1, problems.to_vec(), true),
                "{title}, run {nth}: {run:#?}"
            );
            assert!(felt > 0, "{title}: nothing failed");
        }
        let before = [scene.world.look().contents(), scene.look_at_server().contents()];
        scene
            .server
            .with(USER, |account| account.deliver("Work", &mail("goes on")));
        let (waits, felt) = run(&scene, cause);
        assert_eq!(
            (waits.exit, reaches(&waits), are_waiting(&waits, true), felt),
            (0, problems.to_vec(), true, 0),
            "{title}, while it waits: {waits:#?}"
        );
        assert_eq!(
            (waits.changes(), waits.count("left", "added")),
            (1, 1),
            "{title}: {waits:#?}"
        );
        let quiet = scene.world.sync(&[]);
        assert_eq!((quiet.exit, quiet.changes()), (0, 0), "{title}: {quiet:#?}");
        let after = [scene.world.look().contents(), scene.look_at_server().contents()];
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.len() + 1, after.len(), "{title}: nothing else changes");
        }
        let books = rusqlite::Connection::open(database(&scene)).expect("a database");
        books.execute("UPDATE problem SET next=0", []).expect("a problem");
        drop(books);
        scene.recover(&title, "");
        scene.assert_same(&title);
        scene.assert_idle(&title);
    }
}
