//! When something is tried again within a run: how often, and after which wait.
//!
//! A lost connection is opened again by [`Tries`]; a refusal that passes by itself is waited for by [`Account::rest`].
//! What the server asks for goes before what we would do. Waits grow, and no two clients wait equally long.

use std::time::Duration;

use super::pool::Account;
use super::quirks::{self, Patience};
use super::response::Reply;
use super::wire::stopped;
use crate::error::{Failure, Kind, Result, Retry};
use crate::pause;

/// How often in a row a connection may be lost before the account gives up: a computer that wakes up needs some seconds to
/// find its network again.
const ATTEMPTS: u32 = 6;
/// The same as long as the server was never reached: then most likely there is no network, and the next run will do.
const FIRST_ATTEMPTS: u32 = 3;
/// The first wait, for a connection as for a server that is overrun.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest that a server can make us wait for it within a run. If it asks for more, the run ends.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// No server can keep us away for longer.
const LONGEST_ABSENCE: Duration = Duration::from_secs(3600);

/// Lost connections in a row.
#[derive(Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Something was answered: the next loss is the first again.
    pub(super) fn progress(&mut self) {
        self.0 = 0;
    }

    /// Waits before the next try; fails when there is to be none.
    pub(super) fn again(&mut self, account: &Account, failure: Failure) -> Result<()> {
        self.0 += 1;
        if failure.retry != Retry::Now || failure.kind != Kind::Temporary {
            return Err(failure);
        }
        let most = if account.was_reached() {
            ATTEMPTS
        } else {
            FIRST_ATTEMPTS
        };
        if self.0 >= most {
            return Err(failure.retry(Retry::Later));
        }
        // A connection that broke in the middle is most often replaced at once.
        match self.0 - u32::from(account.was_reached()) {
            0 if account.is_stopped() => Err(stopped()),
            0 => Ok(()),
            nth => account.pause(grown(2, nth - 1)),
        }
    }
}

impl Account {
    /// After a refusal: waits as long as the server wants to be left alone, and says whether it is worth asking again.
    /// Fails when it wants more than a run can wait for; then nothing more is to be asked in this run. `nth` counts the
    /// refusals of one thing, from 1.
    pub(super) fn rest(&self, reply: &Reply, nth: u32) -> Result<bool> {
        match quirks::patience(reply) {
            None => Ok(false),
            Some(Patience::Some) => self.pause(grown(4, nth.saturating_sub(1))).map(|()| true),
            Some(Patience::For(wait)) if wait <= LONGEST_REST => self.pause(wait).map(|()| true),
            Some(Patience::For(wait)) => {
                let wait = wait.min(LONGEST_ABSENCE);
                let what = format!(
                    "the server wants to be left alone for {} s: {}",
                    wait.as_secs(),
                    reply.text
                );
                Err(Failure::account(Kind::Temporary, what).after(wait))
            }
        }
    }

    /// Waits, unless the user wants to stop.
    pub(super) fn pause(&self, how_long: Duration) -> Result<()> {
        if pause::pause(how_long, &self.options.stop) {
            return Ok(());
        }
        Err(stopped())
    }
}

fn grown(factor: u32, times: u32) -> Duration {
    pause::grown(FIRST_WAIT, factor, times, LONGEST_REST)
}
