//! Modified UTF-7 (RFC 3501 §5.1.3), written once more and apart from homing's.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// The name on the wire.
pub(crate) fn encode(name: &str) -> String {
    let mut out = String::new();
    let mut wide: Vec<u16> = Vec::new();
    for c in name.chars() {
        if (' '..='~').contains(&c) {
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

fn flush(wide: &mut Vec<u16>, out: &mut String) {
    if wide.is_empty() {
        return;
    }
    let (mut bits, mut count) = (0u32, 0);
    out.push('&');
    for unit in wide.drain(..) {
        bits = bits << 16 | u32::from(unit);
        count += 16;
        while count >= 6 {
            count -= 6;
            out.push(DIGITS[(bits >> count & 63) as usize] as char);
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        out.push(DIGITS[(bits << (6 - count) & 63) as usize] as char);
    }
    out.push('-');
}

/// What the name on the wire stands for.
pub(crate) fn decode(name: &str) -> String {
    let mut out = String::new();
    let mut rest = name;
    while let Some((plain, more)) = rest.split_once('&') {
        out.push_str(plain);
        let (code, more) = more.split_once('-').expect("a shift ends");
        rest = more;
        if code.is_empty() {
            out.push('&');
            continue;
        }
        let (mut units, mut bits, mut count) = (Vec::new(), 0u32, 0);
        for digit in code.bytes() {
            let value = DIGITS.iter().position(|&d| d == digit).expect("a digit of base 64");
            bits = bits << 6 | value as u32;
            count += 6;
            if count >= 16 {
                count -= 16;
                units.push((bits >> count) as u16);
                bits &= (1 << count) - 1;
            }
        }
        out += &String::from_utf16(&units).expect("UTF-16");
    }
    out + rest
}

#[test]
fn modified_utf7() {
    for (name, wire) in [
        ("Entwürfe", "Entw&APw-rfe"),
        ("日本語", "&ZeVnLIqe-"),
        ("a&b", "a&-b"),
        ("📬 ☺", "&2D3c7A- &Jjo-"),
        ("~peter/mail/台北", "~peter/mail/&U,BTFw-"),
    ] {
        assert_eq!(encode(name), wire);
        assert_eq!(decode(wire), name);
    }
}
