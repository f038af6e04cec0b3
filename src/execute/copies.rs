//! Copies messages within a side: what was copied on the other, or has just arrived elsewhere.

use std::collections::BTreeMap;

use super::moves::Batch;
use super::notes::one;
use super::{Executor, deeds};
use crate::error::{Failure, Kind, Reach, Result};
use crate::model::{Gone, Half, Id, IdSet, MailboxId, Pair, PairId, Side};
use crate::plan::{Action, Source, Step, Twin};
use crate::state::{Changes, IntentKind, ProblemKey};
use crate::store::{Done, Ticket, WriteJob};

impl Executor<'_> {
    /// Copies messages on both sides at once.
    pub(super) fn copy_within<'p>(&mut self, steps: impl Iterator<Item = &'p Step>) -> Result<()> {
        if self.stopping() {
            return Ok(());
        }
        let mut jobs: [Vec<WriteJob>; 2] = Default::default();
        let mut batches: [Vec<Batch<(Twin, Pair)>>; 2] = Default::default();
        for step in steps {
            if let Action::CopyWithin { on, from, twins, .. } = &step.action {
                for open in self.resolve(step.mailbox, *on, *from, twins)? {
                    let mut batch = Batch::new(*on, *from, step, open);
                    let (Some(mailbox), Some(to)) = (self.mailbox(*from, *on), self.mailbox(step.mailbox, *on)) else {
                        let ids = batch.ids();
                        self.copies_wait(&mut batch, &ids)?;
                        continue;
                    };
                    batch.intent = self.open_move(IntentKind::CopyWithin, &batch)?;
                    let ticket = Ticket(jobs[*on as usize].len() as u64);
                    let messages = batch.open.values().filter_map(|(_, pair)| pair.known(*on)).collect();
                    batches[*on as usize].push(batch);
                    jobs[*on as usize].push(WriteJob::Copy {
                        ticket,
                        mailbox,
                        messages,
                        to,
                    });
                }
            }
        }
        self.scene.state.commit()?;
        self.write(jobs, |executor, side, ticket, done| {
            let batch = &mut batches[side as usize][ticket.0 as usize];
            executor.book_twins(batch, done)
        })
    }

    /// The originals of copies, in sets in which none is there twice. What has no original waits.
    fn resolve(
        &self,
        to: MailboxId,
        on: Side,
        from: MailboxId,
        twins: &[Twin],
    ) -> Result<Vec<BTreeMap<Id, (Twin, Pair)>>> {
        let state = self.scene.state;
        let mut sets: Vec<BTreeMap<Id, (Twin, Pair)>> = Vec::new();
        for twin in twins {
            let pair = match &twin.source {
                Source::There(id, _) => state.partner(from, on, *id)?,
                Source::Arriving(id) => state.partner(from, on.other(), *id)?,
            };
            let Some((pair, id)) = pair.and_then(|pair| pair.half(on).id.map(|id| (pair, id))) else {
                state.add_pending_new(to, on.other(), &one(twin.id))?;
                continue;
            };
            let at = sets.iter().position(|set| !set.contains_key(&id)).unwrap_or_else(|| {
                sets.push(BTreeMap::new());
                sets.len() - 1
            });
            sets[at].insert(id, (twin.clone(), pair));
        }
        Ok(sets)
    }

    fn book_twins(&mut self, batch: &mut Batch<(Twin, Pair)>, done: Done) -> Result<()> {
        match done {
            Done::Copied(arrivals) => {
                for (old, new) in arrivals {
                    if let Some((twin, pair)) = batch.open.remove(&old) {
                        self.book_twin(batch, &twin, pair, new)?;
                    }
                }
            }
            Done::Gone(ids) | Done::Differs(ids) => self.copies_wait(batch, &ids)?,
            Done::Failed(ids, failure) => self.copies_failed(batch, ids, &failure)?,
            Done::Unknown(ids, failure) => {
                batch.unknown = true;
                self.copies_failed(batch, ids, &failure)?;
            }
            Done::Finished => {
                let rest = batch.ids();
                self.copies_wait(batch, &rest)?;
                if !batch.unknown {
                    self.scene.state.close_intent(batch.intent)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The copy and the message that it answers are a pair; it carries the flags of its original, and gets its own next.
    fn book_twin(&mut self, batch: &Batch<(Twin, Pair)>, twin: &Twin, like: Pair, new: Option<Id>) -> Result<()> {
        let (to, on) = (batch.to, batch.on);
        let (state, other) = (self.scene.state, on.other());
        let new = self.own_id(to, on, new, twin.id)?;
        let carried = match &twin.source {
            Source::There(_, flags) => flags.clone(),
            Source::Arriving(_) => like.half(on).flags.clone(),
        };
        let seen = self.scene.waiting.get(&(to, other, twin.id));
        let mut pair = Pair {
            id: PairId(0),
            mailbox: to,
            ..like
        };
        let half = &mut pair.halves[on as usize];
        half.id = new;
        half.flags = carried.clone();
        half.gone = Gone::No;
        half.unseen |= new.is_none();
        pair.halves[other as usize] = seen.map_or_else(Half::default, |seen| Half::seen(seen, carried.clone()));
        pair.halves[other as usize].id = Some(twin.id);
        pair.id = state.add_pair(&pair)?;
        state.settle(to, other, &one(twin.id))?;
        self.outcome.counts[on as usize].added += 1;
        self.did(&batch.deed, Some(&deeds::message(&pair)))?;
        (self.scene.advance)(1);
        let now = if on == Side::Left {
            [&carried, &twin.flags]
        } else {
            [&twin.flags, &carried]
        };
        self.merge_late(&pair, now)
    }

    fn copies_failed(&mut self, batch: &mut Batch<(Twin, Pair)>, ids: IdSet, failure: &Failure) -> Result<()> {
        let ids = if ids.is_empty() { batch.ids() } else { ids };
        let (to, other) = (batch.to, batch.on.other());
        let waiting: Vec<Id> = ids
            .iter()
            .filter_map(|id| batch.open.get(&id).map(|(twin, _)| twin.id))
            .collect();
        self.copies_wait(batch, &ids)?;
        if failure.kind == Kind::ReadOnly {
            let closed = if failure.reach == Reach::Mailbox {
                batch.from
            } else {
                to
            };
            return self.fail(ProblemKey::Changes(closed, batch.on, Changes::All), failure.clone());
        }
        for id in waiting {
            self.fail(ProblemKey::Message(to, other, id), failure.clone())?;
        }
        Ok(())
    }

    fn copies_wait(&mut self, batch: &mut Batch<(Twin, Pair)>, ids: &IdSet) -> Result<()> {
        for (twin, _) in batch.take(ids) {
            self.scene
                .state
                .add_pending_unpaired(batch.to, batch.on.other(), &one(twin.id))?;
        }
        Ok(())
    }
}
