//! Who we are: SASL (mechanisms from rsasl), the LOGIN command, and what is enabled right after.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::prelude::{Mechname, SASLClient, SASLConfig, Session, SessionError};
use rsasl::property::{AuthId, AuthzId, OAuthBearerToken, Password};

use super::code::Code;
use super::command::Command;
use super::conn::Conn;
use super::response::Reply;
use super::{Options, quirks};
use crate::error::{Failure, Kind, Result};
use crate::secret::Secret;

/// What is tried when the configuration names nothing.
const DEFAULT: [&str; 2] = ["PLAIN", "LOGIN"];
/// What homing speaks.
const SPOKEN: [&str; 4] = ["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"];

/// How to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Sasl(&'static str),
    /// The LOGIN command (RFC 9051 §6.2.3).
    Command,
}

/// Logs in, learns what the server can do and enables what homing uses.
pub(super) fn login(conn: &mut Conn, options: &Options, logged_in: bool) -> Result<()> {
    if !logged_in {
        if conn.capabilities.is_empty() {
            ask_capabilities(conn)?;
        }
        let way = way(conn, options)?;
        let secret = (options.secret)()?;
        let before = conn.capabilities.clone();
        let reply = match way {
            Way::Sasl(mechanism) => authenticate(conn, options, mechanism, secret)?,
            Way::Command => login_command(conn, options, &secret)?,
        };
        if !reply.is_ok() {
            return Err(quirks::login_refused(
                &reply,
                &format!("login of {} on {} refused", options.user, options.host),
            ));
        }
        // What was offered before the login says little about what is offered after it.
        if !matches!(reply.code, Code::Capability(_)) && conn.capabilities == before {
            ask_capabilities(conn)?;
        }
    } else if conn.capabilities.is_empty() {
        ask_capabilities(conn)?;
    }
    enable(conn)?;
    if options.compress && conn.capabilities.has("COMPRESS=DEFLATE") {
        compress(conn)?;
    }
    Ok(())
}

/// RFC 4978 §3: nothing goes out before the answer, and everything behind it is compressed. A server that refuses after all
/// is talked to as before.
fn compress(conn: &mut Conn) -> Result<()> {
    let reply = conn.ask(Command::new("COMPRESS DEFLATE"), |_| ())?;
    if reply.is_ok() {
        conn.wire.compress();
    }
    Ok(())
}

fn ask_capabilities(conn: &mut Conn) -> Result<()> {
    conn.ask(Command::new("CAPABILITY"), |_| ()).map(|_| ())
}

/// RFC 5161 §3.1: only what was offered, and nothing counts as on before the server says so. Nobody waits for it here.
fn enable(conn: &mut Conn) -> Result<()> {
    let can = |name: &str| conn.capabilities.has(name);
    let mut wanted = Vec::new();
    if can("QRESYNC") {
        wanted.push("QRESYNC");
    } else if can("CONDSTORE") {
        wanted.push("CONDSTORE");
    }
    if conn.capabilities.utf8_only() {
        wanted.push(if can("UTF8=ONLY") || can("UTF8=ACCEPT") {
            "UTF8=ACCEPT"
        } else {
            "IMAP4rev2"
        });
    }
    if can("ENABLE") && !wanted.is_empty() {
        conn.send_behind(&format!("ENABLE {}", wanted.join(" ")))?;
    }
    Ok(())
}

fn way(conn: &Conn, options: &Options) -> Result<Way> {
    let offered: Vec<&str> = conn.capabilities.mechanisms().collect();
    let configured: Vec<String> = options.auth.iter().map(|name| name.to_ascii_uppercase()).collect();
    let wanted: Vec<&str> = if configured.is_empty() {
        DEFAULT.to_vec()
    } else {
        configured.iter().map(String::as_str).collect()
    };
    if let Some(unknown) = wanted.iter().find(|name| !SPOKEN.contains(name)) {
        let what = format!("homing cannot do the mechanism {unknown} in `auth`");
        return Err(Failure::account(Kind::Config, what).hint(format!("it can do {}", SPOKEN.join(", "))));
    }
    let spoken = |name: &str| SPOKEN.into_iter().find(|s| *s == name);
    if let Some(name) = wanted.iter().find(|name| offered.contains(*name)) {
        return spoken(name).map(Way::Sasl).ok_or_else(|| no_way(&offered));
    }
    let has_password = wanted.iter().any(|name| DEFAULT.contains(name));
    // RFC 9051 §6.2.3: not where LOGINDISABLED is said.
    if has_password && !conn.capabilities.has("LOGINDISABLED") && options.login_as.is_none() {
        return Ok(Way::Command);
    }
    Err(no_way(&offered))
}

