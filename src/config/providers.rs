//! What is known of large providers: one table, from which `provider = "…"` fills in what is not written, and from which
//! docs/providers.md is made.
//!
//! A figure is what the provider publishes, or where it publishes none what others have met; `sources` says which, and
//! when it was looked up. Providers change these without notice.

use crate::account::{DailyBytes, Mechanism};

/// A provider and how to be its guest.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// As the configuration spells it.
    pub name: &'static str,
    /// As people call it.
    pub title: &'static str,
    /// Its IMAP server; TLS from the first byte, port 993.
    pub host: &'static str,
    /// How many connections homing uses at a time.
    pub connections: usize,
    /// Ways to log in that are allowed; empty: the best that the server offers for a password.
    pub auth: &'static [Mechanism],
    /// Bytes that may cross the wire in a day, as told; homing stops at nine tenths, since others count too.
    pub told: DailyBytes,
    /// What it wants instead of the account's password.
    pub password: &'static str,
    /// What is special about it, and what homing does about it.
    pub rules: &'static str,
    /// Where the figures are from.
    pub sources: &'static [Source],
}

/// Where a figure is from.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Which figure.
    pub what: &'static str,
    /// Where it was read.
    pub place: &'static str,
    /// When it was looked up: year and month.
    pub seen: &'static str,
}

impl Provider {
    /// Bytes in a day at which homing stops.
    pub fn max_bytes(&self) -> DailyBytes {
        let most = |told: Option<u64>| told.map(|bytes| bytes / 10 * 9);
        DailyBytes {
            down: most(self.told.down),
            up: most(self.told.up),
        }
    }
}

/// The provider of that name.
pub fn named(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

const NONE_TOLD: DailyBytes = DailyBytes { down: None, up: None };

/// The providers, by name.
pub const PROVIDERS: [Provider; 5] = [
    Provider {
        name: "fastmail",
        title: "Fastmail",
        host: "imap.fastmail.com",
        connections: 4,
        auth: &[],
        told: NONE_TOLD,
        password: "an app password (Settings, Privacy & Security, Connected apps)",
        rules: "Cyrus: 8-bit bytes in headers become `X`, messages with NUL or bare LF are refused; `migrate` names them.",
        sources: &[Source {
            what: "fair use, no daily bytes named",
            place: "fastmail.com/help/account/limits.html",
            seen: "2026-11",
        }],
    },
    Provider {
        name: "gmail",
        title: "Gmail, Google Workspace",
        host: "imap.gmail.com",
        connections: 4,
        auth: &[],
        told: DailyBytes {
            down: Some(2_500_000_000),
            up: Some(500_000_000),
        },
        password: "an app password (2-Step Verification must be on), or a token with `auth = [\"xoauth2\"]`",
        rules: "Shows a message once for each label: it is transferred once. `\\All` is in scope, `\\Important` and \
                `\\Flagged` are not. Over the limit IMAP is shut for the account, up to a day.",
        sources: &[
            Source {
                what: "2500 MB down, 500 MB up a day",
                place: "support.google.com/a/answer/1071518 (Gmail bandwidth limits), as quoted by \
                        secure.efoldering.com, article 358, and sharingsupport.cloudhq.net/gmail-bandwidth-limits; \
                        private accounts: not published",
                seen: "2026-11",
            },
            Source {
                what: "15 connections an account",
                place: "github.com/dlt-hub/verified-sources, pull request 615",
                seen: "2026-11",
            },
        ],
    },
    Provider {
        name: "icloud",
        title: "iCloud Mail",
        host: "imap.mail.me.com",
        connections: 2,
        auth: &[],
        told: NONE_TOLD,
        password: "an app-specific password (account.apple.com, Sign-In and Security)",
        rules: "Messages of more than 20 MB are refused; `migrate` names them. Its QRESYNC is malformed and not relied on.",
        sources: &[
            Source {
                what: "20 MB a message, no daily bytes named",
                place: "support.apple.com/en-ca/102198 (Mailbox size and message sending limits)",
                seen: "2026-11",
            },
            Source {
                what: "few connections (told by others, not published)",
                place: "mailboxtaxi.com/troubleshooting/fix-imap-throttling-errors",
                seen: "2026-11",
            },
        ],
    },
    Provider {
        name: "office365",
        title: "Microsoft 365, Outlook.com",
        host: "outlook.office365.com",
        connections: 4,
        auth: &[Mechanism::Xoauth2],
        told: NONE_TOLD,
        password: "an OAuth 2 token, which `password-command` prints; passwords are not taken any more",
        rules: "Throttles by load and says for how long (`Suggested Backoff Time`), which is obeyed. Has no CONDSTORE, so \
                each mailbox is opened for its flags. Rewrites messages; `migrate` says which.",
        sources: &[
            Source {
                what: "no basic authentication",
                place: "learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/deprecation-of-basic-authentication-exchange-online",
                seen: "2026-11",
            },
            Source {
                what: "about 10 connections (told by others, not published), no daily bytes named",
                place: "mailboxtaxi.com/troubleshooting/fix-imap-throttling-errors",
                seen: "2026-11",
            },
        ],
    },
    Provider {
        name: "yahoo",
        title: "Yahoo Mail, AOL",
        host: "imap.mail.yahoo.com",
        connections: 2,
        auth: &[],
        told: NONE_TOLD,
        password: "an app password (Account Security)",
        rules: "COPYUID can be wrong for sets out of order; sets go out in order, and only what it names counts as moved.",
        sources: &[Source {
            what: "about 5 connections (told by others, not published), no daily bytes named",
            place: "mailboxtaxi.com/troubleshooting/fix-imap-throttling-errors",
            seen: "2026-11",
        }],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_in_order_that_answers_for_its_figures() {
        assert!(PROVIDERS.windows(2).all(|two| two[0].name < two[1].name));
        for provider in &PROVIDERS {
            assert!(named(provider.name).is_some_and(|found| found.host == provider.host));
            assert!(!provider.sources.is_empty(), "{}", provider.name);
        }
        assert!(named("hotmail").is_none());
    }

    #[test]
    fn nine_tenths_of_what_is_told() {
        let gmail = named("gmail").unwrap().max_bytes();
        assert_eq!((gmail.down, gmail.up), (Some(2_250_000_000), Some(450_000_000)));
        assert_eq!(named("yahoo").unwrap().max_bytes(), NONE_TOLD);
    }
}
