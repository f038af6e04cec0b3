//! Scenarios as text: what both sides agreed on, what each holds now, what is planned, what both hold afterwards.
//!
//! Each is run, run again (which must do nothing), stopped at every step and resumed (also stopped a second time while it
//! recovers), and all of it once more with the sides changed over, where the plan must be the mirrored one. The number of
//! interruptions walked is printed.
//!
//! ```text
//! moved on the left                     a name, at the start of a line
//!   like    plain maildir               what the stores are like: maildir, server, plain (no MOVE), old (no UIDPLUS),
//!                                       rewriting, poor (drops keywords), merging, limited (refuses `huge`), closing (`Shared` may only be read),
//!                                       dark, or darkened as a maildir (`Dark` cannot be read)
//!   policy  pull                        sync, pull, push, mirror, backup, migrate, extra (with --delete-extra), allow
//!   acts    INBOX Work                  `--mailbox`: only these are acted on
//!   skips   Work                        out of scope
//!   most    60                          max-size: what is larger is left out (`enormous` is, `a` is not)
//!   trash   Trash                       what is removed on the right goes there; `auto`: to `Bin`
//!   expunge                             what both sides marked as deleted is removed, from the left first
//!   lost                                the state was lost before this run; `old`: it is older than the mail
//!   guards  25 10                       max-delete in percent, empty-guard
//!   doubles                             stopped on the way, a copy more may stay for each stop
//!   lopsided                            changed over, it comes out differently: a tie-break
//!   base    INBOX: a b:S; Work: c       a message by its name, `:` its flags (letters as in a Maildir, `,` keywords);
//!                                       `d.1` and `d.2` are two drafts with one header
//!   left    INBOX: b; Work: c a         `Old>New:` renamed, `INBOX!:` its ids changed, `Work^:` made
//!                                       anew, `a~b` a was edited and is b now; left out: as in the base
//!   right   INBOX: a b:S; Work: c
//!   killed  5                           the run ends at this step
//!   plan    move 1 message …            each step, in any order; left out: not looked at
//!   after   INBOX: b; Work: c a         or `after left`, `after right`; the next round may follow
//! ```

#[path = "support/memory/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod memory;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use homing::model::{Bounds, Flags, InternalDate, MailboxPath, Side, TrashChoice};
use homing::plan::{Action, Policy, Rule, SidePolicy, Step};
use memory::world::{Ended, Run, Scope, World};
use memory::{Memory, Message, Nature};

/// What a side holds, as written: mailboxes and messages by name and flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cell {
    boxes: BTreeMap<String, Vec<(String, Flags)>>,
    renamed: Vec<(String, String)>,
    renewed: Vec<String>,
    anew: Vec<String>,
    /// Mailbox, what it was, what it is.
    edited: Vec<(String, String, String)>,
}

#[derive(Clone, Debug, Default)]
struct Round {
    now: [Option<Cell>; 2],
    killed: Option<u64>,
    lost: bool,
    old: bool,
    scope: Scope,
    bounds: Bounds,
    policy: Option<String>,
    plan: Option<Vec<String>>,
    after: [Option<Cell>; 2],
}

#[derive(Clone, Debug)]
struct Scenario {
    name: String,
    natures: [Nature; 2],
    guards: (u64, u64),
    trash: TrashChoice,
    expunge: bool,
    lopsided: bool,
    doubles: bool,
    base: Cell,
    rounds: Vec<Round>,
}

fn cell(text: &str) -> Cell {
    let mut cell = Cell::default();
    cell.boxes.insert("INBOX".into(), Vec::new());
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, messages) = part.split_once(": ").unwrap_or((part.trim_end_matches(':'), ""));
        let (name, renewed) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
        let name = match name.split_once('>') {
            Some((old, new)) => {
                cell.renamed.push((old.into(), new.into()));
                new
            }
            None => name,
        };
        if renewed {
            cell.renewed.push(name.into());
        }
        let (name, anew) = name.strip_suffix('^').map_or((name, false), |name| (name, true));
        if anew {
            cell.anew.push(name.into());
        }
        let message = |token: &str| match token.split_once('~') {
            Some((was, is)) => {
                cell.edited.push((name.into(), was.into(), is.into()));
                many(is)
            }
            None => many(token),
        };
        let messages = messages.split_whitespace().flat_map(message).collect();
        cell.boxes.insert(name.into(), messages);
    }
    cell
}

