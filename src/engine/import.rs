//! Import: mail from files goes into an account or a Maildir, as far as it is missing there.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

pub use super::into::To;

use super::into::{self, Pouring};
use super::summary::Voice;
use super::{Event, Naming};
use crate::account::Account;
use crate::error::{Failure, Kind, Result, Retry, clean};
use crate::formats::collection::{Collection, Trouble};
use crate::formats::tree::{self, Tree};
use crate::maildir::{self, Maildir};
use crate::model::{Id, MailboxPath, Role, Side};
use crate::only_read::OnlyRead;
use crate::plan::Guard;
use crate::report::{AccountReport, Problem};
use crate::state::State;
use crate::store::{Source, Stop, Store};

const COMMAND: &str = "import";

/// What `import` asks for.
pub struct Import<'a> {
    /// Where the mail lies.
    pub from: &'a Path,
    /// Where states are kept.
    pub states: &'a Path,
    /// Where the mail goes.
    pub to: To<'a>,
    /// The mailbox that a single one becomes, and below which several go; `None`: as they are called.
    pub mailbox: Option<&'a MailboxPath>,
    /// Only look and plan.
    pub dry_run: bool,
    /// Set when the user asked to stop.
    pub stop: Stop,
    /// Is told what happens.
    pub watch: &'a (dyn Fn(Event<'_>) + std::marker::Sync),
}

/// Imports.
pub fn import(job: &Import<'_>) -> AccountReport {
    AccountReport::of(job.name(), |report| {
        let right = match job.to {
            To::Account(_) => "server",
            To::Directory(_) => "Maildir",
        };
        report.sides = Some(["files".into(), right.into()]);
        (job.watch)(Event::Looking);
        match tree::look(job.from)? {
            Tree::Maildir => job.maildir(report),
            Tree::Files(files) => job.files(files, report),
        }
    })
}

impl Import<'_> {
    /// What the report is about.
    fn name(&self) -> String {
        match &self.to {
            To::Account(account) => account.name.clone(),
            To::Directory(root) => clean(root.as_os_str().as_encoded_bytes()),
        }
    }

    fn maildir(&self, report: &mut AccountReport) -> Result<()> {
        self.apart()?;
        let options = maildir::Options {
            read_only: true,
            stop: self.stop.clone(),
            ..maildir::Options::new(self.from, self.from)
        };
        let index = Arc::new(State::in_memory()?);
        let left = Maildir::new(options, Arc::clone(&index) as Arc<dyn maildir::index::FileIndex>);
        let mailboxes = left.survey()?.mailboxes.into_iter().map(|listed| listed.path).collect();
        let told = Told {
            import: self,
            message: Box::new(|_, _| None),
        };
        self.pour(&left, &mailboxes, &told, report)
    }

    fn files(&self, files: tree::Files, report: &mut AccountReport) -> Result<()> {
        for (path, why) in files.left_out {
            let failure = Failure::message(format!("not imported: {why}")).retry(Retry::Never);
            report
                .problems
                .push(Problem::new(&failure, None, Some(self.shown(&path))));
        }
        let single = files.name.unwrap_or_else(MailboxPath::inbox);
        let mailboxes = files.mailboxes.into_iter();
        let named = mailboxes.map(|(path, sources)| (path.unwrap_or_else(|| single.clone()), sources));
        let (collection, troubles) = Collection::find(named, self.stop.clone())?;
        for Trouble { mailbox, path, failure } in troubles {
            let (mailbox, file) = (mailbox.to_string(), self.shown(&path));
            report.problems.push(Problem::new(&failure, Some(mailbox), Some(file)));
        }
        let left = OnlyRead(collection);
        let mailboxes: BTreeSet<_> = left.survey()?.mailboxes.into_iter().map(|listed| listed.path).collect();
        if mailboxes.is_empty() && report.problems.is_empty() {
            let what = format!("there is no mail in {}", self.shown(self.from));
            return Err(Failure::account(Kind::Usage, what));
        }
        let told = Told {
            import: self,
            message: Box::new(|mailbox, id| left.0.shown(mailbox, id)),
        };
        self.pour(&left, &mailboxes, &told, report)
    }

    fn pour(
        &self,
        left: &dyn Store,
        mailboxes: &BTreeSet<MailboxPath>,
        told: &Told<'_>,
        report: &mut AccountReport,
    ) -> Result<()> {
        let pouring = Pouring {
            to: &self.to,
            command: COMMAND,
            states: self.states,
            scratch: self.states,
            after_death: !self.dry_run && into::clear_up(self.states, COMMAND, &self.stop)?,
            subscribed: &BTreeSet::new(),
            dry_run: self.dry_run,
            stop: &self.stop,
            watch: self.watch,
        };
        pouring
            .pour(left, &|_| Ok(Box::new(Names::of(self, mailboxes))), told, report)
            .map(drop)
    }

    /// A Maildir is not imported into itself.
    fn apart(&self) -> Result<()> {
        match &self.to {
            To::Directory(root) if root.starts_with(self.from) || self.from.starts_with(root) => {
                let what = format!("{} and {} lie within one another", self.from.display(), root.display());
                Err(Failure::account(Kind::Usage, what).hint("name another directory with --to"))
            }
            _ => Ok(()),
        }
    }

    fn shown(&self, path: &Path) -> String {
        let below = path
            .strip_prefix(self.from)
            .ok()
            .filter(|below| *below != Path::new(""));
        clean(below.unwrap_or(path).as_os_str().as_encoded_bytes())
    }
}

