//! Prune: messages that left the server long ago are deleted for good.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::backup;
use crate::account::Account;
use crate::archive::prune::{self, Old};
use crate::archive::view::Shelves;
use crate::error::Result;
use crate::model::Side;
use crate::report::{self, AccountReport, Problem, PrunedLine};
use crate::state::{Deed, DeedMessage, Lock, Purpose, State};
use crate::store::Stop;

/// What `prune` asks for.
pub struct Prune<'a> {
    /// Whose archive.
    pub account: &'a Account,
    /// Where states are kept.
    pub states: &'a Path,
    /// What had left the server by then, in seconds since 1970.
    pub before: i64,
    /// Only say what would go.
    pub dry_run: bool,
    /// How long to wait for another run on this archive.
    pub wait: Duration,
    /// Set when the user asked to stop.
    pub stop: Stop,
}

/// Prunes an archive.
pub fn prune(job: &Prune<'_>) -> AccountReport {
    AccountReport::of(&job.account.name, |report| attempt(job, report))
}

fn attempt(job: &Prune<'_>, report: &mut AccountReport) -> Result<()> {
    let archive = job.account.archive()?;
    let db = backup::database(job.states, job.account);
    let _lock = Lock::take(&db, job.wait, &job.stop)?;
    if !job.dry_run {
        // Refuses where there is no backup yet.
        drop(archive.books(&db)?);
        backup::bring_back(&db, archive)?;
    }
    let books;
    let state = if job.dry_run {
        books = archive.books(&db)?;
        Arc::clone(&books.state)
    } else {
        Arc::new(State::open(&db, Purpose::Run)?)
    };
    let mut noting = if job.dry_run {
        None
    } else {
        Some(Noting::begin(&state)?)
    };
    if !job.dry_run {
        prune::settle(&state, archive)?;
    }
    let shelves = Shelves::new(archive.clone(), Arc::clone(&state));
    for batch in prune::find(&state, archive, &shelves, job.before)?.chunks(prune::BATCH) {
        if job.stop.load(std::sync::atomic::Ordering::Relaxed) {
            break;
        }
        let done = if job.dry_run {
            batch.iter().map(|_| Ok(())).collect()
        } else {
            state.set_fact(backup::UNCOPIED, "")?;
            prune::delete(&state, batch)?
        };
        for (old, done) in batch.iter().zip(done) {
            let line = line(old, |path| archive.shown(path));
            match done {
                Ok(()) => {
                    if let Some(noting) = &mut noting {
                        noting.note(old, &line)?;
                    }
                    report.pruned.push(line);
                }
                Err(failure) => report
                    .problems
                    .push(Problem::new(&failure, Some(line.mailbox), Some(line.file))),
            }
        }
    }
    let Some(noting) = noting else { return Ok(()) };
    let exit = report.exit(report::Job::Prune);
    state.end_run(noting.run, i64::from(exit), &report.to_json(report::Job::Prune))?;
    state.commit()?;
    if state.fact(backup::UNCOPIED)?.is_none() {
        return Ok(());
    }
    backup::copy_database(&state, archive)
}

/// Notes for `homing log` what goes.
struct Noting<'a> {
    state: &'a State,
    run: i64,
    /// By mailbox and reason: the number of the deed, and to how many messages it was done.
    deeds: HashMap<Deed, (i64, u64)>,
}

impl<'a> Noting<'a> {
    fn begin(state: &'a State) -> Result<Self> {
        Ok(Self {
            state,
            run: state.begin_run("prune")?,
            deeds: HashMap::new(),
        })
    }

    fn note(&mut self, old: &Old, line: &PrunedLine) -> Result<()> {
        let deed = Deed {
            action: "delete".into(),
            on: Some(Side::Left),
            mailbox: line.mailbox.clone(),
            to: None,
            why: line.why.clone(),
        };
        let (id, count) = match self.deeds.entry(deed) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let id = self.state.add_deed(self.run, new.key())?;
                new.insert((id, 0))
            }
        };
        *count += 1;
        self.state.count_deed(*id, *count)?;
        if *count > State::LISTED {
            return Ok(());
        }
        let message = &old.departed.message;
        let known = DeedMessage {
            name: Some(crate::error::clean(&message.unique)),
            size: Some(message.size),
            date: Some(message.date.0),
            ..DeedMessage::default()
        };
        self.state.add_deed_message(*id, &known)
    }
}

fn line(old: &Old, shown: impl Fn(&Path) -> String) -> PrunedLine {
    let message = &old.departed.message;
    let since = jiff::Timestamp::from_second(old.departed.since).unwrap_or_default();
    PrunedLine {
        mailbox: message.path.as_ref().map_or_else(String::new, ToString::to_string),
        file: old
            .file
            .as_ref()
            .map_or_else(|| crate::error::clean(&message.unique), |file| shown(&file.path)),
        size: message.size,
        why: format!("it left the server by {since}"),
    }
}
