//! A mailbox in which not all may be done (RFC 4314): what was changed in it on disk waits and is told, nothing is lost or
//! reverted on either side, and it goes through once the rights are there.

use std::fs;
use std::path::Path;

use crate::changes::Writer;
use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, Variant};
use crate::support::world::{Run, local};

/// Rights, as letters of RFC 4314 §2.1: to read only; and mark as read; and set all flags but `\Deleted`; that too, but not
/// to expunge; all but to add; all but to expunge; to read, mark as read, and add.
///
/// And how many runs tell so before all only waits: what the server says OK to and does not do is tried once more.
const RIGHTS: [(&str, usize); 7] = [
    ("lr", 1),
    ("lrs", 1),
    ("lrws", 1),
    ("lrwst", 1),
    ("lrwste", 1),
    ("lrwsti", 2),
    ("lrsi", 1),
];

fn set_rights(directory: &Path, rights: Option<&str>) {
    let file = directory.join("dovecot-acl");
    match rights {
        Some(rights) => fs::write(file, format!("owner {rights}\n")).expect("a file"),
        None => fs::remove_file(file).expect("a removal"),
    }
}

fn are_waiting(run: &Run) -> bool {
    run.problems().iter().all(|problem| problem["waiting"] == true)
}

#[test]
fn what_may_not_be_done_waits() {
    let Some(dovecot) = Dovecot::own(&Variant::with_rights()) else {
        return;
    };
    for (nth, (rights, tells)) in RIGHTS.into_iter().enumerate() {
        let mut scene = Scene::new(&dovecot, &format!("rights-{rights}"));
        Writer::new(90 + nth as u64).fill(&scene, &["INBOX", "Work"], 6);
        scene.sync_to_equal(&[], "first pull");
        let there = dovecot.mail_home(&scene.user).join("Maildir/.Work");
        set_rights(&there, Some(rights));

        let files = scene.files("Work");
        fs::remove_file(&files[0]).expect("a removal");
        // Flags that PERMANENTFLAGS does not have are no change there, do not wait, and are set once it has them (HAZARDS 14).
        let letters = ['F', 'R', 'S'];
        local::set_letters(
            &files[1],
            &local::letters(&files[1]).into_iter().chain(letters).collect(),
        );
        local::carry(&files[2], &scene.dir("INBOX"), 3, true);
        scene.deliver("Work", "new in Work");
        scene.deliver("INBOX", "new in INBOX");
        let (disk, server) = (scene.world.look(), scene.server.look());

        for _ in 0..tells {
            let run = scene.world.sync(&[]);
            assert_eq!((run.exit, are_waiting(&run)), (1, false), "{rights}: {run:#?}");
        }
        let waits = scene.world.sync(&[]);
        assert_eq!(
            (waits.exit, waits.changes(), are_waiting(&waits)),
            (0, 0, true),
            "{rights}: {waits:#?}"
        );
        assert!(!waits.problems().is_empty(), "{rights}: {waits:#?}");
        let now = scene.world.look();
        assert_eq!(
            now.contents(),
            disk.contents(),
            "{rights}: nothing comes back, nothing goes"
        );
        let after = scene.server.look().contents();
        let lost = server
            .contents()
            .keys()
            .filter(|content| !after.contains_key(*content))
            .count();
        assert!(lost <= 1, "{rights}: only what was removed may be gone: {lost}");
        assert_eq!(scene.server.look().count("INBOX"), 8, "{rights}: all else goes on");

        set_rights(&there, None);
        let books = scene.world.home().join("xdg/state/homing/personal/sync.db");
        let books = rusqlite::Connection::open(books).expect("a database");
        books.execute("UPDATE problem SET next=0", []).expect("a problem");
        drop(books);
        if !rights.contains('w') {
            // That it lets more flags be set shows when it is looked into: it is after what this run does there.
            let run = scene.world.sync(&[]);
            assert_eq!(run.exit, 0, "{rights}: {run:#?}");
        }
        let (run, account) = scene.sync_to_equal(&[], "with all rights");
        assert!(run.problems().is_empty(), "{rights}: {run:#?}");
        assert_eq!(
            (account.count("Work"), account.count("INBOX")),
            (5, 8),
            "{rights}: {run:#?}"
        );
        scene.nothing_left("with all rights");
    }
}
