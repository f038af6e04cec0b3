//! An IMAP server in this process: an instrument to test with.
//!
//! It speaks IMAP4rev1 with the extensions that [`Setup`] switches on, keeps everything in memory, writes down all that
//! was said, complains about a client that breaks the rules, and misbehaves on command ([`Fault`], [`Lies`]).
//! It is never the only proof of a protocol feature: Dovecot is.
//!
//! ```ignore
//! let server = Server::start(Setup::default().without(&["QRESYNC"]));
//! server.with("user", |account| account.deliver("INBOX", &mail));
//! server.inject(Fault::new("UID FETCH", 1, Point::MidReply(40), What::Cut));
//! // … a client talks to server.port() …
//! assert_eq!(server.account("user").mailbox("INBOX").messages.len(), 1);
//! assert!(server.changing().is_empty());
//! server.assert_no_complaints();
//! ```

pub mod account;
mod body;
mod commands;
pub mod date;
mod execute;
mod fault;
pub mod flags;
mod io;
mod names;
mod parse;
mod read;
mod reply;
mod send;
mod session;
pub mod set;
mod setup;
mod shared;
mod tls;
mod transcript;
mod view;

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use account::{Account, Mailbox, Message, Permanent};
pub use date::Date;
pub use fault::{Fault, GREETING, Point, What, When, points};
pub use flags::Flags;
pub use reply::Status;
pub use setup::{Caps, Lies, Setup, Tls};
pub use tls::Certificate;
pub use transcript::{CHANGING, Entry};

use shared::{Log, Shared};

/// A running server. Dropped, it ends all connections and its threads.
pub struct Server {
    shared: Arc<Shared>,
    port: u16,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1.
    pub fn start(setup: Setup) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let shared = Arc::new(Shared::new(setup));
        let theirs = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || shared::accept(&listener, &theirs));
        Self {
            shared,
            port,
            accepting: Some(accepting),
        }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How it was set up.
    pub fn setup(&self) -> &Setup {
        &self.shared.setup
    }

    /// An account as it is now. Cheap: messages are shared.
    pub fn account(&self, user: &str) -> Account {
        self.with(user, |account| account.clone())
    }

    /// Changes an account, as another client would: sessions are told at their next command.
    pub fn with<T>(&self, user: &str, change: impl FnOnce(&mut Account) -> T) -> T {
        let mut accounts = shared::lock(&self.shared.accounts);
        change(accounts.get_mut(user).unwrap_or_else(|| panic!("no user {user:?}")))
    }

    /// Installs a fault; it counts commands from now on.
    pub fn inject(&self, fault: Fault) {
        self.log().faults.add(fault);
    }

    /// Which process the client is, for [`What::Signal`].
    pub fn client_is(&self, process: u32) {
        self.shared.client.store(process.cast_signed(), Ordering::SeqCst);
    }

    /// Removes all faults; who stalls goes on.
    pub fn heal(&self) {
        self.log().faults.clear();
        self.shared.healed.fetch_add(1, Ordering::SeqCst);
    }

    /// How many faults have struck.
    pub fn struck(&self) -> usize {
        self.log().struck
    }

    /// Waits until all sessions are over, those included whose clients are gone. Only when nobody is connected.
    pub fn settle(&self) {
        let end = Instant::now() + Duration::from_secs(30);
        while !shared::lock(&self.shared.sockets).is_empty() {
            assert!(Instant::now() < end, "a session does not end:\n{}", self.transcript());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// From now on it lies like this.
    pub fn lie(&self, lies: Lies) {
        *shared::lock(&self.shared.lies) = lies;
    }

    /// Every command so far, in the order in which they ended.
    pub fn commands(&self) -> Vec<Entry> {
        self.log().entries.clone()
    }

    /// The commands that would change something on the server: a run with nothing to do has none.
    pub fn changing(&self) -> Vec<Entry> {
        self.log().entries.iter().filter(|e| e.is_changing()).cloned().collect()
    }

    /// How many commands of that verb (`UID FETCH`) there were.
    pub fn count(&self, verb: &str) -> usize {
        self.log().entries.iter().filter(|e| e.verb == verb).count()
    }

    /// How often a client, having got all its answers, sent more. The greeting is not counted.
    pub fn round_trips(&self) -> usize {
        self.log().round_trips
    }

    /// How many connections there were.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Forgets all commands and complaints and counts connections and round trips from zero. Faults stay.
    pub fn clear(&self) {
        let mut log = self.log();
        *log = Log {
            faults: std::mem::take(&mut log.faults),
            struck: log.struck,
            ended: log.ended,
            ..Log::default()
        };
        self.shared.connections.store(0, Ordering::SeqCst);
    }

    /// What clients did that they must not, or had better not, do.
    pub fn complaints(&self) -> Vec<String> {
        self.log().complaints.clone()
    }

    /// Panics with the complaints if there are any.
    pub fn assert_no_complaints(&self) {
        let complaints = self.complaints();
        assert!(
            complaints.is_empty(),
            "the server complains:\n{}",
            complaints.join("\n")
        );
    }

    /// All that was said, to be printed.
    pub fn transcript(&self) -> String {
        self.commands().iter().map(|e| format!("{e}\n")).collect()
    }

    /// Ends all connections, as a restart of the server would.
    pub fn drop_connections(&self) {
        for socket in shared::lock(&self.shared.sockets).values() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        shared::lock(&self.shared.log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.drop_connections();
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}
