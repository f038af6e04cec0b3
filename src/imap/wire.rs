//! Bytes in and out of one connection: buffers, time limits, lines with their literals.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::command::SharedBody;
use super::counters::Counters;
use super::deflate::Deflated;
use super::meter::Direction;
use super::stream::Stream;
use super::token::literal_size;
use crate::error::{Failure, Kind, Result, Retry};
use crate::store::Stop;

/// The most that is kept of one line and the literals in it. A header block larger than this is left out.
const LONGEST_LINE: usize = 16 << 20;
/// How long a read waits before it looks whether the user wants to stop.
pub(super) const SLICE: Duration = Duration::from_millis(500);
const BUFFER: usize = 64 << 10;
/// What is sent at once where there is a limit on bytes a second.
const SLOW_PIECE: usize = 16 << 10;
/// A line or a literal that comes slower than this, in bytes each second, is as good as none.
const SLOWEST: u64 = 50;

/// Who gets the literals of a line while they stream in.
pub(super) trait Literals {
    /// A literal of `size` bytes follows `line`. True: its bytes go to [`Self::chunk`], and `""` stands in the line for
    /// them. False: they are kept in the line.
    fn wants(&mut self, line: &[u8], size: u64) -> bool;
    /// The next bytes of it.
    fn chunk(&mut self, bytes: &[u8]);
}

/// Keeps every literal in its line.
pub(super) struct Keep;

impl Literals for Keep {
    fn wants(&mut self, _line: &[u8], _size: u64) -> bool {
        false
    }

    fn chunk(&mut self, _bytes: &[u8]) {}
}

/// The buffered connection. Every failure means that it is lost and that another one may do better.
pub(super) struct Wire {
    stream: Stream,
    input: Vec<u8>,
    at: usize,
    output: Vec<u8>,
    timeout: Duration,
    counters: Arc<Counters>,
    stop: Stop,
    /// Waiting ends when the user wants to stop; false while something is under way whose answer is needed.
    pub(super) impatient: bool,
    /// The server fell silent.
    pub(super) silent: bool,
    /// How the line that is being read comes in; `None` before its first byte.
    pace: Option<Pace>,
}

/// So many bytes since then.
struct Pace {
    since: Instant,
    bytes: u64,
}

impl Wire {
    pub(super) fn new(stream: Stream, timeout: Duration, counters: Arc<Counters>, stop: Stop) -> Result<Self> {
        if let Some(tcp) = stream.tcp() {
            tcp.set_nodelay(true)
                .and_then(|()| tcp.set_read_timeout(Some(timeout.min(SLICE))))
                .and_then(|()| tcp.set_write_timeout(Some(timeout)))
                .map_err(|e| lost(&e))?;
        }
        Ok(Self {
            stream,
            input: Vec::new(),
            at: 0,
            output: Vec::new(),
            timeout,
            counters,
            stop,
            impatient: true,
            silent: false,
            pace: None,
        })
    }

    /// Gives back the TCP connection for STARTTLS; refused while bytes wait in the buffer, since they came before the
    /// encryption and would be taken for the server's own.
    pub(super) fn take_plain(&mut self) -> Result<TcpStream> {
        match &self.stream {
            Stream::Plain(tcp) if self.at == self.input.len() => tcp.try_clone().map_err(|e| lost(&e)),
            _ => Err(Failure::account(
                Kind::Config,
                "the server, or somebody in between, sent data before the encryption that STARTTLS asked for",
            )
            .hint("use `tls = \"implicit\"`, and do not trust this network")),
        }
    }

    /// Compresses from here on, both ways. What waits in the buffer came behind the server's consent, compressed.
    pub(super) fn compress(&mut self) {
        let under = std::mem::replace(&mut self.stream, Stream::None);
        self.stream = Stream::Deflated(Box::new(Deflated::new(under, &self.input[self.at..])));
        self.at = self.input.len();
    }

