//! What an account holds. Sessions and "another client" (a test) change it through the same methods.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::super::mail::Mail;
use super::date::Date;
use super::flags::Flags;

/// Which flags a mailbox keeps (PERMANENTFLAGS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permanent {
    /// The system flags and any keyword (`\*`).
    Any,
    /// These only; others are dropped without a word.
    Only(Vec<String>),
}

impl Permanent {
    /// Whether that flag is kept.
    pub fn keeps(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(names) => names.iter().any(|n| n.eq_ignore_ascii_case(name)),
        }
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its UID.
    pub uid: u32,
    /// Its flags.
    pub flags: Flags,
    /// Its internal date.
    pub date: Date,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// Its mod-sequence (RFC 7162).
    pub modseq: u64,
}

impl Message {
    /// A number that equal content shares: EMAILID (RFC 8474) and X-GM-MSGID.
    pub fn content_number(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.bytes.hash(&mut hasher);
        hasher.finish() >> 1
    }
}

/// A mailbox.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// MAILBOXID; stays when it is renamed.
    pub id: u64,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// UIDNEXT.
    pub uid_next: u32,
    /// HIGHESTMODSEQ.
    pub modseq: u64,
    /// By UID.
    pub messages: BTreeMap<u32, Message>,
    /// What was expunged, and when: UID and mod-sequence.
    pub gone: Vec<(u32, u64)>,
    /// PERMANENTFLAGS.
    pub permanent: Permanent,
    /// Only ever opened read-only.
    pub read_only: bool,
    /// SELECT is refused with NO.
    pub closed: bool,
    /// SPECIAL-USE attribute, such as `\Sent`.
    pub role: Option<String>,
    /// Messages from this UID on are `\Recent` to whoever looks first.
    pub(super) recent_from: u32,
    /// Changes whenever sessions that have it open must not go on: UIDVALIDITY changed, restored.
    pub(super) epoch: u64,
}

impl Mailbox {
    /// Its messages, by UID.
    pub fn iter(&self) -> impl Iterator<Item = &Message> {
        self.messages.values()
    }

    /// The message with that UID.
    pub fn message(&self, uid: u32) -> &Message {
        self.messages
            .get(&uid)
            .unwrap_or_else(|| panic!("no message with UID {uid}"))
    }

    /// How many messages lack a flag.
    pub fn without(&self, flag: &str) -> usize {
        self.iter().filter(|m| !m.flags.has(flag)).count()
    }

    pub(super) fn bump(&mut self) -> u64 {
        self.modseq += 1;
        self.modseq
    }

    /// Adds a message and gives its UID.
    pub fn add(&mut self, bytes: Arc<[u8]>, flags: &Flags, date: Date) -> u32 {
        let (uid, modseq) = (self.uid_next, self.bump());
        let flags = flags.filter(|name| self.permanent.keeps(name));
        let message = Message {
            uid,
            flags,
            date,
            bytes,
            modseq,
        };
        self.messages.insert(uid, message);
        self.uid_next += 1;
        uid
    }

    /// Sets the flags of a message; true if that changed them.
    pub fn set_flags(&mut self, uid: u32, flags: &Flags) -> bool {
        let flags = flags.filter(|name| self.permanent.keeps(name));
        let modseq = self.modseq + 1;
        match self.messages.get_mut(&uid) {
            Some(message) if message.flags != flags => {
                message.flags = flags;
                message.modseq = modseq;
                self.modseq = modseq;
                true
            }
            _ => false,
        }
    }

    /// Removes a message for good.
    pub fn expunge(&mut self, uid: u32) -> Option<Message> {
        let message = self.messages.remove(&uid)?;
        let modseq = self.bump();
        self.gone.push((uid, modseq));
        Some(message)
    }
}

/// An account: its mailboxes by name, decoded, with the server's separator and prefix.
#[derive(Clone, Debug)]
pub struct Account {
    /// The mailboxes.
    pub mailboxes: BTreeMap<String, Mailbox>,
    /// Subscribed names, whether they exist or not.
    pub subscribed: BTreeSet<String>,
    pub(super) separator: Option<char>,
    permanent: Permanent,
    one_validity: bool,
    renames_void_uids: bool,
    numbers: u64,
}

