//! Who has a message to a group.
//!
//! Members who are contacts confirm to the author, between the two of them: in the group, each would have to hear of it.
//! What members who are no contacts have received, an author does not learn.

use hermes_protocol::{content::MessageId, group::Epoch, identity::Fingerprint};

use super::{ConfirmedRow, DeliveredKey, DeliveredRow, GroupRecord, MemberRecord, ReadKey, ReadRow};
use crate::{
    account::Lookup,
    id::ChatId,
    limits::{GROUP_RECEIPTS, GROUP_ROWS},
    row::{ContactRecord, Direction, MessageRecord, MessageState},
    rows::{PeerRow, Place, Row, StoreResult},
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
        let Some(message) = self.get::<MessageRecord>(&place)? else { return Ok(()) };
        let key = DeliveredKey(place, contact);
        if !matches!(message.direction, Direction::Sent(_))
            || self.get::<DeliveredRow>(&key)?.is_some()
            || !self.confirms(&group, place.chat, contact)?
        {
            return Ok(());
        }
        self.put(&key, &DeliveredRow(self.now));
        let (have, of) = self.tally::<DeliveredRow>(place, &message, DeliveredKey)?;
        self.put(&place, &ConfirmedRow((have, of)));
        if have == of {
            self.advance(place, MessageState::Delivered)?;
        }
        Ok(())
    }

    /// A contact that has a message to a group has read it.
    pub(crate) fn read_by_member(&mut self, place: Place, contact: ChatId) -> StoreResult<(), V> {
        let key = |place, contact| ReadKey(DeliveredKey(place, contact));
        let has = self.get::<DeliveredRow>(&DeliveredKey(place, contact))?.is_some();
        if !has || self.get::<ReadRow>(&key(place, contact))?.is_some() {
            return Ok(());
        }
        let Some(message) = self.get::<MessageRecord>(&place)? else { return Ok(()) };
        self.put(&key(place, contact), &ReadRow(self.now));
        let (have, of) = self.tally::<ReadRow>(place, &message, key)?;
        if have == of {
            self.advance(place, MessageState::Read)?;
        }
        Ok(())
    }

    /// The contact that wrote a message of a chat, if it is to hear what became of it.
    pub(crate) fn author_to_tell(
        &self,
        chat: ChatId,
        message: &MessageRecord,
    ) -> StoreResult<Option<ChatId>, V> {
        let Some(author) = &message.author else { return Ok(Some(chat)) };
        match self.get::<GroupRecord>(&chat)? {
            Some(group) if usize::try_from(group.members).is_ok_and(|members| members <= GROUP_RECEIPTS) => {
                self.contact_of(&author.fingerprint)
            }
            _ => Ok(None),
        }
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

    /// How many have a message, or have read it, of those who were members when it was written and confirm.
    fn tally<R: Row>(
        &self,
        place: Place,
        message: &MessageRecord,
        key: impl Fn(Place, ChatId) -> R::Key,
    ) -> StoreResult<(u32, u32), V> {
        let (mut have, mut of) = (0_u32, 0_u32);
        for (_, member) in self.scan::<MemberRecord>(&Range::prefix(&place.chat.0), GROUP_ROWS)? {
            let Some(contact) = self.contact_of(&member.fingerprint)? else { continue };
            let has = self.get::<R>(&key(place, contact))?.is_some();
            if has || member.since <= message.stored {
                of = of.saturating_add(1);
                have = have.saturating_add(u32::from(has));
            }
        }
        Ok((have, of))
    }

    /// The contact of an identity, if it is one that can be written to.
    fn contact_of(&self, fingerprint: &Fingerprint) -> StoreResult<Option<ChatId>, V> {
        let key = self.account.lookup(Lookup::Peer, &[&fingerprint.0]);
        let Some(PeerRow(chat)) = self.get(&key)? else { return Ok(None) };
        Ok(self.get::<ContactRecord>(&chat)?.filter(|contact| contact.answered).map(|_| chat))
    }
}
