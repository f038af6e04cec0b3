//! Which mailboxes there are: what both sides list, and what the base knows.

use std::collections::{BTreeMap, BTreeSet};

use super::trash::{self, Located};
use super::{Job, renames};
use crate::error::{Failure, Kind, Reach, Result};
use crate::execute::Names;
use crate::model::{Listed, MailboxId, MailboxPath, Role, Side, Survey};
use crate::plan::{self, Census, Known, Naming, Policy, Presence, Row, Rule, Sighting};
use crate::state::{MailboxRow, Place, ProblemKey, Renaming, State};

/// A mailbox that matters, before anything in it was looked at.
pub(super) struct Candidate {
    pub id: MailboxId,
    pub path: MailboxPath,
    pub naming: Naming,
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
    /// Where removals go on each side.
    pub trash: [Located; 2],
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
                    role: None,
                },
            )
        })
        .collect())
}

/// Asks both sides at once.
pub(super) fn surveys(job: &Job<'_>) -> Result<[Survey; 2]> {
    let [left, right] = job.stores;
    let (left, right) = job.pace.both(|| left.survey(), || right.survey());
    // A server that cannot be reached is the news; the Maildir was looked at for nothing then.
    right.and_then(|right| Ok([left?, right]))
}

/// The name that a side gives to a mailbox of that name on the left.
pub(super) fn spell(job: &Job<'_>, left: &MailboxPath, side: Side) -> MailboxPath {
    match side {
        Side::Left => left.clone(),
        Side::Right => job.naming.to_right(left),
    }
}

/// The left's name for what a side calls so.
pub(super) fn on_left(job: &Job<'_>, path: &MailboxPath, side: Side) -> MailboxPath {
    match side {
        Side::Left => path.clone(),
        Side::Right => job.naming.to_left(path),
    }
}

/// Matches what both sides list and what the base knows.
pub(super) fn mailboxes(job: &Job<'_>) -> Result<Mailboxes> {
    let mut surveys = surveys(job)?;
    let complete = [surveys[0].failures.is_empty(), surveys[1].failures.is_empty()];
    let mut failures = Vec::new();
    for side in Side::BOTH {
        let failed = std::mem::take(&mut surveys[side as usize].failures);
        failures.extend(failed.into_iter().map(|(name, failure)| {
            let failure = Failure {
                reach: Reach::Account,
                ..failure.context(format!("mailbox {name}"))
            };
            (ProblemKey::Account(side), failure)
        }));
    }
    let [mut left, mut right] = surveys.map(|survey| survey.mailboxes);
    left.retain(|listed| meets(job, Side::Left, &listed.path));
    right.retain(|listed| meets(job, Side::Right, &listed.path));
    let rows = job.state.mailboxes()?;
    let open = job.state.open_renames()?;
    let mut census = census(job, &rows, [&left, &right], &open)?;
    let listed = [selectable(left), selectable(right)];
    let trash = Side::BOTH.map(|side| trash::locate(job, side, &listed[side as usize], complete[side as usize]));
    failures.extend(
        Side::BOTH
            .into_iter()
            .filter_map(|side| trash::complain(side, &trash[side as usize])),
    );
    renames::find_kin(job, &rows, [&listed[0], &listed[1]], &open, &mut census)?;
    let waiting = waiting_mailboxes(job)?;
    let mut candidates = Vec::new();
    for known in plan::names(&census, &naming_policy(job), Side::Right) {
        if known.clashes {
            failures.push(no_room(&known));
            continue;
        }
        let found = Found {
            row: known.row.map(|row| &rows[row]),
            listed: Side::BOTH.map(|side| known.at[side as usize].map(|at| &listed[side as usize][at])),
            // A name on the way is nobody's choice, and decides nothing.
            right_name: known.at[1].map(|at| spell(job, &census.seen[1][at].counts_as, Side::Right)),
            known: &known,
        };
        candidates.extend(candidate(job, &found, complete, &waiting)?);
    }
    for renaming in &open {
        close_rename(job, renaming, &candidates)?;
    }
    for candidate in &mut candidates {
        let is_trash = |side: Side| trash[side as usize].is(candidate.listed[side as usize].as_ref());
        candidate.emptied_often |= Side::BOTH.into_iter().any(is_trash);
    }
    candidates.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Mailboxes {
        candidates,
        failures,
        complete,
        trash,
    })
}

/// Whether a listed mailbox has to do with the job.
pub(super) fn meets(job: &Job<'_>, side: Side, path: &MailboxPath) -> bool {
    match side {
        Side::Left => job.naming.meets_left(path),
        Side::Right => job.naming.meets_right(path),
    }
}

/// With a base that is not what the sides last agreed on, nobody can tell who renamed; the right's names win.
fn naming_policy(job: &Job<'_>) -> Policy {
    let mut policy = job.policy;
    if job.distrust && policy.of(Side::Right).mailboxes == Rule::Spread {
        policy.sides[Side::Left as usize].mailboxes = Rule::Undo;
    }
    policy
}

fn selectable(listed: Vec<Listed>) -> Vec<Listed> {
    listed.into_iter().filter(|listed| listed.selectable).collect()
}

