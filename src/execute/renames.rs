//! Renames mailboxes: one after the other, since each takes what lies below along, frees a name and takes one.

use std::collections::{BTreeMap, BTreeSet};

use super::{Executor, deeds};
use crate::error::{Failure, Result};
use crate::model::{Listed, Mailbox, MailboxId, MailboxPath, RawName, Side};
use crate::plan::{Action, Step};
use crate::state::{ProblemKey, Renaming};
use crate::store::{Done, Ticket, WriteJob};

/// The mailboxes of one side, in its own names, and where they are to be.
struct Tree {
    side: Side,
    /// Everything that the side lists, levels that are no mailboxes included.
    listed: Vec<Listed>,
    /// Where ours are now, and what they are called.
    at: BTreeMap<MailboxId, (MailboxPath, RawName)>,
    /// Where they are to be. What is not in here may be taken along by what lies above.
    wanted: BTreeMap<MailboxId, MailboxPath>,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Rename(MailboxId, MailboxPath),
    /// Another mailbox has that name, and keeps it.
    Taken(MailboxId, MailboxPath),
}

impl Executor<'_> {
    /// Renames on both sides, and writes down the names that both then agree on.
    pub(super) fn rename_mailboxes(&mut self, steps: &[&Step], stay: &BTreeSet<MailboxId>) -> Result<()> {
        let mut failed = BTreeSet::new();
        for side in Side::BOTH {
            let wanted: BTreeMap<MailboxId, MailboxPath> = steps
                .iter()
                .filter(|step| step.action.on() == Some(side))
                .filter_map(|step| match &step.action {
                    Action::RenameMailbox { to, .. } => Some((step.mailbox, (self.scene.spell)(to, side))),
                    _ => None,
                })
                .collect();
            if !wanted.is_empty() && !self.stopping() {
                failed.extend(self.rename_on(side, &wanted, stay)?);
                for step in steps.iter().filter(|step| step.action.on() == Some(side)) {
                    if wanted.contains_key(&step.mailbox) && !failed.contains(&step.mailbox) {
                        self.did(&deeds::of(step), None)?;
                    }
                }
            }
        }
        if self.stopping() {
            return Ok(());
        }
        for step in steps {
            if let (Action::AgreeName { to }, false) = (&step.action, failed.contains(&step.mailbox)) {
                self.scene.state.agree_name(step.mailbox, to)?;
                // What an earlier run could not rename has its name now.
                for side in Side::BOTH {
                    self.scene.state.settle_mailbox(step.mailbox, side)?;
                }
            }
        }
        self.scene.state.commit()
    }

    /// Renames on one side; gives the mailboxes that did not get there.
    fn rename_on(
        &mut self,
        side: Side,
        wanted: &BTreeMap<MailboxId, MailboxPath>,
        stay: &BTreeSet<MailboxId>,
    ) -> Result<BTreeSet<MailboxId>> {
        let mut tree = self.tree(side, wanted, stay)?;
        let mut failed = BTreeSet::new();
        while let Some(next) = tree.next() {
            if self.stopping() {
                break;
            }
            let (mailbox, outcome) = match next {
                Next::Taken(mailbox, name) => {
                    let what = format!("cannot be renamed to {name}: another mailbox has that name");
                    (mailbox, Err(Failure::mailbox(what)))
                }
                Next::Rename(mailbox, to) => (mailbox, self.rename_one(&mut tree, mailbox, &to)?),
            };
            if let Err(failure) = outcome {
                tree.wanted.remove(&mailbox);
                failed.insert(mailbox);
                self.fail(ProblemKey::Mailbox(mailbox, side), failure)?;
            }
        }
        for (mailbox, to) in wanted {
            if tree.at.get(mailbox).is_some_and(|(at, _)| at == to) {
                self.outcome.counts[side as usize].mailboxes_renamed += 1;
            } else {
                failed.insert(*mailbox);
            }
        }
        Ok(failed)
    }

    /// Lists the side again: what was decided on is some moments old.
    fn tree(&self, side: Side, wanted: &BTreeMap<MailboxId, MailboxPath>, stay: &BTreeSet<MailboxId>) -> Result<Tree> {
        let listed = self.scene.stores[side as usize].survey()?.mailboxes;
        let mut tree = Tree {
            side,
            listed,
            at: BTreeMap::new(),
            wanted: wanted.clone(),
        };
        for (&id, names) in &self.scene.names {
            let here = tree
                .listed
                .iter()
                .find(|listed| Some(&listed.raw) == names.raw[side as usize].as_ref());
            let Some(here) = here else { continue };
            tree.at.insert(id, (here.path.clone(), here.raw.clone()));
            if !stay.contains(&id) {
                tree.wanted.entry(id).or_insert_with(|| here.path.clone());
            }
        }
        Ok(tree)
    }

    /// One rename: journal, act, look, commit. The inner failure is the mailbox's.
    fn rename_one(&mut self, tree: &mut Tree, mailbox: MailboxId, to: &MailboxPath) -> Result<Result<()>> {
        let (side, state) = (tree.side, self.scene.state);
        let Some((from, raw)) = tree.at.get(&mailbox).cloned() else {
            return Ok(Err(Failure::mailbox("is not there any more")));
        };
        let begun = state.open_renames()?;
        let begun = begun
            .into_iter()
            .find(|renaming| (renaming.mailbox, renaming.side) == (mailbox, side));
        let was = begun
            .filter(|_| from == Renaming::on_the_way(mailbox))
            .map_or_else(|| from.clone(), |renaming| renaming.was);
        let becomes = tree.wanted[&mailbox].clone();
        state.open_rename(&Renaming {
            mailbox,
            side,
            was,
            becomes,
            run: self.scene.run,
        })?;
        state.commit()?;

        let mut jobs: [Vec<WriteJob>; 2] = Default::default();
        jobs[side as usize].push(WriteJob::Rename {
            ticket: Ticket(0),
            mailbox: Mailbox { id: mailbox, raw },
            to: to.clone(),
        });
        let (mut refused, mut in_doubt) = (None, false);
        self.write(jobs, |_, _, _, done| {
            in_doubt |= matches!(done, Done::Unknown(..));
            if let Done::Failed(_, failure) | Done::Unknown(_, failure) = done {
                refused = Some(failure);
            }
            Ok(())
        })?;

        tree.listed = self.scene.stores[side as usize].survey()?.mailboxes;
        tree.follow(&from, to);
        let at: Vec<_> = tree.at.iter().map(|(id, (_, raw))| (*id, raw.clone())).collect();
        for (id, raw) in at {
            if self.mailbox(id, side).is_some_and(|known| known.raw != raw) {
                state.set_place(id, side, &raw, None)?;
                self.name(id, side, Some(raw));
            }
        }
        let arrived = tree.at.get(&mailbox).is_some_and(|(at, _)| at == to);
        // What is on the way goes on from there; its journal row tells what it was called. So does that of a rename that the
        // server may still be about to make.
        let is_over = if arrived {
            tree.wanted[&mailbox] == *to
        } else {
            !in_doubt
        };
        if is_over {
            state.close_rename(mailbox, side)?;
        }
        state.commit()?;
        Ok(match (arrived, refused) {
            (true, _) => Ok(()),
            (false, Some(failure)) => Err(failure),
            (false, None) => Err(Failure::mailbox(format!("was renamed to {to}, and is not there"))),
        })
    }
}

