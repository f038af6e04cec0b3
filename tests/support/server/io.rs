//! Bytes in and out of one connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use native_tls::TlsStream;

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Between the two.
    None,
}

/// A buffered connection.
pub struct Io {
    stream: Stream,
    raw: TcpStream,
    buffer: Vec<u8>,
    at: usize,
    muted: bool,
}

impl Io {
    /// A connection in the clear.
    pub fn new(tcp: TcpStream) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        let raw = tcp.try_clone()?;
        Ok(Self {
            stream: Stream::Plain(tcp),
            raw,
            buffer: Vec::new(),
            at: 0,
            muted: false,
        })
    }

    /// Shakes hands. What the client sent too early is forgotten.
    pub fn start_tls(&mut self, acceptor: &native_tls::TlsAcceptor) -> io::Result<()> {
        let Stream::Plain(tcp) = std::mem::replace(&mut self.stream, Stream::None) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        (self.buffer, self.at) = (Vec::new(), 0);
        let tls = acceptor.accept(tcp).map_err(io::Error::other)?;
        self.stream = Stream::Tls(Box::new(tls));
        Ok(())
    }

    /// Whether bytes lie here unread.
    pub fn has_buffered(&self) -> bool {
        self.at < self.buffer.len()
    }

    /// Whether the client has sent more than was read as a command.
    pub fn has_more(&self) -> bool {
        if self.has_buffered() {
            return true;
        }
        let there = self.raw.set_nonblocking(true).is_ok() && self.raw.peek(&mut [0]).is_ok_and(|n| n > 0);
        self.raw.set_nonblocking(false).is_ok() && there
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.at == self.buffer.len() {
            (self.buffer, self.at) = (Vec::new(), 0);
        }
        let mut chunk = [0; 16 * 1024];
        let n = match &mut self.stream {
            Stream::Plain(s) => s.read(&mut chunk)?,
            Stream::Tls(s) => s.read(&mut chunk)?,
            Stream::None => 0,
        };
        self.buffer.extend_from_slice(&chunk[..n]);
        Ok(n)
    }

    /// A line with its LF; `None` at the end. What comes without a LF before the end is dropped, as it must be.
    pub fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut seen = self.at;
        loop {
            if let Some(lf) = self.buffer[seen..].iter().position(|&b| b == b'\n') {
                let end = seen + lf + 1;
                let line = self.buffer[self.at..end].to_vec();
                self.at = end;
                return Ok(Some(line));
            }
            let unread = self.buffer.len() - self.at;
            if self.fill()? == 0 {
                return Ok(None);
            }
            seen = self.at + unread;
        }
    }

    /// Exactly so many bytes, appended to `into`.
    pub fn exactly(&mut self, mut count: usize, into: &mut Vec<u8>) -> io::Result<()> {
        while count > 0 {
            if !self.has_buffered() && self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let take = count.min(self.buffer.len() - self.at);
            into.extend_from_slice(&self.buffer[self.at..self.at + take]);
            self.at += take;
            count -= take;
        }
        Ok(())
    }

    /// Sends bytes, unless the connection is muted.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.muted {
            return Ok(());
        }
        match &mut self.stream {
            Stream::Plain(s) => s.write_all(bytes),
            Stream::Tls(s) => s.write_all(bytes).and_then(|()| s.flush()),
            Stream::None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Ends the connection.
    pub fn cut(&mut self) {
        let _ = self.raw.shutdown(Shutdown::Both);
    }

    /// Ends the connection as the client sees it, but keeps all that it had sent: a dead client's session lives on.
    pub fn outlive_client(&mut self) {
        let _ = self.raw.set_read_timeout(Some(Duration::from_millis(20)));
        while self.fill().is_ok_and(|n| n > 0) {}
        let _ = self.raw.set_read_timeout(None);
        let _ = self.raw.shutdown(Shutdown::Both);
        self.muted = true;
    }

    /// Whether [`Self::outlive_client`] was called.
    pub fn is_muted(&self) -> bool {
        self.muted
    }
}
