//! From TOML to accounts: every value checked.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::map::NameMap;
use super::patterns::{Pattern, Scope};
use super::places::Environment;
use super::reader::{Source, Table, Value};
use super::{expand, keys, values};
use crate::account::{Account, Fsync, Layout, Maildir};
use crate::archive::Archive;
use crate::error::{Result, clean};
use crate::model::Bounds;
use crate::plan::{Policy, SidePolicy};

/// What values are read against.
pub(super) struct Context<'a> {
    pub(super) environment: &'a Environment,
    /// What relative paths start from.
    pub(super) base: PathBuf,
}

/// Reads a whole file.
pub(super) fn config(text: &str, file: &Path, environment: &Environment) -> Result<BTreeMap<String, Account>> {
    let source = Source { file, text };
    let parsed = source.parse()?;
    let document = Table::document(source, &parsed);
    document.only(&["accounts"])?;
    let Some(list) = document.get("accounts") else {
        return Err(document
            .error("no account is configured")
            .hint("write a table such as [accounts.personal]"));
    };
    let directory = file.parent().unwrap_or(Path::new(""));
    let context = Context {
        environment,
        base: std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned()),
    };
    let mut accounts = BTreeMap::new();
    for entry in list.table("in [accounts]")?.values() {
        values::account_name(entry.key).map_err(|why| entry.key_error(why))?;
        let table = entry.table(format!("in [accounts.{}]", entry.key))?;
        let account = context.account(entry.key, &table)?;
        apart(&account, accounts.values(), &table)?;
        accounts.insert(entry.key.to_owned(), account);
    }
    if accounts.is_empty() {
        return Err(list
            .error("no account is configured")
            .hint("write a table such as [accounts.personal]"));
    }
    Ok(accounts)
}

/// A Maildir or an archive within another would be taken for a mailbox of it.
fn apart<'a>(account: &Account, others: impl Iterator<Item = &'a Account>, table: &Table) -> Result<()> {
    let mut taken: Vec<(&str, &str, &Path)> = others.flat_map(roots).collect();
    for (name, key, own) in roots(account) {
        let Some(value) = table.get(key) else { continue };
        let near = taken
            .iter()
            .find(|(.., theirs)| own.starts_with(theirs) || theirs.starts_with(own));
        if let Some((other, theirs, _)) = near {
            let what = format!("\"{theirs}\" of \"{other}\" and \"{key}\" of \"{name}\" lie within one another");
            return Err(value.error(what).hint("give each a directory of its own"));
        }
        taken.push((name, key, own));
    }
    Ok(())
}

/// Where an account's mail is kept: its name, the key that says so, the directory.
fn roots(account: &Account) -> impl Iterator<Item = (&str, &'static str, &Path)> {
    let maildir = account.maildir.iter().map(|maildir| ("maildir", &*maildir.root));
    let archive = account.archive.iter().map(|archive| ("archive", &*archive.root));
    maildir.chain(archive).map(|(key, root)| (&*account.name, key, root))
}