/// `a:SF,todo`, or `a*12` for twelve of them.
fn many(token: &str) -> Vec<(String, Flags)> {
    let (name, flags) = token.split_once(':').unwrap_or((token, ""));
    let (letters, keywords) = flags.split_once(',').unwrap_or((flags, ""));
    let system = letters.chars().map(|letter| match letter {
        'D' => "\\Draft",
        'F' => "\\Flagged",
        'P' => "$Forwarded",
        'R' => "\\Answered",
        'S' => "\\Seen",
        'T' => "\\Deleted",
        _ => panic!("no such flag: {token}"),
    });
    let flags = Flags::from_names(system.chain(keywords.split(',').filter(|keyword| !keyword.is_empty())));
    match name.split_once('*') {
        Some((name, count)) => {
            let count: u32 = count.parse().expect("a number");
            (1..=count).map(|n| (format!("{name}{n}"), flags.clone())).collect()
        }
        None => vec![(name.into(), flags)],
    }
}

fn nature(word: &str) -> Nature {
    match word {
        "maildir" => Nature::MAILDIR,
        "server" => Nature::SERVER,
        "plain" => Nature::PLAIN,
        "old" => Nature::OLD,
        "rewriting" => Nature::REWRITING,
        "merging" => Nature::MERGING,
        "limited" => Nature::LIMITED,
        "closing" => Nature::CLOSING,
        "poor" => Nature::POOR,
        "dark" => Nature::DARK,
        "darkened" => Nature::DARKENED,
        _ => panic!("no such store: {word}"),
    }
}

fn policy(word: &str) -> Policy {
    match word {
        "sync" => Policy::SYNC,
        "pull" => Policy::PULL,
        "push" => Policy::PUSH,
        "mirror" => Policy {
            sides: [SidePolicy::all(Rule::Undo), SidePolicy::SPREAD],
            ..Policy::SYNC
        },
        "backup" => Policy::BACKUP,
        "migrate" => Policy {
            sides: [
                SidePolicy {
                    removals: Rule::Keep,
                    ..SidePolicy::SPREAD
                },
                SidePolicy::all(Rule::Keep),
            ],
            ..Policy::SYNC
        },
        "extra" => Policy {
            sides: [SidePolicy::SPREAD, SidePolicy::all(Rule::Keep)],
            ..Policy::SYNC
        },
        "allow" => Policy {
            allow_deletes: true,
            ..Policy::SYNC
        },
        _ => panic!("no such policy: {word}"),
    }
}

fn parse(text: &str) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
    {
        if !line.starts_with(' ') {
            scenarios.push(Scenario {
                name: line.trim().into(),
                natures: [Nature::MAILDIR, Nature::SERVER],
                guards: (100, 0),
                trash: TrashChoice::None,
                expunge: false,
                lopsided: false,
                doubles: false,
                base: cell(""),
                rounds: vec![Round::default()],
            });
            continue;
        }
        let scenario = scenarios.last_mut().expect("a name before its lines");
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        key(scenario, word, rest.trim());
    }
    scenarios
}

fn key(scenario: &mut Scenario, word: &str, rest: &str) {
    let over = |round: &Round| round.after.iter().any(Option::is_some) || round.killed.is_some();
    if matches!(
        word,
        "left" | "right" | "policy" | "acts" | "skips" | "most" | "lost" | "old"
    ) && scenario.rounds.last().is_some_and(over)
    {
        scenario.rounds.push(Round::default());
    }
    let round = scenario.rounds.last_mut().expect("one at least");
    match word {
        "like" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            scenario.natures = [nature(words[0]), nature(words[1])];
        }
        "guards" => {
            let (percent, empty) = rest.split_once(' ').expect("two numbers");
            scenario.guards = (percent.parse().expect("a number"), empty.parse().expect("a number"));
        }
        "expunge" => scenario.expunge = true,
        "trash" => {
            let named = || TrashChoice::Named(MailboxPath::parse(rest).expect("a name"));
            scenario.trash = if rest == "auto" { TrashChoice::Auto } else { named() };
        }
        "doubles" => scenario.doubles = true,
        "lopsided" => scenario.lopsided = true,
        "base" => scenario.base = cell(rest),
        "left" => round.now[0] = Some(cell(rest)),
        "right" => round.now[1] = Some(cell(rest)),
        "policy" => round.policy = Some(rest.into()),
        "lost" => round.lost = true,
        "old" => round.old = true,
        "acts" => round.scope.acts = Some(rest.split_whitespace().map(Into::into).collect()),
        "skips" => round.scope.skips = rest.split_whitespace().map(Into::into).collect(),
        "most" => round.bounds.max_size = Some(rest.parse().expect("a number")),
        "killed" => round.killed = Some(rest.parse().expect("a number")),
        "plan" => round
            .plan
            .get_or_insert_default()
            .extend((rest != "nothing").then(|| rest.to_owned())),
        "after" => match rest.split_once(' ') {
            Some(("left", rest)) => round.after[0] = Some(cell(rest)),
            Some(("right", rest)) => round.after[1] = Some(cell(rest)),
            _ => round.after = [Some(cell(rest)), Some(cell(rest))],
        },
        _ => panic!("{}: no such key: {word}", scenario.name),
    }
}

