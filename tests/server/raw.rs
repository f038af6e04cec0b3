//! A client of lines.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::mail::Mail;
use crate::support::server::Server;

/// A client that sends just what it is told to and keeps every line it gets.
pub(crate) struct Raw {
    reader: BufReader<TcpStream>,
    tags: usize,
}

impl Raw {
    pub(crate) fn connect(server: &Server) -> Self {
        let tcp = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut raw = Self {
            reader: BufReader::new(tcp),
            tags: 0,
        };
        raw.line();
        raw
    }

    pub(crate) fn login(server: &Server) -> Self {
        let mut raw = Self::connect(server);
        assert!(raw.ask("LOGIN user pass").last().unwrap().starts_with("OK"));
        raw
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    /// A line without its end; `None` when the connection has ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let count = self.reader.read_until(b'\n', &mut line).unwrap_or(0);
        (count > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Sends a command and gives the lines of its reply but blank ones; the last is the tagged one without its tag.
    pub(crate) fn ask(&mut self, command: &str) -> Vec<String> {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.send(format!("{tag} {command}\r\n").as_bytes());
        self.reply(&tag)
    }

    pub(crate) fn reply(&mut self, tag: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.line() {
            if let Some(result) = line.strip_prefix(&format!("{tag} ")) {
                lines.push(result.to_owned());
                return lines;
            }
            lines.extend(Some(line).filter(|line| !line.is_empty()));
        }
        panic!("the connection ended, after {lines:?}");
    }

    /// Whether nothing more comes.
    pub(crate) fn is_cut(&mut self) -> bool {
        let mut rest = Vec::new();
        !matches!(self.reader.read_to_end(&mut rest), Ok(1..))
    }
}

pub(crate) fn deliver(server: &Server, mailbox: &str, subjects: &[&str]) {
    server.with("user", |account| {
        account.create(mailbox);
        for subject in subjects {
            account.deliver(mailbox, &Mail::simple(subject));
        }
    });
}

/// Plays a script: a line with `> ` is a command, those below it are its reply, each of them in full; `…` stands for
/// anything. The last is the tagged one without its tag.
pub(crate) fn play(raw: &mut Raw, script: &str) {
    let mut lines = script.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    while let Some(command) = lines.next() {
        let command = command.strip_prefix("> ").expect("a command");
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("> ")) {
            expected.push(line);
        }
        let got = raw.ask(command);
        let fits = |(got, expected): (&String, &&str)| match expected.split_once('…') {
            Some((start, end)) => got.starts_with(start) && got.ends_with(end),
            None => got == expected,
        };
        let all = got.len() == expected.len() && got.iter().zip(&expected).all(fits);
        assert!(all, "{command}\n got      {got:#?}\n expected {expected:#?}");
    }
}
