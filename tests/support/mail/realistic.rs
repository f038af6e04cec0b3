//! Realistic mail in any number.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::super::server::Date;
use super::{Mail, crlf};

/// A small generator of what looks like chance (splitmix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of that seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which must be above 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// True in `percent` of all cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// From the normal distribution, near enough.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next() as f64 / u64::MAX as f64).sum::<f64>() - 6.0
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

const PEOPLE: [(&str, &str); 8] = [
    ("Lena Falk", "lena@example.org"),
    ("Mirko Tauber", "m.tauber@example.com"),
    ("=?utf-8?Q?J=C3=B8rgen_Due?=", "jorgen@example.org"),
    ("\"Kyriaki, P.\"", "kyriaki@example.com"),
    ("=?utf-8?B?6bO65a2Q?=", "hatoko@example.org"),
    ("Rook & Sons", "orders@example.com"),
    ("Ola Swift", "ola.swift@example.org"),
    ("Wren Carrier", "wren@example.com"),
];

const WORDS: [&str; 40] = [
    "pigeon",
    "loft",
    "meadow",
    "Tuesday",
    "we",
    "shall",
    "send",
    "the",
    "letter",
    "before",
    "noon",
    "and",
    "weather",
    "north",
    "return",
    "home",
    "seed",
    "invoice",
    "minutes",
    "of",
    "a",
    "meeting",
    "please",
    "find",
    "attached",
    "ring",
    "number",
    "wind",
    "good",
    "evening",
    "über",
    "größer",
    "año",
    "naïve",
    "鳩",
    "почта",
    "read",
    "again",
    "flight",
    "map",
];

fn prose(rng: &mut Rng, size: usize) -> String {
    let mut out = String::new();
    while out.len() < size {
        let words = 3 + rng.below(9);
        let line: Vec<&str> = (0..words).map(|_| *rng.pick(&WORDS)).collect();
        out += if rng.chance(12) { "> " } else { "" };
        out += &line.join(" ");
        out += if rng.chance(8) { "\n\n" } else { "\n" };
    }
    out
}

fn base64_lines(bytes: &[u8]) -> String {
    let text = BASE64.encode(bytes);
    text.as_bytes()
        .chunks(76)
        .map(|line| format!("{}\n", String::from_utf8_lossy(line)))
        .collect()
}

fn quoted_printable(text: &str) -> String {
    let encode = |b: u8| match b {
        b'=' | 0x80.. => format!("={b:02X}"),
        b => char::from(b).to_string(),
    };
    text.lines()
        .map(|line| line.bytes().map(encode).collect::<String>() + "\n")
        .collect()
}

fn text_part(rng: &mut Rng, subtype: &str, size: usize) -> String {
    let mut text = prose(rng, size);
    if subtype == "html" {
        text = format!(
            "<html><body>\n<p>{}</p>\n</body></html>\n",
            text.replace('\n', "<br>\n")
        );
    }
    let (encoding, body) = match rng.below(3) {
        0 => ("quoted-printable", quoted_printable(&text)),
        1 => ("base64", base64_lines(text.as_bytes())),
        _ => ("8bit", text),
    };
    format!("Content-Type: text/{subtype}; charset=utf-8\nContent-Transfer-Encoding: {encoding}\n\n{body}")
}

fn attachment(rng: &mut Rng, size: usize) -> String {
    let name = rng.pick(&[
        "map.png",
        "invoice 17.pdf",
        "minutes.odt",
        "=?utf-8?Q?Gr=C3=BC=C3=9Fe.txt?=",
    ]);
    let bytes = rng.bytes(size * 57 / 78 + 1);
    format!(
        "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\
         Content-Disposition: attachment; filename=\"{name}\"\n\n{}",
        base64_lines(&bytes)
    )
}

fn multipart(rng: &mut Rng, subtype: &str, parts: &[String]) -> String {
    let boundary = format!("=_{:016x}", rng.next());
    let inner: String = parts.iter().map(|part| format!("--{boundary}\n{part}\n")).collect();
    format!("Content-Type: multipart/{subtype};\n boundary=\"{boundary}\"\n\n{inner}--{boundary}--\n")
}

