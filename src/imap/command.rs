//! Commands as they go out: text, and literals where text cannot say it.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::model::{Flags, IdSet, RawName};
use crate::store::Spooled;

/// The longest set of ids in one command: servers stop reading lines at 8,000 bytes or so.
const LONGEST_SET: usize = 1000;

/// A command without its tag. The first word is its name.
pub(super) struct Command {
    pub(super) parts: Vec<Part>,
    /// The literals of this one are announced and wait for the server's go-ahead whatever it offers (HAZARDS 1).
    pub(super) careful: bool,
}

/// A piece of a command.
pub(super) enum Part {
    Text(Vec<u8>),
    Literal(Vec<u8>),
    /// A literal of that many bytes that streams by.
    Body(SharedBody, u64),
}

/// A spooled message, shared between the command that sends it and whoever may have to send it again.
pub(super) type SharedBody = Arc<Mutex<Box<dyn Spooled>>>;

impl Command {
    /// A command of fixed words.
    pub(super) fn new(words: impl Into<String>) -> Self {
        Self {
            parts: vec![Part::Text(words.into().into_bytes())],
            careful: false,
        }
    }

    /// More fixed words, after a space.
    #[must_use]
    pub(super) fn words(mut self, words: impl fmt::Display) -> Self {
        self.add(format!(" {words}").as_bytes());
        self
    }

    /// A set of ids.
    #[must_use]
    pub(super) fn set(self, ids: &IdSet) -> Self {
        self.words(ids)
    }

    /// A list of flags.
    #[must_use]
    pub(super) fn flags(self, flags: &Flags) -> Self {
        // `Flags` holds nothing but the five system flags and keywords that are atoms: a closed grammar (HAZARDS 1).
        self.words(format_args!("({flags})"))
    }

    /// A mailbox's name as the server listed it.
    #[must_use]
    pub(super) fn mailbox(self, name: &RawName) -> Self {
        self.text(name.as_bytes())
    }

    /// Any text: quoted where a quoted string can hold it, else a literal (RFC 9051 §9 string).
    #[must_use]
    pub(super) fn text(mut self, text: &[u8]) -> Self {
        let quotable = text.len() <= 1000 && text.iter().all(|&b| (b' '..0x7f).contains(&b));
        self.add(b" ");
        if quotable {
            self.add(b"\"");
            for &byte in text {
                if matches!(byte, b'"' | b'\\') {
                    self.add(b"\\");
                }
                self.add(&[byte]);
            }
            self.add(b"\"");
        } else {
            self.parts.push(Part::Literal(text.to_vec()));
        }
        self
    }

    /// A literal that streams from `body`.
    #[must_use]
    pub(super) fn body(mut self, body: SharedBody, size: u64) -> Self {
        self.add(b" ");
        self.parts.push(Part::Body(body, size));
        self
    }

    /// Its literals wait for the server's go-ahead.
    #[must_use]
    pub(super) fn careful(mut self) -> Self {
        self.careful = true;
        self
    }

    /// Its name: a word, or two where the first is UID.
    pub(super) fn verb(&self) -> String {
        let Some(Part::Text(text)) = self.parts.first() else {
            return String::new();
        };
        let mut words = text.split(|&byte| byte == b' ');
        let first = words.next().unwrap_or_default();
        let second = words.next().filter(|_| first == b"UID");
        let words: Vec<_> = [Some(first), second]
            .into_iter()
            .flatten()
            .map(String::from_utf8_lossy)
            .collect();
        words.join(" ")
    }

    /// About how many bytes it takes on the wire.
    pub(super) fn size(&self) -> u64 {
        let part = |part: &Part| match part {
            Part::Text(text) | Part::Literal(text) => text.len() as u64,
            Part::Body(_, size) => *size,
        };
        self.parts.iter().map(part).sum::<u64>() + 16
    }

    /// Whether a message goes up with it.
    pub(super) fn uploads(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Body(..)))
    }

    fn add(&mut self, bytes: &[u8]) {
        if let Some(Part::Text(text)) = self.parts.last_mut() {
            text.extend_from_slice(bytes);
        } else {
            self.parts.push(Part::Text(bytes.to_vec()));
        }
    }
}

impl fmt::Debug for Command {
    /// Shows its first word only: what follows can be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = match self.parts.first() {
            Some(Part::Text(text)) => text.split(|&b| b == b' ').next().unwrap_or_default(),
            _ => b"?",
        };
        write!(f, "Command({} …)", first.escape_ascii())
    }
}

/// Cuts a set into sets of at most `most` ids that each fit into a command; ascending.
pub(super) fn portions(ids: &IdSet, most: u64) -> Vec<IdSet> {
    let mut out = Vec::new();
    for chunk in ids.chunks(most) {
        let mut portion = IdSet::new();
        let mut length = 0;
        for range in chunk.ranges() {
            // At most twenty digits each, a colon and a comma.
            let digits = |id: u64| id.checked_ilog10().unwrap_or(0) as usize + 1;
            let more = digits(*range.start()) + digits(*range.end()) + 2;
            if length + more > LONGEST_SET {
                out.push(std::mem::take(&mut portion));
                length = 0;
            }
            length += more;
            portion.insert_range(range);
        }
        if !portion.is_empty() {
            out.push(portion);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(command: &Command) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.escape_ascii().to_string(),
            Part::Literal(text) => format!("<{}>", text.escape_ascii()),
            Part::Body(_, size) => format!("<{size} bytes>"),
        };
        command.parts.iter().map(part).collect()
    }

    #[test]
    fn commands_as_they_go_out() {
        let name = |bytes: &[u8]| RawName::new(bytes);
        for (command, text) in [
            (Command::new("NOOP"), "NOOP"),
            (Command::new("SELECT").mailbox(&name(b"a b")), "SELECT \\\"a b\\\""),
            (Command::new("X").text(br#"a"b\"#), r#"X \"a\\\"b\\\\\""#),
            (Command::new("X").text(b""), "X \\\"\\\""),
            (
                Command::new("X").mailbox(&name(b"\xc3\xbc")).words("(Y)"),
                "X <\\xc3\\xbc> (Y)",
            ),
            (Command::new("X").mailbox(&name(b"a\r\nb")), "X <a\\r\\nb>"),
            (
                Command::new("UID STORE")
                    .set(&"1:3,7".parse().unwrap())
                    .words("+FLAGS")
                    .flags(&Flags::from_names(["\\Seen", "a"])),
                "UID STORE 1:3,7 +FLAGS (\\\\Seen a)",
            ),
        ] {
            assert_eq!(shown(&command), text);
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let command = Command::new("LOGIN").text(b"me").text(b"secret");
        assert_eq!(format!("{command:?}"), "Command(LOGIN …)");
    }

    #[test]
    fn portions_fit_into_a_line() {
        let odd: IdSet = (0..5000).map(|n| 4_000_000_000 + n * 2).collect();
        let portions = portions(&odd, 1000);
        assert!(
            portions
                .iter()
                .all(|p| p.to_string().len() <= LONGEST_SET && p.len() <= 1000)
        );
        assert_eq!(portions.iter().flat_map(IdSet::iter).collect::<IdSet>(), odd);
        let whole = super::portions(&IdSet::range(1..=2500), 1000);
        assert_eq!(whole.iter().map(IdSet::len).collect::<Vec<_>>(), [1000, 1000, 500]);
    }
}
