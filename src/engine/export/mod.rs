//! Export: what a Maildir or an archive holds goes into mbox or .eml files, a mailbox at a time.

mod held;
mod place;
mod under_way;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::account::maildir_options;
use super::{Event, backup};
use crate::account::Account;
use crate::archive::Books;
use crate::archive::view::View;
use crate::archive::when::When;
use crate::config::patterns::Pattern;
use crate::error::{Failure, Kind, Reach, Result, Retry};
use crate::maildir::{self, Maildir};
use crate::model::MailboxPath;
use crate::report::{AccountReport, ExportedLine, Problem};
use crate::state::{Lock, State};
use crate::store::Stop;
use held::{Held, Item, Mailbox};
use place::Place;
use under_way::Notes;

/// What `export` asks for.
pub struct Export<'a> {
    /// Whose mail.
    pub account: &'a Account,
    /// Where states are kept.
    pub states: &'a Path,
    /// The directory into which it goes.
    pub to: PathBuf,
    /// As what.
    pub format: Format,
    /// From the archive, as of then; `None`: from the Maildir, or the last run where there is none.
    pub at: Option<&'a When>,
    /// Only these mailboxes; empty: all.
    pub only: &'a [Pattern],
    /// Only messages of that Message-ID or file name.
    pub message: Option<&'a str>,
    /// Only say what would be written.
    pub dry_run: bool,
    /// Set when the user asked to stop.
    pub stop: Stop,
    /// Is told what happens.
    pub watch: &'a (dyn Fn(Event<'_>) + std::marker::Sync),
}

/// What files mail is exported to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A file for each mailbox.
    Mbox,
    /// A directory for each mailbox, a file for each message.
    Eml,
}

/// Exports.
pub fn export(job: &Export<'_>) -> AccountReport {
    AccountReport::of(&job.account.name, |report| {
        (job.watch)(Event::Looking);
        let account = job.account;
        if job.at.is_some() || account.maildir.is_none() {
            from_archive(job, report)
        } else {
            from_maildir(job, report)
        }
    })
}

fn from_maildir(job: &Export<'_>, report: &mut AccountReport) -> Result<()> {
    let settings = job.account.maildir()?;
    job.apart(&settings.root)?;
    report.sides = Some(["Maildir".into(), "export".into()]);
    let options = maildir::Options {
        read_only: true,
        stop: job.stop.clone(),
        ..maildir_options(settings)
    };
    // Nothing is asked of the index: it need not be the account's own.
    let index = Arc::new(State::in_memory()?);
    let maildir = Maildir::new(options, index as Arc<dyn maildir::index::FileIndex>);
    write(job, &Held::Maildir(maildir), report)
}

fn from_archive(job: &Export<'_>, report: &mut AccountReport) -> Result<()> {
    let archive = job.account.archive()?;
    job.apart(&archive.root)?;
    report.sides = Some(["archive".into(), "export".into()]);
    let db = backup::database(job.states, job.account);
    // A backup would move files under our hands.
    let _lock = Lock::take(&db, Duration::ZERO, &job.stop)?;
    let books: Books = archive.books(&db)?;
    let run = books.run_at(job.at)?;
    let view = View::new(archive.clone(), Arc::clone(&books.state), run, None, job.stop.clone());
    write(job, &Held::Archive(view), report)
}

