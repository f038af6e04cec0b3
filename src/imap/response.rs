//! What the lines of a server say, as far as homing asks for it.
//!
//! A line that cannot be read is [`Data::Other`] or [`Data::Malformed`]: counted and skipped, never fatal.

use std::borrow::Cow;

use super::capability::Capabilities;
use super::code::{self, Code};
use super::date;
use super::token::{Nstring, Token, Tokens, id_set, number};
use crate::error::clean;
use crate::model::{Flags, Id, IdSet, InternalDate, ObjectId};

/// A line.
#[derive(Debug)]
pub(super) enum Response<'a> {
    /// The answer to a command.
    Tagged(u64, Reply),
    /// `+`: the server waits for more, perhaps with a challenge.
    Continue(&'a [u8]),
    /// Anything else.
    Data(Data<'a>),
    /// A line that is none of these: the connection is out of step.
    Garbled,
}

/// `OK`, `NO`, `BAD`, and the two that only greet or part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    No,
    Bad,
    Bye,
    Preauth,
}

/// A status with its code and its text, made fit for a message.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: Status,
    pub(super) code: Code,
    pub(super) text: String,
    /// The command shared the wire with another one.
    pub(super) crowded: bool,
}

impl Reply {
    pub(super) fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }
}

/// Untagged data.
#[derive(Debug)]
pub(super) enum Data<'a> {
    Status(Reply),
    Capability(Capabilities),
    Enabled(Capabilities),
    Flags(Flags),
    List(List<'a>),
    MailboxStatus(Cow<'a, [u8]>, StatusItems),
    Namespace(Namespaces),
    /// The ids of SEARCH or ESEARCH.
    Search(IdSet),
    Exists(u64),
    Expunge,
    Fetch(Fetch<'a>),
    Vanished {
        earlier: bool,
        ids: IdSet,
    },
    /// Data that nobody asked for.
    Other,
    /// Data of a kind that was asked for, unreadable.
    Malformed,
}

impl Data<'_> {
    /// Whether what came before was about another mailbox, the one that was open until now (RFC 7162 §3.2.11).
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Status(reply) if reply.code.is("CLOSED"))
    }
}

/// One LIST line (RFC 9051 §7.3.1).
#[derive(Debug)]
pub(super) struct List<'a> {
    pub(super) attributes: Vec<String>,
    /// `None`: the server has no levels.
    pub(super) separator: Option<u8>,
    pub(super) name: Cow<'a, [u8]>,
}

impl List<'_> {
    pub(super) fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|a| a.eq_ignore_ascii_case(attribute))
    }
}

/// What STATUS told (RFC 9051 §7.3.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StatusItems {
    pub(super) messages: Option<u64>,
    pub(super) uidnext: Option<u64>,
    pub(super) uidvalidity: Option<u64>,
    pub(super) highestmodseq: Option<u64>,
}

/// Prefixes by kind of namespace, each with its separator (RFC 9051 §7.3.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Namespaces {
    pub(super) personal: Vec<Vec<u8>>,
    /// Other users' and shared ones.
    pub(super) foreign: Vec<Vec<u8>>,
}

/// One FETCH line, or the part of it before a body that is still to come.
#[derive(Debug, Default)]
pub(super) struct Fetch<'a> {
    pub(super) uid: Option<Id>,
    pub(super) flags: Option<Flags>,
    /// The date was told, perhaps as `NIL` or as what is none.
    pub(super) has_date: bool,
    pub(super) date: Option<InternalDate>,
    pub(super) size: Option<u64>,
    pub(super) object: Option<ObjectId>,
    pub(super) body: Body<'a>,
    /// The line stops right before the value of a `BODY[…]`.
    pub(super) body_follows: bool,
}

/// The value of `BODY[…]`.
#[derive(Debug, Default)]
pub(super) enum Body<'a> {
    /// Not in the line.
    #[default]
    Absent,
    /// `NIL`.
    Nil,
    /// There.
    Text(Cow<'a, [u8]>),
}

