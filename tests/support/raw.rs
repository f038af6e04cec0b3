//! A few lines of IMAP for what the `imap` crate cannot send: many messages at once, with flags and dates.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::witness::encode_name;

/// A message for [`Raw::append`].
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    /// With CRLF line ends.
    pub(crate) bytes: Vec<u8>,
    /// As on the wire, separated by blanks.
    pub(crate) flags: String,
    /// Seconds since 1970.
    pub(crate) date: i64,
}

/// A connection, logged in.
pub(crate) struct Raw {
    stream: BufReader<TcpStream>,
    tag: usize,
}

impl Raw {
    /// Logs in with the password `pass`.
    pub(crate) fn connect(host: &str, port: u16, user: &str) -> Self {
        let stream = TcpStream::connect((host, port)).expect("the server listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a timeout");
        stream.set_nodelay(true).expect("a socket");
        let mut raw = Self {
            stream: BufReader::new(stream),
            tag: 0,
        };
        raw.line().expect("a greeting");
        raw.ok(&format!("LOGIN {} pass", quoted(user)));
        raw
    }

    /// Sends a command; its untagged answers, or the refusal. No answer may hold a literal.
    pub(crate) fn command(&mut self, text: &str) -> Result<Vec<String>, String> {
        self.send(format!("{text}\r\n").as_bytes());
        self.answer()
    }

    /// Sends a command that must succeed.
    #[track_caller]
    pub(crate) fn ok(&mut self, text: &str) -> Vec<String> {
        self.command(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    /// Appends messages to a mailbox (decoded name), a window at a time; what became of each.
    pub(crate) fn append(&mut self, mailbox: &str, mails: &[Mail]) -> Vec<Result<(), String>> {
        let name = quoted(&encode_name(mailbox));
        let mut results = Vec::new();
        for window in mails.chunks(100) {
            let mut out = Vec::new();
            for mail in window {
                let mut line = String::new();
                let (flags, date, size) = (&mail.flags, imap_date(mail.date), mail.bytes.len());
                let _ = write!(line, "APPEND {name} ({flags}) \"{date}\" {{{size}+}}\r\n");
                self.tag += 1;
                out.extend_from_slice(format!("t{} ", self.tag).as_bytes());
                out.extend_from_slice(line.as_bytes());
                out.extend_from_slice(&mail.bytes);
                out.extend_from_slice(b"\r\n");
            }
            self.stream.get_mut().write_all(&out).expect("a connection");
            let first = self.tag - window.len();
            for nth in 1..=window.len() {
                results.push(self.answer_to(first + nth).map(drop));
            }
        }
        results
    }

    /// Appends messages, all of which must be taken.
    #[track_caller]
    pub(crate) fn append_all(&mut self, mailbox: &str, mails: &[Mail]) {
        for (nth, result) in self.append(mailbox, mails).into_iter().enumerate() {
            result.unwrap_or_else(|why| panic!("message {nth} into {mailbox}: {why}"));
        }
    }

    /// Creates a mailbox of that decoded name, with `/` between levels as `separator`.
    pub(crate) fn create(&mut self, name: &str) -> Result<(), String> {
        self.command(&format!("CREATE {}", quoted(&encode_name(name))))
            .map(drop)
    }

    fn send(&mut self, text: &[u8]) {
        self.tag += 1;
        let out = [format!("t{} ", self.tag).as_bytes(), text].concat();
        self.stream.get_mut().write_all(&out).expect("a connection");
    }

    fn answer(&mut self) -> Result<Vec<String>, String> {
        self.answer_to(self.tag)
    }

    fn answer_to(&mut self, tag: usize) -> Result<Vec<String>, String> {
        let tag = format!("t{tag} ");
        let mut untagged = Vec::new();
        loop {
            let line = self.line().expect("an answer");
            match line.strip_prefix(&tag) {
                Some(done) if done.starts_with("OK") => return Ok(untagged),
                Some(refused) => return Err(refused.to_owned()),
                None => untagged.push(line),
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

/// A quoted string (RFC 9051 §9).
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn imap_date(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).expect("a time that exists");
    time.strftime("%d-%b-%Y %H:%M:%S +0000").to_string()
}
