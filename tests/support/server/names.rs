//! Mailbox names on the wire: modified UTF-7 (RFC 3501 §5.1.3), quoting, and LIST patterns.

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

const BASE64: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

/// A name as the wire spells it: modified UTF-7, or UTF-8 once a client has enabled UTF8=ACCEPT.
pub fn encode(name: &str, utf8: bool) -> String {
    if utf8 {
        return name.to_owned();
    }
    let mut out = String::new();
    let mut wide: Vec<u16> = Vec::new();
    let flush = |wide: &mut Vec<u16>, out: &mut String| {
        if !wide.is_empty() {
            let bytes: Vec<u8> = wide.drain(..).flat_map(u16::to_be_bytes).collect();
            out.push('&');
            out.push_str(&BASE64.encode(bytes));
            out.push('-');
        }
    };
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            flush(&mut wide, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            wide.extend_from_slice(c.encode_utf16(&mut [0; 2]));
        }
    }
    flush(&mut wide, &mut out);
    out
}

/// The name of those bytes; an error for anything that [`encode`] would not write.
pub fn decode(wire: &[u8], utf8: bool) -> Result<String, String> {
    let text = std::str::from_utf8(wire).map_err(|_| "mailbox name is not UTF-8".to_owned())?;
    if utf8 {
        return Ok(text.to_owned());
    }
    let name = decode_shifts(text).ok_or_else(|| format!("mailbox name is not modified UTF-7: {text:?}"))?;
    if encode(&name, false) == text {
        Ok(name)
    } else {
        Err(format!("mailbox name is not canonical modified UTF-7: {text:?}"))
    }
}

fn decode_shifts(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        let end = start + rest[start..].find('-')?;
        let shifted = &rest[start + 1..end];
        if shifted.is_empty() {
            out.push('&');
        } else {
            let bytes = BASE64.decode(shifted).ok()?;
            let units: Vec<u16> = bytes
                .chunks(2)
                .map(|c| u16::from_be_bytes([c[0], *c.get(1).unwrap_or(&0)]))
                .collect();
            out.push_str(&String::from_utf16(&units).ok()?);
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Some(out)
}

/// The name as an `astring`: an atom where it can be one, else quoted.
pub fn astring(wire: &str) -> String {
    let atom = |b: u8| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b);
    if !wire.is_empty() && !wire.eq_ignore_ascii_case("NIL") && wire.bytes().all(atom) {
        wire.to_owned()
    } else {
        quoted(wire)
    }
}

/// A quoted string.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Whether a LIST pattern matches: `*` is anything, `%` anything within one level (RFC 3501 §6.3.8).
pub fn matches(pattern: &str, name: &str, separator: Option<char>) -> bool {
    let mut chars = pattern.chars();
    let Some(first) = chars.next() else {
        return name.is_empty();
    };
    let rest = chars.as_str();
    if !matches!(first, '*' | '%') {
        return name.strip_prefix(first).is_some_and(|n| matches(rest, n, separator));
    }
    let stops = |c: char| first == '%' && Some(c) == separator;
    let mut tail = name;
    loop {
        if matches(rest, tail, separator) {
            return true;
        }
        match tail.chars().next() {
            Some(c) if !stops(c) => tail = &tail[c.len_utf8()..],
            _ => return false,
        }
    }
}
