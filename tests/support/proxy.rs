//! A proxy between homing and a server that writes down the commands, counts bytes and round trips, delays, and cuts.
//!
//! It delays without serialising: what is in flight does not hold up what follows, unless it is a link of some rate. TLS is
//! opaque to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// When a connection breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Instead of the n-th command of that verb (from 1): the server never sees it.
    Before(&'static str, usize),
    /// After the server did the n-th command of that verb: its answer never arrives.
    Unanswered(&'static str, usize),
    /// After that many bytes from the server, all connections counted together.
    AfterBytes(u64),
}

/// Commands that change something on a server.
pub(crate) const CHANGING: [&str; 9] = [
    "APPEND",
    "STORE",
    "COPY",
    "MOVE",
    "EXPUNGE",
    "CREATE",
    "DELETE",
    "RENAME",
    "SUBSCRIBE",
];

/// What went through since the last [`Proxy::take`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    /// Each command without its tag, `UID` and literals included as they stood in the line, in order of arrival.
    pub(crate) commands: Vec<String>,
    /// Bytes from the client.
    pub(crate) sent: u64,
    /// Bytes from the server.
    pub(crate) received: u64,
    /// How often a client that had all its answers went on sending.
    pub(crate) round_trips: u64,
    /// How many connections were made.
    pub(crate) connections: u64,
}

impl Traffic {
    /// How many commands of that verb there were, with `UID` before it or without.
    pub(crate) fn count(&self, verb: &str) -> usize {
        self.commands.iter().filter(|command| verb_of(command) == verb).count()
    }

    /// The commands that change something on the server.
    pub(crate) fn changing(&self) -> Vec<&str> {
        let changes = |command: &&String| CHANGING.contains(&verb_of(command).as_str());
        self.commands.iter().filter(changes).map(String::as_str).collect()
    }

    /// How often each verb was sent.
    pub(crate) fn verbs(&self) -> BTreeMap<String, usize> {
        let mut verbs = BTreeMap::new();
        for command in &self.commands {
            *verbs.entry(verb_of(command)).or_default() += 1;
        }
        verbs
    }
}

fn verb_of(command: &str) -> String {
    let mut words = command.split(' ').map(str::to_uppercase);
    let first = words.next().unwrap_or_default();
    if first == "UID" {
        words.next().unwrap_or_default()
    } else {
        first
    }
}

#[derive(Default)]
struct Shared {
    traffic: Traffic,
    cuts: Vec<Cut>,
    seen: BTreeMap<String, usize>,
    link: Link,
}

/// What all connections share, each way.
#[derive(Clone, Copy, Default)]
struct Link {
    /// Bytes in a second; without one there is no limit.
    rate: Option<u64>,
    /// When each way will have passed on all that it was given: up, down.
    free: [Option<Instant>; 2],
}

impl Link {
    /// When the last of so many bytes has left, where they come in now.
    fn pass(&mut self, bytes: usize, upwards: bool) -> Instant {
        let now = Instant::now();
        let Some(rate) = self.rate else { return now };
        let free = &mut self.free[usize::from(!upwards)];
        let begun = free.map_or(now, |free| free.max(now));
        let left = begun + Duration::from_secs_f64(bytes as f64 / rate as f64);
        *free = Some(left);
        left
    }
}

/// A listening proxy; it goes on until the test process ends.
pub(crate) struct Proxy {
    /// Where homing is to connect to, on 127.0.0.1.
    pub(crate) port: u16,
    shared: Arc<Mutex<Shared>>,
}

impl Proxy {
    /// Passes everything on to `port` on loopback, each way `delay` later.
    pub(crate) fn to(port: u16, delay: Duration) -> Self {
        Self::over(port, delay, None)
    }

