//! What a server says it can do, and what follows for us.

use std::collections::BTreeSet;

/// Capabilities as a server listed them, in upper case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities(BTreeSet<String>);

/// What IMAP4rev2 includes without saying it again (RFC 9051 appendix E).
const REV2: [&str; 12] = [
    "NAMESPACE",
    "UNSELECT",
    "UIDPLUS",
    "ESEARCH",
    "ENABLE",
    "SASL-IR",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "MOVE",
    "LITERAL-",
    "SPECIAL-USE",
    "STATUS=SIZE",
];

/// How a literal may go out without waiting for the server (RFC 7888 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NonSync {
    /// Not at all.
    Never,
    /// `LITERAL-`: up to 4096 bytes.
    Small,
    /// `LITERAL+`: of any size.
    Any,
}

impl NonSync {
    /// Whether a literal of that size may go out at once.
    pub(super) fn allows(self, size: u64) -> bool {
        match self {
            Self::Never => false,
            // RFC 7888 §5
            Self::Small => size <= 4096,
            Self::Any => true,
        }
    }
}

impl Capabilities {
    /// From the words of a CAPABILITY response; what is not ASCII is left out.
    pub(super) fn new<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let words = words.into_iter().filter(|word| word.is_ascii());
        let mut all: BTreeSet<String> = words
            .map(|word| String::from_utf8_lossy(word).to_ascii_uppercase())
            .collect();
        if all.contains("IMAP4REV2") && !all.contains("IMAP4REV1") {
            all.extend(REV2.map(str::to_owned));
        }
        if all.contains("QRESYNC") {
            // RFC 7162 §3.2.3
            all.insert("CONDSTORE".into());
        }
        Self(all)
    }

    /// Whether nothing was listed yet.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether that one is there; `name` in upper case.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// The SASL mechanisms, in upper case.
    pub(super) fn mechanisms(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|word| word.strip_prefix("AUTH="))
    }

    /// How literals may go out.
    pub(super) fn non_sync(&self) -> NonSync {
        if self.has("LITERAL+") {
            NonSync::Any
        } else if self.has("LITERAL-") {
            NonSync::Small
        } else {
            NonSync::Never
        }
    }

    /// The largest message that the server takes (RFC 7889 §2), where it says one.
    pub(super) fn append_limit(&self) -> Option<u64> {
        self.0
            .iter()
            .find_map(|word| word.strip_prefix("APPENDLIMIT=")?.parse().ok())
    }

    /// Whether names must be UTF-8 instead of modified UTF-7: a server that speaks nothing else (HAZARDS 6).
    pub(super) fn utf8_only(&self) -> bool {
        // RFC 6855 §4
        self.has("UTF8=ONLY") || (self.has("IMAP4REV2") && !self.has("IMAP4REV1"))
    }

    /// The FETCH item that names a message's content for good, where there is one.
    pub(super) fn object_item(&self) -> Option<&'static str> {
        if self.has("OBJECTID") {
            Some("EMAILID")
        } else if self.has("X-GM-EXT-1") {
            Some("X-GM-MSGID")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(words: &str) -> Capabilities {
        Capabilities::new(words.split(' ').map(str::as_bytes))
    }

    #[test]
    fn words_and_what_follows() {
        let caps = listed("imap4rev1 LITERAL- AUTH=plain AUTH=XOAUTH2 APPENDLIMIT=35 QRESYNC");
        assert!(caps.has("IMAP4REV1") && caps.has("CONDSTORE") && !caps.has("MOVE") && !caps.utf8_only());
        assert_eq!(caps.mechanisms().collect::<Vec<_>>(), ["PLAIN", "XOAUTH2"]);
        assert_eq!(caps.append_limit(), Some(35));
        assert!(caps.non_sync().allows(4096) && !caps.non_sync().allows(4097));
        assert!(listed("LITERAL+ LITERAL-").non_sync().allows(1 << 40));
        assert!(!listed("IMAP4rev1").non_sync().allows(1));
    }

    #[test]
    fn revision_2_alone_brings_its_parts() {
        for (words, moves, utf8) in [
            ("IMAP4rev2", true, true),
            ("IMAP4rev1 IMAP4rev2", false, false),
            ("IMAP4rev1 UTF8=ONLY", false, true),
            ("IMAP4rev1 UTF8=ACCEPT", false, false),
        ] {
            let caps = listed(words);
            assert_eq!((caps.has("MOVE"), caps.utf8_only()), (moves, utf8), "{words}");
        }
    }
}
