//! SEARCH.

use super::super::account::{Account, Message};
use super::super::body;
use super::super::parse::{Key, Returns};
use super::super::reply::{Refused, Reply};
use super::super::session::Session;
use super::super::set::{self, Ranges};
use super::super::view::View;

/// A [`Key`] with its sets resolved, so that each message costs little.
enum Test<'a> {
    And(Vec<Test<'a>>),
    Or(Box<Test<'a>>, Box<Test<'a>>),
    Not(Box<Test<'a>>),
    Uids(Vec<u32>),
    UidRanges(Ranges),
    Plain(&'a Key),
}

impl Session {
    pub(in super::super) fn search(
        &mut self,
        account: &Account,
        name: &str,
        uid: bool,
        key: &Key,
        returns: Option<Returns>,
    ) -> Result<Reply, Refused> {
        let by_modseq = asks_modseq(key);
        self.condstore |= by_modseq;
        let view = self.view.as_ref().expect("selected");
        let test = prepare(key, view).map_err(Reply::bad)?;
        let mailbox = account.mailbox(name);
        let found: Vec<&Message> = view
            .uids
            .iter()
            .filter_map(|uid| mailbox.messages.get(uid))
            .filter(|m| holds(&test, m, view))
            .collect();
        let number = |m: &Message| if uid { m.uid } else { view.number(m.uid).unwrap_or(0) };
        let numbers: Vec<u32> = found.iter().map(|m| number(m)).collect();
        let modseq = found
            .iter()
            .map(|m| m.modseq)
            .max()
            .filter(|_| by_modseq)
            .map(|m| self.shown_modseq(m));
        let mut reply = Reply::ok("found");
        if let Some(wanted) = returns {
            reply.untagged(&esearch(&self.tag, &numbers, uid, wanted, modseq));
        } else {
            let list: String = numbers.iter().map(|n| format!(" {n}")).collect();
            let modseq = modseq.map(|m| format!(" (MODSEQ {m})")).unwrap_or_default();
            reply.untagged(&format!("SEARCH{list}{modseq}"));
        }
        Ok(reply)
    }
}

/// RFC 4731 §3.1: what has nothing to tell is left out, but COUNT.
fn esearch(tag: &str, numbers: &[u32], uid: bool, wanted: Returns, modseq: Option<u64>) -> String {
    let mut out = format!("ESEARCH (TAG \"{tag}\")");
    if uid {
        out += " UID";
    }
    if let (Some(first), Some(last)) = (numbers.first(), numbers.last()) {
        if wanted.min {
            out += &format!(" MIN {first}");
        }
        if wanted.max {
            out += &format!(" MAX {last}");
        }
        if wanted.all {
            out += &format!(" ALL {}", set::write(numbers.iter().copied()));
        }
    }
    if wanted.count {
        out += &format!(" COUNT {}", numbers.len());
    }
    modseq.map_or(out.clone(), |m| format!("{out} MODSEQ {m}"))
}

fn prepare<'a>(key: &'a Key, view: &View) -> Result<Test<'a>, String> {
    Ok(match key {
        Key::And(keys) => Test::And(keys.iter().map(|k| prepare(k, view)).collect::<Result<_, _>>()?),
        Key::Or(a, b) => Test::Or(Box::new(prepare(a, view)?), Box::new(prepare(b, view)?)),
        Key::Not(key) => Test::Not(Box::new(prepare(key, view)?)),
        Key::Sequence(set) => Test::Uids(view.pick(set, false)?),
        Key::Uid(set) => Test::UidRanges(set.resolve(view.uids.last().copied().unwrap_or(0))),
        plain => Test::Plain(plain),
    })
}

fn holds(test: &Test, message: &Message, view: &View) -> bool {
    match test {
        Test::And(all) => all.iter().all(|t| holds(t, message, view)),
        Test::Or(a, b) => holds(a, message, view) || holds(b, message, view),
        Test::Not(test) => !holds(test, message, view),
        Test::Uids(uids) => uids.binary_search(&message.uid).is_ok(),
        Test::UidRanges(ranges) => ranges.contains(message.uid),
        Test::Plain(key) => holds_plainly(key, message, view),
    }
}

fn holds_plainly(key: &Key, message: &Message, view: &View) -> bool {
    let day = message.date.seconds.div_euclid(86400);
    match key {
        Key::Flag(name) => message.flags.has(name),
        Key::Recent => view.recent.contains(&message.uid),
        Key::ModSeq(modseq) => message.modseq >= *modseq,
        Key::Larger(size) => message.bytes.len() as u64 > *size,
        Key::Smaller(size) => (message.bytes.len() as u64) < *size,
        Key::Before(date) => day < *date,
        Key::On(date) => day == *date,
        Key::Since(date) => day >= *date,
        Key::Text(text) => contains(&message.bytes, text),
        Key::Header(name, text) => {
            let header = &message.bytes[..body::header_end(&message.bytes)];
            let named = |field: &&[u8]| body::field_name(field).eq_ignore_ascii_case(name);
            body::fields(header)
                .into_iter()
                .filter(named)
                .any(|f| contains(&body::field_value(f), text))
        }
        // The others were resolved before.
        _ => true,
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|w| w.eq_ignore_ascii_case(text))
}

fn asks_modseq(key: &Key) -> bool {
    match key {
        Key::ModSeq(_) => true,
        Key::And(keys) => keys.iter().any(asks_modseq),
        Key::Or(a, b) => asks_modseq(a) || asks_modseq(b),
        Key::Not(key) => asks_modseq(key),
        _ => false,
    }
}
