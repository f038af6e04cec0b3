//! What arrives, and under what name.

use crate::scene::{Scene, mail, verdicts};
use crate::support::mail::{odd, small_account};
use crate::support::server::{Account, Lies, Setup};

fn fill_small(account: &mut Account) {
    for (mailbox, mail) in small_account() {
        account.create(mailbox);
        account.deliver(mailbox, &mail);
    }
}

#[test]
fn all_mail_arrives_and_a_second_run_sends_nothing() {
    let scene = Scene::unlike();
    scene.on_from(fill_small);
    let count = small_account().len() as u64;
    let dry = scene.migrate(&["--dry-run"]);
    assert_eq!((dry.exit, dry.count("right", "added")), (0, count), "{dry:#?}");
    assert_eq!(scene.to.changing().len(), 0);

    let page = scene.world.home().join("report.html");
    let run = scene.migrate_ok(&["--report", &page.to_string_lossy()]);
    assert_eq!(run.count("right", "added"), count);
    scene.assert_same(&[]);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(
        page.contains(&format!("<p class=\"good\">All {count} messages have arrived")),
        "{page}"
    );
    let refused = scene
        .world
        .command()
        .args(["migrate", "personal", "new", "--report", "report.txt"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    for (name, verdict) in verdicts(&run) {
        assert_eq!(verdict["missing"], 0, "{name}");
        assert_eq!(verdict["messages"][0], verdict["messages"][1], "{name}");
        assert_eq!(verdict["bytes"][0], verdict["bytes"][1], "{name}");
        assert_eq!(verdict["only_there"], 0, "{name}");
    }
    let verdict = run.account()["verdict"].as_str().unwrap();
    assert!(
        verdict.starts_with(&format!("All {count} messages have arrived")),
        "{verdict}"
    );
    scene.assert_idle();
}

#[test]
fn later_runs_send_the_difference() {
    let scene = Scene::unlike();
    scene.on_from(|from| {
        from.create("Work");
        for n in 0..6 {
            from.deliver("INBOX", &mail(&format!("inbox {n}")));
        }
    });
    scene.migrate_ok(&[]);
    scene.on_from(|from| {
        from.deliver("Work", &mail("later"));
        from.flag("INBOX", 1, &["\\Seen", "todo"], &[]);
        from.relocate("INBOX", 2, "Work");
        from.expunge("INBOX", 3);
    });
    // What happens on TO is TO's business.
    scene.on_to(|to| {
        to.flag("INBOX", 1, &["\\Flagged"], &[]);
        to.expunge("INBOX", 6);
        to.deliver("INBOX", &mail("new here"));
        to.create("INBOX.Own");
    });
    let run = scene.migrate_ok(&[]);
    let done = ["added", "flags", "moved", "removed"].map(|what| run.count("right", what));
    assert_eq!(done, [1, 1, 1, 0], "{run:#?}");
    let inbox = &verdicts(&run)["INBOX"];
    assert_eq!(
        (&inbox["messages"][0], &inbox["messages"][1], &inbox["removed_there"]),
        (&4.into(), &3.into(), &1.into()),
        "{inbox}"
    );
    // What FROM dropped and what is TO's own.
    assert_eq!(inbox["only_there"], 2, "{inbox}");
    scene.assert_idle();

    let run = scene.migrate_ok(&["--delete-extra"]);
    assert_eq!(run.count("right", "removed"), 1, "{run:#?}");
    let subjects = scene.on_to(|to| {
        to.mailbox("INBOX")
            .iter()
            .map(|m| String::from_utf8_lossy(&m.bytes).into_owned())
            .collect::<String>()
    });
    assert!(
        !subjects.contains("inbox 2") && subjects.contains("new here"),
        "{subjects}"
    );
    assert!(scene.on_to(|to| to.mailboxes.contains_key("INBOX.Own")));
}

#[test]
fn subscriptions_are_carried_over_once() {
    let scene = Scene::unlike();
    scene.on_from(|from| {
        from.create("Work");
        from.create("Shown/too");
        from.subscribed
            .extend(["INBOX", "Shown/too", "Gone"].map(str::to_owned));
    });
    scene.on_to(|to| {
        to.create("INBOX.Shown");
        to.create("INBOX.Shown.too");
        to.subscribed.clear();
    });
    scene.migrate_ok(&[]);
    // What homing makes is shown; what FROM never had is not.
    let subscribed = || scene.on_to(|to| to.subscribed.iter().cloned().collect::<Vec<_>>());
    assert_eq!(subscribed(), ["INBOX", "INBOX.Shown.too", "INBOX.Work"]);
    scene.assert_idle();
    scene.on_to(|to| to.subscribed.remove("INBOX.Shown.too"));
    scene.on_from(|from| from.subscribed.insert("Shown".into()));
    scene.migrate_ok(&[]);
    assert_eq!(subscribed(), ["INBOX", "INBOX.Work"], "TO's own wish stands");
}

#[test]
fn a_large_removal_is_held_back() {
    let scene = Scene::unlike();
    scene.on_from(|from| {
        for n in 0..40 {
            from.deliver("INBOX", &mail(&format!("inbox {n}")));
        }
    });
    scene.migrate_ok(&[]);
    scene.on_from(|from| (1..=30).for_each(|uid| from.expunge("INBOX", uid)));
    let run = scene.migrate(&["--delete-extra"]);
    assert_eq!((run.exit, run.count("right", "removed")), (3, 0), "{run:#?}");
    let ways = run.held_back()[0]["ways_out"].to_string();
    assert!(
        ways.contains("homing migrate personal new --delete-extra --allow-deletes"),
        "{ways}"
    );
    let run = scene.migrate_ok(&["--delete-extra", "--allow-deletes"]);
    assert_eq!(run.count("right", "removed"), 30);
}

#[test]
fn what_another_program_has_brought_is_recognised() {
    // Both with and without object ids, and where sizes are lies: then bodies decide.
    let lying = Setup {
        lies: Lies {
            size: 7,
            ..Lies::default()
        },
        ..Setup::default()
    };
    for (from, to) in [
        (Setup::default(), Setup::default()),
        (
            Setup::default().with(&["OBJECTID"]),
            Setup::default().with(&["OBJECTID"]),
        ),
        (lying, Setup::default()),
    ] {
        let scene = Scene::new(from, to);
        scene.on_from(fill_small);
        let half: Vec<_> = small_account()
            .into_iter()
            .enumerate()
            .filter(|(n, _)| n % 2 == 0)
            .collect();
        scene.on_to(|to| {
            for (_, (mailbox, mail)) in &half {
                to.create(mailbox);
                // Flags came late.
                to.deliver(
                    mailbox,
                    &crate::support::mail::Mail {
                        flags: Vec::new(),
                        ..mail.clone()
                    },
                );
            }
        });
        // The same header, another body: a message of its own.
        let (mut one, mut two) = (mail("draft"), mail("draft"));
        one.bytes.extend(b"one\r\n");
        two.bytes.extend(b"two\r\n");
        scene.on_from(|from| from.deliver("INBOX", &one));
        scene.on_to(|to| to.deliver("INBOX", &two));
        let run = scene.migrate_ok(&[]);
        let all = small_account().len();
        assert_eq!(run.account()["paired"], half.len(), "{run:#?}");
        assert_eq!(run.count("right", "added") as usize, all - half.len() + 1);
        scene.on_from(|from| from.deliver("INBOX", &two));
        let run = scene.migrate_ok(&[]);
        assert_eq!(
            (run.count("right", "added"), &run.account()["paired"]),
            (0, &1.into()),
            "{run:#?}"
        );
        scene.assert_same(&[]);
        scene.assert_idle();
    }
}

#[test]
fn mailboxes_meet_by_role_by_map_and_by_name() {
    let mut scene = Scene::unlike();
    let role = |account: &mut Account, name: &str, role: &str| {
        account.create(name);
        account.mailbox_mut(name).role = Some(role.into());
    };
    scene.on_from(|from| {
        role(from, "Gesendet", "\\Sent");
        role(from, "Papierkorb", "\\Trash");
        for name in ["Papierkorb", "Gesendet", "Old/2019", "v1.2", "v1-2"] {
            from.create(name);
            from.deliver(name, &mail(name));
        }
    });
    scene.on_to(|to| {
        role(to, "INBOX.Sent", "\\Sent");
        role(to, "INBOX.Trash", "\\Trash");
    });
    scene.world.set("map", "{ \"Old/*\" = \"Archive/*\" }");
    scene.configure_to("map = { \"Before/*\" = \"Archive/*\" }");
    let run = scene.migrate_ok(&[]);
    let names = [
        ("Gesendet", "Sent"),
        ("Papierkorb", "Trash"),
        ("Old/2019", "Before/2019"),
        // TO parts levels by a dot, and the plainer name is taken.
        ("v1.2", "v1-2 (2)"),
    ];
    scene.assert_same(&names);
    let verdicts = verdicts(&run);
    for (left, right) in names {
        assert_eq!(verdicts[left]["to"], right);
        assert_eq!(verdicts[left]["renamed"], left == "v1.2", "{left}");
    }
    scene.assert_idle();
}

#[test]
fn what_does_not_arrive_is_named_with_the_reason() {
    let to = Setup {
        append_limit: Some(50_000),
        ..Setup::default()
    };
    let scene = Scene::new(Setup::default(), to);
    let mut large = mail("large");
    large.bytes.resize(60_000, b'x');
    scene.on_from(|from| {
        from.deliver("INBOX", &large);
        from.deliver("INBOX", &mail("small"));
    });
    for _ in 0..2 {
        let run = scene.migrate(&[]);
        assert_eq!(run.exit, 1, "{run:#?}");
        let inbox = &verdicts(&run)["INBOX"];
        assert_eq!(
            (&inbox["missing"], &inbox["messages"][1]),
            (&1.into(), &1.into()),
            "{inbox}"
        );
        let reason = &inbox["reasons"][0];
        assert_eq!((&reason["count"], &reason["uids"]), (&1.into(), &"1".into()), "{inbox}");
        assert!(reason["what"].as_str().unwrap().contains("60000 bytes"), "{inbox}");
        assert_eq!(
            inbox["bytes"][0].as_u64().unwrap() - inbox["bytes"][1].as_u64().unwrap(),
            60_000
        );
        let verdict = run.account()["verdict"].as_str().unwrap();
        assert_eq!(
            verdict,
            "1 of 2 messages in 1 mailbox have arrived; 1 message is missing."
        );
    }
}

#[test]
fn what_the_server_changes_as_it_takes_it_is_named() {
    let spoils = Lies {
        spoils_headers: true,
        ..Lies::default()
    };
    let mends = Lies {
        mends_line_ends: true,
        ..Lies::default()
    };
    let wrong_sizes = Lies {
        size: 9,
        ..Lies::default()
    };
    // How many of three messages are changed, and what is said of them.
    for (lies, changed, what) in [
        (Lies::default(), 0, ""),
        (wrong_sizes, 0, ""),
        (spoils, 1, "bytes of its header that are not ASCII are others now"),
        (mends, 1, "its size is another"),
    ] {
        let to = Setup {
            lies: lies.clone(),
            ..Setup::default()
        };
        let scene = Scene::new(Setup::default(), to);
        let mut eight_bit = mail("plain");
        eight_bit.bytes.splice(0..0, "X-Name: M\u{fc}ller\r\n".bytes());
        let mut lone_lf = mail("lone");
        lone_lf.bytes.extend(b"a\nb\r\n");
        scene.on_from(|from| {
            for mail in [&eight_bit, &lone_lf, &mail("sound")] {
                from.deliver("INBOX", mail);
            }
        });
        let run = scene.migrate(&[]);
        assert_eq!(run.exit, i32::from(changed > 0), "{lies:?}: {run:#?}");
        let inbox = &verdicts(&run)["INBOX"];
        let remarks = inbox["remarks"].as_array().unwrap();
        assert_eq!(
            (&inbox["missing"], remarks.len()),
            (&0.into(), changed),
            "{lies:?}: {inbox}"
        );
        assert!(
            remarks
                .iter()
                .all(|remark| remark["what"].as_str().unwrap().contains(what)),
            "{inbox}"
        );
        // It is told again, and sent no second time.
        let again = scene.migrate_ok(&[]);
        assert_eq!(
            (again.changes(), &verdicts(&again)["INBOX"]["remarks"]),
            (0, &inbox["remarks"]),
            "{again:#?}"
        );
        if changed > 0 {
            let verdict = again.account()["verdict"].as_str().unwrap();
            assert!(
                verdict.ends_with("Of 1 message there is something to be said."),
                "{verdict}"
            );
        }
    }
}

#[test]
fn odd_mail_arrives_or_is_named() {
    let scene = Scene::unlike();
    scene.on_from(|from| {
        from.create("Odd");
        for mail in odd() {
            from.deliver("Odd", &mail);
        }
    });
    let run = scene.migrate(&[]);
    let odd_box = verdicts(&run)["Odd"].clone();
    let missing = odd_box["missing"].as_u64().unwrap();
    let with_nul = odd().iter().filter(|mail| mail.bytes.contains(&0)).count() as u64;
    assert_eq!(missing, with_nul, "{odd_box:#}");
    let [from, to] = scene.look();
    assert_eq!(from.count("Odd") as u64 - missing, to.count("Odd") as u64);
    for (message, count) in to.mailbox("Odd") {
        assert!(
            from.mailbox("Odd").get(message).is_some_and(|there| there >= count),
            "{message:?}"
        );
    }
}

#[test]
fn a_mailbox_that_is_made_gets_its_role() {
    let roles = |scene: &Scene| scene.on_to(|to| to.mailbox("Gesendet").role.clone());
    for (caps, role) in [(&["CREATE-SPECIAL-USE"][..], Some("\\Sent")), (&[], None)] {
        let scene = Scene::new(Setup::default(), Setup::default().with(caps));
        scene.on_from(|from| {
            from.create("Gesendet");
            from.mailbox_mut("Gesendet").role = Some("\\Sent".into());
        });
        scene.migrate_ok(&[]);
        assert_eq!(roles(&scene).as_deref(), role, "{caps:?}");
    }
}
