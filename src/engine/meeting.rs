//! What one account's mailboxes are called on another, for `migrate` and `restore` (DESIGN 13): what an earlier run made of
//! them, else FROM's map and then TO's inverted, else the mailbox of the same role, else the same name. Where TO has given a
//! name to another one, or refuses it, the name is changed and the report shows it; no mailbox is left out for its name.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::account::Account;
use crate::config::map::NameMap;
use crate::config::patterns::Scope;
use crate::engine::Naming;
use crate::model::{Listed, MailboxPath, Role, Survey};
use crate::state::MailboxRow;

/// What decides on names.
pub(super) struct Rules<'a> {
    /// Which of FROM's mailboxes are in scope.
    pub scope: &'a Scope,
    /// FROM's map: its names to those in between.
    pub from: &'a NameMap,
    /// TO's map, used backwards: names in between to its own.
    pub to: &'a NameMap,
}

impl<'a> Rules<'a> {
    pub(super) fn of(from: &'a Account, to: &'a Account) -> Self {
        Self {
            scope: &from.scope,
            from: &from.map,
            to: &to.map,
        }
    }

    fn mapped(&self, left: &MailboxPath) -> MailboxPath {
        self.to.to_right(&self.from.to_left(left))
    }

    /// Whether a map has a rule for the mailbox; then its role does not matter.
    fn names(&self, left: &MailboxPath) -> bool {
        self.from.names_right(left) || self.to.names_left(&self.from.to_left(left))
    }
}

/// The mailboxes of a migration by both names.
#[derive(Debug, Default)]
pub(super) struct Names {
    to_right: BTreeMap<MailboxPath, MailboxPath>,
    to_left: BTreeMap<MailboxPath, MailboxPath>,
    /// How many names of a mailbox TO has refused in this run.
    refused: Mutex<BTreeMap<MailboxPath, usize>>,
}

impl Names {
    /// Gives each mailbox of FROM that is in scope a name on TO, each its own. What decides first is served first.
    pub(super) fn meet(rules: &Rules<'_>, surveys: &[Survey; 2], known: &[MailboxRow]) -> Self {
        let mut names = Self::default();
        let [left, right] = surveys;
        for row in known
            .iter()
            .filter(|row| rules.scope.includes(&row.path, &roles(left, &row.path)))
        {
            let raw = row.places[1].as_ref().map(|place| &place.raw);
            let there = right.mailboxes.iter().find(|listed| Some(&listed.raw) == raw);
            if let Some(there) = there {
                names.pair(&row.path, &there.path);
            }
        }
        let in_scope = |listed: &&Listed| listed.selectable && rules.scope.includes(&listed.path, &listed.roles);
        let wanted: Vec<&Listed> = left.mailboxes.iter().filter(in_scope).collect();
        for listed in wanted.iter().filter(|l| l.path.is_inbox() || rules.names(&l.path)) {
            names.claim(&listed.path, &rules.mapped(&listed.path));
        }
        for listed in &wanted {
            if let Some(there) = same_role(listed, right).filter(|there| !names.to_left.contains_key(*there)) {
                names.pair(&listed.path, there);
            }
        }
        for listed in &wanted {
            names.claim(&listed.path, &rules.mapped(&listed.path));
        }
        // What neither side lists any more: its removals are still to be told.
        for row in known.iter().filter(|row| row.places.iter().any(Option::is_some)) {
            if rules.scope.includes(&row.path, &[]) {
                names.claim(&row.path, &rules.mapped(&row.path));
            }
        }
        names
    }

    /// FROM's names and TO's, in order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&MailboxPath, &MailboxPath)> {
        self.to_right.iter()
    }

    fn pair(&mut self, left: &MailboxPath, right: &MailboxPath) {
        if !self.to_right.contains_key(left) && !self.to_left.contains_key(right) {
            self.to_right.insert(left.clone(), right.clone());
            self.to_left.insert(right.clone(), left.clone());
        }
    }

    fn claim(&mut self, left: &MailboxPath, right: &MailboxPath) {
        let free = self.free(right);
        self.pair(left, &free);
    }

    /// That name, or the first of `name (2)`, `name (3)`… that no other mailbox has.
    fn free(&self, name: &MailboxPath) -> MailboxPath {
        let (mut free, mut n) = (name.clone(), 1);
        while self.to_left.contains_key(&free) {
            n += 1;
            free = change_last(name, |last| format!("{last} ({n})"));
        }
        free
    }
}