fn write(job: &Export<'_>, held: &Held, report: &mut AccountReport) -> Result<()> {
    let (all, troubles) = held.mailboxes()?;
    for (name, failure) in troubles {
        report.problems.push(Problem::new(&failure, Some(name), None));
    }
    let mailboxes: Vec<Mailbox> = all.into_iter().filter(|mailbox| job.wants(&mailbox.path)).collect();
    if mailboxes.is_empty() {
        let (what, hint) = if job.only.is_empty() {
            (
                "there is no mail on disk yet",
                "`homing sync` or `homing backup` brings it there",
            )
        } else {
            (
                "there is no such mailbox",
                "leave --mailbox out, or look at another time with --at",
            )
        };
        return Err(Failure::account(Kind::Usage, what).hint(hint));
    }
    let place = Place::new(&job.to, job.format);
    let mut notes = Notes::open(&job.to, &job.key(), job.dry_run)?;
    for mailbox in &mailboxes {
        place.refuse_existing(&mailbox.path, &notes)?;
    }
    let mut is_whole = true;
    for mailbox in &mailboxes {
        let found = held.items(mailbox, job.message);
        let written = found.and_then(|items| one(job, (&place, &mut notes), mailbox, items, report));
        is_whole &= written.is_ok();
        match written {
            Err(failure) if failure.reach == Reach::Account => return Err(failure),
            Err(failure) => {
                let problem = Problem::new(&failure, Some(mailbox.path.to_string()), None);
                report.problems.push(problem);
            }
            Ok(()) => {}
        }
    }
    if is_whole {
        notes.end();
    }
    let nothing = report.exported.iter().all(|line| line.messages == 0) && report.problems.is_empty();
    match job.message {
        Some(id) if nothing => {
            let what = format!("there is no message \"{}\"", crate::error::clean(id));
            let hint = "write its Message-ID, or the name of its file as `homing log -v` shows it";
            Err(Failure::account(Kind::Usage, what).hint(hint))
        }
        _ => Ok(()),
    }
}

/// Writes one mailbox.
fn one(
    job: &Export<'_>,
    (place, notes): (&Place, &mut Notes),
    mailbox: &Mailbox,
    items: Vec<Item<'_>>,
    report: &mut AccountReport,
) -> Result<()> {
    if items.is_empty() && job.message.is_some() {
        return Ok(());
    }
    let mut line = ExportedLine {
        mailbox: mailbox.path.to_string(),
        file: place.shown(&mailbox.path),
        messages: items.len() as u64,
        bytes: items.iter().map(|item| item.size).sum(),
    };
    let held = held::fingerprint(&items);
    if notes.has(&place.sign(&mailbox.path), &held) {
        // An export that was cut off had written it.
        report.exported.push(line);
        return Ok(());
    }
    if !job.dry_run {
        let mut writing = place.begin(&mailbox.path, notes)?;
        (line.messages, line.bytes) = (0, 0);
        for item in items {
            if job.stop.load(Ordering::Relaxed) {
                writing.abandon();
                let what = format!("stopped; {} is not written", line.file);
                let hint = "the same command goes on where this one stopped";
                return Err(Failure::account(Kind::Temporary, what).hint(hint));
            }
            match writing.add(&item, notes) {
                Ok(bytes) => {
                    line.messages += 1;
                    line.bytes += bytes;
                    (job.watch)(Event::Done(1));
                }
                Err(failure) if failure.reach == Reach::Account => {
                    writing.abandon();
                    return Err(failure);
                }
                Err(failure) => {
                    let failure = failure.retry(Retry::Never);
                    report
                        .problems
                        .push(Problem::new(&failure, Some(line.mailbox.clone()), Some(item.name())));
                }
            }
        }
        writing.finish(&held, notes)?;
    }
    report.right.added += line.messages;
    report.right.mailboxes_created += 1;
    report.exported.push(line);
    Ok(())
}

impl Export<'_> {
    fn wants(&self, path: &MailboxPath) -> bool {
        let on_server = self.account.map.to_right(path);
        self.only.is_empty() || self.only.iter().any(|pattern| pattern.matches(&on_server, &[]))
    }

    /// Tells what is exported: an export that was cut off is gone on with by one of the same.
    fn key(&self) -> String {
        let account = &self.account.name;
        let of = format!(
            "{account:?} {:?} {:?} {:?} {:?}",
            self.format, self.at, self.only, self.message
        );
        blake3::hash(of.as_bytes()).to_hex()[..16].to_owned()
    }

    /// What is exported into a Maildir or an archive would become a part of it.
    fn apart(&self, root: &Path) -> Result<()> {
        if !self.to.starts_with(root) {
            return Ok(());
        }
        let what = format!("{} lies within {}", self.to.display(), root.display());
        Err(Failure::account(Kind::Usage, what).hint("name another directory with --to"))
    }
}
