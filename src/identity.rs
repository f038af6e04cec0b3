//! What a message is known by: content digest, header digest and envelope key (DESIGN 5).
//!
//! Header bytes are not the same on every server, so the two header hashes are made over a folded form (HAZARDS 17): field
//! names in lower case, lines unfolded, runs of white space as one space, bytes from 0x80 up as `X`, CR and NUL dropped.
//! They propose; only the content digest proves.
//!
//! mbsync and OfflineIMAP put a field of their own (`X-TUID`, `X-OfflineIMAP`) into the copies that they make, on either
//! side. A message is the same with and without it: the content digest is over the message without these lines, and sizes
//! are compared without them. Nothing is ever taken out of a copy because of that.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2};

use crate::model::{ContentDigest, EnvelopeKey, HeaderDigest, Identity};

/// Header bytes beyond this are not looked at; hostile mail has headers of any length.
const HEADER_LIMIT: usize = 256 * 1024;

/// Fields that sync tools and mailbox formats add to their copies; a message is the same with and without them.
const TOOL_FIELDS: [&[u8]; 6] = [
    b"x-tuid",
    b"x-offlineimap",
    b"status",
    b"x-status",
    b"x-keywords",
    b"x-uid",
];

/// Of these, the ones with which mbsync and OfflineIMAP mark their copies. mbox fields are not among them: a server may
/// hold these as part of the message.
const COPY_MARKS: [&[u8]; 2] = [b"x-tuid", b"x-offlineimap"];

/// The fields of the envelope key, in the order in which they are hashed. The first must be there.
const KEY_FIELDS: [&[u8]; 4] = [b"message-id", b"date", b"from", b"subject"];

/// Takes in a message in canonical form piece by piece; keeps no more of it than the header.
#[derive(Debug, Clone)]
pub struct Digester {
    content: blake3::Hasher,
    size: u64,
    marks: u64,
    header: Vec<u8>,
    in_header: bool,
    ends_in_cr: bool,
    bare_cr: bool,
}

impl Default for Digester {
    fn default() -> Self {
        Self {
            content: blake3::Hasher::new(),
            size: 0,
            marks: 0,
            header: Vec::new(),
            in_header: true,
            ends_in_cr: false,
            bare_cr: false,
        }
    }
}

impl Digester {
    /// Nothing taken in yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.look_for_bare_cr(bytes);
        if self.in_header {
            self.collect_header(bytes);
        } else {
            self.content.update(bytes);
        }
    }

    fn look_for_bare_cr(&mut self, bytes: &[u8]) {
        let Some((&first, &last)) = bytes.first().zip(bytes.last()) else {
            return;
        };
        self.bare_cr |= self.ends_in_cr && first != b'\n';
        // Numbers, not conditions: several bytes are looked at at a time, and no branch is taken for each line.
        let pairs = bytes.iter().zip(&bytes[1..]);
        let bare = pairs.fold(0, |bare, (&b, &next)| {
            bare | (u8::from(b == b'\r') & u8::from(next != b'\n'))
        });
        self.bare_cr |= bare != 0;
        self.ends_in_cr = last == b'\r';
    }

    fn collect_header(&mut self, bytes: &[u8]) {
        if self.header.is_empty()
            && let Some(end) = header_end(&bytes[..bytes.len().min(HEADER_LIMIT)], 0)
        {
            return self.end_header(bytes, end);
        }
        // The blank line can lie across the border of two pieces: look again at the last bytes of what is there.
        let from = self.header.len().saturating_sub(3);
        let room = HEADER_LIMIT - self.header.len();
        let (kept, beyond) = bytes.split_at(bytes.len().min(room));
        self.header.extend_from_slice(kept);
        let end = header_end(&self.header, from);
        if end.is_some() || self.header.len() == HEADER_LIMIT {
            let collected = std::mem::take(&mut self.header);
            self.end_header(&collected, end.unwrap_or(HEADER_LIMIT));
            self.content.update(beyond);
        }
    }

    /// The header is complete, or as much of it as is looked at: so many of the first bytes taken in. They are hashed
    /// together with those behind them, which is faster than one after the other.
    fn end_header(&mut self, bytes: &[u8], end: usize) {
        self.in_header = false;
        self.header = bytes[..end].to_vec();
        let mut from = 0;
        for mark in copy_marks(&self.header) {
            self.content.update(&bytes[from..mark.start]);
            self.marks += mark.len() as u64;
            from = mark.end;
        }
        self.content.update(&bytes[from..]);
    }

    /// What the bytes taken in are known by.
    pub fn finish(mut self) -> Identity {
        if self.in_header {
            let header = std::mem::take(&mut self.header);
            self.end_header(&header, header.len());
        }
        Identity {
            size: self.size,
            marks: self.marks,
            content: ContentDigest(first_16(&self.content.finalize())),
            header: header_digest(&self.header),
            envelope: envelope_key(&self.header),
            bare_cr: self.bare_cr || self.ends_in_cr,
            eight_bit: !self.header.is_ascii(),
        }
    }
}

