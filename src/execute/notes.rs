//! What is only written down.

use super::Executor;
use crate::error::Result;
use crate::model::{Flags, Half, HeaderDigest, Id, IdSet, MailboxId, Pair, PairId, Side};
use crate::plan::{Action, Match, Step, Waiting, first_sight};

impl Executor<'_> {
    pub(super) fn notes<'p>(&mut self, steps: impl Iterator<Item = &'p Step>) -> Result<()> {
        let state = self.scene.state;
        for step in steps {
            match &step.action {
                Action::Pair { matches } => {
                    for m in matches {
                        self.pair(step.mailbox, m)?;
                    }
                }
                Action::Agree { pairs, add, remove } => {
                    for pair in self.pairs(pairs)? {
                        settle_flags(self, &pair, Side::Left, add, remove, None)?;
                    }
                }
                Action::Forget { pairs } => {
                    for &pair in pairs {
                        state.drop_pair(pair)?;
                    }
                }
                Action::KeepNew { of, ids } => state.add_pending_new(step.mailbox, *of, ids)?,
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

    /// Two messages are one.
    fn pair(&mut self, mailbox: MailboxId, m: &Match) -> Result<()> {
        let state = self.scene.state;
        match (&m.left, &m.right) {
            (Waiting::New(left), Waiting::New(right)) => {
                let [left_flags, right_flags] = Match::base_flags(&left.flags, &right.flags);
                let Some(content) = left.content.or(right.content) else {
                    return Ok(());
                };
                state.add_pair(&Pair {
                    id: PairId(0),
                    mailbox,
                    halves: [Half::seen(left, left_flags), Half::seen(right, right_flags)],
                    size: if left.content.is_some() { left.size } else { right.size },
                    content,
                    header: left.header.or(right.header).unwrap_or(HeaderDigest([0; 16])),
                    envelope: left.envelope.or(right.envelope),
                })?;
            }
            (Waiting::Void(pair), Waiting::New(found)) | (Waiting::New(found), Waiting::Void(pair)) => {
                let side = if matches!(m.left, Waiting::New(_)) {
                    Side::Left
                } else {
                    Side::Right
                };
                let base = pair.half(side);
                let flags = if base.unseen {
                    first_sight(&base.flags, &found.flags)
                } else {
                    base.flags.clone()
                };
                state.set_half(pair.id, side, &Half::seen(found, flags))?;
            }
            (Waiting::Void(_), Waiting::Void(_)) => return Ok(()),
        }
        for side in Side::BOTH {
            if let Some(id) = [&m.left, &m.right][side as usize].id(side) {
                state.settle(mailbox, side, &IdSet::range(id..=id))?;
            }
        }
        self.outcome.paired += 1;
        Ok(())
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
            state.set_half(pair.id, side, &Half { flags, ..half.clone() })?;
        }
        if let Some(id) = half.id {
            state.settle(pair.mailbox, side, &one(id))?;
        }
    }
    Ok(())
}

pub(super) fn one(id: Id) -> IdSet {
    IdSet::range(id..=id)
}
