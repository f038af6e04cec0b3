//! Mailbox names as names of directories, reversibly.
//!
//! What the disk cannot hold, or what would mean something else there, is written as `%` and two upper-case hex digits.
//! Everything else stays as it is, so ordinary names look ordinary. Whatever text comes in, what goes out is one or more
//! plain directory names: never empty, never `.` or `..`, never with a separator inside.

/// A directory name cannot be longer on any file system that we know of.
const LONGEST: usize = 255;
/// Where names over [`LONGEST`] are cut. Leaves room for the joint and for what has to stay together.
const CUT: usize = 240;
/// Ends a piece of an over-long name and begins the next one, which lies in a directory beneath.
const JOINT: &str = "%+";
/// Shorter names are never read as pieces of longer ones, whatever they end with.
const SHORTEST_PIECE: usize = 200;

/// Names that mean something in a mailbox's directory. Without regard to case, for file systems that have none.
const RESERVED: [&str; 5] = ["cur", "new", "tmp", "dovecot-keywords", "dovecot-keywords.lock"];

/// Whether dots within a name are escaped: they separate levels in Maildir++.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dots {
    /// Only a leading one is escaped: names that begin with a dot are hidden, or ours.
    Plain,
    /// All are escaped.
    Separate,
}

/// One component as the disk can hold it, of any length; [`pieces`] cuts it.
pub(super) fn escape(component: &str, dots: Dots) -> String {
    let bytes = component.as_bytes();
    let reserved = RESERVED.iter().any(|name| component.eq_ignore_ascii_case(name));
    let mut out = String::with_capacity(component.len());
    for (at, c) in component.char_indices() {
        let escaped = match c {
            '/' | '\0'..='\x1f' | '\x7f' => true,
            '%' => is_escape(&bytes[at..]) || component[at..].starts_with(JOINT),
            '.' => at == 0 || dots == Dots::Separate,
            _ => at == 0 && reserved,
        };
        if escaped {
            push_escaped(&mut out, c as u8);
        } else {
            out.push(c);
        }
    }
    out
}

/// The same name with its first letter escaped: another spelling of it, for a file system without case on which the plain
/// one is taken. Decodes to the same. `None` where no letter comes before the first escape of any kind.
pub(super) fn respelled(escaped: &str) -> Option<String> {
    let at = escaped.find(|c: char| c.is_ascii_alphabetic() || c == '%' || c == '&')?;
    let letter = escaped.as_bytes()[at];
    letter.is_ascii_alphabetic().then(|| {
        let mut out = escaped[..at].to_owned();
        push_escaped(&mut out, letter);
        out.push_str(&escaped[at + 1..]);
        out
    })
}

/// What a name on disk stands for. Bytes that are no UTF-8 come out as escapes too, so that any name has a readable form.
pub(super) fn unescape(name: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [first, more @ ..] = rest {
        if is_escape(rest) {
            bytes.push(hex(rest[1]) << 4 | hex(rest[2]));
            rest = &rest[3..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for &b in chunk.invalid() {
            push_escaped(&mut out, b);
        }
    }
    out
}

/// Cuts an over-long escaped name into pieces, each to be a directory inside the one before.
pub(super) fn pieces(escaped: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = escaped;
    let mut prefix = "";
    while prefix.len() + rest.len() > LONGEST {
        let cut = cut_at(rest);
        out.push(format!("{prefix}{}{JOINT}", &rest[..cut]));
        rest = &rest[cut..];
        prefix = JOINT;
    }
    out.push(format!("{prefix}{rest}"));
    out
}

/// The last place up to [`CUT`] that splits neither a character nor an escape.
fn cut_at(text: &str) -> usize {
    let inside_escape = |at: usize| (1..=2).any(|back| is_escape(&text.as_bytes()[at - back..]));
    (SHORTEST_PIECE..=CUT)
        .rev()
        .find(|&at| text.is_char_boundary(at) && !inside_escape(at))
        .unwrap_or(SHORTEST_PIECE)
}

/// Whether a directory of that name holds the next piece of an over-long name, and is no level of its own.
pub(super) fn goes_on(name: &[u8]) -> bool {
    name.len() >= SHORTEST_PIECE && name.ends_with(JOINT.as_bytes())
}

/// Puts pieces together again: a list of names with those joined that belong to one. `None` if a piece lacks the other.
pub(super) fn joined<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<Vec<u8>>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    let mut open = false;
    for name in names {
        let more = goes_on(name);
        let own = if more { &name[..name.len() - JOINT.len()] } else { name };
        if open {
            let own = own.strip_prefix(JOINT.as_bytes())?;
            out.last_mut()?.extend_from_slice(own);
        } else {
            out.push(own.to_vec());
        }
        open = more;
    }
    (!open).then_some(out)
}

/// Whether `bytes` begins with `%` and two upper-case hex digits.
fn is_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', b'0'..=b'9' | b'A'..=b'F', b'0'..=b'9' | b'A'..=b'F', ..])
}

