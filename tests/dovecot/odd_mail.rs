//! Mail that breaks rules goes through byte for byte, or is named with the reason and holds up nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, say};
use crate::support::raw::Mail;
use crate::support::witness::{canonical, digest};
use crate::support::world::{Chance, local};

/// When the first of them arrived; each next one a second later.
const DATE: i64 = 1_583_226_672;

/// A message as most are: four fields, those in `more`, a blank line, the body. LF line ends.
fn usual(name: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "From: Odd Case <odd@example.org>\nTo: you@example.org\nSubject: odd {name}\n\
         Date: Tue, 3 Mar 2020 10:11:12 +0100\nMessage-ID: <odd-{name}@example.org>\n{more}\n"
    );
    [head.as_bytes(), body].concat()
}

/// Where the header is odd: there is none, it is cut off, or holds what it may not.
fn odd_heads() -> Vec<(&'static str, Vec<u8>)> {
    let bare = |text: &str| text.as_bytes().to_vec();
    vec![
        ("empty", bare("")),
        ("one-newline", bare("\n")),
        ("blank-lines", bare("\n\n\n")),
        ("spaces", bare("   \n")),
        ("no-header", bare("\njust a body\n")),
        ("no-field", bare("this is no field\nnor is this\n\nbody\n")),
        ("no-blank-line", bare("From: odd@example.org\nSubject: no blank line\n")),
        ("cut-off", bare("From: odd@example.org\nSubject: cut off")),
        (
            "header-only",
            bare("Subject: header only\nMessage-ID: <only@example.org>\n\n"),
        ),
        ("twin-a", bare("Subject: twins\n\nsame text, no id\n")),
        ("twin-b", bare("Subject: twins\n\nsame text, no id\n")),
        (
            "same-id-a",
            bare("Subject: a\nMessage-ID: <same@example.org>\n\nfirst text\n"),
        ),
        (
            "same-id-b",
            bare("Subject: a\nMessage-ID: <same@example.org>\n\nother text\n"),
        ),
        (
            "continuation-first",
            bare(" begins in the middle\nSubject: odd\n\nbody\n"),
        ),
        ("empty-name", usual("empty-name", ": no name\n", b"x\n")),
        ("no-colon", usual("no-colon", "this line has no colon\n", b"x\n")),
        (
            "space-before-colon",
            usual("space-before-colon", "X-Space : value\n", b"x\n"),
        ),
        ("blank-folds", usual("blank-folds", "X-Fold: a\n \n\t\n b\n", b"x\n")),
        (
            "second-id",
            usual("second-id", "Message-ID: <second@example.org>\n", b"x\n"),
        ),
        ("empty-id", bare("Subject: empty id\nMessage-ID:\n\nx\n")),
        (
            "folded-id",
            bare("Subject: folded id\nMessage-ID:\n <folded@example.org>\n\nx\n"),
        ),
        (
            "long-id",
            format!("Message-ID: <{}@example.org>\n\nx\n", "x".repeat(2000)).into_bytes(),
        ),
        ("8bit-id", b"Message-ID: <\xe9\xff@example.org>\n\nx\n".to_vec()),
        ("latin1-header", b"Subject: Gr\xfc\xdfe\n\nx\n".to_vec()),
        ("utf8-header", bare("Subject: Grüße 📬 日本\n\nx\n")),
        ("nul-in-header", usual("nul-in-header", "X-Nul: a\0b\n", b"x\n")),
        (
            "field-of-100k",
            usual("field-of-100k", &format!("X-Long: {}\n", "z".repeat(100_000)), b"x\n"),
        ),
        ("3000-fields", usual("3000-fields", &many_fields(), b"x\n")),
        (
            "mbox-from",
            bare("From odd@example.org Tue Mar  3 10:11:12 2020\nSubject: mbox\n\nx\n"),
        ),
        ("bom", bare("\u{feff}Subject: bom\n\nx\n")),
        (
            "date-of-9999",
            bare("Subject: far\nDate: Fri, 31 Dec 9999 23:59:59 +0000\n\nx\n"),
        ),
        (
            "tool-fields",
            usual(
                "tool-fields",
                "X-TUID: AbCdEfGhIjKl\nX-UID: 5\nStatus: RO\nX-Keywords: a\n",
                b"x\n",
            ),
        ),
    ]
}

fn many_fields() -> String {
    (0..3000).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "X-Field-{n}: value");
        text
    })
}

