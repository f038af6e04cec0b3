//! The header of a message as it lies in a file: which lines are which field.

use std::ops::Range;

/// Beyond this no header is looked at.
pub(super) const LIMIT: usize = 256 * 1024;

/// A field: its lines, line ends included.
pub(super) struct Field<'a> {
    /// Where it lies in the header.
    pub(super) range: Range<usize>,
    /// What stands before the colon; the whole line where there is none.
    pub(super) name: &'a [u8],
    /// What follows it, unfolded and trimmed; control characters and bytes that are no UTF-8 are replaced.
    value: &'a [u8],
}

impl Field<'_> {
    /// Whether it is the field of that name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Its value on one line.
    pub(super) fn text(&self) -> String {
        let words: Vec<_> = String::from_utf8_lossy(self.value)
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect();
        words.join(" ")
    }
}

/// Whether a line is blank: it ends the header.
pub(super) fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

/// The fields of a header up to its blank line; with lines that are no fields among them.
pub(super) fn fields(header: &[u8]) -> Vec<Field<'_>> {
    let mut found: Vec<Field<'_>> = Vec::new();
    let mut at = 0;
    for line in header.split_inclusive(|&b| b == b'\n') {
        if is_blank(line) {
            break;
        }
        let range = at..at + line.len();
        at = range.end;
        match found.last_mut() {
            Some(field) if line.starts_with(b" ") || line.starts_with(b"\t") => {
                let begin = field.range.end - field.value.len();
                field.range.end = range.end;
                field.value = &header[begin..range.end];
            }
            _ => {
                let colon = line.iter().position(|&b| b == b':');
                let (name, value) = colon.map_or((line, &line[line.len()..]), |at| (&line[..at], &line[at + 1..]));
                found.push(Field {
                    range,
                    name: name.trim_ascii(),
                    value,
                });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_their_lines() {
        let header = b"A: 1\n 2\r\n\t3\nno field\nb :4\n: 5\n\nbody: no\n";
        let found: Vec<_> = fields(header)
            .iter()
            .map(|field| (field.range.clone(), field.name.escape_ascii().to_string(), field.text()))
            .collect();
        let row = |range, name: &str, text: &str| (range, name.to_owned(), text.to_owned());
        assert_eq!(
            found,
            [
                row(0..12, "A", "1 2 3"),
                row(12..21, "no field", ""),
                row(21..26, "b", "4"),
                row(26..30, "", "5"),
            ]
        );
        assert_eq!(fields(b" folded first\n").len(), 1);
        assert!(fields(b"").is_empty());
    }
}
