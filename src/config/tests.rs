use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::account::{DailyBytes, Fsync, Layout, Maildir, Mechanism, Origin, Tls};
use crate::model::{MailboxPath, Side, TrashChoice};
use crate::plan::{Policy, Rule};

const FILE: &str = "/etc/homing/config.toml";

fn parse(text: &str) -> Result<Config> {
    let environment = Environment::of([("HOME", "/home/me"), ("HOST", "imap.example.org")]);
    Config::parse(text, Path::new(FILE), &environment)
}

/// An account with the four lines that everybody writes, and `more`.
fn with(more: &str) -> String {
    format!(
        "[accounts.personal]\nhost = \"imap.example.org\"\nuser = \"me\"\npassword-env = \"PW\"\nmaildir = \"~/Mail\"\n{more}\n"
    )
}

fn account(more: &str) -> Account {
    parse(&with(more)).unwrap().accounts.remove("personal").unwrap()
}

#[test]
fn four_lines_are_enough() {
    let account = account("");
    let server = &account.server;
    assert_eq!(
        (server.host.as_str(), server.port, server.tls),
        ("imap.example.org", 993, Tls::Implicit)
    );
    assert_eq!((server.user.as_str(), &server.login_as), ("me", &None));
    assert_eq!(server.credentials.origin(), &Origin::Variable("PW".into()));
    assert_eq!((server.connections, server.timeout), (4, Duration::from_secs(60)));
    assert_eq!(
        (&server.ca_file, server.tls_fingerprint, &server.client_cert),
        (&None, None, &None)
    );
    assert!(server.auth.is_empty());
    assert_eq!(
        account.maildir,
        Some(Maildir {
            root: "/home/me/Mail".into(),
            layout: Layout::Auto,
            info_separator: ':',
            fsync: Fsync::Batch,
            attic: "/home/me/.local/share/homing/personal/attic".into(),
            attic_days: 30,
        })
    );
    assert_eq!(
        (account.policy, account.max_delete, account.empty_guard),
        (Policy::SYNC, 25, 10)
    );
}

#[test]
fn every_key_is_read() {
    let account = account(
        r#"
        port = 1143
        tls = "starttls"
        ca-file = "ca.pem"
        tls-fingerprint = "00:ff:00:ff:00:ff:00:ff:00:ff:00:ff:00:ff:00:ff:00:ff:00:ff:00:ff:00:ff:00:ff:00:ff:00:ff:00:ff"
        client-cert = "~/client.pem"
        auth = ["oauthbearer", "xoauth2"]
        login-as = "admin"
        connections = 2
        timeout = "2m"
        compress = true
        max-rate = "64KiB"
        max-bytes = { down = "2.5GB" }
        layout = "maildir++"
        info-separator = ";"
        fsync = "off"
        mailboxes = { include = ["INBOX", "Work/*"], exclude = ['\Junk'] }
        map = { "Work/*" = "Job/*" }
        policy = { left = { removals = "keep", flags = "undo", moves = "undo" }, right = { new = "keep", mailboxes = "keep" } }
        expunge-marked = true
        trash = "Old/Bin"
        max-delete = "5%"
        empty-guard = 0
        attic = "/var/attic"
        attic-days = 365
        "#,
    );
    let server = &account.server;
    assert_eq!((server.port, server.tls), (1143, Tls::StartTls));
    assert_eq!(server.ca_file.as_deref(), Some(Path::new("/etc/homing/ca.pem")));
    assert_eq!(server.tls_fingerprint.unwrap()[..2], [0, 255]);
    assert_eq!(server.client_cert.as_deref(), Some(Path::new("/home/me/client.pem")));
    assert_eq!(server.auth, [Mechanism::OauthBearer, Mechanism::Xoauth2]);
    assert_eq!(server.login_as.as_deref(), Some("admin"));
    assert_eq!((server.connections, server.timeout), (2, Duration::from_secs(120)));
    assert!(server.compress);
    assert_eq!(server.max_rate, Some(65_536));
    let down = Some(2_500_000_000);
    assert_eq!(server.max_bytes, DailyBytes { down, up: None });
    let maildir = account.maildir().unwrap();
    assert_eq!((maildir.layout, maildir.info_separator), (Layout::MaildirPlusPlus, ';'));
    assert_eq!((maildir.fsync, maildir.attic_days), (Fsync::Off, 365));
    assert_eq!(maildir.attic, PathBuf::from("/var/attic"));
    let work = MailboxPath::parse("Work/x").unwrap();
    assert!(account.scope.includes(&work, &[]));
    assert!(!account.scope.includes(&MailboxPath::parse("Sent").unwrap(), &[]));
    assert_eq!(account.map.to_left(&work).to_string(), "Job/x");
    let (left, right) = (account.policy.of(Side::Left), account.policy.of(Side::Right));
    assert_eq!(
        (left.new, left.flags, left.moves, left.removals),
        (Rule::Spread, Rule::Undo, Rule::Undo, Rule::Keep)
    );
    assert_eq!(
        (right.new, right.removals, right.mailboxes),
        (Rule::Keep, Rule::Spread, Rule::Keep)
    );
    assert_eq!((account.max_delete, account.empty_guard), (5, 0));
    let bin = MailboxPath::parse("Old/Bin").unwrap();
    assert_eq!(
        (account.expunge_marked, &account.trash),
        (true, &TrashChoice::Named(bin))
    );
}

