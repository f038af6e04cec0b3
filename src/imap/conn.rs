//! One connection: what the server can do there, questions one at a time, and what concerns nobody else.

use std::sync::Arc;

use super::capability::Capabilities;
use super::code::Code;
use super::command::Command;
use super::counters::Counters;
use super::patience::Patience;
use super::pipeline::{Event, Pipeline};
use super::response::{self, Data, Reply, Response, Status};
use super::trust::{Trust, Wrong};
use super::wire::{Keep, Wire};
use crate::error::{Failure, Kind, Result, Retry};

/// A connection that has greeted us.
pub(super) struct Conn {
    pub(super) wire: Wire,
    pub(super) capabilities: Capabilities,
    /// What the server confirmed to have enabled.
    pub(super) enabled: Capabilities,
    pub(super) trust: Arc<Trust>,
    /// The verb of the command that was refused as bad in company last.
    pub(super) refused: String,
    pub(super) counters: Arc<Counters>,
    last_tag: u64,
    pub(super) line: Vec<u8>,
    /// Tags of commands whose answer concerns nobody: ENABLE, LOGOUT.
    background: Vec<u64>,
    /// In step: each command was answered.
    pub(super) clean: bool,
}

impl Conn {
    pub(super) fn new(wire: Wire, counters: Arc<Counters>, trust: Arc<Trust>) -> Self {
        Self {
            wire,
            capabilities: Capabilities::default(),
            enabled: Capabilities::default(),
            trust,
            refused: String::new(),
            counters,
            last_tag: 0,
            line: Vec::new(),
            background: Vec::new(),
            clean: true,
        }
    }

    /// HAZARDS 3: what is refused as bad in company may be good alone. The failure says so: commands go out one at a time
    /// until that is known, and what was not answered is asked again.
    pub(super) fn suspects_pipelining(&self, reply: &Reply) -> Option<Failure> {
        let suspect = reply.status == Status::Bad && reply.crowded && self.trust.pipelines();
        suspect.then(|| {
            self.trust.suspect(&self.refused, Wrong::Bad);
            let what = format!(
                "the server refuses commands that do not wait for each other: {}",
                reply.text
            );
            Failure::account(Kind::Temporary, what).retry(Retry::Now)
        })
    }

    /// Sends a command and does not wait, unless the server breaks otherwise; its answer is looked at whenever it comes.
    pub(super) fn send_behind(&mut self, words: &str) -> Result<()> {
        let tag = self.next_tag();
        self.wire.queue(format!("H{tag} {words}\r\n").as_bytes());
        self.background.push(tag);
        if self.trust.pipelines() { Ok(()) } else { self.settle() }
    }

    /// Whether something sent behind is not answered yet.
    pub(super) fn is_behind(&self) -> bool {
        !self.background.is_empty()
    }

    /// One command, its answer and what came with it.
    pub(super) fn ask(&mut self, command: Command, mut each: impl FnMut(Data<'_>)) -> Result<Reply> {
        let mut pipeline = Pipeline::new(self);
        pipeline.push(command, ());
        let mut last = None;
        while let Some(event) = pipeline.next(&mut Keep)? {
            match event {
                Event::Data(_, data) => each(data),
                Event::Done((), reply) => last = Some(reply),
            }
        }
        last.ok_or_else(|| out_of_step("it left a command unanswered"))
    }

    /// Whether that tag is of a command sent behind, which is answered now.
    pub(super) fn answers_behind(&mut self, tag: u64) -> bool {
        let at = self.background.iter().position(|&other| other == tag);
        at.map(|at| self.background.swap_remove(at)).is_some()
    }

    /// Waits for the answers of what was sent behind.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.wire.flush()?;
        let mut line = std::mem::take(&mut self.line);
        let mut patience = Patience::default();
        while !self.background.is_empty() {
            self.wire.read_line(&mut line, &mut Keep)?;
            patience.hear(&line, self.wire.timeout())?;
            match response::parse(&line) {
                Response::Data(data) => self.note(&data)?,
                Response::Tagged(tag, _) if self.answers_behind(tag) => {}
                _ => return Err(out_of_step("an answer cannot be read")),
            }
        }
        self.line = line;
        Ok(())
    }