impl Account {
    pub(super) fn new(setup: &super::Setup) -> Self {
        let mut account = Self {
            mailboxes: BTreeMap::new(),
            subscribed: BTreeSet::new(),
            separator: setup.separator,
            permanent: setup.permanent.clone(),
            one_validity: setup.one_validity,
            renames_void_uids: setup.renames_void_uids,
            numbers: 0,
        };
        account.create("INBOX");
        account
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn validity(&mut self) -> u32 {
        1_700_000_000 + if self.one_validity { 0 } else { self.number() as u32 }
    }

    /// The mailbox of that name.
    pub fn mailbox(&self, name: &str) -> &Mailbox {
        let names = || self.mailboxes.keys().collect::<Vec<_>>();
        self.mailboxes
            .get(name)
            .unwrap_or_else(|| panic!("no mailbox {name:?} in {:?}", names()))
    }

    /// The mailbox of that name, to be changed.
    pub fn mailbox_mut(&mut self, name: &str) -> &mut Mailbox {
        self.mailboxes
            .get_mut(name)
            .unwrap_or_else(|| panic!("no mailbox {name:?}"))
    }

    /// The name of the mailbox that a session opened.
    pub(super) fn name_of(&self, epoch: u64) -> Option<String> {
        let mut all = self.mailboxes.iter();
        all.find(|(_, m)| m.epoch == epoch).map(|(name, _)| name.clone())
    }

    /// Creates a mailbox; false if it is there.
    pub fn create(&mut self, name: &str) -> bool {
        if self.mailboxes.contains_key(name) {
            return false;
        }
        let mailbox = Mailbox {
            id: self.number(),
            uid_validity: self.validity(),
            uid_next: 1,
            modseq: 1,
            messages: BTreeMap::new(),
            gone: Vec::new(),
            permanent: self.permanent.clone(),
            read_only: false,
            closed: false,
            role: None,
            recent_from: 1,
            epoch: self.number(),
        };
        self.mailboxes.insert(name.to_owned(), mailbox);
        true
    }

    /// Deletes a mailbox with its messages, not its inferiors; false if there is none or it is the INBOX.
    pub fn delete(&mut self, name: &str) -> bool {
        name != "INBOX" && self.mailboxes.remove(name).is_some()
    }

    /// The names below a mailbox.
    pub fn inferiors(&self, name: &str) -> Vec<String> {
        let Some(separator) = self.separator else {
            return Vec::new();
        };
        let below = format!("{name}{separator}");
        self.mailboxes
            .keys()
            .filter(|n| n.starts_with(&below))
            .cloned()
            .collect()
    }

    /// Renames a mailbox and its inferiors; of the INBOX only the messages move (RFC 3501 §6.3.5).
    /// False if there is nothing of that name or the new one is taken.
    pub fn rename(&mut self, from: &str, to: &str) -> bool {
        let inferiors = self.inferiors(from);
        let known = self.mailboxes.contains_key(from);
        if self.mailboxes.contains_key(to) || (!known && inferiors.is_empty()) {
            return false;
        }
        if from == "INBOX" {
            self.create(to);
            for uid in self.mailbox("INBOX").messages.keys().copied().collect::<Vec<_>>() {
                self.relocate("INBOX", uid, to);
            }
            return true;
        }
        for name in known.then(|| from.to_owned()).into_iter().chain(inferiors) {
            let mailbox = self.mailboxes.remove(&name).expect("just listed");
            let renamed = format!("{to}{}", &name[from.len()..]);
            self.mailboxes.insert(renamed.clone(), mailbox);
            if self.renames_void_uids {
                self.bump_validity(&renamed);
            }
        }
        true
    }

    /// Delivers a message and gives its UID.
    pub fn deliver(&mut self, mailbox: &str, mail: &Mail) -> u32 {
        let flags = &Flags::new(&mail.flags);
        self.mailbox_mut(mailbox)
            .add(mail.bytes.as_slice().into(), flags, mail.date)
    }

    /// Adds and clears flags of a message.
    pub fn flag(&mut self, mailbox: &str, uid: u32, add: &[&str], remove: &[&str]) {
        let mailbox = self.mailbox_mut(mailbox);
        let mut flags = mailbox.message(uid).flags.clone();
        for name in remove {
            flags.remove(name);
        }
        for name in add {
            flags.insert(name);
        }
        mailbox.set_flags(uid, &flags);
    }

    /// Removes a message for good.
    pub fn expunge(&mut self, mailbox: &str, uid: u32) {
        assert!(
            self.mailbox_mut(mailbox).expunge(uid).is_some(),
            "no UID {uid} in {mailbox}"
        );
    }

    /// Copies a message and gives the new UID.
    pub fn duplicate(&mut self, from: &str, uid: u32, to: &str) -> u32 {
        let message = self.mailbox(from).message(uid).clone();
        self.mailbox_mut(to).add(message.bytes, &message.flags, message.date)
    }

    /// Moves a message and gives the new UID.
    pub fn relocate(&mut self, from: &str, uid: u32, to: &str) -> u32 {
        let new = self.duplicate(from, uid, to);
        self.expunge(from, uid);
        new
    }

    /// Gives a mailbox a new UIDVALIDITY; its messages get new UIDs, in the same order.
    pub fn bump_validity(&mut self, name: &str) {
        let (validity, epoch) = (self.validity(), self.number());
        let mailbox = self.mailbox_mut(name);
        let (old, step) = (
            std::mem::take(&mut mailbox.messages),
            u32::from(mailbox.uid_validity == validity),
        );
        mailbox.uid_validity = validity + step;
        mailbox.epoch = epoch;
        mailbox.gone.clear();
        mailbox.uid_next = 1;
        for message in old.into_values() {
            mailbox.add(message.bytes, &message.flags, message.date);
        }
    }

    /// Puts back a mailbox as it was, UIDNEXT and HIGHESTMODSEQ too: the server was restored from a backup.
    pub fn restore(&mut self, name: &str, backup: &Mailbox) {
        let epoch = self.number();
        let restored = Mailbox {
            epoch,
            ..backup.clone()
        };
        self.mailboxes.insert(name.to_owned(), restored);
    }

    /// Names of levels that do not exist themselves but have inferiors.
    pub fn implied(&self) -> BTreeSet<String> {
        let Some(separator) = self.separator else {
            return BTreeSet::new();
        };
        let levels = |name: &String| {
            let cuts: Vec<usize> = name
                .match_indices(separator)
                .map(|(at, _)| at)
                .filter(|&at| at > 0)
                .collect();
            cuts.into_iter().map(|at| name[..at].to_owned()).collect::<Vec<_>>()
        };
        let all = self.mailboxes.keys().flat_map(levels);
        all.filter(|name| !self.mailboxes.contains_key(name)).collect()
    }
}
