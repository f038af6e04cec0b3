//! Turns what landed into base rows.

use super::Executor;
use super::notes::{one, settle_flags};
use crate::error::{Failure, Result, Retry};
use crate::model::{
    ContentDigest, Envelope, EnvelopeKey, Flags, Gone, Half, HeaderDigest, Id, Identity, MailboxId, Pair, PairId, Side,
};
use crate::plan::{Action, Match, Rule, Step, merge};
use crate::state::ProblemKey;
use crate::store::Head;

impl Executor<'_> {
    /// The id, if it is one of the mailbox as the books know it; the first answer from a mailbox just made tells under
    /// which validity its ids are.
    pub(super) fn id_under(
        &self,
        mailbox: MailboxId,
        side: Side,
        id: Option<Id>,
        validity: Option<u64>,
    ) -> Result<Option<Id>> {
        let Some(validity) = validity else { return Ok(id) };
        let known = self.scene.state.validity_or_set(mailbox, side, validity)?;
        Ok(id.filter(|_| known == validity))
    }

    /// The id that the partner of a message got on that side. None where another message has it already: the server holds
    /// the two as one (DESIGN 8a, "servers that merge"). It counts as sent, and is never sent again.
    pub(super) fn own_id(&self, mailbox: MailboxId, side: Side, id: Option<Id>, partner: Id) -> Result<Option<Id>> {
        let Some(there) = id.filter(|_| !self.scene.stores[side as usize].keeps_flags()) else {
            return Ok(id);
        };
        let holder = self.scene.state.partner(mailbox, side, there)?;
        let holds = holder.and_then(|pair| pair.half(side.other()).id);
        Ok(id.filter(|_| holds.is_none_or(|holds| holds == partner)))
    }

    /// A message landed on that side.
    pub(super) fn book_landed(
        &mut self,
        mailbox: MailboxId,
        to: Side,
        head: &Head,
        identity: &Identity,
        id: Option<Id>,
        given: Flags,
    ) -> Result<()> {
        let state = self.scene.state;
        let from = to.other();
        let unseen = !self.scene.stores[to as usize].keeps_flags();
        let id = self.own_id(mailbox, to, id, head.id)?;
        if let (true, Some(id)) = (unseen, id) {
            self.sent.entry(mailbox).or_default().insert(id);
        }
        let target = Half {
            id,
            flags: given,
            unseen,
            gone: Gone::No,
            // What a server tells as its size need not be what was sent: it is looked at next.
            size: (!unseen).then_some(identity.size),
            ..Half::default()
        };
        let source = half_of(head, head.flags.clone());
        if let Some(pair) = state.partner(mailbox, from, head.id)? {
            state.set_half(pair.id, to, &target)?;
            state.set_half(pair.id, from, &source)?;
        } else {
            state.add_pair(&base_row(mailbox, to, target, source, identity))?;
        }
        state.settle(mailbox, from, &one(head.id))?;
        if identity.eight_bit && unseen {
            state.doubt(mailbox, from, head.id)?;
        }
        if identity.bare_cr && unseen {
            // Dovecot and Courier were seen to drop it and to say OK.
            let what = "it was sent, but holds a CR without a LF: the server may have changed that";
            let hint = "the copy here is whole; compare the two if it matters";
            let doubt = Failure::message(what).retry(Retry::Never).hint(hint);
            self.fail(ProblemKey::Message(mailbox, from, head.id), doubt)?;
        }
        Ok(())
    }

    /// A message arrived whose equal was there already, without a partner.
    pub(super) fn book_met(
        &mut self,
        mailbox: MailboxId,
        to: Side,
        head: &Head,
        identity: &Identity,
        id: Id,
    ) -> Result<()> {
        let state = self.scene.state;
        let from = to.other();
        self.met.entry((mailbox, to)).or_default().insert(id);
        let there = self.flags_of(mailbox, to, id)?;
        let source = half_of(head, Flags::none());
        let pair = if let Some(mut pair) = state.partner(mailbox, to, id)? {
            // A base row that had lost its id here keeps the flags that both sides agreed on.
            let half = &mut pair.halves[from as usize];
            *half = Half {
                flags: half.flags.clone(),
                ..source
            };
            state.set_half(pair.id, from, &pair.halves[from as usize])?;
            pair
        } else {
            let [base_source, base_target] = Match::base_flags(&head.flags, &there);
            let source = Half {
                flags: base_source,
                ..source
            };
            let target = Half {
                id: Some(id),
                flags: base_target,
                // As its own side told it: the two copies can differ in the marks of sync tools.
                size: self.scene.waiting.get(&(mailbox, to, id)).map(|there| there.size),
                ..Half::default()
            };
            let mut pair = base_row(mailbox, to, target, source, identity);
            pair.id = state.add_pair(&pair)?;
            pair
        };
        state.settle(mailbox, from, &one(head.id))?;
        state.settle(mailbox, to, &one(id))?;
        self.outcome.paired += 1;
        let now = if to == Side::Left {
            [&there, &head.flags]
        } else {
            [&head.flags, &there]
        };
        self.merge_late(&pair, now)
    }

    /// The flags that a message without a partner has, as far as they were looked at; else those that wait; else those of its
    /// base row.
    fn flags_of(&self, mailbox: MailboxId, side: Side, id: Id) -> Result<Flags> {
        let state = self.scene.state;
        if let Some(waiting) = self.scene.waiting.get(&(mailbox, side, id)) {
            return Ok(waiting.flags.clone());
        }
        if let Some(changed) = state.pending_flags(mailbox, side, id)? {
            return Ok(changed);
        }
        let pair = state.partner(mailbox, side, id)?;
        Ok(pair.map_or_else(Flags::none, |pair| pair.half(side).flags.clone()))
    }

    /// Plans the flags of a pair that came about on the way, from what each side holds now; they are set in a later phase.
    pub(super) fn merge_late(&mut self, pair: &Pair, now: [&Flags; 2]) -> Result<()> {
        let merged = merge([&pair.halves[0].flags, &pair.halves[1].flags], now);
        // What both changed alike is settled by that: else it would be sent with the next change.
        settle_flags(self, pair, Side::Left, &merged.agreed_add, &merged.agreed_remove, None)?;
        let Some(names) = self.scene.names.get(&pair.mailbox) else {
            return Ok(());
        };
        let path = names.path.clone();
        for on in Side::BOTH {
            let (add, remove) = (merged.add[on as usize].clone(), merged.remove[on as usize].clone());
            let from = on.other();
            let (Some(there), false) = (pair.half(from).id, add.is_empty() && remove.is_empty()) else {
                continue;
            };
            // They wait until they are set: if this run does not come to that, no mailbox need tell of them again.
            let state = self.scene.state;
            state.add_pending_flags(pair.mailbox, from, there, now[from as usize])?;
            let id = pair.half(on).id;
            if let (Rule::Spread, Some(id)) = (self.scene.policy.of(from).flags, id) {
                let action = Action::SetFlags {
                    on,
                    ids: one(id),
                    add,
                    remove,
                };
                self.late.push(Step {
                    mailbox: pair.mailbox,
                    path: path.clone(),
                    action,
                    why: "changed on the way",
                });
            }
        }
        Ok(())
    }
}