    /// Leaves the open mailbox, if there is one, without expunging anything.
    pub(super) fn leave(&mut self) -> Result<()> {
        // RFC 3691 §2. Without it, opening a mailbox that is not there does the same (RFC 9051 §6.3.2).
        let command = if self.capabilities.has("UNSELECT") {
            Command::new("UNSELECT")
        } else {
            Command::new("EXAMINE").text(b"")
        };
        self.ask(command, |_| ()).map(|_| ())
    }

    /// One command in several steps: `answer` gets each challenge and says what to send.
    pub(super) fn converse(&mut self, words: &str, mut answer: impl FnMut(&[u8]) -> Result<String>) -> Result<Reply> {
        let tag = self.next_tag();
        self.clean = false;
        self.wire.queue(format!("H{tag} {words}\r\n").as_bytes());
        let mut line = Vec::new();
        let mut patience = Patience::default();
        loop {
            Counters::add(&self.counters.round_trips, 1);
            self.wire.flush()?;
            self.wire.read_line(&mut line, &mut Keep)?;
            patience.hear(&line, self.wire.timeout())?;
            match response::parse(&line) {
                Response::Continue(challenge) => {
                    let answer = answer(challenge)?;
                    self.wire.queue(format!("{answer}\r\n").as_bytes());
                }
                Response::Tagged(told, reply) if told == tag => {
                    if let Code::Capability(capabilities) = &reply.code {
                        self.capabilities = capabilities.clone();
                    }
                    self.clean = true;
                    return Ok(reply);
                }
                Response::Data(data) => self.note(&data)?,
                _ => return Err(out_of_step("an answer cannot be read")),
            }
        }
    }

    /// Reads the greeting.
    pub(super) fn greeting(&mut self) -> Result<Reply> {
        self.wire.read_line(&mut self.line, &mut Keep)?;
        let line = std::mem::take(&mut self.line);
        match response::parse(&line) {
            Response::Data(Data::Status(reply)) => {
                if let Code::Capability(capabilities) = &reply.code {
                    self.capabilities = capabilities.clone();
                }
                Ok(reply)
            }
            _ => Err(Failure::account(Kind::Config, "what answers there is no IMAP server")
                .hint("check `host`, `port` and `tls`")),
        }
    }

    /// Gives back the TCP connection for STARTTLS; see [`Wire::take_plain`].
    pub(super) fn into_plain(mut self) -> Result<std::net::TcpStream> {
        self.clean = false;
        self.wire.take_plain()
    }

    pub(super) fn next_tag(&mut self) -> u64 {
        self.last_tag += 1;
        Counters::add(&self.counters.commands, 1);
        self.last_tag
    }

    /// Takes note of what concerns the connection as a whole.
    pub(super) fn note(&mut self, data: &Data<'_>) -> Result<()> {
        match data {
            Data::Capability(capabilities) => self.capabilities = capabilities.clone(),
            Data::Enabled(enabled) => self.enabled = enabled.clone(),
            Data::Malformed => Counters::add(&self.counters.skipped, 1),
            Data::Status(reply) if reply.status == Status::Bye => {
                let what = format!("the server closed the connection: {}", reply.text);
                return Err(Failure::account(Kind::Temporary, what).retry(Retry::Now));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if self.clean && self.wire.flush().is_ok() {
            // RFC 9051 §6.1.3; nobody waits for the answer.
            self.wire.queue(b"HX LOGOUT\r\n");
            let _ = self.wire.flush();
        }
    }
}

/// The failure of a conversation that makes no sense.
pub(super) fn out_of_step(why: &str) -> Failure {
    Failure::account(Kind::Temporary, format!("the server is out of step: {why}")).retry(Retry::Now)
}
