//! Scanning: what is told for which state of the disk.

use std::fs;
use std::time::{Duration, Instant};

use crate::maildir::place::Part;
use crate::maildir::testing::{Fixture, Told, touch};
use crate::store::Source;

fn summary(told: &Told) -> String {
    let flags: Vec<String> = told.flags.iter().map(|(id, flags)| format!("{id}={flags}")).collect();
    assert!(told.complete != told.failure.is_some(), "exactly one ending");
    format!("+{} -{} {}", told.added, told.removed, flags.join(","))
}

#[test]
fn the_life_of_a_mailbox() {
    let it = Fixture::new();
    it.file("INBOX", "new/1.a.h", "a");
    it.file("INBOX", "cur/2.b.h:2,S", "b");
    let first = it.scan("INBOX", None, "");
    assert_eq!(summary(&first), "+1:2 - ");
    let point = first.checkpoint.as_ref();

    // Told again what it knows, it tells flags; told less, it tells the rest with the same ids.
    assert_eq!(summary(&it.scan("INBOX", point, "1:2")), "+ - 1=,2=\\Seen");
    assert_eq!(summary(&it.scan("INBOX", point, "2")), "+1 - 2=\\Seen");

    let path = it.mailbox("INBOX").path;
    fs::rename(path.join("new/1.a.h"), path.join("cur/1.a.h:2,RS")).unwrap();
    fs::remove_file(path.join("cur/2.b.h:2,S")).unwrap();
    it.file("INBOX", "new/3.c.h", "c");
    assert_eq!(summary(&it.scan("INBOX", point, "1:2")), "+3 -2 1=\\Seen \\Answered");

    // What is gone and counted on by nobody is forgotten: the same name is a new message then.
    assert_eq!(summary(&it.scan("INBOX", point, "1,3")), "+ - 1=\\Seen \\Answered,3=");
    it.file("INBOX", "cur/2.b.h:2,S", "b");
    assert_eq!(summary(&it.scan("INBOX", point, "1,3")), "+4 - 1=\\Seen \\Answered,3=");
}

#[test]
fn odd_infos() {
    let it = Fixture::new();
    for name in [
        "cur/a:1,S",
        "cur/b:2,SF",
        "cur/c:2,SZa",
        "cur/d",
        "cur/e:2,F,x",
        "new/f:2,T",
        "cur/g:2",
        "cur/h!2,S",
    ] {
        it.file("INBOX", name, "x");
    }
    assert_eq!(summary(&it.scan("INBOX", None, "")), "+1:8 - ");
    assert_eq!(
        summary(&it.scan("INBOX", None, "1:8")),
        "+ - 1=,2=\\Seen \\Flagged,3=\\Seen,4=,5=\\Flagged,6=\\Deleted,7=,8="
    );
}

#[test]
fn a_directory_that_was_replaced_removes_nothing() {
    let it = Fixture::new();
    it.file("INBOX", "cur/a:2,", "a");
    it.file("INBOX", "cur/b:2,", "b");
    let first = it.scan("INBOX", None, "");
    let path = it.mailbox("INBOX").path;
    fs::rename(&path, it.root().join("INBOX.old")).unwrap();
    it.file("INBOX", "cur/a:2,S", "a");
    it.file("INBOX", "cur/c:2,", "c");
    let told = it.scan("INBOX", first.checkpoint.as_ref(), "1:2");
    assert_ne!(told.validity, first.validity);
    assert_eq!(summary(&told), "+1,3 - ", "known parts keep their ids");
}

#[test]
fn a_renamed_mailbox_is_the_same() {
    let it = Fixture::new();
    it.file("A", "cur/a:2,", "a");
    let first = it.scan("A", None, "");
    fs::rename(it.root().join("A"), it.root().join("INBOX")).unwrap();
    let identities = |it: &Fixture| it.shared().survey().unwrap().mailboxes.remove(0).identity;
    let identity = identities(&it);
    assert_eq!(it.scan("INBOX", None, "").validity, first.validity);
    fs::rename(it.root().join("INBOX"), it.root().join("C")).unwrap();
    assert_eq!(identities(&it), identity);
}

