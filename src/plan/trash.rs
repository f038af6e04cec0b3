//! Removals on a side that has a trash are moves into it. They were decided, and held back where they look like an accident,
//! as what they are; here they only get another end.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Action, Input, Now, Presence, Step, Waiting};
use crate::model::{ContentDigest, Gone, MailboxId, MailboxPath, ObjectId, Pair, PairId, Side};

/// Where what is removed on a side goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trash {
    /// It is removed for good (on a Maildir: into the attic).
    #[default]
    None,
    /// Into this mailbox. What is removed in there is removed for good.
    Mailbox {
        /// Its number.
        id: MailboxId,
        /// Its name on the left.
        path: MailboxPath,
        /// Whether that side has it; it is made before it is needed.
        exists: bool,
    },
    /// Nobody can tell, for this reason: removals wait.
    Unknown(&'static str),
}

/// Why a removal is one for good, by the side on which it is.
const ANOTHER: [&str; 2] = [
    "gone on the right, and there is another copy of it on the left",
    "gone on the left, and there is another copy of it on the right",
];
const MADE: &str = "the trash is not there yet";

/// Gives each side's removals the end that its trash gives them.
pub(super) fn divert(input: &Input, steps: &mut Vec<Step>) {
    for on in Side::BOTH {
        match &input.trash[on as usize] {
            Trash::None => {}
            Trash::Unknown(why) => wait(on, why, steps),
            Trash::Mailbox { id, path, exists } => {
                let trash = Place { on, id: *id, path };
                if trash.take_in(input, steps) {
                    trash.is_needed(*exists, steps);
                }
            }
        }
    }
}

fn wait(on: Side, why: &'static str, steps: &mut [Step]) {
    for step in steps {
        if let Action::Remove { on: there, pairs } = &mut step.action
            && *there == on
        {
            let (of, pairs, gone) = (on.other(), std::mem::take(pairs), Gone::Pending);
            step.action = Action::KeepRemoval { of, pairs, gone };
            step.why = why;
        }
    }
}

/// A side's trash.
struct Place<'a> {
    on: Side,
    id: MailboxId,
    path: &'a MailboxPath,
}

impl Place<'_> {
    /// Makes moves of removals; whether there was any to make.
    fn take_in(&self, input: &Input, steps: &mut Vec<Step>) -> bool {
        let mut leaving = Leaving::new(input, self.on, steps);
        let mut moves = Vec::new();
        for step in steps.iter_mut().filter(|step| step.mailbox != self.id) {
            let Action::Remove { on, pairs } = &mut step.action else {
                continue;
            };
            if *on != self.on {
                continue;
            }
            let (spare, last): (Vec<_>, Vec<_>) = pairs.iter().partition(|pair| leaving.has_another(**pair));
            *pairs = spare;
            if last.is_empty() {
                step.why = ANOTHER[self.on as usize];
                continue;
            }
            moves.push(Step {
                mailbox: self.id,
                path: self.path.clone(),
                action: Action::Trash {
                    on: self.on,
                    from: step.mailbox,
                    from_path: step.path.clone(),
                    pairs: last,
                },
                why: step.why,
            });
            step.why = ANOTHER[self.on as usize];
        }
        steps.retain(|step| !matches!(&step.action, Action::Remove { pairs, .. } if pairs.is_empty()));
        let any = !moves.is_empty();
        steps.extend(moves);
        any
    }

    /// What goes into it needs it to be there, whatever else was decided about it.
    fn is_needed(&self, exists: bool, steps: &mut Vec<Step>) {
        let about = |step: &Step| step.mailbox == self.id;
        let goes = |action: &Action| matches!(action, Action::DeleteMailbox { .. } | Action::ForgetMailbox);
        steps.retain(|step| !(about(step) && goes(&step.action)));
        let is_made = |action: &Action| matches!(action, Action::CreateMailbox { on } if *on == self.on);
        if !exists && !steps.iter().any(|step| about(step) && is_made(&step.action)) {
            steps.push(Step {
                mailbox: self.id,
                path: self.path.clone(),
                action: Action::CreateMailbox { on: self.on },
                why: MADE,
            });
        }
    }
}

/// The messages that a side is to lose, and which contents it has besides.
struct Leaving<'a> {
    on: Side,
    pairs: HashMap<PairId, &'a Pair>,
    /// Contents that stay on that side, or have a place in its trash already.
    kept: HashSet<ContentDigest>,
}

impl<'a> Leaving<'a> {
    fn new(input: &'a Input, on: Side, steps: &[Step]) -> Self {
        let removed: BTreeSet<PairId> = steps.iter().flat_map(|step| removed(step, on)).collect();
        let touched = input.mailboxes.iter().flat_map(|view| &view.touched);
        let pairs = touched.map(|touched| &touched.pair);
        let pairs: HashMap<PairId, &Pair> = pairs
            .filter(|pair| removed.contains(&pair.id))
            .map(|pair| (pair.id, pair))
            .collect();
        let kept = kept_contents(input, on, &pairs);
        Self { on, pairs, kept }
    }

    /// Whether its content stays on that side without it. If not, it does from now on, in the trash.
    fn has_another(&mut self, pair: PairId) -> bool {
        let Some(pair) = self.pairs.get(&pair) else {
            return false;
        };
        let is_spare = pair.half(self.on.other()).gone == Gone::Spare;
        is_spare || !self.kept.insert(pair.content)
    }
}

fn removed(step: &Step, on: Side) -> impl Iterator<Item = PairId> + '_ {
    let pairs = match &step.action {
        Action::Remove { on: there, pairs } if *there == on => pairs.as_slice(),
        _ => &[],
    };
    pairs.iter().copied()
}

/// The contents of those pairs of which that side has another copy, one that nobody removed.
fn kept_contents(input: &Input, on: Side, pairs: &HashMap<PairId, &Pair>) -> HashSet<ContentDigest> {
    let there = || {
        input
            .mailboxes
            .iter()
            .filter(|view| view.at[on as usize] == Presence::There)
    };
    let mailboxes: BTreeSet<MailboxId> = there().map(|view| view.id).collect();
    let touched = input.mailboxes.iter().flat_map(|view| &view.touched);
    let gone: HashSet<PairId> = touched
        .filter(|touched| touched.now.contains(&Now::Gone))
        .map(|touched| touched.pair.id)
        .collect();
    let stays = |pair: &&Pair| {
        let is_there = pair.half(on).id.is_some() && pair.halves.iter().all(|half| half.gone == Gone::No);
        is_there && !gone.contains(&pair.id) && mailboxes.contains(&pair.mailbox)
    };
    let known = input.known.iter().filter(stays).map(|pair| pair.content);
    // What an earlier run did before it was stopped is not in the base: it is new there. A header only proposes: a message too
    // many in the trash is a nuisance, one that is in no trash is lost.
    let waiting = there().flat_map(|view| &view.waiting[on as usize]);
    let new = || {
        waiting.clone().filter_map(|waiting| match waiting {
            Waiting::New(new) => Some(new),
            Waiting::Void(_) => None,
        })
    };
    let objects: HashSet<&ObjectId> = new().filter_map(|new| new.object.as_ref()).collect();
    let named = pairs.values().filter(|pair| {
        let object = pair.half(on).object.as_ref();
        object.is_some_and(|object| objects.contains(object))
    });
    known
        .chain(new().filter_map(|new| new.content))
        .chain(named.map(|pair| pair.content))
        .collect()
}
