//! Moving and copying messages from one mailbox to another without their bodies passing through us.

use std::collections::HashMap;

use super::code::Code;
use super::command::{Command, portions};
use super::conn::Conn;
use super::opening::open;
use super::pipeline::{Event, Pipeline};
use super::proof::{Glance, Look, Proof, prove, still_there, unseen};
use super::quirks;
use super::remove;
use super::response::{Data, Reply};
use super::wire::Keep;
use super::write::{ATTEMPTS, Place};
use crate::error::{Failure, Kind, Reach, Result, Retry};
use crate::model::{Id, IdSet, Known, RawName};
use crate::store::{Done, Ticket};

/// Messages in one round.
const CHUNK: usize = 500;

/// Messages to move or to copy.
pub(super) struct Transfer {
    pub(super) ticket: Ticket,
    /// Those not answered yet.
    pub(super) messages: Vec<Known>,
    pub(super) to: RawName,
    moves: bool,
    pub(super) attempts: u32,
}

impl Transfer {
    pub(super) fn new(ticket: Ticket, messages: Vec<Known>, to: RawName, moves: bool) -> Self {
        Self {
            ticket,
            messages,
            to,
            moves,
            attempts: 0,
        }
    }
}

/// Old ids with their new ones, where known.
type Pairs = HashMap<Id, Option<Id>>;

/// Moves or copies messages out of the open mailbox, which is open again afterwards.
pub(super) fn transfer(place: &Place<'_>, conn: &mut Conn, transfer: &mut Transfer, glance: &mut Glance) -> Result<()> {
    while !transfer.messages.is_empty() {
        let round = transfer.messages.len().min(CHUNK);
        let proof = prove(
            place.account,
            conn,
            &transfer.messages[..round],
            Some(&transfer.to),
            glance,
        )?;
        let ticket = transfer.ticket;
        place.answers.about(ticket, proof.differs.clone(), Done::Differs);
        place.answers.about(ticket, proof.gone.clone(), Done::Gone);
        place.answers.about(ticket, proof.unproven.clone(), unseen);
        let same = proof.ids();
        let outcome = round_trip(place, conn, transfer, &proof);
        transfer.messages.drain(..round);
        let ending = outcome.inspect_err(|failure| {
            // It was sent, and nobody knows how far it got: never again (DESIGN 8a, "OK is not proof").
            place.answers.about(ticket, same, |ids| {
                Done::Unknown(ids, failure.hits(Reach::Message).retry(Retry::Now))
            });
        })?;
        if let Some(failure) = ending {
            return Err(failure);
        }
    }
    Ok(())
}

/// One round, answered. Gives why nothing more is to be asked, if the server wants to be left alone.
fn round_trip(place: &Place<'_>, conn: &mut Conn, transfer: &Transfer, proof: &Proof) -> Result<Option<Failure>> {
    let ids = proof.ids();
    let mut at_once = transfer.moves && conn.capabilities.has("MOVE");
    let verb = if at_once { "UID MOVE" } else { "UID COPY" };
    let mut sent = send(place, conn, transfer, verb, &ids)?;
    if at_once && sent.why.kind == Kind::ReadOnly && sent.refused == ids {
        // RFC 6851 §3.3: nothing was moved. Either mailbox may lack the right: one that takes a copy is not the one, and
        // then the removal waits (DESIGN 8a "A move is two facts").
        at_once = false;
        sent = send(place, conn, transfer, "UID COPY", &ids)?;
    }
    let mut pairs = sent.pairs;
    let unnamed: IdSet = ids.iter().filter(|id| !pairs.contains_key(id)).collect();
    let mut left = sent.refused.clone();
    let mut shut = None;
    let doubtful = unnamed.difference(&sent.refused);
    if !doubtful.is_empty() {
        // HAZARDS 7: OK does not mean moved, so the target is looked at.
        let still = still_there(conn, &doubtful)?;
        let candidates = if at_once {
            doubtful.difference(&still)
        } else {
            doubtful.clone()
        };
        if at_once {
            left = left.union(&still);
        }
        pairs.extend(look_at_target(conn, transfer, proof, &candidates)?);
        if let Err(failure) = open(place.account, conn, &place.mailbox)? {
            left = left.union(&ids.iter().filter(|id| !pairs.contains_key(id)).collect());
            shut = Some(failure);
        }
    }
    let why = sent.why;
    let neither: IdSet = ids
        .iter()
        .filter(|id| !pairs.contains_key(id) && !left.contains(*id))
        .collect();
    place.answers.about(transfer.ticket, left, |ids| Done::Failed(ids, why));
    place.answers.about(transfer.ticket, neither, Done::Gone);
    let Some(why) = shut else {
        arrived(place, conn, transfer, &pairs, at_once);
        return Ok(sent.ending);
    };
    // DESIGN 8a "Voided UIDs": what is open by now, if anything is, may have other messages under these ids. Nothing more is
    // done there before the mailbox was opened again as the one that is meant.
    let ending = Failure::account(Kind::Temporary, why.what.clone()).retry(Retry::Now);
    stranded(place, transfer, pairs, at_once, why);
    Ok(sent.ending.or(Some(ending)))
}

