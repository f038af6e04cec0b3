//! How much an account bears: bytes a second, and bytes within 24 hours.
//!
//! Every byte of every connection passes here. The rate is kept by waiting. When a day's bytes are used up no new work is
//! begun: what was asked for still comes, what was sent is still answered, and then the run ends.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Failure, Kind};
use crate::store::Stop;

/// Counts are handed on in pieces of this size, so a killed run forgets no more.
const PIECE: u64 = 256 << 10;
/// How long a wait lasts before it looks whether the user wants to stop.
const GLANCE: Duration = Duration::from_millis(100);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the server.
    Down,
    /// To the server.
    Up,
}

/// What remembers how much crossed the wire, from run to run and for all that run at once.
pub trait Ledger: Send + Sync {
    /// Adds bytes down and up, and answers with all of the last 24 hours.
    fn add(&self, bytes: [u64; 2]) -> [u64; 2];
    /// How long until fewer than `most` of the last 24 hours are left in that direction.
    fn wait(&self, direction: Direction, most: u64) -> Duration;
}

/// What an account bears.
#[derive(Clone, Default)]
pub struct Bearing {
    /// Bytes a second, both directions together.
    pub rate: Option<u64>,
    /// Bytes within 24 hours, down and up.
    pub daily: [Option<u64>; 2],
    /// Must be there where `daily` is to hold for more than this run.
    pub ledger: Option<Arc<dyn Ledger>>,
}

impl fmt::Debug for Bearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearing")
            .field("rate", &self.rate)
            .field("daily", &self.daily)
            .finish_non_exhaustive()
    }
}

/// Measures an account's connections; the default bears anything.
#[derive(Debug, Default)]
pub(super) struct Meter {
    bearing: Bearing,
    /// When the bytes so far are through at that rate.
    through: Mutex<Option<Instant>>,
    /// Bytes not handed on yet.
    fresh: [AtomicU64; 2],
    /// All of the last 24 hours, as told last.
    carried: [AtomicU64; 2],
    used_up: AtomicBool,
}

impl Meter {
    pub(super) fn new(bearing: Bearing) -> Self {
        let mut meter = Self::default();
        meter.bearing = bearing;
        if meter.counts() {
            meter.hand_on();
        }
        meter
    }

    /// Whether waits may be needed, so that what is sent is better sent in small pieces.
    pub(super) fn is_slow(&self) -> bool {
        self.bearing.rate.is_some()
    }

    fn counts(&self) -> bool {
        self.bearing.daily != [None; 2]
    }

    /// So many bytes crossed: waits until they are through.
    pub(super) fn passed(&self, direction: Direction, bytes: u64, stop: &Stop) {
        if self.counts() {
            let fresh = self.fresh[direction as usize].fetch_add(bytes, Ordering::Relaxed) + bytes;
            let least = self
                .bearing
                .daily
                .iter()
                .flatten()
                .min()
                .map_or(PIECE, |most| most / 64);
            if fresh >= PIECE.min(least) {
                self.hand_on();
            }
        }
        if let Some(rate) = self.bearing.rate {
            self.wait(Duration::from_secs_f64(bytes as f64 / rate as f64), stop);
        }
    }

