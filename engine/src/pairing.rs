//! Pairing by invite.
//!
//! 1. `accept` commits a contact that waits for a bundle.
//! 2. The bundle arrives: the accepter initiates and greets.
//! 3. The inviter commits contact, session and the used invite in one step, and answers with a ticket of the contact's
//!    own.
//! 4. The accepter commits that ticket.
//!
//! The invite's secret, which travelled outside Hermes, authenticates the handshake to the inviter; the invite's
//! fingerprint authenticates the inviter to the accepter.

use std::time::Duration;

use hermes_protocol::{
    content::{Body, Content, MessageId, Newer},
    handshake::{
        HandshakeMessage, Initiated, Initiator, InitiatorParams, PendingHandshake, PrekeyIds, Responded,
        ResponderKeys, ResponderParams, initiate,
    },
    identity::Fingerprint,
    invite::{Invite, InviteSecret},
    prekey::{Bundle, PrekeySecret},
    ratchet::{Opened, RatchetMessage, Session},
    ticket::Ticket,
};
use hermes_wire::{
    ContactId, FetchId, Refusal, Timestamp,
    limits::INVITE_GRACE,
    prekey::{PrekeyId, SealedBundle},
};

use crate::{
    effect::{CommandError, Effect, Event, PairingError, Reply, SendError},
    id::ChatId,
    input::History,
    limits,
    receive::Taken,
    request::is_for_requests,
    row::{
        ContactRecord, FetchPurpose, Fetching, InviteRecord, PrekeyRecord, RenewalReason, ReplayRecord,
        UnreadableCause,
    },
    rows::{ReadError, RouteRow, StoreResult, UsedInviteKey, UsedInviteRow},
    session::{Begins, Plaintext},
    store::{Range, Table, View},
    succession::Succession,
    trust::KeyTrust,
    turn::{Halt, Turn},
};

/// A session that has been initiated, and the greeting it sealed.
struct Greeted {
    session: Session,
    pending: PendingHandshake,
    envelope: Vec<u8>,
    without_one_time_key: bool,
}

/// A handshake that has been verified, and the first message it carried.
pub(crate) struct Greeting {
    pub(crate) initiator: Initiator,
    responded: Responded,
    opened: Opened,
    session: Session,
    used: Vec<PrekeyId>,
}

impl Greeting {
    /// What its first message says.
    pub(crate) fn plaintext(&self) -> &[u8] {
        &self.opened.plaintext
    }

    /// Whether this proof was made for it by somebody who knows the secret.
    pub(crate) fn proves(&self, secret: &InviteSecret, proof: &[u8; 32]) -> bool {
        secret.verify(&self.responded.transcript, proof)
    }
}

