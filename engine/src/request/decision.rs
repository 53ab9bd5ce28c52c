//! What the user decides: to have an invite that many may use, and about those who used it.

use std::time::Duration;

use hermes_protocol::invite::{Invite, InviteSecret};
use hermes_wire::ContactId;

use super::{Published, RejectedRow, RequestKey, RequestRecord};
use crate::{
    account::Lookup,
    contact::contact_name,
    effect::{CommandError, Event, Reply},
    id::ChatId,
    input::RequestDecision,
    limits::{CONTACTS, INVITES, REJECTED, REJECTION, REQUEST_INVITE_VALIDITY, REQUEST_INVITES},
    row::{ContactRecord, InviteRecord, RenewalReason},
    rows::{NameRow, StoreResult},
    store::{Range, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// An invite that can be published.
    pub(crate) fn invite_requests(
        &mut self,
        validity: Duration,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        if !self.counters.registered {
            return Ok(Err(CommandError::NotRegistered));
        }
        if validity > REQUEST_INVITE_VALIDITY {
            let days = REQUEST_INVITE_VALIDITY.as_secs() / 86_400;
            return Ok(Err(CommandError::ValidityTooLong(days)));
        }
        if self.published()?.len() >= REQUEST_INVITES {
            return Ok(Err(CommandError::TooManyRequestInvites(REQUEST_INVITES)));
        }
        if self.scan::<InviteRecord>(&Range::all(), INVITES)?.len() >= INVITES {
            return Ok(Err(CommandError::TooManyInvites(INVITES)));
        }
        let contact = ContactId::random(self.rng);
        let secret = InviteSecret::generate(self.rng);
        let expiry = self.now.after(validity);
        let published = Some(Published::from_now(self.now));
        self.put(&contact, &InviteRecord { secret: secret.clone(), expiry, published });
        let ticket = self.account.request_ticket(contact, expiry);
        let invite = Invite { ticket, fingerprint: self.account.fingerprint(), secret };
        Ok(Ok(Reply::Invite { link: invite.to_string(), expiry }))
    }

    /// Withdraws the invite for requests whose id begins so, or all of them. Who waits goes on waiting.
    pub(crate) fn close_requests(
        &mut self,
        invite: Option<&str>,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        let open = self.published()?;
        let named = |(contact, _): &(ContactId, InviteRecord)| match invite {
            Some(id) => !id.is_empty() && contact.to_string().starts_with(id),
            None => true,
        };
        let closed: Vec<_> = open.into_iter().filter(named).collect();
        if closed.is_empty() || (invite.is_some() && closed.len() > 1) {
            return Ok(Err(CommandError::NoSuchRequestInvite(invite.map(str::to_owned))));
        }
        let count = closed.len();
        for (contact, mut invite) in closed {
            // What is under way of those who wait, or were accepted and have not heard it, is still taken.
            if let Some(published) = &mut invite.published {
                published.closed = true;
            }
            self.put(&contact, &invite);
            self.revoke(contact)?;
        }
        Ok(Ok(Reply::Closed(count)))
    }

    /// Acts on the user's word about who waits.
    pub(crate) fn decide_request(
        &mut self,
        name: &str,
        decision: RequestDecision,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        let named = |(_, request): &(_, RequestRecord)| request.next.name == name;
        let Some((chat, request)) = self.requests()?.into_iter().find(named) else {
            return Ok(Err(CommandError::UnknownRequest(name.to_owned())));
        };
        match decision {
            RequestDecision::Accept(wish) => self.accept_request(chat, request, wish.as_deref()),
            RequestDecision::Reject => self.reject_request(chat, &request),
        }
    }

    pub(crate) fn accept_request(
        &mut self,
        chat: ChatId,
        request: RequestRecord,
        wish: Option<&str>,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        if self.counters.contacts >= CONTACTS {
            return Ok(Err(CommandError::TooManyContacts(self.counters.contacts)));
        }
        if let Some((other, contact)) = self.contact_with(&request.next.fingerprint)?
            && other != chat
        {
            return Ok(Err(CommandError::AlreadyContact(contact.name)));
        }
        if let Some(wish) = wish {
            if contact_name(wish) != wish {
                return Ok(Err(CommandError::BadName(wish.to_owned())));
            }
            if self.name_is_taken(wish)? {
                return Ok(Err(CommandError::NameTaken(wish.to_owned())));
            }
        }
        let initiation = request.initiation;
        let mut contact = self.admit(chat, request)?;
        if let Some(wish) = wish {
            self.rename(chat, &mut contact, wish)?;
        }
        contact.answered = true;
        let (name, fingerprint) = (contact.name.clone(), contact.fingerprint);
        if self.greet_back(chat, &contact)?.is_ok() {
            self.put(&chat, &contact);
        } else {
            // Its session was lost with a store that was put back: the next one says what this one cannot.
            contact.ungreeted = true;
            contact.unopened = vec![initiation];
            self.want_renewal(chat, contact, RenewalReason::Restored);
        }
        self.event(Event::ContactReady { chat, name, fingerprint });
        self.release(chat)?;
        Ok(Ok(Reply::Contact(chat)))
    }

    /// Makes a request a contact; what it has said stays held.
    pub(crate) fn admit(&mut self, chat: ChatId, request: RequestRecord) -> StoreResult<ContactRecord, V> {
        self.delete::<RequestRecord>(&RequestKey(chat));
        let mut contact = request.next;
        contact.profile = Some(request.profile_name);
        match self.get::<ContactRecord>(&chat)? {
            // It was one once, and goes on where that ended.
            Some(mut former) => {
                self.revive(chat, &mut former)?;
                contact.name = former.name;
                contact.since = former.since;
                contact.trust.refused = former.trust.refused;
                self.put(&chat, &contact);
            }
            None => {
                contact.name = self.claim_name(chat, &contact.name)?;
                self.add_contact(chat, &contact);
            }
        }
        Ok(contact)
    }

    /// Forgets a request. The same identity is not heard again by an invite for requests that is open today.
    fn reject_request(
        &mut self,
        chat: ChatId,
        request: &RequestRecord,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        self.forget_request(chat, request)?;
        let rejected = self.scan::<RejectedRow>(&Range::all(), REJECTED)?;
        if rejected.len() >= REJECTED
            && let Some((oldest, _)) = rejected.into_iter().min_by_key(|(_, row)| row.0)
        {
            self.delete::<RejectedRow>(&oldest);
        }
        let key = self.rejected_key(&request.next.fingerprint);
        self.put(&key, &RejectedRow(self.now.after(REJECTION)));
        Ok(Ok(Reply::Rejected))
    }

    fn name_is_taken(&self, name: &str) -> StoreResult<bool, V> {
        let key = self.account.lookup(Lookup::Name, &[name.as_bytes()]);
        Ok(self.get::<NameRow>(&key)?.is_some())
    }
}
