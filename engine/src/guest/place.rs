//! Places in guest mailboxes: who is given one, how many, and who gives way.

use hermes_protocol::content::{AskId, Body, GuestAnswer, GuestRefusal};
use hermes_wire::{ContactId, InstanceId, RelayAddress, channel::CopyKey};
use serde_bytes::ByteBuf;

use super::{GivenPlace, GuestRecord, SecretBytes, Waiting};
use crate::{
    effect::Effect,
    group::apart,
    group::{CardKey, CardRecord, GivenFor, KeyPackageRow},
    id::{ChatId, GuestId},
    limits::{
        GUEST_ANSWERS, GUEST_OFFERED, GUEST_PLACES, GUEST_PLACES_IN, GUESTS, GUESTS_BY_CONTACT,
        KEY_PACKAGES_KEPT,
    },
    row::{ContactRecord, OutboxRecord},
    rows::StoreResult,
    store::{Range, View},
    turn::Turn,
};

/// Whether a contact may ask: the pairing is finished, and it is who it was.
fn is_heeded(contact: &ContactRecord) -> bool {
    contact.answered && contact.blocked.is_none() && contact.trust.change.is_none()
}

/// Key packages that a contact may have of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// For the account's own mailbox.
    Own,
    /// For a guest mailbox, as the contact has asked.
    Place,
    /// For a guest mailbox, as this account asks to be added again.
    WayBack,
}

