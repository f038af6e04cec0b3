//! One side: an IMAP account.
//!
//! | file | what it is about |
//! |---|---|
//! | `connect` `tls` `login` `capability` | from a host name to a session |
//! | `stream` `deflate` `wire` `token` `response` `code` `date` `command` | bytes, lines, answers, commands |
//! | `conn` `pipeline` `pool` `crew` | commands in flight, connections, workers |
//! | `retry` `trust` `meter` `counters` | what is tried again and when, what the server bears, what went over the wire |
//! | `names` `survey` `subscriptions` `identities` | which mailboxes there are |
//! | `opening` `selected` `changes` `slot` `reading` `envelopes` `fetch` | what is in them |
//! | `write` `upload` `append` `bundle` `sought` | new messages |
//! | `groups` `marks` `proof` `remove` `moves` `mailboxes` | changing what is there |
//! | `quiet` | waiting for what a dead run had sent |
//! | `quirks` | what single servers do differently |
//!
//! What holds everywhere: commands go out before earlier ones are answered, within a window that cannot deadlock; what
//! was read behind a SELECT counts only once that SELECT succeeded; nothing destructive goes out before the UIDVALIDITY
//! of the mailbox is known to be the expected one; what a server says beyond what was asked is noted or skipped, never
//! fatal.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::secret::Secret;
use crate::store::Stop;

mod append;
mod bundle;
mod capability;
mod changes;
mod code;
mod command;
mod conn;
mod connect;
mod counters;
mod crew;
mod date;
mod deflate;
mod envelopes;
mod fetch;
mod groups;
mod identities;
mod login;
mod mailboxes;
mod marks;
mod meter;
mod moves;
mod names;
mod opening;
mod patience;
mod pipeline;
mod pool;
mod proof;
mod quiet;
mod quirks;
mod reading;
mod remove;
mod response;
mod retry;
#[cfg(test)]
mod script;
mod selected;
mod slot;
mod sought;
mod store;
mod stream;
mod subscriptions;
mod survey;
mod tls;
mod token;
mod trust;
mod upload;
mod wire;
mod write;

pub use meter::{Bearing, Direction, Ledger};

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte (RFC 8314 §3.2).
    #[default]
    Implicit,
    /// By the command STARTTLS; a server that does not offer it is refused.
    StartTls,
    /// Not at all; refused unless the server is on this machine or [`Options::allow_cleartext`] is set.
    None,
}

/// Asks for the password or the token, at each connect.
pub type AskSecret = Arc<dyn Fn() -> Result<Secret> + Send + Sync>;

/// Where an account is and how to talk to it.
#[derive(Clone)]
pub struct Options {
    /// A name or an address; certificates are checked against it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// See [`Tls`].
    pub tls: Tls,
    /// Allow [`Tls::None`] towards other machines.
    pub allow_cleartext: bool,
    /// PEM certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the one certificate to accept (its DER form); replaces every other check of it.
    pub tls_fingerprint: Option<[u8; 32]>,
    /// A certificate of our own to show: PEM with its PKCS#8 key in the same file, or PKCS#12, without a password or with
    /// the account's.
    pub client_cert: Option<PathBuf>,
    /// Whose mail it is: the SASL authorization id, and the authentication id unless `login_as` says otherwise.
    pub user: String,
    /// The SASL authentication id, where it is not `user`.
    pub login_as: Option<String>,
    /// Mechanisms allowed, best first, in any case: `plain`, `login`, `xoauth2`, `oauthbearer`. Empty: plain, then login.
    pub auth: Vec<String>,
    /// Called at each connect; to keep a password and not to ask twice is its own business.
    pub secret: AskSecret,
    /// Connections at most; at least one is used.
    pub connections: usize,
    /// How long the server may stay silent, and a write may hang.
    pub timeout: Duration,
    /// An earlier run found that the server breaks when commands do not wait for each other; see [`Imap::is_serial`].
    pub serial: bool,
    /// Ask for COMPRESS=DEFLATE where the server offers it (RFC 4978 §3).
    pub compress: bool,
    /// How much the account bears.
    pub bearing: Bearing,
    /// See [`Stop`].
    pub stop: Stop,
}

impl Options {
    /// Options with the defaults of the configuration: encrypted from the start, four connections, 60 seconds.
    pub fn new(host: impl Into<String>, user: impl Into<String>, secret: AskSecret) -> Self {
        Self {
            host: host.into(),
            port: 993,
            tls: Tls::Implicit,
            allow_cleartext: false,
            ca_file: None,
            tls_fingerprint: None,
            client_cert: None,
            user: user.into(),
            login_as: None,
            auth: Vec::new(),
            secret,
            connections: 4,
            timeout: Duration::from_secs(60),
            serial: false,
            compress: false,
            bearing: Bearing::default(),
            stop: Stop::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// An IMAP account. Connections are opened when they are needed, kept for the next call, and logged out when it is
/// dropped.
pub struct Imap {
    account: pool::Account,
}

impl Imap {
    /// An account; nothing is sent yet.
    pub fn new(options: Options) -> Self {
        Self {
            account: pool::Account::new(options),
        }
    }

    /// Whether the server was found to break when commands are sent before earlier ones are answered: what it refused, or
    /// met with silence, in company it took alone. From then on they no longer are.
    pub fn is_serial(&self) -> bool {
        self.account.trust.is_serial()
    }

    /// How many lines or literals of the server were left out because they could not be read or held.
    pub fn skipped(&self) -> u64 {
        self.account.counters.skipped.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl fmt::Debug for Imap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Imap").field(&self.account.options).finish()
    }
}
