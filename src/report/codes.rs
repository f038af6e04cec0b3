//! Exit codes.

use crate::error::Kind;

/// Which exit code goes before which (DESIGN 12); the first that is present is the run's.
const ORDER: [u8; 7] = [2, 78, 77, 3, 1, 75, 0];

/// The exit code of a failure.
pub const fn exit_of(kind: Kind) -> u8 {
    match kind {
        Kind::Partial | Kind::ReadOnly => 1,
        Kind::Usage => 2,
        Kind::Guard => 3,
        Kind::Temporary => 75,
        Kind::Login => 77,
        Kind::Config => 78,
    }
}

/// The code that goes before the others.
pub(super) fn first_present(codes: impl IntoIterator<Item = u8>) -> u8 {
    let rank = |code: &u8| ORDER.iter().position(|known| known == code).unwrap_or(0);
    codes.into_iter().min_by_key(rank).unwrap_or(0)
}
