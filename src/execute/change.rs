//! Sets flags, removes messages, makes and deletes mailboxes.

use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;

use super::notes::{one, settle_flags};
use super::{BATCH, Executor, deeds};
use crate::error::{Failure, Kind, Result};
use crate::model::{Flags, Gone, IdSet, MailboxId, MailboxPath, PairId, RawName, Side};
use crate::pace::{Pace, Worker};
use crate::plan::{Action, Step};
use crate::state::{Deed, DeedMessage, ProblemKey, State};
use crate::store::{Done, Ticket, WriteJob};

/// Messages of one job, by their id on the side that is changed.
struct Batch {
    mailbox: MailboxId,
    removes: bool,
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
struct Changes {
    jobs: [Vec<WriteJob>; 2],
    batches: [Vec<Batch>; 2],
}

impl Changes {
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
        let mut changes = Changes::default();
        self.add_flags(flags, &mut changes);
        if !self.stopping() {
            self.add_removals(removals, &mut changes)?;
        }
        let (jobs, mut batches) = changes.by_mailbox();
        self.write(jobs, |executor, side, ticket, done| {
            let batch = &mut batches[side as usize][ticket.0 as usize];
            if batch.removes {
                executor.book_removals(side, batch, done)
            } else {
                executor.book_flags(side, batch, done)
            }
        })
    }

