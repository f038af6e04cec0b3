//! What servers say when they are tired, and what single servers do differently: one list, each with its reason.

use std::time::Duration;

use super::code::Code;
use super::response::Reply;
use crate::error::{Failure, Kind, Retry};

/// The longest that a server can make us wait for it.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);

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

/// How long the server wants us to wait before the next command, if it says that it is overrun.
pub(super) fn patience(reply: &Reply) -> Option<Duration> {
    if let Some((_, after)) = reply.text.split_once("Suggested Backoff Time: ") {
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        let wait = digits.parse().map_or(LONGEST_PATIENCE, Duration::from_millis);
        return Some(wait.min(LONGEST_PATIENCE));
    }
    let overrun = passes(reply) && !reply.code.is("INUSE");
    overrun.then_some(Duration::from_secs(2))
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

/// The failure of a greeting that is a farewell.
pub(super) fn turned_away(reply: &Reply) -> Failure {
    Failure::account(Kind::Temporary, format!("the server turns us away: {}", reply.text)).retry(Retry::Later)
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
    fn how_long_to_wait() {
        for (text, wait) in [
            (
                "Request is throttled. Suggested Backoff Time: 1500 milliseconds",
                Some(1500),
            ),
            (
                "Request is throttled. Suggested Backoff Time: 299980 milliseconds",
                Some(30_000),
            ),
            ("[THROTTLED] slow down", Some(2000)),
            ("[NONEXISTENT] no such mailbox", None),
            ("[INUSE] locked", None),
        ] {
            assert_eq!(patience(&no(text)), wait.map(Duration::from_millis), "{text}");
        }
    }
}
