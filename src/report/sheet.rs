//! The verdict of a migration as CSV (RFC 4180 §2), a line for each mailbox.

use std::fmt::Write as _;

use super::Report;

/// A field. What a spreadsheet would take for a formula gets an apostrophe: names come from servers.
fn field(text: &str) -> String {
    let armed = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if armed { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

impl Report {
    /// The verdicts, a line for each mailbox of each pair of accounts; a pair without a verdict has a line with its error.
    pub fn to_csv(&self) -> String {
        let mut out =
            "pair,from,to,renamed,messages_from,messages_to,bytes_from,bytes_to,missing,removed_there,why\r\n"
                .to_owned();
        for account in &self.accounts {
            let pair = field(&account.name);
            let mailboxes = account
                .migration
                .as_ref()
                .map_or(&[][..], |migration| &migration.mailboxes);
            for mailbox in mailboxes {
                let ([messages_from, messages_to], [bytes_from, bytes_to]) = (mailbox.messages, mailbox.bytes);
                let why: Vec<String> = mailbox
                    .reasons
                    .iter()
                    .chain(&mailbox.remarks)
                    .map(|reason| format!("{}: {}", reason.count, reason.what))
                    .collect();
                let _ = write!(
                    out,
                    "{pair},{},{},{},{messages_from},{messages_to},{bytes_from},{bytes_to},{},{},{}\r\n",
                    field(&mailbox.from),
                    field(&mailbox.to),
                    mailbox.is_renamed,
                    mailbox.missing,
                    mailbox.removed_there,
                    field(&why.join("; "))
                );
            }
            if let Some(error) = &account.error {
                let _ = write!(out, "{pair},,,,,,,,,,{}\r\n", field(&error.what));
            }
        }
        out
    }
}
