//! Asks what messages without a partner are known by, and only where there is something to compare them with.

use std::collections::HashMap;

use super::Job;
use super::observe::Observation;
use crate::error::Result;
use crate::model::{Envelope, Gone, Id, IdSet, Mailbox, MailboxId, Side};
use crate::plan::{Now, Presence, View, Waiting};
use crate::store::Depth;

/// Fills in `waiting` of every view.
pub(super) fn identify(job: &Job<'_>, seen: &mut Observation) -> Result<()> {
    for view in &mut seen.views {
        void_rows(job, view)?;
    }
    // A Maildir's messages are hashed when new: their content is what everything later is compared with.
    for side in Side::BOTH {
        if job.stores[side as usize].keeps_flags() {
            ask(job, seen, side, Depth::Header, |view| {
                has_partner_to_find(view, side).then(|| view.added[side as usize].clone())
            })?;
        }
    }
    for side in Side::BOTH {
        if !job.stores[side as usize].keeps_flags() {
            let wanted = |view: &View| {
                (!view.waiting[side.other() as usize].is_empty()).then(|| view.added[side as usize].clone())
            };
            ask(job, seen, side, Depth::Key, wanted)?;
            // Without a Message-ID only the whole header can tell.
            ask(job, seen, side, Depth::Header, |view| Some(without_key(view, side)))?;
        }
    }
    for view in &seen.views {
        for side in Side::BOTH {
            for waiting in &view.waiting[side as usize] {
                if let Waiting::New(envelope) = waiting {
                    seen.waiting.insert((view.id, side, envelope.id), envelope.clone());
                }
            }
        }
    }
    Ok(())
}

/// Base rows that have no id on one side look for their message there.
fn void_rows(job: &Job<'_>, view: &mut View) -> Result<()> {
    if view.at != [Presence::There; 2] {
        return Ok(());
    }
    for pair in job.state.pairs_void(view.id)? {
        let Some(side) = Side::BOTH.into_iter().find(|&side| pair.half(side).id.is_some()) else {
            continue;
        };
        let gone = pair.half(side).gone != Gone::No
            || view
                .touched
                .iter()
                .any(|t| t.pair.id == pair.id && t.now[side as usize] == Now::Gone);
        if !gone {
            view.waiting[side as usize].push(Waiting::Void(Box::new(pair)));
        }
    }
    Ok(())
}

/// A new message of that side is to be compared, or carried over.
fn has_partner_to_find(view: &View, side: Side) -> bool {
    view.acted_on && view.at[side as usize] == Presence::There
}

fn without_key(view: &View, side: Side) -> IdSet {
    let new = view.waiting[side as usize].iter();
    new.filter_map(|waiting| match waiting {
        Waiting::New(envelope) if envelope.envelope.is_none() && envelope.header.is_none() => Some(envelope.id),
        _ => None,
    })
    .collect()
}

/// Asks one side in one go, and puts the answers in place of what was known of the same messages.
fn ask(
    job: &Job<'_>,
    seen: &mut Observation,
    side: Side,
    depth: Depth,
    wanted: impl Fn(&View) -> Option<IdSet>,
) -> Result<()> {
    let mut questions: Vec<(Mailbox, IdSet)> = Vec::new();
    for view in &seen.views {
        let mailbox = seen.names.get(&view.id).and_then(|names| names.mailbox(view.id, side));
        if let (Some(mailbox), Some(ids)) = (mailbox, wanted(view).filter(|ids| !ids.is_empty())) {
            questions.push((mailbox, ids));
        }
    }
    if questions.is_empty() {
        return Ok(());
    }
    let mut answers: HashMap<MailboxId, HashMap<Id, Envelope>> = HashMap::new();
    job.stores[side as usize].envelopes(&questions, depth, &mut |envelope| {
        answers
            .entry(envelope.mailbox)
            .or_default()
            .insert(envelope.id, envelope);
    })?;
    for view in &mut seen.views {
        let Some(mut found) = answers.remove(&view.id) else {
            continue;
        };
        let waiting = &mut view.waiting[side as usize];
        waiting.retain(|known| !matches!(known, Waiting::New(envelope) if found.contains_key(&envelope.id)));
        let mut found: Vec<Envelope> = found.drain().map(|(_, envelope)| envelope).collect();
        found.sort_by_key(|envelope| envelope.id);
        waiting.extend(found.into_iter().map(Waiting::New));
    }
    Ok(())
}
