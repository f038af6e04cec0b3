//! What happened in mailboxes since a checkpoint: QRESYNC, CONDSTORE or a plain listing, whichever the server can.
//!
//! Each mailbox is a [`Slot`] that goes through one or two passes. The first takes the best rung of the ladder; when its
//! claims do not add up to the number of messages that the server counts (HAZARDS 8, 9), a second pass asks for all ids.

use std::collections::HashMap;
use std::sync::mpsc::SyncSender;

use super::command::Command;
use super::crew::{self, Queue, Task};
use super::pipeline::{Event, Pipeline};
use super::pool::{Account, Lease};
use super::quirks;
use super::response::{Reply, Status};
use super::retry::Tries;
use super::slot::{Next, Rung, Slot};
use super::wire::{Keep, stopped};
use crate::error::{Failure, Reach, Result};
use crate::model::{MailboxId, News, RawName, Seen, Since};

/// How often one mailbox is tried before it is left for another run.
const ATTEMPTS: u32 = 3;

/// See [`crate::store::Source::changes`].
pub(super) fn changes(account: &Account, since: &[Since], news: &mut dyn FnMut(News)) -> Result<()> {
    let slots: Vec<Slot<'_>> = since.iter().map(Slot::new).collect();
    let names: HashMap<MailboxId, &RawName> = since.iter().map(|s| (s.mailbox.id, &s.mailbox.raw)).collect();
    let work = |queue: &Queue<Slot<'_>>, out: &SyncSender<News>| {
        let mut worker = Worker::new(account, queue, out);
        worker.run()
    };
    crew::spread(account, slots, work, &mut |(id, seen)| {
        if let (Seen::Opened { validity, .. }, Some(raw)) = (&seen, names.get(&id)) {
            // From now on the caller's ids are meant under this one.
            account.memory().tell(raw, *validity);
        }
        news((id, seen));
    })
}

impl Task for Slot<'_> {
    fn weight(&self) -> u64 {
        // What is listed in full takes its time; what is asked for changes takes next to none.
        4 + self
            .since
            .checkpoint
            .as_ref()
            .map_or(0, |_| self.since.known.len() / 400)
    }
}

/// What a command in flight is for.
struct Asked {
    slot: usize,
    opens: bool,
}

struct Worker<'a, 's> {
    account: &'a Account,
    queue: &'a Queue<Slot<'s>>,
    out: &'a SyncSender<News>,
    /// Mailboxes under way, by a number of their own.
    slots: HashMap<usize, Slot<'s>>,
    /// Mailboxes to ask (again) over this connection.
    again: Vec<Slot<'s>>,
    last: usize,
    gone: bool,
}

impl<'a, 's> Worker<'a, 's> {
    fn new(account: &'a Account, queue: &'a Queue<Slot<'s>>, out: &'a SyncSender<News>) -> Self {
        Self {
            account,
            queue,
            out,
            slots: HashMap::new(),
            again: Vec::new(),
            last: 0,
            gone: false,
        }
    }

    fn run(&mut self) -> Result<()> {
        let mut tries = Tries::default();
        loop {
            let outcome = self.account.lease().and_then(|lease| self.converse(lease, &mut tries));
            let Err(failure) = outcome else { return Ok(()) };
            self.lost(&failure);
            if let Err(failure) = tries.again(self.account, failure) {
                for slot in self.again.drain(..) {
                    self.queue.put_back(slot);
                }
                return Err(failure);
            }
        }
    }

