//! Sinks, the flush, and what is on disk then.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::error::{Reach, Retry};
use crate::maildir::LayoutChoice;
use crate::maildir::batch::remove_left_behind;
use crate::maildir::filename::is_ours;
use crate::maildir::testing::{Fixture, identity};
use crate::model::{Flags, InternalDate};
use crate::store::{Head, Landing, Meet, Store};

fn here(landing: &Landing) -> (u64, String) {
    match landing {
        Landing::Here(id, flags) => (*id, flags.to_string()),
        other => panic!("not delivered: {other:?}"),
    }
}

#[test]
fn where_a_message_lies_and_what_it_is_called() {
    // (flags, part of the Maildir, info)
    for (flags, part, info) in [
        ("", "new", ""),
        ("\\Seen", "cur", ":2,S"),
        ("\\Flagged \\Answered \\Draft \\Deleted \\Seen", "cur", ":2,DFRST"),
        ("$Forwarded", "cur", ":2,P"),
        ("todo \\Seen", "cur", ":2,Sa"),
    ] {
        let it = Fixture::new();
        let place = it.mailbox("INBOX");
        let (id, kept) = here(&it.deliver("INBOX", 42, b"A: b\r\n\r\nc\r\n", flags, None).unwrap());
        assert_eq!(kept, Flags::from_names(flags.split_whitespace()).to_string());
        assert!(
            it.files("INBOX").iter().all(|name| name.starts_with("tmp/")),
            "nothing is there before the flush"
        );
        it.maildir.flush().unwrap();

        let files = it.files("INBOX");
        let [name] = files.as_slice() else { panic!("{files:?}") };
        assert!(
            name.starts_with(&format!("{part}/")) && name.ends_with(&format!(",S=8{info}")),
            "{flags}: {name}"
        );
        assert!(name.contains(".H00000007I3U42_"), "{name}");
        let path = place.path.join(name);
        assert_eq!(fs::read(&path).unwrap(), b"A: b\n\nc\n");
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.mtime(), meta.mode() & 0o777), (1_000_000_000, 0o600));
        let told = it.scan("INBOX", None, &id.to_string());
        assert_eq!(
            (told.flags, told.added.len()),
            (vec![(id, kept)], 0),
            "the id is the one that was promised"
        );
    }
}

#[test]
fn the_crate_reads_what_was_delivered() {
    let it = Fixture::with(|options| options.layout = LayoutChoice::MaildirPlusPlus);
    it.mailbox("INBOX");
    it.create("Work/2026");
    it.deliver("INBOX", 1, b"Subject: fresh\r\n\r\none\r\n", "", None)
        .unwrap();
    it.deliver(
        "INBOX",
        2,
        b"Subject: old\r\n\r\ntwo\r\n",
        "\\Seen \\Flagged $Forwarded",
        None,
    )
    .unwrap();
    it.deliver("Work/2026", 3, b"Subject: deep\r\n\r\nthree\r\n", "\\Answered", None)
        .unwrap();
    it.maildir.flush().unwrap();

    let read = |maildir: &maildir::Maildir| -> Vec<(String, String, String)> {
        let entries = maildir.list_new().chain(maildir.list_cur());
        entries
            .map(|entry| {
                let mut entry = entry.unwrap();
                let parsed = entry.parsed().unwrap();
                let subject = parsed
                    .headers
                    .iter()
                    .find(|h| h.get_key() == "Subject")
                    .unwrap()
                    .get_value();
                let body = parsed.get_body().unwrap();
                (subject, body.trim_end().to_owned(), entry.flags().to_owned())
            })
            .collect()
    };
    let row = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    let inbox = maildir::Maildir::from(it.root().to_owned());
    assert_eq!(read(&inbox), [row("fresh", "one", ""), row("old", "two", "FPS")]);
    let sub: Vec<maildir::Maildir> = inbox.list_subdirs().map(Result::unwrap).collect();
    assert_eq!(
        sub.iter().flat_map(read).collect::<Vec<_>>(),
        [row("deep", "three", "R")]
    );
}

