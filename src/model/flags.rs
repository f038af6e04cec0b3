//! System flags and keywords of one message.

use std::fmt;

/// The system flags that a message can hold and that a client can set (RFC 9051 §2.3.2).
///
/// `\Recent` is none of them: it belongs to a connection, not to a message, and is never stored or sent.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct System(u8);

impl System {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// `\Seen`.
    pub const SEEN: Self = Self(1);
    /// `\Answered`.
    pub const ANSWERED: Self = Self(2);
    /// `\Flagged`.
    pub const FLAGGED: Self = Self(4);
    /// `\Deleted`.
    pub const DELETED: Self = Self(8);
    /// `\Draft`.
    pub const DRAFT: Self = Self(16);
    /// All five.
    pub const ALL: Self = Self(31);

    /// Each flag with its name on the wire.
    pub const NAMES: [(Self, &'static str); 5] = [
        (Self::SEEN, "\\Seen"),
        (Self::ANSWERED, "\\Answered"),
        (Self::FLAGGED, "\\Flagged"),
        (Self::DELETED, "\\Deleted"),
        (Self::DRAFT, "\\Draft"),
    ];

    /// From the bits of [`Self::bits`]; unknown bits are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// One bit a flag; what the state stores.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The flag of that name, without regard to case; `None` for `\Recent`, `\*` and unknown ones.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(_, n)| n.eq_ignore_ascii_case(name))
            .map(|&(flag, _)| flag)
    }

    /// Whether no flag is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all flags of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Flags of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Flags of `self` that `other` lacks.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Flags of both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The names of the flags that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |&(flag, _)| self.contains(flag))
            .map(|(_, name)| name)
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// A keyword (RFC 9051 §2.3.2): a flag whose name the user or a mail program chose, such as `$Forwarded`.
///
/// Compared without regard to ASCII case (servers keep the first spelling they saw), printed as first seen.
/// Always an atom of printable ASCII, so it can go on the wire as it is.
#[derive(Clone)]
pub struct Keyword(Box<str>);

impl Keyword {
    /// `$Forwarded`, which a Maildir holds as the letter `P`.
    pub fn forwarded() -> Self {
        Self("$Forwarded".into())
    }

    /// A keyword of that name; `None` if it is not an atom (RFC 9051 §9 `flag-keyword`), starts with `\` or is
    /// longer than 255 bytes.
    pub fn new(name: &str) -> Option<Self> {
        let atom = |b: u8| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b);
        (!name.is_empty() && name.len() <= 255 && name.bytes().all(atom)).then(|| Self(name.into()))
    }

    /// Its name as first seen.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(other.folded())
    }
}

impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::hash::Hash for Keyword {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for b in self.folded() {
            state.write_u8(b);
        }
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All flags of one message, or a set of flags to add or to take away.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flags {
    /// The system flags.
    pub system: System,
    /// The keywords, sorted, each once. Private so that the order holds; most messages have none.
    keywords: Vec<Keyword>,
}

impl Flags {
    /// No flags; costs no allocation.
    pub const fn none() -> Self {
        Self {
            system: System::NONE,
            keywords: Vec::new(),
        }
    }

    /// These flags and keywords; doubles are dropped.
    pub fn new(system: System, keywords: impl IntoIterator<Item = Keyword>) -> Self {
        let mut keywords: Vec<_> = keywords.into_iter().collect();
        keywords.sort();
        keywords.dedup();
        Self { system, keywords }
    }

    /// From names as servers send them: `\Seen`, `$Forwarded`, … `\Recent`, unknown system flags and what is no atom
    /// are dropped.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut flags = Self::none();
        for name in names {
            if let Some(flag) = System::named(name) {
                flags.system = flags.system.union(flag);
            } else if let Some(keyword) = Keyword::new(name) {
                flags.keywords.push(keyword);
            }
        }
        flags.keywords.sort();
        flags.keywords.dedup();
        flags
    }

    /// The keywords, sorted without regard to case.
    pub fn keywords(&self) -> &[Keyword] {
        &self.keywords
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.system.is_empty() && self.keywords.is_empty()
    }

    /// Whether that keyword is set.
    pub fn has(&self, keyword: &Keyword) -> bool {
        self.keywords.binary_search(keyword).is_ok()
    }

    /// Flags of either; where both have a keyword, `self`'s spelling stays.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let more = other.keywords.iter().filter(|k| !self.has(k));
        Self::new(
            self.system.union(other.system),
            self.keywords.iter().chain(more).cloned(),
        )
    }

    /// Flags of `self` that `other` lacks.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let keywords = self.keywords.iter().filter(|k| !other.has(k)).cloned().collect();
        Self {
            system: self.system.minus(other.system),
            keywords,
        }
    }

    /// Flags of both, in `self`'s spelling.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let keywords = self.keywords.iter().filter(|k| other.has(k)).cloned().collect();
        Self {
            system: self.system.intersection(other.system),
            keywords,
        }
    }

    /// All names, system flags first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.system
            .names()
            .map(|name| -> &str { name })
            .chain(self.keywords.iter().map(Keyword::as_str))
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.names().enumerate() {
            write!(f, "{}{name}", if i == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(names: &str) -> Flags {
        Flags::from_names(names.split_whitespace())
    }

    #[test]
    fn names_are_read_without_case_and_recent_never() {
        assert_eq!(
            flags("\\seen \\RECENT \\Foo $forwarded \\*").to_string(),
            "\\Seen $forwarded"
        );
        assert_eq!(flags("b A a B"), flags("A b"));
        assert_eq!(flags("b A a").to_string(), "A b");
    }

    #[test]
    fn keywords_are_atoms() {
        for (name, good) in [
            ("$Forwarded", true),
            ("NonJunk", true),
            ("", false),
            ("a b", false),
            ("\\Seen", false),
            ("ü", false),
            ("a(b", false),
            ("a]", false),
        ] {
            assert_eq!(Keyword::new(name).is_some(), good, "{name}");
        }
    }

    #[test]
    fn set_arithmetic_ignores_case() {
        let (a, b) = (flags("\\Seen Work todo"), flags("\\Draft WORK"));
        assert_eq!(a.union(&b), flags("\\Seen \\Draft Work todo"));
        assert_eq!(a.minus(&b), flags("\\Seen todo"));
        assert_eq!(a.intersection(&b), flags("Work"));
    }
}