fn header(rng: &mut Rng, number: u64, date: Date) -> String {
    let (sender, to) = (*rng.pick(&PEOPLE), *rng.pick(&PEOPLE));
    let mut out = format!("Return-Path: <{}>\n", sender.1);
    for hop in 0..=rng.below(4) {
        let id = rng.next();
        out += &format!(
            "Received: from mx{hop}.example.com (mx{hop}.example.com [192.0.2.{}])\n\tby in{hop}.example.org with ESMTPS \
             id {id:x}\n\tfor <{}>; {}\n",
            1 + rng.below(254),
            to.1,
            date.rfc5322()
        );
    }
    if rng.chance(60) {
        let signature = base64_lines(&rng.bytes(256)).trim_end().replace('\n', "\n\t ");
        out += &format!(
            "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s1;\n\th=from:to:subject;\n\tb={signature}\n"
        );
    }
    let words: Vec<&str> = (0..2 + rng.below(7)).map(|_| WORDS[rng.below(30)]).collect();
    let re = rng.pick(&["", "", "Re: ", "Fwd: ", "[loft] "]);
    out += &format!(
        "From: {} <{}>\nTo: {} <{}>\nSubject: {re}{}\n",
        sender.0,
        sender.1,
        to.0,
        to.1,
        words.join(" ")
    );
    out += &format!("Date: {}\n", date.rfc5322());
    if !rng.chance(2) {
        out += &format!("Message-ID: <{:016x}.{number}@example.org>\n", rng.next());
    }
    if rng.chance(40) {
        let references: Vec<String> = (0..=rng.below(6))
            .map(|_| format!("<{:016x}@example.org>", rng.next()))
            .collect();
        out += &format!(
            "In-Reply-To: {}\nReferences: {}\n",
            references[0],
            references.join("\n ")
        );
    }
    out + "MIME-Version: 1.0\n"
}

fn flags(rng: &mut Rng) -> Vec<String> {
    let choices = [
        ("\\Seen", 70),
        ("\\Answered", 15),
        ("\\Flagged", 6),
        ("\\Draft", 1),
        ("$Forwarded", 5),
        ("NonJunk", 10),
        ("todo", 3),
    ];
    let chosen = choices.iter().filter(|(_, percent)| rng.chance(*percent));
    chosen.map(|(name, _)| (*name).to_owned()).collect()
}

/// The message of that seed and number. Sizes are about log-normal: median 4 KB, now and then a megabyte.
pub fn realistic(seed: u64, number: u64) -> Mail {
    let mut rng = Rng::new(seed.wrapping_mul(0x0100_0000_01b3) ^ number);
    let size = (4000.0 * (1.3 * rng.normal()).exp()).clamp(400.0, 2e6) as usize;
    let zone = *rng.pick(&[0, 60, 120, -300, -480, 330, 540]);
    let seconds = 1_577_836_800 + rng.below(196_000_000) as i64;
    let date = Date { seconds, zone };
    let sent = Date {
        seconds: seconds - rng.below(120) as i64,
        zone,
    };
    let head = header(&mut rng, number, sent);
    let left = size.saturating_sub(head.len()).max(100);
    let body = match rng.below(10) {
        0..4 if left < 60_000 => text_part(&mut rng, "plain", left),
        4..7 if left < 60_000 => {
            let parts = [
                text_part(&mut rng, "plain", left / 3),
                text_part(&mut rng, "html", left / 2),
            ];
            multipart(&mut rng, "alternative", &parts)
        }
        _ => {
            let parts = [
                text_part(&mut rng, "plain", left.min(8000) / 4),
                attachment(&mut rng, left * 3 / 4),
            ];
            multipart(&mut rng, "mixed", &parts)
        }
    };
    Mail {
        name: format!("realistic {seed}/{number}"),
        bytes: crlf(format!("{head}{body}").as_bytes()),
        flags: flags(&mut rng),
        date,
    }
}
