//! Renewal: a session that no longer works gives way to a fresh one, by itself.
//!
//! Whoever could not read something fetches the contact's bundle and initiates; the first content says what is missing
//! ([`crate::resend`]). Triggers can be forged by a relay, so there is a rate, and every renewal is shown to the user.

use hermes_protocol::{
    content::{Body, Content, MessageId, Newer},
    handshake::{Initiated, InitiatorParams, ReplayId, initiate},
    limits::UNOPENED_INITIATIONS,
    prekey::Bundle,
    ticket::Ticket,
};
use hermes_wire::{FetchId, Timestamp, prekey::SealedBundle};

use crate::{
    effect::{Effect, Event},
    id::ChatId,
    limits::{self, RENEWAL_WINDOW, RENEWALS, RETIRED_GRACE},
    row::{
        ContactRecord, Direction, FetchPurpose, Fetching, Marks, MessageRecord, RenewalReason, SessionRecord,
        Standing, Text, UnreadableCause,
    },
    rows::{Place, ProfileKey, ProfileRow, ReadError, StoreResult},
    store::{Range, Table, View},
    turn::Turn,
};

impl UnreadableCause {
    /// Whether the session, and not only the message, is in doubt.
    fn breaks_session(self) -> bool {
        match self {
            Self::NoSession
            | Self::TooFarAhead
            | Self::WentBack
            | Self::ForbiddenKey
            | Self::SessionExhausted
            | Self::PrekeyGone
            | Self::BadHandshake
            | Self::Replay => true,
            Self::Malformed
            | Self::UnknownContact
            | Self::Forged
            | Self::TooOld
            | Self::NeedsNewerVersion
            | Self::WrongIdentity
            | Self::BadInviteProof
            | Self::InviteOver
            | Self::BadContent
            | Self::Expired
            | Self::NotHeld
            | Self::TooManyContacts
            | Self::TooManyGroups
            | Self::TooManyRequests
            | Self::TooManyHandshakes
            | Self::Rejected
            | Self::RequestFull
            | Self::Blocked => false,
        }
    }
}

