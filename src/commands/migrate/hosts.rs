//! How many connections all pairs together may have to one host.
//!
//! A pair takes the connections of both its sides at once and keeps them until it ends, so two pairs never wait for each
//! other. Those whose hosts are busy wait; others go before them.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The connections of a pair: which host, how many at most.
pub(super) type Wish = [(String, usize); 2];

/// Hands out pairs of accounts as their hosts have room.
pub(super) struct Hosts {
    /// Connections to a host at most.
    most: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Pairs that nobody has begun: their numbers and what they need.
    waiting: Vec<(usize, Wish)>,
    /// Connections in use.
    used: HashMap<String, usize>,
}

/// A pair that may begin: its number, and how many connections each side has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) number: usize,
    pub(super) connections: [usize; 2],
    hosts: [String; 2],
}

impl Hosts {
    /// For these pairs, in this order, `side_by_side` of them at a time.
    pub(super) fn new(most: usize, side_by_side: usize, wishes: impl IntoIterator<Item = (usize, Wish)>) -> Self {
        // Each of those that run at once has its share, so that one does not take all and let the others wait.
        let share = (most / side_by_side.max(1)).max(1);
        let fit = |(number, wish): (usize, Wish)| (number, wish.map(|(host, most)| (host, most.clamp(1, share))));
        Self {
            most: most.max(1),
            state: Mutex::new(State {
                waiting: wishes.into_iter().map(fit).collect(),
                used: HashMap::new(),
            }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next pair whose hosts have room; waits for one, and `None` means that all are begun.
    pub(super) fn next(&self) -> Option<Turn> {
        let mut state = self.state();
        loop {
            if state.waiting.is_empty() {
                return None;
            }
            if let Some(at) = state.waiting.iter().position(|(_, wish)| self.has_room(&state, wish)) {
                let (number, [from, to]) = state.waiting.remove(at);
                let turn = Turn {
                    number,
                    connections: [from.1, to.1],
                    hosts: [from.0, to.0],
                };
                for (host, count) in turn.hosts.iter().zip(turn.connections) {
                    *state.used.entry(host.clone()).or_default() += count;
                }
                return Some(turn);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A host that nobody uses always has room: a limit of one must not keep a pair within one host from ever beginning.
    fn has_room(&self, state: &State, wish: &Wish) -> bool {
        let [from, to] = wish;
        let same = from.0 == to.0;
        wish.iter().all(|(host, own)| {
            let used = state.used.get(host).copied().unwrap_or(0);
            let wanted = if same { from.1 + to.1 } else { *own };
            used == 0 || used + wanted <= self.most
        })
    }

    /// A pair is over.
    pub(super) fn leave(&self, turn: &Turn) {
        let mut state = self.state();
        for (host, count) in turn.hosts.iter().zip(turn.connections) {
            if let Some(used) = state.used.get_mut(host) {
                *used -= count.min(*used);
            }
        }
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(from: &str, to: &str) -> Wish {
        [(from.to_owned(), 4), (to.to_owned(), 4)]
    }

    fn numbered(pairs: &[(&str, &str)]) -> Vec<(usize, Wish)> {
        pairs.iter().map(|(from, to)| wish(from, to)).enumerate().collect()
    }

    #[test]
    fn no_host_gets_more_than_its_limit_and_others_go_first() {
        let hosts = Hosts::new(
            4,
            2,
            numbered(&[("a", "b"), ("a", "b"), ("a", "b"), ("c", "d"), ("a", "a")]),
        );
        let first = hosts.next().unwrap();
        assert_eq!((first.number, first.connections), (0, [2, 2]));
        let second = hosts.next().unwrap();
        assert_eq!(second.number, 1);
        assert_eq!(hosts.next().unwrap().number, 3, "a and b are full");
        hosts.leave(&first);
        assert_eq!(hosts.next().unwrap().number, 2);
        hosts.leave(&second);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| hosts.next().unwrap().number);
            hosts.leave(&Turn { number: 2, ..first });
            assert_eq!(waits.join().unwrap(), 4);
        });
        assert_eq!(hosts.next(), None);
    }

    #[test]
    fn a_limit_of_one_keeps_no_pair_from_beginning() {
        let hosts = Hosts::new(1, 4, numbered(&[("a", "a"), ("a", "b")]));
        let first = hosts.next().unwrap();
        assert_eq!((first.number, first.connections), (0, [1, 1]));
        hosts.leave(&first);
        assert_eq!(hosts.next().unwrap().number, 1);
    }
}
