//! Which mailboxes are meant: patterns over names and roles.

use std::fmt;
use std::str::FromStr;

use super::keys::nearest;
use crate::model::{MailboxPath, Role};

/// A pattern for mailboxes: a name in which `*` stands for anything and `%` for anything within one component, or a role
/// such as `\Junk`. It is compared with the server's name, its personal prefix removed and `/` between components; the
/// INBOX matches in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// A name with wildcards.
    Name(String),
    /// Every mailbox of that role.
    Role(Role),
}

/// A text that is no pattern, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPattern(pub String);

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadPattern {}

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        if text.is_empty() {
            return Err(BadPattern("a pattern cannot be empty".into()));
        }
        if !text.starts_with('\\') {
            return Ok(Self::Name(text.into()));
        }
        Role::named(text).map(Self::Role).ok_or_else(|| {
            let names = Role::NAMES.map(|(_, name)| name);
            let advice = match nearest(text, names.into_iter()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("the roles are {}", names.join(", ")),
            };
            BadPattern(format!("there is no role {}; {advice}", crate::error::clean(text)))
        })
    }
}

/// One place of a name.
#[derive(Clone, Copy)]
enum Place {
    /// Between two components.
    Boundary,
    /// A character of the INBOX, whose case does not matter.
    Inbox(char),
    /// Any other character; can be a `/` that is part of a component.
    Char(char),
}

impl Place {
    fn is(self, c: char) -> bool {
        match self {
            Self::Boundary => c == '/',
            Self::Inbox(own) => own.eq_ignore_ascii_case(&c),
            Self::Char(own) => own == c,
        }
    }
}

fn places(path: &MailboxPath) -> Vec<Place> {
    let mut places = Vec::new();
    for (n, component) in path.components().iter().enumerate() {
        if n > 0 {
            places.push(Place::Boundary);
        }
        let inbox = n == 0 && component == "INBOX";
        places.extend(component.chars().map(if inbox { Place::Inbox } else { Place::Char }));
    }
    places
}

/// Whether the pattern matches the whole name: `matched[i]` says whether the pattern so far matches the first `i` places.
/// Never tries anything twice, so no name that a server thinks up can make it slow.
fn matches(pattern: &str, places: &[Place]) -> bool {
    let mut matched = vec![false; places.len() + 1];
    matched[0] = true;
    for c in pattern.chars() {
        let mut before = matched[0];
        matched[0] = before && matches!(c, '*' | '%');
        for (i, &place) in places.iter().enumerate() {
            let here = match c {
                '*' => matched[i] || matched[i + 1],
                '%' => matched[i + 1] || (matched[i] && !matches!(place, Place::Boundary)),
                literal => before && place.is(literal),
            };
            before = std::mem::replace(&mut matched[i + 1], here);
        }
    }
    matched[places.len()]
}

impl Pattern {
    /// Whether a mailbox of that name and those roles is meant.
    pub fn matches(&self, path: &MailboxPath, roles: &[Role]) -> bool {
        match self {
            Self::Name(pattern) => matches(pattern, &places(path)),
            Self::Role(role) => roles.contains(role),
        }
    }

    /// Whether it means that mailbox by its very name or role, not by a wildcard.
    fn names(&self, path: &MailboxPath, roles: &[Role]) -> bool {
        let exact = match self {
            Self::Name(pattern) => !pattern.contains(['*', '%']),
            Self::Role(_) => true,
        };
        exact && self.matches(path, roles)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(pattern) => f.write_str(pattern),
            Self::Role(role) => f.write_str(role.attribute()),
        }
    }
}

/// Which mailboxes of an account homing deals with: those that an include matches and no exclude does.
///
/// Mailboxes that only show again what lies elsewhere (`\All`, `\Flagged`, `\Important`) are out unless an include names
/// them, by role or by name without wildcards. Gmail's `\All` is in, since its archived mail lies nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Patterns of which one must match.
    pub include: Vec<Pattern>,
    /// Patterns of which none may match.
    pub exclude: Vec<Pattern>,
    all_is_a_view: bool,
}

impl Default for Scope {
    fn default() -> Self {
        Self::new(vec![Pattern::Name("*".into())], Vec::new())
    }
}

impl Scope {
    /// From patterns.
    pub const fn new(include: Vec<Pattern>, exclude: Vec<Pattern>) -> Self {
        Self {
            include,
            exclude,
            all_is_a_view: true,
        }
    }

    /// The same scope on Gmail.
    #[must_use]
    pub fn on_gmail(self) -> Self {
        Self {
            all_is_a_view: false,
            ..self
        }
    }

