//! Sending messages: APPEND from a spool, as many in flight as the window allows, never one twice.
//!
//! What waits for the same mailbox goes up in one command where the server can (RFC 3502 §6.3.11): each command is a transaction
//! with locks and fsyncs of its own. 1,000 messages took Dovecot 1.3 s and more one by one, and 0.2 to 0.4 s by tens.

use std::time::{Duration, Instant};

use super::code::Code;
use super::command::Command;
use super::conn::Conn;
use super::crew::Queue;
use super::opening::open;
use super::pipeline::{Event, Pipeline};
use super::pool::{Account, Sending};
use super::quirks;
use super::response::{Reply, Status};
use super::sought::Sought;
use super::upload::Upload;
use super::wire::Keep;
use super::write::{Answers, Work};
use crate::error::{Failure, Kind, Reach, Result, Retry};
use crate::model::Id;

/// How often a message is sent that was refused or not sent in full.
const ATTEMPTS: u32 = 3;

/// The most messages without an answer: each of them is in doubt when the connection is lost.
const MOST: usize = 128;

/// So long a connection that could send more waits for what comes from disk.
const MOMENT: Duration = Duration::from_millis(5);

const MAKE_ROOM: &str = "make room on the server; it is then sent by itself";

/// Sends one message and with it those that wait, until none does. What could not be sent goes back to the queue.
pub(super) fn uploads(
    account: &Account,
    conn: &mut Conn,
    queue: &Queue<Work>,
    first: Upload,
    answers: &Answers,
) -> Result<()> {
    let first = match prepare(account, conn, first, answers) {
        Ok(Some(first)) => first,
        Ok(None) => return Ok(()),
        Err((first, failure)) => {
            queue.put_back(Work::Upload(first));
            return Err(failure);
        }
    };
    if !conn.capabilities.has("UIDPLUS") {
        return send_and_look(account, conn, queue, first, answers);
    }
    let mut line = Line {
        account,
        queue,
        answers,
        pipeline: Pipeline::new(conn),
        open: 0,
        sending: None,
        alone: first.alone,
        is_muted: false,
        ending: None,
    };
    line.push(vec![first]);
    let outcome = line.run();
    if let Err(failure) = &outcome {
        line.lost(failure);
    }
    outcome
}

type Prepared = std::result::Result<Option<Upload>, (Box<Upload>, Failure)>;

/// Refuses what is hopeless, and learns what the mailbox holds where that matters.
fn prepare(account: &Account, conn: &mut Conn, upload: Upload, answers: &Answers) -> Prepared {
    // RFC 7889 §2
    if let Some(limit) = conn.capabilities.append_limit().filter(|limit| upload.size() > *limit) {
        let what = format!("it has {} bytes, and the server takes {limit} at most", upload.size());
        upload.failed(Failure::message(what).retry(Retry::Never), answers);
        return Ok(None);
    }
    // RFC 9208 §4.3.1: what does not fit now will not fit in a moment, and need not cross the wire to be refused.
    if account.memory().has_no_room(&upload.to.raw, upload.size()) {
        let what = "it is not sent: the server has no room for one of its size";
        upload.failed(Failure::message(what).hint(MAKE_ROOM), answers);
        return Ok(None);
    }
    let closed = account.memory().closed.get(&upload.to.raw).cloned();
    if let Some(failure) = closed {
        upload.failed(failure, answers);
        return Ok(None);
    }
    if needs_holds(account, &upload)
        && let Err(failure) = open(account, conn, &upload.to.raw)
    {
        return Err((Box::new(upload), failure));
    }
    Ok(Some(upload))
}

pub(super) fn needs_holds(account: &Account, upload: &Upload) -> bool {
    !upload.head.flags.keywords().is_empty() && !account.memory().permanent.contains_key(&upload.to.raw)
}

/// Messages in flight on one connection.
pub(super) struct Line<'a, 'c> {
    pub(super) account: &'a Account,
    pub(super) queue: &'a Queue<Work>,
    answers: &'a Answers,
    pub(super) pipeline: Pipeline<'c, Vec<Upload>>,
    /// How many they are.
    open: usize,
    /// Where the last message went.
    pub(super) sending: Option<Sending<'a>>,
    /// The first message goes without company.
    alone: bool,
    /// Nothing more may be sent on this connection.
    is_muted: bool,
    /// Why this ends once all that was sent is answered.
    ending: Option<Failure>,
}