#[test]
fn variables_and_numbers() {
    let text = r#"
        [accounts.a]
        host = "$HOST"
        user = "a$$b"
        password-command = ["cat", "~/secret", "${HOST}"]
        timeout = 90
        tls = "none"
        allow-cleartext = true
    "#;
    let account = parse(text).unwrap().accounts.remove("a").unwrap();
    assert_eq!(account.server.host, "imap.example.org");
    assert_eq!(account.server.user, "a$b");
    let words = ["cat", "/home/me/secret", "imap.example.org"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(account.server.credentials.origin(), &Origin::Program(words));
    assert_eq!(
        (account.server.port, account.server.timeout),
        (143, Duration::from_secs(90))
    );
    assert_eq!(account.maildir().unwrap_err().kind, Kind::Config);
}

#[test]
fn gmail_keeps_archived_mail_in_all_only() {
    for (host, all) in [("imap.gmail.com", true), ("imap.example.org", false)] {
        let text = with("").replace("imap.example.org", host);
        let account = parse(&text).unwrap().accounts.remove("personal").unwrap();
        let path = MailboxPath::parse("[Gmail]/All Mail").unwrap();
        assert_eq!(account.scope.includes(&path, &[crate::model::Role::All]), all, "{host}");
    }
}

#[test]
fn a_provider_fills_in_what_is_not_written() {
    let of = |lines: &str| {
        let text = format!("[accounts.a]\nuser = \"u\"\npassword-env = \"P\"\n{lines}\n");
        parse(&text).unwrap().accounts.remove("a").unwrap()
    };
    let gmail = of("provider = \"gmail\"");
    let server = &gmail.server;
    assert_eq!(
        (server.host.as_str(), server.port, server.tls),
        ("imap.gmail.com", 993, Tls::Implicit)
    );
    assert_eq!(server.max_bytes.up, Some(450_000_000));
    let all = MailboxPath::parse("[Gmail]/All Mail").unwrap();
    assert!(gmail.scope.includes(&all, &[crate::model::Role::All]));
    assert_eq!(of("provider = \"office365\"").server.auth, [Mechanism::Xoauth2]);
    let own = of(
        "provider = \"gmail\"\nhost = \"relay\"\nport = 7\nconnections = 9\nmax-bytes = \"1GB\"\nauth = [\"plain\"]",
    );
    let server = &own.server;
    assert_eq!((server.host.as_str(), server.port, server.connections), ("relay", 7, 9));
    let one = Some(1_000_000_000);
    assert_eq!(server.max_bytes, DailyBytes { down: one, up: one });
    assert_eq!(server.auth, [Mechanism::Plain]);
    assert!(own.scope.includes(&all, &[crate::model::Role::All]));
}

/// Each refusal: what was written after the first five lines, the place and beginning of what is said, and the hint.
const REFUSALS: &[(&str, &str, Option<&str>)] = &[
    (
        "hots = 1",
        "6:1: unknown key \"hots\" in [accounts.personal]",
        Some("did you mean \"host\"?"),
    ),
    (
        "  archiv = \"~/a\"",
        "6:3: unknown key \"archiv\" in [accounts.personal]",
        Some("did you mean \"archive\"?"),
    ),
    (
        "password = \"x\"",
        "6:1: unknown key \"password\" in [accounts.personal]",
        None,
    ),
    (
        "port = \"993\"",
        "6:8: \"port\" must be a whole number, not a string",
        None,
    ),
    ("port = 70000", "6:8: \"port\" must be from 1 to 65535", None),
    ("port = 0xFFFFF", "6:8: \"port\" must be from 1 to 65535", None),
    (
        "max-rate = 500",
        "6:12: \"max-rate\" must be a string in quotes, not a whole number",
        None,
    ),
    (
        "max-rate = \"9KB\"",
        "6:12: \"max-rate\" must be at least \"10KB\", a second",
        None,
    ),
    (
        "max-bytes = \"2 lots\"",
        "6:13: \"max-bytes\": \"2 lots\" is no size",
        None,
    ),
    (
        "max-bytes = { uo = \"1GB\" }",
        "6:15: unknown key \"uo\" in \"max-bytes\"",
        None,
    ),
    (
        "provider = \"gmal\"",
        "6:12: \"provider\" must be one of \"fastmail\", \"gmail\", ",
        Some("did you mean \"gmail\"?"),
    ),
    ("connections = -1", "6:15: \"connections\" must be from 1 to 32", None),
    (
        "tls = \"startls\"",
        "6:7: \"tls\" must be one of \"implicit\", \"starttls\", \"none\", not \"startls\"",
        Some("did you mean \"starttls\"?"),
    ),
    (
        "tls = \"none\"",
        "6:7: tls = \"none\" would send the password to imap.example.org",
        None,
    ),
    (
        "timeout = \"soon\"",
        "6:11: \"timeout\": \"soon\" is no length of time",
        None,
    ),
    (
        "tls-fingerprint = \"00\"",
        "6:19: \"tls-fingerprint\": a fingerprint is SHA-256",
        None,
    ),
    (
        "expunge-marked = \"yes\"",
        "6:18: \"expunge-marked\" must be true or false, not a string",
        None,
    ),
    (
        "trash = true",
        "6:9: \"trash\" must be a string in quotes, not true or false",
        None,
    ),
    (
        "trash = \"inbox\"",
        "6:9: \"trash\": the INBOX cannot be the trash: write another mailbox's name",
        None,
    ),
    (
        "trash = '\\Trash'",
        "6:9: \"trash\": \"\\Trash\" is no mailbox: write \"auto\"",
        None,
    ),
    (
        "password-file = \"x\"",
        "4:1: \"password-file\" and \"password-env\" exclude each other",
        None,
    ),
    (
        "ca-file = \"$NONE/x\"",
        "6:11: \"ca-file\": the environment variable NONE is not set",
        None,
    ),
    (
        "attic = \"~/Mail/attic\"",
        "6:9: the attic /home/me/Mail/attic lies within the Maildir",
        None,
    ),
    ("attic-days = 0", "6:14: \"attic-days\" must be from 1 to 36500", None),
    (
        "max-delete = 25",
        "6:14: \"max-delete\" must be a string in quotes, not a whole number",
        None,
    ),
    ("auth = []", "6:8: \"auth\" allows nothing", None),
    (
        "auth = [\"plain\", \"xoauth2\"]",
        "6:8: \"auth\" mixes mechanisms",
        None,
    ),
    (
        "auth = [\"plian\"]",
        "6:9: \"auth\" must be one of",
        Some("did you mean \"plain\"?"),
    ),
    (
        "policy = \"mirror\"",
        "6:10: \"policy\" must be one of \"sync\", \"pull\", \"push\"",
        None,
    ),
    (
        "policy = { left = { new = \"undo\" } }",
        "6:27: \"new\" must be one of \"spread\", \"keep\"",
        None,
    ),
    (
        "policy = { lift = {} }",
        "6:12: unknown key \"lift\" in \"policy\"",
        Some("did you mean \"left\"?"),
    ),
    (
        "mailboxes = { exclude = ['\\Jnk'] }",
        "6:26: \"exclude\": there is no role \\Jnk; did you mean \\Junk?",
        None,
    ),
    ("mailboxes = { include = [] }", "6:13: \"include\" is empty", None),
    (
        "map = { a = \"x\", b = \"x\" }",
        "6:22: \"map\": two names are mapped to \"x\"",
        None,
    ),
    (
        "info-separator = \",\"",
        "6:18: \"info-separator\": \",\" cannot separate",
        None,
    ),
    ("host = \"x\"", "6:1: duplicate key", None),
    ("é = 1\n", "6:1: ", None),
    (
        "[accounts.\"a/b\"]",
        "6:11: the account name \"a/b\" holds a character",
        None,
    ),
    (
        "[account.x]",
        "6:2: unknown key \"account\" at the top level",
        Some("did you mean \"accounts\"?"),
    ),
    (
        "[accounts.z]\nhost = \"h\"\nuser = \"u\"\npassword-env = \"P\"\nmaildir = \"~/Mail/z\"",
        "10:11: \"maildir\" of \"personal\" and \"maildir\" of \"z\" lie within one another",
        None,
    ),
    (
        "[accounts.z]\nhost = \"h\"\nuser = \"u\"",
        "6:11: where the password comes from is missing in [accounts.z]",
        None,
    ),
    (
        "[accounts.z]\nuser = \"u\"",
        "6:11: \"host\" is missing in [accounts.z]",
        None,
    ),
    (
        "[accounts.z]\nhost = \"h\"\nuser = \"\\u001b\"\npassword-env = \"P\"",
        "8:8: \"user\" holds a control character",
        None,
    ),
    (
        "[accounts.z]\nhost = \"h\"\nuser = \"u\"\npassword-env = \"P\"\nlayout = \"auto\"",
        "10:1: \"layout\" says nothing without \"maildir\"",
        None,
    ),
];

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for &(more, what, hint) in REFUSALS {
        let failure = parse(&with(more)).unwrap_err();
        assert_eq!(failure.kind, Kind::Config, "{more}");
        let expected = format!("{FILE}:{what}");
        assert!(
            failure.what.starts_with(&expected),
            "{more}\n  said {}\n  not  {expected}",
            failure.what
        );
        assert!(!failure.what.contains('\n'), "{more}");
        if let Some(hint) = hint {
            assert_eq!(failure.hint.as_deref(), Some(hint), "{more}");
        }
    }
}

