//! Writes down what is done to which message and why, as it is booked.

use std::collections::HashMap;

use super::Executor;
use crate::error::Result;
use crate::maildir::index::FileIndex;
use crate::model::{Id, IdSet, MailboxId, Pair, Side};
use crate::plan::{Action, Step};
use crate::state::{Deed, DeedMessage, State};

/// The deeds of a run: their rows and how many messages each has.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    rows: HashMap<Deed, (i64, u64)>,
}

/// What carrying out a step is called in the history.
pub(super) fn of(step: &Step) -> Deed {
    let (mailbox, to) = match &step.action {
        Action::Move { from_path, .. } | Action::Trash { from_path, .. } | Action::CopyWithin { from_path, .. } => {
            (from_path, Some(step.path.to_string()))
        }
        Action::RenameMailbox { to, .. } => (&step.path, Some(to.to_string())),
        _ => (&step.path, None),
    };
    let mut why = step.why.to_owned();
    if let Action::SetFlags { add, remove, .. } = &step.action {
        why.push(':');
        add.names().for_each(|name| why.extend([" +", name]));
        remove.names().for_each(|name| why.extend([" -", name]));
    }
    Deed {
        action: step.action.name().to_owned(),
        on: step.action.on(),
        mailbox: mailbox.to_string(),
        to,
        why,
    }
}

/// By what a message can be found, once both its ids are known.
pub(super) fn message(pair: &Pair) -> DeedMessage {
    DeedMessage {
        uid: pair.half(Side::Right).id,
        file: pair.half(Side::Left).id,
        name: None,
        size: Some(pair.size),
        date: Side::BOTH
            .into_iter()
            .find_map(|side| pair.half(side).date)
            .map(|date| date.0),
    }
}

/// The same for one that is about to go, and the name of its file with it.
pub(super) fn leaving(state: &State, mailbox: MailboxId, pair: &Pair) -> Result<DeedMessage> {
    let name = |id: Id| -> Result<Option<String>> {
        let rows = state.by_ids(mailbox, &IdSet::range(id..=id))?;
        Ok(rows.first().map(|row| crate::error::clean(&row.unique)))
    };
    let found = message(pair);
    let name = found.file.map_or(Ok(None), name)?;
    Ok(DeedMessage { name, ..found })
}

impl Executor<'_> {
    /// It was done to one more message; of a mailbox, or where only the number matters, without one.
    pub(super) fn did(&mut self, deed: &Deed, message: Option<&DeedMessage>) -> Result<()> {
        let state = self.scene.state;
        if !self.deeds.rows.contains_key(deed) {
            let row = state.add_deed(self.scene.run, deed)?;
            self.deeds.rows.insert(deed.clone(), (row, 0));
        }
        let (row, count) = self.deeds.rows.get_mut(deed).expect("it was just put there");
        *count += 1;
        match message {
            Some(message) if *count <= State::LISTED => state.add_deed_message(*row, message),
            _ => Ok(()),
        }
    }

    /// Writes down how many messages each deed has so far; before a commit.
    pub(super) fn count_deeds(&self) -> Result<()> {
        let mut rows = self.deeds.rows.values();
        rows.try_for_each(|&(row, count)| self.scene.state.count_deed(row, count))
    }
}
