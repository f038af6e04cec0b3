//! What `verify`, `prune` and `export` found and did, for people.

use std::fmt::Write as _;

use super::text::{Style, complain};
use super::words::{bytes, plural};
use super::{AccountReport, Verification};

/// `1234 messages whole, 1 damaged`.
pub(super) fn verification(account: &AccountReport, name: &str) -> String {
    let Some(found) = &account.verification else {
        return String::new();
    };
    let mut parts = vec![format!("{} whole", plural(found.whole, "message"))];
    let counts = [
        (found.repaired, "repaired"),
        (found.damaged.len() as u64, "damaged"),
        (found.missing.len() as u64, "missing"),
        (found.foreign.len() as u64, "foreign"),
    ];
    parts.extend(
        counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}")),
    );
    format!(
        "{name}  {}  ({} read, {:.1} s)\n",
        parts.join(", "),
        bytes(found.bytes),
        account.seconds
    )
}

/// A line for each file that is not as it should be.
pub(super) fn findings(out: &mut String, account: &str, found: &Verification, style: Style) {
    let lists = [
        (style.red("damaged:"), &found.damaged),
        (style.red("missing:"), &found.missing),
        (style.yellow("foreign:"), &found.foreign),
    ];
    for (label, list) in lists {
        for line in list {
            let mailbox = line
                .mailbox
                .as_ref()
                .map_or_else(String::new, |name| format!("{name}: "));
            let what = format!("{account}: {mailbox}{}: {}", line.file, line.what);
            complain(out, &label, &what, line.hint.as_deref());
        }
    }
}

/// Each message that goes, and all of them together.
pub(super) fn pruned(account: &AccountReport, name: &str, dry_run: bool, lines: bool) -> String {
    let (mut out, mut size) = (String::new(), 0);
    for line in &account.pruned {
        size += line.size;
        if lines {
            let verb = if dry_run { "would delete" } else { "deleted" };
            let _ = writeln!(out, "{}: {verb} {}: {}", account.name, line.file, line.why);
        }
    }
    let count = plural(account.pruned.len() as u64, "message");
    let verb = if dry_run { "would delete " } else { "deleted " };
    let _ = writeln!(out, "{name}  {verb}{count}, {}", bytes(size));
    out
}

/// What was exported, or would be: with `lines`, every mailbox.
pub(super) fn exported(account: &AccountReport, name: &str, dry_run: bool, lines: bool) -> String {
    let (mut out, mut messages, mut size) = (String::new(), 0, 0);
    for line in &account.exported {
        messages += line.messages;
        size += line.bytes;
        if lines {
            let count = plural(line.messages, "message");
            let _ = writeln!(out, "{}: {} to {}: {count}", account.name, line.mailbox, line.file);
        }
    }
    if account.error.is_none() {
        let verb = if dry_run { "would write " } else { "wrote " };
        let _ = writeln!(out, "{name}  {verb}{}, {}", plural(messages, "message"), bytes(size));
    }
    out
}
