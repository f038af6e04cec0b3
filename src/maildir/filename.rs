//! Names of message files: `<seconds>.<unique>.<host>,S=<size>`, then `:2,<letters>` once a message is in `cur/`.
//!
//! A name is bytes: other programs put there what they like. The part before the info is the message's identity within
//! its mailbox and is never changed by a change of flags.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::{Id, System};
use crate::store::IntentId;

/// The letters of the info that stand for system flags.
pub(super) const SYSTEM_LETTERS: [(u8, System); 5] = [
    (b'D', System::DRAFT),
    (b'F', System::FLAGGED),
    (b'R', System::ANSWERED),
    (b'S', System::SEEN),
    (b'T', System::DELETED),
];
/// The letter that stands for `$Forwarded` ("passed").
pub(super) const PASSED: u8 = b'P';

/// A file name taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileName<'a> {
    /// What comes before the info.
    pub(super) unique: &'a [u8],
    /// The letters behind `:2,`, in whatever order; empty without an info or with another kind of one.
    pub(super) letters: &'a [u8],
    /// What follows the letters, from a comma on; kept on renames.
    pub(super) rest: &'a [u8],
}

impl<'a> FileName<'a> {
    /// Takes a name apart. The info begins at the first separator that `1,` or `2,` follows; in a name without one, other
    /// separators are part of the unique part.
    pub(super) fn parse(name: &'a [u8], separator: u8) -> Self {
        let is_info = |w: &[u8]| w[0] == separator && matches!(w[1], b'1' | b'2') && w[2] == b',';
        let (unique, info) = match name.windows(3).position(is_info) {
            Some(at) => name.split_at(at),
            None => (name, &[][..]),
        };
        let (letters, rest) = match info {
            [_, b'2', _, flags @ ..] => {
                let comma = flags.iter().position(|&b| b == b',').unwrap_or(flags.len());
                flags.split_at(comma)
            }
            // `:1,` was for experiments and says nothing that we could keep beside flags.
            _ => (&[][..], &[][..]),
        };
        Self { unique, letters, rest }
    }

    /// The system flags among the letters.
    pub(super) fn system(&self) -> System {
        SYSTEM_LETTERS
            .iter()
            .filter(|(letter, _)| self.letters.contains(letter))
            .fold(System::NONE, |all, &(_, flag)| all.union(flag))
    }

    /// The name with other letters, sorted, each once. What follows the letters stays.
    pub(super) fn with_letters(&self, letters: &[u8], separator: u8) -> Vec<u8> {
        let mut letters = letters.to_vec();
        letters.sort_unstable();
        letters.dedup();
        let mut name = self.unique.to_vec();
        name.extend_from_slice(&[separator, b'2', b',']);
        name.extend_from_slice(&letters);
        name.extend_from_slice(self.rest);
        name
    }
}

/// What the name of a file that we delivered says of where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// Of the state that has the intent; intents of another one mean nothing.
    pub(super) state: u32,
    /// The journal row it was delivered under.
    pub(super) intent: IntentId,
    /// The message's id in the source.
    pub(super) source: Id,
}

/// Makes unique parts, none of them twice.
#[derive(Debug)]
pub(super) struct Namer {
    host: Vec<u8>,
}

/// Counts all names made by this process. Together with the process id it tells names apart that were made in one second,
/// or before and after the clock went back.
static COUNTER: AtomicU64 = AtomicU64::new(1);

impl Namer {
    /// For a host of that name; separators in it are written in octal, as the Maildir page has it.
    pub(super) fn new(host: &str) -> Self {
        let mut out = Vec::new();
        for &b in host.as_bytes() {
            match b {
                b'/' | b':' | b',' | b'!' | b';' | 0..=b' ' | 0x7f.. => out.extend(format!("\\{b:03o}").into_bytes()),
                _ => out.push(b),
            }
        }
        out.truncate(64);
        if out.is_empty() {
            out.extend_from_slice(b"localhost");
        }
        Self { host: out }
    }

    /// A unique part without a size, for `tmp/`. `origin` is there for what is delivered under an intent.
    pub(super) fn stem(&self, origin: Option<Origin>) -> Vec<u8> {
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| age.as_secs());
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let mut stem = match origin {
            Some(o) => format!(
                "{seconds}.H{:08x}I{}U{}_{count}P{process}.",
                o.state, o.intent.0, o.source
            ),
            None => format!("{seconds}.H_{count}P{process}."),
        }
        .into_bytes();
        stem.extend_from_slice(&self.host);
        stem
    }
}

/// The unique part for a finished file: the stem with a mark if the file is verbatim, and the file's size in bytes.
///
/// The mark makes the name tell what a lost state would have known. The size is the one on disk, exactly: Dovecot
/// believes it (HAZARDS 19).
pub(super) fn finished(stem: &[u8], verbatim: bool, size: u64) -> Vec<u8> {
    let mut name = stem.to_vec();
    if verbatim && let Some(middle_end) = middle(stem).map(|(_, end)| end) {
        name.insert(middle_end, b'V');
    }
    name.extend(format!(",S={size}").into_bytes());
    name
}

/// Whether the name says that we stored the file verbatim.
pub(super) fn is_verbatim(unique: &[u8]) -> bool {
    made(unique).is_some_and(|made| made.verbatim)
}

/// Whether the name is one that we gave (or somebody who imitates us).
pub(super) fn is_ours(unique: &[u8]) -> bool {
    made(unique).is_some()
}

/// Where a delivered file came from, from its name.
pub(super) fn origin(unique: &[u8]) -> Option<Origin> {
    made(unique)?.origin
}

/// What a name that we gave tells.
struct Made {
    origin: Option<Origin>,
    verbatim: bool,
}

