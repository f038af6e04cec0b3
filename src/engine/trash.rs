//! Finds the trash of each side, and what an earlier run moved into it before it was stopped.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::key::Key;
use super::observe::Observation;
use super::{Job, identify, survey};
use crate::error::{Failure, Kind, Result};
use crate::execute::Names;
use crate::model::{IdSet, Listed, MailboxId, MailboxPath, Role, Side, TrashChoice};
use crate::plan::{Now, Presence, Trash, View, Waiting};
use crate::state::{Changes, ProblemKey, ProblemRow, State, now};
use crate::store::Depth;

/// What a survey tells of a side's trash.
#[derive(Clone, Debug, Default)]
pub(super) enum Located {
    /// There is to be none.
    #[default]
    None,
    /// This is it.
    Listed(Listed),
    /// That side has no mailbox of that name.
    Missing(MailboxPath),
    /// Nobody can tell, for this reason.
    Unknown(&'static str),
}

impl Located {
    /// Whether this is it.
    pub(super) fn is(&self, listed: Option<&Listed>) -> bool {
        matches!((self, listed), (Self::Listed(found), Some(listed)) if found.raw == listed.raw)
    }
}

const UNNAMED: [&str; 2] = [
    "no mailbox on the left is marked as its trash",
    "no mailbox on the right is marked as its trash",
];
const UNREAD: &str = "the trash was not found, and not all mailboxes could be listed";
const WAITS: &str = "the trash could not be made, and its next try is not due";
const CLOSED: &str = "the trash takes no messages, and its next try is not due";

/// Looks for a side's trash among the mailboxes that it lists; `complete`: these are all.
pub(super) fn locate(job: &Job<'_>, side: Side, listed: &[Listed], complete: bool) -> Located {
    let mut listed = listed.iter().filter(|listed| listed.selectable);
    let found = match &job.trash[side as usize] {
        TrashChoice::None => return Located::None,
        TrashChoice::Auto => listed.find(|listed| listed.roles.contains(&Role::Trash)),
        TrashChoice::Named(path) => listed.find(|listed| listed.path == *path),
    };
    match (found, &job.trash[side as usize]) {
        (Some(found), _) => Located::Listed(found.clone()),
        (None, _) if !complete => Located::Unknown(UNREAD),
        (None, TrashChoice::Named(path)) => Located::Missing(path.clone()),
        (None, _) => Located::Unknown(UNNAMED[side as usize]),
    }
}

/// Says that a side has no trash of its own: its removals wait from now on.
pub(super) fn complain(side: Side, located: &Located) -> Option<(ProblemKey, Failure)> {
    let unnamed = matches!(located, Located::Unknown(why) if *why == UNNAMED[side as usize]);
    unnamed.then(|| {
        let what = "`trash` is \"auto\", but the server marks no mailbox as its trash: what you remove stays there";
        let hint = "write the mailbox's name, such as trash = \"Trash\" (`homing mailboxes` lists the names)";
        let failure = Failure::account(Kind::Partial, what).hint(hint);
        (ProblemKey::Account(side), failure)
    })
}

/// A side's trash, ready to be used.
#[derive(Default)]
pub(super) struct Found {
    /// In the planner's terms.
    pub trash: [Trash; 2],
    /// What the mailboxes are called that are in no view.
    pub names: BTreeMap<MailboxId, Names>,
    /// What arrives there is to be on both sides.
    pub shared: bool,
}

/// Puts the trash of both sides into the planner's terms, where a removal can need it.
pub(super) fn find(job: &Job<'_>, seen: &Observation) -> Result<Found> {
    let mut found = Found::default();
    for side in Side::BOTH {
        if seen.views.iter().any(|view| lost(view, side.other()).next().is_some()) {
            found.trash[side as usize] = match &seen.trash[side as usize] {
                Located::None => Trash::None,
                Located::Unknown(why) => Trash::Unknown(why),
                Located::Listed(listed) => use_listed(job, seen, side, listed, &mut found)?,
                Located::Missing(path) => use_missing(job, seen, side, path, &mut found)?,
            };
        }
    }
    Ok(found)
}

/// The base rows of a view whose messages that side has lost.
fn lost(view: &View, by: Side) -> impl Iterator<Item = &crate::plan::Touched> {
    let touched = view.touched.iter();
    touched.filter(move |touched| touched.now[by as usize] == Now::Gone)
}

fn use_listed(job: &Job<'_>, seen: &Observation, side: Side, listed: &Listed, found: &mut Found) -> Result<Trash> {
    if let Some(view) = view_of(seen, side, listed) {
        if view.closed[side as usize] {
            return Ok(Trash::Unknown(CLOSED));
        }
        found.shared |= view.acted_on;
        return Ok(as_planned(view.id, &view.path, true));
    }
    // It is out of scope: only what goes into it is our business.
    let path = survey::on_left(job, &listed.path, side);
    let rows = job.state.mailboxes()?;
    let named_so = |raw: bool| {
        let mut rows = rows.iter();
        rows.find(|row| match &row.places[side as usize] {
            Some(place) => raw && place.raw == listed.raw,
            None => !raw && row.places == [None, None] && row.path == path,
        })
    };
    let id = match named_so(true).or_else(|| named_so(false)) {
        Some(row) => row.id,
        None => job.state.new_mailbox(&path)?,
    };
    job.state.set_place(id, side, &listed.raw, listed.identity.as_ref())?;
    if is_closed(job.state, id, side)? {
        return Ok(Trash::Unknown(CLOSED));
    }
    let mut raw = [None, None];
    raw[side as usize] = Some(listed.raw.clone());
    let trash = as_planned(id, &path, true);
    found.names.insert(id, Names { path, raw, role: None });
    Ok(trash)
}

/// Whether it took no messages when it was last tried, and is not to be tried again yet.
fn is_closed(state: &State, mailbox: MailboxId, side: Side) -> Result<bool> {
    let is_it = |row: &ProblemRow| {
        let is_closed = row.refuses == Some(Changes::All) && row.next.is_none_or(|next| next > now());
        is_closed && (row.mailbox_id, row.side) == (Some(mailbox), side)
    };
    Ok(state.problems()?.iter().any(is_it))
}

/// It is made, once something goes into it.
fn use_missing(job: &Job<'_>, seen: &Observation, side: Side, name: &MailboxPath, found: &mut Found) -> Result<Trash> {
    let path = survey::on_left(job, name, side);
    if let Some(view) = seen.views.iter().find(|view| view.path == path) {
        if view.at[side as usize] == Presence::Unknown {
            return Ok(Trash::Unknown(WAITS));
        }
        found.shared |= view.acted_on;
        return Ok(as_planned(view.id, &view.path, false));
    }
    let right = survey::spell(job, &path, Side::Right);
    found.shared |= job.naming.includes(&right, &[]) && job.naming.acts_on(&right, &[]);
    let known = job.state.mailboxes()?.into_iter().find(|row| row.path == path);
    let id = known.map_or_else(|| job.state.new_mailbox(&path), |row| Ok(row.id))?;
    let trash = as_planned(id, &path, false);
    let (raw, role) = ([None, None], None);
    found.names.insert(id, Names { path, raw, role });
    Ok(trash)
}

fn as_planned(id: MailboxId, path: &MailboxPath, exists: bool) -> Trash {
    let path = path.clone();
    Trash::Mailbox { id, path, exists }
}

fn view_of<'a>(seen: &'a Observation, side: Side, listed: &Listed) -> Option<&'a View> {
    let is_it = |view: &&View| {
        let names = seen.names.get(&view.id);
        names.and_then(|names| names.raw[side as usize].as_ref()) == Some(&listed.raw)
    };
    seen.views.iter().find(is_it)
}

