//! Flags and keywords of messages.

use std::collections::HashMap;

use super::code::Code;
use super::command::{Command, portions};
use super::conn::Conn;
use super::pipeline::{Event, Pipeline};
use super::quirks;
use super::response::{Data, Reply};
use super::wire::Keep;
use super::write::{ATTEMPTS, Place};
use crate::error::{Failure, Result};
use crate::model::{Flags, Id, IdSet, System};
use crate::store::{Done, Ticket};

/// Messages in one command.
const CHUNK: u64 = 1000;
/// How often a change is made again that does not show in what the server then holds: another client may have taken it back
/// in that moment. What still does not show, the server does not keep, though it says OK (HAZARDS 14).
const REPEATS: u32 = 2;

/// Flags to set and to clear.
pub(super) struct Marks {
    pub(super) ticket: Ticket,
    pub(super) ids: IdSet,
    add: Flags,
    remove: Flags,
    pub(super) attempts: u32,
}

impl Marks {
    pub(super) fn new(ticket: Ticket, ids: IdSet, add: Flags, remove: Flags) -> Self {
        Self {
            ticket,
            ids,
            add,
            remove,
            attempts: 0,
        }
    }
}

/// A STORE, or the look at what came of it.
pub(super) struct Asked {
    ticket: Ticket,
    ids: IdSet,
    store: Option<Store>,
    /// How often it was refused.
    refusals: u32,
}

impl Asked {
    fn new(ticket: Ticket, ids: IdSet, store: Option<Store>) -> Self {
        Self {
            ticket,
            ids,
            store,
            refusals: 0,
        }
    }

    pub(super) fn command(&self) -> Command {
        self.store
            .as_ref()
            .map_or_else(|| look(&self.ids), |store| store.command(&self.ids))
    }

    fn keywords(&self) -> usize {
        self.store.as_ref().map_or(0, |store| store.flags.keywords().len())
    }
}

#[derive(Clone)]
struct Store {
    sign: char,
    flags: Flags,
}

impl Store {
    fn command(&self, ids: &IdSet) -> Command {
        // RFC 9051 §6.4.6; not `.SILENT`, since what the server then holds is what counts (HAZARDS 14).
        Command::new("UID STORE")
            .set(ids)
            .words(format_args!("{}FLAGS", self.sign))
            .flags(&self.flags)
    }

    /// Whether it shows in what a message holds.
    fn shows(&self, held: &Flags) -> bool {
        let missing = match self.sign {
            '+' => self.flags.minus(held),
            _ => self.flags.intersection(held),
        };
        missing.is_empty()
    }
}

/// What the server told.
#[derive(Default)]
pub(super) struct Told {
    flags: HashMap<Id, Flags>,
    /// Messages whose system flags could not be changed, and why.
    refused: Vec<(Ticket, IdSet, Failure)>,
    /// Keywords that were refused, each alone.
    refused_keywords: Flags,
    /// Refusals that are still to be gone into.
    pub(super) again: Vec<(Asked, Reply)>,
}

fn look(ids: &IdSet) -> Command {
    Command::new("UID FETCH").set(ids).words("(FLAGS)")
}

/// What a job asks for: its STOREs, or a look where there is nothing to change.
pub(super) fn questions(place: &Place<'_>, job: &Marks) -> Vec<Asked> {
    let stores = stores(place, job);
    let of = |store: Option<Store>| {
        let portions = portions(&job.ids, CHUNK).into_iter();
        portions.map(move |ids| Asked::new(job.ticket, ids, store.clone()))
    };
    if stores.is_empty() {
        return of(None).collect();
    }
    stores.into_iter().flat_map(|store| of(Some(store))).collect()
}

/// System flags and keywords apart, since one refused flag refuses the whole command (HAZARDS 14); nothing that the
/// mailbox cannot hold.
fn stores(place: &Place<'_>, job: &Marks) -> Vec<Store> {
    let mut stores = Vec::new();
    for (sign, flags) in [('+', &job.add), ('-', &job.remove)] {
        let held = place
            .open
            .permanent
            .as_ref()
            .map_or_else(|| flags.clone(), |permanent| permanent.filter(flags));
        let system = Flags::new(held.system, []);
        let keywords = Flags::new(System::NONE, held.keywords().iter().cloned());
        for flags in [system, keywords] {
            if !flags.is_empty() {
                stores.push(Store { sign, flags });
            }
        }
    }
    stores
}

