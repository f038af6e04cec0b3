//! What past runs did: as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::json::{Run, time};
use super::sides::called;
use super::text::{Style, Verbosity};
use super::words::{bytes, local, plural};
use super::{AccountReport, LastRun};
use crate::model::{Called, Side};

/// A past run and what it did.
#[derive(Clone, Debug)]
pub struct RunLine {
    /// When and how.
    pub run: LastRun,
    /// What, in the order in which it was begun.
    pub done: Vec<DoneLine>,
    /// Somebody asked for this very run.
    pub asked_for: bool,
}

/// What a run did to messages of a mailbox for one reason.
#[derive(Clone, Debug)]
pub struct DoneLine {
    /// In one word, as in plans.
    pub action: String,
    /// The side that was changed; `None`: only homing's own books were.
    pub on: Option<Side>,
    /// Where; of a move, where from.
    pub mailbox: String,
    /// Where to, if that is another mailbox.
    pub to: Option<String>,
    /// To how many messages; 1 for a mailbox.
    pub count: u64,
    /// Why.
    pub why: String,
    /// The messages, or the first of them.
    pub messages: Vec<MessageLine>,
}

/// What a message can be found by.
#[derive(Clone, Debug, Default)]
pub struct MessageLine {
    /// Its UID on the server then.
    pub uid: Option<u64>,
    /// The name of its file in the Maildir, without flags.
    pub file: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// When it arrived, in seconds since 1970.
    pub date: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct RunView<'a> {
    #[serde(flatten)]
    run: Run,
    done: Vec<DoneView<'a>>,
}

#[derive(Serialize)]
struct DoneView<'a> {
    action: &'a str,
    on: Option<&'static str>,
    mailbox: &'a str,
    to: Option<&'a str>,
    count: u64,
    why: &'a str,
    messages: Vec<MessageView<'a>>,
}

#[derive(Serialize)]
struct MessageView<'a> {
    uid: Option<u64>,
    file: Option<&'a str>,
    size: Option<u64>,
    date: Option<String>,
}

impl<'a> From<&'a RunLine> for RunView<'a> {
    fn from(line: &'a RunLine) -> Self {
        Self {
            run: Run::from(&line.run),
            done: line.done.iter().map(DoneView::from).collect(),
        }
    }
}

impl<'a> From<&'a DoneLine> for DoneView<'a> {
    fn from(line: &'a DoneLine) -> Self {
        let messages = line.messages.iter().map(|message| MessageView {
            uid: message.uid,
            file: message.file.as_deref(),
            size: message.size,
            date: message.date.and_then(time),
        });
        Self {
            action: &line.action,
            on: line.on.map(Side::name),
            mailbox: &line.mailbox,
            to: line.to.as_deref(),
            count: line.count,
            why: &line.why,
            messages: messages.collect(),
        }
    }
}

/// The runs of an account, oldest first, as people read a log.
pub(super) fn log(account: &AccountReport, style: Style) -> String {
    let mut out = String::new();
    for line in account.runs.iter().rev() {
        let begun = local(line.run.begun).unwrap_or_default();
        let end = match (line.run.ended, line.run.exit) {
            (Some(_), Some(0)) => "all done".to_owned(),
            (Some(_), Some(exit)) => format!("ended with {exit}"),
            _ => "not over, or cut off".to_owned(),
        };
        let head = style.bold(&format!("{} #{}", line.run.command, line.run.run));
        let _ = writeln!(out, "{head}  {begun}  {end}");
        let each = line.asked_for || style.verbosity == Verbosity::Verbose;
        let sides = sides(account, &line.run);
        for done in &line.done {
            // What was restored, and where to, is told by the deed itself.
            let on = done.on.filter(|_| line.run.command != "restore");
            show(&mut out, &sides, on, done, each);
        }
    }
    out
}

/// What people call the sides of that run.
fn sides(account: &AccountReport, run: &LastRun) -> [Called; 2] {
    match run.command.as_str() {
        "restore" => ["archive", "restored"].map(called),
        "backup" | "prune" => ["archive", "server"].map(called),
        _ => Side::BOTH.map(|side| account.called(side)),
    }
}

fn show(out: &mut String, sides: &[Called; 2], on: Option<Side>, done: &DoneLine, each: bool) {
    let DoneLine {
        action,
        mailbox,
        count,
        why,
        ..
    } = done;
    let messages = plural(*count, "message");
    let what = if action.ends_with("mailbox") {
        String::new()
    } else {
        format!(" {messages}")
    };
    let on = on.map_or_else(String::new, |side| format!(" {}", sides[side as usize].on));
    let to = done.to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
    let why = Called::reworded(why, sides);
    let _ = writeln!(out, "  {action}{what}{on}: {mailbox}{to} ({why})");
    if !each {
        return;
    }
    for message in &done.messages {
        let parts = [
            message.uid.map(|uid| format!("UID {uid}")),
            message.file.clone(),
            message.size.map(bytes),
            message.date.and_then(local),
        ];
        let _ = writeln!(
            out,
            "    {}",
            parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
        );
    }
    let more = count.saturating_sub(done.messages.len() as u64);
    if more > 0 && !done.messages.is_empty() {
        let _ = writeln!(out, "    and {more} more");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Job, Report};
    use super::*;

    fn account(asked_for: bool) -> AccountReport {
        let done = DoneLine {
            action: "move".into(),
            on: Some(Side::Right),
            mailbox: "INBOX".into(),
            to: Some("Work".into()),
            count: 3,
            why: "moved on the left".into(),
            messages: vec![MessageLine {
                uid: Some(7),
                file: Some("170.x".into()),
                size: Some(2300),
                date: None,
            }],
        };
        let created = DoneLine {
            action: "create-mailbox".into(),
            to: None,
            mailbox: "Work".into(),
            count: 1,
            messages: Vec::new(),
            ..done.clone()
        };
        let run = LastRun {
            command: "sync".into(),
            run: 12,
            begun: 0,
            ended: Some(9),
            exit: Some(1),
        };
        let runs = vec![RunLine {
            run,
            done: vec![created, done],
            asked_for,
        }];
        AccountReport {
            runs,
            ..AccountReport::new("a")
        }
    }

    #[test]
    fn as_text() {
        let lines = |asked_for| -> Vec<String> {
            let text = Report::new(Job::Log, vec![account(asked_for)]).output(Style::default());
            text.lines().skip(1).map(str::to_owned).collect()
        };
        let short = [
            "  create-mailbox on the server: Work (moved in the Maildir)",
            "  move 3 messages on the server: INBOX to Work (moved in the Maildir)",
        ];
        assert_eq!(lines(false), short);
        assert_eq!(
            lines(true),
            [short[0], short[1], "    UID 7  170.x  2.3 kB", "    and 2 more"]
        );
        let mut restored = account(false);
        restored.runs[0].run.command = "restore".into();
        let text = Report::new(Job::Log, vec![restored]).output(Style::default());
        let last = text.lines().last();
        assert_eq!(last, Some("  move 3 messages: INBOX to Work (moved in the archive)"));
    }

    #[test]
    fn as_json() {
        let json = Report::new(Job::Log, vec![account(false)]).to_json();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let run = &json["accounts"][0]["runs"][0];
        assert_eq!((&run["run"], &run["exit"]), (&12.into(), &1.into()), "{json:#}");
        assert_eq!(run["done"][1]["messages"][0]["uid"], 7, "{json:#}");
        assert_eq!(run["done"][0]["mailbox"], "Work", "{json:#}");
    }
}
