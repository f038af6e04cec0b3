//! Moves across mailboxes: what is gone from one mailbox of a side and new in another of the same side is one message that
//! moved, and needs no transfer.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::alike::{Traits, match_up};
use super::decide::ABSENT;
use super::lost::{Is, Lost, find, lost_rows};
use super::pair::{Match, Matched, Waiting};
use super::{Action, Base, CLOSED, Change, Input, Move, Presence, REFUSED, Rule, Step};
use crate::model::{ContentDigest, Envelope, Flags, Gone, Id, IdSet, MailboxId, Pair, PairId, Side};

/// Decides on everything that moved, and takes it out of what is left to decide in each mailbox. Gives the
/// base rows that are answered for.
pub(super) fn decide<'a>(input: &'a Input, open: &mut [Matched<'a>], steps: &mut Vec<Step>) -> BTreeSet<PairId> {
    let mut moves = Moves {
        input,
        places: places(open),
        // What was found where it was did not move.
        taken: open.iter().flat_map(Matched::found_again).collect(),
        steps: Grouped::default(),
    };
    let lost = lost_rows(open, &moves.taken);
    moves.keep_bases(open, &lost);
    let found = Side::BOTH.map(|side| find(&lost, side, &fresh(open, side)));
    for (nth, lost) in lost.iter().enumerate() {
        if !moves.taken.contains(&lost.pair.id) {
            let to = Side::BOTH.map(|side| found[side as usize].get(&nth));
            moves.one(open, lost, to);
        }
    }
    moves.wait_for_others(open, &lost);
    if input.base != Base::Agreed {
        moves.meet_across(open);
    }
    moves.steps.into_steps(input, steps);
    moves.taken
}

/// A message without a partner, and where.
pub(super) type Fresh = (MailboxId, Envelope);