impl Tree {
    /// The next rename; `None` when everything is where it is to be.
    fn next(&self) -> Option<Next> {
        let misplaced = |id: &MailboxId| self.at.get(id).is_some_and(|(at, _)| *at != self.wanted[id]);
        let mut todo: Vec<MailboxId> = self.wanted.keys().copied().filter(misplaced).collect();
        // What is above goes first, and takes along what lies below.
        todo.sort_by_key(|id| (self.wanted[id].components().len(), &self.wanted[id]));
        let mut cycle = None;
        for &id in &todo {
            let (at, to) = (&self.at[&id].0, &self.wanted[&id]);
            let inside = to.components().len() > at.components().len() && to.carried(at, at).is_some();
            let holder = self.listed.iter().find(|listed| listed.path == *to);
            match holder {
                None if !inside => return Some(Next::Rename(id, to.clone())),
                // It cannot go below itself in one step.
                None => return Some(Next::Rename(id, Renaming::on_the_way(id))),
                Some(holder) if todo.iter().any(|other| self.at[other].1 == holder.raw) => {
                    cycle = cycle.or(Some(id));
                }
                Some(_) => return Some(Next::Taken(id, to.clone())),
            }
        }
        cycle.map(|id| Next::Rename(id, Renaming::on_the_way(id)))
    }

