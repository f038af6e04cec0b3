//! An account's connections and what was learnt over them: opened when needed, kept, replaced when lost.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::conn::Conn;
use super::counters::Counters;
use super::names::Spelling;
use super::retry::Tries;
use super::selected::Selected;
use super::trust::Trust;
use super::{Options, connect, login};
use crate::error::{Failure, Result};
use crate::model::{Flags, Permanent, RawName};

/// A connection that was idle for so long may be gone without a word. By the clock on the wall: the other one stands still
/// while the computer sleeps.
const STALE: Duration = Duration::from_secs(30);

/// One account: its options, its connections and what it learnt.
pub(super) struct Account {
    pub(super) options: Options,
    pub(super) counters: Arc<Counters>,
    pub(super) trust: Arc<Trust>,
    idle: Mutex<Vec<(Conn, SystemTime)>>,
    /// A connection got as far as the login.
    reached: AtomicBool,
    /// Connections at most, lowered when the server refuses more.
    limit: AtomicUsize,
    memory: Mutex<Memory>,
}

/// What was learnt of the account and its mailboxes.
#[derive(Default)]
pub(super) struct Memory {
    /// How names are spelled, once a survey told.
    pub(super) spelling: Option<Spelling>,
    /// Names are UTF-8, as the capabilities told.
    pub(super) utf8: bool,
    /// Messages have object ids, as the capabilities told.
    pub(super) objects: bool,
    /// The validity that the caller was told last; ids given to us are meant under it.
    told: HashMap<RawName, u64>,
    /// UIDVALIDITY as seen otherwise, where the caller was told nothing.
    seen: HashMap<RawName, u64>,
    /// What each mailbox holds for good, as SELECT told.
    pub(super) permanent: HashMap<RawName, Holds>,
    /// The smallest message for which a mailbox had no room.
    no_room: HashMap<RawName, u64>,
    /// Mailboxes that take nothing from us, and how they said so.
    pub(super) closed: HashMap<RawName, Failure>,
    /// Where messages are being sent to, once for each connection that does.
    sending: Vec<RawName>,
    /// Several messages in one command were refused: from now on each goes by itself.
    pub(super) one_by_one: bool,
}

impl Memory {
    /// The UIDVALIDITY under which the caller knows a mailbox; nothing is changed under another one.
    pub(super) fn expected(&self, mailbox: &RawName) -> Option<u64> {
        let told = self.told.get(mailbox).map(|told| told & u64::from(u32::MAX));
        told.or_else(|| self.seen.get(mailbox).copied())
    }

    /// The validity that the caller was told.
    pub(super) fn told(&self, mailbox: &RawName) -> Option<u64> {
        self.told.get(mailbox).copied()
    }

    /// The caller is told a validity.
    pub(super) fn tell(&mut self, mailbox: &RawName, validity: u64) {
        self.told.insert(mailbox.clone(), validity);
    }

    /// A UIDVALIDITY was seen; what was known before stands, since the caller's ids are meant under that.
    pub(super) fn see(&mut self, mailbox: &RawName, validity: u64) {
        self.seen.entry(mailbox.clone()).or_insert(validity);
    }

    /// The smallest size that a mailbox had no room for.
    fn no_room_for(&self, mailbox: &RawName) -> u64 {
        self.no_room.get(mailbox).copied().unwrap_or(u64::MAX)
    }

    /// Whether it was refused that the mailbox takes that much, or less.
    pub(super) fn has_no_room(&self, mailbox: &RawName, size: u64) -> bool {
        size >= self.no_room_for(mailbox)
    }

    /// The server refused a message of that size for want of room.
    pub(super) fn no_room(&mut self, mailbox: &RawName, size: u64) {
        let least = size.min(self.no_room_for(mailbox));
        self.no_room.insert(mailbox.clone(), least);
    }

    /// A mailbox took a message with these flags, so they are in use there now and need no go-ahead (HAZARDS 1).
    pub(super) fn took(&mut self, mailbox: &RawName, given: &Flags) {
        if let (Some(holds), false) = (self.permanent.get_mut(mailbox), given.keywords().is_empty()) {
            holds.listed = holds.listed.union(given);
        }
    }

    /// Whether a connection is sending messages there.
    pub(super) fn is_sent_to(&self, mailbox: &RawName) -> bool {
        self.sending.contains(mailbox)
    }