impl Context<'_> {
    fn account(&self, name: &str, table: &Table) -> Result<Account> {
        table.only(&keys::names())?;
        Ok(Account {
            maildir: self.maildir(name, table)?,
            archive: read(table, "archive", |value| self.path(value))?.map(Archive::new),
            ..self.remote(name, table)?
        })
    }

    /// What an account has of its server alone.
    pub(super) fn remote(&self, name: &str, table: &Table) -> Result<Account> {
        let server = self.server(table)?;
        let scope = read(table, "mailboxes", scope)?.unwrap_or_default();
        let is_gmail = values::is_gmail(&server.host) || server.provider == Some("gmail");
        Ok(Account {
            name: name.to_owned(),
            maildir: None,
            archive: None,
            scope: if is_gmail { scope.on_gmail() } else { scope },
            server,
            map: read(table, "map", map)?.unwrap_or_default(),
            bounds: Bounds {
                max_size: read(table, "max-size", |value| on(value, values::size(value.text()?)))?,
                since: read(table, "since", |value| {
                    on(value, values::since(value.text()?, &jiff::ZonedDateTime::now()))
                })?,
            },
            policy: read(table, "policy", policy)?.unwrap_or(Policy::SYNC),
            expunge_marked: read(table, "expunge-marked", Value::boolean)?.unwrap_or(false),
            trash: read(table, "trash", |value| on(value, values::trash(value.text()?)))?.unwrap_or_default(),
            max_delete: read(table, "max-delete", |value| on(value, values::percent(value.text()?)))?.unwrap_or(25),
            empty_guard: read(table, "empty-guard", |value| value.number(0..=u64::from(u32::MAX)))?.unwrap_or(10),
        })
    }

    fn maildir(&self, account: &str, table: &Table) -> Result<Option<Maildir>> {
        let layouts = [
            ("auto", Layout::Auto),
            ("nested", Layout::Nested),
            ("maildir++", Layout::MaildirPlusPlus),
        ];
        let Some(value) = table.get("maildir") else {
            let needy = ["layout", "info-separator", "fsync", "attic", "attic-days"];
            return match needy.iter().find_map(|key| table.get(key)) {
                Some(value) => Err(value.key_error(format!("\"{}\" says nothing without \"maildir\"", value.key))),
                None => Ok(None),
            };
        };
        let root = self.path(&value)?;
        let attic = match table.get("attic") {
            Some(value) => self.path(&value)?,
            None => self.environment.attic(account)?,
        };
        if attic.starts_with(&root) {
            let what = format!("the attic {} lies within the Maildir", attic.display());
            return Err(table
                .get("attic")
                .unwrap_or(value)
                .error(what)
                .hint("set \"attic\" to a place outside"));
        }
        let separator = read(table, "info-separator", |value| {
            on(value, values::info_separator(value.text()?))
        })?;
        Ok(Some(Maildir {
            root,
            layout: read(table, "layout", |value| value.one_of(&layouts))?.unwrap_or(Layout::Auto),
            info_separator: separator.unwrap_or(':'),
            fsync: read(table, "fsync", |value| {
                value.one_of(&[("batch", Fsync::Batch), ("off", Fsync::Off)])
            })?
            .unwrap_or(Fsync::Batch),
            attic,
            attic_days: read(table, "attic-days", |value| value.number(1..=36500))?.unwrap_or(30) as u32,
        }))
    }

    /// A key that must be there, with variables replaced.
    pub(super) fn required<'a>(&self, table: &Table<'a>, key: &str) -> Result<(Value<'a>, String)> {
        let value = table
            .get(key)
            .ok_or_else(|| table.error(format!("\"{key}\" is missing")))?;
        let text = self.text(&value)?;
        Ok((value, text))
    }

    pub(super) fn text(&self, value: &Value) -> Result<String> {
        let text = on(value, expand::variables(value.text()?, self.environment))?;
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(value.error(format!("\"{}\" is empty or holds a control character", value.key)));
        }
        Ok(text)
    }

    pub(super) fn path(&self, value: &Value) -> Result<PathBuf> {
        on(value, expand::path(value.text()?, &self.base, self.environment))
    }

    /// A word of a command: variables and a leading `~/` are replaced, since no shell will do it.
    pub(super) fn word(&self, value: &Value) -> Result<String> {
        let text = value.string()?;
        if text != "~" && !text.starts_with("~/") {
            return on(value, expand::variables(text, self.environment));
        }
        self.path(value).map(|path| path.display().to_string())
    }
}

/// The value of a key, if it is written, as `convert` reads it.
pub(super) fn read<'a, T>(
    table: &Table<'a>,
    key: &str,
    convert: impl FnOnce(&Value<'a>) -> Result<T>,
) -> Result<Option<T>> {
    table.get(key).map(|value| convert(&value)).transpose()
}

/// Says of a refusal where its value stands.
pub(super) fn on<T>(value: &Value, result: Result<T, impl Display>) -> Result<T> {
    result.map_err(|why| value.error(clean(format!("\"{}\": {why}", value.key))))
}

fn scope(value: &Value) -> Result<Scope> {
    let table = value.table("in \"mailboxes\"")?;
    table.only(&["include", "exclude"])?;
    let patterns = |value: &Value| -> Result<Vec<Pattern>> {
        value
            .list()?
            .iter()
            .map(|item| on(item, item.string()?.parse()))
            .collect()
    };
    let mut scope = Scope::default();
    if let Some(include) = read(&table, "include", patterns)? {
        scope.include = include;
    }
    if let Some(exclude) = read(&table, "exclude", patterns)? {
        scope.exclude = exclude;
    }
    if scope.include.is_empty() {
        return Err(value.error("\"include\" is empty: no mailbox would be synced"));
    }
    Ok(scope)
}

fn map(value: &Value) -> Result<NameMap> {
    let entries: Vec<Value> = value.table("in \"map\"")?.values().collect();
    let pairs = entries
        .iter()
        .map(|entry| Ok((entry.key, entry.text()?)))
        .collect::<Result<Vec<_>>>()?;
    NameMap::new(pairs).map_err(|(number, why)| entries[number].error(clean(format!("\"map\": {why}"))))
}

fn policy(value: &Value) -> Result<Policy> {
    if !value.is_table() {
        return value.one_of(&values::POLICIES);
    }
    let table = value.table("in \"policy\"")?;
    table.only(&["left", "right"])?;
    let side = |key| -> Result<SidePolicy> {
        read(&table, key, side_policy).map(|policy| policy.unwrap_or(SidePolicy::SPREAD))
    };
    Ok(Policy {
        sides: [side("left")?, side("right")?],
        ..Policy::SYNC
    })
}

fn side_policy(value: &Value) -> Result<SidePolicy> {
    let table = value.table(format!("in \"policy\".{}", value.key))?;
    table.only(&values::CHANGES.map(|(name, ..)| name))?;
    let mut policy = SidePolicy::SPREAD;
    for (name, field, rules) in values::CHANGES {
        if let Some(rule) = read(&table, name, |value| value.one_of(rules))? {
            *field(&mut policy) = rule;
        }
    }
    Ok(policy)
}