/// Answers for what arrived while its mailbox was lost.
fn stranded(place: &Place<'_>, transfer: &Transfer, pairs: Pairs, at_once: bool, why: Failure) {
    let stay: IdSet = pairs.keys().copied().filter(|_| transfer.moves && !at_once).collect();
    let done = if at_once { Done::Moved } else { Done::Copied };
    if !pairs.is_empty() {
        place.answers.send(transfer.ticket, done(pairs.into_iter().collect()));
    }
    place.answers.about(transfer.ticket, stay, |ids| Done::Failed(ids, why));
}

/// Answers for what arrived, and removes the originals of a move that was a copy so far.
fn arrived(place: &Place<'_>, conn: &mut Conn, transfer: &Transfer, pairs: &Pairs, at_once: bool) {
    let ticket = transfer.ticket;
    let of = |which: &IdSet| -> Vec<(Id, Option<Id>)> {
        which.iter().filter_map(|id| Some((id, *pairs.get(&id)?))).collect()
    };
    let all: IdSet = pairs.keys().copied().collect();
    let send = |pairs: Vec<_>, done: fn(Vec<(Id, Option<Id>)>) -> Done| {
        if !pairs.is_empty() {
            place.answers.send(ticket, done(pairs));
        }
    };
    if !transfer.moves {
        return send(of(&all), Done::Copied);
    }
    if at_once {
        return send(of(&all), Done::Moved);
    }
    // The copies are there: told before anything can go wrong with the originals (DESIGN 8a, "A move is two facts").
    let expunged = match remove::expunge(place, conn, &all) {
        Ok(expunged) => expunged,
        Err(failure) => {
            send(of(&all), Done::Copied);
            let why = failure.hits(Reach::Message).retry(Retry::Now);
            return place.answers.about(ticket, all, |ids| Done::Unknown(ids, why));
        }
    };
    let stay = all.difference(&expunged.removed);
    send(of(&expunged.removed), Done::Moved);
    send(of(&stay), Done::Copied);
    place.answers.about(ticket, stay, |ids| Done::Failed(ids, expunged.why));
}

struct Sent {
    pairs: Pairs,
    refused: IdSet,
    why: Failure,
    /// The server wants to be left alone for longer than a run can wait.
    ending: Option<Failure>,
}

impl Sent {
    /// Waits where the refusal passes; a refused move was not made, and is asked for again.
    fn rested(&mut self, place: &Place<'_>, reply: &Reply, nth: u32) -> bool {
        place.account.rest(reply, nth).unwrap_or_else(|failure| {
            self.ending = Some(failure);
            false
        })
    }
}

fn send(place: &Place<'_>, conn: &mut Conn, transfer: &Transfer, verb: &str, ids: &IdSet) -> Result<Sent> {
    let expected = place.account.memory().expected(&transfer.to);
    let mut sent = Sent {
        pairs: Pairs::new(),
        refused: IdSet::new(),
        why: Failure::message("it is still in its old mailbox"),
        ending: None,
    };
    let note = |pairs: &mut Pairs, reply: &Reply| {
        if let Code::CopyUid(validity, named) = &reply.code
            && expected.is_none_or(|expected| expected == *validity)
        {
            pairs.extend(
                named
                    .iter()
                    .filter(|(old, _)| ids.contains(*old))
                    .map(|&(old, new)| (old, Some(new))),
            );
        }
    };
    let command = |ids: &IdSet| Command::new(verb).set(ids).mailbox(&transfer.to);
    let mut pipeline = Pipeline::new(conn);
    for portion in portions(ids, CHUNK as u64) {
        pipeline.push(command(&portion), (portion, 1));
    }
    while let Some(event) = pipeline.next(&mut Keep)? {
        match event {
            // RFC 6851 §4.3: MOVE tells it before the expunges.
            Event::Data(_, Data::Status(reply)) => note(&mut sent.pairs, &reply),
            Event::Data(..) => {}
            Event::Done((portion, nth), reply) => {
                note(&mut sent.pairs, &reply);
                if !reply.is_ok() {
                    let unnamed = portion.iter().filter(|id| !sent.pairs.contains_key(id)).collect();
                    if nth < ATTEMPTS && sent.rested(place, &reply, nth) {
                        pipeline.push(command(&unnamed), (unnamed, nth + 1));
                        continue;
                    }
                    sent.refused = sent.refused.union(&unnamed);
                    let why = Failure::message(format!("the server does not take it over there: {}", reply.text));
                    sent.why = quirks::refused(why, &reply);
                    if quirks::is_about_rights(&reply) {
                        sent.why = quirks::read_only(sent.why);
                    }
                }
            }
        }
    }
    Ok(sent)
}