impl<V: View> Turn<'_, V> {
    /// A contact's envelope could not be read. `initiation` is the handshake it carried, if it carried one.
    pub(crate) fn renew_unreadable(
        &mut self,
        chat: ChatId,
        cause: UnreadableCause,
        initiation: Option<ReplayId>,
    ) -> StoreResult<(), V> {
        if !cause.breaks_session() {
            return Ok(());
        }
        let mut contact = self.contact(chat)?;
        let told = initiation.is_some_and(|initiation| contact.unopened.contains(&initiation));
        // An own initiation on its way mends what it can mend: only another handshake that fails is news.
        if (told || initiation.is_none()) && self.is_initiating(&contact)? {
            return Ok(());
        }
        note_unopened(&mut contact, initiation);
        self.want_renewal(chat, contact, RenewalReason::Unreadable(cause));
        Ok(())
    }

    /// A message came again under a new number. Most likely somebody sent a copy; but a contact that went back to an old
    /// state seals with used keys, and looks the same.
    pub(crate) fn renew_repeated(&mut self, chat: ChatId) -> StoreResult<(), V> {
        let contact = self.contact(chat)?;
        if !self.is_initiating(&contact)? {
            self.want_renewal(chat, contact, RenewalReason::Repeated);
        }
        Ok(())
    }

    /// A message opened in a session that gave way at `retired`. Soon after it was under way; later its sender has not
    /// heard, and an own initiation of the sender's that it still repeats is told to be over.
    pub(crate) fn renew_outdated(
        &mut self,
        chat: ChatId,
        retired: Timestamp,
        initiation: Option<ReplayId>,
    ) -> StoreResult<(), V> {
        if self.now.since(retired) <= RETIRED_GRACE {
            return Ok(());
        }
        let mut contact = self.contact(chat)?;
        let told = initiation.is_none_or(|initiation| contact.unopened.contains(&initiation));
        if told && self.is_initiating(&contact)? {
            return Ok(());
        }
        note_unopened(&mut contact, initiation);
        self.want_renewal(chat, contact, RenewalReason::Outdated);
        Ok(())
    }

    /// The contact's session must never seal again, whatever became of it: a fresh one is asked for, and until it is there
    /// what is sent waits.
    pub(crate) fn renew_session(&mut self, chat: ChatId, reason: RenewalReason) -> StoreResult<(), V> {
        let mut contact = self.contact(chat)?;
        self.retire_active(&mut contact)?;
        self.want_renewal(chat, contact, reason);
        Ok(())
    }

    pub(crate) fn want_renewal(&mut self, chat: ChatId, mut contact: ContactRecord, reason: RenewalReason) {
        // Until a pairing is finished there is no session to renew, and no permission to fetch keys with.
        if contact.answered {
            contact.renewal.wanted.get_or_insert(reason);
            self.begin_renewal(chat, &mut contact);
        }
        self.put(&chat, &contact);
    }

    /// Asks for the contact's bundle, if the rate allows and nothing else is asked for.
    fn begin_renewal(&mut self, chat: ChatId, contact: &mut ContactRecord) {
        if contact.fetching.is_some() || !is_allowed(&mut contact.renewal.begun, self.now) {
            return;
        }
        let Some(reason) = contact.renewal.wanted.take() else { return };
        contact.renewal.begun.push(self.now);
        contact.fetching = Some(Box::new(Fetching {
            fetch: FetchId::random(self.rng),
            purpose: FetchPurpose::Renew(reason),
            ticket: contact.ticket.clone(),
        }));
        self.effects.push(Effect::Fetch(chat));
    }

    /// Begins the renewals that had to wait.
    pub(crate) fn begin_wanted_renewals(&mut self) -> StoreResult<(), V> {
        let limit = usize::try_from(limits::CONTACTS).unwrap_or(usize::MAX);
        for (chat, mut contact) in self.scan::<ContactRecord>(&Range::all(), limit)? {
            if contact.blocked.is_some() || contact.removed.is_some() {
                continue;
            }
            // Only a recovery leaves a contact without a session that seals; its keys were not to be had so far.
            if contact.answered && contact.active.is_none() {
                contact.renewal.wanted.get_or_insert(RenewalReason::Restored);
            }
            if contact.renewal.wanted.is_some() {
                self.begin_renewal(chat, &mut contact);
                self.put(&chat, &contact);
            }
            self.go_on_resending(chat, contact)?;
        }
        Ok(())
    }

    /// Initiates with the contact's keys; the first content says what is missing.
    pub(crate) fn renew_with(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
        reason: RenewalReason,
        ticket: &Ticket,
        sealed: &SealedBundle,
    ) -> StoreResult<(), V> {
        let Ok(bundle) = Bundle::open(sealed, &ticket.bundle_key, &contact.fingerprint, self.now) else {
            return self.fail_renewal(chat, &contact);
        };
        let params = InitiatorParams {
            identity: &self.account.identity,
            mailbox: self.account.mailbox,
            peer_mailbox: ticket.mailbox,
            counter: self.next_initiation(),
            unopened: &contact.unopened,
        };
        let Ok(Initiated { session, pending, .. }) = initiate(params, &bundle, self.rng) else {
            return self.fail_renewal(chat, &contact);
        };
        let content = Content {
            id: MessageId::random(self.rng),
            sent: self.now,
            place: None,
            body: self.resend_request(chat)?,
            newer: Newer::default(),
        };
        let Ok((session, envelope)) = session.seal(Some(&pending), &content.encode(), self.rng) else {
            return self.fail_renewal(chat, &contact);
        };
        self.adopt_initiated(chat, &mut contact, &session, &pending, bundle.without_one_time_key())?;
        contact.told = contact.unopened.clone();
        self.queue(chat, envelope, None);
        self.renewed(chat, contact, reason)
    }

    /// Everything that follows from another session being active: the user is told, and what waited for it leaves.
    pub(crate) fn renewed(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
        reason: RenewalReason,
    ) -> StoreResult<(), V> {
        contact.renewal.wanted = None;
        contact.renewal.count = contact.renewal.count.saturating_add(1);
        contact.renewal.last = Some((self.now, reason));
        contact.fetching.take_if(|fetching| matches!(fetching.purpose, FetchPurpose::Renew(_)));
        if contact.ungreeted {
            contact.ungreeted = self.greet_back(chat, &contact)?.is_err();
        }
        // Word of it has no number, so that nobody would miss it.
        if self.get::<ProfileRow>(&ProfileKey)?.is_some() {
            self.post(chat, &contact, Body::Profile(self.profile.clone()))?.ok();
        }
        self.put(&chat, &contact);
        self.counters.renewals = self.counters.renewals.saturating_add(1);
        self.counters.last_renewal = Some((chat, self.now, reason));
        let note = MessageRecord {
            id: MessageId::random(self.rng),
            text: Text::SessionRenewed(reason),
            sent: self.now,
            stored: self.now,
            direction: Direction::Noted,
            author: None,
            without_one_time_key: self.without_one_time_key(&contact)?,
            ttl: None,
            marks: Marks::default(),
        };
        self.note(chat, &note)?;
        self.event(Event::SessionRenewed { chat, name: contact.name.clone(), reason });
        self.send_held(chat, &contact)?;
        self.ask_admin_of_lost_groups(contact.fingerprint)
    }

    /// Puts a note at the end of the history; one that stands there gives way, so that nobody can fill it with notes.
    fn note(&mut self, chat: ChatId, note: &MessageRecord) -> StoreResult<(), V> {
        let counters = self.chat_counters(chat)?;
        let place = Place { chat, number: counters.messages };
        match self.get::<MessageRecord>(&place)? {
            Some(last) if last.direction == Direction::Noted => {
                self.put(&place, &MessageRecord { id: last.id, ..note.clone() });
            }
            _ => {
                self.append(chat, counters, note);
            }
        }
        Ok(())
    }

    /// The contact's keys are not to be had, or are not the contact's.
    pub(crate) fn fail_renewal(&mut self, chat: ChatId, contact: &ContactRecord) -> StoreResult<(), V> {
        self.put(&chat, contact);
        self.event(Event::RenewalFailed { chat, name: contact.name.clone() });
        Ok(())
    }

    /// Rises with every initiation, and in a store that was put back from an old copy too, as far as its clock is right.
    pub(crate) fn next_initiation(&mut self) -> u64 {
        let number = self.counters.next_initiation.max(self.now.0);
        self.counters.next_initiation = number.saturating_add(1);
        number
    }

    fn is_initiating(&self, contact: &ContactRecord) -> StoreResult<bool, V> {
        let Some(active) = &contact.active else { return Ok(false) };
        let active: SessionRecord = self.get(active)?.ok_or(ReadError::Corrupt(Table::Session))?;
        Ok(matches!(active.standing, Standing::Initiated(_)))
    }

    fn contact(&self, chat: ChatId) -> StoreResult<ContactRecord, V> {
        self.get(&chat)?.ok_or(ReadError::Corrupt(Table::Contact))
    }
}

/// Remembers an initiation of the contact's that is not used here, to be told in the next own one.
fn note_unopened(contact: &mut ContactRecord, initiation: Option<ReplayId>) {
    if let Some(initiation) = initiation.filter(|initiation| !contact.unopened.contains(initiation)) {
        contact.unopened.insert(0, initiation);
        contact.unopened.truncate(UNOPENED_INITIATIONS);
    }
}

/// Whether one more is allowed; forgets what is more than the window away, in either direction.
pub(crate) fn is_allowed(times: &mut Vec<Timestamp>, now: Timestamp) -> bool {
    times.retain(|time| now.since(*time).max(time.since(now)) < RENEWAL_WINDOW);
    times.len() < RENEWALS
}
