//! Server lines cut into tokens: atom, quoted text, literal, parentheses.
//!
//! Tolerant on purpose: whatever a server sends, the next token is found or the line ends, and nothing is held that is not
//! in the line already. There is no recursion, so nesting costs nothing.

use std::borrow::Cow;

use crate::model::{Id, IdSet};

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Everything that is not quoted: words, numbers, flags, `NIL`, `BODY[HEADER.FIELDS (DATE)]`.
    Atom(&'a [u8]),
    /// A quoted string or a literal, without its quotes or its length.
    Text(Cow<'a, [u8]>),
    /// `(`
    Open,
    /// `)`
    Close,
}

/// A string or `NIL` (RFC 9051 §9 nstring).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Nstring<'a> {
    Nil,
    Text(Cow<'a, [u8]>),
}

impl<'a> Nstring<'a> {
    /// The text, if it is one.
    pub(super) fn text(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Nil => None,
            Self::Text(text) => Some(text),
        }
    }
}

/// Reads tokens from a logical line: one whose literals stand in it as `{3}\r\nabc`.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    pub(super) fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// What is left, spaces in front removed.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.rest
    }

    /// The next token if it is an atom; nothing is taken otherwise.
    pub(super) fn atom(&mut self) -> Option<&'a [u8]> {
        let mut ahead = self.clone();
        let Some(Token::Atom(atom)) = ahead.next() else {
            return None;
        };
        *self = ahead;
        Some(atom)
    }

    /// The next token if it is a number of 63 bits: a size or a modseq (RFC 9051 §9 number64, RFC 7162 §7).
    pub(super) fn number(&mut self) -> Option<u64> {
        self.number_of(|number| i64::try_from(number).is_ok())
    }

    /// The next token if it is a number of 32 bits: how many messages there are, a UIDNEXT (RFC 9051 §9 number).
    pub(super) fn number32(&mut self) -> Option<u64> {
        self.number_of(|number| u32::try_from(number).is_ok())
    }

    /// The next token if it is a UID (RFC 9051 §9 uniqueid).
    pub(super) fn id(&mut self) -> Option<Id> {
        self.number_of(is_id)
    }

    fn number_of(&mut self, fits: impl FnOnce(u64) -> bool) -> Option<u64> {
        let mut ahead = self.clone();
        let number = number(ahead.atom()?).filter(|&number| fits(number))?;
        *self = ahead;
        Some(number)
    }

    /// The next token if it is a UIDVALIDITY: 32 bits (RFC 9051 §9 nz-number), whatever the server says.
    pub(super) fn validity(&mut self) -> Option<u64> {
        self.number().map(|number| number & u64::from(u32::MAX))
    }

    /// The next token as text, atoms included; `None` for a parenthesis or the end.
    pub(super) fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        let mut ahead = self.clone();
        let text = match ahead.next()? {
            Token::Atom(atom) => Cow::Borrowed(atom),
            Token::Text(text) => text,
            Token::Open | Token::Close => return None,
        };
        *self = ahead;
        Some(text)
    }

    /// The next token as a string that can be `NIL`; `None` when it is neither.
    pub(super) fn nstring(&mut self) -> Option<Nstring<'a>> {
        let mut ahead = self.clone();
        let is_nil = matches!(ahead.next(), Some(Token::Atom(atom)) if atom.eq_ignore_ascii_case(b"NIL"));
        if is_nil {
            *self = ahead;
            return Some(Nstring::Nil);
        }
        self.string().map(Nstring::Text)
    }

    /// Whether the next token is that one, which is then taken.
    pub(super) fn eat(&mut self, wanted: &Token<'_>) -> bool {
        let mut ahead = self.clone();
        let found = ahead.next().is_some_and(|token| token == *wanted);
        if found {
            *self = ahead;
        }
        found
    }

    /// Takes one value, a list with all that is in it; false when there is none or the list does not end.
    pub(super) fn skip_value(&mut self) -> bool {
        let mut depth = 0_usize;
        loop {
            match self.next() {
                None => return false,
                Some(Token::Open) => depth += 1,
                Some(Token::Close) if depth == 0 => return false,
                Some(Token::Close) => depth -= 1,
                Some(Token::Atom(_) | Token::Text(_)) => {}
            }
            if depth == 0 {
                return true;
            }
        }
    }

    /// The strings of a flat list `(a b c)`; `None` when there is no list, it nests or it does not end.
    pub(super) fn strings(&mut self) -> Option<Vec<Cow<'a, [u8]>>> {
        if !self.eat(&Token::Open) {
            return None;
        }
        let mut strings = Vec::new();
        while let Some(text) = self.string() {
            strings.push(text);
        }
        self.eat(&Token::Close).then_some(strings)
    }

    fn quoted(&mut self) -> Option<Token<'a>> {
        let text = &self.rest[1..];
        let end = text.iter().position(|&b| b == b'"' || b == b'\\')?;
        if text[end] == b'"' {
            self.rest = &text[end + 1..];
            return Some(Token::Text(Cow::Borrowed(&text[..end])));
        }
        let mut out = Vec::new();
        let mut bytes = text.iter().enumerate();
        while let Some((at, &byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = &text[at + 1..];
                    return Some(Token::Text(Cow::Owned(out)));
                }
                b'\\' => out.push(*bytes.next()?.1),
                _ => out.push(byte),
            }
        }
        None
    }

    fn literal(&mut self) -> Option<Token<'a>> {
        let line = self.rest;
        let open = line.iter().position(|&b| b == b'{')?;
        let eol = line.iter().position(|&b| b == b'\n')?;
        let size = literal_size(line.get(..eol)?)?;
        let start = eol + 1;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        let text = line.get(start..end)?;
        (open <= 1).then(|| {
            self.rest = &line[end..];
            Token::Text(Cow::Borrowed(text))
        })
    }

    fn bare(&mut self) -> Token<'a> {
        let end = atom_end(self.rest);
        let (atom, rest) = self.rest.split_at(end);
        self.rest = rest;
        Token::Atom(atom)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.rest();
        let special = match rest {
            [] => return None,
            [b'(', after @ ..] => {
                self.rest = after;
                return Some(Token::Open);
            }
            [b')', after @ ..] => {
                self.rest = after;
                return Some(Token::Close);
            }
            [b'"', ..] => self.quoted(),
            // RFC 9051 §9 literal, literal8
            [b'{', ..] | [b'~', b'{', ..] => self.literal(),
            _ => Some(self.bare()),
        };
        if special.is_none() {
            self.rest = &[];
        }
        special
    }
}

