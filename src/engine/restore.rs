//! Restore: the account as an archive has it at a time goes into an account or a Maildir, as far as it is missing there.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use super::into::To;

use super::into::Pouring;
use super::{Event, Naming, backup, meeting};
use crate::account::Account;
use crate::archive::Archive;
use crate::archive::view::View;
use crate::archive::when::When;
use crate::config::map::NameMap;
use crate::config::patterns::{Pattern, Scope};
use crate::error::{Failure, Kind, Result, Retry, clean};
use crate::model::{IdSet, MailboxId, MailboxPath, Role, Side};
use crate::only_read::OnlyRead;
use crate::report::{self, AccountReport, Problem};
use crate::state::{Deed, DeedMessage, DeedRow, Lock, MailboxThen, Purpose, State};
use crate::store::{Stop, Store};

/// What `restore` asks for.
pub struct Restore<'a> {
    /// Whose archive.
    pub account: &'a Account,
    /// Where states are kept.
    pub states: &'a Path,
    /// Where the mail goes.
    pub to: To<'a>,
    /// As of when; `None`: the last run.
    pub at: Option<&'a When>,
    /// Only these mailboxes; empty: all.
    pub only: &'a [Pattern],
    /// Only messages of that Message-ID or file name.
    pub message: Option<&'a str>,
    /// Only look and plan.
    pub dry_run: bool,
    /// How long to wait for another run on this archive.
    pub wait: Duration,
    /// Set when the user asked to stop.
    pub stop: Stop,
    /// Is told what happens.
    pub watch: &'a (dyn Fn(Event<'_>) + std::marker::Sync),
}

/// Restores.
pub fn restore(job: &Restore<'_>) -> AccountReport {
    AccountReport::of(&job.account.name, |report| {
        report.sides = Some(["archive".into(), "restored".into()]);
        attempt(job, report)
    })
}

fn attempt(job: &Restore<'_>, report: &mut AccountReport) -> Result<()> {
    let archive = job.account.archive()?;
    job.apart(archive)?;
    let db = backup::database(job.states, job.account);
    // A backup would move files under our hands.
    let _lock = Lock::take(&db, job.wait, &job.stop)?;
    let books = archive.books(&db)?;
    let run = books.run_at(job.at)?;
    let view = |only| View::new(archive.clone(), Arc::clone(&books.state), run, only, job.stop.clone());
    let wanted = Wanted::of(job, &view(None))?;
    let only = job.message.map(|id| wanted.messages(&view(None), id)).transpose()?;
    let left = OnlyRead(view(only));
    wanted.note_pruned(&books.state, run, report)?;
    let pouring = Pouring {
        to: &job.to,
        command: COMMAND,
        states: job.states,
        scratch: &job.states.join(&job.account.name),
        after_death: job.clear_up()?,
        subscribed: &wanted.subscribed,
        dry_run: job.dry_run,
        stop: &job.stop,
        watch: job.watch,
    };
    let meet =
        |right: &dyn Store| -> Result<Box<dyn Naming>> { Ok(Box::new(Names::meet(job, &wanted, &left, right)?)) };
    let noting = Noting::begin(job, &db, run)?;
    let done = pouring.pour(&left, &meet, job.account, report)?;
    noting.map_or(Ok(()), |noting| noting.end(done, report))
}

const COMMAND: &str = "restore";

impl Restore<'_> {
    /// Deletes the books of restores that were killed (nobody else is at work: the lock is ours); whether there were any.
    fn clear_up(&self) -> Result<bool> {
        let states = self.states.join(&self.account.name);
        let trouble = |err: std::io::Error| {
            let what = format!("cannot clear up {}: {err}", states.display());
            Failure::account(Kind::Config, what).hint("check that the directory is yours and on a local disk")
        };
        let mut found = false;
        for entry in std::fs::read_dir(&states).map_err(trouble)? {
            let entry = entry.map_err(trouble)?;
            let books = format!("{COMMAND}-");
            if !self.dry_run && entry.file_name().as_encoded_bytes().starts_with(books.as_bytes()) {
                found = true;
                std::fs::remove_dir_all(entry.path()).map_err(trouble)?;
            }
        }
        Ok(found)
    }

    /// A Maildir within the archive would become a part of it.
    fn apart(&self, archive: &Archive) -> Result<()> {
        match &self.to {
            To::Directory(root) if root.starts_with(&archive.root) || archive.root.starts_with(root) => {
                let what = format!("{} and the archive lie within one another", root.display());
                Err(Failure::account(Kind::Usage, what).hint("name another directory with --to"))
            }
            _ => Ok(()),
        }
    }
}

/// Notes in the books of the archive, for `homing log`, what was restored.
struct Noting {
    state: State,
    /// The number of the restore.
    run: i64,
    /// The backup that is restored.
    of: i64,
    /// Into what.
    to: String,
    /// Messages have UIDs there.
    has_uids: bool,
}

impl Noting {
    /// `None`: nothing is to be noted, or there is only the copy of the books that lies in the archive. To bring that one
    /// back is for who makes backups: on another machine it would be an old one tomorrow.
    fn begin(job: &Restore<'_>, db: &Path, of: i64) -> Result<Option<Self>> {
        if job.dry_run || !db.exists() {
            return Ok(None);
        }
        let state = State::open(db, Purpose::Run)?;
        let run = state.begin_run(COMMAND)?;
        state.commit()?;
        let to = match &job.to {
            To::Account(account) => account.name.clone(),
            To::Directory(root) => clean(root.as_os_str().as_encoded_bytes()),
        };
        let has_uids = matches!(job.to, To::Account(_));
        Ok(Some(Self {
            state,
            run,
            of,
            to,
            has_uids,
        }))
    }