fn hex(digit: u8) -> u8 {
    if digit.is_ascii_digit() {
        digit - b'0'
    } else {
        digit - b'A' + 10
    }
}

fn push_escaped(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(DIGITS[usize::from(byte >> 4)] as char);
    out.push(DIGITS[usize::from(byte & 15)] as char);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_escaped() {
        for (name, plain, separate) in [
            ("Work", "Work", "Work"),
            ("Entwürfe", "Entwürfe", "Entwürfe"),
            ("a/b", "a%2Fb", "a%2Fb"),
            (".", "%2E", "%2E"),
            ("..", "%2E.", "%2E%2E"),
            (".homing", "%2Ehoming", "%2Ehoming"),
            ("v1.2", "v1.2", "v1%2E2"),
            ("cur", "%63ur", "%63ur"),
            ("NEW", "%4EEW", "%4EEW"),
            ("current", "current", "current"),
            ("tab\there", "tab%09here", "tab%09here"),
            ("line\nbreak\0", "line%0Abreak%00", "line%0Abreak%00"),
            ("100%", "100%", "100%"),
            ("%41", "%2541", "%2541"),
            ("%4a", "%4a", "%4a"),
            ("dovecot-keywords", "%64ovecot-keywords", "%64ovecot-keywords"),
        ] {
            assert_eq!(escape(name, Dots::Plain), plain, "{name:?}");
            assert_eq!(escape(name, Dots::Separate), separate, "{name:?}");
            assert_eq!(unescape(plain.as_bytes()), name, "{name:?}");
            assert_eq!(unescape(separate.as_bytes()), name, "{name:?}");
        }
    }

    #[test]
    fn another_spelling_means_the_same() {
        for (name, other) in [
            ("work", Some("%77ork")),
            ("2024 ä Work", Some("2024 ä %57ork")),
            ("%2Fx", None),
            ("&APw-x", None),
            ("2024", None),
        ] {
            assert_eq!(respelled(name).as_deref(), other, "{name}");
            assert!(other.is_none_or(|other| unescape(other.as_bytes()) == name));
        }
    }

    #[test]
    fn bytes_that_are_no_text_stay_readable() {
        assert_eq!(unescape(b"caf\xe9"), "caf%E9");
        assert_eq!(unescape(b"\xff\xfe"), "%FF%FE");
    }

    fn odd_name() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            3 => "[a-zA-Z.%/+ 0-9A-F]{1,6}",
            2 => any::<char>().prop_map(String::from),
            1 => Just("cur".to_owned()),
            1 => Just("%+".to_owned()),
            1 => "[äß€%]{1,90}",
            1 => "[a.%]{100,200}",
        ];
        proptest::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn comes_back_and_stays_inside(name in odd_name(), separate in any::<bool>()) {
            let dots = if separate { Dots::Separate } else { Dots::Plain };
            let pieces = pieces(&escape(&name, dots));
            for piece in &pieces {
                prop_assert!(!piece.is_empty() && piece.len() <= LONGEST);
                prop_assert!(!piece.starts_with('.') && !piece.contains('/') && !piece.contains('\0'));
                prop_assert!(!RESERVED.iter().any(|reserved| piece.eq_ignore_ascii_case(reserved)));
            }
            let whole = joined(pieces.iter().map(String::as_bytes)).unwrap();
            prop_assert_eq!(whole.len(), 1);
            prop_assert_eq!(unescape(&whole[0]), name);
        }

        #[test]
        fn any_bytes_can_be_read(name in proptest::collection::vec(any::<u8>(), 1..300)) {
            prop_assert!(!unescape(&name).is_empty());
            joined([name.as_slice(), name.as_slice()]);
        }
    }
}