/// Finds the copies among what came into the target since: same size and internal date, which a copy keeps (RFC 9051
/// §6.4.7). Several that look alike are equal for this purpose, and are then not told apart.
fn look_at_target(conn: &mut Conn, transfer: &Transfer, proof: &Proof, candidates: &IdSet) -> Result<Pairs> {
    let Some(next) = proof.next.filter(|_| !candidates.is_empty()) else {
        return Ok(Pairs::new());
    };
    let mut arrived: HashMap<Look, Vec<Id>> = HashMap::new();
    let reply = conn.ask(Command::new("EXAMINE").mailbox(&transfer.to), |_| ())?;
    if reply.is_ok() {
        // HAZARDS 4: never `*`, whose lowest answer lies below what was asked.
        let fetch = format!("UID FETCH {next}:4294967295 (UID RFC822.SIZE INTERNALDATE)");
        conn.ask(Command::new(fetch), |data| {
            if let Data::Fetch(fetch) = data
                && let (Some(id), Some(size)) = (fetch.uid.filter(|id| *id >= next), fetch.size)
            {
                let look = Look {
                    size: Some(size),
                    date: fetch.date,
                };
                arrived.entry(look).or_default().push(id);
            }
        })?;
    }
    let mut alike: HashMap<Look, Vec<Id>> = HashMap::new();
    for id in candidates.iter() {
        if let Some(look) = proof.same.get(&id) {
            alike.entry(*look).or_default().push(id);
        }
    }
    let mut pairs = Pairs::new();
    for (look, old) in alike {
        let new = arrived.remove(&look).unwrap_or_default();
        let certain = new.len() == 1 && old.len() == 1;
        for (old, new) in old.into_iter().zip(new) {
            pairs.insert(old, certain.then_some(new));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use crate::imap::script::{Line, known, mailbox, proof, text, write};
    use crate::store::{Ticket, WriteJob};

    const OPEN: Line = ("SELECT \"A\"", "* 3 EXISTS\n* OK [UIDVALIDITY 7] v\n$ OK open");
    const NEXT: Line = ("STATUS \"B\" (UIDNEXT)", "* STATUS B (UIDNEXT 20)\n$ OK");

    fn job(ids: &str, moves: bool) -> Vec<WriteJob> {
        let (ticket, mailbox, messages, to) = (Ticket(1), mailbox("A"), known(ids), mailbox("B"));
        vec![if moves {
            WriteJob::Move {
                ticket,
                mailbox,
                messages,
                to,
            }
        } else {
            WriteJob::Copy {
                ticket,
                mailbox,
                messages,
                to,
            }
        }]
    }

    fn looked(ids: &str) -> Line {
        ("UID FETCH", text(proof(ids) + "$ OK"))
    }

    #[test]
    fn copyuid_names_what_moved() {
        for (answer, wanted) in [
            (
                "* OK [COPYUID 8 6,4:5 21:23] m\n* VANISHED 4:6\n$ OK",
                "moved [(4, Some(22)), (5, Some(23)), (6, Some(21))]",
            ),
            (
                "$ OK [COPYUID 8 4:6 21:23] m",
                "moved [(4, Some(21)), (5, Some(22)), (6, Some(23))]",
            ),
        ] {
            let scene = vec![OPEN, NEXT, looked("4:6"), ("UID MOVE 4:6 \"B\"", answer)];
            let (outcomes, _) = write("MOVE UIDPLUS", vec![scene], job("4:6", true));
            assert_eq!(outcomes, [wanted, "finished"]);
        }
    }

    #[test]
    fn ok_alone_proves_nothing() {
        // 4 is still there, 5 is in the target, 6 is in neither.
        let arrived = "* 9 FETCH (UID 19 RFC822.SIZE 10 INTERNALDATE \" 1-Jan-1970 00:00:09 +0000\")\n".to_owned();
        let scene = vec![
            OPEN,
            NEXT,
            looked("4:6"),
            ("UID MOVE 4:6 \"B\"", "$ OK [COPYUID 9 4:6 1:3] of another mailbox"),
            ("UID SEARCH UID 4:6", "* SEARCH 4\n$ OK"),
            ("EXAMINE \"B\"", "$ OK"),
            ("UID FETCH 20:4294967295", text(arrived + &proof("21") + "$ OK")),
            OPEN,
        ];
        let (outcomes, _) = write("MOVE UIDPLUS", vec![scene], job("4:6", true));
        let text = outcomes.join("; ");
        assert!(
            text.contains("4 failed later: it is still in its old mailbox"),
            "{text}"
        );
        // Two look alike and one arrived: which one is not known.
        assert!(text.contains("moved [(5, None)]") && text.contains("6 gone"), "{text}");
    }

    #[test]
    fn without_move_the_original_goes_after_the_copy_came() {
        let scene = vec![
            OPEN,
            NEXT,
            looked("4:5"),
            ("UID COPY 4:5 \"B\"", "$ OK [COPYUID 8 4 21] one of them"),
            ("UID SEARCH UID 5", "* SEARCH\n$ OK"),
            ("EXAMINE \"B\"", "$ OK"),
            ("UID FETCH 20:4294967295", "$ OK"),
            OPEN,
            ("UID STORE 4 +FLAGS.SILENT (\\Deleted)", "$ OK"),
            ("UID EXPUNGE 4", "$ OK"),
            ("UID SEARCH UID 4", "* SEARCH\n$ OK"),
        ];
        let (outcomes, _) = write("UIDPLUS", vec![scene], job("4:5", true));
        assert_eq!(outcomes, ["5 gone", "moved [(4, Some(21))]", "finished"]);
    }

    #[test]
    fn nothing_is_expunged_from_a_mailbox_that_took_its_place_meanwhile() {
        let another: Line = ("SELECT \"A\"", "* 9 EXISTS\n* OK [UIDVALIDITY 70] v\n$ OK another one");
        let scene = vec![
            OPEN,
            NEXT,
            looked("4"),
            ("UID COPY 4 \"B\"", "$ OK no word of where"),
            ("UID SEARCH UID 4", "* SEARCH 4\n$ OK"),
            ("EXAMINE \"B\"", "$ OK"),
            ("UID FETCH 20:4294967295", text(proof("21") + "$ OK")),
            another,
            another,
        ];
        let (outcomes, _) = write("UIDPLUS", vec![scene], job("4", true));
        let why = "4 failed now: the mailbox is not the one that was looked at: it was replaced meanwhile";
        assert_eq!(outcomes, ["copied [(4, Some(21))]", why, "finished"]);
    }

    #[test]
    fn a_refusal_that_passes_is_waited_for() {
        let busy = "* OK [COPYUID 8 4 21] m\n* VANISHED 4\n$ NO [UNAVAILABLE] in a moment";
        let (move_all, rest) = ("UID MOVE 4:5 \"B\"", "UID MOVE 5 \"B\"");
        let scene = vec![
            OPEN,
            NEXT,
            looked("4:5"),
            (move_all, busy),
            (rest, "$ OK [COPYUID 8 5 22] m"),
        ];
        let (outcomes, _) = write("MOVE UIDPLUS", vec![scene], job("4:5", true));
        assert_eq!(outcomes, ["moved [(4, Some(21)), (5, Some(22))]", "finished"]);
    }

    #[test]
    fn a_move_for_want_of_rights_is_a_copy_where_that_is_taken() {
        let begin = [OPEN, NEXT, looked("4"), ("UID MOVE 4 \"B\"", "$ NO [NOPERM] no")];
        let mut taken = begin.to_vec();
        taken.extend([
            ("UID COPY 4 \"B\"", "$ OK [COPYUID 8 4 21] c"),
            ("UID STORE 4 +FLAGS.SILENT (\\Deleted)", "$ NO [NOPERM] no"),
            ("UID EXPUNGE 4", "$ OK"),
            ("UID SEARCH UID 4", "* SEARCH 4\n$ OK"),
        ]);
        let (outcomes, _) = write("MOVE UIDPLUS", vec![taken], job("4", true));
        let why = "4 failed later: nothing can be removed from this mailbox: no";
        assert_eq!(outcomes, ["copied [(4, Some(21))]", why, "finished"]);

        let mut refused = begin.to_vec();
        refused.push(("UID COPY 4 \"B\"", "$ NO [NOPERM] no"));
        let (outcomes, _) = write("MOVE UIDPLUS", vec![refused], job("4", true));
        let why = "4 failed later: the server does not take it over there: no";
        assert_eq!(outcomes, [why, "finished"]);
    }

    #[test]
    fn a_refusal_and_a_loss() {
        let refused = vec![
            OPEN,
            NEXT,
            looked("4"),
            ("UID COPY", "$ NO [TRYCREATE] no such mailbox"),
        ];
        let (outcomes, _) = write("UIDPLUS", vec![refused], job("4", false));
        assert_eq!(
            outcomes,
            [
                "4 failed now: the server does not take it over there: no such mailbox",
                "finished"
            ]
        );

        let cut = vec![OPEN, NEXT, looked("4"), ("UID COPY", "CUT")];
        let again = vec![OPEN];
        let (outcomes, _) = write("UIDPLUS", vec![cut, again], job("4", false));
        assert_eq!(outcomes, ["4 unknown", "finished"]);
    }
}
