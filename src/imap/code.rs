//! Response codes: the part of a status in brackets (RFC 9051 §7.1, RFC 5530 §3).

use super::capability::Capabilities;
use super::response;
use super::token::{Token, Tokens, ranges};
use crate::error::clean;
use crate::model::{Id, IdSet, MailboxIdentity, Permanent};

/// A response code, as far as homing acts on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Code {
    #[default]
    None,
    Capability(Capabilities),
    UidValidity(u64),
    UidNext(u64),
    HighestModSeq(u64),
    NoModSeq,
    PermanentFlags(Permanent),
    ReadOnly,
    /// What names the mailbox for good (RFC 8474 §4.1).
    MailboxId(MailboxIdentity),
    /// UIDVALIDITY and the ids that APPEND gave (RFC 4315 §3).
    AppendUid(u64, IdSet),
    /// UIDVALIDITY of the target, and old and new ids one to one in the order in which they were told.
    CopyUid(u64, Vec<(Id, Id)>),
    /// Any other, its name in upper case.
    Other(String),
}

impl Code {
    /// Whether it is that one of the codes without an argument that matters.
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self, Self::Other(own) if own == name)
    }
}

/// The longest COPYUID that is believed: more than a command of ours can name.
const LONGEST_COPYUID: u64 = 1_000_000;

/// Splits the text of a status into its code and what people read.
pub(super) fn split(text: &[u8]) -> (Code, &[u8]) {
    let text = text.trim_ascii_start();
    let Some(inner) = text.strip_prefix(b"[") else {
        return (Code::None, text);
    };
    let Some(end) = inner.iter().position(|&b| b == b']') else {
        return (Code::None, text);
    };
    (parse(&inner[..end]), inner[end + 1..].trim_ascii())
}

fn parse(code: &[u8]) -> Code {
    let mut tokens = Tokens::new(code);
    let Some(name) = tokens.atom() else {
        return Code::None;
    };
    let name = name.to_ascii_uppercase();
    let read = match name.as_slice() {
        b"CAPABILITY" => Some(Code::Capability(Capabilities::new(
            tokens.rest().split(u8::is_ascii_whitespace),
        ))),
        b"UIDVALIDITY" => tokens.validity().map(Code::UidValidity),
        b"UIDNEXT" => tokens.number32().map(Code::UidNext),
        b"HIGHESTMODSEQ" => tokens.number().map(Code::HighestModSeq),
        b"NOMODSEQ" => Some(Code::NoModSeq),
        b"PERMANENTFLAGS" => permanent(tokens).map(Code::PermanentFlags),
        b"READ-ONLY" => Some(Code::ReadOnly),
        b"MAILBOXID" => mailbox_id(tokens),
        b"APPENDUID" => append_uid(tokens),
        b"COPYUID" => copy_uid(tokens),
        _ => None,
    };
    read.unwrap_or_else(|| Code::Other(clean(&name)))
}

fn permanent(mut tokens: Tokens<'_>) -> Option<Permanent> {
    let any_keyword = tokens.clone().any(|token| token == Token::Atom(b"\\*"));
    let flags = response::flags(&mut tokens)?;
    Some(Permanent { flags, any_keyword })
}

fn mailbox_id(mut tokens: Tokens<'_>) -> Option<Code> {
    // RFC 8474 §7: objectid = 1*255(ALPHA / DIGIT / "_" / "-")
    const LONGEST: usize = 255;
    (tokens.next() == Some(Token::Open)).then_some(())?;
    let id = std::str::from_utf8(tokens.atom()?).ok()?;
    (id.len() <= LONGEST).then(|| Code::MailboxId(MailboxIdentity(id.into())))
}

fn append_uid(mut tokens: Tokens<'_>) -> Option<Code> {
    let validity = tokens.validity()?;
    let ids = super::token::id_set(tokens.atom()?)?;
    Some(Code::AppendUid(validity, ids))
}

/// RFC 4315 §3: the two sets are in the same order, so they are zipped as they stand (HAZARDS 7); sets of different size
/// prove nothing.
fn copy_uid(mut tokens: Tokens<'_>) -> Option<Code> {
    let validity = tokens.validity()?;
    let (from, to) = (ranges(tokens.atom()?)?, ranges(tokens.atom()?)?);
    let count = |set: &[(Id, Id)]| {
        set.iter()
            .fold(0_u64, |sum, (a, b)| sum.saturating_add((b - a).saturating_add(1)))
    };
    if count(&from) != count(&to) || count(&from) > LONGEST_COPYUID {
        return None;
    }
    let each = |set: Vec<(Id, Id)>| set.into_iter().flat_map(|(a, b)| a..=b);
    Some(Code::CopyUid(validity, each(from).zip(each(to)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Flags;

    #[test]
    fn codes_and_text() {
        for (text, code, rest) in [
            ("done", Code::None, "done"),
            ("[UIDNEXT 7] next", Code::UidNext(7), "next"),
            ("[uidvalidity 3]", Code::UidValidity(3), ""),
            ("[TRYCREATE] no", Code::Other("TRYCREATE".into()), "no"),
            ("[UIDNEXT x] odd", Code::Other("UIDNEXT".into()), "odd"),
            ("[open", Code::None, "[open"),
            ("[APPENDUID 3 5] ok", Code::AppendUid(3, IdSet::range(5..=5)), "ok"),
            (
                "[COPYUID 9 5,2:3 1:3] ok",
                Code::CopyUid(9, vec![(5, 1), (2, 2), (3, 3)]),
                "ok",
            ),
            ("[UIDNEXT 4294967296]", Code::Other("UIDNEXT".into()), ""),
            (
                "[HIGHESTMODSEQ 9223372036854775808]",
                Code::Other("HIGHESTMODSEQ".into()),
                "",
            ),
            ("[APPENDUID 3 4294967296] ok", Code::Other("APPENDUID".into()), "ok"),
            ("[COPYUID 9 1:2 3] ok", Code::Other("COPYUID".into()), "ok"),
            (
                "[COPYUID 9 1:18446744073709551615 1:18446744073709551615] ok",
                Code::Other("COPYUID".into()),
                "ok",
            ),
        ] {
            assert_eq!(split(text.as_bytes()), (code, rest.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_a_mailbox_can_hold() {
        let wanted = Flags::from_names(["\\Seen", "\\Draft", "Work", "todo"]);
        for (code, held) in [
            ("[PERMANENTFLAGS (\\Seen WORK)]", "\\Seen Work"),
            ("[PERMANENTFLAGS (\\Seen \\*)]", "\\Seen todo Work"),
            ("[PERMANENTFLAGS ()]", ""),
        ] {
            let (Code::PermanentFlags(permanent), _) = split(code.as_bytes()) else {
                panic!("{code}");
            };
            assert_eq!(permanent.filter(&wanted).to_string(), held, "{code}");
        }
        assert_eq!(Permanent::everything().filter(&wanted), wanted);
    }
}