fn no_way(offered: &[&str]) -> Failure {
    let what = if offered.is_empty() {
        "the server allows no login on this connection".to_owned()
    } else {
        format!(
            "the server takes none of the allowed mechanisms; it offers {}",
            crate::error::clean(offered.join(", "))
        )
    };
    Failure::account(Kind::Config, what).hint("set `auth`, or `tls = \"starttls\"` if the connection is not encrypted")
}

fn login_command(conn: &mut Conn, options: &Options, secret: &Secret) -> Result<Reply> {
    let command = Command::new("LOGIN")
        .text(options.user.as_bytes())
        .text(secret.expose().as_bytes());
    conn.ask(command, |_| ())
}

/// What rsasl may ask for.
struct Identity {
    mechanism: &'static str,
    user: String,
    login_as: Option<String>,
    secret: Secret,
}

impl SessionCallback for Identity {
    fn callback(&self, _: &SessionData, _: &Context<'_>, request: &mut Request<'_>) -> Result<(), SessionError> {
        let authenticated = self.login_as.as_ref().unwrap_or(&self.user);
        if self.mechanism == "XOAUTH2" {
            // XOAUTH2 has one name only: the account's.
            request.satisfy::<AuthId>(&self.user)?;
        } else {
            request.satisfy::<AuthId>(authenticated)?;
        }
        // RFC 7628 §3.1 wants the account's name here; elsewhere it is needed only where it differs.
        if self.login_as.is_some() || self.mechanism == "OAUTHBEARER" {
            request.satisfy::<AuthzId>(&self.user)?;
        }
        request
            .satisfy::<Password>(self.secret.expose().as_bytes())?
            .satisfy::<OAuthBearerToken>(self.secret.expose())?;
        Ok(())
    }
}

fn session(options: &Options, mechanism: &'static str, secret: Secret) -> Result<Session> {
    let identity = Identity {
        mechanism,
        user: options.user.clone(),
        login_as: options.login_as.clone(),
        secret,
    };
    let failed = |why: String| Failure::account(Kind::Config, format!("login by {mechanism}: {why}"));
    let config = SASLConfig::builder()
        .with_defaults()
        .with_callback(identity)
        .map_err(|e| failed(e.to_string()))?;
    let name = Mechname::parse(mechanism.as_bytes()).map_err(|e| failed(e.to_string()))?;
    SASLClient::new(Arc::clone(&config))
        .start_suggested_iter([name])
        .map_err(|e| failed(e.to_string()))
}

