//! What a user has settled for a chat.

use hermes_wire::Timestamp;

use crate::{
    chat,
    id::ChatId,
    rows::{self, SettingsKey, SettingsRow, StoreResult},
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
}

/// What is settled for the chat of a contact or a group.
pub fn settings<V: View>(view: &V, chat: ChatId) -> StoreResult<SettingsView, V> {
    let row: Option<SettingsRow> = rows::get(view, &SettingsKey(chat))?;
    let settings = row.map(|row| row.0).unwrap_or_default();
    let name = chat::chat(view, &chat)?.name().to_owned();
    Ok(SettingsView { name, muted: settings.muted, ttl: settings.ttl })
}