impl Scenario {
    /// The sides changed over.
    fn mirrored(&self) -> Self {
        let mut mirrored = self.clone();
        mirrored.natures.reverse();
        for round in &mut mirrored.rounds {
            round.now.reverse();
            round.after.reverse();
            if let Some(plan) = &mut round.plan {
                for step in plan {
                    *step = change_over(step);
                }
            }
        }
        mirrored
    }

    fn run(&self, round: &Round, mirrored: bool) -> Run {
        let mut how = Run::calm(policy(round.policy.as_deref().unwrap_or("sync")));
        (how.max_delete_percent, how.empty_guard) = self.guards;
        how.trash[1] = self.trash.clone();
        how.expunge = self.expunge.then_some(if mirrored { Side::Right } else { Side::Left });
        if mirrored {
            how.policy.sides.reverse();
            how.trash.reverse();
        }
        how.bounds = round.bounds;
        (how.distrust, how.scope) = (round.old, round.scope.clone());
        how
    }
}

fn change_over(text: &str) -> String {
    text.replace("left", "\0")
        .replace("right", "left")
        .replace('\0', "right")
}

fn body(name: &str) -> Vec<u8> {
    let header = name.split('.').next().unwrap_or(name);
    format!("Message-ID: <{header}@example.org>\r\nSubject: {header}\r\n\r\nbody {name}\r\n").into_bytes()
}

fn names(store: &Memory) -> BTreeMap<String, Vec<(String, Flags)>> {
    let name = |message: Message| {
        let text = String::from_utf8(message.body).expect("text");
        (
            text.trim_end().rsplit(' ').next().expect("a name").to_owned(),
            message.flags,
        )
    };
    let contents = store.contents().into_iter();
    contents
        .map(|(mailbox, messages)| (mailbox, messages.into_iter().map(name).collect()))
        .collect()
}

fn count(store: &Memory, mailbox: &str, message: &str) -> usize {
    let names = names(store);
    let there = names.get(mailbox).into_iter().flatten();
    there.filter(|(name, _)| name == message).count()
}

fn position(store: &Memory, mailbox: &str, message: &str) -> Option<usize> {
    names(store).get(mailbox)?.iter().position(|(name, _)| name == message)
}

/// Makes a store what the cell says, as a user would.
fn become_(store: &Memory, now: &Cell) {
    rename(store, now.renamed.clone());
    for (mailbox, was, is) in &now.edited {
        let nth = position(store, mailbox, was).expect("it is there");
        store.edit(mailbox, nth, body(is));
    }
    now.anew.iter().for_each(|name| store.delete(name));
    now.boxes.keys().for_each(|name| store.create(name));
    let wanted = |mailbox: &str, message: &str| {
        let there = now.boxes.get(mailbox).into_iter().flatten();
        there.filter(|(name, _)| name == message).count()
    };
    for (mailbox, messages) in &now.boxes {
        for (message, flags) in messages {
            while count(store, mailbox, message) < wanted(mailbox, message) {
                bring(store, mailbox, message, flags, wanted);
            }
        }
    }
    for (mailbox, messages) in names(store) {
        for (message, _) in messages {
            if count(store, &mailbox, &message) > wanted(&mailbox, &message) {
                store.remove(&mailbox, position(store, &mailbox, &message).expect("it is there"));
            }
        }
        if !now.boxes.contains_key(&mailbox) {
            store.delete(&mailbox);
        }
    }
    for (mailbox, messages) in &now.boxes {
        for (message, flags) in messages {
            let nth = position(store, mailbox, message).expect("it is there");
            if names(store)[mailbox][nth].1 != *flags {
                store.flag(mailbox, nth, |there| *there = flags.clone());
            }
        }
    }
    now.renewed.iter().for_each(|name| store.renew(name));
}

