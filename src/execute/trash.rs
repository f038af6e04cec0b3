//! Moves into a side's trash what is gone on the other side. What arrives there is new mail of that mailbox.

use std::collections::BTreeMap;

use super::moves::Batch;
use super::notes::one;
use super::{Executor, deeds};
use crate::error::{Failure, Result};
use crate::model::{Flags, Gone, Id, IdSet, Pair, Side, System};
use crate::plan::{Action, Step};
use crate::state::IntentKind;
use crate::store::{Done, Ticket, WriteJob};

impl Executor<'_> {
    /// Moves messages into the trash of both sides at once.
    pub(super) fn move_to_trash<'p>(&mut self, steps: impl Iterator<Item = &'p Step>) -> Result<()> {
        if self.stopping() {
            return Ok(());
        }
        let mut jobs: [Vec<WriteJob>; 2] = Default::default();
        let mut batches: [Vec<Batch<Pair>>; 2] = Default::default();
        for step in steps {
            let Action::Trash { on, from, pairs, .. } = &step.action else {
                continue;
            };
            let pairs = self.pairs(pairs)?.into_iter();
            let open: BTreeMap<Id, Pair> = pairs.filter_map(|pair| Some((pair.half(*on).id?, pair))).collect();
            let mut batch = Batch::new(*on, *from, step, open);
            let is_blocked = [*from, step.mailbox].iter().any(|id| self.blocked.contains(id));
            let (Some(mailbox), Some(to), false) =
                (self.mailbox(*from, *on), self.mailbox(step.mailbox, *on), is_blocked)
            else {
                // The trash could not be made; the messages wait for it.
                let ids = batch.ids();
                self.trash_waits(&mut batch, &ids)?;
                continue;
            };
            batch.intent = self.open_move(IntentKind::Trash, &batch)?;
            jobs[*on as usize].push(WriteJob::Move {
                ticket: Ticket(batches[*on as usize].len() as u64),
                mailbox,
                messages: batch.open.values().filter_map(|pair| pair.known(*on)).collect(),
                to,
            });
            batches[*on as usize].push(batch);
        }
        self.scene.state.commit()?;
        self.unmark(&jobs, &batches)?;
        self.write(jobs, |executor, side, ticket, done| {
            executor.book_trashed(side, &mut batches[side as usize][ticket.0 as usize], done)
        })
    }

    /// What is marked as deleted goes into the trash without its mark: in there, the next EXPUNGE would take it. Whatever comes
    /// of this, the message is on its way out of its mailbox.
    fn unmark(&mut self, moves: &[Vec<WriteJob>; 2], batches: &[Vec<Batch<Pair>>; 2]) -> Result<()> {
        let mark = Flags::new(System::DELETED, []);
        let jobs = Side::BOTH.map(|side| {
            let moves = moves[side as usize].iter().zip(&batches[side as usize]);
            let jobs = moves.filter_map(|(job, batch)| {
                let marked = |pair: &&Pair| !pair.half(side).flags.intersection(&mark).is_empty();
                let marked = batch.open.values().filter(marked);
                let ids: IdSet = marked.filter_map(|pair| pair.half(side).id).collect();
                let WriteJob::Move { ticket, mailbox, .. } = job else {
                    return None;
                };
                (!ids.is_empty()).then(|| WriteJob::Flags {
                    ticket: *ticket,
                    mailbox: mailbox.clone(),
                    ids,
                    add: Flags::none(),
                    remove: mark.clone(),
                })
            });
            jobs.collect()
        });
        self.write(jobs, |_, _, _, _| Ok(()))
    }

    fn book_trashed(&mut self, on: Side, batch: &mut Batch<Pair>, done: Done) -> Result<()> {
        let state = self.scene.state;
        match done {
            Done::Moved(arrivals) => {
                for (old, new) in arrivals {
                    if let Some(pair) = batch.open.remove(&old) {
                        self.arrived_in_trash(batch, &pair, new)?;
                        state.drop_pair(pair.id)?;
                        state.settle(batch.from, on, &one(old))?;
                    }
                }
            }
            // The copy is there, the original too: its removal waits, and is then one for good.
            Done::Copied(arrivals) => {
                for (old, new) in arrivals {
                    if let Some(pair) = batch.open.remove(&old) {
                        self.arrived_in_trash(batch, &pair, new)?;
                        state.set_gone(pair.id, on.other(), Gone::Spare)?;
                        self.blocked.insert(batch.from);
                    }
                }
            }
            Done::Gone(ids) => {
                // Somebody was faster, or it is elsewhere by now; it goes when that is found.
                self.trash_waits(batch, &ids)?;
                self.look_again(batch.from, on)?;
            }
            Done::Differs(ids) => {
                let pairs: Vec<_> = batch.take(&ids).iter().map(|pair| pair.id).collect();
                self.not_the_same(batch.from, on, &ids, &pairs)?;
            }
            Done::Failed(ids, failure) => self.trash_failed(batch, ids, &failure)?,
            Done::Unknown(ids, failure) => {
                batch.unknown = true;
                self.trash_failed(batch, ids, &failure)?;
            }
            Done::Finished => {
                let rest = batch.ids();
                self.trash_waits(batch, &rest)?;
                if !batch.unknown {
                    state.close_intent(batch.intent)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn arrived_in_trash(&mut self, batch: &Batch<Pair>, pair: &Pair, new: Option<Id>) -> Result<()> {
        let mut moved = pair.clone();
        moved.halves[batch.on as usize].id = new;
        let message = deeds::leaving(self.scene.state, batch.from, &moved)?;
        self.outcome.counts[batch.on as usize].moved += 1;
        self.outcome.in_trash = true;
        self.did(&batch.deed, Some(&message))?;
        (self.scene.advance)(1);
        Ok(())
    }

    /// What is gone on the other side stays so in the books, and nothing is removed.
    fn trash_waits(&mut self, batch: &mut Batch<Pair>, ids: &IdSet) -> Result<()> {
        for pair in batch.take(ids) {
            // A mailbox that still holds something is not deleted in this run.
            self.blocked.insert(batch.from);
            self.scene.state.set_gone(pair.id, batch.on.other(), Gone::Pending)?;
        }
        Ok(())
    }

    fn trash_failed(&mut self, batch: &mut Batch<Pair>, ids: IdSet, failure: &Failure) -> Result<()> {
        let ids = if ids.is_empty() { batch.ids() } else { ids };
        self.trash_waits(batch, &ids)?;
        self.move_refused(batch, &ids, failure)
    }
}
