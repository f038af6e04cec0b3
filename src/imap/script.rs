//! For tests: a server in a thread that plays a part, line by line.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Imap, Options, Tls};
use crate::model::{IdSet, InternalDate, Known, Mailbox, MailboxId, RawName};
use crate::secret::Secret;
use crate::store::{Done, Store, WriteJob};

/// What a client is expected to send, without its tag, and what it gets: `$` stands for the tag of that command and `$-` for
/// the one before, `CUT` at its end ends the connection. An empty answer waits for the next line.
pub(super) type Line = (&'static str, &'static str);

/// The lines of one connection, after the login.
pub(super) type Scene = Vec<Line>;

/// A server and what talks to it.
pub(super) struct Script {
    pub(super) imap: Imap,
    server: JoinHandle<Vec<String>>,
}

impl Script {
    /// A server with these capabilities that takes one connection after the other.
    pub(super) fn new(capabilities: &'static str, scenes: Vec<Scene>) -> Self {
        Self::with(scenes, move |stream| log_in(stream, capabilities), |_| ())
    }

    /// The same with a greeting and a login of its own, and other options.
    pub(super) fn with(
        scenes: Vec<Scene>,
        log_in: impl Fn(&mut Peer) + Send + 'static,
        adjust: impl FnOnce(&mut Options),
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let mut seen = Vec::new();
            for scene in scenes {
                let mut peer = Peer::new(listener.accept().unwrap().0);
                log_in(&mut peer);
                peer.play(&scene, &mut seen);
            }
            seen
        });
        let mut options = Options::new("127.0.0.1", "me", Arc::new(|| Ok(Secret::new("secret"))));
        options.port = port;
        options.tls = Tls::None;
        options.connections = 1;
        options.timeout = Duration::from_secs(5);
        adjust(&mut options);
        let imap = Imap::new(options);
        Self { imap, server }
    }

    /// Logs out and gives back what the server saw, its part played to the end.
    pub(super) fn end(self) -> Vec<String> {
        drop(self.imap);
        self.server.join().expect("the client kept to the script")
    }
}

/// A client as its server sees it.
pub(super) struct Peer {
    input: BufReader<TcpStream>,
    output: TcpStream,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self {
            input: BufReader::new(stream.try_clone().unwrap()),
            output: stream,
        }
    }

    /// Sends text.
    pub(super) fn say(&mut self, text: &str) {
        // The client may be gone already.
        let _ = self.output.write_all(text.as_bytes());
    }

    /// A command with its literals; `None` at the end of the connection.
    pub(super) fn hear(&mut self) -> Option<(String, String)> {
        let mut command = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.input.read_until(b'\n', &mut line).ok()? == 0 {
                return None;
            }
            command.extend_from_slice(line.trim_ascii_end());
            let Some(size) = super::token::literal_size(line.trim_ascii_end()) else {
                break;
            };
            if !line.trim_ascii_end().ends_with(b"+}") {
                self.say("+ go on\r\n");
            }
            let mut literal = vec![0; usize::try_from(size).unwrap()];
            self.input.read_exact(&mut literal).ok()?;
            command.push(b'|');
            command.extend_from_slice(&literal);
        }
        let text = String::from_utf8_lossy(&command).into_owned();
        let (tag, words) = text.split_once(' ')?;
        Some((tag.to_owned(), words.to_owned()))
    }

    fn play(&mut self, scene: &[Line], seen: &mut Vec<String>) {
        let mut before = String::new();
        for (expected, answer) in scene {
            let (tag, words) = loop {
                let (tag, words) = self
                    .hear()
                    .unwrap_or_else(|| panic!("expected {expected}, heard the end"));
                if words.starts_with("ENABLE") {
                    let all = words.trim_start_matches("ENABLE ");
                    self.say(&format!("* ENABLED {all}\r\n{tag} OK enabled\r\n"));
                } else {
                    break (tag, words);
                }
            };
            assert!(words.starts_with(expected), "expected {expected}, heard {words}");
            seen.push(words);
            let (text, cuts) = answer.strip_suffix("CUT").map_or((*answer, false), |text| (text, true));
            let text = text.replace("$-", &before).replace('$', &tag).replace('\n', "\r\n");
            if !text.is_empty() {
                self.say(&(text + if cuts { "" } else { "\r\n" }));
            }
            if cuts {
                return;
            }
            before = tag;
        }
        while let Some((_, words)) = self.hear() {
            assert!(
                words.starts_with("LOGOUT") || words.starts_with("ENABLE"),
                "heard too much: {words}"
            );
        }
    }
}