impl Line<'_, '_> {
    /// Sends messages for one mailbox in one command.
    fn push(&mut self, bundle: Vec<Upload>) {
        let mut ready = Vec::with_capacity(bundle.len());
        for upload in bundle {
            match upload.rewind() {
                Ok(_) => ready.push(upload),
                Err(error) => {
                    let what = format!("it cannot be read again: {error}");
                    upload.failed(Failure::message(what), self.answers);
                }
            }
        }
        let Some(first) = ready.first() else { return };
        let to = first.to.raw.clone();
        let holds = self.account.memory().permanent.get(&to).cloned();
        if !self.goes_on(first) {
            self.sending = Some(Sending::begin(self.account, &to));
        }
        let mut command = Command::new("APPEND").mailbox(&to);
        for upload in &mut ready {
            command = upload.add_to(command, holds.as_ref());
        }
        self.open += ready.len();
        self.pipeline.push(command, ready);
    }

    fn run(&mut self) -> Result<()> {
        loop {
            self.fill()?;
            match self.pipeline.next(&mut Keep)? {
                None => return self.ending.take().map_or(Ok(()), Err),
                Some(Event::Data(..)) => {}
                Some(Event::Done(bundle, reply)) => self.answered(bundle, &reply),
            }
        }
    }

    /// Sends as much as the window bears. Little waits at a time, and the rest is on its way from disk: an answer from the
    /// server, in whose time many would come, is not waited for before none has come for a moment.
    fn fill(&mut self) -> Result<()> {
        let mut deadline = Instant::now() + MOMENT;
        while self.pipeline.has_room() && self.open < MOST && !self.is_muted && !self.alone {
            if self.gathers() && self.queue.grows_before(deadline) {
                continue;
            }
            if let Some(bundle) = self.next_bundle() {
                self.push(bundle);
                self.pipeline.pump()?;
                deadline = Instant::now() + MOMENT;
            } else if !self.queue.grows_before(deadline) {
                break;
            }
        }
        Ok(())
    }

    fn answered(&mut self, mut bundle: Vec<Upload>, reply: &Reply) {
        self.open -= bundle.len();
        if reply.is_ok() {
            self.arrived(bundle, reply);
        } else if bundle.len() > 1 {
            self.refused_together(bundle, reply);
        } else if let Some(upload) = bundle.pop() {
            self.refused(upload, reply);
        }
    }

    fn arrived(&mut self, bundle: Vec<Upload>, reply: &Reply) {
        let ids = self.new_ids(&bundle, reply);
        for (nth, upload) in bundle.into_iter().enumerate() {
            if upload.alone && !upload.plain {
                // Nothing but the company was bad.
                self.pipeline.conn.trust.prove();
            }
            self.account.memory().took(&upload.to.raw, &upload.given);
            let id = ids.as_ref().and_then(|ids| ids.get(nth).copied());
            upload.landed(id, self.account, self.answers);
        }
    }

    /// One of them is refused, or all. Which one is not told, and not every server keeps the word of RFC 3502 §6.3.11 that none has
    /// arrived: they are looked for, and what is not there is sent again, one by one.
    fn refused_together(&mut self, bundle: Vec<Upload>, reply: &Reply) {
        if reply.status == Status::Bad {
            self.go_mute();
        } else if self.is_worth_waiting(1, reply) {
            self.put_back(vec![bundle]);
            return;
        }
        self.account.memory().one_by_one = true;
        let failure = Failure::message(format!("the server does not take several: {}", reply.text));
        for upload in bundle {
            upload.unknown(&failure, self.answers);
        }
    }

    fn refused(&mut self, mut upload: Upload, reply: &Reply) {
        upload.attempts += 1;
        if reply.status == Status::Bad {
            self.misunderstood(upload, reply);
            return;
        }
        if upload.goes_plain() && !matches!(reply.code, Code::Other(_)) {
            self.queue.put_back(Work::Upload(Box::new(upload)));
            return;
        }
        if upload.attempts < ATTEMPTS && self.is_worth_waiting(upload.attempts, reply) {
            // Refused, so not done: it may be sent again.
            self.queue.put_back(Work::Upload(Box::new(upload)));
            return;
        }
        if reply.code.is("OVERQUOTA") {
            self.account.memory().no_room(&upload.to.raw, upload.size());
        }
        let failure = refusal(&upload, reply);
        if failure.kind == Kind::ReadOnly {
            let closed = &mut self.account.memory().closed;
            closed.insert(upload.to.raw.clone(), failure.clone());
        }
        upload.failed(failure, self.answers);
    }

