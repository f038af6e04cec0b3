//! FETCH.

use super::super::setup::Caps;
use super::cursor::bad;
use super::{Command, Cursor, Parsed, needs};

/// What is asked for of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Uid,
    Flags,
    InternalDate,
    Size,
    ModSeq,
    EmailId,
    GmailId,
    /// `RFC822`, `RFC822.HEADER` or `RFC822.TEXT`: an old name for a section.
    Rfc822(&'static str, Section),
    Body {
        peek: bool,
        section: Section,
        partial: Option<(usize, usize)>,
    },
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Section {
    All,
    Header,
    Text,
    /// These fields, or all but these; in capitals, as they are written back.
    Fields {
        names: Vec<String>,
        not: bool,
    },
}

pub fn fetch(c: &mut Cursor, caps: &Caps, uid: bool) -> Parsed<Command> {
    let set = c.set()?;
    c.sp()?;
    let items = if c.peek() == Some(b'(') {
        c.list(|c| item(c, caps))?
    } else if c.eat_word("FAST") {
        vec![Item::Flags, Item::InternalDate, Item::Size]
    } else {
        vec![item(c, caps)?]
    };
    if items.is_empty() {
        return bad("FETCH of nothing");
    }
    let (mut changed_since, mut vanished) = (None, false);
    if c.eat(b' ') {
        needs(caps, "CONDSTORE", "a modifier of FETCH")?;
        c.list(|c| {
            match c.word()?.as_str() {
                "CHANGEDSINCE" => {
                    c.sp()?;
                    changed_since = Some(c.number()?);
                }
                "VANISHED" => {
                    needs(caps, "QRESYNC", "VANISHED")?;
                    vanished = true;
                }
                other => return bad(format!("no such modifier of FETCH: {other}")),
            }
            Ok(())
        })?;
    }
    // RFC 7162 §3.2.6: only with UID FETCH and CHANGEDSINCE.
    if vanished && (!uid || changed_since.is_none()) {
        return bad("VANISHED without UID FETCH and CHANGEDSINCE");
    }
    Ok(Command::Fetch {
        uid,
        set,
        items,
        changed_since,
        vanished,
    })
}

fn item(c: &mut Cursor, caps: &Caps) -> Parsed<Item> {
    Ok(match c.word()?.as_str() {
        "UID" => Item::Uid,
        "FLAGS" => Item::Flags,
        "INTERNALDATE" => Item::InternalDate,
        "RFC822.SIZE" => Item::Size,
        "MODSEQ" => needs(caps, "CONDSTORE", "MODSEQ").map(|()| Item::ModSeq)?,
        "EMAILID" => needs(caps, "OBJECTID", "EMAILID").map(|()| Item::EmailId)?,
        "X-GM-MSGID" => needs(caps, "X-GM-EXT-1", "X-GM-MSGID").map(|()| Item::GmailId)?,
        "RFC822" => Item::Rfc822("RFC822", Section::All),
        "RFC822.HEADER" => Item::Rfc822("RFC822.HEADER", Section::Header),
        "RFC822.TEXT" => Item::Rfc822("RFC822.TEXT", Section::Text),
        "BODY" => body(c, false)?,
        "BODY.PEEK" => body(c, true)?,
        other => return bad(format!("no such item of FETCH here: {other}")),
    })
}

fn body(c: &mut Cursor, peek: bool) -> Parsed<Item> {
    c.expect(b'[')?;
    let section = if c.peek() == Some(b']') {
        Section::All
    } else {
        match c.word()?.as_str() {
            "HEADER" => Section::Header,
            "TEXT" => Section::Text,
            "HEADER.FIELDS" => fields(c, false)?,
            "HEADER.FIELDS.NOT" => fields(c, true)?,
            other => return bad(format!("no such section here: {other}")),
        }
    };
    c.expect(b']')?;
    let mut partial = None;
    if c.eat(b'<') {
        let from = c.number()? as usize;
        c.expect(b'.')?;
        partial = Some((from, c.nz_number()? as usize));
        c.expect(b'>')?;
    }
    Ok(Item::Body { peek, section, partial })
}

fn fields(c: &mut Cursor, not: bool) -> Parsed<Section> {
    c.sp()?;
    let names = c.list(Cursor::text)?;
    if names.is_empty() {
        return bad("no field named");
    }
    let names = names.iter().map(|n| n.to_ascii_uppercase()).collect();
    Ok(Section::Fields { names, not })
}
