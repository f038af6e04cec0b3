//! Commands in flight on one connection: they go out before earlier ones are answered, within a window that cannot
//! deadlock.

use std::collections::VecDeque;

use super::capability::NonSync;
use super::code::Code;
use super::command::{Command, Part};
use super::conn::{Conn, out_of_step};
use super::counters::Counters;
use super::patience::Patience;
use super::response::{self, Data, Reply, Response, Status};
use super::trust::Wrong;
use super::wire::{Keep, Literals};
use crate::error::Result;

/// The most that waits unanswered on a connection: a server that is busy sending us bodies reads no more than its socket
/// buffer holds, and we must not block on it (DESIGN 4, "No deadlock").
const WINDOW: u64 = 4 << 10;
/// The same for appends, whose answers are a line each.
const UPLOAD_WINDOW: u64 = 1 << 20;
/// The most commands without an answer.
const DEPTH: usize = 64;
/// The same for appends: each of them is in doubt when the connection is lost.
const UPLOAD_DEPTH: usize = 64;

/// Commands that are not answered yet, oldest first; at least one.
pub(super) struct InFlight<'a, C>(&'a mut VecDeque<Sent<C>>);

impl<C> InFlight<'_, C> {
    /// What the errand remembers of each.
    pub(super) fn iter(&mut self) -> impl Iterator<Item = &mut C> {
        self.0.iter_mut().map(|sent| &mut sent.what)
    }

    /// The oldest.
    pub(super) fn front(&mut self) -> Option<&mut C> {
        self.iter().next()
    }
}

struct Sent<C> {
    tag: u64,
    what: C,
    verb: String,
    size: u64,
    uploads: bool,
    /// It shared the wire with another command, before it or after it.
    crowded: bool,
}

/// What comes back.
pub(super) enum Event<'a, C> {
    /// Untagged data, and the commands in flight. It most likely answers the oldest of them, but servers work on several at
    /// a time where these do not get in each other's way (RFC 9051 §5.5).
    Data(InFlight<'a, C>, Data<'a>),
    /// A command's answer.
    Done(C, Reply),
}

/// Commands of one errand on a connection; `C` is what the errand must remember of each. Dropped before all is answered,
/// it leaves the connection unusable.
pub(super) struct Pipeline<'c, C> {
    pub(super) conn: &'c mut Conn,
    waiting: VecDeque<(Command, C)>,
    sent: VecDeque<Sent<C>>,
    /// What is left of the command sent last, which waits for the server's go-ahead.
    held: VecDeque<Part>,
    line: Vec<u8>,
    patience: Patience,
}

impl<'c, C> Pipeline<'c, C> {
    pub(super) fn new(conn: &'c mut Conn) -> Self {
        let line = std::mem::take(&mut conn.line);
        Self {
            conn,
            waiting: VecDeque::new(),
            sent: VecDeque::new(),
            held: VecDeque::new(),
            line,
            patience: Patience::default(),
        }
    }

    /// Queues a command; it goes out as soon as the window has room.
    pub(super) fn push(&mut self, command: Command, what: C) {
        self.waiting.push_back((command, what));
    }

