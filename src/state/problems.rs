//! What could not be done, and when it is tried again.

use super::{State, now, side_of};
use crate::error::{Failure, Reach, Result, Retry};
use crate::model::{Id, MailboxId, Side};

/// What a problem is about. The same problem found again is the same row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKey {
    /// One message.
    Message(MailboxId, Side, Id),
    /// A mailbox of one side.
    Mailbox(MailboxId, Side),
    /// A side of a mailbox takes no changes of that kind.
    Changes(MailboxId, Side, Changes),
    /// A side of the account, such as a name that cannot be listed.
    Account(Side),
    /// What ended a run before its time.
    Run,
}

/// Changes that a side of a mailbox can refuse as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changes {
    /// It may only be read.
    All,
    /// Flags of messages.
    Flags,
    /// Removals of messages.
    Removals,
}

impl Changes {
    /// At the end of a problem's key.
    const fn name(self) -> &'static str {
        match self {
            Self::All => "changes",
            Self::Flags => "flags",
            Self::Removals => "removals",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::All, Self::Flags, Self::Removals]
            .into_iter()
            .find(|changes| changes.name() == name)
    }
}

/// A problem as recorded.
#[derive(Clone, Debug)]
pub struct ProblemRow {
    /// The mailbox's number, where it is about one.
    pub mailbox_id: Option<MailboxId>,
    /// The mailbox's name, where it is about one.
    pub mailbox: Option<String>,
    /// The side on which it happened.
    pub side: Side,
    /// The message's id on its side, where it is about one.
    pub id: Option<Id>,
    /// What its side of the mailbox does not take.
    pub refuses: Option<Changes>,
    /// It ended a run before its time.
    pub ended_run: bool,
    /// What happened.
    pub what: String,
    /// What the user can do.
    pub hint: Option<String>,
    /// Whether trying again helps.
    pub retry: Retry,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, in seconds since 1970; `None`: never by itself.
    pub next: Option<i64>,
}

impl ProblemRow {
    /// Whether it is the problem of that key; `what` tells problems of the account apart.
    pub fn is(&self, key: ProblemKey, what: &str) -> bool {
        match key {
            ProblemKey::Message(mailbox, side, id) => {
                (self.mailbox_id, self.side, self.id) == (Some(mailbox), side, Some(id))
            }
            ProblemKey::Mailbox(mailbox, side) => {
                self.refuses.is_none() && (self.mailbox_id, self.side, self.id) == (Some(mailbox), side, None)
            }
            ProblemKey::Changes(mailbox, side, changes) => {
                (self.mailbox_id, self.side, self.refuses) == (Some(mailbox), side, Some(changes))
            }
            ProblemKey::Account(side) => {
                !self.ended_run && (self.mailbox_id, self.side) == (None, side) && self.what == what
            }
            ProblemKey::Run => self.ended_run,
        }
    }

    /// How far it reaches.
    pub fn reach(&self) -> Reach {
        match (&self.mailbox, self.id) {
            (_, Some(_)) => Reach::Message,
            (Some(_), None) => Reach::Mailbox,
            (None, None) => Reach::Account,
        }
    }
}

/// The key of [`ProblemKey::Run`].
const RUN: &str = "run";

/// The longest, in seconds, that something waits for its next try: a day.
pub(super) const LONGEST_WAIT: i64 = 86_400;

/// Seconds until a failed thing is tried again: at once in the next run, then doubling from a minute up to a day.
fn back_off(tries: u32) -> i64 {
    match tries {
        0 | 1 => 0,
        _ => (60i64 << (tries - 2).min(16)).min(LONGEST_WAIT),
    }
}

