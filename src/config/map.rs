//! What mailboxes are called on the other side.

use crate::error::{Failure, Kind, Result};
use crate::model::MailboxPath;

/// Components of a name or of the part before `/*`, which may be empty.
type Prefix = Vec<String>;

/// One rule of the map.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// On the server.
    right: Prefix,
    /// On the other side.
    left: Prefix,
    /// Whether it is about what lies below, and not about the mailbox itself.
    below: bool,
}

/// How mailboxes are renamed between the server (right) and the other side (left). A rule is exact, or `prefix/*` for all
/// that lies below; an exact one goes first, then the longest prefix. What no rule names keeps its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameMap {
    rules: Vec<Rule>,
}

impl NameMap {
    /// From pairs as written, the server's name first. Refuses what is not one to one, with the number of the pair.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, (usize, String)> {
        let mut rules: Vec<Rule> = Vec::new();
        for (n, (right, left)) in pairs.into_iter().enumerate() {
            let rule = Rule::new(right, left).map_err(|why| (n, why))?;
            for other in rules.iter().filter(|other| other.below == rule.below) {
                if other.right == rule.right {
                    return Err((n, format!("\"{right}\" is mapped twice")));
                }
                if other.left == rule.left {
                    return Err((n, format!("two names are mapped to \"{left}\"")));
                }
            }
            rules.push(rule);
        }
        Ok(Self { rules })
    }

    /// What the server's mailbox is called on the other side.
    pub fn to_left(&self, right: &MailboxPath) -> MailboxPath {
        self.translate(right, |rule| (&rule.right, &rule.left))
    }

    /// What the other side's mailbox is called on the server.
    pub fn to_right(&self, left: &MailboxPath) -> MailboxPath {
        self.translate(left, |rule| (&rule.left, &rule.right))
    }

    /// Whether a rule names this mailbox of the server.
    pub fn names_right(&self, right: &MailboxPath) -> bool {
        self.rules.iter().any(|rule| rule.applies(&rule.right, right))
    }

    /// Whether a rule names this mailbox of the other side.
    pub fn names_left(&self, left: &MailboxPath) -> bool {
        self.rules.iter().any(|rule| rule.applies(&rule.left, left))
    }

    fn translate(&self, path: &MailboxPath, ends: impl Fn(&Rule) -> (&Prefix, &Prefix)) -> MailboxPath {
        let best = self
            .rules
            .iter()
            .filter(|rule| rule.applies(ends(rule).0, path))
            .max_by_key(|rule| (!rule.below, ends(rule).0.len()));
        let Some(rule) = best else { return path.clone() };
        let (from, to) = ends(rule);
        let rest = &path.components()[from.len()..];
        MailboxPath::new(to.iter().chain(rest).cloned()).expect("a rule never leaves nothing")
    }

    /// Proves that no two of the mailboxes that are really there get one name: each of the server's must come back to
    /// itself, and so must each of the other side's. [`Kind::Config`] otherwise, naming them.
    pub fn check<'a>(
        &self,
        right: impl IntoIterator<Item = &'a MailboxPath>,
        left: impl IntoIterator<Item = &'a MailboxPath>,
    ) -> Result<()> {
        let refuse = |path: &MailboxPath, there: &MailboxPath, back: &MailboxPath| {
            let what = format!("map is not one to one: \"{path}\" becomes \"{there}\", which stands for \"{back}\"");
            Err(Failure::account(Kind::Config, what).hint("give one of them another name in map, or exclude it"))
        };
        for path in right {
            let there = self.to_left(path);
            let back = self.to_right(&there);
            if back != *path {
                return refuse(path, &there, &back);
            }
        }
        for path in left {
            let there = self.to_right(path);
            let back = self.to_left(&there);
            if back != *path {
                return refuse(path, &there, &back);
            }
        }
        Ok(())
    }
}

impl Rule {
    fn new(right: &str, left: &str) -> Result<Self, String> {
        let (right, right_below) = parse(right)?;
        let (left, left_below) = parse(left)?;
        if right_below != left_below {
            return Err("either both names end in \"/*\" or none".into());
        }
        Ok(Self {
            right,
            left,
            below: right_below,
        })
    }

