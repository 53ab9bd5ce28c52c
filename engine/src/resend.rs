//! Saying again what the other side could not read.
//!
//! A [`Body::ResendRequest`] tells what its author has received. What it lacks is sealed again, with the same id, the same
//! place and the same text, so that whatever arrives twice is one message; and at most once in each session, so that no
//! request costs more than that.

use std::collections::BTreeSet;

use hermes_protocol::{
    content::{Body, ChatPlace, Content, CounterRange, Newer},
    limits::RESEND_RANGES,
};

use crate::{
    gap,
    id::ChatId,
    limits::{self, RESEND_MESSAGES},
    renewal::is_allowed,
    row::{ContactRecord, Direction, MessageRecord, MessageState, SentRecord, Text},
    rows::{ChatCountersKey, ChatRow, Key, Place, ReadError, SentKey, StoreResult},
    session::Begins,
    store::{Range, Table, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// What is here of the contact's messages.
    pub(crate) fn resend_request(&self, chat: ChatId) -> StoreResult<Body, V> {
        let counters = self.chat_counters(chat)?;
        let gaps = gap::gaps(&self.overlay(), chat, RESEND_RANGES)?.into_iter();
        let missing = gaps.map(|(first, gap)| CounterRange { first, last: gap.last }).collect();
        Ok(Body::ResendRequest { received: counters.received.highest, missing, sent: counters.sent })
    }

    /// The contact tells what it has: the rest is said again. Who begins a session so is answered likewise.
    pub(crate) fn heed_resend_request(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
        received: u64,
        missing: &[CounterRange],
        begins: Begins,
    ) -> StoreResult<(), V> {
        if begins == Begins::Session {
            let body = self.resend_request(chat)?;
            // A session that cannot seal has told so at a send; the contact asks again when it misses something.
            let _unsent = self.post(chat, &contact, body)?;
        }
        if !is_allowed(&mut contact.renewal.heeded, self.now) {
            return Ok(());
        }
        contact.renewal.heeded.push(self.now);
        self.put(&chat, &contact);
        let sent = self.chat_counters(chat)?.sent;
        let oldest = sent.saturating_sub(RESEND_MESSAGES as u64).saturating_add(1);
        for (key, record) in self.sent_since(chat, oldest)? {
            let lacks = key.counter > received || missing.iter().any(|range| range.contains(key.counter));
            if record.session != contact.active && (lacks || !self.is_confirmed(chat, &record)?) {
                self.send_again(&contact, key, record)?;
            }
        }
        Ok(())
    }

    /// Seals what waited for a session.
    pub(crate) fn send_held(&mut self, chat: ChatId, contact: &ContactRecord) -> StoreResult<(), V> {
        let mut counters = self.chat_counters(chat)?;
        let Some(first) = counters.held.take() else { return Ok(()) };
        self.put(&ChatCountersKey(chat), &ChatRow(counters));
        for (key, record) in self.sent_since(chat, first)? {
            if record.session.is_none() {
                self.send_again(contact, key, record)?;
            }
        }
        Ok(())
    }

    /// Has messages, by their numbers in the history, wait for the next session.
    pub(crate) fn hold_again(&mut self, chat: ChatId, messages: &BTreeSet<u64>) -> StoreResult<(), V> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut counters = self.chat_counters(chat)?;
        for (key, record) in self.sent_since(chat, 0)? {
            if messages.contains(&record.number) {
                counters.held = Some(counters.held.map_or(key.counter, |first| first.min(key.counter)));
                self.put(&key, &SentRecord { session: None, ..record });
            }
        }
        self.put(&ChatCountersKey(chat), &ChatRow(counters));
        Ok(())
    }

    fn sent_since(&self, chat: ChatId, first: u64) -> StoreResult<Vec<(SentKey, SentRecord)>, V> {
        let mut range = Range::prefix(&chat.0);
        range.from = SentKey { chat, counter: first }.to_bytes();
        let most = usize::try_from(limits::OUTBOX_ROWS).unwrap_or(usize::MAX);
        self.scan(&range, most)
    }

    fn is_confirmed(&self, chat: ChatId, record: &SentRecord) -> StoreResult<bool, V> {
        let message = self.sent_record(chat, record)?;
        Ok(matches!(message.direction, Direction::Sent(MessageState::Delivered)))
    }

    /// Seals a message as it was sealed before. One whose failure was reported stays failed.
    fn send_again(
        &mut self,
        contact: &ContactRecord,
        key: SentKey,
        record: SentRecord,
    ) -> StoreResult<(), V> {
        let message = self.sent_record(key.chat, &record)?;
        let failed = matches!(message.direction, Direction::Sent(MessageState::Failed(_)));
        let Text::Plain(text) = message.text else { return Ok(()) };
        if failed || self.counters.outbox >= limits::OUTBOX_ROWS {
            return Ok(());
        }
        let content = Content {
            id: message.id,
            sent: message.sent,
            place: Some(ChatPlace { counter: key.counter, previous: *record.previous }),
            body: Body::Text { text, reply_to: None },
            newer: Newer::default(),
        };
        if let Ok(envelope) = self.seal(contact, &content.encode())? {
            self.queue(key.chat, envelope, Some(record.number));
            self.put(&key, &SentRecord { session: contact.active, ..record });
        }
        Ok(())
    }

    fn sent_record(&self, chat: ChatId, record: &SentRecord) -> StoreResult<MessageRecord, V> {
        self.get(&Place { chat, number: record.number })?.ok_or(ReadError::Corrupt(Table::Message))
    }
}
