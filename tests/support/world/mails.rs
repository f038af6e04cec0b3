//! Mail to test with: small, all different, with what real mail has.

use std::fmt::Write as _;

use super::Chance;
use crate::support::raw::Mail;

/// Keywords that mail programs use.
pub(crate) const KEYWORDS: [&str; 6] = ["$Forwarded", "$MDNSent", "$Junk", "NonJunk", "$label1", "todo"];
/// System flags that a client can set.
pub(crate) const SYSTEM: [&str; 5] = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted"];

/// The first and the last time at which mail arrives: 2005 and 2026.
const TIMES: (i64, i64) = (1_104_537_600, 1_767_225_600);

const WORDS: [&str; 8] = [
    "pigeon ", "Grüße ", "meeting ", "от ", "home ", "invoice ", "予定 ", "and ",
];

/// A message that no other number gives, with CRLF line ends.
pub(crate) fn message(number: usize, chance: &mut Chance) -> Vec<u8> {
    let mut text = String::new();
    for hop in 0..=chance.below(3) {
        let id = chance.next();
        let _ = write!(
            text,
            "Received: from mx{hop}.example.com (mx{hop}.example.com [192.0.2.{hop}])\r\n\tby in.example.org id {id:x}\r\n"
        );
    }
    let _ = write!(
        text,
        "From: Ada <ada{}@example.org>\r\nTo: you@example.org\r\nSubject: number {number}\r\n\
         Date: Tue, 3 Mar 2020 10:11:12 +0100\r\n",
        chance.below(50)
    );
    if chance.happens(98) {
        let _ = write!(text, "Message-ID: <{number}.{:x}@example.org>\r\n", chance.next());
    }
    text += "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    // Mostly short, sometimes long: as mail is.
    let lines = if chance.happens(4) {
        chance.below(900)
    } else {
        chance.below(40)
    };
    for _ in 0..=lines {
        for _ in 0..=chance.below(9) {
            text += chance.pick::<&str>(&WORDS);
        }
        text += "\r\n";
    }
    let _ = write!(text, "number {number}, {:x}\r\n", chance.next());
    text.into_bytes()
}

/// A message with flags, keywords and a date.
pub(crate) fn mail(number: usize, chance: &mut Chance) -> Mail {
    let bytes = message(number, chance);
    Mail {
        bytes,
        flags: flags(chance).join(" "),
        date: date(chance),
    }
}

/// Many of them, numbered from `first`.
pub(crate) fn mails(first: usize, count: usize, chance: &mut Chance) -> Vec<Mail> {
    (first..first + count).map(|number| mail(number, chance)).collect()
}

/// Flags as mail has them: mostly just seen, `\Deleted` rarely, some keywords.
pub(crate) fn flags(chance: &mut Chance) -> Vec<&'static str> {
    let mut flags = Vec::new();
    for (flag, percent) in SYSTEM.iter().zip([80, 15, 5, 1, 1]) {
        if chance.happens(percent) {
            flags.push(*flag);
        }
    }
    for keyword in KEYWORDS {
        if chance.happens(4) {
            flags.push(keyword);
        }
    }
    flags
}

/// A time at which mail arrived.
pub(crate) fn date(chance: &mut Chance) -> i64 {
    TIMES.0 + chance.below((TIMES.1 - TIMES.0) as usize) as i64
}
