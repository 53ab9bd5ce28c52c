//! Sending texts.

use hermes_protocol::content::{Body, ChatPlace, Content, MessageId, Newer};
use hermes_wire::Timestamp;
use serde_bytes::ByteArray;

use crate::{
    account::Lookup,
    chat::Chat,
    content::Said,
    effect::{CommandError, SendError, SendResult, SentMessage},
    group::{GroupRecord, Post, SealedPost},
    id::ChatId,
    input::Send,
    limits,
    reference::{self, Reference, row_behind},
    row::{
        self, ChatRecord, ContactRecord, Direction, IdempotencyRecord, Marks, MessageRecord, MessageState,
        Sealed, SentRecord, SessionRecord,
    },
    rows::{ChatCountersKey, ChatRow, DayHash, Hash, IndexRow, Key, Place, ReadError, SentKey, StoreResult},
    settings::{check_ttl, seconds},
    store::{Range, Table, View},
    turn::Turn,
};

/// What is sent to each recipient.
struct Text {
    text: String,
    /// Seconds after which it is to be deleted, if that is not as the chat has it.
    ttl: Option<u32>,
    reply_to: Option<MessageId>,
}

const DAY_MS: u64 = 86_400_000;

impl<V: View> Turn<'_, V> {
    /// Seals a text for each recipient. Each has a result of its own; a repeat under the same idempotency key returns
    /// what was stored the first time and tries only what was not.
    pub(crate) fn send(&mut self, send: Send) -> StoreResult<Result<Vec<SendResult>, CommandError>, V> {
        if let Err(error) = check(&send) {
            return Ok(Err(error));
        }
        let (key, mut earlier) = match &send.idempotency {
            None => (None, Vec::new()),
            Some(word) => {
                let request = self.request_hash(&send);
                let (key, record) = self.earlier_results(word)?;
                match record {
                    Some(record) if *record.request != request.0 => {
                        return Ok(Err(CommandError::IdempotencyConflict(word.clone())));
                    }
                    Some(record) => (Some((key, request)), record.sent),
                    None => (Some((key, request)), Vec::new()),
                }
            }
        };
        let reply_to = match &send.reply_to {
            None => None,
            Some(reference) => match self.answered(&send.to, reference)? {
                Ok(id) => Some(id),
                Err(error) => return Ok(Err(error)),
            },
        };
        let text = Text { text: send.text, ttl: send.ttl.map(seconds), reply_to };
        let mut results = Vec::with_capacity(send.to.len());
        for to in send.to {
            let before = earlier.iter().find(|(name, ..)| *name == to);
            let outcome = match before {
                // Its history may have been deleted since.
                Some((_, chat, number)) => {
                    match self.get::<MessageRecord>(&Place { chat: *chat, number: *number })? {
                        Some(_) => Ok(Place { chat: *chat, number: *number }),
                        None => Err(SendError::UnknownContact(to.clone())),
                    }
                }
                None => self.send_to(&to, &text)?,
            };
            let outcome = match outcome {
                Ok(place) => {
                    if before.is_none() {
                        earlier.push((to.clone(), place.chat, place.number));
                    }
                    Ok(self.sent_message(place)?)
                }
                Err(error) => Err(error),
            };
            results.push(SendResult { to, outcome });
        }
        if let Some((key, request)) = key {
            self.put(&key, &IdempotencyRecord { request: ByteArray::new(request.0), sent: earlier });
        }
        Ok(Ok(results))
    }

    /// The message that is answered: it has to stand in the chat that the answer goes to.
    fn answered(
        &self,
        to: &[String],
        reference: &Reference,
    ) -> StoreResult<Result<MessageId, CommandError>, V> {
        let Some((chat, _)) = self.chat_named(&reference.chat)? else {
            return Ok(Err(CommandError::UnknownMessage(reference.clone())));
        };
        if to.iter().any(|to| *to != reference.chat) {
            return Ok(Err(CommandError::ReplyElsewhere(reference.clone())));
        }
        Ok(match reference::find(&self.overlay(), chat, reference)? {
            Some((_, message)) if message.text.is_said() => Ok(message.id),
            Some(_) => Err(CommandError::NothingToChange(reference.clone())),
            None => Err(CommandError::UnknownMessage(reference.clone())),
        })
    }

    fn send_to(&mut self, name: &str, send: &Text) -> StoreResult<Result<Place, SendError>, V> {
        match self.chat_named(name)? {
            Some((_, Chat::Contact(contact))) if contact.removed.is_some() => {
                Ok(Err(SendError::UnknownContact(name.to_owned())))
            }
            Some((chat, Chat::Contact(contact))) => {
                let body = self.text(chat, send)?;
                self.say(chat, &contact, body)
            }
            Some((chat, Chat::Group(group))) => {
                let body = self.text(chat, send)?;
                self.say_in_group(chat, &group, body)
            }
            None => Ok(Err(SendError::UnknownContact(name.to_owned()))),
        }
    }

    fn text(&self, chat: ChatId, send: &Text) -> StoreResult<Body, V> {
        let ttl = match send.ttl {
            Some(ttl) => Some(ttl),
            None => self.settings(chat)?.ttl,
        };
        Ok(Body::Text { text: send.text.clone(), reply_to: send.reply_to, ttl })
    }

    /// Seals something for a contact that stands in the history.
    pub(crate) fn say(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
        body: Body,
    ) -> StoreResult<Result<Place, SendError>, V> {
        // Asked here too: a message must not wait for a session either.
        if contact.blocked.is_some() {
            return Ok(Err(SendError::Blocked(contact.name.clone())));
        }
        if contact.trust.change.is_some() {
            return Ok(Err(SendError::IdentityChanged(contact.name.clone())));
        }
        if self.counters.outbox >= limits::OUTBOX_ROWS {
            return Ok(Err(SendError::OutboxFull(self.counters.outbox)));
        }
        let (counters, content) = self.next_content(chat, body)?;
        let plaintext = content.encode();
        let sealed = match contact.has_said_enough(&counters, plaintext.len()) {
            true => Err(SendError::NotPaired(contact.name.clone())),
            false => self.seal(contact, &plaintext)?,
        };
        let envelope = match sealed {
            Ok(envelope) => Some(envelope),
            // The session gave way and the next one is on its way: the message waits for it.
            Err(SendError::NotPaired(_)) if contact.answered || contact.waits_to_be_accepted() => {
                if let Err(error) = may_hold(&counters) {
                    return Ok(Err(error));
                }
                None
            }
            Err(error) => return Ok(Err(error)),
        };
        let sealed = envelope.as_ref().and(contact.active).map(Sealed::Session);
        let without_one_time_key = self.without_one_time_key(contact)?;
        let place = self.store_sent(chat, counters, content, sealed, without_one_time_key);
        if let Some(envelope) = envelope {
            self.queue(chat, envelope, Some(place.number));
        }
        Ok(Ok(place))
    }

    /// The same for a group.
    pub(crate) fn say_in_group(
        &mut self,
        chat: ChatId,
        group: &GroupRecord,
        body: Body,
    ) -> StoreResult<Result<Place, SendError>, V> {
        if self.counters.outbox >= limits::OUTBOX_ROWS {
            return Ok(Err(SendError::OutboxFull(self.counters.outbox)));
        }
        let (counters, content) = self.next_content(chat, body)?;
        let sealed = match self.seal_post(chat, group, &content.encode())? {
            Ok(SealedPost::Sealed(epoch, body)) => Some((epoch, body)),
            Ok(SealedPost::Waits) => {
                if let Err(error) = may_hold(&counters) {
                    return Ok(Err(error));
                }
                None
            }
            Err(error) => return Ok(Err(error)),
        };
        let epoch = sealed.as_ref().map(|(epoch, _)| Sealed::Epoch(*epoch));
        let place = self.store_sent(chat, counters, content, epoch, false);
        if let Some((epoch, body)) = sealed {
            self.queue_post(chat, Post::Message { epoch }, body, Some(place.number));
        }
        Ok(Ok(place))
    }

    /// Something in its place among what was sent to a chat.
    fn next_content(&mut self, chat: ChatId, body: Body) -> StoreResult<(ChatRecord, Content), V> {
        let counters = self.chat_counters(chat)?;
        let content = Content {
            id: MessageId::random(self.rng),
            sent: self.now,
            place: Some(ChatPlace { counter: counters.sent.saturating_add(1), previous: *counters.previous }),
            body,
            newer: Newer::default(),
        };
        Ok((counters, content))
    }

    /// Puts what is said into the history; without `sealed` it waits.
    fn store_sent(
        &mut self,
        chat: ChatId,
        mut counters: ChatRecord,
        content: Content,
        sealed: Option<Sealed>,
        without_one_time_key: bool,
    ) -> Place {
        counters.sent = counters.sent.saturating_add(1);
        let previous = std::mem::replace(&mut counters.previous, ByteArray::new(content.hash()));
        if sealed.is_none() {
            counters.held.get_or_insert(counters.sent);
        }
        let sent = SentKey { chat, counter: counters.sent };
        let nothing = Said { text: row::Text::NeedsNewerVersion, reply_to: None, ttl: None };
        let Said { text, reply_to, ttl } = Said::of(&content.body).unwrap_or(nothing);
        let message = MessageRecord {
            id: content.id,
            text,
            sent: self.now,
            stored: self.now,
            direction: Direction::Sent(MessageState::Queued),
            author: None,
            without_one_time_key,
            ttl,
            marks: Marks::reply(reply_to),
        };
        let place = self.append(chat, counters, &message);
        self.put(&sent, &SentRecord { number: place.number, previous, sealed });
        place
    }

    /// Whether the session that seals for a contact began when the responder had no one-time prekey left.
    pub(crate) fn without_one_time_key(&self, contact: &ContactRecord) -> StoreResult<bool, V> {
        let Some(id) = contact.active else { return Ok(false) };
        Ok(self.get::<SessionRecord>(&id)?.is_some_and(|session| session.without_one_time_key))
    }

    /// Adds a message to a chat's history.
    pub(crate) fn append(
        &mut self,
        chat: ChatId,
        mut counters: ChatRecord,
        message: &MessageRecord,
    ) -> Place {
        counters.messages = row_behind(counters.messages, &message.text);
        let place = Place { chat, number: counters.messages };
        self.put(&ChatCountersKey(chat), &ChatRow(counters));
        self.put(&place, message);
        self.put(&message.id, &IndexRow(place));
        place
    }

    pub(crate) fn chat_counters(&self, chat: ChatId) -> StoreResult<ChatRecord, V> {
        Ok(self.get::<ChatRow>(&ChatCountersKey(chat))?.map(|row| row.0).unwrap_or_default())
    }

    pub(crate) fn sent_message(&self, place: Place) -> StoreResult<SentMessage, V> {
        let damaged = || ReadError::Corrupt(Table::Message);
        let message: MessageRecord = self.get(&place)?.ok_or_else(damaged)?;
        let chat = self.chat_at(&place.chat)?.name().to_owned();
        let Direction::Sent(state) = message.direction else { return Err(damaged()) };
        Ok(SentMessage { id: message.id, reference: Reference::of(chat, place.number), state })
    }

    fn request_hash(&self, send: &Send) -> Hash {
        let ttl = send.ttl.map_or(0, seconds).to_be_bytes();
        let reply = send.reply_to.as_ref().map(Reference::to_string);
        let mut parts: Vec<&[u8]> = vec![send.text.as_bytes(), &ttl];
        parts.extend(reply.as_ref().map(|reply| reply.as_bytes()));
        parts.extend(send.to.iter().map(|to| to.as_bytes()));
        self.account.lookup(Lookup::Request, &parts)
    }

    /// What stands under an idempotency key: at most once, in the day of its first use.
    fn earlier_results(&self, word: &str) -> StoreResult<(DayHash, Option<IdempotencyRecord>), V> {
        let hash = self.account.lookup(Lookup::Idempotency, &[word.as_bytes()]).0;
        let today = day(self.now);
        for day in today.saturating_sub(limits::IDEMPOTENCY_DAYS)..=today {
            let key = DayHash(day, hash);
            if let Some(record) = self.get(&key)? {
                return Ok((key, Some(record)));
            }
        }
        Ok((DayHash(today, hash), None))
    }

    pub(crate) fn forget_old_idempotency_keys(&mut self) -> StoreResult<(), V> {
        let oldest = DayHash(day(self.counters.drained).saturating_sub(limits::IDEMPOTENCY_DAYS), [0; 32]);
        let range = Range { from: Vec::new(), to: Some(oldest.to_bytes()) };
        for (key, _) in self.scan::<IdempotencyRecord>(&range, limits::QUERY_ROWS)? {
            self.delete::<IdempotencyRecord>(&key);
        }
        Ok(())
    }
}

