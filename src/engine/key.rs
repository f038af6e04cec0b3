//! What proposes that two messages are one. Nothing is decided by it: the content is read.

use crate::model::{Envelope, EnvelopeKey, HeaderDigest, Pair};
use crate::plan::Waiting;

/// The best that is known of a message before it is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    Envelope(EnvelopeKey),
    Header(HeaderDigest),
}

impl Key {
    pub(super) fn of(envelope: Option<EnvelopeKey>, header: Option<HeaderDigest>) -> Option<Self> {
        envelope.map(Self::Envelope).or(header.map(Self::Header))
    }

    pub(super) fn of_message(message: &Envelope) -> Option<Self> {
        Self::of(message.envelope, message.header)
    }

    pub(super) fn of_pair(pair: &Pair) -> Option<Self> {
        Self::of(pair.envelope, Some(pair.header))
    }

    pub(super) fn of_waiting(waiting: &Waiting) -> Option<Self> {
        match waiting {
            Waiting::New(new) => Self::of_message(new),
            Waiting::Void(pair) => Self::of_pair(pair),
        }
    }
}
