//! SEARCH.

use super::super::date::days_from_civil;
use super::super::set::Set;
use super::super::setup::Caps;
use super::cursor::bad;
use super::{Command, Cursor, Parsed, needs};

/// What a message must satisfy.
#[derive(Clone, Debug)]
pub enum Key {
    All,
    And(Vec<Key>),
    Or(Box<Key>, Box<Key>),
    Not(Box<Key>),
    Sequence(Set),
    Uid(Set),
    Flag(String),
    /// `\Recent` in this session; `NEW` is that without `\Seen`.
    Recent,
    /// The field contains the text; an empty text asks whether there is such a field.
    Header(String, Vec<u8>),
    ModSeq(u64),
    Larger(u64),
    Smaller(u64),
    /// Internal date, in days since 1970-01-01, before, on, since.
    Before(i64),
    On(i64),
    Since(i64),
    /// Anywhere in the message.
    Text(Vec<u8>),
}

/// What ESEARCH is to return (RFC 4731).
#[derive(Clone, Copy, Debug, Default)]
pub struct Returns {
    pub all: bool,
    pub count: bool,
    pub min: bool,
    pub max: bool,
}

pub fn search(c: &mut Cursor, caps: &Caps, uid: bool) -> Parsed<Command> {
    let mut returns = None;
    if c.eat_word("RETURN ") {
        needs(caps, "ESEARCH", "SEARCH RETURN")?;
        let mut wanted = Returns::default();
        let options = c.list(Cursor::word)?;
        for option in &options {
            match option.as_str() {
                "ALL" => wanted.all = true,
                "COUNT" => wanted.count = true,
                "MIN" => wanted.min = true,
                "MAX" => wanted.max = true,
                _ => return bad(format!("no such result option: {option}")),
            }
        }
        // RFC 4731 §3.1: an empty list means ALL.
        wanted.all |= options.is_empty();
        returns = Some(wanted);
        c.sp()?;
    }
    if c.eat_word("CHARSET ") {
        let charset = c.text()?.to_ascii_uppercase();
        if charset != "UTF-8" && charset != "US-ASCII" {
            return bad(format!("no such charset: {charset}"));
        }
        c.sp()?;
    }
    let mut keys = vec![key(c, caps)?];
    while c.eat(b' ') {
        keys.push(key(c, caps)?);
    }
    Ok(Command::Search {
        uid,
        key: Key::And(keys),
        returns,
    })
}

fn key(c: &mut Cursor, caps: &Caps) -> Parsed<Key> {
    match c.peek() {
        Some(b'(') => return c.list(|c| key(c, caps)).map(Key::And),
        Some(b'0'..=b'9' | b'*') => return c.set().map(Key::Sequence),
        _ => {}
    }
    let word = c.word()?;
    let flag = |name: &str| Key::Flag(name.to_owned());
    let not = |key: Key| Key::Not(Box::new(key));
    Ok(match word.as_str() {
        "ALL" => Key::All,
        "ANSWERED" => flag("\\Answered"),
        "DELETED" => flag("\\Deleted"),
        "DRAFT" => flag("\\Draft"),
        "FLAGGED" => flag("\\Flagged"),
        "SEEN" => flag("\\Seen"),
        "UNANSWERED" => not(flag("\\Answered")),
        "UNDELETED" => not(flag("\\Deleted")),
        "UNDRAFT" => not(flag("\\Draft")),
        "UNFLAGGED" => not(flag("\\Flagged")),
        "UNSEEN" => not(flag("\\Seen")),
        "RECENT" => Key::Recent,
        "NEW" => Key::And(vec![Key::Recent, not(flag("\\Seen"))]),
        "OLD" => not(Key::Recent),
        _ => {
            c.sp()?;
            with_argument(c, caps, &word)?
        }
    })
}

fn with_argument(c: &mut Cursor, caps: &Caps, word: &str) -> Parsed<Key> {
    Ok(match word {
        "NOT" => Key::Not(Box::new(key(c, caps)?)),
        "OR" => {
            let first = key(c, caps)?;
            c.sp()?;
            Key::Or(Box::new(first), Box::new(key(c, caps)?))
        }
        "UID" => Key::Uid(c.set()?),
        "KEYWORD" => Key::Flag(c.atom()?.to_owned()),
        "UNKEYWORD" => Key::Not(Box::new(Key::Flag(c.atom()?.to_owned()))),
        "HEADER" => {
            let name = c.text()?;
            c.sp()?;
            Key::Header(name, c.astring()?)
        }
        "FROM" | "TO" | "CC" | "BCC" | "SUBJECT" => Key::Header(word.to_owned(), c.astring()?),
        "TEXT" | "BODY" => Key::Text(c.astring()?),
        "MODSEQ" => needs(caps, "CONDSTORE", word)
            .and_then(|()| c.number())
            .map(Key::ModSeq)?,
        "LARGER" => Key::Larger(c.number()?),
        "SMALLER" => Key::Smaller(c.number()?),
        "BEFORE" => Key::Before(date(c)?),
        "ON" => Key::On(date(c)?),
        "SINCE" => Key::Since(date(c)?),
        _ => return bad(format!("no such search key here: {word}")),
    })
}

/// `d-Mon-yyyy`, in days.
fn date(c: &mut Cursor) -> Parsed<i64> {
    let text = c.text()?;
    let parts: Vec<&str> = text.split('-').collect();
    let months = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    if let [day, month, year] = parts[..]
        && let (Ok(day), Ok(year)) = (day.parse::<i64>(), year.parse::<i64>())
        && let Some(month) = months.iter().position(|m| m.eq_ignore_ascii_case(month))
    {
        return Ok(days_from_civil(year, month as i64 + 1, day));
    }
    bad(format!("not a date: {text}"))
}