/// A message as it was when it was read.
fn half_of(head: &Head, flags: Flags) -> Half {
    Half {
        id: Some(head.id),
        flags,
        unseen: false,
        gone: Gone::No,
        size: Some(head.size),
        date: Some(head.date),
        object: head.object.clone(),
    }
}

/// A base row of two messages that look for their halves: what either is known by.
pub(super) fn row_of(mailbox: MailboxId, seen: [Option<&Envelope>; 2]) -> Pair {
    let known = |of: fn(&Envelope) -> Option<[u8; 16]>| seen.into_iter().flatten().find_map(of);
    let whole = seen.into_iter().flatten().find(|seen| seen.content.is_some());
    Pair {
        id: PairId(0),
        mailbox,
        halves: Default::default(),
        size: whole.or(seen[0]).map_or(0, |seen| seen.size.saturating_sub(seen.marks)),
        content: ContentDigest(known(|seen| seen.content.map(|c| c.0)).unwrap_or_default()),
        header: HeaderDigest(known(|seen| seen.header.map(|h| h.0)).unwrap_or_default()),
        envelope: known(|seen| seen.envelope.map(|e| e.0)).map(EnvelopeKey),
    }
}

fn base_row(mailbox: MailboxId, to: Side, target: Half, source: Half, identity: &Identity) -> Pair {
    let halves = if to == Side::Left {
        [target, source]
    } else {
        [source, target]
    };
    Pair {
        id: PairId(0),
        mailbox,
        halves,
        size: identity.size - identity.marks,
        content: identity.content,
        header: identity.header,
        envelope: identity.envelope,
    }
}
