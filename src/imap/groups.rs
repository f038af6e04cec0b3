//! Changes by mailbox: all that is to be done in one, and the opening of the next, in one flight.
//!
//! What is done with messages goes out only behind a SELECT whose answer is known (DESIGN 8a "Voided UIDs"). So a mailbox
//! costs a round trip; the SELECT of the next one, and the look at what is to go there, need none of their own.

use super::command::Command;
use super::conn::{Conn, out_of_step};
use super::crew::Queue;
use super::marks::{self, Marks};
use super::moves;
use super::opening::{opened, select};
use super::pipeline::{Event, Pipeline};
use super::pool::Account;
use super::proof::Glance;
use super::remove;
use super::response::{Data, Reply};
use super::retry::Tries;
use super::selected::Selected;
use super::wire::Keep;
use super::write::{ATTEMPTS, Answers, Change, Place, Work};
use crate::error::{Failure, Reach, Result};
use crate::model::{IdSet, RawName};
use crate::store::Done;

/// Changes, and messages of each, that are looked at while a mailbox is opened: what is looked at waits in memory.
const GLANCES: usize = 500;

/// Does a change, with it all others that wait for the same mailbox, and then those of other mailboxes, as long as these
/// can be opened along.
pub(super) fn changes(
    account: &Account,
    conn: &mut Conn,
    queue: &Queue<Work>,
    (mailbox, first): (RawName, Change),
    answers: &Answers,
    tries: &mut Tries,
) -> Result<()> {
    let mut group = Some(Group::gather(queue, mailbox, first));
    while let Some(mut this) = group.take() {
        let mut next = None;
        let outcome = this.carry_out(account, conn, queue, answers, &mut next);
        if let Err(failure) = outcome {
            if let Some(next) = next {
                next.put_back(queue);
            }
            this.tried(&failure, queue, answers);
            return Err(failure);
        }
        tries.progress();
        group = next;
    }
    Ok(())
}

/// What is to be done in a mailbox.
struct Group {
    mailbox: RawName,
    /// What is done leaves it.
    waiting: Vec<Change>,
    glance: Glance,
    /// What opening it told, where that was asked for along with the changes of another mailbox.
    first: Option<(Selected, Reply)>,
}

impl Group {
    /// A change and all others that wait for its mailbox; flags first.
    fn gather(queue: &Queue<Work>, mailbox: RawName, first: Change) -> Self {
        let mut waiting = vec![first];
        while let Some(Work::Change(_, change)) =
            queue.try_take(|work| matches!(work, Work::Change(name, _) if *name == mailbox))
        {
            waiting.push(change);
        }
        waiting.sort_by_key(|change| !matches!(change, Change::Marks(_)));
        Self {
            mailbox,
            waiting,
            glance: Glance::default(),
            first: None,
        }
    }

    /// The changes of another mailbox, if some wait.
    fn another(queue: &Queue<Work>) -> Option<Self> {
        match queue.try_take(|work| matches!(work, Work::Change(..)))? {
            Work::Change(mailbox, change) => Some(Self::gather(queue, mailbox, change)),
            _ => None,
        }
    }

    /// The connection was lost before anything was done here.
    fn put_back(self, queue: &Queue<Work>) {
        for change in self.waiting {
            queue.put_back(Work::Change(self.mailbox.clone(), change));
        }
    }

    /// The connection was lost on the way.
    fn tried(mut self, failure: &Failure, queue: &Queue<Work>, answers: &Answers) {
        let mut again = Vec::new();
        for mut change in self.waiting.drain(..) {
            *change.attempts() += 1;
            if *change.attempts() >= ATTEMPTS {
                change.fail(&failure.hits(Reach::Mailbox), answers);
            } else {
                again.push(change);
            }
        }
        self.waiting = again;
        self.put_back(queue);
    }

    /// Does all that is to be done here. `next` is what was opened along, if anything was: it is to be done next.
    fn carry_out(
        &mut self,
        account: &Account,
        conn: &mut Conn,
        queue: &Queue<Work>,
        answers: &Answers,
        next: &mut Option<Self>,
    ) -> Result<()> {
        let first = match self.first.take() {
            Some(first) => first,
            None => self.select(conn)?,
        };
        let Some(place) = self.enter(account, conn, first, answers)? else {
            return Ok(());
        };
        if self.is_done_at_once(conn) && !account.is_stopped() {
            *next = Self::another(queue);
        }
        let told = self.fly(&place, conn, next.as_mut())?;
        let (Some(next), false) = (next, self.waiting.is_empty()) else {
            return self.do_the_rest(&place, conn, told);
        };
        // Something needs another look here, so the next mailbox is opened again when its turn comes.
        next.first = None;
        next.glance = Glance::default();
        let first = select(conn, &self.mailbox)?;
        match self.enter(account, conn, first, answers)? {
            Some(place) => self.do_the_rest(&place, conn, told),
            None => Ok(()),
        }
    }

