//! What the server cannot bear or has asked for, remembered from run to run.

use crate::error::{Failure, Kind, Result};
use crate::state::{State, now};

/// The server asked to be left alone until then, in seconds since 1970.
const REST: &str = "rest-until";
/// Since then commands go out one at a time (HAZARDS 3).
const SERIAL: &str = "serial-since";
/// Servers are mended: after so long, in seconds, it is tried again.
const FORGIVEN: i64 = 30 * 86_400;
/// No server is left alone for longer, in seconds.
const LONGEST_REST: i64 = 86_400;

fn time(state: &State, fact: &str) -> Result<Option<i64>> {
    Ok(state.fact(fact)?.and_then(|text| text.parse().ok()))
}

/// A server that asked to be left alone is left alone.
pub(super) fn may_call(state: &State) -> Result<()> {
    let left = time(state, REST)?.map_or(0, |until| until - now());
    // A clock that was ahead when that was noted is not waited for.
    if !(1..=LONGEST_REST).contains(&left) {
        return Ok(());
    }
    let what = format!("the server asked to be left alone, for {left} s from now");
    Err(Failure::account(Kind::Temporary, what).hint("wait; the first run after that goes on"))
}

/// Whether commands are to go out one at a time from the start.
pub(super) fn is_serial(state: &State) -> Result<bool> {
    Ok(time(state, SERIAL)?.is_some_and(|since| (0..FORGIVEN).contains(&(now() - since))))
}

/// Notes what a run found.
pub(super) fn note(state: &State, serial: bool, failure: Option<&Failure>) -> Result<()> {
    match failure.and_then(|failure| failure.after) {
        Some(wait) => state.set_fact(REST, &(now() + wait.as_secs() as i64).to_string())?,
        None => state.drop_fact(REST)?,
    }
    match (serial, is_serial(state)?) {
        (true, false) => state.set_fact(SERIAL, &now().to_string()),
        (false, _) => state.drop_fact(SERIAL),
        (true, true) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::state::Purpose;

    #[test]
    fn what_the_server_asked_for_is_remembered_for_a_while() {
        let state = State::open(Path::new("/nowhere/sync.db"), Purpose::Look).unwrap();
        may_call(&state).unwrap();
        assert!(!is_serial(&state).unwrap());

        let tired = Failure::account(Kind::Temporary, "tired").after(Duration::from_secs(300));
        note(&state, true, Some(&tired)).unwrap();
        let refused = may_call(&state).unwrap_err();
        assert_eq!(refused.kind, Kind::Temporary);
        assert!(refused.what.contains("left alone"), "{refused}");
        assert!(is_serial(&state).unwrap());

        state.set_fact(REST, &(now() + 10 * 365 * 86_400).to_string()).unwrap();
        may_call(&state).unwrap();
        state.set_fact(REST, &(now() - 1).to_string()).unwrap();
        state.set_fact(SERIAL, &(now() - FORGIVEN).to_string()).unwrap();
        may_call(&state).unwrap();
        assert!(!is_serial(&state).unwrap());
        note(&state, false, None).unwrap();
        assert_eq!((state.fact(REST).unwrap(), state.fact(SERIAL).unwrap()), (None, None));
    }
}
