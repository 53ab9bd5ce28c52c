//! The outbox: envelopes sealed once, kept until the relay has them, retransmitted as the same bytes.

use std::collections::BTreeSet;

use hermes_protocol::content::{Body, Content, MessageId, Newer};
use hermes_wire::{EnvelopeId, Refusal};
use serde_bytes::ByteBuf;

use crate::{
    effect::{Effect, Event, SendError},
    id::ChatId,
    input::OutboxKey,
    limits,
    reference::Reference,
    row::{ContactRecord, Direction, FailureReason, MessageRecord, MessageState, OutboxRecord},
    rows::{Key, Place, ReadError, StoreResult, UnconfirmedRow},
    store::{Range, Table, View},
    turn::Turn,
};

/// Rows read at a time, each with an envelope.
const ROWS_AT_ONCE: usize = 64;

impl<V: View> Turn<'_, V> {
    /// Seals content that is no message of the history and queues it.
    pub(crate) fn post(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
        body: Body,
    ) -> StoreResult<Result<(), SendError>, V> {
        let content = Content {
            id: MessageId::random(self.rng),
            sent: self.now,
            place: None,
            body,
            newer: Newer::default(),
        };
        let envelope = self.seal(contact, &content.encode())?;
        Ok(envelope.map(|envelope| self.queue(chat, envelope, None)))
    }

    /// Puts a sealed envelope into the outbox.
    pub(crate) fn queue(&mut self, chat: ChatId, envelope: Vec<u8>, message: Option<u64>) {
        let position = self.next_position();
        let row = OutboxRecord {
            envelope: EnvelopeId::random(self.rng),
            body: ByteBuf::from(envelope),
            queued: self.now,
            message,
            post: None,
        };
        self.put(&OutboxKey { chat, position }, &row);
        self.counters.outbox = self.counters.outbox.saturating_add(1);
        self.effects.push(Effect::Outbox(chat));
    }

    /// The relay has it.
    pub(crate) fn deposited(&mut self, key: OutboxKey) -> StoreResult<(), V> {
        self.settle(key, MessageState::Relayed)?;
        match self.get::<ContactRecord>(&key.chat)? {
            Some(mut contact) => {
                if contact.refused.take().is_some() {
                    self.put(&key.chat, &contact);
                }
                self.go_on_resending(key.chat, contact)
            }
            None => Ok(()),
        }
    }

    /// The relay will never have it.
    pub(crate) fn deposit_refused(&mut self, key: OutboxKey, refusal: Refusal) -> StoreResult<(), V> {
        match self.get::<OutboxRecord>(&key)? {
            Some(row) if row.post.is_some() => self.post_refused(key, &row, refusal),
            Some(_) => self.refuse_row(key, refusal),
            None => Ok(()),
        }
    }

    pub(crate) fn refuse_row(&mut self, key: OutboxKey, refusal: Refusal) -> StoreResult<(), V> {
        if matches!(refusal, Refusal::NoEntry | Refusal::TokenExpired)
            && let Some(mut contact) = self.get::<ContactRecord>(&key.chat)?
        {
            contact.refused.get_or_insert(self.now);
            self.put(&key.chat, &contact);
        }
        self.settle(key, MessageState::Failed(FailureReason::Refused(refusal)))
    }

    /// Takes a row back; what it carried waits to be sealed again.
    pub(crate) fn withdraw_row(&mut self, key: OutboxKey, row: &OutboxRecord) -> StoreResult<(), V> {
        self.remove_row(key);
        self.hold_again(key.chat, &row.message.into_iter().collect())
    }

    pub(crate) fn remove_row(&mut self, key: OutboxKey) {
        self.delete::<OutboxRecord>(&key);
        self.counters.outbox = self.counters.outbox.saturating_sub(1);
    }

    /// Takes back a chat's rows from a position on. The messages among them wait for the next session, in which they are
    /// sealed again under the same id.
    pub(crate) fn withdraw_from(&mut self, chat: ChatId, position: u64) -> StoreResult<(), V> {
        let mut range = Range::prefix(&chat.to_bytes());
        range.from = OutboxKey { chat, position }.to_bytes();
        let mut messages = BTreeSet::new();
        loop {
            let rows = self.scan::<OutboxRecord>(&range, ROWS_AT_ONCE)?;
            if rows.is_empty() {
                return self.hold_again(chat, &messages);
            }
            for (key, row) in rows {
                self.remove_row(key);
                messages.extend(row.message);
            }
        }
    }

    /// Gives up what has waited too long. The oldest row of a chat stands first.
    pub(crate) fn give_up_old_outbox_rows(&mut self) -> StoreResult<(), V> {
        let mut from = Vec::new();
        let days = limits::OUTBOX_AGE.as_secs() / 86_400;
        loop {
            let range = Range { from, to: None };
            let Some((key, row)) = self.scan::<OutboxRecord>(&range, 1)?.pop() else { return Ok(()) };
            // What a group waits for has no reader who could be told, and is tried until the relay answers.
            let of_group = row.post.is_some() && row.message.is_none();
            if self.now.since(row.queued) > limits::OUTBOX_AGE && !of_group {
                self.settle(key, MessageState::Failed(FailureReason::GaveUp(days)))?;
                from = key.to_bytes();
            } else {
                match Range::prefix(&key.chat.0).to {
                    Some(next) => from = next,
                    None => return Ok(()),
                }
            }
        }
    }

    /// Gives up everything that waits to leave to a chat.
    pub(crate) fn fail_outbox(&mut self, chat: ChatId, reason: &FailureReason) -> StoreResult<(), V> {
        let mut range = Range::prefix(&chat.0);
        // One at a time: a row holds an envelope, and there may be very many.
        while let Some((key, _)) = self.scan::<OutboxRecord>(&range, 1)?.pop() {
            self.settle(key, MessageState::Failed(reason.clone()))?;
            range.from = key.to_bytes();
        }
        Ok(())
    }

    /// Removes a row and notes what became of the message it carried. A row that is gone was settled before.
    fn settle(&mut self, key: OutboxKey, state: MessageState) -> StoreResult<(), V> {
        let Some(row) = self.get::<OutboxRecord>(&key)? else { return Ok(()) };
        self.remove_row(key);
        match row.message {
            Some(number) => self.advance(Place { chat: key.chat, number }, state),
            None => Ok(()),
        }
    }

    /// Moves a sent message on; never back, as when the recipient's receipt overtakes the relay's.
    pub(crate) fn advance(&mut self, place: Place, state: MessageState) -> StoreResult<(), V> {
        let mut message: MessageRecord = self.get(&place)?.ok_or(ReadError::Corrupt(Table::Message))?;
        let Direction::Sent(current) = &message.direction else { return Ok(()) };
        if rank(&state) <= rank(current) {
            return Ok(());
        }
        // What has not left yet could not be said again.
        if *current == MessageState::Queued {
            self.begin_to_expire(place, &message);
        }
        message.direction = Direction::Sent(state.clone());
        self.put(&place, &message);
        match state {
            MessageState::Relayed => self.put(&place, &UnconfirmedRow(self.now)),
            // A state comes once, and so does this row.
            _ => self.changes.retract(Table::Unconfirmed, place.to_bytes()),
        }
        let chat = self.chat_at(&place.chat)?.name().to_owned();
        let reference = Reference::of(chat, place.number);
        self.event(Event::State { id: message.id, reference, state });
        Ok(())
    }
}

/// A recipient's receipt outweighs everything: what arrived did not fail. But what was cancelled is withdrawn wherever it
/// arrives.
fn rank(state: &MessageState) -> u8 {
    match state {
        MessageState::Queued => 0,
        MessageState::Relayed => 1,
        MessageState::Failed(FailureReason::Cancelled) => 5,
        MessageState::Failed(_) => 2,
        MessageState::Delivered => 3,
        MessageState::Read => 4,
    }
}
