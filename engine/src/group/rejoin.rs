//! The way back for a member that cannot follow its group any more.
//!
//! It asks every admin that is a contact, with a key package drawn for the purpose, and one of them removes it and adds it
//! again in one commit. All key packages of one asking have one copy key, which stands in the tree afterwards: so an admin
//! whose commit came second sees that there is nothing left to do.

use std::time::Duration;

use hermes_protocol::{
    content::Body,
    group::{GroupId, KeyPackage, Member},
    identity::Fingerprint,
};
use hermes_wire::{RelayAddress, Sequence, Timestamp, channel::CopyKey};
use serde_bytes::ByteBuf;

use super::{
    CardKey, CardRecord, GroupRecord, GroupStanding, LostReason, MemberRecord, OfferKey, OfferRow,
    RebuiltKey, RebuiltRecord, RejoinKey, RejoinRecord,
    key_package::is_of,
    record::{Round, Wanted},
};
use crate::{
    id::{ChatId, GuestId},
    limits::{
        GROUP_ROWS, GROUPS, OUTBOX_ROWS_FOR_RECEIPTS, OVERTAKEN, REJOIN_ADMINS, REJOIN_HEEDED, REJOIN_ROUND,
    },
    row::{ContactRecord, StoreStanding},
    rows::StoreResult,
    store::{Range, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// What time brings about: who has missed a commit is lost, and who is lost asks.
    pub(crate) fn look_after_groups(&mut self) -> StoreResult<(), V> {
        for (chat, group) in self.scan::<GroupRecord>(&Range::all(), GROUPS)? {
            self.forget_old_frozen_epoch(chat)?;
            match self.left_behind(&group)? {
                Some(reason) => self.lose(chat, group, reason)?,
                None => {
                    self.ask_to_be_added_again(chat, &group)?;
                    self.ask_for_places_again(chat, &group)?;
                    self.update_in_turn(chat, group)?;
                }
            }
        }
        Ok(())
    }

    /// The commit that overtook a post was put into the mailbox before the post was refused. Whoever has emptied it since
    /// then has not got it.
    fn left_behind(&self, group: &GroupRecord) -> StoreResult<Option<LostReason>, V> {
        let follows = matches!(group.standing, GroupStanding::Member | GroupStanding::Leaving);
        let Some(overtaken) = group.overtaken.filter(|_| follows && group.awaiting.is_none()) else {
            return Ok(None);
        };
        let (cursor, drained) = match self.mailbox_in(group)? {
            Some(guest) => {
                let position = self.guest_position(guest)?;
                (position.cursor, position.drained)
            }
            None => (self.counters.cursor, self.counters.drained),
        };
        let emptied = overtaken.head.is_some_and(|head| cursor >= head);
        let long_ago = drained > overtaken.since && drained.since(overtaken.since) >= OVERTAKEN;
        Ok((emptied || long_ago).then_some(overtaken.reason))
    }

    /// The mailbox at another relay in which a group's copies arrive, if it is not the account's own.
    fn mailbox_in(&self, group: &GroupRecord) -> StoreResult<Option<GuestId>, V> {
        let card = self.get::<CardRecord>(&CardKey(group.card))?;
        Ok(card.and_then(|card| card.at).map(|place| place.guest))
    }

    /// A mailbox was opened, and this is the highest sequence in it.
    pub(crate) fn note_head_for_groups(
        &mut self,
        head: Sequence,
        mailbox: Option<GuestId>,
    ) -> StoreResult<(), V> {
        for (chat, mut group) in self.scan::<GroupRecord>(&Range::all(), GROUPS)? {
            if group.overtaken.is_none() || self.mailbox_in(&group)? != mailbox {
                continue;
            }
            if let Some(overtaken) = group.overtaken.as_mut().filter(|overtaken| overtaken.head.is_none()) {
                overtaken.head = overtaken.reopened.then_some(head);
                overtaken.reopened = true;
                self.put(&chat, &group);
            }
        }
        Ok(())
    }

    /// Another contact can be written to, or the same one again.
    pub(crate) fn ask_admin_of_lost_groups(&mut self, contact: Fingerprint) -> StoreResult<(), V> {
        for (chat, group) in self.scan::<GroupRecord>(&Range::all(), GROUPS)? {
            if group.context.admins.contains(&contact) {
                self.ask_to_be_added_again(chat, &group)?;
            }
        }
        Ok(())
    }

    /// Asks the admins of a group that is lost, each once in a round.
    pub(super) fn ask_to_be_added_again(&mut self, chat: ChatId, group: &GroupRecord) -> StoreResult<(), V> {
        let lost = matches!(group.standing, GroupStanding::Lost(_));
        if !lost || self.counters.standing != StoreStanding::Newest {
            return Ok(());
        }
        let mut record = self.rejoin_record(chat)?;
        let mut round = match record.round.take() {
            Some(round) if apart(round.since, self.now) < REJOIN_ROUND => round,
            // Most likely its wish to leave was granted before it was lost. Should somebody add it yet, it leaves then.
            Some(_) if record.leaving => {
                self.put(&RejoinKey(chat), &record);
                let mut left = GroupRecord { standing: GroupStanding::Left, ..group.clone() };
                return self.end_group(chat, &mut left);
            }
            _ => Round { since: self.now, copy_key: CopyKey::random(self.rng), asked: Vec::new() },
        };
        let me = self.account.fingerprint();
        let mut asked = 0;
        for admin in &group.context.admins {
            let full = asked >= REJOIN_ADMINS || self.counters.outbox >= OUTBOX_ROWS_FOR_RECEIPTS;
            let shunned = *admin == me || record.frozen_by == Some(*admin) || round.asked.contains(admin);
            if full || shunned {
                continue;
            }
            let Some((contact_chat, contact)) = self.contact_with(admin)? else { continue };
            if self.ask(contact_chat, contact, group, &round.copy_key)? {
                round.asked.push(*admin);
                asked = asked.saturating_add(1);
            }
        }
        if asked > 0 {
            record.round = Some(round);
            self.put(&RejoinKey(chat), &record);
        }
        Ok(())
    }

    /// Whether the asking is on its way.
    fn ask(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
        group: &GroupRecord,
        copy_key: &CopyKey,
    ) -> StoreResult<bool, V> {
        if !contact.answered || contact.active.is_none() || contact.trust.change.is_some() {
            return Ok(false);
        }
        let here = group.context.relay.is_same(&self.account.relay);
        let guest = if here { None } else { self.guest_at(&group.context.relay)? };
        // Without its mailbox there is no way back: an admin has to remove it and add it.
        if !here && !guest.as_ref().is_some_and(|(_, record)| record.registered) {
            return Ok(false);
        }
        let at = guest.as_ref().map(|(guest, record)| (*guest, record));
        let drawn = self.draw_key_package_at(chat, copy_key.clone(), at);
        let Some((card, package)) = drawn else { return Ok(false) };
        let body = Body::GroupRejoin { group: group.id, package: ByteBuf::from(package) };
        if self.post(chat, &contact, body)?.is_err() {
            self.forget_key_package(card)?;
            return Ok(false);
        }
        if let Some((guest, _)) = guest {
            self.note_given_at(guest, chat, card)?;
        }
        self.note_given(&mut contact, card)?;
        self.put(&chat, &contact);
        Ok(true)
    }

    /// The place in a group is lost, or once more: what was asked before counts no more.
    pub(super) fn note_lost(&mut self, chat: ChatId, group: &GroupRecord) -> StoreResult<(), V> {
        let mut record = self.rejoin_record(chat)?;
        record.round = None;
        record.since.get_or_insert(self.now);
        record.leaving |= group.standing == GroupStanding::Leaving;
        if let GroupStanding::Frozen(author, _) = &group.standing {
            record.frozen_by = Some(*author);
        }
        self.put(&RejoinKey(chat), &record);
        Ok(())
    }

    /// This account is a member again, or for the first time. Whether it was leaving when it lost its place.
    pub(super) fn has_come_back(&mut self, chat: ChatId) -> StoreResult<bool, V> {
        let leaving = self.rejoin_record(chat)?.leaving;
        self.delete::<RejoinRecord>(&RejoinKey(chat));
        Ok(leaving)
    }

    /// Whether nobody has added this account again, though there was time, or there is nobody who could.
    pub(super) fn is_given_up(&self, chat: ChatId, group: &GroupRecord) -> StoreResult<bool, V> {
        let record = self.rejoin_record(chat)?;
        if record.since.is_none_or(|since| apart(since, self.now) >= REJOIN_ROUND) {
            return Ok(true);
        }
        let me = self.account.fingerprint();
        for admin in group.context.admins.iter().filter(|admin| **admin != me) {
            if self.contact_with(admin)?.is_some_and(|(_, contact)| contact.answered) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn rejoin_record(&self, chat: ChatId) -> StoreResult<RejoinRecord, V> {
        Ok(self.get(&RejoinKey(chat))?.unwrap_or_default())
    }

    /// A contact has lost its place in a group. Whoever is no member of it, or not heard from an admin, is passed over in
    /// silence: it learns nothing of who is in which group.
    pub(crate) fn asked_to_add_again(
        &mut self,
        contact_chat: ChatId,
        contact: &ContactRecord,
        group: GroupId,
        package: &[u8],
    ) -> StoreResult<(), V> {
        if contact.trust.change.is_some() {
            return Ok(());
        }
        let me = self.account.fingerprint();
        let heeds = |row: &GroupRecord| {
            row.id == group && row.standing == GroupStanding::Member && row.context.admins.contains(&me)
        };
        let groups = self.scan::<GroupRecord>(&Range::all(), GROUPS)?;
        let Some((chat, mut group)) = groups.into_iter().find(|(_, row)| heeds(row)) else { return Ok(()) };
        // Whoever asked while the group moved finds the way on in its mailbox, or asks again.
        let moved: Option<RebuiltRecord> = self.get(&RebuiltKey(chat))?;
        if moved.is_some_and(|moved| apart(moved.since, self.now) < REJOIN_HEEDED) {
            return Ok(());
        }
        let members = self.scan::<MemberRecord>(&Range::prefix(&chat.0), GROUP_ROWS)?;
        if !members.iter().any(|(_, member)| member.fingerprint == contact.fingerprint) {
            return Ok(());
        }
        let mut record = self.rejoin_record(chat)?;
        record.heeded.retain(|(_, at)| apart(*at, self.now) < REJOIN_HEEDED);
        let heeded = record.heeded.iter().any(|(member, _)| *member == contact.fingerprint);
        if heeded || !is_of(contact, package) {
            return Ok(());
        }
        record.heeded.push((contact.fingerprint, self.now));
        self.put(&RejoinKey(chat), &record);
        let number = self.keep_offer(contact_chat, contact, package)?;
        let earlier = |wanted: &Wanted| matches!(wanted, Wanted::Replace(of, _) if *of == contact_chat);
        group.wanted.retain(|wanted| !earlier(wanted));
        group.wanted.push(Wanted::Replace(contact_chat, number));
        self.drive(chat, group)
    }

    /// The key package with which a member is added again; `None` if that has been done, or the key package is gone: then it
    /// asks again.
    pub(super) fn replacement(
        &self,
        key: &OfferKey,
        contact: &ContactRecord,
        relay: &RelayAddress,
        member: &Member,
    ) -> StoreResult<Option<KeyPackage>, V> {
        let here = contact.ticket.relay.is_same(relay);
        let Some(OfferRow(package)) = self.get(key)? else { return Ok(None) };
        // It keeps its mailbox, or has another one of its own: nobody else's.
        let package = KeyPackage::check(package.expose(), &contact.fingerprint).ok();
        let own = |package: &KeyPackage| {
            let mailbox = package.card().mailbox;
            mailbox == member.card.mailbox || (here && mailbox == contact.ticket.mailbox)
        };
        Ok(package.filter(own).filter(|package| package.card().copy_key != member.card.copy_key))
    }
}

/// Between two readings of a clock that may have been set.
pub(crate) fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}
