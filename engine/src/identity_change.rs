//! Another identity under a contact's permission.
//!
//! A contact id is a permission, not a proof: whoever holds the token writes under it, and a relay delivers under it
//! what it likes. The proof is the handshake. When one by another identity verifies in full, somebody who holds that
//! identity's keys writes as this contact: the person, with new keys, or somebody else. Only the user can tell, so until
//! the word is given nothing is sent to the contact, and what the new identity says is held and shown to nobody.
//!
//! What had been sealed for the old identity when the change arrived goes on leaving: only the old keys open it, and the
//! change may be somebody's mischief. Once the user accepts, what is left of it has failed, because nobody reads it.

use hermes_protocol::{
    content::Content, handshake::HandshakeMessage, identity::Fingerprint, ratchet::RatchetMessage,
    ratchet::SessionId,
};
use hermes_wire::ContactId;

use crate::{
    account::Lookup,
    effect::{ChangeOutcome, CommandError, Event, Reply},
    id::ChatId,
    limits,
    pairing::Greeting,
    receive::Taken,
    row::{
        ChatRecord, ContactRecord, Direction, FailureReason, GapRecord, HeldRecord, MessageRecord,
        MessageState, SecretBuf, SentRecord, UnreadableCause,
    },
    rows::{
        ChatCountersKey, ChatRow, HeldKey, Key, PeerRow, Place, ReadError, SentKey, StoreResult,
        UsedInviteKey, UsedInviteRow,
    },
    session::{Arrival, Plaintext},
    store::{Range, Table, View},
    trust::{Change, ChangePolicy, KeyTrust},
    turn::{Halt, Turn},
};