/// What lies between the first and the second dot, and where it ends.
fn middle(unique: &[u8]) -> Option<(&[u8], usize)> {
    let first = unique.iter().position(|&b| b == b'.')?;
    let length = unique[first + 1..].iter().position(|&b| b == b'.')?;
    let end = first + 1 + length;
    Some((&unique[first + 1..end], end))
}

/// Reads `H<state>I<intent>U<source>_<counter>P<pid>` or `H_<counter>P<pid>`, and a `V` for verbatim.
fn made(unique: &[u8]) -> Option<Made> {
    let (middle, _) = middle(unique)?;
    let (from, rest) = std::str::from_utf8(middle).ok()?.strip_prefix('H')?.split_once('_')?;
    let counted = rest.strip_suffix('V').unwrap_or(rest);
    let (count, process) = counted.split_once('P')?;
    let origin = if from.is_empty() {
        None
    } else {
        Some(parse_origin(from)?)
    };
    (digits(count) && digits(process)).then_some(Made {
        origin,
        verbatim: counted != rest,
    })
}

fn parse_origin(from: &str) -> Option<Origin> {
    let (state, intent) = from.split_once('I')?;
    let (intent, source) = intent.split_once('U')?;
    let state = u32::from_str_radix(state, 16).ok()?;
    (digits(intent) && digits(source)).then_some(())?;
    Some(Origin {
        state,
        intent: IntentId(intent.parse().ok()?),
        source: source.parse().ok()?,
    })
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_all_kinds() {
        // (name, unique part, letters, rest)
        for (name, unique, letters, rest) in [
            ("1.x.h,S=5:2,FS", "1.x.h,S=5", "FS", ""),
            ("1.x.h", "1.x.h", "", ""),
            ("1.x.h:2,", "1.x.h", "", ""),
            ("1.x.h:1,S", "1.x.h", "", ""),
            ("1.x.h:2,SF", "1.x.h", "SF", ""),
            ("1.x.h:2,Sa", "1.x.h", "Sa", ""),
            ("1.x.h:2,S,foo", "1.x.h", "S", ",foo"),
            ("1.x.h:2", "1.x.h:2", "", ""),
            ("1.x.h!2,S", "1.x.h!2,S", "", ""),
            ("12:30 mail.eml", "12:30 mail.eml", "", ""),
            ("a:2,S:2,F", "a", "S:2", ",F"),
            ("", "", "", ""),
            (":2,S", "", "S", ""),
            ("new\nline:2,R", "new\nline", "R", ""),
        ] {
            let parsed = FileName::parse(name.as_bytes(), b':');
            let [u, l, r] = [unique, letters, rest].map(str::as_bytes);
            assert_eq!(
                parsed,
                FileName {
                    unique: u,
                    letters: l,
                    rest: r
                },
                "{name:?}"
            );
        }
        assert_eq!(FileName::parse(b"1.x.h!2,S", b'!').system(), System::SEEN);
    }

    #[test]
    fn unknown_letters_and_the_rest_stay() {
        let name = FileName::parse(b"1.x.h:2,Za,foo", b':');
        let mut letters = name.letters.to_vec();
        letters.extend(b"SFS");
        assert_eq!(name.with_letters(&letters, b':'), b"1.x.h:2,FSZa,foo");
    }

    #[test]
    fn our_names_tell_where_they_come_from() {
        let namer = Namer::new("ho/st:1");
        let origin_of = Origin {
            state: 0xbeef,
            intent: IntentId(7),
            source: 42,
        };
        let stem = namer.stem(Some(origin_of));
        assert!(stem.ends_with(b".ho\\057st\\0721"), "{}", stem.escape_ascii());
        for (verbatim, name) in [(false, finished(&stem, false, 5)), (true, finished(&stem, true, 5))] {
            assert!(name.ends_with(b",S=5"));
            assert_eq!(is_verbatim(&name), verbatim);
            assert_eq!(origin(&name), Some(origin_of));
        }
        let copy = finished(&namer.stem(None), true, 9);
        assert_eq!((is_ours(&copy), is_verbatim(&copy), origin(&copy)), (true, true, None));
        for foreign in [
            "1.x.h",
            "1.M5P7V.h",
            "1.I7U42_1P2.h",
            "1.H0IxU1_2P3.h",
            "1.H0I1U2_3P.h",
            "",
            "V",
        ] {
            assert!(!is_ours(foreign.as_bytes()), "{foreign}");
            assert!(!is_verbatim(foreign.as_bytes()), "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn any_name_can_be_taken_apart(name in "[a-zA-Z0-9:,.2=]{0,40}", letters in "[A-Za-z]{0,8}") {
            let parsed = FileName::parse(name.as_bytes(), b':');
            let renamed = parsed.with_letters(letters.as_bytes(), b':');
            let again = FileName::parse(&renamed, b':');
            prop_assert_eq!(again.unique, parsed.unique);
            prop_assert_eq!(again.rest, parsed.rest);
            let mut sorted = letters.into_bytes();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(again.letters, sorted);
        }

        #[test]
        fn no_name_is_given_twice(hosts in proptest::collection::vec(".{0,80}", 1..20)) {
            let mut names: Vec<Vec<u8>> = hosts.iter().map(|host| finished(&Namer::new(host).stem(None), false, 1)).collect();
            for name in &names {
                prop_assert!(name.len() < 200 && !name.contains(&b'/') && !name.contains(&b':') && !name.starts_with(b"."));
                prop_assert!(is_ours(name));
            }
            names.sort();
            names.dedup();
            prop_assert_eq!(names.len(), hosts.len());
        }
    }
}
