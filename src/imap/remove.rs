//! Removing messages for good: proven first, marked, expunged, and proven gone.

use super::command::{Command, portions};
use super::conn::Conn;
use super::pipeline::{Event, Pipeline};
use super::proof::{Glance, Proof, prove, unseen};
use super::quirks;
use super::response::{Data, Reply};
use super::wire::Keep;
use super::write::{ATTEMPTS, Answers, Place};
use crate::error::{Failure, Result};
use crate::model::{Flags, Id, IdSet, Known, System};
use crate::store::{Done, Ticket};

/// Messages in one round.
const CHUNK: usize = 1000;

/// Messages to remove.
pub(super) struct Removal {
    pub(super) ticket: Ticket,
    /// Those not answered yet.
    pub(super) messages: Vec<Known>,
    /// Those proven to be meant, whose removal went out and was not answered: if they are gone, it was us.
    sent: IdSet,
    /// Those that a look showed to be other messages, not answered yet.
    differs: IdSet,
    pub(super) attempts: u32,
}

impl Removal {
    pub(super) fn new(ticket: Ticket, messages: Vec<Known>) -> Self {
        Self {
            ticket,
            messages,
            sent: IdSet::new(),
            differs: IdSet::new(),
            attempts: 0,
        }
    }
}

impl Removal {
    /// Whether one flight removes all and proves it: each message was looked at while the mailbox was opened, and the server
    /// names what it expunges (RFC 7162 §3.2.10).
    pub(super) fn goes_at_once(&self, conn: &Conn, glance: &Glance) -> bool {
        let names = conn.capabilities.has("UIDPLUS") && conn.enabled.has("QRESYNC");
        names && self.messages.len() <= CHUNK && glance.has_all(&self.messages)
    }

    /// The commands that remove what is proven to be meant.
    pub(super) fn begin(&mut self, glance: &mut Glance) -> Vec<Command> {
        let proof = Proof::at_a_glance(&self.messages, glance);
        let same = proof.ids();
        self.sent = self.sent.union(&same);
        self.differs = proof.differs;
        let steps = [Step::Mark, Step::UidExpunge].into_iter();
        steps.flat_map(|step| step.commands(&same)).collect()
    }

    /// Answers for those of which all is known when these were named as expunged. True: there are no others.
    pub(super) fn settle(&mut self, vanished: &IdSet, answers: &Answers) -> bool {
        let is_removed = |id: &Id| self.sent.contains(*id) && vanished.contains(*id);
        let removed: IdSet = self.messages.iter().map(|known| known.id).filter(is_removed).collect();
        let differs = std::mem::take(&mut self.differs);
        self.messages
            .retain(|known| !removed.contains(known.id) && !differs.contains(known.id));
        answers.about(self.ticket, differs, Done::Differs);
        answers.about(self.ticket, removed, Done::Removed);
        let is_over = self.messages.is_empty();
        if is_over {
            answers.send(self.ticket, Done::Finished);
        }
        is_over
    }
}

/// Removes messages from the open mailbox.
pub(super) fn remove(place: &Place<'_>, conn: &mut Conn, removal: &mut Removal, glance: &mut Glance) -> Result<()> {
    let ticket = removal.ticket;
    while !removal.messages.is_empty() {
        let round = removal.messages.len().min(CHUNK);
        let proof = prove(place.account, conn, &removal.messages[..round], None, glance)?;
        let same = proof.ids();
        let ours = proof.gone.intersection(&removal.sent);
        removal.sent = removal.sent.union(&same);
        let expunged = expunge(place, conn, &same)?;
        let gone = proof.gone.difference(&ours);
        place.answers.about(ticket, proof.differs, Done::Differs);
        place.answers.about(ticket, gone, Done::Gone);
        place.answers.about(ticket, proof.unproven, unseen);
        place
            .answers
            .about(ticket, ours.union(&expunged.removed), Done::Removed);
        let why = expunged.why;
        place
            .answers
            .about(ticket, same.difference(&expunged.removed), |ids| Done::Failed(ids, why));
        removal.messages.drain(..round);
    }
    Ok(())
}

/// What became of messages to expunge.
pub(super) struct Expunged {
    pub(super) removed: IdSet,
    /// Why others were not.
    pub(super) why: Failure,
    /// The server said so itself, or we would not.
    refused: bool,
}

