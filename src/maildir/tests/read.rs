//! Reading messages into a target, and what they are known by.

use std::fs;

use crate::error::Retry;
use crate::maildir::testing::{Fixture, identity, touch};
use crate::store::Done;

/// What became of each message, shortly.
fn summary(done: &[Done]) -> Vec<String> {
    done.iter()
        .map(|done| match done {
            Done::Landed { head, flags, .. } => format!("{} landed {flags}", head.id),
            Done::Gone(ids) => format!("{ids} gone"),
            Done::Failed(ids, failure) => format!("{ids} failed {:?}", failure.retry),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn from_one_maildir_into_another() {
    let (it, other) = (Fixture::new(), Fixture::new());
    // The caller has one number for a mailbox on both sides.
    other.mailbox("INBOX");
    other.mailbox("Copy");
    it.file("INBOX", "cur/1.a.h:2,FS", "A: b\n\nlf\n");
    it.file("INBOX", "new/2.b.h", "A: b\r\n\r\ncrlf\nmixed\n");
    touch(&it.mailbox("INBOX").path.join("cur/1.a.h:2,FS"), 77);
    it.scan("INBOX", None, "");
    let done = it.read_into(it.job("INBOX", "1:3", "Copy", None), &other);
    assert_eq!(summary(&done), ["3 gone", "2 landed ", "1 landed \\Seen \\Flagged"]);
    crate::store::Store::flush(&other.maildir).unwrap();

    let [first, second] = [b"A: b\r\n\r\nlf\r\n".as_slice(), b"A: b\r\n\r\ncrlf\r\nmixed\r\n"].map(identity);
    match &done[2] {
        Done::Landed { head, identity, .. } => {
            assert_eq!((head.date.0, head.size, identity), (77, first.size, &first));
        }
        other => panic!("{other:?}"),
    }
    let there = other.envelopes("Copy", "1:9");
    let contents: Vec<_> = there.iter().map(|envelope| (envelope.content, envelope.size)).collect();
    assert_eq!(
        contents,
        [(Some(second.content), second.size), (Some(first.content), first.size)]
    );
    assert_eq!(there[1].date.0, 77);
}

#[test]
fn what_envelopes_tell() {
    let it = Fixture::new();
    let text = "Message-ID: <1@example.org>\nSubject: x\n\nbody\n";
    it.file("INBOX", "cur/1.a.h:2,S", text);
    it.file("INBOX", "cur/2.b.h:2,", "");
    // A file that nobody can read from its beginning.
    std::os::unix::fs::symlink("/proc/self/mem", it.mailbox("INBOX").path.join("cur/3.c.h:2,F")).unwrap();
    it.scan("INBOX", None, "");
    let mut found = it.envelopes("INBOX", "1:5");
    let unread = found.pop().unwrap();
    let told = (unread.id, unread.size, unread.flags.to_string());
    assert_eq!(told, (3, 0, "\\Flagged".into()), "what the file is like from outside");
    assert_eq!((unread.content, unread.header, unread.envelope), (None, None, None));
    let expected = identity(text.replace('\n', "\r\n").as_bytes());
    assert_eq!(found.len(), 2, "what is gone is left out");
    let first = &found[0];
    assert_eq!(
        (first.size, first.content, first.header),
        (expected.size, Some(expected.content), Some(expected.header))
    );
    assert_eq!(
        (first.envelope, first.flags.to_string().as_str()),
        (expected.envelope, "\\Seen")
    );
    assert_eq!((found[1].size, found[1].envelope), (0, None));
}

#[test]
fn too_large_is_told_by_the_size_on_the_wire() {
    let (it, other) = (Fixture::new(), Fixture::new());
    other.mailbox("Copy");
    it.file("INBOX", "cur/1.a.h:2,", "1\n2\n3\n4\n");
    it.scan("INBOX", None, "");
    for (limit, expected) in [(7, "1 failed Never"), (11, "1 failed Never"), (12, "1 landed ")] {
        let job = crate::store::ReadJob {
            max_size: Some(limit),
            ..it.job("INBOX", "1", "Copy", None)
        };
        assert_eq!(summary(&it.read_into(job, &other)), [expected], "{limit}");
    }
}

#[test]
fn one_bad_file_blocks_no_other() {
    let (it, other) = (Fixture::new(), Fixture::new());
    other.mailbox("Copy");
    let place = it.mailbox("INBOX");
    it.file("INBOX", "cur/1.a.h:2,", "a");
    std::os::unix::fs::symlink("/dev/null", place.path.join("cur/2.b.h:2,")).unwrap();
    it.file("INBOX", "cur/3.c.h:2,", "c");
    assert_eq!(it.scan("INBOX", None, "").added.to_string(), "1:3");
    let done = it.read_into(it.job("INBOX", "1:3", "Copy", None), &other);
    assert_eq!(summary(&done), ["3 landed ", "2 failed Later", "1 landed "]);
    assert_eq!(it.envelopes("INBOX", "1:3").len(), 2);
    assert!(
        matches!(&done[1], Done::Failed(_, failure) if failure.retry == Retry::Later && failure.what.contains("2.b.h"))
    );
}

#[test]
fn a_renamed_file_is_read_with_the_flags_that_it_has_by_then() {
    let (it, other) = (Fixture::new(), Fixture::new());
    other.mailbox("Copy");
    let place = it.mailbox("INBOX");
    it.file("INBOX", "new/1.a.h", "a");
    it.scan("INBOX", None, "");
    fs::rename(place.path.join("new/1.a.h"), place.path.join("cur/1.a.h:2,RS")).unwrap();
    let done = it.read_into(it.job("INBOX", "1", "Copy", None), &other);
    assert_eq!(summary(&done), ["1 landed \\Seen \\Answered"]);
}

#[test]
fn a_missing_mailbox_fails_the_job_and_ends_it() {
    let (it, other) = (Fixture::new(), Fixture::new());
    let done = it.read_into(it.job("Missing", "1:2", "Copy", None), &other);
    assert_eq!(summary(&done), ["1:2 failed Later"]);
}
