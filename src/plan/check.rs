//! A plan checks itself: every message of the input is answered for exactly once.

use std::collections::HashMap;

use super::{Action, Input, Match, Now, Plan, Presence, View};
use crate::model::{Id, IdSet, MailboxId, PairId, Side};

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
    new: HashMap<(MailboxId, Side), Answered>,
    gone: HashMap<PairId, u32>,
}

/// The messages of a mailbox's side that are answered for. Sets: a first pull answers for a million.
#[derive(Default)]
struct Answered {
    /// At least once.
    once: IdSet,
    /// More than once.
    again: IdSet,
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
            Action::Copy { to, ids, .. } => self.count_new(mailbox, to.other(), ids),
            Action::KeepNew { of, ids } => self.count_new(mailbox, *of, ids),
            Action::LeaveOut { of, messages, .. } => self.count_each(mailbox, *of, messages.iter().map(|(id, _)| *id)),
            Action::CopyWithin { on, twins, .. } => {
                self.count_each(mailbox, on.other(), twins.iter().map(|twin| twin.id));
            }
            Action::Move { on, from, moves, .. } => {
                self.count_each(*from, *on, moves.iter().map(|one| one.id));
                self.count_each(mailbox, on.other(), moves.iter().map(|one| one.partner));
                self.count_gone(moves.iter().filter_map(|one| one.base));
            }
            Action::Pair { matches } => {
                for side in Side::BOTH {
                    let id = |m: &Match| [&m.left, &m.right][side as usize].id(side);
                    self.count_each(mailbox, side, matches.iter().filter_map(id));
                }
                self.count_gone(matches.iter().filter_map(|m| Some(m.base.as_ref()?.id)));
                self.count_gone(matches.iter().flat_map(Match::found_again));
            }
            Action::Remove { pairs, .. }
            | Action::Trash { pairs, .. }
            | Action::KeepRemoval { pairs, .. }
            | Action::Forget { pairs } => {
                self.count_gone(pairs.iter().copied());
            }
            _ => {}
        }
    }

    fn count_new(&mut self, mailbox: MailboxId, side: Side, ids: &IdSet) {
        self.new.entry((mailbox, side)).or_default().count(ids);
    }

    /// Of ids in any order, each as often as it comes.
    fn count_each(&mut self, mailbox: MailboxId, side: Side, ids: impl Iterator<Item = Id>) {
        let mut ids: Vec<Id> = ids.collect();
        ids.sort_unstable();
        let again = ids.windows(2).filter(|two| two[0] == two[1]).map(|two| two[0]);
        let again: IdSet = again.collect();
        self.count_new(mailbox, side, &ids.into_iter().collect());
        self.count_new(mailbox, side, &again);
    }

    fn count_gone(&mut self, pairs: impl Iterator<Item = PairId>) {
        for pair in pairs {
            *self.gone.entry(pair).or_default() += 1;
        }
    }

    fn gaps(&self, view: &View) -> Vec<String> {
        let mut gaps = Vec::new();
        let unanswered = Answered::default();
        let new = |side| self.new.get(&(view.id, side)).unwrap_or(&unanswered);
        for side in Side::BOTH {
            let (added, answered) = (&view.added[side as usize], new(side));
            for (ids, times) in [
                (added.difference(&answered.once), "not answered for"),
                (added.intersection(&answered.again), "answered for more than once"),
            ] {
                if !ids.is_empty() {
                    gaps.push(format!("{}: {times} on the {side}: messages {ids}", view.path));
                }
            }
        }
        for touched in view.touched.iter().filter(|touched| touched.now.contains(&Now::Gone)) {
            let pair = &touched.pair;
            let gone = self.gone.get(&pair.id).copied().unwrap_or(0);
            // Its other copy is sent back.
            let back = Side::BOTH
                .into_iter()
                .any(|side| pair.half(side).id.is_some_and(|id| new(side).once.contains(id)));
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

impl Answered {
    fn count(&mut self, ids: &IdSet) {
        self.again = self.again.union(&self.once.intersection(ids));
        self.once = self.once.union(ids);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Adoption, Base, Limits, Move, Naming, Policy, Step, plan};
    use super::*;
    use crate::model::{Flags, MailboxPath};

    /// A mailbox with these new messages on the right.
    fn input(added: &IdSet) -> Input {
        let view = View {
            id: MailboxId(1),
            path: MailboxPath::inbox(),
            naming: Naming::default(),
            at: [Presence::There; 2],
            acted_on: true,
            emptied_often: false,
            pairs: 0,
            added: [IdSet::new(), added.clone()],
            resting: Default::default(),
            closed: [false; 2],
            refused: Default::default(),
            waiting: Default::default(),
            beyond: Default::default(),
            touched: Vec::new(),
            marked: Vec::new(),
        };
        Input {
            mailboxes: vec![view],
            policy: Policy::SYNC,
            limits: Limits {
                empty_guard: 10,
                max_delete_percent: 25,
                pairs: 0,
                adopting: Adoption::No,
                marked_held: false,
            },
            known: Vec::new(),
            base: Base::Agreed,
            tie: Side::Right,
            expunge: None,
            trash: Default::default(),
            settled: [true; 2],
            obscured: Default::default(),
        }
    }

    fn carried_out(action: Action) -> Step {
        Step {
            mailbox: MailboxId(1),
            path: MailboxPath::inbox(),
            action,
            why: "a test",
        }
    }

    fn copy(ids: &str) -> Step {
        carried_out(Action::Copy {
            to: Side::Left,
            ids: ids.parse().unwrap(),
            meet: Vec::new(),
        })
    }

    /// Messages that moved on the left, by their ids on the right.
    fn moved(partners: &[Id]) -> Step {
        let one = |&partner: &Id| Move {
            base: None,
            id: 100 + partner,
            partner,
            flags: [Flags::none(), Flags::none()],
        };
        carried_out(Action::Move {
            on: Side::Left,
            from: MailboxId(2),
            from_path: MailboxPath::inbox(),
            moves: partners.iter().map(one).collect(),
        })
    }

    #[test]
    fn what_is_forgotten_or_done_twice_is_told() {
        let rows: [(&str, Vec<Step>, &[&str]); 6] = [
            ("whole", vec![copy("1:6")], &[]),
            ("in parts", vec![copy("1:2,5"), copy("6"), moved(&[4, 3])], &[]),
            (
                "nothing",
                vec![],
                &["INBOX: not answered for on the right: messages 1:6"],
            ),
            (
                "two forgotten",
                vec![copy("1:3,5")],
                &["INBOX: not answered for on the right: messages 4,6"],
            ),
            (
                "one by two steps",
                vec![copy("1:6"), moved(&[3])],
                &["INBOX: answered for more than once on the right: messages 3"],
            ),
            (
                "one twice by one step, one forgotten",
                vec![copy("1:3"), moved(&[4, 5, 4])],
                &[
                    "INBOX: not answered for on the right: messages 6",
                    "INBOX: answered for more than once on the right: messages 4",
                ],
            ),
        ];
        for (what, steps, expected) in rows {
            let plan = Plan {
                steps,
                ..Plan::default()
            };
            assert_eq!(gaps(&input(&"1:6".parse().unwrap()), &plan), expected, "{what}");
        }
    }

    /// As many as a mailbox can hold: whoever planned or checked them one by one would not come to an end.
    #[test]
    fn a_first_pull_is_planned_and_checked_in_ranges() {
        let all = input(&IdSet::range(1..=u64::from(u32::MAX)));
        let plan = plan(&all);
        assert_eq!(gaps(&all, &plan), Vec::<String>::new());
        assert_eq!(plan.steps.len(), 1);
        assert_eq!(plan.steps[0].action.count(), u64::from(u32::MAX));
    }
}