    /// Whether a mailbox of that name (the server's) and those roles is in scope.
    pub fn includes(&self, path: &MailboxPath, roles: &[Role]) -> bool {
        let view = roles.iter().any(|role| match role {
            Role::Flagged | Role::Important => true,
            Role::All => self.all_is_a_view,
            _ => false,
        });
        let included = self.include.iter().any(|pattern| {
            if view {
                pattern.names(path, roles)
            } else {
                pattern.matches(path, roles)
            }
        });
        included && !self.exclude.iter().any(|pattern| pattern.matches(path, roles))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> MailboxPath {
        MailboxPath::parse(name).unwrap()
    }

    #[test]
    fn names_match() {
        for (pattern, name, result) in [
            ("*", "INBOX", true),
            ("*", "Work/2026/May", true),
            ("%", "Work", true),
            ("%", "Work/2026", false),
            ("Work/%", "Work/2026", true),
            ("Work/%", "Work/2026/May", false),
            ("Work/%/May", "Work/2026/May", true),
            ("Work/*", "Work/2026/May", true),
            ("Work/*", "Work", false),
            ("Work*", "Work", true),
            ("Work", "work", false),
            ("Work", "Workshop", false),
            ("*2026*", "Work/2026/May", true),
            ("*o*o*", "Lists/foo", true),
            ("*o*o*o", "Lists/foo", false),
            ("%o%", "Lists/foo", false),
            ("inbox", "INBOX", true),
            ("Inbox/*", "INBOX/Sub", true),
            ("inb*", "INBOX", true),
            ("Work/inbox", "Work/INBOX", false),
            ("Ärger/%", "Ärger/ß", true),
        ] {
            let pattern: Pattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(&path(name), &[]), result, "{pattern} {name}");
        }
    }

    #[test]
    fn a_slash_inside_a_component_is_no_boundary() {
        let odd = MailboxPath::new(["Lists".into(), "a/b".into()]).unwrap();
        for (pattern, result) in [("Lists/%", true), ("Lists/a/b", true), ("%/%", true), ("Lists/*", true)] {
            assert_eq!(
                pattern.parse::<Pattern>().unwrap().matches(&odd, &[]),
                result,
                "{pattern}"
            );
        }
    }

    #[test]
    fn a_hostile_name_is_not_slow() {
        let name = path(&"a".repeat(4000));
        let pattern: Pattern = format!("{}b", "*a".repeat(100)).parse().unwrap();
        assert!(!pattern.matches(&name, &[]));
    }

    #[test]
    fn roles() {
        let junk: Pattern = "\\junk".parse().unwrap();
        assert_eq!(junk.to_string(), "\\Junk");
        assert!(junk.matches(&path("Spam"), &[Role::Junk]));
        assert!(!junk.matches(&path("Junk"), &[]));
        let error = "\\Snet".parse::<Pattern>().unwrap_err();
        assert_eq!(error.to_string(), "there is no role \\Snet; did you mean \\Sent?");
        assert!("".parse::<Pattern>().is_err());
    }

    fn scope(include: &[&str], exclude: &[&str]) -> Scope {
        let parse = |patterns: &[&str]| patterns.iter().map(|p| p.parse().unwrap()).collect();
        Scope::new(parse(include), parse(exclude))
    }

    #[test]
    fn scopes() {
        type Row<'a> = (&'a [&'a str], &'a [&'a str], &'a str, &'a [Role], bool);
        let rows: &[Row] = &[
            (&["*"], &[], "INBOX", &[], true),
            (&["*"], &["\\Junk"], "Spam", &[Role::Junk], false),
            (&["*"], &["Lists/%"], "Lists/rust", &[], false),
            (&["*"], &["Lists/%"], "Lists/rust/announce", &[], true),
            (&["INBOX", "Work/*"], &[], "Sent", &[Role::Sent], false),
            (&["*"], &[], "All Mail", &[Role::All], false),
            (&["*"], &[], "Starred", &[Role::Flagged], false),
            (&["*"], &[], "Important", &[Role::Important], false),
            (&["*", "\\All"], &[], "All Mail", &[Role::All], true),
            (&["*", "Starred"], &[], "Starred", &[Role::Flagged], true),
            (&["*", "Star*"], &[], "Starred", &[Role::Flagged], false),
            (&["\\All"], &["All*"], "All Mail", &[Role::All], false),
        ];
        for &(include, exclude, name, roles, result) in rows {
            let scope = scope(include, exclude);
            assert_eq!(
                scope.includes(&path(name), roles),
                result,
                "{include:?} {exclude:?} {name}"
            );
        }
        let gmail = Scope::default().on_gmail();
        assert!(gmail.includes(&path("[Gmail]/All Mail"), &[Role::All]));
        assert!(!gmail.includes(&path("[Gmail]/Starred"), &[Role::Flagged]));
    }
}
