//! Which mailboxes there are, and how each looks from outside.

use std::collections::{HashMap, HashSet};

use super::capability::Capabilities;
use super::command::Command;
use super::conn::Conn;
use super::names::{NoPath, Spelling};
use super::pipeline::{Event, Pipeline};
use super::pool::Account;
use super::response::{Data, List, Namespaces, Reply, StatusItems};
use super::wire::Keep;
use crate::error::{Failure, Kind, Result, Retry, clean};
use crate::model::{Checkpoint, Listed, MailboxIdentity, MailboxPath, RawName, Role, Status, Survey, Token};

/// How often the list of mailboxes is asked for while the server says that it is overrun.
const ATTEMPTS: u32 = 3;

/// Lists the account in as few round trips as the server allows.
pub(super) fn survey(account: &Account) -> Result<Survey> {
    let told = account.with_conn(|conn| Told::ask(account, conn))?;
    Ok(told.into_survey(account))
}

/// How names are spelled, for who has not surveyed the account.
pub(super) fn learn_spelling(account: &Account, conn: &mut Conn) -> Result<Spelling> {
    let mut told = Told::default();
    told.ask_in(account, conn, "LIST \"\" \"INBOX\"")?;
    let spelling = told.spelling(account);
    account.memory().spelling = Some(spelling.clone());
    Ok(spelling)
}

/// One mailbox as listed.
struct Name {
    raw: RawName,
    separator: Option<u8>,
    roles: Vec<Role>,
    selectable: bool,
}

impl Name {
    fn new(list: &List<'_>) -> Self {
        // RFC 9051 §7.3.1: neither can be selected.
        let selectable = !list.has("\\Noselect") && !list.has("\\NonExistent");
        Self {
            raw: RawName::new(&list.name),
            separator: list.separator,
            roles: list.attributes.iter().filter_map(|a| Role::named(a)).collect(),
            selectable,
        }
    }
}

/// What the server told.
#[derive(Default)]
struct Told {
    names: Vec<Name>,
    statuses: HashMap<Vec<u8>, StatusItems>,
    namespaces: Option<Namespaces>,
    /// Of an account without mailboxes.
    separator: Option<u8>,
    garbled: u64,
}

enum Asked {
    Spelling,
    List,
    Status,
}

impl Told {
    fn ask(account: &Account, conn: &mut Conn) -> Result<Self> {
        let capabilities = conn.capabilities.clone();
        let mut told = Self::default();
        let mut refused = told.ask_in(account, conn, &list_command(&capabilities))?;
        for nth in 1..ATTEMPTS {
            let Some(reply) = &refused else { break };
            if !account.rest(reply, nth)? {
                break;
            }
            told = Self::default();
            refused = told.ask_in(account, conn, &list_command(&capabilities))?;
        }
        if refused.is_some() {
            // Some servers stumble over options that they offer; the plain command is older than all of them.
            told = Self::default();
            if let Some(reply) = told.ask_in(account, conn, "LIST \"\" \"*\"")? {
                let what = format!("the server does not list its mailboxes: {}", reply.text);
                return Err(Failure::account(Kind::Temporary, what));
            }
        }
        told.ask_statuses(conn, &capabilities)?;
        Ok(told)
    }

    /// NAMESPACE and LIST together; gives back a refusal of the latter.
    fn ask_in(&mut self, account: &Account, conn: &mut Conn, list: &str) -> Result<Option<Reply>> {
        let has_namespace = conn.capabilities.has("NAMESPACE");
        let mut pipeline = Pipeline::new(conn);
        if account.memory().spelling.is_none() {
            if has_namespace {
                pipeline.push(Command::new("NAMESPACE"), Asked::Spelling);
            }
            // RFC 9051 §6.3.9: an empty pattern asks for the separator, which an account with an INBOX alone tells nowhere
            // else.
            pipeline.push(Command::new("LIST \"\" \"\""), Asked::Spelling);
        }
        pipeline.push(Command::new(list), Asked::List);
        let mut refused = None;
        while let Some(event) = pipeline.next(&mut Keep)? {
            match event {
                Event::Data(_, data) => self.note(data),
                Event::Done(asked, reply) if !reply.is_ok() => {
                    if let Some(failure) = pipeline.conn.suspects_pipelining(&reply) {
                        return Err(failure);
                    }
                    if matches!(asked, Asked::List) {
                        refused = Some(reply);
                    }
                }
                Event::Done(..) => {}
            }
        }
        Ok(refused)
    }

