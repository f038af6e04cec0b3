//! Modified UTF-7 (RFC 3501 §5.1.3): how names of mailboxes are spelled on servers, and on disk by many programs.

use base64::Engine;
use base64::alphabet::Alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 with `,` for `/` and without padding.
fn base64() -> GeneralPurpose {
    let alphabet = Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,");
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&alphabet.expect("64 different characters"), config)
}

/// Printable ASCII stands for itself, `&-` for an ampersand; all else is UTF-16 in base64.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::new();
    let mut hidden: Vec<u8> = Vec::new();
    for c in text.chars() {
        if matches!(c, ' '..='~') {
            close(&mut hidden, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            hidden.extend(c.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    close(&mut hidden, &mut out);
    out
}

fn close(hidden: &mut Vec<u8>, out: &mut String) {
    if !hidden.is_empty() {
        out.push('&');
        base64().encode_string(&*hidden, out);
        out.push('-');
        hidden.clear();
    }
}

/// The reverse; `None` for what is no modified UTF-7.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once('&') {
        out.push_str(plain);
        let (hidden, after) = after.split_once('-')?;
        rest = after;
        if hidden.is_empty() {
            out.push('&');
            continue;
        }
        let bytes = base64().decode(hidden).ok()?;
        let (pairs, odd) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|&pair| u16::from_be_bytes(pair)).collect();
        out.push_str(&String::from_utf16(&units).ok().filter(|_| odd.is_empty())?);
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_on_the_wire() {
        for (wire, text) in [
            ("Entw&APw-rfe", "Entwürfe"),
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("&2D3eAA-", "😀"),
            ("Q&-A", "Q&A"),
            ("&AAc-", "\u{7}"),
        ] {
            assert_eq!(decode(wire).as_deref(), Some(text));
            assert_eq!(encode(text), wire);
        }
        for bad in ["Q&A", "&2D0-", "&A-", "&APw", "&AP!w-"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in ".{0,40}") {
            let wire = encode(&text);
            prop_assert!(wire.bytes().all(|b| matches!(b, b' '..=b'~')));
            prop_assert_eq!(decode(&wire), Some(text));
        }

        #[test]
        fn anything_can_be_read(text in "[&a-zA-Z0-9+,ü-]{0,20}") {
            decode(&text);
        }
    }
}