impl Told {
    /// Goes into refusals, looks at what was not told, makes again what does not show, and answers each job, in the open
    /// mailbox.
    pub(super) fn settle(&mut self, place: &Place<'_>, conn: &mut Conn, jobs: &[&Marks]) -> Result<()> {
        let mut pipeline = Pipeline::new(conn);
        for (asked, reply) in std::mem::take(&mut self.again) {
            self.refused(place, asked, &reply, &mut pipeline)?;
        }
        self.listen(place, &mut pipeline)?;
        let all = jobs.iter().map(|job| (job.ticket, job.ids.clone())).collect();
        self.look(place, &mut pipeline, all)?;
        for _ in 0..REPEATS {
            let mut repeated = Vec::new();
            for asked in jobs.iter().flat_map(|job| self.unshown(place, job)).collect::<Vec<_>>() {
                asked.ids.iter().for_each(|id| drop(self.flags.remove(&id)));
                repeated.push((asked.ticket, asked.ids.clone()));
                pipeline.push(asked.command(), asked);
            }
            self.listen(place, &mut pipeline)?;
            self.look(place, &mut pipeline, repeated)?;
        }
        for job in jobs {
            self.answer(place, job);
        }
        Ok(())
    }

    /// What was not changed is often not told either.
    fn look(&mut self, place: &Place<'_>, pipeline: &mut Pipeline<'_, Asked>, at: Vec<(Ticket, IdSet)>) -> Result<()> {
        for (ticket, ids) in at {
            let untold: IdSet = ids.iter().filter(|id| !self.flags.contains_key(id)).collect();
            for ids in portions(&untold, CHUNK) {
                pipeline.push(look(&ids), Asked::new(ticket, ids, None));
            }
        }
        self.listen(place, pipeline)
    }

    /// What of a job was sent and not refused, and does not show in what the server holds.
    fn unshown(&self, place: &Place<'_>, job: &Marks) -> Vec<Asked> {
        let is_refused = |id: &Id| {
            self.refused
                .iter()
                .any(|(of, ids, _)| *of == job.ticket && ids.contains(*id))
        };
        let mut unshown = Vec::new();
        for mut store in stores(place, job) {
            store.flags = store.flags.minus(&self.refused_keywords);
            let differs = |id: &Id| self.flags.get(id).is_some_and(|held| !store.shows(held));
            let ids: IdSet = job.ids.iter().filter(|id| differs(id) && !is_refused(id)).collect();
            let again = portions(&ids, CHUNK).into_iter();
            unshown.extend(again.map(|ids| Asked::new(job.ticket, ids, Some(store.clone()))));
        }
        unshown
    }

    fn listen(&mut self, place: &Place<'_>, pipeline: &mut Pipeline<'_, Asked>) -> Result<()> {
        loop {
            match pipeline.next(&mut Keep)? {
                None => return Ok(()),
                Some(Event::Data(_, data)) => self.note(&data),
                Some(Event::Done(asked, reply)) if !reply.is_ok() => {
                    self.refused(place, asked, &reply, pipeline)?;
                }
                Some(Event::Done(..)) => {}
            }
        }
    }

    /// Takes note of the flags that a message has.
    pub(super) fn note(&mut self, data: &Data<'_>) {
        if let Data::Fetch(fetch) = data
            && let (Some(id), Some(flags)) = (fetch.uid, &fetch.flags)
        {
            self.flags.insert(id, flags.clone());
        }
    }

    /// Whether nothing was refused, it was told of each message what it holds now, and the change shows in that.
    pub(super) fn is_whole(&self, place: &Place<'_>, job: &Marks) -> bool {
        let is_open = self.again.iter().any(|(asked, _)| asked.ticket == job.ticket);
        !is_open && job.ids.iter().all(|id| self.flags.contains_key(&id)) && self.unshown(place, job).is_empty()
    }

