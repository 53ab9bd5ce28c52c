//! What comes under an invite for requests. All of it may be hostile, so the order is: what costs nothing, then whether
//! there is room, then a rate, and only then a handshake.

use hermes_protocol::{
    content::{Body, Content},
    handshake::HandshakeMessage,
    identity::Fingerprint,
    ratchet::{RatchetMessage, SessionId},
    ticket::Ticket,
};
use hermes_wire::{ContactId, Timestamp, limits::INVITE_GRACE};

use super::{Published, RejectedRow, RequestKey, RequestRecord};
use crate::{
    content::Said,
    effect::Event,
    id::ChatId,
    limits::{HANDSHAKE_BURST, HANDSHAKE_PERIOD, REQUEST_BYTES, REQUEST_MESSAGES, REQUEST_TRIES, REQUESTS},
    receive::Taken,
    renewal::is_allowed,
    row::{ContactRecord, HeldRecord, InviteRecord, ReplayRecord, SecretBuf, SessionRecord, UnreadableCause},
    rows::{HeldKey, StoreResult},
    session::{Arrival, Plaintext},
    store::View,
    trust::KeyTrust,
    turn::{Halt, Turn},
};

impl<V: View> Turn<'_, V> {
    /// A first message under an invite for requests: a new request, more of one, or what a contact had under way that has
    /// not heard yet that it is one.
    pub(crate) fn request_arrived(
        &mut self,
        inbound: ContactId,
        invite: InviteRecord,
        handshake: &HandshakeMessage,
        message: &RatchetMessage,
    ) -> Result<Taken, Halt<V::Error>> {
        if self.counters.drained > invite.expiry.after(INVITE_GRACE) {
            return Err(UnreadableCause::InviteOver.into());
        }
        if let Some(ReplayRecord { session, .. }) = self.get(&handshake.replay_id())? {
            return self.more_of_request(&session, handshake, message);
        }
        if !invite.is_open_to_all() {
            return Err(UnreadableCause::InviteOver.into());
        }
        let waiting = self.requests()?;
        if waiting.len() >= REQUESTS {
            return Err(UnreadableCause::TooManyRequests.into());
        }
        let secret = invite.secret.clone();
        self.count_handshake(inbound, invite)?;
        let greeting = self.respond(handshake, message, None)?;
        let content = Content::decode(greeting.plaintext()).map_err(|_| UnreadableCause::BadContent)?;
        let Body::Hello { profile_name, ticket, proof: Some(proof) } = content.body else {
            return Err(UnreadableCause::BadInviteProof.into());
        };
        if !greeting.proves(&secret, &proof) {
            return Err(UnreadableCause::BadInviteProof.into());
        }
        let fingerprint = greeting.initiator.identity.fingerprint();
        match self.contact_with(&fingerprint)? {
            Some((_, contact)) if contact.blocked.is_some() => Err(UnreadableCause::Blocked.into()),
            // The user has said already that it may write: this only renews how.
            Some((chat, mut contact)) if contact.removed.is_none() => {
                if !contact.answered {
                    self.rename_by_itself(chat, &mut contact, &profile_name)?;
                }
                // Each greeting is answered with a permission of its own.
                if !is_allowed(&mut contact.renewal.heeded, self.now) {
                    return Err(UnreadableCause::TooManyHandshakes.into());
                }
                contact.renewal.heeded.push(self.now);
                contact.ticket = ticket;
                contact.profile = Some(profile_name);
                self.welcome(chat, contact, handshake, greeting, content.sent)?;
                Ok(Taken::New)
            }
            _ if self.get::<RejectedRow>(&self.rejected_key(&fingerprint))?.is_some() => {
                Err(UnreadableCause::Rejected.into())
            }
            former => {
                let known = waiting.into_iter().find(|(_, one)| one.next.fingerprint == fingerprint);
                let (chat, mut request) = match known {
                    Some(known) => known,
                    None => {
                        let chat = former.map_or_else(|| ChatId::random(self.rng), |(chat, _)| chat);
                        let next = self.asks(chat, &profile_name, fingerprint, ticket.clone())?;
                        let (at, initiation) = (self.now, handshake.replay_id());
                        let (invite, held, tried) = (inbound, 0, 0);
                        (chat, RequestRecord { next, profile_name, invite, at, initiation, held, tried })
                    }
                };
                request.next.ticket = ticket;
                request.initiation = handshake.replay_id();
                self.settle_greeting(chat, &mut request.next, handshake, greeting)?;
                self.put(&RequestKey(chat), &request);
                Ok(Taken::New)
            }
        }
    }

    /// Somebody asks for the first time. The user is told so once, however much follows.
    fn asks(
        &mut self,
        chat: ChatId,
        profile_name: &str,
        fingerprint: Fingerprint,
        ticket: Ticket,
    ) -> StoreResult<ContactRecord, V> {
        let name = self.request_name(profile_name)?;
        self.event(Event::Requested { chat, name: name.clone(), fingerprint });
        Ok(ContactRecord::new(name, fingerprint, KeyTrust::unverified(), self.now, ticket))
    }

    /// A further message of a handshake that is known.
    fn more_of_request(
        &mut self,
        session: &SessionId,
        handshake: &HandshakeMessage,
        message: &RatchetMessage,
    ) -> Result<Taken, Halt<V::Error>> {
        // Its session went when the user rejected it.
        let chat = self.get::<SessionRecord>(session)?.ok_or(UnreadableCause::Rejected)?.chat;
        if let Some(mut request) = self.get::<RequestRecord>(&RequestKey(chat))? {
            if !request.next.has_session(session) {
                return Err(UnreadableCause::Replay.into());
            }
            // Not even opened: what is not kept must cost nothing, and what leads nowhere little.
            if request.held >= REQUEST_MESSAGES || request.tried >= REQUEST_TRIES {
                return Err(UnreadableCause::RequestFull.into());
            }
            request.tried = request.tried.saturating_add(1);
            self.put(&RequestKey(chat), &request);
            return match self.open_with(session, message)? {
                Some(Arrival::New(plaintext)) => self.hold_of_request(chat, request, &plaintext),
                Some(Arrival::Repeated) => Ok(Taken::Repeated),
                None => Err(UnreadableCause::NoSession.into()),
            };
        }
        let contact: Option<ContactRecord> = self.get(&chat)?;
        let Some(contact) = contact.filter(|contact| contact.has_session(session)) else {
            return Err(UnreadableCause::Replay.into());
        };
        if contact.blocked.is_some() {
            return Ok(Taken::Dropped);
        }
        match self.open_with(session, message)? {
            Some(arrival) => self.arrived(chat, contact, arrival, Some(handshake.replay_id())),
            None => Err(UnreadableCause::NoSession.into()),
        }
    }

    /// Keeps what a request says until the user decides, if it is part of a conversation and short.
    fn hold_of_request(
        &mut self,
        chat: ChatId,
        mut request: RequestRecord,
        plaintext: &Plaintext,
    ) -> Result<Taken, Halt<V::Error>> {
        let content = Content::decode(&plaintext.bytes).map_err(|_| UnreadableCause::BadContent)?;
        if Said::of(&content.body).is_none() {
            return Err(UnreadableCause::BadContent.into());
        }
        if plaintext.bytes.len() > REQUEST_BYTES {
            return Err(UnreadableCause::RequestFull.into());
        }
        let held = HeldRecord {
            content: SecretBuf::new(&plaintext.bytes),
            without_one_time_key: plaintext.without_one_time_key,
            begins: plaintext.begins,
        };
        self.put(&HeldKey { chat, number: request.held }, &held);
        request.held = request.held.saturating_add(1);
        self.put(&RequestKey(chat), &request);
        Ok(Taken::New)
    }

    /// A handshake costs milliseconds, and whoever has the invite can send any number of them.
    fn count_handshake(
        &mut self,
        inbound: ContactId,
        mut invite: InviteRecord,
    ) -> Result<(), Halt<V::Error>> {
        let Some(published) = &mut invite.published else { return Ok(()) };
        if !published.allows(self.now) {
            return Err(UnreadableCause::TooManyHandshakes.into());
        }
        self.put(&inbound, &invite);
        Ok(())
    }

    /// Puts on record with an invite for requests that something was refused; says whether it was one.
    pub(crate) fn note_refused(
        &mut self,
        inbound: ContactId,
        cause: UnreadableCause,
    ) -> StoreResult<bool, V> {
        let Some(mut invite) = self.get::<InviteRecord>(&inbound)? else { return Ok(false) };
        let Some(published) = &mut invite.published else { return Ok(false) };
        published.refused = published.refused.saturating_add(1);
        published.last = Some((cause, self.now));
        self.put(&inbound, &invite);
        Ok(true)
    }
}

impl Published {
    /// Nothing has come.
    pub(crate) fn from_now(now: Timestamp) -> Self {
        Self { rested: now, refused: 0, last: None, closed: false }
    }

    /// Counts one more handshake, if the rate has room for it.
    fn allows(&mut self, now: Timestamp) -> bool {
        let most = now.after(HANDSHAKE_PERIOD.saturating_mul(HANDSHAKE_BURST));
        // A clock that was set back must not shut everybody out.
        let next = self.rested.clamp(now, most).after(HANDSHAKE_PERIOD);
        if next > most {
            return false;
        }
        self.rested = next;
        true
    }
}

impl ContactRecord {
    pub(crate) fn has_session(&self, session: &SessionId) -> bool {
        self.active == Some(*session) || self.retired.contains(session)
    }
}