/// Reads a logical line.
pub(super) fn parse(line: &[u8]) -> Response<'_> {
    if let Some(rest) = line.strip_prefix(b"+") {
        return Response::Continue(rest.trim_ascii());
    }
    let mut tokens = Tokens::new(line);
    match tokens.atom() {
        Some(b"*") => Response::Data(data(tokens)),
        Some([b'H', digits @ ..]) => tagged(digits, tokens).unwrap_or(Response::Garbled),
        _ => Response::Garbled,
    }
}

fn tagged<'a>(digits: &[u8], mut tokens: Tokens<'_>) -> Option<Response<'a>> {
    let tag = number(digits)?;
    let status = status(tokens.atom()?)?;
    let known = matches!(status, Status::Ok | Status::No | Status::Bad);
    known.then(|| Response::Tagged(tag, reply(status, tokens.rest())))
}

fn status(word: &[u8]) -> Option<Status> {
    Some(match word.to_ascii_uppercase().as_slice() {
        b"OK" => Status::Ok,
        b"NO" => Status::No,
        b"BAD" => Status::Bad,
        b"BYE" => Status::Bye,
        b"PREAUTH" => Status::Preauth,
        _ => return None,
    })
}

fn reply(status: Status, text: &[u8]) -> Reply {
    let (code, text) = code::split(text);
    Reply {
        status,
        code,
        text: clean(text),
        crowded: false,
    }
}

