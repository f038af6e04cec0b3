//! Which mailbox is which by now, and what each is to be called: decided over all names, before any mailbox is opened.
//!
//! What a mailbox is known by proposes and proves (the engine gathers that); here it is decided which names are one mailbox,
//! which side's name wins, and where a rename would get in the way of another mailbox. There it is no rename: the mailboxes
//! are matched by name, and their messages move instead (DESIGN 8a "Mailboxes").

use std::collections::{BTreeMap, BTreeSet};

use super::{Policy, Rule};
use crate::model::{MailboxPath, Side};

/// All that is known of the names of an account's mailboxes, before any of them is opened. Names are the left's.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// The mailboxes of the base.
    pub rows: Vec<Row>,
    /// What each side lists now; each name once on a side.
    pub seen: [Vec<Sighting>; 2],
    /// Levels of each side's tree that are no mailboxes (`\Noselect`).
    pub levels: [BTreeSet<MailboxPath>; 2],
    /// What was proven to be a mailbox of the base under another name.
    pub kin: Vec<Kin>,
}

/// A mailbox of the base.
#[derive(Clone, Debug)]
pub struct Row {
    /// The name that both sides agreed on.
    pub path: MailboxPath,
    /// Which sides had it.
    pub had: [bool; 2],
    /// What is listed under the name that each side last had for it: a place in [`Census::seen`].
    pub at: [Option<usize>; 2],
}

/// A mailbox as one side lists it.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Its name.
    pub path: MailboxPath,
    /// The name that it counts as having: another one where a rename of ours was cut off on the way.
    pub counts_as: MailboxPath,
}

/// A mailbox of the base was seen under another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kin {
    /// A place in [`Census::rows`].
    pub row: usize,
    /// Where.
    pub side: Side,
    /// A place in [`Census::seen`] of that side.
    pub seen: usize,
}

/// One mailbox: what the base has of it, what each side lists, and what it is to be called.
#[derive(Clone, Debug)]
pub struct Known {
    /// A place in [`Census::rows`]; `None`: new.
    pub row: Option<usize>,
    /// Places in [`Census::seen`].
    pub at: [Option<usize>; 2],
    /// Its name in this run: the one that both sides will have, or the left's where they go on having two.
    pub path: MailboxPath,
    /// What is to be done about its name.
    pub naming: Naming,
    /// It is new, and where it is to be made another mailbox has its name: it is left alone.
    pub clashes: bool,
}

/// What is to be done about a mailbox's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// The rename on each side.
    pub renames: [Option<Rename>; 2],
    /// Both sides have a name that the base does not know yet.
    pub agreed: bool,
    /// The side that renamed it while the other side lost it.
    pub outlived: Option<Side>,
}

/// A rename to be made on one side, in the left's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// Its name there now.
    pub from: MailboxPath,
    /// Its name there afterwards.
    pub to: MailboxPath,
    /// Why.
    pub why: &'static str,
}

/// Which mailbox is which, and what each is to be called. `tie` is the side whose name wins where both renamed.
pub fn names(census: &Census, policy: &Policy, tie: Side) -> Vec<Known> {
    let mut doubts = Doubts::default();
    loop {
        let mut known = match_up(census, &doubts, policy, tie);
        let clashes = clashes(census, &known, policy);
        if !doubts.grow(census, &known, &clashes) {
            for nth in clashes.into_iter().flatten() {
                known[nth].clashes = known[nth].row.is_none();
            }
            return known;
        }
    }
}

/// What is not taken for a rename after all, because a name would be taken.
#[derive(Default)]
struct Doubts {
    /// Rows that are matched by the name in the base alone.
    unrelated: BTreeSet<usize>,
    /// Rows that keep the names they have.
    stay: BTreeSet<usize>,
}