impl<V: View> Turn<'_, V> {
    /// A contact wants a key package for a group at another relay. Only accepted contacts are heeded: who is asked opens
    /// a connection to where the asker says.
    pub(crate) fn asked_for_a_place(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
        ask: AskId,
        relay: RelayAddress,
        token: Option<String>,
    ) -> StoreResult<(), V> {
        let under_way = self.scan::<OutboxRecord>(&Range::prefix(&chat.0), GUEST_ANSWERS)?.len();
        if !is_heeded(contact) || relay.is_same(&self.account.relay) || under_way >= GUEST_ANSWERS {
            return Ok(());
        }
        let guests = self.scan::<GuestRecord>(&Range::all(), GUESTS)?;
        let found = guests.iter().position(|(_, guest)| guest.relay.is_same(&relay));
        if found.is_none() && !self.make_room(chat, &guests)? {
            return self.refuse_place(chat, ask, GuestRefusal::NoRoom);
        }
        let (guest, mut record) = match found.and_then(|at| guests.into_iter().nth(at)) {
            Some(found) => found,
            None => (GuestId::random(self.rng), self.draw_guest(relay.clone(), chat)),
        };
        record.note_address(chat, relay);
        if record.registered {
            self.give_place(guest, &mut record, chat, ask)?;
        } else {
            record.note_waiting(Waiting { contact: chat, ask, token });
            self.effects.push(Effect::Guests);
        }
        self.put(&guest, &record);
        Ok(())
    }

    /// Whether one more mailbox can be made because this contact asks. When there are as many as there may be, one in
    /// which no group is, and no key package that may be on its way into one, gives way, of a contact that has had more
    /// made than the asker will have: first one that its relay has not taken, then the one that was of use the longest
    /// time ago.
    fn make_room(&mut self, asker: ChatId, guests: &[(GuestId, GuestRecord)]) -> StoreResult<bool, V> {
        let made_for = |by: ChatId| guests.iter().filter(|(_, guest)| guest.by == by).count();
        let asker_has = made_for(asker).saturating_add(1);
        if asker_has > GUESTS_BY_CONTACT {
            return Ok(false);
        }
        if guests.len() < GUESTS {
            return Ok(true);
        }
        let lived_in = self.guests_lived_in()?;
        let giving = guests
            .iter()
            .filter(|(guest, record)| made_for(record.by) > asker_has && !lived_in.contains(guest))
            .filter(|(_, record)| {
                record.given.is_empty() || self.counters.drained.since(record.used) >= GUEST_OFFERED
            })
            .min_by_key(|(_, record)| (record.registered, record.used));
        let Some((guest, record)) = giving else { return Ok(false) };
        self.forget_guest(*guest, record, GuestRefusal::NoRoom)?;
        Ok(true)
    }

    fn draw_guest(&mut self, relay: RelayAddress, by: ChatId) -> GuestRecord {
        let mut secret = || {
            let mut bytes = [0; 32];
            self.rng.fill_bytes(&mut bytes);
            SecretBytes::new(bytes)
        };
        let (mailbox, drop) = (secret(), secret());
        GuestRecord {
            relay,
            instance: InstanceId::random(self.rng),
            mailbox,
            drop,
            by,
            named_by: by,
            registered: false,
            also: Vec::new(),
            waiting: Vec::new(),
            given: Vec::new(),
            used: self.now,
        }
    }

    /// Answers with a key package whose place is in the guest mailbox. The same asking gets the same answer: it is said
    /// again when the answer may be lost.
    pub(super) fn give_place(
        &mut self,
        guest: GuestId,
        record: &mut GuestRecord,
        to: ChatId,
        ask: AskId,
    ) -> StoreResult<(), V> {
        // It may be blocked by now, or its key be in doubt.
        let contact: Option<ContactRecord> = self.get(&to)?;
        let Some(mut contact) = contact.filter(is_heeded) else { return Ok(()) };
        if let Some((card, package)) = self.given_for(&contact, guest, ask)? {
            let answer = GuestAnswer::Package(package);
            // Without a session that seals, the contact asks again.
            let _unsent = self.post(to, &contact, Body::GuestPlace { ask, answer })?;
            // For whoever asked, it begins now.
            let again = record.given.iter_mut().filter(|given| given.card == card);
            again.for_each(|given| given.since = self.now);
            record.used = self.now;
            return Ok(());
        }
        // Each has a permission of its own, which lasts: none gives way to another.
        contact.places.retain(|given| apart(*given, self.now) < GUEST_PLACES_IN);
        if self.places_of(&contact)? >= KEY_PACKAGES_KEPT || contact.places.len() >= GUEST_PLACES {
            return self.refuse_place(to, ask, GuestRefusal::NoRoom);
        }
        let copy_key = CopyKey::random(self.rng);
        let drawn = self.draw_key_package_at(to, copy_key, Some((guest, record)));
        let Some((card, package)) = drawn else { return Ok(()) };
        let package = ByteBuf::from(package);
        let answer = GuestAnswer::Package(package.clone());
        // Without a session that seals, the contact asks again.
        if self.post(to, &contact, Body::GuestPlace { ask, answer })?.is_err() {
            return self.forget_key_package(card);
        }
        if let Some(given) = self.get::<CardRecord>(&CardKey(card))? {
            self.put(&CardKey(card), &CardRecord { answers: Some(GivenFor { ask, package }), ..given });
        }
        contact.given.push(card);
        contact.places.push(self.now);
        self.put(&to, &contact);
        record.given.push(GivenPlace { card, to, since: self.now });
        record.used = self.now;
        Ok(())
    }

    /// A key package with a place in a guest mailbox went to an admin, who is asked to add this account again.
    pub(crate) fn note_given_at(
        &mut self,
        guest: GuestId,
        to: ChatId,
        card: ContactId,
    ) -> StoreResult<(), V> {
        let Some(mut record) = self.get::<GuestRecord>(&guest)? else { return Ok(()) };
        record.given.push(GivenPlace { card, to, since: self.now });
        self.put(&guest, &record);
        Ok(())
    }

    /// Key packages that have led nowhere for so long lead nowhere any more: their permissions end, and there is room for
    /// others.
    pub(super) fn take_back_old_places(
        &mut self,
        guest: GuestId,
        record: &mut GuestRecord,
    ) -> StoreResult<(), V> {
        let mut kept = Vec::new();
        for given in &record.given {
            if self.get::<KeyPackageRow>(&given.card)?.is_none() {
                continue;
            }
            // By a clock that the account's relay has confirmed, when all was taken that it had.
            match self.counters.drained.since(given.since) < GUEST_OFFERED {
                true => kept.push(*given),
                false => self.void_place(given)?,
            }
        }
        if kept != record.given {
            record.given = kept;
            self.put(&guest, record);
        }
        Ok(())
    }

    /// A key package is good no more, and its permission is revoked.
    pub(super) fn void_place(&mut self, given: &GivenPlace) -> StoreResult<(), V> {
        if self.get::<KeyPackageRow>(&given.card)?.is_none() {
            return Ok(());
        }
        if let Some(mut contact) = self.get::<ContactRecord>(&given.to)? {
            contact.given.retain(|card| *card != given.card);
            self.put(&given.to, &contact);
        }
        // Whoever still has it in mind asks anew, and is told in time that there is no mailbox.
        let card: Option<CardRecord> = self.get(&CardKey(given.card))?;
        if let Some(GivenFor { ask, .. }) = card.and_then(|card| card.answers) {
            self.refuse_place(given.to, ask, GuestRefusal::Other)?;
        }
        self.revoke(given.card)?;
        self.forget_key_package(given.card)
    }

    /// A contact is blocked, or removed: what it has asked for and named counts no more, and a mailbox goes that is there
    /// for its sake alone.
    pub(crate) fn forget_askings_of(&mut self, chat: ChatId) -> StoreResult<(), V> {
        self.forget_invitations(|key, _| key.0 == chat)?;
        let guests = self.scan::<GuestRecord>(&Range::all(), GUESTS)?;
        if guests.is_empty() {
            return Ok(());
        }
        let lived_in = self.guests_lived_in()?;
        for (guest, mut record) in guests {
            record.waiting.retain(|waiting| waiting.contact != chat);
            record.unname(chat);
            record.given.retain(|given| given.to != chat);
            self.put(&guest, &record);
            let others = !(record.waiting.is_empty() && record.given.is_empty());
            if record.by == chat && !others && !lived_in.contains(&guest) {
                self.forget_guest(guest, &record, GuestRefusal::Other)?;
            }
        }
        Ok(())
    }

    /// The key package that an asking was answered with, if no group has come of it yet.
    fn given_for(
        &self,
        contact: &ContactRecord,
        guest: GuestId,
        ask: AskId,
    ) -> StoreResult<Option<(ContactId, ByteBuf)>, V> {
        for id in &contact.given {
            let Some(card) = self.get::<CardRecord>(&CardKey(*id))? else { continue };
            let here = card.at.is_some_and(|place| place.guest == guest);
            if let Some(given) = card.answers.filter(|given| here && given.ask == ask) {
                return Ok(Some((*id, given.package)));
            }
        }
        Ok(None)
    }

    /// Places that a contact has asked for, has, and has not used yet.
    fn places_of(&self, contact: &ContactRecord) -> StoreResult<usize, V> {
        let mut places = 0_usize;
        for card in &contact.given {
            places = places.saturating_add(usize::from(self.kind_of(*card)? == Kind::Place));
        }
        Ok(places)
    }

    /// A contact has another key package of ours. It keeps no more of them than we do; each kind is counted by itself, and
    /// a place that was asked for gives way to nothing.
    pub(crate) fn note_given(&mut self, contact: &mut ContactRecord, card: ContactId) -> StoreResult<(), V> {
        contact.given.push(card);
        let kind = self.kind_of(card)?;
        let mut same = Vec::new();
        for card in &contact.given {
            if self.kind_of(*card)? == kind {
                same.push(*card);
            }
        }
        for card in same.iter().take(same.len().saturating_sub(KEY_PACKAGES_KEPT)) {
            contact.given.retain(|given| given != card);
            self.revoke_at_guest(*card)?;
            self.forget_key_package(*card)?;
        }
        Ok(())
    }

    fn kind_of(&self, card: ContactId) -> StoreResult<Kind, V> {
        Ok(match self.get::<CardRecord>(&CardKey(card))? {
            Some(CardRecord { at: Some(_), answers: Some(_), .. }) => Kind::Place,
            Some(CardRecord { at: Some(_), answers: None, .. }) => Kind::WayBack,
            _ => Kind::Own,
        })
    }

    pub(super) fn refuse_place(
        &mut self,
        to: ChatId,
        ask: AskId,
        refusal: GuestRefusal,
    ) -> StoreResult<(), V> {
        let Some(contact) = self.get::<ContactRecord>(&to)? else { return Ok(()) };
        let answer = GuestAnswer::Refused(refusal);
        // Without a session that seals, the contact asks again.
        let _unsent = self.post(to, &contact, Body::GuestPlace { ask, answer })?;
        Ok(())
    }
}
