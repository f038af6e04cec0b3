//! Whether messages still are the ones that are meant (HAZARDS 10): a server restored from a backup gives old ids to other
//! mail.

use std::collections::HashMap;

use super::command::{Command, portions};
use super::conn::Conn;
use super::pipeline::{Event, Pipeline};
use super::pool::Account;
use super::response::{Data, Fetch, StatusItems};
use super::survey::key;
use super::wire::Keep;
use super::write::ATTEMPTS;
use crate::error::{Failure, Result};
use crate::model::{Id, IdSet, InternalDate, Known, RawName};
use crate::store::Done;

/// What a message looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Look {
    pub(super) size: Option<u64>,
    pub(super) date: Option<InternalDate>,
}

impl Look {
    fn of(fetch: &Fetch<'_>) -> Self {
        Self {
            size: fetch.size,
            date: fetch.date,
        }
    }

    /// Whether nothing that is known of the message speaks against it.
    fn agrees(&self, known: &Known) -> bool {
        fn same<T: PartialEq + Copy>(told: Option<T>, known: Option<T>) -> bool {
            told.is_none() || known.is_none() || told == known
        }
        same(self.size, known.size) && same(self.date, known.date)
    }
}

/// Messages by what became of them.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// They are what they were.
    pub(super) same: HashMap<Id, Look>,
    /// They are others.
    pub(super) differs: IdSet,
    /// They are not there.
    pub(super) gone: IdSet,
    /// They may be there; the server did not show them.
    pub(super) unproven: IdSet,
    /// UIDNEXT of the mailbox that was asked about beside it.
    pub(super) next: Option<Id>,
}

impl Proof {
    /// What a glance that has all of the messages proves; it then forgets them.
    pub(super) fn at_a_glance(messages: &[Known], glance: &mut Glance) -> Self {
        let mut proof = Self::default();
        glance.asked = messages
            .iter()
            .fold(std::mem::take(&mut glance.asked), |mut asked, known| {
                asked.remove(known.id);
                asked
            });
        proof.judge(messages, glance);
        proof
    }

    fn judge(&mut self, messages: &[Known], glance: &mut Glance) {
        for known in messages {
            match glance.looks.remove(&known.id) {
                None => {}
                Some(look) if look.agrees(known) => drop(self.same.insert(known.id, look)),
                Some(_) => drop(self.differs.insert(known.id)),
            }
        }
    }

    /// The ids of those that are the same.
    pub(super) fn ids(&self) -> IdSet {
        self.same.keys().copied().collect()
    }
}

/// What was seen of an open mailbox before it was asked for: in the round trip that opened it.
#[derive(Debug, Default)]
pub(super) struct Glance {
    looks: HashMap<Id, Look>,
    /// Messages that were asked for, shown or not.
    asked: IdSet,
    /// UIDNEXT of other mailboxes, by [`key`].
    next: HashMap<Vec<u8>, Id>,
}

impl Glance {
    /// The commands for what was not asked for yet.
    pub(super) fn commands(&mut self, ids: &IdSet, next_of: Option<&RawName>) -> Vec<Command> {
        let status = next_of.filter(|mailbox| !self.next.contains_key(&key(mailbox.as_bytes())));
        let status = status.map(|mailbox| Command::new("STATUS").mailbox(mailbox).words("(UIDNEXT)"));
        let unasked = ids.difference(&self.asked);
        self.asked = self.asked.union(&unasked);
        let fetch = |portion| look(&portion);
        status
            .into_iter()
            .chain(portions(&unasked, 1000).into_iter().map(fetch))
            .collect()
    }

    /// Whether each of the messages was shown.
    pub(super) fn has_all(&self, messages: &[Known]) -> bool {
        messages.iter().all(|known| self.looks.contains_key(&known.id))
    }

    /// Those of the messages that were not shown.
    fn unseen(&self, ids: &IdSet) -> IdSet {
        ids.iter().filter(|id| !self.looks.contains_key(id)).collect()
    }