    /// STATUS for each mailbox, where LIST did not tell. One that is refused is listed without (HAZARDS 13).
    fn ask_statuses(&mut self, conn: &mut Conn, capabilities: &Capabilities) -> Result<()> {
        let with_list = capabilities.has("LIST-STATUS");
        if with_list && !self.statuses.is_empty() {
            return Ok(());
        }
        let mut pipeline = Pipeline::new(conn);
        let mut waiting: Vec<RawName> = self
            .names
            .iter()
            .filter(|n| n.selectable)
            .map(|n| n.raw.clone())
            .collect();
        waiting.reverse();
        loop {
            while pipeline.has_room()
                && let Some(raw) = waiting.pop()
            {
                let items = status_items(capabilities);
                pipeline.push(Command::new("STATUS").mailbox(&raw).words(items), Asked::Status);
                pipeline.pump()?;
            }
            match pipeline.next(&mut Keep)? {
                None => return Ok(()),
                Some(Event::Data(_, data)) => self.note(data),
                Some(Event::Done(_, reply)) => {
                    if let Some(failure) = pipeline.conn.suspects_pipelining(&reply) {
                        return Err(failure);
                    }
                }
            }
        }
    }

    fn note(&mut self, data: Data<'_>) {
        match data {
            Data::List(list) if list.name.is_empty() => self.separator = list.separator,
            Data::List(list) => self.names.push(Name::new(&list)),
            Data::MailboxStatus(name, items) => {
                self.statuses.insert(key(&name), items);
            }
            Data::Namespace(namespaces) => self.namespaces = Some(namespaces),
            Data::Malformed => self.garbled += 1,
            _ => {}
        }
    }

    fn into_survey(self, account: &Account) -> Survey {
        let spelling = self.spelling(account);
        let mut survey = Survey::default();
        let mut seen: HashSet<MailboxPath> = HashSet::new();
        if self.garbled > 0 {
            let what = "the server listed a mailbox in a way that cannot be read";
            survey.failures.push((String::new(), Failure::mailbox(what)));
        }
        let path = |name: &Name| spelling.path(name.raw.as_bytes(), name.separator);
        let real: HashSet<MailboxPath> = self.names.iter().filter(|n| n.selectable).flat_map(path).collect();
        for name in &self.names {
            let shown = clean(name.raw.as_bytes());
            match path(name) {
                // A level without messages: `INBOX.INBOX`, above `INBOX.INBOX.child`, is no second INBOX.
                Ok(path) if !name.selectable && real.contains(&path) => {}
                Ok(path) if seen.insert(path.clone()) => survey.mailboxes.push(self.listed(name, path)),
                Ok(path) => {
                    let what = format!("the server lists two mailboxes that are both called {path}");
                    survey
                        .failures
                        .push((shown, Failure::mailbox(what).retry(Retry::Never)));
                }
                // A level of the tree above the personal namespace, such as `INBOX.` itself.
                Err(NoPath::Unreadable) if !name.selectable => {}
                Err(NoPath::Foreign) => {}
                Err(NoPath::Unreadable) => {
                    let what = format!("the mailbox name {shown} cannot be read");
                    survey
                        .failures
                        .push((shown, Failure::mailbox(what).retry(Retry::Never)));
                }
            }
        }
        forget_shared_identities(&mut survey.mailboxes);
        self.remember(account, spelling);
        survey
    }

