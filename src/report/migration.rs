//! What a migration came to: a verdict for each mailbox and one for all.

use std::fmt::Write as _;

use super::words::{bytes, grouped, plural};
use super::{AccountReport, Job, Report};

/// The verdict on a pair of accounts.
#[derive(Clone, Debug, Default)]
pub struct Migration {
    /// Every mailbox in scope, by FROM's name.
    pub mailboxes: Vec<MailboxVerdict>,
    /// The run came to its end; else the counts say how far it got.
    pub is_complete: bool,
}

/// The verdict on a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxVerdict {
    /// Its name on FROM.
    pub from: String,
    /// Its name on TO.
    pub to: String,
    /// TO refused the name that it would have had.
    pub is_renamed: bool,
    /// Messages on FROM, and how many of these are on TO.
    pub messages: [u64; 2],
    /// Their bytes. What is missing is counted in as far as FROM told its size.
    pub bytes: [u64; 2],
    /// Messages on FROM that are not on TO and should be.
    pub missing: u64,
    /// Messages that arrived and were removed on TO since, which a migration leaves so.
    pub removed_there: u64,
    /// Messages on TO that did not come from here; `None`: TO was not asked.
    pub only_there: Option<u64>,
    /// Why messages are missing.
    pub reasons: Vec<Reason>,
    /// What is to be said of messages that have arrived.
    pub remarks: Vec<Reason>,
}

/// Why messages are missing, or what is to be said of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Why, or what.
    pub what: String,
    /// How many.
    pub count: u64,
    /// Which, by FROM's UIDs as IMAP writes sets; empty where that is not known.
    pub uids: String,
}

/// All mailboxes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// See [`MailboxVerdict::messages`].
    pub messages: [u64; 2],
    /// See [`MailboxVerdict::bytes`].
    pub bytes: [u64; 2],
    /// See [`MailboxVerdict::missing`].
    pub missing: u64,
    /// See [`MailboxVerdict::removed_there`].
    pub removed_there: u64,
    /// Messages that [`MailboxVerdict::remarks`] are about.
    pub remarked: u64,
}

impl Migration {
    /// The sums over all mailboxes.
    pub fn total(&self) -> Total {
        let mut total = Total::default();
        for mailbox in &self.mailboxes {
            for side in [0, 1] {
                total.messages[side] += mailbox.messages[side];
                total.bytes[side] += mailbox.bytes[side];
            }
            total.missing += mailbox.missing;
            total.removed_there += mailbox.removed_there;
            total.remarked += mailbox.remarks.iter().map(|remark| remark.count).sum::<u64>();
        }
        total
    }

    /// The verdict in a sentence or two.
    pub fn sentence(&self) -> String {
        let total = self.total();
        let [there, here] = [grouped(total.messages[0]), grouped(total.messages[1])];
        let mailboxes = match self.mailboxes.len() {
            1 => "1 mailbox".to_owned(),
            count => format!("{count} mailboxes"),
        };
        let mut sentence = if !self.is_complete {
            format!("Not finished: {here} of {there} messages have arrived so far. The next run goes on from there.")
        } else if total.missing > 0 {
            let missing = plural(total.missing, "message");
            let verb = if total.missing == 1 { "is" } else { "are" };
            format!("{here} of {there} messages in {mailboxes} have arrived; {missing} {verb} missing.")
        } else {
            let all = match total.messages[0] {
                0 => "There was no message to copy".to_owned(),
                1 => "The one message has arrived".to_owned(),
                _ => format!("All {there} messages have arrived"),
            };
            format!("{all}, {}, in {mailboxes}.", bytes(total.bytes[0]))
        };
        if total.remarked > 0 {
            let _ = write!(
                sentence,
                " Of {} there is something to be said.",
                plural(total.remarked, "message")
            );
        }
        if total.removed_there > 0 {
            let removed = plural(total.removed_there, "message");
            let verbs = if total.removed_there == 1 {
                ["was", "is"]
            } else {
                ["were", "are"]
            };
            let [was, is] = verbs;
            let _ = write!(sentence, " {removed} {was} removed there since, and {is} left so.");
        }
        sentence
    }
}

/// What a pair came to, where it is not all done: its exit code, one of them, several of them.
const SHORT: [(u8, &str, &str); 5] = [
    (78, "makes no sense", "make no sense"),
    (77, "was refused the login", "were refused the login"),
    (3, "is held back by a guard", "are held back by a guard"),
    (1, "lacks messages or has problems", "lack messages or have problems"),
    (75, "is not finished", "are not finished"),
];

