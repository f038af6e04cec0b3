//! What a server is like: its extensions, its names, its lies.

use std::collections::BTreeSet;
use std::time::Duration;

use super::account::Permanent;
use super::tls::Certificate;

/// All that a [`Caps`] can hold.
const KNOWN: [&str; 29] = [
    "AUTH=LOGIN",
    "AUTH=OAUTHBEARER",
    "AUTH=PLAIN",
    "AUTH=XOAUTH2",
    "CHILDREN",
    "CONDSTORE",
    "CREATE-SPECIAL-USE",
    "ENABLE",
    "ESEARCH",
    "ID",
    "IMAP4rev1",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "LITERAL+",
    "LITERAL-",
    "LOGINDISABLED",
    "MOVE",
    "MULTIAPPEND",
    "NAMESPACE",
    "OBJECTID",
    "QRESYNC",
    "SASL-IR",
    "SPECIAL-USE",
    "STARTTLS",
    "STATUS=SIZE",
    "UIDPLUS",
    "UNSELECT",
    "UTF8=ACCEPT",
    "X-GM-EXT-1",
];

/// The capabilities of a server. What is not in it is refused with BAD and complained about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps(BTreeSet<&'static str>);

impl Caps {
    /// These and IMAP4rev1. Panics at a name that the server does not know.
    pub fn new(names: &[&str]) -> Self {
        let mut caps = Self(BTreeSet::from(["IMAP4rev1"]));
        caps.add(names);
        caps
    }

    fn add(&mut self, names: &[&str]) {
        for name in names {
            let known = KNOWN.iter().find(|k| *k == name);
            self.0
                .insert(known.unwrap_or_else(|| panic!("no such capability: {name}")));
        }
    }

    /// Whether it is there.
    pub fn has(&self, name: &str) -> bool {
        debug_assert!(KNOWN.contains(&name), "no such capability: {name}");
        self.0.contains(name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().copied()
    }
}

impl Default for Caps {
    /// What a good server of today has.
    fn default() -> Self {
        Self::new(&[
            "AUTH=PLAIN",
            "AUTH=LOGIN",
            "SASL-IR",
            "ID",
            "ENABLE",
            "LITERAL+",
            "NAMESPACE",
            "CHILDREN",
            "UIDPLUS",
            "MOVE",
            "UNSELECT",
            "CONDSTORE",
            "QRESYNC",
            "ESEARCH",
            "LIST-EXTENDED",
            "LIST-STATUS",
            "SPECIAL-USE",
            "MULTIAPPEND",
            "STATUS=SIZE",
        ])
    }
}

/// What a server says that is not so, or does without a word; by default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lies {
    /// Added to every RFC822.SIZE.
    pub size: i64,
    /// No UIDNEXT in SELECT and STATUS.
    pub no_uid_next: bool,
    /// No APPENDUID.
    pub no_append_uid: bool,
    /// No COPYUID.
    pub no_copy_uid: bool,
    /// OK to APPEND and STORE, but the flags are not kept.
    pub drops_flags: bool,
    /// OK to APPEND and STORE, but keywords are not kept.
    pub drops_keywords: bool,
    /// NO to any STORE or APPEND that names a keyword.
    pub refuses_keywords: bool,
    /// A keyword gets the spelling that the mailbox saw first.
    pub first_spelling: bool,
    /// VANISHED names the first living message, too.
    pub vanished_names_living: bool,
    /// HIGHESTMODSEQ is 0 and messages show MODSEQ 1.
    pub zero_modseq: bool,
    /// OK to COPY and MOVE, but nothing happens.
    pub copies_nothing: bool,
    /// INTERNALDATE is always that many seconds off.
    pub date: i64,
    /// A lone LF of an appended message becomes CRLF.
    pub mends_line_ends: bool,
    /// Each byte of an appended message's header that is not ASCII becomes an X, as on Cyrus.
    pub spoils_headers: bool,
    /// HEADER.FIELDS leaves out the first of the fields that it should name (HAZARDS 17).
    pub withholds_a_field: bool,
    /// An extended LIST shows levels that do not exist as if they did, with an untagged NO for their STATUS (HAZARDS 13).
    pub ghosts: bool,
}

