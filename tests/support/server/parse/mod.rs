//! Commands, read strictly: what the grammar or the capabilities do not allow is BAD.

mod command;
mod cursor;
mod fetch;
mod list;
mod search;

pub use command::{Appended, Command, How, Phase, Qresync, Store};
pub use cursor::{Cursor, Oops, Parsed};
pub use fetch::{Item, Section};
pub use list::{ListArgs, StatusItem};
pub use search::{Key, Returns};

use super::flags::Flags;
use super::setup::Caps;
use cursor::bad;

/// The tag and the verb of a command, in capitals, `UID` included; for the transcript and the faults.
pub fn head(line: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split_ascii_whitespace();
    let tag = words.next().unwrap_or_default().to_owned();
    let mut verb = words.next().unwrap_or_default().to_ascii_uppercase();
    if verb == "UID" {
        verb = format!("UID {}", words.next().unwrap_or_default().to_ascii_uppercase());
    }
    (tag, verb)
}

/// Reads a command without its final CRLF, literals in place. `utf8`: UTF8=ACCEPT is enabled.
/// Gives with it what is within the grammar but had better not be sent.
pub fn command(bytes: &[u8], caps: &Caps, utf8: bool) -> Parsed<(Command, Vec<String>)> {
    let mut c = Cursor::new(bytes, utf8);
    c.tag()?;
    c.sp()?;
    let verb = c.word()?;
    let uid = verb == "UID";
    let verb = if uid {
        c.sp()?;
        c.word()?
    } else {
        verb
    };
    let command = match (uid, verb.as_str()) {
        (_, "FETCH" | "STORE" | "SEARCH" | "COPY" | "MOVE") | (true, "EXPUNGE") => {
            on_messages(&mut c, caps, uid, &verb)?
        }
        (false, _) => other(&mut c, caps, &verb)?,
        (true, _) => return bad(format!("no such command: UID {verb}")),
    };
    c.end()?;
    Ok((command, c.notes))
}

fn needs(caps: &Caps, cap: &str, what: &str) -> Parsed<()> {
    if caps.has(cap) {
        Ok(())
    } else {
        bad(format!("{what} without {cap}"))
    }
}

fn on_messages(c: &mut Cursor, caps: &Caps, uid: bool, verb: &str) -> Parsed<Command> {
    c.sp()?;
    match verb {
        "FETCH" => fetch::fetch(c, caps, uid),
        "STORE" => store(c, caps, uid),
        "SEARCH" => search::search(c, caps, uid),
        "EXPUNGE" => {
            needs(caps, "UIDPLUS", "UID EXPUNGE")?;
            Ok(Command::Expunge { uids: Some(c.set()?) })
        }
        _ => {
            let and_expunge = verb == "MOVE";
            if and_expunge {
                needs(caps, "MOVE", "MOVE")?;
            }
            let set = c.set()?;
            c.sp()?;
            Ok(Command::Copy {
                uid,
                set,
                to: c.mailbox()?,
                and_expunge,
            })
        }
    }
}

fn other(c: &mut Cursor, caps: &Caps, verb: &str) -> Parsed<Command> {
    let simple = match verb {
        "CAPABILITY" => Some(Command::Capability),
        "NOOP" => Some(Command::Noop),
        "LOGOUT" => Some(Command::Logout),
        "CHECK" => Some(Command::Check),
        "CLOSE" => Some(Command::Close),
        "EXPUNGE" => Some(Command::Expunge { uids: None }),
        "STARTTLS" => needs(caps, "STARTTLS", verb).map(|()| Some(Command::StartTls))?,
        "UNSELECT" => needs(caps, "UNSELECT", verb).map(|()| Some(Command::Unselect))?,
        "NAMESPACE" => needs(caps, "NAMESPACE", verb).map(|()| Some(Command::Namespace))?,
        _ => None,
    };
    if let Some(command) = simple {
        return Ok(command);
    }
    c.sp()?;
    match verb {
        "ID" => id(c, caps),
        "LOGIN" => {
            let user = c.text()?;
            c.sp()?;
            Ok(Command::Login {
                user,
                password: c.text()?,
            })
        }
        "AUTHENTICATE" => authenticate(c, caps),
        "ENABLE" => enable(c, caps),
        "SELECT" | "EXAMINE" => select(c, caps, verb == "EXAMINE"),
        "CREATE" => create(c, caps),
        "DELETE" => c.mailbox().map(Command::Delete),
        "RENAME" => {
            let from = c.mailbox()?;
            c.sp()?;
            Ok(Command::Rename { from, to: c.mailbox()? })
        }
        "SUBSCRIBE" => c.mailbox().map(Command::Subscribe),
        "UNSUBSCRIBE" => c.mailbox().map(Command::Unsubscribe),
        "LIST" => list::list(c, caps),
        "LSUB" => list::lsub(c),
        "STATUS" => {
            let mailbox = c.mailbox()?;
            c.sp()?;
            Ok(Command::Status {
                mailbox,
                items: list::status_items(c, caps)?,
            })
        }
        "APPEND" => append(c, caps),
        _ => bad(format!("no such command: {verb}")),
    }
}

fn id(c: &mut Cursor, caps: &Caps) -> Parsed<Command> {
    needs(caps, "ID", "ID")?;
    if !c.eat_word("NIL") {
        // RFC 2971 §3.3: pairs of a string and an nstring.
        let fields = c.list(Cursor::nstring)?;
        if fields.len() % 2 == 1 {
            return bad("ID wants pairs");
        }
    }
    Ok(Command::Id)
}

