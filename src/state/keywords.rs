//! Keywords are stored as sets: most messages have none, and few different sets occur in an account.

use rusqlite::{Connection, OptionalExtension};

use crate::model::{Flags, Keyword, System};

/// The row of a flag set's keywords; 0 when there are none.
pub(super) fn store(conn: &Connection, flags: &Flags) -> rusqlite::Result<i64> {
    if flags.keywords().is_empty() {
        return Ok(0);
    }
    let names: Vec<&str> = flags.keywords().iter().map(Keyword::as_str).collect();
    let names = names.join(" ");
    let found = conn
        .prepare_cached("SELECT id FROM keyword_set WHERE names=?")?
        .query_row([&names], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    conn.prepare_cached("INSERT INTO keyword_set (names) VALUES (?)")?
        .insert([&names])
}

/// The flags of stored bits and names (as joined from `keyword_set`).
pub(super) fn flags(bits: u8, names: Option<&str>) -> Flags {
    let keywords = names.unwrap_or_default().split(' ').filter_map(Keyword::new);
    Flags::new(System::from_bits(bits), keywords)
}