    /// Whether another command would go out soon: none waits for room.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.is_empty() && self.held.is_empty() && self.sent.len() < self.depth()
    }

    /// How many commands are not answered yet.
    pub(super) fn open(&self) -> usize {
        self.waiting.len() + self.sent.len()
    }

    /// Takes back the commands that did not go out yet.
    pub(super) fn unsend(&mut self) -> Vec<C> {
        std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|(_, what)| what)
            .collect()
    }

    /// Sends what there is room for without waiting for anything.
    pub(super) fn pump(&mut self) -> Result<()> {
        let outcome = self.send_some();
        self.conn.clean &= outcome.is_ok();
        outcome
    }

    /// Waits for the next event; `None` when all commands are answered.
    pub(super) fn next<'a>(&'a mut self, errand: &mut dyn Errand<C>) -> Result<Option<Event<'a, C>>> {
        let step = match self.step(errand) {
            Ok(step) => step,
            Err(failure) => {
                self.conn.clean = false;
                return Err(failure);
            }
        };
        match step {
            Step::Idle => Ok(None),
            Step::Done(what, reply) => Ok(Some(Event::Done(what, reply))),
            Step::Data => {
                let Response::Data(data) = response::parse(&self.line) else {
                    return Err(out_of_step("an untagged line cannot be read"));
                };
                self.conn.note(&data)?;
                Ok(Some(Event::Data(InFlight(&mut self.sent), data)))
            }
        }
    }

    /// The commands that were not answered: those that the server may have seen first, then those that never went out
    /// in full.
    pub(super) fn into_open(mut self) -> (Vec<C>, Vec<C>) {
        self.conn.clean = false;
        let mut seen: Vec<C> = Vec::new();
        let mut unseen: Vec<C> = Vec::new();
        let partial = !self.held.is_empty();
        let sent = std::mem::take(&mut self.sent);
        let last = sent.len().saturating_sub(1);
        for (n, sent) in sent.into_iter().enumerate() {
            if partial && n == last {
                unseen.push(sent.what);
            } else {
                seen.push(sent.what);
            }
        }
        unseen.extend(self.unsend());
        (seen, unseen)
    }

    fn depth(&self) -> usize {
        if self.conn.trust.pipelines() { DEPTH } else { 1 }
    }

    fn send_some(&mut self) -> Result<()> {
        while self.held.is_empty() && self.fits() {
            let Some((command, what)) = self.waiting.pop_front() else {
                break;
            };
            self.start(command, what)?;
        }
        self.conn.wire.flush()
    }

    fn fits(&self) -> bool {
        let Some((next, _)) = self.waiting.front() else {
            return false;
        };
        if self.sent.is_empty() {
            return true;
        }
        let uploads = next.uploads();
        let open: u64 = self.sent.iter().map(|sent| sent.size).sum();
        let (window, depth) = if uploads {
            (UPLOAD_WINDOW, UPLOAD_DEPTH)
        } else {
            (WINDOW, DEPTH)
        };
        let alike = self.sent.iter().all(|sent| sent.uploads == uploads);
        alike && self.sent.len() < depth.min(self.depth()) && open + next.size() <= window
    }

    fn start(&mut self, command: Command, what: C) -> Result<()> {
        if self.sent.is_empty() {
            Counters::add(&self.conn.counters.round_trips, 1);
            self.patience.start_over();
        }
        let tag = self.conn.next_tag();
        let crowded = !self.sent.is_empty() || self.conn.is_behind();
        if let Some(last) = self.sent.back_mut() {
            last.crowded = true;
        }
        let non_sync = if command.careful {
            NonSync::Never
        } else {
            self.conn.capabilities.non_sync()
        };
        self.conn.wire.queue(format!("H{tag} ").as_bytes());
        self.sent.push_back(Sent {
            tag,
            what,
            verb: command.verb(),
            size: command.size(),
            uploads: command.uploads(),
            crowded,
        });
        self.held = command.parts.into();
        self.go_on(non_sync)
    }

    /// Writes the held parts up to the next literal that must wait. A part leaves `held` only when it is out in full.
    fn go_on(&mut self, non_sync: NonSync) -> Result<()> {
        let mut announced = false;
        while let Some(part) = self.held.front() {
            let size = match part {
                Part::Text(text) => {
                    self.conn.wire.queue(text);
                    self.held.pop_front();
                    continue;
                }
                Part::Literal(text) => text.len() as u64,
                Part::Body(_, size) => *size,
            };
            // RFC 7888 §4; a literal after `+` was announced already.
            let flows = non_sync.allows(size);
            self.conn
                .wire
                .queue(format!("{{{size}{}}}\r\n", if flows { "+" } else { "" }).as_bytes());
            if !flows {
                announced = true;
                break;
            }
            self.write_literal()?;
        }
        if !announced {
            self.conn.wire.queue(b"\r\n");
        }
        Ok(())
    }

    fn write_literal(&mut self) -> Result<()> {
        match self.held.front() {
            Some(Part::Body(body, size)) => {
                self.conn.wire.send_body(body, *size)?;
                self.patience.start_over();
            }
            Some(Part::Literal(text)) => self.conn.wire.queue(text),
            _ => {}
        }
        self.held.pop_front();
        Ok(())
    }

    fn step(&mut self, errand: &mut dyn Errand<C>) -> Result<Step<C>> {
        loop {
            self.send_some()?;
            if self.sent.is_empty() {
                return Ok(Step::Idle);
            }
            let mut literals = Adapter {
                errand,
                sent: &mut self.sent,
            };
            let read = self.conn.wire.read_line(&mut self.line, &mut literals);
            if let Err(failure) = read {
                // HAZARDS 3: silence on commands that share the wire.
                if let Some(asked) = self.sent.front().filter(|_| self.conn.wire.silent) {
                    if asked.crowded {
                        self.conn.trust.suspect(&asked.verb, Wrong::Silence);
                    } else {
                        self.conn.trust.was_alone(&asked.verb, false);
                    }
                }
                return Err(failure);
            }
            self.patience.hear(&self.line, self.conn.wire.timeout())?;
            if self.line.starts_with(b"* ") {
                return Ok(Step::Data);
            }
            match response::parse(&self.line) {
                Response::Tagged(tag, reply) => {
                    if let Some((what, reply)) = self.answered(tag, reply)? {
                        return Ok(Step::Done(what, reply));
                    }
                }
                Response::Continue(_) if !self.held.is_empty() => {
                    Counters::add(&self.conn.counters.round_trips, 1);
                    self.write_literal()?;
                    self.go_on(NonSync::Never)?;
                }
                Response::Continue(_) => {}
                Response::Data(_) | Response::Garbled => return Err(out_of_step("an answer cannot be read")),
            }
        }
    }

    fn answered(&mut self, tag: u64, reply: Reply) -> Result<Option<(C, Reply)>> {
        if let Code::Capability(capabilities) = &reply.code {
            self.conn.capabilities = capabilities.clone();
        }
        if self.conn.answers_behind(tag) {
            return Ok(None);
        }
        let Some(at) = self.sent.iter().position(|sent| sent.tag == tag) else {
            return Err(out_of_step("it answered a command that was not sent"));
        };
        if at + 1 == self.sent.len() {
            // Refused before its literal went out: the rest stays here.
            self.held.clear();
        }
        let Some(sent) = self.sent.remove(at) else {
            return Ok(None);
        };
        let bad = reply.status == Status::Bad;
        if !sent.crowded {
            self.conn.trust.was_alone(&sent.verb, !bad);
        } else if bad {
            self.conn.refused = sent.verb;
        }
        let reply = Reply {
            crowded: sent.crowded,
            ..reply
        };
        Ok(Some((sent.what, reply)))
    }
}