/// Removes messages that are proven to be the ones meant. What a server says to have done and has not, as Dovecot can while
/// another session is at the same mailbox, is done a second time.
pub(super) fn expunge(place: &Place<'_>, conn: &mut Conn, ids: &IdSet) -> Result<Expunged> {
    let first = expunge_once(place, conn, ids)?;
    let left = ids.difference(&first.removed);
    if first.refused || left.is_empty() {
        return Ok(first);
    }
    let second = expunge_once(place, conn, &left)?;
    Ok(Expunged {
        removed: first.removed.union(&second.removed),
        ..second
    })
}

fn expunge_once(place: &Place<'_>, conn: &mut Conn, ids: &IdSet) -> Result<Expunged> {
    if ids.is_empty() {
        return Ok(Expunged {
            removed: IdSet::new(),
            why: Failure::message("nothing was to be removed"),
            refused: false,
        });
    }
    // RFC 4315 §2.1: only ids that we name. Without it, EXPUNGE takes everything that anybody marked.
    let told = if conn.capabilities.has("UIDPLUS") {
        run(place, conn, ids, &[Step::Mark, Step::UidExpunge])?
    } else {
        let marked = run(place, conn, ids, &[Step::Mark, Step::Deleted])?;
        let foreign = marked.found.difference(ids);
        if !foreign.is_empty() || !marked.looked {
            let what = "it is marked as deleted but stays, because the server can only expunge it together with other messages \
                        that somebody marked";
            return Ok(Expunged {
                removed: IdSet::new(),
                why: Failure::message(what),
                refused: true,
            });
        }
        run(place, conn, ids, &[Step::Expunge])?
    };
    // The proof. Not in the same breath: some servers search before they have expunged.
    let left = ids.difference(&told.vanished);
    let looked = run(place, conn, &left, &[Step::Look])?;
    let still = if looked.looked { looked.found } else { left };
    let refusal = told.refusal.or(looked.refusal);
    Ok(Expunged {
        removed: ids.difference(&still),
        refused: refusal.is_some(),
        why: why_it_stays(place, refusal.as_ref()),
    })
}

