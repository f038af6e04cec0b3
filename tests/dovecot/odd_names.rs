//! Mailbox names that are hard to write down go both ways, or are named with the reason and hold up nothing else.

use std::fs;

use crate::scene::{Scene, text};
use crate::support::dovecot::{Dovecot, Layout, Variant, say};
use crate::support::raw::Mail;
use crate::support::witness::canonical;
use crate::support::world::local;

/// Levels are parted by `/`.
pub(crate) const NAMES: [&str; 66] = [
    "Work",
    "Work/2024",
    "Work/2024/Q1",
    "with space",
    " leading space",
    "trailing space ",
    "two  spaces",
    "quo\"te",
    "back\\slash",
    "\\\"both\\\"",
    "apos'trophe",
    "dot.in.name",
    ".leading dot",
    "trailing dot.",
    "...",
    "per%cent",
    "%41",
    "star*",
    "question?",
    "amp&ersand",
    "&",
    "&-",
    "a&b&c",
    "&Jjo-",
    "Entwürfe",
    "Ünïcödé",
    "日本語",
    "日本語/会議",
    "emoji 📬",
    "👨‍👩‍👧",
    "Кириллица",
    "עברית",
    "caf\u{e9} composed",
    "cafe\u{301} composed",
    "Case",
    "case",
    "CASE",
    "Inbox2",
    "INBOX/child",
    "tilde~",
    "~root",
    "~",
    "#shared",
    "-dash",
    "paren(s)",
    "curly{5}",
    "brackets[1]",
    "angle<1>",
    "pipe|",
    "colon:2,S",
    "comma,",
    "semi;colon",
    "plus+",
    "at@example.org",
    "dollar$HOME",
    "caret^",
    "NIL",
    "cur",
    "new",
    "tmp",
    "new/cur",
    "dovecot-uidlist",
    "dovecot-keywords",
    ".homing",
    "d0/d1/d2/d3/d4/d5/d6/d7/d8/d9",
    "[Gmail]/All Mail",
];

fn names() -> Vec<String> {
    let long = ["x".repeat(200), "ü".repeat(100), "📬".repeat(60), "z".repeat(250)];
    NAMES.iter().map(ToString::to_string).chain(long).collect()
}

fn mail(name: &str) -> Mail {
    Mail {
        bytes: canonical(&text(&format!("in {name}"))),
        flags: "\\Seen".into(),
        date: 1_700_000_000,
    }
}

#[test]
fn odd_names_come_down() {
    for layout in [Layout::Maildir, Layout::Sdbox] {
        let Some(dovecot) = Dovecot::own(&Variant::stored_as(layout)) else {
            return;
        };
        let mut scene = Scene::new(&dovecot, "names-down");
        let mut raw = scene.raw();
        let mut made = 0;
        for name in names() {
            if raw.create(&name).is_ok() {
                raw.append_all(&name, &[mail(&name)]);
                made += 1;
            }
        }
        assert!(made >= 55, "the server took only {made} names");
        let (_, account) = scene.sync_to_equal(&[], "odd names");
        assert_eq!(account.len(), made);
        scene.nothing_left("odd names");
        change_each_on_disk(&scene);
        let (run, _) = scene.sync_to_equal(&[], "a flag in each");
        assert_eq!(run.count("right", "flags"), made as u64, "{run:#?}");
        say(&format!("odd names down: {made} of {} on {layout:?}", names().len()));
    }
}

/// Each mailbox is found again by its name on disk: every message there gets flagged.
fn change_each_on_disk(scene: &Scene) {
    for name in scene.world.look_at_names() {
        for file in scene.files(&name) {
            local::set_letters(&file, &['F', 'S'].into());
        }
    }
}

/// Names that a directory can have as they are. The others mean something else there: `%41` is an escape, and `&Jjo-` is
/// what Dovecot and others call the directory of `☺`.
fn plain_on_disk(name: &str) -> bool {
    let level = |level: &str| {
        let special = ["cur", "new", "tmp", "dovecot-keywords", "%41", "&-", "&Jjo-"].contains(&level);
        level.len() <= 255 && !special && !level.starts_with('.')
    };
    name.split('/').all(level)
}

#[test]
fn odd_names_go_up_or_are_named() {
    for (layout, expected) in [(Layout::Maildir, 52), (Layout::Sdbox, 54)] {
        let Some(dovecot) = Dovecot::own(&Variant::stored_as(layout)) else {
            return;
        };
        let mut scene = Scene::new(&dovecot, "names-up");
        scene.world.sync_ok();
        let wanted: Vec<String> = names().into_iter().filter(|name| plain_on_disk(name)).collect();
        for name in &wanted {
            local::create(&scene.dir(name));
            local::deliver(&scene.dir(name), &text(&format!("in {name}")), 1_700_000_000, Some("S"));
        }
        let run = scene.world.sync(&[]);
        let there = scene.server.look().names();
        let missing: Vec<&String> = wanted.iter().filter(|name| !there.contains(name)).collect();
        for name in &missing {
            let named = run
                .problems()
                .iter()
                .find(|problem| problem["mailbox"] == name.as_str());
            let problem = named.unwrap_or_else(|| panic!("{name:?} is not named in {run:#?}"));
            assert_eq!(problem["reach"], "mailbox", "{problem}");
            say(&format!(
                "odd names up: {name:?} stays here on {layout:?}: {}",
                problem["what"]
            ));
        }
        assert_eq!(run.exit, i32::from(!missing.is_empty()), "{run:#?}");
        assert!(there.len() >= expected, "{} of {}", there.len(), wanted.len());
        for name in &missing {
            fs::remove_dir_all(scene.dir(name)).unwrap();
        }
        scene.sync_to_equal(&[], "without what cannot go");
        scene.nothing_left("without what cannot go");
    }
}
