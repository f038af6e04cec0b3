//! What is found after a run was killed.

use std::fs;

use crate::maildir::testing::{Fixture, identity};
use crate::store::{IntentId, Store};

#[test]
fn deliveries_that_were_never_committed_are_found_by_their_names() {
    let it = Fixture::new();
    let place = it.mailbox("INBOX");
    it.deliver("INBOX", 42, b"A: b\r\n\r\n1\r\n", "\\Seen", None).unwrap();
    it.deliver("INBOX", 43, b"A: b\r\n\r\nbare\n", "", None).unwrap();
    it.maildir.flush().unwrap();
    it.file("INBOX", "cur/1.H00000008I3U44_1P1.h:2,", "of another state");
    it.file("INBOX", "cur/1.H00000007I4U45_1P1.h:2,", "of another intent");
    it.file("INBOX", "tmp/1.H00000007I3U46_1P1.h", "half");
    it.file("INBOX", "tmp/1.foreign.h", "not ours");

    // The killed run committed nothing.
    let it = it.restarted(|_| ());
    it.index.forget_all();
    let moved = it.files("INBOX").into_iter().find(|name| name.contains("U43")).unwrap();
    fs::rename(
        place.path.join(&moved),
        place.path.join(moved.replace("new/", "cur/") + ":2,F"),
    )
    .unwrap();
    let mut found = it
        .maildir
        .delivered(&[(IntentId(3), it.named("INBOX")), (IntentId(3), it.named("Gone"))])
        .unwrap();
    found.sort_by_key(|delivered| delivered.source);
    let shown: Vec<String> = found
        .iter()
        .map(|d| format!("{} {} {} {}", d.intent.0, d.source, d.flags, d.date.0))
        .collect();
    assert_eq!(shown, ["3 42 \\Seen 1000000000", "3 43 \\Flagged 1000000000"]);
    assert_eq!(found[0].identity, identity(b"A: b\r\n\r\n1\r\n"));
    assert_eq!(found[1].identity, identity(b"A: b\r\n\r\nbare\n"), "stored verbatim");
    assert!(
        !it.files("INBOX").iter().any(|name| name.contains("U46")),
        "what is half is dropped"
    );
    assert!(it.files("INBOX").contains(&"tmp/1.foreign.h".to_owned()));

    let ids = format!("{},{}", found[0].id, found[1].id);
    let told = it.scan("INBOX", None, &ids);
    assert_eq!(
        (told.flags.len(), told.added.len()),
        (2, 2),
        "they keep the ids that were told"
    );
}
