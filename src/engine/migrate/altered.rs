//! Did TO keep what it was sent? Some servers change a message while they take it, and say OK (DESIGN 8a): Cyrus writes `X`
//! for each 8-bit byte in a header, Exchange takes messages apart and puts them together again.
//!
//! What such servers are known to change, or what TO says to have another size, is read again and compared. Most servers
//! change nothing, and some tell wrong sizes: where none of many was changed, the rest is believed.

use std::collections::{BTreeMap, HashMap};

use crate::engine::{Finished, contents};
use crate::error::{Failure, Result, Retry};
use crate::imap::Imap;
use crate::model::{Id, IdSet, Identity, Mailbox, MailboxId, Pair, RawName, Side};
use crate::pace::Pace;
use crate::state::{ProblemKey, State};

/// So many are read again before the rest is believed.
const SAMPLE: usize = 200;

/// Looks at what is in doubt; what was changed is a problem of its message.
pub(super) fn look(state: &State, to: &Imap, pace: Pace, finished: &mut Finished) -> Result<()> {
    let mut doubts = state.doubts(Side::Left)?;
    while !doubts.is_empty() {
        let rest = doubts.split_off(doubts.len().min(SAMPLE));
        let altered = compare(state, to, pace, &doubts, finished)?;
        if altered == 0 {
            settle(state, &rest)?;
            break;
        }
        doubts = rest;
    }
    state.commit()
}

fn settle(state: &State, doubts: &[(MailboxId, Id)]) -> Result<()> {
    doubts
        .iter()
        .try_for_each(|&(mailbox, id)| state.settle_doubts(mailbox, Side::Left, &IdSet::range(id..=id)))
}

/// Compares these and says how many were changed.
fn compare(state: &State, to: &Imap, pace: Pace, doubts: &[(MailboxId, Id)], finished: &mut Finished) -> Result<usize> {
    let mut pairs: HashMap<(MailboxId, Id), Pair> = HashMap::new();
    let mut wanted: BTreeMap<MailboxId, IdSet> = BTreeMap::new();
    for &(mailbox, id) in doubts {
        let pair = state.partner(mailbox, Side::Left, id)?;
        if let Some((there, pair)) = pair.and_then(|pair| Some((pair.half(Side::Right).id?, pair))) {
            wanted.entry(mailbox).or_default().insert(there);
            pairs.insert((mailbox, there), pair);
        }
    }
    let names: HashMap<MailboxId, RawName> = state
        .mailboxes()?
        .into_iter()
        .filter_map(|row| Some((row.id, row.places[1].clone()?.raw)))
        .collect();
    let of = wanted.into_iter().filter_map(|(id, ids)| {
        let raw = names.get(&id)?.clone();
        Some((Mailbox { id, raw }, ids))
    });
    let held = contents::read(to, of.collect(), pace)?;
    let mut altered = 0;
    for (place, pair) in pairs {
        let Some((held, id)) = held.get(&place).zip(pair.half(Side::Left).id) else {
            continue;
        };
        if held.content != pair.content {
            altered += 1;
            let key = ProblemKey::Message(pair.mailbox, Side::Left, id);
            let failure = difference(&pair, held);
            state.add_problem(key, &failure)?;
            finished.outcome.failures.push((key, failure));
        }
    }
    settle(state, doubts)?;
    Ok(altered)
}

fn difference(pair: &Pair, held: &Identity) -> Failure {
    let what = if held.size != pair.size {
        "it arrived, and the server changed it: its size is another".to_owned()
    } else if held.header == pair.header {
        // HAZARDS 17: the header digest is over a folded form.
        "it arrived, and the server changed it: bytes of its header that are not ASCII are others now".to_owned()
    } else {
        "it arrived, and the server changed it: it is not byte for byte what was sent".to_owned()
    };
    Failure::message(what).retry(Retry::Never).hint("FROM has it as it was")
}
