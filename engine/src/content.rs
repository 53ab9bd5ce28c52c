//! What an opened envelope says, and what follows from it.

use hermes_protocol::content::{Body, Content, MessageId, Presence, ReceiptKind};
use hermes_protocol::ticket::Ticket;

use hermes_wire::Timestamp;

use crate::{
    effect::{CommandError, Event, Reply},
    group::InvitationRecord,
    id::ChatId,
    limits,
    reference::{self, Reference, row_behind},
    row::{
        Action, Author, ChatRecord, ContactRecord, Direction, Marks, MessageRecord, MessageState, Text,
        UnreadableCause,
    },
    rows::{ChatCountersKey, ChatRow, IndexRow, ReadError, StoreResult, UnreadRow},
    session::Plaintext,
    store::{Table, View},
    turn::{Halt, Turn},
};

/// Messages one receipt confirms at most.
const RECEIPT_MESSAGES: usize = hermes_protocol::limits::RECEIPT_MESSAGES;

impl<V: View> Turn<'_, V> {
    /// Acts on content whose sender is authenticated. The session that opened it has been put already: a key once
    /// used is used up, whatever the content turns out to be.
    pub(crate) fn content(
        &mut self,
        chat: ChatId,
        contact: ContactRecord,
        plaintext: &Plaintext,
    ) -> Result<(), Halt<V::Error>> {
        let content = Content::decode(&plaintext.bytes).map_err(|_| UnreadableCause::BadContent)?;
        let steers = steers(plaintext, self.now);
        if plaintext.retired.is_none() {
            self.heard(chat, content.sent)?;
        }
        match content.body {
            // Said in ephemeral messages only.
            Body::Presence(_) | Body::Ping | Body::Pong(_) => Ok(()),
            Body::Hello { .. } | Body::TokenRenewal(_) | Body::ResendRequest { .. } | Body::Profile(_)
                if !steers =>
            {
                Ok(())
            }
            Body::KeyPackages { .. } | Body::GroupInvite { .. } | Body::GroupRejoin { .. } if !steers => {
                Ok(())
            }
            Body::GuestWanted { .. } | Body::GuestPlace { .. } if !steers => Ok(()),
            Body::Text { .. } | Body::Timer(_) | Body::Reaction { .. } | Body::Edit { .. } => {
                Ok(self.store_message(chat, contact, &content, plaintext)?)
            }
            Body::Unsend { .. } | Body::Unknown(_) => {
                Ok(self.store_message(chat, contact, &content, plaintext)?)
            }
            Body::Receipt { kind, messages } => Ok(self.receipt(chat, kind, &messages)?),
            Body::Hello { ticket, profile_name, .. } => {
                Ok(self.hello(chat, contact, &profile_name, ticket)?)
            }
            Body::Profile(name) => {
                self.put(&chat, &ContactRecord { profile: Some(name), ..contact });
                Ok(())
            }
            Body::TokenRenewal(ticket) => {
                self.renew(chat, contact, ticket);
                Ok(())
            }
            Body::KeyPackages { ref packages, only } => {
                Ok(self.take_key_packages(chat, &contact, packages, only)?)
            }
            Body::GroupInvite { welcome, head, relay } => {
                self.invited(chat, &contact, InvitationRecord { welcome, head, relay, since: Some(self.now) })
            }
            Body::GuestWanted { ask, relay, registration_token } => {
                Ok(self.asked_for_a_place(chat, &contact, ask, relay, registration_token)?)
            }
            Body::GuestPlace { ask, answer } => Ok(self.place_answered(chat, &contact, ask, answer)?),
            Body::GroupRejoin { group, ref package } => {
                Ok(self.asked_to_add_again(chat, &contact, group, package)?)
            }
            Body::ResendRequest { received, ref missing, .. } => {
                Ok(self.heed_resend_request(chat, contact, received, missing, plaintext.begins)?)
            }
        }
    }

    fn store_message(
        &mut self,
        chat: ChatId,
        contact: ContactRecord,
        content: &Content,
        plaintext: &Plaintext,
    ) -> StoreResult<(), V> {
        let Some(said) = Said::of(&content.body) else { return Ok(()) };
        self.receipts.entry(chat).or_default().push(content.id);
        // A sender that lost its own receipts may send a message again in another session: one id is one message.
        if self.get::<IndexRow>(&content.id)?.is_some() {
            return Ok(());
        }
        let position = self.next_position();
        let message = MessageRecord {
            without_one_time_key: plaintext.without_one_time_key,
            ..said.received(content, self.now, position)
        };
        let mut counters = self.chat_counters(chat)?;
        let number = row_behind(counters.messages, &message.text);
        let withdrawn = self.withdrawn_early(chat, content.id, &contact.fingerprint)?;
        if withdrawn.is_none_or(|withdrawn| !withdrawn.placed) {
            self.note_place(chat, &mut counters.received, content, number)?;
        }
        if let Some(withdrawn) = withdrawn {
            self.put(&ChatCountersKey(chat), &ChatRow(counters));
            return self.take_withdrawn(chat, content.id, withdrawn);
        }
        let author = Author { fingerprint: contact.fingerprint, profile_name: contact.name.clone() };
        let arrived = Arrived { chat, name: contact.name, position, message, author };
        match steers(plaintext, self.now) {
            true => self.take_said(arrived, counters, content),
            // It deletes nothing.
            false if matches!(arrived.message.text, Text::Action(_)) => {
                self.append(chat, counters, &arrived.message);
                Ok(())
            }
            false => self.take_said(arrived, counters, content),
        }
    }

    /// Takes what somebody says into the history, and acts on what it says about others.
    pub(crate) fn take_said(
        &mut self,
        arrived: Arrived,
        mut counters: ChatRecord,
        content: &Content,
    ) -> StoreResult<(), V> {
        let Arrived { chat, name, position, mut message, author } = arrived;
        match message.text {
            Text::Action(_) => {
                let place = self.append(chat, counters, &message);
                self.act(place, author, content)
            }
            Text::TimerSet(_) => self.note_ttl(chat, name, counters, &message),
            _ => {
                self.bring_back(chat, &mut counters)?;
                self.settle_early(chat, &mut counters, &mut message, &author.fingerprint)?;
                self.add_unread(chat, name, counters, position, &message);
                Ok(())
            }
        }
    }

    /// Puts a received message at the end of the history and among the unread.
    fn add_unread(
        &mut self,
        chat: ChatId,
        name: String,
        counters: ChatRecord,
        position: u64,
        message: &MessageRecord,
    ) {
        let place = self.append(chat, counters, message);
        self.put(&position, &UnreadRow(place));
        self.counters.unread = self.counters.unread.saturating_add(1);
        self.event(Event::Received(Reference::of(name, place.number)));
    }

    /// Only messages sent to the contact that confirms them are moved on, and those to groups. The id of one of those is
    /// known to its members alone.
    fn receipt(&mut self, chat: ChatId, kind: ReceiptKind, messages: &[MessageId]) -> StoreResult<(), V> {
        let state = match kind {
            ReceiptKind::Delivered => MessageState::Delivered,
            ReceiptKind::Read => MessageState::Read,
        };
        for id in messages {
            match self.get::<IndexRow>(id)? {
                Some(IndexRow(place)) if place.chat == chat => self.advance(place, state.clone())?,
                Some(IndexRow(place)) => {
                    // Who has read it has it, whatever became of the first receipt.
                    self.delivered_to_member(place, chat)?;
                    if kind == ReceiptKind::Read {
                        self.read_by_member(place, chat)?;
                    }
                }
                None => {}
            }
        }
        Ok(())
    }

    /// The inviter's answer, or a fresh ticket: from here on the contact's own permission is used.
    fn hello(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
        profile_name: &str,
        ticket: Ticket,
    ) -> StoreResult<(), V> {
        contact.ticket = ticket;
        contact.profile = Some(profile_name.to_owned());
        let new = !contact.answered;
        if new {
            contact.answered = true;
            self.rename_by_itself(chat, &mut contact, profile_name)?;
            self.event(Event::ContactReady {
                chat,
                name: contact.name.clone(),
                fingerprint: contact.fingerprint,
            });
        }
        self.put(&chat, &contact);
        if new {
            // More than may be said by somebody who waits to be accepted.
            self.send_held(chat, &contact)?;
            // Neither knows of the other yet that it is there.
            self.tell_presence(chat, Presence::Arrived)?;
        }
        Ok(())
    }

    fn renew(&mut self, chat: ChatId, mut contact: ContactRecord, ticket: Ticket) {
        contact.ticket = ticket;
        self.put(&chat, &contact);
    }

    /// Seals what the batch owes its senders: one receipt a contact, not one a message.
    pub(crate) fn confirm_deliveries(&mut self) -> StoreResult<(), V> {
        for (chat, messages) in std::mem::take(self.receipts) {
            if self.counters.outbox >= limits::OUTBOX_ROWS_FOR_RECEIPTS {
                continue;
            }
            let contact: ContactRecord = self.get(&chat)?.ok_or(ReadError::Corrupt(Table::Contact))?;
            for messages in messages.chunks(RECEIPT_MESSAGES) {
                let body = Body::Receipt { kind: ReceiptKind::Delivered, messages: messages.to_vec() };
                // A session that cannot seal has already told the user so at a send; the peer repeats nothing for it.
                let _unsent = self.post(chat, &contact, body)?;
            }
        }
        Ok(())
    }

    /// Marks received messages read; all of them or none.
    pub(crate) fn mark_read(
        &mut self,
        references: &[Reference],
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        let mut unread = Vec::new();
        for reference in references {
            let found = match self.chat_named(&reference.chat)? {
                Some((chat, _)) => reference::find(&self.overlay(), chat, reference)?,
                None => None,
            };
            match found {
                Some(message) => unread.push(message),
                None => return Ok(Err(CommandError::UnknownMessage(reference.clone()))),
            }
        }
        for (place, mut message) in unread {
            let Direction::Received { unread } = &mut message.direction else { continue };
            let Some(position) = unread.take() else { continue };
            // The same reference twice in one command finds the row gone the second time.
            if self.get::<UnreadRow>(&position)?.is_some() {
                self.delete::<UnreadRow>(&position);
                self.counters.unread = self.counters.unread.saturating_sub(1);
                self.begin_to_expire(place, &message);
                self.put(&place, &message);
                self.owe_read_receipt(place, &message)?;
            }
        }
        Ok(Ok(Reply::Read))
    }
}

