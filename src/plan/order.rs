//! The order of steps: additions before removals, parents before children when making, after them when deleting.

use std::cmp::Reverse;

use super::{Action, Phase, Step};
use crate::model::MailboxPath;

/// Sorts by phase; within one, the INBOX first and then by name, so that the newest mail of the mailbox that matters most
/// is there first.
pub(super) fn sort(steps: &mut [Step]) {
    steps.sort_by(|a, b| {
        let phase = a.action.phase().cmp(&b.action.phase());
        phase.then_with(|| match a.action.phase() {
            Phase::Delete => depth_first(&a.path, &b.path),
            _ => (Reverse(a.path.is_inbox()), &a.path).cmp(&(Reverse(b.path.is_inbox()), &b.path)),
        })
    });
    debug_assert!(
        steps
            .iter()
            .all(|step| !matches!(step.action, Action::Copy { ref ids, .. } if ids.is_empty()))
    );
}

/// Children before their parents.
fn depth_first(a: &MailboxPath, b: &MailboxPath) -> std::cmp::Ordering {
    b.components().len().cmp(&a.components().len()).then_with(|| a.cmp(b))
}
