//! Texts that are deleted after a time: with their author from when they have left, with their readers from when they have
//! read them. What is left is the message's place, so that its number and its hash still count.
//!
//! A promise among friends: whoever receives a text can keep it.

use hermes_wire::Timestamp;

use crate::{
    effect::{Effect, Event},
    limits::EXPIRIES_AT_ONCE,
    reference::Reference,
    row::{Marks, MessageRecord, Text},
    rows::{ExpiryKey, ExpiryRow, Key, Place, StoreResult},
    store::{Range, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// The time of a message that is to be deleted begins.
    pub(crate) fn begin_to_expire(&mut self, place: Place, message: &MessageRecord) {
        let Some(seconds) = message.ttl else { return };
        if message.text.is_gone() {
            return;
        }
        let at = Timestamp(self.now.0.saturating_add(u64::from(seconds).saturating_mul(1_000)));
        self.put(&ExpiryKey(at.0, place), &ExpiryRow(()));
        self.effects.push(Effect::Due(at));
    }

    /// Deletes what is due, and says when the next is.
    pub(crate) fn expire(&mut self) -> StoreResult<(), V> {
        for (ExpiryKey(due, place), _) in self.scan::<ExpiryRow>(&Range::all(), EXPIRIES_AT_ONCE)? {
            if due > self.now.0 {
                self.effects.push(Effect::Due(Timestamp(due)));
                return Ok(());
            }
            self.delete::<ExpiryRow>(&ExpiryKey(due, place));
            if self.erase_chat(place)? {
                continue;
            }
            let Some(message) = self.get::<MessageRecord>(&place)? else { continue };
            if message.text.is_gone() {
                continue;
            }
            self.wipe(place, &message)?;
            let marks = Marks::reply(message.marks.reply_to);
            self.put(&place, &MessageRecord { text: Text::Expired, marks, ..message });
            let chat = self.chat_at(&place.chat)?.name().to_owned();
            self.event(Event::Expired(Reference::of(chat, place.number)));
        }
        // The rest of a long row of them comes in the next turn.
        let next = self.scan::<ExpiryRow>(&Range::all(), 1)?;
        self.effects.extend(next.first().map(|(ExpiryKey(due, _), _)| Effect::Due(Timestamp(*due))));
        Ok(())
    }
}

impl Key for ExpiryKey {
    fn to_bytes(&self) -> Vec<u8> {
        [self.0.to_bytes(), self.1.to_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (due, place) = bytes.split_at_checked(8)?;
        Some(Self(u64::from_bytes(due)?, Place::from_bytes(place)?))
    }
}
