//! What is only written down.

use super::{Executor, deeds};
use crate::error::Result;
use crate::model::{Envelope, Flags, Half, Id, IdSet, MailboxId, Pair, PairId, Side};
use crate::plan::{Action, Match, Now, Step, Waiting, joined, seen_late};

impl Executor<'_> {
    pub(super) fn notes<'p>(&mut self, steps: impl Iterator<Item = &'p Step>) -> Result<()> {
        let state = self.scene.state;
        for step in steps {
            match &step.action {
                Action::Pair { matches } => {
                    let deed = deeds::of(step);
                    for m in matches {
                        if self.pair(step.mailbox, m)? {
                            self.outcome.paired += 1;
                        }
                        self.did(&deed, None)?;
                    }
                    for side in Side::BOTH {
                        self.settle_matched(step.mailbox, side, matches)?;
                    }
                }
                Action::Agree { pairs, add, remove } => {
                    for pair in self.pairs(pairs)? {
                        settle_flags(self, &pair, Side::Left, add, remove, None)?;
                    }
                }
                Action::Forget { pairs } => {
                    for pair in self.pairs(pairs)? {
                        // No flags are left to change. What is there, if anything is, is told as new.
                        for side in Side::BOTH {
                            if let Some(id) = pair.half(side).id {
                                state.settle_flags(step.mailbox, side, id)?;
                            }
                        }
                        state.drop_pair(pair.id)?;
                    }
                }
                Action::KeepNew { of, ids } => state.add_pending_new(step.mailbox, *of, ids)?,
                Action::LeaveOut { of, reason, messages } => {
                    state.leave_out(step.mailbox, *of, *reason, messages)?;
                }
                Action::KeepFlags { of, flags } => {
                    for (id, flags) in flags {
                        state.add_pending_flags(step.mailbox, *of, *id, flags)?;
                    }
                }
                Action::KeepRemoval { of, pairs, gone } => {
                    for &pair in pairs {
                        state.set_gone(pair, *of, *gone)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The pairs of these rows; those that are gone meanwhile are left out.
    pub(super) fn pairs(&self, rows: &[PairId]) -> Result<Vec<Pair>> {
        let found: Result<Vec<Option<Pair>>> = rows.iter().map(|&row| self.scene.state.pair(row)).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// Nothing waits any more for what has met. All at once: asked one by one, it would take as long as the rows themselves.
    fn settle_matched(&self, mailbox: MailboxId, side: Side, matches: &[Match]) -> Result<()> {
        let one = |m: &Match| [&m.left, &m.right][side as usize].id(side).filter(|_| is_told(m));
        let mut ids: Vec<Id> = matches.iter().filter_map(one).collect();
        ids.sort_unstable();
        self.scene.state.settle_new(mailbox, side, &ids.into_iter().collect())
    }

    /// Two messages are one; false where it cannot be told of which.
    fn pair(&self, mailbox: MailboxId, m: &Match) -> Result<bool> {
        let state = self.scene.state;
        if !is_told(m) {
            return Ok(false);
        }
        match (&m.left, &m.right) {
            (Waiting::New(left), Waiting::New(right)) if m.base.is_none() => {
                let flags = Match::base_flags(&left.flags, &right.flags);
                self.flags_to_come(
                    mailbox,
                    [(Side::Left, left, &flags[0]), (Side::Right, right, &flags[1])],
                )?;
                let [left_flags, right_flags] = flags;
                state.add_pair(&Pair {
                    halves: [Half::seen(left, left_flags), Half::seen(right, right_flags)],
                    ..super::books::row_of(mailbox, [Some(left), Some(right)])
                })?;
            }
            (Waiting::New(left), Waiting::New(right)) => {
                let Some(base) = &m.base else { return Ok(false) };
                let mut pair = (**base).clone();
                for (side, found) in [(Side::Left, left), (Side::Right, right)] {
                    self.first_look(&mut pair, side, found);
                }
                let [left_flags, right_flags] = pair.halves.map(|half| half.flags);
                self.flags_to_come(
                    mailbox,
                    [(Side::Left, left, &left_flags), (Side::Right, right, &right_flags)],
                )?;
                let [left, right] = [Half::seen(left, left_flags), Half::seen(right, right_flags)];
                state.move_pair(base.id, mailbox, [&left, &right])?;
            }
            (Waiting::Void(pair), Waiting::New(found)) | (Waiting::New(found), Waiting::Void(pair)) => {
                let side = if matches!(m.left, Waiting::New(_)) {
                    Side::Left
                } else {
                    Side::Right
                };
                let mut now = (**pair).clone();
                self.first_look(&mut now, side, found);
                let flags = now.half(side).flags.clone();
                self.flags_to_come(mailbox, [(side, found, &flags)])?;
                state.set_half(pair.id, side, &Half::seen(found, flags))?;
                self.original_to_come(pair, &now, side.other())?;
            }
            (Waiting::Void(left), Waiting::Void(right)) => {
                let pair = joined(left, right);
                let other = if pair.id == left.id { right } else { left };
                state.drop_pair(other.id)?;
                for side in Side::BOTH {
                    state.set_half(pair.id, side, pair.half(side))?;
                }
            }
        }
        Ok(true)
    }
}

impl Executor<'_> {
    /// Flags that differ from the base are a change, which waits until it is carried over: the mailbox, seen before, may
    /// not tell of it again.
    fn flags_to_come<const N: usize>(&self, mailbox: MailboxId, found: [(Side, &Envelope, &Flags); N]) -> Result<()> {
        for (side, found, base) in found {
            if found.flags != *base {
                self.scene
                    .state
                    .add_pending_flags(mailbox, side, found.id, &found.flags)?;
            }
        }
        Ok(())
    }

    /// The base flags of a message that was found again on that side.
    fn first_look(&self, pair: &mut Pair, side: Side, found: &Envelope) {
        if pair.half(side).unseen {
            seen_late(pair, side, &found.flags, &self.scene.policy);
        }
    }

    /// The base of the message that was sent changed with what became of its copy: so its flags are a change, which waits.
    fn original_to_come(&self, was: &Pair, is: &Pair, side: Side) -> Result<()> {
        let state = self.scene.state;
        let (then, now) = (was.half(side), is.half(side));
        if then == now {
            return Ok(());
        }
        let flags = match self.scene.unseen.get(&is.id).map(|told| &told[side as usize]) {
            Some(Now::Flags(flags)) => flags,
            Some(Now::AsBase | Now::Gone) | None => &then.flags,
        };
        if let Some(id) = now.id.filter(|_| *flags != now.flags) {
            state.add_pending_flags(is.mailbox, side, id, flags)?;
        }
        state.set_half(is.id, side, now)
    }
}

/// Whether a match says what the message is.
fn is_told(m: &Match) -> bool {
    match (&m.left, &m.right) {
        (Waiting::New(left), Waiting::New(right)) => m.base.is_some() || left.content.or(right.content).is_some(),
        _ => true,
    }
}

/// Writes a change of flags that both sides now agree on into both bases, and only that change: `on` is the side that was
/// changed and `seen` what it then held, where that was looked at.
pub(super) fn settle_flags(
    executor: &Executor<'_>,
    pair: &Pair,
    on: Side,
    add: &Flags,
    remove: &Flags,
    seen: Option<&Flags>,
) -> Result<()> {
    let state = executor.scene.state;
    for side in Side::BOTH {
        let half = pair.half(side);
        let agreed = half.flags.union(add).minus(remove);
        let flags = match seen {
            // What the store did not take is in this base as it is: no change of that side.
            Some(seen) if side == on => {
                let touched = add.union(remove);
                half.flags.minus(&touched).union(&seen.intersection(&touched))
            }
            _ => agreed,
        };
        if flags != half.flags {
            let flags = flags.clone();
            state.set_half(pair.id, side, &Half { flags, ..half.clone() })?;
        }
        let Some(id) = half.id else { continue };
        state.settle_new(pair.mailbox, side, &one(id))?;
        // What was set is told again. Of the other side, what is not carried over by this still waits.
        let set = side == on && seen.is_some();
        if set
            || state
                .pending_flags(pair.mailbox, side, id)?
                .is_some_and(|waiting| waiting == flags)
        {
            state.settle_flags(pair.mailbox, side, id)?;
        }
    }
    Ok(())
}

pub(super) fn one(id: Id) -> IdSet {
    IdSet::range(id..=id)
}
