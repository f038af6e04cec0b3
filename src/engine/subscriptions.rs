//! What mail programs show in one place, they show in the other too: subscriptions, only added. A migration carries each over
//! once: what somebody unsubscribes from on TO later stays so.

use std::collections::BTreeSet;

use super::meeting::Names;
use crate::error::{Failure, Result};
use crate::imap::Imap;
use crate::model::{RawName, Survey};
use crate::report::Problem;
use crate::state::State;

/// FROM's names of what was carried over, a line each.
const CARRIED: &str = "subscriptions";

/// Carries over what is new; a refusal is a problem of its mailbox.
pub(super) fn carry(state: &State, [from, to]: [&Imap; 2], names: &Names, left: &Survey) -> Result<Vec<Problem>> {
    let known = state.fact(CARRIED)?.unwrap_or_default();
    let mut carried: BTreeSet<String> = known.lines().map(str::to_owned).collect();
    let wanted: Vec<(String, RawName)> = wanted(state, names, left, &from.subscriptions()?.unwrap_or_default())?
        .into_iter()
        .filter(|(name, _)| !carried.contains(name))
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let raws: Vec<RawName> = wanted.iter().map(|(_, raw)| raw.clone()).collect();
    let refused = add(to, &raws)?;
    let stands = |raw: &RawName| refused.iter().all(|(name, _)| name != raw);
    carried.extend(
        wanted
            .iter()
            .filter(|(_, raw)| stands(raw))
            .map(|(name, _)| name.clone()),
    );
    let carried: Vec<String> = carried.into_iter().collect();
    state.set_fact(CARRIED, &carried.join("\n"))?;
    Ok(problems(refused))
}

/// Subscribes to what is not subscribed to; a refusal is a problem of its mailbox.
pub(super) fn subscribe(to: &Imap, wanted: &[RawName]) -> Result<Vec<Problem>> {
    Ok(if wanted.is_empty() {
        Vec::new()
    } else {
        problems(add(to, wanted)?)
    })
}

type Refused = Vec<(RawName, Failure)>;

fn add(to: &Imap, wanted: &[RawName]) -> Result<Refused> {
    let there = to.subscriptions()?.unwrap_or_default();
    let missing: Vec<RawName> = wanted.iter().filter(|raw| !there.contains(raw)).cloned().collect();
    to.subscribe(&missing)
}

fn problems(refused: Refused) -> Vec<Problem> {
    let problem = |(raw, failure): (RawName, Failure)| {
        let name = String::from_utf8_lossy(raw.as_bytes());
        Problem::new(&failure, Some(crate::error::clean(&*name)), None)
    };
    refused.into_iter().map(problem).collect()
}

/// What FROM is subscribed to and TO has: FROM's name, as a line, and TO's.
fn wanted(
    state: &State,
    names: &Names,
    left: &Survey,
    subscribed: &BTreeSet<RawName>,
) -> Result<Vec<(String, RawName)>> {
    let rows = state.mailboxes()?;
    let mut wanted = Vec::new();
    for (path, _) in names.pairs() {
        let Some(listed) = left.mailboxes.iter().find(|listed| listed.path == *path) else {
            continue;
        };
        let row = rows.iter().find(|row| row.path == *path);
        let there = row.and_then(|row| row.places[1].as_ref());
        if let Some(there) = there.filter(|_| subscribed.contains(&listed.raw)) {
            wanted.push((
                String::from_utf8_lossy(listed.raw.as_bytes()).into_owned(),
                there.raw.clone(),
            ));
        }
    }
    Ok(wanted)
}
