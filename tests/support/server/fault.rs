//! Faults as a table: when they strike and what they do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use super::account::Account;
use super::setup::Lies;
use super::transcript::Entry;

/// The pseudo-verb of the greeting.
pub const GREETING: &str = "GREETING";

/// Where in the life of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// It was read and not executed.
    BeforeExecution,
    /// It was executed and nothing of the reply was sent.
    AfterExecution,
    /// That many bytes of its first literal were read.
    MidLiteral(usize),
    /// That many bytes of its reply were sent.
    MidReply(usize),
}

/// Which command, and where in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// In capitals, such as `UID FETCH`; `*` is any.
    pub verb: String,
    /// The how manieth since the fault was installed, from 1.
    pub nth: usize,
    /// See [`Point`].
    pub point: Point,
}

/// What another client does meanwhile: it gets the account and the mailbox that the command is about.
pub type Deed = Arc<dyn Fn(&mut Account, Option<&str>) + Send + Sync>;

/// What happens.
#[derive(Clone)]
pub enum What {
    /// The connection is cut.
    Cut,
    /// Nothing happens for so long, then it goes on.
    Stall(Duration),
    /// NO with this code and text instead of the true answer.
    No(String),
    /// BAD with this text instead of the true answer.
    Bad(String),
    /// `* BYE` with this text, and the connection ends.
    Bye(String),
    /// It is executed and its untagged lines are sent, but not the tagged one, and the connection is cut.
    TaggedOkLost,
    /// The connection is cut at once, but so much later the command, and all that the client had sent behind it, is
    /// executed after all. Only before execution.
    ExecuteAfterCut(Duration),
    /// The same, once so many more commands of other connections were answered, or a second has passed.
    ExecuteAmidNext(usize),
    /// The client's process gets this signal, and the server goes on; see [`super::Server::client_is`].
    Signal(Signal),
    /// These lies hold for this command.
    Lie(Lies),
    /// Another client does something: its name, and the deed.
    OtherClient(&'static str, Deed),
    /// A line of these bytes (CRLF is added) stands before the reply.
    GarbageLine(Vec<u8>),
    /// The first FETCH line of the reply is missing.
    DropFetchLine,
    /// The bytes of the reply come one by one, so long apart.
    Trickle(Duration),
}

impl What {
    /// RFC822.SIZE is off by so much.
    pub fn wrong_size(by: i64) -> Self {
        Self::Lie(Lies {
            size: by,
            ..Lies::default()
        })
    }

    /// UIDNEXT is missing.
    pub fn no_uid_next() -> Self {
        Self::Lie(Lies {
            no_uid_next: true,
            ..Lies::default()
        })
    }

    /// Flags are taken with OK and not kept.
    pub fn drop_flags() -> Self {
        Self::Lie(Lies {
            drops_flags: true,
            ..Lies::default()
        })
    }

    /// The mailbox gets a new UIDVALIDITY.
    pub fn bump_uid_validity() -> Self {
        Self::on_mailbox("bump UIDVALIDITY", Account::bump_validity)
    }

    /// The mailbox is deleted (of the INBOX, all messages are).
    pub fn vanish_mailbox() -> Self {
        Self::on_mailbox("delete the mailbox", |account, name| {
            if !account.delete(name) {
                let uids: Vec<u32> = account.mailbox(name).messages.keys().copied().collect();
                for uid in uids {
                    account.expunge(name, uid);
                }
            }
        })
    }

    /// Another client expunges the first message of the mailbox: an EXPUNGE that nobody asked for.
    pub fn unsolicited_expunge() -> Self {
        Self::on_mailbox("expunge the first message", |account, name| {
            if let Some(&uid) = account.mailbox(name).messages.keys().next() {
                account.expunge(name, uid);
            }
        })
    }

    /// The same in a mailbox that has others too: there the first is an old one, whose UID is known.
    pub fn expunge_a_known_one() -> Self {
        Self::on_mailbox("expunge an old message", |account, name| {
            let mut uids = account.mailbox(name).messages.keys().copied();
            if let (Some(first), Some(_)) = (uids.next(), uids.next()) {
                account.expunge(name, first);
            }
        })
    }