impl Report {
    /// What all pairs of a list came to, in a sentence or two; `None` where none was migrated.
    pub fn overall(&self) -> Option<String> {
        let job = self.job.filter(|job| *job == Job::Migrate && self.is_list)?;
        let ends = |account: &AccountReport| account.exit(job);
        let all = self.accounts.len() as u64;
        let done = self.accounts.iter().filter(|account| ends(account) == 0).count() as u64;
        let mut total = Total::default();
        for migration in self.accounts.iter().filter_map(|account| account.migration.as_ref()) {
            let own = migration.total();
            total.messages[1] += own.messages[1];
            total.bytes[1] += own.bytes[1];
        }
        let arrived = format!("{} messages, {}", grouped(total.messages[1]), bytes(total.bytes[1]));
        let mut sentence = match (done, all) {
            (_, 0) => "There was no pair of accounts to migrate.".to_owned(),
            (1, 1) => format!("The one pair of accounts is done: {arrived}."),
            (done, all) if done == all => format!("All {} pairs of accounts are done: {arrived}.", grouped(all)),
            (done, all) => {
                let verb = if done == 1 { "is" } else { "are" };
                format!(
                    "{} of {} pairs of accounts {verb} done; {arrived} have arrived in all.",
                    grouped(done),
                    grouped(all)
                )
            }
        };
        let short: Vec<String> = SHORT
            .iter()
            .filter_map(|(exit, one, several)| {
                match self.accounts.iter().filter(|account| ends(account) == *exit).count() as u64 {
                    0 => None,
                    1 => Some(format!("1 {one}")),
                    count => Some(format!("{} {several}", grouped(count))),
                }
            })
            .collect();
        if !short.is_empty() {
            let _ = write!(sentence, " Of the others, {}.", short.join(", "));
        }
        Some(sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of names and reasons that mean harm.
    fn hostile() -> Report {
        let account = AccountReport {
            sides: Some(["<old>".into(), "new".into()]),
            migration: Some(Migration {
                mailboxes: vec![MailboxVerdict {
                    from: "<script>alert(1)</script>".into(),
                    to: "=cmd(\"a\")".into(),
                    messages: [1_234, 1_233],
                    bytes: [5_000, 4_000],
                    missing: 1,
                    reasons: vec![Reason {
                        what: "too \"large\", <b>".into(),
                        count: 1,
                        uids: "7".into(),
                    }],
                    ..MailboxVerdict::default()
                }],
                is_complete: true,
            }),
            ..AccountReport::new("old--new")
        };
        Report::new(Job::Migrate, vec![account])
    }

    #[test]
    fn what_servers_say_is_harmless_in_a_page() {
        let page = hostile().to_html(1_772_323_200);
        for wanted in [
            "<h2>&lt;old&gt; → new</h2>",
            "<td>&lt;script&gt;alert(1)&lt;/script&gt;</td><td>=cmd(&quot;a&quot;)</td>",
            "<td class=\"n\">1,234</td><td class=\"n\">1,233</td><td class=\"n\">5.0 kB</td>",
            "style=\"width:99%\"",
            "<td>too &quot;large&quot;, &lt;b&gt;</td>",
            "1,233 of 1,234 messages in 1 mailbox have arrived; 1 message is missing.",
        ] {
            assert!(page.contains(wanted), "{wanted}\n{page}");
        }
        // Self-contained: nothing is fetched from elsewhere.
        assert!(
            !page.contains("http") && !page.contains("<script") && !page.contains("url("),
            "{page}"
        );
    }

    #[test]
    fn what_servers_say_is_harmless_in_a_spreadsheet() {
        let sheet = hostile().to_csv();
        let line = sheet.lines().nth(1).unwrap();
        let wanted = "old--new,<script>alert(1)</script>,\"'=cmd(\"\"a\"\")\",false,1234,1233,5000,4000,1,0,\
                      \"1: too \"\"large\"\", <b>\"";
        assert_eq!(line, wanted);
    }

    #[test]
    fn what_a_list_came_to() {
        use crate::error::{Failure, Kind};
        let ended = |kind: Option<Kind>| AccountReport {
            error: kind.map(|kind| Failure::account(kind, "x")),
            migration: kind.is_none().then(|| Migration {
                mailboxes: vec![MailboxVerdict {
                    messages: [1_000, 1_000],
                    bytes: [5_000, 5_000],
                    ..MailboxVerdict::default()
                }],
                is_complete: true,
            }),
            ..AccountReport::new("a")
        };
        let (good, bad, busy) = (None, Some(Kind::Config), Some(Kind::Temporary));
        for (kinds, exit, wanted) in [
            (vec![], 0, "There was no pair of accounts to migrate."),
            (
                vec![good],
                0,
                "The one pair of accounts is done: 1,000 messages, 5.0 kB.",
            ),
            (
                vec![good, good],
                0,
                "All 2 pairs of accounts are done: 2,000 messages, 10 kB.",
            ),
            (
                vec![good, busy, bad, busy],
                78,
                "1 of 4 pairs of accounts is done; 1,000 messages, 5.0 kB have arrived in all. Of the others, 1 makes no \
                 sense, 2 are not finished.",
            ),
        ] {
            let report = Report {
                is_list: true,
                ..Report::new(Job::Migrate, kinds.into_iter().map(ended).collect())
            };
            assert_eq!((report.overall().as_deref(), report.exit()), (Some(wanted), exit));
        }
        assert_eq!(Report::new(Job::Migrate, vec![ended(None)]).overall(), None);
    }

    #[test]
    fn sentences() {
        let mailbox = |messages: [u64; 2], missing, removed_there| MailboxVerdict {
            messages,
            bytes: messages.map(|count| count * 1000),
            missing,
            removed_there,
            ..MailboxVerdict::default()
        };
        for (mailboxes, is_complete, wanted) in [
            (vec![], true, "There was no message to copy, 0 B, in 0 mailboxes."),
            (
                vec![mailbox([1, 1], 0, 0)],
                true,
                "The one message has arrived, 1.0 kB, in 1 mailbox.",
            ),
            (
                vec![mailbox([10_000, 10_000], 0, 0), mailbox([5, 5], 0, 0)],
                true,
                "All 10,005 messages have arrived, 10 MB, in 2 mailboxes.",
            ),
            (
                vec![mailbox([3, 2], 1, 0)],
                true,
                "2 of 3 messages in 1 mailbox have arrived; 1 message is missing.",
            ),
            (
                vec![mailbox([3, 2], 0, 1)],
                true,
                "All 3 messages have arrived, 3.0 kB, in 1 mailbox. 1 message was removed there since, and is left so.",
            ),
            (
                vec![mailbox([3, 2], 1, 0)],
                false,
                "Not finished: 2 of 3 messages have arrived so far. The next run goes on from there.",
            ),
        ] {
            assert_eq!(Migration { mailboxes, is_complete }.sentence(), wanted);
        }
    }
}
