//! The verdict of a migration as one page of HTML that needs nothing else: for the operator and for the customer.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};

use super::words::{bytes, grouped};
use super::{AccountReport, MailboxVerdict, Migration, Reason, Report};

const STYLE: &str = include_str!("page.css");

/// Text for an element or an attribute; names and reasons come from servers.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

impl Report {
    /// The verdicts as one page; `now` is when, in seconds since 1970.
    pub fn to_html(&self, now: i64) -> String {
        let mut body = String::new();
        if let Some(error) = &self.error {
            paragraph(&mut body, "bad", &error.what);
        }
        if let Some(overall) = self.overall() {
            paragraph(&mut body, if self.exit() == 0 { "good" } else { "bad" }, &overall);
            contents(&mut body, self);
        }
        for (n, account) in self.accounts.iter().enumerate() {
            section(&mut body, n, account);
        }
        let when = Timestamp::from_second(now).map_or_else(
            |_| String::new(),
            |time| {
                time.to_zoned_datetime(TimeZone::system())
                    .strftime("%Y-%m-%d %H:%M")
                    .to_string()
            },
        );
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>Migration report</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Migration report</h1>\n\
             <p class=\"when\">{when} · homing {}</p>\n{body}</body>\n</html>\n",
            env!("CARGO_PKG_VERSION")
        )
    }
}

fn paragraph(out: &mut String, class: &str, text: &str) {
    let _ = writeln!(out, "<p class=\"{class}\">{}</p>", escape(text));
}

/// All pairs of a list in one table, each with a way to its section.
fn contents(out: &mut String, report: &Report) {
    out.push_str(
        "<table>\n<thead><tr><th>Accounts</th><th class=\"n\">Messages</th><th class=\"n\">Arrived</th>\
         <th class=\"n\">Size</th><th class=\"n\">Arrived</th><th class=\"n\">Missing</th><th>Share</th></tr></thead>\n<tbody>\n",
    );
    for (n, account) in report.accounts.iter().enumerate() {
        let _ = write!(out, "<tr><td><a href=\"#p{n}\">{}</a></td>", title(account));
        match &account.migration {
            Some(migration) => {
                let total = migration.total();
                numbers(out, total.messages, total.bytes, total.missing);
                share(out, total.messages[1], total.missing);
            }
            None => out.push_str("<td class=\"bad\" colspan=\"6\">not begun</td>"),
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

fn title(account: &AccountReport) -> String {
    match &account.sides {
        Some([from, to]) => format!("{} → {}", escape(from), escape(to)),
        None => escape(&account.name),
    }
}

fn section(out: &mut String, n: usize, account: &AccountReport) {
    let _ = writeln!(out, "<section id=\"p{n}\">\n<h2>{}</h2>", title(account));
    if let Some(migration) = &account.migration {
        let good = migration.is_complete && migration.total().missing == 0;
        paragraph(out, if good { "good" } else { "bad" }, &migration.sentence());
    }
    if let Some(error) = &account.error {
        paragraph(out, "bad", &error.what);
        if let Some(hint) = &error.hint {
            paragraph(out, "hint", hint);
        }
    }
    if let Some(migration) = &account.migration {
        table(out, migration);
        reasons(out, "What is missing, and why", migration, |mailbox| &mailbox.reasons);
        reasons(
            out,
            "What is to be said of messages that arrived",
            migration,
            |mailbox| &mailbox.remarks,
        );
    }
    out.push_str("</section>\n");
}

fn table(out: &mut String, migration: &Migration) {
    out.push_str(
        "<table>\n<thead><tr><th>Mailbox</th><th>There</th><th class=\"n\">Messages</th><th class=\"n\">Arrived</th>\
         <th class=\"n\">Size</th><th class=\"n\">Arrived</th><th class=\"n\">Missing</th><th>Share</th></tr></thead>\n<tbody>\n",
    );
    for mailbox in &migration.mailboxes {
        row(out, mailbox);
    }
    let total = migration.total();
    out.push_str("</tbody>\n<tfoot><tr><th>All</th><td></td>");
    numbers(out, total.messages, total.bytes, total.missing);
    out.push_str("<td></td></tr></tfoot>\n</table>\n");
}

fn row(out: &mut String, mailbox: &MailboxVerdict) {
    let changed = if mailbox.is_renamed {
        " <em>name changed</em>"
    } else {
        ""
    };
    let (from, to) = (escape(&mailbox.from), escape(&mailbox.to));
    let _ = write!(out, "<tr><td>{from}</td><td>{to}{changed}</td>");
    numbers(out, mailbox.messages, mailbox.bytes, mailbox.missing);
    share(out, mailbox.messages[1], mailbox.missing);
    out.push_str("</tr>\n");
}

/// A bar: how much of what should be there is.
fn share(out: &mut String, arrived: u64, missing: u64) {
    let share = (arrived * 100).checked_div(arrived + missing).unwrap_or(100);
    let _ = write!(
        out,
        "<td><div class=\"bar\" role=\"img\" aria-label=\"{share} %\"><i style=\"width:{share}%\"></i></div></td>"
    );
}

fn numbers(out: &mut String, messages: [u64; 2], sizes: [u64; 2], missing: u64) {
    let class = if missing > 0 { "n bad" } else { "n" };
    let [there, here] = messages.map(grouped);
    let [size, arrived] = sizes.map(bytes);
    let missing = grouped(missing);
    let _ = write!(
        out,
        "<td class=\"n\">{there}</td><td class=\"n\">{here}</td><td class=\"n\">{size}</td><td class=\"n\">{arrived}</td>\
         <td class=\"{class}\">{missing}</td>"
    );
}

fn reasons(out: &mut String, title: &str, migration: &Migration, of: fn(&MailboxVerdict) -> &[Reason]) {
    let with = migration.mailboxes.iter().filter(|mailbox| !of(mailbox).is_empty());
    let mut with = with.peekable();
    if with.peek().is_none() {
        return;
    }
    let _ = write!(
        out,
        "<h3>{title}</h3>\n<table>\n<thead><tr><th>Mailbox</th><th class=\"n\">Messages</th><th>Why</th>\
         <th>UIDs</th></tr></thead>\n<tbody>\n",
    );
    for mailbox in with {
        for reason in of(mailbox) {
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td class=\"n\">{}</td><td>{}</td><td class=\"uids\">{}</td></tr>",
                escape(&mailbox.from),
                grouped(reason.count),
                escape(&reason.what),
                escape(&reason.uids)
            );
        }
    }
    out.push_str("</tbody>\n</table>\n");
}
