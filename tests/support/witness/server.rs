//! What is on the server, through the `imap` crate.

use std::collections::HashMap;
use std::net::TcpStream;
use std::time::Duration;

use imap::types::{Fetch, Name as Listed};
use imap::{Client, Session};

use super::{Account, Message, Name, decode_name, digest, label};

/// How many bodies are asked for at once: the crate keeps a whole answer in memory.
const BATCH: usize = 500;

/// One account on a server, as somebody else than homing sees it.
pub(crate) struct Server {
    host: String,
    port: u16,
    user: String,
    /// Below which all mailboxes but the INBOX are (`INBOX.`).
    prefix: String,
    /// What was fetched before. A message behind a UID never changes.
    known: HashMap<(String, u32, u32), ([u8; 32], String)>,
}

impl Server {
    /// The account of `user`, whose password is `pass`.
    pub(crate) fn new(host: &str, port: u16, user: &str) -> Self {
        Self {
            host: host.into(),
            port,
            user: user.into(),
            prefix: String::new(),
            known: HashMap::new(),
        }
    }

    /// The same where mailboxes are below a prefix.
    pub(crate) fn below(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// A session of the `imap` crate, logged in.
    pub(crate) fn session(&self) -> Session<TcpStream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).expect("the server listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a timeout");
        let mut client = Client::new(stream);
        client.read_greeting().expect("a greeting");
        client.login(&self.user, "pass").map_err(|(e, _)| e).expect("a login")
    }

    /// Everything in the account.
    pub(crate) fn look(&mut self) -> Account {
        let mut account = Account::default();
        let mut session = self.session();
        for (raw, name) in self.list(&mut session) {
            account.mailboxes.entry(name.clone()).or_default();
            self.read_mailbox(&mut session, &raw, &name, &mut account);
        }
        session.logout().expect("a logout");
        account
    }

    /// The selectable mailboxes: names for commands, and what they stand for.
    pub(crate) fn list(&self, session: &mut Session<TcpStream>) -> Vec<(String, Name)> {
        let names = session.list(Some(""), Some("*")).expect("a list");
        // The crate does not export the type of the attributes.
        let attributes = |name: &Listed| format!("{:?}", name.attributes()).to_lowercase();
        let gone = |name: &Listed| ["noselect", "nonexistent"].iter().any(|a| attributes(name).contains(a));
        let selectable = names.iter().filter(|name| !gone(name));
        selectable
            .map(|name| {
                // The crate hands out quoted strings as they stood between the quotes.
                let raw = name.name().replace("\\\\", "\\").replace("\\\"", "\"");
                let levels = raw.strip_prefix(&self.prefix).unwrap_or(&raw);
                let separator = name.delimiter().unwrap_or("/");
                let decoded = levels.split(separator).map(decode_name).collect();
                (raw, decoded)
            })
            .collect()
    }

    fn read_mailbox(&mut self, session: &mut Session<TcpStream>, raw: &str, name: &Name, account: &mut Account) {
        let status = session.examine(raw).unwrap_or_else(|e| panic!("{raw}: {e}"));
        if status.exists == 0 {
            return;
        }
        let validity = status.uid_validity.expect("a UIDVALIDITY");
        let all = session
            .uid_fetch("1:*", "(UID FLAGS INTERNALDATE)")
            .unwrap_or_else(|e| panic!("{raw}: {e}"));
        assert_eq!(
            all.len(),
            status.exists as usize,
            "{raw}: the server tells of each message"
        );
        let uid = |fetch: &Fetch| fetch.uid.expect("a UID");
        let key = |uid: u32| (raw.to_owned(), validity, uid);
        let new: Vec<u32> = all
            .iter()
            .map(uid)
            .filter(|&uid| !self.known.contains_key(&key(uid)))
            .collect();
        for batch in new.chunks(BATCH) {
            let set: Vec<String> = batch.iter().map(u32::to_string).collect();
            let bodies = session.uid_fetch(set.join(","), "(UID BODY.PEEK[])").expect("bodies");
            assert_eq!(bodies.len(), batch.len(), "{raw}: the server hands out each body");
            for fetch in bodies.iter() {
                let bytes = fetch.body().expect("a body");
                self.known.insert(key(uid(fetch)), (digest(bytes), label(bytes)));
            }
        }
        for fetch in all.iter() {
            let (content, label) = &self.known[&key(uid(fetch))];
            let message = Message {
                content: *content,
                flags: flags(fetch),
                date: fetch.internal_date().expect("an INTERNALDATE").timestamp(),
            };
            account.note(name, message, || label.clone());
        }
    }
}

/// Without `\Recent`, which belongs to a session and not to a message.
fn flags(fetch: &Fetch) -> std::collections::BTreeSet<String> {
    let names = fetch.flags().iter().map(|flag| flag.to_string().to_lowercase());
    names.filter(|name| name != "\\recent").collect()
}
