//! The embedded server is itself checked: by the `imap` crate as an independent client, and line by line.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use support::mail::Mail;
use support::server::{Server, Setup};

/// A client that sends just what it is told to and keeps every line it gets.
struct Raw {
    reader: BufReader<TcpStream>,
    tags: usize,
}

impl Raw {
    fn connect(server: &Server) -> Self {
        let tcp = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut raw = Self {
            reader: BufReader::new(tcp),
            tags: 0,
        };
        raw.line();
        raw
    }

    fn login(server: &Server) -> Self {
        let mut raw = Self::connect(server);
        assert!(raw.ask("LOGIN user pass").last().unwrap().starts_with("OK"));
        raw
    }

    fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    /// A line without its end; `None` when the connection has ended.
    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let count = self.reader.read_until(b'\n', &mut line).unwrap_or(0);
        (count > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Sends a command and gives the lines of its reply but blank ones; the last is the tagged one without its tag.
    fn ask(&mut self, command: &str) -> Vec<String> {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.send(format!("{tag} {command}\r\n").as_bytes());
        self.reply(&tag)
    }

    fn reply(&mut self, tag: &str) -> Vec<String> {
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
    fn is_cut(&mut self) -> bool {
        let mut rest = Vec::new();
        !matches!(self.reader.read_to_end(&mut rest), Ok(1..))
    }
}

fn deliver(server: &Server, mailbox: &str, subjects: &[&str]) {
    server.with("user", |account| {
        account.create(mailbox);
        for subject in subjects {
            account.deliver(mailbox, &Mail::simple(subject));
        }
    });
}

/// Plays a script: a line with `> ` is a command, those below it are its reply, each of them in full; `…` stands for
/// anything. The last is the tagged one without its tag.
fn play(raw: &mut Raw, script: &str) {
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

#[test]
fn a_plain_session() {
    let server = Server::start(Setup::bare());
    deliver(&server, "INBOX", &["one", "two", "three"]);
    let mut raw = Raw::login(&server);
    play(
        &mut raw,
        r"
        > CAPABILITY
        * CAPABILITY IMAP4rev1
        OK …
        > SELECT inbox
        * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)]…
        * 3 EXISTS
        * 3 RECENT
        * OK [UNSEEN 1]…
        * OK [UIDVALIDITY 1700000002]…
        * OK [UIDNEXT 4]…
        OK [READ-WRITE]…
        > STORE 2 +FLAGS (\Deleted)
        * 2 FETCH (FLAGS (\Deleted \Recent))
        OK …
        > UID STORE 1 FLAGS.SILENT (\Seen $Work)
        OK …
        > FETCH 1:2 (UID FLAGS INTERNALDATE RFC822.SIZE)
        * 1 FETCH (UID 1 FLAGS ($Work \Seen \Recent) INTERNALDATE …
        * 2 FETCH (UID 2 FLAGS (\Deleted \Recent) INTERNALDATE …
        OK …
        > EXPUNGE
        * 2 EXPUNGE
        OK …
        > UID SEARCH ALL
        * SEARCH 1 3
        OK …
        > SEARCH KEYWORD $work
        * SEARCH 1
        OK …
        > UID FETCH 3 BODY.PEEK[HEADER.FIELDS (subject)]
        * 2 FETCH (UID 3 BODY[HEADER.FIELDS (SUBJECT)] {18}
        Subject: three
        )
        OK …
        > LOGOUT
        * BYE …
        OK …
        ",
    );
    assert!(raw.is_cut());
    server.assert_no_complaints();
}
