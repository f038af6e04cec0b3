//! A target for stores that must know a message's size before they take it, such as an IMAP server.
//!
//! Servers lie about sizes, so each message is spooled first: in memory while it is small, else in a temporary file
//! without a name, which is gone when it is closed, whatever happens.

use std::io::{self, Seek, SeekFrom, Write};
use std::sync::mpsc::SyncSender;

use tempfile::SpooledTempFile;

use crate::error::{Failure, Kind, Result, Retry};
use crate::model::Identity;
use crate::store::{Append, Head, Landing, ReadJob, Sink, Target, WriteJob};

/// What a message failed with that came after the other side had ended. Why that ended is told by its own failure.
pub const ENDED: &str = "the other side takes no more messages";

/// The largest message that is kept in memory.
const IN_MEMORY: usize = 4 << 20;

/// That a message could not be kept for the moment. The others may be smaller.
pub(crate) fn unspooled(err: &io::Error) -> Failure {
    let place = std::env::temp_dir();
    Failure::message(format!(
        "it cannot be kept in a temporary file in {}: {err}",
        place.display()
    ))
    .hint("make room there, or name another directory in the environment variable TMPDIR")
}

/// Spools messages and hands them on as [`WriteJob::Append`].
#[derive(Debug)]
pub struct SpoolTarget {
    appends: SyncSender<WriteJob>,
}

impl SpoolTarget {
    /// A target whose messages go into `appends`; when nobody takes them any more, each message fails.
    pub fn new(appends: SyncSender<WriteJob>) -> Self {
        Self { appends }
    }
}

impl Target for SpoolTarget {
    fn begin(&self, job: &ReadJob, head: &Head) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Spooling {
            job: job.clone(),
            head: head.clone(),
            body: SpooledTempFile::new(IN_MEMORY),
            has_nul: false,
            appends: self.appends.clone(),
        }))
    }
}

/// A message on its way in.
struct Spooling {
    job: ReadJob,
    head: Head,
    body: SpooledTempFile,
    /// It holds a byte that an IMAP literal cannot.
    has_nul: bool,
    appends: SyncSender<WriteJob>,
}

impl Write for Spooling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.has_nul |= bytes.contains(&0);
        self.body.write(bytes).map_err(|err| unspooled(&err).into())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.body.flush()
    }
}

impl Sink for Spooling {
    fn finish(mut self: Box<Self>, identity: &Identity) -> Result<Landing> {
        if let Some(id) = self.job.meet.as_ref().and_then(|meet| meet.take(&identity.content)) {
            return Ok(Landing::Met(id));
        }
        if self.has_nul {
            // RFC 9051 §9 (CHAR8): some servers cut the message there, some put another byte in its place.
            return Err(Failure::message("it holds a NUL byte, which IMAP cannot carry")
                .retry(Retry::Never)
                .hint("it stays where it is, whole; without that byte it would be sent"));
        }
        self.body.seek(SeekFrom::Start(0)).map_err(|err| unspooled(&err))?;
        let append = Append {
            ticket: self.job.ticket,
            head: self.head,
            to: self.job.to,
            identity: identity.clone(),
            body: Box::new(self.body),
        };
        self.appends
            .send(WriteJob::Append(append))
            .map_err(|_| Failure::account(Kind::Temporary, ENDED))?;
        Ok(Landing::Queued)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Digester;
    use crate::model::{Flags, IdSet, InternalDate, Mailbox, MailboxId, RawName};
    use crate::store::{IntentId, Meet, Ticket};
    use std::io::Read;
    use std::sync::Arc;
    use std::sync::mpsc;

    fn mailbox(raw: &str) -> Mailbox {
        Mailbox {
            id: MailboxId(1),
            raw: RawName::new(raw),
        }
    }

    fn spool(body: &[u8], meet: Option<Arc<Meet>>) -> (Result<Landing>, Option<Append>) {
        let (appends, inbox) = mpsc::sync_channel(1);
        let job = ReadJob {
            ticket: Ticket(7),
            from: mailbox("there"),
            ids: IdSet::range(5..=5),
            newest_first: true,
            to: mailbox("here"),
            intent: IntentId(0),
            meet,
            max_size: None,
        };
        let head = Head {
            id: 5,
            flags: Flags::none(),
            date: InternalDate(9),
            size: 1,
            object: None,
        };
        let mut sink = SpoolTarget::new(appends).begin(&job, &head).unwrap();
        sink.write_all(body).unwrap();
        let mut digester = Digester::new();
        digester.update(body);
        let landing = sink.finish(&digester.finish());
        let append = inbox.try_recv().ok().map(|job| match job {
            WriteJob::Append(append) => append,
            other => panic!("{other:?}"),
        });
        (landing, append)
    }

    #[test]
    fn what_goes_in_comes_out() {
        for size in [0, 10, IN_MEMORY + 1] {
            let body = vec![b'x'; size];
            let (landing, append) = spool(&body, None);
            assert!(matches!(landing, Ok(Landing::Queued)));
            let mut append = append.unwrap();
            let mut seen = Vec::new();
            append.body.read_to_end(&mut seen).unwrap();
            assert_eq!((append.head.id, append.identity.size, seen), (5, size as u64, body));
        }
    }

    #[test]
    fn what_is_there_already_is_met_once() {
        let content = crate::identity::content_digest(b"mail");
        let meet = Arc::new(Meet::new([(content, 3)]));
        let (landing, append) = spool(b"mail", Some(meet.clone()));
        assert!(matches!(landing, Ok(Landing::Met(3))) && append.is_none());
        assert!(matches!(spool(b"mail", Some(meet)).0, Ok(Landing::Queued)));
    }
}
