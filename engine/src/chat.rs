//! Conversations: with a contact, or in a group. Both are named in one space.

use crate::{
    account::Lookup,
    group::GroupRecord,
    id::ChatId,
    row::ContactRecord,
    rows::{self, NameRow, ReadError, StoreResult},
    store::{Table, View},
    turn::Turn,
};

/// What a conversation is with.
pub(crate) enum Chat {
    Contact(Box<ContactRecord>),
    Group(Box<GroupRecord>),
}

impl Chat {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Contact(contact) => &contact.name,
            Self::Group(group) => &group.name,
        }
    }
}

/// A conversation that another row points at.
pub(crate) fn chat<V: View>(view: &V, chat: &ChatId) -> StoreResult<Chat, V> {
    find(view, chat)?.ok_or(ReadError::Corrupt(Table::Contact))
}

/// A conversation, if it is one still.
pub(crate) fn find<V: View>(view: &V, chat: &ChatId) -> StoreResult<Option<Chat>, V> {
    if let Some(contact) = rows::get(view, chat)? {
        return Ok(Some(Chat::Contact(Box::new(contact))));
    }
    let group: Option<GroupRecord> = rows::get(view, chat)?;
    Ok(group.map(|group| Chat::Group(Box::new(group))))
}

impl<V: View> Turn<'_, V> {
    pub(crate) fn chat_at(&self, id: &ChatId) -> StoreResult<Chat, V> {
        chat(&self.overlay(), id)
    }

    /// The conversation of a name.
    pub(crate) fn chat_named(&self, name: &str) -> StoreResult<Option<(ChatId, Chat)>, V> {
        let key = self.account.lookup(Lookup::Name, &[name.as_bytes()]);
        match self.get::<NameRow>(&key)? {
            Some(NameRow(id)) => Ok(Some((id, self.chat_at(&id)?))),
            None => Ok(None),
        }
    }

    /// The contact of a name; a group's name is no contact's.
    pub(crate) fn contact_named(&self, name: &str) -> StoreResult<Option<(ChatId, ContactRecord)>, V> {
        Ok(match self.chat_named(name)? {
            Some((id, Chat::Contact(contact))) if contact.removed.is_none() => Some((id, *contact)),
            // Of one that was removed, the name is left.
            Some((_, Chat::Contact(_) | Chat::Group(_))) | None => None,
        })
    }
}