    /// Setting a flag twice does no harm.
    fn refused(
        &mut self,
        place: &Place<'_>,
        mut asked: Asked,
        reply: &Reply,
        pipeline: &mut Pipeline<'_, Asked>,
    ) -> Result<()> {
        if let Some(failure) = pipeline.conn.suspects_pipelining(reply) {
            return Err(failure);
        }
        asked.refusals += 1;
        // "Too many" without a code is most likely about keywords, and stays.
        let is_told = asked.keywords() == 0 || matches!(reply.code, Code::Other(_));
        if is_told && asked.refusals < ATTEMPTS && place.account.rest(reply, asked.refusals)? {
            pipeline.push(asked.command(), asked);
            return Ok(());
        }
        let Some(store) = asked.store else { return Ok(()) };
        let keywords = store.flags.keywords();
        if keywords.is_empty() {
            let failure = if quirks::is_about_rights(reply) {
                let what = format!("these flags cannot be changed in this mailbox: {}", reply.text);
                quirks::without_rights(Failure::mailbox(what))
            } else {
                Failure::message(format!("its flags cannot be changed: {}", reply.text))
            };
            self.refused.push((asked.ticket, asked.ids, failure));
        } else if keywords.len() > 1 {
            for keyword in keywords {
                let store = Store {
                    sign: store.sign,
                    flags: Flags::new(System::NONE, [keyword.clone()]),
                };
                let command = store.command(&asked.ids);
                pipeline.push(command, Asked::new(asked.ticket, asked.ids.clone(), Some(store)));
            }
        } else {
            // That it is not set shows in what the server holds then.
            self.refused_keywords = self.refused_keywords.union(&store.flags);
        }
        Ok(())
    }

    /// Answers a job of which all was told that will be.
    pub(super) fn answer(&self, place: &Place<'_>, job: &Marks) {
        let mut left = job.ids.clone();
        for (ticket, ids, failure) in &self.refused {
            if *ticket == job.ticket {
                left = left.difference(ids);
                place
                    .answers
                    .send(job.ticket, Done::Failed(ids.clone(), failure.clone()));
            }
        }
        let held: Vec<(Id, Flags)> = left
            .iter()
            .filter_map(|id| Some((id, self.flags.get(&id)?.clone())))
            .collect();
        let gone: IdSet = left.iter().filter(|id| !self.flags.contains_key(id)).collect();
        if !held.is_empty() {
            place.answers.send(job.ticket, Done::Flags(held));
        }
        place.answers.about(job.ticket, gone, Done::Gone);
        place.answers.send(job.ticket, Done::Finished);
    }
}

#[cfg(test)]
mod tests {
    use crate::imap::script::{Line, mailbox, write};
    use crate::model::Flags;
    use crate::store::{Ticket, WriteJob};

    const OPEN: Line = (
        "SELECT \"A\"",
        "* 3 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [PERMANENTFLAGS (\\Seen \\Draft one two)] p\n$ OK open",
    );

    fn job(ids: &str, add: &str, remove: &str) -> WriteJob {
        let flags = |names: &str| Flags::from_names(names.split_whitespace());
        WriteJob::Flags {
            ticket: Ticket(1),
            mailbox: mailbox("A"),
            ids: ids.parse().unwrap(),
            add: flags(add),
            remove: flags(remove),
        }
    }

    #[test]
    fn what_the_mailbox_holds_goes_out_and_what_it_then_holds_comes_back() {
        let scene = vec![
            OPEN,
            (
                "UID STORE 4:6 +FLAGS (\\Seen)",
                "* 1 FETCH (UID 4 FLAGS (\\Seen))\n$ OK",
            ),
            (
                "UID STORE 4:6 +FLAGS (one)",
                "* 1 FETCH (UID 4 FLAGS (\\Seen one))\n$ OK",
            ),
            ("UID STORE 4:6 -FLAGS (\\Draft)", "$ OK"),
            ("UID FETCH 5:6 (FLAGS)", "* 2 FETCH (FLAGS (\\Seen one) UID 5)\n$ OK"),
        ];
        let (outcomes, _) = write(
            "",
            vec![scene],
            vec![job("4:6", "\\Seen \\Flagged one three", "\\Draft")],
        );
        assert_eq!(
            outcomes,
            ["flags [(4, (\\Seen one)), (5, (\\Seen one))]", "6 gone", "finished"]
        );
    }