impl Doubts {
    /// Gives up on renames that clash; whether there were any. Each time at least one row is out of the game, so this comes
    /// to an end.
    fn grow(&mut self, census: &Census, known: &[Known], clashes: &[Vec<usize>]) -> bool {
        let before = (self.unrelated.len(), self.stay.len());
        for clash in clashes {
            let rows = || clash.iter().filter_map(|&nth| Some((known[nth].row?, &known[nth])));
            let moved = rows().filter(|(row, mailbox)| mailbox.is_renamed(*row, census));
            let moved: Vec<usize> = moved.map(|(row, _)| row).collect();
            if moved.is_empty() {
                self.stay.extend(rows().map(|(row, _)| row));
            }
            self.unrelated.extend(moved);
        }
        (self.unrelated.len(), self.stay.len()) != before
    }
}

/// Mailboxes that want the same name on a side, or to be called like a level of its tree.
fn clashes(census: &Census, known: &[Known], policy: &Policy) -> Vec<Vec<usize>> {
    let mut clashes = Vec::new();
    for side in Side::BOTH {
        let mut wanted: BTreeMap<&MailboxPath, Vec<usize>> = BTreeMap::new();
        for (nth, mailbox) in known.iter().enumerate() {
            if let Some(name) = mailbox.name_on(side, census, policy) {
                wanted.entry(name).or_default().push(nth);
            }
        }
        let is_renamed = |&nth: &usize| known[nth].naming.renames[side as usize].is_some();
        let levels = &census.levels[side as usize];
        clashes.extend(wanted.into_iter().filter_map(|(name, mailboxes)| {
            let clash = mailboxes.len() > 1 || levels.contains(name) && mailboxes.iter().any(is_renamed);
            clash.then_some(mailboxes)
        }));
    }
    clashes
}

impl Known {
    /// What the mailbox will be called on a side; `None` where it neither is nor can come to be.
    fn name_on<'a>(&'a self, side: Side, census: &'a Census, policy: &Policy) -> Option<&'a MailboxPath> {
        // What the other side never had is made there only where this side's mailboxes are carried over.
        let had = self.row.is_some_and(|row| census.rows[row].had[side as usize]);
        let is_made = had || policy.of(side.other()).mailboxes == Rule::Spread;
        match (
            &self.naming.renames[side as usize],
            self.at[side as usize],
            self.at[side.other() as usize],
        ) {
            (Some(rename), _, _) => Some(&rename.to),
            (None, Some(seen), _) => Some(&census.seen[side as usize][seen].path),
            (None, None, Some(_)) if is_made => Some(&self.path),
            (None, None, _) => None,
        }
    }

    /// Whether a side has it under another name than the one that both agreed on, be it since now or since long.
    fn is_renamed(&self, row: usize, census: &Census) -> bool {
        let row = &census.rows[row];
        let elsewhere = |&side: &Side| {
            let at = self.at[side as usize];
            let is_named_so = at.is_some_and(|at| census.seen[side as usize][at].counts_as == row.path);
            at.is_some() && row.had[side as usize] && !(is_named_so && at == row.at[side as usize])
        };
        Side::BOTH.iter().any(elsewhere)
    }
}

/// Rows by what proves them, then by name; what is left over is new.
fn match_up(census: &Census, doubts: &Doubts, policy: &Policy, tie: Side) -> Vec<Known> {
    let mut at: Vec<[Option<usize>; 2]> = vec![[None; 2]; census.rows.len()];
    let mut taken: [BTreeSet<usize>; 2] = Default::default();
    let mut take = |at: &mut [Option<usize>; 2], side: Side, seen: usize| {
        if at[side as usize].is_none() && taken[side as usize].insert(seen) {
            at[side as usize] = Some(seen);
        }
    };
    for kin in census.kin.iter().filter(|kin| !doubts.unrelated.contains(&kin.row)) {
        take(&mut at[kin.row], kin.side, kin.seen);
    }
    for (nth, (row, at)) in census.rows.iter().zip(&mut at).enumerate() {
        for side in Side::BOTH {
            let is_named_so = |seen: usize| census.seen[side as usize][seen].counts_as == row.path;
            let by_name = |&seen: &usize| !doubts.unrelated.contains(&nth) || is_named_so(seen);
            if let Some(seen) = row.at[side as usize].filter(by_name) {
                take(at, side, seen);
            }
        }
    }
    let mut known: Vec<Known> = Vec::new();
    let mut fresh: BTreeMap<&MailboxPath, [Option<usize>; 2]> = BTreeMap::new();
    for side in Side::BOTH {
        for (seen, sighting) in census.seen[side as usize].iter().enumerate() {
            if !taken[side as usize].contains(&seen) {
                fresh.entry(&sighting.path).or_default()[side as usize] = Some(seen);
            }
        }
    }
    for (nth, (row, mut at)) in census.rows.iter().zip(at).enumerate() {
        // What was made on one side meets what only the other side had so far, under the name that it has there by now.
        let name = at
            .iter()
            .zip(&census.seen)
            .find_map(|(at, seen)| at.map(|at| &seen[at].counts_as));
        let name = name.unwrap_or(&row.path);
        for side in Side::BOTH {
            if let (None, Some(new)) = (at[side as usize], fresh.get_mut(name)) {
                at[side as usize] = new[side as usize].take();
            }
        }
        known.push(name_one(census, Some(nth), at, policy, tie, doubts.stay.contains(&nth)));
    }
    let fresh = fresh.into_values().filter(|at| at.iter().any(Option::is_some));
    known.extend(fresh.map(|at| name_one(census, None, at, policy, tie, false)));
    known
}