#[test]
fn what_cannot_be_listed_is_partial() {
    let it = Fixture::new();
    let told = it.scan("Missing", None, "1:5");
    assert!(!told.complete && told.removed.is_empty() && told.validity == 0);
    it.file("INBOX", "cur/a", "a");
    fs::remove_dir(it.mailbox("INBOX").part(Part::New)).unwrap();
    assert_eq!(summary(&it.scan("INBOX", None, "")), "+1 - ");
    it.shared()
        .options
        .stop
        .store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(it.scan("INBOX", None, "").failure.is_some());
}

#[test]
fn nothing_happened_is_believed_only_when_the_clock_allows() {
    let it = Fixture::new();
    it.file("INBOX", "cur/a:2,", "a");
    let status = |it: &Fixture| it.maildir.survey().unwrap().mailboxes.remove(0).status.unwrap();
    let told = it.scan("INBOX", None, "");
    assert!(
        !it.maildir.untouched(&status(&it), told.checkpoint.as_ref().unwrap()),
        "it was just made"
    );

    let place = it.mailbox("INBOX");
    for part in [Part::New, Part::Cur] {
        let dir = fs::File::open(place.part(part)).unwrap();
        dir.set_modified(std::time::SystemTime::now() - Duration::from_secs(10))
            .unwrap();
    }
    let old = it.scan("INBOX", None, "1").checkpoint.unwrap();
    assert!(it.maildir.untouched(&status(&it), &old));
    fs::rename(place.path.join("cur/a:2,"), place.path.join("cur/a:2,S")).unwrap();
    assert!(!it.maildir.untouched(&status(&it), &old), "flags");
    let newer = it.scan("INBOX", None, "1").checkpoint.unwrap();
    assert!(!it.maildir.untouched(&status(&it), &newer), "too young");
}

#[test]
fn a_dry_run_changes_nothing() {
    let it = Fixture::with(|options| options.read_only = true);
    it.file("INBOX", "new/a", "a");
    assert!(it.scan("INBOX", None, "").read_only);
    assert_eq!(it.files("INBOX"), ["new/a"]);
    assert!(it.deliver("INBOX", 1, b"x\r\n", "", None).is_err());
    assert!(matches!(it.create("X").as_slice(), [crate::store::Done::Failed(..)]));
}

#[test]
fn a_large_mailbox_is_listed_in_linear_time() {
    let it = Fixture::new();
    let place = it.mailbox("INBOX");
    // Hard links of a few files: names are what this is about.
    fs::write(place.path.join("seed"), "x").unwrap();
    let count = 100_000_u64;
    for n in 0..count {
        let seed = place.path.join(format!("seed{}", n / 50_000));
        if n % 50_000 == 0 {
            fs::write(&seed, "x").unwrap();
        }
        // Neither names nor ids in order.
        fs::hard_link(
            &seed,
            place
                .path
                .join(format!("cur/{}.{n}.h:2,S", n.wrapping_mul(7_919) % count)),
        )
        .unwrap();
    }
    let begun = Instant::now();
    assert_eq!(it.scan("INBOX", None, "").added.len(), count);
    let told = it.scan("INBOX", None, &format!("1:{count}"));
    assert_eq!((told.flags.len() as u64, told.removed.len()), (count, 0));
    assert!(begun.elapsed() < Duration::from_secs(20), "took {:?}", begun.elapsed());
}

#[test]
fn many_mailboxes_at_once() {
    let it = Fixture::new();
    let names: Vec<String> = (0..40).map(|n| format!("M{n}")).collect();
    let since: Vec<_> = names
        .iter()
        .map(|name| {
            it.file(name, "new/a", "x");
            crate::model::Since {
                mailbox: it.named(name),
                checkpoint: None,
                known: crate::model::IdSet::new(),
                full: false,
                permanent: false,
            }
        })
        .collect();
    let mut ended = Vec::new();
    it.maildir
        .changes(&since, &mut |(id, seen)| {
            if let crate::model::Seen::Complete(_) = seen {
                ended.push(id);
            }
        })
        .unwrap();
    ended.sort();
    assert_eq!(ended, since.iter().map(|since| since.mailbox.id).collect::<Vec<_>>());
}

#[test]
fn touching_a_file_is_no_change() {
    let it = Fixture::new();
    it.file("INBOX", "cur/a:2,", "a");
    it.scan("INBOX", None, "");
    touch(&it.mailbox("INBOX").path.join("cur/a:2,"), 5);
    assert_eq!(summary(&it.scan("INBOX", None, "1")), "+ - 1=");
}
