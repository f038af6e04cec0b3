//! Verify: every archived message against its digest, the archive against the server, and the mending of what can be.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::{Event, backup};
use crate::account::Account;
use crate::archive::manifest::Manifest;
use crate::archive::verify::{self, Finding, Verified};
use crate::archive::view::Shelves;
use crate::archive::{Archive, Books};
use crate::error::{Failure, Kind, Result, Retry};
use crate::model::Id;
use crate::report::{AccountReport, FileLine, Problem, Verification};
use crate::state::Lock;
use crate::store::Stop;

/// What `verify` asks for.
pub struct Verify<'a> {
    /// Whose archive.
    pub account: &'a Account,
    /// Where states are kept.
    pub states: &'a Path,
    /// Compare the archive with the server too.
    pub server: bool,
    /// Write the digests of all whole files there.
    pub manifest: Option<&'a Path>,
    /// Fetch damaged and missing messages again that the server still has.
    pub repair: bool,
    /// How long to wait for another run on this archive.
    pub wait: Duration,
    /// Set when the user asked to stop.
    pub stop: Stop,
    /// Is told what happens.
    pub watch: &'a (dyn Fn(Event<'_>) + std::marker::Sync),
}

/// Verifies an archive.
pub fn verify(job: &Verify<'_>) -> AccountReport {
    AccountReport::of(&job.account.name, |report| attempt(job, report))
}

fn attempt(job: &Verify<'_>, report: &mut AccountReport) -> Result<()> {
    let archive = job.account.archive()?;
    let db = backup::database(job.states, job.account);
    (job.watch)(Event::Looking);
    let manifest = job.manifest.map(|path| Manifest::begin(path, &archive.root));
    let again = {
        let _lock = Lock::take(&db, job.wait, &job.stop)?;
        let books = archive.books(&db)?;
        books.state.check()?;
        let mut found = verify::verify(
            &books.state,
            &shelves(archive, &books),
            None,
            manifest.as_ref(),
            &job.stop,
        )?;
        let again = if job.repair {
            verify::set_aside(archive, &found)?
        } else {
            BTreeSet::new()
        };
        for list in [&mut found.damaged, &mut found.missing] {
            list.retain(|finding| !again.contains(&finding.message.id));
        }
        report.verification = Some(told(job, archive, &found));
        again
    };
    if !again.is_empty() {
        mend(job, (archive, &db), &again, manifest.as_ref(), report)?;
    }
    manifest.map_or(Ok(()), Manifest::end)?;
    if job.server {
        compare(job, report)?;
    }
    Ok(())
}

fn shelves(archive: &Archive, books: &Books) -> Shelves {
    Shelves::new(archive.clone(), std::sync::Arc::clone(&books.state))
}

/// A backup brings back what `mail/` lacks and the server has; then these messages are checked once more.
fn mend(
    job: &Verify<'_>,
    (archive, db): (&Archive, &Path),
    again: &BTreeSet<Id>,
    manifest: Option<&Manifest>,
    report: &mut AccountReport,
) -> Result<()> {
    let run = job.backup(false);
    report.problems.extend(run.problems);
    report.wire = run.wire;
    report.left = run.left;
    report.error = run.error;
    let _lock = Lock::take(db, job.wait, &job.stop)?;
    let books = archive.books(db)?;
    let found = verify::verify(
        &books.state,
        &shelves(archive, &books),
        Some(again),
        manifest,
        &job.stop,
    )?;
    let told = told(job, archive, &found);
    if let Some(verification) = &mut report.verification {
        verification.repaired = found.whole;
        verification.whole += found.whole;
        verification.damaged.extend(told.damaged);
        verification.missing.extend(told.missing);
    }
    Ok(())
}

/// What a backup would do now is what the archive and the server differ in.
fn compare(job: &Verify<'_>, report: &mut AccountReport) -> Result<()> {
    let look = job.backup(true);
    report.wire = look.wire;
    if let Some(failure) = look.error {
        return Err(failure);
    }
    report.problems.extend(look.problems);
    let name = &job.account.name;
    let differences = [
        (look.left.added, "that the server has are not in the archive"),
        (look.left.removed, "of the archive have left the server since"),
        (look.left.moved, "are in another mailbox on the server"),
        (look.left.flags, "have other flags on the server"),
        (look.paired, "are in the archive, but its books have lost them"),
    ];
    for (count, what) in differences.into_iter().filter(|(count, _)| *count > 0) {
        let failure = Failure::account(Kind::Partial, format!("{count} messages {what}"))
            .retry(Retry::Later)
            .hint(format!("homing backup {name}   brings the archive up to date"));
        report.problems.push(Problem::new(&failure, None, None));
    }
    Ok(())
}

impl Verify<'_> {
    fn backup(&self, dry_run: bool) -> AccountReport {
        backup::backup(&backup::Backup {
            account: self.account,
            states: self.states,
            dry_run,
            wait: self.wait,
            stop: self.stop.clone(),
            watch: self.watch,
        })
    }
}

/// In the report's words.
fn told(job: &Verify<'_>, archive: &Archive, found: &Verified) -> Verification {
    let name = &job.account.name;
    let line = |finding: &Finding| {
        let message = &finding.message;
        let hint = if message.on_server {
            format!("homing verify {name} --repair   fetches it from the server again")
        } else {
            "it has left the server: bring its file back from a copy of the archive".to_owned()
        };
        FileLine {
            mailbox: message.path.as_ref().map(ToString::to_string),
            file: finding.file.as_ref().map_or_else(
                || crate::error::clean(&message.unique),
                |file| archive.shown(&file.path),
            ),
            what: finding.what.clone(),
            hint: Some(hint),
        }
    };
    Verification {
        whole: found.whole,
        bytes: found.bytes,
        repaired: 0,
        damaged: found.damaged.iter().map(line).collect(),
        missing: found.missing.iter().map(line).collect(),
        foreign: found
            .foreign
            .iter()
            .map(|file| FileLine {
                mailbox: Some(file.mailbox.to_string()),
                file: archive.shown(&file.path),
                what: "the books know of no such message".to_owned(),
                hint: None,
            })
            .collect(),
    }
}
