//! Copies messages from one side to the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::{BATCH, Batch, Executor, deeds};
use crate::error::{Failure, Kind, Result};
use crate::model::{Half, IdSet, MailboxId, Side};
use crate::plan::{Action, Step, first_sight};
use crate::spool;
use crate::state::{Changes, Deed, DeedMessage, Intent, IntentKind, IntentMessage, ProblemKey, now};
use crate::store::{Depth, Done, IntentId, Meet, Outcome, ReadJob, Ticket, WriteJob};

/// So many messages are sent to a server under one row of the journal.
const APPENDS: u64 = 500;

/// A read job under way: what it is about, and what of it has no answer yet.
pub(super) struct Transfer {
    pub mailbox: MailboxId,
    pub intent: IntentId,
    pub open: IdSet,
    /// Something may have arrived without our knowing.
    pub unknown: bool,
    /// What it is called in the history.
    pub deed: Deed,
}

impl Executor<'_> {
    /// Copies what these steps say to that side.
    pub(super) fn copy<'p>(&mut self, steps: impl Iterator<Item = &'p Step>, to: Side) -> Result<()> {
        if self.stopping() {
            return Ok(());
        }
        let mut jobs = Vec::new();
        let mut transfers = BTreeMap::new();
        for step in steps {
            if let Action::Copy { ids, meet, .. } = &step.action {
                self.read_jobs(step, to, ids, meet, &mut jobs, &mut transfers)?;
            }
        }
        if jobs.is_empty() {
            return Ok(());
        }
        // The journal before the effect.
        self.scene.state.commit()?;
        self.transfer(jobs, transfers, to)
    }

    fn read_jobs(
        &mut self,
        step: &Step,
        to: Side,
        ids: &IdSet,
        meet: &[(crate::model::ContentDigest, u64)],
        jobs: &mut Vec<ReadJob>,
        transfers: &mut BTreeMap<Ticket, Transfer>,
    ) -> Result<()> {
        let (mailbox, from) = (step.mailbox, to.other());
        let ids = self
            .met
            .get(&(mailbox, from))
            .map_or_else(|| ids.clone(), |met| ids.difference(met));
        let (Some(source), Some(target)) = (self.mailbox(mailbox, from), self.mailbox(mailbox, to)) else {
            // The mailbox could not be made; the messages wait for it.
            return self.scene.state.add_pending_new(mailbox, from, &ids);
        };
        if ids.is_empty() || self.blocked.contains(&mailbox) {
            return self.scene.state.add_pending_new(mailbox, from, &ids);
        }
        let meet = (!meet.is_empty()).then(|| Arc::new(Meet::new(meet.iter().copied())));
        let to_a_maildir = self.scene.stores[to as usize].keeps_flags();
        let size = if to_a_maildir { u64::MAX } else { APPENDS };
        for chunk in ids.chunks(size) {
            let intent = self.open_intent(mailbox, to, &chunk)?;
            let ticket = Ticket(jobs.len() as u64);
            transfers.insert(
                ticket,
                Transfer {
                    mailbox,
                    intent,
                    open: chunk.clone(),
                    unknown: false,
                    deed: deeds::of(step),
                },
            );
            jobs.push(ReadJob {
                ticket,
                from: source.clone(),
                ids: chunk,
                newest_first: to_a_maildir,
                to: target.clone(),
                intent,
                meet: meet.clone(),
                max_size: None,
            });
        }
        Ok(())
    }

    fn open_intent(&self, mailbox: MailboxId, to: Side, ids: &IdSet) -> Result<IntentId> {
        let scene = &self.scene;
        let mut messages = Vec::new();
        // What may be sent to a server is noted even if nothing is known of it yet: it is, once it was sent again.
        let to_a_server = !scene.stores[to as usize].keeps_flags();
        for some in ids.chunks(APPENDS) {
            let paired = scene.state.pairs_by_ids(mailbox, to.other(), &some)?;
            let mut paired = paired.into_iter().peekable();
            for id in some.iter() {
                // It was there before, and comes back.
                let pair = paired.next_if(|pair| pair.half(to.other()).id == Some(id));
                let known = match scene.waiting.get(&(mailbox, to.other(), id)) {
                    Some(waiting) => Some(IntentMessage::seen(waiting)),
                    None => pair.map(|pair| IntentMessage::paired(id, &pair)),
                };
                messages.extend(known.or(to_a_server.then(|| IntentMessage::unknown(id))));
            }
        }
        let intent = Intent {
            id: IntentId(0),
            kind: IntentKind::Copy,
            mailbox,
            source: None,
            side: to,
            ids: ids.clone(),
            next_id: scene.next_ids.get(&(mailbox, to)).copied(),
            run: scene.run,
            begun: now(),
        };
        scene.state.open_intent(&intent, &messages)
    }

    fn transfer(&mut self, jobs: Vec<ReadJob>, mut transfers: BTreeMap<Ticket, Transfer>, to: Side) -> Result<()> {
        let (pace, [left, right]) = (self.scene.pace, self.scene.stores);
        let messages = jobs.iter().map(|job| job.ids.len() as usize).sum::<usize>();
        let (source, target) = if to == Side::Left { (right, left) } else { (left, right) };
        let answered = jobs.len();
        let (jobs_in, jobs_out) = sync_channel(answered);
        for job in jobs {
            jobs_in.send(job).expect("the channel has room for all jobs");
        }
        drop(jobs_in);
        std::thread::scope(|scope| {
            let (done_in, done) = sync_channel(pace.room(2 * messages + answered, 2 * BATCH));
            let (appends_in, appends) = sync_channel::<WriteJob>(pace.room(messages, 16));
            let read_done = done_in.clone();
            let reader = pace.spawn(scope, move || {
                let sinks = target.target(appends_in);
                source.read(jobs_out, &*sinks, read_done)
            });
            let writer = pace.spawn(scope, move || target.write(appends, done_in));
            let kept = self.keep_books(&done, &mut transfers, to);
            drop(done);
            let (read, written) = (reader.join(), writer.join());
            let left_open = self.leave_open(&transfers, to);
            self.make_durable(to)?;
            read.and(written).and(kept).and(left_open)
        })
    }

    /// Takes in answers until all workers are done, a batch at a time.
    fn keep_books(
        &mut self,
        done: &Receiver<Outcome>,
        transfers: &mut BTreeMap<Ticket, Transfer>,
        to: Side,
    ) -> Result<()> {
        let mut batch = Batch::new();
        let mut answers = Vec::new();
        loop {
            let more = match done.recv_timeout(Duration::from_millis(500)) {
                Ok(answer) => {
                    answers.push(answer);
                    true
                }
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => false,
            };
            batch.answers = answers.len();
            if !more || batch.is_due() {
                self.book_copies(std::mem::take(&mut answers), transfers, to)?;
                batch = Batch::new();
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// One batch: durable at the target first, then in the books.
    fn book_copies(
        &mut self,
        answers: Vec<Outcome>,
        transfers: &mut BTreeMap<Ticket, Transfer>,
        to: Side,
    ) -> Result<()> {
        if answers.is_empty() {
            return Ok(());
        }
        self.scene.stores[to as usize].flush()?;
        for answer in answers {
            let Some(transfer) = transfers.get_mut(&answer.ticket) else {
                continue;
            };
            self.book_copy(transfer, answer.done, to)?;
            if transfer.open.is_empty() && !transfer.unknown {
                self.scene.state.close_intent(transfer.intent)?;
                transfers.remove(&answer.ticket);
            }
        }
        self.count_deeds()?;
        self.scene.state.commit()
    }

    fn make_durable(&self, to: Side) -> Result<()> {
        self.scene.stores[to as usize].flush()?;
        self.scene.state.commit()
    }

    /// What has no answer when the workers are gone is recorded as waiting; its intent stays open.
    fn leave_open(&mut self, transfers: &BTreeMap<Ticket, Transfer>, to: Side) -> Result<()> {
        let from = to.other();
        for transfer in transfers.values() {
            self.scene
                .state
                .add_pending_unpaired(transfer.mailbox, from, &transfer.open)?;
        }
        Ok(())
    }

    fn book_copy(&mut self, transfer: &mut Transfer, done: Done, to: Side) -> Result<()> {
        let from = to.other();
        let mailbox = transfer.mailbox;
        match done {
            Done::Landed {
                head,
                identity,
                id,
                validity,
                flags,
            } => {
                transfer.open.remove(head.id);
                let id = self.id_under(mailbox, to, id, validity)?;
                self.book_landed(mailbox, to, &head, &identity, id, flags)?;
                let (here, there) = (Some(head.id), id);
                let [file, uid] = if to == Side::Left { [there, here] } else { [here, there] };
                let (size, date) = (Some(identity.size), Some(head.date.0));
                let name = None;
                self.did(
                    &transfer.deed,
                    Some(&DeedMessage {
                        uid,
                        file,
                        name,
                        size,
                        date,
                    }),
                )?;
                self.outcome.counts[to as usize].added += 1;
                (self.scene.advance)(1);
            }
            Done::Met { head, identity, id } => {
                transfer.open.remove(head.id);
                self.book_met(mailbox, to, &head, &identity, id)?;
                (self.scene.advance)(1);
            }
            // Only the next look tells whether it is: a server can leave out a line. The checkpoint moves past it.
            Done::Gone(ids) => {
                self.scene.state.add_pending_unpaired(mailbox, from, &ids)?;
                transfer.open = transfer.open.difference(&ids);
            }
            Done::Failed(ids, failure) => {
                let ids = if ids.is_empty() { transfer.open.clone() } else { ids };
                self.book_failed(mailbox, from, &ids, &failure)?;
                transfer.open = transfer.open.difference(&ids);
            }
            Done::Unknown(ids, failure) => {
                let ids = if ids.is_empty() { transfer.open.clone() } else { ids };
                self.book_failed(mailbox, from, &ids, &failure)?;
                transfer.open = transfer.open.difference(&ids);
                transfer.unknown = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// Sees what a server made of the messages that were just sent there: its size, date and object id, by which they are
    /// known again, and their flags. A flag that is missing was dropped by the server (HAZARDS 14); later it could as well
    /// have been taken away by somebody.
    pub(super) fn look_at_sent(&mut self, on: Side) -> Result<()> {
        let sent = std::mem::take(&mut self.sent).into_iter();
        let questions: Vec<_> = sent
            .filter_map(|(id, ids)| Some((self.mailbox(id, on)?, ids)))
            .collect();
        if questions.is_empty() {
            return Ok(());
        }
        let mut seen = Vec::new();
        self.scene.stores[on as usize].envelopes(&questions, Depth::Look, &mut |envelope| seen.push(envelope))?;
        let state = self.scene.state;
        for envelope in seen {
            if let Some(pair) = state.partner(envelope.mailbox, on, envelope.id)?
                && pair.half(on).unseen
            {
                let flags = first_sight(&pair.half(on).flags, &envelope.flags);
                state.set_half(pair.id, on, &Half::seen(&envelope, flags))?;
                if let Some(source) = pair.half(on.other()).id.filter(|_| envelope.size != pair.size) {
                    state.doubt(envelope.mailbox, on.other(), source)?;
                }
            }
        }
        state.commit()
    }

    fn book_failed(&mut self, mailbox: MailboxId, from: Side, ids: &IdSet, failure: &Failure) -> Result<()> {
        self.scene.state.add_pending_unpaired(mailbox, from, ids)?;
        if failure.kind == Kind::Temporary && (self.outcome.stopped || failure.what == spool::ENDED) {
            return Ok(());
        }
        if failure.kind == Kind::ReadOnly {
            return self.fail(
                ProblemKey::Changes(mailbox, from.other(), Changes::All),
                failure.clone(),
            );
        }
        for id in ids.iter() {
            self.fail(ProblemKey::Message(mailbox, from, id), failure.clone())?;
        }
        Ok(())
    }
}