/// Lets a client do jobs in a mailbox `A` that it has seen under UIDVALIDITY 7, and a mailbox `B` under 8; what it answers,
/// and what the server saw.
pub(super) fn write(capabilities: &'static str, scenes: Vec<Scene>, jobs: Vec<WriteJob>) -> (Vec<String>, Vec<String>) {
    let script = Script::new(capabilities, scenes);
    for (name, validity) in [("A", 7), ("B", 8)] {
        script.imap.account.memory().tell(&RawName::new(name), validity);
    }
    let (sender, inbox) = sync_channel(jobs.len());
    for job in jobs {
        sender.send(job).unwrap();
    }
    drop(sender);
    let (done, outcomes) = sync_channel(1000);
    script.imap.write(inbox, done).unwrap();
    let outcomes = outcomes.iter().map(|outcome| shown(&outcome.done)).collect();
    (outcomes, script.end())
}

fn shown(done: &Done) -> String {
    match done {
        Done::Landed { head, id, flags, .. } => format!("{} landed as {id:?} {flags:?}", head.id),
        Done::Gone(ids) => format!("{ids} gone"),
        Done::Flags(flags) => format!("flags {flags:?}"),
        Done::Moved(pairs) => format!("moved {pairs:?}"),
        Done::Copied(pairs) => format!("copied {pairs:?}"),
        Done::Removed(ids) => format!("{ids} removed"),
        Done::Differs(ids) => format!("{ids} differ"),
        Done::Created { raw, validity, .. } => format!("created {raw:?} {validity:?}"),
        Done::Renamed { raw } => format!("renamed {raw:?}"),
        Done::Deleted => "deleted".into(),
        Done::Failed(ids, failure) => format!("{ids} failed {}: {failure}", failure.retry.name()),
        Done::Unknown(ids, _) => format!("{ids} unknown"),
        Done::Finished => "finished".into(),
        Done::Met { .. } => "met".into(),
    }
}

/// A mailbox of that name.
pub(super) fn mailbox(name: &str) -> Mailbox {
    Mailbox {
        id: MailboxId(1),
        raw: RawName::new(name),
    }
}

/// Messages of 10 bytes from 1970-01-01 00:00:09, as [`proof`] shows them.
pub(super) fn known(ids: &str) -> Vec<Known> {
    let ids: IdSet = ids.parse().unwrap();
    let known = |id| Known {
        id,
        size: Some(10),
        date: Some(InternalDate(9)),
        content: None,
    };
    ids.iter().map(known).collect()
}

/// A FETCH line that proves a message to be the one that [`known`] means.
pub(super) fn proof(ids: &str) -> String {
    let ids: IdSet = ids.parse().unwrap();
    let line = |id| format!("* {id} FETCH (UID {id} RFC822.SIZE 10 INTERNALDATE \" 1-Jan-1970 00:00:09 +0000\")\n");
    ids.iter().map(line).collect()
}

/// Text that lives as long as the test.
pub(super) fn text(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// The usual greeting and login.
pub(super) fn log_in(peer: &mut Peer, capabilities: &str) {
    peer.say("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n");
    let (tag, words) = peer.hear().expect("a login");
    assert_eq!(words, "AUTHENTICATE PLAIN AG1lAHNlY3JldA==");
    peer.say(&format!("{tag} OK [CAPABILITY IMAP4rev1 {capabilities}] in\r\n"));
}