impl Lies {
    /// Both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            size: self.size + other.size,
            no_uid_next: self.no_uid_next || other.no_uid_next,
            no_append_uid: self.no_append_uid || other.no_append_uid,
            no_copy_uid: self.no_copy_uid || other.no_copy_uid,
            drops_flags: self.drops_flags || other.drops_flags,
            drops_keywords: self.drops_keywords || other.drops_keywords,
            refuses_keywords: self.refuses_keywords || other.refuses_keywords,
            first_spelling: self.first_spelling || other.first_spelling,
            vanished_names_living: self.vanished_names_living || other.vanished_names_living,
            zero_modseq: self.zero_modseq || other.zero_modseq,
            copies_nothing: self.copies_nothing || other.copies_nothing,
            date: self.date + other.date,
            mends_line_ends: self.mends_line_ends || other.mends_line_ends,
            spoils_headers: self.spoils_headers || other.spoils_headers,
            withholds_a_field: self.withholds_a_field || other.withholds_a_field,
            ghosts: self.ghosts || other.ghosts,
        }
    }
}

/// How the connection is protected.
#[derive(Clone, Debug)]
pub enum Tls {
    /// Not at all.
    None,
    /// From the first byte.
    Implicit(Certificate),
    /// After STARTTLS, which must be among the capabilities.
    Explicit(Certificate),
}

/// A server to start.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Names and passwords; each has an account with an empty INBOX.
    pub users: Vec<(String, String)>,
    /// The token that XOAUTH2 and OAUTHBEARER want.
    pub token: String,
    /// The extensions.
    pub caps: Caps,
    /// The hierarchy separator; `None` is NIL.
    pub separator: Option<char>,
    /// The personal namespace's prefix, separator included, such as `INBOX.`.
    pub prefix: String,
    /// PERMANENTFLAGS of new mailboxes.
    pub permanent: Permanent,
    /// See [`Lies`].
    pub lies: Lies,
    /// See [`Tls`].
    pub tls: Tls,
    /// Bytes sent in the clear right behind the OK to STARTTLS, as an attacker would.
    pub starttls_injects: Vec<u8>,
    /// A refused non-synchronising literal is not consumed: it is parsed as commands (HAZARDS 1).
    pub parses_refused_literals: bool,
    /// The largest message taken.
    pub append_limit: Option<usize>,
    /// All that an account may hold, in bytes.
    pub quota: Option<usize>,
    /// A command that did not wait for the answer to the one before is refused as bad (HAZARDS 3).
    pub bears_no_company: bool,
    /// How many logged-in connections a user may have.
    pub max_connections: Option<usize>,
    /// A session whose mailbox vanished gets NO to everything instead of BYE.
    pub gone_is_no: bool,
    /// VANISHED (EARLIER) knows what was expunged when; otherwise it names all that is not there.
    pub remembers_expunges: bool,
    /// All mailboxes share one UIDVALIDITY (HAZARDS 12).
    pub one_validity: bool,
    /// RENAME gives a new UIDVALIDITY (HAZARDS 12).
    pub renames_void_uids: bool,
    /// Names in LIST come as literals.
    pub names_as_literals: bool,
    /// The connection is logged in from the start, as that user.
    pub preauth: Option<String>,
    /// Waited before each reply is sent.
    pub latency: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            users: vec![("user".into(), "pass".into())],
            token: "token".into(),
            caps: Caps::default(),
            separator: Some('/'),
            prefix: String::new(),
            permanent: Permanent::Any,
            lies: Lies::default(),
            tls: Tls::None,
            starttls_injects: Vec::new(),
            parses_refused_literals: true,
            append_limit: None,
            quota: None,
            bears_no_company: false,
            max_connections: None,
            gone_is_no: false,
            remembers_expunges: true,
            one_validity: false,
            renames_void_uids: false,
            names_as_literals: false,
            preauth: None,
            latency: Duration::ZERO,
        }
    }
}

impl Setup {
    /// IMAP4rev1 and nothing else.
    pub fn bare() -> Self {
        Self {
            caps: Caps::new(&[]),
            ..Self::default()
        }
    }

    /// With these capabilities, too.
    #[must_use]
    pub fn with(mut self, caps: &[&str]) -> Self {
        self.caps.add(caps);
        self
    }

    /// Without these capabilities.
    #[must_use]
    pub fn without(mut self, caps: &[&str]) -> Self {
        for cap in caps {
            assert!(KNOWN.contains(cap), "no such capability: {cap}");
        }
        self.caps.0.retain(|c| !caps.contains(c));
        self
    }
}