    /// Mailboxes are called something else: `renamed` tells the new name of those that are.
    pub(super) fn rename(&mut self, renamed: impl Fn(&RawName) -> Option<RawName>) {
        fn carry<T>(map: &mut HashMap<RawName, T>, renamed: impl Fn(&RawName) -> Option<RawName>) {
            let all = std::mem::take(map).into_iter();
            // The new name may be that of a mailbox that is gone, so what moved goes in last.
            let (moved, same): (Vec<_>, Vec<_>) = all
                .map(|(name, value)| (renamed(&name), name, value))
                .partition(|(new, ..)| new.is_some());
            let named = same.into_iter().chain(moved);
            map.extend(named.map(|(new, old, value)| (new.unwrap_or(old), value)));
        }
        carry(&mut self.told, &renamed);
        carry(&mut self.seen, &renamed);
        carry(&mut self.permanent, &renamed);
    }

    /// The mailbox is gone.
    pub(super) fn forget(&mut self, mailbox: &RawName) -> Option<u64> {
        self.permanent.remove(mailbox);
        self.seen.remove(mailbox);
        self.told.remove(mailbox)
    }
}

/// A connection sends messages to this mailbox, until it is dropped.
pub(super) struct Sending<'a> {
    account: &'a Account,
    pub(super) to: RawName,
}

impl<'a> Sending<'a> {
    pub(super) fn begin(account: &'a Account, to: &RawName) -> Self {
        account.memory().sending.push(to.clone());
        Self {
            account,
            to: to.clone(),
        }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let mut memory = self.account.memory();
        if let Some(at) = memory.sending.iter().position(|to| *to == self.to) {
            memory.sending.swap_remove(at);
        }
    }
}

/// What flags a mailbox can hold.
#[derive(Clone)]
pub(super) struct Holds {
    /// What can be changed for good.
    pub(super) permanent: Permanent,
    /// All flags that are in use.
    pub(super) listed: Flags,
}

impl Holds {
    pub(super) fn new(selected: &Selected) -> Self {
        let permanent = selected.permanent.clone().unwrap_or_else(Permanent::everything);
        Self {
            listed: selected.flags.union(&permanent.flags),
            permanent,
        }
    }
}

impl Account {
    pub(super) fn new(mut options: Options) -> Self {
        options.connections = options.connections.max(1);
        Self {
            limit: AtomicUsize::new(options.connections),
            trust: Arc::new(Trust::remembered(options.serial)),
            counters: Arc::new(Counters::bearing(options.bearing.clone())),
            options,
            idle: Mutex::default(),
            reached: AtomicBool::new(false),
            memory: Mutex::default(),
        }
    }

    /// What was learnt. Held for a moment only.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections there may be.
    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// The server refused one more than `open`.
    pub(super) fn lower_limit(&self, open: usize) {
        self.limit.fetch_min(open.max(1), Ordering::Relaxed);
    }

    /// Whether the server let us in before.
    pub(super) fn was_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// Whether the user wants to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.options.stop.load(Ordering::Relaxed)
    }

    /// A connection that is logged in.
    pub(super) fn lease(&self) -> Result<Lease<'_>> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Some((mut conn, since)) = idle().pop() else {
                break;
            };
            let fresh = since.elapsed().is_ok_and(|idle| idle < STALE);
            if fresh || conn.ask(super::command::Command::new("NOOP"), |_| ()).is_ok() {
                return Ok(self.leased(conn));
            }
        }
        let (mut conn, logged_in) = connect::open(self)?;
        login::login(&mut conn, &self.options, logged_in)?;
        self.reached.store(true, Ordering::Relaxed);
        self.memory().utf8 = conn.capabilities.utf8_only();
        self.memory().objects = conn.capabilities.object_item().is_some();
        Ok(self.leased(conn))
    }

    fn leased(&self, conn: Conn) -> Lease<'_> {
        Lease {
            conn: Some(conn),
            account: self,
        }
    }

    /// Does something on a connection, again on a new one when it is lost.
    pub(super) fn with_conn<T>(&self, mut errand: impl FnMut(&mut Conn) -> Result<T>) -> Result<T> {
        let mut tries = Tries::default();
        loop {
            let outcome = self.lease().and_then(|mut conn| errand(&mut conn));
            match outcome {
                Err(failure) => tries.again(self, failure)?,
                done => return done,
            }
        }
    }
}

/// A connection on loan. It goes back when it is in step, else it is closed.
pub(super) struct Lease<'a> {
    conn: Option<Conn>,
    account: &'a Account,
}

impl Deref for Lease<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        self.conn.as_ref().expect("there until it is dropped")
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        self.conn.as_mut().expect("there until it is dropped")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(mut conn) = self.conn.take().filter(|conn| conn.clean) {
            conn.wire.impatient = true;
            let mut idle = self.account.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push((conn, SystemTime::now()));
        }
    }
}
