//! Which directory is which mailbox.
//!
//! Names on disk may be modified UTF-7 (RFC 3501 §5.1.3): Dovecot and Courier spell them so, and mbsync keeps the server's
//! spelling. It is read in both layouts, and written in Maildir++, whose other readers expect it; nested names are UTF-8.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::escape::{Dots, escape, joined, pieces, unescape};
use crate::error::{Failure, Kind, Result, clean};
use crate::model::{MailboxPath, RawName};
use crate::utf7::{decode as from_utf7, encode as to_utf7};

/// What the configuration says of the layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LayoutChoice {
    /// A root that holds `cur/` is Maildir++, any other is nested.
    #[default]
    Auto,
    /// `INBOX/`, `Work/2026/`: levels are directories within directories.
    Nested,
    /// `.Work.2026/` side by side; the root itself is the INBOX. What Dovecot and Courier use.
    MaildirPlusPlus,
}

impl LayoutChoice {
    /// The layout that it means for the root as it is now, as the configuration spells it.
    #[must_use]
    pub fn name_for(self, root: &Path) -> &'static str {
        match Layout::of(self, root) {
            Layout::Nested => "nested",
            Layout::MaildirPlusPlus => "maildir++",
        }
    }
}

/// The layout of a root, decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Nested,
    MaildirPlusPlus,
}

/// The raw name of a Maildir++ INBOX: the root itself.
const ROOT: &[u8] = b".";

impl Layout {
    /// What `choice` means for the root as it is now. A root that is not there yet will be nested.
    pub(super) fn of(choice: LayoutChoice, root: &Path) -> Self {
        match choice {
            LayoutChoice::MaildirPlusPlus => Self::MaildirPlusPlus,
            LayoutChoice::Auto if root.join("cur").is_dir() => Self::MaildirPlusPlus,
            LayoutChoice::Auto | LayoutChoice::Nested => Self::Nested,
        }
    }

    /// The directory for a new mailbox of that name. Never leaves the root, whatever the name.
    pub(super) fn raw(self, path: &MailboxPath) -> RawName {
        let names: Vec<String> = match self {
            Self::Nested => path
                .components()
                .iter()
                .flat_map(|component| pieces(&nested_component(component)))
                .collect(),
            Self::MaildirPlusPlus if path.is_inbox() => return RawName::new(ROOT),
            Self::MaildirPlusPlus => {
                let level = |component: &String| to_utf7(&escape(component, Dots::Separate));
                let levels: Vec<String> = path.components().iter().map(level).collect();
                let name = format!(".{}", levels.join("."));
                pieces(&name)
            }
        };
        RawName::new(names.join("/"))
    }

    /// The mailbox that a directory stands for; `None` if it stands for none: a piece of an over-long name, or a Maildir++
    /// name with an empty component.
    pub(super) fn path(self, raw: &RawName) -> Option<MailboxPath> {
        let names = joined(raw.as_bytes().split(|&b| b == b'/'))?;
        match self {
            Self::Nested => MailboxPath::new(names.iter().map(|name| component(name))),
            Self::MaildirPlusPlus if raw.as_bytes() == ROOT => Some(MailboxPath::inbox()),
            Self::MaildirPlusPlus => {
                let [name] = names.as_slice() else { return None };
                let levels = name.strip_prefix(b".")?;
                MailboxPath::new(levels.split(|&b| b == b'.').map(component))
            }
        }
    }

    /// Whether the directory of that mailbox is the root, which is never renamed or deleted.
    pub(super) fn is_root(raw: &RawName) -> bool {
        raw.as_bytes() == ROOT
    }

    /// The raw name of the root as a mailbox.
    pub(super) fn root() -> RawName {
        RawName::new(ROOT)
    }
}

/// The name of a mailbox in the nested layout: a relative path that stays below any root.
pub fn nested_name(path: &MailboxPath) -> PathBuf {
    let RawName(raw) = Layout::Nested.raw(path);
    PathBuf::from(OsStr::from_bytes(&raw))
}

/// The mailbox of a relative path in the nested layout; `None` if it is none.
pub fn nested_mailbox(name: &Path) -> Option<MailboxPath> {
    Layout::Nested.path(&RawName::new(name.as_os_str().as_bytes()))
}

/// A component in UTF-8; ampersands are escaped where they would be read as modified UTF-7.
fn nested_component(component: &str) -> String {
    let escaped = escape(component, Dots::Plain);
    match from_utf7(&escaped) {
        Some(other) if other != escaped => escaped.replace('&', "%26"),
        _ => escaped,
    }
}

/// What a name on disk stands for. One with 8-bit characters is no modified UTF-7, and what looks like it but is none
/// stands for itself.
fn component(name: &[u8]) -> String {
    let ascii = std::str::from_utf8(name).ok().filter(|text| text.is_ascii());
    match ascii.and_then(from_utf7) {
        Some(text) if !text.is_empty() => unescape(text.as_bytes()),
        _ => unescape(name),
    }
}