    fn listed(&self, name: &Name, path: MailboxPath) -> Listed {
        let items = self.statuses.get(&key(name.raw.as_bytes())).filter(|_| name.selectable);
        Listed {
            path,
            raw: name.raw.clone(),
            roles: name.roles.clone(),
            selectable: name.selectable,
            status: items.and_then(Mark::of_status).map(|mark| mark.token()),
            identity: items.and_then(identity),
            messages: items.and_then(|items| items.messages),
        }
    }

    fn spelling(&self, account: &Account) -> Spelling {
        if let Some(spelling) = account.memory().spelling.clone() {
            return spelling;
        }
        let separator = self.names.iter().find_map(|name| name.separator).or(self.separator);
        let utf8 = account.memory().utf8;
        Spelling::new(self.namespaces.clone(), separator, utf8)
    }

    fn remember(&self, account: &Account, spelling: Spelling) {
        let mut memory = account.memory();
        memory.spelling = Some(spelling);
        for name in &self.names {
            let told = self
                .statuses
                .get(&key(name.raw.as_bytes()))
                .and_then(|items| items.uidvalidity);
            if let Some(validity) = told {
                memory.see(&name.raw, validity);
            }
        }
    }
}

/// STATUS names a mailbox as LIST does, but INBOX in any case.
pub(super) fn key(name: &[u8]) -> Vec<u8> {
    if name.eq_ignore_ascii_case(b"INBOX") {
        b"INBOX".to_vec()
    } else {
        name.to_vec()
    }
}

/// RFC 5819 §2, RFC 5258 §3, RFC 6154 §3; each option only where it was offered (HAZARDS 11).
fn list_command(capabilities: &Capabilities) -> String {
    let mut options = Vec::new();
    if capabilities.has("LIST-EXTENDED") {
        if capabilities.has("SPECIAL-USE") {
            options.push("SPECIAL-USE".to_owned());
        }
        if capabilities.has("LIST-STATUS") {
            options.push(format!("STATUS {}", status_items(capabilities)));
        }
    }
    if options.is_empty() {
        "LIST \"\" \"*\"".to_owned()
    } else {
        format!("LIST \"\" \"*\" RETURN ({})", options.join(" "))
    }
}

fn status_items(capabilities: &Capabilities) -> String {
    let mut items = vec!["MESSAGES", "UIDNEXT", "UIDVALIDITY"];
    if capabilities.has("CONDSTORE") {
        items.push("HIGHESTMODSEQ");
    }
    // Not MAILBOXID: what Cyrus 3.6 answers is garbage that can make the line unreadable (HAZARDS 12).
    format!("({})", items.join(" "))
}

/// What may survive a rename: UIDVALIDITY. It only proposes (HAZARDS 12).
pub(super) fn identity(items: &StatusItems) -> Option<MailboxIdentity> {
    items.uidvalidity.map(listed_as)
}

/// By what a mailbox of that UIDVALIDITY is listed.
pub(super) fn listed_as(validity: u64) -> MailboxIdentity {
    MailboxIdentity(format!("v={validity}").into())
}

/// What two mailboxes share names neither of them (HAZARDS 12).
fn forget_shared_identities(mailboxes: &mut [Listed]) {
    let mut counts: HashMap<MailboxIdentity, usize> = HashMap::new();
    for identity in mailboxes.iter().filter_map(|m| m.identity.clone()) {
        *counts.entry(identity).or_default() += 1;
    }
    for mailbox in mailboxes {
        mailbox.identity = mailbox.identity.take().filter(|identity| counts[identity] == 1);
    }
}

/// How a mailbox looks from outside; as text it is status and checkpoint token in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// UIDVALIDITY.
    pub(super) validity: u64,
    /// UIDNEXT.
    pub(super) next: Option<u64>,
    /// How many messages.
    pub(super) messages: Option<u64>,
    /// HIGHESTMODSEQ; 0: none.
    pub(super) modseq: u64,
}

