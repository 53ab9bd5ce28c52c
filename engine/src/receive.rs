//! Receiving: from an envelope of the mailbox to content, and back to an acknowledgement.

use hermes_protocol::{envelope::Envelope, handshake::ReplayId, ratchet::RatchetMessage};
use hermes_wire::{Sequence, mailbox::Delivered};

use crate::{
    effect::Effect,
    group::{CardKey, CardRecord},
    id::ChatId,
    row::{ContactRecord, InviteRecord, UnreadableCause},
    rows::{ReadError, RouteRow, StoreResult},
    session::Arrival,
    store::{Table, View},
    turn::{Halt, Turn},
};

impl<V: View> Turn<'_, V> {
    /// Takes an envelope. Whatever is wrong with it, it is settled here: read, known already, or put on record as
    /// unreadable. In each case it is acknowledged, so that no envelope can block the mailbox.
    pub(crate) fn delivered(&mut self, delivered: Delivered) -> StoreResult<(), V> {
        let sequence = delivered.sequence;
        let fresh = sequence > self.counters.cursor;
        match self.receive(&delivered) {
            Ok(Taken::New | Taken::Ephemeral | Taken::Dropped) => {}
            Ok(Taken::Repeated) => {
                if let (true, Some(RouteRow(chat))) = (fresh, self.get(&delivered.contact)?) {
                    self.renew_repeated(chat)?;
                }
            }
            // A number that was taken before is nearly always a copy, which may be too old to be known as one. It is
            // looked at all the same: a relay restored from an old copy gives old numbers to new envelopes.
            Err(Halt::Unreadable(_)) if !fresh => {}
            Err(Halt::Unreadable(cause)) if self.note_refused(delivered.contact, cause)? => {}
            Err(Halt::Unreadable(cause)) => {
                let chat = self.get::<RouteRow>(&delivered.contact)?.map(|row| row.0);
                self.unreadable(cause, chat);
                if let Some(chat) = chat {
                    self.renew_unreadable(chat, cause, initiation(&delivered))?;
                }
            }
            Err(Halt::Store(error)) => return Err(error),
        }
        self.counters.cursor = self.counters.cursor.max(sequence);
        self.note_drained(delivered.stored);
        // Only what this connection delivered: the cursor may name what a restored relay has yet to deliver.
        self.effects.push(Effect::Ack(sequence));
        Ok(())
    }

    /// Takes note that sequences will not come. Their senders' counters will show the gap; this says why.
    pub(crate) fn gone(&mut self, first: Sequence, last: Sequence) -> StoreResult<(), V> {
        if first <= last && last > self.counters.cursor {
            let settled = self.counters.cursor.0.max(first.0.saturating_sub(1));
            self.expired(last.0.saturating_sub(settled));
            self.counters.cursor = last;
        }
        self.effects.push(Effect::Ack(last));
        Ok(())
    }

    fn receive(&mut self, delivered: &Delivered) -> Result<Taken, Halt<V::Error>> {
        if let Some(record) = self.get::<CardRecord>(&CardKey(delivered.contact))? {
            // One that names a mailbox elsewhere has nothing to do with this relay.
            if record.at.is_some() {
                return Err(UnreadableCause::UnknownContact.into());
            }
            return self.copy_arrived(delivered.contact, record, delivered);
        }
        let envelope = Envelope::decode(&delivered.body).map_err(|_| UnreadableCause::Malformed)?;
        if let Some(RouteRow(chat)) = self.get(&delivered.contact)? {
            let contact: Option<ContactRecord> = self.get(&chat)?;
            let contact = contact.ok_or(ReadError::Corrupt(Table::Contact))?;
            if contact.blocked.is_some() || contact.removed.is_some() {
                return Ok(Taken::Dropped);
            }
            return match envelope {
                Envelope::Ordinary(message) => self.ordinary(chat, contact, &message),
                Envelope::First { handshake, message } => {
                    self.first_from_contact(delivered.contact, chat, contact, &handshake, &message)
                }
                Envelope::Ephemeral(message) => {
                    self.ephemeral(chat, &contact, &message)?;
                    Ok(Taken::Ephemeral)
                }
            };
        }
        let Some(invite) = self.get::<InviteRecord>(&delivered.contact)? else {
            // It was on its way when the permission ended.
            return match self.is_revoked(delivered.contact)? {
                true => Ok(Taken::Dropped),
                false => Err(UnreadableCause::UnknownContact.into()),
            };
        };
        match envelope {
            Envelope::First { handshake, message } if invite.published.is_some() => {
                self.request_arrived(delivered.contact, invite, &handshake, &message)
            }
            Envelope::First { handshake, message } => {
                self.first_from_invite(delivered.contact, &invite, &handshake, &message)?;
                Ok(Taken::New)
            }
            Envelope::Ordinary(_) => Err(UnreadableCause::NoSession.into()),
            Envelope::Ephemeral(_) => Ok(Taken::Ephemeral),
        }
    }

    fn ordinary(
        &mut self,
        chat: ChatId,
        contact: ContactRecord,
        message: &RatchetMessage,
    ) -> Result<Taken, Halt<V::Error>> {
        match self.open(&contact, message) {
            Ok(arrival) => self.arrived(chat, contact, arrival, None),
            Err(Halt::Unreadable(UnreadableCause::NoSession)) => {
                self.ordinary_of_change(chat, contact, message)
            }
            Err(other) => Err(other),
        }
    }

    /// Acts on what a session opened. `initiation` is the handshake that came with it, if one did.
    pub(crate) fn arrived(
        &mut self,
        chat: ChatId,
        contact: ContactRecord,
        arrival: Arrival,
        initiation: Option<ReplayId>,
    ) -> Result<Taken, Halt<V::Error>> {
        match arrival {
            Arrival::New(plaintext) => {
                self.content(chat, contact, &plaintext)?;
                if let Some(retired) = plaintext.retired {
                    self.renew_outdated(chat, retired, initiation)?;
                }
                Ok(Taken::New)
            }
            Arrival::Repeated => Ok(Taken::Repeated),
        }
    }
}

/// What an envelope that could be read was.
pub(crate) enum Taken {
    /// Content, acted upon.
    New,
    /// A copy of an earlier one.
    Repeated,
    /// Best effort: whatever became of it.
    Ephemeral,
    /// Of somebody who is blocked, or was removed: it was not looked at.
    Dropped,
}

/// The handshake that an envelope carries, if it carries one.
fn initiation(delivered: &Delivered) -> Option<ReplayId> {
    match Envelope::decode(&delivered.body) {
        Ok(Envelope::First { handshake, .. }) => Some(handshake.replay_id()),
        Ok(Envelope::Ordinary(_) | Envelope::Ephemeral(_)) | Err(_) => None,
    }
}
