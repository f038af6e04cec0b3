//! Which messages are one, by what they are known by (DESIGN 5).
//!
//! A server's object id and a content digest prove. Header hashes only propose: they decide alone where the sizes agree
//! too and all candidates have one content; else the message is transferred and its content compared on arrival.

use std::collections::{BTreeMap, HashMap};

use crate::model::{
    ContentDigest, Envelope, EnvelopeKey, HeaderDigest, Id, InternalDate, MailboxId, ObjectId, Pair, Side,
};

/// What a message is known by, as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct Traits {
    object: Option<(Side, ObjectId)>,
    content: Option<ContentDigest>,
    envelope: Option<EnvelopeKey>,
    header: Option<HeaderDigest>,
    /// Without the marks of sync tools; of a base row, as either side told it.
    sizes: [u64; 2],
    /// Where dates of one side are compared: a move keeps the internal date (RFC 6851 §3.3).
    date: Option<InternalDate>,
    /// Equal messages are paired in this order.
    order: (MailboxId, Option<Id>),
}

/// By what two messages can be the same, what proves first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tag {
    Object(Side, ObjectId),
    Content(ContentDigest),
    Envelope(EnvelopeKey, u64),
    Header(HeaderDigest, u64),
}

impl Traits {
    /// Of a message without a partner on `side`.
    pub(super) fn of_new(envelope: &Envelope, side: Side) -> Self {
        Self {
            object: envelope.object.clone().map(|object| (side, object)),
            content: envelope.content,
            envelope: envelope.envelope,
            header: envelope.header,
            sizes: [envelope.size.saturating_sub(envelope.marks); 2],
            date: None,
            order: (envelope.mailbox, Some(envelope.id)),
        }
    }

    /// Of a base row that looks for its message on the side that lost it.
    pub(super) fn of_lost(pair: &Pair, lost_by: Side) -> Self {
        let half = pair.half(lost_by);
        Self {
            object: half.object.clone().map(|object| (lost_by, object)),
            content: Some(pair.content),
            envelope: pair.envelope,
            header: Some(pair.header),
            // The side's own measure, unless its copy bore a mark.
            sizes: [half.size.unwrap_or(pair.size), pair.size],
            date: None,
            order: (pair.mailbox, pair.half(lost_by.other()).id),
        }
    }

    /// Compares dates too.
    pub(super) fn dated(self, date: Option<InternalDate>) -> Self {
        Self { date, ..self }
    }

    fn tags(&self) -> impl Iterator<Item = Tag> {
        let object = self.object.clone().map(|(side, object)| Tag::Object(side, object));
        let content = self.content.map(Tag::Content);
        let [size, other] = self.sizes;
        let sizes = move || [Some(size), (other != size).then_some(other)].into_iter().flatten();
        let envelope = self.envelope.into_iter();
        let envelope = envelope.flat_map(move |key| sizes().map(move |size| Tag::Envelope(key, size)));
        let header = self.header.into_iter();
        let header = header.flat_map(move |digest| sizes().map(move |size| Tag::Header(digest, size)));
        object.into_iter().chain(content).chain(envelope).chain(header)
    }
}

/// Pairs up the messages of two lists that are one, by their places in these; those already `taken` are left out. Equal
/// ones are paired in order.
pub(super) fn match_up(lists: [&[Traits]; 2], mut taken: [Vec<bool>; 2]) -> Vec<(usize, usize)> {
    let groups = groups(lists, |list, at| !taken[list][at]);
    let mut pairs = Vec::new();
    for (tag, mut group) in groups {
        for list in [0, 1] {
            group[list].retain(|&at| !taken[list][at]);
            group[list].sort_by_key(|&at| lists[list][at].order);
        }
        if group.iter().any(Vec::is_empty) || !one_content(lists, &group) {
            continue;
        }
        for (a, b) in zip_by_date(lists, &group, matches!(tag, Tag::Content(_))) {
            taken[0][a] = true;
            taken[1][b] = true;
            pairs.push((a, b));
        }
    }
    pairs
}

/// The messages of two lists by what can prove that they are one, what proves most first.
fn groups(lists: [&[Traits]; 2], open: impl Fn(usize, usize) -> bool) -> BTreeMap<Tag, [Vec<usize>; 2]> {
    let mut groups: BTreeMap<Tag, [Vec<usize>; 2]> = BTreeMap::new();
    for (list, traits) in lists.iter().enumerate() {
        for (at, candidate) in traits.iter().enumerate().filter(|(at, _)| open(list, *at)) {
            for tag in candidate.tags() {
                groups.entry(tag).or_default()[list].push(at);
            }
        }
    }
    groups
}

