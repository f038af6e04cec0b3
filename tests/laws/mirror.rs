//! The sides changed over: of what the planner is told, and of what it decides.

use homing::model::{Pair, Side};
use homing::plan::{
    Action, Census, Held, Input, Kin, Known, Match, Naming, Plan, Policy, Rename, Row, Step, Touched, View, Waiting,
};

/// What reads the same from the other side.
pub(crate) trait Mirror {
    #[must_use]
    fn mirrored(self) -> Self;
}

impl Mirror for Side {
    fn mirrored(self) -> Self {
        self.other()
    }
}

/// What each side has.
fn over<T>([left, right]: [T; 2]) -> [T; 2] {
    [right, left]
}

fn each<T: Mirror>(all: Vec<T>) -> Vec<T> {
    all.into_iter().map(Mirror::mirrored).collect()
}

impl Mirror for Pair {
    fn mirrored(self) -> Self {
        Self {
            halves: over(self.halves),
            ..self
        }
    }
}

impl Mirror for Waiting {
    fn mirrored(self) -> Self {
        match self {
            Self::New(envelope) => Self::New(envelope),
            Self::Void(pair) => Self::Void(Box::new(pair.mirrored())),
        }
    }
}

impl Mirror for Touched {
    fn mirrored(self) -> Self {
        Self {
            pair: self.pair.mirrored(),
            now: over(self.now),
        }
    }
}

impl Mirror for Naming {
    fn mirrored(self) -> Self {
        Self {
            renames: over(self.renames).map(|rename| {
                rename.map(|rename| Rename {
                    why: reason(rename.why),
                    ..rename
                })
            }),
            outlived: self.outlived.map(Mirror::mirrored),
            ..self
        }
    }
}

impl Mirror for View {
    fn mirrored(self) -> Self {
        Self {
            naming: self.naming.mirrored(),
            at: over(self.at),
            added: over(self.added),
            resting: over(self.resting),
            closed: over(self.closed),
            refused: over(self.refused),
            waiting: over(self.waiting.map(each)),
            beyond: over(self.beyond),
            touched: each(self.touched),
            marked: each(self.marked),
            ..self
        }
    }
}

impl Mirror for Policy {
    fn mirrored(self) -> Self {
        Self {
            sides: over(self.sides),
            ..self
        }
    }
}

impl Mirror for Input {
    fn mirrored(self) -> Self {
        Self {
            mailboxes: each(self.mailboxes),
            policy: self.policy.mirrored(),
            limits: self.limits,
            known: each(self.known),
            base: self.base,
            tie: self.tie.mirrored(),
            expunge: self.expunge.map(Mirror::mirrored),
            trash: over(self.trash),
            settled: over(self.settled),
            obscured: over(self.obscured),
        }
    }
}

impl Mirror for Match {
    fn mirrored(self) -> Self {
        Self {
            left: self.right.mirrored(),
            right: self.left.mirrored(),
            base: self.base.map(|base| Box::new(base.mirrored())),
        }
    }
}

impl Mirror for Action {
    fn mirrored(mut self) -> Self {
        match &mut self {
            Self::RenameMailbox { on, .. } | Self::CreateMailbox { on } | Self::DeleteMailbox { on } => {
                *on = on.other();
            }
            Self::CopyWithin { on, .. } | Self::SetFlags { on, .. } => *on = on.other(),
            Self::Remove { on, .. } | Self::Trash { on, .. } | Self::Expunge { on, .. } => *on = on.other(),
            Self::Copy { to: side, .. } => *side = side.other(),
            Self::KeepNew { of, .. }
            | Self::LeaveOut { of, .. }
            | Self::KeepFlags { of, .. }
            | Self::KeepRemoval { of, .. } => *of = of.other(),
            Self::Move { on, moves, .. } => {
                *on = on.other();
                for one in moves {
                    one.flags.reverse();
                }
            }
            Self::Pair { matches } => *matches = each(std::mem::take(matches)),
            Self::AgreeName { .. } | Self::ForgetMailbox | Self::Agree { .. } | Self::Forget { .. } => {}
        }
        self
    }
}

impl Mirror for Step {
    fn mirrored(self) -> Self {
        Self {
            action: self.action.mirrored(),
            why: reason(self.why),
            ..self
        }
    }
}

impl Mirror for Held {
    fn mirrored(self) -> Self {
        Self {
            lost_by: self.lost_by.mirrored(),
            ..self
        }
    }
}

impl Mirror for Plan {
    fn mirrored(self) -> Self {
        Self {
            steps: each(self.steps),
            held: each(self.held),
            left_alone: self.left_alone,
        }
    }
}

impl Mirror for Census {
    fn mirrored(self) -> Self {
        Self {
            rows: each(self.rows),
            seen: over(self.seen),
            levels: over(self.levels),
            kin: each(self.kin),
        }
    }
}

impl Mirror for Row {
    fn mirrored(self) -> Self {
        Self {
            had: over(self.had),
            at: over(self.at),
            ..self
        }
    }
}

impl Mirror for Kin {
    fn mirrored(self) -> Self {
        Self {
            side: self.side.mirrored(),
            ..self
        }
    }
}

impl Mirror for Known {
    fn mirrored(self) -> Self {
        Self {
            at: over(self.at),
            naming: self.naming.mirrored(),
            ..self
        }
    }
}

/// A reason, told of the other side.
fn reason(why: &str) -> &'static str {
    let other: String = why
        .split_inclusive(|c: char| !c.is_alphabetic())
        .map(|word| match word.trim_end_matches(|c: char| !c.is_alphabetic()) {
            "left" => word.replacen("left", "right", 1),
            "right" => word.replacen("right", "left", 1),
            _ => word.to_owned(),
        })
        .collect();
    other.leak()
}

/// What is done and held, in an order of its own: which side comes first is no part of the law.
pub(crate) fn told(plan: &Plan) -> Vec<String> {
    let mut told: Vec<String> = plan.steps.iter().map(step).collect();
    told.extend(plan.held.iter().map(|held| format!("held: {held:?}")));
    told.extend(plan.left_alone.iter().map(|mailbox| format!("left alone: {mailbox:?}")));
    told.sort();
    told
}

fn step(step: &Step) -> String {
    let mut action = step.action.clone();
    match &mut action {
        Action::Pair { matches } => matches.sort_by_key(|m| format!("{m:?}")),
        Action::Move { moves, .. } => moves.sort_by_key(|one| format!("{one:?}")),
        Action::CopyWithin { twins, .. } => twins.sort_by_key(|twin| format!("{twin:?}")),
        Action::Copy { meet, .. } => meet.sort(),
        Action::Forget { pairs } | Action::KeepRemoval { pairs, .. } | Action::Remove { pairs, .. } => pairs.sort(),
        Action::Agree { pairs, .. } | Action::Trash { pairs, .. } | Action::Expunge { pairs, .. } => pairs.sort(),
        Action::KeepFlags { flags, .. } => flags.sort(),
        _ => {}
    }
    format!("{}: {action:?}: {}", step.path, step.why)
}
