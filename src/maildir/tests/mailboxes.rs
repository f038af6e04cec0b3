//! Making, renaming and deleting mailboxes.

use std::fs;

use super::write::{T, shown};
use crate::maildir::LayoutChoice;
use crate::maildir::testing::Fixture;
use crate::model::MailboxPath;
use crate::store::{Done, WriteJob};

#[test]
fn mailboxes_are_made() {
    // (layout, name, its directory, what lies beside cur, new and tmp)
    for (layout, name, raw, files) in [
        (LayoutChoice::Nested, "INBOX", "INBOX", 0),
        (LayoutChoice::Nested, "Work/2026", "Work/2026", 0),
        (LayoutChoice::Nested, "../x", "%2E./x", 0),
        (LayoutChoice::MaildirPlusPlus, "INBOX", ".", 0),
        (LayoutChoice::MaildirPlusPlus, "Work/2026", ".Work.2026", 1),
    ] {
        let it = Fixture::with(|options| {
            options.layout = layout;
            options.root.push("deep/root");
        });
        for _ in 0..2 {
            let done = it.create(name);
            assert_eq!(shown(&done), [raw], "twice is as good as once");
            let Done::Created { validity, .. } = &done[0] else {
                panic!()
            };
            assert_eq!(*validity, Some(it.scan(name, None, "").validity));
        }
        let survey = it.shared().survey().unwrap();
        let made: Vec<_> = survey
            .mailboxes
            .iter()
            .filter(|l| l.selectable)
            .map(|l| l.path.to_string())
            .collect();
        assert_eq!(made, [name]);
        let entries = fs::read_dir(it.shared().place(&it.named(name).raw).unwrap().path)
            .unwrap()
            .count();
        assert_eq!(entries, 3 + files);
    }
    let it = Fixture::new();
    assert_eq!(
        shown(&it.create(&vec!["x".repeat(200); 30].join("/"))),
        ["failed : Mailbox"]
    );
}

fn rename(it: &Fixture, from: &str, to: &str) -> Vec<String> {
    let to = MailboxPath::parse(to).unwrap();
    shown(&it.write(WriteJob::Rename {
        ticket: T,
        mailbox: it.named(from),
        to,
    }))
}

fn selectable(it: &Fixture) -> Vec<String> {
    let survey = it.shared().survey().unwrap();
    assert!(survey.failures.is_empty());
    survey
        .mailboxes
        .iter()
        .filter(|l| l.selectable)
        .map(|l| l.path.to_string())
        .collect()
}

#[test]
fn mailboxes_are_renamed_with_all_beneath() {
    for layout in [LayoutChoice::Nested, LayoutChoice::MaildirPlusPlus] {
        let plus = layout == LayoutChoice::MaildirPlusPlus;
        let it = Fixture::with(|options| options.layout = layout);
        for name in ["A", "A/b", "A/b/c", "Ab", "D/x"] {
            it.create(name);
            it.file(name, "new/m", name);
        }
        assert_eq!(rename(&it, "A", "N/A"), [if plus { ".N.A" } else { "N/A" }]);
        assert_eq!(selectable(&it), ["Ab", "D/x", "N/A", "N/A/b", "N/A/b/c"]);
        assert_eq!(it.files("N/A/b/c"), ["new/m"]);
        assert_eq!(rename(&it, "N/A", "Ab"), ["failed : Mailbox"], "taken");
        assert_eq!(rename(&it, "D/x", "y"), [if plus { ".y" } else { "y" }]);
        assert_eq!(selectable(&it), ["Ab", "N/A", "N/A/b", "N/A/b/c", "y"]);
        assert_eq!(rename(&it, "Missing", "level/z"), ["failed : Mailbox"]);
        assert!(!it.root().join("level").exists());
    }
}

#[test]
fn a_mailbox_can_become_its_own_inferior() {
    let it = Fixture::new();
    it.create("A/x");
    it.create("A");
    it.file("A", "new/m", "x");
    assert_eq!(rename(&it, "A", "A/b"), ["A/b"]);
    assert_eq!(selectable(&it), ["A/b", "A/b/x"]);
    assert_eq!(it.files("A/b"), ["new/m"]);
    assert_eq!(rename(&it, "A/b", "A"), ["A"]);
    assert_eq!(selectable(&it), ["A", "A/x"]);
    assert_eq!(it.files("A"), ["new/m"]);
}

fn delete(it: &Fixture, name: &str) -> Vec<String> {
    shown(&it.write(WriteJob::Delete {
        ticket: T,
        mailbox: it.named(name),
    }))
}

#[test]
fn only_empty_mailboxes_are_deleted_and_never_what_lies_beneath() {
    for layout in [LayoutChoice::Nested, LayoutChoice::MaildirPlusPlus] {
        let it = Fixture::with(|options| options.layout = layout);
        for name in ["A", "A/b", "C/d"] {
            it.create(name);
        }
        it.file("A", "dovecot-keywords", "0 x\n");
        it.file("A/b", "new/m", "x");
        assert_eq!(delete(&it, "A/b"), ["failed : Mailbox"]);
        assert_eq!(it.files("A/b"), ["new/m"]);
        assert_eq!(delete(&it, "A"), ["deleted"]);
        assert_eq!(selectable(&it), ["A/b", "C/d"]);
        assert_eq!(delete(&it, "C/d"), ["deleted"]);
        assert_eq!(delete(&it, "C/d"), ["deleted"], "gone is gone");
        assert!(!it.root().join("C").exists(), "an empty level goes too");
        // What is no message keeps a mailbox too, and it stays whole.
        fs::remove_file(it.mailbox("A/b").path.join("new/m")).unwrap();
        it.file("A/b", "cur/.hidden", "x");
        assert_eq!(delete(&it, "A/b"), ["failed : Mailbox"]);
        assert_eq!(it.files("A/b"), ["cur/.hidden"]);
        // So does what may still be on its way in, and it is named.
        fs::remove_file(it.mailbox("A/b").path.join("cur/.hidden")).unwrap();
        it.file("A/b", "tmp/young", "x");
        let done = it.write(WriteJob::Delete {
            ticket: T,
            mailbox: it.named("A/b"),
        });
        let [Done::Failed(_, failure)] = done.as_slice() else {
            panic!("{done:?}")
        };
        assert!(failure.what.contains("tmp/young\""), "{failure}");
        assert_eq!(it.files("A/b"), ["tmp/young"]);
    }
}

#[test]
fn the_root_is_neither_deleted_nor_renamed() {
    let it = Fixture::with(|options| options.layout = LayoutChoice::MaildirPlusPlus);
    it.create("INBOX");
    assert_eq!(delete(&it, "INBOX"), ["failed : Mailbox"]);
    assert_eq!(rename(&it, "INBOX", "X"), ["failed : Mailbox"]);
    assert_eq!(selectable(&it), ["INBOX"]);
}
