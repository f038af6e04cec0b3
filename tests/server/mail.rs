//! The mail is what it says it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::mail::{odd, realistic, small_account};

fn lone_line_end(bytes: &[u8]) -> bool {
    let lf = (0..bytes.len()).any(|i| bytes[i] == b'\n' && (i == 0 || bytes[i - 1] != b'\r'));
    let cr = (0..bytes.len()).any(|i| bytes[i] == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
    lf || cr
}

#[test]
fn odd_mail_is_odd_in_many_ways() {
    let all = odd();
    assert!(all.len() >= 60, "{}", all.len());
    let names: BTreeSet<&str> = all.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "each has a name of its own");
    let mut copies = BTreeMap::<&[u8], usize>::new();
    for message in &all {
        *copies.entry(&message.bytes).or_default() += 1;
    }
    assert_eq!(
        copies.values().filter(|&&n| n > 1).count(),
        2,
        "two kinds of exact copies"
    );
    assert!(all.iter().filter(|m| lone_line_end(&m.bytes)).count() >= 8);
    assert!(all.iter().any(|m| m.bytes.contains(&0)));
    assert!(all.iter().any(|m| m.bytes.len() > 1 << 20));
    assert!(all.iter().all(|m| !m.bytes.is_empty()));
    let sets: BTreeSet<Vec<String>> = all.iter().map(|m| m.flags.clone()).collect();
    assert!(sets.len() >= 32, "all sets of five flags");
    assert_eq!(odd(), all, "the same every time");
}

#[test]
fn realistic_mail_is_the_same_for_a_seed_and_of_all_sizes() {
    let all: Vec<_> = (0..400).map(|n| realistic(1, n)).collect();
    assert_eq!(realistic(1, 7), all[7]);
    assert_ne!(realistic(2, 7), all[7]);
    let mut sizes: Vec<usize> = all.iter().map(|m| m.bytes.len()).collect();
    sizes.sort_unstable();
    assert!((2_000..9_000).contains(&sizes[200]), "median {}", sizes[200]);
    assert!(sizes[399] > 20 * sizes[200], "a long tail: {}", sizes[399]);
    for mail in &all {
        assert!(!lone_line_end(&mail.bytes), "{}", mail.name);
        let header = mail
            .bytes
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .expect("a blank line");
        let header = &mail.bytes[..header];
        assert!(header.starts_with(b"Return-Path: <"), "{}", mail.name);
        assert!(header.is_ascii(), "{}", mail.name);
    }
}

#[test]
fn the_small_account_has_a_bit_of_everything() {
    let all = small_account();
    let mailboxes: BTreeSet<&str> = all.iter().map(|(mailbox, _)| *mailbox).collect();
    assert!(mailboxes.len() >= 5, "{mailboxes:?}");
    assert!(all.iter().all(|(_, m)| !lone_line_end(&m.bytes)));
    let distinct: BTreeSet<&[u8]> = all.iter().map(|(_, m)| &*m.bytes).collect();
    assert_eq!(distinct.len(), all.len());
    for flag in ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "todo"] {
        assert!(all.iter().any(|(_, m)| m.flags.iter().any(|f| f == flag)), "{flag}");
    }
}