/// What a server's trash has new is asked for, where it has the size of a message that the other side lost: an earlier run
/// can have copied it there and was then stopped.
pub(super) fn recognise(job: &Job<'_>, seen: &mut Observation) -> Result<()> {
    for side in Side::BOTH {
        let Located::Listed(listed) = &seen.trash[side as usize] else {
            continue;
        };
        let Some(trash) = view_of(seen, side, listed).map(|view| view.id) else {
            continue;
        };
        let sizes = sizes(seen, side);
        if sizes.is_empty() || job.stores[side as usize].keeps_flags() {
            continue;
        }
        let new =
            |view: &View| (view.id == trash).then(|| view.added[side as usize].union(&view.resting[side as usize]));
        let told = |view: &View, is_told: &dyn Fn(&crate::model::Envelope) -> bool| -> IdSet {
            let waiting = view.waiting[side as usize].iter().filter_map(|waiting| match waiting {
                Waiting::New(new) if is_told(new) => Some(new.id),
                _ => None,
            });
            waiting.collect()
        };
        identify::ask(job, seen, side, Depth::Look, |view| {
            Some(new(view)?.difference(&told(view, &|_| true)))
        })?;
        let keyed = |view: &View| told(view, &|new| new.envelope.is_some() || new.header.is_some());
        let alike = |view: &View| told(view, &|new| sizes.contains(&new.size)).difference(&keyed(view));
        identify::ask(job, seen, side, Depth::Key, |view| new(view).map(|_| alike(view)))?;
        identify::ask(job, seen, side, Depth::Header, |view| new(view).map(|_| alike(view)))?;
    }
    Ok(())
}

/// What looks like another copy of a message that would go into a server's trash is read: only its content tells.
pub(super) fn read_copies(job: &Job<'_>, seen: &mut Observation) -> Result<()> {
    for side in Side::BOTH {
        if matches!(seen.trash[side as usize], Located::None) || job.stores[side as usize].keeps_flags() {
            continue;
        }
        let lost = seen.views.iter().flat_map(|view| lost(view, side.other()));
        let leaving = lost.filter(|touched| touched.now[side as usize] != Now::Gone);
        let leaving: HashSet<(Key, u64)> = leaving
            .filter_map(|touched| {
                let pair = &touched.pair;
                Some((Key::of_pair(pair)?, pair.half(side).size.unwrap_or(pair.size)))
            })
            .collect();
        identify::learn_contents(job, seen, side, |view, side| {
            let alike = view.waiting[side as usize].iter().filter_map(|waiting| match waiting {
                Waiting::New(new) if new.content.is_none() => {
                    leaving.contains(&(Key::of_message(new)?, new.size)).then_some(new.id)
                }
                _ => None,
            });
            alike.collect()
        })?;
    }
    Ok(())
}

/// The sizes, as that side told them, of what the other side lost.
fn sizes(seen: &Observation, side: Side) -> BTreeSet<u64> {
    let lost = seen.views.iter().flat_map(|view| lost(view, side.other()));
    let pairs = lost.map(|touched| &touched.pair);
    pairs.map(|pair| pair.half(side).size.unwrap_or(pair.size)).collect()
}
