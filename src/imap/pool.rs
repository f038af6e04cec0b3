//! An account's connections and what was learnt over them: opened when needed, kept, replaced when lost.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::code::Permanent;
use super::conn::Conn;
use super::names::Spelling;
use super::selected::Selected;
use super::wire::{Counters, stopped};
use super::{Options, connect, login};
use crate::error::{Failure, Kind, Result, Retry};
use crate::model::RawName;

/// A connection that was idle for so long may be gone without a word.
const STALE: Duration = Duration::from_secs(30);
/// How often in a row a connection may be lost before the account gives up.
const ATTEMPTS: u32 = 4;
/// The wait before the second try, doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(300);

/// One account: its options, its connections and what it learnt.
pub(super) struct Account {
    pub(super) options: Options,
    pub(super) counters: Arc<Counters>,
    /// One command at a time (HAZARDS 3).
    pub(super) serial: Arc<AtomicBool>,
    idle: Mutex<Vec<(Conn, Instant)>>,
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
    /// The validity that the caller was told last; ids given to us are meant under it.
    told: HashMap<RawName, u64>,
    /// UIDVALIDITY as seen otherwise, where the caller was told nothing.
    seen: HashMap<RawName, u64>,
    /// What each mailbox holds for good, as SELECT told.
    pub(super) permanent: HashMap<RawName, Holds>,
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

    /// The mailbox is gone, or has another name.
    pub(super) fn forget(&mut self, mailbox: &RawName) -> Option<u64> {
        self.permanent.remove(mailbox);
        self.seen.remove(mailbox);
        self.told.remove(mailbox)
    }
}

/// What flags a mailbox can hold.
#[derive(Clone)]
pub(super) struct Holds {
    /// What can be changed for good.
    pub(super) permanent: Permanent,
    /// All flags that are in use.
    pub(super) listed: crate::model::Flags,
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
            options,
            counters: Arc::default(),
            serial: Arc::default(),
            idle: Mutex::default(),
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
            let fresh = since.elapsed() < STALE;
            if fresh || conn.ask(super::command::Command::new("NOOP"), |_| ()).is_ok() {
                return Ok(self.leased(conn));
            }
        }
        let (mut conn, logged_in) = connect::open(self)?;
        login::login(&mut conn, &self.options, logged_in)?;
        self.memory().utf8 = conn.capabilities.utf8_only();
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

    /// Waits, unless the user wants to stop.
    pub(super) fn pause(&self, how_long: Duration) -> Result<()> {
        let end = Instant::now() + how_long;
        loop {
            if self.is_stopped() {
                return Err(stopped());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
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
            idle.push((conn, Instant::now()));
        }
    }
}

/// Lost connections in a row.
#[derive(Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Something was answered: the next loss is the first again.
    pub(super) fn progress(&mut self) {
        self.0 = 0;
    }

    /// Waits before the next try; fails when there is to be none.
    pub(super) fn again(&mut self, account: &Account, failure: Failure) -> Result<()> {
        self.0 += 1;
        if failure.retry != Retry::Now || failure.kind != Kind::Temporary {
            return Err(failure);
        }
        if self.0 >= ATTEMPTS {
            return Err(failure.retry(Retry::Later));
        }
        account.pause(FIRST_WAIT * 2_u32.pow(self.0 - 1))
    }
}