fn data(mut tokens: Tokens<'_>) -> Data<'_> {
    if let Some(count) = tokens.number() {
        return match tokens.atom().map(<[u8]>::to_ascii_uppercase).as_deref() {
            // RFC 9051 §9: message-data and EXISTS know 32 bits.
            Some(b"EXISTS" | b"EXPUNGE" | b"FETCH") if u32::try_from(count).is_err() => Data::Malformed,
            Some(b"EXISTS") => Data::Exists(count),
            Some(b"EXPUNGE") => Data::Expunge,
            Some(b"FETCH") => fetch(tokens).map_or(Data::Malformed, Data::Fetch),
            _ => Data::Other,
        };
    }
    let Some(word) = tokens.atom() else {
        return Data::Other;
    };
    if let Some(status) = status(word) {
        return Data::Status(reply(status, tokens.rest()));
    }
    let read = match word.to_ascii_uppercase().as_slice() {
        b"CAPABILITY" => Some(Data::Capability(Capabilities::new(words(tokens)))),
        b"ENABLED" => Some(Data::Enabled(Capabilities::new(words(tokens)))),
        b"FLAGS" => flags(&mut tokens).map(Data::Flags),
        b"LIST" | b"LSUB" => list(tokens).map(Data::List),
        b"STATUS" => mailbox_status(tokens),
        b"NAMESPACE" => namespaces(tokens).map(Data::Namespace),
        b"SEARCH" => Some(search(tokens)),
        b"ESEARCH" => esearch(tokens).map(Data::Search),
        b"VANISHED" => vanished(tokens),
        _ => Some(Data::Other),
    };
    read.unwrap_or(Data::Malformed)
}

fn words(tokens: Tokens<'_>) -> impl Iterator<Item = &[u8]> {
    tokens.filter_map(|token| match token {
        Token::Atom(word) => Some(word),
        _ => None,
    })
}

/// A list of flags; what is no flag is dropped.
pub(super) fn flags(tokens: &mut Tokens<'_>) -> Option<Flags> {
    let names = tokens.strings()?;
    Some(Flags::from_names(
        names.iter().filter_map(|name| std::str::from_utf8(name).ok()),
    ))
}

fn list(mut tokens: Tokens<'_>) -> Option<List<'_>> {
    let attributes = tokens.strings()?;
    let attributes = attributes.iter().map(|a| String::from_utf8_lossy(a).into()).collect();
    let separator = tokens.nstring()?.text().and_then(|text| text.first().copied());
    let name = tokens.string()?;
    Some(List {
        attributes,
        separator,
        name,
    })
}

fn mailbox_status(mut tokens: Tokens<'_>) -> Option<Data<'_>> {
    let name = tokens.string()?;
    if !tokens.eat(&Token::Open) {
        return None;
    }
    let mut items = StatusItems::default();
    while let Some(item) = tokens.atom() {
        let item = item.to_ascii_uppercase();
        let value = match item.as_slice() {
            b"MESSAGES" | b"UIDNEXT" => tokens.number32(),
            b"UIDVALIDITY" => tokens.validity(),
            _ => tokens.number(),
        };
        let Some(value) = value else {
            tokens.skip_value().then_some(())?;
            continue;
        };
        match item.as_slice() {
            b"MESSAGES" => items.messages = Some(value),
            b"UIDNEXT" => items.uidnext = Some(value),
            b"UIDVALIDITY" => items.uidvalidity = Some(value),
            b"HIGHESTMODSEQ" => items.highestmodseq = Some(value),
            _ => {}
        }
    }
    Some(Data::MailboxStatus(name, items))
}

fn namespaces(mut tokens: Tokens<'_>) -> Option<Namespaces> {
    let personal = prefixes(&mut tokens)?;
    let mut foreign = prefixes(&mut tokens)?;
    foreign.extend(prefixes(&mut tokens)?);
    Some(Namespaces { personal, foreign })
}

fn prefixes(tokens: &mut Tokens<'_>) -> Option<Vec<Vec<u8>>> {
    let mut out = Vec::new();
    if !tokens.eat(&Token::Open) {
        return (tokens.nstring()? == Nstring::Nil).then_some(out);
    }
    while tokens.eat(&Token::Open) {
        out.push(tokens.string()?.into_owned());
        // The separator, and perhaps extensions.
        while !tokens.eat(&Token::Close) {
            tokens.skip_value().then_some(())?;
        }
    }
    tokens.eat(&Token::Close).then_some(out)
}

fn search<'a>(mut tokens: Tokens<'_>) -> Data<'a> {
    let mut found = Vec::new();
    while let Some(id) = tokens.id() {
        found.push(id);
    }
    // What may follow is `(MODSEQ n)` (RFC 7162 §3.1.5); a number that is none makes the list untrustworthy.
    if !tokens.rest().is_empty() && !tokens.eat(&Token::Open) {
        return Data::Malformed;
    }
    found.sort_unstable();
    Data::Search(found.into_iter().collect())
}

fn esearch(mut tokens: Tokens<'_>) -> Option<IdSet> {
    let mut ids = IdSet::new();
    if tokens.eat(&Token::Open) {
        while !tokens.eat(&Token::Close) {
            tokens.skip_value().then_some(())?;
        }
    }
    while let Some(word) = tokens.atom() {
        match word.to_ascii_uppercase().as_slice() {
            b"UID" => {}
            b"ALL" => ids = id_set(tokens.atom()?)?,
            _ => tokens.skip_value().then_some(())?,
        }
    }
    tokens.rest().is_empty().then_some(ids)
}

fn vanished<'a>(mut tokens: Tokens<'_>) -> Option<Data<'a>> {
    let earlier = tokens.strings().is_some();
    let ids = id_set(tokens.atom()?)?;
    Some(Data::Vanished { earlier, ids })
}