    fn add_flags<'p>(&self, steps: impl Iterator<Item = &'p Step>, changes: &mut Changes) {
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
                open: ids.clone(),
                add: add.clone(),
                remove: remove.clone(),
                pairs: BTreeMap::new(),
                deed: deeds::of(step),
                leaving: BTreeMap::new(),
            };
            let job = WriteJob::Flags {
                ticket: changes.next_ticket(*on),
                mailbox,
                ids: ids.clone(),
                add: add.clone(),
                remove: remove.clone(),
            };
            changes.add(*on, job, batch);
        }
    }

    fn book_flags(&mut self, on: Side, batch: &mut Batch, done: Done) -> Result<()> {
        let state = self.scene.state;
        match done {
            Done::Flags(seen) => {
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
                self.changes_failed(on, batch.mailbox, &ids, &failure)?;
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

    fn changes_failed(&mut self, on: Side, mailbox: MailboxId, ids: &IdSet, failure: &Failure) -> Result<()> {
        if failure.kind == Kind::ReadOnly {
            return self.fail(ProblemKey::Changes(mailbox, on), failure.clone());
        }
        for id in ids.iter() {
            self.fail(ProblemKey::Message(mailbox, on, id), failure.clone())?;
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

    fn add_removals<'p>(&self, steps: impl Iterator<Item = &'p Step>, changes: &mut Changes) -> Result<()> {
        for step in steps {
            let Action::Remove { on, pairs } = &step.action else {
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
                ticket: changes.next_ticket(*on),
                mailbox,
                path: step.path.clone(),
                messages,
            };
            changes.add(*on, job, batch);
        }
        Ok(())
    }

    fn book_removals(&mut self, on: Side, batch: &mut Batch, done: Done) -> Result<()> {
        let state = self.scene.state;
        match done {
            Done::Removed(ids) => {
                for id in ids.iter().filter(|&id| batch.open.contains(id)) {
                    if let Some(pair) = batch.pairs.get(&id) {
                        state.drop_pair(*pair)?;
                    }
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
                // Not the message that was meant: the pair is over, and what is there is new (DESIGN 8a).
                for id in ids.iter() {
                    if let Some(pair) = batch.pairs.get(&id) {
                        state.drop_pair(*pair)?;
                    }
                }
                state.add_pending_new(batch.mailbox, on, &ids)?;
                if !self.scene.stores[on as usize].keeps_flags() {
                    state.drop_checkpoint(batch.mailbox, on)?;
                    self.outcome.tainted.insert((batch.mailbox, on));
                }
                batch.open = batch.open.difference(&ids);
            }
            Done::Failed(ids, failure) | Done::Unknown(ids, failure) => {
                let ids = if ids.is_empty() { batch.open.clone() } else { ids };
                self.removals_wait(on, batch, &ids)?;
                self.changes_failed(on, batch.mailbox, &ids, &failure)?;
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

    fn removals_wait(&mut self, on: Side, batch: &Batch, ids: &IdSet) -> Result<()> {
        if !ids.is_empty() {
            // A mailbox that still holds something is not deleted in this run.
            self.blocked.insert(batch.mailbox);
        }
        self.removals_remain(on, batch, ids)
    }

    /// What is gone on the other side stays so in the books.
    fn removals_remain(&self, on: Side, batch: &Batch, ids: &IdSet) -> Result<()> {
        for id in ids.iter() {
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

    /// Makes or deletes mailboxes, on both sides at once.
    pub(super) fn change_mailboxes<'p>(&mut self, steps: impl Iterator<Item = &'p Step>) -> Result<()> {
        if self.stopping() {
            return Ok(());
        }
        let mut jobs: [Vec<WriteJob>; 2] = Default::default();
        let mut about: [Vec<(MailboxId, Option<MailboxPath>, Deed)>; 2] = Default::default();
        for step in steps {
            let (side, id) = (step.action.on().unwrap_or(Side::Left), step.mailbox);
            let ticket = Ticket(jobs[side as usize].len() as u64);
            let mut made = None;
            let job = match (&step.action, self.mailbox(id, side)) {
                (Action::CreateMailbox { .. }, _) => {
                    let path = (self.scene.spell)(&step.path, side);
                    made = Some(path.clone());
                    let role = self.role(id);
                    WriteJob::Create { ticket, path, role }
                }
                (Action::DeleteMailbox { .. }, Some(mailbox)) if !self.blocked.contains(&id) => {
                    WriteJob::Delete { ticket, mailbox }
                }
                _ => continue,
            };
            about[side as usize].push((id, made, deeds::of(step)));
            jobs[side as usize].push(job);
        }
        self.write(jobs, |executor, side, ticket, done| {
            let (mailbox, made, deed) = &about[side as usize][ticket.0 as usize];
            let is_done = matches!(done, Done::Created { .. } | Done::Deleted);
            executor.book_mailbox_or_refusal(side, *mailbox, made.as_ref(), done)?;
            if is_done { executor.did(deed, None) } else { Ok(()) }
        })?;
        self.make_refused()
    }

    pub(super) fn book_mailbox(&mut self, on: Side, mailbox: MailboxId, done: Done) -> Result<()> {
        let state = self.scene.state;
        match done {
            Done::Created {
                raw,
                validity,
                identity,
            } => {
                // Ids under which the mailbox was known before it was made again mean nothing now.
                state.void_ids(mailbox, on)?;
                state.close_intents(mailbox)?;
                // Whatever will be there came later.
                self.scene.next_ids.insert((mailbox, on), 1);
                state.drop_place(mailbox, on)?;
                state.set_place(mailbox, on, &raw, identity.as_ref())?;
                if let Some(validity) = validity {
                    state.set_validity(mailbox, on, validity)?;
                }
                if let Some(names) = self.scene.names.get(&mailbox) {
                    state.agree_name(mailbox, &names.path)?;
                }
                self.name(mailbox, on, Some(raw));
                self.outcome.counts[on as usize].mailboxes_created += 1;
            }
            Done::Deleted => {
                state.drop_place(mailbox, on)?;
                self.name(mailbox, on, None);
                self.outcome.counts[on as usize].mailboxes_removed += 1;
                self.outcome.tainted.insert((mailbox, on));
                state.forget_mailbox(mailbox)?;
            }
            Done::Failed(_, failure) | Done::Unknown(_, failure) => self.mailbox_failed(on, mailbox, failure)?,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn mailbox_failed(&mut self, on: Side, mailbox: MailboxId, failure: Failure) -> Result<()> {
        self.blocked.insert(mailbox);
        self.outcome.tainted.extend(Side::BOTH.map(|side| (mailbox, side)));
        self.fail(ProblemKey::Mailbox(mailbox, on), failure)
    }

    pub(super) fn name(&mut self, mailbox: MailboxId, side: Side, raw: Option<RawName>) {
        if let Some(names) = self.scene.names.get_mut(&mailbox) {
            names.raw[side as usize] = raw;
        }
    }

    /// Gives each side its jobs and takes in the answers; durable before it returns.
    pub(super) fn write(
        &mut self,
        jobs: [Vec<WriteJob>; 2],
        mut book: impl FnMut(&mut Self, Side, Ticket, Done) -> Result<()>,
    ) -> Result<()> {
        let (pace, stores) = (self.scene.pace, self.scene.stores);
        let answers = jobs.iter().flatten().map(WriteJob::answers).sum();
        let [left, right] = jobs;
        let busy = [!left.is_empty(), !right.is_empty()];
        std::thread::scope(|scope| {
            let (done_in, done) = sync_channel(pace.room(answers, 2 * BATCH));
            let workers: Vec<_> = [(Side::Left, left), (Side::Right, right)]
                .into_iter()
                .filter(|(_, jobs)| !jobs.is_empty())
                .map(|(side, jobs)| {
                    let done_in = done_in.clone();
                    pace.spawn(scope, move || {
                        write_one_side(stores[side as usize], side, jobs, &done_in, pace)
                    })
                })
                .collect();
            drop(done_in);
            let mut booked = Ok(());
            for (side, answer) in &done {
                let answer: crate::store::Outcome = answer;
                booked = booked.and_then(|()| book(self, side, answer.ticket, answer.done));
            }
            workers.into_iter().map(Worker::join).fold(booked, Result::and)
        })?;
        for side in Side::BOTH.into_iter().filter(|&side| busy[side as usize]) {
            self.scene.stores[side as usize].flush()?;
        }
        self.count_deeds()?;
        self.scene.state.commit()
    }
}

/// Feeds one store and marks its answers with its side.
fn write_one_side(
    store: &dyn crate::store::Store,
    side: Side,
    jobs: Vec<WriteJob>,
    marked: &std::sync::mpsc::SyncSender<(Side, crate::store::Outcome)>,
    pace: Pace,
) -> Result<()> {
    let answers = jobs.iter().map(WriteJob::answers).sum();
    let (jobs_in, jobs_out) = sync_channel(jobs.len());
    for job in jobs {
        jobs_in.send(job).expect("the channel has room for all jobs");
    }
    drop(jobs_in);
    std::thread::scope(|scope| {
        let (done_in, done) = sync_channel(pace.room(answers, BATCH));
        let writer = pace.spawn(scope, move || store.write(jobs_out, done_in));
        for answer in done {
            if marked.send((side, answer)).is_err() {
                break;
            }
        }
        writer.join()
    })
}