    /// Works on one connection until there is no more work or it is lost.
    fn converse(&mut self, mut lease: Lease<'_>, tries: &mut Tries) -> Result<()> {
        lease.settle()?;
        let mut pipeline = Pipeline::new(&mut lease);
        loop {
            while pipeline.has_room()
                && let Some(slot) = self.again.pop().or_else(|| self.queue.try_take(|_| true))
            {
                self.ask(slot, &mut pipeline)?;
            }
            match pipeline.next(&mut Keep)? {
                None if self.again.is_empty() => return Ok(()),
                None => {}
                Some(Event::Data(mut in_flight, data)) => {
                    // The next mailbox is opened only when all is answered about this one, so the oldest command is it.
                    if let Some(asked) = in_flight.front()
                        && let Some(slot) = self.slots.get_mut(&asked.slot)
                    {
                        slot.note(asked.opens, &data);
                        let news = slot.take_news();
                        let id = slot.id();
                        self.tell(id, news);
                    }
                }
                Some(Event::Done(asked, reply)) => {
                    tries.progress();
                    self.answered(&asked, &reply, &mut pipeline)?;
                }
            }
            if self.gone || self.account.is_stopped() {
                return if self.gone { Ok(()) } else { Err(stopped()) };
            }
        }
    }

    fn ask(&mut self, mut slot: Slot<'s>, pipeline: &mut Pipeline<'_, Asked>) -> Result<()> {
        self.last += 1;
        let number = self.last;
        slot.begin(pipeline.conn);
        pipeline.push(
            slot.open_command(pipeline.conn),
            Asked {
                slot: number,
                opens: true,
            },
        );
        if let Some(command) = slot.look_command() {
            pipeline.push(
                command,
                Asked {
                    slot: number,
                    opens: false,
                },
            );
        }
        self.slots.insert(number, slot);
        pipeline.pump()
    }

    fn answered(&mut self, asked: &Asked, reply: &Reply, pipeline: &mut Pipeline<'_, Asked>) -> Result<()> {
        // A mailbox that is done with leaves a hole: the answer to a FETCH behind a failed SELECT concerns nobody.
        let Some(slot) = self.slots.get_mut(&asked.slot) else {
            return Ok(());
        };
        if !reply.is_ok() && !slot.forgives(asked.opens) {
            let Some(slot) = self.slots.remove(&asked.slot) else {
                return Ok(());
            };
            return self.refused(slot, asked.opens, reply, pipeline);
        }
        if asked.opens {
            slot.opened(reply);
        }
        let id = slot.id();
        let news = slot.take_news();
        let over = !asked.opens || slot.needs_no_look();
        self.tell(id, news);
        if over && let Some(mut slot) = self.slots.remove(&asked.slot) {
            let (news, next) = slot.conclude();
            self.tell(id, news);
            if matches!(next, Next::Pass) {
                self.again.push(slot);
            }
        }
        Ok(())
    }

    /// A command of ours was refused: try lower, try later, or give up on the mailbox.
    fn refused(
        &mut self,
        mut slot: Slot<'s>,
        opens: bool,
        reply: &Reply,
        pipeline: &mut Pipeline<'_, Asked>,
    ) -> Result<()> {
        if let Some(failure) = pipeline.conn.suspects_pipelining(reply) {
            self.again.push(slot);
            return Err(failure);
        }
        slot.attempts += 1;
        if reply.status == Status::Bad && slot.step_down() {
            self.again.push(slot);
            return Ok(());
        }
        let rested = if slot.attempts < ATTEMPTS {
            self.account.rest(reply, slot.attempts)
        } else {
            Ok(false)
        };
        if !matches!(rested, Ok(false)) {
            self.again.push(slot);
            return rested.map(|_| ());
        }
        let doing = if opens { "opened" } else { "listed" };
        let failure = Failure::mailbox(format!("the mailbox cannot be {doing}: {}", reply.text));
        let failure = quirks::refused(failure, reply);
        self.tell(slot.id(), vec![Seen::Partial(failure)]);
        Ok(())
    }

