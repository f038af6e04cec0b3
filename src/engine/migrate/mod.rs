//! Server to server: FROM on the left, only read; TO on the right, where homing only adds, or with `delete_extra` takes
//! away what it paired there and FROM has dropped since. The same engine as `sync`, with a state of its own.

mod altered;
mod verdict;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::meeting::{Names, Rules};
use super::server::imap_options;
use super::summary::{self, Voice};
use super::{Event, Job, courtesy, observe, subscriptions};
use crate::account::Account;
use crate::error::{Failure, Kind, Result};
use crate::imap::{self, Imap};
use crate::model::{Bounds, Side, Survey};
use crate::pace::Pace;
use crate::plan::{Adoption, Guard, Policy, Rule, SidePolicy};
use crate::report::{self, AccountReport};
use crate::state::{Lock, ProblemKey, Purpose, State};
use crate::store::{Source, Stop, Wire};

/// What `migrate` asks for.
pub struct Migrate<'a> {
    /// Where the mail is.
    pub from: &'a Account,
    /// Where it goes.
    pub to: &'a Account,
    /// Where states are kept; each pair of accounts has a directory of its own below.
    pub states: &'a Path,
    /// The most connections that each side may have, where the accounts themselves would allow more.
    pub connections: [usize; 2],
    /// Remove from TO what homing paired there and FROM has dropped since.
    pub delete_extra: bool,
    /// The user approved what a guard would hold.
    pub allow_deletes: bool,
    /// Only look and plan.
    pub dry_run: bool,
    /// How long to wait for another run on this pair.
    pub wait: Duration,
    /// Set when the user asked to stop.
    pub stop: Stop,
    /// Is told what happens.
    pub watch: &'a (dyn Fn(Event<'_>) + Sync),
}

/// The name of a pair of accounts: of its state's directory, and in the report.
pub fn pair_name(from: &str, to: &str) -> String {
    format!("{from}--{to}")
}

/// Carries FROM's mail to TO once; what was carried by earlier runs is not carried again.
pub fn migrate(job: &Migrate<'_>) -> AccountReport {
    let (from, to) = (&job.from.name, &job.to.name);
    AccountReport::of(pair_name(from, to), |report| {
        report.sides = Some([from.clone(), to.clone()]);
        attempt(job, report)
    })
}

fn attempt(job: &Migrate<'_>, report: &mut AccountReport) -> Result<()> {
    two_accounts(job)?;
    let dir = job.states.join(&report.name);
    let db = dir.join("migrate.db");
    let _lock = Lock::take(&db, job.wait, &job.stop)?;
    let purpose = if job.dry_run { Purpose::DryRun } else { Purpose::Run };
    let state = State::open(&db, purpose)?;
    same_accounts(job, &state, &dir)?;
    courtesy::may_call(&state)?;
    let run = state.begin_run("migrate")?;
    state.retry_now()?;
    state.keep_doubts()?;
    // What TO holds elsewhere stays there; only within a mailbox is it recognised.
    observe::note_agreement(&state)?;

    let serial = courtesy::is_serial(&state)?;
    let [from, to] = [(job.from, job.connections[0]), (job.to, job.connections[1])].map(|(account, most)| {
        Imap::new(imap::Options {
            serial,
            connections: most.min(account.server.connections),
            ..imap_options(account, job.states, &job.stop)
        })
    });
    let outcome = carry(job, &state, [&from, &to], run, report);
    report.wire = sum(from.wire(), to.wire());
    report.error = outcome.err();
    if job.dry_run {
        return Ok(());
    }
    courtesy::note(&state, from.is_serial() || to.is_serial(), report.error.as_ref())?;
    match &report.error {
        Some(_) if job.stop.load(Ordering::Relaxed) => {}
        Some(failure) => state.add_problem(ProblemKey::Run, failure)?,
        None => state.settle_run()?,
    }
    let exit = report.exit(report::Job::Migrate);
    state.end_run(run, i64::from(exit), &report.to_json(report::Job::Migrate))?;
    state.trim_history(run)?;
    state.commit()
}

/// Looks, carries over, and comes to a verdict; that also where the run ends early.
fn carry(job: &Migrate<'_>, state: &State, stores: [&Imap; 2], run: i64, report: &mut AccountReport) -> Result<()> {
    (job.watch)(Event::Looking);
    let surveys = surveys(stores)?;
    let names = Names::meet(&Rules::of(job.from, job.to), &surveys, &state.mailboxes()?);
    let (mut finished, result) = super::run(&engine_job(job, state, stores, &names, run));
    if result.is_ok() && !finished.outcome.stopped && !job.dry_run {
        altered::look(state, stores[1], Pace::default(), &mut finished)?;
    }
    let voice = PairVoice {
        from: job.from,
        to: job.to,
    };
    summary::fill(report, state, &voice, &finished, job.dry_run)?;
    if job.dry_run {
        return result;
    }
    let is_complete = result.is_ok() && !finished.outcome.stopped;
    if is_complete {
        report
            .problems
            .extend(subscriptions::carry(state, stores, &names, &surveys[0])?);
    }
    let books = verdict::Books {
        state,
        stores,
        names: &names,
        surveys: &surveys,
        is_complete,
    };
    report.migration = Some(books.verdict()?);
    result
}

