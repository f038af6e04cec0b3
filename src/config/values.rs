//! Values with a grammar of their own.

use std::time::Duration;

use jiff::civil::Date;
use jiff::{ToSpan as _, ZonedDateTime};

use crate::model::{InternalDate, MailboxPath, TrashChoice};
use crate::plan::{Policy, Rule, SidePolicy};

/// `"60s"`, `"2m"`, `"1h"`, from a second to an hour.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is no length of time: write seconds, or such as \"90s\" or \"2m\"");
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    match number.checked_mul(unit) {
        Some(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err("a timeout must be from a second to an hour".into()),
    }
}

/// `"25%"`, from 0 to 100.
pub(super) fn percent(text: &str) -> Result<u8, String> {
    text.strip_suffix('%')
        .and_then(|number| number.parse().ok())
        .filter(|percent| *percent <= 100)
        .ok_or_else(|| format!("\"{text}\" is no share: write such as \"25%\", from 0% to 100%"))
}

/// `"500KB"`, `"2.5GB"`, `"64MiB"`: bytes, with a decimal or binary unit or none.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 10] = [
        ("", 1),
        ("b", 1),
        ("kb", 1000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("tb", 1_000_000_000_000),
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("tib", 1 << 40),
    ];
    let wrong = || format!("\"{text}\" is no size: write such as \"500KB\" or \"2GB\"");
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = text[number.len()..].trim_start().to_lowercase();
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| {
        let fits = !part.is_empty() && part.len() <= 15 && part.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| part.parse::<u64>().ok()).flatten().ok_or_else(wrong)
    };
    let (whole, tail) = (digits(whole)?, digits(fraction)?);
    let tail = u128::from(tail) * u128::from(*factor) / 10_u128.pow(fraction.len() as u32);
    let bytes = u128::from(whole) * u128::from(*factor) + tail;
    u64::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes <= 1 << 60)
        .ok_or_else(wrong)
}

/// `"2024-01-01"`, a day, or `"90d"`, so many days before today: that day's beginning.
pub(super) fn since(text: &str, now: &ZonedDateTime) -> Result<InternalDate, String> {
    let wrong =
        || format!("\"{text}\" is no time: write a day, such as \"2024-01-31\", or so many days, such as \"90d\"");
    let day = match text.strip_suffix('d') {
        Some(days) => {
            let days: u16 = days.parse().map_err(|_| wrong())?;
            now.date().checked_sub(i32::from(days).days()).map_err(|_| wrong())?
        }
        None => text.parse::<Date>().map_err(|_| wrong())?,
    };
    let begin = day.to_zoned_datetime(now.time_zone().clone()).map_err(|_| wrong())?;
    Ok(InternalDate(begin.timestamp().as_second()))
}

/// A SHA-256 fingerprint: 64 hexadecimal digits, with or without colons between the bytes, in any case.
pub(super) fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let wrong =
        || "a fingerprint is SHA-256: 64 hexadecimal digits, with or without colons between the bytes".to_owned();
    let digits: Vec<u8> = if text.contains(':') {
        let bytes: Vec<&str> = text.split(':').collect();
        if bytes.iter().any(|byte| byte.len() != 2) {
            return Err(wrong());
        }
        bytes.concat().into_bytes()
    } else {
        text.as_bytes().to_vec()
    };
    let mut out = [0; 32];
    if digits.len() != 64 {
        return Err(wrong());
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks(2)) {
        let digit = |c: u8| char::from(c).to_digit(16).ok_or_else(wrong);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Ok(out)
}

/// A host's name or address; square brackets around an IPv6 address are taken off.
pub(super) fn host(text: &str) -> Result<String, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare.parse::<std::net::IpAddr>().is_ok();
    if !address && bare.contains(|c: char| c.is_whitespace() || "/:@[]".contains(c)) {
        return Err(format!(
            "\"{text}\" is no host: write its bare name, the port goes into \"port\""
        ));
    }
    Ok(bare.to_owned())
}

