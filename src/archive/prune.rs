//! Deletes for good what left the server long ago. Touches nothing but `gone/`.
//!
//! The books say first that a message is no more, and which files are about to go: so they never tell of one that is not
//! there. Cut off in between, [`settle`] looks which files are there still.

use std::collections::HashSet;
use std::sync::Arc;

use super::Archive;
use super::view::Shelves;
use crate::error::{Failure, Result};
use crate::maildir::files::MessageFile;
use crate::model::IdSet;
use crate::state::{Archived, Departed, State, now};

/// So many messages are noted in one commit.
pub const BATCH: usize = 100;
/// The messages whose files are being deleted.
const UNDER_WAY: &str = "pruning";

/// A message that is old enough to go.
pub struct Old {
    /// The message.
    pub departed: Departed,
    /// Its file in `gone/`; none where that is missing or damaged.
    pub file: Option<MessageFile>,
}

/// What left the server before a time (seconds since 1970).
pub fn find(state: &State, archive: &Archive, shelves: &Shelves, before: i64) -> Result<Vec<Old>> {
    let mut taken = HashSet::new();
    let old = state.departed_before(before)?.into_iter().map(|departed| {
        // Of two messages under one name, each has a file of its own.
        let own = gone_files(archive, shelves, &departed.message)?.find(|file| !taken.contains(&file.path));
        taken.extend(own.iter().map(|file| file.path.clone()));
        Ok(Old { departed, file: own })
    });
    old.collect()
}

/// The whole files in `gone/` that can be that message's.
fn gone_files<'a>(
    archive: &Archive,
    shelves: &Shelves,
    message: &'a Archived,
) -> Result<impl Iterator<Item = MessageFile> + use<'a>> {
    let gone = archive.gone();
    let holds = |file: &MessageFile| {
        let identity = file.identify(message.verbatim);
        identity.is_ok_and(|identity| identity.content == message.content)
    };
    let files = shelves.candidates(message)?.into_iter();
    Ok(files.filter(move |file| file.path.starts_with(&gone) && holds(file)))
}

/// Deletes some, and notes that they are no more; says of each in turn how it went.
pub fn delete(state: &State, batch: &[Old]) -> Result<Vec<Result<()>>> {
    let id = |old: &Old| old.departed.message.id;
    let going: IdSet = batch.iter().filter(|old| old.file.is_some()).map(id).collect();
    state.note_pruned(&going, Some(now()))?;
    state.set_fact(UNDER_WAY, &going.to_string())?;
    state.commit()?;
    let done: Vec<Result<()>> = batch.iter().map(remove).collect();
    let kept = batch.iter().zip(&done).filter(|(_, done)| done.is_err());
    over(state, &kept.map(|(old, _)| id(old)).collect())?;
    Ok(done)
}

fn remove(old: &Old) -> Result<()> {
    match &old.file {
        Some(file) => file.delete(),
        None => Err(Failure::message("its file is missing or damaged, and was left alone").hint("see `homing verify`")),
    }
}

/// After a run that was cut off among its files: those that are there still are no pruned messages.
pub fn settle(state: &Arc<State>, archive: &Archive) -> Result<()> {
    let Some(under_way) = state.fact(UNDER_WAY)? else {
        return Ok(());
    };
    let shelves = Shelves::new(archive.clone(), Arc::clone(state));
    for message in state.pruned_among(&under_way.parse().unwrap_or_default())? {
        // The file can be that of an equal message, which needs it.
        if !state.is_kept(&message)? && gone_files(archive, &shelves, &message)?.next().is_some() {
            let id = IdSet::range(message.id..=message.id);
            state.note_pruned(&id, None)?;
        }
    }
    over(state, &IdSet::new())
}

/// None is under way any more; these were not deleted.
fn over(state: &State, kept: &IdSet) -> Result<()> {
    state.note_pruned(kept, None)?;
    state.drop_fact(UNDER_WAY)?;
    state.commit()
}
