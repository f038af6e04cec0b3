//! Mailboxes that have another name on one side, or that only one side has.

use super::{Action, Policy, Presence, Rule, Step, View};
use crate::model::Side;

/// What a mailbox's fate means for its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The messages are decided on.
    Go,
    /// Nothing is done in it in this run.
    LeaveAlone,
    /// Its messages go back to the side that lost it.
    Restore,
}

/// Decides whether the mailbox is made, deleted or forgotten. One that is deleted loses its messages first, one by one,
/// under the guards; the deletion follows only if nothing is left (DESIGN 8a "deleting a mailbox").
pub(super) fn decide(view: &View, policy: &Policy, steps: &mut Vec<Step>) -> Fate {
    use Presence::{Gone, Never, There, Unknown};
    if !view.at.contains(&Unknown) {
        rename(view, steps);
    }
    let mut step = |action, why| {
        steps.push(Step {
            mailbox: view.id,
            path: view.path.clone(),
            action,
            why,
        });
    };
    match (view.at[0], view.at[1]) {
        (There, There) => Fate::Go,
        (Unknown, _) | (_, Unknown) => Fate::LeaveAlone,
        (Gone | Never, Gone | Never) => {
            step(Action::ForgetMailbox, "deleted on both sides");
            Fate::LeaveAlone
        }
        (There, Never) => created(policy, Side::Left, "created on the left", &mut step),
        (Never, There) => created(policy, Side::Right, "created on the right", &mut step),
        (There, Gone) => deleted(view, policy, Side::Right, &mut step),
        (Gone, There) => deleted(view, policy, Side::Left, &mut step),
    }
}

/// What [`super::names`] decided, as steps.
fn rename(view: &View, steps: &mut Vec<Step>) {
    let mut why = "renamed on both sides";
    for on in Side::BOTH {
        if let Some(rename) = &view.naming.renames[on as usize] {
            why = rename.why;
            let to = rename.to.clone();
            steps.push(Step {
                mailbox: view.id,
                path: rename.from.clone(),
                action: Action::RenameMailbox { on, to },
                why,
            });
        }
    }
    if view.naming.agreed {
        let to = view.path.clone();
        steps.push(Step {
            mailbox: view.id,
            path: view.path.clone(),
            action: Action::AgreeName { to },
            why,
        });
    }
}

fn created(policy: &Policy, by: Side, why: &'static str, step: &mut impl FnMut(Action, &'static str)) -> Fate {
    if policy.of(by).mailboxes == Rule::Spread {
        step(Action::CreateMailbox { on: by.other() }, why);
        Fate::Go
    } else {
        Fate::LeaveAlone
    }
}

fn deleted(view: &View, policy: &Policy, by: Side, step: &mut impl FnMut(Action, &'static str)) -> Fate {
    if view.naming.outlived.is_some() {
        let why = "renamed on one side, deleted on the other: the rename wins";
        step(Action::CreateMailbox { on: by }, why);
        return Fate::Restore;
    }
    let rule = policy.of(by).mailboxes;
    // What comes back message by message comes back with its mailbox.
    let restore = rule == Rule::Undo || policy.of(by).removals == Rule::Undo || view.path.is_inbox();
    if restore {
        let why = if view.path.is_inbox() {
            "the INBOX cannot be deleted"
        } else {
            "the policy undoes this side's deletions"
        };
        step(Action::CreateMailbox { on: by }, why);
        return Fate::Restore;
    }
    let beyond = view.beyond_base(by.other());
    match (rule, policy.of(by.other()).new) {
        (Rule::Keep | Rule::Undo, Rule::Keep | Rule::Undo) => Fate::LeaveAlone,
        (Rule::Keep | Rule::Undo, _) if !beyond => Fate::LeaveAlone,
        // What is new there stays there, and the mailbox with it.
        (Rule::Spread, Rule::Keep | Rule::Undo) if beyond => Fate::Go,
        (_, Rule::Spread) if beyond => {
            step(
                Action::CreateMailbox { on: by },
                "deleted there, but new messages are here: it comes back with these",
            );
            Fate::Go
        }
        // A mailbox goes with its messages, or not at all, be it empty.
        _ if policy.of(by).removals != Rule::Spread => Fate::Go,
        _ => {
            let why = if by == Side::Left {
                "deleted on the left"
            } else {
                "deleted on the right"
            };
            step(Action::DeleteMailbox { on: by.other() }, why);
            Fate::Go
        }
    }
}
