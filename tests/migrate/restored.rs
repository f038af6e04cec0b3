//! What comes back from an archive: FROM is backed up, and restored to TO.

use std::fs;

use crate::scene::{Scene, mail};
use crate::support::server::{Account, Setup};
use crate::support::world::{Run, local};

/// FROM with an archive.
fn archived(to: Setup) -> Scene {
    let mut scene = Scene::new(Setup::default(), to);
    let archive = scene.world.home().join("Archive");
    let archive = format!("{:?}", archive.display().to_string());
    scene.world.set("archive", &archive);
    scene
}

impl Scene {
    #[track_caller]
    fn backup(&self) {
        let run = self.world.run(&["backup", "personal"]);
        assert_eq!(run.exit, 0, "{run:#?}");
    }

    #[track_caller]
    fn restore(&self, to: &str, at: &str) -> Run {
        let run = self.world.run(&["restore", "personal", "--to", to, "--at", at]);
        assert_eq!(run.exit, 0, "{run:#?}\n{}", self.to.transcript());
        run
    }

    /// How many messages lie below a directory of the archive.
    fn files(&self, below: &str) -> usize {
        let cur = self.world.home().join("Archive").join(below).join("INBOX");
        let dirs = ["cur", "new"].into_iter().flat_map(|dir| fs::read_dir(cur.join(dir)));
        dirs.flatten().count()
    }
}

/// A mailbox with one message.
fn fill(account: &mut Account, name: &str, role: Option<&str>) {
    account.create(name);
    account.deliver(name, &mail(name));
    account.mailbox_mut(name).role = role.map(str::to_owned);
}

/// Each mailbox of TO that holds something: name, role, whether it is subscribed to.
fn there(scene: &Scene) -> Vec<String> {
    scene.on_to(|to| {
        let filled = to.mailboxes.iter().filter(|(_, mailbox)| !mailbox.messages.is_empty());
        filled
            .map(|(name, mailbox)| {
                let role = mailbox.role.clone().unwrap_or_default();
                let shown = if to.subscribed.contains(name) { " shown" } else { "" };
                format!("{name}{role}{shown}")
            })
            .collect()
    })
}

/// What somebody did to an account before.
type Before = fn(&mut Account);

#[test]
fn mailboxes_come_back_with_their_roles_and_subscriptions() {
    let gives_roles = Setup::default().with(&["CREATE-SPECIAL-USE"]);
    // What TO is like, what is there, and what is there after the first run was restored, and the second.
    let nothing: Before = |_| ();
    let rows: [(&str, Setup, Before, [&[&str]; 2]); 3] = [
        (
            "roles can be given",
            gives_roles.clone(),
            nothing,
            [
                &["Bin\\Trash shown", "Gesendet\\Sent shown", "INBOX shown"],
                &["Bin\\Trash shown", "Gesendet shown", "INBOX"],
            ],
        ),
        (
            "roles cannot be given",
            Setup::default(),
            nothing,
            [
                &["Bin shown", "Gesendet shown", "INBOX shown"],
                &["Bin shown", "Gesendet shown", "INBOX"],
            ],
        ),
        (
            "a mailbox has the role already",
            gives_roles,
            |to| {
                to.create("Sent");
                to.mailbox_mut("Sent").role = Some("\\Sent".into());
            },
            [
                &["Bin\\Trash shown", "INBOX shown", "Sent\\Sent shown"],
                &["Bin\\Trash shown", "Gesendet shown", "INBOX"],
            ],
        ),
    ];
    for (what, to, before, after) in rows {
        for (at, expected) in ["#1", "#2"].into_iter().zip(after) {
            let scene = archived(to.clone());
            scene.on_from(|from| {
                fill(from, "INBOX", None);
                fill(from, "Gesendet", Some("\\Sent"));
                fill(from, "Bin", Some("\\Trash"));
                from.subscribed.extend(["INBOX", "Gesendet"].map(str::to_owned));
            });
            scene.backup();
            scene.on_from(|from| {
                from.mailbox_mut("Gesendet").role = None;
                from.subscribed.remove("INBOX");
            });
            scene.backup();
            scene.on_to(before);
            scene.restore("new", at);
            assert_eq!(there(&scene), expected, "{what}, {at}");
            let again = scene.restore("new", at);
            assert_eq!(
                (again.changes(), there(&scene).len()),
                (0, 3),
                "{what}, {at}: {again:#?}"
            );
        }
    }
}

#[test]
fn what_a_new_uidvalidity_hid_is_gone_once_that_is_sure() {
    let scene = archived(Setup::default());
    scene.on_from(|from| {
        for n in 0..4 {
            from.deliver("INBOX", &mail(&format!("inbox {n}")));
        }
        from.create("Work");
    });
    scene.backup();
    scene.on_from(|from| {
        from.expunge("INBOX", 2);
        from.relocate("INBOX", 3, "Work");
        from.bump_validity("INBOX");
    });
    let mut files = Vec::new();
    for _ in 2..=4 {
        scene.backup();
        files.push((scene.files("mail"), scene.files("gone")));
    }
    assert_eq!(files, [(3, 0), (2, 1), (2, 1)], "not at the first look, and only once");

    for (at, messages) in [("#1", 4), ("#2", 3), ("#3", 3), ("#4", 3)] {
        let dir = scene.world.home().join(format!("at-{}", &at[1..]));
        let run = scene.restore(dir.to_str().unwrap(), at);
        assert_eq!(run.count("right", "added"), messages, "{at}: {run:#?}");
    }
    let run = scene.world.run(&["verify", "personal", "--server"]);
    assert_eq!((run.exit, run.account()["whole"].as_u64()), (0, Some(4)), "{run:#?}");
    let log = scene.world.run(&["log", "personal", "--run", "3"]);
    let done = &log.account()["runs"][0]["done"][0];
    assert_eq!(
        (&done["action"], &done["count"]),
        (&"remove".into(), &1.into()),
        "{log:#?}"
    );
}

