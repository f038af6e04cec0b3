//! A small account that looks real, for the demo.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::super::server::Date;
use super::realistic::Rng;
use super::{Mail, crlf};

/// Where, from, subject, flags, days before the first of June 2026, text.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    i64,
    &'static str,
);

const ME: &str = "Robin Fields <me@example.org>";
const LENA: &str = "Lena Falk <lena@example.org>";
const WREN: &str = "Wren Carrier <wren@example.com>";
const LIST: &str = "The Loft List <loft@lists.example.org>";

const ROWS: [Row; 17] = [
    (
        "INBOX",
        LENA,
        "Saturday's flight",
        "",
        0,
        "Wind from the north-west until noon, they say.\nShall we start at nine?\n",
    ),
    (
        "INBOX",
        WREN,
        "Ring numbers",
        "\\Seen \\Flagged",
        1,
        "Yours are 2026-114 to 2026-120. Please check them twice.\n",
    ),
    (
        "INBOX",
        LENA,
        "Re: Saturday's flight",
        "\\Seen",
        1,
        "Nine is good. I bring the baskets.\n> Shall we start at nine?\n",
    ),
    (
        "INBOX",
        "Rook & Sons <orders@example.com>",
        "Your order 20417 has left us",
        "\\Seen",
        2,
        "Two sacks of seed, 25 kg each.\nThank you!\n",
    ),
    (
        "INBOX",
        "=?utf-8?Q?J=C3=B8rgen_Due?= <jorgen@example.org>",
        "=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_dem_Norden?=",
        "",
        3,
        "Hier ist es schön und kühl. Bis zum Sommer!\n",
    ),
    (
        "INBOX",
        WREN,
        "The map you asked for",
        "\\Seen \\Answered",
        4,
        "It is attached. The old mill is marked.\n",
    ),
    (
        "INBOX",
        "Library <loans@example.org>",
        "Two books are due on Friday",
        "",
        5,
        "\"Homing\", \"A Field Guide to Clouds\".\n",
    ),
    (
        "Sent",
        ME,
        "Re: The map you asked for",
        "\\Seen",
        4,
        "Thank you, that is just what I needed.\n",
    ),
    (
        "Sent",
        ME,
        "Seed for the winter",
        "\\Seen",
        30,
        "Could you set two sacks aside for me?\n",
    ),
    ("Sent", ME, "Fwd: Ring numbers", "\\Seen $Forwarded", 1, "See below.\n"),
    (
        "Drafts",
        ME,
        "To the council, about the old mill",
        "\\Seen \\Draft",
        6,
        "Dear all,\n\n",
    ),
    (
        "Archive/2026",
        LENA,
        "Happy new year",
        "\\Seen",
        150,
        "May they all come home.\n",
    ),
    (
        "Archive/2026",
        WREN,
        "Minutes of the spring meeting",
        "\\Seen todo",
        80,
        "Attached, as always.\n",
    ),
    (
        "Archive/2026",
        "=?utf-8?B?6bO65a2Q?= <hatoko@example.org>",
        "=?utf-8?B?6bO944Gu5YaZ55yf?=",
        "\\Seen \\Flagged",
        60,
        "写真を送ります。\n",
    ),
    (
        "Lists/Loft",
        LIST,
        "[loft] Best wood for perches?",
        "\\Seen",
        12,
        "Has anybody tried ash?\n",
    ),
    (
        "Lists/Loft",
        LIST,
        "[loft] Re: Best wood for perches?",
        "",
        11,
        "Beech. Ash splinters.\n> Has anybody tried ash?\n",
    ),
    (
        "Lists/Loft",
        LIST,
        "[loft] Summer meeting, a poll",
        "",
        2,
        "July or August? Answer to the list, please.\n",
    ),
];

/// Each message with its mailbox, decoded and with `/` between levels.
pub fn small_account() -> Vec<(&'static str, Mail)> {
    ROWS.iter()
        .enumerate()
        .map(|(at, row)| (row.0, message(at, row)))
        .collect()
}

fn message(at: usize, &(mailbox, from, subject, flags, days, text): &Row) -> Mail {
    let seconds = 1_780_300_800 - days * 86_400 + (at as i64 * 4_217) % 30_000;
    let date = Date { seconds, zone: 120 };
    let to = if from == ME { WREN } else { ME };
    let head = format!(
        "From: {from}\nTo: {to}\nSubject: {subject}\nDate: {}\nMessage-ID: <{at:03}.{:08x}@example.org>\nMIME-Version: 1.0\n",
        date.rfc5322(),
        Rng::new(at as u64).next() as u32,
    );
    let kind = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n";
    let rest = if text.contains("attached") || text.contains("Attached") {
        let boundary = format!("loft-{at}");
        format!(
            "Content-Type: multipart/mixed; boundary=\"{boundary}\"\n\n--{boundary}\n{kind}\n{text}\n--{boundary}\n\
             Content-Type: image/png; name=\"map.png\"\nContent-Transfer-Encoding: base64\n\
             Content-Disposition: attachment; filename=\"map.png\"\n\n{}--{boundary}--\n",
            picture(at as u64),
        )
    } else {
        format!("{kind}\n{text}")
    };
    let flags = flags.split_whitespace().map(str::to_owned).collect();
    Mail {
        name: format!("{mailbox}: {subject}"),
        bytes: crlf((head + &rest).as_bytes()),
        flags,
        date,
    }
}

/// Some 20 kB that stand for a picture.
fn picture(seed: u64) -> String {
    let mut rng = Rng::new(seed);
    let bytes: Vec<u8> = (0..15_000).map(|_| rng.next() as u8).collect();
    let text = BASE64.encode(bytes);
    text.as_bytes()
        .chunks(76)
        .map(|line| format!("{}\n", String::from_utf8_lossy(line)))
        .collect()
}
