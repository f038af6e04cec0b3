//! Makes and deletes mailboxes.

use super::{Executor, deeds};
use crate::error::{Failure, Result};
use crate::model::{MailboxId, MailboxPath, RawName, Side};
use crate::plan::{Action, Step};
use crate::state::{Deed, ProblemKey};
use crate::store::{Done, Ticket, WriteJob};

impl Executor<'_> {
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
}
