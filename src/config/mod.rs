//! The configuration file: read as written, then checked into typed values.
//!
//! Reading happens in two steps. `reader` walks the TOML as the user wrote it and knows where each value stands;
//! `check` turns it into an [`Account`], refusing what does not fit. Every refusal names the file, the line and the
//! column. Nothing outside this module sees TOML.

pub mod keys;
pub mod list;
pub mod map;
pub mod patterns;
pub mod places;
pub mod providers;

mod check;
mod csv;
mod expand;
mod reader;
mod server;
mod values;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::account::Account;
use crate::error::{Failure, Kind, Result};
use places::Environment;

/// A whole configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// The accounts by name.
    pub accounts: BTreeMap<String, Account>,
}

impl Config {
    /// Reads and checks a file. Everything wrong with it is [`Kind::Config`].
    pub fn load(file: &Path, environment: &Environment) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
        Self::parse(&text, file, environment)
    }

    /// The same, but a file that is not there is one without accounts.
    pub fn load_if_there(file: &Path, environment: &Environment) -> Result<Self> {
        match file.try_exists() {
            Ok(false) => Ok(Self {
                accounts: BTreeMap::new(),
            }),
            _ => Self::load(file, environment),
        }
    }

    /// Checks the text of a file. `file` is what errors call it, and what relative paths start from.
    pub fn parse(text: &str, file: &Path, environment: &Environment) -> Result<Self> {
        check::config(text, file, environment).map(|accounts| Self { accounts })
    }

    /// The accounts of these names, each once, in the order of the names; without names, all that `wanted` picks.
    ///
    /// An unknown name is [`Kind::Usage`].
    pub fn select(&self, names: &[String], wanted: impl Fn(&Account) -> bool) -> Result<Vec<&Account>> {
        if names.is_empty() {
            return Ok(self.accounts.values().filter(|account| wanted(account)).collect());
        }
        let mut accounts: Vec<&Account> = Vec::new();
        for name in names {
            let account = self.account(name)?;
            if accounts.iter().all(|known| known.name != account.name) {
                accounts.push(account);
            }
        }
        Ok(accounts)
    }

    /// The account of that name.
    pub fn account(&self, name: &str) -> Result<&Account> {
        self.accounts.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.accounts.keys().map(String::as_str).collect();
            let hint = match keys::nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None if known.is_empty() => "no account is configured".to_owned(),
                None => format!("configured are: {}", known.join(", ")),
            };
            Failure::account(
                Kind::Usage,
                format!("there is no account \"{}\"", crate::error::clean(name)),
            )
            .hint(hint)
        })
    }
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot read the configuration {}: {error}", file.display());
    let failure = Failure::account(Kind::Config, what);
    if error.kind() != io::ErrorKind::NotFound {
        return failure;
    }
    failure.hint(format!(
        "write this to {}, with your own values (homing-config(5) explains every key):\n{FIRST_CONFIG}",
        file.display()
    ))
}

/// What somebody without a configuration needs to write.
const FIRST_CONFIG: &str = r#"
[accounts.personal]
host = "imap.example.org"
user = "me@example.org"
password-command = "pass show mail"
maildir = "~/Mail/personal""#;

#[cfg(test)]
mod tests;
