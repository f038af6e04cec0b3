//! What a side has lost: where it may be looked for, and whether it may lie where nobody can look.

use std::collections::BTreeSet;

use super::Job;
use super::identify::{looked_at, new};
use super::key::Key;
use crate::model::{IdSet, Side};
use crate::plan::{Now, Presence, View, Waiting};

/// The sizes, as that side told them, of the messages that a side has lost and that could be found again elsewhere on it.
pub(super) struct Lost {
    all: BTreeSet<u64>,
    /// Of those that are not known by the server's object id.
    pub(super) sizes: BTreeSet<u64>,
}

impl Lost {
    pub(super) fn of(views: &[View], side: Side) -> Self {
        let gone = views.iter().flat_map(|view| &view.touched).filter_map(|touched| {
            let gone = touched.now[side as usize] == Now::Gone;
            gone.then_some(&touched.pair)
        });
        let void = views.iter().flat_map(|view| &view.waiting[side.other() as usize]);
        let void = void.filter_map(|waiting| match waiting {
            Waiting::Void(pair) => Some(&**pair),
            Waiting::New(_) => None,
        });
        let (mut all, mut sizes) = (BTreeSet::new(), BTreeSet::new());
        for pair in gone.chain(void) {
            let half = pair.half(side);
            let told = half.size.unwrap_or(pair.size);
            all.insert(told);
            if half.object.is_none() {
                sizes.insert(told);
            }
        }
        Self { all, sizes }
    }

    pub(super) fn any(&self) -> bool {
        !self.all.is_empty()
    }

    /// The new messages of a view that have the size of a lost one.
    pub(super) fn candidates(&self, view: &View, side: Side) -> IdSet {
        let waiting = view.waiting[side as usize].iter();
        let new = waiting.filter_map(|waiting| match waiting {
            Waiting::New(new) if self.sizes.contains(&new.size) => Some(new.id),
            _ => None,
        });
        new.collect()
    }

    /// The sizes of what was lost that a new message there may be which nobody could learn more of: the server refuses to
    /// hand it out, or its file cannot be opened. What is not even told a size may be any of them.
    pub(super) fn obscured(&self, job: &Job<'_>, views: &[View], side: Side) -> BTreeSet<u64> {
        let mut sizes = BTreeSet::new();
        if !self.any() {
            return sizes;
        }
        let local = job.stores[side as usize].keeps_flags();
        for view in views.iter().filter(|view| view.at[side as usize] == Presence::There) {
            // A Maildir always tells something of what is there.
            if !local && !new(view, side, self).difference(&looked_at(view, side)).is_empty() {
                return self.all.clone();
            }
            for waiting in &view.waiting[side as usize] {
                if let Waiting::New(new) = waiting
                    && (&new.content, &new.object, Key::of_message(new)) == (&None, &None, None)
                {
                    sizes.extend(self.as_large_as(new.size, local));
                }
            }
        }
        sizes
    }

    /// What a message of that size can be; on disk, line ends are shorter by a byte.
    fn as_large_as(&self, size: u64, local: bool) -> impl Iterator<Item = u64> {
        let slack = if local { LINE_ENDS.max(size / 8) } else { 0 };
        self.all.range(size..=size.saturating_add(slack)).copied()
    }
}

/// Bytes by which a small message is shorter on disk, at most.
const LINE_ENDS: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_large() {
        let lost = Lost {
            all: [100, 164, 165, 1000, 1125, 1126].into(),
            sizes: BTreeSet::new(),
        };
        // size on the server or on disk | what it can be
        let rows: [(u64, bool, &[u64]); 5] = [
            (100, false, &[100]),
            (101, false, &[]),
            (100, true, &[100, 164]),
            (1000, true, &[1000, 1125]),
            (u64::MAX, true, &[]),
        ];
        for (size, local, wanted) in rows {
            let found: Vec<u64> = lost.as_large_as(size, local).collect();
            assert_eq!(found, wanted, "{size} {local}");
        }
    }
}