    /// The connection is lost: what was under way is asked again, unless it was under way too often.
    fn lost(&mut self, failure: &Failure) {
        let mut slots: Vec<(usize, Slot<'s>)> = self.slots.drain().collect();
        slots.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        // Only the oldest can be what broke the connection.
        let oldest = slots.len().saturating_sub(1);
        for (n, (_, mut slot)) in slots.into_iter().enumerate() {
            slot.attempts += u32::from(n == oldest);
            slot.restart();
            if slot.attempts < ATTEMPTS {
                self.again.push(slot);
            } else {
                let failure = failure.hits(Reach::Mailbox);
                self.tell(slot.id(), vec![Seen::Partial(failure)]);
            }
        }
    }

    fn tell(&mut self, id: MailboxId, news: Vec<Seen>) {
        for seen in news {
            self.gone |= self.out.send((id, seen)).is_err();
        }
    }
}

impl Rung {
    /// The next one down, where a refusal may be about the rung itself.
    pub(super) fn below(self) -> Option<Self> {
        match self {
            Self::Resync => Some(Self::Since),
            Self::Since => Some(Self::Flags),
            Self::Flags | Self::Ids | Self::Fetched => None,
        }
    }
}

impl Slot<'_> {
    /// Takes a lower rung; false when there is none.
    fn step_down(&mut self) -> bool {
        let below = self.rung.below();
        if let Some(below) = below {
            self.ceiling = below;
        }
        below.is_some()
    }

