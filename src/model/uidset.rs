//! Sets of ids, kept as sorted ranges: a mailbox of a million messages is a handful of words.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::message::Id;

/// A set of message ids of one mailbox, as ascending ranges that neither overlap nor touch.
///
/// [`fmt::Display`] writes the `sequence-set` grammar of RFC 9051 §9 (`1:3,7`), always ascending
/// and never with `*`.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct IdSet {
    ranges: Vec<(Id, Id)>,
}

impl IdSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// The set of one range; empty when the range is.
    pub fn range(range: RangeInclusive<Id>) -> Self {
        let mut set = Self::new();
        set.insert_range(range);
        set
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many ids are in it; of all that there are, one too few.
    pub fn len(&self) -> u64 {
        self.ranges
            .iter()
            .fold(0, |sum: u64, (a, b)| sum.saturating_add((b - a).saturating_add(1)))
    }

    /// Whether `id` is in it.
    pub fn contains(&self, id: Id) -> bool {
        let at = self.ranges.partition_point(|&(_, end)| end < id);
        self.ranges.get(at).is_some_and(|&(start, _)| start <= id)
    }

    /// Adds one id; true if it was not there before. Appending in ascending order costs O(1).
    pub fn insert(&mut self, id: Id) -> bool {
        if self.contains(id) {
            return false;
        }
        self.insert_range(id..=id);
        true
    }

    /// Adds a range; an empty one changes nothing.
    pub fn insert_range(&mut self, range: RangeInclusive<Id>) {
        let (mut start, mut end) = range.into_inner();
        if start > end {
            return;
        }
        // Every range that overlaps or touches the new one is merged into it.
        let from = self.ranges.partition_point(|&(_, e)| e.saturating_add(1) < start);
        let to = from + self.ranges[from..].partition_point(|&(s, _)| s <= end.saturating_add(1));
        if from < to {
            start = start.min(self.ranges[from].0);
            end = end.max(self.ranges[to - 1].1);
        }
        self.ranges.splice(from..to, [(start, end)]);
    }

    /// Takes one id out; true if it was there.
    pub fn remove(&mut self, id: Id) -> bool {
        let at = self.ranges.partition_point(|&(_, end)| end < id);
        let Some(&(start, end)) = self.ranges.get(at) else {
            return false;
        };
        if id < start {
            return false;
        }
        let left = (start < id).then(|| (start, id - 1));
        let right = (id < end).then(|| (id + 1, end));
        self.ranges.splice(at..=at, left.into_iter().chain(right));
        true
    }

    /// Everything that is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (mut big, small) = if self.ranges.len() >= other.ranges.len() {
            (self.clone(), other)
        } else {
            (other.clone(), self)
        };
        for range in small.ranges() {
            big.insert_range(range);
        }
        big
    }

    /// Everything that is in `self` and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let mut cuts = other.ranges.iter().copied().peekable();
        for &(mut start, end) in &self.ranges {
            while cuts.next_if(|&(_, cut_end)| cut_end < start).is_some() {}
            let mut open = true;
            while let Some(&(cut_start, cut_end)) = cuts.peek() {
                if cut_start > end {
                    break;
                }
                if start < cut_start {
                    out.push((start, cut_start - 1));
                }
                if cut_end >= end {
                    open = false;
                    break;
                }
                start = start.max(cut_end + 1);
                cuts.next();
            }
            if open && start <= end {
                out.push((start, end));
            }
        }
        Self { ranges: out }
    }

    /// Everything that is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let (mut a, mut b) = (self.ranges.as_slice(), other.ranges.as_slice());
        while let ([(a0, a1), a_rest @ ..], [(b0, b1), b_rest @ ..]) = (a, b) {
            let (start, end) = (*a0.max(b0), *a1.min(b1));
            if start <= end {
                out.push((start, end));
            }
            if a1 <= b1 {
                a = a_rest;
            } else {
                b = b_rest;
            }
        }
        Self { ranges: out }
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = RangeInclusive<Id>> + ExactSizeIterator + '_ {
        self.ranges.iter().map(|&(a, b)| a..=b)
    }

    /// The ids, ascending (`.rev()` for newest first).
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Id> + '_ {
        self.ranges.iter().flat_map(|&(a, b)| a..=b)
    }

    /// The smallest id.
    pub fn first(&self) -> Option<Id> {
        self.ranges.first().map(|r| r.0)
    }

    /// The largest id.
    pub fn last(&self) -> Option<Id> {
        self.ranges.last().map(|r| r.1)
    }

    /// Cut into sets of at most `size` ids each, ascending. `size` must be at least 1.
    pub fn chunks(&self, size: u64) -> Vec<Self> {
        let mut out: Vec<Self> = Vec::new();
        let mut room = 0;
        for &(mut start, end) in &self.ranges {
            while start <= end {
                if room == 0 {
                    out.push(Self::new());
                    room = size.max(1);
                }
                let stop = end.min(start.saturating_add(room - 1));
                room -= stop - start + 1;
                out.last_mut().expect("just pushed").ranges.push((start, stop));
                if stop == Id::MAX {
                    return out;
                }
                start = stop + 1;
            }
        }
        out
    }
}

