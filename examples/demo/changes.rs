//! What happens on both sides between two runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::Outcome;
use crate::support::mail::Mail;
use crate::support::server::{Account, Date, Message};

/// The message of that subject.
pub(crate) fn find<'a>(account: &'a Account, mailbox: &str, subject: &str) -> Option<&'a Message> {
    let line = format!("Subject: {subject}\r\n");
    let has = |bytes: &[u8]| bytes.windows(line.len()).any(|window| window == line.as_bytes());
    account
        .mailboxes
        .get(mailbox)?
        .iter()
        .find(|message| has(&message.bytes))
}

/// What another mail program does on the server.
pub(crate) fn change_server(account: &mut Account, did: impl Fn(&str)) {
    let uid = |account: &Account, mailbox: &str, subject: &str| {
        find(account, mailbox, subject)
            .unwrap_or_else(|| panic!("no {subject} in {mailbox}"))
            .uid
    };
    account.deliver("INBOX", &Mail::simple("First frost").dated(Date::utc(1_780_310_000)));
    did("new mail in INBOX: \"First frost\"");
    let book = uid(account, "INBOX", "Two books are due on Friday");
    account.flag("INBOX", book, &["\\Seen", "\\Flagged"], &[]);
    did("\"Two books are due on Friday\" is read and flagged");
    let minutes = uid(account, "Archive/2026", "Minutes of the spring meeting");
    account.flag("Archive/2026", minutes, &["done"], &[]);
    did("\"Minutes of the spring meeting\" gets the keyword \"done\"");
    let order = uid(account, "INBOX", "Your order 20417 has left us");
    account.expunge("INBOX", order);
    did("\"Your order 20417 has left us\" is deleted");
    account.create("Travel");
    account.deliver("Travel", &Mail::simple("Tickets to the coast"));
    did("a new mailbox, Travel, with \"Tickets to the coast\"");
}

/// What somebody does in the Maildir, with files as any mail program does it.
pub(crate) fn change_maildir(root: &Path, did: impl Fn(&str)) -> Outcome {
    let flight = message_file(root, "INBOX", "Saturday's flight")?;
    relabel(&flight, "RS")?;
    did("\"Saturday's flight\" is read and answered");
    let poll = message_file(root, "Lists/Loft", "[loft] Summer meeting, a poll")?;
    relabel(&poll, "S")?;
    did("\"[loft] Summer meeting, a poll\" is read");
    fs::remove_file(message_file(root, "Archive/2026", "Happy new year")?)?;
    did("\"Happy new year\" is deleted");
    deliver(&root.join("Sent"), "A note written offline", "S")?;
    did("a new message in Sent: \"A note written offline\"");
    let loft = root.join("Projects/New loft");
    for folder in ["cur", "new", "tmp"] {
        fs::create_dir_all(loft.join(folder))?;
    }
    deliver(&loft, "A list of beams", "FS")?;
    did("a new mailbox, Projects/New loft, with \"A list of beams\"");
    Ok(())
}

fn message_file(root: &Path, mailbox: &str, subject: &str) -> Outcome<PathBuf> {
    let line = format!("Subject: {subject}\n");
    for folder in ["cur", "new"] {
        for entry in fs::read_dir(root.join(mailbox).join(folder))? {
            let path = entry?.path();
            if String::from_utf8_lossy(&fs::read(&path)?).contains(&line) {
                return Ok(path);
            }
        }
    }
    Err(format!("no \"{subject}\" in {mailbox} of the Maildir").into())
}

/// Gives a message other flag letters, as a mail program does: by a rename into `cur`.
fn relabel(path: &Path, letters: &str) -> Outcome {
    let name = path.file_name().ok_or("a file without a name")?.to_string_lossy();
    let unique = name.split(":2,").next().unwrap_or_default();
    let mailbox = path
        .parent()
        .and_then(Path::parent)
        .ok_or("a file outside of a Maildir")?;
    Ok(fs::rename(
        path,
        mailbox.join("cur").join(format!("{unique}:2,{letters}")),
    )?)
}

fn deliver(mailbox: &Path, subject: &str, letters: &str) -> Outcome {
    let mail = Mail::simple(subject);
    let text = String::from_utf8_lossy(&mail.bytes).replace("\r\n", "\n");
    let unique = format!("{}.demo-{}.example", mail.date.seconds, text.len());
    let (written, delivered) = (
        mailbox.join("tmp").join(&unique),
        mailbox.join("cur").join(format!("{unique}:2,{letters}")),
    );
    fs::write(&written, text)?;
    let received = SystemTime::UNIX_EPOCH + Duration::from_secs(mail.date.seconds as u64);
    fs::File::options()
        .append(true)
        .open(&written)?
        .set_modified(received)?;
    Ok(fs::rename(written, delivered)?)
}
