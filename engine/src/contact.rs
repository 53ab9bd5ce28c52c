//! Contacts: made by pairing, found by name.

use hermes_protocol::identity::Fingerprint;

use crate::{
    account::Lookup,
    id::ChatId,
    limits,
    row::ContactRecord,
    rows::{NameRow, PeerRow, ReadError, StoreResult},
    store::{Table, View},
    turn::Turn,
};

/// Characters of a contact's name: what a terminal table has room for.
const NAME_CHARS: usize = 32;

impl<V: View> Turn<'_, V> {
    /// The contact with this identity.
    pub(crate) fn contact_with(
        &self,
        fingerprint: &Fingerprint,
    ) -> StoreResult<Option<(ChatId, ContactRecord)>, V> {
        let key = self.account.lookup(Lookup::Peer, &[&fingerprint.0]);
        let Some(PeerRow(chat)) = self.get(&key)? else { return Ok(None) };
        Ok(Some((chat, self.get(&chat)?.ok_or(ReadError::Corrupt(Table::Contact))?)))
    }

    /// Adds a contact under its fingerprint; its name has been claimed.
    pub(crate) fn add_contact(&mut self, chat: ChatId, contact: &ContactRecord) {
        let key = self.account.lookup(Lookup::Peer, &[&contact.fingerprint.0]);
        self.put(&key, &PeerRow(chat));
        self.put(&chat, contact);
        self.counters.contacts = self.counters.contacts.saturating_add(1);
    }

    /// Takes back a contact that never came to be.
    pub(crate) fn remove_contact(&mut self, chat: ChatId, contact: &ContactRecord) {
        self.delete::<NameRow>(&self.account.lookup(Lookup::Name, &[contact.name.as_bytes()]));
        self.delete::<PeerRow>(&self.account.lookup(Lookup::Peer, &[&contact.fingerprint.0]));
        self.delete::<ContactRecord>(&chat);
        self.counters.contacts = self.counters.contacts.saturating_sub(1);
    }

    /// Reserves a free name near the wished one and points it at the chat.
    pub(crate) fn claim_name(&mut self, chat: ChatId, wish: &str) -> StoreResult<String, V> {
        let base = contact_name(wish);
        let mut name = base.clone();
        // Contacts are limited, so a free number is found within that many tries.
        for suffix in 2..=limits::CONTACTS.saturating_add(2) {
            let key = self.account.lookup(Lookup::Name, &[name.as_bytes()]);
            if self.get::<NameRow>(&key)?.is_none() {
                self.put(&key, &NameRow(chat));
                return Ok(name);
            }
            name = format!("{base}-{suffix}");
        }
        Ok(name)
    }

    /// Gives a contact the name it wishes, or one near it.
    pub(crate) fn rename(
        &mut self,
        chat: ChatId,
        contact: &mut ContactRecord,
        wish: &str,
    ) -> StoreResult<(), V> {
        self.delete::<NameRow>(&self.account.lookup(Lookup::Name, &[contact.name.as_bytes()]));
        contact.name = self.claim_name(chat, wish)?;
        Ok(())
    }
}

/// A name that can be typed, from whatever a peer calls itself. `#` would end a reference, a leading `@` or `-` would
/// be read as something else.
pub(crate) fn contact_name(wish: &str) -> String {
    let typed = |c: char| match c {
        _ if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') => Some(c.to_ascii_lowercase()),
        ' ' => Some('-'),
        _ => None,
    };
    let name: String = wish.trim().chars().filter_map(typed).take(NAME_CHARS).collect();
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() { "contact".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::contact_name;

    #[test]
    fn names_can_be_typed() {
        assert_eq!(contact_name("Bob"), "bob");
        assert_eq!(contact_name("--Bob B.\u{202e}#1\n"), "bob-b.1");
        assert_eq!(contact_name("\u{1b}[2J"), "2j");
        assert_eq!(contact_name("日本"), "contact");
        assert_eq!(contact_name(&"x".repeat(100)).len(), 32);
    }
}
