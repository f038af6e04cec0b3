//! Odd mail: what real mailboxes hold and nobody expects.

use super::super::server::Date;
use super::realistic::Rng;
use super::{Mail, crlf};

/// A message with the usual fields but those that `drop` names, more fields, and that body; LF is still LF.
fn with(name: &str, drop: &[&str], more: &[u8], body: &[u8]) -> Vec<u8> {
    let usual = [
        ("From", "Odd Case <odd@example.org>".to_owned()),
        ("To", "you@example.org".to_owned()),
        ("Subject", format!("odd: {name}")),
        ("Date", "Tue, 3 Mar 2020 10:11:12 +0100".to_owned()),
        ("Message-ID", format!("<odd.{}@example.org>", name.replace(' ', "-"))),
    ];
    let kept = usual.iter().filter(|(field, _)| !drop.contains(field));
    let mut out: Vec<u8> = kept
        .flat_map(|(field, value)| format!("{field}: {value}\n").into_bytes())
        .collect();
    out.extend_from_slice(more);
    out.push(b'\n');
    out.extend_from_slice(body);
    out
}

/// About 90 odd messages, each with its name, in a fixed order. Flags go through all 32 sets of system flags; dates are
/// odd too, but within what IMAP servers keep.
pub fn odd() -> Vec<Mail> {
    let all = [
        structure(),
        identity(),
        line_ends(),
        long(),
        bytes(),
        dates(),
        fields(),
        mime(),
        looks_like_protocol(),
    ];
    let mails = all.into_iter().flatten().enumerate();
    mails.map(|(at, (name, bytes))| dressed(at, name, bytes)).collect()
}

fn dressed(at: usize, name: String, bytes: Vec<u8>) -> Mail {
    let names = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$Forwarded"];
    let mut flags: Vec<String> = (0..names.len())
        .filter(|bit| at >> bit & 1 == 1)
        .map(|bit| names[bit].to_owned())
        .collect();
    if at.is_multiple_of(7) {
        flags.push("MixedCase-Keyword".to_owned());
    }
    // From the second day of 1970 on, in odd steps, in odd zones.
    let zone = [0, 60, -210, 345, 765, -660][at % 6];
    Mail {
        name,
        bytes,
        flags,
        date: Date {
            seconds: 86_400 + at as i64 * 20_000_003,
            zone,
        },
    }
}

type Case = (String, Vec<u8>);

/// A whole message; each LF becomes CRLF.
fn whole(name: &str, bytes: impl AsRef<[u8]>) -> Case {
    (name.to_owned(), crlf(bytes.as_ref()))
}

/// Just these bytes.
fn verbatim(name: &str, bytes: impl Into<Vec<u8>>) -> Case {
    (name.to_owned(), bytes.into())
}

fn body(name: &str, body: impl AsRef<[u8]>) -> Case {
    whole(name, with(name, &[], b"", body.as_ref()))
}

fn field(name: &str, drop: &[&str], more: impl AsRef<[u8]>) -> Case {
    whole(name, with(name, drop, more.as_ref(), b"hello\n"))
}

fn structure() -> Vec<Case> {
    vec![
        whole("one newline", "\n"),
        whole("only blank lines", "\n\n\n"),
        whole("only blanks", "   \n"),
        whole("no header", "\njust a body\n"),
        whole(
            "text that is no header",
            "this is no header line\nnor is this\n\nbody\n",
        ),
        whole(
            "header without blank line",
            "From: odd@example.org\nSubject: no blank line\n",
        ),
        whole("header cut off", "From: odd@example.org\nSubject: cut o"),
        whole("header only", "From: odd@example.org\nSubject: header only\n\n"),
        whole("continuation first", " continues nothing\nSubject: odd\n\nbody\n"),
        body("no final newline", "the last line has no newline"),
        body("empty body", ""),
        body("trailing blanks", "blanks   \n\t\n  \n\n\n"),
        verbatim("one byte", *b"x"),
    ]
}