    /// Waits where the refusal passes. When there is no time for that, nothing more is sent, and what was sent is still
    /// answered.
    fn is_worth_waiting(&mut self, nth: u32, reply: &Reply) -> bool {
        self.account.rest(reply, nth).unwrap_or_else(|failure| {
            self.is_muted = true;
            let waiting = self.pipeline.unsend();
            self.put_back(waiting);
            self.ending = Some(failure);
            true
        })
    }

    fn misunderstood(&mut self, mut upload: Upload, reply: &Reply) {
        if upload.alone {
            let failure = Failure::message(format!("the server does not understand it: {}", reply.text));
            upload.failed(failure.retry(Retry::Never), self.answers);
        } else {
            upload.alone = true;
            upload.goes_plain();
            self.queue.put_back(Work::Upload(Box::new(upload)));
        }
        self.go_mute();
    }

    /// HAZARDS 1: the rest of the literal may now be taken for commands. Nothing more is sent here; what is in flight is
    /// still answered.
    fn go_mute(&mut self) {
        let waiting = self.pipeline.unsend();
        self.put_back(waiting);
        self.pipeline.conn.clean = false;
        self.is_muted = true;
    }

    /// Gives back what did not go out or was refused for now, in its order.
    fn put_back(&mut self, bundles: Vec<Vec<Upload>>) {
        for upload in bundles.into_iter().flatten().rev() {
            self.queue.put_back(Work::Upload(Box::new(upload)));
        }
    }

    /// RFC 4315 §3, ascending as the messages went out; an id under another UIDVALIDITY than the caller knows would mean
    /// another message.
    fn new_ids(&self, bundle: &[Upload], reply: &Reply) -> Option<Vec<Id>> {
        let Code::AppendUid(validity, ids) = &reply.code else {
            return None;
        };
        let to = &bundle.first()?.to.raw;
        let mut memory = self.account.memory();
        memory.see(to, *validity);
        let expected = memory.expected(to);
        let fits = expected == Some(*validity) && ids.len() == bundle.len() as u64;
        fits.then(|| ids.iter().collect())
    }

    /// The connection is lost: what went out in full may have arrived, and is never sent again; of several that went out in
    /// part, some may.
    fn lost(self, failure: &Failure) {
        let (mut seen, mut unseen) = self.pipeline.into_open();
        if unseen.first().is_some_and(|bundle| bundle.len() > 1) {
            seen.push(unseen.remove(0));
        }
        for upload in seen.into_iter().flatten() {
            upload.unknown(failure, self.answers);
        }
        let mut unseen: Vec<Upload> = unseen.into_iter().flatten().collect();
        if let Some(first) = unseen.first_mut() {
            first.attempts += 1;
        }
        for upload in unseen.into_iter().rev() {
            if upload.attempts >= ATTEMPTS {
                upload.failed(failure.hits(Reach::Message), self.answers);
            } else {
                self.queue.put_back(Work::Upload(Box::new(upload)));
            }
        }
    }
}

fn refusal(upload: &Upload, reply: &Reply) -> Failure {
    let what = format!("the server does not take it: {}", reply.text);
    if quirks::is_about_a_missing_mailbox(reply) {
        return Failure::mailbox("the mailbox is not there any more").retry(Retry::Now);
    }
    if quirks::is_about_rights(reply) {
        return quirks::read_only(Failure::mailbox(what));
    }
    if reply.code.is("OVERQUOTA") {
        return Failure::message(what).hint(MAKE_ROOM);
    }
    if quirks::passes(reply) {
        return quirks::refused(Failure::message(what), reply);
    }
    let never = quirks::is_about_the_message(reply) || upload.size() == 0;
    Failure::message(what).retry(if never { Retry::Never } else { Retry::Later })
}

