//! FETCH.

use super::super::account::{Account, Mailbox, Message};
use super::super::body;
use super::super::date::Date;
use super::super::parse::{Item, Section};
use super::super::reply::{Line, Refused, Reply};
use super::super::session::Session;
use super::super::set::Set;
use super::super::view::View;

/// A FETCH.
#[derive(Debug)]
pub struct Ask {
    pub uid: bool,
    pub set: Set,
    pub items: Vec<Item>,
    pub changed_since: Option<u64>,
    pub vanished: bool,
}

impl Session {
    pub(in super::super) fn fetch(&mut self, account: &mut Account, name: &str, ask: &Ask) -> Result<Reply, Refused> {
        if ask.vanished && !self.qresync {
            self.shared
                .complain(self.number, b"UID FETCH", "VANISHED before ENABLE QRESYNC");
            return Err(Reply::bad("QRESYNC is not enabled"));
        }
        self.condstore |= ask.changed_since.is_some() || ask.items.contains(&Item::ModSeq);
        let mut view = self.view.take().expect("selected");
        let mailbox = account.mailbox_mut(name);
        let reply = self.fetch_from(mailbox, &mut view, ask);
        self.view = Some(view);
        reply
    }

    fn fetch_from(&self, mailbox: &mut Mailbox, view: &mut View, ask: &Ask) -> Result<Reply, Refused> {
        let uids = view.pick(&ask.set, ask.uid).map_err(Reply::bad)?;
        let mut reply = Reply::ok("fetched");
        if let (true, Some(modseq)) = (ask.vanished, ask.changed_since) {
            let ranges = ask.set.resolve(mailbox.uid_next.saturating_sub(1));
            let mut gone = self.gone_since(mailbox, modseq);
            gone.retain(|&uid| ranges.contains(uid));
            self.tell_earlier(mailbox, gone, &mut reply);
        }
        let sees = ask.items.iter().any(|item| match item {
            Item::Body { peek, .. } => !peek,
            Item::Rfc822(_, section) => *section != Section::Header,
            _ => false,
        });
        let mut missing = false;
        for uid in uids {
            let Some(message) = mailbox.messages.get(&uid) else {
                missing = true;
                continue;
            };
            if ask.changed_since.is_some_and(|since| message.modseq <= since) {
                continue;
            }
            let mut flags = message.flags.clone();
            flags.insert("\\Seen");
            let saw = sees && !view.read_only && mailbox.set_flags(uid, &flags);
            let message = mailbox.message(uid);
            if saw {
                view.tell_own(uid, message.modseq);
            }
            reply.lines.push(self.fetch_line(message, view, ask, saw));
        }
        if missing && !ask.uid {
            (reply.status, reply.text) = (super::super::Status::No, "[EXPUNGEISSUED] some are gone".to_owned());
        }
        Ok(reply)
    }

    fn fetch_line(&self, message: &Message, view: &View, ask: &Ask, saw: bool) -> Line {
        let mut line = Line::default();
        line.text(&format!("* {} FETCH (", view.number(message.uid).unwrap_or(0)));
        let mut items = ask.items.clone();
        // RFC 3501 §6.4.8 and RFC 7162 §3.1.4.1: what comes without being asked for.
        if ask.uid && !items.contains(&Item::Uid) {
            items.insert(0, Item::Uid);
        }
        if ask.changed_since.is_some() && !items.contains(&Item::ModSeq) {
            items.push(Item::ModSeq);
        }
        if saw && !items.contains(&Item::Flags) {
            items.push(Item::Flags);
        }
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                line.text(" ");
            }
            self.item(&mut line, message, view, item);
        }
        line.text(")\r\n");
        line
    }

    fn item(&self, line: &mut Line, message: &Message, view: &View, item: &Item) {
        match item {
            Item::Uid => line.text(&format!("UID {}", message.uid)),
            Item::Flags => line.text(&format!("FLAGS ({})", view.flags(message))),
            Item::InternalDate => {
                let date = Date {
                    seconds: message.date.seconds + self.lies.date,
                    ..message.date
                };
                line.text(&format!("INTERNALDATE \"{date}\""));
            }
            Item::Size => {
                let size = (message.bytes.len() as i64 + self.lies.size).max(0);
                line.text(&format!("RFC822.SIZE {size}"));
            }
            Item::ModSeq => line.text(&format!("MODSEQ ({})", self.shown_modseq(message.modseq))),
            Item::EmailId => line.text(&format!("EMAILID (M{:x})", message.content_number())),
            Item::GmailId => line.text(&format!("X-GM-MSGID {}", message.content_number())),
            Item::Rfc822(name, section) => {
                let (bytes, range) = body::section(&message.bytes, section, self.lies.withholds_a_field);
                line.text(&format!("{name} "));
                line.literal(&bytes, range);
            }
            Item::Body { section, partial, .. } => {
                let (bytes, mut range) = body::section(&message.bytes, section, self.lies.withholds_a_field);
                line.text(&format!("BODY[{}]", section_name(section)));
                if let Some((from, count)) = partial {
                    line.text(&format!("<{from}>"));
                    let start = (range.start + from).min(range.end);
                    range = start..range.end.min(start + count);
                }
                line.text(" ");
                line.literal(&bytes, range);
            }
        }
    }
}

fn section_name(section: &Section) -> String {
    match section {
        Section::All => String::new(),
        Section::Header => "HEADER".to_owned(),
        Section::Text => "TEXT".to_owned(),
        Section::Fields { names, not } => {
            format!("HEADER.FIELDS{} ({})", if *not { ".NOT" } else { "" }, names.join(" "))
        }
    }
}