/// All names, in the left's terms.
fn census(job: &Job<'_>, rows: &[MailboxRow], listed: [&[Listed]; 2], open: &[Renaming]) -> Result<Census> {
    let mut census = Census::default();
    for side in Side::BOTH {
        let (mut by_raw, mut by_path) = (BTreeMap::new(), BTreeMap::new());
        for listed in listed[side as usize] {
            let path = on_left(job, &listed.path, side);
            if !listed.selectable {
                census.levels[side as usize].insert(path);
                continue;
            }
            let seen = &mut census.seen[side as usize];
            if let Some((other, _)) = by_path.insert(path.clone(), (&listed.path, seen.len())) {
                return Err(clash(other, &listed.path));
            }
            by_raw.insert(&listed.raw, seen.len());
            let was = open
                .iter()
                .filter(|renaming| renaming.side == side)
                .find_map(|renaming| {
                    let on_the_way = Renaming::on_the_way(renaming.mailbox);
                    listed.path.carried(&on_the_way, &renaming.was)
                });
            let counts_as = was.map_or_else(|| path.clone(), |was| on_left(job, &was, side));
            seen.push(Sighting { path, counts_as });
        }
        for (nth, row) in rows.iter().enumerate() {
            if side == Side::Left {
                census.rows.push(Row {
                    path: row.path.clone(),
                    had: [row.places[0].is_some(), row.places[1].is_some()],
                    at: [None; 2],
                });
            }
            census.rows[nth].at[side as usize] = row.places[side as usize]
                .as_ref()
                .and_then(|place| by_raw.get(&place.raw).copied());
        }
        // The same name spelled in another way, such as under another prefix.
        let mut taken: BTreeSet<usize> = census.rows.iter().filter_map(|row| row.at[side as usize]).collect();
        for row in census.rows.iter_mut().filter(|row| row.had[side as usize]) {
            let at = &mut row.at[side as usize];
            if let (None, Some((_, seen))) = (&at, by_path.get(&row.path))
                && taken.insert(*seen)
            {
                *at = Some(*seen);
            }
        }
    }
    Ok(census)
}

/// Once the mailbox has a name of its own again, what was begun is over; but a server can still be about to do what it was
/// sent before we were cut off, so not in the very next run.
fn close_rename(job: &Job<'_>, renaming: &Renaming, candidates: &[Candidate]) -> Result<()> {
    let candidate = candidates.iter().find(|candidate| candidate.id == renaming.mailbox);
    let is_on_the_way = candidate
        .and_then(|candidate| candidate.listed[renaming.side as usize].as_ref())
        .is_some_and(|listed| listed.path == Renaming::on_the_way(renaming.mailbox));
    if is_on_the_way || renaming.run + 1 >= job.run {
        return Ok(());
    }
    job.state.close_rename(renaming.mailbox, renaming.side)
}

/// A mailbox that cannot be made on the other side, since another one has its name there.
fn no_room(known: &Known) -> (ProblemKey, Failure) {
    let side = if known.at[0].is_some() { Side::Left } else { Side::Right };
    let what = format!(
        "mailbox {}: another mailbox has that name on the other side",
        known.path
    );
    let hint = "rename one of the two";
    (ProblemKey::Account(side), Failure::mailbox(what).hint(hint))
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
        .filter(|p| p.id.is_none() && p.refuses.is_none() && p.next.is_none_or(|next| next > now))
        .filter_map(|p| p.mailbox)
        .collect())
}

/// A mailbox, as far as names tell.
struct Found<'a> {
    row: Option<&'a MailboxRow>,
    listed: [Option<&'a Listed>; 2],
    right_name: Option<MailboxPath>,
    known: &'a Known,
}

fn candidate(job: &Job<'_>, found: &Found<'_>, complete: [bool; 2], waiting: &[String]) -> Result<Option<Candidate>> {
    let path = found.known.path.clone();
    let right_name = found.right_name.clone().unwrap_or_else(|| job.naming.to_right(&path));
    let roles: Vec<Role> = found.listed[1].map(|listed| listed.roles.clone()).unwrap_or_default();
    if !job.naming.meets_left(&path) || !job.naming.includes(&right_name, &roles) {
        return Ok(None);
    }
    let id = match found.row {
        Some(row) => row.id,
        None => job.state.new_mailbox(&path)?,
    };
    let places = found.row.map_or([None, None], |row| row.places.clone());
    let at = presence(found, complete, waiting);
    for side in Side::BOTH {
        if let Some(listed) = found.listed[side as usize] {
            job.state.set_place(id, side, &listed.raw, listed.identity.as_ref())?;
        }
    }
    let acted_on = job.naming.acts_on(&right_name, &roles);
    let left_roles = found.listed[0].iter().flat_map(|listed| &listed.roles);
    let emptied_often = roles
        .iter()
        .chain(left_roles)
        .any(|role| matches!(role, Role::Trash | Role::Junk))
        || is_called_trash(&path);
    Ok(Some(Candidate {
        id,
        path,
        naming: found.known.naming.clone(),
        at,
        listed: found.listed.map(Option::<&Listed>::cloned),
        places,
        acted_on,
        emptied_often,
    }))
}

fn presence(found: &Found<'_>, complete: [bool; 2], waiting: &[String]) -> [Presence; 2] {
    let at = Side::BOTH.map(|side| {
        let had = found.row.is_some_and(|row| row.places[side as usize].is_some());
        match (found.listed[side as usize], had) {
            (Some(_), _) => Presence::There,
            (None, true) if complete[side as usize] => Presence::Gone,
            (None, true) => Presence::Unknown,
            (None, false) => Presence::Never,
        }
    });
    // Something that could not be made waits for its next try.
    if waiting.contains(&found.known.path.to_text()) {
        return at.map(|presence| match presence {
            Presence::Never => Presence::Unknown,
            other => other,
        });
    }
    at
}

/// Servers without SPECIAL-USE tell no roles; then the usual names do.
fn is_called_trash(path: &MailboxPath) -> bool {
    const NAMES: [&str; 5] = ["trash", "junk", "spam", "deleted messages", "deleted items"];
    path.components()
        .last()
        .is_some_and(|name| NAMES.iter().any(|usual| name.eq_ignore_ascii_case(usual)))
}