/// The digest of a header block (with or without the blank line at its end), without fields that sync tools add.
pub fn header_digest(header: &[u8]) -> HeaderDigest {
    let mut text = Vec::with_capacity(header.len());
    each_field(header, |name, value| {
        if !TOOL_FIELDS.contains(&name) {
            text.extend_from_slice(name);
            text.push(b':');
            fold_into(value, &mut text);
            text.push(b'\n');
        }
    });
    HeaderDigest(first_16(&blake3::hash(&text)))
}

/// The key made of Message-ID, Date, From and Subject, from a header block or just these fields of it; of a field that
/// stands there twice the first counts. `None` without a Message-ID.
pub fn envelope_key(header: &[u8]) -> Option<EnvelopeKey> {
    let mut found: [Option<Vec<u8>>; KEY_FIELDS.len()] = Default::default();
    each_field(header, |name, value| {
        if let Some(at) = KEY_FIELDS.iter().position(|key| name == *key) {
            found[at].get_or_insert_with(|| fold(value));
        }
    });
    found[0].as_ref().filter(|id| !id.is_empty())?;
    let mut hash = blake3::Hasher::new();
    for value in &found {
        hash.update(value.as_deref().unwrap_or_default()).update(b"\n");
    }
    Some(EnvelopeKey(first_16(&hash.finalize())))
}

/// The Message-ID of a header block, white space folded.
pub fn message_id(header: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    each_field(header, |name, value| {
        if name == KEY_FIELDS[0] {
            found.get_or_insert_with(|| fold(value));
        }
    });
    found
}

/// Whether a header block has that Message-ID, written with or without its angle brackets.
pub fn is_message_id(header: &[u8], wanted: &str) -> bool {
    message_id(header).is_some_and(|id| without_brackets(&id) == without_brackets(wanted.trim().as_bytes()))
}

fn without_brackets(id: &[u8]) -> &[u8] {
    let id = id.strip_prefix(b"<").unwrap_or(id);
    id.strip_suffix(b">").unwrap_or(id)
}

/// The content digest of a whole message in memory.
pub fn content_digest(canonical: &[u8]) -> ContentDigest {
    let mut digester = Digester::new();
    digester.update(canonical);
    digester.finish().content
}

/// How many bytes of a header block are lines with which sync tools marked the copy.
pub fn marks_size(header: &[u8]) -> u64 {
    copy_marks(header).map(|mark| mark.len() as u64).sum()
}

/// The fields with which sync tools marked a copy, line ends included.
fn copy_marks(header: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    raw_fields(header).filter(|range| {
        let field = &header[range.clone()];
        let name = &field[..memchr2(b':', b'\n', field).unwrap_or(field.len())];
        let name = name.trim_ascii_end();
        COPY_MARKS.iter().any(|mark| name.eq_ignore_ascii_case(mark))
    })
}

fn first_16(hash: &blake3::Hash) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&hash.as_bytes()[..16]);
    out
}

