//! Line ends: CRLF on the wire, LF on disk.
//!
//! The canonical form of a message is what a server holds: lines end in CRLF. On disk they end in LF, which is what other
//! programs expect in a Maildir; but only where turning LF back to CRLF gives the very same bytes. A message with a bare
//! CR or a bare LF is stored verbatim.

use memchr::memchr2;

/// Turns what is on disk into canonical form: each lone LF becomes CRLF. Takes pieces cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct ToCanonical {
    after_cr: bool,
}

impl ToCanonical {
    /// Appends the canonical form of the next piece to `out`.
    pub(crate) fn turn(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for line in piece.split_inclusive(|&b| b == b'\n') {
            match line {
                [text @ .., b'\n'] => {
                    let crlf = text.last().map_or(self.after_cr, |&b| b == b'\r');
                    out.extend_from_slice(text);
                    out.extend_from_slice(if crlf { b"\n" } else { b"\r\n" });
                    self.after_cr = false;
                }
                text => {
                    out.extend_from_slice(text);
                    self.after_cr = text.ends_with(b"\r");
                }
            }
        }
    }
}

/// Turns canonical form into what goes on disk, as long as that can be turned back. Takes pieces cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct ToDisk {
    /// A CR was at the end of the last piece; it is written once we know what follows.
    after_cr: bool,
}

/// What was found was a CR or an LF on its own: the form with LF cannot be turned back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bare;

impl ToDisk {
    /// Appends the disk form of the next piece to `out`. After `Err`, `out` has unfinished business in it: what the caller
    /// had before the call is still good, and the piece has to be written verbatim, behind [`Self::held_back`].
    pub(crate) fn turn(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Bare> {
        out.reserve(piece.len() + 1);
        let mut rest = piece;
        if self.after_cr && !rest.is_empty() {
            rest = rest.strip_prefix(b"\n").ok_or(Bare)?;
            out.push(b'\n');
        }
        let mut after_cr = self.after_cr && piece.is_empty();
        while let Some(end) = memchr2(b'\r', b'\n', rest) {
            out.extend_from_slice(&rest[..end]);
            rest = match &rest[end..] {
                [b'\r', b'\n', rest @ ..] => {
                    out.push(b'\n');
                    rest
                }
                [b'\r'] => {
                    after_cr = true;
                    &[]
                }
                _ => return Err(Bare),
            };
        }
        out.extend_from_slice(rest);
        self.after_cr = after_cr;
        Ok(())
    }

    /// What the pieces so far ended with and was not written yet: a CR, or nothing.
    pub(crate) fn held_back(&self) -> &'static [u8] {
        if self.after_cr { b"\r" } else { b"" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `bytes` in pieces of `size`.
    fn canonical(bytes: &[u8], size: usize) -> Vec<u8> {
        let (mut turn, mut out) = (ToCanonical::default(), Vec::new());
        bytes.chunks(size).for_each(|piece| turn.turn(piece, &mut out));
        out
    }

    fn disk(bytes: &[u8], size: usize) -> Result<Vec<u8>, Bare> {
        let (mut turn, mut out) = (ToDisk::default(), Vec::new());
        for piece in bytes.chunks(size) {
            turn.turn(piece, &mut out)?;
        }
        if turn.held_back().is_empty() {
            Ok(out)
        } else {
            Err(Bare)
        }
    }

    #[test]
    fn line_ends() {
        // (on disk, canonical)
        for (input, output) in [
            ("a\nb\n", "a\r\nb\r\n"),
            ("a\r\nb\n", "a\r\nb\r\n"),
            ("a\n\nb", "a\r\n\r\nb"),
            ("\n", "\r\n"),
            ("", ""),
            ("a\rb\n", "a\rb\r\n"),
            ("a\r\r\n", "a\r\r\n"),
        ] {
            for size in [1, 2, 100] {
                assert_eq!(
                    canonical(input.as_bytes(), size),
                    output.as_bytes(),
                    "{input:?} by {size}"
                );
            }
        }
        // (canonical, on disk; None: verbatim)
        for (input, output) in [
            ("a\r\nb\r\n", Some("a\nb\n")),
            ("a", Some("a")),
            ("", Some("")),
            ("\r\n\r\n", Some("\n\n")),
            ("a\nb", None),
            ("a\rb", None),
            ("a\r", None),
            ("a\r\r\n", None),
            ("\n", None),
        ] {
            for size in [1, 2, 100] {
                let expected = output.map(|text| text.as_bytes().to_vec()).ok_or(Bare);
                assert_eq!(disk(input.as_bytes(), size), expected, "{input:?} by {size}");
            }
        }
    }

    fn mail() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![4 => Just(b"\r\n".to_vec()), 1 => Just(b"\n".to_vec()), 1 => Just(b"\r".to_vec()),
                                4 => proptest::collection::vec(any::<u8>(), 0..9)];
        proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_can_be_turned_comes_back(mail in mail(), there in 1usize..40, back in 1usize..40) {
            if let Ok(on_disk) = disk(&mail, there) {
                prop_assert_eq!(canonical(&on_disk, back), mail);
            }
        }

        #[test]
        fn only_what_could_not_come_back_is_refused(mail in mail()) {
            let on_disk: Vec<u8> = mail.iter().copied().enumerate()
                .filter(|&(at, b)| !(b == b'\r' && mail.get(at + 1) == Some(&b'\n'))).map(|(_, b)| b).collect();
            prop_assert_eq!(disk(&mail, 7).is_ok(), canonical(&on_disk, 7) == mail && !on_disk.contains(&b'\r'));
        }
    }
}
