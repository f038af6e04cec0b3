//! Carries out a plan: journal, act, commit. One thread owns the books; the stores do the work.
//!
//! `notes` writes down what needs no act, `copy` transfers messages, `moves` and `copies` keep them within a side, `trash`
//! moves away what is gone on the other, `change` sets flags and removes, `mailboxes` and `renames` make, delete and rename
//! mailboxes, `refused` finds another way where a name is refused, `write` hands jobs to the stores, `books` turns answers
//! into base rows, `deeds` writes the history, `recover` settles what a dirty stop left open.

mod books;
mod change;
mod copies;
mod copy;
mod deeds;
mod mailboxes;
mod moves;
mod notes;
mod recover;
mod refused;
mod renames;
mod trash;
mod write;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::{Failure, Reach, Result, Retry};
use crate::model::{Envelope, Gone, Id, IdSet, Listed, Mailbox, MailboxId, MailboxPath, PairId, RawName, Role, Side};
use crate::pace::Pace;
use crate::plan::{Action, Now, Phase, Plan, Policy, Step};
use crate::report::Counts;
use crate::state::{ProblemKey, State};
use crate::store::{Stop, Store};

pub use recover::recover;

/// Everything that carrying out a plan needs.
pub struct Scene<'a> {
    /// The books.
    pub state: &'a State,
    /// Left and right.
    pub stores: [&'a dyn Store; 2],
    /// What each side calls its mailboxes; grows as mailboxes are made.
    pub names: BTreeMap<MailboxId, Names>,
    /// The name that a side gives to a mailbox of that name on the left.
    pub spell: &'a Spell<'a>,
    /// Another name on the right for a mailbox of that name on the left, once the right has refused the second.
    pub instead: &'a Instead<'a>,
    /// The smallest id that a new message can get, where known; for the journal.
    pub next_ids: BTreeMap<(MailboxId, Side), Id>,
    /// What the messages without a partner are known by, as far as they were looked at.
    pub waiting: HashMap<(MailboxId, Side, Id), Envelope>,
    /// What was told of messages whose copy nobody has seen yet.
    pub unseen: HashMap<PairId, [Now; 2]>,
    /// What to do with changes that only show on the way.
    pub policy: Policy,
    /// The number of this run.
    pub run: i64,
    /// Set when the user asked to stop.
    pub stop: Stop,
    /// Whether both sides work at once.
    pub pace: Pace,
    /// Is told of each message that is done.
    pub advance: &'a (dyn Fn(u64) + Sync),
}

/// The name that a side gives to a mailbox.
pub type Spell<'a> = dyn Fn(&MailboxPath, Side) -> MailboxPath + Sync + 'a;

/// The name to try after a refused one; `None`: there is none.
pub type Instead<'a> = dyn Fn(&MailboxPath, &MailboxPath) -> Option<MailboxPath> + Sync + 'a;

/// What a mailbox is called.
#[derive(Clone, Debug)]
pub struct Names {
    /// On the left, decoded.
    pub path: MailboxPath,
    /// By each side's store; `None` where it does not have it.
    pub raw: [Option<RawName>; 2],
    /// What it is for, where a side tells.
    pub role: Option<Role>,
}

impl Names {
    /// The mailbox in the terms of that side's store.
    pub fn mailbox(&self, id: MailboxId, side: Side) -> Option<Mailbox> {
        let raw = self.raw[side as usize].clone()?;
        Some(Mailbox { id, raw })
    }
}

/// What was done and what was not.
#[derive(Debug, Default)]
pub struct Outcome {
    /// For each side.
    pub counts: [Counts; 2],
    /// Matched by content without a transfer.
    pub paired: u64,
    /// What failed; recorded in the state too.
    pub failures: Vec<(ProblemKey, Failure)>,
    /// Mailboxes whose checkpoint of that side must stay where it is.
    pub tainted: BTreeSet<(MailboxId, Side)>,
    /// Something that both sides marked was removed from one of them; the other is to follow.
    pub expunged: bool,
    /// Something was moved into a trash, where it is new.
    pub in_trash: bool,
    /// The user asked to stop before all was done.
    pub stopped: bool,
}

/// After so many answers, or so long, what was done is made durable.
const BATCH: usize = 500;
const BATCH_TIME: Duration = Duration::from_secs(5);

/// Carries out a plan. `Err` means that the account could not go on; what was done until then is in the books all the
/// same.
pub fn run(plan: &Plan, scene: Scene<'_>) -> (Outcome, Result<()>) {
    let mut executor = Executor {
        scene,
        outcome: Outcome::default(),
        failed: BTreeSet::new(),
        met: BTreeMap::new(),
        blocked: BTreeSet::new(),
        sent: BTreeMap::new(),
        late: Vec::new(),
        refused: Vec::new(),
        deeds: deeds::Deeds::default(),
    };
    let result = executor.phases(plan).and(executor.count_deeds());
    let committed = executor.scene.state.commit();
    (executor.outcome, result.and(committed))
}

/// A run under way.
struct Executor<'a> {
    scene: Scene<'a>,
    outcome: Outcome,
    /// What the failures of the outcome are about.
    failed: BTreeSet<ProblemKey>,
    /// Messages that turned out, while others arrived, to have a partner: nothing is to be copied of these.
    met: BTreeMap<(MailboxId, Side), IdSet>,
    /// Mailboxes in which nothing more is done in this run.
    blocked: BTreeSet<MailboxId>,
    /// Messages that were sent to a server, looked at once they are there.
    sent: BTreeMap<MailboxId, IdSet>,
    /// Changes of flags that only showed while messages met.
    late: Vec<Step>,
    /// Mailboxes that the right refused to make under that name, with the refusal.
    refused: Vec<(MailboxId, MailboxPath, Failure)>,
    /// What was done so far, for the history.
    deeds: deeds::Deeds,
}

