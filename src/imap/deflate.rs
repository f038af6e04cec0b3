//! COMPRESS=DEFLATE (RFC 4978 §3): what crosses the wire is compressed, below everything else that is known of it.
//!
//! What comes out is read a buffer at a time, so the limits on lines and literals hold for it, and a few bytes that would
//! become gigabytes take no memory.

use std::io::{self, Read, Write};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::stream::Stream;

const BUFFER: usize = 16 << 10;

/// A connection whose bytes are compressed both ways.
pub(super) struct Deflated {
    under: Stream,
    inflate: Decompress,
    deflate: Compress,
    /// What came and is not inflated yet: `input[at..]`.
    input: Vec<u8>,
    at: usize,
    /// What is deflated and not sent yet.
    output: Vec<u8>,
    /// Compressed bytes that came and went since they were last asked for.
    came: u64,
    went: u64,
}

impl Deflated {
    /// Compresses from here on; `early` came with the server's consent and is compressed already.
    pub(super) fn new(under: Stream, early: &[u8]) -> Self {
        Self {
            under,
            // RFC 4978 §4: no zlib header.
            inflate: Decompress::new(false),
            deflate: Compress::new(Compression::fast(), false),
            input: early.to_vec(),
            at: 0,
            output: Vec::new(),
            came: 0,
            went: 0,
        }
    }

    pub(super) fn under(&self) -> &Stream {
        &self.under
    }

    /// Compressed bytes that came since this was asked last.
    pub(super) fn take_came(&mut self) -> u64 {
        std::mem::take(&mut self.came)
    }

    /// Compressed bytes that went since this was asked last.
    pub(super) fn take_went(&mut self) -> u64 {
        std::mem::take(&mut self.went)
    }

    fn compress(&mut self, bytes: &[u8], flush: FlushCompress) -> io::Result<usize> {
        self.output.reserve(BUFFER);
        let before = self.deflate.total_in();
        self.deflate
            .compress_vec(bytes, &mut self.output, flush)
            .map_err(io::Error::other)?;
        Ok((self.deflate.total_in() - before) as usize)
    }
}

impl Read for Deflated {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let (consumed, made) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(&self.input[self.at..], buf, FlushDecompress::None)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "what came is not compressed as agreed"))?;
            self.at += (self.inflate.total_in() - consumed) as usize;
            let made = (self.inflate.total_out() - made) as usize;
            if made > 0 || status == Status::StreamEnd {
                return Ok(made);
            }
            self.at = 0;
            self.input.resize(BUFFER, 0);
            let read = self.under.read(&mut self.input);
            self.input.truncate(*read.as_ref().unwrap_or(&0));
            match read? {
                0 => return Ok(0),
                n => self.came += n as u64,
            }
        }
    }
}

impl Write for Deflated {
    /// Takes all; nothing goes out before [`Write::flush`].
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while taken < buf.len() {
            taken += self.compress(&buf[taken..], FlushCompress::None)?;
        }
        Ok(taken)
    }

    /// Up to a boundary from which the other side can read all that was written.
    fn flush(&mut self) -> io::Result<()> {
        loop {
            self.compress(&[], FlushCompress::Sync)?;
            if self.output.len() < self.output.capacity() {
                break;
            }
        }
        self.under.write_all(&self.output)?;
        self.went += self.output.len() as u64;
        self.output.clear();
        self.under.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use super::*;

    /// Two ends of a connection.
    fn pair() -> (Deflated, Deflated) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let left = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let right = listener.accept().unwrap().0;
        (
            Deflated::new(Stream::Plain(left), &[]),
            Deflated::new(Stream::Plain(right), &[]),
        )
    }

    #[test]
    fn what_goes_in_comes_out() {
        for size in [1, 100, BUFFER - 1, BUFFER, 1 << 20] {
            let text: Vec<u8> = (0..size).map(|n| (n * n / 7 % 251) as u8).collect();
            let (mut left, mut right) = pair();
            let sent = text.clone();
            let sender = thread::spawn(move || {
                left.write_all(&sent).unwrap();
                left.flush().unwrap();
                left
            });
            let mut seen = vec![0; size];
            right.read_exact(&mut seen).unwrap();
            let mut left = sender.join().unwrap();
            assert!(seen == text, "{size} bytes");
            assert_eq!(left.take_went(), right.take_came(), "{size} bytes");
        }
    }

    #[test]
    fn a_bomb_comes_out_a_buffer_at_a_time() {
        let (mut left, mut right) = pair();
        let sender = thread::spawn(move || {
            left.write_all(&vec![0; 64 << 20]).unwrap();
            left.flush().unwrap();
            left.take_went()
        });
        let mut buffer = vec![1; 4096];
        let mut all = 0;
        while all < 64 << 20 {
            all += right.read(&mut buffer).unwrap();
            assert!(right.input.len() <= BUFFER);
        }
        assert!(sender.join().unwrap() < 1 << 20);
    }

    #[test]
    fn what_is_not_compressed_is_refused() {
        let (left, mut right) = pair();
        let Stream::Plain(mut tcp) = left.under else {
            panic!("it is plain")
        };
        tcp.write_all(b"\xff\xff* OK in clear\r\n").unwrap();
        let error = right.read(&mut [0; 100]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