/// Days since the epoch.
pub(crate) fn day(time: Timestamp) -> u32 {
    u32::try_from(time.0 / DAY_MS).unwrap_or(u32::MAX)
}

fn check(send: &Send) -> Result<(), CommandError> {
    if is_blank(&send.text) {
        return Err(CommandError::EmptyText);
    }
    if send.text.len() > limits::TEXT_BYTES {
        return Err(CommandError::TextTooLong { bytes: send.text.len(), max: limits::TEXT_BYTES });
    }
    if send.to.is_empty() || send.to.len() > limits::RECIPIENTS {
        return Err(CommandError::TooManyRecipients { given: send.to.len(), max: limits::RECIPIENTS });
    }
    check_ttl(send.ttl)?;
    match &send.idempotency {
        Some(key) if key.is_empty() || key.len() > limits::IDEMPOTENCY_KEY_BYTES => {
            Err(CommandError::BadIdempotencyKey(limits::IDEMPOTENCY_KEY_BYTES))
        }
        _ => Ok(()),
    }
}

/// Whether a text has nothing to see in it.
pub(crate) fn is_blank(text: &str) -> bool {
    let invisible = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(
                c,
                '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
            )
    };
    text.chars().all(invisible)
}

/// Whether another message may wait for what will seal it.
fn may_hold(counters: &ChatRecord) -> Result<(), SendError> {
    let held = counters.held.map_or(0, |first| counters.sent.saturating_sub(first));
    if held >= limits::OUTBOX_ROWS_FOR_RECEIPTS { Err(SendError::OutboxFull(held)) } else { Ok(()) }
}
