//! Every key of the configuration in one table. What the reader knows, what the sample shows and what homing-config(5)
//! explains all come from it.

/// A key of an account.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What kind of value it takes.
    pub value: &'static str,
    /// What holds when it is not written.
    pub default: Default,
    /// A value as one could write it, in TOML.
    pub example: &'static str,
    /// What it is for. Words in backquotes are to be written as they stand.
    pub help: &'static str,
}

/// What holds when a key is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// It has to be written.
    Required,
    /// Exactly one of the keys of that kind has to be written.
    OneOf(&'static str),
    /// This, in words or as a value.
    Is(&'static str),
}

/// Keys that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Its heading.
    pub title: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// The names of the keys that are about the server alone and what is taken from it: what a pair of accounts in a list can
/// have (see [`super::list`]).
pub fn remote() -> Vec<&'static str> {
    const LOCAL: [&str; 2] = ["maildir", "archive"];
    const GUARDS: [&str; 2] = ["max-delete", "empty-guard"];
    let groups = GROUPS[..3].iter().flat_map(|group| group.keys).map(|key| key.name);
    groups.filter(|name| !LOCAL.contains(name)).chain(GUARDS).collect()
}

/// All names.
pub fn names() -> Vec<&'static str> {
    GROUPS.iter().flat_map(|group| group.keys).map(|key| key.name).collect()
}

/// The word among `known` that somebody who wrote `word` probably meant.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this similarity two words have little to do with each other.
    const ALIKE: f64 = 0.8;
    let word = word.to_lowercase().replace('_', "-");
    known
        .map(|known| (strsim::jaro_winkler(&word, &known.to_lowercase()), known))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// The keys of an account, in the order in which a reader meets them.