/// The directory of a mailbox. Raw names come back from the state, so they are not believed: one that would lead out of
/// the root is refused.
pub(super) fn directory(root: &Path, raw: &RawName) -> Result<PathBuf> {
    if Layout::is_root(raw) {
        return Ok(root.to_owned());
    }
    let relative = Path::new(OsStr::from_bytes(raw.as_bytes()));
    let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !inside || raw.as_bytes().is_empty() || raw.as_bytes().contains(&0) {
        let what = format!("\"{}\" is no directory inside of the Maildir", clean(raw.as_bytes()));
        return Err(Failure::account(Kind::Config, what));
    }
    Ok(root.join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(components: &[&str]) -> MailboxPath {
        MailboxPath::new(components.iter().map(ToString::to_string)).unwrap()
    }

    #[test]
    fn names_of_directories() {
        let long = "x".repeat(300);
        let (head, tail) = (format!("{}%+", "x".repeat(240)), format!("%+{}", "x".repeat(60)));
        for (components, nested, plus) in [
            (&["INBOX"][..], "INBOX", "."),
            (&["inbox", "a"], "INBOX/a", ".INBOX.a"),
            (&["Work", "2026"], "Work/2026", ".Work.2026"),
            (&["a.b", "c/d"], "a.b/c%2Fd", ".a%2Eb.c%2Fd"),
            (&["..", ".."], "%2E./%2E.", ".%2E%2E.%2E%2E"),
            (&["cur", "x"], "%63ur/x", ".%63ur.x"),
            (&[".homing"], "%2Ehoming", ".%2Ehoming"),
            (&["Entwürfe"], "Entwürfe", ".Entw&APw-rfe"),
            (&["Q&A", "&-", "&APw-"], "Q&A/%26-/%26APw-", ".Q&-A.&--.&-APw-"),
        ] {
            let path = path(components);
            assert_eq!(Layout::Nested.raw(&path), RawName::new(nested));
            assert_eq!(Layout::MaildirPlusPlus.raw(&path), RawName::new(plus));
        }
        let raw = Layout::Nested.raw(&path(&["a", &long, "b"]));
        assert_eq!(raw, RawName::new(format!("a/{head}/{tail}/b")));
        assert_eq!(Layout::Nested.path(&raw), Some(path(&["a", &long, "b"])));
        assert_eq!(Layout::Nested.path(&RawName::new(format!("a/{head}"))), None);
    }

    #[test]
    fn names_of_foreign_directories() {
        for (layout, raw, name) in [
            (Layout::Nested, &b"Inbox"[..], Some("INBOX")),
            (Layout::Nested, b"caf\xe9", Some("caf%E9")),
            (Layout::Nested, b"Entw&APw-rfe", Some("Entwürfe")),
            (Layout::Nested, b"R&D", Some("R&D")),
            (Layout::Nested, b"&", Some("&")),
            (Layout::MaildirPlusPlus, b".Entw&APw-rfe.Q&-A", Some("Entwürfe/Q&A")),
            (Layout::MaildirPlusPlus, "Entwürfe".as_bytes(), None),
            (Layout::MaildirPlusPlus, ".Entwürfe".as_bytes(), Some("Entwürfe")),
            (Layout::MaildirPlusPlus, b".", Some("INBOX")),
            (Layout::MaildirPlusPlus, b".A.B", Some("A/B")),
            (Layout::MaildirPlusPlus, b".A..B", None),
            (Layout::MaildirPlusPlus, b"A", None),
        ] {
            let path = layout.path(&RawName::new(raw));
            assert_eq!(
                path.map(|path| path.to_string()).as_deref(),
                name,
                "{}",
                raw.escape_ascii()
            );
        }
    }

    #[test]
    fn raw_names_cannot_lead_out() {
        let root = Path::new("/mail");
        for bad in ["", "/etc", "..", "a/../../b", "a/./..", "a\0b"] {
            assert!(directory(root, &RawName::new(bad)).is_err(), "{bad:?}");
        }
        assert_eq!(directory(root, &RawName::new("a/b")).unwrap(), Path::new("/mail/a/b"));
        assert_eq!(directory(root, &RawName::new(".")).unwrap(), root);
    }

    proptest! {
        #[test]
        fn comes_back_and_stays_inside(
            components in proptest::collection::vec(prop_oneof![
                "[a-z./%&-]{1,4}", "(&[A-Z]{2}[A-Za-z]-|&-|ü){1,3}", any::<char>().prop_map(String::from), "[x.%é]{150,320}", Just("cur".to_owned()),
                Just("..".to_owned()), Just("INBOX".to_owned()),
            ], 1..4),
            nested in any::<bool>(),
        ) {
            let layout = if nested { Layout::Nested } else { Layout::MaildirPlusPlus };
            let path = MailboxPath::new(components).unwrap();
            let raw = layout.raw(&path);
            prop_assert_eq!(layout.path(&raw), Some(path));
            prop_assert!(directory(Path::new("/mail"), &raw).unwrap().starts_with("/mail"));
        }
    }
}