    /// Finds out, in the new list, where a rename took ours.
    fn follow(&mut self, from: &MailboxPath, to: &MailboxPath) {
        let is_listed = |raw: &RawName| self.listed.iter().any(|listed| listed.raw == *raw);
        for (path, raw) in self.at.values_mut() {
            let carried = path.carried(from, to).filter(|_| !is_listed(raw));
            let there = carried.and_then(|new| {
                self.listed
                    .iter()
                    .find(|listed| listed.path == new && listed.selectable)
            });
            if let Some(there) = there {
                (*path, *raw) = (there.path.clone(), there.raw.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str) -> Listed {
        Listed {
            path: MailboxPath::parse(name).unwrap(),
            raw: RawName::new(name),
            roles: Vec::new(),
            selectable: true,
            status: None,
            identity: None,
            messages: None,
        }
    }

    /// A server's RENAME (RFC 9051 §6.3.6): inferiors go along.
    fn rename(tree: &mut Tree, from: &MailboxPath, to: &MailboxPath) {
        for listed in &mut tree.listed {
            if let Some(path) = listed.path.carried(from, to) {
                listed.raw = RawName::new(path.to_string());
                listed.path = path;
            }
        }
        tree.follow(from, to);
    }

    #[test]
    fn every_order_comes_out() {
        // What there is and what it is to be called (`=`: stays, `~`: not ours); the renames.
        type Row = (&'static str, &'static [(&'static str, &'static str)], &'static str);
        let rows: [Row; 10] = [
            ("one", &[("A", "B")], "A>B"),
            ("what lies below goes along", &[("A", "B"), ("A/x", "B/x")], "A>B"),
            ("what lies below stays", &[("A", "B"), ("A/x", "=")], "A>B B/x>A/x"),
            ("what is not ours goes along", &[("A", "B"), ("A/x", "~")], "A>B"),
            ("a chain", &[("A", "B"), ("B", "C")], "B>C A>B"),
            (
                "a swap",
                &[("A", "B"), ("B", "A")],
                "B>homing-rename-1 A>B homing-rename-1>A",
            ),
            (
                "three in a ring",
                &[("A", "B"), ("B", "C"), ("C", "A")],
                "C>homing-rename-2 B>C A>B homing-rename-2>A",
            ),
            ("taken", &[("A", "B"), ("B", "=")], "A!B"),
            ("below itself", &[("A", "A/x")], "A>homing-rename-0 homing-rename-0>A/x"),
            (
                "turned inside out",
                &[("A", "A/x"), ("A/x", "A")],
                "A/x>homing-rename-1 A>homing-rename-0 homing-rename-1>A homing-rename-0>A/x",
            ),
        ];
        for (what, mailboxes, expected) in rows {
            let mut tree = Tree {
                side: Side::Right,
                listed: mailboxes.iter().map(|(name, _)| listed(name)).collect(),
                at: BTreeMap::new(),
                wanted: BTreeMap::new(),
            };
            for (nth, (name, wanted)) in mailboxes.iter().enumerate().filter(|(_, (_, wanted))| *wanted != "~") {
                let id = MailboxId(nth as u32);
                let path = MailboxPath::parse(name).unwrap();
                let to = if *wanted == "=" { name } else { wanted };
                tree.wanted.insert(id, MailboxPath::parse(to).unwrap());
                tree.at.insert(id, (path, RawName::new(name)));
            }
            let mut done = Vec::new();
            while let Some(next) = tree.next() {
                assert!(done.len() < 9, "{what}: {done:?}");
                match next {
                    Next::Rename(id, to) => {
                        let from = tree.at[&id].0.clone();
                        done.push(format!("{from}>{to}"));
                        rename(&mut tree, &from, &to);
                    }
                    Next::Taken(id, to) => {
                        done.push(format!("{}!{to}", tree.at[&id].0));
                        tree.wanted.remove(&id);
                    }
                }
            }
            assert_eq!(done.join(" "), expected, "{what}");
        }
    }
}