    /// The mailbox, open; `None`: it cannot be opened, or is another one, and all is answered.
    fn enter<'a>(
        &mut self,
        account: &'a Account,
        conn: &mut Conn,
        first: (Selected, Reply),
        answers: &'a Answers,
    ) -> Result<Option<Place<'a>>> {
        match opened(account, conn, &self.mailbox, first)? {
            Ok(open) => Ok(Some(Place {
                account,
                mailbox: self.mailbox.clone(),
                open,
                answers,
            })),
            Err(failure) => {
                self.waiting.drain(..).for_each(|change| change.fail(&failure, answers));
                Ok(None)
            }
        }
    }

    /// Whether one flight is expected to do and to tell all.
    fn is_done_at_once(&self, conn: &Conn) -> bool {
        self.waiting.iter().all(|change| match change {
            Change::Marks(_) => true,
            Change::Removal(removal) => removal.goes_at_once(conn, &self.glance),
            Change::Transfer(_) => false,
        })
    }

    /// One flight: what can be done at once here, and the opening of `next`. What is told whole leaves the group.
    fn fly(&mut self, place: &Place<'_>, conn: &mut Conn, next: Option<&mut Self>) -> Result<marks::Told> {
        let mut flight = Flight::new(conn);
        for change in &mut self.waiting {
            match change {
                Change::Marks(marks) => {
                    for asked in marks::questions(place, marks) {
                        flight.pipeline.push(asked.command(), Asked::Marks(asked));
                    }
                }
                Change::Removal(removal) if removal.goes_at_once(flight.pipeline.conn, &self.glance) => {
                    for command in removal.begin(&mut self.glance) {
                        flight.pipeline.push(command, Asked::Removal);
                    }
                }
                Change::Removal(_) | Change::Transfer(_) => {}
            }
        }
        let told = flight.land(next)?;
        self.waiting.retain_mut(|change| match change {
            Change::Marks(marks) if told.marks.is_whole(place, marks) => {
                told.marks.answer(place, marks);
                false
            }
            Change::Removal(removal) => !removal.settle(&told.vanished, place.answers),
            Change::Marks(_) | Change::Transfer(_) => true,
        });
        Ok(told.marks)
    }

    /// What could not be done in one flight, or of which that did not tell enough: step by step.
    fn do_the_rest(&mut self, place: &Place<'_>, conn: &mut Conn, mut told: marks::Told) -> Result<()> {
        let is_marks = |change: &Change| matches!(change, Change::Marks(_));
        let marks: Vec<&Marks> = self
            .waiting
            .iter()
            .filter_map(|change| match change {
                Change::Marks(marks) => Some(marks),
                _ => None,
            })
            .collect();
        told.settle(place, conn, &marks)?;
        self.waiting.retain(|change| !is_marks(change));
        while let Some(change) = self.waiting.first_mut() {
            match change {
                Change::Marks(_) => {}
                Change::Transfer(transfer) => moves::transfer(place, conn, transfer, &mut self.glance)?,
                Change::Removal(removal) => remove::remove(place, conn, removal, &mut self.glance)?,
            }
            place.answers.send(change.ticket(), Done::Finished);
            self.waiting.remove(0);
        }
        Ok(())
    }

    /// SELECT and, behind it, a look at the messages that are to be moved or removed there. Looking behind a SELECT does no
    /// harm: if it was refused, or opened another mailbox than was meant, nothing comes of it.
    fn opening(&mut self) -> Vec<Command> {
        let mut commands = vec![Command::new("SELECT").mailbox(&self.mailbox)];
        for change in self.waiting.iter().take(GLANCES) {
            let target = match change {
                Change::Marks(_) => continue,
                Change::Transfer(transfer) => Some(&transfer.to),
                Change::Removal(_) => None,
            };
            let ids: IdSet = change.left().iter().take(GLANCES).collect();
            if !ids.is_empty() {
                commands.extend(self.glance.commands(&ids, target));
            }
        }
        commands
    }

    /// Opens it, in a flight of its own.
    fn select(&mut self, conn: &mut Conn) -> Result<(Selected, Reply)> {
        Flight::new(conn).land(Some(self))?;
        self.first
            .take()
            .ok_or_else(|| out_of_step("it left a command unanswered"))
    }
}

