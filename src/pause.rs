//! Waiting before something is tried again: longer each time, never equally long for two, and not against the user's will.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::store::Stop;

/// `first`, grown by `factor` so many times, at most `longest`, and a quarter more or less by chance: those who were
/// thrown out together do not come back together.
pub(crate) fn grown(first: Duration, factor: u32, times: u32, longest: Duration) -> Duration {
    let grown = first.saturating_mul(factor.saturating_pow(times)).min(longest);
    // The only source of chance in the standard library.
    let chance = RandomState::new().hash_one(times) % 512;
    grown.mul_f64(0.75 + chance as f64 / 1024.0)
}

/// Waits. False: the user wants to stop.
pub(crate) fn pause(how_long: Duration, stop: &Stop) -> bool {
    let end = Instant::now() + how_long;
    loop {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_differ() {
        let (first, longest) = (Duration::from_millis(500), Duration::from_secs(30));
        for (times, least, most) in [(0, 375, 625), (1, 750, 1250), (4, 6000, 10_000), (30, 22_500, 37_500)] {
            let waits: Vec<u128> = (0..20).map(|_| grown(first, 2, times, longest).as_millis()).collect();
            assert!(
                waits.iter().all(|wait| (least..=most).contains(wait)),
                "{times}: {waits:?}"
            );
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{times}: {waits:?}");
        }
    }
}
