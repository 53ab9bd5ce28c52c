//! People in groups, as a user sees them.

use hermes_protocol::identity::{Fingerprint, IdentityKeyPair};

use crate::{
    account::{self, Lookup, LookupKey},
    row::{Author, ContactRecord, Text},
    rows::{self, PeerRow, StoreResult},
    store::View,
};

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonView {
    /// The contact it is, by its name here.
    pub contact: Option<String>,
    /// What it calls itself. Not cleaned, and nobody else has vouched for it.
    pub profile_name: String,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// Whether it is this account.
    pub me: bool,
}

/// Tells who is who.
pub(super) struct People {
    own: Fingerprint,
    lookup: LookupKey,
}

impl People {
    pub(super) fn read<V: View>(view: &V) -> StoreResult<Self, V> {
        let record = account::record(view)?;
        let pair = IdentityKeyPair::from_bytes(record.identity.expose());
        Ok(Self { own: pair.identity().fingerprint(), lookup: record.lookup_key() })
    }

    pub(super) fn own(&self) -> &Fingerprint {
        &self.own
    }

    /// The contact of an identity.
    pub(super) fn contact<V: View>(
        &self,
        view: &V,
        fingerprint: &Fingerprint,
    ) -> StoreResult<Option<(crate::id::ChatId, ContactRecord)>, V> {
        let peer = rows::get(view, &self.lookup.hash(Lookup::Peer, &[&fingerprint.0]))?;
        let Some(PeerRow(chat)) = peer else { return Ok(None) };
        let contact = rows::get::<ContactRecord, _>(view, &chat)?;
        Ok(contact.filter(|contact| contact.removed.is_none()).map(|contact| (chat, contact)))
    }

    pub(super) fn show<V: View>(&self, view: &V, author: Author) -> StoreResult<PersonView, V> {
        let Author { fingerprint, profile_name } = author;
        let contact = self.contact(view, &fingerprint)?.map(|(_, contact)| contact.name);
        Ok(PersonView { contact, profile_name, fingerprint, me: fingerprint == self.own })
    }

    /// Everybody whom a message names: its author, and those whom a note is about.
    pub(super) fn named_in<V: View>(
        &self,
        view: &V,
        author: Option<&Author>,
        text: &Text,
    ) -> StoreResult<Vec<PersonView>, V> {
        let mut named: Vec<&Author> = author.into_iter().collect();
        if let Text::GroupChanged(note) = text {
            named.push(&note.by);
            named.extend(note.added.iter().chain(&note.removed).chain(&note.left));
            named.extend(note.promoted.iter().chain(&note.demoted));
        }
        named.into_iter().map(|author| self.show(view, author.clone())).collect()
    }
}