fn identity() -> Vec<Case> {
    let id = |name: &str, id: &str, text: &str| {
        let more = format!("Message-ID: {id}\n");
        whole(name, with("same", &["Message-ID"], more.as_bytes(), text.as_bytes()))
    };
    let twin = |name: &str| whole(name, with("twins", &["Message-ID"], b"", b"same text\n"));
    vec![
        field("no message-id", &["Message-ID"], ""),
        twin("twin without message-id, one"),
        twin("twin without message-id, two"),
        id("same message-id, first text", "<same@example.org>", "first\n"),
        id("same message-id, other text", "<same@example.org>", "other\n"),
        id("exact copy, one", "<copy@example.org>", "copy\n"),
        id("exact copy, two", "<copy@example.org>", "copy\n"),
        id("exact copy, three", "<copy@example.org>", "copy\n"),
        field("message-id empty", &["Message-ID"], "Message-ID:\n"),
        field(
            "message-id without brackets",
            &["Message-ID"],
            "Message-ID: plain.id@example.org\n",
        ),
        field(
            "message-id folded",
            &["Message-ID"],
            "Message-ID:\n <folded@example.org>\n",
        ),
        field("message-id twice", &[], "Message-ID: <second@example.org>\n"),
        field(
            "message-id quoted",
            &["Message-ID"],
            "Message-ID: <a \"b\\\" c@example.org>\n",
        ),
        field(
            "message-id 8-bit",
            &["Message-ID"],
            b"Message-ID: <\xe9\xff@example.org>\n",
        ),
        field(
            "message-id long",
            &["Message-ID"],
            format!("Message-ID: <{}@example.org>\n", "x".repeat(2000)),
        ),
        field(
            "message-id lower case",
            &["Message-ID"],
            "message-id: <lower@example.org>\n",
        ),
    ]
}

fn line_ends() -> Vec<Case> {
    let lf = |name: &str, body: &[u8]| verbatim(name, with(name, &[], b"", body));
    vec![
        lf("only LF", b"line\nline\n"),
        verbatim(
            "only CR",
            [with("only CR", &[], b"", b"x\n")]
                .concat()
                .iter()
                .map(|&b| if b == b'\n' { b'\r' } else { b })
                .collect::<Vec<u8>>(),
        ),
        verbatim(
            "CRLF header, LF body",
            [crlf(&with("CRLF header, LF body", &[], b"", b"")), b"lf\nlf\n".to_vec()].concat(),
        ),
        body("bare CR", "a\rb\rc\n"),
        body("CR CR LF", "line\r\nline\r\n"),
        verbatim(
            "ends in CR",
            [crlf(&with("ends in CR", &[], b"", b"the end")), b"\r".to_vec()].concat(),
        ),
        verbatim(
            "mixed",
            [crlf(&with("mixed", &[], b"", b"crlf\n")), b"lf\ncrlf\r\nlf\n".to_vec()].concat(),
        ),
        verbatim(
            "bare LF in a field",
            *b"From: odd@example.org\r\nX-Odd: a\n b\r\nSubject: bare LF\r\n\r\nhello\r\n",
        ),
    ]
}

fn long() -> Vec<Case> {
    let many: String = (0..2000).map(|i| format!("X-Field-{i}: value {i}\n")).collect();
    let references: String = (0..400).map(|i| format!("\n <r{i}@example.org>")).collect();
    vec![
        body("line of 998", "x".repeat(998) + "\n"),
        body("line of 1000", "x".repeat(1000) + "\n"),
        body("line of a mebibyte", "y".repeat(1 << 20) + "\n"),
        field("field of 100 kB", &[], format!("X-Long: {}\n", "z".repeat(100_000))),
        field("2000 fields", &[], many),
        field("400 references", &[], format!("References:{references}\n")),
        body("64 KiB exactly", "0123456789abcdef".repeat(4096)),
    ]
}

fn bytes() -> Vec<Case> {
    let mut rng = Rng::new(7);
    let noise: Vec<u8> = (0..5000)
        .map(|_| rng.next() as u8)
        .filter(|b| !b"\r\n".contains(b))
        .collect();
    vec![
        body("NUL in the body", "before\0after\n"),
        field("NUL in the header", &[], "X-Nul: a\0b\n"),
        body("many NULs", "\0".repeat(4096) + "\n"),
        body("noise", noise),
        body(
            "control characters",
            (1..32).filter(|b| !b"\r\n".contains(b)).collect::<Vec<u8>>(),
        ),
        body("invalid UTF-8", b"\xc3\x28 \xff\xfe \xed\xa0\x80\n"),
        field("latin-1 subject", &["Subject"], b"Subject: Gr\xfc\xdfe\n"),
        field("utf-8 subject", &["Subject"], "Subject: Grüße 🕊 鳩\n"),
        whole(
            "byte order mark",
            [&b"\xef\xbb\xbf"[..], &with("byte order mark", &[], b"", b"hello\n")].concat(),
        ),
        body(
            "utf-16",
            "hi ünï".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
        ),
    ]
}

