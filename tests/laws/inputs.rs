//! What the planner can be told, at random: mailboxes that either side lost, renamed or could not read, messages of the base
//! and what became of them on each side, messages that the base does not know, and any policy.

use std::collections::BTreeMap;

use homing::model::{
    Bounds, ContentDigest, Envelope, EnvelopeKey, Flags, Gone, Half, HeaderDigest, Id, InternalDate, MailboxId,
    MailboxPath, ObjectId, Pair, PairId, Side,
};
use homing::plan::{
    Adoption, Base, Input, Limits, Naming, Now, Policy, Presence, Refused, Rename, Touched, Trash, View, Waiting,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::history::policy;

const NAMES: [&str; 5] = ["INBOX", "Work", "Work/2026", "Lists", "Trash"];
const TRASH: usize = 4;
const FLAGS: [&str; 4] = ["", "\\Seen", "\\Flagged todo", "\\Deleted"];

/// A mailbox: what is known of it beyond its messages.
#[derive(Clone, Debug)]
struct Place {
    at: [Presence; 2],
    acted_on: bool,
    closed: [bool; 2],
    refused: [(bool, bool, u64); 2],
    renamed_to: [Option<usize>; 2],
    agreed: bool,
}

/// What became of a message of the base on one side.
#[derive(Clone, Copy, Debug)]
enum Fate {
    AsBase,
    Flags(usize),
    Gone(Gone),
    /// Gone before its id there was ever known.
    NeverSeen,
    /// Gone, and new in that mailbox with these flags.
    Moved(usize, usize),
    /// There, and new in that mailbox.
    Copied(usize),
    /// Its id means nothing any more, or it was sent and the answer did not tell its id.
    Void {
        told_as_new: bool,
        sent: bool,
    },
}

/// A message of the base, or one that it does not know.
#[derive(Clone, Debug)]
enum Mail {
    Paired {
        mailbox: usize,
        content: u8,
        flags: usize,
        is: [Fate; 2],
    },
    New {
        side: usize,
        mailbox: usize,
        content: u8,
        flags: usize,
        resting: bool,
    },
}

/// How a side tells of its messages.
#[derive(Clone, Copy, Debug)]
struct Telling {
    /// As a Maildir does.
    content: bool,
    header: bool,
    object: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Draft {
    places: Vec<Place>,
    mail: Vec<Mail>,
    telling: [Telling; 2],
    policy: Policy,
    bounds: Bounds,
    limits: (u64, u64),
    base: Base,
    tie: Side,
    settled: [bool; 2],
    /// And whether what is marked was held.
    expunge: (Option<Side>, bool),
    trash: [Option<bool>; 2],
}

fn place() -> impl Strategy<Value = Place> {
    let presence = || {
        prop_oneof![
            12 => Just(Presence::There),
            1 => Just(Presence::Unknown),
            2 => Just(Presence::Gone),
            1 => Just(Presence::Never),
        ]
    };
    let name = || prop_oneof![9 => Just(None), 1 => (1..NAMES.len()).prop_map(Some)];
    // Flags, removals, and every message whose id this divides, if it is small.
    let refused = || (prop::bool::weighted(0.1), prop::bool::weighted(0.1), 1..20_u64);
    (
        [presence(), presence()],
        prop::bool::weighted(0.9),
        [name(), name()],
        any::<bool>(),
        [prop::bool::weighted(0.1), prop::bool::weighted(0.1)],
        [refused(), refused()],
    )
        .prop_map(|(at, acted_on, renamed_to, agreed, closed, refused)| Place {
            at,
            acted_on,
            closed,
            refused,
            renamed_to,
            agreed,
        })
}

fn fate() -> impl Strategy<Value = Fate> {
    let (mailbox, flags) = (0..NAMES.len(), 0..FLAGS.len());
    prop_oneof![
        6 => Just(Fate::AsBase),
        3 => flags.clone().prop_map(Fate::Flags),
        3 => prop_oneof![3 => Just(Gone::No), 1 => Just(Gone::Pending), 1 => Just(Gone::Held)].prop_map(Fate::Gone),
        1 => Just(Fate::NeverSeen),
        3 => (mailbox.clone(), flags).prop_map(|(to, flags)| Fate::Moved(to, flags)),
        1 => mailbox.prop_map(Fate::Copied),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(told_as_new, sent)| Fate::Void { told_as_new, sent }),
    ]
}

fn mail() -> impl Strategy<Value = Mail> {
    let (mailbox, content, flags) = (0..NAMES.len(), 0..5u8, 0..FLAGS.len());
    let resting = prop::bool::weighted(0.15);
    prop_oneof![
        3 => (mailbox.clone(), content.clone(), flags.clone(), [fate(), fate()])
            .prop_map(|(mailbox, content, flags, is)| Mail::Paired { mailbox, content, flags, is }),
        1 => (0..2usize, mailbox, content, flags, resting)
            .prop_map(|(side, mailbox, content, flags, resting)| Mail::New { side, mailbox, content, flags, resting }),
    ]
}

pub(crate) fn draft() -> impl Strategy<Value = Draft> {
    let telling = || {
        (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(content, header, object)| Telling {
            content,
            header: header || content,
            object: object && !content,
        })
    };
    let base = prop_oneof![6 => Just(Base::Agreed), 1 => Just(Base::Unfinished), 1 => Just(Base::Old)];
    let tie = prop_oneof![Just(Side::Left), Just(Side::Right)];
    let settled = || prop::bool::weighted(0.9);
    let mails = prop_oneof![5 => vec(mail(), 0..10), 1 => vec(mail(), 20..50)];
    let most = prop_oneof![3 => Just(None), 1 => (1..5u64).prop_map(Some)];
    let since = prop_oneof![5 => Just(None), 1 => (0..10i64).prop_map(|nth| Some(InternalDate(nth)))];
    let bounds = (most, since).prop_map(|(max_size, since)| Bounds { max_size, since });
    // A side's trash, and whether one can tell where it is.
    let trash = || prop_oneof![2 => Just(None), 3 => Just(Some(true)), 1 => Just(Some(false))];
    let first = prop_oneof![1 => Just(None), 1 => Just(Some(Side::Left)), 1 => Just(Some(Side::Right))];
    let expunge = (first, prop::bool::weighted(0.1));
    let rest = (base, tie, [settled(), settled()], bounds, ([trash(), trash()], expunge));
    let known = (
        [telling(), telling()],
        (policy(), any::<bool>(), any::<bool>()),
        (0..4u64, 0..100u64),
    );
    (vec(place(), NAMES.len()), mails, known, rest).prop_map(
        |(
            places,
            mail,
            (telling, (policy, allow_deletes, undo_held), limits),
            (base, tie, settled, bounds, (trash, expunge)),
        )| {
            let mut policy = policy;
            policy.allow_deletes = allow_deletes;
            policy.sides[0].undo_held |= undo_held;
            Draft {
                places,
                mail,
                telling,
                policy,
                bounds,
                limits,
                base,
                tie,
                settled,
                expunge,
                trash,
            }
        },
    )
}

/// An input under way.
struct Making {
    views: Vec<View>,
    telling: [Telling; 2],
    bounds: Bounds,
    known: Vec<Pair>,
    ids: BTreeMap<(usize, usize), Id>,
}

impl Draft {
    pub(crate) fn input(&self) -> Input {
        let mut making = Making {
            views: (0..NAMES.len()).map(|nth| self.view(nth)).collect(),
            telling: self.telling,
            bounds: self.bounds,
            known: Vec::new(),
            ids: BTreeMap::new(),
        };
        for (nth, mail) in self.mail.iter().enumerate() {
            making.put(nth, mail);
        }
        let pairs = making.views.iter().map(|view| view.pairs).sum();
        let trash = Side::BOTH.map(|side| making.trash(side as usize, self.trash[side as usize]));
        Input {
            mailboxes: making.views,
            policy: self.policy,
            limits: Limits {
                empty_guard: self.limits.0,
                max_delete_percent: self.limits.1,
                pairs,
                // Only a Maildir is adopted: the one thing that the sides do not share.
                adopting: Adoption::No,
                marked_held: self.expunge.1,
            },
            known: making.known,
            base: self.base,
            tie: self.tie,
            expunge: self.expunge.0,
            trash,
            settled: self.settled,
            obscured: Default::default(),
        }
    }

    fn view(&self, nth: usize) -> View {
        let place = &self.places[nth];
        let name = |nth: usize| MailboxPath::parse(NAMES[nth]).unwrap();
        // Nobody loses the INBOX.
        let at = place.at.map(|at| {
            if nth == 0 && at != Presence::Unknown {
                Presence::There
            } else {
                at
            }
        });
        let renames = Side::BOTH.map(|side| {
            let to = place.renamed_to[side as usize].filter(|_| at[side as usize] == Presence::There && nth != 0)?;
            let (from, to) = (name(to).clone(), name(nth));
            (from != to).then_some(Rename {
                from,
                to,
                why: "renamed",
            })
        });
        let [left, right] = at.map(|at| at == Presence::There);
        let outlived = match at {
            [Presence::There, Presence::Gone] if place.agreed => Some(Side::Left),
            [Presence::Gone, Presence::There] if place.agreed => Some(Side::Right),
            _ => None,
        };
        View {
            id: MailboxId(nth as u32),
            path: name(nth),
            naming: Naming {
                renames,
                agreed: left && right && place.agreed,
                outlived,
            },
            at,
            acted_on: place.acted_on,
            emptied_often: nth == TRASH,
            pairs: 0,
            added: Default::default(),
            resting: Default::default(),
            closed: place.closed,
            refused: place.refused.map(|(flags, removals, nth)| Refused {
                flags,
                removals,
                messages: (1..100).filter(|id| id % nth == 0 && nth < 4).collect(),
            }),
            waiting: Default::default(),
            beyond: Default::default(),
            touched: Vec::new(),
            marked: Vec::new(),
        }
    }
}

impl Making {
    /// A new id; the sides count in other ways.
    fn id(&mut self, mailbox: usize, side: usize) -> Id {
        let count = self.ids.entry((mailbox, side)).or_default();
        *count += 1;
        if side == 0 { *count } else { 100 - *count }
    }

    fn trash(&self, side: usize, chosen: Option<bool>) -> Trash {
        let view = &self.views[TRASH];
        match chosen {
            None => Trash::None,
            Some(true) => Trash::Mailbox {
                id: view.id,
                path: view.path.clone(),
                exists: view.at[side] == Presence::There,
            },
            Some(false) => Trash::Unknown("nobody knows where the trash is"),
        }
    }

    fn there(&self, mailbox: usize, side: usize) -> bool {
        self.views[mailbox].at[side] == Presence::There
    }

    fn put(&mut self, nth: usize, mail: &Mail) {
        match *mail {
            Mail::New {
                side,
                mailbox,
                content,
                flags,
                resting,
            } => self.arrive(mailbox, side, content, nth, flags, resting),
            Mail::Paired {
                mailbox,
                content,
                flags,
                is,
            } => self.paired(nth, mailbox, content, flags, is),
        }
    }

    fn arrive(&mut self, mailbox: usize, side: usize, content: u8, date: usize, flags: usize, resting: bool) {
        if !self.there(mailbox, side) {
            return;
        }
        let id = self.id(mailbox, side);
        let telling = self.telling[side];
        let named = !content.is_multiple_of(3);
        let envelope = Envelope {
            mailbox: MailboxId(mailbox as u32),
            id,
            flags: Flags::from_names(FLAGS[flags].split_whitespace()),
            date: InternalDate(date as i64),
            size: size_of(content),
            marks: 0,
            envelope: named.then(|| key_of(content)),
            header: telling.header.then(|| header_of(content)),
            content: telling.content.then_some(ContentDigest([content; 16])),
            object: telling.object.then(|| object_of(content)),
        };
        let view = &mut self.views[mailbox];
        let ids = if resting { &mut view.resting } else { &mut view.added };
        ids[side].insert(id);
        if let Some(reason) = self.bounds.beyond(envelope.size, envelope.date).filter(|_| !resting) {
            let beyond = view.beyond[side].entry(reason).or_default();
            beyond.push((id, envelope.size));
            beyond.sort_unstable();
        }
        view.waiting[side].push(Waiting::New(envelope));
    }

    fn paired(&mut self, nth: usize, mailbox: usize, content: u8, flags: usize, mut is: [Fate; 2]) {
        let at = self.views[mailbox].at;
        if at.contains(&Presence::Never) {
            return;
        }
        for side in [0, 1] {
            match at[side] {
                Presence::Gone if !matches!(is[side], Fate::Moved(..)) => is[side] = Fate::Gone(Gone::No),
                Presence::Unknown => is[side] = Fate::AsBase,
                _ => {}
            }
        }
        // A row whose ids both mean nothing has nothing to be found by, and the state drops it.
        let nameless = |is: Fate| matches!(is, Fate::Void { .. } | Fate::NeverSeen);
        if nameless(is[0]) && nameless(is[1]) {
            is[1] = Fate::AsBase;
        }
        let half = |making: &mut Self, side: usize| Half {
            id: (!nameless(is[side])).then(|| making.id(mailbox, side)),
            flags: Flags::from_names(FLAGS[flags].split_whitespace()),
            unseen: matches!(is[side], Fate::Void { sent: true, .. }),
            gone: if let Fate::Gone(gone) = is[side] {
                gone
            } else {
                Gone::No
            },
            size: Some(size_of(content)),
            date: Some(InternalDate(nth as i64)),
            object: making.telling[side].object.then(|| object_of(content)),
        };
        let halves = [half(self, 0), half(self, 1)];
        let pair = Pair {
            id: PairId(nth as i64 + 1),
            mailbox: MailboxId(mailbox as u32),
            halves,
            size: size_of(content),
            content: ContentDigest([content; 16]),
            header: header_of(content),
            envelope: (!content.is_multiple_of(3)).then(|| key_of(content)),
        };
        let now = is.map(|is| match is {
            Fate::Flags(flags) => Now::Flags(Flags::from_names(FLAGS[flags].split_whitespace())),
            Fate::Gone(_) | Fate::NeverSeen | Fate::Moved(..) => Now::Gone,
            Fate::AsBase | Fate::Copied(_) | Fate::Void { .. } => Now::AsBase,
        });
        let view = &mut self.views[mailbox];
        view.pairs += 1;
        for side in [0, 1] {
            // Where it still is it waits for the other side's copy, unless it is gone there too.
            if nameless(is[1 - side]) && now[side] != Now::Gone && view.at == [Presence::There; 2] {
                view.waiting[side].push(Waiting::Void(Box::new(pair.clone())));
            }
        }
        if now != [Now::AsBase, Now::AsBase] {
            let pair = pair.clone();
            view.touched.push(Touched { pair, now });
        }
        let is_marked = FLAGS[flags] == "\\Deleted" && is.iter().all(|is| matches!(is, Fate::AsBase | Fate::Copied(_)));
        if is_marked && view.at == [Presence::There; 2] {
            view.marked.push(pair.clone());
        }
        self.known.push(pair);
        for side in [0, 1] {
            match is[side] {
                Fate::Moved(to, flags) => self.arrive(to, side, content, nth, flags, false),
                Fate::Copied(to) => self.arrive(to, side, content, nth, flags, false),
                Fate::Void { told_as_new: true, .. } => self.arrive(mailbox, side, content, nth, flags, false),
                _ => {}
            }
        }
    }
}

/// Two contents share a header, and two a size.
fn header_of(content: u8) -> HeaderDigest {
    HeaderDigest([content.max(1); 16])
}

fn key_of(content: u8) -> EnvelopeKey {
    EnvelopeKey([content.max(1); 16])
}

fn size_of(content: u8) -> u64 {
    u64::from(content.max(1))
}

fn object_of(content: u8) -> ObjectId {
    ObjectId(format!("M{content}").into())
}