impl Executor<'_> {
    fn phases(&mut self, plan: &Plan) -> Result<()> {
        let steps = |phase| plan.steps.iter().filter(move |step| step.action.phase() == phase);
        self.notes(steps(Phase::Note))?;
        self.note_removals_before_creation(plan)?;
        self.scene.state.commit()?;
        let renames: Vec<&Step> = steps(Phase::Rename).collect();
        if !renames.is_empty() {
            self.rename_mailboxes(&renames, &plan.left_alone)?;
        }
        self.change_mailboxes(steps(Phase::Create))?;
        for (phase, to) in [(Phase::CopyLeft, Side::Left), (Phase::CopyRight, Side::Right)] {
            self.copy(steps(phase), to)?;
            self.look_at_sent(to)?;
            self.look_where_it_went(steps(phase))?;
        }
        self.copy_within(steps(Phase::CopyWithin))?;
        self.move_messages(steps(Phase::Move))?;
        self.move_to_trash(steps(Phase::Move))?;
        self.look_where_it_went(steps(Phase::CopyWithin).chain(steps(Phase::Move)))?;
        let late = std::mem::take(&mut self.late);
        self.flags_and_removals(steps(Phase::Flags).chain(&late), steps(Phase::Remove))?;
        self.change_mailboxes(steps(Phase::Delete).filter(|step| !matches!(step.action, Action::ForgetMailbox)))?;
        for step in steps(Phase::Delete).filter(|step| matches!(step.action, Action::ForgetMailbox)) {
            self.scene.state.forget_mailbox(step.mailbox)?;
        }
        Ok(())
    }

    /// A mailbox that is made again is another one, in which nothing can be seen to be gone (DESIGN 8a "voided UIDs"). So
    /// what is gone with the old one is written down first.
    fn note_removals_before_creation(&self, plan: &Plan) -> Result<()> {
        let made: BTreeSet<(MailboxId, Side)> = plan
            .steps
            .iter()
            .filter_map(|step| match step.action {
                Action::CreateMailbox { on } => Some((step.mailbox, on)),
                _ => None,
            })
            .collect();
        for step in &plan.steps {
            let (from, on, pairs) = match &step.action {
                Action::Remove { on, pairs } => (step.mailbox, on, pairs),
                Action::Trash { on, from, pairs, .. } => (*from, on, pairs),
                _ => continue,
            };
            if made.contains(&(from, on.other())) {
                for &pair in pairs {
                    self.scene.state.set_gone(pair, on.other(), Gone::Pending)?;
                }
            }
        }
        Ok(())
    }

    /// A Maildir takes what it is given under a name, whatever that means by now. Where somebody gave the name to another
    /// directory meanwhile, the next run looks at all that is in either, and finds what went astray.
    fn look_where_it_went<'p>(&mut self, steps: impl Iterator<Item = &'p Step>) -> Result<()> {
        let is_local = |on: &Side| self.scene.stores[*on as usize].keeps_flags();
        let on = |step: &'p Step| Some((step.action.on().filter(is_local)?, step.mailbox));
        let given: BTreeSet<(Side, MailboxId)> = steps.filter_map(on).collect();
        for side in Side::BOTH {
            if !given.iter().any(|(on, _)| *on == side) {
                continue;
            }
            let listed = self.scene.stores[side as usize].survey()?.mailboxes;
            for row in self.scene.state.mailboxes()? {
                let Some(place) = row.places[side as usize]
                    .as_ref()
                    .filter(|_| given.contains(&(side, row.id)))
                else {
                    continue;
                };
                let is_it = |now: &&Listed| now.raw == place.raw && now.identity == place.identity;
                if place.identity.is_some() && !listed.iter().any(|now| is_it(&now)) {
                    self.look_again(row.id, side)?;
                }
            }
        }
        self.scene.state.commit()
    }

    /// Whether to begin nothing more.
    fn stopping(&mut self) -> bool {
        let stop = self.scene.stop.load(Ordering::Relaxed);
        self.outcome.stopped |= stop;
        stop
    }

    /// The mailbox in the terms of a side; `None` where that side does not have it.
    fn mailbox(&self, id: MailboxId, side: Side) -> Option<Mailbox> {
        self.scene.names.get(&id)?.mailbox(id, side)
    }

    /// What the mailbox is for, where a side tells.
    fn role(&self, id: MailboxId) -> Option<Role> {
        self.scene.names.get(&id)?.role
    }

    /// Records that something could not be done. What reaches the account is told once, not for each of its messages; what
    /// another look in this run may settle gets into the books only when it did not.
    fn fail(&mut self, key: ProblemKey, failure: Failure) -> Result<()> {
        let key = match (failure.reach, key) {
            (Reach::Account, ProblemKey::Message(_, side, _) | ProblemKey::Mailbox(_, side)) => {
                ProblemKey::Account(side)
            }
            (Reach::Mailbox, ProblemKey::Message(mailbox, side, _)) => ProblemKey::Mailbox(mailbox, side),
            _ => key,
        };
        if self.failed.insert(key) {
            if failure.retry != Retry::Now {
                self.scene.state.add_problem(key, &failure)?;
            }
            self.outcome.failures.push((key, failure));
        }
        Ok(())
    }
}

/// Knows when it is time to make things durable.
struct Batch {
    answers: usize,
    begun: Instant,
}

impl Batch {
    fn new() -> Self {
        Self {
            answers: 0,
            begun: Instant::now(),
        }
    }

    fn is_due(&self) -> bool {
        self.answers >= BATCH || (self.answers > 0 && self.begun.elapsed() > BATCH_TIME)
    }
}
