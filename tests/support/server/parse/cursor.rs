//! The words of the grammar (RFC 3501 §9), read strictly.

use super::super::date::Date;
use super::super::names;
use super::super::set::Set;

/// Why a command could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oops {
    /// It breaks the grammar.
    Bad(String),
    /// It is good as far as it goes: the bytes of the literal that it ends with are still to come.
    More,
}

/// What was read.
pub type Parsed<T> = Result<T, Oops>;

pub fn bad<T>(why: impl Into<String>) -> Parsed<T> {
    Err(Oops::Bad(why.into()))
}

/// What is still to be read of a command.
pub struct Cursor<'a> {
    rest: &'a [u8],
    utf8: bool,
    /// What is within the grammar but had better not be sent.
    pub notes: Vec<String>,
}

fn atom_char(b: u8) -> bool {
    b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b)
}

impl<'a> Cursor<'a> {
    /// On a command without its final CRLF. `utf8`: UTF8=ACCEPT is enabled.
    pub fn new(command: &'a [u8], utf8: bool) -> Self {
        Self {
            rest: command,
            utf8,
            notes: Vec::new(),
        }
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte, unread.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Reads that byte if it comes next.
    pub fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.rest = &self.rest[1..];
        }
        there
    }

    /// Reads that word, in any case, if it comes next.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let there = self
            .rest
            .get(..word.len())
            .is_some_and(|w| w.eq_ignore_ascii_case(word.as_bytes()));
        if there {
            self.rest = &self.rest[word.len()..];
        }
        there
    }

    /// That byte must come next.
    pub fn expect(&mut self, byte: u8) -> Parsed<()> {
        if self.eat(byte) {
            return Ok(());
        }
        let shown = self.rest[..self.rest.len().min(20)].escape_ascii().to_string();
        bad(format!("expected {:?} before \"{shown}\"", char::from(byte)))
    }

    /// A blank must come next.
    pub fn sp(&mut self) -> Parsed<()> {
        self.expect(b' ')
    }

    /// Nothing may be left.
    pub fn end(&self) -> Parsed<()> {
        match self.rest {
            [] => Ok(()),
            rest => bad(format!(
                "more than expected: \"{}\"",
                rest[..rest.len().min(40)].escape_ascii()
            )),
        }
    }

    fn run(&mut self, what: &str, good: impl Fn(u8) -> bool) -> Parsed<&'a str> {
        let end = self.rest.iter().position(|&b| !good(b)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            let shown = rest[..rest.len().min(20)].escape_ascii();
            return bad(format!("expected {what} before \"{shown}\""));
        }
        self.rest = rest;
        std::str::from_utf8(word).map_or_else(|_| bad(format!("{what} is not ASCII")), Ok)
    }

    /// A tag: anything an `astring` can hold but `+`.
    pub fn tag(&mut self) -> Parsed<&'a str> {
        self.run("a tag", |b| (atom_char(b) || b == b']') && b != b'+')
    }

    /// An atom.
    pub fn atom(&mut self) -> Parsed<&'a str> {
        self.run("an atom", atom_char)
    }

    /// A word made of letters, digits and `.-`, in capitals: a command or an item's name.
    pub fn word(&mut self) -> Parsed<String> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b".-=+".contains(&b);
        self.run("a word", good).map(str::to_ascii_uppercase)
    }

    /// A number.
    pub fn number(&mut self) -> Parsed<u64> {
        let digits = self.run("a number", |b| b.is_ascii_digit())?;
        digits
            .parse()
            .map_or_else(|_| bad(format!("number too large: {digits}")), Ok)
    }

    /// A number from 1 to 4294967295.
    pub fn nz_number(&mut self) -> Parsed<u32> {
        match self.number()? {
            n @ 1..=0xffff_ffff => Ok(n as u32),
            n => bad(format!("expected a number from 1 to 4294967295, not {n}")),
        }
    }

    fn quoted(&mut self) -> Parsed<Vec<u8>> {
        self.expect(b'"')?;
        let mut out = Vec::new();
        loop {
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return Ok(out);
                }
                [b'\\', c @ (b'"' | b'\\'), rest @ ..] => {
                    out.push(*c);
                    self.rest = rest;
                }
                [b'\\', ..] => return bad("only quotes and backslashes may follow a backslash"),
                [b'\r' | b'\n' | 0, ..] | [] => return bad("quoted string without an end"),
                [c, ..] if *c >= 0x80 && !self.utf8 => return bad(format!("8-bit byte {c:#x} in a quoted string")),
                [c, rest @ ..] => {
                    out.push(*c);
                    self.rest = rest;
                }
            }
        }
    }

    /// A literal, whether synchronising or not; that was settled when it was announced.
    pub fn literal(&mut self) -> Parsed<&'a [u8]> {
        self.expect(b'{')?;
        let length = self.number()? as usize;
        self.eat(b'+');
        self.expect(b'}')?;
        if self.rest.is_empty() {
            return Err(Oops::More);
        }
        self.expect(b'\r')?;
        self.expect(b'\n')?;
        let Some((bytes, rest)) = self.rest.split_at_checked(length) else {
            return Err(Oops::More);
        };
        self.rest = rest;
        Ok(bytes)
    }

    /// A string.
    pub fn string(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.no_nul_literal(),
            _ => bad("expected a string"),
        }
    }

    fn no_nul_literal(&mut self) -> Parsed<Vec<u8>> {
        let bytes = self.literal()?;
        if bytes.contains(&0) {
            return bad("NUL in a literal");
        }
        Ok(bytes.to_vec())
    }

    /// An `astring`.
    pub fn astring(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => self
                .run("an astring", |b| atom_char(b) || b == b']')
                .map(|s| s.as_bytes().to_vec()),
        }
    }

    /// An `astring` that is text.
    pub fn text(&mut self) -> Parsed<String> {
        String::from_utf8(self.astring()?).map_or_else(|_| bad("a string that is not UTF-8"), Ok)
    }

    /// A string or NIL.
    pub fn nstring(&mut self) -> Parsed<Option<Vec<u8>>> {
        if self.eat_word("NIL") {
            Ok(None)
        } else {
            self.string().map(Some)
        }
    }

    /// A mailbox name, decoded; the INBOX in any case is `INBOX`.
    pub fn mailbox(&mut self) -> Parsed<String> {
        let wire = self.astring()?;
        let name = names::decode(&wire, self.utf8).or_else(bad)?;
        Ok(if name.eq_ignore_ascii_case("INBOX") {
            "INBOX".to_owned()
        } else {
            name
        })
    }

    /// A pattern of LIST, as on the wire.
    pub fn pattern(&mut self) -> Parsed<String> {
        let wire = match self.peek() {
            Some(b'"' | b'{') => self.string()?,
            _ => self
                .run("a pattern", |b| atom_char(b) || b"]%*".contains(&b))?
                .as_bytes()
                .to_vec(),
        };
        String::from_utf8(wire).map_or_else(|_| bad("a pattern that is not UTF-8"), Ok)
    }

    /// A sequence set.
    pub fn set(&mut self) -> Parsed<Set> {
        let mut ranges = Vec::new();
        loop {
            let first = self.set_number()?;
            let last = if self.eat(b':') { self.set_number()? } else { first };
            ranges.push((first, last));
            if !self.eat(b',') {
                break;
            }
        }
        let set = Set(ranges);
        self.notes.extend(set.oddity().map(str::to_owned));
        Ok(set)
    }

    fn set_number(&mut self) -> Parsed<Option<u32>> {
        if self.eat(b'*') {
            Ok(None)
        } else {
            self.nz_number().map(Some)
        }
    }

    /// A flag that a client may set: one of the five system flags or a keyword. Never `\Recent`.
    pub fn flag(&mut self) -> Parsed<String> {
        if self.eat(b'\\') {
            let name = format!("\\{}", self.atom()?);
            let known = super::super::flags::SYSTEM
                .iter()
                .any(|s| s.eq_ignore_ascii_case(&name));
            return if known {
                Ok(name)
            } else {
                bad(format!("not a flag to set: {name}"))
            };
        }
        self.atom().map(str::to_owned)
    }

    /// What `item` reads, with blanks between and parentheses around; it may be none.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.expect(b'(')?;
        let mut out = Vec::new();
        while !self.eat(b')') {
            if !out.is_empty() {
                self.sp()?;
            }
            out.push(item(self)?);
        }
        Ok(out)
    }

    /// A date and time, quoted.
    pub fn date_time(&mut self) -> Parsed<Date> {
        let text = String::from_utf8(self.quoted()?).unwrap_or_default();
        Date::parse(&text).map_or_else(|| bad(format!("not a date-time: {text:?}")), Ok)
    }
}
