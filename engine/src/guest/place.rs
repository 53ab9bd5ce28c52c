//! Places in guest mailboxes: who is given one, how many, and who gives way.

use hermes_protocol::content::{AskId, Body, GuestAnswer, GuestRefusal};
use hermes_wire::{ContactId, InstanceId, RelayAddress, channel::CopyKey};
use serde_bytes::ByteBuf;

use super::{GuestRecord, SecretBytes, Waiting};
use crate::{
    effect::Effect,
    group::{CardKey, CardRecord, GivenFor, KeyPackageRow},
    id::{ChatId, GuestId},
    limits::{GUEST_ANSWERS, GUEST_PLACES, GUEST_PLACES_IN, GUESTS, GUESTS_BY_CONTACT, KEY_PACKAGES_KEPT},
    row::{ContactRecord, OutboxRecord},
    rows::StoreResult,
    store::{Range, View},
    turn::Turn,
};

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
        let known = contact.answered && contact.blocked.is_none() && contact.trust.change.is_none();
        let under_way = self.scan::<OutboxRecord>(&Range::prefix(&chat.0), GUEST_ANSWERS)?.len();
        if !known || relay.is_same(&self.account.relay) || under_way >= GUEST_ANSWERS {
            return Ok(());
        }
        let guests = self.scan::<GuestRecord>(&Range::all(), GUESTS)?;
        let found = guests.iter().position(|(_, guest)| guest.relay.is_same(&relay));
        if found.is_none() && !self.make_room(chat, &guests)? {
            return self.refuse_place(chat, ask, GuestRefusal::NoRoom);
        }
        let (guest, mut record) = match found.and_then(|at| guests.into_iter().nth(at)) {
            Some(found) => found,
            None => (GuestId::random(self.rng), self.draw_guest(relay, chat)),
        };
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
    /// which no group is gives way, of a contact that has had more made than the asker will have: first one that its
    /// relay has not taken, then the one that was of use the longest time ago.
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
            .min_by_key(|(_, record)| (record.registered, record.used));
        let Some((guest, record)) = giving else { return Ok(false) };
        for Waiting { contact, ask, .. } in &record.waiting {
            self.refuse_place(*contact, *ask, GuestRefusal::NoRoom)?;
        }
        self.forget_guest(*guest, record)?;
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
            registered: false,
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
        let Some(mut contact) = self.get::<ContactRecord>(&to)? else { return Ok(()) };
        if let Some(package) = self.given_for(&contact, guest, ask)? {
            // Without a session that seals, the contact asks again.
            let answer = GuestAnswer::Package(package);
            let _unsent = self.post(to, &contact, Body::GuestPlace { ask, answer })?;
            return Ok(());
        }
        // Each has a permission of its own, which lasts: none gives way to another.
        contact.places.retain(|given| self.now.since(*given) < GUEST_PLACES_IN);
        if self.given_at_guests(&contact)? >= KEY_PACKAGES_KEPT || contact.places.len() >= GUEST_PLACES {
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
        let mut given = Vec::new();
        for card in std::mem::take(&mut record.given) {
            if self.get::<KeyPackageRow>(&card)?.is_some() {
                given.push(card);
            }
        }
        given.push(card);
        record.given = given;
        record.used = self.now;
        Ok(())
    }

    /// The key package that an asking was answered with, if no group has come of it yet.
    fn given_for(
        &self,
        contact: &ContactRecord,
        guest: GuestId,
        ask: AskId,
    ) -> StoreResult<Option<ByteBuf>, V> {
        for card in &contact.given {
            let Some(card) = self.get::<CardRecord>(&CardKey(*card))? else { continue };
            let here = card.at.is_some_and(|place| place.guest == guest);
            if let Some(given) = card.answers.filter(|given| here && given.ask == ask) {
                return Ok(Some(given.package));
            }
        }
        Ok(None)
    }

    /// Key packages that a contact has, name a mailbox at another relay and have led nowhere yet.
    fn given_at_guests(&self, contact: &ContactRecord) -> StoreResult<usize, V> {
        let mut given = 0_usize;
        for card in &contact.given {
            let card = self.get::<CardRecord>(&CardKey(*card))?;
            given = given.saturating_add(usize::from(card.is_some_and(|card| card.at.is_some())));
        }
        Ok(given)
    }

    /// A contact has another key package of ours. It keeps no more of them than we do; those that it has asked for, for
    /// groups at other relays, are counted by themselves.
    pub(crate) fn note_given(&mut self, contact: &mut ContactRecord, card: ContactId) -> StoreResult<(), V> {
        contact.given.push(card);
        let surplus = contact.given.len().saturating_sub(self.given_at_guests(contact)?);
        for _ in KEY_PACKAGES_KEPT..surplus {
            let mut oldest = None;
            for (at, card) in contact.given.iter().enumerate() {
                let card = self.get::<CardRecord>(&CardKey(*card))?;
                if card.is_none_or(|card| card.at.is_none()) {
                    oldest = Some(at);
                    break;
                }
            }
            let Some(oldest) = oldest else { break };
            let card = contact.given.remove(oldest);
            self.forget_key_package(card)?;
        }
        Ok(())
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