#[test]
fn what_cannot_be_turned_back_is_stored_as_it_is() {
    let long = "x".repeat(200_000);
    for mail in [
        "bare\nlf\r\n".to_owned(),
        "bare\rcr\r\n".to_owned(),
        "cr at the end\r".to_owned(),
        format!("{long}\r\n{long}\r\nbare\n"),
        format!("{long}\r\n\r"),
        format!("a\nb\r\n{long}"),
        "\n".to_owned(),
    ] {
        let it = Fixture::new();
        let place = it.mailbox("INBOX");
        it.deliver("INBOX", 1, mail.as_bytes(), "", None).unwrap();
        it.maildir.flush().unwrap();
        let files = it.files("INBOX");
        let [name] = files.as_slice() else { panic!("{files:?}") };
        assert_eq!(fs::read(place.path.join(name)).unwrap(), mail.as_bytes());
        assert!(
            name.ends_with(&format!("V.{}", name.split_once("V.").unwrap().1))
                && name.contains(&format!(",S={}", mail.len()))
        );

        // Even when the state is lost, the name still tells.
        let fresh = it.restarted(|options| options.state = 1);
        fresh.index.forget_all();
        let told = fresh.scan("INBOX", None, "");
        let envelopes = fresh.envelopes("INBOX", &told.added.to_string());
        assert_eq!(envelopes[0].content, Some(identity(mail.as_bytes()).content));
    }
}

#[test]
fn met_messages_and_dropped_ones_leave_nothing() {
    let it = Fixture::new();
    it.mailbox("INBOX");
    let mail = b"A: b\r\n\r\n".repeat(40_000);
    let content = identity(&mail).content;
    let meet = Arc::new(Meet::new([(content, 9)]));
    let first = it.deliver("INBOX", 1, &mail, "", Some(Arc::clone(&meet))).unwrap();
    assert!(matches!(first, Landing::Met(9)), "{first:?}");
    assert!(it.files("INBOX").is_empty());
    let second = it.deliver("INBOX", 2, &mail, "", Some(meet)).unwrap();
    assert!(matches!(second, Landing::Here(..)), "one partner, once: {second:?}");
    it.maildir.flush().unwrap();
    assert_eq!(it.files("INBOX").len(), 1);

    let (appends, _keep) = std::sync::mpsc::sync_channel(1);
    let target = it.maildir.target(appends);
    let head = Head {
        id: 3,
        flags: Flags::none(),
        date: InternalDate(0),
        size: 0,
        object: None,
    };
    for bytes in [mail.clone(), [mail.as_slice(), b"\n"].concat()] {
        let mut sink = target.begin(&it.job("INBOX", "3", "INBOX", None), &head).unwrap();
        sink.write_all(&bytes).unwrap();
        assert_eq!(it.files("INBOX").len(), 2, "it outgrew memory");
        drop(sink);
        assert_eq!(it.files("INBOX").len(), 1);
    }
}

#[test]
fn a_process_that_ends_without_a_flush_leaves_nothing() {
    let it = Fixture::new();
    it.mailbox("INBOX");
    it.deliver("INBOX", 1, b"x\r\n", "", None).unwrap();
    assert_eq!(it.files("INBOX").len(), 1);
    assert!(it.restarted(|_| ()).files("INBOX").is_empty());
}

#[test]
fn a_taken_name_is_not_overwritten() {
    let it = Fixture::new();
    let place = it.mailbox("INBOX");
    let (id, _) = here(&it.deliver("INBOX", 1, b"mine\r\n", "\\Seen", None).unwrap());
    let name = it.files("INBOX")[0].strip_prefix("tmp/").unwrap().to_owned();
    fs::write(place.path.join(format!("cur/{name},S=5:2,S")), "theirs").unwrap();
    it.maildir.flush().unwrap();
    assert_eq!(it.files("INBOX").len(), 2);
    assert_eq!(
        fs::read_to_string(place.path.join(format!("cur/{name},S=5:2,S"))).unwrap(),
        "theirs"
    );
    assert_eq!(
        it.envelopes("INBOX", &id.to_string())[0].content,
        Some(identity(b"mine\r\n").content)
    );
}

#[test]
fn a_link_that_was_made_though_it_was_refused_is_no_second_message() {
    let it = Fixture::new();
    let place = it.mailbox("INBOX");
    it.deliver("INBOX", 1, b"mine\r\n", "", None).unwrap();
    let name = it.files("INBOX")[0].strip_prefix("tmp/").unwrap().to_owned();
    // As NFS leaves it when the answer to LINK is lost and the call is made again: it says that the name is taken.
    let target = place.path.join(format!("new/{name},S=5"));
    fs::hard_link(place.path.join("tmp").join(&name), &target).unwrap();
    it.maildir.flush().unwrap();
    assert_eq!(it.files("INBOX"), [format!("new/{name},S=5")]);
}