impl FromIterator<Id> for IdSet {
    fn from_iter<I: IntoIterator<Item = Id>>(ids: I) -> Self {
        let mut set = Self::new();
        set.extend(ids);
        set
    }
}

impl Extend<Id> for IdSet {
    fn extend<I: IntoIterator<Item = Id>>(&mut self, ids: I) {
        for id in ids {
            self.insert(id);
        }
    }
}

impl fmt::Display for IdSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, &(a, b)) in self.ranges.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if a == b {
                write!(f, "{comma}{a}")?;
            } else {
                write!(f, "{comma}{a}:{b}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for IdSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

/// A text that is not a `sequence-set` without `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadIdSet(pub String);

impl fmt::Display for BadIdSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a set of ids: {:?}", self.0)
    }
}

impl std::error::Error for BadIdSet {}

impl FromStr for IdSet {
    type Err = BadIdSet;

    /// Reads `1:3,7`, in any order and with reversed ranges, as servers send them. The empty text is the empty set.
    fn from_str(text: &str) -> Result<Self, BadIdSet> {
        let bad = || BadIdSet(text.chars().take(80).collect());
        let number = |s: &str| s.parse::<Id>().map_err(|_| bad());
        let mut set = Self::new();
        for part in text.split(',').filter(|p| !p.is_empty()) {
            let (a, b) = part.split_once(':').unwrap_or((part, part));
            let (a, b) = (number(a)?, number(b)?);
            set.insert_range(a.min(b)..=a.max(b));
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(text: &str) -> IdSet {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_writes_ranges() {
        for (input, output) in [
            ("", ""),
            ("1", "1"),
            ("1,2,3", "1:3"),
            ("9:7,1", "1,7:9"),
            ("5,2:3", "2:3,5"),
            ("1:4,3:8,10", "1:8,10"),
        ] {
            assert_eq!(set(input).to_string(), output, "{input}");
        }
        for bad in ["*", "1:*", "a", "1:2:3", "-1", "99999999999999999999"] {
            assert!(bad.parse::<IdSet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_set_of_all_there_are_is_counted() {
        assert_eq!(IdSet::range(0..=Id::MAX).len(), Id::MAX);
        assert_eq!(IdSet::range(1..=Id::MAX).len(), Id::MAX);
    }

    #[test]
    fn chunks_keep_order_and_size() {
        let chunks: Vec<String> = set("1:5,8,10:12").chunks(4).iter().map(ToString::to_string).collect();
        assert_eq!(chunks, ["1:4", "5,8,10:11", "12"]);
        assert!(IdSet::new().chunks(3).is_empty());
    }

    fn ids() -> impl Strategy<Value = BTreeSet<Id>> {
        proptest::collection::btree_set(0u64..60, 0..40)
    }

    proptest! {
        #[test]
        fn agrees_with_a_tree(a in ids(), b in ids(), x in 0u64..60) {
            let (sa, sb): (IdSet, IdSet) = (a.iter().copied().collect(), b.iter().rev().copied().collect());
            prop_assert_eq!(sa.iter().collect::<BTreeSet<_>>(), a.clone());
            prop_assert_eq!(sa.len(), a.len() as u64);
            prop_assert_eq!(sa.contains(x), a.contains(&x));
            prop_assert_eq!(sa.union(&sb), a.union(&b).copied().collect::<IdSet>());
            prop_assert_eq!(sa.difference(&sb), a.difference(&b).copied().collect::<IdSet>());
            prop_assert_eq!(sa.intersection(&sb), a.intersection(&b).copied().collect::<IdSet>());
            prop_assert_eq!(sa.to_string().parse::<IdSet>().unwrap(), sa.clone());
            let mut less = sa.clone();
            prop_assert_eq!(less.remove(x), a.contains(&x));
            prop_assert!(!less.contains(x));
            prop_assert_eq!(less.ranges().count(), less.union(&IdSet::new()).ranges().count());
        }
    }
}