/// Where an atom ends; a section such as `BODY[HEADER.FIELDS (DATE FROM)]<0>` is one atom (RFC 9051 §9 section).
fn atom_end(text: &[u8]) -> usize {
    let has_section = text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"BODY["));
    let (mut depth, mut quoted) = (0_usize, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'\r' | b'\n' => return at.max(1),
            b'"' if depth > 0 => quoted = !quoted,
            _ if quoted => {}
            b'[' if has_section => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            b' ' | b'\t' | b'(' | b')' | b'"' if depth == 0 => return at.max(1),
            _ => {}
        }
    }
    text.len()
}

/// The length that a line announces at its end for the literal after it: `{12}`, `{12+}`, `~{12}`.
pub(super) fn literal_size(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let inner = line.strip_suffix(b"}")?;
    let open = inner.iter().rposition(|&b| b == b'{')?;
    let digits = &inner[open + 1..];
    number(digits.strip_suffix(b"+").unwrap_or(digits))
}

/// A decimal number without a sign.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// Whether it can be a UID: 32 bits, and not 0 (RFC 9051 §9 nz-number).
fn is_id(number: u64) -> bool {
    u32::try_from(number).is_ok_and(|number| number > 0)
}

/// The ranges of a `sequence-set` in the order in which they stand, each ascending; `None` for `*` and other text.
pub(super) fn ranges(text: &[u8]) -> Option<Vec<(u64, u64)>> {
    text.split(|&b| b == b',')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let mut ends = part.splitn(2, |&b| b == b':');
            let id = |digits| number(digits).filter(|&number| is_id(number));
            let first = id(ends.next()?)?;
            let last = ends.next().map_or(Some(first), id)?;
            Some((first.min(last), first.max(last)))
        })
        .collect()
}

