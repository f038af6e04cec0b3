//! What went over the wire.

use std::sync::atomic::{AtomicU64, Ordering};

use super::meter::{Bearing, Meter};
use crate::store;

/// What went over all connections of an account; see [`store::Wire`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    pub(super) commands: AtomicU64,
    pub(super) round_trips: AtomicU64,
    pub(super) connections: AtomicU64,
    /// Lines and literals that were skipped because they could not be read or held.
    pub(super) skipped: AtomicU64,
    /// How much more the account bears.
    pub(super) meter: Meter,
}

impl Counters {
    /// Counters of an account that bears so much.
    pub(super) fn bearing(bearing: Bearing) -> Self {
        Self {
            meter: Meter::new(bearing),
            ..Self::default()
        }
    }

    pub(super) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn sum(&self) -> store::Wire {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        store::Wire {
            bytes_in: get(&self.bytes_in),
            bytes_out: get(&self.bytes_out),
            commands: get(&self.commands),
            round_trips: get(&self.round_trips),
            connections: get(&self.connections),
        }
    }
}
