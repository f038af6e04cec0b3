//! LIST, LSUB, NAMESPACE, STATUS.

use std::collections::BTreeSet;

use super::super::account::{Account, Mailbox};
use super::super::names;
use super::super::parse::{ListArgs, StatusItem};
use super::super::reply::{Line, Refused, Reply};
use super::super::session::Session;
use super::existing;

impl Session {
    fn separator(&self) -> String {
        self.shared
            .setup
            .separator
            .map_or("NIL".into(), |s| names::quoted(&s.to_string()))
    }

    fn wire_name(&self, name: &str) -> String {
        names::encode(name, self.utf8)
    }

    pub(in super::super) fn list(&mut self, account: &Account, args: &ListArgs) -> Reply {
        let mut reply = Reply::ok("done");
        if !args.lsub && args.patterns == [""] {
            reply.untagged(&format!("LIST (\\Noselect) {} \"\"", self.separator()));
            return reply;
        }
        self.condstore |= args.return_status.contains(&StatusItem::HighestModSeq);
        for name in self.listed(account, args) {
            let attributes = self.attributes(account, args, &name);
            if args.select_special_use && account.mailboxes.get(&name).is_none_or(|m| m.role.is_none()) {
                continue;
            }
            let verb = if args.lsub { "LSUB" } else { "LIST" };
            self.name_line(
                &mut reply,
                &format!("{verb} ({attributes}) {}", self.separator()),
                &name,
            );
            if args.return_status.is_empty() {
                continue;
            }
            match account.mailboxes.get(&name) {
                Some(mailbox) => self.status_line(&mut reply, &name, mailbox, &args.return_status),
                None if self.lies.ghosts => reply.untagged(&format!("NO no mailbox {name:?}")),
                None => {}
            }
        }
        reply
    }

    /// The names that a LIST or LSUB shows, before attributes are looked at.
    fn listed(&self, account: &Account, args: &ListArgs) -> Vec<String> {
        let subscribed = args.lsub || args.select_subscribed;
        let all: BTreeSet<String> = if subscribed {
            account.subscribed.clone()
        } else {
            account.mailboxes.keys().cloned().chain(account.implied()).collect()
        };
        let separator = self.shared.setup.separator;
        let shown = |name: &String| {
            let wire = self.wire_name(name);
            args.patterns.iter().any(|pattern| {
                let pattern = format!("{}{pattern}", args.reference);
                let inbox = name == "INBOX" && names::matches(&pattern.to_ascii_uppercase(), "INBOX", separator);
                inbox || names::matches(&pattern, &wire, separator)
            })
        };
        all.into_iter().filter(shown).collect()
    }

    fn attributes(&self, account: &Account, args: &ListArgs, name: &str) -> String {
        let mut out = Vec::new();
        let mailbox = account.mailboxes.get(name);
        if mailbox.is_none() && !args.lsub && !(args.extended && self.lies.ghosts) {
            // RFC 5258 §3: \NonExistent implies \Noselect, but only those who speak the extension know it.
            out.push(if args.extended { "\\NonExistent" } else { "\\Noselect" });
        }
        if !args.lsub && (self.caps().has("CHILDREN") || args.return_children) {
            let none = account.inferiors(name).is_empty();
            out.push(if none { "\\HasNoChildren" } else { "\\HasChildren" });
        }
        if args.return_subscribed && account.subscribed.contains(name) {
            out.push("\\Subscribed");
        }
        if self.caps().has("SPECIAL-USE") && (args.return_special_use || !args.extended) {
            out.extend(mailbox.and_then(|m| m.role.as_deref()));
        }
        out.join(" ")
    }

    /// `* start name rest`, the name quoted or as a literal.
    fn name_line(&self, reply: &mut Reply, start: &str, name: &str) {
        let wire = self.wire_name(name);
        let mut line = Line::default();
        line.text(&format!("* {start} "));
        if self.shared.setup.names_as_literals {
            let bytes = wire.as_bytes().into();
            line.literal(&bytes, 0..wire.len());
        } else {
            line.text(&names::astring(&wire));
        }
        line.text("\r\n");
        reply.lines.push(line);
    }

    pub(in super::super) fn namespace(&self) -> Reply {
        let mut reply = Reply::ok("done");
        let prefix = names::quoted(&self.wire_name(&self.shared.setup.prefix));
        reply.untagged(&format!("NAMESPACE (({prefix} {})) NIL NIL", self.separator()));
        reply
    }

    pub(in super::super) fn status(
        &mut self,
        account: &Account,
        name: &str,
        items: &[StatusItem],
    ) -> Result<Reply, Refused> {
        existing(account, name)?;
        self.condstore |= items.contains(&StatusItem::HighestModSeq);
        let mut reply = Reply::ok("done");
        self.status_line(&mut reply, name, account.mailbox(name), items);
        Ok(reply)
    }

    fn status_line(&self, reply: &mut Reply, name: &str, mailbox: &Mailbox, items: &[StatusItem]) {
        let lies = &self.lies;
        let tell = |item: &StatusItem| {
            Some(match item {
                StatusItem::Messages => format!("MESSAGES {}", mailbox.messages.len()),
                StatusItem::Recent => format!("RECENT {}", mailbox.messages.range(mailbox.recent_from..).count()),
                StatusItem::UidNext if lies.no_uid_next => return None,
                StatusItem::UidNext => format!("UIDNEXT {}", mailbox.uid_next),
                StatusItem::UidValidity => format!("UIDVALIDITY {}", mailbox.uid_validity),
                StatusItem::Unseen => format!("UNSEEN {}", mailbox.without("\\Seen")),
                StatusItem::HighestModSeq if lies.zero_modseq => "HIGHESTMODSEQ 0".to_owned(),
                StatusItem::HighestModSeq => format!("HIGHESTMODSEQ {}", mailbox.modseq),
                StatusItem::MailboxId => format!("MAILBOXID (F{})", mailbox.id),
                StatusItem::Size => format!("SIZE {}", mailbox.iter().map(|m| m.bytes.len()).sum::<usize>()),
                StatusItem::AppendLimit => match self.shared.setup.append_limit {
                    Some(limit) => format!("APPENDLIMIT {limit}"),
                    None => "APPENDLIMIT NIL".to_owned(),
                },
            })
        };
        let told: Vec<String> = items.iter().filter_map(tell).collect();
        let name = names::astring(&self.wire_name(name));
        reply.untagged(&format!("STATUS {name} ({})", told.join(" ")));
    }
}