    /// The same over a link that carries `rate` bytes a second each way, all connections together.
    pub(crate) fn over(port: u16, delay: Duration, rate: Option<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = listener.local_addr().expect("an address").port();
        let shared = Arc::<Mutex<Shared>>::default();
        shared.lock().expect("no panic").link.rate = rate;
        let state = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                state.lock().expect("no panic").traffic.connections += 1;
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)) {
                    join(client, server, delay, &state);
                }
            }
        });
        Self { port: own, shared }
    }

    /// What went through since the last call.
    pub(crate) fn take(&self) -> Traffic {
        let mut shared = self.shared.lock().expect("no panic");
        shared.seen.clear();
        std::mem::take(&mut shared.traffic)
    }

    /// How many commands, and how many bytes both ways, went through since the last [`Self::take`].
    pub(crate) fn progress(&self) -> (usize, u64) {
        let traffic = &self.shared.lock().expect("no panic").traffic;
        (traffic.commands.len(), traffic.sent + traffic.received)
    }

    /// How many connections were made since the last [`Self::take`].
    pub(crate) fn peek_connections(&self) -> u64 {
        self.shared.lock().expect("no panic").traffic.connections
    }

    /// Breaks the connection at that point, once.
    pub(crate) fn cut(&self, cut: Cut) {
        self.shared.lock().expect("no panic").cuts.push(cut);
    }

    /// Forgets the cuts that have not come about.
    pub(crate) fn mend(&self) {
        self.shared.lock().expect("no panic").cuts.clear();
    }

    /// The cuts that have not come about.
    pub(crate) fn uncut(&self) -> Vec<Cut> {
        self.shared.lock().expect("no panic").cuts.clone()
    }
}

/// What both directions of one connection know.
struct Connection {
    shared: Arc<Mutex<Shared>>,
    ends: [TcpStream; 2],
    /// Tags of commands that are not answered yet.
    open: Mutex<BTreeSet<Vec<u8>>>,
    /// The tag whose answer must not arrive.
    unanswered: Mutex<Option<Vec<u8>>>,
}