/// Where a name is taken by another mailbox that gets a new one, the two change places first.
fn rename(store: &Memory, mut renames: Vec<(String, String)>) {
    renames.reverse();
    while let Some((old, new)) = renames.pop() {
        let taken = renames.iter().position(|(other, _)| *other == new);
        match taken {
            _ if old == new => {}
            None => assert!(store.rename(&old, &new), "{old}>{new}"),
            Some(other) => {
                assert!(store.swap(&old, &new), "{old}<>{new}");
                renames[other].0 = old;
            }
        }
    }
}

/// One more of a message: moved from where it is too many, copied, or new.
fn bring(store: &Memory, to: &str, message: &str, flags: &Flags, wanted: impl Fn(&str, &str) -> usize) {
    let elsewhere: Vec<String> = names(store).into_keys().filter(|name| name != to).collect();
    for moves in [true, false] {
        for from in &elsewhere {
            let there = count(store, from, message);
            if there > if moves { wanted(from, message) } else { 0 } {
                let nth = position(store, from, message).expect("it is there");
                store.carry(from, nth, to, moves);
                return;
            }
        }
    }
    let message = Message {
        flags: flags.clone(),
        date: InternalDate(1_000_000),
        body: body(message),
    };
    store.add(to, message);
}

fn sorted(boxes: &BTreeMap<String, Vec<(String, Flags)>>) -> BTreeMap<String, Vec<(String, Flags)>> {
    let mut boxes = boxes.clone();
    for messages in boxes.values_mut() {
        messages.sort();
    }
    boxes
}

/// The world as it is before the last round's run.
fn set_up(scenario: &Scenario, mirrored: bool) -> World {
    let mut world = World::new(scenario.natures);
    for store in &world.stores {
        become_(store, &scenario.base);
    }
    calm(scenario, &world, Run::calm(Policy::SYNC));
    let (last, before) = scenario.rounds.split_last().expect("one at least");
    for round in before {
        change(&mut world, round);
        let mut how = scenario.run(round, mirrored);
        how.kill = round.killed;
        calm(scenario, &world, how);
    }
    change(&mut world, last);
    world
}

fn change(world: &mut World, round: &Round) {
    if round.lost {
        world.lose_state();
    }
    for (store, now) in world.stores.iter().zip(&round.now) {
        if let Some(now) = now {
            store.settle();
            become_(store, now);
        }
    }
}

fn calm(scenario: &Scenario, world: &World, how: Run) -> Ended {
    world
        .run(how)
        .unwrap_or_else(|failure| panic!("{}: {failure}", scenario.name))
}

fn assert_after(scenario: &Scenario, world: &World, when: &str) {
    let last = scenario.rounds.last().expect("one at least");
    for (at, side) in ["left", "right"].into_iter().enumerate() {
        if let Some(wanted) = &last.after[at] {
            let there = sorted(&names(&world.stores[at]));
            assert_eq!(there, sorted(&wanted.boxes), "{}: the {side}, {when}", scenario.name);
        }
    }
}

/// As [`assert_after`], but for what doubles: both sides are equal then, and have all of it.
fn assert_stopped(scenario: &Scenario, world: &World, when: &str) {
    if !scenario.doubles {
        return assert_after(scenario, world, when);
    }
    let name = &scenario.name;
    let [left, right] = [0, 1].map(|side| sorted(&names(&world.stores[side])));
    assert_eq!(left, right, "{name}: both sides, {when}");
    let after = &scenario.rounds.last().expect("one at least").after[0];
    let wanted = &after.as_ref().expect("what both hold afterwards").boxes;
    let all = |boxes: &BTreeMap<String, Vec<(String, Flags)>>| {
        let mut counts: BTreeMap<_, usize> = BTreeMap::new();
        for (mailbox, messages) in boxes {
            for message in messages {
                *counts.entry((mailbox.clone(), message.clone())).or_default() += 1;
            }
        }
        counts
    };
    let (got, wanted) = (all(&left), all(wanted));
    assert!(got.keys().eq(wanted.keys()), "{name}: {got:?}, {when}");
    for (message, wanted) in wanted {
        // Stopped twice at most.
        assert!(
            (wanted..=wanted + 2).contains(&got[&message]),
            "{name}: {got:?}, {when}"
        );
    }
}

