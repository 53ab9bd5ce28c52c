//! What a user has settled for a chat.

use hermes_wire::Timestamp;

use crate::{
    chat,
    id::ChatId,
    rows::{self, ChatCountersKey, ChatRow, SettingsKey, SettingsRow, StoreResult},
    store::View,
};

/// What is settled for a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsView {
    /// Its name.
    pub name: String,
    /// It is quiet until then.
    pub muted: Option<Timestamp>,
    /// Seconds after which its texts are deleted.
    pub ttl: Option<u32>,
    /// Whether it is put away.
    pub archived: bool,
}

/// What is settled for the chat of a contact or a group.
pub fn settings<V: View>(view: &V, chat: ChatId) -> StoreResult<SettingsView, V> {
    let row: Option<SettingsRow> = rows::get(view, &SettingsKey(chat))?;
    let settings = row.map(|row| row.0).unwrap_or_default();
    let name = chat::chat(view, &chat)?.name().to_owned();
    let counters: Option<ChatRow> = rows::get(view, &ChatCountersKey(chat))?;
    let archived = counters.is_some_and(|row| row.0.archived);
    Ok(SettingsView { name, muted: settings.muted, ttl: settings.ttl, archived })
}
