//! The flags of a message as the server keeps them: names, compared without case.

use std::fmt;

/// A set of flag names, `\Seen` and keywords alike, in a stable order. Never holds `\Recent`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(Vec<String>);

/// The system flags that a client can set.
pub const SYSTEM: [&str; 5] = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"];

impl Flags {
    /// From names.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let mut flags = Self::default();
        for name in names {
            flags.insert(name.as_ref());
        }
        flags
    }

    /// Whether that flag is set.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|n| n.eq_ignore_ascii_case(name))
    }

    /// Sets a flag; one that is there keeps its spelling. `\Recent` is ignored.
    pub fn insert(&mut self, name: &str) {
        if self.has(name) || name.eq_ignore_ascii_case("\\Recent") {
            return;
        }
        let system = SYSTEM.iter().find(|s| s.eq_ignore_ascii_case(name));
        self.0.push(system.map_or(name, |s| *s).to_owned());
        self.0.sort_by_key(|n| n.to_ascii_lowercase());
    }

    /// Clears a flag.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|n| !n.eq_ignore_ascii_case(name));
    }

    /// The names, sorted without case (so `\` comes before letters and after `$`).
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Those that satisfy `keep`.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|n| keep(n)).cloned().collect())
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}
