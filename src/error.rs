//! What went wrong, how far it reaches, whether trying again helps, and what the user can do.

use std::fmt;
use std::time::Duration;

/// How much a failure keeps from being done. Ordered from small to large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reach {
    /// One message; the rest of its mailbox goes on.
    Message,
    /// One mailbox; the rest of its account goes on.
    Mailbox,
    /// One account; the others go on.
    Account,
}

impl Reach {
    /// As reports spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Mailbox => "mailbox",
            Self::Account => "account",
        }
    }
}

/// When trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// At once, perhaps over a new connection.
    Now,
    /// In a later run.
    Later,
    /// Only after somebody changed something.
    Never,
}

impl Retry {
    /// As reports spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Later => "later",
            Self::Never => "never",
        }
    }

    /// The reverse of [`Self::name`]; what is unknown is tried later.
    pub fn named(name: &str) -> Self {
        match name {
            "now" => Self::Now,
            "never" => Self::Never,
            _ => Self::Later,
        }
    }
}

/// The kind of a failure; decides the exit code (DESIGN 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Something that was asked for could not be done; a later run may.
    Partial,
    /// What the command line asks for does not exist or does not fit together: exit 2.
    Usage,
    /// A mailbox takes no changes from us: exit 1. Where it reaches a message, the mailbox is the one that it should go to.
    ReadOnly,
    /// A guard held it back: exit 3.
    Guard,
    /// Try again later: locked, network, throttled: exit 75.
    Temporary,
    /// The server refused the login: exit 77.
    Login,
    /// The configuration is wrong, or does not fit the server: exit 78.
    Config,
}

/// A failure, made where it happened; each layer above only adds context. `Display` is `what`.
///
/// `what` is one line without control characters: [`clean`] server text before it goes in. Never holds a secret.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How far it reaches.
    pub reach: Reach,
    /// Whether trying again helps.
    pub retry: Retry,
    /// Its kind.
    pub kind: Kind,
    /// What happened, for a reader who did not expect it.
    pub what: String,
    /// What the user can do next.
    pub hint: Option<String>,
    /// Who refused asked not to be asked again before so long.
    pub after: Option<Duration>,
}

impl Failure {
    /// A failure that hits one message and may pass.
    pub fn message(what: impl Into<String>) -> Self {
        Self {
            reach: Reach::Message,
            retry: Retry::Later,
            kind: Kind::Partial,
            what: what.into(),
            hint: None,
            after: None,
        }
    }

    /// A failure that hits one mailbox and may pass.
    pub fn mailbox(what: impl Into<String>) -> Self {
        Self {
            reach: Reach::Mailbox,
            ..Self::message(what)
        }
    }

    /// A failure that ends the account's run, of that kind. Temporary ones may pass, others need somebody to act.
    pub fn account(kind: Kind, what: impl Into<String>) -> Self {
        let retry = if kind == Kind::Temporary {
            Retry::Later
        } else {
            Retry::Never
        };
        Self {
            reach: Reach::Account,
            retry,
            kind,
            what: what.into(),
            hint: None,
            after: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with another retry.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The same, not to be tried again before so long.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.after = Some(wait);
        self
    }

    /// The same, for something smaller that it hit on the way: what the user can do is told with the whole.
    #[must_use]
    pub fn hits(&self, reach: Reach) -> Self {
        let kind = match self.kind {
            Kind::Temporary => Kind::Temporary,
            _ => Kind::Partial,
        };
        Self {
            reach,
            kind,
            ..Self::message(self.what.clone())
        }
    }

    /// The failure that an `io::Error` was made from; see the conversion below.
    pub fn carried(err: &std::io::Error) -> Option<Self> {
        err.get_ref()?.downcast_ref::<Self>().cloned()
    }

    /// The same, told as part of something larger: `context: what`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.what = format!("{context}: {}", self.what);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// For what can only fail with an `io::Error`, such as a [`Sink`](crate::store::Sink); [`Failure::carried`] takes it out
/// again.
impl From<Failure> for std::io::Error {
    fn from(failure: Failure) -> Self {
        Self::other(failure)
    }
}

/// What most functions return.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Makes text from outside fit for a terminal and one line: control characters are escaped, invalid UTF-8 replaced,
/// and what is longer than 300 characters cut.
pub fn clean(text: impl AsRef<[u8]>) -> String {
    const LONGEST: usize = 300;
    let text = String::from_utf8_lossy(text.as_ref());
    let mut out = String::new();
    for (n, c) in text.trim().chars().enumerate() {
        if n == LONGEST {
            out.push('…');
            break;
        }
        // Bidirectional overrides can make a terminal show another text than the one that is there.
        let bidi = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || bidi {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_harmless() {
        assert_eq!(clean(b"a\x1b[31mb\r\nc"), "a\\u{1b}[31mb\\r\\nc");
        assert_eq!(clean(b"\xff ok "), "\u{fffd} ok");
        assert_eq!(clean("\u{202e}evil"), "\\u{202e}evil");
        assert_eq!(clean("x".repeat(400)).chars().count(), 301);
    }
}