impl State {
    /// Records a failure: counts the try and plans the next one.
    pub fn add_problem(&self, key: ProblemKey, failure: &Failure) -> Result<()> {
        let (text, mailbox, side, id) = match key {
            ProblemKey::Message(m, s, id) => (format!("{}/{s}/{id}", m.0), Some(m.0), s, Some(id as i64)),
            ProblemKey::Mailbox(m, s) => (format!("{}/{s}", m.0), Some(m.0), s, None),
            ProblemKey::Changes(m, s, changes) => (format!("{}/{s}/{}", m.0, changes.name()), Some(m.0), s, None),
            ProblemKey::Account(s) => (format!("{s}/{}", failure.what), None, s, None),
            ProblemKey::Run => (RUN.to_owned(), None, Side::Right, None),
        };
        let tries = 1 + self
            .rows("SELECT tries FROM problem WHERE key=?", [&text], |row| {
                row.get::<_, u32>(0)
            })?
            .first()
            .copied()
            .unwrap_or(0);
        let wait = match key {
            // Every run tries again.
            ProblemKey::Run => 0,
            _ => back_off(tries),
        };
        let asked = failure
            .after
            .map_or(0, |after| after.as_secs() as i64)
            .min(LONGEST_WAIT);
        let next = (failure.retry != Retry::Never).then(|| now() + wait.max(asked));
        self.execute(
            "INSERT INTO problem (key, mailbox, side, id, what, hint, retry, tries, first, next) VALUES (?,?,?,?,?,?,?,?,?,?)
             ON CONFLICT DO UPDATE SET what=excluded.what, hint=excluded.hint, retry=excluded.retry, tries=excluded.tries,
             next=excluded.next",
            (
                &text, mailbox, side as u8, id, &failure.what, failure.hint.as_deref(), failure.retry.name(), tries, now(), next,
            ),
        )
        .map(drop)
    }

    /// Whoever asks for a run by hand wants all of it: what failed and may pass is tried again at once.
    pub fn retry_now(&self) -> Result<()> {
        self.execute("UPDATE problem SET next=?1 WHERE next > ?1", [now()])
            .map(drop)
    }

    /// All problems, mailboxes first.
    pub fn problems(&self) -> Result<Vec<ProblemRow>> {
        self.rows(
            "SELECT m.path, p.id, p.what, p.hint, p.retry, p.tries, p.next, p.side, p.mailbox, p.key='run', p.key
             FROM problem p LEFT JOIN mailbox m ON m.id=p.mailbox
             ORDER BY p.id IS NOT NULL, m.path, p.id",
            [],
            |row| {
                let mailbox_id = row.get::<_, Option<u32>>(8)?.map(MailboxId);
                let key: String = row.get(10)?;
                Ok(ProblemRow {
                    mailbox: row.get(0)?,
                    id: row.get::<_, Option<i64>>(1)?.map(|id| id as u64),
                    what: row.get(2)?,
                    hint: row.get(3)?,
                    retry: Retry::named(&row.get::<_, String>(4)?),
                    tries: row.get(5)?,
                    next: row.get(6)?,
                    side: side_of(row.get(7)?),
                    mailbox_id,
                    ended_run: row.get(9)?,
                    refuses: mailbox_id.and_then(|_| Changes::named(key.rsplit('/').next()?)),
                })
            },
        )
    }

    /// The mailbox of that side could be read: problems with it as a whole are over.
    pub fn settle_mailbox(&self, mailbox: MailboxId, side: Side) -> Result<()> {
        let key = format!("{}/{side}", mailbox.0);
        self.execute("DELETE FROM problem WHERE key=?", [key]).map(drop)
    }

    /// The mailbox of that side takes such changes, or there are none any more.
    pub fn settle_changes(&self, mailbox: MailboxId, side: Side, changes: Changes) -> Result<()> {
        let key = format!("{}/{side}/{}", mailbox.0, changes.name());
        self.execute("DELETE FROM problem WHERE key=?", [key]).map(drop)
    }

    /// The side could be listed: problems with the account as a whole are over, but for those that are still the `same`.
    pub fn settle_account(&self, side: Side, same: &[&str]) -> Result<()> {
        let rows = self.problems()?.into_iter();
        let over = rows.filter(|row| !row.ended_run && (row.mailbox_id, row.side) == (None, side));
        for row in over.filter(|row| !same.contains(&&*row.what)) {
            let key = format!("{side}/{}", row.what);
            self.execute("DELETE FROM problem WHERE key=?", [key])?;
        }
        Ok(())
    }

    /// A run came to its end.
    pub fn settle_run(&self) -> Result<()> {
        self.execute("DELETE FROM problem WHERE key=?", [RUN]).map(drop)
    }
}
