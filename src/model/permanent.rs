//! Which flags a mailbox lets be set.

use std::fmt;

use super::flags::{Flags, Keyword, System};

/// The flags that can be changed for good in a mailbox (RFC 9051 §7.1 PERMANENTFLAGS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permanent {
    /// Those that it names.
    pub flags: Flags,
    /// `\*`: new keywords can be made, so it lets any be set.
    pub any_keyword: bool,
}

impl Permanent {
    /// Of a mailbox that does not say.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            flags: Flags::new(System::ALL, []),
            any_keyword: true,
        }
    }

    /// As [`fmt::Display`] writes it.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self {
            flags: Flags::from_names(text.split(' ')),
            any_keyword: text.split(' ').any(|name| name == ANY),
        }
    }

    /// What of `flags` the mailbox can hold.
    #[must_use]
    pub fn filter(&self, flags: &Flags) -> Flags {
        if self.any_keyword {
            let system = flags.system.intersection(self.flags.system);
            Flags::new(system, flags.keywords().iter().cloned())
        } else {
            flags.intersection(&self.flags)
        }
    }

    /// What of `flags` it can hold, and could not `then`.
    #[must_use]
    pub fn newly(&self, then: &Self, flags: &Flags) -> Flags {
        self.filter(flags).minus(&then.filter(flags))
    }

    /// Whether it can hold anything that it could not `then`. A keyword that is in use by now is nothing new where any could
    /// be made.
    #[must_use]
    pub fn exceeds(&self, then: &Self) -> bool {
        let any = self.any_keyword && !then.any_keyword;
        any || !self.newly(then, &self.flags).is_empty()
    }

    /// What both can hold.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            flags: self.filter(&other.flags).union(&other.filter(&self.flags)),
            any_keyword: self.any_keyword && other.any_keyword,
        }
    }
}

const ANY: &str = "\\*";

/// Names with a space between them; no keywords where any can be made.
impl fmt::Display for Permanent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&str> = self.flags.system.names().collect();
        if self.any_keyword {
            names.push(ANY);
        } else {
            names.extend(self.flags.keywords().iter().map(Keyword::as_str));
        }
        f.write_str(&names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_be_set_now_and_was_not_before() {
        // then | now | of these flags | newly | exceeds | both
        let rows = [
            ("\\Seen", "\\Seen", "\\Seen \\Flagged kw", "", false, "\\Seen"),
            (
                "\\Seen",
                "\\Seen \\Flagged",
                "\\Seen \\Flagged kw",
                "\\Flagged",
                true,
                "\\Seen",
            ),
            ("\\Seen", "\\Seen KW", "\\Flagged kw", "kw", true, "\\Seen"),
            ("\\Seen", "\\Seen \\*", "\\Flagged kw", "kw", true, "\\Seen"),
            ("\\Seen a", "\\Seen \\*", "a", "", true, "\\Seen a"),
            // Keywords come into use, and any could be made all the time.
            ("\\Seen \\*", "\\Seen kw \\*", "kw", "", false, "\\Seen \\*"),
            ("\\Seen \\*", "\\Seen kw", "kw", "", false, "\\Seen kw"),
            ("\\Seen \\Flagged", "\\Seen a", "\\Flagged a", "a", true, "\\Seen"),
            ("", "", "\\Seen", "", false, ""),
            ("", "\\Seen", "\\Seen", "\\Seen", true, ""),
        ];
        for (then, now, flags, newly, exceeds, both) in rows {
            let [then, now] = [then, now].map(Permanent::from_text);
            let flags = Flags::from_names(flags.split(' '));
            let title = format!("{then} | {now} | {flags}");
            assert_eq!(now.newly(&then, &flags).to_string(), newly, "{title}");
            assert_eq!(now.exceeds(&then), exceeds, "{title}");
            assert_eq!(now.intersection(&then).to_string(), both, "{title}");
            assert_eq!(then.intersection(&now).to_string(), both, "{title}");
        }
        assert_eq!(Permanent::from_text("\\Seen kw \\*").to_string(), "\\Seen \\*");
        let everything = Permanent::everything();
        assert_eq!(Permanent::from_text(&everything.to_string()), everything);
    }
}
