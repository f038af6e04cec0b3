//! After a run that was cut off: waits until the server has ended what the dead had sent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::pool::Account;
use super::survey::survey;
use crate::error::Result;
use crate::model::{RawName, Status};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// So many looks that show the same are quiet enough.
const LOOKS: u32 = 2;
/// Longer than this it is not waited for.
const LONGEST: Duration = Duration::from_secs(10);

/// See [`crate::store::Store::calm_down`]: until no mailbox changes any more.
pub(super) fn wait(account: &Account) -> Result<()> {
    let begun = Instant::now();
    let (mut before, mut same) = (statuses(account)?, 0);
    while same < LOOKS && begun.elapsed() < LONGEST {
        account.pause(PAUSE)?;
        let now = statuses(account)?;
        same = if now == before { same + 1 } else { 0 };
        before = now;
    }
    Ok(())
}

fn statuses(account: &Account) -> Result<BTreeMap<RawName, Option<Status>>> {
    let mailboxes = survey(account)?.mailboxes;
    Ok(mailboxes
        .into_iter()
        .map(|listed| (listed.raw, listed.status))
        .collect())
}
