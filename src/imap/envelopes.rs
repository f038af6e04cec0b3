//! What messages are known by, without their bodies.

use std::sync::mpsc::SyncSender;

use super::command::{Command, portions};
use super::conn::Conn;
use super::crew::{self, Queue, Task};
use super::pool::Account;
use super::reading::{self, Chunk};
use super::response::{Body, Fetch};
use crate::error::{Failure, Result};
use crate::identity::{envelope_key, header_digest, marks_size};
use crate::model::{Envelope, Id, IdSet, Mailbox, RawName};
use crate::store::Depth;

/// Messages in one command.
const CHUNK: u64 = 500;

/// See [`crate::store::Source::envelopes`].
pub(super) fn envelopes(
    account: &Account,
    of: &[(Mailbox, IdSet)],
    depth: Depth,
    found: &mut dyn FnMut(Envelope),
) -> Result<()> {
    let chunks = of.iter().flat_map(|(mailbox, ids)| {
        portions(ids, CHUNK).into_iter().map(move |ids| Wanted {
            mailbox,
            depth,
            ids,
            attempts: 0,
        })
    });
    let work = |queue: &Queue<Wanted<'_>>, out: &SyncSender<Envelope>| reading::work(account, queue, out);
    crew::spread(account, chunks.collect(), work, found)
}

/// Messages whose envelopes are wanted.
struct Wanted<'a> {
    mailbox: &'a Mailbox,
    depth: Depth,
    /// Those not answered yet.
    ids: IdSet,
    attempts: u32,
}

impl Task for Wanted<'_> {
    fn weight(&self) -> u64 {
        1 + self.ids.len() / 10
    }

    /// Each connection has the server open the mailbox, which costs Dovecot as much as telling thousands of these.
    fn flows(&self) -> Option<u64> {
        Some(5)
    }
}

impl Chunk for Wanted<'_> {
    type Out = SyncSender<Envelope>;
    /// A header is kept in the line.
    type Body = ();

    fn mailbox(&self) -> &RawName {
        &self.mailbox.raw
    }

    fn command(&self, conn: &Conn) -> Option<Command> {
        if self.ids.is_empty() {
            return None;
        }
        let header = match self.depth {
            Depth::Look => "",
            Depth::Key => " BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT X-TUID X-OFFLINEIMAP)]",
            Depth::Header => " BODY.PEEK[HEADER]",
        };
        let object = conn
            .capabilities
            .object_item()
            .map_or(String::new(), |item| format!(" {item}"));
        let items = format!("(UID FLAGS INTERNALDATE RFC822.SIZE{object}{header})");
        Some(Command::new("UID FETCH").set(&self.ids).words(items))
    }

    fn awaits(&self, id: Id) -> bool {
        self.ids.contains(id)
    }

    fn begin(_chunk: Option<&Self>, _head: &Fetch<'_>) -> Option<()> {
        None
    }

    fn feed((): &mut (), _bytes: &[u8]) {}

    fn line(&mut self, fetch: &Fetch<'_>, _body: Option<()>, out: &Self::Out) -> bool {
        let header: Option<&[u8]> = match &fetch.body {
            Body::Text(header) => Some(header),
            _ => None,
        };
        let answers = header.is_some() || (self.depth == Depth::Look && fetch.size.is_some());
        let Some(id) = fetch.uid.filter(|_| answers) else {
            // Somebody changed a flag, or there is no header to see.
            return true;
        };
        self.ids.remove(id);
        let envelope = Envelope {
            mailbox: self.mailbox.id,
            id,
            flags: fetch.flags.clone().unwrap_or_default(),
            date: fetch.date.unwrap_or_default(),
            size: fetch.size.unwrap_or(0),
            marks: header.map_or(0, marks_size),
            envelope: header.and_then(envelope_key),
            header: header.filter(|_| self.depth == Depth::Header).map(header_digest),
            content: None,
            object: fetch.object.clone(),
        };
        out.send(envelope).is_ok()
    }

    fn garbled(&mut self) {}

    fn done(self, _out: &Self::Out) -> Option<Self> {
        None
    }

    fn fail(self, _failure: &Failure, _out: &Self::Out) {}

    fn split(mut self) -> (Self, Option<Self>) {
        let half = halve(&mut self.ids);
        let second = half.map(|ids| Self {
            mailbox: self.mailbox,
            depth: self.depth,
            ids,
            attempts: 0,
        });
        self.attempts = 0;
        (self, second)
    }

    fn attempts(&mut self) -> &mut u32 {
        &mut self.attempts
    }
}

/// Cuts off the upper half of a set; `None` when there is one id only.
pub(super) fn halve(ids: &mut IdSet) -> Option<IdSet> {
    let half = ids.len().div_ceil(2);
    let mut parts = ids.chunks(half.max(1));
    let upper = (parts.len() > 1).then(|| parts.pop()).flatten();
    if let Some(lower) = parts.pop() {
        *ids = lower;
    }
    upper
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves() {
        for (ids, lower, upper) in [("1:5", "1:3", Some("4:5")), ("7", "7", None), ("2,9", "2", Some("9"))] {
            let mut ids: IdSet = ids.parse().unwrap();
            let half = halve(&mut ids).map(|half| half.to_string());
            assert_eq!((ids.to_string().as_str(), half.as_deref()), (lower, upper));
        }
    }
}