pub const GROUPS: &[Group] = &[
    Group {
        title: "The account",
        keys: &[
            Key {
                name: "host",
                value: "string",
                default: Default::Is("the provider's; without `provider` it has to be written"),
                example: r#""imap.example.org""#,
                help: "The IMAP server's name or address. `$NAME` and `${NAME}` stand for environment variables here and \
                       in `user`, `login-as`, every path and the array form of `password-command`; `$$` is a dollar sign.",
            },
            Key {
                name: "provider",
                value: r#""fastmail", "gmail", "icloud", "office365" or "yahoo""#,
                default: Default::Is("none"),
                example: r#""fastmail""#,
                help: "Whose server it is. Fills in `host`, `connections`, `auth` and `max-bytes` with what suits that \
                       provider (docs/providers.md has the table); what you write yourself goes before it.",
            },
            Key {
                name: "user",
                value: "string",
                default: Default::Required,
                example: r#""me@example.org""#,
                help: "The user's name on the server, often the whole address.",
            },
            Key {
                name: "password-command",
                value: "string or array of strings",
                default: Default::OneOf("password-*"),
                example: r#""pass show mail""#,
                help: "A command that prints the password: a string for `sh -c`, or an array of a program and its \
                       arguments. The first line of its output counts. It runs once a run; where `auth` asks for a \
                       token, it runs for each connection.",
            },
            Key {
                name: "password-file",
                value: "path",
                default: Default::OneOf("password-*"),
                example: r#""~/.config/homing/password""#,
                help: "A file whose first line is the password. If it is yours, nobody else may have access to it \
                       (`chmod 600`).",
            },
            Key {
                name: "password-env",
                value: "name of an environment variable",
                default: Default::OneOf("password-*"),
                example: r#""MAIL_PASSWORD""#,
                help: "An environment variable that holds the password; for service managers and containers.",
            },
            Key {
                name: "maildir",
                value: "path",
                default: Default::Is("none; `sync` needs it"),
                example: r#""~/Mail/personal""#,
                help: "The root of the local Maildir. `~` is your home directory; a relative path starts from the \
                       directory of the configuration file. A missing root is created by the first sync. No two \
                       accounts can share one, or lie inside one another's.",
            },
            Key {
                name: "archive",
                value: "path",
                default: Default::Is("none; `backup` needs it"),
                example: r#""~/Backup/personal""#,
                help: "Where `backup` keeps the account: a directory with `mail/`, `gone/` and `homing.db`. A missing one \
                       is created by the first backup. It must lie outside of every Maildir and every other archive.",
            },
        ],
    },
    Group {
        title: "The connection",
        keys: &[
            Key {
                name: "port",
                value: "number",
                default: Default::Is("993, or 143 where `tls` is not `\"implicit\"`"),
                example: "1143",
                help: "The server's port.",
            },
            Key {
                name: "tls",
                value: r#""implicit", "starttls" or "none""#,
                default: Default::Is(r#""implicit""#),
                example: r#""starttls""#,
                help: "When encryption begins: with the first byte, after STARTTLS and before the login, or never. \
                       `\"none\"` is refused unless the server is this machine (`localhost`, `127.0.0.1`, `::1`) or \
                       `allow-cleartext` is true.",
            },
            Key {
                name: "allow-cleartext",
                value: "true or false",
                default: Default::Is("false"),
                example: "false",
                help: "Whether the password and all mail may cross the network readable for everybody on the way.",
            },
            Key {
                name: "ca-file",
                value: "path",
                default: Default::Is("the system's certificates alone"),
                example: r#""~/.config/homing/ca.pem""#,
                help: "A PEM file with certificates to trust besides the system's, for a server that signs its own.",
            },
            Key {
                name: "tls-fingerprint",
                value: "64 hexadecimal digits",
                default: Default::Is("none"),
                example: r#""0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef""#,
                help: "The SHA-256 fingerprint of the server's certificate, with or without colons. Where it is set, \
                       this certificate is trusted and no other, whatever its name and whoever signed it. Proton Mail \
                       Bridge needs it. `openssl s_client -connect HOST:PORT </dev/null | openssl x509 -noout \
                       -fingerprint -sha256` shows it (add `-starttls imap` where `tls` is `\"starttls\"`).",
            },
            Key {
                name: "client-cert",
                value: "path",
                default: Default::Is("none"),
                example: r#""~/.config/homing/client.pem""#,
                help: "A PEM file with a certificate and its PKCS#8 private key, for a server that asks its clients for \
                       one. The login still follows.",
            },
            Key {
                name: "auth",
                value: r#"array of "plain", "login", "xoauth2", "oauthbearer""#,
                default: Default::Is("what the server offers for a password"),
                example: r#"["xoauth2"]"#,
                help: "The ways to log in that are allowed, in order; the first that the server offers is used. For \
                       `xoauth2` and `oauthbearer`, `password-command` prints an OAuth 2 access token.",
            },
            Key {
                name: "login-as",
                value: "string",
                default: Default::Is("none"),
                example: r#""admin""#,
                help: "Who logs in, where that is not `user`: the password is that of `login-as`, the mail that of \
                       `user`. An administrator's way into the accounts of others, where the server allows it.",
            },
            Key {
                name: "connections",
                value: "number from 1 to 32",
                default: Default::Is("4"),
                example: "4",
                help: "The most connections at a time; with a `provider`, what suits it. Fewer are used where there is \
                       little to do or the server refuses more.",
            },
            Key {
                name: "timeout",
                value: r#"seconds, or a string such as "90s" or "2m""#,
                default: Default::Is(r#""60s""#),
                example: r#""60s""#,
                help: "How long the server may be silent before the connection counts as lost; from a second to an hour.",
            },
            Key {
                name: "compress",
                value: "true or false",
                default: Default::Is("false"),
                example: "true",
                help: "Compress what crosses the wire, where the server offers it (COMPRESS=DEFLATE). Worth it on slow \
                       links and for little besides: most servers take longer to compress than a fast link to carry.",
            },
            Key {
                name: "max-rate",
                value: "size, a string",
                default: Default::Is("as fast as it goes"),
                example: r#""500KB""#,
                help: "Bytes a second at most, both directions and all connections of a run together; at least \
                       `\"10KB\"`. Sizes are written with `KB`, `MB`, `GB`, `TB` (powers of 1000) or `KiB`, `MiB`, \
                       `GiB`, `TiB` (powers of 1024).",
            },
            Key {
                name: "max-bytes",
                value: "size, a string, or a table of `down` and `up`",
                default: Default::Is("no limit, or what the `provider` allows"),
                example: r#"{ down = "2GB", up = "400MB" }"#,
                help: "Bytes at most within 24 hours, from the server (`down`) and to it (`up`); a string means as much \
                       for each. `sync`, `backup`, `restore` and `migrate` count together. When they are used up, a \
                       run finishes what is under way, says when it goes on, and ends with 75; a run after that goes \
                       on from there.",
            },
        ],
    },
    Group {
        title: "Which mailboxes",
        keys: &[
            Key {
                name: "mailboxes",
                value: "table of `include` and `exclude`, arrays of patterns",
                default: Default::Is(r#"{ include = ["*"], exclude = [] }"#),
                example: r#"{ include = ["*"], exclude = ['\Junk', "Lists/%"] }"#,
                help: "A mailbox is synced when a pattern of `include` matches and none of `exclude` does. Patterns are \
                       compared with the server's name, `/` between its levels: `*` stands for anything, `%` for \
                       anything but `/`, and `\\Junk`, `\\Trash`, `\\Sent`, `\\Drafts`, `\\Archive`, `\\All`, \
                       `\\Flagged`, `\\Important` for the mailbox of that role. INBOX is the same in any case. Mailboxes \
                       that only show again what lies elsewhere (`\\Flagged`, `\\Important`, and `\\All` except on \
                       Gmail) are out unless `include` names them by role or full name. What is out stays where it is, \
                       on both sides: leaving a mailbox out never removes anything. But a message that you move into \
                       such a mailbox in the Maildir leaves the server's mailbox that it was in.",
            },
            Key {
                name: "map",
                value: "table of names",
                default: Default::Is("the names are the same on both sides"),
                example: r#"{ "[Gmail]/Sent Mail" = "Sent", "Old/*" = "Archive/*" }"#,
                help: "What mailboxes are called in the Maildir: the server's name on the left, the Maildir's on the \
                       right. `prefix/*` means all that lies below, not the mailbox itself; `*` alone means everything. \
                       An exact name goes before a prefix and a long prefix before a short one. No two mailboxes can get \
                       one name.",
            },
        ],
    },
    Group {
        title: "Which messages",
        keys: &[
            Key {
                name: "max-size",
                value: "size, a string",
                default: Default::Is("any size"),
                example: r#""50MB""#,
                help: "A new message that is larger stays where it is, on either side; `status` counts what is left out. What \
                       is on both sides already stays the same on both, whatever its size. For `sync` and `backup`.",
            },
            Key {
                name: "since",
                value: "day or number of days, a string",
                default: Default::Is("any age"),
                example: r#""2024-01-01""#,
                help: "The same for messages that arrived before that day, or more than so many days ago (`\"90d\"`). What \
                       was carried over is not removed as it grows older. After a change of either key to less strict, \
                       what was left out comes.",
            },
        ],
    },
    Group {
        title: "The Maildir",
        keys: &[
            Key {
                name: "layout",
                value: r#""auto", "nested" or "maildir++""#,
                default: Default::Is(r#""auto""#),
                example: r#""auto""#,
                help: "How mailboxes become directories: `\"nested\"` (`INBOX/`, `Work/2026/`) or `\"maildir++\"` (the \
                       root is the INBOX, beside it `.Work.2026/`). `\"auto\"` takes a root that holds `cur/` as \
                       maildir++ and any other as nested. A run that finds another layout than the last one read is \
                       held back.",
            },
            Key {
                name: "info-separator",
                value: "one of : ; ! + ^ ~ # @",
                default: Default::Is(r#"":""#),
                example: r#"":""#,
                help: "What separates the flags in a file's name from the rest, for file systems that cannot hold a colon. \
                       The mail program must use the same.",
            },
            Key {
                name: "fsync",
                value: r#""batch" or "off""#,
                default: Default::Is(r#""batch""#),
                example: r#""batch""#,
                help: "`\"batch\"`: mail is safe on the disk before it counts as delivered, many files at a time. \
                       `\"off\"`: the system writes it when it pleases, and a power cut can take mail with it.",
            },
        ],
    },
    Group {
        title: "Policy and safety",
        keys: &[
            Key {
                name: "policy",
                value: r#""sync", "pull", "push" or a table"#,
                default: Default::Is(r#""sync""#),
                example: r#""pull""#,
                help: "What happens to changes: `\"sync\"` carries them over both ways, `\"pull\"` only from the server \
                       to the Maildir, `\"push\"` only from the Maildir to the server; what is not carried over waits. \
                       A table says more, such as `{ left = { removals = \"keep\" } }`: for changes made on the `left` \
                       (the Maildir) and the `right` (the server), for each of `new`, `flags`, `moves`, `removals` and \
                       `mailboxes`, whether to `\"spread\"` them, to `\"keep\"` them back, or (flags, moves and removals only) \
                       to `\"undo\"` them from the other side. `--pull` and `--push` go before it.",
            },
            Key {
                name: "expunge-marked",
                value: "true or false",
                default: Default::Is("false"),
                example: "true",
                help: "Whether a message that is marked as deleted (`\\Deleted`, `T` in a file's name) is removed, once both \
                       sides hold the mark: from the Maildir into the attic, then from the server, or into its `trash`. \
                       With false a mark is carried over like any other flag and nothing is removed. For `sync` both ways.",
            },
            Key {
                name: "trash",
                value: r#""none", "auto" or a mailbox's name"#,
                default: Default::Is(r#""none""#),
                example: r#""auto""#,
                help: "What becomes, on the server, of a message that you remove from the Maildir: `\"none\"` removes it for \
                       good; with a mailbox's name (the server's, `/` between its levels) it is moved there. `\"auto\"` \
                       takes the mailbox that the server marks as its trash; while it marks none, removals wait. A mailbox \
                       of the given name is made where it is missing. What arrives in the trash comes to the Maildir as \
                       well, unless `mailboxes` leaves that mailbox out. Removed for good is what you remove from the trash \
                       itself, and what the server has another copy of. For `sync`.",
            },
            Key {
                name: "max-delete",
                value: "share, a string",
                default: Default::Is(r#""25%""#),
                example: r#""25%""#,
                help: "A run that would remove more than this share of the account's messages from one side, and more \
                       than 20, holds these removals back and ends with 3, until you approve them (`--allow-deletes`) or \
                       bring the messages back (`--pull`, `--push`). `\"100%\"` switches this off.",
            },
            Key {
                name: "empty-guard",
                value: "number",
                default: Default::Is("10"),
                example: "10",
                help: "The same for a mailbox with at least so many messages of which one side has lost all; Trash and \
                       Junk excepted. 0 switches this off.",
            },
            Key {
                name: "attic",
                value: "path",
                default: Default::Is("$XDG_DATA_HOME/homing/ACCOUNT/attic"),
                example: r#""~/.local/share/homing/personal/attic""#,
                help: "Where files that the server's removals take from the Maildir wait, as DATE/MAILBOX/FILE. To undo \
                       a removal, move the file back into a `cur`. Must lie outside the Maildir.",
            },
            Key {
                name: "attic-days",
                value: "number from 1 to 36500",
                default: Default::Is("30"),
                example: "30",
                help: "How many days they wait before they are deleted for good.",
            },
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word() {
        for (word, near) in [
            ("hots", Some("host")),
            ("password_command", Some("password-command")),
            ("pasword-comand", Some("password-command")),
            ("Maildir", Some("maildir")),
            ("maxdelete", Some("max-delete")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names().into_iter()), near, "{word}");
        }
    }
}
