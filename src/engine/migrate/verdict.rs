//! What a migration came to, from the books and from what both servers count.

use std::collections::BTreeMap;

use crate::engine::meeting::Names;
use crate::error::Result;
use crate::imap::Imap;
use crate::model::{Id, IdSet, Mailbox, MailboxId, MailboxPath, Side, Survey};
use crate::report::{MailboxVerdict, Migration, Reason};
use crate::state::{MailboxRow, PendingKind, ProblemRow, State};
use crate::store::{Depth, Source};

/// So many missing messages are asked for their sizes; where more are missing, that is not what matters.
const SIZED: u64 = 20_000;

/// What the verdict is made of.
pub(super) struct Books<'a> {
    pub state: &'a State,
    pub stores: [&'a Imap; 2],
    pub names: &'a Names,
    /// Both sides as they were before the run.
    pub surveys: &'a [Survey; 2],
    pub is_complete: bool,
}

impl Books<'_> {
    /// Comes to the verdict. Both sides are asked once more for what they now count.
    pub(super) fn verdict(&self) -> Result<Migration> {
        let rows: BTreeMap<MailboxPath, MailboxRow> = self
            .state
            .mailboxes()?
            .into_iter()
            .map(|row| (row.path.clone(), row))
            .collect();
        let problems = self.state.problems()?;
        let now = if self.is_complete {
            Some(super::surveys(self.stores)?)
        } else {
            None
        };
        let mut migration = Migration {
            mailboxes: Vec::new(),
            is_complete: self.is_complete,
        };
        let mut places = BTreeMap::new();
        let mut lost = Vec::new();
        for (left, right) in self.names.pairs() {
            // A message that was removed meanwhile is not missing.
            let later = now.as_ref().and_then(|now| count(&now[0], left));
            let counted = count(&self.surveys[0], left).map(|count| count.min(later.unwrap_or(count)));
            let Some(row) = rows.get(left) else {
                migration
                    .mailboxes
                    .extend(counted.map(|count| untouched(left, right, count)));
                continue;
            };
            let waiting = self.waiting(row.id)?;
            let mut verdict = self.mailbox(row, right, &waiting, &problems, counted)?;
            if let Some([_, there]) = &now {
                compare(row, there, &mut verdict);
            }
            let place = row.places[0].as_ref().filter(|_| !waiting.is_empty());
            lost.extend(place.map(|place| {
                let raw = place.raw.clone();
                (Mailbox { id: row.id, raw }, waiting)
            }));
            places.insert(row.id, migration.mailboxes.len());
            migration.mailboxes.push(verdict);
        }
        if lost.iter().map(|(_, ids)| ids.len()).sum::<u64>() <= SIZED {
            // Without it the bytes of FROM are those of what arrived, which is nothing to end a run for.
            let _ = self.stores[0].envelopes(&lost, Depth::Key, &mut |missing| {
                migration.mailboxes[places[&missing.mailbox]].bytes[0] += missing.size;
            });
        }
        Ok(migration)
    }

    /// What the books say of a mailbox.
    fn mailbox(
        &self,
        row: &MailboxRow,
        right: &MailboxPath,
        waiting: &IdSet,
        problems: &[ProblemRow],
        counted: Option<u64>,
    ) -> Result<MailboxVerdict> {
        let [on_left, there] = self.state.tally(row.id)?;
        let removed_there = self.state.removed_on_right(row.id)?;
        let mut reasons = reasons(row.id, waiting, problems);
        let unseen = counted.unwrap_or(0).saturating_sub(on_left.0 + waiting.len());
        if unseen > 0 {
            reasons.push(Reason {
                what: if self.is_complete {
                    "the server counts more messages than it showed".to_owned()
                } else {
                    "the run ended before".to_owned()
                },
                count: unseen,
                uids: String::new(),
            });
        }
        let void = on_left.0 - there.0 - removed_there;
        if void > 0 {
            reasons.push(Reason {
                what: "it was there, and its mailbox was made anew since; the next run looks for it".to_owned(),
                count: void,
                uids: String::new(),
            });
        }
        let mut verdict = MailboxVerdict {
            from: row.path.to_string(),
            to: right.to_string(),
            messages: [on_left.0 + waiting.len() + unseen, there.0],
            bytes: [on_left.1, there.1],
            missing: waiting.len() + unseen + void,
            removed_there,
            reasons,
            remarks: remarks(row.id, waiting, problems),
            ..MailboxVerdict::default()
        };
        verdict.reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        Ok(verdict)
    }

    /// Messages of FROM that were seen and have not arrived.
    fn waiting(&self, mailbox: MailboxId) -> Result<IdSet> {
        let pending = self.state.pending(mailbox)?.into_iter();
        let added: IdSet = pending
            .filter(|pending| pending.side == Side::Left && pending.kind == PendingKind::Added)
            .map(|pending| pending.id)
            .collect();
        let paired = self.state.pairs_by_ids(mailbox, Side::Left, &added)?;
        let paired: IdSet = paired.iter().filter_map(|pair| pair.half(Side::Left).id).collect();
        Ok(added.difference(&paired))
    }
}

