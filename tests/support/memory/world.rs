//! Two stores and a state that outlives crashes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use homing::engine::{self, Job, Naming};
use homing::error::Result;
use homing::model::{Bounds, Flags, InternalDate, MailboxPath, Role, Side, TrashChoice};
use homing::pace::Pace;
use homing::plan::{Adoption, Policy};
use homing::state::State;
use homing::store::Stop;

use super::{Fuse, Memory, Message, Nature};

/// Every mailbox has the same name on both sides. These are out of scope, and only those are acted on, or all.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub skips: Vec<String>,
    pub acts: Option<Vec<String>>,
}

impl Naming for Scope {
    fn includes(&self, path: &MailboxPath, _: &[Role]) -> bool {
        !self.skips.contains(&path.to_string())
    }
    fn acts_on(&self, path: &MailboxPath, _: &[Role]) -> bool {
        self.acts.as_ref().is_none_or(|acts| acts.contains(&path.to_string()))
    }
    fn to_left(&self, right: &MailboxPath) -> MailboxPath {
        right.clone()
    }
    fn to_right(&self, left: &MailboxPath) -> MailboxPath {
        left.clone()
    }
}

/// How a run goes.
pub struct Run {
    pub policy: Policy,
    pub pace: Pace,
    /// Kill it at this step; beyond its end: let it finish.
    pub kill: Option<u64>,
    /// Something happens at that step.
    pub event: Option<(u64, Box<dyn FnOnce() + Send>)>,
    /// See [`engine::Job`].
    pub empty_guard: u64,
    pub max_delete_percent: u64,
    pub bounds: Bounds,
    pub expunge: Option<Side>,
    pub trash: [TrashChoice; 2],
    pub distrust: bool,
    pub scope: Scope,
}

impl Run {
    /// One that nothing disturbs and no guard holds back.
    pub fn calm(policy: Policy) -> Self {
        Self {
            policy,
            pace: Pace::InTurn,
            kill: None,
            event: None,
            empty_guard: 0,
            max_delete_percent: 100,
            bounds: Bounds::default(),
            expunge: None,
            trash: Default::default(),
            distrust: false,
            scope: Scope::default(),
        }
    }
}

/// How a run ended.
pub struct Ended {
    pub finished: engine::Finished,
    pub steps: u64,
    pub killed: bool,
}

/// Two stores and the state between them.
pub struct World {
    pub stores: [Memory; 2],
    pub state: Arc<State>,
    /// The steps of the last run, and how many there were.
    trace: RefCell<Vec<String>>,
}

impl World {
    pub fn new(natures: [Nature; 2]) -> Self {
        Self {
            stores: natures.map(Memory::new),
            state: SPARE
                .take()
                .unwrap_or_else(|| Arc::new(State::in_memory().expect("a database"))),
            trace: RefCell::default(),
        }
    }

    /// Runs once. A killed run is no error.
    pub fn run(&self, how: Run) -> Result<Ended> {
        let frozen = Arc::clone(&self.state);
        let fuse = Fuse::new(how.kill, move || frozen.freeze());
        if let Some((step, event)) = how.event {
            fuse.at(step, event);
        }
        self.stores.iter().for_each(|store| store.set_fuse(&fuse));
        let state = &*self.state;
        let job = Job {
            state,
            stores: [&self.stores[0], &self.stores[1]],
            naming: &how.scope,
            policy: how.policy,
            pace: how.pace,
            empty_guard: how.empty_guard,
            max_delete_percent: how.max_delete_percent,
            adopting: Adoption::No,
            bounds: how.bounds,
            expunge: how.expunge,
            trash: how.trash,
            distrust: how.distrust,
            dry_run: false,
            run: state.begin_run("sync")?,
            stop: Stop::default(),
            watch: &|_| (),
        };
        let (finished, result) = engine::run(&job);
        let killed = fuse.is_burnt();
        told(|| {
            let steps = finished.plan.steps.iter().map(|step| format!("\n    {step}"));
            let end = if killed { "\n    killed" } else { "" };
            format!("run:{}{end}", steps.collect::<String>())
        });
        let steps = finished.plan.steps.iter().map(ToString::to_string);
        self.trace
            .replace(steps.chain([format!("{} steps", fuse.steps())]).collect());
        if killed {
            self.stores.iter().for_each(|store| store.crash(fuse.steps()));
            state.thaw()?;
        } else {
            state.commit()?;
        }
        match result {
            Err(failure) if !(killed && failure.what == "killed") => Err(failure),
            _ => Ok(Ended {
                finished,
                steps: fuse.steps(),
                killed,
            }),
        }
    }

    /// The state is gone; the stores are as they were.
    pub fn lose_state(&mut self) {
        self.state.clear().expect("an empty database");
    }

    /// What the last run planned, and how many steps it made.
    pub fn trace(&self) -> Vec<String> {
        self.trace.borrow().clone()
    }

    /// How many changes homing made to each side.
    pub fn writes(&self) -> [u64; 2] {
        [self.stores[0].writes(), self.stores[1].writes()]
    }

    /// Servers do what killed clients had sent; tells whether there was anything.
    pub fn execute_late(&self) -> bool {
        self.stores
            .iter()
            .map(Memory::execute_late)
            .fold(false, |any, one| any | one)
    }

    /// What each side holds, in an order that does not depend on ids.
    pub fn shapes(&self) -> [Shape; 2] {
        [shape(&self.stores[0]), shape(&self.stores[1])]
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.state.clear().is_ok() {
            SPARE.set(Some(Arc::clone(&self.state)));
        }
    }
}

/// Mailboxes and what is in them: body, flags and date of each message.
pub type Shape = BTreeMap<String, Vec<(String, Flags, InternalDate)>>;

fn shape(store: &Memory) -> Shape {
    let sorted = |messages: Vec<Message>| {
        let text = |m: Message| (String::from_utf8_lossy(&m.body).into_owned(), m.flags, m.date);
        let mut all: Vec<_> = messages.into_iter().map(text).collect();
        all.sort();
        all
    };
    let contents = store.contents().into_iter();
    contents.map(|(name, messages)| (name, sorted(messages))).collect()
}

thread_local! {
    /// A database to use again: to make one takes longer than a history.
    static SPARE: Cell<Option<Arc<State>>> = const { Cell::new(None) };
    /// Whether to print what happens.
    pub static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Prints a line of what happens, when somebody wants to know.
pub fn told(line: impl FnOnce() -> String) {
    if TELLING.get() {
        println!("{}", line());
    }
}
