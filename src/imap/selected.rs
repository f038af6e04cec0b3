//! What a server tells of a mailbox when it is opened, and while it is open.

use super::code::Code;
use super::response::{Data, Reply};
use crate::model::{Flags, IdSet, MailboxIdentity, Permanent};

/// An open mailbox (RFC 9051 §6.3.2, RFC 7162 §3.1.2).
#[derive(Clone, Debug, Default)]
pub(super) struct Selected {
    pub(super) validity: Option<u64>,
    pub(super) uidnext: Option<u64>,
    /// 0: the mailbox has none.
    pub(super) modseq: u64,
    /// How many messages it holds now.
    pub(super) exists: u64,
    /// How many it held at the least, and at the most, since it was opened.
    pub(super) least: u64,
    pub(super) most: u64,
    pub(super) flags: Flags,
    pub(super) permanent: Option<Permanent>,
    pub(super) read_only: bool,
    pub(super) identity: Option<MailboxIdentity>,
}

impl Selected {
    /// Takes note of untagged data.
    pub(super) fn note(&mut self, data: &Data<'_>) {
        match data {
            Data::Exists(count) => self.count(*count),
            Data::Expunge => self.count(self.exists.saturating_sub(1)),
            // RFC 7162 §3.2.10: EARLIER tells of what EXISTS does not count any more.
            Data::Vanished { earlier: false, ids } => self.count(self.exists.saturating_sub(ids.len())),
            Data::Flags(flags) => self.flags = flags.clone(),
            Data::Status(reply) => self.note_code(reply),
            _ => {}
        }
    }

    /// Takes note of a code, in untagged data or in the answer.
    pub(super) fn note_code(&mut self, reply: &Reply) {
        match &reply.code {
            Code::UidValidity(validity) => self.validity = Some(*validity),
            Code::UidNext(next) => self.uidnext = Some(*next),
            Code::HighestModSeq(modseq) => self.modseq = *modseq,
            Code::PermanentFlags(permanent) => self.permanent = Some(permanent.clone()),
            Code::ReadOnly => self.read_only = true,
            Code::MailboxId(identity) => self.identity = Some(identity.clone()),
            _ => {}
        }
    }

    /// Whether a list of all ids agrees with the count, messages that came or went meanwhile allowed for.
    pub(super) fn agrees(&self, ids: &IdSet) -> bool {
        (self.least..=self.most).contains(&ids.len())
    }

    fn count(&mut self, count: u64) {
        self.exists = count;
        self.least = self.least.min(count);
        self.most = self.most.max(count);
    }

    /// The mailbox is open: what it holds is counted from here.
    pub(super) fn settle(&mut self) {
        self.least = self.exists;
        self.most = self.exists;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::response::{Response, parse};

    #[test]
    fn a_mailbox_as_it_is_told() {
        let mut open = Selected::default();
        for line in [
            "* FLAGS (\\Seen Work)",
            "* 3 EXISTS",
            "* OK [UIDVALIDITY 7] ok",
            "* OK [UIDNEXT 10] ok",
            "* OK [HIGHESTMODSEQ 20] ok",
            "* OK [PERMANENTFLAGS (\\Seen \\*)] ok",
            "* VANISHED (EARLIER) 1:4",
            "H1 OK done",
            "* 5 EXISTS",
            "* 2 EXPUNGE",
            "* VANISHED 6:7",
        ] {
            match parse(line.as_bytes()) {
                Response::Data(data) => open.note(&data),
                Response::Tagged(..) => open.settle(),
                other => panic!("{line}: {other:?}"),
            }
        }
        assert_eq!((open.validity, open.uidnext, open.modseq), (Some(7), Some(10), 20));
        assert_eq!((open.exists, open.least, open.most), (2, 2, 5));
        assert!(open.permanent.is_some_and(|p| p.any_keyword) && open.flags.to_string() == "\\Seen Work");
    }
}
