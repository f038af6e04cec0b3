//! TOML as the user wrote it: each value knows where it stands, so that each refusal can say so.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::nearest;
use crate::error::{Failure, Kind, Result, clean};

/// What to say to somebody who writes a password down.
pub(super) const NO_PASSWORD: &str =
    "a password does not belong into this file: use password-command, password-file or password-env";

/// A text and what to call it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

impl<'a> Source<'a> {
    /// Parses the text; the tables of the result point back into this source.
    pub(super) fn parse(self) -> Result<Spanned<DeTable<'a>>> {
        DeTable::parse(self.text).map_err(|error| {
            let message = error.message().lines().collect::<Vec<_>>().join("; ");
            self.error(error.span().unwrap_or(0..0), clean(message))
        })
    }

    /// The line on which something begins, from 1.
    pub(super) fn line(self, span: &Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        before.matches('\n').count() + 1
    }

    /// A refusal of what stands there: `file:line:column: what`. Columns count characters.
    pub(super) fn error(self, span: Range<usize>, what: impl Display) -> Failure {
        let line = self.line(&span);
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        Failure::account(Kind::Config, format!("{}:{line}:{column}: {what}", self.file.display()))
    }
}

/// A table and where it stands.
pub(super) struct Table<'a> {
    source: Source<'a>,
    /// What messages call it, such as `[accounts.personal]`.
    place: String,
    span: Range<usize>,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// The whole document.
    pub(super) fn document(source: Source<'a>, entries: &'a Spanned<DeTable<'a>>) -> Self {
        Self {
            source,
            place: "at the top level".into(),
            span: 0..0,
            entries: entries.get_ref(),
        }
    }

    /// Refuses keys that are not among `known`, naming the nearest.
    pub(super) fn only(&self, known: &[&str]) -> Result<()> {
        let Some((key, _)) = self
            .entries
            .iter()
            .find(|(key, _)| !known.contains(&key.get_ref().as_ref()))
        else {
            return Ok(());
        };
        let name = key.get_ref().as_ref();
        let what = format!("unknown key \"{}\" {}", clean(name), self.place);
        let hint = match nearest(name, known.iter().copied()) {
            _ if name == "password" => NO_PASSWORD.into(),
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("known here: {}", known.join(", ")),
        };
        Err(self.source.error(key.span(), what).hint(hint))
    }

    /// A refusal of the table as a whole.
    pub(super) fn error(&self, what: impl Display) -> Failure {
        self.source.error(self.span.clone(), format!("{what} {}", self.place))
    }

    /// The value of that key.
    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        self.values().find(|value| value.key == key)
    }

    /// All values, by key.
    pub(super) fn values(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let source = self.source;
        self.entries.iter().map(move |(key, value)| Value {
            source,
            key: key.get_ref().as_ref(),
            key_span: key.span(),
            span: value.span(),
            content: value.get_ref(),
        })
    }
}

/// A value, its key and where they stand.
pub(super) struct Value<'a> {
    source: Source<'a>,
    pub(super) key: &'a str,
    key_span: Range<usize>,
    span: Range<usize>,
    content: &'a DeValue<'a>,
}

impl<'a> Value<'a> {
    /// A value that was made and not read; it stands where `content` says.
    pub(super) fn of(source: Source<'a>, key: &'a str, content: &'a Spanned<DeValue<'a>>) -> Self {
        Self {
            source,
            key,
            key_span: content.span(),
            span: content.span(),
            content: content.get_ref(),
        }
    }

    /// A refusal of the value.
    pub(super) fn error(&self, what: impl Display) -> Failure {
        self.source.error(self.span.clone(), what)
    }

    /// The line on which it begins, from 1.
    pub(super) fn line(&self) -> usize {
        self.source.line(&self.span)
    }

    /// A refusal of the key.
    pub(super) fn key_error(&self, what: impl Display) -> Failure {
        self.source.error(self.key_span.clone(), what)
    }

    fn wrong_type(&self, wanted: &str) -> Failure {
        let found = match self.content {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(format!("\"{}\" must be {wanted}, not {found}", clean(self.key)))
    }

    /// The value as a string.
    pub(super) fn string(&self) -> Result<&'a str> {
        self.content
            .as_str()
            .ok_or_else(|| self.wrong_type("a string in quotes"))
    }

    /// The value as a string that is not empty and holds no control characters.
    pub(super) fn text(&self) -> Result<&'a str> {
        let text = self.string()?;
        if text.trim().is_empty() {
            return Err(self.error(format!("\"{}\" is empty", clean(self.key))));
        }
        if text.chars().any(char::is_control) {
            return Err(self.error(format!("\"{}\" holds a control character", clean(self.key))));
        }
        Ok(text)
    }

    /// The value as a whole number within `range`.
    pub(super) fn number(&self, range: std::ops::RangeInclusive<u64>) -> Result<u64> {
        let (from, to) = (*range.start(), *range.end());
        let number = self
            .content
            .as_integer()
            .ok_or_else(|| self.wrong_type("a whole number"))?;
        u64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.error(format!("\"{}\" must be from {from} to {to}", self.key)))
    }

    /// Whether the value is a number.
    pub(super) fn is_number(&self) -> bool {
        self.content.is_integer()
    }

    /// The value as true or false.
    pub(super) fn boolean(&self) -> Result<bool> {
        self.content.as_bool().ok_or_else(|| self.wrong_type("true or false"))
    }

    /// The value as one of these words, and what it stands for.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T> {
        let word = self.string()?;
        if let Some(&(_, meaning)) = words.iter().find(|(known, _)| *known == word) {
            return Ok(meaning);
        }
        let known: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let what = format!(
            "\"{}\" must be one of {}, not \"{}\"",
            clean(self.key),
            known.join(", "),
            clean(word)
        );
        let failure = self.error(what);
        Err(match nearest(word, words.iter().map(|(word, _)| *word)) {
            Some(near) => failure.hint(format!("did you mean \"{near}\"?")),
            None => failure,
        })
    }

    /// The values of a list.
    pub(super) fn list(&self) -> Result<Vec<Value<'a>>> {
        let DeValue::Array(array) = self.content else {
            return Err(self.wrong_type("a list"));
        };
        Ok(array
            .iter()
            .map(|item| Value {
                source: self.source,
                key: self.key,
                key_span: self.key_span.clone(),
                span: item.span(),
                content: item.get_ref(),
            })
            .collect())
    }

    /// Whether the value is a list.
    pub(super) fn is_list(&self) -> bool {
        self.content.is_array()
    }

    /// Whether the value is a string.
    pub(super) fn is_string(&self) -> bool {
        self.content.is_str()
    }

    /// Whether the value is a table.
    pub(super) fn is_table(&self) -> bool {
        self.content.is_table()
    }

    /// The value as a table; `place` is what messages call it.
    pub(super) fn table(&self, place: impl Into<String>) -> Result<Table<'a>> {
        let DeValue::Table(entries) = self.content else {
            return Err(self.wrong_type("a table"));
        };
        Ok(Table {
            source: self.source,
            place: place.into(),
            span: self.key_span.clone(),
            entries,
        })
    }
}
