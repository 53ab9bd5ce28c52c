//! What a user settles for a chat: whether it is quiet, and how long its texts stay.

use std::time::Duration;

use hermes_protocol::content::Body;
use hermes_wire::Timestamp;

use crate::{
    chat::Chat,
    effect::{CommandError, Event, Reply},
    id::ChatId,
    input::ChatChange,
    limits::TTL,
    reference::Reference,
    row::{ChatRecord, ChatSettings, Direction, MessageRecord, Text},
    rows::{ChatCountersKey, ChatRow, QuietKey, QuietRow, SettingsKey, SettingsRow, StoreResult},
    store::View,
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    pub(crate) fn settings(&self, chat: ChatId) -> StoreResult<ChatSettings, V> {
        Ok(self.get::<SettingsRow>(&SettingsKey(chat))?.map(|row| row.0).unwrap_or_default())
    }

    /// Changes what is settled for the chat of this name.
    pub(crate) fn change_chat(
        &mut self,
        name: &str,
        change: ChatChange,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        let Some((chat, with)) = self.chat_named(name)? else {
            return Ok(Err(CommandError::UnknownChat(name.to_owned())));
        };
        let settings = self.settings(chat)?;
        match change {
            ChatChange::Mute(until) => {
                self.put(&SettingsKey(chat), &SettingsRow(ChatSettings { muted: until, ..settings }));
            }
            ChatChange::Archive => self.archive(chat, true)?,
            ChatChange::Unarchive => self.archive(chat, false)?,
            ChatChange::Ttl(ttl) => {
                if let Err(error) = check_ttl(ttl) {
                    return Ok(Err(error));
                }
                let ttl = ttl.map(seconds);
                if ttl != settings.ttl {
                    if let Err(error) = self.tell_ttl(chat, &with, ttl)? {
                        return Ok(Err(error));
                    }
                    self.put(&SettingsKey(chat), &SettingsRow(ChatSettings { ttl, ..settings }));
                }
            }
        }
        Ok(Ok(Reply::Chat(chat)))
    }

    /// Settles until when the user wants not to be disturbed.
    pub(crate) fn be_quiet(&mut self, until: Option<Timestamp>) {
        match until {
            Some(until) => self.put(&QuietKey, &QuietRow(until)),
            None => self.delete::<QuietRow>(&QuietKey),
        }
    }

    fn archive(&mut self, chat: ChatId, archived: bool) -> StoreResult<(), V> {
        let counters = self.chat_counters(chat)?;
        if counters.archived != archived {
            self.put(&ChatCountersKey(chat), &ChatRow(ChatRecord { archived, ..counters }));
        }
        Ok(())
    }

    /// A chat that was put away is back when a message comes, unless its user is to be left alone.
    pub(crate) fn bring_back(&self, chat: ChatId, counters: &mut ChatRecord) -> StoreResult<(), V> {
        if counters.archived {
            counters.archived = self.settings(chat)?.muted.is_some_and(|until| until > self.now);
        }
        Ok(())
    }

    /// The other side keeps to it too, once it knows.
    fn tell_ttl(
        &mut self,
        chat: ChatId,
        with: &Chat,
        ttl: Option<u32>,
    ) -> StoreResult<Result<(), CommandError>, V> {
        let body = Body::Timer(ttl);
        let told = match with {
            Chat::Contact(contact) => self.say(chat, contact, body)?,
            Chat::Group(group) => self.say_in_group(chat, group, body)?,
        };
        Ok(told.map(|_| ()).map_err(CommandError::Unsent))
    }

    /// The other side has settled how long texts stay.
    pub(crate) fn note_ttl(
        &mut self,
        chat: ChatId,
        name: String,
        counters: ChatRecord,
        message: &MessageRecord,
    ) -> StoreResult<(), V> {
        let Text::TimerSet(ttl) = message.text else { return Ok(()) };
        let settings = self.settings(chat)?;
        self.put(&SettingsKey(chat), &SettingsRow(ChatSettings { ttl, ..settings }));
        let place = self.append(chat, counters, message);
        self.event(Event::Received(Reference::of(name, place.number)));
        Ok(())
    }
}

impl Text {
    /// Whether it is something to read, and not a fact about the chat.
    pub(crate) fn is_to_be_read(&self) -> bool {
        !matches!(self, Self::TimerSet(_) | Self::Action(_))
    }
}

impl MessageRecord {
    /// As it arrives.
    pub(crate) fn received(self, position: u64) -> Self {
        let unread = Some(position).filter(|_| self.text.is_to_be_read());
        Self { direction: Direction::Received { unread }, ..self }
    }
}

/// What a text may be told to last.
pub(crate) fn check_ttl(ttl: Option<Duration>) -> Result<(), CommandError> {
    match ttl {
        Some(ttl) if !(Duration::from_secs(1)..=TTL).contains(&ttl) => {
            Err(CommandError::TtlOutOfRange(TTL.as_secs() / 86_400))
        }
        _ => Ok(()),
    }
}

pub(crate) fn seconds(ttl: Duration) -> u32 {
    u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX)
}