/// What a mailbox is to be called, and why.
enum Name<'a> {
    /// By both sides.
    Shared(&'a MailboxPath, &'static str),
    /// Each side keeps the name that it has.
    Two,
}

const RENAMED: [&str; 2] = ["renamed on the left", "renamed on the right"];
const TIE: [&str; 2] = [
    "renamed on both sides: the left wins",
    "renamed on both sides: the right wins",
];
const UNDO: &str = "the policy undoes this side's renames";
const CUT: &str = "an earlier rename was cut off";

/// The table: the name in the base, and on each side.
fn name<'a>(base: &'a MailboxPath, now: [&'a MailboxPath; 2], policy: &Policy, tie: Side) -> Name<'a> {
    let by = |side: Side, why| match policy.of(side).mailboxes {
        Rule::Spread => Name::Shared(now[side as usize], why),
        Rule::Undo => Name::Shared(base, UNDO),
        Rule::Keep => Name::Two,
    };
    let spreads = |side: Side| policy.of(side).mailboxes == Rule::Spread;
    match (now[0] == base, now[1] == base) {
        (true, true) => Name::Shared(base, CUT),
        (false, true) => by(Side::Left, RENAMED[0]),
        (true, false) => by(Side::Right, RENAMED[1]),
        (false, false) if now[0] == now[1] => Name::Shared(now[0], CUT),
        (false, false) if spreads(tie) => by(tie, TIE[tie as usize]),
        (false, false) if spreads(tie.other()) => by(tie.other(), TIE[tie.other() as usize]),
        (false, false) => by(tie, UNDO),
    }
}

fn name_one(
    census: &Census,
    row: Option<usize>,
    at: [Option<usize>; 2],
    policy: &Policy,
    tie: Side,
    stays: bool,
) -> Known {
    let seen = Side::BOTH.map(|side| at[side as usize].map(|at| &census.seen[side as usize][at]));
    let row_of = row.map(|row| &census.rows[row]);
    let present = seen[tie as usize].or(seen[tie.other() as usize]);
    let present = present.map(|sighting| &sighting.counts_as);
    let base = row_of.map(|row| &row.path).or(present);
    let mut naming = Naming::default();
    let (Some(base), Some(present)) = (base, present) else {
        let path = base.cloned().unwrap_or_else(MailboxPath::inbox);
        return Known {
            row,
            at,
            path,
            naming,
            clashes: false,
        };
    };
    let verdict = match (seen, row_of) {
        _ if stays => Name::Two,
        ([Some(left), Some(right)], Some(row)) if row.had == [true; 2] => {
            name(base, [&left.counts_as, &right.counts_as], policy, tie)
        }
        // One side never had it: its name is the other's.
        _ => Name::Shared(present, CUT),
    };
    if let ([Some(_), None], [_, true]) | ([None, Some(_)], [true, _]) =
        (seen, row_of.map_or([false; 2], |row| row.had))
    {
        let by = if seen[0].is_some() { Side::Left } else { Side::Right };
        naming.outlived = (present != base && policy.of(by).mailboxes == Rule::Spread).then_some(by);
    }
    for side in Side::BOTH {
        let Some(sighting) = seen[side as usize] else { continue };
        let (to, why) = match verdict {
            Name::Shared(to, why) => (to, why),
            Name::Two => (&sighting.counts_as, CUT),
        };
        if sighting.path != *to {
            naming.renames[side as usize] = Some(Rename {
                from: sighting.path.clone(),
                to: to.clone(),
                why,
            });
        }
    }
    let path = match verdict {
        Name::Shared(path, _) => path.clone(),
        Name::Two => seen[0].map_or(present, |left| &left.counts_as).clone(),
    };
    // Where one side lost it, it goes on being known by the old name until it is made there again under the new one.
    let lost = row_of.is_some_and(|row| row.had == [true; 2] && at.contains(&None));
    naming.agreed = matches!(verdict, Name::Shared(..)) && path != *base && !lost;
    Known {
        row,
        at,
        path,
        naming,
        clashes: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of one mailbox: in the base, on the left, on the right; `-` where it is not, `~` where it never was. A name that begins with `?`
    /// is not proven to be that mailbox: only the name tells; with `=` the side had that name before. Without a base it is new.
    type Line = [&'static str; 3];

    fn census(mailboxes: &[Line]) -> Census {
        let path = |name: &str| MailboxPath::parse(name.trim_start_matches(['?', '='])).unwrap();
        let mut census = Census::default();
        for (nth, [base, left, right]) in mailboxes.iter().enumerate() {
            let mut at = [None; 2];
            for (side, name) in [(Side::Left, left), (Side::Right, right)] {
                if ["-", "~"].contains(name) {
                    continue;
                }
                let seen = census.seen[side as usize].len();
                census.seen[side as usize].push(Sighting {
                    path: path(name),
                    counts_as: path(name),
                });
                if name == base || name.starts_with('=') {
                    at[side as usize] = Some(seen);
                } else if !name.starts_with('?') && *base != "-" {
                    let row = mailboxes[..nth].iter().filter(|[base, ..]| *base != "-").count();
                    census.kin.push(Kin { row, side, seen });
                }
            }
            if *base != "-" {
                census.rows.push(Row {
                    path: path(base),
                    had: [*left != "~", *right != "~"],
                    at,
                });
            }
        }
        // What is listed under a row's old name is its second choice.
        for row in 0..census.rows.len() {
            for side in Side::BOTH {
                if census.rows[row].at[side as usize].is_some() {
                    continue;
                }
                let name = census.rows[row].path.clone();
                let at = census.seen[side as usize]
                    .iter()
                    .position(|sighting| sighting.path == name);
                census.rows[row].at[side as usize] = at;
            }
        }
        census
    }

    /// `A: B>C on the left` for each rename, `=A` for a name agreed on, `A+` where a rename outlives a deletion, `A|` where
    /// a row and a new mailbox meet by name, `A!` where nothing can be made.
    fn told(census: &Census, policy: &Policy) -> String {
        let mut told = Vec::new();
        for known in names(census, policy, Side::Right) {
            for side in Side::BOTH {
                if let Some(rename) = &known.naming.renames[side as usize] {
                    told.push(format!("{}>{} {side}", rename.from, rename.to));
                }
            }
            let path = &known.path;
            told.extend(known.naming.agreed.then(|| format!("={path}")));
            told.extend(known.naming.outlived.map(|by| format!("{path}+ {by}")));
            told.extend(known.clashes.then(|| format!("{path}!")));
            if known.at.iter().all(Option::is_none) {
                told.push(format!("{path}-"));
            } else if known.at.contains(&None) {
                told.push(format!("{path}?"));
            }
        }
        told.join(", ")
    }

    #[test]
    fn the_table() {
        let (sync, pull, push) = (Policy::SYNC, Policy::PULL, Policy::PUSH);
        let mut undo = Policy::SYNC;
        undo.sides[0].mailboxes = Rule::Undo;
        let rows: [(&str, Policy, &[Line], &str); 27] = [
            ("as it was", sync, &[["A", "A", "A"]], ""),
            ("renamed on the left", sync, &[["A", "B", "A"]], "A>B right, =B"),
            ("renamed on the right", sync, &[["A", "A", "B"]], "A>B left, =B"),
            ("renamed alike", sync, &[["A", "B", "B"]], "=B"),
            ("renamed differently", sync, &[["A", "B", "C"]], "B>C left, =C"),
            (
                "renamed differently, one way",
                push,
                &[["A", "B", "C"]],
                "C>B right, =B",
            ),
            ("kept", pull, &[["A", "B", "A"]], ""),
            ("undone", undo, &[["A", "B", "A"]], "B>A left"),
            ("renamed, deleted", sync, &[["A", "B", "-"]], "B+ left, B?"),
            ("renamed, deleted, kept", pull, &[["A", "B", "-"]], "B?"),
            ("deleted", sync, &[["A", "A", "-"]], "A?"),
            ("deleted on both", sync, &[["A", "-", "-"]], "A-"),
            ("new", sync, &[["-", "N", "-"]], "N?"),
            ("new on both", sync, &[["-", "N", "N"]], ""),
            (
                "a swap",
                sync,
                &[["A", "A", "B"], ["B", "B", "A"]],
                "A>B left, =B, B>A left, =A",
            ),
            (
                "the same swap on both sides",
                sync,
                &[["A", "B", "B"], ["B", "A", "A"]],
                "=B, =A",
            ),
            (
                "a ring",
                sync,
                &[["A", "B", "A"], ["B", "C", "B"], ["C", "A", "C"]],
                "A>B right, =B, B>C right, =C, C>A right, =A",
            ),
            (
                "renamed, and a new one in its place",
                sync,
                &[["A", "A", "B"], ["-", "-", "A"]],
                "A>B left, =B, A?",
            ),
            (
                "the name is taken by a new one over there: they meet by name",
                sync,
                &[["A", "A", "B"], ["-", "B", "-"]],
                "A?",
            ),
            (
                "the name is that of a mailbox that was deleted: the names stay where they are",
                sync,
                &[["A", "A", "B"], ["B", "B", "-"]],
                "A?",
            ),
            ("two want one name", sync, &[["A", "N", "A"], ["B", "B", "N"]], "A?, B?"),
            (
                "two want one name, and one of them has a new name on the other side",
                sync,
                &[["A", "X", "N"], ["B", "N", "B"]],
                "A-, B?, X?",
            ),
            (
                "renamed on one side, deleted on the other, where a new one has the new name",
                sync,
                &[["A", "B", "-"], ["-", "-", "?B"]],
                "=B",
            ),
            (
                "two names are kept, and a new one wants the second",
                pull,
                &[["A", "B", "A"], ["-", "-", "B"]],
                "A?",
            ),
            (
                "two names were kept, and a new one has the second: they meet by name",
                sync,
                &[["A", "A", "=B"], ["-", "B", "-"]],
                "A?",
            ),
            ("two names were kept, and still are", pull, &[["A", "=B", "A"]], ""),
            (
                "a swap with one that the other side never had, kept",
                push,
                &[["A", "A", "B"], ["B", "~", "A"]],
                "=A, A?",
            ),
        ];
        for (what, policy, mailboxes, expected) in rows {
            assert_eq!(told(&census(mailboxes), &policy), expected, "{what}");
        }
    }

    #[test]
    fn levels_are_in_the_way() {
        let mut census = census(&[["A", "A", "B"]]);
        census.levels[0].insert(MailboxPath::parse("B").unwrap());
        assert_eq!(told(&census, &Policy::SYNC), "A?, B?");
    }

    #[test]
    fn a_name_on_the_way_is_nobodys_wish() {
        // The right was on its way to B when the run was cut off; or the left has its old name back by now.
        for (left, expected) in [("B", "tmp>B right, =B"), ("A", "tmp>A right")] {
            let mut census = census(&[["A", left, "tmp"]]);
            census.seen[1][0].counts_as = MailboxPath::parse("A").unwrap();
            assert_eq!(told(&census, &Policy::SYNC), expected);
        }
    }
}
