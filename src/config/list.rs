//! A list of pairs of accounts, as `migrate --list` reads it: CSV or TOML, a row for each pair.
//!
//! Either side of a pair is the name of a configured account, or is described in the row itself, with the keys that an
//! account has in the configuration. In CSV these are columns such as `from-host` and `to-password-command`. What is wrong
//! with a row is that row's refusal; the others stand.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::Context;
use super::csv::{self, Cell};
use super::places::Environment;
use super::reader::{NO_PASSWORD, Source, Table, Value};
use super::{Config, keys};
use crate::account::{Account, Server};
use crate::error::{Failure, Kind, Result, clean};

/// A pair of accounts, or why it is none.
#[derive(Debug)]
pub struct Row<'a> {
    /// Its number among the rows, from 0.
    pub number: usize,
    /// The line on which it begins, from 1.
    pub line: usize,
    /// FROM and TO; refusals are [`Kind::Config`].
    pub pair: Result<[Side<'a>; 2]>,
}

/// One side of a pair.
#[derive(Debug)]
pub enum Side<'a> {
    /// An account of the configuration.
    Configured(&'a Account),
    /// An account that the row describes.
    Described(Box<Account>),
}

impl Deref for Side<'_> {
    type Target = Account;

    fn deref(&self) -> &Account {
        match self {
            Self::Configured(account) => account,
            Self::Described(account) => account,
        }
    }
}

/// Keys of a number; in CSV everything is text.
const NUMBERS: [&str; 3] = ["port", "connections", "empty-guard"];

/// Reads a list. Fails with [`Kind::Config`] where the file as a whole makes no sense.
pub fn read<'a>(file: &Path, config: &'a Config, environment: &Environment) -> Result<Vec<Row<'a>>> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let what = format!("cannot read the list {}: {error}", file.display());
        Failure::account(Kind::Config, what).hint("it is a CSV or TOML file with a pair of accounts in each row")
    })?;
    parse(&text, file, config, environment)
}

/// The same from a text; `file` is what errors call it, what its ending says counts as its form, and what relative paths
/// start from.
pub fn parse<'a>(text: &str, file: &Path, config: &'a Config, environment: &Environment) -> Result<Vec<Row<'a>>> {
    let source = Source { file, text };
    let directory = file.parent().unwrap_or(Path::new(""));
    let reader = Reader {
        source,
        config,
        context: Context {
            environment,
            base: std::path::absolute(directory).unwrap_or_else(|_| PathBuf::from(directory)),
        },
    };
    let mut rows = match file.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => reader.toml()?,
        Some("csv") => reader.csv()?,
        _ => {
            let what = format!("the list {} ends neither in .csv nor in .toml", file.display());
            return Err(Failure::account(Kind::Config, what).hint("name it after what is in it"));
        }
    };
    refuse_twice(&mut rows, source);
    Ok(rows)
}

