//! Changing, removing, moving and copying messages.

use std::fs;

use crate::maildir::testing::{Fixture, identity, touch};
use crate::model::{Flags, Known, MailboxPath};
use crate::store::{Done, Ticket, WriteJob};

pub(super) const T: Ticket = Ticket(1);

fn flags(names: &str) -> Flags {
    Flags::from_names(names.split_whitespace())
}

fn set(it: &Fixture, ids: &str, add: &str, remove: &str) -> Vec<Done> {
    let mailbox = it.named("INBOX");
    it.write(WriteJob::Flags {
        ticket: T,
        mailbox,
        ids: ids.parse().unwrap(),
        add: flags(add),
        remove: flags(remove),
    })
}

fn remove(it: &Fixture, mailbox: &str, messages: Vec<Known>) -> Vec<Done> {
    let path = MailboxPath::parse(mailbox).unwrap();
    it.write(WriteJob::Remove {
        ticket: T,
        mailbox: it.named(mailbox),
        path,
        messages,
    })
}

pub(super) fn shown(done: &[Done]) -> Vec<String> {
    done.iter()
        .map(|done| match done {
            Done::Flags(flags) => flags
                .iter()
                .map(|(id, flags)| format!("{id}={flags}"))
                .collect::<Vec<_>>()
                .join(","),
            Done::Removed(ids) => format!("removed {ids}"),
            Done::Differs(ids) => format!("differs {ids}"),
            Done::Gone(ids) => format!("gone {ids}"),
            Done::Moved(ids) | Done::Copied(ids) => ids
                .iter()
                .map(|(a, b)| format!("{a}>{}", b.unwrap()))
                .collect::<Vec<_>>()
                .join(","),
            Done::Created { raw, .. } | Done::Renamed { raw } => format!("{raw:?}"),
            Done::Deleted => "deleted".to_owned(),
            Done::Failed(ids, failure) => format!("failed {ids}: {:?}", failure.reach),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn flags_become_letters() {
    // (name before, add, remove, name after)
    for (before, add, remove, after) in [
        ("new/x", "\\Seen", "", "cur/x:2,S"),
        ("new/x", "", "\\Seen", "new/x"),
        ("new/x", "", "", "new/x"),
        ("cur/x", "", "\\Seen", "cur/x"),
        ("cur/x:2,S", "\\Flagged", "", "cur/x:2,FS"),
        ("cur/x:2,S", "", "\\Seen", "cur/x:2,"),
        ("cur/x:2,SZc,foo", "\\Answered", "\\Seen", "cur/x:2,RZc,foo"),
        ("cur/x:2,SF", "\\Flagged", "", "cur/x:2,SF"),
        ("cur/x:1,old", "\\Draft", "", "cur/x:2,D"),
        ("cur/x:2,", "todo $forwarded", "", "cur/x:2,Pa"),
        ("cur/x:2,P", "", "$Forwarded \\Seen", "cur/x:2,"),
    ] {
        let it = Fixture::new();
        it.file("INBOX", before, "x");
        it.scan("INBOX", None, "");
        let done = set(&it, "1", add, remove);
        assert_eq!(it.files("INBOX"), [after], "{before} +{add} -{remove}");
        let told = it.scan("INBOX", None, "1").flags;
        assert_eq!(
            shown(&done),
            [format!("1={}", told[0].1)],
            "what is answered is what is there"
        );
    }
}

#[test]
fn flags_of_gone_and_renamed_files() {
    let it = Fixture::new();
    for name in ["cur/a:2,", "cur/b:2,", "new/c"] {
        it.file("INBOX", name, "x");
    }
    it.scan("INBOX", None, "");
    let path = it.mailbox("INBOX").path;
    fs::remove_file(path.join("cur/a:2,")).unwrap();
    fs::rename(path.join("cur/b:2,"), path.join("cur/b:2,R")).unwrap();
    assert_eq!(
        shown(&set(&it, "1:3,9", "\\Seen", "")),
        ["2=\\Seen \\Answered,3=\\Seen", "gone 1,9"]
    );
    assert_eq!(it.files("INBOX"), ["cur/b:2,RS", "cur/c:2,S"]);
}

#[test]
fn a_name_in_the_way_is_not_overwritten() {
    let it = Fixture::new();
    it.file("INBOX", "cur/a:2,", "x");
    it.scan("INBOX", None, "");
    fs::create_dir(it.mailbox("INBOX").path.join("cur/a:2,S")).unwrap();
    assert_eq!(shown(&set(&it, "1", "\\Seen", "")), ["failed 1: Message", ""]);
    assert_eq!(it.files("INBOX"), ["cur/a:2,", "cur/a:2,S"]);
}

#[test]
fn removed_files_wait_in_the_attic() {
    let it = Fixture::new();
    it.file("Work/a.b", "cur/1.x.h,S=1:2,S", "x");
    it.file("Work/a.b", "new/2.y.h", "y");
    it.scan("Work/a.b", None, "");
    let known = it.known("Work/a.b", "1:2");
    assert_eq!(shown(&remove(&it, "Work/a.b", known)), ["removed 1:2"]);
    assert_eq!(it.attic(), ["Work/a.b/1.x.h,S=1:2,S", "Work/a.b/2.y.h"]);
    assert!(it.files("Work/a.b").is_empty());

    // The same name once more on the same day; and one that is gone already.
    it.file("Work/a.b", "cur/1.x.h,S=1:2,S", "z");
    it.file("Work/a.b", "cur/gone", "z");
    it.scan("Work/a.b", None, "");
    let known = it.known("Work/a.b", "3:4");
    fs::remove_file(it.mailbox("Work/a.b").path.join("cur/gone")).unwrap();
    assert_eq!(shown(&remove(&it, "Work/a.b", known)), ["removed 3:4"]);
    assert_eq!(
        it.attic(),
        ["Work/a.b/1.x.h,S=1:2,S", "Work/a.b/1.x.h_2,S=1:2,S", "Work/a.b/2.y.h"]
    );
}

#[test]
fn what_was_edited_in_place_is_left_alone() {
    let it = Fixture::new();
    for name in ["cur/a", "cur/b", "cur/c", "cur/d"] {
        it.file("INBOX", name, name);
    }
    it.scan("INBOX", None, "");
    let mut known = it.known("INBOX", "1:4");
    let path = it.mailbox("INBOX").path;
    fs::write(path.join("cur/a"), "other text").unwrap();
    touch(&path.join("cur/b"), 5); // same content, another date
    // Same size, same date, same inode; but not the content that was meant.
    known[2].content = Some(identity(b"another").content);
    known[3].content = None; // then what was read last counts
    assert_eq!(shown(&remove(&it, "INBOX", known)), ["removed 2,4", "differs 1,3"]);
    assert_eq!(it.files("INBOX"), ["cur/a", "cur/c"]);
}

#[test]
fn without_anything_to_compare_with_nothing_is_removed() {
    let it = Fixture::new();
    it.file("INBOX", "cur/a", "a");
    it.scan("INBOX", None, "");
    let nothing = Known {
        id: 1,
        size: None,
        date: None,
        content: None,
    };
    assert_eq!(shown(&remove(&it, "INBOX", vec![nothing])), ["removed ", "differs 1"]);
    let unseen = Known { id: 77, ..nothing };
    assert_eq!(shown(&remove(&it, "INBOX", vec![unseen])), ["gone 77", "removed "]);
}

#[test]
fn the_attic_may_be_on_another_disk() {
    let other = tempfile::tempdir_in("/dev/shm");
    let Ok(other) = other else {
        eprintln!("skipped: no second file system at hand");
        return;
    };
    let it = Fixture::with(|options| options.attic = other.path().join("attic"));
    it.file("INBOX", "cur/a:2,S", "a");
    it.scan("INBOX", None, "");
    touch(&it.mailbox("INBOX").path.join("cur/a:2,S"), 1234);
    let known = it.known("INBOX", "1");
    assert_eq!(shown(&remove(&it, "INBOX", known)), ["removed 1"]);
    assert_eq!(it.attic(), ["INBOX/a:2,S"]);
    let kept = other
        .path()
        .join("attic")
        .join(it.shared().options.today.to_string())
        .join("INBOX/a:2,S");
    let modified = fs::metadata(kept).unwrap().modified().unwrap();
    assert_eq!(modified, crate::maildir::disk::system_time(1234));
}

fn transfer(it: &Fixture, ids: &str, moves: bool) -> Vec<Done> {
    let (mailbox, to, messages) = (it.named("INBOX"), it.named("To"), it.known("INBOX", ids));
    it.write(if moves {
        WriteJob::Move {
            ticket: T,
            mailbox,
            messages,
            to,
        }
    } else {
        WriteJob::Copy {
            ticket: T,
            mailbox,
            messages,
            to,
        }
    })
}

#[test]
fn moved_and_copied_messages_keep_what_they_are() {
    for moves in [true, false] {
        let it = Fixture::new();
        it.mailbox("To");
        it.file("To", "dovecot-keywords", "0 other\n1 todo\n");
        it.file("INBOX", "dovecot-keywords", "0 todo\n");
        it.file("INBOX", "cur/1.a.h:2,SZaz", "A: b\n\na\n");
        it.file("INBOX", "new/2.b.h", "b");
        it.scan("INBOX", None, "");
        let before: Vec<_> = it
            .envelopes("INBOX", "1:2")
            .into_iter()
            .map(|e| (e.content, e.date, e.flags))
            .collect();
        let done = transfer(&it, "1:2", moves);
        assert_eq!(shown(&done), ["1>3,2>4"]);
        let after: Vec<_> = it
            .envelopes("To", "3:4")
            .into_iter()
            .map(|e| (e.content, e.date, e.flags))
            .collect();
        assert_eq!(after, before);
        let files = it.files("To");
        assert!(
            files[0].ends_with(",S=8:2,SZb") && files[1].starts_with("new/"),
            "letters are the target's: {files:?}"
        );
        assert_eq!(it.files("INBOX").len(), if moves { 0 } else { 2 });
        let told = it.scan("INBOX", None, "1:2");
        assert_eq!(told.removed.len(), if moves { 2 } else { 0 });
        assert_eq!(it.scan("To", None, "3:4").added.len(), 0);
    }
}

#[test]
fn verbatim_messages_stay_verbatim_when_they_move() {
    let it = Fixture::new();
    it.mailbox("INBOX");
    it.mailbox("To");
    it.deliver("INBOX", 1, b"bare\nlf\r\n", "", None).unwrap();
    crate::store::Store::flush(&it.maildir).unwrap();
    assert_eq!(shown(&transfer(&it, "1", true)), ["1>2"]);
    it.index.forget_all();
    let id = it.scan("To", None, "").added;
    assert_eq!(
        it.envelopes("To", &id.to_string())[0].content,
        Some(identity(b"bare\nlf\r\n").content)
    );
}

#[test]
fn copies_of_different_dates_share_no_file() {
    use std::os::unix::fs::MetadataExt;
    for (date, links) in [(1000, 2), (2000, 1)] {
        let it = Fixture::new();
        let place = it.mailbox("To");
        it.file("INBOX", "cur/a", "a");
        let path = it.mailbox("INBOX").path.join("cur/a");
        touch(&path, 1000);
        it.scan("INBOX", None, "");
        let mut messages = it.known("INBOX", "1");
        messages[0].date = Some(crate::model::InternalDate(date));
        let job = WriteJob::Copy {
            ticket: T,
            mailbox: it.named("INBOX"),
            messages,
            to: it.named("To"),
        };
        assert_eq!(shown(&it.write(job)), ["1>2"]);
        assert_eq!(fs::metadata(&path).unwrap().nlink(), links);
        let copy = fs::metadata(place.path.join(&it.files("To")[0])).unwrap();
        assert_eq!(copy.mtime(), 1000);
    }
}

#[test]
fn what_is_moved_must_be_what_was_meant() {
    let it = Fixture::new();
    it.mailbox("To");
    for name in ["cur/a", "cur/b", "cur/c"] {
        it.file("INBOX", name, name);
    }
    it.scan("INBOX", None, "");
    let messages = it.known("INBOX", "1:3");
    let path = it.mailbox("INBOX").path;
    fs::write(path.join("cur/a"), "edited").unwrap();
    fs::remove_file(path.join("cur/b")).unwrap();
    let job = WriteJob::Move {
        ticket: T,
        mailbox: it.named("INBOX"),
        messages,
        to: it.named("To"),
    };
    assert_eq!(shown(&it.write(job)), ["3>4", "gone 2", "differs 1"]);
}
