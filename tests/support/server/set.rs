//! Sequence sets (RFC 3501 §9 `sequence-set`), of numbers or UIDs.

/// A set as the client wrote it; `None` is `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set(pub Vec<(Option<u32>, Option<u32>)>);

/// Sorted ranges that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u32, u32)>);

impl Set {
    /// With `*` meaning `max`.
    pub fn resolve(&self, max: u32) -> Ranges {
        let ranges = self.0.iter().map(|&(a, b)| {
            let (a, b) = (a.unwrap_or(max), b.unwrap_or(max));
            (a.min(b), a.max(b))
        });
        Ranges::new(ranges.collect())
    }

    /// What a client had better not send: descending or overlapping parts, a lone `*` (HAZARDS 4).
    pub fn oddity(&self) -> Option<&'static str> {
        if self.0 == [(None, None)] {
            return Some("a lone * in a set");
        }
        let order = |n: Option<u32>| n.unwrap_or(u32::MAX);
        let mut last = 0;
        for &(a, b) in &self.0 {
            if order(a) > order(b) || order(a) <= last {
                return Some("a set that does not ascend");
            }
            last = order(b);
        }
        None
    }
}

impl Ranges {
    fn new(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut out: Vec<(u32, u32)> = Vec::new();
        for (a, b) in ranges {
            match out.last_mut() {
                Some(last) if a <= last.1.saturating_add(1) => last.1 = last.1.max(b),
                _ => out.push((a, b)),
            }
        }
        Self(out)
    }

    /// Whether `n` is in it.
    pub fn contains(&self, n: u32) -> bool {
        let at = self.0.partition_point(|&(_, b)| b < n);
        self.0.get(at).is_some_and(|&(a, _)| a <= n)
    }

    /// The largest number.
    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|r| r.1)
    }

    /// The smallest number.
    pub fn first(&self) -> Option<u32> {
        self.0.first().map(|r| r.0)
    }
}

/// Numbers as a set, in the order given: `1:3,7`.
pub fn write(numbers: impl IntoIterator<Item = u32>) -> String {
    let mut out: Vec<(u32, u32)> = Vec::new();
    for n in numbers {
        match out.last_mut() {
            Some(last) if last.1.checked_add(1) == Some(n) => last.1 = n,
            _ => out.push((n, n)),
        }
    }
    let parts = out
        .iter()
        .map(|&(a, b)| if a == b { a.to_string() } else { format!("{a}:{b}") });
    parts.collect::<Vec<_>>().join(",")
}