    pub(super) fn note(&mut self, data: &Data<'_>) {
        match data {
            Data::Fetch(fetch) => {
                // Lines without a size are about a flag that somebody changed.
                if let (Some(id), Some(_)) = (fetch.uid, fetch.size) {
                    self.looks.insert(id, Look::of(fetch));
                }
            }
            Data::MailboxStatus(
                name,
                StatusItems {
                    uidnext: Some(next), ..
                },
            ) => {
                self.next.insert(key(name), *next);
            }
            _ => {}
        }
    }
}

/// Looks at messages of the open mailbox, and in the same round trip at the UIDNEXT of another one; not at what `glance`
/// has, which then forgets it.
pub(super) fn prove(
    account: &Account,
    conn: &mut Conn,
    messages: &[Known],
    next_of: Option<&RawName>,
    glance: &mut Glance,
) -> Result<Proof> {
    let ids: IdSet = messages.iter().map(|known| known.id).collect();
    let mut pipeline = Pipeline::new(conn);
    for command in glance.commands(&ids, next_of) {
        pipeline.push(command, ());
    }
    while let Some(event) = pipeline.next(&mut Keep)? {
        if let Event::Data(_, data) = event {
            glance.note(&data);
        }
    }
    let next = next_of.and_then(|mailbox| glance.next.remove(&key(mailbox.as_bytes())));
    // Whoever asks again wants to know how it is then.
    glance.asked = glance.asked.difference(&ids);
    drop(pipeline);
    // HAZARDS 9: a line that is missing, or a refusal, says nothing yet.
    let unseen = glance.unseen(&ids);
    let still = still_there(conn, &unseen)?;
    look_again(account, conn, &still, glance)?;
    let mut proof = Proof {
        next,
        gone: unseen.difference(&still),
        unproven: glance.unseen(&still),
        ..Proof::default()
    };
    proof.judge(messages, glance);
    Ok(proof)
}

/// Looks once more at what is there and was not shown; patiently, where that was refused.
fn look_again(account: &Account, conn: &mut Conn, ids: &IdSet, glance: &mut Glance) -> Result<()> {
    for nth in 1..=ATTEMPTS {
        let mut refusal = None;
        for portion in portions(&glance.unseen(ids), 1000) {
            let reply = conn.ask(look(&portion), |data| glance.note(&data))?;
            refusal = refusal.or((!reply.is_ok()).then_some(reply));
        }
        match refusal {
            Some(reply) if nth < ATTEMPTS && account.rest(&reply, nth)? => {}
            _ => break,
        }
    }
    Ok(())
}

fn look(ids: &IdSet) -> Command {
    Command::new("UID FETCH")
        .set(ids)
        .words("(UID RFC822.SIZE INTERNALDATE)")
}

/// The answer about messages that could not be looked at.
pub(super) fn unseen(ids: IdSet) -> Done {
    let what = "the server does not show whether it still is the message that is meant";
    Done::Failed(ids, Failure::message(what))
}

/// Which of these messages are in the open mailbox; all of them when the server does not say.
pub(super) fn still_there(conn: &mut Conn, ids: &IdSet) -> Result<IdSet> {
    let mut found = IdSet::new();
    for portion in portions(ids, 1000) {
        let reply = conn.ask(Command::new("UID SEARCH UID").set(&portion), |data| {
            if let Data::Search(ids) = data {
                found = found.union(&ids);
            }
        })?;
        if !reply.is_ok() {
            found = found.union(&portion);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_against_a_message() {
        let known = |size, date: Option<i64>| Known {
            id: 1,
            size,
            date: date.map(InternalDate),
            content: None,
        };
        let look = Look {
            size: Some(10),
            date: Some(InternalDate(5)),
        };
        for (known, same) in [
            (known(Some(10), Some(5)), true),
            (known(None, None), true),
            (known(None, Some(5)), true),
            (known(Some(11), Some(5)), false),
            (known(Some(10), Some(6)), false),
        ] {
            assert_eq!(look.agrees(&known), same, "{known:?}");
        }
        let dateless = Look { date: None, ..look };
        assert!(dateless.agrees(&known(Some(10), Some(0))));
    }
}