fn why_it_stays(place: &Place<'_>, refusal: Option<&Reply>) -> Failure {
    // RFC 4314 §4: what may not be set is not among these. Dovecot says OK to both commands then, and does nothing.
    let deleted = Flags::new(System::DELETED, []);
    let mut permanent = place.open.permanent.iter();
    let is_without_rights = refusal.map_or_else(
        || permanent.any(|permanent| permanent.filter(&deleted).is_empty()),
        quirks::is_about_rights,
    );
    let why = refusal.map_or("it is still there", |reply| &reply.text);
    if is_without_rights {
        let what = format!("nothing can be removed from this mailbox: {why}");
        quirks::without_rights(Failure::mailbox(what))
    } else {
        Failure::message(format!("it cannot be removed: {why}"))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Mark,
    UidExpunge,
    Expunge,
    /// Which of the messages are still there.
    Look,
    /// Which messages are marked.
    Deleted,
}

impl Step {
    fn commands(self, ids: &IdSet) -> Vec<Command> {
        let each = |words: &str, tail: &str| {
            let command = |portion| Command::new(words).set(&portion);
            let commands = portions(ids, CHUNK as u64).into_iter().map(command);
            if tail.is_empty() {
                commands.collect()
            } else {
                commands.map(|command| command.words(tail)).collect()
            }
        };
        match self {
            Self::Mark => each("UID STORE", "+FLAGS.SILENT (\\Deleted)"),
            Self::UidExpunge => each("UID EXPUNGE", ""),
            Self::Expunge => vec![Command::new("EXPUNGE")],
            Self::Look => each("UID SEARCH UID", ""),
            Self::Deleted => vec![Command::new("UID SEARCH DELETED")],
        }
    }
}

/// What the steps told.
#[derive(Default)]
struct Told {
    /// By a search.
    found: IdSet,
    /// Every search was answered.
    looked: bool,
    /// Named as expunged (RFC 7162 §3.2.10).
    vanished: IdSet,
    /// The first refusal.
    refusal: Option<Reply>,
}

/// Sends the steps together, again where a refusal passes: each is harmless when the one before it was refused.
fn run(place: &Place<'_>, conn: &mut Conn, ids: &IdSet, steps: &[Step]) -> Result<Told> {
    let mut told = send(conn, ids, steps)?;
    for nth in 1..ATTEMPTS {
        match &told.refusal {
            Some(reply) if place.account.rest(reply, nth)? => {}
            _ => break,
        }
        let vanished = told.vanished;
        told = send(conn, ids, steps)?;
        told.vanished = told.vanished.union(&vanished);
    }
    Ok(told)
}

fn send(conn: &mut Conn, ids: &IdSet, steps: &[Step]) -> Result<Told> {
    let mut told = Told {
        looked: true,
        ..Told::default()
    };
    let mut pipeline = Pipeline::new(conn);
    for step in steps {
        for command in step.commands(ids) {
            pipeline.push(command, *step);
        }
    }
    while let Some(event) = pipeline.next(&mut Keep)? {
        match event {
            Event::Data(_, Data::Search(ids)) => told.found = told.found.union(&ids),
            Event::Data(_, Data::Vanished { earlier: false, ids }) => told.vanished = told.vanished.union(&ids),
            Event::Done(step, reply) if !reply.is_ok() => {
                // Asked again, each is harmless.
                if let Some(failure) = pipeline.conn.suspects_pipelining(&reply) {
                    return Err(failure);
                }
                told.looked &= !matches!(step, Step::Look | Step::Deleted);
                told.refusal.get_or_insert(reply);
            }
            _ => {}
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use crate::imap::script::{Line, known, mailbox, proof, text, write};
    use crate::model::MailboxPath;
    use crate::store::{Ticket, WriteJob};

    const OPEN: Line = ("SELECT \"A\"", "* 3 EXISTS\n* OK [UIDVALIDITY 7] v\n$ OK open");
    const LOOK: &str = "(UID RFC822.SIZE INTERNALDATE)";

    fn remove(ids: &str) -> Vec<WriteJob> {
        vec![WriteJob::Remove {
            ticket: Ticket(1),
            mailbox: mailbox("A"),
            path: MailboxPath::inbox(),
            messages: known(ids),
        }]
    }

    #[test]
    fn only_what_is_meant_goes_and_only_what_is_gone_is_told() {
        let other = "* 6 FETCH (UID 6 RFC822.SIZE 11 INTERNALDATE NIL)\n";
        let scene = vec![
            OPEN,
            ("UID FETCH 4:8", text(proof("4:5") + other + "$ OK")),
            // A line can be missing: what was not shown is asked for again before it counts as gone.
            ("UID SEARCH UID 7:8", "* SEARCH 8\n$ OK"),
            ("UID FETCH 8", "$ OK"),
            ("UID STORE 4:5 +FLAGS.SILENT (\\Deleted)", "$ OK"),
            ("UID EXPUNGE 4:5", "* 1 EXPUNGE\n$ OK"),
            ("UID SEARCH UID 4:5", "* SEARCH 5\n$ OK"),
            // Said and not done: once more.
            ("UID STORE 5 +FLAGS.SILENT (\\Deleted)", "$ OK"),
            ("UID EXPUNGE 5", "$ OK"),
            ("UID SEARCH UID 5", "* SEARCH 5\n$ OK"),
        ];
        let (outcomes, seen) = write("UIDPLUS", vec![scene], remove("4:8"));
        let wanted = [
            "6 differ",
            "7 gone",
            "8 failed later: the server does not show whether it still is the message that is meant",
            "4 removed",
            "5 failed later: it cannot be removed: it is still there",
            "finished",
        ];
        assert_eq!(outcomes, wanted);
        assert!(seen[1].ends_with(LOOK));
    }

    #[test]
    fn a_refused_look_is_no_proof() {
        let scene = vec![
            OPEN,
            ("UID FETCH 4:5", "$ NO [UNAVAILABLE] not now"),
            ("UID SEARCH UID 4:5", "$ NO [UNAVAILABLE] not now"),
            ("UID FETCH 4:5", "$ NO never"),
        ];
        let (outcomes, _) = write("UIDPLUS", vec![scene], remove("4:5"));
        let wanted = "4:5 failed later: the server does not show whether it still is the message that is meant";
        assert_eq!(outcomes, [wanted, "finished"]);
    }

    #[test]
    fn refusals_that_pass_are_waited_for() {
        let scene = vec![
            OPEN,
            ("UID FETCH 4:5", "$ NO [UNAVAILABLE] not now"),
            ("UID SEARCH UID 4:5", "$ NO [UNAVAILABLE] not now"),
            ("UID FETCH 4:5", text(proof("4:5") + "$ OK")),
            ("UID STORE", "$ NO [INUSE] locked"),
            ("UID EXPUNGE", "$ OK"),
            ("UID STORE", "$ OK"),
            ("UID EXPUNGE", "$ OK"),
            ("UID SEARCH UID 4:5", "* SEARCH\n$ OK"),
        ];
        let (outcomes, _) = write("UIDPLUS", vec![scene], remove("4:5"));
        assert_eq!(outcomes, ["4:5 removed", "finished"]);
    }

    #[test]
    fn what_the_mailbox_lets_nobody_mark_is_no_matter_of_one_message() {
        let permanent = "* 3 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [PERMANENTFLAGS (\\Seen)] p\n$ OK open";
        let pretend = [
            ("UID STORE", "$ OK"),
            ("UID EXPUNGE", "$ OK"),
            ("UID SEARCH UID 4", "* SEARCH 4\n$ OK"),
        ];
        let look = ("UID FETCH 4", text(proof("4") + "$ OK"));
        for (open, wanted) in [
            (
                permanent,
                "4 failed later: nothing can be removed from this mailbox: it is still there",
            ),
            (OPEN.1, "4 failed later: it cannot be removed: it is still there"),
        ] {
            let mut scene = vec![("SELECT \"A\"", open), look];
            scene.extend(pretend.iter().chain(&pretend));
            assert_eq!(write("UIDPLUS", vec![scene], remove("4")).0, [wanted, "finished"]);
        }
    }

    #[test]
    fn vanished_is_proof_enough() {
        let scene = vec![
            OPEN,
            ("UID FETCH 4:5", text(proof("4:5") + "$ OK")),
            ("UID STORE", "$ OK"),
            ("UID EXPUNGE", "* VANISHED 4:5\n$ OK"),
        ];
        let (outcomes, _) = write("UIDPLUS ENABLE QRESYNC", vec![scene], remove("4:5"));
        assert_eq!(outcomes, ["4:5 removed", "finished"]);
    }

    #[test]
    fn without_uidplus_nobody_elses_messages_go() {
        let begin = [OPEN, ("UID FETCH 4", text(proof("4") + "$ OK")), ("UID STORE", "$ OK")];
        let mut scene = begin.to_vec();
        scene.push(("UID SEARCH DELETED", "* SEARCH 4 9\n$ OK"));
        let (outcomes, _) = write("", vec![scene], remove("4"));
        assert!(
            outcomes[0].starts_with("4 failed later: it is marked as deleted but stays"),
            "{outcomes:?}"
        );

        let mut scene = begin.to_vec();
        scene.extend([
            ("UID SEARCH DELETED", "* SEARCH 4\n$ OK"),
            ("EXPUNGE", "* 1 EXPUNGE\n$ OK"),
            ("UID SEARCH UID 4", "* SEARCH\n$ OK"),
        ]);
        assert_eq!(write("", vec![scene], remove("4")).0, ["4 removed", "finished"]);
    }

    #[test]
    fn nothing_goes_out_to_another_mailbox_of_that_name() {
        for open in [
            "* 3 EXISTS\n* OK [UIDVALIDITY 6] v\n$ OK open",
            "* 3 EXISTS\n$ OK open",
            "$ OK [READ-ONLY] look",
        ] {
            let look = ("UID FETCH 4", text(proof("4") + "$ OK"));
            let (outcomes, seen) = write("UIDPLUS", vec![vec![("SELECT \"A\"", open), look]], remove("4"));
            assert!(
                outcomes[0].starts_with("4 failed") && seen.len() == 2 && seen[1].ends_with(LOOK),
                "{open}: {outcomes:?} {seen:?}"
            );
        }
    }

    #[test]
    fn a_lost_connection_leaves_nothing_open() {
        let cut = vec![
            OPEN,
            ("UID FETCH 4:5", text(proof("4:5") + "$ OK")),
            ("UID STORE", "$ OK"),
            ("UID EXPUNGE", "CUT"),
        ];
        let again = vec![
            OPEN,
            ("UID FETCH 4:5", text(proof("5") + "$ OK")),
            ("UID SEARCH UID 4", "* SEARCH\n$ OK"),
            ("UID STORE 5", "$ OK"),
            ("UID EXPUNGE 5", "$ OK"),
            ("UID SEARCH UID 5", "* SEARCH\n$ OK"),
        ];
        let (outcomes, _) = write("UIDPLUS", vec![cut, again], remove("4:5"));
        assert_eq!(outcomes, ["4:5 removed", "finished"]);
    }
}
