//! How long a server is listened to that talks and does not answer.

use std::time::{Duration, Instant};

use super::conn::out_of_step;
use super::slot::MOST_MESSAGES;
use super::token::Tokens;
use crate::error::Result;

/// A server that is busy for long says so from time to time; so many times the time limit is enough of that.
const LONGEST_EXCUSE: u32 = 10;
/// The most lines to the point between two answers: some for each message of the largest mailbox.
const MOST_LINES: u64 = 4 * MOST_MESSAGES;

/// What was heard since the last answer.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Lines to the point.
    lines: u64,
    /// Since when nothing was to the point.
    excused: Option<Instant>,
}

impl Patience {
    /// Takes note of a line; a failure when it is one too many.
    pub(super) fn hear(&mut self, line: &[u8], timeout: Duration) -> Result<()> {
        let Some(data) = line.strip_prefix(b"* ") else {
            self.excused = None;
            // Answers are counted by their tags; who says `+` has not answered.
            self.lines = if line.starts_with(b"+") { self.lines + 1 } else { 0 };
            return self.bounded();
        };
        if is_to_the_point(data) {
            self.excused = None;
            self.lines += 1;
            return self.bounded();
        }
        let since = *self.excused.get_or_insert_with(Instant::now);
        if since.elapsed() > LONGEST_EXCUSE * timeout {
            return Err(out_of_step("it says that it is there, and does not answer"));
        }
        Ok(())
    }

    /// Much was sent meanwhile, or nothing was asked: its time begins anew.
    pub(super) fn start_over(&mut self) {
        self.excused = None;
    }

    fn bounded(&self) -> Result<()> {
        if self.lines > MOST_LINES {
            return Err(out_of_step("it tells without end, and does not answer"));
        }
        Ok(())
    }
}

/// Whether it is of a kind of which an answer may hold one for each message or mailbox. All else is told a few times at
/// most, or by a server that keeps a connection alive (`* OK Still here`).
fn is_to_the_point(data: &[u8]) -> bool {
    const OF_MESSAGES: [&[u8]; 2] = [b"FETCH", b"EXPUNGE"];
    const OF_MAILBOXES: [&[u8]; 6] = [b"LIST", b"LSUB", b"STATUS", b"SEARCH", b"ESEARCH", b"VANISHED"];
    let mut tokens = Tokens::new(data);
    let words: &[&[u8]] = if tokens.number().is_some() {
        &OF_MESSAGES
    } else {
        &OF_MAILBOXES
    };
    tokens
        .atom()
        .is_some_and(|word| words.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hears a line as one of many, after the server has used up its time (`late`) or its lines.
    fn after(lines: u64, late: bool, line: &str) -> bool {
        let timeout = Duration::from_secs(1);
        let long_ago = Instant::now().checked_sub((LONGEST_EXCUSE + 1) * timeout);
        let mut patience = Patience {
            lines,
            excused: late.then(|| long_ago.unwrap()),
        };
        patience.hear(line.as_bytes(), timeout).is_ok()
    }

    #[test]
    fn what_a_server_may_say_before_it_answers() {
        for (line, late, many) in [
            ("* 1 FETCH (UID 7)", true, false),
            ("* 1 expunge", true, false),
            ("* LIST () \"/\" a", true, false),
            ("* STATUS a (MESSAGES 1)", true, false),
            ("* VANISHED 1", true, false),
            ("+ go on", true, false),
            ("H1 OK", true, true),
            ("* OK still here", false, true),
            ("* NO not now", false, true),
            ("* 1 EXISTS", false, true),
            ("* FLAGS ()", false, true),
            ("* FETCH", false, true),
            ("* ", false, true),
        ] {
            assert_eq!(after(0, true, line), late, "{line}, late");
            assert_eq!(after(MOST_LINES, false, line), many, "{line}, one of many");
            assert!(after(0, false, line), "{line}");
        }
    }
}