/// The chain of a session that gave way never turns, so that whoever stole it long ago can still write in it: it says
/// nothing that would steer anything.
fn steers(plaintext: &Plaintext, now: Timestamp) -> bool {
    plaintext.retired.is_none_or(|since| now.since(since) <= limits::RETIRED_GRACE)
}

/// Content that stands in the history.
pub(crate) struct Said {
    pub(crate) text: Text,
    pub(crate) reply_to: Option<MessageId>,
    pub(crate) ttl: Option<u32>,
}

/// Something that has just been said to this account.
pub(crate) struct Arrived {
    pub(crate) chat: ChatId,
    /// The chat's name.
    pub(crate) name: String,
    pub(crate) position: u64,
    pub(crate) message: MessageRecord,
    pub(crate) author: Author,
}

impl Said {
    /// What the history has of it; nothing of what is no part of the conversation.
    pub(crate) fn of(body: &Body) -> Option<Self> {
        let (text, reply_to, ttl) = match body {
            Body::Text { text, reply_to, ttl } => (Text::Plain(text.clone()), *reply_to, *ttl),
            Body::Timer(ttl) => (Text::TimerSet(*ttl), None, None),
            Body::Reaction { message, emoji } => {
                (Text::action(Action::Reacted { to: *message, emoji: emoji.clone() }), None, None)
            }
            Body::Edit { message, text } => {
                (Text::action(Action::Edited { to: *message, text: Some(text.clone()) }), None, None)
            }
            Body::Unsend { message, place } => {
                (Text::action(Action::Withdrew { to: *message, place: place.map(Into::into) }), None, None)
            }
            Body::Unknown(_) => (Text::NeedsNewerVersion, None, None),
            Body::Presence(_) | Body::Ping | Body::Pong(_) => return None,
            Body::Receipt { .. } | Body::Hello { .. } | Body::TokenRenewal(_) => return None,
            Body::Profile(_) => return None,
            Body::ResendRequest { .. } | Body::KeyPackages { .. } => return None,
            Body::GroupInvite { .. } | Body::GroupRejoin { .. } => return None,
            Body::GuestWanted { .. } | Body::GuestPlace { .. } => return None,
        };
        Some(Self { text, reply_to, ttl })
    }

    /// As it arrives. The text of an edit stands with the message that it changes, and nowhere else.
    pub(crate) fn received(self, content: &Content, now: Timestamp, position: u64) -> MessageRecord {
        let text = match self.text {
            Text::Action(action) => match *action {
                Action::Edited { to, .. } => Text::action(Action::Edited { to, text: None }),
                other => Text::action(other),
            },
            other => other,
        };
        MessageRecord {
            id: content.id,
            text,
            sent: content.sent,
            stored: now,
            direction: Direction::Received { unread: None },
            author: None,
            without_one_time_key: false,
            ttl: self.ttl,
            marks: Marks::reply(self.reply_to),
        }
        .received(position)
    }
}

impl Text {
    fn action(action: Action) -> Self {
        Self::Action(Box::new(action))
    }
}
