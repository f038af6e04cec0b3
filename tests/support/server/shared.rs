//! What all connections of a server share.

use std::collections::{BTreeMap, HashMap};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::account::Account;
use super::fault::{Point, Table, What};
use super::session::Session;
use super::setup::{Lies, Setup, Tls};
use super::transcript::Entry;

/// Everything that outlives a connection.
pub struct Shared {
    pub setup: Setup,
    pub acceptor: Option<native_tls::TlsAcceptor>,
    pub accounts: Mutex<BTreeMap<String, Account>>,
    pub lies: Mutex<Lies>,
    pub log: Mutex<Log>,
    pub sockets: Mutex<HashMap<u64, TcpStream>>,
    /// Logged-in connections of each user.
    pub logins: Mutex<HashMap<String, usize>>,
    pub connections: AtomicU64,
    /// The client's process; 0: unknown.
    pub client: AtomicI32,
    /// How often the faults were removed.
    pub healed: AtomicUsize,
    pub stopping: AtomicBool,
    pub started: Instant,
}

/// What was said, what was wrong with it, and what is still to go wrong.
#[derive(Default)]
pub struct Log {
    pub entries: Vec<Entry>,
    pub complaints: Vec<String>,
    pub faults: Table,
    pub struck: usize,
    pub round_trips: usize,
    /// Commands that ended since the server began; never cleared.
    pub ended: usize,
}

/// A test that panicked while it held a lock must not hide its message behind others.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(setup: Setup) -> Self {
        let acceptor = match &setup.tls {
            Tls::None => None,
            Tls::Implicit(certificate) | Tls::Explicit(certificate) => Some(certificate.acceptor()),
        };
        let accounts = setup.users.iter().map(|(user, _)| (user.clone(), Account::new(&setup)));
        Self {
            acceptor,
            accounts: Mutex::new(accounts.collect()),
            lies: Mutex::new(setup.lies.clone()),
            log: Mutex::default(),
            sockets: Mutex::default(),
            logins: Mutex::default(),
            connections: AtomicU64::new(0),
            client: AtomicI32::new(0),
            healed: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            started: Instant::now(),
            setup,
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Sleeps, but not beyond the end of the server, nor of its faults.
    pub fn sleep(&self, time: Duration) {
        let end = Instant::now() + time;
        let healed = self.healed.load(Ordering::SeqCst);
        while !self.is_stopping() && self.healed.load(Ordering::SeqCst) == healed {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(Duration::from_millis(10)));
        }
    }

    /// Sleeps until so many more commands were answered, on any connection; not longer than a second.
    pub fn sleep_over(&self, commands: usize) {
        let answered = || lock(&self.log).ended;
        let (begun, end) = (answered(), Instant::now() + Duration::from_secs(1));
        while answered() < begun + commands && Instant::now() < end && !self.is_stopping() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends the client's process a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(client) = Pid::from_raw(self.client.load(Ordering::SeqCst)) {
            // It may be over already.
            let _ = kill_process(client, signal);
        }
    }

    pub fn complain(&self, connection: u64, line: &[u8], why: &str) {
        let shown = &line[..line.len().min(200)];
        let text = format!(
            "connection {connection}: {why}, in: {}",
            shown.trim_ascii_end().escape_ascii()
        );
        lock(&self.log).complaints.push(text);
    }

    /// What is to happen to a command of that verb.
    pub fn strike(&self, verb: &str) -> Vec<(Point, What)> {
        let mut log = lock(&self.log);
        let struck = log.faults.strike(verb);
        log.struck += struck.len();
        struck
    }
}

/// Takes connections until the server is dropped.
pub fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for tcp in listener.incoming() {
        if shared.is_stopping() {
            return;
        }
        let Ok(tcp) = tcp else { continue };
        let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        if let Ok(clone) = tcp.try_clone() {
            lock(&shared.sockets).insert(number, clone);
        }
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // Whatever ends a connection ends it for the client too; the session has nothing more to say.
            let _ = Session::serve(&shared, number, tcp);
            lock(&shared.sockets).remove(&number);
        });
    }
}