    /// Another client flips `\Flagged` of the last message: a FETCH that nobody asked for.
    pub fn unsolicited_fetch() -> Self {
        Self::on_mailbox("flag the last message", |account, name| {
            if let Some(message) = account.mailbox(name).iter().last() {
                let (uid, flagged) = (message.uid, message.flags.has("\\Flagged"));
                let (add, remove): (&[&str], &[&str]) = if flagged {
                    (&[], &["\\Flagged"])
                } else {
                    (&["\\Flagged"], &[])
                };
                account.flag(name, uid, add, remove);
            }
        })
    }

    /// Another client does that to the account.
    pub fn other_client(name: &'static str, deed: impl Fn(&mut Account) + Send + Sync + 'static) -> Self {
        Self::OtherClient(name, Arc::new(move |account, _| deed(account)))
    }

    /// Another client does that to the mailbox that the command is about, if it is about one that exists.
    pub fn on_mailbox(name: &'static str, deed: impl Fn(&mut Account, &str) + Send + Sync + 'static) -> Self {
        let guarded = move |account: &mut Account, mailbox: Option<&str>| {
            if let Some(mailbox) = mailbox.filter(|m| account.mailboxes.contains_key(*m)) {
                deed(account, mailbox);
            }
        };
        Self::OtherClient(name, Arc::new(guarded))
    }
}

impl fmt::Debug for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => write!(f, "cut"),
            Self::Stall(time) => write!(f, "stall {time:?}"),
            Self::No(text) => write!(f, "NO {text}"),
            Self::Bad(text) => write!(f, "BAD {text}"),
            Self::Bye(text) => write!(f, "BYE {text}"),
            Self::TaggedOkLost => write!(f, "tagged OK lost"),
            Self::ExecuteAfterCut(delay) => write!(f, "cut, executed {delay:?} later"),
            Self::ExecuteAmidNext(commands) => write!(f, "cut, executed {commands} commands later"),
            Self::Signal(signal) => write!(f, "{signal:?}"),
            Self::Lie(lies) => write!(f, "lie {lies:?}"),
            Self::OtherClient(name, _) => write!(f, "other client: {name}"),
            Self::GarbageLine(bytes) => write!(f, "garbage {}", bytes.escape_ascii()),
            Self::DropFetchLine => write!(f, "FETCH line dropped"),
            Self::Trickle(time) => write!(f, "a byte each {time:?}"),
        }
    }
}

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Fault {
    /// See [`When`].
    pub when: When,
    /// See [`What`].
    pub what: What,
    /// For how many commands in a row from the nth on; `usize::MAX` is always.
    pub times: usize,
}

impl Fault {
    /// Once, at the nth command of that verb.
    pub fn new(verb: &str, nth: usize, point: Point, what: What) -> Self {
        let when = When {
            verb: verb.to_owned(),
            nth,
            point,
        };
        Self { when, what, times: 1 }
    }

    /// At every command of that verb.
    pub fn always(verb: &str, point: Point, what: What) -> Self {
        Self {
            times: usize::MAX,
            ..Self::new(verb, 1, point, what)
        }
    }
}

/// The installed faults, with what they have seen so far.
#[derive(Default)]
pub(super) struct Table(Vec<(Fault, usize)>);

impl Table {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push((fault, 0));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts a command and gives what is to happen to it.
    pub(super) fn strike(&mut self, verb: &str) -> Vec<(Point, What)> {
        let mut struck = Vec::new();
        for (fault, seen) in &mut self.0 {
            if fault.when.verb == verb || (fault.when.verb == "*" && verb != GREETING) {
                *seen += 1;
                let nth = fault.when.nth;
                if *seen >= nth && *seen - nth < fault.times {
                    struck.push((fault.when.point, fault.what.clone()));
                }
            }
        }
        struck
    }
}

/// Every point at which a run like the recorded one can be struck: before and after each command, in the middle of each
/// literal and of each reply.
pub fn points(run: &[Entry]) -> Vec<When> {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    let mut out = Vec::new();
    for entry in run {
        let nth = counts.entry(&entry.verb).or_default();
        *nth += 1;
        let mut push = |point| {
            out.push(When {
                verb: entry.verb.clone(),
                nth: *nth,
                point,
            });
        };
        push(Point::BeforeExecution);
        if let Some(&size) = entry.literals.first().filter(|&&size| size > 1) {
            push(Point::MidLiteral(size / 2));
        }
        push(Point::AfterExecution);
        if entry.sent > 1 {
            push(Point::MidReply(entry.sent / 2));
        }
    }
    out
}
