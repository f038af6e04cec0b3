//! `max-size` and `since`: what is left out stays where it is, and everything else goes on.

use std::fs;

use crate::scene::{Scene, text};
use crate::support::dovecot::Dovecot;
use crate::support::raw::Mail;
use crate::support::world::{Run, local, remote};

const OLD: i64 = 1_500_000_000;
const NEW: i64 = 1_700_000_000;

/// A message of about so many bytes.
fn of_size(subject: &str, bytes: usize) -> Vec<u8> {
    let mut text = text(subject);
    while text.len() < bytes {
        text.extend_from_slice(b"And on it goes, line after line, until it is large enough.\n");
    }
    text
}

fn mail(subject: &str, bytes: usize, date: i64) -> Mail {
    Mail {
        bytes: of_size(subject, bytes).iter().flat_map(|&byte| crlf(byte)).collect(),
        date,
        flags: String::new(),
    }
}

fn crlf(byte: u8) -> Vec<u8> {
    if byte == b'\n' { b"\r\n".to_vec() } else { vec![byte] }
}

fn left_out(run: &Run) -> [u64; 2] {
    ["too-large", "too-old"].map(|reason| run.account()["left_out"][reason].as_u64().unwrap_or(0))
}

#[test]
fn large_and_old_mail_stays_where_it_is() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "bounds");
    let mut raw = scene.raw();
    raw.append_all(
        "INBOX",
        &[
            mail("small and new", 100, NEW),
            mail("large", 50_000, NEW),
            mail("old", 100, OLD),
            mail("on both sides, old", 100, OLD),
        ],
    );
    local::create(&scene.dir("INBOX"));
    local::deliver(&scene.dir("INBOX"), &of_size("large, on disk", 40_000), NEW, None);
    local::deliver(&scene.dir("INBOX"), &of_size("old, on disk", 100), OLD, None);
    let paired = local::deliver(&scene.dir("INBOX"), &text("on both sides, old"), OLD, Some("S"));
    scene.world.set("max-size", "\"20KB\"");
    scene.world.set("since", "\"2020-01-01\"");

    let run = scene.world.sync_ok();
    assert_eq!(
        (run.count("left", "added"), run.count("right", "added"), left_out(&run)),
        (1, 0, [2, 2]),
        "{run:#?}"
    );
    assert_eq!(run.account()["paired"], 1, "{run:#?}");
    assert_eq!((scene.files("INBOX").len(), scene.server.look().count("INBOX")), (4, 4));
    let said = scene.proxy.take();
    assert!(said.received < 10_000, "no large body crossed the wire: {said:?}");
    let (run, said) = scene.nothing_left("what is left out is not asked for again");
    assert_eq!((left_out(&run), said.verbs().get("FETCH")), ([0, 0], None), "{said:?}");
    assert_eq!(left_out(&scene.world.run(&["status"])), [2, 2]);

    // What is on both sides stays the same on both, whatever its size and age.
    fs::remove_file(local::set_letters(&paired, &['S'].into())).unwrap();
    let uids = remote::uids(&mut scene.server.session(), "INBOX");
    raw.ok("CREATE Archive");
    raw.ok("SELECT INBOX");
    raw.ok(&format!("UID COPY {} Archive", uids[0]));
    let run = scene.world.sync_ok();
    assert_eq!(
        (
            run.count("right", "removed"),
            run.count("left", "added"),
            left_out(&run)
        ),
        (1, 1, [0, 0]),
        "{run:#?}"
    );

    // Less strict: what was left out comes, and only that.
    scene.world.set("since", "\"2001-01-01\"");
    let run = scene.world.sync_ok();
    assert_eq!(
        (run.count("left", "added"), run.count("right", "added")),
        (1, 1),
        "{run:#?}"
    );
    assert_eq!(left_out(&scene.world.run(&["status"])), [2, 0]);
    scene.world.unset("since");
    scene.world.unset("max-size");
    scene.sync_to_equal(&[], "nothing is left out");
    assert_eq!(left_out(&scene.world.run(&["status"])), [0, 0]);
    scene.nothing_left("at the end");
}

#[test]
fn a_backup_leaves_out_what_is_old() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "bounds-backup");
    scene
        .raw()
        .append_all("INBOX", &[mail("new", 100, NEW), mail("old", 100, OLD)]);
    let archive = scene.world.home().join("archive");
    scene
        .world
        .set("archive", &format!("{:?}", archive.to_str().expect("UTF-8")));
    scene.world.set("since", "\"2020-01-01\"");
    let run = scene.world.run(&["backup"]);
    assert_eq!(
        (run.exit, run.count("left", "added"), left_out(&run)),
        (0, 1, [0, 1]),
        "{run:#?}"
    );
    let run = scene.world.run(&["verify", "--server"]);
    assert_eq!(
        (run.exit, run.problems().len()),
        (0, 0),
        "what is left out is not missing: {run:#?}"
    );
}

#[test]
fn what_was_left_out_and_comes_by_another_way_is_one() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "bounds-met");
    scene
        .raw()
        .append_all("INBOX", &[mail("new", 100, NEW), mail("old", 100, OLD)]);
    local::create(&scene.dir("INBOX"));
    scene.world.set("since", "\"2020-01-01\"");
    let run = scene.world.sync_ok();
    assert_eq!((run.count("left", "added"), left_out(&run)), (1, [0, 1]), "{run:#?}");

    // From a copy of the Maildir that kept no dates.
    local::deliver(&scene.dir("INBOX"), &of_size("old", 100), NEW, Some("S"));
    let run = scene.world.sync_ok();
    assert_eq!(
        (run.count("right", "added"), run.account()["paired"].as_u64()),
        (0, Some(1)),
        "{run:#?}"
    );
    assert_eq!((scene.files("INBOX").len(), scene.server.look().count("INBOX")), (2, 2));
    scene.nothing_left("the two are one");
}
