//! Ephemeral envelopes: best effort, so that nothing that is wrong with one is worth a record.

use hermes_protocol::{
    content::{Body, Content},
    ratchet::EphemeralMessage,
};

use crate::{
    row::{ContactRecord, SessionRecord},
    rows::{ReadError, StoreResult},
    session::decode_session,
    store::{Table, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// Takes an ephemeral message of a contact. Nothing is written: it may be a copy, and may be any age.
    pub(crate) fn ephemeral(
        &mut self,
        contact: &ContactRecord,
        message: &EphemeralMessage,
    ) -> StoreResult<(), V> {
        let Some(content) = self.open_ephemeral(contact, message)? else { return Ok(()) };
        match content.body {
            // All of these act, or stay: only the ratchet says of content that it comes for the first time.
            Body::Text { .. } | Body::Receipt { .. } | Body::Hello { .. } => Ok(()),
            Body::TokenRenewal(_) | Body::ResendRequest { .. } | Body::Timer(_) => Ok(()),
            Body::KeyPackages { .. } | Body::GroupInvite { .. } | Body::GroupRejoin { .. } => Ok(()),
            // For a newer version, in which it will be too old to matter.
            Body::Unknown(_) => Ok(()),
        }
    }

    /// What an ephemeral message says, if the active session opens it. Those that gave way have no key for it.
    fn open_ephemeral(
        &self,
        contact: &ContactRecord,
        message: &EphemeralMessage,
    ) -> StoreResult<Option<Content>, V> {
        let Some(id) = &contact.active else { return Ok(None) };
        let record: SessionRecord = self.get(id)?.ok_or(ReadError::Corrupt(Table::Session))?;
        let opened = decode_session(&record)?.open_ephemeral(message);
        Ok(opened.ok().and_then(|text| Content::decode(&text).ok()))
    }
}
