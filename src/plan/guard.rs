//! Guards: refuse what looks like an accident (DESIGN 7). A guard holds back removals; all else is done.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Input, Now, Rule, Step, View};
use crate::model::{Gone, MailboxId, MailboxPath, PairId, Side};

/// When the guards act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A mailbox with at least so many pairs, all lost on one side, is held; 0 switches this off.
    pub empty_guard: u64,
    /// More than this share (in percent) of an account's pairs, and more than [`Limits::FEW`], are held.
    pub max_delete_percent: u64,
    /// How many pairs the account has.
    pub pairs: u64,
    /// The first meeting of a Maildir that has mail with a server: if more than 25 % of its messages and more than
    /// [`Limits::FEW`] are unknown to the server, they are not uploaded before somebody said so.
    pub adopting: Adoption,
    /// What is marked as deleted was held back in an earlier run. It stays so, whatever later counts say.
    pub marked_held: bool,
}

/// Whether a Maildir that has mail meets its account for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adoption {
    /// They know each other, or what the Maildir brings along was approved.
    #[default]
    No,
    /// They meet.
    Asking,
    /// They met in an earlier run, and the upload was held. It stays so, whatever later counts say.
    Held,
}

impl Limits {
    /// So many removals are never an accident worth a question.
    pub const FEW: u64 = 20;
}

/// Which guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// A side lost all messages of a mailbox, or the mailbox.
    Emptied,
    /// A side lost a large part of the account.
    MaxDelete,
    /// Held by an earlier run and not decided since.
    Earlier,
    /// Much is marked as deleted, or all of a mailbox.
    Marked,
    /// A Maildir met its account for the first time, and much of it is unknown to the server.
    Adoption,
}

impl Guard {
    /// The configuration key that sets it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emptied => "empty-guard",
            Self::MaxDelete => "max-delete",
            Self::Earlier => "held-before",
            Self::Marked => "expunge-marked",
            Self::Adoption => "adoption",
        }
    }
}

/// What is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// By which guard.
    pub guard: Guard,
    /// The side whose changes are held: it lost the messages, or has them new.
    pub lost_by: Side,
    /// Where.
    pub mailbox: MailboxId,
    /// Its name on the left.
    pub path: MailboxPath,
    /// How many messages.
    pub count: u64,
}

/// Turns removals that look like an accident into notes.
pub(super) fn hold_back(input: &Input, moved: &BTreeSet<PairId>, steps: &mut Vec<Step>) -> Vec<Held> {
    let views: BTreeMap<MailboxId, &View> = input.mailboxes.iter().map(|view| (view.id, view)).collect();
    let too_many = Side::BOTH.map(|lost_by| mass_deletion(input, steps, lost_by));
    let mut held = Vec::new();
    for step in steps.iter_mut() {
        let verdict = match &step.action {
            Action::Remove { on, .. } if !input.policy.allow_deletes => {
                let lost_by = on.other();
                if emptied(views[&step.mailbox], lost_by, moved, input) {
                    Some((lost_by, Guard::Emptied, "one side lost all of it"))
                } else if too_many[lost_by as usize] {
                    Some((lost_by, Guard::MaxDelete, "too many removals at once"))
                } else {
                    None
                }
            }
            Action::KeepRemoval {
                of, gone: Gone::Held, ..
            } => Some((*of, Guard::Earlier, step.why)),
            _ => None,
        };
        let Some((lost_by, guard, why)) = verdict else { continue };
        if let Action::Remove { pairs, .. } = &mut step.action {
            step.action = Action::KeepRemoval {
                of: lost_by,
                pairs: std::mem::take(pairs),
                gone: Gone::Held,
            };
            step.why = why;
        }
        held.push(Held {
            guard,
            lost_by,
            mailbox: step.mailbox,
            path: step.path.clone(),
            count: step.action.count(),
        });
    }
    held.extend(hold_marked(input, too_many.contains(&true), steps));
    held.extend(hold_adoption(input, steps));
    held
}

