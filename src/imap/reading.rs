//! Reading messages in chunks: EXAMINE and UID FETCH pipelined over mailboxes, what was not answered asked again.

use super::command::Command;
use super::conn::Conn;
use super::crew::{Queue, Task};
use super::pipeline::{Errand, Event, InFlight, Pipeline};
use super::pool::Account;
use super::quirks;
use super::response::{Data, Fetch, Reply, Response, parse};
use super::retry::Tries;
use super::selected::Selected;
use super::wire::stopped;
use crate::error::{Failure, Reach, Result};
use crate::model::{Id, RawName};

/// How often a chunk is tried before it is cut, and a message before it is given up.
const ATTEMPTS: u32 = 3;
/// Commands in flight on a connection: enough that the server never waits for us.
const AHEAD: usize = 8;
/// Messages in flight on a connection up to which there may be more commands: those of many mailboxes with little each.
const AHEAD_MESSAGES: u64 = 400;

/// Some messages of one mailbox, to be read by one command.
pub(super) trait Chunk: Task + Sized {
    /// Where answers go.
    type Out;
    /// A body on its way in.
    type Body;

    fn mailbox(&self) -> &RawName;
    /// The FETCH for what is not answered yet; `None`: nothing is left, or nobody wants it any more.
    fn command(&self, conn: &Conn) -> Option<Command>;
    /// Whether this message is waited for here.
    fn awaits(&self, id: Id) -> bool;
    /// A body follows; `None`: it is kept in the line. `chunk` is the one that awaits it, where it is known already.
    fn begin(chunk: Option<&Self>, head: &Fetch<'_>) -> Option<Self::Body>;
    /// Bytes of that body.
    fn feed(body: &mut Self::Body, bytes: &[u8]);
    /// A whole line about a message that is awaited, with the body that streamed by; false when nobody listens any more.
    fn line(&mut self, fetch: &Fetch<'_>, body: Option<Self::Body>, out: &Self::Out) -> bool;
    /// A line could not be read; it may have been about one of these.
    fn garbled(&mut self);
    /// The command is done. Gives itself back when there is another one to send.
    fn done(self, out: &Self::Out) -> Option<Self>;
    /// What is not answered yet cannot be read.
    fn fail(self, failure: &Failure, out: &Self::Out);
    /// Two halves; the second is `None` when there is one message only.
    fn split(self) -> (Self, Option<Self>);
    /// How often it failed.
    fn attempts(&mut self) -> &mut u32;
}

/// What a command in flight is for.
enum Asked<C> {
    Open(RawName),
    /// With the number of messages.
    Read(C, u64),
}

/// Reads chunks from the queue until there are no more.
pub(super) fn work<C: Chunk>(account: &Account, queue: &Queue<C>, out: &C::Out) -> Result<()> {
    let mut tries = Tries::default();
    loop {
        let Err(failure) = session(account, queue, out, &mut tries) else {
            return Ok(());
        };
        tries.again(account, failure)?;
    }
}

/// Reads over one connection until there is no more to read or it is lost.
fn session<C: Chunk>(account: &Account, queue: &Queue<C>, out: &C::Out, tries: &mut Tries) -> Result<()> {
    let mut lease = account.lease()?;
    let mut reader = Reader {
        account,
        queue,
        out,
        pipeline: Pipeline::new(&mut lease),
        target: None,
        open: Opened::default(),
        ahead: 0,
        refusals: 0,
        is_over: false,
    };
    let outcome = reader.run(tries);
    if let Err(failure) = &outcome {
        reader.lost(failure);
    }
    outcome
}

/// The mailbox that answers are about.
#[derive(Default)]
struct Opened {
    selected: Selected,
    failure: Option<Failure>,
}

struct Reader<'a, 'c, C: Chunk> {
    account: &'a Account,
    queue: &'a Queue<C>,
    out: &'a C::Out,
    pipeline: Pipeline<'c, Asked<C>>,
    /// The mailbox that commands sent from now on are about.
    target: Option<RawName>,
    open: Opened,
    /// Messages in commands that are not answered yet.
    ahead: u64,
    /// How often in a row a mailbox could not be opened.
    refusals: u32,
    is_over: bool,
}

impl<C: Chunk> Reader<'_, '_, C> {
    fn run(&mut self, tries: &mut Tries) -> Result<()> {
        loop {
            self.fill()?;
            if self.pipeline.open() == 0 && self.is_over {
                return Ok(());
            }
            let mut bodies = Bodies(None);
            let Some(event) = self.pipeline.next(&mut bodies)? else {
                continue;
            };
            match event {
                Event::Data(mut in_flight, data) => {
                    if let Some(Asked::Open(_)) = in_flight.front() {
                        self.open.selected.note(&data);
                    } else if self.open.failure.is_none() && !told(in_flight, &data, bodies.0, self.out) {
                        self.queue.abandon();
                    }
                }
                Event::Done(Asked::Open(name), reply) => self.opened(&name, &reply)?,
                Event::Done(Asked::Read(chunk, messages), reply) => {
                    self.ahead -= messages;
                    tries.progress();
                    self.read(chunk, &reply)?;
                }
            }
            if self.account.is_stopped() {
                return Err(stopped());
            }
        }
    }

    /// Sends what there is room for; waits for work only when nothing is in flight.
    fn fill(&mut self) -> Result<()> {
        while self.pipeline.has_room() && self.wants_more() && !self.is_over {
            let chunk = if self.pipeline.open() == 0 {
                self.queue.take()
            } else {
                self.queue.try_take(|_| true)
            };
            let Some(chunk) = chunk else {
                self.is_over = self.pipeline.open() == 0;
                break;
            };
            self.push(chunk);
            self.pipeline.pump()?;
        }
        Ok(())
    }

    fn wants_more(&self) -> bool {
        self.pipeline.open() < AHEAD || self.ahead < AHEAD_MESSAGES
    }

    fn push(&mut self, chunk: C) {
        let Some(command) = chunk.command(self.pipeline.conn) else {
            if let Some(more) = chunk.done(self.out) {
                self.push(more);
            }
            return;
        };
        if self.target.as_ref() != Some(chunk.mailbox()) {
            let name = chunk.mailbox().clone();
            self.target = Some(name.clone());
            self.pipeline
                .push(Command::new("EXAMINE").mailbox(&name), Asked::Open(name));
        }
        let messages = chunk.weight();
        self.ahead += messages;
        self.pipeline.push(command, Asked::Read(chunk, messages));
    }

    fn opened(&mut self, name: &RawName, reply: &Reply) -> Result<()> {
        self.open.selected.note_code(reply);
        let selected = std::mem::take(&mut self.open.selected);
        self.open.failure = if reply.is_ok() {
            let expected = self.account.memory().expected(name);
            let same = expected.is_none() || expected == selected.validity;
            let what = "the mailbox was replaced by another one while homing ran";
            (!same).then(|| Failure::mailbox(what))
        } else {
            if let Some(failure) = self.pipeline.conn.suspects_pipelining(reply) {
                return Err(failure);
            }
            let failure = Failure::mailbox(format!("the mailbox cannot be opened: {}", reply.text));
            let kind = quirks::kind(reply);
            Some(Failure { kind, ..failure })
        };
        if self.open.failure.is_none() {
            self.refusals = 0;
        } else {
            // The next chunk of this mailbox opens it again.
            self.target = None;
            self.refusals += 1;
            self.account.rest(reply, self.refusals)?;
        }
        Ok(())
    }

    fn read(&mut self, mut chunk: C, reply: &Reply) -> Result<()> {
        if let Some(failure) = self.open.failure.clone() {
            *chunk.attempts() += 1;
            if *chunk.attempts() >= ATTEMPTS || failure.what.contains("replaced") {
                chunk.fail(&failure, self.out);
            } else {
                self.queue.put_back(chunk);
            }
            return Ok(());
        }
        if reply.is_ok() {
            if let Some(more) = chunk.done(self.out) {
                self.push(more);
            }
            return Ok(());
        }
        if let Some(failure) = self.pipeline.conn.suspects_pipelining(reply) {
            self.queue.put_back(chunk);
            return Err(failure);
        }
        let nth = *chunk.attempts() + 1;
        let rested = if nth < ATTEMPTS {
            self.account.rest(reply, nth)
        } else {
            Ok(false)
        };
        if !matches!(rested, Ok(false)) {
            *chunk.attempts() = nth;
            self.queue.put_back(chunk);
            return rested.map(|_| ());
        }
        // Some servers refuse the whole command for one message that they cannot read.
        match chunk.split() {
            (first, Some(second)) => {
                self.queue.put_back(second);
                self.queue.put_back(first);
            }
            (alone, None) => {
                let what = format!("the server refuses to hand it out: {}", reply.text);
                alone.fail(&Failure::message(what), self.out);
            }
        }
        Ok(())
    }

    /// The connection is lost: chunks go back; the one that was being answered is cut when that happens again.
    fn lost(self, failure: &Failure) {
        let (sent, waiting) = self.pipeline.into_open();
        let chunks = sent.into_iter().chain(waiting).filter_map(|asked| match asked {
            Asked::Read(chunk, _) => Some(chunk),
            Asked::Open(_) => None,
        });
        let mut chunks: Vec<C> = chunks.collect();
        if !chunks.is_empty() {
            let mut first = chunks.remove(0);
            *first.attempts() += 1;
            if *first.attempts() < ATTEMPTS {
                chunks.insert(0, first);
            } else {
                match first.split() {
                    (first, Some(second)) => {
                        chunks.push(second);
                        chunks.insert(0, first);
                    }
                    (alone, None) => alone.fail(&failure.hits(Reach::Message), self.out),
                }
            }
        }
        for chunk in chunks.into_iter().rev() {
            self.queue.put_back(chunk);
        }
    }
}

/// The chunks in flight that data can be about: those of the mailbox that is open. A server may answer several of them
/// before it says that one is done; only a SELECT waits for all before it.
fn of_open_mailbox<'a, C: Chunk>(in_flight: &'a mut InFlight<'_, Asked<C>>) -> impl Iterator<Item = &'a mut C> {
    in_flight.iter().map_while(|asked| match asked {
        Asked::Read(chunk, _) => Some(chunk),
        Asked::Open(_) => None,
    })
}

/// Hands data to the chunk that awaits it; false when nobody listens any more.
fn told<C: Chunk>(mut in_flight: InFlight<'_, Asked<C>>, data: &Data<'_>, body: Option<C::Body>, out: &C::Out) -> bool {
    match data {
        Data::Malformed => of_open_mailbox(&mut in_flight).for_each(C::garbled),
        Data::Fetch(fetch) => {
            let awaits = |chunk: &&mut C| fetch.uid.is_some_and(|id| chunk.awaits(id));
            if let Some(chunk) = of_open_mailbox(&mut in_flight).find(awaits) {
                return chunk.line(fetch, body, out);
            }
        }
        _ => {}
    }
    true
}

/// The body that streams by in the line that is being read.
struct Bodies<C: Chunk>(Option<C::Body>);

impl<C: Chunk> Errand<Asked<C>> for Bodies<C> {
    fn wants(&mut self, mut in_flight: InFlight<'_, Asked<C>>, line: &[u8], _size: u64) -> bool {
        let Response::Data(Data::Fetch(head)) = parse(line) else {
            return false;
        };
        if head.body_follows {
            let awaits = |chunk: &&mut C| head.uid.is_some_and(|id| chunk.awaits(id));
            let chunk = of_open_mailbox(&mut in_flight).find(awaits);
            self.0 = C::begin(chunk.as_deref(), &head);
        }
        head.body_follows && self.0.is_some()
    }

    fn chunk(&mut self, bytes: &[u8]) {
        if let Some(body) = &mut self.0 {
            C::feed(body, bytes);
        }
    }
}
