//! From what happened on both sides to what is to be done: pure, no I/O, no clock, no protocol.
//!
//! [`plan`] reads an [`Input`] and makes a [`Plan`]: data, each step with its reason. Where to look:
//! `renames` tells which mailbox is which, `mailboxes` decides on mailboxes, `pair` on new messages, `moves` (with `lost`) and `copies` on
//! what went from one mailbox to another, `decide` on paired ones, `marked` on those that are marked as deleted; `alike` tells which messages are one, `flags` merges,
//! `guard` holds back what looks like an accident, `trash` makes moves of removals,
//! `order` sorts, `check` proves that nothing was forgotten.

mod action;
mod alike;
mod check;
mod copies;
mod decide;
mod flags;
mod guard;
mod lost;
mod mailboxes;
mod marked;
mod moves;
mod order;
mod pair;
mod policy;
mod renames;
mod trash;

pub use action::{Action, Move, Phase, Plan, Source, Step, Twin};
pub use flags::{Merge, first_sight, merge, seen_late};
pub use guard::{Adoption, Guard, Held, Limits};
pub use pair::{Match, Waiting, joined, strangers};
pub use policy::{Policy, Rule, SidePolicy};
pub use renames::{Census, Kin, Known, Naming, Rename, Row, Sighting, names};
pub use trash::Trash;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Beyond, Flags, Id, IdSet, MailboxId, MailboxPath, Pair, Side};

/// All that a plan depends on.
#[derive(Clone, Debug)]
pub struct Input {
    /// Every mailbox that either side or the base has and that is in scope.
    pub mailboxes: Vec<View>,
    /// What to do with changes of each side.
    pub policy: Policy,
    /// When the guards hold back.
    pub limits: Limits,
    /// Base rows of a content, or of a server's object, that a new message has too: what is new may be a copy of these.
    pub known: Vec<Pair>,
    /// Whether the base can be relied on.
    pub base: Base,
    /// The side whose place wins where both moved a message.
    pub tie: Side,
    /// What both sides marked as deleted is removed, from this side first; `None`: a mark is a flag like others.
    pub expunge: Option<Side>,
    /// Where what is removed on a side goes.
    pub trash: [Trash; 2],
    /// All of that side was read: what is gone there is gone, and did not move to where nobody looked (DESIGN 8a).
    pub settled: [bool; 2],
    /// Sizes, as that side told them, of messages that it lost, and of which one may be a new message there that cannot be
    /// read: it may have moved.
    pub obscured: [BTreeSet<u64>; 2],
}

impl Input {
    /// Whether a message that a side lost may be one there that nobody can tell.
    fn obscures(&self, lost_by: Side, pair: &Pair) -> bool {
        let size = pair.half(lost_by).size.unwrap_or(pair.size);
        self.obscured[lost_by as usize].contains(&size)
    }
}

/// Whether the base is what the sides last agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Base {
    /// It is.
    #[default]
    Agreed,
    /// The sides meet for the first time, or again after the state was lost: nobody can tell what was paired once.
    Unfinished,
    /// It is older than the mail: nobody can tell which side moved a message.
    Old,
}

/// A mailbox as seen on both sides. Arrays are indexed by [`Side`].
#[derive(Clone, Debug)]
pub struct View {
    /// Its number.
    pub id: MailboxId,
    /// Its name on the left, once its renames are done.
    pub path: MailboxPath,
    /// What is to be done about its name.
    pub naming: Naming,
    /// Where it is.
    pub at: [Presence; 2],
    /// Its name was asked for; the others are looked at and left as they are.
    pub acted_on: bool,
    /// Trash and Junk are emptied as a matter of course.
    pub emptied_often: bool,
    /// How many pairs the base has.
    pub pairs: u64,
    /// Messages without a partner, new and pending ones.
    pub added: [IdSet; 2],
    /// Pending messages whose next try is not due: not carried over, but a message that is gone elsewhere may be one of
    /// them, and is then not removed (DESIGN 8a "a move is two facts").
    pub resting: [IdSet; 2],
    /// Those of them that could be compared with something on the other side, and base rows that lost their id there.
    /// Where only one side has unpaired messages there is nothing to compare and this is empty, but for the left's
    /// new messages, whose content is always known.
    pub waiting: [Vec<Waiting>; 2],
    /// Of the new messages, those that the configuration does not want to be transferred.
    pub beyond: [LeftOut; 2],
    /// That side of it took no changes when it was last tried, and its next try is not due.
    pub closed: [bool; 2],
    /// What of the changes of paired messages that side refused when it was last tried, and whose next try is not due.
    pub refused: [Refused; 2],
    /// Base rows of which a side has changed.
    pub touched: Vec<Touched>,
    /// Base rows that both sides marked as deleted, where these are to be removed.
    pub marked: Vec<Pair>,
}