impl Connection {
    fn close(&self) {
        for end in &self.ends {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// A line from the client. False: it must not be passed on.
    fn client_said(&self, line: &[u8]) -> bool {
        let text = String::from_utf8_lossy(line);
        let Some((tag, command)) = text.trim_end().split_once(' ') else {
            return true;
        };
        let mut shared = self.shared.lock().expect("no panic");
        let mut open = self.open.lock().expect("no panic");
        if open.is_empty() {
            shared.traffic.round_trips += 1;
        }
        open.insert(tag.as_bytes().to_vec());
        shared.traffic.commands.push(command.to_owned());
        let verb = verb_of(command);
        let nth = shared.seen.entry(verb.clone()).or_default();
        *nth += 1;
        let nth = *nth;
        let before = Cut::Before("", nth).of(&verb);
        let unanswered = Cut::Unanswered("", nth).of(&verb);
        let hit = |cuts: &mut Vec<Cut>, wanted: &dyn Fn(&Cut) -> bool| {
            let at = cuts.iter().position(wanted);
            at.map(|at| cuts.remove(at)).is_some()
        };
        if hit(&mut shared.cuts, &before) {
            return false;
        }
        if hit(&mut shared.cuts, &unanswered) {
            *self.unanswered.lock().expect("no panic") = Some(tag.as_bytes().to_vec());
        }
        true
    }

    /// A line from the server. False: it must not be passed on.
    fn server_said(&self, line: &[u8]) -> bool {
        let tag = line.split(|&b| b == b' ').next().unwrap_or_default();
        self.open.lock().expect("no panic").remove(tag);
        self.unanswered.lock().expect("no panic").as_deref() != Some(tag)
    }
}

impl Cut {
    /// Whether a cut is of this kind and number and of that verb.
    fn of(self, verb: &str) -> impl Fn(&Cut) -> bool + '_ {
        move |other| match (&self, other) {
            (Self::Before(_, n), Self::Before(v, m)) | (Self::Unanswered(_, n), Self::Unanswered(v, m)) => {
                n == m && *v == verb
            }
            _ => false,
        }
    }
}

fn join(client: TcpStream, server: TcpStream, delay: Duration, shared: &Arc<Mutex<Shared>>) {
    let (Ok(client_end), Ok(server_end)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let connection = Arc::new(Connection {
        shared: Arc::clone(shared),
        ends: [client_end, server_end],
        open: Mutex::default(),
        unanswered: Mutex::default(),
    });
    let (up, down) = (Arc::clone(&connection), connection);
    let (Ok(to_server), Ok(to_client)) = (server.try_clone(), client.try_clone()) else {
        return;
    };
    thread::spawn(move || pump(client, to_server, delay, &up, true));
    thread::spawn(move || pump(server, to_client, delay, &down, false));
}

/// One direction: reads, looks, and hands over to a thread that writes when it is time.
fn pump(mut from: TcpStream, to: TcpStream, delay: Duration, connection: &Connection, upwards: bool) {
    let (later, due) = mpsc::channel();
    let writer = thread::spawn(move || write_when_due(&due, to));
    let mut lines = Lines::default();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let stop = lines.feed(&buffer[..n]).into_iter().find(|(_, line)| {
            let pass = if upwards {
                connection.client_said(line)
            } else {
                connection.server_said(line)
            };
            !pass
        });
        let keep = stop.as_ref().map_or(n, |(end, line)| end.saturating_sub(line.len()));
        let cut = count(connection, keep as u64, upwards);
        let left = connection.shared.lock().expect("no panic").link.pass(keep, upwards);
        if pass_on(&later, &buffer[..keep], left + delay).is_err() || cut || stop.is_some() {
            break;
        }
    }
    drop(later);
    let _ = writer.join();
    connection.close();
}

/// Counts bytes; true if it is time to cut.
fn count(connection: &Connection, bytes: u64, upwards: bool) -> bool {
    let mut shared = connection.shared.lock().expect("no panic");
    if upwards {
        shared.traffic.sent += bytes;
        return false;
    }
    shared.traffic.received += bytes;
    let received = shared.traffic.received;
    let due = |cut: &Cut| matches!(cut, Cut::AfterBytes(limit) if received >= *limit);
    let at = shared.cuts.iter().position(due);
    at.map(|at| shared.cuts.remove(at)).is_some()
}

fn pass_on(later: &Sender<(Instant, Vec<u8>)>, bytes: &[u8], due: Instant) -> io::Result<()> {
    let sent = later.send((due, bytes.to_vec()));
    sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
}

fn write_when_due(due: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    for (when, bytes) in due {
        thread::sleep(when.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Finds the lines that begin a command or an answer: those that continue one after a literal are no lines of their own.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    literal: u64,
    continued: bool,
}

impl Lines {
    /// The lines that end in `bytes`, each with where it ends.
    fn feed(&mut self, bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if self.literal > 0 {
                let skip = self.literal.min((bytes.len() - at) as u64);
                self.literal -= skip;
                at += skip as usize;
                continue;
            }
            let end = bytes[at..].iter().position(|&b| b == b'\n').map(|n| at + n + 1);
            self.line.extend_from_slice(&bytes[at..end.unwrap_or(bytes.len())]);
            at = end.unwrap_or(bytes.len());
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                self.literal = literal_after(&line).unwrap_or(0);
                let more = literal_after(&line).is_some();
                if !std::mem::replace(&mut self.continued, more) {
                    found.push((at, line));
                }
            }
        }
        found
    }
}

/// The size of the literal that a line announces (`{12}`, `{12+}`, `~{12}`).
fn literal_after(line: &[u8]) -> Option<u64> {
    let text = line.strip_suffix(b"\r\n")?.strip_suffix(b"}")?;
    let open = text.iter().rposition(|&b| b == b'{')?;
    let digits = std::str::from_utf8(&text[open + 1..]).ok()?;
    digits.strip_suffix('+').unwrap_or(digits).parse().ok()
}