    fn applies(&self, from: &Prefix, path: &MailboxPath) -> bool {
        let components = path.components();
        if self.below {
            components.len() > from.len() && components.starts_with(from)
        } else {
            components == from
        }
    }
}

/// Components, and whether the name ended in `/*`. A lone `*` is what lies below nothing: everything.
fn parse(name: &str) -> Result<(Prefix, bool), String> {
    if name == "*" {
        return Ok((Vec::new(), true));
    }
    let (stem, below) = name.strip_suffix("/*").map_or((name, false), |stem| (stem, true));
    if stem.contains(['*', '%']) {
        return Err(format!("\"{name}\": a name in map is exact or ends in \"/*\""));
    }
    let path = MailboxPath::parse(stem).ok_or_else(|| format!("\"{name}\" is not a mailbox's name"))?;
    Ok((path.components().to_vec(), below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> MailboxPath {
        MailboxPath::parse(name).unwrap()
    }

    #[test]
    fn names_are_translated_and_come_back() {
        let map = NameMap::new([
            ("[Gmail]/Sent Mail", "Sent"),
            ("Old/*", "Archive/*"),
            ("Old/Work/*", "Work/Old/*"),
            ("Old/Work", "Old Work"),
            ("Swap", "Pawns"),
            ("Pawns", "Swap"),
        ])
        .unwrap();
        for (right, left) in [
            ("INBOX", "INBOX"),
            ("[Gmail]/Sent Mail", "Sent"),
            ("[Gmail]/Sent Mail/x", "[Gmail]/Sent Mail/x"),
            ("Old", "Old"),
            ("Old/2019", "Archive/2019"),
            ("Old/2019/May", "Archive/2019/May"),
            ("Old/Work", "Old Work"),
            ("Old/Work/a", "Work/Old/a"),
            ("Swap", "Pawns"),
            ("Pawns", "Swap"),
        ] {
            assert_eq!(map.to_left(&path(right)), path(left), "{right}");
            assert_eq!(map.to_right(&path(left)), path(right), "{left}");
        }
    }

    #[test]
    fn a_whole_account_goes_below_a_name_and_out_of_one() {
        let below = NameMap::new([("*", "Work/*")]).unwrap();
        assert_eq!(below.to_left(&path("INBOX")), path("Work/INBOX"));
        assert_eq!(below.to_right(&path("Work/a/b")), path("a/b"));
        let out = NameMap::new([("INBOX/*", "*")]).unwrap();
        assert_eq!(out.to_left(&path("INBOX/Sent")), path("Sent"));
        assert_eq!(out.to_left(&path("INBOX")), path("INBOX"));
        assert_eq!(out.to_right(&path("Sent")), path("INBOX/Sent"));
    }

    #[test]
    fn what_is_not_one_to_one_is_refused() {
        for (pairs, number, why) in [
            ([("a", "x"), ("b", "x")], 1, "two names are mapped to \"x\""),
            ([("a/*", "x/*"), ("b/*", "x/*")], 1, "two names are mapped to \"x/*\""),
            ([("inbox", "x"), ("INBOX", "y")], 1, "\"INBOX\" is mapped twice"),
            ([("a/*", "x"), ("b", "y")], 0, "either both names end in \"/*\" or none"),
            (
                [("a", "y"), ("b*", "x")],
                1,
                "\"b*\": a name in map is exact or ends in \"/*\"",
            ),
            ([("a//b", "y"), ("b", "x")], 0, "\"a//b\" is not a mailbox's name"),
        ] {
            assert_eq!(NameMap::new(pairs), Err((number, why.to_owned())), "{pairs:?}");
        }
    }

    #[test]
    fn names_that_are_really_there_are_checked() {
        let map = NameMap::new([("[Gmail]/Sent Mail", "Sent")]).unwrap();
        let (inbox, sent, gmail) = (path("INBOX"), path("Sent"), path("[Gmail]/Sent Mail"));
        map.check([&inbox, &gmail], [&inbox, &sent]).unwrap();
        let failure = map.check([&inbox, &sent, &gmail], []).unwrap_err();
        assert_eq!(failure.kind, Kind::Config);
        let what = "map is not one to one: \"Sent\" becomes \"Sent\", which stands for \"[Gmail]/Sent Mail\"";
        assert_eq!(failure.what, what);
        assert!(map.check([], [&gmail]).is_err());
    }
}
