//! Ephemeral envelopes: best effort, so that nothing that is wrong with one is worth a record.

use hermes_protocol::{
    content::{Body, Content},
    envelope::Envelope,
    ratchet::EphemeralMessage,
};

use hermes_wire::mailbox::Passing;

use crate::{
    effect::Event,
    id::ChatId,
    row::{ContactRecord, SessionRecord},
    rows::{ReadError, RouteRow, StoreResult},
    session::decode_session,
    store::{Table, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// Takes an envelope that the relay has not kept. Whatever is wrong with it, it is passed over.
    pub(crate) fn passed(&mut self, passing: &Passing) -> StoreResult<(), V> {
        let Ok(Envelope::Ephemeral(message)) = Envelope::decode(&passing.body) else { return Ok(()) };
        let Some(RouteRow(chat)) = self.get(&passing.contact)? else { return Ok(()) };
        match self.get::<ContactRecord>(&chat)? {
            Some(contact) if contact.blocked.is_none() => self.ephemeral(chat, &contact, &message),
            _ => Ok(()),
        }
    }

    /// Takes an ephemeral message of a contact. It may be a copy, and may be any age: nothing of it is written but when
    /// the contact was there.
    pub(crate) fn ephemeral(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
        message: &EphemeralMessage,
    ) -> StoreResult<(), V> {
        let Some(content) = self.open_ephemeral(contact, message)? else { return Ok(()) };
        match content.body {
            Body::Presence(presence) => self.presence_heard(chat, contact, content.sent, presence),
            Body::Ping => self.pinged(chat, contact, &content),
            Body::Pong(ping) => {
                self.event(Event::Pong { chat, ping });
                Ok(())
            }
            // All of these act, or stay: only the ratchet says of content that it comes for the first time.
            Body::Text { .. } | Body::Receipt { .. } | Body::Hello { .. } | Body::Profile(_) => Ok(()),
            Body::TokenRenewal(_) | Body::ResendRequest { .. } | Body::Timer(_) => Ok(()),
            Body::KeyPackages { .. } | Body::GroupInvite { .. } | Body::GroupRejoin { .. } => Ok(()),
            Body::GuestWanted { .. } | Body::GuestPlace { .. } => Ok(()),
            Body::Reaction { .. } | Body::Edit { .. } | Body::Unsend { .. } => Ok(()),
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
