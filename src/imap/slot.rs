//! One mailbox while its changes are asked for: which rung of the ladder, what was told, whether it adds up.

use super::command::Command;
use super::conn::Conn;
use super::response::{Data, Fetch, Reply};
use super::selected::Selected;
use super::survey::{self, Mark};
use crate::error::Failure;
use crate::model::{Checkpoint, Flags, Id, IdSet, MailboxId, Permanent, Seen, Since};

/// More messages than any mailbox holds; a set of ids is a few bytes, and what is made of each of them is not.
pub(super) const MOST_MESSAGES: u64 = 1 << 25;
/// News of flags go out in pieces of so many.
const PIECE: usize = 1000;
/// A set of known ids longer than this is not sent along with QRESYNC.
const LONGEST_KNOWN: usize = 500;

/// How changes are asked for, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rung {
    /// `SELECT … (QRESYNC …)`: flags and removals in one answer (RFC 7162 §3.2.5).
    Resync,
    /// `CHANGEDSINCE`: flags and new messages (RFC 7162 §3.1.4.1).
    Since,
    /// All flags of all messages.
    Flags,
    /// All ids, by ESEARCH.
    Ids,
    /// All ids, by FETCH, where a search would answer with one endless line.
    Fetched,
}

/// What comes after a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// All was told.
    Over,
    /// Another pass, for all ids.
    Pass,
}

/// A mailbox under way.
pub(super) struct Slot<'s> {
    pub(super) since: &'s Since,
    /// No rung above this one.
    pub(super) ceiling: Rung,
    pub(super) rung: Rung,
    pub(super) attempts: u32,
    /// In the second pass, all ids are asked for because the first did not add up.
    second: bool,
    selected: Selected,
    /// What the first pass found on opening: up to there all will have been told.
    mark: Option<Mark>,
    /// The validity that was told.
    told: Option<u64>,
    /// Ids seen in this pass.
    seen: IdSet,
    vanished: IdSet,
    flags: Vec<(Id, Flags)>,
    /// A line could not be read or named no id.
    tainted: bool,
    news: Vec<Seen>,
}

impl<'s> Slot<'s> {
    pub(super) fn new(since: &'s Since) -> Self {
        Self {
            since,
            ceiling: Rung::Resync,
            rung: Rung::Ids,
            attempts: 0,
            second: false,
            selected: Selected::default(),
            mark: None,
            told: None,
            seen: IdSet::new(),
            vanished: IdSet::new(),
            flags: Vec::new(),
            tainted: false,
            news: Vec::new(),
        }
    }

    pub(super) fn id(&self) -> MailboxId {
        self.since.mailbox.id
    }

    /// Begins a pass (again) on a connection.
    pub(super) fn begin(&mut self, conn: &Conn) {
        self.rung = self.best_rung(conn).max(self.ceiling);
        self.selected = Selected::default();
        self.seen = IdSet::new();
        self.vanished = IdSet::new();
        self.flags.clear();
    }

    /// The connection was lost: all is told again over another one, also what could not be read on this.
    pub(super) fn restart(&mut self) {
        self.second = false;
        self.tainted = false;
    }

    fn best_rung(&self, conn: &Conn) -> Rung {
        let ids = if conn.capabilities.has("ESEARCH") {
            Rung::Ids
        } else {
            Rung::Fetched
        };
        let Some(then) = self.then().filter(|_| !self.second) else {
            // Ids that were noted before the mailbox was ever seen to the end: their flags may have changed since.
            let noted = self.since.checkpoint.is_some() && !self.since.known.is_empty();
            return if noted && !self.second { Rung::Flags } else { ids };
        };
        let can_resync = conn.enabled.has("QRESYNC") && then.next.is_some();
        match () {
            () if self.since.full || then.modseq == 0 || !conn.capabilities.has("CONDSTORE") => Rung::Flags,
            () if can_resync && !self.since.known.is_empty() => Rung::Resync,
            () => Rung::Since,
        }
    }

    /// The checkpoint, if there is one that we can read.
    fn then(&self) -> Option<Mark> {
        Mark::parse(&self.since.checkpoint.as_ref()?.token)
    }