    fn wait(&self, time: Duration, stop: &Stop) {
        let end = {
            let mut through = self.through.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let end = through.map_or(now, |through| through.max(now)) + time;
            *through = Some(end);
            end
        };
        while !stop.load(Ordering::Relaxed) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(GLANCE));
        }
    }

    fn hand_on(&self) {
        let fresh = self.fresh.each_ref().map(|fresh| fresh.swap(0, Ordering::Relaxed));
        match &self.bearing.ledger {
            Some(ledger) => {
                let all = ledger.add(fresh);
                for (carried, all) in self.carried.iter().zip(all) {
                    carried.store(all, Ordering::Relaxed);
                }
            }
            None => {
                for (carried, fresh) in self.carried.iter().zip(fresh) {
                    carried.fetch_add(fresh, Ordering::Relaxed);
                }
            }
        }
        if self.over(1, 1).is_some() {
            self.used_up.store(true, Ordering::Relaxed);
        }
    }

    /// The direction of which more than that share of a day's bytes has crossed.
    fn over(&self, times: u64, parts: u64) -> Option<Direction> {
        [Direction::Down, Direction::Up].into_iter().find(|&direction| {
            let carried = self.carried[direction as usize].load(Ordering::Relaxed);
            self.bearing.daily[direction as usize].is_some_and(|most| carried >= most / parts * times)
        })
    }

    /// Whether no new work is to be begun.
    pub(super) fn is_used_up(&self) -> bool {
        self.used_up.load(Ordering::Relaxed)
    }

    /// Whether what is under way has become too much as well: messages can be of any size.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.is_used_up() && self.over(5, 4).is_some()
    }

    /// Why no new work is begun, and when it will be.
    pub(super) fn refusal(&self) -> Failure {
        let direction = self.over(1, 1).unwrap_or(Direction::Down);
        let most = self.bearing.daily[direction as usize].unwrap_or(0);
        let way = match direction {
            Direction::Down => "come from",
            Direction::Up => "go to",
        };
        let ledger = self.bearing.ledger.as_ref();
        let wait = ledger.map_or(Duration::from_secs(86_400), |ledger| ledger.wait(direction, most));
        let then = jiff::ZonedDateTime::now() + wait;
        let what = format!(
            "the {} that may {way} the server within 24 hours are used up",
            size(most)
        );
        Failure::account(Kind::Temporary, what).hint(format!(
            "it goes on after {}: a run from then on carries on where this one ended (`max-bytes`)",
            then.strftime("%Y-%m-%d %H:%M")
        ))
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.counts() {
            self.hand_on();
        }
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes / 1000),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers what it is told and nothing else.
    #[derive(Default)]
    struct Sheet(Mutex<[u64; 2]>);

    impl Ledger for Sheet {
        fn add(&self, bytes: [u64; 2]) -> [u64; 2] {
            let mut all = self.0.lock().unwrap();
            *all = [all[0] + bytes[0], all[1] + bytes[1]];
            *all
        }

        fn wait(&self, _: Direction, _: u64) -> Duration {
            Duration::from_secs(60)
        }
    }

    #[test]
    fn a_day_s_bytes() {
        let sheet = Arc::new(Sheet::default());
        let bearing = Bearing {
            daily: [Some(1_000_000), None],
            ledger: Some(sheet.clone()),
            rate: None,
        };
        let meter = Meter::new(bearing.clone());
        let stop = Stop::default();
        meter.passed(Direction::Up, 5_000_000, &stop);
        meter.passed(Direction::Down, 999_000, &stop);
        assert!(!meter.is_used_up());
        drop(meter);
        assert_eq!(*sheet.0.lock().unwrap(), [999_000, 5_000_000]);

        // Another run goes on counting where the first ended.
        let meter = Meter::new(bearing.clone());
        meter.passed(Direction::Down, 100_000, &stop);
        assert!(meter.is_used_up() && !meter.is_overdrawn());
        let refusal = meter.refusal();
        assert_eq!(refusal.kind, Kind::Temporary);
        assert_eq!(
            refusal.what,
            "the 1.0 MB that may come from the server within 24 hours are used up"
        );
        meter.passed(Direction::Down, 200_000, &stop);
        assert!(meter.is_overdrawn());
        drop(meter);
        assert!(Meter::new(bearing).is_used_up());
    }

    #[test]
    fn the_rate_is_kept_by_waiting_unless_the_user_stops() {
        let meter = Meter::new(Bearing {
            rate: Some(1_000_000),
            ..Bearing::default()
        });
        let stop = Stop::default();
        let begun = Instant::now();
        for _ in 0..10 {
            meter.passed(Direction::Down, 10_000, &stop);
        }
        assert!(begun.elapsed() >= Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
        meter.passed(Direction::Down, u64::MAX / 2_000_000, &stop);
        assert!(!meter.is_used_up());
    }
}
