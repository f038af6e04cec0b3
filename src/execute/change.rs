//! Sets flags and removes messages.

use std::collections::BTreeMap;

use super::notes::{one, settle_flags};
use super::{Executor, deeds};
use crate::error::{Failure, Kind, Reach, Result, Retry};
use crate::model::{Flags, Gone, IdSet, MailboxId, PairId, Side};
use crate::plan::{Action, Step};
use crate::state::{Changes, Deed, DeedMessage, ProblemKey, State};
use crate::store::{Done, Ticket, WriteJob};

/// Messages of one job, by their id on the side that is changed.
struct Batch {
    mailbox: MailboxId,
    removes: bool,
    /// The other side follows: its base rows tell that this one has lost them.
    expunges: bool,
    open: IdSet,
    add: Flags,
    remove: Flags,
    pairs: BTreeMap<u64, PairId>,
    deed: Deed,
    /// What is removed, as it was.
    leaving: BTreeMap<u64, DeedMessage>,
}

/// Jobs for both sides, and what each is about.
#[derive(Default)]
struct Jobs {
    jobs: [Vec<WriteJob>; 2],
    batches: [Vec<Batch>; 2],
}

impl Jobs {
    fn next_ticket(&self, on: Side) -> Ticket {
        Ticket(self.jobs[on as usize].len() as u64)
    }

    fn add(&mut self, on: Side, job: WriteJob, batch: Batch) {
        self.jobs[on as usize].push(job);
        self.batches[on as usize].push(batch);
    }

    /// The jobs of each mailbox one behind the other; a ticket says which batch a job is.
    fn by_mailbox(self) -> ([Vec<WriteJob>; 2], [Vec<Batch>; 2]) {
        let Self { mut jobs, batches } = self;
        for (jobs, batches) in jobs.iter_mut().zip(&batches) {
            jobs.sort_by_key(|job| batches[job.ticket().0 as usize].mailbox);
        }
        (jobs, batches)
    }
}