/// Without UIDPLUS: sends one message, and looks for it among what came into the mailbox since.
fn send_and_look(
    account: &Account,
    conn: &mut Conn,
    queue: &Queue<Work>,
    upload: Upload,
    answers: &Answers,
) -> Result<()> {
    let sought = match Sought::prepare(conn, &upload.to.raw, &upload.identity) {
        Ok(sought) => sought,
        Err(failure) => {
            queue.put_back(Work::Upload(Box::new(upload)));
            return Err(failure);
        }
    };
    let mut line = Line {
        account,
        queue,
        answers,
        pipeline: Pipeline::new(conn),
        open: 0,
        sending: None,
        alone: true,
        is_muted: false,
        ending: None,
    };
    line.push(vec![upload]);
    loop {
        match line.pipeline.next(&mut Keep) {
            Ok(None) => return line.ending.take().map_or(Ok(()), Err),
            Ok(Some(Event::Data(..))) => {}
            Ok(Some(Event::Done(bundle, reply))) if reply.is_ok() => {
                // Whatever comes of the look, the message is there.
                let found = sought.look(line.pipeline.conn);
                let id = found.as_ref().ok().copied().flatten();
                for upload in bundle {
                    upload.landed(id, account, answers);
                }
                return found.map(|_| ());
            }
            Ok(Some(Event::Done(bundle, reply))) => line.answered(bundle, &reply),
            Err(failure) => {
                line.lost(&failure);
                return Err(failure);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Digester;
    use crate::imap::script::{self, Scene, mailbox, write};
    use crate::model::{Flags, InternalDate};
    use crate::store::{Append, Head, Ticket, WriteJob};

    fn mail(id: Id, flags: &str, body: &str) -> WriteJob {
        let mut digester = Digester::new();
        digester.update(body.as_bytes());
        WriteJob::Append(Append {
            ticket: Ticket(1),
            head: Head {
                id,
                flags: Flags::from_names(flags.split_whitespace()),
                date: InternalDate(837_596_665),
                size: 1,
                object: None,
            },
            to: mailbox("A"),
            identity: digester.finish(),
            body: Box::new(std::io::Cursor::new(body.as_bytes().to_vec())),
        })
    }

    const OPEN: (&str, &str) = (
        "SELECT \"A\"",
        "* 0 EXISTS\n* FLAGS (\\Seen \\Draft Old)\n* OK [PERMANENTFLAGS (\\Seen Old \\*)] p\n* OK [UIDVALIDITY 7] v\n$ OK open",
    );

    #[test]
    fn messages_as_they_go_out() {
        let date = "\"17-Jul-1996 09:44:25 +0000\"";
        for (what, capabilities, flags, wanted) in [
            (
                "no flags",
                "UIDPLUS LITERAL+",
                "",
                format!("APPEND \"A\" {date} {{4+}}|mail"),
            ),
            (
                "a literal that waits",
                "UIDPLUS",
                "",
                format!("APPEND \"A\" {date} {{4}}|mail"),
            ),
            (
                "system flags",
                "UIDPLUS LITERAL-",
                "\\Seen \\Draft",
                format!("APPEND \"A\" (\\Seen \\Draft) {date} {{4+}}|mail"),
            ),
            (
                "a listed keyword",
                "UIDPLUS LITERAL+",
                "\\Seen old",
                format!("APPEND \"A\" (\\Seen old) {date} {{4+}}|mail"),
            ),
            (
                "a new keyword",
                "UIDPLUS LITERAL+",
                "\\Draft New",
                format!("APPEND \"A\" (New) {date} {{4}}|mail"),
            ),
        ] {
            let mut scene: Scene = Vec::new();
            if what.contains("keyword") {
                scene.push(OPEN);
            }
            scene.push(("APPEND", "$ OK [APPENDUID 7 31] taken"));
            let (outcomes, seen) = write(capabilities, vec![scene], vec![mail(5, flags, "mail")]);
            assert_eq!(*seen.last().unwrap(), wanted, "{what}");
            assert!(outcomes[0].starts_with("5 landed as Some(31)"), "{what}: {outcomes:?}");
        }
    }

    #[test]
    fn answers_and_what_they_mean() {
        for (answer, wanted) in [
            ("$ OK [APPENDUID 7 31] taken", "5 landed as Some(31) ()"),
            ("$ OK [APPENDUID 9 31] of another mailbox", "5 landed as None ()"),
            ("$ OK [APPENDUID 7 31:32] two?", "5 landed as None ()"),
            ("$ OK taken", "5 landed as None ()"),
            (
                "$ NO [OVERQUOTA] full",
                "5 failed later: the server does not take it: full",
            ),
            ("$ NO [TOOBIG] big", "5 failed never: the server does not take it: big"),
            (
                "$ NO Message contains NUL",
                "5 failed never: the server does not take it: Message contains NUL",
            ),
            (
                "$ NO [TRYCREATE] gone",
                "5 failed now: the mailbox is not there any more",
            ),
            ("CUT", "5 unknown"),
        ] {
            let scene = vec![("APPEND", answer)];
            let (outcomes, _) = write("UIDPLUS LITERAL+", vec![scene], vec![mail(5, "", "mail")]);
            assert_eq!(outcomes, [wanted], "{answer}");
        }
    }

    #[test]
    fn what_is_too_large_is_never_sent() {
        let (outcomes, seen) = write("UIDPLUS APPENDLIMIT=3", vec![vec![]], vec![mail(5, "", "mail")]);
        assert_eq!(
            outcomes,
            ["5 failed never: it has 4 bytes, and the server takes 3 at most"]
        );
        assert!(seen.is_empty());
    }

    #[test]
    fn nothing_follows_a_message_that_was_not_understood() {
        let broken = vec![("APPEND", "$ BAD what")];
        let careful = vec![(
            "APPEND \"A\" (\\Seen) \"17-Jul-1996 09:44:25 +0000\" {4}|mail",
            "$ BAD what",
        )];
        let (outcomes, _) = write(
            "UIDPLUS LITERAL+",
            vec![broken, careful],
            vec![mail(5, "\\Seen", "mail")],
        );
        assert_eq!(outcomes, ["5 failed never: the server does not understand it: what"]);
    }

    #[test]
    fn a_refused_keyword_does_not_refuse_the_message() {
        let scene = vec![
            OPEN,
            ("APPEND \"A\" (\\Seen Old)", "$ NO too many keywords"),
            ("APPEND \"A\" (\\Seen)", "$ OK [APPENDUID 7 31] taken"),
        ];
        let (outcomes, _) = write("UIDPLUS LITERAL+", vec![scene], vec![mail(5, "\\Seen Old", "mail")]);
        assert_eq!(outcomes, ["5 landed as Some(31) (\\Seen)"]);
    }

    #[test]
    fn a_keyword_that_was_taken_once_needs_no_go_ahead() {
        let date = "\"17-Jul-1996 09:44:25 +0000\"";
        let scene = vec![
            OPEN,
            ("APPEND", "$ OK [APPENDUID 7 31] taken"),
            ("APPEND", "$ OK [APPENDUID 7 32] taken"),
        ];
        let mails = vec![mail(5, "New", "mail"), mail(6, "New", "mail")];
        let (outcomes, seen) = write("UIDPLUS LITERAL+", vec![scene], mails);
        assert_eq!(outcomes, ["5 landed as Some(31) (New)", "6 landed as Some(32) (New)"]);
        let first = format!("APPEND \"A\" (New) {date} {{4}}|mail");
        let second = format!("APPEND \"A\" (New) {date} {{4+}}|mail");
        assert_eq!(seen[1..], [first, second]);
    }

    #[test]
    fn without_uidplus_the_message_is_looked_for() {
        let body = "Message-ID: <1@x>\r\n\r\nmail";
        let header = |id: u32, key: &str| {
            format!("* {id} FETCH (UID {id} RFC822.SIZE 9 BODY[HEADER.FIELDS (X)] \"Message-ID: {key}\")\n")
        };
        for (found, id) in [
            (header(2, "<0@x>") + &header(3, "<1@x>"), "Some(3)"),
            (header(3, "<1@x>") + &header(4, "<1@x>"), "None"),
            (header(1, "<1@x>"), "None"),
            (String::new(), "None"),
        ] {
            let scene = vec![
                ("STATUS \"A\" (UIDNEXT)", "* STATUS A (UIDNEXT 2)\n$ OK"),
                ("APPEND", "$ OK taken"),
                ("EXAMINE \"A\"", "$ OK"),
                ("UID FETCH 2:4294967295", script::text(format!("{found}$ OK"))),
            ];
            let (outcomes, _) = write("", vec![scene], vec![mail(5, "", body)]);
            assert_eq!(outcomes, [format!("5 landed as {id} ()")]);
        }
    }
}
