//! A law: whatever others do to a mailbox, a scan tells just that.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;

use crate::maildir::index::FileIndex as _;
use crate::maildir::testing::Fixture;
use crate::model::{Flags, IdSet};
use crate::store::{Done, Ticket, WriteJob};

/// What somebody does between two scans; numbers pick files.
#[derive(Clone, Debug)]
enum Deed {
    Arrive,
    /// A mail program notices the file and gives it these letters.
    Rename(usize, &'static str),
    Remove(usize),
    /// Somebody restores a copy under the same unique part.
    Restore(usize),
    /// homing itself flags a message.
    Flag(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => Just(Deed::Arrive),
        3 => (0usize..20, prop_oneof![Just(""), Just("S"), Just("FS"), Just("RS"), Just("Zq")]).prop_map(|(n, l)| Deed::Rename(n, l)),
        2 => (0usize..20).prop_map(Deed::Remove),
        1 => (0usize..20).prop_map(Deed::Restore),
        1 => (0usize..20).prop_map(Deed::Flag),
    ]
}

/// The truth: each message by its unique part, with the name of its file.
type Truth = BTreeMap<String, String>;

fn letters(name: &str) -> &str {
    name.split_once(":2,").map_or("", |(_, letters)| letters)
}

fn act(it: &Fixture, truth: &mut Truth, known: &BTreeMap<u64, String>, deed: &Deed, count: &mut u32) {
    let path = it.mailbox("INBOX").path;
    let pick = |n: usize| {
        truth
            .iter()
            .nth(n % truth.len().max(1))
            .map(|(unique, name)| (unique.clone(), name.clone()))
    };
    match *deed {
        Deed::Arrive => {
            *count += 1;
            let unique = format!("{}.x.h", (*count).wrapping_mul(7919) % 1000);
            let name = format!("new/{unique}");
            fs::write(path.join(&name), format!("message {count}")).unwrap();
            truth.insert(unique, name);
        }
        Deed::Rename(n, letters) => {
            if let Some((unique, old)) = pick(n) {
                let new = format!("cur/{unique}:2,{letters}");
                fs::rename(path.join(old), path.join(&new)).unwrap();
                truth.insert(unique, new);
            }
        }
        Deed::Remove(n) => {
            if let Some((unique, old)) = pick(n) {
                fs::remove_file(path.join(old)).unwrap();
                // A copy that was restored goes with it.
                let _ = fs::remove_file(path.join(format!("new/{unique}")));
                truth.remove(&unique);
            }
        }
        Deed::Restore(n) => {
            if let Some((unique, old)) = pick(n)
                && !old.starts_with("new/")
            {
                fs::copy(path.join(old), path.join(format!("new/{unique}"))).unwrap();
            }
        }
        Deed::Flag(n) => {
            let Some((unique, old)) = pick(n) else { return };
            let Some((&id, _)) = known.iter().find(|(_, known)| **known == unique) else {
                return;
            };
            let double = path.join(format!("new/{unique}"));
            let (mailbox, ids) = (it.named("INBOX"), IdSet::range(id..=id));
            let (add, remove) = (Flags::from_names(["\\Flagged"]), Flags::none());
            let done = it.write(WriteJob::Flags {
                ticket: Ticket(1),
                mailbox,
                ids,
                add,
                remove,
            });
            assert!(matches!(&done[0], Done::Flags(flags) if flags[0].0 == id), "{done:?}");
            let mut all: Vec<char> = letters(&old).chars().chain(['F']).collect();
            all.sort_unstable();
            all.dedup();
            let new = format!("cur/{unique}:2,{}", all.into_iter().collect::<String>());
            assert!(path.join(&new).exists() && (old == new || !path.join(&old).exists() || double.exists()));
            truth.insert(unique, new);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn a_scan_tells_what_happened(rounds in proptest::collection::vec(proptest::collection::vec(deed(), 0..8), 1..6)) {
        let it = Fixture::new();
        it.mailbox("INBOX");
        let (mut truth, mut known, mut count) = (Truth::new(), BTreeMap::<u64, String>::new(), 0);
        for deeds in &rounds {
            for deed in deeds {
                act(&it, &mut truth, &known, deed, &mut count);
            }
            let ids: IdSet = known.keys().copied().collect();
            let told = it.scan("INBOX", None, &ids.to_string());
            prop_assert!(told.complete, "{:?}", told.failure);

            for id in told.removed.iter() {
                let unique = known.remove(&id);
                prop_assert!(unique.is_some_and(|unique| !truth.contains_key(&unique)), "{} is not gone", id);
            }
            let mut names = BTreeMap::new();
            it.index.names(it.named("INBOX").id, &mut |id, unique| drop(names.insert(id, unique.to_vec()))).unwrap();
            let unique_of = |id| names.get(&id).map(|unique| String::from_utf8(unique.clone()).unwrap());
            for id in told.added.iter() {
                prop_assert!(known.insert(id, unique_of(id).unwrap()).is_none(), "{} was known", id);
            }
            prop_assert_eq!(known.values().cloned().collect::<std::collections::BTreeSet<_>>(), truth.keys().cloned().collect());
            for (id, flags) in &told.flags {
                let name = &truth[&known[id]];
                let seen = letters(name).contains('S');
                prop_assert_eq!(flags.contains("\\Seen"), seen, "{}", name);
            }
            prop_assert_eq!(it.files("INBOX").len(), truth.len(), "doubles are in the attic");
        }
    }
}