/// A `sequence-set` as a set, in any order.
pub(super) fn id_set(text: &[u8]) -> Option<IdSet> {
    let mut ranges = ranges(text)?;
    // Sorted first: inserting in ascending order costs nothing, in any other order it could cost the square.
    ranges.sort_unstable();
    let mut set = IdSet::new();
    for (first, last) in ranges {
        set.insert_range(first..=last);
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(line: &[u8]) -> String {
        let one = |token| match token {
            Token::Atom(atom) => format!("a:{}", atom.escape_ascii()),
            Token::Text(text) => format!("t:{}", text.escape_ascii()),
            Token::Open => "(".into(),
            Token::Close => ")".into(),
        };
        Tokens::new(line).map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn lines_and_their_tokens() {
        for (line, tokens) in [
            (&b""[..], ""),
            (b"* 1 EXISTS", "a:* a:1 a:EXISTS"),
            (b"(\\Seen \\* NIL)", "( a:\\\\Seen a:\\\\* a:NIL )"),
            (br#"("a \"b\\" "")"#, r#"( t:a \"b\\ t: )"#),
            (b"x {3}\r\n(a) y", "a:x t:(a) a:y"),
            (b"~{2}\r\n\0\xff z", "t:\\x00\\xff a:z"),
            (
                b"BODY[HEADER.FIELDS (DATE \"a b\")]<0> {1}\r\nx)",
                "a:BODY[HEADER.FIELDS (DATE \\\"a b\\\")]<0> t:x )",
            ),
            (b"(a[b c)", "( a:a[b a:c )"),
            (b"a\"b\"", "a:a t:b"),
            (b"\"never closed", ""),
            (b"{99}\r\nshort", ""),
            (b"{x} y", ""),
            (b"a{3}\r\nabc", "a:a{3} a:abc"),
        ] {
            assert_eq!(shown(line), tokens, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn values_are_skipped_whole() {
        for (line, rest) in [("(a (b c) d) e", "e"), ("a b", "b"), ("\"x y\" z", "z")] {
            let mut tokens = Tokens::new(line.as_bytes());
            assert!(tokens.skip_value(), "{line}");
            assert_eq!(tokens.rest(), rest.as_bytes());
        }
        for line in ["", ")", "(a (b)"] {
            assert!(!Tokens::new(line.as_bytes()).skip_value(), "{line}");
        }
    }

    #[test]
    fn sets_keep_order_or_become_sets() {
        assert_eq!(ranges(b"5,3:2,7"), Some(vec![(5, 5), (2, 3), (7, 7)]));
        assert_eq!(id_set(b"5,3:2,4").unwrap().to_string(), "2:5");
        for bad in [
            "*",
            "1:*",
            "1-2",
            "a",
            "1:2:3",
            "0",
            "0:9",
            "7,4294967296",
            "1:18446744073709551615",
        ] {
            assert_eq!(ranges(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn announced_literals() {
        for (line, size) in [
            ("a {3}", Some(3)),
            ("a {3+}\r", Some(3)),
            ("~{0}", Some(0)),
            ("a {}", None),
            ("a {3", None),
            ("{-1}", None),
            ("{99999999999999999999}", None),
        ] {
            assert_eq!(literal_size(line.as_bytes()), size, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(line in proptest::collection::vec(prop_oneof![
            any::<u8>(), Just(b'('), Just(b')'), Just(b'"'), Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'\n'), b'0'..=b'9'
        ], 0..300)) {
            let tokens = Tokens::new(&line).count();
            prop_assert!(tokens <= line.len());
            Tokens::new(&line).skip_value();
        }
    }
}
