//! What carries the bytes of one connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use native_tls::TlsStream;

use super::deflate::Deflated;

/// A TCP connection, encrypted or not, compressed or not.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Deflated(Box<Deflated>),
    /// While it is being replaced.
    None,
}

impl Stream {
    pub(super) fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(tcp) => Some(tcp),
            Self::Tls(tls) => Some(tls.get_ref()),
            Self::Deflated(deflated) => deflated.under().tcp(),
            Self::None => None,
        }
    }

    /// How many bytes crossed the wire for so many that were read since this was asked last.
    pub(super) fn came(&mut self, bytes: u64) -> u64 {
        match self {
            Self::Deflated(deflated) => deflated.take_came(),
            _ => bytes,
        }
    }

    /// The same for what was written.
    pub(super) fn went(&mut self, bytes: u64) -> u64 {
        match self {
            Self::Deflated(deflated) => deflated.take_went(),
            _ => bytes,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buf),
            Self::Tls(tls) => tls.read(buf),
            Self::Deflated(deflated) => deflated.read(buf),
            Self::None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(buf),
            Self::Tls(tls) => tls.write(buf),
            Self::Deflated(deflated) => deflated.write(buf),
            Self::None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
            Self::Deflated(deflated) => deflated.flush(),
            Self::None => Ok(()),
        }
    }
}