/// What a command in flight is for.
enum Asked {
    Marks(marks::Asked),
    Removal,
    Open,
    Glance,
}

/// Commands about one mailbox, and those that open the next.
struct Flight<'c> {
    pipeline: Pipeline<'c, Asked>,
}

/// What came of it.
#[derive(Default)]
struct Told {
    marks: marks::Told,
    /// Named as expunged (RFC 7162 §3.2.10).
    vanished: IdSet,
}

impl<'c> Flight<'c> {
    fn new(conn: &'c mut Conn) -> Self {
        Self {
            pipeline: Pipeline::new(conn),
        }
    }

    /// Waits for all answers. What concerns `next`, which is opened along, goes there.
    fn land(mut self, mut next: Option<&mut Group>) -> Result<Told> {
        for (nth, command) in next.iter_mut().flat_map(|next| next.opening()).enumerate() {
            let what = if nth == 0 { Asked::Open } else { Asked::Glance };
            self.pipeline.push(command, what);
        }
        let mut told = Told::default();
        let mut selected = Selected::default();
        while let Some(event) = self.pipeline.next(&mut Keep)? {
            match event {
                // A SELECT waits for all before it, so the oldest command tells which mailbox this is about.
                Event::Data(mut in_flight, data) => match (in_flight.front(), &mut next) {
                    (Some(Asked::Marks(_) | Asked::Removal), _) => told.note(&data),
                    (Some(Asked::Open), _) if data.is_closed() => selected = Selected::default(),
                    (Some(Asked::Open), _) => selected.note(&data),
                    (Some(Asked::Glance), Some(next)) => next.glance.note(&data),
                    _ => {}
                },
                // Asked again, each is harmless.
                Event::Done(Asked::Marks(asked), reply) if !reply.is_ok() => {
                    if let Some(failure) = self.pipeline.conn.suspects_pipelining(&reply) {
                        return Err(failure);
                    }
                    told.marks.again.push((asked, reply));
                }
                Event::Done(Asked::Removal, reply) => {
                    if let Some(failure) = self.pipeline.conn.suspects_pipelining(&reply) {
                        return Err(failure);
                    }
                }
                Event::Done(Asked::Open, reply) => {
                    if let Some(failure) = self.pipeline.conn.suspects_pipelining(&reply) {
                        return Err(failure);
                    }
                    if let Some(next) = &mut next {
                        next.first = Some((std::mem::take(&mut selected), reply));
                    }
                }
                Event::Done(..) => {}
            }
        }
        if let Some(next) = next
            && next.first.as_ref().is_none_or(|(_, reply)| !reply.is_ok())
        {
            next.glance = Glance::default();
        }
        Ok(told)
    }
}