/// Whether all contents that are known are the same, and at least one is.
fn one_content(lists: [&[Traits]; 2], group: &[Vec<usize>; 2]) -> bool {
    let mut known = [0, 1]
        .into_iter()
        .flat_map(|list| group[list].iter().filter_map(move |&at| lists[list][at].content));
    let first = known.next();
    first.is_some() && known.all(|content| Some(content) == first)
}

/// Pairs in order: first those of one date, then those of which one has no date to compare; what is `proven` to be one keeps
/// no date where a program writes it anew.
fn zip_by_date(lists: [&[Traits]; 2], group: &[Vec<usize>; 2], proven: bool) -> Vec<(usize, usize)> {
    let mut by_date: HashMap<Option<InternalDate>, std::collections::VecDeque<usize>> = HashMap::new();
    for &at in &group[1] {
        by_date.entry(lists[1][at].date).or_default().push_back(at);
    }
    let (mut pairs, mut open) = (Vec::new(), Vec::new());
    for &a in &group[0] {
        match by_date
            .get_mut(&lists[0][a].date)
            .and_then(std::collections::VecDeque::pop_front)
        {
            Some(b) => pairs.push((a, b)),
            None => open.push(a),
        }
    }
    let mut rest: Vec<usize> = by_date.into_values().flatten().collect();
    rest.sort_by_key(|&at| lists[1][at].order);
    for a in open {
        let fits = |&b: &usize| proven || lists[0][a].date.is_none() || lists[1][b].date.is_none();
        if let Some(at) = rest.iter().position(fits) {
            pairs.push((a, rest.remove(at)));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits(object: &str, content: u8, envelope: u8, size: u64, date: i64, id: Id) -> Traits {
        let some = |n: u8| (n != 0).then_some([n; 16]);
        Traits {
            object: (!object.is_empty()).then(|| (Side::Right, ObjectId(object.into()))),
            content: some(content).map(ContentDigest),
            envelope: some(envelope).map(EnvelopeKey),
            header: None,
            sizes: [size; 2],
            date: (date != 0).then_some(InternalDate(date)),
            order: (MailboxId(1), Some(id)),
        }
    }

    #[test]
    fn what_proves_and_what_only_proposes() {
        // object | content | envelope | size | date, of each side | how many are one
        type Row = (&'static str, u8, u8, u64, i64);
        let rows: [(&[Row], &[Row], usize); 10] = [
            (&[("", 1, 9, 5, 0)], &[("", 0, 9, 5, 0)], 1),
            // Another size, another key.
            (&[("", 1, 9, 5, 0)], &[("", 0, 9, 6, 0)], 0),
            (&[("", 1, 9, 5, 0)], &[("", 0, 8, 5, 0)], 0),
            // The object proves, whatever else was asked.
            (&[("M1", 1, 9, 5, 0)], &[("M1", 0, 0, 0, 0)], 1),
            (&[("M1", 1, 0, 5, 0)], &[("M2", 0, 0, 5, 0)], 0),
            // Two drafts under one header: the header decides nothing.
            (&[("", 1, 9, 5, 0), ("", 2, 9, 5, 0)], &[("", 0, 9, 5, 0)], 0),
            // Known on both sides: the content decides.
            (&[("", 1, 9, 5, 0), ("", 2, 9, 5, 0)], &[("", 2, 9, 5, 0)], 1),
            (&[("", 1, 9, 5, 0)], &[("", 2, 9, 5, 0)], 0),
            // A move keeps the date; equal copies are matched by it.
            (&[("", 1, 9, 5, 7)], &[("", 0, 9, 5, 8)], 0),
            (
                &[("", 1, 9, 5, 7), ("", 1, 9, 5, 0)],
                &[("", 0, 9, 5, 8), ("", 0, 9, 5, 7)],
                2,
            ),
        ];
        for (left, right, wanted) in rows {
            let list = |rows: &[Row]| -> Vec<Traits> {
                let traits = |(id, &(o, c, e, s, d)): (usize, &Row)| traits(o, c, e, s, d, id as Id);
                rows.iter().enumerate().map(traits).collect()
            };
            let (left, right) = (list(left), list(right));
            let taken = [vec![false; left.len()], vec![false; right.len()]];
            let found = match_up([&left, &right], taken);
            assert_eq!(found.len(), wanted, "{left:?} {right:?}");
        }
    }

    #[test]
    fn equal_ones_are_paired_in_order() {
        let list = |ids: [Id; 3]| ids.map(|id| traits("", 1, 9, 5, 0, id));
        let found = match_up([&list([3, 1, 2]), &list([7, 9, 8])], [vec![false; 3], vec![false; 3]]);
        assert_eq!(found, [(1, 0), (2, 2), (0, 1)]);
    }
}