    /// Waits for more input, which is then at `input[at..]`.
    fn fill(&mut self) -> Result<()> {
        if self.at < self.input.len() {
            return Ok(());
        }
        self.at = 0;
        self.input.resize(BUFFER, 0);
        let deadline = Instant::now() + self.timeout;
        let read = loop {
            match self.stream.read(&mut self.input) {
                Ok(0) => break Err(Failure::account(Kind::Temporary, "the server closed the connection")),
                Ok(n) => break Ok(n),
                Err(e) if is_timeout(&e) => {
                    if self.impatient && self.stop.load(Ordering::Relaxed) {
                        break Err(stopped());
                    }
                    if Instant::now() >= deadline {
                        self.silent = true;
                        let what = format!("the server did not answer for {} s", self.timeout.as_secs());
                        break Err(Failure::account(Kind::Temporary, what));
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Err(lost(&e)),
            }
        };
        self.input.truncate(*read.as_ref().unwrap_or(&0));
        let bytes = self.stream.came(self.input.len() as u64);
        Counters::add(&self.counters.bytes_in, bytes);
        read.map(|_| ()).map_err(|failure| failure.retry(Retry::Now))?;
        let meter = &self.counters.meter;
        meter.passed(Direction::Down, bytes, &self.stop);
        if meter.is_overdrawn() {
            return Err(meter.refusal());
        }
        self.keep_pace()
    }

    /// A server that dribbles never falls silent and never comes to an end. Between lines it may take its time.
    fn keep_pace(&mut self) -> Result<()> {
        let new = || Pace {
            since: Instant::now(),
            bytes: 0,
        };
        let pace = self.pace.get_or_insert_with(new);
        pace.bytes += self.input.len() as u64;
        let window = 2 * self.timeout;
        if pace.since.elapsed() < window {
            return Ok(());
        }
        if pace.bytes < SLOWEST * window.as_secs() {
            let what = format!(
                "the server sent no more than {} bytes in {} s",
                pace.bytes,
                window.as_secs()
            );
            return Err(Failure::account(Kind::Temporary, what).retry(Retry::Now));
        }
        *pace = new();
        Ok(())
    }

    /// Reads a logical line: to its end of line, the literals in it included. `line` is emptied first.
    pub(super) fn read_line(&mut self, line: &mut Vec<u8>, literals: &mut dyn Literals) -> Result<()> {
        line.clear();
        self.pace = None;
        let mut from = 0;
        loop {
            self.read_to_eol(line)?;
            if from == 0 && is_status(line) {
                return Ok(());
            }
            let Some(size) = literal_size(&line[from..]) else {
                return Ok(());
            };
            let mark = line.iter().rposition(|&b| b == b'{').unwrap_or(0);
            let mark = mark - usize::from(line[..mark].ends_with(b"~"));
            if literals.wants(&line[..mark], size) {
                self.stream_literal(size, &mut |bytes| literals.chunk(bytes))?;
                line.truncate(mark);
                line.extend_from_slice(b"\"\"");
            } else if size > (LONGEST_LINE - line.len()) as u64 {
                Counters::add(&self.counters.skipped, 1);
                self.stream_literal(size, &mut |_| ())?;
                line.truncate(mark);
                line.extend_from_slice(b"NIL");
            } else {
                line.extend_from_slice(b"\r\n");
                self.stream_literal(size, &mut |bytes| line.extend_from_slice(bytes))?;
            }
            from = line.len();
        }
    }

    fn read_to_eol(&mut self, line: &mut Vec<u8>) -> Result<()> {
        loop {
            self.fill()?;
            let buffer = &self.input[self.at..];
            let eol = buffer.iter().position(|&b| b == b'\n');
            let taken = eol.unwrap_or(buffer.len());
            if line.len() + taken > LONGEST_LINE {
                return Err(Failure::account(Kind::Temporary, "the server sent a line without end").retry(Retry::Now));
            }
            line.extend_from_slice(&buffer[..taken]);
            self.at += taken + usize::from(eol.is_some());
            if eol.is_some() {
                if line.ends_with(b"\r") {
                    line.pop();
                }
                return Ok(());
            }
        }
    }

    fn stream_literal(&mut self, mut size: u64, into: &mut dyn FnMut(&[u8])) -> Result<()> {
        while size > 0 {
            self.fill()?;
            let buffer = &self.input[self.at..];
            let taken = usize::try_from(size).map_or(buffer.len(), |size| size.min(buffer.len()));
            into(&buffer[..taken]);
            self.at += taken;
            size -= taken as u64;
        }
        Ok(())
    }

    /// How long the server may be silent.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Puts bytes into the output buffer.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Sends what is in the output buffer.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let output = std::mem::take(&mut self.output);
        self.send(&output)
    }

    /// Streams a body out, after what is in the output buffer. `Err(Some(…))`: the body itself could not be read, and
    /// the connection is of no further use.
    pub(super) fn send_body(&mut self, body: &SharedBody, mut size: u64) -> Result<()> {
        let mut body = body.lock().map_err(|_| unreadable("its reader panicked"))?;
        let mut buffer = vec![0; BUFFER];
        while size > 0 {
            let room = buffer.len().min(usize::try_from(size).unwrap_or(BUFFER));
            let n = match body.read(&mut buffer[..room]) {
                Ok(0) => return Err(unreadable("it ends too early")),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(unreadable(e)),
            };
            size -= n as u64;
            if self.output.len() + n <= BUFFER {
                self.queue(&buffer[..n]);
            } else {
                self.flush()?;
                self.send(&buffer[..n])?;
            }
        }
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let meter = &self.counters.meter;
        let piece = if meter.is_slow() {
            SLOW_PIECE
        } else {
            bytes.len().max(1)
        };
        for piece in bytes.chunks(piece) {
            self.stream
                .write_all(piece)
                .and_then(|()| self.stream.flush())
                .map_err(|e| lost(&e))?;
            let bytes = self.stream.went(piece.len() as u64);
            Counters::add(&self.counters.bytes_out, bytes);
            meter.passed(Direction::Up, bytes, &self.stop);
        }
        Ok(())
    }
}

/// Whether a line is a status, whose text for people can end in anything, `{3}` included.
fn is_status(line: &[u8]) -> bool {
    let mut words = line.split(|&b| b == b' ');
    let first = words.next().unwrap_or_default();
    let second = words.next().unwrap_or_default();
    let statuses: [&[u8]; 5] = [b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"];
    first == b"+" || statuses.iter().any(|status| second.eq_ignore_ascii_case(status))
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// The failure of a connection that broke.
pub(super) fn lost(error: &io::Error) -> Failure {
    let what = if is_timeout(error) {
        "the server takes no more data".to_owned()
    } else {
        format!("the connection was lost: {error}")
    };
    Failure::account(Kind::Temporary, what).retry(Retry::Now)
}

fn unreadable(why: impl std::fmt::Display) -> Failure {
    Failure::account(
        Kind::Temporary,
        format!("a message waiting to be sent cannot be read: {why}"),
    )
    .retry(Retry::Now)
}

/// The failure of what the user stopped.
pub(super) fn stopped() -> Failure {
    Failure::account(Kind::Temporary, "stopped")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn wire(script: Vec<u8>) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || listener.accept().unwrap().0.write_all(&script));
        let stream = Stream::Plain(TcpStream::connect(address).unwrap());
        Wire::new(stream, Duration::from_secs(5), Arc::default(), Stop::default()).unwrap()
    }

    #[derive(Default)]
    struct Bodies(Vec<u8>);

    impl Literals for Bodies {
        fn wants(&mut self, line: &[u8], _size: u64) -> bool {
            line.ends_with(b"BODY[] ")
        }

        fn chunk(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
    }

    #[test]
    fn lines_and_literals() {
        for (script, line, body) in [
            ("* OK hi\r\n", "* OK hi", ""),
            ("* OK hi {3}\r\n", "* OK hi {3}", ""),
            ("* X {3}\r\na\r\n y\n", "* X {3}\r\na\r\n y", ""),
            (
                "* 1 FETCH (BODY[] {3}\r\nabc UID 1)\r\n",
                "* 1 FETCH (BODY[] \"\" UID 1)",
                "abc",
            ),
            ("* 1 FETCH (BODY[] ~{2}\r\nab)\r\n", "* 1 FETCH (BODY[] \"\")", "ab"),
            ("* X {5}\r\n{9}\r\n\r\n", "* X {5}\r\n{9}\r\n", ""),
        ] {
            let (mut seen, mut bodies) = (Vec::new(), Bodies::default());
            wire(script.into()).read_line(&mut seen, &mut bodies).unwrap();
            assert_eq!(String::from_utf8(seen).unwrap(), line);
            assert_eq!(String::from_utf8(bodies.0).unwrap(), body);
        }
    }

    #[test]
    fn what_is_too_long_is_left_out_or_ends_the_connection() {
        let size = LONGEST_LINE + 1;
        let mut script = format!("* 1 FETCH (X {{{size}}}\r\n").into_bytes();
        script.resize(script.len() + size, b'x');
        script.extend_from_slice(b" UID 1)\r\n");
        let (mut wire, mut line) = (wire(script), Vec::new());
        wire.read_line(&mut line, &mut Keep).unwrap();
        assert_eq!(line, b"* 1 FETCH (X NIL UID 1)");
        assert_eq!(wire.counters.skipped.load(Ordering::Relaxed), 1);

        let failure = super::tests::wire(vec![b'x'; LONGEST_LINE + 10])
            .read_line(&mut line, &mut Keep)
            .unwrap_err();
        assert_eq!((failure.retry, failure.kind), (Retry::Now, Kind::Temporary));
    }

    #[test]
    fn the_end_of_the_connection_is_told() {
        let mut line = Vec::new();
        for script in ["", "* OK half", "* X {10}\r\nabc"] {
            let failure = wire(script.into()).read_line(&mut line, &mut Keep).unwrap_err();
            assert_eq!(failure.retry, Retry::Now, "{script}");
        }
    }
}