fn change_last(path: &MailboxPath, change: impl Fn(&str) -> String) -> MailboxPath {
    let mut components = path.components().to_vec();
    if let Some(last) = components.last_mut() {
        *last = change(last);
    }
    MailboxPath::new(components).expect("no component became empty")
}

fn roles(survey: &Survey, path: &MailboxPath) -> Vec<Role> {
    let listed = survey.mailboxes.iter().find(|listed| listed.path == *path);
    listed.map_or_else(Vec::new, |listed| listed.roles.clone())
}

/// The mailbox of the same role; none for views, which hold nothing of their own.
fn same_role<'a>(listed: &Listed, right: &'a Survey) -> Option<&'a MailboxPath> {
    let role = listed.roles.iter().find(|role| !role.is_view())?;
    let mut there = right
        .mailboxes
        .iter()
        .filter(|there| there.selectable && there.roles.contains(role));
    there.next().map(|there| &there.path)
}

impl Naming for Names {
    fn includes(&self, _: &MailboxPath, _: &[Role]) -> bool {
        true
    }

    fn acts_on(&self, _: &MailboxPath, _: &[Role]) -> bool {
        true
    }

    fn to_left(&self, right: &MailboxPath) -> MailboxPath {
        self.to_left.get(right).unwrap_or(right).clone()
    }

    fn to_right(&self, left: &MailboxPath) -> MailboxPath {
        self.to_right.get(left).unwrap_or(left).clone()
    }

    fn meets_right(&self, right: &MailboxPath) -> bool {
        self.to_left.contains_key(right)
    }

    fn meets_left(&self, left: &MailboxPath) -> bool {
        self.to_right.contains_key(left)
    }

    fn instead(&self, left: &MailboxPath, _: &MailboxPath) -> Option<MailboxPath> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let nth = refused.entry(left.clone()).or_default();
        *nth += 1;
        tamer(&self.to_right(left))
            .into_iter()
            .nth(*nth - 1)
            .map(|name| self.free(&name))
    }
}

