//! Merging flags. Each flag by itself; a change is a difference of a side to its own base.

use super::{Policy, Rule};
use crate::model::{Flags, Pair, Side, System};

/// What to do about the flags of one pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// To set on the left and on the right.
    pub add: [Flags; 2],
    /// To clear on the left and on the right.
    pub remove: [Flags; 2],
    /// Set by both alike, or already there: only to be written down.
    pub agreed_add: Flags,
    /// Cleared by both alike, or already absent: only to be written down.
    pub agreed_remove: Flags,
}

/// Merges three ways. Where the sides contradict each other (possible only where their bases differ) setting wins.
pub fn merge(base: [&Flags; 2], now: [&Flags; 2]) -> Merge {
    let set = [now[0].minus(base[0]), now[1].minus(base[1])];
    let cleared = [base[0].minus(now[0]), base[1].minus(now[1])];
    let add = set[0].union(&set[1]);
    let remove = cleared[0].union(&cleared[1]).minus(&add);
    let missing = |side: usize| add.minus(now[side]);
    let extra = |side: usize| remove.intersection(now[side]);
    Merge {
        add: [missing(0), missing(1)],
        remove: [extra(0), extra(1)],
        agreed_add: add.intersection(now[0]).intersection(now[1]),
        agreed_remove: remove.minus(now[0]).minus(now[1]),
    }
}

/// Without a base: both get what either has, except that `\Deleted` is never added to a message.
pub(super) fn union(now: [&Flags; 2]) -> [Flags; 2] {
    let missing = |side: usize| {
        let mut missing = now[1 - side].minus(now[side]);
        missing.system = missing.system.minus(System::DELETED);
        missing
    };
    [missing(0), missing(1)]
}

/// The base of a side whose flags were sent and are now seen for the first time: what is missing was dropped by the
/// store, which is no change (HAZARDS 14); what was set there since stays a change.
pub fn first_sight(sent: &Flags, seen: &Flags) -> Flags {
    sent.intersection(seen)
}

/// What an earlier run sent to that side is seen there for the first time. A flag that is missing was dropped by the store,
/// or somebody took it away since; nobody can tell. So neither base has it: it is a change of the side that still has it, it
/// is set once more, and what the store answers to that is believed. `\Deleted` is not: in doubt nothing is marked.
pub fn seen_late(pair: &mut Pair, on: Side, seen: &Flags, policy: &Policy) {
    let copy = &mut pair.halves[on as usize];
    let mut missing = copy.flags.minus(seen);
    missing.system = missing.system.minus(System::DELETED);
    (copy.flags, copy.unseen) = (first_sight(&copy.flags, seen), false);
    // Where the policy carries over nothing from there, that would be a change to keep or even to undo.
    if policy.of(on.other()).flags == Rule::Spread {
        let original = &mut pair.halves[on.other() as usize];
        original.flags = original.flags.minus(&missing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ContentDigest, Half, HeaderDigest, MailboxId, PairId};

    fn flags(names: &str) -> Flags {
        Flags::from_names(names.split_whitespace())
    }

    #[test]
    fn merge_table() {
        // base left | base right | now left | now right | add left | add right | remove left | remove right | agreed
        let rows = [
            ("", "", "\\Seen", "", "", "\\Seen", "", "", ""),
            ("\\Seen", "\\Seen", "", "\\Seen", "", "", "", "\\Seen", ""),
            (
                "\\Seen",
                "\\Seen",
                "",
                "\\Seen \\Flagged",
                "\\Flagged",
                "",
                "",
                "\\Seen",
                "",
            ),
            ("", "", "\\Seen", "\\Seen", "", "", "", "", "+\\Seen"),
            ("a", "a", "", "", "", "", "", "", "-a"),
            // A side that cannot hold a keyword makes no change by lacking it, and is not asked again.
            ("kw", "", "kw", "", "", "", "", "", ""),
            ("kw \\Seen", "\\Seen", "kw", "\\Seen", "", "", "", "\\Seen", ""),
            // Contradiction: the right got it while the left dropped it.
            ("kw", "", "", "kw", "kw", "", "", "", ""),
            // Keywords compare without case.
            ("", "", "Work", "work", "", "", "", "", "+work"),
        ];
        for (base_l, base_r, now_l, now_r, add_l, add_r, remove_l, remove_r, agreed) in rows {
            let merged = merge([&flags(base_l), &flags(base_r)], [&flags(now_l), &flags(now_r)]);
            let (plus, minus): (Vec<&str>, Vec<&str>) = agreed.split_whitespace().partition(|a| a.starts_with('+'));
            let list = |v: Vec<&str>| flags(&v.iter().map(|a| &a[1..]).collect::<Vec<_>>().join(" "));
            let expected = Merge {
                add: [flags(add_l), flags(add_r)],
                remove: [flags(remove_l), flags(remove_r)],
                agreed_add: list(plus),
                agreed_remove: list(minus),
            };
            assert_eq!(merged, expected, "{base_l}|{base_r}|{now_l}|{now_r}");
        }
    }

    #[test]
    fn union_never_adds_deleted() {
        let [left, right] = union([&flags("\\Deleted \\Seen"), &flags("\\Flagged")]);
        assert_eq!((left, right), (flags("\\Flagged"), flags("\\Seen")));
    }

    #[test]
    fn what_is_missing_from_a_copy_seen_late_is_in_neither_base() {
        // base of both | seen on the copy | policy for the original | base of the copy | base of the original
        let rows = [
            ("\\Seen todo", "\\Seen", Policy::SYNC, "\\Seen", "\\Seen"),
            ("\\Seen", "\\Seen \\Flagged", Policy::SYNC, "\\Seen", "\\Seen"),
            // In doubt nothing is marked as deleted.
            ("\\Seen \\Deleted", "", Policy::SYNC, "", "\\Deleted"),
            // The left keeps its changes: what it has stays in its base.
            ("\\Seen todo", "\\Seen", Policy::PULL, "\\Seen", "\\Seen todo"),
        ];
        for (sent, seen, policy, copy, original) in rows {
            let half = |unseen| Half {
                flags: flags(sent),
                unseen,
                ..Default::default()
            };
            let mut pair = Pair {
                id: PairId(1),
                mailbox: MailboxId(1),
                halves: [half(false), half(true)],
                size: 1,
                content: ContentDigest([0; 16]),
                header: HeaderDigest([0; 16]),
                envelope: None,
            };
            seen_late(&mut pair, Side::Right, &flags(seen), &policy);
            let [left, right] = pair.halves;
            assert_eq!(
                (left.flags, right.flags),
                (flags(original), flags(copy)),
                "{sent}|{seen}"
            );
            assert!(!right.unseen);
        }
    }

    #[test]
    fn dropped_at_first_sight_is_no_change() {
        assert_eq!(
            first_sight(&flags("\\Seen kw"), &flags("\\Seen \\Flagged")),
            flags("\\Seen")
        );
    }
}