/// Steps under way: by what they do, where and why.
#[derive(Default)]
struct Grouped {
    moves: BTreeMap<(MailboxId, MailboxId, Side, &'static str), Vec<Move>>,
    keep_new: BTreeMap<(MailboxId, Side, &'static str), IdSet>,
    keep_gone: BTreeMap<(MailboxId, Side, &'static str), Vec<PairId>>,
    copy_back: BTreeMap<(MailboxId, Side), IdSet>,
    keep_flags: BTreeMap<(MailboxId, Side), Vec<(Id, Flags)>>,
}

struct Moves<'a> {
    input: &'a Input,
    /// Where each mailbox stands in the list of the open ones.
    places: HashMap<MailboxId, usize>,
    taken: BTreeSet<PairId>,
    steps: Grouped,
}

const KEPT: &str = "moved, and the policy keeps this side's moves";
const UNDONE: &str = "the policy undoes this side's moves";
const ELSEWHERE: &str = "moved into a mailbox that this run leaves alone";

impl<'a> Moves<'a> {
    /// New on both sides and lost on both elsewhere: moved alike on both, or by us before a crash. The base row lives on.
    fn keep_bases(&mut self, open: &mut [Matched<'a>], lost: &[Lost<'a>]) {
        let mut bases: HashMap<ContentDigest, Vec<&Pair>> = HashMap::new();
        for lost in lost.iter().rev().filter(|lost| !lost.is.contains(&Is::There)) {
            bases.entry(lost.pair.content).or_default().push(lost.pair);
        }
        for m in open.iter_mut().flat_map(|matched| &mut matched.matches) {
            let (Waiting::New(left), Waiting::New(right)) = (&m.left, &m.right) else {
                continue;
            };
            let content = left.content.or(right.content);
            if let Some(base) = content.and_then(|content| bases.get_mut(&content)?.pop()) {
                self.taken.insert(base.id);
                m.base = Some(Box::new(base.clone()));
            }
        }
    }

    /// The table of moves: where each side has the message now that at least one of them lost in its mailbox.
    fn one(&mut self, open: &mut [Matched<'_>], lost: &Lost<'_>, to: [Option<&Fresh>; 2]) {
        match (to, lost.is) {
            ([Some(to), None], [_, Is::There]) => self.carry(open, lost, to, Side::Left),
            ([None, Some(to)], [Is::There, _]) => self.carry(open, lost, to, Side::Right),
            ([Some(left), Some(right)], _) => self.both(open, lost, left, right),
            // What was moved wins over a deletion: it is copied as new, and the base row is forgotten.
            ([Some(to), None], [_, Is::Gone]) => self.win(open, to, Side::Left),
            ([None, Some(to)], [Is::Gone, _]) => self.win(open, to, Side::Right),
            // In doubt about the other side's copy, it is sent again.
            ([Some(_), None], [_, Is::Void]) | ([None, Some(_)], [Is::Void, _]) => {}
            ([None, None], _) => {}
        }
    }

    fn win(&self, open: &mut [Matched<'_>], (mailbox, new): &Fresh, by: Side) {
        open[self.places[mailbox]].wins[by as usize].insert(new.id);
    }

    /// Moved on one side, where it was on the other.
    fn carry(&mut self, open: &mut [Matched<'_>], lost: &Lost<'_>, (to, new): &Fresh, by: Side) {
        let there = by.other();
        let Some(id) = lost.pair.half(there).id else { return };
        let from = lost.pair.mailbox;
        if *to == from {
            return self.again(open, lost.pair, new, by);
        }
        let rule = match self.input.policy.of(by).moves {
            // DESIGN 8a, "no trustworthy base": one side's place wins.
            Rule::Spread if self.input.base == Base::Old && by != self.input.tie => Rule::Undo,
            rule => rule,
        };
        let is_closed = |mailbox: &MailboxId| {
            let at = self.places.get(mailbox);
            rule == Rule::Spread && at.is_some_and(|&at| open[at].view.closed[there as usize])
        };
        let (from_is_closed, to_is_closed) = (is_closed(&from), is_closed(to));
        if from_is_closed && !to_is_closed {
            // DESIGN 8a "A move is two facts": it arrives as what is new, and its removal waits.
            self.take(open, (from, id), there);
            self.taken.insert(lost.pair.id);
            self.steps.keep_removal(lost, by, CLOSED);
            return;
        }
        let (rule, why) = match rule {
            _ if to_is_closed => (Rule::Keep, CLOSED),
            Rule::Spread if self.is_refused(open, lost.pair, there) => (Rule::Keep, REFUSED),
            rule => (rule, KEPT),
        };
        self.take(open, (*to, new.id), by);
        self.take(open, (from, id), there);
        self.taken.insert(lost.pair.id);
        let mut flags = lost.flags.map(Flags::clone);
        flags[by as usize] = new.flags.clone();
        let base = Some(lost.pair.id);
        match rule {
            Rule::Spread => {
                let key = (*to, from, there, MOVED[by as usize]);
                let partner = new.id;
                self.steps.moves.entry(key).or_default().push(Move {
                    base,
                    id,
                    partner,
                    flags,
                });
            }
            Rule::Undo => {
                let key = (from, *to, by, UNDONE);
                let (id, partner) = (new.id, id);
                self.steps.moves.entry(key).or_default().push(Move {
                    base,
                    id,
                    partner,
                    flags,
                });
            }
            Rule::Keep => {
                self.steps.keep_new.entry((*to, by, why)).or_default().insert(new.id);
                self.steps.keep_removal(lost, by, why);
            }
        }
    }

    /// Whether that side refused to move the message when it was last tried, and is not to be asked again yet.
    fn is_refused(&self, open: &[Matched<'_>], pair: &Pair, on: Side) -> bool {
        let at = self.places.get(&pair.mailbox);
        at.is_some_and(|&at| open[at].view.refuses(on, Change::Move, pair))
    }

    /// Gone and new in one mailbox: its id changed, nothing else.
    fn again(&mut self, open: &mut [Matched<'_>], pair: &Pair, new: &Envelope, by: Side) {
        self.take(open, (pair.mailbox, new.id), by);
        self.taken.insert(pair.id);
        let (found, known) = (Waiting::New(new.clone()), Waiting::Void(Box::new(pair.clone())));
        let (left, right) = if by == Side::Left {
            (found, known)
        } else {
            (known, found)
        };
        let base = None;
        open[self.places[&pair.mailbox]]
            .matches
            .push(Match { left, right, base });
    }

    /// Moved on both sides, to different mailboxes: one side wins, but Trash and Junk yield.
    fn both(&mut self, open: &mut [Matched<'_>], lost: &Lost<'_>, left: &Fresh, right: &Fresh) {
        let to = [left, right];
        if left.0 == right.0 {
            return;
        }
        let bin = to.map(|(mailbox, _)| open[self.places[mailbox]].view.emptied_often);
        let tie = self.input.tie;
        let (mut winner, mut why) = (tie, TIE[tie as usize]);
        if bin[tie as usize] && !bin[tie.other() as usize] {
            (winner, why) = (tie.other(), "moved on both sides: Trash and Junk yield");
        }
        if self.input.policy.of(winner).moves != Rule::Spread {
            (winner, why) = (winner.other(), MOVED[winner.other() as usize]);
        }
        if self.input.policy.of(winner).moves != Rule::Spread {
            return;
        }
        let loser = winner.other();
        for (side, (mailbox, new)) in Side::BOTH.into_iter().zip(to) {
            self.take(open, (*mailbox, new.id), side);
        }
        self.taken.insert(lost.pair.id);
        let key = (to[winner as usize].0, to[loser as usize].0, loser, why);
        self.steps.moves.entry(key).or_default().push(Move {
            base: Some(lost.pair.id),
            id: to[loser as usize].1.id,
            partner: to[winner as usize].1.id,
            flags: to.map(|(_, new)| new.flags.clone()),
        });
    }

    /// A message that moved into a mailbox where nothing is decided in this run is not removed: its move waits. Where it never
    /// can be moved back, since only its own side has that mailbox, the policy that undoes moves brings it back by a copy.
    fn wait_for_others(&mut self, open: &mut [Matched<'_>], lost: &[Lost<'_>]) {
        // Where both sides moved it so, the one whose place wins is noted.
        let tie = self.input.tie;
        for side in [tie, tie.other()] {
            let elsewhere: Vec<Fresh> = self
                .input
                .mailboxes
                .iter()
                .filter(|view| !self.places.contains_key(&view.id))
                .flat_map(|view| new_of(view.id, view.waiting[side as usize].iter()))
                .collect();
            for (nth, (mailbox, _)) in find(lost, side, &elsewhere) {
                let (pair, is) = (lost[nth].pair, lost[nth].is);
                if is[side as usize] != Is::Gone || !self.taken.insert(pair.id) {
                    continue;
                }
                let there = pair.half(side.other()).id;
                if let Some(id) = there {
                    self.take(open, (pair.mailbox, id), side.other());
                }
                let undone = self.input.policy.of(side).moves == Rule::Undo && self.is_own(mailbox, side);
                if undone && is[side.other() as usize] == Is::There {
                    let back = self.steps.copy_back.entry((pair.mailbox, side)).or_default();
                    back.extend(there);
                } else {
                    self.steps.keep_removal(&lost[nth], side, ELSEWHERE);
                }
            }
        }
    }

    /// Only that side has the mailbox, and the policy does not want it on the other.
    fn is_own(&self, mailbox: MailboxId, side: Side) -> bool {
        let view = self.input.mailboxes.iter().find(|view| view.id == mailbox);
        view.is_some_and(|view| {
            let [here, there] = [side, side.other()].map(|side| view.at[side as usize]);
            view.acted_on && here == Presence::There && matches!(there, Presence::Gone | Presence::Never)
        })
    }

    /// Without a base, one content in different mailboxes of the two sides is one message, and one side's place wins.
    fn meet_across(&mut self, open: &mut [Matched<'_>]) {
        let winner = match self.input.tie {
            tie if self.input.policy.of(tie).moves == Rule::Spread => tie,
            tie if self.input.policy.of(tie.other()).moves == Rule::Spread => tie.other(),
            _ => return,
        };
        let [left, right] = Side::BOTH.map(|side| fresh(open, side));
        let [a, b] = [(&left, Side::Left), (&right, Side::Right)]
            .map(|(list, side)| -> Vec<Traits> { list.iter().map(|(_, new)| Traits::of_new(new, side)).collect() });
        let taken = [vec![false; a.len()], vec![false; b.len()]];
        for (l, r) in match_up([&a, &b], taken) {
            let at = [&left[l], &right[r]];
            for (side, (mailbox, new)) in Side::BOTH.into_iter().zip(at) {
                self.take(open, (*mailbox, new.id), side);
            }
            let loser = winner.other();
            let key = (at[winner as usize].0, at[loser as usize].0, loser, MET[winner as usize]);
            self.steps.moves.entry(key).or_default().push(Move {
                base: None,
                id: at[loser as usize].1.id,
                partner: at[winner as usize].1.id,
                flags: at.map(|(_, new)| new.flags.clone()),
            });
        }
    }

    /// It is answered for.
    fn take(&self, open: &mut [Matched<'_>], (mailbox, id): (MailboxId, Id), side: Side) {
        if let Some(&at) = self.places.get(&mailbox) {
            open[at].take(side, id);
        }
    }
}

const MOVED: [&str; 2] = ["moved on the left", "moved on the right"];
const TIE: [&str; 2] = [
    "moved on both sides: the left's place wins",
    "moved on both sides: the right's place wins",
];
const MET: [&str; 2] = [
    "the same message in two mailboxes, and no base to tell which moved it: the left's place wins",
    "the same message in two mailboxes, and no base to tell which moved it: the right's place wins",
];

/// Messages of that side that nothing has answered for yet, mailbox by mailbox.
pub(super) fn fresh(open: &[Matched<'_>], side: Side) -> Vec<Fresh> {
    let left = |matched: &Matched<'_>| -> Vec<Fresh> {
        let new = matched.new_of(side).cloned();
        new.map(|new| (matched.view.id, new)).collect()
    };
    open.iter().flat_map(left).collect()
}

/// Where each mailbox stands in the list.
pub(super) fn places(open: &[Matched<'_>]) -> HashMap<MailboxId, usize> {
    open.iter()
        .enumerate()
        .map(|(at, matched)| (matched.view.id, at))
        .collect()
}

fn new_of<'w>(mailbox: MailboxId, waiting: impl Iterator<Item = &'w Waiting>) -> impl Iterator<Item = Fresh> {
    waiting.filter_map(move |waiting| match waiting {
        Waiting::New(envelope) => Some((mailbox, envelope.clone())),
        Waiting::Void(_) => None,
    })
}

impl Grouped {
    /// The removal waits, and so do the flags that the other copy got meanwhile: no mailbox need tell of them again.
    fn keep_removal(&mut self, lost: &Lost<'_>, by: Side, why: &'static str) {
        let (pair, there) = (lost.pair, by.other());
        let gone = self.keep_gone.entry((pair.mailbox, by, why)).or_default();
        gone.push(pair.id);
        let (half, flags) = (pair.half(there), lost.flags[there as usize]);
        if let (Is::There, Some(id)) = (lost.is[there as usize], half.id)
            && *flags != half.flags
        {
            let waiting = self.keep_flags.entry((pair.mailbox, there)).or_default();
            waiting.push((id, flags.clone()));
        }
    }

    fn into_steps(self, input: &Input, steps: &mut Vec<Step>) {
        let paths: HashMap<MailboxId, &crate::model::MailboxPath> =
            input.mailboxes.iter().map(|view| (view.id, &view.path)).collect();
        let mut step = |mailbox: MailboxId, action, why| {
            let path = paths[&mailbox].clone();
            steps.push(Step {
                mailbox,
                path,
                action,
                why,
            });
        };
        for ((to, from, on, why), moves) in self.moves {
            let from_path = paths[&from].clone();
            step(
                to,
                Action::Move {
                    on,
                    from,
                    from_path,
                    moves,
                },
                why,
            );
        }
        for ((mailbox, of, why), ids) in self.keep_new {
            step(mailbox, Action::KeepNew { of, ids }, why);
        }
        for ((mailbox, to), ids) in self.copy_back {
            let meet = Vec::new();
            step(mailbox, Action::Copy { to, ids, meet }, UNDONE);
        }
        for ((mailbox, of, why), pairs) in self.keep_gone {
            let gone = Gone::Pending;
            step(mailbox, Action::KeepRemoval { of, pairs, gone }, why);
        }
        for ((mailbox, of), flags) in self.keep_flags {
            step(mailbox, Action::KeepFlags { of, flags }, ABSENT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Now, Policy, Presence, SidePolicy, Touched, View, plan};
    use super::*;
    use crate::model::{Half, HeaderDigest, InternalDate, MailboxPath};

    const NAMES: [&str; 4] = ["INBOX", "Work", "Play", "Trash"];

    /// One message, number 1 of the INBOX on both sides in the base; where it is now on each side.
    #[derive(Clone, Copy)]
    enum At {
        /// Where it was.
        There,
        /// Nowhere.
        Gone,
        /// New in that mailbox, as number 7.
        In(usize),
        /// Still where it was, and new in that mailbox.
        CopiedTo(usize),
    }

    fn pair() -> Pair {
        let half = Half {
            id: Some(1),
            size: Some(9),
            date: Some(InternalDate(5)),
            ..Half::default()
        };
        Pair {
            id: PairId(1),
            mailbox: MailboxId(0),
            halves: [half.clone(), half],
            size: 9,
            content: ContentDigest([1; 16]),
            header: HeaderDigest([2; 16]),
            envelope: None,
        }
    }

    fn input(at: [At; 2]) -> Input {
        let mut mailboxes: Vec<View> = NAMES
            .iter()
            .enumerate()
            .map(|(nth, name)| View {
                id: MailboxId(nth as u32),
                path: MailboxPath::parse(name).unwrap(),
                naming: crate::plan::Naming::default(),
                at: [Presence::There; 2],
                acted_on: true,
                emptied_often: *name == "Trash",
                pairs: 1,
                added: Default::default(),
                resting: Default::default(),
                closed: Default::default(),
                refused: Default::default(),
                waiting: Default::default(),
                beyond: Default::default(),
                touched: Vec::new(),
                marked: Vec::new(),
            })
            .collect();
        let mut now = [Now::AsBase, Now::AsBase];
        for side in Side::BOTH {
            if let At::Gone | At::In(_) = at[side as usize] {
                now[side as usize] = Now::Gone;
            }
            if let At::In(mailbox) | At::CopiedTo(mailbox) = at[side as usize] {
                mailboxes[mailbox].added[side as usize].insert(7);
                mailboxes[mailbox].waiting[side as usize].push(Waiting::New(Envelope {
                    mailbox: MailboxId(mailbox as u32),
                    id: 7,
                    flags: Flags::none(),
                    date: InternalDate(5),
                    size: 9,
                    marks: 0,
                    envelope: None,
                    header: Some(HeaderDigest([2; 16])),
                    content: (side == Side::Left).then_some(ContentDigest([1; 16])),
                    object: None,
                }));
            }
        }
        mailboxes[0].touched.push(Touched { pair: pair(), now });
        let limits = Limits {
            empty_guard: 0,
            max_delete_percent: 100,
            pairs: 4,
            adopting: crate::plan::Adoption::No,
            marked_held: false,
        };
        Input {
            mailboxes,
            policy: Policy::SYNC,
            limits,
            known: vec![pair()],
            base: Base::Agreed,
            tie: Side::Right,
            expunge: None,
            trash: Default::default(),
            settled: [true; 2],
            obscured: Default::default(),
        }
    }

    fn steps(input: &Input) -> Vec<String> {
        plan(input).steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_table_of_moves() {
        use At::{CopiedTo, Gone, In, There};
        let rows: [(At, At, &[&str]); 13] = [
            (
                In(1),
                There,
                &["move 1 message on the right from INBOX to Work: moved on the left"],
            ),
            (
                There,
                In(1),
                &["move 1 message on the left from INBOX to Work: moved on the right"],
            ),
            (
                In(1),
                In(1),
                &["pair 1 message in Work: the ids changed, the content did not"],
            ),
            // Gone and new where it was.
            (
                In(0),
                There,
                &["pair 1 message in INBOX: the ids changed, the content did not"],
            ),
            (
                There,
                In(0),
                &["pair 1 message in INBOX: the ids changed, the content did not"],
            ),
            (
                In(1),
                In(2),
                &["move 1 message on the left from Work to Play: moved on both sides: the right's place wins"],
            ),
            (
                In(1),
                In(3),
                &["move 1 message on the right from Trash to Work: moved on both sides: Trash and Junk yield"],
            ),
            (
                In(3),
                In(1),
                &["move 1 message on the left from Trash to Work: moved on both sides: the right's place wins"],
            ),
            (
                In(1),
                Gone,
                &[
                    "forget 1 message in INBOX: gone on both sides",
                    "copy 1 message to the right in Work: moved here on the left, gone on the right: the move wins",
                ],
            ),
            (
                Gone,
                In(1),
                &[
                    "forget 1 message in INBOX: gone on both sides",
                    "copy 1 message to the left in Work: moved here on the right, gone on the left: the move wins",
                ],
            ),
            (
                CopiedTo(1),
                There,
                &["copy 1 message on the right from INBOX to Work: copied on the left"],
            ),
            // A copy on a server without object ids is only known by its header, which proves nothing.
            (
                There,
                CopiedTo(1),
                &["copy 1 message to the left in Work: new on the right"],
            ),
            (
                Gone,
                There,
                &["remove 1 message on the right in INBOX: gone on the left"],
            ),
        ];
        for (left, right, wanted) in rows {
            assert_eq!(steps(&input([left, right])), wanted);
        }
    }

    #[test]
    fn policies_and_bases() {
        let left = |moves| Policy {
            sides: [
                SidePolicy {
                    moves,
                    ..SidePolicy::SPREAD
                },
                SidePolicy::SPREAD,
            ],
            ..Policy::SYNC
        };
        let kept = [
            "leave 1 new message on the left in Work: moved, and the policy keeps this side's moves",
            "keep 1 message that the left lost in INBOX: moved, and the policy keeps this side's moves",
        ];
        let sorted = |mut steps: Vec<String>| {
            steps.sort();
            steps
        };
        let moved = input([At::In(1), At::There]);
        let keep = Input {
            policy: left(Rule::Keep),
            ..moved.clone()
        };
        assert_eq!(sorted(steps(&keep)), sorted(kept.map(str::to_owned).to_vec()));
        let undo = Input {
            policy: left(Rule::Undo),
            ..moved.clone()
        };
        let back = "move 1 message on the left from Work to INBOX: the policy undoes this side's moves";
        assert_eq!(steps(&undo), [back]);
        let old = Input {
            base: Base::Old,
            ..moved.clone()
        };
        assert_eq!(steps(&old), [back]);
        // It moved to where nothing is done in this run: it is not removed.
        let mut narrow = moved.clone();
        narrow.mailboxes[1].acted_on = false;
        assert_eq!(
            steps(&narrow),
            ["keep 1 message that the left lost in INBOX: moved into a mailbox that this run leaves alone"]
        );
        // It could not be carried over last time, and its time has not come: it moves all the same.
        let mut resting = moved;
        let work = &mut resting.mailboxes[1];
        work.resting[0] = std::mem::take(&mut work.added[0]);
        assert_eq!(
            steps(&resting),
            ["move 1 message on the right from INBOX to Work: moved on the left"]
        );
    }

    #[test]
    fn without_a_base_one_content_is_one_message() {
        let mut met = input([At::CopiedTo(1), At::CopiedTo(2)]);
        met.mailboxes[0].touched.clear();
        met.known.clear();
        let apart = steps(&met);
        assert_eq!(apart.len(), 2, "with a base, two messages: {apart:?}");
        met.base = Base::Unfinished;
        let why = "the same message in two mailboxes, and no base to tell which moved it: the right's place wins";
        assert_eq!(
            steps(&met),
            [format!("move 1 message on the left from Work to Play: {why}")]
        );
    }
}