/// Whether a host is this machine and nothing else.
pub(super) fn is_loopback(host: &str) -> bool {
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Whether a host is Gmail's, which shows a message once for each label and archived mail under `\\All` alone.
pub(super) fn is_gmail(host: &str) -> bool {
    ["imap.gmail.com", "imap.googlemail.com"]
        .iter()
        .any(|gmail| host.eq_ignore_ascii_case(gmail))
}

/// What separates the flags from the rest of a file's name: one character that is in no name otherwise.
pub(super) fn info_separator(text: &str) -> Result<char, String> {
    const FIT: &str = ":;!+^~#@";
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if FIT.contains(c) => Ok(c),
        _ => Err(format!("\"{text}\" cannot separate flags: use one of {FIT}")),
    }
}

/// An account's name is also the name of its directory and a word on the command line.
pub(super) fn account_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_alphanumeric() || "._@+-".contains(c);
    let why = if name.is_empty() || name.len() > 100 {
        "is empty or too long"
    } else if !name.chars().all(fits) {
        "holds a character other than letters, digits and . _ @ + -"
    } else if name.starts_with(['.', '-']) {
        "begins with a dot or a dash"
    } else if name.contains("--") {
        "holds two dashes in a row"
    } else {
        return Ok(());
    };
    Err(format!("the account name \"{}\" {why}", crate::error::clean(name)))
}

/// `"none"`, `"auto"`, or a mailbox's name as the server has it, `/` between its levels.
pub(super) fn trash(name: &str) -> Result<TrashChoice, String> {
    const WORDS: [(&str, TrashChoice); 3] = [
        ("none", TrashChoice::None),
        ("auto", TrashChoice::Auto),
        ("\\Trash", TrashChoice::Auto),
    ];
    let path = match WORDS.into_iter().find(|(word, _)| word.eq_ignore_ascii_case(name)) {
        Some((word, choice)) if word == name && !word.starts_with('\\') => return Ok(choice),
        Some((_, TrashChoice::None)) => return Err(format!("\"{name}\" is no mailbox: write \"none\"")),
        Some(_) => {
            return Err(format!(
                "\"{name}\" is no mailbox: write \"auto\" for the one of that role"
            ));
        }
        None => MailboxPath::parse(name),
    };
    match path {
        Some(path) if path.is_inbox() => Err("the INBOX cannot be the trash: write another mailbox's name".into()),
        Some(path) => Ok(TrashChoice::Named(path)),
        None => Err(format!(
            "\"{name}\" is no mailbox's name: write such as \"Trash\" or \"auto\""
        )),
    }
}

/// The policies that have a name.
pub(super) const POLICIES: [(&str, Policy); 3] =
    [("sync", Policy::SYNC), ("pull", Policy::PULL), ("push", Policy::PUSH)];

/// What can become of a kind of change.
const RULES: [(&str, Rule); 3] = [("spread", Rule::Spread), ("keep", Rule::Keep), ("undo", Rule::Undo)];

type Field = fn(&mut SidePolicy) -> &mut Rule;
type Words = &'static [(&'static str, Rule)];