impl Told {
    fn note(&mut self, data: &Data<'_>) {
        self.marks.note(data);
        if let Data::Vanished { earlier: false, ids } = data {
            self.vanished = self.vanished.union(ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::imap::script::{Line, known, mailbox, proof, text, write};
    use crate::model::{Flags, MailboxPath};
    use crate::store::{Ticket, WriteJob};

    const QRESYNC: &str = "UIDPLUS ENABLE QRESYNC";
    const A: Line = ("SELECT \"A\"", "* OK [UIDVALIDITY 7] v\n$ OK open");
    const B: Line = (
        "SELECT \"B\"",
        "* VANISHED 4\n$- OK\n* OK [CLOSED] A\n* OK [UIDVALIDITY 8] v\n$ OK open",
    );

    fn flag(ticket: u64, name: &str, ids: &str) -> WriteJob {
        WriteJob::Flags {
            ticket: Ticket(ticket),
            mailbox: mailbox(name),
            ids: ids.parse().unwrap(),
            add: Flags::from_names(["\\Seen"]),
            remove: Flags::none(),
        }
    }

    fn remove(ticket: u64, name: &str, ids: &str) -> WriteJob {
        WriteJob::Remove {
            ticket: Ticket(ticket),
            mailbox: mailbox(name),
            path: MailboxPath::inbox(),
            messages: known(ids),
        }
    }

    fn shown(ids: &str) -> &'static str {
        text(proof(ids) + "$ OK")
    }

    /// The commands of `A`, of which the last is not answered before that which opens `B` is there.
    fn flight() -> Vec<Line> {
        vec![
            A,
            ("UID FETCH 4", shown("4")),
            ("UID STORE 5 +FLAGS", "* 2 FETCH (UID 5 FLAGS (\\Seen))\n$ OK"),
            ("UID STORE 4 +FLAGS.SILENT", "$ OK"),
            ("UID EXPUNGE 4", ""),
        ]
    }

    /// The answers to a flag and a removal in A, and a removal in B.
    const ALL_DONE: [&str; 6] = [
        "flags [(5, (\\Seen))]",
        "finished",
        "4 removed",
        "finished",
        "6 removed",
        "finished",
    ];

    #[test]
    fn the_next_mailbox_is_opened_along() {
        let mut scene = flight();
        scene.extend([
            B,
            ("UID FETCH 6", shown("6")),
            ("UID STORE 6 +FLAGS.SILENT", "$ OK"),
            ("UID EXPUNGE 6", "* VANISHED 6\n$ OK"),
        ]);
        let jobs = vec![flag(1, "A", "5"), remove(2, "A", "4"), remove(3, "B", "6")];
        let (outcomes, _) = write(QRESYNC, vec![scene], jobs);
        assert_eq!(outcomes, ALL_DONE);
    }

    #[test]
    fn what_was_not_told_is_looked_at_in_its_own_mailbox() {
        let mut scene = flight();
        scene.extend([
            // 4 is not named as expunged.
            (
                "SELECT \"B\"",
                "$- OK\n* OK [CLOSED] A\n* OK [UIDVALIDITY 8] v\n$ OK open",
            ),
            ("UID FETCH 6", shown("6")),
            A,
            ("UID FETCH 4", "$ OK"),
            ("UID SEARCH UID 4", "* SEARCH\n$ OK"),
            ("SELECT \"B\"", "* OK [UIDVALIDITY 8] v\n$ OK open"),
            ("UID FETCH 6", shown("6")),
            ("UID STORE 6 +FLAGS.SILENT", "$ OK"),
            ("UID EXPUNGE 6", "* VANISHED 6\n$ OK"),
        ]);
        let jobs = vec![flag(1, "A", "5"), remove(2, "A", "4"), remove(3, "B", "6")];
        let (outcomes, _) = write(QRESYNC, vec![scene], jobs);
        assert_eq!(outcomes, ALL_DONE);
    }

    #[test]
    fn nothing_goes_out_behind_an_opening_that_is_not_known_to_be_right() {
        for open in [
            "* VANISHED 4\n$- OK\n* OK [CLOSED] A\n* OK [UIDVALIDITY 9] another\n$ OK open",
            "* VANISHED 4\n$- OK\n* OK [CLOSED] A\n$ NO gone",
        ] {
            let mut scene = flight();
            scene.extend([("SELECT \"B\"", open), ("UID FETCH 6", shown("6"))]);
            let jobs = vec![flag(1, "A", "5"), remove(2, "A", "4"), remove(3, "B", "6")];
            let (outcomes, seen) = write(QRESYNC, vec![scene], jobs);
            assert_eq!(
                outcomes[..4],
                ["flags [(5, (\\Seen))]", "finished", "4 removed", "finished"]
            );
            assert!(
                outcomes[4].starts_with("6 failed") && outcomes[5] == "finished" && seen.len() == 7,
                "{open}: {outcomes:?} {seen:?}"
            );
        }
    }

    #[test]
    fn a_flight_that_is_lost_is_flown_again() {
        let mut lost = flight();
        lost.extend([("SELECT \"B\"", "CUT")]);
        let again = vec![
            A,
            // The first time it was done.
            ("UID FETCH 4", "$ OK"),
            ("UID STORE 5 +FLAGS", "* 2 FETCH (UID 5 FLAGS (\\Seen))\n$ OK"),
            ("UID SEARCH UID 4", "* SEARCH\n$ OK"),
            ("SELECT \"B\"", "* OK [UIDVALIDITY 8] v\n$ OK open"),
            ("UID STORE 6 +FLAGS", "* 2 FETCH (UID 6 FLAGS (\\Seen))\n$ OK"),
        ];
        let jobs = vec![flag(1, "A", "5"), remove(2, "A", "4"), flag(3, "B", "6")];
        let (outcomes, _) = write(QRESYNC, vec![lost, again], jobs);
        let wanted = [
            "flags [(5, (\\Seen))]",
            "finished",
            "4 removed",
            "finished",
            "flags [(6, (\\Seen))]",
            "finished",
        ];
        assert_eq!(outcomes, wanted);
    }
}