#[test]
fn mail_arrives_in_the_order_in_which_it_once_did() {
    let scene = archived(Setup::default());
    let subjects: Vec<String> = (0..30).map(|n| format!("inbox {n}")).collect();
    scene.on_from(|from| {
        for subject in &subjects {
            from.deliver("INBOX", &mail(subject));
        }
    });
    scene.backup();
    let order = |account: &Account| -> Vec<_> { account.mailbox("INBOX").iter().map(|m| m.bytes.clone()).collect() };
    let then = scene.on_from(|from| order(from));
    scene.restore("new", "#1");
    assert_eq!(scene.on_to(|to| order(to)), then, "restored");
    scene.on_to(|to| (1..=30).for_each(|uid| to.expunge("INBOX", uid)));
    scene.migrate_ok(&[]);
    assert_eq!(scene.on_to(|to| order(to)), then, "migrated");
}

#[test]
fn the_log_has_what_was_restored_and_where() {
    let scene = archived(Setup::default());
    scene.on_from(|from| {
        fill(from, "INBOX", None);
        fill(from, "Work", None);
    });
    scene.backup();
    let dir = scene.world.home().join("Restored").display().to_string();
    let uids = ["new", &dir].map(|to| {
        scene.restore(to, "#1");
        scene.restore(to, "#1");
        let log = scene.world.run(&["log", "personal", "-n", "1"]);
        let run = &log.account()["runs"][0];
        assert_eq!(
            (&run["command"], &run["exit"]),
            (&"restore".into(), &0.into()),
            "{log:#?}"
        );
        let done = run["done"].as_array().unwrap();
        let of_work = |action: &str| {
            let mut found = done
                .iter()
                .filter(|done| done["mailbox"] == "Work" && done["action"] == action);
            found.next().unwrap_or_else(|| panic!("no {action}: {log:#?}"))
        };
        for done in ["create-mailbox", "copy"].map(of_work) {
            assert_eq!(
                (&done["to"], &done["why"]),
                (&to.into(), &"as of #1".into()),
                "{log:#?}"
            );
        }
        let message = &of_work("copy")["messages"][0];
        let file = message["file"].as_str().unwrap();
        let names = local::messages(&scene.world.home().join("Archive/mail/Work"));
        assert!(names[0].display().to_string().contains(file), "{names:?} {message}");
        message["uid"].as_u64()
    });
    assert_eq!(uids, [Some(1), None]);
}

#[test]
fn an_archive_can_be_read_and_checked_without_homing() {
    let scene = archived(Setup::default());
    scene.on_from(|from| {
        for name in ["INBOX", "a\\b", "Work"] {
            fill(from, name, None);
        }
    });
    scene.backup();
    let root = scene.world.home().join("Archive");

    // The query that README.txt tells, on a day to come.
    let readme = fs::read_to_string(root.join("README.txt")).unwrap();
    let query = readme
        .split('"')
        .find(|text| text.starts_with("SELECT"))
        .expect("a query");
    let books = rusqlite::Connection::open(root.join("homing.db")).unwrap();
    let names = |query: &str| -> Vec<String> {
        let mut query = books.prepare(query).unwrap();
        query
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    assert_eq!(names(query), Vec::<String>::new(), "before the first backup");
    let names = names(&query.replace("2026-03-01", "2099-03-01"));
    let files = local::messages(&root.join("mail/INBOX"));
    assert_eq!((names.len(), files.len()), (1, 1));
    assert!(
        files[0].display().to_string().contains(&names[0]),
        "{names:?} {files:?}"
    );

    let manifest = scene.world.home().join("manifest");
    let run = scene
        .world
        .run(&["verify", "personal", "--manifest", &manifest.display().to_string()]);
    assert_eq!(run.exit, 0, "{run:#?}");
    let check = || {
        let mut sha256sum = std::process::Command::new("sha256sum");
        let output = sha256sum
            .args(["--strict", "-c"])
            .arg(&manifest)
            .current_dir(&root)
            .output();
        output.expect("coreutils")
    };
    let checked = check();
    let lines = String::from_utf8_lossy(&checked.stdout)
        .lines()
        .filter(|line| line.ends_with(": OK"))
        .count();
    assert_eq!((checked.status.code(), lines), (Some(0), 3), "{checked:?}");
    fs::write(&files[0], "something else").unwrap();
    assert_eq!(check().status.code(), Some(1));
}

#[test]
fn a_time_before_the_first_backup_names_that_one() {
    let scene = archived(Setup::default());
    scene.backup();
    for (at, what) in [("1 day ago", "had no backup by then"), ("#7", "has no backup #7")] {
        let run = scene.world.run(&["restore", "personal", "--to", "new", "--at", at]);
        assert_eq!(run.exit, 2, "{at}: {run:#?}");
        assert!(
            run.stderr.contains(what) && run.stderr.contains("the first, #1, ended 20"),
            "{}",
            run.stderr
        );
    }
}
