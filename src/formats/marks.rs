//! Flags of a message in an mbox: header fields that the mbox has and the message has not.
//!
//! What homing writes stands first in the header, three fields in this order, of which import takes just these away:
//!
//! ```text
//! Status: RO
//! X-Status: AF
//! X-Keywords: $Forwarded work
//! ```
//!
//! `R` is read, `O` not new; `A` answered, `F` flagged, `T` draft, `D` deleted: so mutt, Pine and Dovecot write and read
//! them. A fourth, `X-Homing: exact`, stands there where the line ends of a message are not those of a text.
//!
//! Other programs put such fields last (mutt, Pine, Dovecot) or first (Thunderbird, Gmail's Takeout) in the header. There
//! they are taken away, each once. In the midst of a header they are the message's own; they are only read.

use std::ops::Range;

use super::header::{Field, fields};
use crate::model::{Flags, Keyword, System};

/// Letters of `X-Status`.
const LETTERS: [(char, System); 4] = [
    ('A', System::ANSWERED),
    ('F', System::FLAGGED),
    ('T', System::DRAFT),
    ('D', System::DELETED),
];

/// Bits of `X-Mozilla-Status`; what Thunderbird has deleted stays in its file until that is compacted.
const MOZILLA: [(u32, System); 4] = [
    (0x0001, System::SEEN),
    (0x0002, System::ANSWERED),
    (0x0004, System::FLAGGED),
    (0x0008, System::DELETED),
];
const MOZILLA_FORWARDED: u32 = 0x1000;

/// Labels of `X-Gmail-Labels`.
const LABELS: [(&str, System); 4] = [
    ("Opened", System::SEEN),
    ("Starred", System::FLAGGED),
    ("Drafts", System::DRAFT),
    ("Draft", System::DRAFT),
];

/// What homing writes, in its order.
const OURS: [&str; 3] = ["Status", "X-Status", "X-Keywords"];
pub(super) const EXACT: &[u8] = b"X-Homing: exact\n";

/// What others put at the end of a header.
const LAST: [&str; 6] = ["Status", "X-Status", "X-Keywords", "X-UID", "X-IMAP", "X-IMAPbase"];

/// What others put at its beginning.
const FIRST: [&str; 7] = [
    "X-Account-Key",
    "X-UIDL",
    "X-Mozilla-Status",
    "X-Mozilla-Status2",
    "X-Mozilla-Keys",
    "X-GM-THRID",
    "X-Gmail-Labels",
];

/// What was found in a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Fields that are not the message's, in order.
    pub(super) cut: Vec<Range<usize>>,
    /// What they and others say.
    pub(super) flags: Flags,
    /// The rest of the message is byte for byte what a server holds.
    pub(super) exact: bool,
}

/// The fields to write before a message.
pub(super) fn write(flags: &Flags, exact: bool) -> String {
    let letters = LETTERS.iter().filter(|(_, flag)| flags.system.contains(*flag));
    let letters: String = letters.map(|(letter, _)| *letter).collect();
    let read = if flags.system.contains(System::SEEN) { "RO" } else { "O" };
    let keywords: Vec<&str> = flags.keywords().iter().map(Keyword::as_str).collect();
    let mut out = format!(
        "Status: {read}\nX-Status: {letters}\nX-Keywords: {}\n",
        keywords.join(" ")
    );
    if exact {
        out.push_str(std::str::from_utf8(EXACT).expect("ASCII"));
    }
    out
}

impl Marks {
    /// Looks through a header as it lies in the file.
    pub(super) fn find(header: &[u8]) -> Self {
        if let Some(marks) = Self::ours(header) {
            return marks;
        }
        let fields = fields(header);
        let is_one_of = |field: &Field<'_>, names: &[&str]| names.iter().position(|name| field.is(name));
        let mut seen = Vec::new();
        let mut cut = Vec::new();
        let mut take = |fields: &mut dyn Iterator<Item = &Field<'_>>, names: &'static [&'static str]| {
            for field in fields {
                match is_one_of(field, names).map(|at| names[at]) {
                    Some(name) if !seen.contains(&name) => seen.push(name),
                    _ => break,
                }
                cut.push(field.range.clone());
            }
        };
        take(&mut fields.iter(), &FIRST);
        take(&mut fields.iter().rev(), &LAST);
        cut.sort_by_key(|range| range.start);
        cut.dedup();
        Self {
            flags: told(&fields, &cut),
            cut,
            exact: false,
        }
    }

    /// What [`write`] wrote, and nothing else.
    fn ours(header: &[u8]) -> Option<Self> {
        let mut end = 0;
        let mut rest = header;
        for name in OURS {
            let length = rest.iter().position(|&b| b == b'\n')? + 1;
            let value = rest.strip_prefix(name.as_bytes())?.strip_prefix(b": ");
            value.filter(|_| rest[..length].len() > name.len())?;
            (end, rest) = (end + length, &rest[length..]);
        }
        let fields = fields(&header[..end]);
        let exact = rest.starts_with(EXACT);
        let flags = told(&fields, &[]);
        let end = end + if exact { EXACT.len() } else { 0 };
        Some(Self {
            cut: std::iter::once(0..end).collect(),
            flags,
            exact,
        })
    }
}

