//! LIST, LSUB and the items of STATUS.

use super::super::setup::Caps;
use super::cursor::bad;
use super::{Command, Cursor, Parsed, needs};

/// What LIST asks for.
#[derive(Clone, Debug, Default)]
pub struct ListArgs {
    /// LSUB rather than LIST.
    pub lsub: bool,
    pub reference: String,
    pub patterns: Vec<String>,
    /// Only what is subscribed, whether it exists or not.
    pub select_subscribed: bool,
    /// Only what has a role.
    pub select_special_use: bool,
    pub return_subscribed: bool,
    pub return_children: bool,
    pub return_special_use: bool,
    pub return_status: Vec<StatusItem>,
    /// It is an extended LIST (RFC 5258).
    pub extended: bool,
}

/// What STATUS can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    HighestModSeq,
    MailboxId,
    Size,
    AppendLimit,
}

pub fn lsub(c: &mut Cursor) -> Parsed<Command> {
    let reference = c.text()?;
    c.sp()?;
    let patterns = vec![c.pattern()?];
    Ok(Command::List(ListArgs {
        lsub: true,
        reference,
        patterns,
        ..ListArgs::default()
    }))
}

pub fn list(c: &mut Cursor, caps: &Caps) -> Parsed<Command> {
    let mut args = ListArgs::default();
    if c.peek() == Some(b'(') {
        needs(caps, "LIST-EXTENDED", "a selection option")?;
        args.extended = true;
        for option in c.list(Cursor::word)? {
            match option.as_str() {
                "SUBSCRIBED" => (args.select_subscribed, args.return_subscribed) = (true, true),
                "REMOTE" | "RECURSIVEMATCH" => {}
                "SPECIAL-USE" => {
                    needs(caps, "SPECIAL-USE", &option)?;
                    (args.select_special_use, args.return_special_use) = (true, true);
                }
                _ => return bad(format!("no such selection option: {option}")),
            }
        }
        c.sp()?;
    }
    args.reference = c.text()?;
    c.sp()?;
    args.patterns = if c.peek() == Some(b'(') {
        needs(caps, "LIST-EXTENDED", "a list of patterns")?;
        args.extended = true;
        c.list(Cursor::pattern)?
    } else {
        vec![c.pattern()?]
    };
    if c.eat(b' ') {
        args.extended = true;
        if !c.eat_word("RETURN ") {
            return bad("expected RETURN");
        }
        c.list(|c| return_option(c, caps, &mut args))?;
    }
    Ok(Command::List(args))
}

fn return_option(c: &mut Cursor, caps: &Caps, args: &mut ListArgs) -> Parsed<()> {
    let option = c.word()?;
    match option.as_str() {
        "SUBSCRIBED" => needs(caps, "LIST-EXTENDED", &option).map(|()| args.return_subscribed = true),
        "CHILDREN" => needs(caps, "LIST-EXTENDED", &option).map(|()| args.return_children = true),
        // RFC 6154 §2: the return option exists where LIST-EXTENDED and SPECIAL-USE do.
        "SPECIAL-USE" => needs(caps, "SPECIAL-USE", &option).map(|()| args.return_special_use = true),
        "STATUS" => {
            needs(caps, "LIST-STATUS", &option)?;
            c.sp()?;
            args.return_status = status_items(c, caps)?;
            Ok(())
        }
        _ => bad(format!("no such return option: {option}")),
    }
}

pub fn status_items(c: &mut Cursor, caps: &Caps) -> Parsed<Vec<StatusItem>> {
    let items = c.list(|c| {
        let word = c.word()?;
        Ok(match word.as_str() {
            "MESSAGES" => StatusItem::Messages,
            "RECENT" => StatusItem::Recent,
            "UIDNEXT" => StatusItem::UidNext,
            "UIDVALIDITY" => StatusItem::UidValidity,
            "UNSEEN" => StatusItem::Unseen,
            "HIGHESTMODSEQ" => needs(caps, "CONDSTORE", &word).map(|()| StatusItem::HighestModSeq)?,
            "MAILBOXID" => needs(caps, "OBJECTID", &word).map(|()| StatusItem::MailboxId)?,
            "SIZE" => needs(caps, "STATUS=SIZE", &word).map(|()| StatusItem::Size)?,
            "APPENDLIMIT" => StatusItem::AppendLimit,
            _ => return bad(format!("no such item of STATUS: {word}")),
        })
    })?;
    if items.is_empty() {
        bad("STATUS of nothing")
    } else {
        Ok(items)
    }
}
