//! After a dirty stop or a lost connection: settles each open intent by looking.

use std::collections::{BTreeMap, BTreeSet};

use super::Names;
use super::notes::one;
use crate::error::Result;
use crate::model::{Half, IdSet, Mailbox, MailboxId, MailboxIdentity, Pair, PairId, Side};
use crate::state::{Intent, IntentKind, MailboxRow, State, now};
use crate::store::{Delivered, IntentId, Store};

/// Adopts what arrived under intents that were left open, and closes those of which nothing can be under way any
/// more. What did not arrive is told as new again by the source and is sent again.
///
/// What may have been sent to a server is recognised by its content, since in a mailbox with unpaired mail on both sides
/// nothing is uploaded before what is there was compared. Its intent stays open for a while, so that what the dead
/// client's session does later is known again too.
pub fn recover(state: &State, stores: [&dyn Store; 2], names: &BTreeMap<MailboxId, Names>) -> Result<u64> {
    let mut adopted = 0;
    for side in Side::BOTH {
        let open: Vec<_> = state
            .open_intents()?
            .into_iter()
            .filter(|intent| intent.side == side)
            .collect();
        if open.is_empty() {
            continue;
        }
        let places = places(state, side, stores[side as usize], &open, names)?;
        let mut lost: BTreeMap<IntentId, IdSet> = open.iter().map(|intent| (intent.id, intent.ids.clone())).collect();
        let mailboxes: BTreeMap<IntentId, MailboxId> = open.iter().map(|intent| (intent.id, intent.mailbox)).collect();
        let mut adopted_in = BTreeSet::new();
        for found in stores[side as usize].delivered(&places)? {
            if let Some(&mailbox) = mailboxes.get(&found.intent) {
                lost.entry(found.intent).or_default().remove(found.source);
                if adopt(state, mailbox, side, &found)? {
                    adopted += 1;
                    adopted_in.insert(mailbox);
                }
            }
        }
        // The source may not tell the flags of these again by itself: its mailbox looks untouched.
        for mailbox in adopted_in {
            state.forget_listing(mailbox, side.other())?;
        }
        settle(state, side, stores[side as usize], &open, &lost)?;
    }
    state.commit()?;
    Ok(adopted)
}

/// Where to look for what arrived. Somebody may have renamed a mailbox of a Maildir since; what looks like it holds what we
/// delivered there, or nothing of ours.
fn places(
    state: &State,
    side: Side,
    store: &dyn Store,
    open: &[Intent],
    names: &BTreeMap<MailboxId, Names>,
) -> Result<Vec<(IntentId, Mailbox)>> {
    let place = |intent: &Intent| Some((intent.id, names.get(&intent.mailbox)?.mailbox(intent.mailbox, side)?));
    let mut places: Vec<_> = open.iter().filter_map(place).collect();
    if store.keeps_flags() && !places.is_empty() {
        let rows = state.mailboxes()?.into_iter();
        let identity = |row: MailboxRow| Some((row.id, row.places[side as usize].as_ref()?.identity.clone()?));
        let known: BTreeMap<MailboxId, MailboxIdentity> = rows.filter_map(identity).collect();
        let listed = store.survey()?.mailboxes;
        for (_, mailbox) in &mut places {
            let known = known.get(&mailbox.id);
            let now = listed
                .iter()
                .find(|listed| known.is_some() && listed.identity.as_ref() == known);
            if let Some(now) = now {
                mailbox.raw = now.raw.clone();
            }
        }
    }
    Ok(places)
}

/// So long, in seconds, what may have been sent stays in the journal, and for one clean run at least: a dead client's
/// session can still be executing it (DESIGN 8a).
const GRACE: i64 = 86_400;

fn settle(
    state: &State,
    side: Side,
    store: &dyn Store,
    open: &[Intent],
    lost: &BTreeMap<IntentId, IdSet>,
) -> Result<()> {
    for intent in open {
        // The source may not tell of these again by itself: its mailbox looks untouched. Said once; the intent may stay.
        if let (IntentKind::Copy, Some(ids)) = (intent.kind, lost.get(&intent.id)) {
            state.add_pending_unpaired(intent.mailbox, side.other(), ids)?;
        }
        let quiet = state.last_clean_run()?.is_some_and(|clean| clean > intent.run) && now() - intent.begun > GRACE;
        if store.keeps_flags() || quiet {
            state.close_intent(intent.id)?;
        } else if !intent.ids.is_empty() {
            state.see_to_intent(intent.id)?;
        }
    }
    Ok(())
}

/// A file that was delivered and not yet in the books.
fn adopt(state: &State, mailbox: MailboxId, side: Side, found: &Delivered) -> Result<bool> {
    let from = side.other();
    if state.partner(mailbox, side, found.id)?.is_some() || state.partner(mailbox, from, found.source)?.is_some() {
        return Ok(false);
    }
    // Which flags both sides agreed on is not known: each side's count as changes, and both get the union.
    let target = Half {
        id: Some(found.id),
        size: Some(found.identity.size),
        date: Some(found.date),
        ..Half::default()
    };
    let source = Half {
        id: Some(found.source),
        date: Some(found.date),
        ..Half::default()
    };
    let halves = if side == Side::Left {
        [target, source]
    } else {
        [source, target]
    };
    state.add_pair(&Pair {
        id: PairId(0),
        mailbox,
        halves,
        size: found.identity.size - found.identity.marks,
        content: found.identity.content,
        header: found.identity.header,
        envelope: found.identity.envelope,
    })?;
    // A run that failed, and was not killed, has noted that its messages wait.
    state.settle(mailbox, from, &one(found.source))?;
    state.settle(mailbox, side, &one(found.id))?;
    Ok(true)
}