/// New messages that are too large or too old to be transferred, with their sizes, ascending by id.
pub type LeftOut = BTreeMap<Beyond, Vec<(Id, u64)>>;

/// What a side of a mailbox refused; it waits, and is not tried meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// No flags are changed there, such as in a directory that only its owner may write.
    pub flags: bool,
    /// Nothing is removed there, such as into an attic that cannot be written.
    pub removals: bool,
    /// Paired messages that stay as they are, by their ids there.
    pub messages: IdSet,
}

/// Whether a side has a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there, and what happened in it has been read.
    There,
    /// It is there, but could not be read, or nobody can tell whether it is there.
    Unknown,
    /// The base has it, the side has not.
    Gone,
    /// Neither the base nor the side has it.
    Never,
}

/// A base row and what its sides are now.
#[derive(Clone, Debug)]
pub struct Touched {
    /// The base row.
    pub pair: Pair,
    /// What each side is now.
    pub now: [Now; 2],
}

/// What a paired message is now on one side, compared with the base of that side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Now {
    /// As the base has it.
    AsBase,
    /// It has these flags.
    Flags(Flags),
    /// It is gone.
    Gone,
}

/// Decides. The same input gives the same plan.
pub fn plan(input: &Input) -> Plan {
    let mut steps = Vec::new();
    let mut left_alone: BTreeSet<MailboxId> = input
        .mailboxes
        .iter()
        .filter(|view| !view.acted_on)
        .map(|view| view.id)
        .collect();
    let (mut open, mut fates) = (Vec::new(), Vec::new());
    for view in input.mailboxes.iter().filter(|view| view.acted_on) {
        let fate = mailboxes::decide(view, &input.policy, &mut steps);
        if fate == mailboxes::Fate::LeaveAlone {
            left_alone.insert(view.id);
            continue;
        }
        open.push(pair::match_new(view));
        fates.push(fate);
    }
    let moved = moves::decide(input, &mut open, &mut steps);
    copies::decide(input, &mut open, &mut steps);
    for (matched, fate) in open.into_iter().zip(fates) {
        let view = matched.view;
        let lived_on = pair::decide(matched, &input.policy, &mut steps);
        decide::decide(view, &lived_on, &moved, fate, input, &mut steps);
        marked::decide(view, input, &mut steps);
    }
    let held = guard::hold_back(input, &moved, &mut steps);
    trash::divert(input, &mut steps);
    guard::spare_mailboxes(&mut steps);
    order::sort(&mut steps);
    let plan = Plan {
        steps,
        held,
        left_alone,
    };
    debug_assert_eq!(check::gaps(input, &plan), Vec::<String>::new());
    plan
}

/// Proves that a plan answers for every message of its input exactly once; tells each gap. A gap is a bug.
pub fn gaps(input: &Input, plan: &Plan) -> Vec<String> {
    check::gaps(input, plan)
}

/// Why changes are kept that a closed side does not take.
const CLOSED: &str = "the other side takes no changes in this mailbox, and its next try is not due";

/// Why changes are kept that the other side refused for this message, or for all of its kind here.
const REFUSED: &str = "the other side refused this when it was last tried, and its next try is not due";

/// A kind of change of a paired message.
#[derive(Clone, Copy, Debug)]
enum Change {
    Flags,
    Removal,
    Move,
}

impl View {
    /// Whether that side refused such a change of its half of a pair, and is not to be asked again yet.
    fn refuses(&self, on: Side, change: Change, pair: &Pair) -> bool {
        let refused = &self.refused[on as usize];
        let all = match change {
            Change::Flags => refused.flags,
            Change::Removal => refused.removals,
            Change::Move => false,
        };
        all || pair.half(on).id.is_some_and(|id| refused.messages.contains(id))
    }

    /// What to do with changes that a side made here: what the policy says, but what the other side does not take is kept.
    fn rule(&self, by: Side, rule: Rule) -> Rule {
        if rule == Rule::Spread && self.closed[by.other() as usize] {
            Rule::Keep
        } else {
            rule
        }
    }

    /// The reason for what [`View::rule`] keeps.
    fn why_kept(&self, by: Side, rule: Rule, policy: &'static str) -> &'static str {
        if rule == Rule::Spread && self.closed[by.other() as usize] {
            CLOSED
        } else {
            policy
        }
    }

    /// What happened on `side` that the base does not know; a mailbox deleted on the other side then comes back.
    fn beyond_base(&self, side: Side) -> bool {
        !self.added[side as usize].is_empty() || !self.resting[side as usize].is_empty()
    }
}