impl<C> Drop for Pipeline<'_, C> {
    fn drop(&mut self) {
        self.conn.clean &= self.sent.is_empty() && self.held.is_empty();
        self.conn.line = std::mem::take(&mut self.line);
    }
}

enum Step<C> {
    /// Nothing is in flight.
    Idle,
    /// An untagged line is in the buffer.
    Data,
    Done(C, Reply),
}

/// What an errand does with literals, knowing the commands in flight. [`Keep`] keeps them all.
pub(super) trait Errand<C> {
    /// See [`Literals::wants`].
    fn wants(&mut self, in_flight: InFlight<'_, C>, line: &[u8], size: u64) -> bool;
    /// See [`Literals::chunk`].
    fn chunk(&mut self, bytes: &[u8]);
}

impl<C> Errand<C> for Keep {
    fn wants(&mut self, _in_flight: InFlight<'_, C>, _line: &[u8], _size: u64) -> bool {
        false
    }

    fn chunk(&mut self, _bytes: &[u8]) {}
}

struct Adapter<'a, C> {
    errand: &'a mut dyn Errand<C>,
    sent: &'a mut VecDeque<Sent<C>>,
}

impl<C> Literals for Adapter<'_, C> {
    fn wants(&mut self, line: &[u8], size: u64) -> bool {
        self.errand.wants(InFlight(self.sent), line, size)
    }

    fn chunk(&mut self, bytes: &[u8]) {
        self.errand.chunk(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;
    use crate::imap::capability::Capabilities;
    use crate::imap::stream::Stream;
    use crate::imap::wire::Wire;

    /// How many commands and bytes are sent to a server that is silent at first, and whether all are answered then.
    fn before_the_first_answer(commands: Vec<Command>, serial: bool) -> (usize, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let total = commands.len();
        let server = std::thread::spawn(move || {
            let mut peer = listener.accept().unwrap().0;
            peer.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            let mut early = Vec::new();
            // Ends at the time limit: the client waits for us.
            let _ = peer.read_to_end(&mut early);
            peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let heard = early.windows(2).filter(|two| two == b"\r\n").count();
            let mut lines = BufReader::new(early.as_slice().chain(peer.try_clone().unwrap()));
            for _ in 0..total {
                let mut line = String::new();
                lines.read_line(&mut line).unwrap();
                if let Some(size) = crate::imap::token::literal_size(line.trim_end().as_bytes()) {
                    let mut body = vec![0; usize::try_from(size).unwrap() + 2];
                    lines.read_exact(&mut body).unwrap();
                }
                let tag = line.split(' ').next().unwrap();
                peer.write_all(format!("{tag} OK\r\n").as_bytes()).unwrap();
            }
            (heard, early.len())
        });
        let stream = Stream::Plain(TcpStream::connect(address).unwrap());
        let wire = Wire::new(stream, Duration::from_secs(5), Arc::default(), Arc::default()).unwrap();
        let mut conn = Conn::new(wire, Arc::default(), Arc::default());
        conn.capabilities = Capabilities::new([&b"LITERAL+"[..]]);
        if serial {
            conn.trust.prove();
        }
        let mut pipeline = Pipeline::new(&mut conn);
        for command in commands {
            pipeline.push(command, ());
        }
        let mut answered = 0;
        while let Some(event) = pipeline.next(&mut Keep).unwrap() {
            answered += usize::from(matches!(event, Event::Done((), reply) if reply.is_ok()));
        }
        assert_eq!(answered, total);
        server.join().unwrap()
    }

    #[test]
    fn who_talks_and_never_answers_is_not_heard_for_ever() {
        for line in ["* OK still here\r\n", "* 1 EXISTS\r\n", "* NO later\r\n", "* FOO\r\n"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let mut peer = listener.accept().unwrap().0;
                while peer.write_all(line.as_bytes()).is_ok() {}
            });
            let stream = Stream::Plain(TcpStream::connect(address).unwrap());
            let wire = Wire::new(stream, Duration::from_millis(20), Arc::default(), Arc::default()).unwrap();
            let mut conn = Conn::new(wire, Arc::default(), Arc::default());
            let outcome = conn.ask(Command::new("NOOP"), |_| ());
            assert!(outcome.unwrap_err().what.contains("does not answer"), "{line}");
            drop(conn);
            server.join().unwrap();
        }
    }

    fn short(count: usize) -> Vec<Command> {
        (0..count).map(|_| Command::new("NOOP")).collect()
    }

    fn long(count: usize) -> Vec<Command> {
        (0..count)
            .map(|_| Command::new(format!("X {}", "y".repeat(500))))
            .collect()
    }

    fn uploads(count: usize, size: usize) -> Vec<Command> {
        let body = || -> Box<dyn crate::store::Spooled> { Box::new(std::io::Cursor::new(vec![b'm'; size])) };
        let command = |_| Command::new("APPEND a").body(Arc::new(Mutex::new(body())), size as u64);
        (0..count).map(command).collect()
    }

    #[test]
    fn what_goes_out_before_an_answer_is_bounded() {
        for (what, commands, serial, heard, bytes) in [
            ("short", short(200), false, DEPTH, 1 << 10),
            ("long", long(20), false, 7, WINDOW as usize),
            ("one by one", long(5), true, 1, 600),
            ("small messages", uploads(100, 10), false, 2 * UPLOAD_DEPTH, 3 << 10),
            ("large messages", uploads(5, 400_000), false, 4, UPLOAD_WINDOW as usize),
            (
                "a message beyond the window",
                uploads(2, 2_000_000),
                false,
                2,
                2_000_100,
            ),
        ] {
            let (lines, size) = before_the_first_answer(commands, serial);
            assert!(lines == heard && size <= bytes, "{what}: {lines} lines, {size} bytes");
        }
    }

    #[test]
    fn commands_that_ask_and_messages_do_not_share_the_wire() {
        let mut commands = short(3);
        commands.extend(uploads(2, 10));
        assert_eq!(before_the_first_answer(commands, false).0, 3);
    }
}