impl Executor<'_> {
    /// Sets flags and removes messages, on both sides at once. What is done in one mailbox is done together, so that a
    /// server opens it once.
    pub(super) fn flags_and_removals<'p>(
        &mut self,
        flags: impl Iterator<Item = &'p Step>,
        removals: impl Iterator<Item = &'p Step>,
    ) -> Result<()> {
        let mut jobs = Jobs::default();
        self.add_flags(flags, &mut jobs);
        if !self.stopping() {
            self.add_removals(removals, &mut jobs)?;
        }
        let (jobs, mut batches) = jobs.by_mailbox();
        self.write(jobs, |executor, side, ticket, done| {
            let batch = &mut batches[side as usize][ticket.0 as usize];
            if batch.removes {
                executor.book_removals(side, batch, done)
            } else {
                executor.book_flags(side, batch, done)
            }
        })
    }

    fn add_flags<'p>(&self, steps: impl Iterator<Item = &'p Step>, jobs: &mut Jobs) {
        for step in steps {
            let Action::SetFlags { on, ids, add, remove } = &step.action else {
                continue;
            };
            let Some(mailbox) = self.mailbox(step.mailbox, *on) else {
                continue;
            };
            let batch = Batch {
                mailbox: step.mailbox,
                removes: false,
                expunges: false,
                open: ids.clone(),
                add: add.clone(),
                remove: remove.clone(),
                pairs: BTreeMap::new(),
                deed: deeds::of(step),
                leaving: BTreeMap::new(),
            };
            let job = WriteJob::Flags {
                ticket: jobs.next_ticket(*on),
                mailbox,
                ids: ids.clone(),
                add: add.clone(),
                remove: remove.clone(),
            };
            jobs.add(*on, job, batch);
        }
    }

    fn book_flags(&mut self, on: Side, batch: &mut Batch, done: Done) -> Result<()> {
        let state = self.scene.state;
        match done {
            Done::Flags(seen) => {
                if seen.iter().any(|(_, flags)| !batch.add.minus(flags).is_empty()) {
                    self.note_permanent(on, batch)?;
                }
                for (id, flags) in seen {
                    if let (true, Some(pair)) = (batch.open.remove(id), state.partner(batch.mailbox, on, id)?) {
                        settle_flags(self, &pair, on, &batch.add, &batch.remove, Some(&flags))?;
                        self.outcome.counts[on as usize].flags += 1;
                        self.did(&batch.deed, Some(&deeds::message(&pair)))?;
                        (self.scene.advance)(1);
                    }
                }
            }
            Done::Failed(ids, failure) | Done::Unknown(ids, failure) => {
                let ids = if ids.is_empty() { batch.open.clone() } else { ids };
                self.flags_wait(on, batch, &ids)?;
                self.changes_failed(on, batch, &ids, failure)?;
                batch.open = batch.open.difference(&ids);
            }
            Done::Gone(ids) => {
                // It may only be elsewhere by now, with its mailbox.
                self.flags_wait(on, batch, &ids)?;
                batch.open = batch.open.difference(&ids);
            }
            Done::Finished => {
                let rest = std::mem::take(&mut batch.open);
                self.flags_wait(on, batch, &rest)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A flag was not set: it is tried again when the mailbox lets more be set than it does now (HAZARDS 14). What it did not
    /// let be set at an earlier time counts too.
    fn note_permanent(&self, on: Side, batch: &Batch) -> Result<()> {
        let Some(mailbox) = self.mailbox(batch.mailbox, on) else {
            return Ok(());
        };
        let Some(now) = self.scene.stores[on as usize].permanent(&mailbox) else {
            return Ok(());
        };
        let noted = match self.scene.state.permanent(batch.mailbox, on)? {
            Some(then) => then.intersection(&now),
            None => now,
        };
        self.scene.state.set_permanent(batch.mailbox, on, &noted)
    }

    /// What keeps all changes of a kind from a mailbox is told once, and they wait together for their next try.
    fn changes_failed(&mut self, on: Side, batch: &Batch, ids: &IdSet, failure: Failure) -> Result<()> {
        // Another change, or the same one in another place, may be taken.
        let failure = match failure.retry {
            Retry::Never => failure.retry(Retry::Later),
            Retry::Now | Retry::Later => failure,
        };
        let whole = match (failure.kind, failure.reach, failure.retry) {
            (Kind::ReadOnly, ..) => Some(Changes::All),
            (_, Reach::Mailbox, Retry::Later) if batch.removes => Some(Changes::Removals),
            (_, Reach::Mailbox, Retry::Later) => Some(Changes::Flags),
            _ => None,
        };
        if let Some(changes) = whole {
            return self.fail(ProblemKey::Changes(batch.mailbox, on, changes), failure);
        }
        for id in ids.iter() {
            self.fail(ProblemKey::Message(batch.mailbox, on, id), failure.clone())?;
        }
        Ok(())
    }

    /// What was to be set waits on the side where it was changed first.
    fn flags_wait(&self, on: Side, batch: &Batch, ids: &IdSet) -> Result<()> {
        let from = on.other();
        for pair in self.scene.state.pairs_by_ids(batch.mailbox, on, ids)? {
            if let Some(id) = pair.half(from).id {
                let flags = pair.half(from).flags.union(&batch.add).minus(&batch.remove);
                self.scene.state.add_pending_flags(batch.mailbox, from, id, &flags)?;
            }
        }
        Ok(())
    }

    fn add_removals<'p>(&self, steps: impl Iterator<Item = &'p Step>, jobs: &mut Jobs) -> Result<()> {
        for step in steps {
            let (Action::Remove { on, pairs } | Action::Expunge { on, pairs }) = &step.action else {
                continue;
            };
            let (Some(mailbox), false) = (self.mailbox(step.mailbox, *on), self.blocked.contains(&step.mailbox)) else {
                continue;
            };
            let pairs = self.pairs(pairs)?;
            let messages: Vec<_> = pairs.iter().filter_map(|pair| pair.known(*on)).collect();
            let mut leaving = BTreeMap::new();
            for pair in pairs.iter().take(State::LISTED as usize) {
                if let Some(id) = pair.half(*on).id {
                    leaving.insert(id, deeds::leaving(self.scene.state, step.mailbox, pair)?);
                }
            }
            let batch = Batch {
                mailbox: step.mailbox,
                removes: true,
                expunges: matches!(step.action, Action::Expunge { .. }),
                deed: deeds::of(step),
                leaving,
                open: messages.iter().map(|known| known.id).collect(),
                add: Flags::none(),
                remove: Flags::none(),
                pairs: pairs
                    .iter()
                    .filter_map(|pair| Some((pair.half(*on).id?, pair.id)))
                    .collect(),
            };
            let job = WriteJob::Remove {
                ticket: jobs.next_ticket(*on),
                mailbox,
                path: step.path.clone(),
                messages,
            };
            jobs.add(*on, job, batch);
        }
        Ok(())
    }

    fn book_removals(&mut self, on: Side, batch: &mut Batch, done: Done) -> Result<()> {
        let state = self.scene.state;
        match done {
            Done::Removed(ids) => {
                for id in ids.iter().filter(|&id| batch.open.contains(id)) {
                    match batch.pairs.get(&id) {
                        Some(pair) if batch.expunges => state.set_gone(*pair, on, Gone::Pending)?,
                        Some(pair) => state.drop_pair(*pair)?,
                        None => {}
                    }
                    self.outcome.expunged |= batch.expunges;
                    state.settle(batch.mailbox, on, &one(id))?;
                    self.outcome.counts[on as usize].removed += 1;
                    self.did(&batch.deed, batch.leaving.get(&id))?;
                    (self.scene.advance)(1);
                }
                batch.open = batch.open.difference(&ids);
            }
            Done::Gone(ids) => {
                // Somebody was faster; or it is elsewhere by now, with its mailbox, and goes when that is found.
                self.removals_remain(on, batch, &ids)?;
                self.look_again(batch.mailbox, on)?;
                batch.open = batch.open.difference(&ids);
            }
            Done::Differs(ids) => {
                let pairs: Vec<_> = ids.iter().filter_map(|id| batch.pairs.get(&id).copied()).collect();
                for pair in self.pairs(&pairs)?.into_iter().filter(|_| batch.expunges) {
                    let there: IdSet = pair.half(on.other()).id.into_iter().collect();
                    state.add_pending_unpaired(batch.mailbox, on.other(), &there)?;
                }
                self.not_the_same(batch.mailbox, on, &ids, &pairs)?;
                batch.open = batch.open.difference(&ids);
            }
            Done::Failed(ids, failure) | Done::Unknown(ids, failure) => {
                let ids = if ids.is_empty() { batch.open.clone() } else { ids };
                self.removals_wait(on, batch, &ids)?;
                self.changes_failed(on, batch, &ids, failure)?;
                batch.open = batch.open.difference(&ids);
            }
            Done::Finished => {
                let rest = std::mem::take(&mut batch.open);
                self.removals_wait(on, batch, &rest)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// These are not the messages that were meant: the pairs are over, and what is there is new (DESIGN 8a).
    pub(super) fn not_the_same(&mut self, mailbox: MailboxId, on: Side, ids: &IdSet, pairs: &[PairId]) -> Result<()> {
        let state = self.scene.state;
        pairs.iter().try_for_each(|pair| state.drop_pair(*pair))?;
        state.add_pending_new(mailbox, on, ids)?;
        if !self.scene.stores[on as usize].keeps_flags() {
            state.drop_checkpoint(mailbox, on)?;
            self.outcome.tainted.insert((mailbox, on));
        }
        Ok(())
    }

    fn removals_wait(&mut self, on: Side, batch: &Batch, ids: &IdSet) -> Result<()> {
        if !ids.is_empty() {
            // A mailbox that still holds something is not deleted in this run.
            self.blocked.insert(batch.mailbox);
        }
        self.removals_remain(on, batch, ids)
    }

    /// What is gone on the other side stays so in the books.
    fn removals_remain(&self, on: Side, batch: &Batch, ids: &IdSet) -> Result<()> {
        // What is marked is gone on neither.
        for id in ids.iter().filter(|_| !batch.expunges) {
            if let Some(pair) = batch.pairs.get(&id) {
                self.scene.state.set_gone(*pair, on.other(), Gone::Pending)?;
            }
        }
        Ok(())
    }

    /// What a side answered does not fit what it was seen to hold: the next look at the mailbox is a full one.
    pub(super) fn look_again(&mut self, mailbox: MailboxId, on: Side) -> Result<()> {
        self.outcome.tainted.insert((mailbox, on));
        self.scene.state.forget_listing(mailbox, on)
    }
}