fn authenticate(c: &mut Cursor, caps: &Caps) -> Parsed<Command> {
    let mechanism = c.atom()?.to_ascii_uppercase();
    let initial = if c.eat(b' ') {
        needs(caps, "SASL-IR", "an initial response")?;
        let text = std::str::from_utf8(c.rest()).unwrap_or_default();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)) {
            return bad("the initial response is not base64");
        }
        let initial = text.to_owned();
        while c.peek().is_some_and(|b| c.eat(b)) {}
        Some(initial)
    } else {
        None
    };
    Ok(Command::Authenticate { mechanism, initial })
}

fn enable(c: &mut Cursor, caps: &Caps) -> Parsed<Command> {
    needs(caps, "ENABLE", "ENABLE")?;
    let mut names = vec![c.atom()?.to_ascii_uppercase()];
    while c.eat(b' ') {
        names.push(c.atom()?.to_ascii_uppercase());
    }
    Ok(Command::Enable(names))
}

fn select(c: &mut Cursor, caps: &Caps, examine: bool) -> Parsed<Command> {
    let mailbox = c.mailbox()?;
    let (mut condstore, mut qresync) = (false, None);
    if c.eat(b' ') {
        needs(caps, "CONDSTORE", "a parameter of SELECT")?;
        c.list(|c| {
            match c.word()?.as_str() {
                "CONDSTORE" => condstore = true,
                "QRESYNC" => {
                    needs(caps, "QRESYNC", "(QRESYNC")?;
                    c.sp()?;
                    qresync = Some(known_state(c)?);
                }
                other => return bad(format!("no such parameter of SELECT: {other}")),
            }
            Ok(())
        })?;
    }
    Ok(Command::Select {
        mailbox,
        examine,
        condstore,
        qresync,
    })
}

fn known_state(c: &mut Cursor) -> Parsed<Qresync> {
    // RFC 7162 §7: "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"
    c.expect(b'(')?;
    let validity = c.nz_number()?;
    c.sp()?;
    let modseq = c.number()?;
    if modseq == 0 {
        return bad("a mod-sequence of 0 in QRESYNC");
    }
    let mut known = None;
    if c.eat(b' ') && c.peek() != Some(b'(') {
        known = Some(c.set()?);
        c.eat(b' ');
    }
    if c.eat(b'(') {
        c.set()?;
        c.sp()?;
        c.set()?;
        c.expect(b')')?;
    }
    c.expect(b')')?;
    Ok(Qresync {
        validity,
        modseq,
        known,
    })
}

fn create(c: &mut Cursor, caps: &Caps) -> Parsed<Command> {
    let mailbox = c.mailbox()?;
    let mut role = None;
    if c.eat(b' ') {
        needs(caps, "CREATE-SPECIAL-USE", "a parameter of CREATE")?;
        c.expect(b'(')?;
        if !c.eat_word("USE ") {
            return bad("expected USE");
        }
        let uses = c.list(|c| {
            c.expect(b'\\')?;
            Ok(format!("\\{}", c.atom()?))
        })?;
        c.expect(b')')?;
        role = uses.into_iter().next();
    }
    Ok(Command::Create { mailbox, role })
}

fn append(c: &mut Cursor, caps: &Caps) -> Parsed<Command> {
    let mailbox = c.mailbox()?;
    let mut messages = Vec::new();
    while messages.is_empty() || c.peek() == Some(b' ') {
        if !messages.is_empty() {
            needs(caps, "MULTIAPPEND", "a second message in APPEND")?;
        }
        c.sp()?;
        let mut flags = Flags::default();
        if c.peek() == Some(b'(') {
            flags = Flags::new(c.list(Cursor::flag)?);
            c.sp()?;
        }
        let date = if c.peek() == Some(b'"') {
            let date = c.date_time()?;
            c.sp()?;
            Some(date)
        } else {
            None
        };
        messages.push(Appended {
            flags,
            date,
            bytes: c.literal()?.to_vec(),
        });
    }
    Ok(Command::Append { mailbox, messages })
}

fn store(c: &mut Cursor, caps: &Caps, uid: bool) -> Parsed<Command> {
    let set = c.set()?;
    c.sp()?;
    let mut unchanged_since = None;
    if c.eat(b'(') {
        needs(caps, "CONDSTORE", "UNCHANGEDSINCE")?;
        if !c.eat_word("UNCHANGEDSINCE ") {
            return bad("expected UNCHANGEDSINCE");
        }
        unchanged_since = Some(c.number()?);
        c.expect(b')')?;
        c.sp()?;
    }
    let (how, silent) = match c.word()?.as_str() {
        "FLAGS" => (How::Replace, false),
        "FLAGS.SILENT" => (How::Replace, true),
        "+FLAGS" => (How::Add, false),
        "+FLAGS.SILENT" => (How::Add, true),
        "-FLAGS" => (How::Remove, false),
        "-FLAGS.SILENT" => (How::Remove, true),
        other => return bad(format!("no such item of STORE: {other}")),
    };
    c.sp()?;
    let flags = if c.peek() == Some(b'(') {
        c.list(Cursor::flag)?
    } else {
        let mut flags = vec![c.flag()?];
        while c.eat(b' ') {
            flags.push(c.flag()?);
        }
        flags
    };
    let flags = Flags::new(flags);
    Ok(Command::Store(Store {
        uid,
        set,
        how,
        silent,
        flags,
        unchanged_since,
    }))
}
