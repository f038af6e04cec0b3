//! Which mailboxes there are: what both sides list, and what the base knows, matched by name.

use std::collections::BTreeMap;

use super::Job;
use crate::error::{Failure, Kind, Reach, Result};
use crate::execute::Names;
use crate::model::{Listed, MailboxId, MailboxPath, Role, Side, Survey};
use crate::plan::Presence;
use crate::state::{Place, ProblemKey, State};

/// A mailbox that matters, before anything in it was looked at.
pub(super) struct Candidate {
    pub id: MailboxId,
    pub path: MailboxPath,
    pub at: [Presence; 2],
    pub listed: [Option<Listed>; 2],
    /// What the base has, as it was before this survey.
    pub places: [Option<Place>; 2],
    pub acted_on: bool,
    pub emptied_often: bool,
}

/// All mailboxes in scope, and what could not be listed.
pub(super) struct Mailboxes {
    pub candidates: Vec<Candidate>,
    pub failures: Vec<(ProblemKey, Failure)>,
    /// Everything that side has is in the list.
    pub complete: [bool; 2],
}

/// What the state calls its mailboxes.
pub(super) fn names(state: &State) -> Result<BTreeMap<MailboxId, Names>> {
    let name = |place: &Option<Place>| place.as_ref().map(|place| place.raw.clone());
    let rows = state.mailboxes()?.into_iter();
    Ok(rows
        .map(|row| {
            (
                row.id,
                Names {
                    raw: [name(&row.places[0]), name(&row.places[1])],
                    path: row.path,
                },
            )
        })
        .collect())
}

/// Asks both sides at once.
pub(super) fn surveys(job: &Job<'_>) -> Result<[Survey; 2]> {
    let [left, right] = job.stores;
    std::thread::scope(|scope| {
        let right = scope.spawn(|| right.survey());
        let left = left.survey();
        let right = right.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // A server that cannot be reached is the news; the Maildir was looked at for nothing then.
        right.and_then(|right| Ok([left?, right]))
    })
}

/// Matches what both sides list and what the base knows.
pub(super) fn mailboxes(job: &Job<'_>) -> Result<Mailboxes> {
    let surveys = surveys(job)?;
    let complete = [surveys[0].failures.is_empty(), surveys[1].failures.is_empty()];
    let mut failures = Vec::new();
    let mut rows: BTreeMap<MailboxPath, [Option<Listed>; 2]> = BTreeMap::new();
    for (side, survey) in Side::BOTH.into_iter().zip(surveys) {
        failures.extend(survey.failures.into_iter().map(|(name, failure)| {
            let failure = Failure {
                reach: Reach::Account,
                ..failure.context(format!("mailbox {name}"))
            };
            (ProblemKey::Account(side), failure)
        }));
        for listed in survey.mailboxes {
            if !meets(job, side, &listed.path) {
                continue;
            }
            let path = if side == Side::Left {
                listed.path.clone()
            } else {
                job.naming.to_left(&listed.path)
            };
            let slot = &mut rows.entry(path).or_default()[side as usize];
            if let Some(other) = slot {
                return Err(clash(&other.path, &listed.path));
            }
            *slot = Some(listed);
        }
    }
    let mut known: BTreeMap<MailboxPath, [Option<Place>; 2]> = BTreeMap::new();
    for row in job.state.mailboxes()? {
        rows.entry(row.path.clone()).or_default();
        known.insert(row.path, row.places);
    }
    let waiting = waiting_mailboxes(job)?;
    let mut candidates = Vec::new();
    for (path, listed) in rows {
        let places = known.remove(&path).unwrap_or_default();
        candidates.extend(candidate(job, path, listed, places, complete, &waiting)?);
    }
    Ok(Mailboxes {
        candidates,
        failures,
        complete,
    })
}

/// Whether a listed mailbox has to do with the job.
pub(super) fn meets(job: &Job<'_>, side: Side, path: &MailboxPath) -> bool {
    match side {
        Side::Left => job.naming.meets_left(path),
        Side::Right => job.naming.meets_right(path),
    }
}

/// Two mailboxes would become one; which of them a message belongs to could not be told any more.
fn clash(one: &MailboxPath, other: &MailboxPath) -> Failure {
    let what = format!("\"{one}\" and \"{other}\" would have the same name on the other side");
    Failure::account(Kind::Config, what)
        .hint("change `map`, or leave one of them out with `mailboxes`; nothing was done")
}

/// Names of mailboxes with which something failed that is not to be tried again yet.
fn waiting_mailboxes(job: &Job<'_>) -> Result<Vec<String>> {
    let now = crate::state::now();
    let problems = job.state.problems()?.into_iter();
    Ok(problems
        .filter(|p| p.id.is_none() && p.next.is_none_or(|next| next > now))
        .filter_map(|p| p.mailbox)
        .collect())
}

fn candidate(
    job: &Job<'_>,
    path: MailboxPath,
    listed: [Option<Listed>; 2],
    places: [Option<Place>; 2],
    complete: [bool; 2],
    waiting: &[String],
) -> Result<Option<Candidate>> {
    let usable = |side: Side| listed[side as usize].as_ref().is_some_and(|listed| listed.selectable);
    let in_base = places.iter().any(Option::is_some);
    let nowhere = !usable(Side::Left) && !usable(Side::Right) && !in_base;
    if nowhere || !job.naming.meets_left(&path) {
        return Ok(None);
    }
    let right_name = listed[1]
        .as_ref()
        .map_or_else(|| job.naming.to_right(&path), |listed| listed.path.clone());
    let roles: Vec<Role> = listed[1]
        .as_ref()
        .map(|listed| listed.roles.clone())
        .unwrap_or_default();
    if !job.naming.includes(&right_name, &roles) {
        return Ok(None);
    }
    let id = job.state.mailbox(&path)?;
    let mut at = Side::BOTH.map(|side| match (&listed[side as usize], &places[side as usize]) {
        (Some(listed), _) if listed.selectable => Presence::There,
        (_, Some(_)) if complete[side as usize] => Presence::Gone,
        (_, Some(_)) => Presence::Unknown,
        (_, None) => Presence::Never,
    });
    // Something that could not be made waits for its next try.
    let unmade = at.contains(&Presence::Never) && waiting.contains(&path.to_text());
    if unmade {
        at = at.map(|presence| {
            if presence == Presence::Never {
                Presence::Unknown
            } else {
                presence
            }
        });
    }
    for side in Side::BOTH {
        if let (Presence::There, Some(listed)) = (at[side as usize], &listed[side as usize]) {
            job.state.set_place(id, side, &listed.raw, listed.identity.as_ref())?;
        }
    }
    let acted_on = job.naming.acts_on(&right_name, &roles);
    let left_roles = listed[0].iter().flat_map(|listed| &listed.roles);
    let emptied_often = roles
        .iter()
        .chain(left_roles)
        .any(|role| matches!(role, Role::Trash | Role::Junk))
        || is_called_trash(&path);
    Ok(Some(Candidate {
        id,
        path,
        at,
        listed,
        places,
        acted_on,
        emptied_often,
    }))
}

/// Servers without SPECIAL-USE tell no roles; then the usual names do.
fn is_called_trash(path: &MailboxPath) -> bool {
    const NAMES: [&str; 5] = ["trash", "junk", "spam", "deleted messages", "deleted items"];
    path.components()
        .last()
        .is_some_and(|name| NAMES.iter().any(|usual| name.eq_ignore_ascii_case(usual)))
}
