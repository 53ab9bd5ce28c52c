//! Word to authors that their messages were read.
//!
//! It waits a little, for a time that is drawn at random, and takes with it what is read meanwhile: a receipt that left at
//! once would tell a relay, to the second, when its user sits at the machine and how fast they read. What is owed stands
//! in the store, so that a restart loses none of it. Delivery receipts do not wait: they say when the daemon was there,
//! which the relay sees by the acknowledgement anyway, and scripts wait for them; they are one for each contact and commit.

use std::{collections::BTreeMap, time::Duration};

use hermes_protocol::content::{Body, MessageId, ReceiptKind};
use hermes_wire::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    effect::Effect,
    id::ChatId,
    limits::{self, READ_RECEIPT_LEAST, READ_RECEIPT_MOST, READ_RECEIPTS_AT_ONCE},
    presence::ReadReceipts,
    row::{ContactRecord, MessageRecord},
    rows::{Key, Place, StoreResult, rows},
    store::{Range, View},
    turn::Turn,
};

/// A message whose author is to hear that it was read.
#[derive(Serialize, Deserialize)]
pub(crate) struct OwedRecord {
    /// When.
    due: Timestamp,
    message: MessageId,
}

rows! {
    OwedRecord: Unread by OwedKey;
}

/// Whom to tell, and a position of its own.
pub(crate) struct OwedKey(ChatId, u64);

impl<V: View> Turn<'_, V> {
    /// The author of a message that was just read is to hear of it.
    pub(crate) fn owe_read_receipt(&mut self, place: Place, message: &MessageRecord) -> StoreResult<(), V> {
        if self.privacy.read_receipts == ReadReceipts::Withheld {
            return Ok(());
        }
        let Some(author) = self.author_to_tell(place.chat, message)? else { return Ok(()) };
        let waiting = self.scan::<OwedRecord>(&Range::prefix(&author.0), 1)?;
        let due = match waiting.first() {
            Some((_, owed)) => owed.due,
            None => self.draw_due(),
        };
        let position = self.next_position();
        self.put(&OwedKey(author, position), &OwedRecord { due, message: message.id });
        self.effects.push(Effect::Due(due));
        Ok(())
    }

    fn draw_due(&mut self) -> Timestamp {
        let span = READ_RECEIPT_MOST.saturating_sub(READ_RECEIPT_LEAST).as_millis();
        let span = u64::try_from(span).unwrap_or(u64::MAX).max(1);
        self.now.after(READ_RECEIPT_LEAST).after(Duration::from_millis(self.rng.next_u64() % span))
    }

    /// Tells authors what is due, and says when the next is.
    pub(crate) fn confirm_reads(&mut self) -> StoreResult<(), V> {
        let mut due: BTreeMap<ChatId, Vec<MessageId>> = BTreeMap::new();
        let mut next = None;
        let owed = self.scan::<OwedRecord>(&Range::all(), READ_RECEIPTS_AT_ONCE)?;
        let more = owed.len() == READ_RECEIPTS_AT_ONCE;
        for (key, owed) in owed {
            // A clock that was set back must not keep anybody waiting for long.
            if owed.due > self.now && owed.due <= self.now.after(READ_RECEIPT_MOST) {
                next = Some(next.map_or(owed.due, |next: Timestamp| next.min(owed.due)));
                continue;
            }
            due.entry(key.0).or_default().push(owed.message);
            self.delete::<OwedRecord>(&key);
        }
        // Only if there was something: what is not due would be looked at over and over.
        if more && !due.is_empty() {
            next = Some(self.now);
        }
        self.effects.extend(next.map(Effect::Due));
        for (chat, messages) in due {
            self.confirm_read(chat, &messages)?;
        }
        Ok(())
    }

    fn confirm_read(&mut self, chat: ChatId, messages: &[MessageId]) -> StoreResult<(), V> {
        let full = self.counters.outbox >= limits::OUTBOX_ROWS_FOR_RECEIPTS;
        let Some(contact) = self.get::<ContactRecord>(&chat)? else { return Ok(()) };
        if full || self.privacy.read_receipts == ReadReceipts::Withheld {
            return Ok(());
        }
        for messages in messages.chunks(hermes_protocol::limits::RECEIPT_MESSAGES) {
            let body = Body::Receipt { kind: ReceiptKind::Read, messages: messages.to_vec() };
            // As with deliveries: nothing is said again for a session that cannot seal.
            let _unsent = self.post(chat, &contact, body)?;
        }
        Ok(())
    }
}

impl Key for OwedKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.0[..], &self.1.to_be_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chat, position) = bytes.split_first_chunk()?;
        Some(Self(ChatId(*chat), u64::from_bytes(position)?))
    }
}