    #[test]
    fn what_another_client_took_back_in_that_moment_is_made_again() {
        let scene = vec![
            OPEN,
            (
                "UID STORE 4:5 +FLAGS (\\Seen)",
                "* 1 FETCH (UID 4 FLAGS (\\Seen))\n* 2 FETCH (UID 5 FLAGS (\\Seen))\n$ OK",
            ),
            (
                "UID STORE 4:5 -FLAGS (\\Draft)",
                "* 1 FETCH (UID 4 FLAGS ())\n* 2 FETCH (UID 5 FLAGS (\\Seen \\Draft))\n$ OK",
            ),
            ("UID STORE 4 +FLAGS (\\Seen)", "* 1 FETCH (UID 4 FLAGS (\\Seen))\n$ OK"),
            ("UID STORE 5 -FLAGS (\\Draft)", "$ OK"),
            ("UID FETCH 5 (FLAGS)", "* 2 FETCH (UID 5 FLAGS (\\Seen))\n$ OK"),
        ];
        let (outcomes, _) = write("", vec![scene], vec![job("4:5", "\\Seen", "\\Draft")]);
        assert_eq!(outcomes, ["flags [(4, (\\Seen)), (5, (\\Seen))]", "finished"]);
    }

    #[test]
    fn what_the_server_takes_with_ok_and_does_not_keep_is_told_as_it_is() {
        let nothing = ("UID STORE 4 +FLAGS (\\Seen)", "* 1 FETCH (UID 4 FLAGS ())\n$ OK");
        let (outcomes, _) = write(
            "",
            vec![vec![OPEN, nothing, nothing, nothing]],
            vec![job("4", "\\Seen", "")],
        );
        assert_eq!(outcomes, ["flags [(4, ())]", "finished"]);
    }

    #[test]
    fn a_refused_keyword_takes_no_other_flag_with_it() {
        let scene = vec![
            OPEN,
            ("UID STORE 4 +FLAGS (\\Seen)", "* 1 FETCH (UID 4 FLAGS (\\Seen))\n$ OK"),
            ("UID STORE 4 +FLAGS (one two)", "$ NO too many"),
            ("UID STORE 4 +FLAGS (one)", "$ NO too many"),
            ("UID STORE 4 +FLAGS (two)", "* 1 FETCH (UID 4 FLAGS (\\Seen two))\n$ OK"),
        ];
        let (outcomes, _) = write("", vec![scene], vec![job("4", "\\Seen one two", "")]);
        assert_eq!(outcomes, ["flags [(4, (\\Seen two))]", "finished"]);
    }

    #[test]
    fn refused_system_flags_are_told() {
        let scene = vec![
            OPEN,
            ("UID STORE 4 +FLAGS (\\Seen)", "$ NO not yours"),
            ("UID FETCH 4 (FLAGS)", "* 1 FETCH (UID 4 FLAGS ())\n$ OK"),
        ];
        let (outcomes, _) = write("", vec![scene], vec![job("4", "\\Seen", "")]);
        assert_eq!(
            outcomes,
            ["4 failed later: its flags cannot be changed: not yours", "finished"]
        );
    }

    #[test]
    fn a_lost_connection_does_no_harm() {
        let again = vec![
            OPEN,
            ("UID STORE 4 +FLAGS (\\Seen)", "* 1 FETCH (UID 4 FLAGS (\\Seen))\n$ OK"),
        ];
        let cut = vec![OPEN, ("UID STORE", "CUT")];
        let (outcomes, _) = write("", vec![cut, again], vec![job("4", "\\Seen", "")]);
        assert_eq!(outcomes, ["flags [(4, (\\Seen))]", "finished"]);
    }
}