/// What is marked as deleted stays where it is, marked, when it is much: all of it, and until somebody says so.
fn hold_marked(input: &Input, too_many: bool, steps: &mut Vec<Step>) -> Vec<Held> {
    let views: BTreeMap<MailboxId, &View> = input.mailboxes.iter().map(|view| (view.id, view)).collect();
    let is_emptied = |step: &Step| {
        let view = views[&step.mailbox];
        let gone = view.touched.iter().filter(|touched| touched.now.contains(&Now::Gone));
        let (count, threshold) = (gone.count() as u64 + step.action.count(), input.limits.empty_guard);
        threshold > 0 && count >= threshold && count >= view.pairs && !view.emptied_often
    };
    let marked = |step: &Step| matches!(step.action, Action::Expunge { .. });
    let looks_wrong = too_many || input.limits.marked_held || steps.iter().filter(|step| marked(step)).any(is_emptied);
    if input.policy.allow_deletes || !looks_wrong {
        return Vec::new();
    }
    let (marked, rest): (Vec<_>, Vec<_>) = std::mem::take(steps).into_iter().partition(marked);
    *steps = rest;
    let held = marked.into_iter().filter_map(|step| {
        Some(Held {
            guard: Guard::Marked,
            lost_by: step.action.on()?.other(),
            mailbox: step.mailbox,
            count: step.action.count(),
            path: step.path,
        })
    });
    held.collect()
}

/// What a Maildir brings along at the first meeting is uploaded only when it is little, or was asked for.
fn hold_adoption(input: &Input, steps: &mut [Step]) -> Vec<Held> {
    let uploads = |step: &Step| match &step.action {
        Action::Copy { to, .. } => *to == Side::Right,
        Action::CopyWithin { on, .. } => *on == Side::Right,
        _ => false,
    };
    let unknown: u64 = steps
        .iter()
        .filter(|step| uploads(step))
        .map(|step| step.action.count())
        .sum();
    let all: u64 = input
        .mailboxes
        .iter()
        .map(|view| view.added[0].len() + view.pairs)
        .sum();
    let wait = match input.limits.adopting {
        Adoption::No => false,
        Adoption::Asking => unknown > Limits::FEW && unknown * 4 > all,
        Adoption::Held => true,
    };
    if !wait {
        return Vec::new();
    }
    let mut held = Vec::new();
    for step in steps.iter_mut().filter(|step| uploads(step)) {
        let ids = match &mut step.action {
            Action::Copy { ids, .. } => std::mem::take(ids),
            Action::CopyWithin { twins, .. } => twins.iter().map(|twin| twin.id).collect(),
            _ => continue,
        };
        step.action = Action::KeepNew { of: Side::Left, ids };
        step.why = "much of this Maildir is unknown to the server";
        let (mailbox, path, count) = (step.mailbox, step.path.clone(), step.action.count());
        held.push(Held {
            guard: Guard::Adoption,
            lost_by: Side::Left,
            mailbox,
            path,
            count,
        });
    }
    held
}

/// More of that side's messages are gone than an ordinary run would see; those held before count too.
fn mass_deletion(input: &Input, steps: &[Step], lost_by: Side) -> bool {
    let lost: u64 = steps
        .iter()
        .filter(|step| match &step.action {
            Action::Remove { on, .. } => on.other() == lost_by,
            // First the one side loses it, then the other.
            Action::Expunge { .. } => true,
            Action::KeepRemoval {
                of, gone: Gone::Held, ..
            } => *of == lost_by,
            _ => false,
        })
        .map(|step| step.action.count())
        .sum();
    lost > Limits::FEW && lost * 100 > input.limits.max_delete_percent * input.limits.pairs
}

/// That side lost every message that the base has in the mailbox, and not just by moving them. Arrivals don't count.
fn emptied(view: &View, lost_by: Side, moved: &BTreeSet<PairId>, input: &Input) -> bool {
    let lost = view
        .touched
        .iter()
        .filter(|touched| touched.now[lost_by as usize] == Now::Gone);
    let (away, gone): (Vec<_>, Vec<_>) = lost.partition(|touched| moved.contains(&touched.pair.id));
    let (away, gone) = (away.len() as u64, gone.len() as u64);
    let threshold = input.limits.empty_guard;
    let enough = threshold > 0 && gone >= threshold && away + gone >= view.pairs;
    enough && !view.emptied_often && input.policy.of(lost_by).removals == Rule::Spread
}

/// A mailbox is deleted only together with all its messages: not while one is kept or held.
pub(super) fn spare_mailboxes(steps: &mut Vec<Step>) {
    let kept: BTreeSet<MailboxId> = steps
        .iter()
        .filter(|step| matches!(step.action, Action::KeepRemoval { .. } | Action::KeepNew { .. }))
        .map(|step| step.mailbox)
        .collect();
    steps.retain(|step| !(matches!(step.action, Action::DeleteMailbox { .. }) && kept.contains(&step.mailbox)));
}