/// Reads `(UID 7 FLAGS () …)`, or as much of it as is there when a body follows.
pub(super) fn fetch(mut tokens: Tokens<'_>) -> Option<Fetch<'_>> {
    let mut fetch = Fetch::default();
    if !tokens.eat(&Token::Open) {
        return None;
    }
    while let Some(item) = tokens.atom() {
        let name = item.to_ascii_uppercase();
        if name.starts_with(b"BODY[") {
            if tokens.rest().is_empty() {
                fetch.body_follows = true;
                return Some(fetch);
            }
            fetch.body = tokens.nstring()?.text().map_or(Body::Nil, Body::Text);
            continue;
        }
        match name.as_slice() {
            b"UID" => fetch.uid = Some(tokens.id()?),
            b"FLAGS" => fetch.flags = Some(flags(&mut tokens)?),
            b"INTERNALDATE" => {
                fetch.date = tokens.nstring()?.text().and_then(|text| date::parse(&text));
                fetch.has_date = true;
            }
            b"RFC822.SIZE" => fetch.size = Some(tokens.number()?),
            b"EMAILID" => fetch.object = tokens.strings()?.first().map(|id| object(id)),
            b"X-GM-MSGID" => fetch.object = tokens.string().map(|id| object(&id)),
            _ => tokens.skip_value().then_some(())?,
        }
    }
    tokens.eat(&Token::Close).then_some(fetch)
}

fn object(id: &[u8]) -> ObjectId {
    ObjectId(clean(id).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn untagged(line: &str) -> Data<'_> {
        match parse(line.as_bytes()) {
            Response::Data(data) => data,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn tagged_lines() {
        for (line, tag, status, text) in [
            ("H1 OK done", 1, Status::Ok, "done"),
            ("H12 no [ALREADYEXISTS] there", 12, Status::No, "there"),
            ("H3 BAD", 3, Status::Bad, ""),
        ] {
            let Response::Tagged(t, reply) = parse(line.as_bytes()) else {
                panic!("{line}");
            };
            assert_eq!((t, reply.status, reply.text.as_str()), (tag, status, text));
        }
        for line in [
            "",
            "H1",
            "H1 WHAT",
            "Hx OK",
            "H1 BYE",
            "OK",
            "1 2 3",
            "H99999999999999999999 OK",
        ] {
            assert!(matches!(parse(line.as_bytes()), Response::Garbled), "{line}");
        }
        assert!(matches!(parse(b"+ YWJj"), Response::Continue(b"YWJj")));
        assert!(matches!(parse(b"+"), Response::Continue(b"")));
    }

    #[test]
    fn fetch_lines() {
        let line = "* 3 FETCH (UID 7 X-NEW (a (b)) FLAGS (\\Seen \\Recent Work) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" \
                    RFC822.SIZE 44 EMAILID (M1) MODSEQ (9) BODY[HEADER.FIELDS (DATE)] {3}\r\na\r\n)";
        let Data::Fetch(fetch) = untagged(line) else { panic!() };
        assert_eq!((fetch.uid, fetch.size), (Some(7), Some(44)));
        assert_eq!(fetch.flags.unwrap().to_string(), "\\Seen Work");
        assert_eq!(fetch.date, Some(InternalDate(837_596_665)));
        assert_eq!(fetch.object, Some(ObjectId("M1".into())));
        assert!(matches!(fetch.body, Body::Text(text) if *text == *b"a\r\n"));

        let Data::Fetch(fetch) = untagged("* 3 FETCH (INTERNALDATE NIL BODY[] NIL)") else {
            panic!()
        };
        assert!(fetch.has_date && fetch.date.is_none());
        assert!(matches!(fetch.body, Body::Nil));

        let Data::Fetch(fetch) = untagged("* 3 FETCH (UID 1 FLAGS () BODY[] ") else {
            panic!()
        };
        assert!(fetch.body_follows && fetch.uid == Some(1));
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        for line in [
            "* 1 FETCH (UID x)",
            "* 1 FETCH",
            "* 1 FETCH (UID 1",
            "* 1 FETCH (UID 4294967296)",
            "* 1 FETCH (UID 0)",
            "* 1 FETCH (RFC822.SIZE 9223372036854775808)",
            "* 4294967296 FETCH (UID 1)",
            "* 4294967296 EXISTS",
            "* 4294967296 EXPUNGE",
            "* SEARCH 1 4294967296",
            "* ESEARCH UID ALL 1:4294967296",
            "* VANISHED 1:18446744073709551615",
            "* LIST \"/\" INBOX",
            "* STATUS INBOX",
            "* VANISHED *",
            "* SEARCH 1 x",
            "* ESEARCH UID ALL *",
            "* NAMESPACE NIL",
        ] {
            assert!(matches!(untagged(line), Data::Malformed), "{line}");
        }
        for line in ["* 1 RECENT", "* FOO bar", "*", "* 1 EXPUNGED", "* (", "* \"x"] {
            assert!(matches!(untagged(line), Data::Other), "{line}");
        }
    }

    #[test]
    fn lists_and_statuses() {
        let Data::List(list) = untagged(r#"* LIST (\HasNoChildren \sent) "." "INBOX.a \"b\"" ("X" (1))"#) else {
            panic!()
        };
        assert!(list.has("\\Sent") && list.separator == Some(b'.'));
        assert_eq!(&*list.name, br#"INBOX.a "b""#);
        let Data::List(list) = untagged("* LIST () NIL {3}\r\na b") else {
            panic!()
        };
        assert_eq!((list.separator, &*list.name), (None, &b"a b"[..]));

        let Data::MailboxStatus(name, items) =
            untagged("* STATUS Sent (MESSAGES 2 X (1) UIDNEXT 3 UIDVALIDITY 4 HIGHESTMODSEQ 5 MAILBOXID (abc))")
        else {
            panic!()
        };
        assert_eq!(&*name, b"Sent");
        let wanted = StatusItems {
            messages: Some(2),
            uidnext: Some(3),
            uidvalidity: Some(4),
            highestmodseq: Some(5),
        };
        assert_eq!(items, wanted);
        let Data::MailboxStatus(_, items) = untagged(
            "* STATUS Sent (MESSAGES 4294967296 UIDNEXT 4294967296 HIGHESTMODSEQ 9223372036854775808 UIDVALIDITY 4)",
        ) else {
            panic!()
        };
        let wanted = StatusItems {
            uidvalidity: Some(4),
            ..StatusItems::default()
        };
        assert_eq!(items, wanted, "numbers that the grammar does not know");
    }

    #[test]
    fn namespaces_of_all_kinds() {
        for (line, personal, foreign) in [
            (r#"* NAMESPACE (("" "/")) NIL NIL"#, vec![""], vec![]),
            (
                r#"* NAMESPACE (("INBOX." ".")) (("user." ".")) (("" "."))"#,
                vec!["INBOX."],
                vec!["user.", ""],
            ),
            (
                r##"* NAMESPACE (("" "/" "X" ("a")) ("#mh/" "/")) (("~" NIL)) NIL"##,
                vec!["", "#mh/"],
                vec!["~"],
            ),
        ] {
            let Data::Namespace(found) = untagged(line) else {
                panic!("{line}")
            };
            let bytes = |names: Vec<&str>| names.into_iter().map(|n| n.as_bytes().to_vec()).collect::<Vec<_>>();
            assert_eq!(
                (found.personal, found.foreign),
                (bytes(personal), bytes(foreign)),
                "{line}"
            );
        }
    }

    #[test]
    fn searches() {
        for (line, ids) in [
            ("* SEARCH", ""),
            ("* SEARCH 5 2 3 (MODSEQ 9)", "2:3,5"),
            ("* ESEARCH (TAG \"H1\") UID", ""),
            ("* ESEARCH (TAG \"H1\") UID COUNT 3 ALL 7,1:2 MODSEQ 4", "1:2,7"),
        ] {
            let Data::Search(found) = untagged(line) else {
                panic!("{line}")
            };
            assert_eq!(found.to_string(), ids, "{line}");
        }
        let Data::Vanished { earlier, ids } = untagged("* VANISHED (EARLIER) 9,1:2") else {
            panic!()
        };
        assert!(earlier && ids.to_string() == "1:2,9");
    }

    proptest! {
        #[test]
        fn any_line_is_read(start in prop_oneof![
            Just("* 1 FETCH ("), Just("* LIST "), Just("* STATUS a ("), Just("* NAMESPACE "), Just("* ESEARCH "), Just("* OK ["), Just("H1 OK ["), Just("")
        ], rest in proptest::collection::vec(prop_oneof![
            any::<u8>(), Just(b'('), Just(b')'), Just(b'"'), Just(b' '), Just(b'{'), Just(b'}'), b'0'..=b'9', Just(b'\n')
        ], 0..120)) {
            let mut line = start.as_bytes().to_vec();
            line.extend(rest);
            let _ = parse(&line);
        }
    }
}