/// Ever plainer forms of a name: without what servers are known to stumble over, then letters and digits only, then all
/// levels in one.
fn tamer(path: &MailboxPath) -> Vec<MailboxPath> {
    const SHORT: usize = 60;
    let each = |keep: fn(char) -> bool| {
        let tame = |component: &String| {
            let kept: String = component
                .chars()
                .take(SHORT)
                .map(|c| if keep(c) { c } else { '-' })
                .collect();
            match kept.trim() {
                "" => "-".to_owned(),
                trimmed => trimmed.to_owned(),
            }
        };
        MailboxPath::new(path.components().iter().map(tame)).expect("no component became empty")
    };
    let mild = each(|c| !c.is_control() && !"./\\*%\"&#~^|:<>".contains(c));
    let plain = each(|c| c.is_ascii_alphanumeric() || " -_".contains(c));
    let flat = MailboxPath::new([plain.components().join("-")]).expect("not empty");
    let mut names = vec![mild, plain, flat];
    names.dedup();
    names.retain(|name| name != path);
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MailboxId, RawName};
    use crate::state::Place;

    fn survey(mailboxes: &str) -> Survey {
        let listed = |word: &str| {
            let (name, role) = word.split_once(':').unwrap_or((word, ""));
            Listed {
                path: MailboxPath::parse(name).unwrap(),
                raw: RawName::new(name),
                roles: Role::named(role).into_iter().collect(),
                selectable: true,
                status: None,
                identity: None,
                messages: None,
            }
        };
        Survey {
            mailboxes: mailboxes.split_whitespace().map(listed).collect(),
            failures: Vec::new(),
        }
    }

    fn known(left: &str, right: &str) -> MailboxRow {
        let place = Place {
            raw: RawName::new(right),
            identity: None,
            confirmed: None,
            checkpoint: None,
            listed: None,
            permanent: None,
        };
        MailboxRow {
            id: MailboxId(1),
            path: MailboxPath::parse(left).unwrap(),
            places: [Some(place.clone()), Some(place)],
        }
    }

    fn map<const N: usize>(pairs: [(&str, &str); N]) -> NameMap {
        NameMap::new(pairs).unwrap()
    }

    #[test]
    fn every_mailbox_has_a_name_of_its_own() {
        let (none, scope) = (map([]), Scope::default());
        let gmail = map([("[Gmail]/Sent Mail", "Sent")]);
        let exchange = map([("Sent Items", "Sent")]);
        // What is checked; FROM, its map; TO, its map; what was known; what comes out.
        let rows = [
            (
                "same names",
                "INBOX Work/a",
                &none,
                "INBOX",
                &none,
                vec![],
                "INBOX=INBOX Work/a=Work/a",
            ),
            (
                "by role, whatever the names",
                "INBOX Gesendet:\\Sent Bin:\\Trash",
                &none,
                "INBOX Sent:\\Sent Trash:\\Trash",
                &none,
                vec![],
                "Bin=Trash Gesendet=Sent INBOX=INBOX",
            ),
            (
                "no such role there",
                "Gesendet:\\Sent",
                &none,
                "INBOX",
                &none,
                vec![],
                "Gesendet=Gesendet",
            ),
            (
                "the role has it, who is called so makes way",
                "Sent Old:\\Sent",
                &none,
                "Sent:\\Sent",
                &none,
                vec![],
                "Old=Sent Sent=Sent_(2)",
            ),
            (
                "both maps, before roles",
                "[Gmail]/Sent_Mail:\\Sent",
                &map([("[Gmail]/Sent_Mail", "Sent")]),
                "Sent_Items X:\\Sent",
                &map([("Sent_Items", "Sent")]),
                vec![],
                "[Gmail]/Sent_Mail=Sent_Items",
            ),
            ("one map alone", "a", &map([("a", "b")]), "", &none, vec![], "a=b"),
            (
                "what was known stays",
                "a",
                &map([("a", "b")]),
                "c",
                &none,
                vec![known("a", "c")],
                "a=c",
            ),
            (
                "gone on both sides",
                "INBOX",
                &none,
                "INBOX",
                &none,
                vec![known("a", "a")],
                "INBOX=INBOX a=a",
            ),
        ];
        for (what, left, from, right, to, known, wanted) in rows {
            let rules = Rules {
                scope: &scope,
                from,
                to,
            };
            let names = Names::meet(&rules, &[survey(left), survey(right)], &known);
            let got: Vec<String> = names
                .pairs()
                .map(|(l, r)| format!("{l}={r}").replace(' ', "_"))
                .collect();
            assert_eq!(got.join(" "), wanted, "{what}");
        }
        assert!(gmail.names_right(&MailboxPath::parse("[Gmail]/Sent Mail").unwrap()));
        assert!(!exchange.names_left(&MailboxPath::parse("Sent Items").unwrap()));
    }

    #[test]
    fn refused_names_get_plainer() {
        let names = Names::meet(
            &Rules {
                scope: &Scope::default(),
                from: &map([]),
                to: &map([]),
            },
            &[survey("v1.2/ä+ö v1-2/ä+ö"), survey("")],
            &[],
        );
        let left = MailboxPath::parse("v1.2/ä+ö").unwrap();
        let tried: Vec<String> = std::iter::from_fn(|| names.instead(&left, &left))
            .map(|path| path.to_string())
            .collect();
        assert_eq!(tried, ["v1-2/ä+ö (2)", "v1-2/---", "v1-2----"]);
        let odd = MailboxPath::new([" * ".to_owned(), "\u{7}".to_owned()]).unwrap();
        assert_eq!(names.instead(&odd, &odd).unwrap().to_string(), "-/-");
    }
}
