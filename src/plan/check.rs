//! A plan checks itself: every message of the input is answered for exactly once.

use std::collections::HashMap;

use super::{Action, Input, Match, Now, Plan, Presence, View};
use crate::model::{Id, MailboxId, PairId, Side};

/// What the plan forgot or does twice; empty when it is whole. Each entry is a bug of the planner.
pub(super) fn gaps(input: &Input, plan: &Plan) -> Vec<String> {
    let answers = Answers::of(plan);
    input
        .mailboxes
        .iter()
        .filter(|view| decided(view))
        .flat_map(|view| answers.gaps(view))
        .collect()
}

/// Mailboxes in which nothing is done in this run have nothing to answer for.
fn decided(view: &View) -> bool {
    view.acted_on && view.at == [Presence::There; 2]
}

/// How often the plan answers for each message without a partner, and for each base row that is gone.
#[derive(Default)]
struct Answers {
    new: HashMap<(MailboxId, Side, Id), u32>,
    gone: HashMap<PairId, u32>,
}

impl Answers {
    fn of(plan: &Plan) -> Self {
        let mut answers = Self::default();
        for step in &plan.steps {
            answers.take_in(step.mailbox, &step.action);
        }
        answers
    }

    fn take_in(&mut self, mailbox: MailboxId, action: &Action) {
        match action {
            Action::Copy { to, ids, .. } => self.count_new(mailbox, to.other(), ids.iter()),
            Action::KeepNew { of, ids } => self.count_new(mailbox, *of, ids.iter()),
            Action::LeaveOut { of, messages, .. } => self.count_new(mailbox, *of, messages.iter().map(|(id, _)| *id)),
            Action::CopyWithin { on, twins, .. } => {
                self.count_new(mailbox, on.other(), twins.iter().map(|twin| twin.id));
            }
            Action::Move { on, from, moves, .. } => {
                self.count_new(*from, *on, moves.iter().map(|one| one.id));
                self.count_new(mailbox, on.other(), moves.iter().map(|one| one.partner));
                self.count_gone(moves.iter().filter_map(|one| one.base));
            }
            Action::Pair { matches } => {
                for side in Side::BOTH {
                    let id = |m: &Match| [&m.left, &m.right][side as usize].id(side);
                    self.count_new(mailbox, side, matches.iter().filter_map(id));
                }
                self.count_gone(matches.iter().filter_map(|m| Some(m.base.as_ref()?.id)));
                self.count_gone(matches.iter().flat_map(Match::found_again));
            }
            Action::Remove { pairs, .. } | Action::KeepRemoval { pairs, .. } | Action::Forget { pairs } => {
                self.count_gone(pairs.iter().copied());
            }
            _ => {}
        }
    }

    fn count_new(&mut self, mailbox: MailboxId, side: Side, ids: impl Iterator<Item = Id>) {
        for id in ids {
            *self.new.entry((mailbox, side, id)).or_default() += 1;
        }
    }

    fn count_gone(&mut self, pairs: impl Iterator<Item = PairId>) {
        for pair in pairs {
            *self.gone.entry(pair).or_default() += 1;
        }
    }

    fn gaps(&self, view: &View) -> Vec<String> {
        let mut gaps = Vec::new();
        let new = |side, id| self.new.get(&(view.id, side, id)).copied().unwrap_or(0);
        for side in Side::BOTH {
            for id in view.added[side as usize].iter() {
                let times = new(side, id);
                if times != 1 {
                    gaps.push(format!(
                        "{}: message {id} on the {side} is answered for {times} times",
                        view.path
                    ));
                }
            }
        }
        for touched in view.touched.iter().filter(|touched| touched.now.contains(&Now::Gone)) {
            let pair = &touched.pair;
            let gone = self.gone.get(&pair.id).copied().unwrap_or(0);
            // Its other copy is sent back.
            let back = Side::BOTH
                .into_iter()
                .any(|side| pair.half(side).id.is_some_and(|id| new(side, id) > 0));
            let times = gone + u32::from(back && gone == 0);
            if times != 1 {
                gaps.push(format!(
                    "{}: removed pair {} is answered for {times} times",
                    view.path, pair.id.0
                ));
            }
        }
        gaps
    }
}
