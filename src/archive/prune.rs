//! Deletes for good what left the server long ago. Touches nothing but `gone/`.

use std::collections::HashSet;

use super::Archive;
use super::view::Shelves;
use crate::error::{Failure, Result};
use crate::maildir::files::MessageFile;
use crate::state::{Departed, State, now};

/// A message that is old enough to go.
pub struct Old {
    /// The message.
    pub departed: Departed,
    /// Its file in `gone/`; none where that is missing or damaged.
    pub file: Option<MessageFile>,
}

/// What left the server before a time (seconds since 1970).
pub fn find(state: &State, archive: &Archive, shelves: &Shelves, before: i64) -> Result<Vec<Old>> {
    let (gone, mut taken) = (archive.gone(), HashSet::new());
    let old = state.departed_before(before)?.into_iter().map(|departed| {
        let message = &departed.message;
        let mut candidates = shelves.candidates(message)?.into_iter();
        // Of two messages under one name, each has a file of its own.
        let own =
            candidates.find(|file| file.path.starts_with(&gone) && !taken.contains(&file.path) && holds(file, message));
        taken.extend(own.iter().map(|file| file.path.clone()));
        Ok(Old { departed, file: own })
    });
    old.collect()
}

fn holds(file: &MessageFile, message: &crate::state::Archived) -> bool {
    file.identify(message.verbatim)
        .is_ok_and(|identity| identity.content == message.content)
}

/// Deletes it, and notes that it is no more.
pub fn delete(state: &State, old: &Old) -> Result<()> {
    let Some(file) = &old.file else {
        return Err(Failure::message("its file is missing or damaged, and was left alone").hint("see `homing verify`"));
    };
    file.delete()?;
    state.note_pruned(old.departed.message.id, now())?;
    state.commit()
}