impl<V: View> Turn<'_, V> {
    pub(crate) fn create_invite(
        &mut self,
        validity: Duration,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        if !self.counters.registered {
            return Ok(Err(CommandError::NotRegistered));
        }
        if validity > limits::INVITE_VALIDITY {
            let days = limits::INVITE_VALIDITY.as_secs() / 86_400;
            return Ok(Err(CommandError::ValidityTooLong(days)));
        }
        if self.scan::<InviteRecord>(&Range::all(), limits::INVITES)?.len() >= limits::INVITES {
            return Ok(Err(CommandError::TooManyInvites(limits::INVITES)));
        }
        let contact = ContactId::random(self.rng);
        let secret = InviteSecret::generate(self.rng);
        let expiry = self.now.after(validity);
        self.put(&contact, &InviteRecord { secret: secret.clone(), expiry, published: None });
        let invite = Invite {
            ticket: self.account.invite_ticket(contact, expiry),
            fingerprint: self.account.fingerprint(),
            secret,
        };
        Ok(Ok(Reply::Invite { link: invite.to_string(), expiry }))
    }

    pub(crate) fn drop_expired_invites(&mut self) -> StoreResult<(), V> {
        for (contact, invite) in self.scan::<InviteRecord>(&Range::all(), limits::INVITES)? {
            if self.counters.drained > invite.expiry.after(INVITE_GRACE) {
                self.delete::<InviteRecord>(&contact);
            }
        }
        Ok(())
    }

    /// Begins a pairing, or takes another invite of somebody who has not answered yet.
    pub(crate) fn accept(&mut self, invite: Invite) -> StoreResult<Result<Reply, CommandError>, V> {
        if invite.fingerprint == self.account.fingerprint() {
            return Ok(Err(CommandError::OwnInvite));
        }
        let known = self.contact_with(&invite.fingerprint)?;
        // They ask already: to use their invite is to say yes.
        if let Some((chat, request)) = self.request_of(&invite.fingerprint)?
            && known.as_ref().is_none_or(|(_, contact)| contact.removed.is_some())
        {
            if let Err(error) = self.accept_request(chat, request, None)? {
                return Ok(Err(error));
            }
            let mut contact: ContactRecord = self.get(&chat)?.ok_or(ReadError::Corrupt(Table::Contact))?;
            if !is_for_requests(&invite.ticket) {
                contact.trust.vouched_by_invite();
                self.put(&chat, &contact);
            }
            return Ok(Ok(Reply::Accepted { chat, name: contact.name }));
        }
        if known.is_none() && self.counters.contacts >= limits::CONTACTS {
            return Ok(Err(CommandError::TooManyContacts(self.counters.contacts)));
        }
        let fetching = Fetching {
            fetch: FetchId::random(self.rng),
            purpose: FetchPurpose::Pair(invite.secret),
            ticket: invite.ticket.clone(),
        };
        let (chat, name) = match known {
            Some((_, contact)) if contact.answered => {
                return Ok(Err(CommandError::AlreadyContact(contact.name)));
            }
            Some((chat, mut contact)) => {
                match contact.removed {
                    Some(_) => self.revive(chat, &mut contact)?,
                    None if !is_for_requests(&invite.ticket) => contact.trust.vouched_by_invite(),
                    None => {}
                }
                if !is_under_way(&contact, &invite.ticket) {
                    contact.fetching = Some(Box::new(fetching));
                    self.put(&chat, &contact);
                }
                (chat, contact.name)
            }
            None => {
                let chat = ChatId::random(self.rng);
                let name = self.claim_name(chat, "pending")?;
                let trust = match is_for_requests(&invite.ticket) {
                    true => KeyTrust::unverified(),
                    false => KeyTrust::by_invite(),
                };
                let mut contact =
                    ContactRecord::new(name, invite.fingerprint, trust, self.now, invite.ticket);
                contact.fetching = Some(Box::new(fetching));
                self.add_contact(chat, &contact);
                (chat, contact.name)
            }
        };
        self.effects.push(Effect::Fetch(chat));
        Ok(Ok(Reply::Accepted { chat, name }))
    }

    /// A bundle that was asked for.
    pub(crate) fn bundle_arrived(
        &mut self,
        chat: ChatId,
        fetch: FetchId,
        sealed: &SealedBundle,
    ) -> StoreResult<(), V> {
        let Some((contact, Fetching { purpose, ticket, .. })) = self.awaiting(chat, fetch)? else {
            return Ok(());
        };
        match purpose {
            FetchPurpose::Pair(secret) => self.pair_with(chat, contact, &secret, ticket, sealed),
            FetchPurpose::Renew(reason) => self.renew_with(chat, contact, reason, &ticket, sealed),
        }
    }

    /// Initiates with the inviter's keys and greets.
    fn pair_with(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
        secret: &InviteSecret,
        ticket: Ticket,
        sealed: &SealedBundle,
    ) -> StoreResult<(), V> {
        let inbound = ContactId::random(self.rng);
        let Greeted { session, pending, envelope, without_one_time_key } =
            match self.greet(&contact.fingerprint, secret, &ticket, sealed, inbound) {
                Ok(greeted) => greeted,
                Err(reason) => {
                    return self.fail_pairing(chat, contact, PairingError::BadBundle(reason));
                }
            };
        contact.ticket = ticket;
        self.adopt_initiated(chat, &mut contact, &session, &pending, without_one_time_key)?;
        self.put(&inbound, &RouteRow(chat));
        self.put(&chat, &contact);
        self.queue(chat, envelope, None);
        if is_for_requests(&contact.ticket) {
            self.event(Event::Asked { chat, name: contact.name });
        }
        Ok(())
    }

    /// Initiates and seals the greeting. Changes nothing but the number of initiations.
    fn greet(
        &mut self,
        inviter: &Fingerprint,
        secret: &InviteSecret,
        ticket: &Ticket,
        sealed: &SealedBundle,
        inbound: ContactId,
    ) -> Result<Greeted, String> {
        let bundle =
            Bundle::open(sealed, &ticket.bundle_key, inviter, self.now).map_err(|e| e.to_string())?;
        let params = InitiatorParams {
            identity: &self.account.identity,
            mailbox: self.account.mailbox,
            peer_mailbox: ticket.mailbox,
            counter: self.next_initiation(),
            unopened: &[],
        };
        let Initiated { session, pending, transcript } =
            initiate(params, &bundle, self.rng).map_err(|e| e.to_string())?;
        let hello = self.hello_to(inbound, Some(secret.prove(&transcript)));
        let (session, envelope) =
            session.seal(Some(&pending), &hello.encode(), self.rng).map_err(|e| e.to_string())?;
        Ok(Greeted { session, pending, envelope, without_one_time_key: bundle.without_one_time_key() })
    }

    pub(crate) fn fetch_refused(
        &mut self,
        chat: ChatId,
        fetch: FetchId,
        refusal: Refusal,
    ) -> StoreResult<(), V> {
        match self.awaiting(chat, fetch)? {
            Some((contact, Fetching { purpose: FetchPurpose::Pair(_), .. })) => {
                self.fail_pairing(chat, contact, PairingError::Refused(refusal))
            }
            Some((contact, Fetching { purpose: FetchPurpose::Renew(_), .. })) => {
                self.fail_renewal(chat, &contact)
            }
            None => Ok(()),
        }
    }

    /// A first message under an open invite: everything is checked before anything changes, so that a mangled one
    /// burns neither the invite nor a one-time key.
    pub(crate) fn first_from_invite(
        &mut self,
        inbound: ContactId,
        invite: &InviteRecord,
        handshake: &HandshakeMessage,
        message: &RatchetMessage,
    ) -> Result<(), Halt<V::Error>> {
        if self.counters.drained > invite.expiry.after(INVITE_GRACE) {
            return Err(UnreadableCause::InviteOver.into());
        }
        if self.get::<ReplayRecord>(&handshake.replay_id())?.is_some() {
            return Err(UnreadableCause::Replay.into());
        }
        let greeting = self.respond(handshake, message, None)?;
        let content = Content::decode(greeting.plaintext()).map_err(|_| UnreadableCause::BadContent)?;
        let Body::Hello { profile_name, ticket, proof: Some(proof) } = content.body else {
            return Err(UnreadableCause::BadInviteProof.into());
        };
        if !greeting.proves(&invite.secret, &proof) {
            return Err(UnreadableCause::BadInviteProof.into());
        }
        let fingerprint = greeting.initiator.identity.fingerprint();
        let mut waited = false;
        let (chat, mut contact) = match self.contact_with(&fingerprint)? {
            Some((_, contact)) if contact.blocked.is_some() => {
                return Err(UnreadableCause::Blocked.into());
            }
            Some((chat, mut contact)) => {
                self.revive(chat, &mut contact)?;
                // They accepted each other's invites: this greeting is the answer as well.
                if !contact.answered {
                    self.rename_by_itself(chat, &mut contact, &profile_name)?;
                }
                (chat, contact)
            }
            None if self.counters.contacts >= limits::CONTACTS => {
                return Err(UnreadableCause::TooManyContacts.into());
            }
            None => match self.request_of(&fingerprint)? {
                Some((chat, request)) => {
                    waited = true;
                    (chat, self.admit(chat, request)?)
                }
                None => {
                    let chat = ChatId::random(self.rng);
                    let name = self.claim_name(chat, &profile_name)?;
                    let trust = KeyTrust::by_invite();
                    let contact = ContactRecord::new(name, fingerprint, trust, self.now, ticket.clone());
                    self.add_contact(chat, &contact);
                    (chat, contact)
                }
            },
        };
        contact.ticket = ticket;
        contact.profile = Some(profile_name);
        contact.trust.vouched_by_invite();
        self.delete::<InviteRecord>(&inbound);
        self.put(&inbound, &RouteRow(chat));
        self.put(&UsedInviteKey(inbound), &UsedInviteRow(chat));
        self.welcome(chat, contact, handshake, greeting, content.sent)?;
        // Of nobody else: what is held of a contact is another identity's, which nobody has accepted.
        if waited {
            self.release(chat)?;
        }
        Ok(())
    }

    /// Begins to talk with somebody who may be a contact and has greeted, at `sent` by its clock.
    pub(crate) fn welcome(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
        handshake: &HandshakeMessage,
        greeting: Greeting,
        sent: Timestamp,
    ) -> StoreResult<(), V> {
        contact.fetching = None;
        contact.answered = true;
        self.settle_greeting(chat, &mut contact, handshake, greeting)?;
        self.heard(chat, sent)?;
        // A session that has just opened a message has a sending chain; were it to refuse, the repeated greeting of
        // the accepter would find the contact and be answered by the next message.
        self.greet_back(chat, &contact)?.ok();
        let (name, fingerprint) = (contact.name.clone(), contact.fingerprint);
        self.put(&chat, &contact);
        self.event(Event::ContactReady { chat, name, fingerprint });
        Ok(())
    }

    /// A first message from a contact: a further one of a session it opened, or a fresh handshake.
    pub(crate) fn first_from_contact(
        &mut self,
        inbound: ContactId,
        chat: ChatId,
        mut contact: ContactRecord,
        handshake: &HandshakeMessage,
        message: &RatchetMessage,
    ) -> Result<Taken, Halt<V::Error>> {
        if let Some(ReplayRecord { session, .. }) = self.get(&handshake.replay_id())? {
            if contact.active != Some(session) && !contact.retired.contains(&session) {
                return self.first_of_change(chat, contact, &session, message);
            }
            return match self.open_with(&session, message)? {
                Some(arrival) => self.arrived(chat, contact, arrival, Some(handshake.replay_id())),
                None => Err(UnreadableCause::NoSession.into()),
            };
        }
        let greeting = self.respond(handshake, message, Some((&contact, inbound)))?;
        if greeting.initiator.identity.fingerprint() != contact.fingerprint {
            // A stranger's greeting for an invite proves that invite's secret and is no word to a contact: a relay that
            // delivers it here must neither turn the contact into the stranger nor use the greeting up.
            if is_greeting(&greeting.opened.plaintext) {
                return Err(UnreadableCause::WrongIdentity.into());
            }
            self.identity_changed(chat, contact, handshake, greeting)?;
            return Ok(Taken::New);
        }
        let (succession, plaintext) = self.settle_greeting(chat, &mut contact, handshake, greeting)?;
        match succession {
            Succession::TookOver if contact.answered => {
                self.renewed(chat, contact, RenewalReason::Peer)?;
            }
            Succession::TookOver | Succession::GaveWay => self.put(&chat, &contact),
        }
        let contact = self.get(&chat)?.ok_or(ReadError::Corrupt(Table::Contact))?;
        self.content(chat, contact, &plaintext)?;
        Ok(Taken::New)
    }

    /// Checks a handshake in order of cost, a known contact's identity before the expensive part, and opens the message.
    /// Under a contact's permission it may also be of an identity that could be the contact's new one.
    pub(crate) fn respond(
        &mut self,
        handshake: &HandshakeMessage,
        message: &RatchetMessage,
        expected: Option<(&ContactRecord, ContactId)>,
    ) -> Result<Greeting, Halt<V::Error>> {
        let ids = handshake.prekeys();
        let signed = self.prekey(ids.signed)?;
        let kem = self.prekey(ids.kem)?;
        let ff = self.prekey(ids.ff)?;
        let one_time = match ids.one_time {
            Some(id) => Some(self.prekey(id)?),
            None => None,
        };
        let keys = ResponderKeys { signed: &signed, one_time: one_time.as_ref(), kem: &kem, ff: &ff };
        let params = || ResponderParams { identity: &self.account.identity, mailbox: self.account.mailbox };
        let initiator =
            handshake.open_identity(params(), &keys).map_err(|_| UnreadableCause::BadHandshake)?;
        let fingerprint = initiator.identity.fingerprint();
        if fingerprint == self.account.fingerprint() {
            return Err(UnreadableCause::BadHandshake.into());
        }
        if let Some((contact, inbound)) = expected
            && contact.fingerprint != fingerprint
            && !self.may_change(contact, inbound, &fingerprint)?
        {
            return Err(UnreadableCause::WrongIdentity.into());
        }
        let responded =
            handshake.respond(params(), &keys, &initiator).map_err(|_| UnreadableCause::BadHandshake)?;
        let used = [one_time.as_ref(), Some(&kem)]
            .into_iter()
            .flatten()
            .filter(|secret| secret.kind().is_one_time())
            .map(PrekeySecret::id)
            .collect();
        let (session, opened) = self
            .with_skipped(responded.session.id(), |rows, now, rng| {
                responded.session.open(message, rows, now, rng)
            })?
            .map_err(|_| UnreadableCause::BadHandshake)?;
        Ok(Greeting { initiator, responded, opened, session, used })
    }

    /// Commits to a verified handshake: its session, its memory, and the end of the one-time keys it used.
    pub(crate) fn settle_greeting(
        &mut self,
        chat: ChatId,
        contact: &mut ContactRecord,
        handshake: &HandshakeMessage,
        greeting: Greeting,
    ) -> StoreResult<(Succession, Plaintext), V> {
        let Greeting { initiator, opened, session, used, .. } = greeting;
        let id = session.id();
        let PrekeyIds { signed, kem, one_time, .. } = handshake.prekeys();
        let without_one_time_key = one_time.is_none();
        let succession = self.adopt_responded(
            chat,
            contact,
            &session,
            (&initiator, handshake.replay_id()),
            without_one_time_key,
        )?;
        self.apply_skipped(id, &opened.skipped);
        self.put(&handshake.replay_id(), &ReplayRecord { session: id, signed, kem });
        for id in &used {
            self.delete::<PrekeyRecord>(id);
        }
        let bytes = opened.plaintext;
        Ok((succession, Plaintext { bytes, without_one_time_key, begins: Begins::Session, retired: None }))
    }

    /// Answers a greeting with a permission of the contact's own.
    pub(crate) fn greet_back(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
    ) -> StoreResult<Result<(), SendError>, V> {
        let inbound = ContactId::random(self.rng);
        let hello = self.hello_to(inbound, None);
        Ok(self.seal(contact, &hello.encode())?.map(|envelope| {
            self.put(&inbound, &RouteRow(chat));
            self.queue(chat, envelope, None);
        }))
    }

    fn hello_to(&mut self, inbound: ContactId, proof: Option<[u8; 32]>) -> Content {
        let body = Body::Hello {
            profile_name: self.profile.clone(),
            ticket: self.account.contact_ticket(inbound, self.now),
            proof,
        };
        Content {
            id: MessageId::random(self.rng),
            sent: self.now,
            place: None,
            body,
            newer: Newer::default(),
        }
    }

    /// The contact that waits for this fetch; it waits no more.
    fn awaiting(&self, chat: ChatId, fetch: FetchId) -> StoreResult<Option<(ContactRecord, Fetching)>, V> {
        let Some(mut contact) = self.get::<ContactRecord>(&chat)? else { return Ok(None) };
        let fetching = contact.fetching.take_if(|fetching| fetching.fetch == fetch);
        Ok(fetching.map(|fetching| (contact, *fetching)))
    }

    fn fail_pairing(
        &mut self,
        chat: ChatId,
        contact: ContactRecord,
        reason: PairingError,
    ) -> StoreResult<(), V> {
        let name = contact.name.clone();
        if contact.active.is_none() && self.chat_counters(chat)?.messages > 0 {
            // It was removed once, and other rows name the chat.
            self.remove(chat, contact, History::Kept)?.ok();
        } else if contact.active.is_none() {
            self.remove_contact(chat, &contact);
        } else {
            self.put(&chat, &contact);
        }
        self.event(Event::PairingFailed { chat, name, reason });
        Ok(())
    }

    fn prekey(&self, id: PrekeyId) -> Result<PrekeySecret, Halt<V::Error>> {
        let record: PrekeyRecord = self.get(&id)?.ok_or(UnreadableCause::PrekeyGone)?;
        PrekeySecret::from_bytes(record.secret.expose())
            .map_err(|_| Halt::Store(ReadError::Corrupt(Table::Prekey)))
    }
}

/// Whether a first message uses an invite, or is no content at all.
fn is_greeting(plaintext: &[u8]) -> bool {
    match Content::decode(plaintext) {
        Ok(content) => matches!(content.body, Body::Hello { proof: Some(_), .. }),
        Err(_) => true,
    }
}

/// Whether this very invite is being followed: a repeated command changes nothing.
fn is_under_way(contact: &ContactRecord, invite: &Ticket) -> bool {
    let fetching = contact.fetching.as_ref().is_some_and(|fetching| fetching.ticket.token == invite.token);
    fetching || (!contact.answered && contact.ticket.token == invite.token && contact.active.is_some())
}