fn engine_job<'a>(
    job: &'a Migrate<'_>,
    state: &'a State,
    stores: [&'a Imap; 2],
    names: &'a Names,
    run: i64,
) -> Job<'a> {
    Job {
        state,
        stores: [stores[0], stores[1]],
        naming: names,
        policy: policy(job.delete_extra, job.allow_deletes),
        empty_guard: job.to.empty_guard,
        max_delete_percent: u64::from(job.to.max_delete),
        adopting: Adoption::No,
        bounds: Bounds::default(),
        expunge: None,
        trash: Default::default(),
        distrust: false,
        dry_run: job.dry_run,
        run,
        stop: job.stop.clone(),
        pace: Pace::AtOnce,
        watch: job.watch,
    }
}

/// DESIGN 3. FROM is never written: TO's changes are kept, what a guard holds there included.
fn policy(delete_extra: bool, allow_deletes: bool) -> Policy {
    let removals = if delete_extra { Rule::Spread } else { Rule::Keep };
    let from = SidePolicy {
        removals,
        ..SidePolicy::SPREAD
    };
    let to = SidePolicy::all(Rule::Keep);
    Policy {
        sides: [from, to],
        allow_deletes,
    }
}

fn surveys(stores: [&Imap; 2]) -> Result<[Survey; 2]> {
    std::thread::scope(|scope| {
        let right = scope.spawn(|| stores[1].survey());
        let left = stores[0].survey();
        let right = right.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok([left?, right?])
    })
}

/// A mailbox is not to be copied into itself.
fn two_accounts(job: &Migrate<'_>) -> Result<()> {
    let of = |account: &Account| {
        let server = &account.server;
        (
            server.host.to_lowercase(),
            server.port,
            server.user.clone(),
            server.login_as.clone(),
        )
    };
    if of(job.from) != of(job.to) {
        return Ok(());
    }
    let what = format!("\"{}\" and \"{}\" are one account", job.from.name, job.to.name);
    Err(Failure::account(Kind::Usage, what).hint("name the account that the mail is to go to"))
}

/// The state knows what was on these two accounts, and of no others.
fn same_accounts(job: &Migrate<'_>, state: &State, dir: &Path) -> Result<()> {
    for (side, account) in [("from", job.from), ("to", job.to)] {
        for (what, value) in [("server", &account.server.host), ("user", &account.server.user)] {
            let fact = format!("{side}-{what}");
            match state.fact(&fact)? {
                None => state.set_fact(&fact, value)?,
                Some(known) if known == *value => {}
                Some(known) => {
                    let what = format!(
                        "the configuration now names another {what} for \"{}\" than the migration began with: {value}, \
                         and not {known}",
                        account.name
                    );
                    return Err(Failure::account(Kind::Guard, what).hint(format!(
                        "nothing was done. Put the old value back, or move {} away to begin anew: what has arrived is \
                         then recognised by its content",
                        dir.display()
                    )));
                }
            }
        }
    }
    Ok(())
}

fn sum(a: Wire, b: Wire) -> Wire {
    Wire {
        bytes_in: a.bytes_in + b.bytes_in,
        bytes_out: a.bytes_out + b.bytes_out,
        commands: a.commands + b.commands,
        round_trips: a.round_trips + b.round_trips,
        connections: a.connections + b.connections,
    }
}

/// How a migration speaks.
pub(super) struct PairVoice<'a> {
    pub(super) from: &'a Account,
    pub(super) to: &'a Account,
}

impl Voice for PairVoice<'_> {
    fn ways_out(&self, _: Guard, _: Side) -> Vec<String> {
        let (from, to) = (&self.from.name, &self.to.name);
        vec![
            format!("homing migrate {from} {to} --delete-extra --allow-deletes   removes them from {to} too"),
            format!("homing migrate {from} {to}   leaves them on {to}"),
        ]
    }

    fn has_uids(&self, _: Side) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_is_never_written() {
        for (delete_extra, removals) in [(false, Rule::Keep), (true, Rule::Spread)] {
            let policy = policy(delete_extra, false);
            assert_eq!(policy.of(Side::Left).removals, removals);
            assert_eq!(*policy.of(Side::Right), SidePolicy::all(Rule::Keep));
        }
    }
}
