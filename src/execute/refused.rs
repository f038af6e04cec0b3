//! Mailboxes whose name the right does not take: made under another one, never dropped.

use super::Executor;
use crate::error::{Failure, Result, Retry};
use crate::model::{MailboxId, MailboxPath, Side};
use crate::store::{Done, Ticket, WriteJob};

impl Executor<'_> {
    /// Books what became of a mailbox; a name that was refused for good is kept for [`Self::make_refused`]. `made` is the
    /// name under which it was to be made, where it was.
    pub(super) fn book_mailbox_or_refusal(
        &mut self,
        on: Side,
        mailbox: MailboxId,
        made: Option<&MailboxPath>,
        done: Done,
    ) -> Result<()> {
        match (made, done) {
            (Some(path), Done::Failed(_, failure)) if on == Side::Right && failure.retry == Retry::Never => {
                self.refused.push((mailbox, path.clone(), failure));
                Ok(())
            }
            (_, done) => self.book_mailbox(on, mailbox, done),
        }
    }

    /// Makes what was refused under the next name, until the right takes one or there is no other.
    pub(super) fn make_refused(&mut self) -> Result<()> {
        while !self.refused.is_empty() {
            let (mut jobs, mut about): ([Vec<WriteJob>; 2], _) = Default::default();
            let refused = std::mem::take(&mut self.refused);
            for (mailbox, path, failure) in refused {
                self.next_name(mailbox, &path, failure, &mut jobs[Side::Right as usize], &mut about)?;
            }
            self.write(jobs, |executor, side, ticket, done| {
                let (mailbox, path): &(MailboxId, MailboxPath) = &about[ticket.0 as usize];
                executor.book_mailbox_or_refusal(side, *mailbox, Some(path), done)
            })?;
        }
        Ok(())
    }

    fn next_name(
        &mut self,
        mailbox: MailboxId,
        refused: &MailboxPath,
        failure: Failure,
        jobs: &mut Vec<WriteJob>,
        about: &mut Vec<(MailboxId, MailboxPath)>,
    ) -> Result<()> {
        let left = self.scene.names.get(&mailbox).map(|names| names.path.clone());
        match left.and_then(|left| (self.scene.instead)(&left, refused)) {
            Some(path) => {
                let (ticket, role) = (Ticket(jobs.len() as u64), self.role(mailbox));
                about.push((mailbox, path.clone()));
                jobs.push(WriteJob::Create { ticket, path, role });
                Ok(())
            }
            None => self.mailbox_failed(Side::Right, mailbox, failure),
        }
    }
}