    fn end(&self, done: Vec<DeedRow>, report: &AccountReport) -> Result<()> {
        for row in done.into_iter().filter(|row| row.deed.on == Some(Side::Right)) {
            let deed = Deed {
                to: Some(self.to.clone()),
                why: format!("as of #{}", self.of),
                ..row.deed
            };
            let id = self.state.add_deed(self.run, &deed)?;
            self.state.count_deed(id, row.count)?;
            for message in row.messages {
                self.state.add_deed_message(id, &self.named(&message)?)?;
            }
        }
        let exit = report.exit(report::Job::Restore);
        self.state
            .end_run(self.run, i64::from(exit), &report.to_json(report::Job::Restore))?;
        self.state.commit()
    }

    /// Ids of the source are numbers of archived messages, which nobody can look up: the name of the file is what helps.
    fn named(&self, message: &DeedMessage) -> Result<DeedMessage> {
        let id = message.file.unwrap_or(0);
        let found = self
            .state
            .archived_from(id, 1)?
            .into_iter()
            .find(|found| found.id == id);
        Ok(DeedMessage {
            uid: message.uid.filter(|_| self.has_uids),
            file: None,
            name: found.map(|found| clean(&found.unique)),
            ..message.clone()
        })
    }
}

/// The mailboxes that are asked for.
struct Wanted {
    /// By the archive's names.
    paths: BTreeSet<MailboxPath>,
    numbers: Vec<MailboxId>,
    /// Those that mail programs showed then.
    subscribed: BTreeSet<MailboxPath>,
}

impl Wanted {
    fn of(job: &Restore<'_>, view: &View) -> Result<Self> {
        let is_wanted = |then: &MailboxThen| {
            let on_server = job.account.map.to_right(&then.path);
            let roles: Vec<Role> = then.role.into_iter().collect();
            job.only.is_empty() || job.only.iter().any(|pattern| pattern.matches(&on_server, &roles))
        };
        let wanted: Vec<_> = view.mailboxes()?.into_iter().filter(is_wanted).collect();
        if wanted.is_empty() {
            let what = "the archive had no such mailbox then";
            return Err(
                Failure::account(Kind::Usage, what).hint("leave --mailbox out, or look at another time with --at")
            );
        }
        let shown = wanted.iter().filter(|then| then.subscribed);
        Ok(Self {
            numbers: wanted.iter().map(|then| then.id).collect(),
            subscribed: shown.map(|then| then.path.clone()).collect(),
            paths: wanted.into_iter().map(|then| then.path).collect(),
        })
    }

    /// The messages of that Message-ID or file name.
    fn messages(&self, view: &View, id: &str) -> Result<IdSet> {
        let mut found = IdSet::new();
        for &mailbox in &self.numbers {
            for then in view.then(mailbox, &view.messages(mailbox)?)? {
                if view.is_called(&then.message, id) {
                    found.insert(then.message.id);
                }
            }
        }
        if found.is_empty() {
            let what = format!("the archive had no message \"{}\" then", clean(id));
            let hint = "write its Message-ID, or the name of its file as `homing log -v` shows it; look at another time \
                        with --at";
            return Err(Failure::account(Kind::Usage, what).hint(hint));
        }
        Ok(found)
    }

    /// What was pruned since cannot be restored.
    fn note_pruned(&self, state: &State, run: i64, report: &mut AccountReport) -> Result<()> {
        let pruned: Result<Vec<u64>> = self
            .numbers
            .iter()
            .map(|&mailbox| state.pruned_of(mailbox, run))
            .collect();
        let pruned: u64 = pruned?.into_iter().sum();
        if pruned > 0 {
            let what = format!("{pruned} of the messages that were there then have been pruned since");
            let failure = Failure::account(Kind::Partial, what).retry(Retry::Never);
            report.problems.push(Problem::new(&failure, None, None));
        }
        Ok(())
    }
}

/// What mailboxes are called where the mail goes. All of the archive's have a name there, so that one has the same whichever
/// others are asked for.
struct Names {
    all: meeting::Names,
    wanted: BTreeSet<MailboxPath>,
}

impl Names {
    fn meet(job: &Restore<'_>, wanted: &Wanted, left: &dyn Store, right: &dyn Store) -> Result<Self> {
        let (every, as_it_is) = (Scope::default(), NameMap::default());
        let rules = meeting::Rules {
            scope: &every,
            from: &as_it_is,
            to: match &job.to {
                To::Account(account) => &account.map,
                To::Directory(_) => &as_it_is,
            },
        };
        Ok(Self {
            all: meeting::Names::meet(&rules, &[left.survey()?, right.survey()?], &[]),
            wanted: wanted.paths.clone(),
        })
    }
}

impl Naming for Names {
    fn includes(&self, _: &MailboxPath, _: &[Role]) -> bool {
        true
    }

    fn acts_on(&self, _: &MailboxPath, _: &[Role]) -> bool {
        true
    }

    fn to_left(&self, right: &MailboxPath) -> MailboxPath {
        self.all.to_left(right)
    }

    fn to_right(&self, left: &MailboxPath) -> MailboxPath {
        self.all.to_right(left)
    }

    fn meets_right(&self, right: &MailboxPath) -> bool {
        self.all.meets_right(right) && self.meets_left(&self.all.to_left(right))
    }

    fn meets_left(&self, left: &MailboxPath) -> bool {
        self.wanted.contains(left)
    }
}