/// Another run changes nothing, even where it lists everything in full: the books and both sides agree.
fn assert_silent(scenario: &Scenario, world: &World, mirrored: bool, when: &str) {
    let writes = world.writes();
    world.state.forget_listings().expect("a database");
    let again = calm(
        scenario,
        world,
        scenario.run(scenario.rounds.last().expect("one"), mirrored),
    );
    // Flags that both sides only now prove to agree on were not written down when they came to.
    let kept = |step: &&Step| !step.action.is_note() || matches!(step.action, Action::Agree { .. });
    let steps: Vec<String> = again
        .finished
        .plan
        .steps
        .iter()
        .filter(kept)
        .map(ToString::to_string)
        .collect();
    assert_eq!(steps, Vec::<String>::new(), "{}: again, {when}", scenario.name);
    assert_eq!(world.writes(), writes, "{}: again, {when}", scenario.name);
}

/// Walks a scenario; gives how many interruptions that were.
fn walk(scenario: &Scenario, mirrored: bool) -> u64 {
    let last = scenario.rounds.last().expect("one at least");
    let world = set_up(scenario, mirrored);
    let ended = calm(scenario, &world, scenario.run(last, mirrored));
    if let Some(plan) = &last.plan {
        let mut steps: Vec<String> = ended.finished.plan.steps.iter().map(ToString::to_string).collect();
        let mut plan = plan.clone();
        steps.sort();
        plan.sort();
        assert_eq!(steps, plan, "{}: the plan", scenario.name);
    }
    assert_after(scenario, &world, "after the run");
    assert_silent(scenario, &world, mirrored, "after the run");

    let mut interruptions = 0;
    for step in 1..=ended.steps {
        for second in [None, Some(step), Some(step / 2 + 1)] {
            let world = set_up(scenario, mirrored);
            let mut how = scenario.run(last, mirrored);
            how.kill = Some(step);
            calm(scenario, &world, how);
            interruptions += 1;
            if second.is_some() {
                let mut how = scenario.run(last, mirrored);
                how.kill = second;
                interruptions += u64::from(calm(scenario, &world, how).killed);
            }
            // A server may still be doing what it was sent.
            world.execute_late();
            let when = format!("stopped at step {step}, then at {second:?}");
            for _ in 0..3 {
                calm(scenario, &world, scenario.run(last, mirrored));
            }
            assert_stopped(scenario, &world, &when);
            assert_silent(scenario, &world, mirrored, &when);
        }
    }
    interruptions
}

#[test]
fn every_scenario_comes_out_right_wherever_it_is_stopped() {
    let begun = Instant::now();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let only = std::env::var("HOMING_SCENARIO").ok();
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .expect("the scenarios")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    let scenarios: Vec<Scenario> = files
        .iter()
        .flat_map(|file| parse(&std::fs::read_to_string(file).expect("text")))
        .filter(|scenario| only.as_ref().is_none_or(|only| scenario.name.contains(only)))
        .collect();
    let (next, failed, interruptions) = (AtomicUsize::new(0), Mutex::new(Vec::new()), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match std::panic::catch_unwind(|| walk_both_ways(scenario)) {
                        Ok(walked) => drop(interruptions.fetch_add(walked, Ordering::Relaxed)),
                        Err(_) => failed.lock().unwrap().push(&*scenario.name),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    let (count, lasted) = (scenarios.len(), begun.elapsed().as_secs_f32());
    let said = format!("scenarios: {count}, interruptions walked: {interruptions:?} in {lasted:.0} s");
    // Past the capture of passed tests.
    drop(writeln!(std::io::stderr(), "{said}"));
    assert!(only.is_some() || scenarios.len() > 100, "all scenarios are found");
    assert!(
        failed.is_empty(),
        "{} of {} failed: {failed:#?}",
        failed.len(),
        scenarios.len()
    );
}

fn walk_both_ways(scenario: &Scenario) -> u64 {
    let changed_over = !scenario.lopsided;
    walk(scenario, false)
        + if changed_over {
            walk(&scenario.mirrored(), true)
        } else {
            0
        }
}
