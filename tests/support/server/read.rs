//! Reading a command: lines, literals and what may stop in the middle of them.

use std::io;

use super::fault::{Point, What};
use super::parse::{self, Cursor, Oops};
use super::reply::Reply;
use super::session::Session;
use super::shared::lock;

/// Longer literals are refused.
const LONGEST_LITERAL: usize = 256 << 20;
/// Longer command lines are complained about (RFC 7162 §4).
const LONGEST_LINE: usize = 8192;

/// A command as it was read.
pub(super) struct Incoming {
    pub tag: String,
    pub verb: String,
    /// All of it, literals in place, without the final CRLF.
    pub bytes: Vec<u8>,
    pub literals: Vec<usize>,
    /// It came before the reply to the one before it went out.
    pub pipelined: bool,
    pub faults: Vec<(Point, What)>,
    /// It was refused before it was complete.
    pub refused: Option<Reply>,
}

struct Announced {
    length: usize,
    waits: bool,
}

enum Struck {
    GoOn,
    Close,
}

impl Session {
    pub(super) fn read(&mut self) -> io::Result<Option<Incoming>> {
        let waits = !self.io.has_buffered() && !self.pipelined && !self.io.is_muted();
        let Some(line) = self.line()? else {
            return Ok(None);
        };
        // Counted once the command is there: whoever looks before it does not see a round trip under way.
        lock(&self.shared.log).round_trips += usize::from(waits);
        let (tag, verb) = parse::head(&line);
        let faults = self.shared.strike(&verb);
        let mut incoming = Incoming {
            tag,
            verb,
            bytes: line,
            literals: Vec::new(),
            pipelined: self.pipelined,
            faults,
            refused: None,
        };
        while let Some(announced) = announced(&incoming.bytes) {
            if let Some(refusal) = self.judge(&incoming, &announced) {
                incoming.refused = Some(refusal);
                if announced.waits || self.shared.setup.parses_refused_literals {
                    break;
                }
            }
            if announced.waits {
                self.io.send(b"+ go ahead\r\n")?;
            }
            incoming.bytes.extend_from_slice(b"\r\n");
            incoming.literals.push(announced.length);
            if let Struck::Close = self.read_literal(&mut incoming, announced.length)? {
                self.record(&incoming, None, 0);
                return Ok(None);
            }
            let Some(line) = self.line()? else {
                return Ok(None);
            };
            incoming.bytes.extend_from_slice(&line);
        }
        Ok(Some(incoming))
    }

    /// A line without its end.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(mut line) = self.io.line()? else {
            return Ok(None);
        };
        line.pop();
        if line.pop_if(|&mut b| b == b'\r').is_none() {
            self.shared
                .complain(self.number, &line, "a line that ends with a bare LF");
        }
        if line.len() > LONGEST_LINE {
            self.shared
                .complain(self.number, &line, &format!("a line of {} bytes", line.len()));
        }
        Ok(Some(line))
    }

    /// Whether a literal is refused, given the command up to its announcement.
    fn judge(&self, incoming: &Incoming, announced: &Announced) -> Option<Reply> {
        let caps = self.caps();
        let free = caps.has("LITERAL+") || (caps.has("LITERAL-") && announced.length <= 4096);
        let why = if !announced.waits && !free {
            format!("a non-synchronising literal of {} bytes", announced.length)
        } else if announced.length > LONGEST_LITERAL {
            format!("a literal of {} bytes", announced.length)
        } else {
            match parse::command(&incoming.bytes, caps, self.utf8) {
                Err(Oops::Bad(why)) => why,
                _ => {
                    return announced
                        .waits
                        .then(|| self.refuse_early(incoming, announced))
                        .flatten();
                }
            }
        };
        self.shared.complain(self.number, &incoming.bytes, &why);
        Some(Reply::bad(why))
    }

    /// NO to an APPEND before the client sends its message, where that is known to come.
    fn refuse_early(&self, incoming: &Incoming, announced: &Announced) -> Option<Reply> {
        let user = self.user.as_ref().filter(|_| incoming.verb == "APPEND")?;
        let mut cursor = Cursor::new(&incoming.bytes, self.utf8);
        let mailbox = (|| {
            cursor.tag()?;
            cursor.sp()?;
            cursor.word()?;
            cursor.sp()?;
            cursor.mailbox()
        })();
        let accounts = lock(&self.shared.accounts);
        let account = accounts.get(user)?;
        let refusal = mailbox
            .ok()
            .map(|name| self.refuse_append(account, &name, announced.length));
        refusal.flatten()
    }

    fn read_literal(&mut self, incoming: &mut Incoming, length: usize) -> io::Result<Struck> {
        let mut left = length;
        if incoming.literals.len() == 1 {
            for (point, what) in incoming.faults.clone() {
                let Point::MidLiteral(at) = point else { continue };
                let part = at.min(left);
                self.io.exactly(part, &mut incoming.bytes)?;
                left -= part;
                match what {
                    What::Cut | What::TaggedOkLost | What::ExecuteAfterCut(_) => return Ok(Struck::Close),
                    What::Stall(time) => self.shared.sleep(time),
                    What::Bye(why) => {
                        self.io.send(format!("* BYE {why}\r\n").as_bytes())?;
                        return Ok(Struck::Close);
                    }
                    _ => {}
                }
            }
        }
        self.io.exactly(left, &mut incoming.bytes)?;
        Ok(Struck::GoOn)
    }
}

/// The literal that a line ends with.
fn announced(bytes: &[u8]) -> Option<Announced> {
    let inner = bytes.strip_suffix(b"}")?;
    let start = inner.iter().rposition(|&b| b == b'{')?;
    let digits = std::str::from_utf8(&inner[start + 1..]).ok()?;
    let number = digits.strip_suffix('+').unwrap_or(digits);
    let good = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let length = number.parse().unwrap_or(usize::MAX);
    good.then_some(Announced {
        length,
        waits: number.len() == digits.len(),
    })
}

/// A command for the transcript: without its tag, literals cut out.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::new();
    let mut rest: &str = text.split_once(' ').map_or("", |(_, rest)| rest);
    while let Some((line, more)) = rest.split_once("\r\n") {
        out.push_str(line);
        let length = announced(line.as_bytes()).map_or(0, |a| a.length);
        rest = more.get(length..).unwrap_or("");
    }
    out.push_str(rest);
    out
}