/// What mailboxes are called where the mail goes.
struct Names<'a> {
    to: Option<&'a Account>,
    /// By left names, what each becomes.
    mailboxes: std::collections::BTreeMap<MailboxPath, MailboxPath>,
}

impl<'a> Names<'a> {
    fn of(import: &Import<'a>, mailboxes: &BTreeSet<MailboxPath>) -> Self {
        let alone = mailboxes.len() == 1;
        let becomes = |path: &MailboxPath| match import.mailbox {
            None => path.clone(),
            Some(name) if alone || path.is_inbox() => name.clone(),
            Some(name) => MailboxPath::new(name.components().iter().chain(path.components()).cloned())
                .unwrap_or_else(|| path.clone()),
        };
        Self {
            to: match import.to {
                To::Account(account) => Some(account),
                To::Directory(_) => None,
            },
            mailboxes: mailboxes.iter().map(|path| (path.clone(), becomes(path))).collect(),
        }
    }
}

impl Names<'_> {
    /// A mailbox there in the words of the Maildir, if that account had one.
    fn local(&self, right: &MailboxPath) -> MailboxPath {
        self.to
            .map_or_else(|| right.clone(), |account| account.map.to_left(right))
    }
}

impl Naming for Names<'_> {
    fn includes(&self, right: &MailboxPath, _: &[Role]) -> bool {
        self.meets_right(right)
    }

    fn acts_on(&self, _: &MailboxPath, _: &[Role]) -> bool {
        true
    }

    fn to_left(&self, right: &MailboxPath) -> MailboxPath {
        let local = self.local(right);
        let found = self.mailboxes.iter().find(|(_, becomes)| **becomes == local);
        found.map_or(local.clone(), |(path, _)| path.clone())
    }

    fn to_right(&self, left: &MailboxPath) -> MailboxPath {
        let local = self.mailboxes.get(left).unwrap_or(left);
        self.to
            .map_or_else(|| local.clone(), |account| account.map.to_right(local))
    }

    fn meets_right(&self, right: &MailboxPath) -> bool {
        let local = self.local(right);
        self.mailboxes.values().any(|becomes| *becomes == local)
    }
}

/// What a user finds a message by.
type Name<'a> = dyn Fn(&MailboxPath, Id) -> Option<String> + 'a;

/// How the import speaks of messages.
struct Told<'a> {
    import: &'a Import<'a>,
    message: Box<Name<'a>>,
}

impl Voice for Told<'_> {
    fn ways_out(&self, _: Guard, _: Side) -> Vec<String> {
        Vec::new()
    }

    fn has_uids(&self, side: Side) -> bool {
        side == Side::Right && matches!(self.import.to, To::Account(_))
    }

    fn message(&self, side: Side, mailbox: &str, id: Id) -> Option<String> {
        let path = MailboxPath::from_text(mailbox)?;
        (side == Side::Left).then(|| (self.message)(&path, id)).flatten()
    }
}
