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
        self.claim_near(chat, contact_name(wish))
    }

    /// The same for a group.
    pub(crate) fn claim_group_name(&mut self, chat: ChatId, wish: &str) -> StoreResult<String, V> {
        self.claim_near(chat, group_name(wish))
    }

    /// Whether a group that is made here can have this name without taking another one near it.
    pub(crate) fn is_group_name_free(&self, wish: &str) -> StoreResult<bool, V> {
        let key = self.account.lookup(Lookup::Name, &[group_name(wish).as_bytes()]);
        Ok(self.get::<NameRow>(&key)?.is_none())
    }

    fn claim_near(&mut self, chat: ChatId, base: String) -> StoreResult<String, V> {
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

    /// Gives a contact the name that it calls itself by, unless the user has named it.
    pub(crate) fn rename_by_itself(
        &mut self,
        chat: ChatId,
        contact: &mut ContactRecord,
        profile_name: &str,
    ) -> StoreResult<(), V> {
        if contact.named { Ok(()) } else { self.rename(chat, contact, profile_name) }
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

/// A group's name, which its members know, as far as it cannot be mistaken for another one. Letters of all scripts stay;
/// but letters that look like Latin ones stand among Latin ones nowhere, and never by themselves: whoever names a group
/// could otherwise have it look like somebody's contact.
pub(crate) fn group_name(wish: &str) -> String {
    let typed = |c: char| match c {
        _ if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') => c.to_lowercase().next(),
        ' ' => Some('-'),
        _ => None,
    };
    let name: String = wish.trim().chars().filter_map(typed).take(NAME_CHARS).collect();
    let name = name.trim_matches(['-', '.']);
    let letters = || name.chars().filter(|c| c.is_alphabetic());
    let latin = letters().any(is_latin);
    let safe = match latin {
        true => letters().all(is_latin),
        false => {
            letters().any(|c| !looks_latin(c)) && name.chars().all(|c| c.is_alphabetic() || c.is_ascii())
        }
    };
    match (name.is_empty(), safe) {
        (false, true) => name.to_owned(),
        _ => match contact_name(wish).as_str() {
            "contact" => "group".to_owned(),
            ascii => ascii.to_owned(),
        },
    }
}

/// ASCII, and the letters with marks of the Latin-1, Extended-A, -B and Additional blocks.
fn is_latin(c: char) -> bool {
    c.is_ascii() || matches!(c, '\u{c0}'..='\u{17f}' | '\u{1cd}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

/// Letters of other scripts that most typefaces draw as a Latin one (from the confusables of UTS #39).
fn looks_latin(c: char) -> bool {
    "асеорхуіјѕһԁԛԝвкмнтгпαοορνικτυχγηωսոօցհզքյաєѵ".contains(c)
}

#[cfg(test)]
mod tests {
    use super::{contact_name, group_name};

    #[test]
    fn groups_keep_letters_that_nobody_can_mistake() {
        for (wish, name) in [
            ("Réunion d'été", "réunion-dété"),
            ("Команда", "команда"),
            ("運用 1", "運用-1"),
            ("فريق", "فريق"),
            ("Ops", "ops"),
            // Cyrillic that reads bob, in part or as a whole, and other tricks.
            ("bоb", "bb"),
            ("оре", "group"),
            ("ops\u{202e}#1", "ops1"),
            ("\u{1f980}", "group"),
            ("--", "group"),
        ] {
            assert_eq!(group_name(wish), name, "{wish}");
        }
    }

    #[test]
    fn names_can_be_typed() {
        assert_eq!(contact_name("Bob"), "bob");
        assert_eq!(contact_name("--Bob B.\u{202e}#1\n"), "bob-b.1");
        assert_eq!(contact_name("\u{1b}[2J"), "2j");
        assert_eq!(contact_name("日本"), "contact");
        assert_eq!(contact_name(&"x".repeat(100)).len(), 32);
    }
}
