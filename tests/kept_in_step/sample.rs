//! The sample configuration, made from the table of keys, and proof that everything in it works.

use std::fmt::Write as _;
use std::path::Path;

use homing::account::Account;
use homing::config::Config;
use homing::config::keys::{Default, GROUPS, Key};
use homing::config::places::Environment;

const WIDTH: usize = 100;

const HEAD: &str = "\
# Accounts of homing. Copy this file to ~/.config/homing/config.toml and edit the four lines that are not comments;
# everything else has a safe default, which is the value shown unless the text says otherwise.
# `homing mailboxes personal` then tries the login, and `homing sync --dry-run` says what the first sync would do.
";

/// Lines that a user of that provider can uncomment as they stand.
const MORE: &str = r#"
# --- Other accounts -------------------------------------------------------------------------------

# Gmail wants an app password (Google Account, Security, 2-Step Verification, App passwords).
#[accounts.gmail]
#provider = "gmail"
#user = "me@gmail.com"
#password-command = "pass show gmail-app-password"
#maildir = "~/Mail/gmail"
#map = { "[Gmail]/Sent Mail" = "Sent", "[Gmail]/Drafts" = "Drafts", "[Gmail]/Trash" = "Trash" }

# Proton Mail Bridge listens on this machine and signs its own certificate; the password is the Bridge's.
#[accounts.proton]
#host = "127.0.0.1"
#port = 1143
#tls = "starttls"
#tls-fingerprint = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#user = "me@proton.me"
#password-file = "~/.config/homing/bridge-password"
#maildir = "~/Mail/proton"
"#;

/// The file.
pub(crate) fn text() -> String {
    let mut out = format!("{HEAD}\n[accounts.personal]\n");
    for group in GROUPS {
        let rule = "-".repeat(WIDTH - 8 - group.title.len());
        let _ = writeln!(out, "\n# --- {} {rule}", group.title);
        for key in group.keys {
            out.push('\n');
            out.push_str(&comment(key));
            let mark = if is_live(key) { "" } else { "#" };
            let _ = writeln!(out, "{mark}{} = {}", key.name, key.example);
        }
    }
    out + MORE
}

/// The four lines that everybody edits.
fn is_live(key: &Key) -> bool {
    ["host", "user", "password-command", "maildir"].contains(&key.name)
}

fn comment(key: &Key) -> String {
    let default = match key.default {
        Default::Is(value) => format!(" Default: {value}."),
        Default::Required | Default::OneOf(_) => String::new(),
    };
    let text = format!("{}{default}", key.help).replace('`', "");
    let mut out = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    out + &line + "\n"
}

fn parse(text: &str) -> Config {
    let environment = Environment::of([("HOME", "/home/me")]);
    Config::parse(text, Path::new("/home/me/.config/homing/config.toml"), &environment)
        .unwrap_or_else(|failure| panic!("{failure} {:?}\n{text}", failure.hint))
}

fn keys() -> impl Iterator<Item = &'static Key> {
    GROUPS.iter().flat_map(|group| group.keys)
}

#[test]
fn it_works_as_it_is_and_explains_every_key() {
    let text = text();
    let config = parse(&text);
    assert_eq!(config.accounts.len(), 1);
    assert!(config.accounts["personal"].maildir.is_some());
    for key in keys() {
        let line = |mark| format!("\n{mark}{} = ", key.name);
        assert!(
            text.contains(&line("")) || text.contains(&line("#")),
            "{} is missing",
            key.name
        );
    }
}

/// The sample with the line of that key set to a value, and the other ways to a password out of its way.
fn with(key: &Key, value: &str) -> String {
    let other_password =
        |line: &str| key.name.starts_with("password-") && line.starts_with("password-") && !line.starts_with(key.name);
    let old = format!("{} = ", key.name);
    let lines = text()
        .lines()
        .filter(|line| !other_password(line))
        .map(|line| {
            let is_it = line.trim_start_matches('#').starts_with(&old);
            if is_it {
                format!("{old}{value}\n")
            } else {
                format!("{line}\n")
            }
        })
        .collect::<String>();
    let end = lines.find("# --- Other accounts").unwrap();
    lines[..end].to_owned()
}

#[test]
fn each_commented_line_works_when_it_is_uncommented() {
    for key in keys() {
        parse(&with(key, key.example));
    }
    let mut uncommented = text();
    let end = uncommented.find("# --- Other accounts").unwrap();
    let more: String = uncommented
        .split_off(end)
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(value) if !value.starts_with(' ') => format!("{value}\n"),
            _ => String::new(),
        })
        .collect();
    assert_eq!(parse(&(uncommented + &more)).accounts.len(), 3);
}

/// A default that is told as a value is the default: writing it changes nothing.
#[test]
fn told_defaults_are_true() {
    let shown = |text: &str| -> String {
        let account: Account = parse(text).accounts.remove("personal").unwrap();
        format!("{account:?}")
    };
    let plain = shown(&text());
    let mut told = 0;
    for key in keys() {
        if let Default::Is(value) = key.default
            && toml::from_str::<toml::Table>(&format!("x = {value}")).is_ok()
        {
            told += 1;
            assert_eq!(shown(&with(key, value)), plain, "{} = {value}", key.name);
        }
    }
    assert!(told >= 12, "only {told} of the defaults are values");
}