#[test]
fn lost_directories_are_made_again_and_lost_mailboxes_are_not() {
    let it = Fixture::new();
    let place = it.mailbox("INBOX");
    for part in ["tmp", "new"] {
        fs::remove_dir(place.path.join(part)).unwrap();
    }
    it.deliver("INBOX", 1, b"x\r\n", "", None).unwrap();
    it.maildir.flush().unwrap();
    assert_eq!(it.files("INBOX").len(), 1);

    fs::remove_dir_all(it.mailbox("Gone").path).unwrap();
    let failure = it.deliver("Gone", 1, b"x\r\n", "", None).unwrap_err();
    assert_eq!(failure.reach, Reach::Mailbox);
}

#[test]
fn leavings_of_ours_are_removed_when_they_are_old() {
    let it = Fixture::new();
    let place = it.mailbox("INBOX");
    for name in ["1.H00000007I1U1_1P1.h", "1.foreign.h", "1.H_1P1.verbatim"] {
        fs::write(place.tmp().join(name), "x").unwrap();
    }
    // As young as this test, whatever their names and dates say: a delivery may be under way.
    it.deliver("INBOX", 1, b"x\r\n", "\\Seen", None).unwrap();
    it.maildir.flush().unwrap();
    assert_eq!(it.files("INBOX").len(), 4);
    std::thread::sleep(Duration::from_millis(1100));
    remove_left_behind(&place, Duration::from_secs(1), is_ours);
    let files = it.files("INBOX");
    assert!(
        files.len() == 2 && files.contains(&"tmp/1.foreign.h".to_owned()),
        "{files:?}"
    );
    fs::create_dir(place.tmp().join("directory")).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    remove_left_behind(&place, Duration::from_secs(1), |_| true);
    let left = fs::read_dir(place.tmp())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["directory"], "others' too, where asked for");
}

#[test]
fn a_message_that_waits_as_a_whole_is_written_too() {
    use crate::store::{Append, Done, Ticket, WriteJob};
    let it = Fixture::new();
    it.mailbox("INBOX");
    let mail = b"A: b\r\n\r\nc\r\n";
    let append = Append {
        ticket: Ticket(1),
        head: crate::store::Head {
            id: 5,
            flags: Flags::from_names(["\\Seen"]),
            date: InternalDate(5),
            size: mail.len() as u64,
            object: None,
        },
        to: it.named("INBOX"),
        identity: identity(mail),
        body: Box::new(std::io::Cursor::new(mail.to_vec())),
    };
    let done = it.write(WriteJob::Append(append));
    assert!(
        matches!(done.as_slice(), [Done::Landed { id: Some(1), .. }]),
        "{done:?}"
    );
    assert_eq!(it.files("INBOX").len(), 1);
}

/// A small tmpfs at `dir`, where we may mount one.
fn small_disk(dir: &Path) -> bool {
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "homing-test"])
        .arg(dir)
        .output();
    mount.is_ok_and(|output| output.status.success())
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_stops_the_account_and_leaves_nothing_half() {
    let disk = tempfile::tempdir().unwrap();
    if !small_disk(disk.path()) {
        eprintln!("skipped: no right to mount a tmpfs");
        return;
    }
    let _unmount = Unmount(disk.path());
    let it = Fixture::with(|options| options.root = disk.path().join("mail"));
    it.mailbox("INBOX");
    it.deliver("INBOX", 1, b"small\r\n", "", None).unwrap();
    let failure = it.deliver("INBOX", 2, &b"x".repeat(600_000), "", None).unwrap_err();
    assert_eq!((failure.reach, failure.retry), (Reach::Account, Retry::Later));
    assert!(
        failure.hint.is_some_and(|hint| hint.contains("space")),
        "{}",
        failure.what
    );
    it.maildir.flush().unwrap();
    let files = it.files("INBOX");
    assert!(files.len() == 1 && files[0].starts_with("new/"), "{files:?}");
}

fn mail() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => Just(b"\r\n".to_vec()),
        1 => prop_oneof![Just(b"\n".to_vec()), Just(b"\r".to_vec()), Just(b"\0".to_vec())],
        6 => proptest::collection::vec(any::<u8>(), 0..9),
        1 => (60_000usize..70_000).prop_map(|n| b"y".repeat(n)),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_come_back(mail in mail()) {
        let it = Fixture::new();
        it.mailbox("INBOX");
        let (id, _) = here(&it.deliver("INBOX", 1, &mail, "", None).unwrap());
        it.maildir.flush().unwrap();
        let envelope = it.envelopes("INBOX", &id.to_string()).remove(0);
        prop_assert_eq!(envelope.content, Some(identity(&mail).content));
        prop_assert_eq!(envelope.size, mail.len() as u64);
    }
}
