//! One connection: commands in, replies out, faults in between.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use super::account::Account;
use super::fault::{GREETING, Point, What};
use super::io::Io;
use super::parse::{self, Cursor, Oops};
use super::read::Incoming;
use super::reply::{Reply, Status};
use super::setup::{Caps, Lies, Tls};
use super::shared::{Shared, lock};
use super::transcript::{Entry, MOST};
use super::view::{Manner, View};

/// The state of a connection.
pub struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) number: u64,
    pub(super) io: Io,
    pub(super) user: Option<String>,
    pub(super) view: Option<View>,
    pub(super) condstore: bool,
    pub(super) qresync: bool,
    pub(super) utf8: bool,
    pub(super) over_tls: bool,
    /// The lies that hold for the command at hand.
    pub(super) lies: Lies,
    /// The tag of the command at hand.
    pub(super) tag: String,
    /// Shake hands once the reply is out.
    pub(super) starts_tls: bool,
    /// The next command came before the reply to the last one went out.
    pub(super) pipelined: bool,
}

impl Session {
    /// Serves a connection until it ends.
    pub fn serve(shared: &Arc<Shared>, number: u64, tcp: TcpStream) -> io::Result<()> {
        let mut io = Io::new(tcp)?;
        let over_tls = matches!(shared.setup.tls, Tls::Implicit(_));
        if let (true, Some(acceptor)) = (over_tls, &shared.acceptor) {
            io.start_tls(acceptor)?;
        }
        let mut session = Self {
            shared: Arc::clone(shared),
            number,
            io,
            user: None,
            view: None,
            condstore: false,
            qresync: false,
            utf8: false,
            over_tls,
            lies: Lies::default(),
            tag: String::new(),
            starts_tls: false,
            pipelined: false,
        };
        let result = session.talk();
        if let Some(user) = &session.user {
            *lock(&shared.logins).entry(user.clone()).or_insert(1) -= 1;
        }
        session.io.cut();
        result
    }

    pub(super) fn caps(&self) -> &Caps {
        &self.shared.setup.caps
    }

    fn talk(&mut self) -> io::Result<()> {
        if !self.greet()? {
            return Ok(());
        }
        while let Some(incoming) = self.read()? {
            if !self.answer(incoming)? || self.shared.is_stopping() {
                break;
            }
        }
        Ok(())
    }

    fn greet(&mut self) -> io::Result<bool> {
        let faults = self.shared.strike(GREETING);
        let capability = self.capability();
        let mut text = format!("* OK [{capability}] ready\r\n");
        if let Some(user) = self.shared.setup.preauth.clone() {
            self.enter(&user);
            text = format!("* PREAUTH [{}] ready\r\n", self.capability());
        }
        for (_, what) in faults {
            match what {
                What::Cut => return Ok(false),
                What::Stall(time) => self.shared.sleep(time),
                What::GarbageLine(bytes) => text = String::from_utf8_lossy(&bytes).into_owned() + "\r\n",
                What::Bye(why) => {
                    self.io.send(format!("* BYE {why}\r\n").as_bytes())?;
                    return Ok(false);
                }
                _ => {}
            }
        }
        self.io.send(text.as_bytes())?;
        Ok(true)
    }

    /// Executes a command and answers it; false if the connection is to end.
    fn answer(&mut self, mut incoming: Incoming) -> io::Result<bool> {
        let faults = incoming.faults.clone();
        self.tag.clone_from(&incoming.tag);
        self.lies = lock(&self.shared.lies).clone();
        for (_, what) in &faults {
            if let What::Lie(lies) = what {
                self.lies = self.lies.and(lies);
            }
        }
        let mut instead = incoming.refused.take();
        if incoming.pipelined && self.shared.setup.bears_no_company {
            instead = Some(Reply::bad("I am not done yet"));
        }
        for (_, what) in faults.iter().filter(|(point, _)| *point == Point::BeforeExecution) {
            match what {
                What::Cut => {
                    self.record(&incoming, None, 0);
                    return Ok(false);
                }
                What::ExecuteAfterCut(delay) => {
                    self.io.outlive_client();
                    self.shared.sleep(*delay);
                }
                What::ExecuteAmidNext(commands) => {
                    self.io.outlive_client();
                    self.shared.sleep_over(*commands);
                }
                What::Signal(signal) => self.shared.signal(*signal),
                What::Stall(time) => self.shared.sleep(*time),
                What::No(text) => instead = Some(Reply::no(text)),
                What::Bad(text) => instead = Some(Reply::bad(text)),
                What::Bye(text) => instead = Some(Reply::bye(text)),
                What::OtherClient(_, deed) => self.on_account(&incoming, |account, name| deed(account, name)),
                _ => {}
            }
        }
        let mut reply = match instead {
            Some(reply) => reply,
            None => self.execute(&incoming)?,
        };
        self.strike_after(&incoming, &faults, &mut reply);
        for (_, what) in &faults {
            shape(&mut reply, what);
        }
        self.send(&incoming, &reply, &faults)
    }

