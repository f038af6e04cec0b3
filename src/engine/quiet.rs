//! After a run or a connection that was cut off: the dead are given time to rest.
//!
//! A server's session outlives its client: it goes on with what it had been sent, most often for some milliseconds. Who
//! looks meanwhile sees half of it, and sends the rest a second time. What comes even later is told by the journal.

use super::Job;
use crate::error::Result;
use crate::model::Side;

/// Waits where the run before this one, or this one so far, left something open that it may have sent.
pub(super) fn wait(job: &Job<'_>) -> Result<()> {
    let intents = job.state.open_intents()?;
    let renames = job.state.open_renames()?;
    let begun = intents.iter().map(|intent| (intent.side, intent.run));
    let begun: Vec<_> = begun
        .chain(renames.iter().map(|renaming| (renaming.side, renaming.run)))
        .collect();
    for side in Side::BOTH {
        let fresh = |run: i64| run + 1 >= job.run;
        if begun.iter().any(|&(on, run)| on == side && fresh(run)) {
            job.stores[side as usize].calm_down()?;
        }
    }
    Ok(())
}
