//! APPEND.

use super::super::account::{Account, Mailbox};
use super::super::date::Date;
use super::super::flags::Flags;
use super::super::parse::Appended;
use super::super::reply::{Refused, Reply};
use super::super::session::Session;
use super::super::set;

impl Session {
    /// Why a message of that size can't be appended, known before it is sent.
    pub(in super::super) fn refuse_append(&self, account: &Account, name: &str, size: usize) -> Option<Reply> {
        let setup = &self.shared.setup;
        let Some(mailbox) = account.mailboxes.get(name) else {
            return Some(Reply::no(format!("[TRYCREATE] no mailbox {name:?}")));
        };
        if mailbox.read_only {
            return Some(Reply::no("[NOPERM] read-only"));
        }
        if setup.append_limit.is_some_and(|limit| size > limit) {
            return Some(Reply::no("[TOOBIG] larger than the limit"));
        }
        let used = || {
            account
                .mailboxes
                .values()
                .flat_map(Mailbox::iter)
                .map(|m| m.bytes.len())
                .sum::<usize>()
        };
        let full = setup.quota.is_some_and(|quota| used() + size > quota);
        full.then(|| Reply::no("[OVERQUOTA] the account is full"))
    }

    pub(in super::super) fn append(
        &mut self,
        account: &mut Account,
        name: &str,
        messages: &[Appended],
    ) -> Result<Reply, Refused> {
        // RFC 3502 §6.3.11: all or nothing.
        let sizes = messages.iter().map(|m| m.bytes.len());
        let refused = sizes.clone().find_map(|size| self.refuse_append(account, name, size));
        let refused = refused.or_else(|| self.refuse_append(account, name, sizes.max().unwrap_or(0)));
        if let Some(refused) = refused {
            return Err(refused);
        }
        if self.lies.refuses_keywords && messages.iter().any(|m| has_keyword(&m.flags)) {
            return Err(Reply::no("[CANNOT] no keywords here"));
        }
        let mut uids = Vec::new();
        for message in messages {
            let flags = self.kept(account, name, &message.flags);
            let date = message.date.unwrap_or_else(now);
            let bytes = if self.lies.mends_line_ends {
                mended(&message.bytes)
            } else {
                message.bytes.clone()
            };
            let bytes = if self.lies.spoils_headers {
                spoiled(bytes)
            } else {
                bytes
            };
            uids.push(account.mailbox_mut(name).add(bytes.into(), &flags, date));
        }
        let validity = account.mailbox(name).uid_validity;
        let code = (self.caps().has("UIDPLUS") && !self.lies.no_append_uid)
            .then(|| format!("[APPENDUID {validity} {}] ", set::write(uids)));
        Ok(Reply::ok(code.unwrap_or_default() + "appended"))
    }

    /// The flags that the server really keeps of these: it may lie.
    pub(super) fn kept(&self, account: &Account, name: &str, flags: &Flags) -> Flags {
        if self.lies.drops_flags {
            return Flags::default();
        }
        let kept = flags.filter(|name| !self.lies.drops_keywords || name.starts_with('\\'));
        if !self.lies.first_spelling {
            return kept;
        }
        let spelled = |flag: &str| {
            let mut known = account.mailbox(name).iter().flat_map(|m| m.flags.names());
            known.find(|k| k.eq_ignore_ascii_case(flag)).unwrap_or(flag).to_owned()
        };
        Flags::new(kept.names().map(spelled))
    }
}

pub(super) fn has_keyword(flags: &Flags) -> bool {
    flags.names().any(|name| !name.starts_with('\\'))
}

fn now() -> Date {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Date::utc(since.as_secs() as i64)
}

/// Each lone LF as CRLF.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if byte == b'\n' && out.last() != Some(&b'\r') {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

fn spoiled(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or(bytes.len());
    for byte in &mut bytes[..end] {
        if !byte.is_ascii() {
            *byte = b'X';
        }
    }
    bytes
}
