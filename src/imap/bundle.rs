//! What goes up together: messages that wait for the same mailbox, in one APPEND (RFC 3502 §6.3.11).

use std::cell::Cell;

use super::append::{Line, needs_holds};
use super::upload::Upload;
use super::write::Work;

/// Messages that go up in one command.
const BUNDLE: usize = 16;
/// About how many bytes these have: a larger one goes by itself.
const BUNDLE_BYTES: u64 = 256 << 10;

impl Line<'_, '_> {
    /// Whether more that waits for the same mailbox could go along: the bundle is not full.
    pub(super) fn gathers(&self) -> bool {
        if !self.bundles() {
            return false;
        }
        let (count, bytes) = self.queue.waiting(|work| match work {
            Work::Upload(upload) if self.goes_on(upload) && self.is_ready(upload) => Some(upload.size()),
            _ => None,
        });
        count < BUNDLE && bytes < BUNDLE_BYTES
    }

    /// Whether messages go up together at all.
    fn bundles(&self) -> bool {
        let conn = &self.pipeline.conn;
        conn.capabilities.has("MULTIAPPEND") && conn.trust.pipelines() && !self.account.memory().one_by_one
    }

    /// Whether a message can share a command with others: each literal flows without being asked for.
    fn shares(&self, upload: &Upload) -> bool {
        let memory = self.account.memory();
        let holds = memory.permanent.get(&upload.to.raw);
        upload.attempts == 0
            && upload.size() < BUNDLE_BYTES
            && self.pipeline.conn.capabilities.non_sync().allows(upload.size())
            && !upload.needs_go_ahead(holds)
    }

    /// The next message for here, and those behind it that can go with it, in their order.
    pub(super) fn next_bundle(&self) -> Option<Vec<Upload>> {
        let first = self.next()?;
        if !self.bundles() || !self.shares(&first) {
            return Some(vec![first]);
        }
        let to = first.to.raw.clone();
        let mut bytes = first.size();
        let mut bundle = vec![first];
        while bundle.len() < BUNDLE {
            let is_next = Cell::new(true);
            let next = self.take(|upload| {
                upload.to.raw == to && self.is_ready(upload) && is_next.replace(false) && {
                    bytes + upload.size() <= BUNDLE_BYTES && self.shares(upload)
                }
            });
            let Some(next) = next else { break };
            bytes += next.size();
            bundle.push(next);
        }
        Some(bundle)
    }

    /// The next message for here. Servers lock a mailbox for each message, so it is one for the mailbox of the last, or for
    /// one that no other connection sends to.
    fn next(&self) -> Option<Upload> {
        self.take(|upload| self.goes_on(upload))
            .or_else(|| self.take(|upload| !self.account.memory().is_sent_to(&upload.to.raw)))
    }

    /// Whether it goes where the last one went.
    pub(super) fn goes_on(&self, upload: &Upload) -> bool {
        self.sending.as_ref().is_some_and(|sending| sending.to == upload.to.raw)
    }

    fn take(&self, suits: impl Fn(&Upload) -> bool) -> Option<Upload> {
        let taken = self
            .queue
            .try_take(|work| matches!(work, Work::Upload(upload) if suits(upload) && self.is_ready(upload)));
        match taken? {
            Work::Upload(upload) => Some(*upload),
            _ => None,
        }
    }

    /// Whether nothing must be learnt or refused before it is sent. What is not ready holds nobody up that is.
    fn is_ready(&self, upload: &Upload) -> bool {
        let limit = self.pipeline.conn.capabilities.append_limit();
        !upload.alone
            && !needs_holds(self.account, upload)
            && limit.is_none_or(|limit| upload.size() <= limit)
            && !self.account.memory().has_no_room(&upload.to.raw, upload.size())
    }
}