/// What TO itself counts, and calls the mailbox.
fn compare(row: &MailboxRow, now: &Survey, verdict: &mut MailboxVerdict) {
    let raw = row.places[1].as_ref().map(|place| &place.raw);
    let Some(listed) = now.mailboxes.iter().find(|listed| Some(&listed.raw) == raw) else {
        return;
    };
    let name = listed.path.to_string();
    verdict.is_renamed = name != verdict.to;
    verdict.to = name;
    let Some(count) = listed.messages else { return };
    let arrived = verdict.messages[1];
    verdict.only_there = Some(count.saturating_sub(arrived));
    if count < arrived {
        verdict.missing += arrived - count;
        verdict.messages[1] = count;
        verdict.reasons.push(Reason {
            what: "it was taken, but the server counts fewer messages than it took".to_owned(),
            count: arrived - count,
            uids: String::new(),
        });
    }
}

/// A mailbox that the run did not come to.
fn untouched(left: &MailboxPath, right: &MailboxPath, count: u64) -> MailboxVerdict {
    let what = "the run ended before".to_owned();
    MailboxVerdict {
        from: left.to_string(),
        to: right.to_string(),
        messages: [count, 0],
        missing: count,
        reasons: (count > 0)
            .then(|| Reason {
                what,
                count,
                uids: String::new(),
            })
            .into_iter()
            .collect(),
        ..MailboxVerdict::default()
    }
}

/// How many messages a side counts in a mailbox.
fn count(survey: &Survey, path: &MailboxPath) -> Option<u64> {
    let listed = survey.mailboxes.iter().find(|listed| listed.path == *path)?;
    listed.messages
}

/// Why these messages of a mailbox have not arrived, equal reasons together.
fn reasons(mailbox: MailboxId, waiting: &IdSet, problems: &[ProblemRow]) -> Vec<Reason> {
    let own: BTreeMap<u64, &str> = problems
        .iter()
        .filter(|row| row.mailbox_id == Some(mailbox) && row.side == Side::Left)
        .filter_map(|row| Some((row.id?, row.what.as_str())))
        .collect();
    let of_mailbox = problems
        .iter()
        .find(|row| row.mailbox_id == Some(mailbox) && row.id.is_none());
    let of_account = problems.iter().find(|row| row.mailbox_id.is_none());
    let general = of_mailbox
        .or(of_account)
        .map_or("it waits for the next run", |row| &row.what);
    grouped(waiting.iter().map(|id| (own.get(&id).copied().unwrap_or(general), id)))
}

/// What is to be said of messages that have arrived.
fn remarks(mailbox: MailboxId, waiting: &IdSet, problems: &[ProblemRow]) -> Vec<Reason> {
    let own = problems
        .iter()
        .filter(|row| row.mailbox_id == Some(mailbox) && row.side == Side::Left)
        .filter_map(|row| Some((row.what.as_str(), row.id?)));
    grouped(own.filter(|(_, id)| !waiting.contains(*id)))
}

/// Equal reasons together.
fn grouped<'a>(each: impl Iterator<Item = (&'a str, Id)>) -> Vec<Reason> {
    let mut grouped: BTreeMap<&str, IdSet> = BTreeMap::new();
    for (what, id) in each {
        grouped.entry(what).or_default().insert(id);
    }
    let reason = |(what, ids): (&str, IdSet)| Reason {
        what: what.to_owned(),
        count: ids.len(),
        uids: ids.to_string(),
    };
    grouped.into_iter().map(reason).collect()
}
