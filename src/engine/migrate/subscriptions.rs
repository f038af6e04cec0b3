//! What FROM's mail programs show, TO's show too: subscriptions, each carried over once. What is subscribed to on TO stays
//! so, and what somebody unsubscribes from there later does, too.

use std::collections::BTreeSet;

use super::names::Names;
use crate::error::Result;
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
    let wanted: Vec<(String, RawName)> = wanted(state, names, left, &from.subscriptions()?)?
        .into_iter()
        .filter(|(name, _)| !carried.contains(name))
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let there = to.subscriptions()?;
    let missing: Vec<RawName> = wanted
        .iter()
        .map(|(_, raw)| raw.clone())
        .filter(|raw| !there.contains(raw))
        .collect();
    let refused = to.subscribe(&missing)?;
    let stands = |raw: &RawName| refused.iter().all(|(name, _)| name != raw);
    carried.extend(
        wanted
            .iter()
            .filter(|(_, raw)| stands(raw))
            .map(|(name, _)| name.clone()),
    );
    let carried: Vec<String> = carried.into_iter().collect();
    state.set_fact(CARRIED, &carried.join("\n"))?;
    let problem = |(raw, failure)| {
        let name = String::from_utf8_lossy(RawName::as_bytes(&raw)).into_owned();
        Problem::new(&failure, Some(crate::error::clean(name)), None)
    };
    Ok(refused.into_iter().map(problem).collect())
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