impl Mark {
    fn of_status(items: &StatusItems) -> Option<Self> {
        Some(Self {
            validity: items.uidvalidity?,
            next: items.uidnext,
            messages: items.messages,
            modseq: items.highestmodseq.unwrap_or(0),
        })
    }

    /// As text: `v=1 n=2 m=3 q=4`.
    pub(super) fn token(&self) -> Token {
        let item = |name: &str, value: Option<u64>| value.map_or(String::new(), |value| format!(" {name}={value}"));
        let (next, messages) = (item("n", self.next), item("m", self.messages));
        Token(format!("v={}{next}{messages} q={}", self.validity, self.modseq))
    }

    /// The reverse.
    pub(super) fn parse(token: &Token) -> Option<Self> {
        let mut mark = Self::default();
        for word in token.0.split(' ') {
            let (name, value) = word.split_once('=')?;
            let value = value.parse().ok()?;
            match name {
                "v" => mark.validity = value,
                "n" => mark.next = Some(value),
                "m" => mark.messages = Some(value),
                "q" => mark.modseq = value,
                _ => return None,
            }
        }
        (mark.validity > 0).then_some(mark)
    }
}

/// See [`crate::store::Source::untouched`]: all four are there, agree, and there is a modseq to show flag changes
/// (HAZARDS 11).
pub(super) fn untouched(status: &Status, checkpoint: &Checkpoint) -> bool {
    let (Some(now), Some(then)) = (Mark::parse(status), Mark::parse(&checkpoint.token)) else {
        return false;
    };
    let complete = now.modseq > 0 && now.next.is_some() && now.messages.is_some();
    complete && now == then
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::script::{Line, Script};
    use crate::store::Source;

    fn surveyed(capabilities: &'static str, scene: Vec<Line>) -> Vec<String> {
        let script = Script::new(capabilities, vec![scene]);
        let survey = script.imap.survey().unwrap();
        script.end();
        let listed = survey.mailboxes.iter().map(|m| {
            let status = m.status.as_ref().map_or("-", |status| &status.0);
            format!("{} {:?} {} {status}", m.path, m.roles, m.selectable)
        });
        listed
            .chain(survey.failures.iter().map(|(name, _)| format!("failed {name}")))
            .collect()
    }

    #[test]
    fn one_round_trip_tells_all() {
        let scene = vec![
            (
                "NAMESPACE",
                "* NAMESPACE ((\"INBOX.\" \".\")) ((\"user.\" \".\")) NIL\n$ OK",
            ),
            ("LIST \"\" \"\"", "* LIST (\\Noselect) \".\" \"\"\n$ OK"),
            (
                "LIST \"\" \"*\" RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))",
                "* LIST () \".\" INBOX\n* STATUS inbox (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3 HIGHESTMODSEQ 4)\n\
                 * LIST (\\sent) \".\" INBOX.Sent\n* STATUS INBOX.Sent (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 9 HIGHESTMODSEQ 0)\n\
                 * LIST (\\Noselect) \".\" INBOX.Level\n* LIST (\\Noselect) \".\" INBOX.INBOX\n* LIST () \".\" INBOX.Level.Gone\n* NO it is gone\n\
                 * LIST () \".\" user.somebody\n* LIST () \".\" Public\n\
                 * LIST () \".\" INBOX.Q&A\n* LIST () \".\" INBOX.Q&-A\n* LIST () \".\" {8}\nINBOX.\u{fc}\n$ OK",
            ),
        ];
        let seen = surveyed("NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE", scene);
        let wanted = [
            "INBOX [] true v=3 n=2 m=1 q=4",
            "Sent [Sent] true v=9 n=1 m=0 q=0",
            "Level [] false -",
            "Level/Gone [] true -",
            "Q&A [] true -",
            "ü [] true -",
            "failed INBOX.Q&-A",
        ];
        assert_eq!(seen, wanted);
    }

    #[test]
    fn without_list_status_each_mailbox_is_asked_for() {
        let scene = vec![
            ("LIST \"\" \"\"", "* LIST (\\Noselect) \"/\" \"\"\n$ OK"),
            (
                "LIST \"\" \"*\"",
                "* LIST () \"/\" INBOX\n* LIST (\\Noselect) \"/\" L\n* LIST () \"/\" \"a b\"\n$ OK",
            ),
            ("STATUS \"INBOX\" (MESSAGES UIDNEXT UIDVALIDITY)", ""),
            (
                "STATUS \"a b\" (MESSAGES",
                "* STATUS INBOX (MESSAGES 1 UIDVALIDITY 3)\n$- OK\n$ NO not now",
            ),
        ];
        let wanted = ["INBOX [] true v=3 m=1 q=0", "L [] false -", "a b [] true -"];
        assert_eq!(surveyed("", scene), wanted);
    }

    #[test]
    fn options_that_the_server_offers_and_refuses() {
        let scene = vec![
            ("LIST \"\" \"\"", "* LIST (\\Noselect) \"/\" \"\"\n$ OK"),
            ("LIST \"\" \"*\" RETURN", "$ BAD what"),
            ("LIST \"\" \"\"", "$ OK"),
            ("LIST \"\" \"*\"", "* LIST () \"/\" INBOX\n$ OK"),
            ("STATUS \"INBOX\"", "* STATUS INBOX (MESSAGES 1 UIDVALIDITY 3)\n$ OK"),
        ];
        assert_eq!(
            surveyed("LIST-EXTENDED LIST-STATUS", scene),
            ["INBOX [] true v=3 m=1 q=0"]
        );
    }

    fn token(text: &str) -> Token {
        Token(text.to_owned())
    }

    #[test]
    fn untouched_needs_every_proof() {
        for (status, then, same) in [
            ("v=1 n=2 m=3 q=4", "v=1 n=2 m=3 q=4", true),
            ("v=1 n=2 m=3 q=4", "v=1 n=2 m=3 q=5", false),
            ("v=1 n=2 m=3 q=4", "v=1 n=2 m=2 q=4", false),
            ("v=1 n=2 m=3 q=4", "v=2 n=2 m=3 q=4", false),
            ("v=1 n=2 m=3 q=0", "v=1 n=2 m=3 q=0", false),
            ("v=1 m=3 q=4", "v=1 m=3 q=4", false),
            ("v=1 n=2 q=4", "v=1 n=2 q=4", false),
            ("", "", false),
            ("what", "what", false),
        ] {
            let checkpoint = Checkpoint {
                validity: 1,
                next_id: None,
                token: token(then),
            };
            assert_eq!(untouched(&token(status), &checkpoint), same, "{status} | {then}");
        }
    }

    #[test]
    fn what_is_asked_by_capability() {
        for (words, command) in [
            ("IMAP4rev1", "LIST \"\" \"*\""),
            ("IMAP4rev1 LIST-STATUS", "LIST \"\" \"*\""),
            (
                "IMAP4rev1 LIST-EXTENDED SPECIAL-USE",
                "LIST \"\" \"*\" RETURN (SPECIAL-USE)",
            ),
            (
                "IMAP4rev1 LIST-EXTENDED LIST-STATUS CONDSTORE",
                "LIST \"\" \"*\" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))",
            ),
        ] {
            let capabilities = Capabilities::new(words.split(' ').map(str::as_bytes));
            assert_eq!(list_command(&capabilities), command);
        }
    }

    #[test]
    fn marks_are_text() {
        for text in ["v=1 n=2 m=3 q=4", "v=9 q=0"] {
            assert_eq!(Mark::parse(&token(text)).unwrap().token(), token(text));
        }
        for text in ["", "v=0 q=1", "v=1 x=2", "v=a", "v=1  q=1"] {
            assert_eq!(Mark::parse(&token(text)), None, "{text}");
        }
    }
}
