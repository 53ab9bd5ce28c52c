//! Saying again what the other side could not read.
//!
//! A [`Body::ResendRequest`] tells what its author has received. What it lacks is sealed again, with the same id, the same
//! place and the same text, so that whatever arrives twice is one message; at most once in each session; and in parts, of
//! which each waits until the one before has left.

use std::collections::BTreeSet;

use hermes_protocol::{
    content::{Body, ChatPlace, Content, CounterRange, Newer},
    limits::RESEND_RANGES,
};

use crate::{
    gap,
    group::{GroupRecord, Post, SealedPost},
    id::ChatId,
    limits::{self, RESEND_AGE, RESEND_MESSAGES, RESEND_STEP},
    renewal::is_allowed,
    row::{
        Action, ChatRecord, ContactRecord, Direction, FailureReason, MessageRecord, MessageState,
        OutboxRecord, Resend, Sealed, SentRecord, Text,
    },
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
        if begins == Begins::Session && self.counters.outbox < limits::OUTBOX_ROWS_FOR_RECEIPTS {
            let body = self.resend_request(chat)?;
            // A session that cannot seal has told so at a send; the contact asks again when it misses something.
            let _unsent = self.post(chat, &contact, body)?;
        }
        let missing = missing.iter().map(|range| (range.first, range.last)).collect();
        contact.resend = Some(Resend { received, missing, next: None });
        self.go_on_resending(chat, contact)
    }

    /// Says the next part again: as much as one step may seal, and only once the part before has left, so that a contact
    /// whose relay takes nothing fills no outbox.
    pub(crate) fn go_on_resending(&mut self, chat: ChatId, mut contact: ContactRecord) -> StoreResult<(), V> {
        let Some(mut resend) = contact.resend.take() else { return Ok(()) };
        let may_go_on = match resend.next {
            Some(_) => self.scan::<OutboxRecord>(&Range::prefix(&chat.0), 1)?.is_empty(),
            None => true,
        };
        if resend.next.is_none() && is_allowed(&mut contact.renewal.heeded, self.now) {
            contact.renewal.heeded.push(self.now);
            let sent = self.chat_counters(chat)?.sent;
            resend.next = Some(sent.saturating_sub(RESEND_MESSAGES as u64).saturating_add(1));
        }
        contact.resend = match resend.next {
            Some(next) if may_go_on && self.counters.outbox < limits::OUTBOX_ROWS_FOR_RECEIPTS => {
                let next = self.say_again(chat, &contact, &resend, next)?;
                next.map(|next| Resend { next: Some(next), ..resend })
            }
            _ => Some(resend),
        };
        self.put(&chat, &contact);
        Ok(())
    }

    /// Seals up to one step's worth from `next` on; the counter to go on with, if there is more.
    fn say_again(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
        resend: &Resend,
        next: u64,
    ) -> StoreResult<Option<u64>, V> {
        let mut sealed = 0;
        for (key, record) in self.sent_since(chat, next)? {
            if sealed >= RESEND_STEP {
                return Ok(Some(key.counter));
            }
            if record.sealed != contact.active.map(Sealed::Session)
                && self.is_wanted(resend, key, &record)?
                && self.send_again(contact, key, record)? == Again::Sealed
            {
                sealed = sealed.saturating_add(1);
            }
        }
        Ok(None)
    }

    /// Whether a message is to be said again: it was never confirmed, or the contact has lost it since, as after putting
    /// back an old copy. A confirmed one only for some days: whoever steals a contact's identity could ask as well.
    fn is_wanted(&self, resend: &Resend, key: SentKey, record: &SentRecord) -> StoreResult<bool, V> {
        let message = self.sent_record(key.chat, record)?;
        if !matches!(message.direction, Direction::Sent(MessageState::Delivered | MessageState::Read)) {
            return Ok(true);
        }
        let within = |(first, last): &(u64, u64)| (*first..=*last).contains(&key.counter);
        let lacks = key.counter > resend.received || resend.missing.iter().any(within);
        Ok(lacks && self.now.since(message.stored) <= RESEND_AGE)
    }

    /// Seals what waited for a session.
    pub(crate) fn send_held(&mut self, chat: ChatId, contact: &ContactRecord) -> StoreResult<(), V> {
        let Some(first) = self.chat_counters(chat)?.held else { return Ok(()) };
        let mut left = None;
        for (key, record) in self.sent_since(chat, first)? {
            if record.sealed.is_none() && self.send_again(contact, key, record)? == Again::NoRoom {
                left = Some(key.counter);
                break;
            }
        }
        let counters = ChatRecord { held: left, ..self.chat_counters(chat)? };
        self.put(&ChatCountersKey(chat), &ChatRow(counters));
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
                self.put(&key, &SentRecord { sealed: None, ..record });
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

    /// Seals a message as it was sealed before. One whose failure was reported stays failed.
    fn send_again(
        &mut self,
        contact: &ContactRecord,
        key: SentKey,
        record: SentRecord,
    ) -> StoreResult<Again, V> {
        let Some(content) = self.content_again(key, &record)? else { return Ok(Again::Nothing) };
        if self.counters.outbox >= limits::OUTBOX_ROWS {
            return Ok(Again::NoRoom);
        }
        match self.seal(contact, &content.encode())? {
            Ok(envelope) => {
                self.queue(key.chat, envelope, Some(record.number));
                self.put(&key, &SentRecord { sealed: contact.active.map(Sealed::Session), ..record });
                Ok(Again::Sealed)
            }
            Err(_) => Ok(Again::Nothing),
        }
    }

    /// A message word for word, unless it has failed or is none.
    fn content_again(&self, key: SentKey, record: &SentRecord) -> StoreResult<Option<Content>, V> {
        let message = self.sent_record(key.chat, record)?;
        let failed = matches!(message.direction, Direction::Sent(MessageState::Failed(_)));
        let body = match message.text {
            _ if failed => return Ok(None),
            Text::Plain(text) => {
                let first = message.marks.edited.and_then(|edited| edited.first);
                let text = first.unwrap_or(text);
                Body::Text { text, reply_to: message.marks.reply_to, ttl: message.ttl }
            }
            Text::TimerSet(ttl) => Body::Timer(ttl),
            Text::Action(action) => match *action {
                Action::Reacted { to, emoji } => Body::Reaction { message: to, emoji },
                Action::Edited { to, text: Some(text) } => Body::Edit { message: to, text },
                Action::Edited { text: None, .. } => return Ok(None),
                Action::Withdrew { to, place } => Body::Unsend { message: to, place: place.map(Into::into) },
            },
            _ => return Ok(None),
        };
        Ok(Some(Content {
            id: message.id,
            sent: message.sent,
            place: Some(ChatPlace { counter: key.counter, previous: *record.previous }),
            body,
            newer: Newer::default(),
        }))
    }

    /// Seals for a group what waited for its epoch. What does not fit into the outbox stays held.
    pub(crate) fn send_held_posts(&mut self, chat: ChatId, group: &GroupRecord) -> StoreResult<(), V> {
        let Some(first) = self.chat_counters(chat)?.held else { return Ok(()) };
        let mut left = None;
        for (key, record) in self.sent_since(chat, first)? {
            if record.sealed.is_some() {
                continue;
            }
            let Some(content) = self.content_again(key, &record)? else { continue };
            match self.seal_post(chat, group, &content.encode())? {
                Ok(SealedPost::Sealed(epoch, body)) if self.counters.outbox < limits::OUTBOX_ROWS => {
                    self.queue_post(chat, Post::Message { epoch }, body, Some(record.number));
                    self.put(&key, &SentRecord { sealed: Some(Sealed::Epoch(epoch)), ..record });
                }
                Ok(_) | Err(_) => {
                    left = Some(key.counter);
                    break;
                }
            }
        }
        let counters = ChatRecord { held: left, ..self.chat_counters(chat)? };
        self.put(&ChatCountersKey(chat), &ChatRow(counters));
        Ok(())
    }

    /// What waits for an epoch that will not come has failed.
    pub(crate) fn fail_held(&mut self, chat: ChatId) -> StoreResult<(), V> {
        let counters = self.chat_counters(chat)?;
        let Some(first) = counters.held else { return Ok(()) };
        for (_, record) in self.sent_since(chat, first)? {
            if record.sealed.is_none() {
                let state = MessageState::Failed(FailureReason::GroupClosed);
                self.advance(Place { chat, number: record.number }, state)?;
            }
        }
        self.put(&ChatCountersKey(chat), &ChatRow(ChatRecord { held: None, ..counters }));
        Ok(())
    }

    fn sent_record(&self, chat: ChatId, record: &SentRecord) -> StoreResult<MessageRecord, V> {
        self.get(&Place { chat, number: record.number })?.ok_or(ReadError::Corrupt(Table::Message))
    }
}

/// What became of saying a message again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    Sealed,
    /// It has failed, or no session seals it.
    Nothing,
    /// The outbox is full.
    NoRoom,
}
