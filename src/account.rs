//! One account as configured: typed and checked settings, and where its password comes from.

mod credentials;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::archive::Archive;
use crate::config::map::NameMap;
use crate::config::patterns::Scope;
use crate::error::{Failure, Kind, Result};
use crate::model::{Bounds, TrashChoice};
use crate::plan::Policy;
use crate::secret::Secret;
pub use credentials::{Credentials, Origin};

/// One IMAP account, and the Maildir that is to be the same. Made by [`crate::config::Config`] only, so every value in it
/// has been checked.
#[derive(Debug)]
pub struct Account {
    /// Its name in the configuration; safe as a directory's name.
    pub name: String,
    /// The server and how to talk to it.
    pub server: Server,
    /// The Maildir, where there is one.
    pub maildir: Option<Maildir>,
    /// Where `backup` keeps the account, where it does.
    pub archive: Option<Archive>,
    /// Which mailboxes, by the server's names.
    pub scope: Scope,
    /// What they are called on the other side.
    pub map: NameMap,
    /// How large and how old a message may be to be carried over.
    pub bounds: Bounds,
    /// What happens to changes of either side.
    pub policy: Policy,
    /// What both sides marked as deleted is removed from both.
    pub expunge_marked: bool,
    /// Where on the server messages go that were removed from the Maildir.
    pub trash: TrashChoice,
    /// More than this share of an account's pairs is not removed in one run without approval, in percent.
    pub max_delete: u8,
    /// A mailbox with at least so many pairs that one side lost at once is not emptied on the other; 0: no such guard.
    pub empty_guard: u64,
}

impl Account {
    /// The Maildir, or the refusal to sync without one.
    pub fn maildir(&self) -> Result<&Maildir> {
        self.maildir.as_ref().ok_or_else(|| {
            Failure::account(
                Kind::Config,
                format!("the account \"{}\" has no \"maildir\"", self.name),
            )
            .hint("say where its mail is kept, such as maildir = \"~/Mail\"")
        })
    }

    /// The archive, or the refusal to back up without one.
    pub fn archive(&self) -> Result<&Archive> {
        self.archive.as_ref().ok_or_else(|| {
            Failure::account(
                Kind::Config,
                format!("the account \"{}\" has no \"archive\"", self.name),
            )
            .hint("say where its backup is kept, such as archive = \"~/Backup/mail\"")
        })
    }

    /// The password or token; see [`Credentials::secret`].
    pub fn secret(&self) -> Result<Secret> {
        self.server.credentials.secret()
    }
}

/// A server and how to talk to it.
#[derive(Debug)]
pub struct Server {
    /// Its name or address; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whose mail it is: the SASL authorization id where `login_as` is set, else who logs in.
    pub user: String,
    /// Who logs in (the SASL authentication id), where it is somebody else.
    pub login_as: Option<String>,
    /// Where the password comes from; shared by all connections.
    pub credentials: Arc<Credentials>,
    /// Mechanisms allowed, in order; empty: the best that the server offers for a password.
    pub auth: Vec<Mechanism>,
    /// When TLS begins.
    pub tls: Tls,
    /// The user agreed to [`Tls::None`] over a network.
    pub allow_cleartext: bool,
    /// Certificates (PEM) that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The SHA-256 of the server's certificate. Where set, that certificate and no other is trusted, whoever signed it.
    pub tls_fingerprint: Option<[u8; 32]>,
    /// Our own certificate and its key (PEM).
    pub client_cert: Option<PathBuf>,
    /// At most so many connections at a time.
    pub connections: usize,
    /// How long the server may be silent while we wait for it.
    pub timeout: Duration,
    /// Compress what crosses the wire, where the server offers it.
    pub compress: bool,
    /// Bytes a second at most, both directions and all connections together.
    pub max_rate: Option<u64>,
    /// Bytes a day at most.
    pub max_bytes: DailyBytes,
    /// Whose server it is, where the user said so: a name of [`crate::config::providers::PROVIDERS`].
    pub provider: Option<&'static str>,
}

/// How many bytes may cross the wire within 24 hours; `None`: any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DailyBytes {
    /// From the server.
    pub down: Option<u64>,
    /// To the server.
    pub up: Option<u64>,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// With the first byte.
    Implicit,
    /// After STARTTLS, before the login.
    StartTls,
    /// Never. Only towards this machine, or where the user allowed it.
    None,
}

impl Tls {
    /// The port that goes with it.
    pub const fn port(self) -> u16 {
        match self {
            Self::Implicit => 993,
            Self::StartTls | Self::None => 143,
        }
    }
}

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// SASL PLAIN.
    Plain,
    /// The LOGIN command, or SASL LOGIN.
    Login,
    /// Google's and Microsoft's OAuth 2.
    Xoauth2,
    /// OAuth 2 as a standard (RFC 7628 §3).
    OauthBearer,
}

impl Mechanism {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Login, Self::Xoauth2, Self::OauthBearer];

    /// As the configuration spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Login => "login",
            Self::Xoauth2 => "xoauth2",
            Self::OauthBearer => "oauthbearer",
        }
    }

    /// Whether the secret is a token, which gets old, and not a password.
    pub const fn takes_token(self) -> bool {
        matches!(self, Self::Xoauth2 | Self::OauthBearer)
    }
}

/// A Maildir and how to write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maildir {
    /// Its root.
    pub root: PathBuf,
    /// How mailboxes become directories.
    pub layout: Layout,
    /// What separates a file's flags from the rest of its name.
    pub info_separator: char,
    /// When files are made durable.
    pub fsync: Fsync,
    /// Where removed files wait.
    pub attic: PathBuf,
    /// How long they wait.
    pub attic_days: u32,
}

/// How mailboxes become directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Maildir++ where the root holds `cur/`, else nested.
    Auto,
    /// `Work/2026/`.
    Nested,
    /// `.Work.2026/`.
    MaildirPlusPlus,
}

/// When files are made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Many together, before they are reported as done.
    Batch,
    /// When the system pleases: a power cut can lose mail that was reported as done.
    Off,
}