impl<V: View> Turn<'_, V> {
    /// Whether an identity that is not the contact's may turn out to be its new one. It may not under the contact id of
    /// a used invite, which others may have read; nor if it is known as somebody else, or was refused before.
    pub(crate) fn may_change(
        &self,
        contact: &ContactRecord,
        inbound: ContactId,
        fingerprint: &Fingerprint,
    ) -> StoreResult<bool, V> {
        Ok(contact.answered
            && !contact.trust.refused.contains(fingerprint)
            && self.get::<UsedInviteRow>(&UsedInviteKey(inbound))?.is_none()
            && self.contact_with(fingerprint)?.is_none())
    }

    /// Commits to a verified handshake of another identity than the contact's. The newest such identity is kept.
    pub(crate) fn identity_changed(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
        handshake: &HandshakeMessage,
        greeting: Greeting,
    ) -> Result<(), Halt<V::Error>> {
        let fingerprint = greeting.initiator.identity.fingerprint();
        let (mut change, is_new) = match contact.trust.change.take() {
            Some(change) if change.next.fingerprint == fingerprint => (change, false),
            earlier => {
                if let Some(earlier) = earlier {
                    self.drop_change(chat, &earlier)?;
                }
                (Box::new(self.new_change(&contact, fingerprint)), true)
            }
        };
        let (_, plaintext) = self.settle_greeting(chat, &mut change.next, handshake, greeting)?;
        let name = contact.name.clone();
        match contact.trust.policy {
            ChangePolicy::Stop => {
                if is_new {
                    let outcome = ChangeOutcome::Stopped;
                    self.event(Event::IdentityChanged { chat, name, fingerprint, outcome });
                }
                contact.trust.change = Some(change);
                self.hold(chat, contact, &plaintext)
            }
            ChangePolicy::Accept => {
                self.replace_identity(chat, contact, *change)?;
                let outcome = ChangeOutcome::Accepted;
                self.event(Event::IdentityChanged { chat, name, fingerprint, outcome });
                self.release(chat)?;
                let contact = self.get(&chat)?.ok_or(ReadError::Corrupt(Table::Contact))?;
                self.content(chat, contact, &plaintext)
            }
        }
    }

    /// A message that no session of the contact opens: perhaps the waiting identity's.
    pub(crate) fn ordinary_of_change(
        &mut self,
        chat: ChatId,
        contact: ContactRecord,
        message: &RatchetMessage,
    ) -> Result<Taken, Halt<V::Error>> {
        let Some(change) = &contact.trust.change else { return Err(UnreadableCause::NoSession.into()) };
        let arrival = self.open(&change.next, message)?;
        self.arrived_of_change(chat, contact, arrival)
    }

    /// A first message whose session is known and not the contact's: perhaps the waiting identity's.
    pub(crate) fn first_of_change(
        &mut self,
        chat: ChatId,
        contact: ContactRecord,
        session: &SessionId,
        message: &RatchetMessage,
    ) -> Result<Taken, Halt<V::Error>> {
        let next = contact.trust.change.as_ref().map(|change| &change.next);
        let of = |next: &ContactRecord| next.active == Some(*session) || next.retired.contains(session);
        if !next.is_some_and(of) {
            return Err(UnreadableCause::Replay.into());
        }
        match self.open_with(session, message)? {
            Some(arrival) => self.arrived_of_change(chat, contact, arrival),
            None => Err(UnreadableCause::NoSession.into()),
        }
    }

    /// Copies of what another identity says are no reason to renew the contact's session, so they count as new.
    fn arrived_of_change(
        &mut self,
        chat: ChatId,
        contact: ContactRecord,
        arrival: Arrival,
    ) -> Result<Taken, Halt<V::Error>> {
        if let Arrival::New(plaintext) = arrival {
            self.hold(chat, contact, &plaintext)?;
        }
        Ok(Taken::New)
    }

    /// The user takes the waiting identity for the contact's.
    pub(crate) fn accept_key(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        let Some(change) = contact.trust.change.take() else {
            return Ok(Err(CommandError::KeyUnchanged(contact.name)));
        };
        if let Some((_, other)) = self.contact_with(&change.next.fingerprint)? {
            return Ok(Err(CommandError::KeyOfAnother { name: contact.name, other: other.name }));
        }
        self.replace_identity(chat, contact, *change)?;
        self.release(chat)?;
        Ok(Ok(Reply::Contact(chat)))
    }

    /// The user stays with the identity that the contact had. What the other one said is dropped, and on record.
    pub(crate) fn refuse_key(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        let Some(change) = contact.trust.change.take() else {
            return Ok(Err(CommandError::KeyUnchanged(contact.name)));
        };
        self.drop_change(chat, &change)?;
        remember(&mut contact.trust.refused, change.next.fingerprint);
        self.put(&chat, &contact);
        Ok(Ok(Reply::Contact(chat)))
    }

    fn new_change(&self, contact: &ContactRecord, fingerprint: Fingerprint) -> Change {
        let trust = KeyTrust { verified: None, change: None, ..contact.trust.clone() };
        let ContactRecord { name, since, ticket, .. } = contact.clone();
        let next = ContactRecord {
            answered: contact.answered,
            ..ContactRecord::new(name, fingerprint, trust, since, ticket)
        };
        Change { next, at: self.now, held: 0 }
    }

    /// Keeps what the waiting identity says, and puts the contact.
    fn hold(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
        plaintext: &Plaintext,
    ) -> Result<(), Halt<V::Error>> {
        let refusal = match &mut contact.trust.change {
            _ if Content::decode(&plaintext.bytes).is_err() => Some(UnreadableCause::BadContent),
            Some(change) if change.held < limits::HELD => {
                let held = HeldRecord {
                    content: SecretBuf::new(&plaintext.bytes),
                    without_one_time_key: plaintext.without_one_time_key,
                    begins: plaintext.begins,
                };
                self.put(&HeldKey { chat, number: change.held }, &held);
                change.held = change.held.saturating_add(1);
                None
            }
            _ => Some(UnreadableCause::NotHeld),
        };
        self.put(&chat, &contact);
        refusal.map_or(Ok(()), |cause| Err(cause.into()))
    }

    /// Makes the new identity the contact's, and puts the contact. Nothing of the old one opens any more.
    fn replace_identity(
        &mut self,
        chat: ChatId,
        contact: ContactRecord,
        change: Change,
    ) -> StoreResult<(), V> {
        // It asked by a public link as well, and need not wait any more.
        if let Some((asked, request)) = self.request_of(&change.next.fingerprint)? {
            self.forget_request(asked, &request)?;
        }
        self.drop_sessions(&contact)?;
        self.forget_sent(chat)?;
        self.delete::<PeerRow>(&self.account.lookup(Lookup::Peer, &[&contact.fingerprint.0]));
        self.put(&self.account.lookup(Lookup::Peer, &[&change.next.fingerprint.0]), &PeerRow(chat));
        let mut trust = KeyTrust { verified: None, change: None, ..contact.trust };
        remember(&mut trust.refused, contact.fingerprint);
        // Name and ticket as they are today; the new identity's own ticket is among what it said, if it sent one.
        let contact = ContactRecord { name: contact.name, ticket: contact.ticket, trust, ..change.next };
        self.put(&chat, &contact);
        Ok(())
    }

    pub(crate) fn drop_sessions(&mut self, contact: &ContactRecord) -> StoreResult<(), V> {
        contact.active.iter().chain(&contact.retired).try_for_each(|session| self.drop_session(*session))
    }

    /// What was written for the old identity is not said again to the new one, whatever it says it lacks: what has not
    /// left has failed. With the new one counting begins anew.
    fn forget_sent(&mut self, chat: ChatId) -> StoreResult<(), V> {
        self.fail_outbox(chat, &FailureReason::IdentityChanged)?;
        let mut range = Range::prefix(&chat.0);
        while let Some((key, record)) = self.scan::<SentRecord>(&range, 1)?.pop() {
            let place = Place { chat, number: record.number };
            let message: MessageRecord = self.get(&place)?.ok_or(ReadError::Corrupt(Table::Message))?;
            // It waited for a session.
            if message.direction == Direction::Sent(MessageState::Queued) {
                self.advance(place, MessageState::Failed(FailureReason::IdentityChanged))?;
            }
            self.delete::<SentRecord>(&key);
            range.from = SentKey { chat, counter: key.counter.saturating_add(1) }.to_bytes();
        }
        let ChatRecord { messages, received, early, archived, .. } = self.chat_counters(chat)?;
        // What is missing of the old identity's can arrive no more, and the new one's numbers must not fill its gaps.
        for (key, _) in self.scan::<GapRecord>(&Range::prefix(&chat.0), GAP_ROWS)? {
            self.delete::<GapRecord>(&key);
        }
        self.counters.missing = self.counters.missing.saturating_sub(received.missing);
        let counters = ChatRecord { messages, early, archived, former: messages, ..ChatRecord::default() };
        self.put(&ChatCountersKey(chat), &ChatRow(counters));
        Ok(())
    }

    /// Acts on what was held, in the order in which it came.
    pub(crate) fn release(&mut self, chat: ChatId) -> StoreResult<(), V> {
        for (key, held) in self.scan::<HeldRecord>(&Range::prefix(&chat.0), HELD_ROWS)? {
            self.delete::<HeldRecord>(&key);
            // What was said before may have changed the contact.
            let contact: ContactRecord = self.get(&chat)?.ok_or(ReadError::Corrupt(Table::Contact))?;
            let plaintext = Plaintext {
                bytes: held.content.expose().to_vec().into(),
                without_one_time_key: held.without_one_time_key,
                begins: held.begins,
                retired: None,
            };
            match self.content(chat, contact, &plaintext) {
                Ok(()) => {}
                Err(Halt::Unreadable(cause)) => self.unreadable(cause, Some(chat)),
                Err(Halt::Store(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Forgets a waiting identity: its sessions, and what it said, each piece of which is put on record.
    pub(crate) fn drop_change(&mut self, chat: ChatId, change: &Change) -> StoreResult<(), V> {
        self.drop_sessions(&change.next)?;
        for (key, _) in self.scan::<HeldRecord>(&Range::prefix(&chat.0), HELD_ROWS)? {
            self.delete::<HeldRecord>(&key);
            self.unreadable(UnreadableCause::WrongIdentity, Some(chat));
        }
        Ok(())
    }
}

/// More than [`limits::HELD`] are never there; a scan past it would be a damaged store.
const HELD_ROWS: usize = 4_096;
const _: () = assert!(limits::HELD < HELD_ROWS as u64);
/// The same for gaps.
const GAP_ROWS: usize = 4_096;
const _: () = assert!(limits::GAPS < GAP_ROWS as u64);

fn remember(refused: &mut Vec<Fingerprint>, fingerprint: Fingerprint) {
    refused.insert(0, fingerprint);
    refused.truncate(limits::REFUSED_IDENTITIES);
}
