//! What one session was told of its mailbox: sequence numbers mean something only here.

use std::collections::{BTreeSet, HashMap};

use super::account::{Account, Mailbox, Message};
use super::reply::Reply;
use super::set::{self, Set};

/// A selected mailbox as its client knows it.
#[derive(Debug)]
pub struct View {
    pub epoch: u64,
    /// By sequence number; those expunged by others stay until the client is told.
    pub uids: Vec<u32>,
    pub recent: BTreeSet<u32>,
    pub read_only: bool,
    /// All changes up to here are told.
    known: u64,
    /// Changes made by this session itself: UID and mod-sequence.
    told: HashMap<u32, u64>,
    /// Expunges are still to be told.
    owes: bool,
}

/// How a session wants to be told.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// EXPUNGE and VANISHED may be sent now (RFC 3501 §7.4.1).
    pub expunges: bool,
    pub condstore: bool,
    pub qresync: bool,
    /// HIGHESTMODSEQ is always 0.
    pub zero_modseq: bool,
    /// VANISHED names a living message, too.
    pub vanished_names_living: bool,
}

impl View {
    /// Opens a mailbox. Its recent messages are this session's, unless it only examines.
    pub fn open(mailbox: &mut Mailbox, read_only: bool) -> Self {
        let recent = mailbox
            .messages
            .range(mailbox.recent_from..)
            .map(|(&uid, _)| uid)
            .collect();
        if !read_only {
            mailbox.recent_from = mailbox.uid_next;
        }
        Self {
            epoch: mailbox.epoch,
            uids: mailbox.messages.keys().copied().collect(),
            recent,
            read_only,
            known: mailbox.modseq,
            told: HashMap::new(),
            owes: false,
        }
    }

    /// The sequence number of a UID.
    pub fn number(&self, uid: u32) -> Option<u32> {
        self.uids.binary_search(&uid).ok().map(|at| at as u32 + 1)
    }

    /// The UIDs in a set of UIDs or of sequence numbers, ascending; an error for a number that is not there.
    pub fn pick(&self, set: &Set, uid: bool) -> Result<Vec<u32>, String> {
        if uid {
            let ranges = set.resolve(self.uids.last().copied().unwrap_or(0));
            return Ok(self.uids.iter().copied().filter(|&u| ranges.contains(u)).collect());
        }
        let count = self.uids.len() as u32;
        let ranges = set.resolve(count);
        match (ranges.first(), ranges.last()) {
            (Some(1..), Some(last)) if last <= count => {
                let chosen = |&at: &usize| ranges.contains(at as u32 + 1);
                Ok((0..self.uids.len()).filter(chosen).map(|at| self.uids[at]).collect())
            }
            _ => Err(format!("no such sequence number: {count} messages")),
        }
    }

    /// The session itself made this change and its client knows.
    pub fn tell_own(&mut self, uid: u32, modseq: u64) {
        self.told.insert(uid, modseq);
    }

    /// The flags as this session sees them, for `FLAGS (…)`.
    pub fn flags(&self, message: &Message) -> String {
        let recent = self.recent.contains(&message.uid).then_some("\\Recent");
        message.flags.names().chain(recent).collect::<Vec<_>>().join(" ")
    }

    /// A whole FETCH line about the flags of a message.
    pub fn flags_line(&self, message: &Message, uid: bool, manner: Manner) -> String {
        let mut items = vec![format!("FLAGS ({})", self.flags(message))];
        if uid || manner.condstore {
            items.insert(0, format!("UID {}", message.uid));
        }
        if manner.condstore {
            items.push(format!(
                "MODSEQ ({})",
                if manner.zero_modseq { 1 } else { message.modseq }
            ));
        }
        format!("{} FETCH ({})", self.number(message.uid).unwrap_or(0), items.join(" "))
    }

    /// Tells of all that others did since the last time.
    pub fn tell(&mut self, account: &mut Account, name: &str, manner: Manner, reply: &mut Reply) {
        let mailbox = account.mailbox_mut(name);
        if mailbox.modseq == self.known && !self.owes {
            return;
        }
        let gone: Vec<u32> = self
            .uids
            .iter()
            .copied()
            .filter(|uid| !mailbox.messages.contains_key(uid))
            .collect();
        self.owes = !gone.is_empty() && !manner.expunges;
        if manner.expunges && !gone.is_empty() {
            self.tell_gone(&gone, manner, reply);
        }
        let last = self.uids.last().copied().unwrap_or(0);
        for message in mailbox
            .messages
            .range(..=last)
            .map(|(_, m)| m)
            .filter(|m| m.modseq > self.known)
        {
            if self.told.get(&message.uid) != Some(&message.modseq) && self.number(message.uid).is_some() {
                reply.untagged(&self.flags_line(message, false, manner));
            }
        }
        let arrived: Vec<u32> = mailbox.messages.range(last + 1..).map(|(&uid, _)| uid).collect();
        if !arrived.is_empty() {
            self.recent
                .extend(arrived.iter().filter(|&&uid| uid >= mailbox.recent_from));
            self.uids.extend(arrived);
            if !self.read_only {
                mailbox.recent_from = mailbox.uid_next;
            }
            reply.untagged(&format!("{} EXISTS", self.uids.len()));
            reply.untagged(&format!("{} RECENT", self.recent.len()));
        }
        self.known = mailbox.modseq;
        self.told.clear();
    }

    fn tell_gone(&mut self, gone: &[u32], manner: Manner, reply: &mut Reply) {
        if manner.qresync {
            // RFC 7162 §3.2.10: VANISHED instead of EXPUNGE.
            let living = self
                .uids
                .iter()
                .copied()
                .find(|uid| !gone.contains(uid))
                .filter(|_| manner.vanished_names_living);
            let named: BTreeSet<u32> = gone.iter().copied().chain(living).collect();
            reply.untagged(&format!("VANISHED {}", set::write(named)));
        }
        for uid in gone {
            let number = self.number(*uid).expect("it was told");
            self.uids.remove(number as usize - 1);
            self.recent.remove(uid);
            if !manner.qresync {
                reply.untagged(&format!("{number} EXPUNGE"));
            }
        }
    }
}
