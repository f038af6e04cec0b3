//! Mailbox names: separators and namespaces.

use super::response::Namespaces;
use crate::model::{MailboxPath, RawName};
use crate::utf7;

/// How names are spelled on one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spelling {
    /// The personal namespace's prefix as listed, such as `INBOX.`; names carry it and paths don't.
    pub(super) prefix: Vec<u8>,
    /// Further prefixes of mailboxes that are the user's own.
    others: Vec<Vec<u8>>,
    /// Prefixes of what belongs to somebody else.
    foreign: Vec<Vec<u8>>,
    /// Between levels; `None`: there are none.
    pub(super) separator: Option<u8>,
    /// Names are UTF-8 (RFC 6855 §3), not modified UTF-7.
    pub(super) utf8: bool,
}

/// Why a name has no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPath {
    /// It lies outside of the personal namespace.
    Foreign,
    /// It cannot be read.
    Unreadable,
}

/// Why a path has no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoName {
    /// A component contains the character that separates levels.
    Separator(char),
    /// The server knows no levels.
    Flat,
}

impl Spelling {
    /// From what NAMESPACE told, if anything, and a separator that LIST told.
    pub(super) fn new(namespaces: Option<Namespaces>, separator: Option<u8>, utf8: bool) -> Self {
        let Namespaces { mut personal, foreign } = namespaces.unwrap_or_default();
        let prefix = if personal.is_empty() {
            Vec::new()
        } else {
            personal.remove(0)
        };
        Self {
            prefix,
            others: personal,
            foreign: foreign.into_iter().filter(|prefix| !prefix.is_empty()).collect(),
            separator,
            utf8,
        }
    }

    /// The path of a listed name, by the separator that was listed with it.
    pub(super) fn path(&self, name: &[u8], separator: Option<u8>) -> Result<MailboxPath, NoPath> {
        // RFC 9051 §5.1: INBOX in any case, outside of every namespace.
        if name.eq_ignore_ascii_case(b"INBOX") {
            return Ok(MailboxPath::inbox());
        }
        let own = self.own(name).ok_or(NoPath::Foreign)?;
        let trimmed = match separator {
            Some(separator) => own.strip_suffix(&[separator]).unwrap_or(own),
            None => own,
        };
        let components = match separator {
            Some(separator) => trimmed
                .split(|&b| b == separator)
                .map(|part| self.decode(part))
                .collect(),
            None => vec![self.decode(trimmed)],
        };
        let components: Option<Vec<String>> = components.into_iter().collect();
        components.and_then(MailboxPath::new).ok_or(NoPath::Unreadable)
    }