/// Where the header ends: behind the line end that comes before a blank line, or at once where the first line is blank.
/// Only line ends at or behind `from` are looked at.
fn header_end(bytes: &[u8], from: usize) -> Option<usize> {
    if matches!(bytes, [b'\n', ..] | [b'\r', b'\n', ..]) {
        return Some(0);
    }
    let ends = memchr_iter(b'\n', bytes.get(from..)?).map(|at| from + at + 1);
    ends.into_iter()
        .find(|&end| matches!(bytes[end..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

/// Shows the fields of a header block: each one's name in folded form, its value as it stands there. What is blank is none.
fn each_field(header: &[u8], mut take: impl FnMut(&[u8], &[u8])) {
    let header = &header[..header.len().min(HEADER_LIMIT)];
    let header = &header[..header_end(header, 0).unwrap_or(header.len())];
    let mut name = Vec::new();
    for range in raw_fields(header) {
        let field = &header[range];
        let colon = memchr(b':', field).unwrap_or(field.len());
        let value = field.get(colon + 1..).unwrap_or_default();
        name.clear();
        fold_into(&field[..colon], &mut name);
        name.make_ascii_lowercase();
        if !name.is_empty() || !value.iter().all(|&b| is_blank(b)) {
            take(&name, value);
        }
    }
}

/// Whether nothing is left of it between words.
fn is_blank(b: u8) -> bool {
    matches!(b, b'\r' | b'\n' | 0 | b' ' | b'\t')
}

/// Where the fields of a header block lie, lines that continue them and line ends included.
fn raw_fields(header: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut from = 0;
    let ends = memchr_iter(b'\n', header).map(|at| at + 1).chain([header.len()]);
    ends.filter(|&end| !matches!(header.get(end), Some(b' ' | b'\t')))
        .map(move |end| std::mem::replace(&mut from, end)..end)
}

/// Bytes as they look on the most lossy server, unfolded, white space collapsed and trimmed.
fn fold(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    fold_into(bytes, &mut out);
    out
}

fn fold_into(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len());
    let (start, mut gap) = (out.len(), false);
    for &b in bytes {
        match b {
            b'\r' | b'\n' | 0 => {}
            b' ' | b'\t' => gap = out.len() > start,
            _ => {
                if std::mem::take(&mut gap) {
                    out.push(b' ');
                }
                out.push(if b < 0x80 { b } else { b'X' });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAIL: &[u8] =
        b"Message-ID: <1@example.org>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nFrom: Ada <ada@example.org>\r\n\
          Subject: a\r\n  long one\r\nX-Other: 1\r\n\r\nbody\r\n";

    fn identity(bytes: &[u8]) -> Identity {
        let mut digester = Digester::new();
        digester.update(bytes);
        digester.finish()
    }

    fn replaced(from: &str, to: &str) -> Vec<u8> {
        let mail = String::from_utf8(MAIL.to_vec()).unwrap();
        assert!(mail.contains(from), "{from}");
        mail.replace(from, to).into_bytes()
    }

    #[test]
    fn what_changes_which_hash() {
        let base = identity(MAIL);
        // (change, envelope key stays, header digest stays, content stays)
        let rows = [
            (replaced("body", "BODY"), true, true, false),
            (replaced("X-Other: 1", "X-Other: 2"), true, false, false),
            (
                replaced("X-Other: 1\r\n", "X-Other: 1\r\nX-TUID: abc\r\n"),
                true,
                true,
                true,
            ),
            (
                replaced("X-Other: 1\r\n", "x-offlineIMAP: 1\r\n 2\r\nX-Other: 1\r\n"),
                true,
                true,
                true,
            ),
            (
                replaced("X-Other: 1\r\n", "X-Other: 1\r\nStatus: RO\r\n"),
                true,
                true,
                false,
            ),
            (replaced("body", "X-TUID: abc\r\nbody"), true, true, false),
            (replaced("Subject: a", "Subject: b"), false, false, false),
            (replaced("a\r\n  long", "a long"), true, true, false),
            (replaced("Message-ID", "Message-Id"), true, true, false),
            (replaced("\r\n", "\n"), true, true, false),
        ];
        for (mail, key, header, content) in rows {
            let now = identity(&mail);
            let shown = String::from_utf8_lossy(&mail);
            assert_eq!(now.envelope == base.envelope, key, "{shown}");
            assert_eq!(now.header == base.header, header, "{shown}");
            assert_eq!(now.content == base.content, content, "{shown}");
            let size = now.size - now.marks;
            assert!(!content || size == base.size, "{shown}");
            assert_eq!(
                marks_size(&mail),
                now.marks + u64::from(mail.ends_with(b"X-TUID: abc\r\nbody\r\n")) * 13
            );
        }
    }

    #[test]
    fn eight_bit_is_an_x_and_nul_is_nothing() {
        assert_eq!(
            header_digest(b"Subject: caf\xe9 \0x\n"),
            header_digest(b"subject:cafX x\r\n")
        );
    }

    #[test]
    fn bare_cr_is_seen() {
        for (mail, bare) in [
            ("a\r\nb\r\n", false),
            ("a\nb", false),
            ("a\rb", true),
            ("a\r\r\n", true),
            ("a\r", true),
            ("", false),
        ] {
            assert_eq!(identity(mail.as_bytes()).bare_cr, bare, "{mail:?}");
        }
    }

    #[test]
    fn no_message_id_no_key() {
        assert_eq!(identity(b"Subject: x\r\n\r\n").envelope, None);
        assert_eq!(identity(b"Message-ID: \r\nSubject: x\r\n\r\n").envelope, None);
        assert_eq!(identity(b"\r\nMessage-ID: <in@body>\r\n").envelope, None);
        assert_eq!(identity(b"").size, 0);
    }

    /// What the hashes of states that exist were made with.
    #[test]
    fn the_hashes_stay_what_they_are() {
        let mail = b"Message-ID:  <1@example.org>\r\nSubject\r\n : a\r\n\tb\r\nX-Tuid: q\r\nno colon\r\n\r\nbody\r\n";
        let hash = |text: &str| first_16(&blake3::hash(text.as_bytes()));
        let header = "message-id:<1@example.org>\nsubject:a b\nno colon:\n";
        assert_eq!(header_digest(mail), HeaderDigest(hash(header)));
        let key = "<1@example.org>\n\n\na b\n";
        assert_eq!(envelope_key(mail), Some(EnvelopeKey(hash(key))));
        assert_eq!(message_id(mail).unwrap(), b"<1@example.org>");
    }

    /// Of a header longer than is looked at, the cut lies where it lies, however it comes in.
    #[test]
    fn long_headers_come_in_pieces() {
        let filler = |size: usize| [b"Subject: ".as_slice(), &vec![b'y'; size]].concat();
        for (what, size) in [
            ("ends before the limit", HEADER_LIMIT / 2),
            ("ends at the limit", HEADER_LIMIT - 9 - 2),
            ("its blank line lies across the limit", HEADER_LIMIT - 9 - 1),
            ("ends behind the limit", HEADER_LIMIT),
        ] {
            for mark in ["", "X-TUID: abc\r\n"] {
                let mail = [
                    mark.as_bytes(),
                    &filler(size - mark.len()),
                    b"\r\n\r\nX-TUID: in the body\r\n",
                ]
                .concat();
                let mut digester = Digester::new();
                mail.chunks(1000).for_each(|piece| digester.update(piece));
                let pieces = digester.finish();
                assert_eq!(pieces, identity(&mail), "{what}");
                assert_eq!(pieces.marks, mark.len() as u64, "{what}");
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(mail in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), any::<u8>()], 0..200),
                                     cuts in proptest::collection::vec(1usize..20, 1..30)) {
            let mut digester = Digester::new();
            let mut rest = mail.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                digester.update(now);
                rest = later;
            }
            prop_assert_eq!(digester.finish(), identity(&mail));
        }

        #[test]
        fn the_header_alone_gives_the_same_hashes(mail in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b':'), Just(b'm'), any::<u8>()], 0..200)) {
            let whole = identity(&mail);
            let end = header_end(&mail, 0).unwrap_or(mail.len());
            prop_assert_eq!(header_digest(&mail[..end]), whole.header);
            prop_assert_eq!(envelope_key(&mail[..end]), whole.envelope);
        }
    }
}
