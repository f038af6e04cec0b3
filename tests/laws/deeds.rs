//! What users do on both sides, at random.

use std::collections::BTreeMap;

use homing::model::{Flags, InternalDate};
use proptest::prelude::*;

use crate::memory::{Memory, Message};

pub(crate) const MAILBOXES: [&str; 4] = ["INBOX", "Work", "Work/2026", "Lists"];
const FLAGS: [&str; 5] = ["\\Seen", "\\Flagged", "\\Answered", "$Forwarded", "todo"];

/// Something a user does on one side.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Add {
        mailbox: usize,
        seen: bool,
    },
    Flag {
        mailbox: usize,
        nth: usize,
        flag: usize,
        set: bool,
    },
    Remove {
        mailbox: usize,
        nth: usize,
    },
    Move {
        from: usize,
        nth: usize,
        to: usize,
    },
    Copy {
        from: usize,
        nth: usize,
        to: usize,
    },
    Create {
        mailbox: usize,
    },
    Delete {
        mailbox: usize,
    },
    /// With its inferiors, unless the name is taken.
    Rename {
        mailbox: usize,
        to: usize,
    },
    /// Two mailboxes take each other's name; their inferiors stay.
    Swap {
        one: usize,
        other: usize,
    },
    /// The ids mean nothing any more.
    Renew {
        mailbox: usize,
    },
}

/// The side and what is done there; `None`: the same message is put into the mailbox of both sides by hand.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    One(usize, Deed),
    AddBoth { mailbox: usize, flag: usize },
}

/// Everything that anybody can do.
pub(crate) fn deed() -> impl Strategy<Value = Deed> {
    let (mailbox, nth, flag) = (0..MAILBOXES.len(), 0..6usize, 0..FLAGS.len());
    prop_oneof![
        5 => (mailbox.clone(), any::<bool>()).prop_map(|(mailbox, seen)| Deed::Add { mailbox, seen }),
        3 => (mailbox.clone(), nth.clone(), flag, any::<bool>())
            .prop_map(|(mailbox, nth, flag, set)| Deed::Flag { mailbox, nth, flag, set }),
        3 => (mailbox.clone(), nth.clone()).prop_map(|(mailbox, nth)| Deed::Remove { mailbox, nth }),
        3 => (mailbox.clone(), nth.clone(), mailbox.clone()).prop_map(|(from, nth, to)| Deed::Move { from, nth, to }),
        1 => (mailbox.clone(), nth, mailbox.clone()).prop_map(|(from, nth, to)| Deed::Copy { from, nth, to }),
        1 => mailbox.clone().prop_map(|mailbox| Deed::Create { mailbox }),
        1 => (1..MAILBOXES.len()).prop_map(|mailbox| Deed::Delete { mailbox }),
        1 => (1..MAILBOXES.len(), 1..MAILBOXES.len()).prop_map(|(mailbox, to)| Deed::Rename { mailbox, to }),
        1 => (1..MAILBOXES.len(), 1..MAILBOXES.len()).prop_map(|(one, other)| Deed::Swap { one, other }),
    ]
}

/// What happens on either side, changed ids included.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    let (side, mailbox) = (0..2usize, 0..MAILBOXES.len());
    prop_oneof![
        17 => (side.clone(), deed()).prop_map(|(side, deed)| Event::One(side, deed)),
        1 => (side, mailbox.clone()).prop_map(|(side, mailbox)| Event::One(side, Deed::Renew { mailbox })),
        1 => (mailbox, 0..FLAGS.len()).prop_map(|(mailbox, flag)| Event::AddBoth { mailbox, flag }),
    ]
}

/// What users did with each content.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Life {
    /// How often it was put somewhere, as a copy too.
    pub born: u32,
    /// How often one was deleted.
    pub removed: u32,
}

/// Makes messages and keeps count of them.
#[derive(Default)]
pub(crate) struct Author {
    made: u32,
    /// Some ids changed their meaning.
    pub renewed: bool,
    /// Some run brought back what was removed.
    pub brought_back: bool,
    pub lives: BTreeMap<String, Life>,
}

impl Author {
    /// Every third message has no Message-ID, every fifth shares its header with the one before.
    fn message(&mut self, seen: bool) -> Message {
        self.made += 1;
        let n = self.made;
        let named = if n.is_multiple_of(5) { n - 1 } else { n };
        let id = if n.is_multiple_of(3) {
            String::new()
        } else {
            format!("Message-ID: <{named}@example.org>\r\n")
        };
        // Each body has a length of its own: header and size together are taken as proof (DESIGN 5).
        let padding = "x".repeat(n as usize);
        let body = format!("{id}Subject: {named}\r\n\r\n{padding}\r\nbody {n}\r\n").into_bytes();
        let flags = if seen {
            Flags::from_names(["\\Seen"])
        } else {
            Flags::none()
        };
        Message {
            flags,
            date: InternalDate(i64::from(n)),
            body,
        }
    }

    fn life(&mut self, message: &Message) -> &mut Life {
        self.lives
            .entry(String::from_utf8_lossy(&message.body).into_owned())
            .or_default()
    }

    pub(crate) fn event(&mut self, stores: [&Memory; 2], event: &Event) {
        match event {
            Event::One(side, deed) => self.act(stores[*side], deed),
            Event::AddBoth { mailbox, flag } => {
                let message = self.message(false);
                let flagged = Message {
                    flags: Flags::from_names([FLAGS[*flag]]),
                    ..message.clone()
                };
                for (store, message) in stores.into_iter().zip([message, flagged]) {
                    if store.add(MAILBOXES[*mailbox], message.clone()).is_some() {
                        self.life(&message).born += 1;
                    }
                }
            }
        }
    }

    fn act(&mut self, store: &Memory, deed: &Deed) {
        store.settle();
        match *deed {
            Deed::Add { mailbox, seen } => {
                let message = self.message(seen);
                if store.add(MAILBOXES[mailbox], message.clone()).is_some() {
                    self.life(&message).born += 1;
                }
            }
            Deed::Flag {
                mailbox,
                nth,
                flag,
                set,
            } => {
                let flag = Flags::from_names([FLAGS[flag]]);
                store.flag(MAILBOXES[mailbox], nth, |flags| {
                    *flags = if set { flags.union(&flag) } else { flags.minus(&flag) };
                });
            }
            Deed::Remove { mailbox, nth } => {
                if let Some(gone) = store.remove(MAILBOXES[mailbox], nth) {
                    self.life(&gone).removed += 1;
                }
            }
            Deed::Move { from, nth, to } => {
                store.carry(MAILBOXES[from], nth, MAILBOXES[to], true);
            }
            Deed::Copy { from, nth, to } => {
                if let Some(copied) = store.carry(MAILBOXES[from], nth, MAILBOXES[to], false) {
                    self.life(&copied).born += 1;
                }
            }
            Deed::Create { mailbox } => store.create(MAILBOXES[mailbox]),
            Deed::Delete { mailbox } => {
                let contents = store.contents();
                for gone in contents.get(MAILBOXES[mailbox]).into_iter().flatten() {
                    self.life(gone).removed += 1;
                }
                store.delete(MAILBOXES[mailbox]);
            }
            Deed::Rename { mailbox, to } => {
                store.rename(MAILBOXES[mailbox], MAILBOXES[to]);
            }
            Deed::Swap { one, other } => {
                store.swap(MAILBOXES[one], MAILBOXES[other]);
            }
            Deed::Renew { mailbox } => {
                self.renewed = true;
                store.renew(MAILBOXES[mailbox]);
            }
        }
    }
}