/// Two runs on one pair would get into each other's way.
fn refuse_twice(rows: &mut [Row<'_>], source: Source<'_>) {
    let mut lines: BTreeMap<[String; 2], usize> = BTreeMap::new();
    for row in rows {
        let Ok([from, to]) = &row.pair else { continue };
        let names = [from.name.clone(), to.name.clone()];
        if let Some(first) = lines.get(&names) {
            let what = format!(
                "{}:{}:1: the same pair as on line {first}",
                source.file.display(),
                row.line
            );
            row.pair = Err(Failure::account(Kind::Config, what));
        } else {
            lines.insert(names, row.line);
        }
    }
}

struct Reader<'a, 't> {
    source: Source<'t>,
    config: &'a Config,
    context: Context<'t>,
}

impl<'a> Reader<'a, '_> {
    fn toml(&self) -> Result<Vec<Row<'a>>> {
        let parsed = self.source.parse()?;
        let document = Table::document(self.source, &parsed);
        document.only(&["pairs"])?;
        let Some(pairs) = document.get("pairs") else {
            return Err(document
                .error("no pair is listed")
                .hint("write tables that begin with [[pairs]]"));
        };
        let row = |(number, value): (usize, Value)| Row {
            number,
            line: value.line(),
            pair: value.table("in this pair").and_then(|table| self.pair(&table)),
        };
        Ok(pairs.list()?.into_iter().enumerate().map(row).collect())
    }

    fn csv(&self) -> Result<Vec<Row<'a>>> {
        let rows = csv::rows(self.source.text)
            .map_err(|at| self.source.error(at..at, "a quote is opened here and never closed"))?;
        let Some((header, rows)) = rows.split_first() else {
            let what = format!("the list {} is empty", self.source.file.display());
            return Err(Failure::account(Kind::Config, what).hint("its first row names the columns: from, to"));
        };
        let columns = header
            .iter()
            .map(|cell| self.column(cell))
            .collect::<Result<Vec<Column>>>()?;
        let row = |(number, cells): (usize, &Vec<Cell<'_>>)| Row {
            number,
            line: self.source.line(&cells[0].span),
            pair: self.cells(&columns, cells),
        };
        Ok(rows.iter().enumerate().map(row).collect())
    }

    /// What a column is about.
    fn column(&self, cell: &Cell<'_>) -> Result<Column> {
        let name = cell.text.to_lowercase().replace('_', "-");
        let refuse = |what: String| self.source.error(cell.span.clone(), what);
        for (side, prefix) in ["from", "to"].into_iter().enumerate() {
            if name == prefix {
                return Ok(Column { side, key: None });
            }
            let Some(key) = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')) else {
                continue;
            };
            if let Some(key) = keys::remote().into_iter().find(|known| *known == key) {
                return Ok(Column { side, key: Some(key) });
            }
        }
        let failure = refuse(format!("unknown column \"{}\"", clean(&*cell.text)));
        if name.contains("password") {
            return Err(failure.hint(NO_PASSWORD.replace("password-", "from-password-")));
        }
        let known: Vec<String> = ["from", "to"]
            .into_iter()
            .flat_map(|side| {
                let own = keys::remote().into_iter().map(move |key| format!("{side}-{key}"));
                std::iter::once(side.to_owned()).chain(own)
            })
            .collect();
        Err(match keys::nearest(&name, known.iter().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean \"{near}\"?")),
            None => failure.hint("columns are from, to, and keys of an account after from- or to-, such as from-host"),
        })
    }

    /// A row of CSV becomes what TOML would have said.
    fn cells(&self, columns: &[Column], cells: &[Cell<'_>]) -> Result<[Side<'a>; 2]> {
        if let Some(extra) = cells.get(columns.len()).filter(|cell| !cell.text.is_empty()) {
            let what = "a cell beyond the last column; what holds a separator has to be quoted";
            return Err(self.source.error(extra.span.clone(), what));
        }
        let whole = cells[0].span.start..cells[cells.len() - 1].span.end;
        let mut sides: [DeTable<'_>; 2] = Default::default();
        let mut names: [Option<Spanned<DeValue<'_>>>; 2] = [None, None];
        for (column, cell) in columns.iter().zip(cells).filter(|(_, cell)| !cell.text.is_empty()) {
            let value = Spanned::new(cell.span.clone(), column.value(&cell.text));
            match column.key {
                Some(key) => {
                    sides[column.side].insert(Spanned::new(cell.span.clone(), Cow::Borrowed(key)), value);
                }
                None => names[column.side] = Some(value),
            }
        }
        let mut pair = DeTable::new();
        for ((name, table), key) in names.into_iter().zip(sides).zip(["from", "to"]) {
            let value = match (name, table.is_empty()) {
                (Some(name), true) => name,
                (None, false) => Spanned::new(whole.clone(), DeValue::Table(table)),
                (None, true) => continue,
                (Some(name), false) => {
                    let what = format!("\"{key}\" names a configured account, and other columns describe one");
                    return Err(self.source.error(name.span(), what));
                }
            };
            pair.insert(Spanned::new(whole.clone(), Cow::Borrowed(key)), value);
        }
        let pair = Spanned::new(whole, DeValue::Table(pair));
        let value = Value::of(self.source, "pairs", &pair);
        self.pair(&value.table("in this row")?)
    }

    fn pair(&self, table: &Table<'_>) -> Result<[Side<'a>; 2]> {
        table.only(&["from", "to"])?;
        Ok([self.side(table, "from")?, self.side(table, "to")?])
    }

    fn side(&self, table: &Table<'_>, key: &str) -> Result<Side<'a>> {
        let value = table
            .get(key)
            .ok_or_else(|| table.error(format!("\"{key}\" is missing")))?;
        if value.is_string() {
            let named = self.config.account(value.text()?);
            return named.map(Side::Configured).map_err(|failure| {
                let refused = value.error(failure.what);
                failure.hint.into_iter().fold(refused, Failure::hint)
            });
        }
        let own = value.table(format!("in \"{key}\""))?;
        own.only(&keys::remote())?;
        let mut account = self.context.remote(key, &own)?;
        account.name = described_name(&account.server);
        Ok(Side::Described(Box::new(account)))
    }
}

/// What a column of CSV is about.
struct Column {
    side: usize,
    /// A key of the account; `None`: the account's name.
    key: Option<&'static str>,
}

impl Column {
    /// What a cell says, in TOML's terms. Numbers, lists and tables are written as there; all else is a string.
    fn value<'t>(&self, text: &'t str) -> DeValue<'t> {
        let is_toml = text.starts_with(['[', '{'])
            || self.key.is_some_and(|key| NUMBERS.contains(&key))
            || ["true", "false"].contains(&text);
        let read = is_toml.then(|| DeValue::parse(text).ok()).flatten();
        read.map_or_else(|| DeValue::String(Cow::Borrowed(text)), Spanned::into_inner)
    }
}

/// Two names and a few letters more make a directory's name, of 255 bytes at most.
const LONGEST: usize = 110;

/// What to call an account that a row describes: `user%host`, with the port where it is not the usual one. Safe as a
/// directory's name, the same for the same account, and never that of another or of a configured one, which hold no `%`.
fn described_name(server: &Server) -> String {
    let mut name = format!("{}%{}", plain(&server.user), plain(&server.host.to_lowercase()));
    if server.port != server.tls.port() {
        let _ = write!(name, "%{}", server.port);
    }
    if name.len() > LONGEST {
        let digest = blake3::hash(name.as_bytes()).to_hex();
        name.truncate(LONGEST - 17);
        name.push('=');
        name.push_str(&digest[..16]);
    }
    name
}

/// The text with all but letters, digits and a few signs written as `=XX`, a byte each; reversible.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let first_or_doubled = out.is_empty() || out.ends_with('-');
        match byte {
            b'-' if first_or_doubled => out.push_str("=2D"),
            b'.' if out.is_empty() => out.push_str("=2E"),
            b if b.is_ascii_alphanumeric() || b"._@+-".contains(&b) => out.push(char::from(b)),
            b => {
                let _ = write!(out, "={b:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