/// Where the body is odd: line ends, bytes, lengths, and what looks like the protocol.
fn odd_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let mut chance = Chance::new(85);
    let noise: Vec<u8> = (0..5000).map(|_| chance.below(255) as u8 + 1).collect();
    let controls: Vec<u8> = (1..32)
        .filter(|b| ![b'\n', b'\r'].contains(b))
        .chain([0x7f, b'\n'])
        .collect();
    let crlf = |name: &str, body: &[u8]| canonical(&usual(name, "", body));
    let mut all = vec![
        (
            "no-final-newline",
            usual("no-final-newline", "", b"the last line has no newline"),
        ),
        ("crlf-file", crlf("crlf-file", b"one\ntwo\n")),
        (
            "mixed-ends",
            [crlf("mixed-ends", b"one\n"), b"lf\ncrlf\r\nlf\n".to_vec()].concat(),
        ),
        (
            "only-cr",
            usual("only-cr", "", b"x\n")
                .iter()
                .map(|&b| if b == b'\n' { b'\r' } else { b })
                .collect(),
        ),
        (
            "line-of-1-mib",
            usual("line-of-1-mib", "", &[b"y".repeat(1 << 20).as_slice(), b"\n"].concat()),
        ),
        ("nul-in-body", usual("nul-in-body", "", b"before\0after\n")),
        ("many-nuls", usual("many-nuls", "", &[0; 4096])),
        ("noise", usual("noise", "Content-Transfer-Encoding: binary\n", &noise)),
        ("controls", usual("controls", "", &controls)),
        ("64k-in-one-line", usual("64k-in-one-line", "", &b"0".repeat(65_536))),
    ];
    let plain: [(&str, &[u8]); 9] = [
        ("bare-cr", b"a\rb\rc\n"),
        ("cr-cr-lf", b"line\r\r\nline\r\r\n"),
        ("ends-in-cr", b"the end\r"),
        ("one-dot", b".\n..\n.hidden\n\n.\n"),
        (
            "from-lines",
            b"From here on\n>From quoted\n\nFrom x@y Tue Mar  3 10:11:12 2020\n",
        ),
        (
            "like-imap",
            b"* 1 FETCH (UID 7)\n)\na1 OK done\n+ go on\n{10}\n{10+}\n* BYE\n",
        ),
        ("ends-in-literal", b"x {3}"),
        ("not-utf8", b"\xc3\x28 \xff\xfe \xed\xa0\x80\n"),
        ("trailing-blanks", b"blanks   \n\t\n  \n\n\n"),
    ];
    all.extend(plain.map(|(name, body)| (name, usual(name, "", body))));
    all
}

fn cases() -> Vec<(&'static str, Vec<u8>)> {
    [odd_heads(), odd_bodies()].concat()
}

/// Every combination of the six letters, one after the other.
fn letters(nth: usize) -> String {
    "DFPRST"
        .chars()
        .enumerate()
        .filter(|(bit, _)| nth >> bit & 1 == 1)
        .map(|(_, letter)| letter)
        .collect()
}

#[test]
fn odd_mail_comes_down_byte_for_byte() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "odd-down");
    let cases = cases();
    let mails: Vec<Mail> = cases
        .iter()
        .zip(DATE..)
        .map(|((_, bytes), date)| Mail {
            bytes: canonical(bytes),
            flags: if date % 2 == 0 { "\\Seen" } else { "todo" }.into(),
            date,
        })
        .collect();
    let taken = scene.raw().append("INBOX", &mails);
    let refused: Vec<_> = cases
        .iter()
        .zip(&taken)
        .filter(|(_, t)| t.is_err())
        .map(|((name, _), _)| *name)
        .collect();
    assert_eq!(refused, ["empty"], "by the server");
    let (_, account) = scene.sync_to_equal(&[], "odd mail");
    assert_eq!(account.len(), cases.len() - 1);
    scene.nothing_left("odd mail");
    say(&format!(
        "odd mail down: {} messages, {} refused by the server",
        account.len(),
        refused.len()
    ));
}

fn has_bare_cr(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'))
}

/// What is not sent, and stays on disk.
const REFUSED: [&str; 4] = ["empty", "nul-in-header", "nul-in-body", "many-nuls"];
/// What Dovecot changes without a word.
const CHANGED: [&str; 3] = ["only-cr", "cr-cr-lf", "ends-in-cr"];

#[test]
fn odd_mail_goes_up_byte_for_byte_or_is_named() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "odd-up");
    scene.world.sync_ok();
    let cases = cases();
    let mut names = BTreeMap::new();
    for (nth, (name, bytes)) in cases.iter().enumerate() {
        let date = DATE + nth as i64;
        let file = local::deliver(&scene.dir("INBOX"), bytes, date, Some(&letters(nth)));
        let unique = file.file_name().unwrap().to_string_lossy().into_owned();
        names.insert(unique, (*name, digest(bytes)));
    }
    let run = scene.world.sync(&[]);
    let there = scene.server.look().contents();
    let missing: Vec<_> = names
        .iter()
        .filter(|(_, (_, content))| !there.contains_key(content))
        .collect();
    let mut unnamed = Vec::new();
    for (file, (name, _)) in &missing {
        let unique = file.split(":2,").next().unwrap();
        let about_it = |problem: &&serde_json::Value| problem["id"].as_str().is_some_and(|id| id.contains(unique));
        match run
            .problems()
            .iter()
            .find(about_it)
            .and_then(|problem| problem["what"].as_str())
        {
            Some(what) if !what.is_empty() => say(&format!("odd mail up: {name} stays here: {what}")),
            _ => unnamed.push(*name),
        }
    }
    assert_eq!(
        unnamed,
        Vec::<&str>::new(),
        "other than it was on the server, and not named: {run:#?}"
    );
    assert_eq!(run.exit, i32::from(!missing.is_empty()), "{run:#?}");
    // A bare CR is named whether this server keeps it or not: the sender cannot know.
    let doubtful = cases
        .iter()
        .filter(|(name, bytes)| REFUSED.contains(name) || has_bare_cr(bytes))
        .count();
    assert_eq!(run.problems().len(), doubtful, "{run:#?}");
    assert!(
        missing
            .iter()
            .all(|(_, (name, _))| REFUSED.contains(name) || CHANGED.contains(name)),
        "{missing:?}"
    );

    // The rest is on both sides alike, flags and dates too; nothing is sent again.
    for (file, _) in &missing {
        let path = scene.dir("INBOX").join("cur").join(file);
        fs::remove_file(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    scene.sync_to_equal(&[], "without what cannot go");
    scene.nothing_left("without what cannot go");
}
