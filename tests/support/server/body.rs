//! Parts of a message.

use std::ops::Range;
use std::sync::Arc;

use super::parse::Section;

/// Where the header ends, the blank line included; all of it when there is no blank line.
pub fn header_end(message: &[u8]) -> usize {
    let mut at = 0;
    for line in message.split_inclusive(|&b| b == b'\n') {
        at += line.len();
        if line == b"\r\n" || line == b"\n" {
            return at;
        }
    }
    message.len()
}

/// Each field with its continuation lines, as it stands.
pub fn fields(header: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in header.split_inclusive(|&b| b == b'\n') {
        let continues = matches!(line.first(), Some(b' ' | b'\t'));
        if !continues && at > start {
            out.push(&header[start..at]);
            start = at;
        }
        at += line.len();
    }
    out.push(&header[start..at]);
    out.retain(|f| !f.trim_ascii().is_empty() || f.len() > 2);
    out
}

/// A field's name in capitals.
pub fn field_name(field: &[u8]) -> String {
    let end = field.iter().position(|&b| b == b':').unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).trim().to_ascii_uppercase()
}

/// A field's value, unfolded.
pub fn field_value(field: &[u8]) -> Vec<u8> {
    let start = field.iter().position(|&b| b == b':').map_or(field.len(), |at| at + 1);
    let value = field[start..]
        .iter()
        .copied()
        .filter(|b| !b"\r\n".contains(b))
        .collect::<Vec<u8>>();
    value.trim_ascii().to_vec()
}

/// The bytes of a section: shared where it is a run of the message. `withheld` leaves out the first of chosen fields.
pub fn section(message: &Arc<[u8]>, section: &Section, withheld: bool) -> (Arc<[u8]>, Range<usize>) {
    let split = header_end(message);
    let range = match section {
        Section::All => 0..message.len(),
        Section::Header => 0..split,
        Section::Text => split..message.len(),
        Section::Fields { names, not } => {
            let chosen = fields(&message[..split])
                .into_iter()
                .filter(|f| names.contains(&field_name(f)) != *not);
            let mut out = chosen.skip(usize::from(withheld)).collect::<Vec<_>>().concat();
            out.extend_from_slice(b"\r\n");
            let end = out.len();
            return (out.into(), 0..end);
        }
    };
    (Arc::clone(message), range)
}
