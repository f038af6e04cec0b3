//! Mailboxes and what they are called on either side.

use std::fmt;
use std::sync::Arc;

/// One of the two stores that a job keeps the same. In `sync` the left is the Maildir and the right is the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The Maildir in `sync`.
    Left,
    /// The server in `sync`.
    Right,
}

impl Side {
    /// Both sides, left first.
    pub const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// The side across.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    /// `left` or `right`, as in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

/// What a side is called in sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// As in "copied to the server".
    pub the: String,
    /// As in "new on the server", "new in the Maildir".
    pub on: String,
}

impl Called {
    /// The sides as the planner calls them.
    pub fn sides() -> [Self; 2] {
        Side::BOTH.map(|side| Self {
            the: format!("the {side}"),
            on: format!("on the {side}"),
        })
    }

    /// A reason in which the left and the right are called so.
    pub fn reworded(why: &str, sides: &[Self; 2]) -> String {
        let own = Self::sides();
        own.iter().zip(sides).fold(why.to_owned(), |why, (own, called)| {
            why.replace(&own.on, &called.on).replace(&own.the, &called.the)
        })
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The caller's number of a mailbox (a row of the state); the same on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxId(pub u32);

/// A mailbox's name in components, decoded, the personal namespace's prefix removed; the first component of the INBOX is
/// always spelled `INBOX`. `Display` joins with `/`. A component can contain any character, `/` included.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxPath(Vec<String>);

impl MailboxPath {
    /// From components; `None` when there is none or one is empty. `inbox` in any case becomes `INBOX` as first component.
    pub fn new(components: impl IntoIterator<Item = String>) -> Option<Self> {
        let mut components: Vec<String> = components.into_iter().collect();
        if components.is_empty() || components.iter().any(String::is_empty) {
            return None;
        }
        if components[0].eq_ignore_ascii_case("INBOX") {
            components[0] = "INBOX".into();
        }
        Some(Self(components))
    }

    /// From a name as people write it, with `/` between components.
    pub fn parse(name: &str) -> Option<Self> {
        Self::new(name.split('/').map(str::to_owned))
    }

    /// The INBOX.
    pub fn inbox() -> Self {
        Self(vec!["INBOX".into()])
    }

    /// Whether it is the INBOX itself.
    pub fn is_inbox(&self) -> bool {
        self.0.len() == 1 && self.0[0] == "INBOX"
    }

    /// Its components, outermost first; at least one.
    pub fn components(&self) -> &[String] {
        &self.0
    }

    /// As the state stores it: joined with `/`, with `%2F` for a slash inside a component and `%25` for a percent sign.
    pub fn to_text(&self) -> String {
        let escaped: Vec<String> = self
            .0
            .iter()
            .map(|c| c.replace('%', "%25").replace('/', "%2F"))
            .collect();
        escaped.join("/")
    }

    /// The reverse of [`Self::to_text`].
    pub fn from_text(text: &str) -> Option<Self> {
        Self::new(text.split('/').map(|c| c.replace("%2F", "/").replace("%25", "%")))
    }

    /// This mailbox's name when `from`, which is it or lies above it, is called `to`; `None` when `from` is neither.
    pub fn carried(&self, from: &Self, to: &Self) -> Option<Self> {
        let rest = self.0.strip_prefix(from.components())?;
        Self::new(to.0.iter().chain(rest).cloned())
    }

    /// The mailbox one level up.
    pub fn parent(&self) -> Option<Self> {
        (self.0.len() > 1).then(|| Self(self.0[..self.0.len() - 1].to_vec()))
    }
}

impl fmt::Display for MailboxPath {
    /// Joined with `/`; control characters are shown as `\u{…}`, since names come from servers and go to terminals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, component) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("/")?;
            }
            for c in component.chars() {
                if c.is_control() {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    write!(f, "{c}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for MailboxPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A mailbox's name exactly as a store spells it: the bytes that a server listed, or a directory relative to the Maildir
/// root. Only the store that made it can read it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RawName(pub Arc<[u8]>);

impl RawName {
    /// From bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RawName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// A mailbox in a call to a store: the caller's number and the store's own name. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// The caller's number; answers carry it.
    pub id: MailboxId,
    /// The name by which the called store knows it.
    pub raw: RawName,
}

/// A name for a mailbox that survives renames: MAILBOXID (RFC 8474 §4) or a directory's device and inode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MailboxIdentity(pub Box<str>);

/// What a mailbox is for (SPECIAL-USE, RFC 6154 §2; `\Important` RFC 8457 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// `\All`: every message of the account.
    All,
    /// `\Archive`.
    Archive,
    /// `\Drafts`.
    Drafts,
    /// `\Flagged`: a view of the flagged messages.
    Flagged,
    /// `\Important`: a view of what the server thinks important.
    Important,
    /// `\Junk`.
    Junk,
    /// `\Sent`.
    Sent,
    /// `\Trash`.
    Trash,
}

impl Role {
    /// Each role with its attribute.
    pub const NAMES: [(Self, &'static str); 8] = [
        (Self::All, "\\All"),
        (Self::Archive, "\\Archive"),
        (Self::Drafts, "\\Drafts"),
        (Self::Flagged, "\\Flagged"),
        (Self::Important, "\\Important"),
        (Self::Junk, "\\Junk"),
        (Self::Sent, "\\Sent"),
        (Self::Trash, "\\Trash"),
    ];

    /// Whether mailboxes of that role hold no messages of their own: they show what lies in others (RFC 6154 §2).
    pub const fn is_view(self) -> bool {
        matches!(self, Self::All | Self::Flagged | Self::Important)
    }

    /// The role of that attribute, in any case (Cyrus writes `\sent`).
    pub fn named(attribute: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(attribute))
            .map(|&(role, _)| role)
    }

    /// Its attribute, such as `\Sent`.
    pub fn attribute(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|&&(role, _)| role == self)
            .map_or("", |&(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(MailboxPath::parse("inbox/Work").unwrap().to_string(), "INBOX/Work");
        assert_eq!(MailboxPath::parse("Work/inbox").unwrap().to_string(), "Work/inbox");
        assert!(MailboxPath::parse("a//b").is_none());
        assert!(MailboxPath::parse("").is_none());
        assert_eq!(MailboxPath::parse("a/b").unwrap().parent().unwrap().to_string(), "a");
        let carried = |path: &str, from: &str, to: &str| {
            let [path, from, to] = [path, from, to].map(|name| MailboxPath::parse(name).unwrap());
            path.carried(&from, &to).map(|path| path.to_string())
        };
        assert_eq!(carried("a/b/c", "a/b", "x").as_deref(), Some("x/c"));
        assert_eq!(carried("a", "a", "x/y").as_deref(), Some("x/y"));
        assert_eq!(carried("ab", "a", "x"), None);
        let odd = MailboxPath::new(["a/%2F".to_owned(), "%".to_owned()]).unwrap();
        assert_eq!(MailboxPath::from_text(&odd.to_text()), Some(odd));
        assert_eq!(MailboxPath::parse("x\u{1b}[31m").unwrap().to_string(), "x\\u{1b}[31m");
    }
}