    /// The name without its prefix, if it is in a personal namespace.
    fn own<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        let starts = |prefixes: &[Vec<u8>]| prefixes.iter().any(|p| name.starts_with(p));
        if starts(&self.foreign) {
            return None;
        }
        match name.strip_prefix(self.prefix.as_slice()) {
            Some(rest) => Some(rest),
            None if starts(&self.others) => Some(name),
            None => None,
        }
    }

    /// How a new mailbox of that path is to be called.
    pub(super) fn name(&self, path: &MailboxPath) -> Result<RawName, NoName> {
        if path.is_inbox() {
            return Ok(RawName::new("INBOX"));
        }
        let components = path.components();
        if self.separator.is_none() && components.len() > 1 {
            return Err(NoName::Flat);
        }
        let mut name = self.prefix.clone();
        for (n, component) in components.iter().enumerate() {
            if let Some(separator) = self.separator {
                if component.as_bytes().contains(&separator) {
                    return Err(NoName::Separator(char::from(separator)));
                }
                if n > 0 {
                    name.push(separator);
                }
            }
            if self.utf8 {
                name.extend_from_slice(component.as_bytes());
            } else {
                name.extend_from_slice(utf7::encode(component).as_bytes());
            }
        }
        Ok(RawName::new(name))
    }

    fn decode(&self, part: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(part).ok()?;
        let plain = self.utf8 || !text.is_ascii();
        // A name with 8-bit characters is no modified UTF-7; and what looks like it but is none stands for itself.
        Some(if plain { None } else { utf7::decode(text) }.unwrap_or_else(|| text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spelling(prefix: &str, separator: char) -> Spelling {
        let namespaces = Namespaces {
            personal: vec![prefix.as_bytes().to_vec()],
            foreign: vec![b"user.".to_vec(), b"".to_vec()],
        };
        Spelling::new(Some(namespaces), Some(separator as u8), false)
    }

    #[test]
    fn listed_names_and_their_paths() {
        for (prefix, separator, raw, path) in [
            ("", '/', &b"inbox"[..], Ok("INBOX")),
            ("", '/', b"a/b", Ok("a/b")),
            ("", '/', b"a/b/", Ok("a/b")),
            ("", '/', b"Entw&APw-rfe", Ok("Entwürfe")),
            (
                "",
                '/',
                b"~peter/mail/&U,BTFw-/&ZeVnLIqe-",
                Ok("~peter/mail/台北/日本語"),
            ),
            ("", '/', b"&2D3eAA-", Ok("😀")),
            ("", '/', b"Q&A", Ok("Q&A")),
            ("", '/', b"Q&-A", Ok("Q&A")),
            ("", '/', b"&2D0-", Ok("&2D0-")),
            ("", '/', "Entwürfe".as_bytes(), Ok("Entwürfe")),
            ("", '/', b"\xff", Err(NoPath::Unreadable)),
            ("", '/', b"a//b", Err(NoPath::Unreadable)),
            ("INBOX.", '.', b"INBOX.Sent.2024", Ok("Sent/2024")),
            ("INBOX.", '.', b"INBOX", Ok("INBOX")),
            ("INBOX.", '.', b"INBOX.", Err(NoPath::Unreadable)),
            ("INBOX.", '.', b"Public", Err(NoPath::Foreign)),
            ("", '.', b"user.other", Err(NoPath::Foreign)),
            ("", '.', b"INBOX.Sent", Ok("INBOX/Sent")),
        ] {
            let spelling = spelling(prefix, separator);
            let found = spelling.path(raw, spelling.separator);
            assert_eq!(
                found.map(|p| p.to_string()),
                path.map(str::to_owned),
                "{}",
                raw.escape_ascii()
            );
        }
        assert_eq!(spelling("", '/').path(b"a/b", None).unwrap().components(), ["a/b"]);
    }

    #[test]
    fn paths_and_the_names_they_get() {
        for (prefix, separator, path, name) in [
            ("", '/', &["a", "b"][..], Ok("a/b")),
            ("INBOX.", '.', &["Entwürfe", "x"], Ok("INBOX.Entw&APw-rfe.x")),
            ("INBOX.", '.', &["INBOX"], Ok("INBOX")),
            ("", '.', &["a.b"], Err(NoName::Separator('.'))),
            ("", '/', &["a&b"], Ok("a&-b")),
            ("", '/', &["\u{7}"], Ok("&AAc-")),
        ] {
            let path = MailboxPath::new(path.iter().map(|&c| c.to_owned())).unwrap();
            let found = spelling(prefix, separator).name(&path);
            assert_eq!(found, name.map(RawName::new), "{path}");
        }
        let flat = Spelling::default();
        assert_eq!(flat.name(&MailboxPath::parse("a/b").unwrap()), Err(NoName::Flat));
        let utf8 = Spelling {
            utf8: true,
            ..spelling("", '/')
        };
        assert_eq!(utf8.name(&MailboxPath::parse("ü&").unwrap()), Ok(RawName::new("ü&")));
        assert_eq!(utf8.path(b"&APw-", Some(b'/')).unwrap().to_string(), "&APw-");
    }

    proptest! {
        #[test]
        fn any_path_comes_back(components in proptest::collection::vec("[^/]{1,12}", 1..4), utf8: bool) {
            let path = MailboxPath::new(components).unwrap();
            let spelling = Spelling { utf8, ..spelling("", '/') };
            let name = spelling.name(&path).unwrap();
            prop_assert_eq!(spelling.path(name.as_bytes(), Some(b'/')), Ok(path));
        }

        #[test]
        fn any_name_is_read_or_refused(name in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'&'), Just(b'-')], 0..60)) {
            let _ = spelling("", '/').path(&name, Some(b'/'));
        }
    }
}
