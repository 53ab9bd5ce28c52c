//! Who has a message to a group.
//!
//! Members who are contacts confirm to the author, between the two of them: in the group, each would have to hear of it.
//! What members who are no contacts have received, an author does not learn.

use hermes_protocol::{content::MessageId, group::Epoch, identity::Fingerprint};

use super::{ConfirmedRow, DeliveredKey, DeliveredRow, GroupRecord, MemberRecord};
use crate::{
    account::Lookup,
    id::ChatId,
    limits::{GROUP_RECEIPTS, GROUP_ROWS},
    row::{ContactRecord, Direction, MessageRecord, MessageState},
    rows::{PeerRow, Place, StoreResult},
    store::{Range, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// How many members confirm what they receive.
    pub(super) fn confirming(&self, epoch: &Epoch) -> StoreResult<u32, V> {
        if epoch.members.len() > GROUP_RECEIPTS {
            return Ok(0);
        }
        let mut confirming = 0_u32;
        for member in epoch.members.values() {
            if self.contact_of(&member.identity.fingerprint())?.is_some() {
                confirming = confirming.saturating_add(1);
            }
        }
        Ok(confirming)
    }

    /// The author is to hear that a message has arrived.
    pub(super) fn owe_receipt(
        &mut self,
        group: &GroupRecord,
        author: &Fingerprint,
        message: MessageId,
    ) -> StoreResult<(), V> {
        if usize::try_from(group.members).is_ok_and(|members| members <= GROUP_RECEIPTS)
            && let Some(contact) = self.contact_of(author)?
        {
            self.receipts.entry(contact).or_default().push(message);
        }
        Ok(())
    }

    /// A contact has a message to a group.
    pub(crate) fn delivered_to_member(&mut self, place: Place, contact: ChatId) -> StoreResult<(), V> {
        let Some(group) = self.get::<GroupRecord>(&place.chat)? else { return Ok(()) };
        let message: Option<MessageRecord> = self.get(&place)?;
        let sent = message.is_some_and(|message| matches!(message.direction, Direction::Sent(_)));
        let key = DeliveredKey(place, contact);
        if !sent
            || self.get::<DeliveredRow>(&key)?.is_some()
            || !self.confirms(&group, place.chat, contact)?
        {
            return Ok(());
        }
        self.put(&key, &DeliveredRow(self.now));
        let ConfirmedRow((before, of)) = self.get(&place)?.unwrap_or(ConfirmedRow((0, group.confirming)));
        let confirmed = before.saturating_add(1);
        self.put(&place, &ConfirmedRow((confirmed, of)));
        // Who has confirmed may be a member no more: only the members themselves tell.
        if confirmed >= group.confirming && self.all_have(place)? {
            self.advance(place, MessageState::Delivered)?;
        }
        Ok(())
    }

    /// Whether a contact is a member of a group whose members confirm: others may have been told a message's id.
    fn confirms(&self, group: &GroupRecord, chat: ChatId, contact: ChatId) -> StoreResult<bool, V> {
        if usize::try_from(group.members).is_ok_and(|members| members > GROUP_RECEIPTS) {
            return Ok(false);
        }
        let Some(contact) = self.get::<ContactRecord>(&contact)? else { return Ok(false) };
        let members = self.scan::<MemberRecord>(&Range::prefix(&chat.0), GROUP_RECEIPTS)?;
        Ok(members.iter().any(|(_, member)| member.fingerprint == contact.fingerprint))
    }

    fn all_have(&self, place: Place) -> StoreResult<bool, V> {
        for (_, member) in self.scan::<MemberRecord>(&Range::prefix(&place.chat.0), GROUP_ROWS)? {
            if let Some(contact) = self.contact_of(&member.fingerprint)?
                && self.get::<DeliveredRow>(&DeliveredKey(place, contact))?.is_none()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The contact of an identity, if it is one that can be written to.
    fn contact_of(&self, fingerprint: &Fingerprint) -> StoreResult<Option<ChatId>, V> {
        let key = self.account.lookup(Lookup::Peer, &[&fingerprint.0]);
        let Some(PeerRow(chat)) = self.get(&key)? else { return Ok(None) };
        Ok(self.get::<ContactRecord>(&chat)?.filter(|contact| contact.answered).map(|_| chat))
    }
}