    fn open_command(&self, conn: &super::conn::Conn) -> Command {
        // EXAMINE has no side effects, RFC 9051 §6.3.3; where we change the mailbox ourselves, SELECT has none that matters.
        let verb = if self.since.permanent { "SELECT" } else { "EXAMINE" };
        let command = Command::new(verb).mailbox(&self.since.mailbox.raw);
        match self.parameters(conn) {
            Some(parameters) => command.words(parameters),
            None => command,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::imap::script::{Scene, Script};
    use crate::model::{Checkpoint, Mailbox, MailboxId, RawName, Seen, Since, Token};
    use crate::store::Source;

    const QRESYNC: &str = "ENABLE CONDSTORE QRESYNC ESEARCH";
    const CONDSTORE: &str = "ENABLE CONDSTORE ESEARCH";
    const OPEN: &str = "* 3 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 10] n\n* OK [HIGHESTMODSEQ 50] q\n$ OK open";

    fn since(raw: &str, checkpoint: Option<&str>, known: &str) -> Since {
        let then = checkpoint.map(|text| Checkpoint {
            validity: 7,
            next_id: Some(10),
            token: Token(text.to_owned()),
        });
        Since {
            mailbox: Mailbox {
                id: MailboxId(raw.len() as u32),
                raw: RawName::new(raw),
            },
            checkpoint: then,
            known: known.parse().unwrap(),
            full: false,
            permanent: false,
        }
    }

    fn shown(seen: &Seen) -> String {
        match seen {
            Seen::Opened { validity, .. } => format!("opened {}+{}", validity >> 32, validity & u64::from(u32::MAX)),
            Seen::Added(ids) => format!("added {ids}"),
            Seen::Flags(flags) => format!("flags {flags:?}"),
            Seen::Removed(ids) => format!("removed {ids}"),
            Seen::Complete(checkpoint) => format!("up to {}", checkpoint.token.0),
            Seen::Partial(failure) => format!("partial: {failure}"),
        }
    }

    fn news(capabilities: &'static str, scenes: Vec<Scene>, since: &[Since]) -> Vec<String> {
        let script = Script::new(capabilities, scenes);
        let mut news = Vec::new();
        script
            .imap
            .changes(since, &mut |(_, seen)| news.push(shown(&seen)))
            .unwrap();
        script.end();
        news
    }

    const THEN: &str = "v=7 n=10 m=3 q=40";

    /// What, capabilities, checkpoint, lines, news.
    type Row = (
        &'static str,
        &'static str,
        Option<&'static str>,
        Scene,
        &'static [&'static str],
    );

    const ALL: &str = "* ESEARCH (TAG \"x\") UID ALL 4,6,9\n$ OK";

    fn check(rows: Vec<Row>) {
        for (what, capabilities, then, scene, wanted) in rows {
            let seen = news(capabilities, vec![scene], &[since("A", then, "1,4,6")]);
            assert_eq!(seen, wanted, "{what}");
        }
    }

    #[test]
    fn more_messages_than_any_mailbox_holds_are_not_believed() {
        let open = "* 4294967295 EXISTS\n* OK [UIDVALIDITY 7] v\n$ OK open";
        check(vec![(
            "all the ids there are",
            QRESYNC,
            None,
            vec![
                ("EXAMINE \"A\"", open),
                (
                    "UID SEARCH RETURN (ALL) ALL",
                    "* ESEARCH (TAG \"x\") UID ALL 1:4294967295\n$ OK",
                ),
            ],
            &[
                "opened 0+7",
                "partial: the server counts 4294967295 messages in it, more than any mailbox holds",
            ],
        )]);
    }

    #[test]
    fn which_flags_it_lets_be_set_is_told_where_it_is_asked_and_can_be_written() {
        // asked | opened by | what opening tells | told
        let rows = [
            (
                false,
                "EXAMINE \"A\"",
                "* OK [PERMANENTFLAGS ()] none\n$ OK [READ-ONLY] open",
                None,
            ),
            (
                true,
                "SELECT \"A\"",
                "* OK [PERMANENTFLAGS (\\Seen \\*)] some\n$ OK [READ-WRITE] open",
                Some("\\Seen \\*"),
            ),
            (
                true,
                "SELECT \"A\"",
                "* OK [PERMANENTFLAGS ()] none\n$ OK [READ-WRITE] open",
                Some(""),
            ),
            (
                true,
                "SELECT \"A\"",
                "* OK [PERMANENTFLAGS ()] none\n$ OK [READ-ONLY] open",
                None,
            ),
        ];
        for (asked, command, open, wanted) in rows {
            let open: &'static str = format!("* 0 EXISTS\n* OK [UIDVALIDITY 7] v\n{open}").leak();
            let look = ("UID SEARCH RETURN (ALL) ALL", "* ESEARCH (TAG \"x\") UID\n$ OK");
            let script = Script::new(QRESYNC, vec![vec![(command, open), look]]);
            let since = Since {
                permanent: asked,
                ..since("A", None, "")
            };
            let mut told = None;
            let mut news = |(_, seen)| {
                if let Seen::Opened { permanent, .. } = seen {
                    told = permanent;
                }
            };
            script.imap.changes(&[since], &mut news).unwrap();
            script.end();
            let told = told.map(|permanent| permanent.to_string());
            assert_eq!(told.as_deref(), wanted, "{open}");
        }
    }

    #[test]
    fn the_ladder_without_modseqs() {
        check(vec![
            (
                "never seen",
                QRESYNC,
                None,
                vec![("EXAMINE \"A\"", OPEN), ("UID SEARCH RETURN (ALL) ALL", ALL)],
                &["opened 0+7", "added 4,6,9", "up to v=7 n=10 m=3 q=50"],
            ),
            (
                "never seen, no ESEARCH",
                "",
                None,
                vec![
                    ("EXAMINE \"A\"", OPEN),
                    (
                        "UID FETCH 1:* (UID)",
                        "* 1 FETCH (UID 4)\n* 2 FETCH (UID 6)\n* 3 FETCH (UID 9)\n$ OK",
                    ),
                ],
                &["opened 0+7", "added 4,6,9", "up to v=7 n=10 m=3 q=50"],
            ),
            (
                "only written to so far",
                QRESYNC,
                Some(""),
                vec![
                    ("EXAMINE \"A\"", OPEN),
                    (
                        "UID FETCH 1:* (FLAGS)",
                        "* 1 FETCH (UID 4 FLAGS (a))\n* 2 FETCH (UID 6 FLAGS ())\n* 3 FETCH (UID 9 FLAGS (b))\n$ OK",
                    ),
                ],
                &[
                    "opened 0+7",
                    "flags [(4, (a)), (6, ())]",
                    "added 9",
                    "removed 1",
                    "up to v=7 n=10 m=3 q=50",
                ],
            ),
            (
                "plain",
                "",
                Some("v=7 n=10 m=3 q=0"),
                vec![
                    ("EXAMINE \"A\"", OPEN),
                    (
                        "UID FETCH 1:* (FLAGS)",
                        "* 1 FETCH (UID 4 FLAGS ())\n* 2 FETCH (FLAGS (a) UID 6)\n* 3 FETCH (UID 9 FLAGS (b))\n$ OK",
                    ),
                ],
                &[
                    "opened 0+7",
                    "flags [(4, ()), (6, (a))]",
                    "added 9",
                    "removed 1",
                    "up to v=7 n=10 m=3 q=50",
                ],
            ),
        ]);
    }

    #[test]
    fn the_ladder_with_modseqs() {
        check(vec![
            (
                "QRESYNC adds up",
                QRESYNC,
                Some(THEN),
                vec![(
                    "EXAMINE \"A\" (QRESYNC (7 40 1,4,6))",
                    "* 3 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 10] n\n* OK [HIGHESTMODSEQ 50] q\n* VANISHED (EARLIER) 1\n\
                     * 2 FETCH (UID 6 FLAGS (\\Seen) MODSEQ (45))\n* 3 FETCH (UID 9 FLAGS ())\n$ OK open",
                )],
                &[
                    "opened 0+7",
                    "flags [(6, (\\Seen))]",
                    "added 9",
                    "removed 1",
                    "up to v=7 n=10 m=3 q=50",
                ],
            ),
            (
                "VANISHED names a living message",
                QRESYNC,
                Some(THEN),
                vec![
                    (
                        "EXAMINE \"A\" (QRESYNC",
                        "* 3 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 10] n\n* OK [HIGHESTMODSEQ 50] q\n\
                         * VANISHED (EARLIER) 1,4\n* 3 FETCH (UID 9 FLAGS ())\n$ OK open",
                    ),
                    ("EXAMINE \"A\"", OPEN),
                    ("UID SEARCH RETURN (ALL) ALL", ALL),
                ],
                &["opened 0+7", "added 9", "removed 1", "up to v=7 n=10 m=3 q=50"],
            ),
            (
                "CONDSTORE adds up",
                CONDSTORE,
                Some("v=7 n=10 m=2 q=40"),
                vec![
                    (
                        "EXAMINE \"A\"",
                        "* 4 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 10] n\n* OK [HIGHESTMODSEQ 50] q\n$ OK",
                    ),
                    (
                        "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 40)",
                        "* 3 FETCH (UID 9 FLAGS ())\n$ OK",
                    ),
                ],
                &["opened 0+7", "added 9", "up to v=7 n=10 m=4 q=50"],
            ),
            (
                "CONDSTORE with a removal",
                CONDSTORE,
                Some(THEN),
                vec![
                    ("EXAMINE \"A\"", OPEN),
                    (
                        "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 40)",
                        "* 3 FETCH (UID 9 FLAGS ())\n$ OK",
                    ),
                    ("EXAMINE \"A\"", OPEN),
                    ("UID SEARCH RETURN (ALL) ALL", ALL),
                ],
                &["opened 0+7", "added 9", "removed 1", "up to v=7 n=10 m=3 q=50"],
            ),
        ]);
    }

    #[test]
    fn ids_are_void_under_another_validity() {
        for (what, open, validity) in [
            (
                "replaced",
                "* 1 EXISTS\n* OK [UIDVALIDITY 8] v\n* OK [UIDNEXT 2] n\n* OK [HIGHESTMODSEQ 50] q\n$ OK",
                "0+8",
            ),
            (
                "UIDNEXT went back",
                "* 1 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 9] n\n* OK [HIGHESTMODSEQ 50] q\n$ OK",
                "1+7",
            ),
            (
                "modseq went back",
                "* 1 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 10] n\n* OK [HIGHESTMODSEQ 39] q\n$ OK",
                "1+7",
            ),
        ] {
            let scene = vec![
                ("EXAMINE \"A\" (QRESYNC", open),
                ("EXAMINE \"A\"", open),
                ("UID SEARCH RETURN (ALL) ALL", "* ESEARCH (TAG \"x\") UID ALL 4\n$ OK"),
            ];
            let seen = news(QRESYNC, vec![scene], &[since("A", Some(THEN), "1,4,6")]);
            assert_eq!(
                seen[..2],
                [format!("opened {validity}"), "added 4".to_owned()],
                "{what}"
            );
            assert!(seen[2].starts_with("up to") && seen.len() == 3, "{what}: {seen:?}");
        }
    }

    #[test]
    fn one_mailbox_does_not_stop_the_others() {
        let scene = vec![
            ("EXAMINE \"AA\"", "$ NO [NONEXISTENT] gone"),
            ("UID SEARCH", "$ BAD no mailbox"),
            ("EXAMINE \"A\"", OPEN),
            ("UID SEARCH", "* ESEARCH (TAG \"x\") UID ALL 4:6\n$ OK"),
        ];
        let seen = news(QRESYNC, vec![scene], &[since("AA", None, ""), since("A", None, "")]);
        assert_eq!(seen[0], "partial: the mailbox cannot be opened: gone");
        assert_eq!(seen[2..], ["added 4:6", "up to v=7 n=10 m=3 q=50"]);
    }

    #[test]
    fn doubts_keep_the_checkpoint() {
        let nameless = "* 1 FETCH (UID 4 FLAGS ())\n* 2 FETCH (FLAGS (a))\n* 2 FETCH (UID 6 FLAGS (a))\n* 3 FETCH (UID 9 FLAGS ())\n$ OK";
        let scene = vec![("EXAMINE \"A\"", OPEN), ("UID FETCH 1:* (FLAGS)", nameless)];
        let seen = news("", vec![scene], &[since("A", Some("v=7 q=0"), "4,6,9")]);
        assert_eq!(
            seen.last().unwrap(),
            "partial: the server told some of the changes in a way that cannot be read"
        );

        // Neither a search nor a listing agrees with the count: nothing is told as removed.
        let few = "* 1 FETCH (UID 4 FLAGS ())\n$ OK";
        let scene = vec![
            ("EXAMINE \"A\"", OPEN),
            ("UID FETCH 1:* (FLAGS)", few),
            ("EXAMINE \"A\"", OPEN),
            ("UID FETCH 1:* (UID)", "* 1 FETCH (UID 4)\n$ OK"),
        ];
        let seen = news("", vec![scene], &[since("A", Some("v=7 q=0"), "4,6,9")]);
        assert_eq!(
            seen[1..],
            [
                "flags [(4, ())]",
                "partial: the server's list of messages does not agree with its count"
            ]
        );
    }

    #[test]
    fn a_server_that_breaks_under_pipelining_is_asked_again() {
        let scene = vec![
            ("EXAMINE \"A\"", ""),
            ("UID SEARCH", "* 3 EXISTS\n* OK [UIDVALIDITY 7] v\n$- OK\n$ BAD busy"),
            ("EXAMINE \"A\"", OPEN),
            ("UID SEARCH", "* ESEARCH (TAG \"x\") UID ALL 4:6\n$ OK"),
        ];
        let script = Script::new(QRESYNC, vec![scene]);
        let mut seen = Vec::new();
        script
            .imap
            .changes(&[since("A", None, "")], &mut |(_, news)| seen.push(shown(&news)))
            .unwrap();
        assert!(script.imap.is_serial());
        script.end();
        assert_eq!(seen, ["opened 0+7", "added 4:6", "up to v=7 m=3 q=0"]);
    }

    #[test]
    fn a_lost_connection_is_replaced() {
        let cut = vec![("EXAMINE \"A\"", OPEN), ("UID SEARCH", "CUT")];
        let works = vec![
            ("EXAMINE \"A\"", OPEN),
            ("UID SEARCH", "* ESEARCH (TAG \"x\") UID ALL 4:6\n$ OK"),
        ];
        let seen = news(QRESYNC, vec![cut, works], &[since("A", None, "")]);
        assert_eq!(seen, ["opened 0+7", "added 4:6", "up to v=7 n=10 m=3 q=50"]);
    }
}