/// Each kind of change, where its rule is kept and what it can be.
pub(super) const CHANGES: [(&str, Field, Words); 5] = [
    ("new", |side| &mut side.new, RULES.split_at(2).0),
    ("flags", |side| &mut side.flags, &RULES),
    ("moves", |side| &mut side.moves, &RULES),
    ("removals", |side| &mut side.removals, &RULES),
    ("mailboxes", |side| &mut side.mailboxes, RULES.split_at(2).0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("1s", 1), ("90s", 90), ("2m", 120), ("1h", 3600)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "s",
            "60",
            "0s",
            "2h",
            "-1s",
            "1.5m",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1", 1),
            ("12B", 12),
            ("500KB", 500_000),
            ("500 kB", 500_000),
            ("2.5GB", 2_500_000_000),
            ("0.05MB", 50_000),
            ("64MiB", 64 << 20),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "GB",
            "1XB",
            "-1KB",
            ".5MB",
            "1.",
            "1.2.3MB",
            "1e9",
            "99999999999999999999",
            "999999999TB",
            "1 0MB",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn days() {
        let now: ZonedDateTime = "2026-03-31T10:00:00+02:00[Europe/Berlin]".parse().unwrap();
        for (text, begins) in [
            ("2024-01-01", "2024-01-01T00:00:00+01:00"),
            ("2024-07-01", "2024-07-01T00:00:00+02:00"),
            ("0d", "2026-03-31T00:00:00+02:00"),
            ("3d", "2026-03-28T00:00:00+01:00"),
            ("90d", "2025-12-31T00:00:00+01:00"),
        ] {
            let begins: jiff::Timestamp = begins.parse().unwrap();
            assert_eq!(since(text, &now), Ok(InternalDate(begins.as_second())), "{text}");
        }
        for text in [
            "",
            "d",
            "90",
            "-1d",
            "2024-13-01",
            "2024-02-30",
            "yesterday",
            "99999999d",
            "4294967296d",
        ] {
            assert!(since(text, &now).is_err(), "{text}");
        }
    }

    #[test]
    fn shares() {
        assert_eq!(
            (percent("0%"), percent("25%"), percent("100%")),
            (Ok(0), Ok(25), Ok(100))
        );
        for text in ["25", "101%", "-1%", "2.5%", "%", "a%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn fingerprints() {
        let plain = "00ff".repeat(16);
        let colons = ["00:FF"; 16].join(":");
        assert_eq!(fingerprint(&plain).unwrap()[..4], [0, 255, 0, 255]);
        assert_eq!(fingerprint(&plain), fingerprint(&colons));
        for text in [
            "",
            "00ff",
            &plain[1..],
            &plain.replace('f', "g"),
            &colons.replacen(':', "", 1),
            "ä",
        ] {
            assert!(fingerprint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts() {
        for (text, bare) in [
            ("imap.example.org", "imap.example.org"),
            ("[::1]", "::1"),
            ("::1", "::1"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(bare));
        }
        for text in ["imap.example.org:993", "imaps://host", "a b", "me@host"] {
            assert!(host(text).is_err(), "{text}");
        }
        for (host, result) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("LocalHost", true),
            ("localhost.example.org", false),
        ] {
            assert_eq!(is_loopback(host), result, "{host}");
        }
    }

    #[test]
    fn account_names() {
        for name in ["personal", "me@example.org", "Büro_2", "a.b+c-d"] {
            assert_eq!(account_name(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a/b", "-a", "a--b", "a b", "a\nb", "~"] {
            assert!(account_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn trashes() {
        let named = |name| Ok(TrashChoice::Named(MailboxPath::parse(name).unwrap()));
        for (text, choice) in [
            ("none", Ok(TrashChoice::None)),
            ("auto", Ok(TrashChoice::Auto)),
            ("Trash", named("Trash")),
            ("[Gmail]/Bin", named("[Gmail]/Bin")),
            ("inbox/Trash", named("INBOX/Trash")),
        ] {
            assert_eq!(trash(text), choice, "{text}");
        }
        for (text, hint) in [
            ("None", "write \"none\""),
            ("AUTO", "write \"auto\""),
            ("\\Trash", "write \"auto\""),
            ("inbox", "write another mailbox's name"),
            ("a//b", "such as \"Trash\""),
            ("/", "such as \"Trash\""),
        ] {
            assert!(trash(text).is_err_and(|why| why.contains(hint)), "{text}");
        }
    }

    #[test]
    fn separators() {
        assert_eq!((info_separator(":"), info_separator(";")), (Ok(':'), Ok(';')));
        for text in ["", "::", "/", ",", "a", ".", " ", "2"] {
            assert!(info_separator(text).is_err(), "{text}");
        }
    }
}
