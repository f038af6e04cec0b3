//! Sending a reply: whole, cut, slowly.

use std::io;
use std::sync::Arc;

use super::fault::{Point, What};
use super::read::{Incoming, shown};
use super::reply::{Line, Piece, Reply, Status};
use super::session::Session;
use super::shared::lock;
use super::transcript::{Entry, MOST};

impl Session {
    pub(super) fn send(&mut self, incoming: &Incoming, reply: &Reply, faults: &[(Point, What)]) -> io::Result<bool> {
        self.shared.sleep(self.shared.setup.latency);
        self.pipelined = self.io.has_more();
        let tagged = format!("{} {} {}\r\n", incoming.tag, reply.status.word(), reply.text);
        let lines = reply.lines.iter().flat_map(|line| line.0.iter().map(Piece::bytes));
        let last = (!reply.untagged_only).then_some(tagged.as_bytes());
        let pieces: Vec<&[u8]> = lines.chain(last).collect();
        let total: usize = pieces.iter().map(|p| p.len()).sum();
        self.record(incoming, Some(reply), total);
        let mid = faults.iter().find_map(|(point, what)| match point {
            Point::MidReply(at) => Some((*at, what)),
            _ => None,
        });
        let trickle = faults.iter().find_map(|(_, what)| {
            if let What::Trickle(time) = what {
                Some(*time)
            } else {
                None
            }
        });
        if let Some(time) = trickle {
            for byte in pieces.concat() {
                self.io.send(&[byte])?;
                self.shared.sleep(time);
            }
        } else if let Some((at, what)) = mid {
            let whole = pieces.concat();
            let (first, rest) = whole.split_at(at.min(whole.len()));
            self.io.send(first)?;
            match what {
                What::Cut | What::TaggedOkLost | What::ExecuteAfterCut(_) => return Ok(false),
                What::Bye(text) => {
                    self.io.send(format!("\r\n* BYE {text}\r\n").as_bytes())?;
                    return Ok(false);
                }
                What::Stall(time) => self.shared.sleep(*time),
                _ => {}
            }
            self.io.send(rest)?;
        } else {
            self.send_pieces(&pieces)?;
        }
        self.after_reply(reply)
    }

    fn send_pieces(&mut self, pieces: &[&[u8]]) -> io::Result<()> {
        const ROOM: usize = 64 * 1024;
        let mut buffer = Vec::with_capacity(ROOM);
        for piece in pieces {
            if buffer.len() + piece.len() > ROOM {
                self.io.send(&buffer)?;
                buffer.clear();
            }
            if piece.len() > ROOM {
                self.io.send(piece)?;
            } else {
                buffer.extend_from_slice(piece);
            }
        }
        self.io.send(&buffer)
    }

    fn after_reply(&mut self, reply: &Reply) -> io::Result<bool> {
        if std::mem::take(&mut self.starts_tls) && reply.status == Status::Ok {
            self.io.send(&self.shared.setup.starttls_injects.clone())?;
            if self.io.has_buffered() {
                self.shared
                    .complain(self.number, b"STARTTLS", "commands sent behind STARTTLS");
            }
            let shared = Arc::clone(&self.shared);
            self.io
                .start_tls(shared.acceptor.as_ref().expect("STARTTLS is offered"))?;
            self.over_tls = true;
        }
        Ok(!reply.close)
    }

    pub(super) fn record(&mut self, incoming: &Incoming, reply: Option<&Reply>, sent: usize) {
        let tagged = reply.filter(|r| !r.untagged_only);
        let replies = reply.map(|r| r.lines.iter().take(MOST).map(super::reply::Line::shown).collect());
        let entry = Entry {
            at: self.shared.started.elapsed(),
            connection: self.number,
            tag: incoming.tag.clone(),
            verb: incoming.verb.clone(),
            line: shown(&incoming.bytes),
            literals: incoming.literals.clone(),
            pipelined: incoming.pipelined,
            replies: replies.unwrap_or_default(),
            result: tagged
                .map(|r| format!("{} {}", r.status.word(), r.text))
                .unwrap_or_default(),
            status: tagged.map(|r| r.status),
            sent,
        };
        let mut log = lock(&self.shared.log);
        log.ended += 1;
        log.entries.push(entry);
    }
}
