//! CAPABILITY, STARTTLS, AUTHENTICATE, LOGIN, ENABLE.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::super::read::Incoming;
use super::super::reply::Reply;
use super::super::session::Session;
use super::super::shared::lock;

const FAILED: &str = "[AUTHENTICATIONFAILED] wrong name or password";

impl Session {
    /// `CAPABILITY …` as it stands now.
    pub(in super::super) fn capability(&self) -> String {
        let logged_in = self.user.is_some();
        let early = ["IMAP4rev1", "SASL-IR", "ID", "ENABLE", "LITERAL+", "LITERAL-"];
        let shown = |name: &&str| match *name {
            "STARTTLS" | "LOGINDISABLED" => !logged_in && !self.over_tls,
            auth if auth.starts_with("AUTH=") => !logged_in && self.mechanism_allowed(auth),
            name => logged_in || early.contains(&name),
        };
        let mut names: Vec<String> = self.caps().names().filter(shown).map(str::to_owned).collect();
        if let (true, Some(limit)) = (logged_in, self.shared.setup.append_limit) {
            names.push(format!("APPENDLIMIT={limit}"));
        }
        format!("CAPABILITY {}", names.join(" "))
    }

    /// Cleartext passwords are off where LOGIN is, until TLS is on.
    fn mechanism_allowed(&self, cap: &str) -> bool {
        self.caps().has(cap) && (self.over_tls || !self.caps().has("LOGINDISABLED"))
    }

    pub(in super::super) fn start_tls(&mut self) -> Reply {
        if self.over_tls || self.shared.acceptor.is_none() {
            return Reply::bad("no TLS here");
        }
        self.starts_tls = true;
        Reply::ok("begin")
    }

    pub(in super::super) fn login(&mut self, user: &str, password: &str) -> Reply {
        if self.caps().has("LOGINDISABLED") && !self.over_tls {
            self.shared.complain(
                self.number,
                b"LOGIN",
                "a password in the clear in spite of LOGINDISABLED",
            );
            return Reply::no("[PRIVACYREQUIRED] not in the clear");
        }
        self.admit(user, self.knows(user, password))
    }

    fn knows(&self, user: &str, password: &str) -> bool {
        self.shared.setup.users.iter().any(|(u, p)| u == user && p == password)
    }

    fn admit(&mut self, user: &str, good: bool) -> Reply {
        if !good || !self.shared.setup.users.iter().any(|(u, _)| u == user) {
            return Reply::no(FAILED);
        }
        let now = lock(&self.shared.logins).get(user).copied().unwrap_or(0);
        if self.shared.setup.max_connections.is_some_and(|most| now >= most) {
            return Reply::no("[LIMIT] too many connections");
        }
        self.enter(user);
        Reply::ok(format!("[{}] welcome", self.capability()))
    }

    pub(in super::super) fn enter(&mut self, user: &str) {
        *lock(&self.shared.logins).entry(user.to_owned()).or_default() += 1;
        self.user = Some(user.to_owned());
    }

    pub(in super::super) fn authenticate(
        &mut self,
        incoming: &Incoming,
        mechanism: &str,
        initial: Option<String>,
    ) -> io::Result<Reply> {
        let known = ["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"].contains(&mechanism);
        if !known || !self.mechanism_allowed(&format!("AUTH={mechanism}")) {
            self.shared
                .complain(self.number, &incoming.bytes, "a mechanism that is not offered");
            return Ok(Reply::no("no such mechanism"));
        }
        // RFC 4959 §3: `=` is an empty initial response.
        let first = initial.map(|text| BASE64.decode(text.trim_start_matches('=')).unwrap_or_default());
        match mechanism {
            "PLAIN" => {
                let Some(answer) = self.response(first, "")? else {
                    return Ok(Reply::bad("cancelled"));
                };
                Ok(self.plain(&answer))
            }
            "LOGIN" => {
                let Some(user) = self.response(first, "Username:")? else {
                    return Ok(Reply::bad("cancelled"));
                };
                let Some(password) = self.response(None, "Password:")? else {
                    return Ok(Reply::bad("cancelled"));
                };
                let (user, password) = (String::from_utf8_lossy(&user), String::from_utf8_lossy(&password));
                let good = self.knows(&user, &password);
                Ok(self.admit(&user, good))
            }
            _ => self.bearer(mechanism, first),
        }
    }

    /// The next response of the client; `None` if it cancels with `*`.
    fn response(&mut self, first: Option<Vec<u8>>, challenge: &str) -> io::Result<Option<Vec<u8>>> {
        if first.is_some() {
            return Ok(first);
        }
        self.io.send(format!("+ {}\r\n", BASE64.encode(challenge)).as_bytes())?;
        let line = self.io.line()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let line = line.trim_ascii_end();
        if line == b"*" {
            return Ok(None);
        }
        let answer = BASE64.decode(line);
        if answer.is_err() {
            self.shared.complain(self.number, b"(a SASL response)", "not base64");
        }
        Ok(Some(answer.unwrap_or_default()))
    }

    fn plain(&mut self, answer: &[u8]) -> Reply {
        // RFC 4616 §2: [authzid] NUL authcid NUL passwd
        let parts: Vec<String> = answer
            .split(|&b| b == 0)
            .map(|p| String::from_utf8_lossy(p).into_owned())
            .collect();
        let [authorization, authentication, password] = &parts[..] else {
            return Reply::bad("three parts are wanted");
        };
        let user = if authorization.is_empty() {
            authentication
        } else {
            authorization
        };
        self.admit(user, self.knows(authentication, password))
    }

    fn bearer(&mut self, mechanism: &str, first: Option<Vec<u8>>) -> io::Result<Reply> {
        let Some(answer) = self.response(first, "")? else {
            return Ok(Reply::bad("cancelled"));
        };
        let text = String::from_utf8_lossy(&answer).into_owned();
        let field = |name: &str| {
            text.split(['\x01', ','])
                .find_map(|part| part.strip_prefix(name))
                .map(str::to_owned)
        };
        let user = field("user=").or_else(|| field("a=")).unwrap_or_default();
        let token = field("auth=Bearer ").unwrap_or_default();
        if token == self.shared.setup.token {
            return Ok(self.admit(&user, true));
        }
        // RFC 7628 §3.2.3: the error comes as a challenge; the client answers it with ^A and then gets its NO.
        let expected: &[u8] = if mechanism == "OAUTHBEARER" { b"\x01" } else { b"" };
        let answer = self.response(None, "{\"status\":\"invalid_token\"}")?;
        if answer.as_deref() != Some(expected) {
            self.shared.complain(
                self.number,
                mechanism.as_bytes(),
                "the error was not acknowledged as it should be",
            );
        }
        Ok(Reply::no(FAILED))
    }

    pub(in super::super) fn enable(&mut self, names: &[String]) -> Reply {
        let mut enabled = Vec::new();
        for name in names {
            match name.as_str() {
                "CONDSTORE" if self.caps().has("CONDSTORE") => self.condstore = true,
                "QRESYNC" if self.caps().has("QRESYNC") => (self.condstore, self.qresync) = (true, true),
                "UTF8=ACCEPT" if self.caps().has("UTF8=ACCEPT") => self.utf8 = true,
                _ => continue,
            }
            enabled.push(name.as_str());
        }
        let mut reply = Reply::ok("done");
        reply.untagged(format!("ENABLED {}", enabled.join(" ")).trim_end());
        reply
    }
}
