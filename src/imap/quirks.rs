//! What servers say when they are tired, and what single servers do differently: one list, each with its reason.

use std::time::Duration;

use super::code::Code;
use super::response::Reply;
use crate::error::{Failure, Kind, Retry};

/// RFC 5530 §3: codes of a refusal that passes by itself.
const PASSING: [&str; 5] = ["UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "THROTTLED"];

/// Words in a refusal without a code that passes by itself. Gmail: "Too many simultaneous connections"; Exchange: "Server
/// Busy", "Request is throttled. Suggested Backoff Time: 299980 milliseconds"; Yahoo: "Server error - please try again".
const PASSING_WORDS: [&str; 5] = ["too many", "throttled", "server busy", "try again", "temporar"];

/// Whether a refusal passes by itself.
pub(super) fn passes(reply: &Reply) -> bool {
    let text = reply.text.to_ascii_lowercase();
    PASSING.iter().any(|code| reply.code.is(code))
        || (!is_login_code(&reply.code) && PASSING_WORDS.iter().any(|words| text.contains(words)))
}

/// How long a server wants to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It does not say.
    Some,
    /// So long.
    For(Duration),
}

/// What the server wants before the next command, if it says that it is overrun or that something is in use.
pub(super) fn patience(reply: &Reply) -> Option<Patience> {
    if reply.is_ok() {
        return None;
    }
    let told = reply
        .text
        .split_once("Suggested Backoff Time: ")
        .and_then(|(_, after)| {
            let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok().map(Duration::from_millis)
        });
    told.map(Patience::For)
        .or_else(|| passes(reply).then_some(Patience::Some))
}

/// Whether a mailbox is refused because it is not there (RFC 5530 §3, RFC 9051 §6.3.12): whoever listed it lists again.
pub(super) fn is_about_a_missing_mailbox(reply: &Reply) -> bool {
    !reply.is_ok() && (reply.code.is("NONEXISTENT") || reply.code.is("TRYCREATE"))
}

/// Who may only read a mailbox is seldom given more soon.
const READ_ONLY_FOR: Duration = Duration::from_secs(3600);

/// Whether a mailbox takes nothing from us (RFC 5530 §3, RFC 4314 §4; READ-ONLY is what some servers say to APPEND).
pub(super) fn is_about_rights(reply: &Reply) -> bool {
    !reply.is_ok() && (reply.code.is("NOPERM") || reply.code == Code::ReadOnly)
}

/// A failure whose reason is that the mailbox takes nothing from us.
pub(super) fn read_only(failure: Failure) -> Failure {
    Failure {
        kind: Kind::ReadOnly,
        ..without_rights(failure)
    }
}

/// A failure whose reason is that we have no right to changes of one kind in the mailbox.
pub(super) fn without_rights(failure: Failure) -> Failure {
    failure.after(READ_ONLY_FOR).hint(
        "what was changed here waits and is tried again; ask whoever gives rights to this mailbox, or undo the changes",
    )
}

/// The failure of a refusal that has to do with a mailbox: when it may be worth another look, and whether it passes by itself.
pub(super) fn refused(failure: Failure, reply: &Reply) -> Failure {
    let retry = if is_about_a_missing_mailbox(reply) {
        Retry::Now
    } else {
        Retry::Later
    };
    let kind = kind(reply);
    Failure { retry, kind, ..failure }
}

/// What a refusal means for the exit code. Dovecot says LIMIT of a message that is too large, and SERVERBUG of a mailbox that
/// its disk does not let it open: that is waited for, but somebody has to know.
pub(super) fn kind(reply: &Reply) -> Kind {
    let is_lasting = reply.code.is("LIMIT") || reply.code.is("SERVERBUG");
    if passes(reply) && !is_lasting {
        Kind::Temporary
    } else {
        Kind::Partial
    }
}

/// Whether a refused message will be refused again: a code says so, or words of servers that send none. Cyrus: "Message
/// contains NUL characters", "… bare newlines", "… invalid header".
pub(super) fn is_about_the_message(reply: &Reply) -> bool {
    reply.code.is("TOOBIG") || reply.code.is("PARSE") || reply.text.starts_with("Message contains")
}

fn is_login_code(code: &Code) -> bool {
    ["AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "CONTACTADMIN"]
        .iter()
        .any(|name| code.is(name))
}

/// The failure of a refused login.
pub(super) fn login_refused(reply: &Reply, context: &str) -> Failure {
    let what = format!("{context}: {}", reply.text);
    if reply.code.is("PRIVACYREQUIRED") {
        return Failure::account(Kind::Config, what).hint("use `tls = \"implicit\"` or `\"starttls\"`");
    }
    if passes(reply) {
        return Failure::account(Kind::Temporary, what).retry(Retry::Later);
    }
    Failure::account(Kind::Login, what)
        .hint("check `user` and the password; many providers want one made for this program, or a token")
}

/// The failure of a greeting that is a farewell. A server that restarts comes back soon; one that has enough connections
/// does not want another.
pub(super) fn turned_away(reply: &Reply) -> Failure {
    let soon = reply.code.is("UNAVAILABLE");
    let retry = if soon { Retry::Now } else { Retry::Later };
    Failure::account(Kind::Temporary, format!("the server turns us away: {}", reply.text)).retry(retry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::code::split;
    use crate::imap::response::Status;

    fn no(text: &str) -> Reply {
        let (code, text) = split(text.as_bytes());
        Reply {
            status: Status::No,
            code,
            text: String::from_utf8_lossy(text).into(),
            crowded: false,
        }
    }

    #[test]
    fn refused_logins_by_kind() {
        for (text, kind) in [
            ("[AUTHENTICATIONFAILED] Invalid credentials, try again", Kind::Login),
            ("wrong", Kind::Login),
            ("[UNAVAILABLE] Internal error", Kind::Temporary),
            ("[LIMIT] enough", Kind::Temporary),
            ("[ALERT] Too many simultaneous connections. (Failure)", Kind::Temporary),
            ("[PRIVACYREQUIRED] no", Kind::Config),
        ] {
            assert_eq!(login_refused(&no(text), "login").kind, kind, "{text}");
        }
    }

    #[test]
    fn what_a_refusal_means_for_the_exit_code() {
        for (text, kind) in [
            ("[UNAVAILABLE] no database", Kind::Temporary),
            ("[THROTTLED] slow down", Kind::Temporary),
            ("[INUSE] locked", Kind::Temporary),
            ("Server Busy", Kind::Temporary),
            ("[LIMIT] Message too large", Kind::Partial),
            ("[SERVERBUG] Internal error occurred", Kind::Partial),
            ("[NOPERM] no", Kind::Partial),
            ("no", Kind::Partial),
        ] {
            assert_eq!(super::kind(&no(text)), kind, "{text}");
        }
    }

    #[test]
    fn how_long_to_wait() {
        for (text, wait) in [
            (
                "Request is throttled. Suggested Backoff Time: 1500 milliseconds",
                Some(Patience::For(Duration::from_millis(1500))),
            ),
            (
                "Request is throttled. Suggested Backoff Time: 299980 milliseconds",
                Some(Patience::For(Duration::from_millis(299_980))),
            ),
            ("[THROTTLED] slow down", Some(Patience::Some)),
            ("[NONEXISTENT] no such mailbox", None),
            ("[INUSE] locked", Some(Patience::Some)),
        ] {
            assert_eq!(patience(&no(text)), wait, "{text}");
        }
    }
}
