//! The part of an account that is about its server: where it is, who logs in and how, how much it bears.

use std::sync::Arc;
use std::time::Duration;

use super::check::{Context, on, read};
use super::providers::{self, PROVIDERS, Provider};
use super::reader::{Table, Value};
use super::values;
use crate::account::{Credentials, DailyBytes, Mechanism, Origin, Server, Tls};
use crate::error::Result;

/// So many connections where neither the user nor the provider's entry says otherwise.
const CONNECTIONS: usize = 4;

impl Context<'_> {
    pub(super) fn server(&self, table: &Table) -> Result<Server> {
        let provider = read(table, "provider", provider)?;
        let host = self.host(table, provider)?;
        let allow_cleartext = read(table, "allow-cleartext", Value::boolean)?.unwrap_or(false);
        let tls = Self::tls(table, &host, allow_cleartext)?;
        let usual = || provider.map_or_else(Vec::new, |provider| provider.auth.to_vec());
        let auth = read(table, "auth", mechanisms)?.unwrap_or_else(usual);
        let fresh = auth.iter().any(|mechanism| mechanism.takes_token());
        Ok(Server {
            port: read(table, "port", |value| value.number(1..=65535))?.map_or(tls.port(), |port| port as u16),
            user: self.required(table, "user")?.1,
            login_as: read(table, "login-as", |value| self.text(value))?,
            credentials: Arc::new(Credentials::new(self.origin(table)?, fresh)),
            auth,
            tls,
            allow_cleartext,
            ca_file: read(table, "ca-file", |value| self.path(value))?,
            tls_fingerprint: read(table, "tls-fingerprint", |value| {
                on(value, values::fingerprint(value.text()?))
            })?,
            client_cert: read(table, "client-cert", |value| self.path(value))?,
            connections: read(table, "connections", |value| value.number(1..=32))?.map_or_else(
                || provider.map_or(CONNECTIONS, |provider| provider.connections),
                |n| n as usize,
            ),
            timeout: read(table, "timeout", timeout)?.unwrap_or(Duration::from_secs(60)),
            compress: read(table, "compress", Value::boolean)?.unwrap_or(false),
            max_rate: read(table, "max-rate", max_rate)?,
            max_bytes: read(table, "max-bytes", max_bytes)?
                .unwrap_or_else(|| provider.map(Provider::max_bytes).unwrap_or_default()),
            provider: provider.map(|provider| provider.name),
            host,
        })
    }

    /// What is written goes before what the provider's entry says.
    fn host(&self, table: &Table, provider: Option<&Provider>) -> Result<String> {
        if let (Some(provider), None) = (provider, table.get("host")) {
            return Ok(provider.host.to_owned());
        }
        let (value, text) = self.required(table, "host")?;
        on(&value, values::host(&text))
    }

    fn tls(table: &Table, host: &str, allowed: bool) -> Result<Tls> {
        let modes = [
            ("implicit", Tls::Implicit),
            ("starttls", Tls::StartTls),
            ("none", Tls::None),
        ];
        let Some(value) = table.get("tls") else {
            return Ok(Tls::Implicit);
        };
        let tls = value.one_of(&modes)?;
        if tls == Tls::None && !allowed && !values::is_loopback(host) {
            let what = format!("tls = \"none\" would send the password to {host} readable for everybody on the way");
            return Err(value
                .error(what)
                .hint("use \"starttls\" or \"implicit\", or set allow-cleartext = true"));
        }
        Ok(tls)
    }

    fn origin(&self, table: &Table) -> Result<Origin> {
        let keys = ["password-command", "password-file", "password-env"];
        let mut written = keys.iter().filter_map(|key| table.get(key));
        let Some(value) = written.next() else {
            return Err(table
                .error("where the password comes from is missing")
                .hint("write one of password-command, password-file, password-env"));
        };
        if let Some(second) = written.next() {
            let what = format!("\"{}\" and \"{}\" exclude each other", value.key, second.key);
            return Err(second.key_error(what));
        }
        match value.key {
            "password-file" => self.path(&value).map(Origin::File),
            "password-env" => value.text().map(|name| Origin::Variable(name.to_owned())),
            _ if value.is_list() => {
                let words = value
                    .list()?
                    .iter()
                    .map(|word| self.word(word))
                    .collect::<Result<Vec<_>>>()?;
                if words.is_empty() {
                    return Err(value.error("\"password-command\" is empty"));
                }
                Ok(Origin::Program(words))
            }
            _ => value.text().map(|line| Origin::Shell(line.to_owned())),
        }
    }
}

fn timeout(value: &Value) -> Result<Duration> {
    if value.is_number() {
        return value.number(1..=3600).map(Duration::from_secs);
    }
    on(value, values::duration(value.text()?))
}

fn mechanisms(value: &Value) -> Result<Vec<Mechanism>> {
    let names = Mechanism::ALL.map(|mechanism| (mechanism.name(), mechanism));
    let list: Vec<Mechanism> = value
        .list()?
        .iter()
        .map(|item| item.one_of(&names))
        .collect::<Result<_>>()?;
    let tokens = list.iter().filter(|mechanism| mechanism.takes_token()).count();
    if list.is_empty() {
        return Err(value.error("\"auth\" allows nothing"));
    }
    if tokens != 0 && tokens != list.len() {
        // One secret cannot be both.
        return Err(value.error("\"auth\" mixes mechanisms for a password and mechanisms for a token"));
    }
    Ok(list)
}

fn provider(value: &Value) -> Result<&'static Provider> {
    let names = PROVIDERS.each_ref().map(|provider| (provider.name, provider.name));
    let name = value.one_of(&names)?;
    Ok(providers::named(name).expect("it was taken from the table"))
}

/// Slower, the connections would seem dead to each other.
const SLOWEST_RATE: u64 = 10_000;

fn max_rate(value: &Value) -> Result<u64> {
    let rate = on(value, values::size(value.text()?))?;
    if rate < SLOWEST_RATE {
        return Err(value.error("\"max-rate\" must be at least \"10KB\", a second"));
    }
    Ok(rate)
}

/// One size for either direction, or one for each.
fn max_bytes(value: &Value) -> Result<DailyBytes> {
    let size = |value: &Value| match on(value, values::size(value.text()?))? {
        0 => Err(value.error(format!("\"{}\" must be more than nothing", value.key))),
        bytes => Ok(bytes),
    };
    if !value.is_table() {
        let bytes = Some(size(value)?);
        return Ok(DailyBytes { down: bytes, up: bytes });
    }
    let table = value.table("in \"max-bytes\"")?;
    table.only(&["down", "up"])?;
    Ok(DailyBytes {
        down: read(&table, "down", size)?,
        up: read(&table, "up", size)?,
    })
}
