//! Moves messages within a side: what moved on the other.

use std::collections::BTreeMap;

use super::notes::one;
use super::{Executor, deeds};
use crate::error::{Failure, Kind, Reach, Result, Retry};
use crate::model::{Flags, Gone, Half, Id, IdSet, Keyword, Known, MailboxId, Pair, Side, System};
use crate::plan::{Action, Match, Move, Step, first_sight, seen_late};
use crate::state::{Changes, Deed, Intent, IntentKind, IntentMessage, ProblemKey, now};
use crate::store::{Done, IntentId, Ticket, WriteJob};

/// Messages of one job, by their ids in the mailbox that they come from.
pub(super) struct Batch<T> {
    pub(super) on: Side,
    pub(super) from: MailboxId,
    pub(super) to: MailboxId,
    pub(super) intent: IntentId,
    pub(super) open: BTreeMap<Id, T>,
    /// Something may have been done without our knowing.
    pub(super) unknown: bool,
    /// What it is called in the history.
    pub(super) deed: Deed,
}

impl Executor<'_> {
    /// Moves messages on both sides at once.
    pub(super) fn move_messages<'p>(&mut self, steps: impl Iterator<Item = &'p Step>) -> Result<()> {
        if self.stopping() {
            return Ok(());
        }
        let mut jobs: [Vec<WriteJob>; 2] = Default::default();
        let mut batches: [Vec<Batch<Move>>; 2] = Default::default();
        for step in steps {
            let Action::Move { on, from, moves, .. } = &step.action else {
                continue;
            };
            let open = moves.iter().map(|one| (one.id, one.clone())).collect();
            let mut batch = Batch::new(*on, *from, step, open);
            let messages = self.known(&batch)?;
            let (Some(mailbox), Some(to), false) = (
                self.mailbox(*from, *on),
                self.mailbox(step.mailbox, *on),
                self.blocked.contains(&step.mailbox),
            ) else {
                // The mailbox could not be made; the messages wait for it.
                let ids = batch.ids();
                self.moves_wait(&mut batch, &ids)?;
                continue;
            };
            batch.intent = self.open_move(IntentKind::Move, &batch)?;
            let ticket = Ticket(jobs[*on as usize].len() as u64);
            batches[*on as usize].push(batch);
            jobs[*on as usize].push(WriteJob::Move {
                ticket,
                mailbox,
                messages,
                to,
            });
        }
        self.scene.state.commit()?;
        self.write(jobs, |executor, side, ticket, done| {
            let batch = &mut batches[side as usize][ticket.0 as usize];
            executor.book_moves(batch, done)
        })
    }

    /// What proves the messages of a batch.
    fn known(&self, batch: &Batch<Move>) -> Result<Vec<Known>> {
        let state = self.scene.state;
        let mut known = Vec::new();
        for &id in batch.open.keys() {
            if let Some(pair) = state.partner(batch.from, batch.on, id)? {
                known.extend(pair.known(batch.on));
            } else {
                let seen = self.scene.waiting.get(&(batch.from, batch.on, id));
                known.push(Known {
                    id,
                    size: seen.map(|seen| seen.size),
                    date: seen.map(|seen| seen.date),
                    content: seen.and_then(|seen| seen.content),
                });
            }
        }
        Ok(known)
    }

    fn book_moves(&mut self, batch: &mut Batch<Move>, done: Done) -> Result<()> {
        let state = self.scene.state;
        match done {
            Done::Moved(arrivals) => {
                for (old, new) in arrivals {
                    if let Some(one) = batch.open.remove(&old) {
                        let pair = self.book_moved(batch, &one, new)?;
                        self.arrived(batch, &pair, &one)?;
                    }
                }
            }
            // The copy is there, the original too: its removal waits, and it is never told as new (DESIGN 8a).
            Done::Copied(arrivals) => {
                for (old, new) in arrivals {
                    if let Some(one) = batch.open.remove(&old) {
                        let pair = self.book_half_moved(batch, &one, new)?;
                        self.arrived(batch, &pair, &one)?;
                    }
                }
            }
            Done::Gone(ids) => self.moves_wait(batch, &ids)?,
            Done::Differs(ids) => {
                // Not the message that was meant: the base row is over, and all that is there is new.
                for one in batch.take(&ids) {
                    if let Some(pair) = state.partner(batch.from, batch.on, one.id)? {
                        state.drop_pair(pair.id)?;
                    }
                    state.add_pending_unpaired(batch.from, batch.on, &self::one(one.id))?;
                    state.add_pending_unpaired(batch.to, batch.on.other(), &self::one(one.partner))?;
                }
                if !self.scene.stores[batch.on as usize].keeps_flags() {
                    state.drop_checkpoint(batch.from, batch.on)?;
                    self.outcome.tainted.insert((batch.from, batch.on));
                }
            }
            Done::Failed(ids, failure) => self.moves_failed(batch, ids, &failure)?,
            Done::Unknown(ids, failure) => {
                batch.unknown = true;
                self.moves_failed(batch, ids, &failure)?;
            }
            Done::Finished => {
                let rest = batch.ids();
                self.moves_wait(batch, &rest)?;
                if !batch.unknown {
                    state.close_intent(batch.intent)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Counts it, and plans its flags.
    fn arrived(&mut self, batch: &Batch<Move>, pair: &Pair, one: &Move) -> Result<()> {
        let state = self.scene.state;
        state.settle(batch.from, batch.on, &self::one(one.id))?;
        state.settle(batch.to, batch.on.other(), &self::one(one.partner))?;
        self.outcome.counts[batch.on as usize].moved += 1;
        self.did(&batch.deed, Some(&deeds::message(pair)))?;
        (self.scene.advance)(1);
        self.merge_late(pair, [&one.flags[0], &one.flags[1]])
    }

    /// The base row goes along into the new mailbox.
    fn book_moved(&mut self, batch: &Batch<Move>, one: &Move, new: Option<Id>) -> Result<Pair> {
        let state = self.scene.state;
        let mut pair = self.moved_pair(batch, one, new)?;
        if one.base.is_some() {
            state.move_pair(pair.id, pair.mailbox, [&pair.halves[0], &pair.halves[1]])?;
        } else {
            pair.id = state.add_pair(&pair)?;
        }
        Ok(pair)
    }

    /// The copy gets a row of its own; the original's tells that its removal waits.
    fn book_half_moved(&mut self, batch: &Batch<Move>, one: &Move, new: Option<Id>) -> Result<Pair> {
        let (state, on, other) = (self.scene.state, batch.on, batch.on.other());
        let mut pair = self.moved_pair(batch, one, new)?;
        let original = state.partner(batch.from, on, one.id)?;
        if let (Some(original), true) = (&original, one.base.is_some()) {
            state.set_gone(original.id, other, Gone::Spare)?;
        } else {
            let mut left_over = Pair {
                mailbox: batch.from,
                ..pair.clone()
            };
            left_over.halves[on as usize].id = Some(one.id);
            left_over.halves[other as usize] = Half {
                gone: Gone::Spare,
                ..Half::default()
            };
            state.add_pair(&left_over)?;
        }
        if let (None, Some(base)) = (original, one.base) {
            state.drop_pair(base)?;
        }
        pair.id = state.add_pair(&pair)?;
        Ok(pair)
    }

    /// The row as it is once the message has moved.
    fn moved_pair(&self, batch: &Batch<Move>, one: &Move, new: Option<Id>) -> Result<Pair> {
        let (on, other) = (batch.on, batch.on.other());
        let new = self.own_id(batch.to, on, new, one.partner)?;
        let base = one.base.map_or(Ok(None), |base| self.scene.state.pair(base))?;
        let here = self.half_of_move((batch.from, on, one.id), base.as_ref(), &one.flags);
        let there = self.half_of_move((batch.to, other, one.partner), base.as_ref(), &one.flags);
        let doubted = base.as_ref().map_or_else(Flags::none, |base| {
            let [left, right] = Side::BOTH.map(|side| self.not_seen(side, base, &one.flags));
            self.left_behind(other, base, &one.flags).union(&left).union(&right)
        });
        let mut pair = match base {
            Some(base) => base,
            None => self.new_pair(batch, one),
        };
        pair.mailbox = batch.to;
        pair.halves[other as usize] = there;
        pair.halves[on as usize] = Half {
            id: new,
            // Found again by its envelope key, and never sent again.
            unseen: here.unseen || new.is_none(),
            gone: Gone::No,
            ..here
        };
        for half in &mut pair.halves {
            half.flags = half.flags.minus(&doubted);
        }
        Ok(pair)
    }

    /// Keywords that a message lost when somebody moved it within a Maildir: the letters for them mean nothing in the new
    /// mailbox, which is no removal. The base does without them, so that they come back from the other side.
    fn left_behind(&self, moved_on: Side, base: &Pair, now: &[Flags; 2]) -> Flags {
        if !self.scene.stores[moved_on as usize].keeps_flags() {
            return Flags::none();
        }
        let lost = base.half(moved_on).flags.minus(&now[moved_on as usize]);
        // Its letter is the same in every mailbox.
        let forwarded = Keyword::forwarded();
        let keywords = lost.keywords().iter().filter(|keyword| **keyword != forwarded);
        Flags::new(System::NONE, keywords.cloned())
    }

    /// Flags that were sent to that side by an earlier run and are not there, see [`seen_late`].
    fn not_seen(&self, side: Side, base: &Pair, now: &[Flags; 2]) -> Flags {
        let mut late = base.clone();
        if base.half(side).unseen {
            seen_late(&mut late, side, &now[side as usize], &self.scene.policy);
        }
        base.half(side.other()).flags.minus(&late.half(side.other()).flags)
    }

    /// One side of a message that moves: as the base row has it where that is meant, else as it was just seen, with the
    /// flags of the base.
    fn half_of_move(&self, at: (MailboxId, Side, Id), base: Option<&Pair>, now: &[Flags; 2]) -> Half {
        let (mailbox, side, id) = at;
        let half = base.map(|base| base.half(side));
        if let (Some(base), Some(half)) = (base, half)
            && base.mailbox == mailbox
            && half.id == Some(id)
        {
            return half.clone();
        }
        let flags = match half {
            Some(half) if half.unseen => first_sight(&half.flags, &now[side as usize]),
            Some(half) => half.flags.clone(),
            None => Match::base_flags(&now[0], &now[1])[side as usize].clone(),
        };
        let seen = self.scene.waiting.get(&at);
        let unknown = Half {
            id: Some(id),
            ..Half::default()
        };
        seen.map_or(unknown, |seen| Half::seen(seen, flags))
    }

    /// A base row for two messages that had none.
    fn new_pair(&self, batch: &Batch<Move>, one: &Move) -> Pair {
        let seen = |mailbox, side, id| self.scene.waiting.get(&(mailbox, side, id));
        let here = seen(batch.from, batch.on, one.id);
        let there = seen(batch.to, batch.on.other(), one.partner);
        super::books::row_of(batch.to, [here, there])
    }

    /// The moves wait: what is new stays pending, and nothing counts as removed.
    fn moves_wait(&mut self, batch: &mut Batch<Move>, ids: &IdSet) -> Result<()> {
        let (state, on, other) = (self.scene.state, batch.on, batch.on.other());
        for one in batch.take(ids) {
            // A mailbox that still holds something is not deleted in this run.
            self.blocked.insert(batch.from);
            state.add_pending_unpaired(batch.from, on, &self::one(one.id))?;
            state.add_pending_unpaired(batch.to, other, &self::one(one.partner))?;
            let Some(pair) = one.base.map_or(Ok(None), |base| state.pair(base))? else {
                continue;
            };
            for (mailbox, side, id) in [(batch.from, on, one.id), (batch.to, other, one.partner)] {
                if (pair.mailbox, pair.half(side).id) != (mailbox, Some(id)) && pair.half(side).gone == Gone::No {
                    state.set_gone(pair.id, side, Gone::Pending)?;
                }
            }
        }
        Ok(())
    }

    fn moves_failed(&mut self, batch: &mut Batch<Move>, ids: IdSet, failure: &Failure) -> Result<()> {
        let ids = if ids.is_empty() { batch.ids() } else { ids };
        self.moves_wait(batch, &ids)?;
        self.move_refused(batch, &ids, failure)
    }

    /// What it was that did not let messages go from one mailbox into the other.
    pub(super) fn move_refused<T>(&mut self, batch: &Batch<T>, ids: &IdSet, failure: &Failure) -> Result<()> {
        let changes = |mailbox, changes| ProblemKey::Changes(mailbox, batch.on, changes);
        let at_source = failure.reach == Reach::Mailbox;
        let key = match failure.kind {
            Kind::ReadOnly if at_source => changes(batch.from, Changes::All),
            Kind::ReadOnly => changes(batch.to, Changes::All),
            // What was copied could not be removed.
            _ if at_source && failure.retry == Retry::Later => changes(batch.from, Changes::Removals),
            _ => {
                for id in ids.iter() {
                    self.fail(ProblemKey::Message(batch.from, batch.on, id), failure.clone())?;
                }
                return Ok(());
            }
        };
        self.fail(key, failure.clone())
    }

    /// The journal before the effect.
    pub(super) fn open_move<T>(&self, kind: IntentKind, batch: &Batch<T>) -> Result<IntentId> {
        let scene = &self.scene;
        let mut messages = Vec::new();
        for &id in batch.open.keys() {
            let pair = scene.state.partner(batch.from, batch.on, id)?;
            let seen = scene.waiting.get(&(batch.from, batch.on, id));
            messages.extend(
                pair.map(|pair| IntentMessage::paired(id, &pair))
                    .or_else(|| seen.map(IntentMessage::seen)),
            );
        }
        let intent = Intent {
            id: IntentId(0),
            kind,
            mailbox: batch.to,
            source: Some(batch.from),
            side: batch.on,
            ids: batch.ids(),
            next_id: scene.next_ids.get(&(batch.to, batch.on)).copied(),
            run: scene.run,
            begun: now(),
        };
        scene.state.open_intent(&intent, &messages)
    }
}

impl<T> Batch<T> {
    pub(super) fn new(on: Side, from: MailboxId, step: &Step, open: BTreeMap<Id, T>) -> Self {
        Self {
            on,
            from,
            to: step.mailbox,
            intent: IntentId(0),
            open,
            deed: deeds::of(step),
            unknown: false,
        }
    }

    pub(super) fn ids(&self) -> IdSet {
        self.open.keys().copied().collect()
    }

    pub(super) fn take(&mut self, ids: &IdSet) -> Vec<T> {
        ids.iter().filter_map(|id| self.open.remove(&id)).collect()
    }
}