/// AUTHENTICATE (RFC 9051 §6.2.2), with the first answer in the command where the server takes it (SASL-IR).
fn authenticate(conn: &mut Conn, options: &Options, mechanism: &'static str, secret: Secret) -> Result<Reply> {
    let mut session = session(options, mechanism, secret)?;
    let mut next = |challenge: Option<&[u8]>| -> Result<String> {
        let mut answer = Vec::new();
        session
            .step(challenge, &mut answer)
            .map_err(|e| Failure::account(Kind::Login, format!("login by {mechanism}: {e}")))?;
        Ok(STANDARD.encode(answer))
    };
    let goes_first = mechanism != "LOGIN";
    let mut words = format!("AUTHENTICATE {mechanism}");
    let mut first = if goes_first { Some(next(None)?) } else { None };
    if conn.capabilities.has("SASL-IR")
        && let Some(answer) = first.take()
    {
        // RFC 4959 §3: an empty one is spelled `=`.
        words.push(' ');
        words.push_str(if answer.is_empty() { "=" } else { &answer });
    }
    let is_token = matches!(mechanism, "XOAUTH2" | "OAUTHBEARER");
    let mut complaint = None;
    let reply = conn.converse(&words, |challenge| {
        if let Some(answer) = first.take() {
            return Ok(answer);
        }
        if is_token {
            // The challenge after the token is an error report, which wants an answer before the server refuses:
            // RFC 7628 §3.2.3 says %x01, XOAUTH2 an empty line.
            complaint = Some(crate::error::clean(STANDARD.decode(challenge).unwrap_or_default()));
            return Ok(if mechanism == "OAUTHBEARER" {
                STANDARD.encode(b"\x01")
            } else {
                String::new()
            });
        }
        next(Some(&STANDARD.decode(challenge).unwrap_or_default()))
    })?;
    Ok(match complaint {
        Some(complaint) if !reply.is_ok() => Reply {
            text: format!("{} {complaint}", reply.text),
            ..reply
        },
        _ => reply,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::error::Kind;
    use crate::imap::Options;
    use crate::imap::script::{Peer, Script};
    use crate::secret::Secret;
    use crate::store::Source;

    /// Logs in to a server with these capabilities and these answers; what it heard and what came of it.
    fn log_in(
        capabilities: &'static str,
        answers: &'static [&str],
        adjust: fn(&mut Options),
    ) -> (String, Option<Kind>) {
        let (heard, inbox) = std::sync::mpsc::channel();
        let begin = move |peer: &mut Peer| {
            peer.say(&format!("* OK [CAPABILITY IMAP4rev1 {capabilities}] hello\r\n"));
            let mut tag = String::new();
            for answer in answers {
                let Some((first, second)) = peer.hear() else { return };
                if tag.is_empty() {
                    tag = first.clone();
                    heard.send(format!("{first} {second}")).unwrap();
                } else {
                    heard.send(first.clone()).unwrap();
                }
                peer.say(&(answer.replace('$', &tag) + "\r\n"));
            }
        };
        let script = Script::with(vec![vec![("LIST", "$ OK"), ("LIST", "$ OK")]], begin, adjust);
        let kind = script.imap.survey().err().map(|failure| failure.kind);
        drop(script);
        (inbox.iter().collect::<Vec<_>>().join(" / "), kind)
    }

    const OK: &[&str] = &["$ OK [CAPABILITY IMAP4rev1] in"];

    #[test]
    fn ways_in() {
        fn odd(options: &mut Options) {
            options.secret = Arc::new(|| Ok(Secret::new("a\"b\\c")));
        }
        fn foreign(options: &mut Options) {
            options.secret = Arc::new(|| Ok(Secret::new("é")));
        }
        fn proxy(options: &mut Options) {
            options.login_as = Some("admin".into());
        }
        fn token(options: &mut Options) {
            options.auth = vec!["xoauth2".into()];
        }
        for (capabilities, adjust, heard) in [
            (
                "AUTH=PLAIN SASL-IR",
                (|_| ()) as fn(&mut Options),
                "H1 AUTHENTICATE PLAIN AG1lAHNlY3JldA==",
            ),
            (
                "AUTH=PLAIN SASL-IR",
                proxy,
                "H1 AUTHENTICATE PLAIN bWUAYWRtaW4Ac2VjcmV0",
            ),
            ("", odd, r#"H1 LOGIN "me" "a\"b\\c""#),
            ("LITERAL+", foreign, "H1 LOGIN \"me\" {2+}|é"),
            (
                "AUTH=XOAUTH2 SASL-IR",
                token,
                "H1 AUTHENTICATE XOAUTH2 dXNlcj1tZQFhdXRoPUJlYXJlciBzZWNyZXQBAQ==",
            ),
        ] {
            assert_eq!(log_in(capabilities, OK, adjust), (heard.into(), None), "{capabilities}");
        }
    }

    #[test]
    fn ways_that_are_closed() {
        fn none(_: &mut Options) {}
        fn unknown(options: &mut Options) {
            options.auth = vec!["gssapi".into()];
        }
        fn token(options: &mut Options) {
            options.auth = vec!["oauthbearer".into()];
        }
        for (capabilities, answers, adjust, kind) in [
            (
                "AUTH=PLAIN SASL-IR",
                &["$ NO [AUTHENTICATIONFAILED] no"][..],
                none as fn(&mut Options),
                Kind::Login,
            ),
            (
                "AUTH=PLAIN SASL-IR",
                &["$ NO [UNAVAILABLE] later"],
                none,
                Kind::Temporary,
            ),
            ("LOGINDISABLED", &[], none, Kind::Config),
            ("AUTH=PLAIN", &[], unknown, Kind::Config),
            ("AUTH=PLAIN", &[], token, Kind::Config),
        ] {
            assert_eq!(log_in(capabilities, answers, adjust).1, Some(kind), "{capabilities}");
        }
    }
}