fn dates() -> Vec<Case> {
    let dates = [
        ("bad", "yesterday at noon"),
        ("empty", ""),
        ("1900", "Mon, 1 Jan 1900 00:00:00 +0000"),
        ("1969", "Wed, 31 Dec 1969 23:59:59 +0000"),
        ("two digits", "03 Mar 99 10:11 GMT"),
        ("2040", "Sun, 1 Jan 2040 00:00:00 +0000"),
        ("zone", "Tue, 3 Mar 2020 10:11:12 +9999"),
        ("impossible", "Mon, 31 Feb 2020 25:61:61 +0000"),
        ("iso", "2020-03-03T10:11:12Z"),
        ("8-bit", "Di, 3 Mär 2020 10:11:12 +0100"),
    ];
    let wrong = dates
        .iter()
        .map(|(name, date)| field(&format!("date {name}"), &["Date"], format!("Date: {date}\n")));
    let others = [
        field("no date", &["Date"], ""),
        field("date twice", &[], "Date: Wed, 4 Mar 2020 10:11:12 +0100\n"),
    ];
    wrong.chain(others).collect()
}

fn fields() -> Vec<Case> {
    let left_by_tools =
        "X-TUID: AbCdEfGhIjKl\nX-OfflineIMAP: 123\nX-UID: 5\nX-Keywords: a, b\nStatus: RO\nX-Status: A\n";
    vec![
        field("no from", &["From"], ""),
        field("no subject", &["Subject"], ""),
        field("no colon", &[], "this line has no colon\n"),
        field("blank before the colon", &[], "X-Space : value\n"),
        field("no field name", &[], ": no name\n"),
        field("folds of blanks", &[], "X-Fold: a\n \n\t\n b\n"),
        field(
            "broken encoded words",
            &["Subject"],
            "Subject: =?utf-8?B?4pyT=?= =?nope?Q?x?= =?utf-8?Q?=zz?=\n",
        ),
        field("unbalanced from", &["From"], "From: \"unbalanced <a@b, c (d\n"),
        field("left by sync tools", &[], left_by_tools),
        field("wrong content-length", &[], "Content-Length: 99999\nLines: 3\n"),
    ]
}

fn mime() -> Vec<Case> {
    let typed = |name: &str, kind: &str, text: &str| {
        whole(
            name,
            with(name, &[], format!("Content-Type: {kind}\n").as_bytes(), text.as_bytes()),
        )
    };
    let nested = (0..50).fold("Content-Type: text/plain\n\ncore\n".to_owned(), |inner, at| {
        format!("Content-Type: multipart/mixed; boundary=b{at}\n\n--b{at}\n{inner}--b{at}--\n")
    });
    vec![
        typed("no boundary", "multipart/mixed", "--x\n\nhi\n--x--\n"),
        typed("empty boundary", "multipart/mixed; boundary=\"\"", "--\n\nhi\n----\n"),
        typed("unterminated", "multipart/mixed; boundary=x", "--x\n\nhi\n"),
        typed("no parts", "multipart/mixed; boundary=x", "--x--\n"),
        typed("garbage type", ";;;=; charset=", "hello\n"),
        typed(
            "message in message",
            "message/rfc822",
            "Content-Type: message/rfc822\n\nSubject: in\n\nx\n",
        ),
        whole(
            "nested 50 deep",
            format!("Subject: deep\nMessage-ID: <deep@example.org>\n{nested}"),
        ),
    ]
}

fn looks_like_protocol() -> Vec<Case> {
    let postmark = b"From odd@example.org Tue Mar  3 10:11:12 2020\n";
    vec![
        body("dots", ".\n..\n.hidden\n\n.\n"),
        body(
            "mbox lines",
            "From here on\n>From quoted\n\nFrom x@y Tue Mar  3 10:11:12 2020\n",
        ),
        whole(
            "mbox line first",
            [&postmark[..], &with("mbox line first", &[], b"", b"hello\n")].concat(),
        ),
        body(
            "imap replies",
            "* 1 FETCH (UID 7)\n)\na1 OK done\n+ go on\n{10}\n{10+}\n* BYE\n",
        ),
        body("imap commands", "a1 CREATE owned\na2 DELETE INBOX\n"),
    ]
}