/// The flags that fields tell; of two of one name, the one that is cut counts, else the first.
fn told(fields: &[Field<'_>], cut: &[Range<usize>]) -> Flags {
    let value = |name: &str| {
        let named = || fields.iter().filter(|field| field.is(name));
        let chosen = named().find(|field| cut.contains(&field.range));
        chosen.or_else(|| named().next()).map(Field::text)
    };
    let mut system = System::NONE;
    let mut keywords = Vec::new();
    if value("Status").is_some_and(|status| status.contains('R')) {
        system = system.union(System::SEEN);
    }
    if let Some(status) = value("X-Status") {
        let set = LETTERS.iter().filter(|(letter, _)| status.contains(*letter));
        system = set.fold(system, |all, &(_, flag)| all.union(flag));
    }
    for name in ["X-Keywords", "X-Mozilla-Keys"] {
        let words = value(name).unwrap_or_default();
        keywords.extend(words.split_ascii_whitespace().filter_map(Keyword::new));
    }
    let mozilla = value("X-Mozilla-Status").and_then(|hex| u32::from_str_radix(&hex, 16).ok());
    if let Some(bits) = mozilla {
        let set = MOZILLA.iter().filter(|(bit, _)| bits & bit != 0);
        system = set.fold(system, |all, &(_, flag)| all.union(flag));
        keywords.extend((bits & MOZILLA_FORWARDED != 0).then(Keyword::forwarded));
    }
    if let Some(labels) = value("X-Gmail-Labels") {
        let set = labels.split(',').filter_map(|label| {
            let known = LABELS.iter().find(|(name, _)| *name == label.trim());
            known.map(|&(_, flag)| flag)
        });
        system = set.fold(system, System::union);
    }
    Flags::new(system, keywords)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(names: &str) -> Flags {
        Flags::from_names(names.split_whitespace())
    }

    fn without(header: &str, marks: &Marks) -> String {
        let mut out = header.as_bytes().to_vec();
        for range in marks.cut.iter().rev() {
            out.drain(range.clone());
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_written_is_taken_away_again() {
        for names in [
            "",
            "\\Seen",
            "\\Seen \\Answered \\Flagged \\Draft \\Deleted $Forwarded a b",
            "work",
        ] {
            for exact in [false, true] {
                // Whatever the message's own header is like.
                for own in [
                    "Subject: x\n\n",
                    "Status: RO\nX-Status: A\nX-Keywords: z\nX-Homing: exact\n\n",
                    "Subject: x\nStatus: RO\n\n",
                    " folded\n\n",
                    "\nbody",
                    "",
                ] {
                    if !exact && own.starts_with("X-Homing") {
                        continue;
                    }
                    let header = write(&flags(names), exact) + own;
                    let marks = Marks::find(header.as_bytes());
                    assert_eq!(
                        (without(&header, &marks).as_str(), &marks.flags, marks.exact),
                        (own, &flags(names), exact),
                        "{header}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_others_write() {
        // (header, what stays of it, flags)
        for (header, rest, names) in [
            (
                "Subject: x\nStatus: RO\nX-Status: AF\n\n",
                "Subject: x\n\n",
                "\\Seen \\Answered \\Flagged",
            ),
            ("Subject: x\nStatus: O\n\n", "Subject: x\n\n", ""),
            (
                "Subject: x\nStatus: RO\nX-Status: \nX-Keywords: a                \nX-UID: 7\n\nStatus: R\n",
                "Subject: x\n\nStatus: R\n",
                "\\Seen a",
            ),
            // Two of a name: the outer one is the mailbox's.
            (
                "Subject: x\nStatus: O\nStatus: RO\n\n",
                "Subject: x\nStatus: O\n\n",
                "\\Seen",
            ),
            // In the midst they are the message's own.
            ("Status: RO\nSubject: x\n\n", "Status: RO\nSubject: x\n\n", "\\Seen"),
            (
                "X-Mozilla-Status: 1007\r\nX-Mozilla-Status2: 00000000\r\nX-Mozilla-Keys: $label1 NonJunk      \r\n\
                 From: a@b\r\n\r\n",
                "From: a@b\r\n\r\n",
                "\\Seen \\Answered \\Flagged $Forwarded $label1 NonJunk",
            ),
            (
                "X-Mozilla-Status: 0009\nFrom: a@b\n\n",
                "From: a@b\n\n",
                "\\Seen \\Deleted",
            ),
            ("X-Mozilla-Status: zzz\nFrom: a@b\n\n", "From: a@b\n\n", ""),
            (
                "X-GM-THRID: 15\nX-Gmail-Labels: Inbox,Opened,\n Starred\nFrom: a@b\n\n",
                "From: a@b\n\n",
                "\\Seen \\Flagged",
            ),
            ("X-Keywords: (bad) good \"no\"\n\n", "\n", "good"),
            ("\nStatus: RO\n", "\nStatus: RO\n", ""),
            ("", "", ""),
        ] {
            let marks = Marks::find(header.as_bytes());
            assert_eq!(
                (without(header, &marks).as_str(), marks.flags, marks.exact),
                (rest, flags(names), false),
                "{header}"
            );
        }
    }
}
