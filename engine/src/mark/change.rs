//! What the user says about messages.

use hermes_protocol::content::{Body, ChatPlace, WithdrawnPlace};

use crate::{
    chat::Chat,
    effect::{CommandError, Reply},
    input::{MessageChange, OutboxKey},
    limits::{EDITS, TEXT_BYTES},
    reference::{self, Reference},
    row::{
        Direction, EarlyEdit, FailureReason, MarkKey, MarkOrder, MarkRecord, MessageRecord, MessageState,
        OutboxRecord, Reaction, SentRecord, Text,
    },
    rows::{Key, Place, SentKey, StoreResult},
    send::is_blank,
    store::{Range, View},
    turn::Turn,
};

/// Rows of an outbox read at a time, each with an envelope.
const ROWS_AT_ONCE: usize = 64;

/// A message that the user names.
struct Named {
    reference: Reference,
    place: Place,
    record: MessageRecord,
    chat: Chat,
}

impl<V: View> Turn<'_, V> {
    /// Says something about a message, or does nothing if it is as asked already.
    pub(crate) fn change_message(
        &mut self,
        reference: Reference,
        change: MessageChange,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        let Some((id, chat)) = self.chat_named(&reference.chat)? else {
            return Ok(Err(CommandError::UnknownMessage(reference)));
        };
        let Some((place, record)) = reference::find(&self.overlay(), id, &reference)? else {
            return Ok(Err(CommandError::UnknownMessage(reference)));
        };
        if !record.text.is_said() {
            return Ok(Err(CommandError::NothingToChange(reference)));
        }
        let named = Named { reference, place, record, chat };
        match change {
            MessageChange::React(emoji) => self.say_reaction(named, emoji),
            MessageChange::Edit(text) => self.say_edit(named, text),
            MessageChange::Unsend => self.say_unsend(named),
            MessageChange::Cancel => self.cancel(named),
        }
    }

    fn say_reaction(
        &mut self,
        named: Named,
        emoji: Option<String>,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        let Named { place, record, .. } = &named;
        if record.text.is_gone() {
            return Ok(Err(CommandError::NothingToChange(named.reference)));
        }
        if is_failed(record) {
            return Ok(Err(CommandError::NotSent(named.reference)));
        }
        let body = Body::Reaction { message: record.id, emoji: emoji.clone() };
        if body.check().is_err() {
            return Ok(Err(CommandError::BadReaction(emoji.unwrap_or_default())));
        }
        let key = MarkKey(place.chat, record.id, self.voice(place.chat, &self.account.fingerprint()));
        let known: Option<MarkRecord> = self.get(&key)?;
        if known.and_then(|mark| mark.reaction).and_then(|reaction| reaction.emoji) == emoji {
            return Ok(Ok(changed(record, None)));
        }
        let (place, id) = (*place, record.id);
        let (said, order) = match self.say_about(&named, body)? {
            Ok(said) => said,
            Err(error) => return Ok(Err(error)),
        };
        self.react(place.chat, self.own_name(), id, Reaction { order, emoji })?;
        Ok(Ok(changed(&named.record, Some(self.sent_message(said)?))))
    }

    fn say_edit(&mut self, named: Named, text: String) -> StoreResult<Result<Reply, CommandError>, V> {
        let Named { record, reference, .. } = &named;
        if is_blank(&text) {
            return Ok(Err(CommandError::EmptyText));
        }
        if text.len() > TEXT_BYTES {
            return Ok(Err(CommandError::TextTooLong { bytes: text.len(), max: TEXT_BYTES }));
        }
        if let Err(error) = may_change(record, reference) {
            return Ok(Err(error));
        }
        match &record.text {
            Text::Plain(now) if *now == text => return Ok(Ok(changed(record, None))),
            Text::Plain(_) => {}
            _ => return Ok(Err(CommandError::NothingToChange(named.reference))),
        }
        if is_failed(record) {
            return Ok(Err(CommandError::NotSent(named.reference)));
        }
        let edits = record.marks.edited.as_ref().map_or(0, |edited| edited.rows.len());
        if edits >= EDITS {
            return Ok(Err(CommandError::TooManyEdits(named.reference, EDITS)));
        }
        let body = Body::Edit { message: record.id, text: text.clone() };
        let (said, order) = match self.say_about(&named, body)? {
            Ok(said) => said,
            Err(error) => return Ok(Err(error)),
        };
        self.edit(said, self.own_name(), named.record.id, EarlyEdit { order, at: self.now, text })?;
        Ok(Ok(changed(&named.record, Some(self.sent_message(said)?))))
    }

    fn say_unsend(&mut self, named: Named) -> StoreResult<Result<Reply, CommandError>, V> {
        let Named { place, record, reference, .. } = &named;
        if let Err(error) = may_change(record, reference) {
            return Ok(Err(error));
        }
        if record.text == Text::Withdrawn {
            return Ok(Ok(changed(record, None)));
        }
        let place = *place;
        // What has failed nobody has, and nobody need be told.
        let said = match is_failed(record) {
            true => None,
            false => match self.say_withdrawn(&named)? {
                Ok(said) => Some(self.sent_message(said)?),
                Err(error) => return Ok(Err(error)),
            },
        };
        self.take_back(place)?;
        let record: MessageRecord = self.get(&place)?.unwrap_or(named.record);
        let reply = changed(&record, said);
        self.withdraw(place, record)?;
        Ok(Ok(reply))
    }

    /// A message that has not left is not to leave. The relay may have it all the same, when its receipt is still on its
    /// way; and its number is used. So the other side is told that it is withdrawn, and shows it to nobody.
    fn cancel(&mut self, named: Named) -> StoreResult<Result<Reply, CommandError>, V> {
        let Named { place, record, reference, .. } = &named;
        if let Err(error) = may_change(record, reference) {
            return Ok(Err(error));
        }
        match &record.direction {
            Direction::Sent(MessageState::Queued) => {}
            Direction::Sent(MessageState::Failed(FailureReason::Cancelled)) => {
                return Ok(Ok(changed(record, None)));
            }
            _ => return Ok(Err(CommandError::HasLeft(named.reference))),
        }
        let place = *place;
        self.take_back(place)?;
        // Where nothing can be said, nothing that was sealed after it will be read either.
        let said = match self.say_withdrawn(&named)? {
            Ok(said) => Some(self.sent_message(said)?),
            Err(_) => None,
        };
        Ok(Ok(changed(&named.record, said)))
    }

    /// Takes a message's row out of the outbox, if it has not left.
    fn take_back(&mut self, place: Place) -> StoreResult<(), V> {
        let record: Option<MessageRecord> = self.get(&place)?;
        if !record.is_some_and(|record| record.direction == Direction::Sent(MessageState::Queued)) {
            return Ok(());
        }
        if let Some(key) = self.outbox_row(place)? {
            self.remove_row(key);
        }
        self.advance(place, MessageState::Failed(FailureReason::Cancelled))
    }

    /// The outbox row of a message: the one of its number, of which there may be several after a new session.
    fn outbox_row(&self, place: Place) -> StoreResult<Option<OutboxKey>, V> {
        let mut range = Range::prefix(&place.chat.0);
        loop {
            let rows = self.scan::<OutboxRecord>(&range, ROWS_AT_ONCE)?;
            let Some((last, _)) = rows.last() else { return Ok(None) };
            range.from = OutboxKey { chat: place.chat, position: last.position.saturating_add(1) }.to_bytes();
            let found = rows.iter().find(|(_, row)| row.message == Some(place.number));
            if let Some((key, _)) = found {
                return Ok(Some(*key));
            }
        }
    }

    fn say_withdrawn(&mut self, named: &Named) -> StoreResult<Result<Place, CommandError>, V> {
        let place = self.withdrawn_place(named.place)?;
        let body = Body::Unsend { message: named.record.id, place };
        Ok(self.say_about(named, body)?.map(|(place, _)| place))
    }

    /// Says it, and tells its place in the history and its order.
    fn say_about(
        &mut self,
        named: &Named,
        body: Body,
    ) -> StoreResult<Result<(Place, MarkOrder), CommandError>, V> {
        let chat = named.place.chat;
        let said = match &named.chat {
            Chat::Contact(contact) => self.say(chat, contact, body)?,
            Chat::Group(group) => self.say_in_group(chat, group, body)?,
        };
        let place = match said {
            Ok(place) => place,
            Err(error) => return Ok(Err(CommandError::Unsent(error))),
        };
        let counter = self.chat_counters(chat)?.sent;
        let id = self.sent_message(place)?.id;
        Ok(Ok((place, MarkOrder { counter, id })))
    }

    /// Where a sent message stands among the own messages of its chat; nothing once counting has begun anew.
    fn withdrawn_place(&self, place: Place) -> StoreResult<Option<WithdrawnPlace>, V> {
        let Some((counter, sent)) = self.sent_at(place)? else { return Ok(None) };
        let next: Option<SentRecord> =
            self.get(&SentKey { chat: place.chat, counter: counter.saturating_add(1) })?;
        let hash = match next {
            Some(next) => *next.previous,
            None => *self.chat_counters(place.chat)?.previous,
        };
        let place = ChatPlace { counter, previous: *sent.previous };
        Ok(Some(WithdrawnPlace { place, hash }))
    }

    /// The count of a sent message. Both numbers rise together, so that a few looks are enough.
    fn sent_at(&self, place: Place) -> StoreResult<Option<(u64, SentRecord)>, V> {
        let (mut low, mut high) = (0, self.chat_counters(place.chat)?.sent.saturating_add(1));
        while low < high {
            let middle = low.saturating_add(high.saturating_sub(low) / 2);
            let mut range = Range::prefix(&place.chat.0);
            range.from = SentKey { chat: place.chat, counter: middle }.to_bytes();
            match self.scan::<SentRecord>(&range, 1)?.pop() {
                Some((key, record)) if record.number == place.number => {
                    return Ok(Some((key.counter, record)));
                }
                Some((key, record)) if record.number < place.number => low = key.counter.saturating_add(1),
                _ => high = middle,
            }
        }
        Ok(None)
    }
}

fn may_change(record: &MessageRecord, reference: &Reference) -> Result<(), CommandError> {
    match (&record.direction, &record.text) {
        (Direction::Sent(_), Text::Expired) => Err(CommandError::NothingToChange(reference.clone())),
        (Direction::Sent(_), _) => Ok(()),
        _ => Err(CommandError::NotAuthor(reference.clone())),
    }
}

fn is_failed(record: &MessageRecord) -> bool {
    matches!(record.direction, Direction::Sent(MessageState::Failed(_)))
}

fn changed(record: &MessageRecord, said: Option<crate::effect::SentMessage>) -> Reply {
    Reply::Marked { message: record.id, said }
}