    /// What goes in parentheses behind EXAMINE.
    pub(super) fn parameters(&self, conn: &Conn) -> Option<String> {
        if self.rung == Rung::Resync
            && let Some(then) = self.then()
        {
            let known = self.since.known.to_string();
            let known = if known.len() <= LONGEST_KNOWN {
                format!(" {known}")
            } else {
                String::new()
            };
            return Some(format!("(QRESYNC ({} {}{known}))", then.validity, then.modseq));
        }
        let enabled = conn.enabled.has("CONDSTORE") || conn.enabled.has("QRESYNC");
        // RFC 7162 §3.1.8
        let asks = conn.capabilities.has("CONDSTORE") && !enabled && self.ceiling <= Rung::Since;
        asks.then(|| "(CONDSTORE)".to_owned())
    }

    /// What is asked once the mailbox is open; `None`: opening tells all.
    pub(super) fn look_command(&self) -> Option<Command> {
        Some(match self.rung {
            Rung::Resync => return None,
            Rung::Since => {
                let modseq = self.then().map_or(1, |then| then.modseq);
                Command::new(format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq})"))
            }
            Rung::Flags => Command::new("UID FETCH 1:* (FLAGS)"),
            // RFC 4731 §3.1
            Rung::Ids => Command::new("UID SEARCH RETURN (ALL) ALL"),
            Rung::Fetched => Command::new("UID FETCH 1:* (UID)"),
        })
    }

    pub(super) fn needs_no_look(&self) -> bool {
        self.rung == Rung::Resync
    }

    /// Whether a refusal does not matter: in an empty mailbox some servers refuse to look.
    pub(super) fn forgives(&self, opens: bool) -> bool {
        !opens && self.mark.is_some() && self.selected.exists == 0
    }

    /// Takes note of untagged data, told while the mailbox is opened or afterwards.
    pub(super) fn note(&mut self, opens: bool, data: &Data<'_>) {
        if data.is_closed() {
            self.selected = Selected::default();
            self.seen = IdSet::new();
            self.vanished = IdSet::new();
            self.flags.clear();
            return;
        }
        if opens && self.rung != Rung::Resync {
            // Fetches here are still about the mailbox that was open before.
            if !matches!(data, Data::Fetch(_) | Data::Vanished { .. }) {
                self.selected.note(data);
            }
            return;
        }
        self.selected.note(data);
        match data {
            Data::Fetch(fetch) => self.fetched(fetch),
            Data::Vanished { ids, .. } => {
                self.seen = self.seen.difference(ids);
                self.vanished = self.vanished.union(ids);
            }
            Data::Search(ids) => self.seen = self.seen.union(ids),
            Data::Malformed => self.tainted = true,
            _ => {}
        }
    }

    fn fetched(&mut self, fetch: &Fetch<'_>) {
        let Some(id) = fetch.uid else {
            // HAZARDS 9: something happened to a message, and we cannot tell to which.
            self.tainted = true;
            return;
        };
        self.seen.insert(id);
        if let Some(flags) = &fetch.flags
            && self.since.known.contains(id)
        {
            self.flags.push((id, flags.clone()));
        }
    }

    /// The mailbox is open.
    pub(super) fn opened(&mut self, reply: &Reply) {
        self.selected.note_code(reply);
        self.selected.settle();
        let mark = Mark {
            validity: self.selected.validity.unwrap_or(0),
            next: self.selected.uidnext,
            messages: Some(self.selected.exists),
            modseq: self.selected.modseq,
        };
        let first = *self.mark.get_or_insert(mark);
        if self.told.is_none() {
            let validity = self.validity(&first);
            self.told = Some(validity);
            self.news.push(Seen::Opened {
                validity,
                next_id: first.next,
                // What cannot be written is found out when it is written: EXAMINE is always read-only.
                read_only: false,
                identity: self.selected.identity.clone(),
                listed_as: self.selected.validity.map(survey::listed_as),
                permanent: self.permanent(),
            });
        } else if mark.validity != first.validity {
            self.tainted = true;
        }
    }

    /// Which flags the mailbox lets be set, if it was asked. Of one that is open to be read only, it tells none, and that
    /// means nothing (HAZARDS 14).
    fn permanent(&self) -> Option<Permanent> {
        let is_told = self.since.permanent && !self.selected.read_only;
        is_told.then(|| self.selected.permanent.clone().unwrap_or_else(Permanent::everything))
    }

    /// The validity to tell: UIDVALIDITY, with a count in the upper half for each time that a server went back in time
    /// under the same one (HAZARDS 10).
    fn validity(&self, now: &Mark) -> u64 {
        let (Some(checkpoint), Some(then)) = (&self.since.checkpoint, self.then()) else {
            return now.validity;
        };
        if then.validity != now.validity || checkpoint.validity & u64::from(u32::MAX) != now.validity {
            return now.validity;
        }
        let fewer = now.next.zip(then.next).is_some_and(|(now, then)| now < then);
        let older = now.modseq > 0 && now.modseq < then.modseq;
        if fewer || older {
            (((checkpoint.validity >> 32) + 1) << 32) | now.validity
        } else {
            checkpoint.validity
        }
    }

    /// Whether the ids of the checkpoint still hold.
    fn holds(&self) -> bool {
        let then = self.since.checkpoint.as_ref().map(|checkpoint| checkpoint.validity);
        self.told.is_some() && self.told == then
    }

    /// The news that can be told already.
    pub(super) fn take_news(&mut self) -> Vec<Seen> {
        if self.told.is_some() && self.flags.len() >= PIECE {
            self.flush_flags();
        }
        std::mem::take(&mut self.news)
    }

    fn flush_flags(&mut self) {
        if !self.holds() {
            self.flags.clear();
        }
        let mut flags = std::mem::take(&mut self.flags);
        // A later line about the same message overrides an earlier one: stable sort, last one kept.
        flags.reverse();
        flags.sort_by_key(|(id, _)| *id);
        flags.dedup_by_key(|(id, _)| *id);
        for piece in flags.chunks(PIECE) {
            self.news.push(Seen::Flags(piece.to_vec()));
        }
    }

    /// All commands of this pass are answered: what it tells, and whether another is needed.
    pub(super) fn conclude(&mut self) -> (Vec<Seen>, Next) {
        self.flush_flags();
        let counted = self.selected.most;
        let next = if counted > MOST_MESSAGES {
            self.news.push(Seen::Partial(Failure::mailbox(format!(
                "the server counts {counted} messages in it, more than any mailbox holds"
            ))));
            Next::Over
        } else if self.adds_up() {
            self.tell_ids();
            self.news.push(match (self.tainted, self.mark) {
                (false, Some(mark)) => Seen::Complete(Checkpoint {
                    validity: self.told.unwrap_or(mark.validity),
                    next_id: mark.next,
                    token: mark.token(),
                }),
                _ => Seen::Partial(Failure::mailbox(
                    "the server told some of the changes in a way that cannot be read",
                )),
            });
            Next::Over
        } else if self.rung == Rung::Fetched {
            let what = "the server's list of messages does not agree with its count";
            self.news.push(Seen::Partial(Failure::mailbox(what)));
            Next::Over
        } else {
            // What ESEARCH got wrong, a FETCH of each id may get right.
            if self.rung == Rung::Ids {
                self.ceiling = Rung::Fetched;
            }
            self.second = true;
            Next::Pass
        };
        (std::mem::take(&mut self.news), next)
    }

    /// Whether what was told accounts for every message that the server counts.
    fn adds_up(&self) -> bool {
        match self.rung {
            Rung::Ids | Rung::Fetched | Rung::Flags => self.selected.agrees(&self.seen),
            Rung::Resync | Rung::Since => {
                let known = &self.since.known;
                let lost = known.intersection(&self.vanished);
                let new = self.seen.difference(known);
                self.holds() && known.len() - lost.len() + new.len() == self.selected.exists
            }
        }
    }

    fn tell_ids(&mut self) {
        let known = &self.since.known;
        let (added, removed) = match self.rung {
            _ if !self.holds() => (self.seen.clone(), IdSet::new()),
            Rung::Resync | Rung::Since => (self.seen.difference(known), known.intersection(&self.vanished)),
            Rung::Ids | Rung::Fetched | Rung::Flags => (self.seen.difference(known), known.difference(&self.seen)),
        };
        if !added.is_empty() {
            self.news.push(Seen::Added(added));
        }
        if !removed.is_empty() {
            self.news.push(Seen::Removed(removed));
        }
    }
}