#[test]
fn a_file_without_accounts_is_refused() {
    for text in ["", "[accounts]", "# nothing"] {
        let failure = parse(text).unwrap_err();
        assert!(failure.what.contains("no account is configured"), "{failure}");
    }
    let failure = Config::load(Path::new("/no/such/config.toml"), &Environment::of([])).unwrap_err();
    assert_eq!(failure.kind, Kind::Config);
    let hint = failure.hint.unwrap();
    assert!(
        hint.contains("/no/such/config.toml") && hint.contains("[accounts.personal]"),
        "{hint}"
    );
    Config::parse(FIRST_CONFIG, Path::new(FILE), &Environment::of([("HOME", "/home/me")])).unwrap();
}

#[test]
fn accounts_are_selected() {
    let more = "[accounts.other]\nhost = \"h\"\nuser = \"u\"\npassword-env = \"P\"";
    let config = parse(&with(more)).unwrap();
    let names = |names: &[&str]| -> Result<Vec<String>> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let selected = config.select(&names, |account| account.maildir.is_some())?;
        Ok(selected.iter().map(|account| account.name.clone()).collect())
    };
    assert_eq!(names(&[]).unwrap(), ["personal"]);
    assert_eq!(names(&["other", "personal", "other"]).unwrap(), ["other", "personal"]);
    let failure = names(&["persnal"]).unwrap_err();
    assert_eq!(failure.kind, Kind::Usage);
    assert_eq!(failure.hint.as_deref(), Some("did you mean \"personal\"?"));
    assert_eq!(
        names(&["x"]).unwrap_err().hint.as_deref(),
        Some("configured are: other, personal")
    );
}