    fn strike_after(&mut self, incoming: &Incoming, faults: &[(Point, What)], reply: &mut Reply) {
        for (_, what) in faults.iter().filter(|(point, _)| *point == Point::AfterExecution) {
            match what {
                What::Cut => {
                    reply.lines.clear();
                    (reply.untagged_only, reply.close) = (true, true);
                }
                What::Signal(signal) => self.shared.signal(*signal),
                What::Stall(time) => self.shared.sleep(*time),
                What::No(text) => (reply.status, reply.text) = (Status::No, text.clone()),
                What::Bad(text) => (reply.status, reply.text) = (Status::Bad, text.clone()),
                What::Bye(text) => *reply = Reply::bye(text),
                What::OtherClient(_, deed) => {
                    self.on_account(incoming, |account, name| deed(account, name));
                    self.tell(reply, &incoming.verb);
                }
                _ => {}
            }
        }
    }

    /// Another client's deed, on the mailbox that the command names or that is selected.
    fn on_account(&mut self, incoming: &Incoming, deed: impl FnOnce(&mut Account, Option<&str>)) {
        let Some(user) = &self.user else { return };
        let mut accounts = lock(&self.shared.accounts);
        let Some(account) = accounts.get_mut(user) else { return };
        let command = parse::command(&incoming.bytes, self.caps(), self.utf8).ok();
        let named = command.and_then(|(c, _)| c.mailbox().map(str::to_owned));
        let selected = || self.view.as_ref().and_then(|view| account.name_of(view.epoch));
        let name = named.or_else(selected);
        deed(account, name.as_deref());
    }

    /// Adds what other clients did meanwhile; ends the session if its mailbox is gone.
    pub(super) fn tell(&mut self, reply: &mut Reply, verb: &str) {
        let (Some(user), Some(view)) = (&self.user, &mut self.view) else {
            return;
        };
        // RFC 3501 §7.4.1: sequence numbers must not change under these.
        let expunges = !matches!(verb, "FETCH" | "STORE" | "SEARCH");
        let manner = Manner {
            expunges,
            condstore: self.condstore,
            qresync: self.qresync,
            zero_modseq: self.lies.zero_modseq,
            vanished_names_living: self.lies.vanished_names_living,
        };
        let mut accounts = lock(&self.shared.accounts);
        let account = accounts.get_mut(user).expect("logged in");
        if let Some(name) = account.name_of(view.epoch) {
            view.tell(account, &name, manner, reply);
        } else if !self.shared.setup.gone_is_no {
            *reply = Reply::bye("the selected mailbox is gone");
        }
    }
}

/// Faults that change a finished reply.
fn shape(reply: &mut Reply, what: &What) {
    match what {
        What::TaggedOkLost => (reply.untagged_only, reply.close) = (true, true),
        What::GarbageLine(bytes) => {
            let mut line = super::reply::Line::default();
            line.0.push(super::reply::Piece::Text([bytes, &b"\r\n"[..]].concat()));
            reply.lines.insert(0, line);
        }
        What::DropFetchLine => {
            if let Some(at) = reply.lines.iter().position(|line| line.shown().contains(" FETCH (")) {
                reply.lines.remove(at);
            }
        }
        _ => {}
    }
}
