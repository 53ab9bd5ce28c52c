//! Guest mailboxes: mailboxes of this account at other relays than its own, for the copies of groups whose channels are
//! there.
//!
//! A relay copies what is posted to a channel into its own mailboxes only. So whoever is to be a member of a group at
//! another relay has a mailbox there, under keys that nothing joins to the account's others. It is made when a contact
//! asks for it ([`crate::group`]), emptied beside the account's own, and given up some time after the last group there
//! has ended.
//!
//! What a guest's relay says is believed of that mailbox and of nothing else: it brings copies under cards that were
//! drawn for it, and no envelopes of contacts. Store claims are made at the account's own relay alone; as they are for
//! the whole store, no guest mailbox is opened before that relay has taken one.

mod place;
mod tally;

use ed25519_dalek::SigningKey;
use hermes_protocol::content::{AskId, GuestRefusal};
use hermes_wire::{
    ContactId, DropKey, InstanceId, MailboxId, Refusal, RelayAddress, Sequence, Timestamp, channel::Copy,
    mailbox::Delivered, token::SignedDropToken,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

pub(crate) use self::tally::{GuestTally, GuestTallyKey};
use crate::{
    account::channel_token,
    effect::Effect,
    group::{CardKey, CardRecord, GroupRecord},
    id::{ChatId, GuestId},
    input::GuestEvent,
    limits::{
        CLOCK_DIFFERENCE, GROUPS, GUEST_ADDRESSES, GUEST_ASKS, GUEST_ASKS_OF_CONTACT, GUEST_IDLE,
        GUEST_OFFERED, GUEST_USE_GRAIN, GUESTS,
    },
    receive::Taken,
    row::{SecretBytes, UnreadableCause},
    rows::{Key, StoreResult, rows},
    store::{Range, View},
    turn::{Halt, Turn},
};

/// A mailbox at another relay.
#[derive(Serialize, Deserialize)]
pub(crate) struct GuestRecord {
    pub(crate) relay: RelayAddress,
    pub(crate) instance: InstanceId,
    mailbox: SecretBytes<32>,
    drop: SecretBytes<32>,
    /// The contact that asked for it first.
    by: ChatId,
    /// Who named the address that led to it.
    named_by: ChatId,
    /// Whether the relay has taken it.
    pub(crate) registered: bool,
    /// Under which addresses else contacts have named the relay, the newest of each.
    also: Vec<(ChatId, RelayAddress)>,
    /// Who waits for it to be taken.
    waiting: Vec<Waiting>,
    /// Key packages that name it and have led nowhere yet.
    given: Vec<GivenPlace>,
    /// When a group was last here, or a key package given; until the relay has taken it, when it was first asked for.
    used: Timestamp,
}

/// A contact that has asked for a place.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    contact: ChatId,
    ask: AskId,
    /// What the relay may ask of a stranger.
    token: Option<String>,
}

/// A key package that names a guest mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct GivenPlace {
    card: ContactId,
    to: ChatId,
    since: Timestamp,
}

/// How far a guest mailbox was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GuestPosition {
    /// Highest sequence taken.
    pub(crate) cursor: Sequence,
    /// Highest sequence that the relay had assigned at the last connection.
    pub(crate) head: Sequence,
    /// As the counters' `drained`, of this mailbox.
    pub(crate) drained: Timestamp,
}

rows! {
    GuestRecord: Guest by GuestId;
    GuestPosition: Guest by GuestPositionKey;
}

/// Stands right after the mailbox that it is about.
#[derive(Clone, Copy)]
pub(crate) struct GuestPositionKey(pub(crate) GuestId);

/// Which mailbox a card is in, if it is a guest mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GuestPlace {
    pub(crate) guest: GuestId,
    pub(crate) mailbox: MailboxId,
}

impl GuestRecord {
    pub(crate) fn seed(&self) -> &[u8; 32] {
        self.mailbox.expose()
    }

    /// As another store has it that takes the place of this one.
    pub(crate) fn left_behind(self, rng: &mut dyn CryptoRng) -> Self {
        let instance = InstanceId::random(rng);
        Self { instance, waiting: Vec::new(), given: Vec::new(), ..self }
    }

    pub(crate) fn mailbox_id(&self) -> MailboxId {
        MailboxId(SigningKey::from_bytes(self.mailbox.expose()).verifying_key().to_bytes())
    }

    pub(crate) fn drop_key(&self) -> DropKey {
        DropKey(SigningKey::from_bytes(self.drop.expose()).verifying_key().to_bytes())
    }

    /// The permission to copy what is posted to one group into this mailbox.
    pub(crate) fn channel_token(&self, contact: ContactId, now: Timestamp) -> SignedDropToken {
        channel_token(contact, now, self.mailbox_id(), &SigningKey::from_bytes(self.drop.expose()))
    }
}

impl<V: View> Turn<'_, V> {
    pub(crate) fn guest_event(&mut self, guest: GuestId, event: GuestEvent) -> StoreResult<(), V> {
        // One that was given up may have something under way.
        let Some(mut record) = self.get::<GuestRecord>(&guest)? else { return Ok(()) };
        match event {
            GuestEvent::Registered { relay, relay_time, head } => {
                self.reached_guest_at(guest, &mut record, relay);
                self.guest_registered(guest, record, relay_time, head)
            }
            GuestEvent::Refused(refusal, tried) => {
                self.guest_refused(guest, record, &refusal, tried.as_deref())
            }
            GuestEvent::Delivered(delivered) => self.guest_delivered(guest, &delivered),
            GuestEvent::Gone(first, last) => self.guest_gone(guest, first, last),
            GuestEvent::Revoked(route) => self.revoked_at(route, Some(guest)),
            GuestEvent::BlobStored(blob) => self.blob_stored(blob, Some(guest)),
            GuestEvent::BlobRefused(blob, refusal) => self.blob_refused(blob, refusal, Some(guest)),
            GuestEvent::BlobFetched(blob, bytes) => self.blob_fetched(blob, &bytes, Some(guest)),
            GuestEvent::BlobGone(blob) => self.blob_gone(blob, Some(guest)),
        }
    }

    /// The guest mailbox at a relay.
    pub(crate) fn guest_at(&self, relay: &RelayAddress) -> StoreResult<Option<(GuestId, GuestRecord)>, V> {
        let guests = self.scan::<GuestRecord>(&Range::all(), GUESTS)?;
        Ok(guests.into_iter().find(|(_, guest)| guest.relay.is_same(relay)))
    }

    pub(crate) fn guest_position(&self, guest: GuestId) -> StoreResult<GuestPosition, V> {
        let start = GuestPosition { cursor: Sequence(0), head: Sequence(0), drained: Timestamp(0) };
        Ok(self.get(&GuestPositionKey(guest))?.unwrap_or(start))
    }

    /// The relay has shown that it has its key, at this address.
    fn reached_guest_at(&mut self, guest: GuestId, record: &mut GuestRecord, relay: RelayAddress) {
        if record.relay != relay && record.relay.is_same(&relay) {
            // The former one may lead there again, or have been the honest one.
            if let Some((by, address)) = record.also.iter_mut().find(|(_, address)| *address == relay) {
                std::mem::swap(by, &mut record.named_by);
                std::mem::swap(address, &mut record.relay);
                self.put(&guest, record);
            }
        }
    }

    fn guest_registered(
        &mut self,
        guest: GuestId,
        mut record: GuestRecord,
        relay_time: Timestamp,
        head: Sequence,
    ) -> StoreResult<(), V> {
        let mut position = self.guest_position(guest)?;
        // A relay restored from an old copy numbers anew.
        position.cursor = position.cursor.min(head);
        position.head = head;
        position.note_drained(self.now, relay_time);
        self.put(&GuestPositionKey(guest), &position);
        self.note_head_for_groups(head, Some(guest))?;
        if !record.registered || !record.waiting.is_empty() {
            record.registered = true;
            for Waiting { contact, ask, .. } in std::mem::take(&mut record.waiting) {
                self.give_place(guest, &mut record, contact, ask)?;
            }
            self.put(&guest, &record);
        }
        Ok(())
    }

    /// The relay takes no such mailbox. One that is in use is kept: the relay may have lost it, and find it again.
    fn guest_refused(
        &mut self,
        guest: GuestId,
        mut record: GuestRecord,
        refusal: &Refusal,
        tried: Option<&str>,
    ) -> StoreResult<(), V> {
        if record.registered {
            if *refusal == Refusal::RegistrationRefused {
                // It has lost the mailbox: who asks now waits for it, and may bring a token.
                record.registered = false;
                self.put(&guest, &record);
            }
            return Ok(());
        }
        let why = match refusal {
            Refusal::RegistrationRefused => GuestRefusal::NoRegistration,
            _ => GuestRefusal::Other,
        };
        // Only those whose token it was: others may have brought a better one.
        let (refused, left): (Vec<_>, Vec<_>) =
            record.waiting.into_iter().partition(|waiting| waiting.token.as_deref() == tried);
        for waiting in refused {
            self.refuse_place(waiting.contact, waiting.ask, why)?;
        }
        record.waiting = left;
        let in_use = !record.given.is_empty() || self.guests_lived_in()?.contains(&guest);
        if record.waiting.is_empty() && !in_use {
            return self.forget_guest(guest, &record, why);
        }
        self.effects.push(Effect::Guests);
        self.put(&guest, &record);
        Ok(())
    }

    /// The same as for the account's own mailbox, but for what may come: copies for cards in this mailbox.
    fn guest_delivered(&mut self, guest: GuestId, delivered: &Delivered) -> StoreResult<(), V> {
        let sequence = delivered.sequence;
        let fresh = sequence > self.guest_position(guest)?.cursor;
        let copy = self.guest_copy(guest, delivered)?;
        // Only what nobody but the relay can have made counts against it: others may post what is of no use.
        if copy.is_none() || !fresh {
            self.guest_stray(guest)?;
        }
        let taken = match copy {
            Some((card, copy)) => self.take_arrived(delivered.contact, card, copy, &delivered.body),
            None if self.is_revoked(delivered.contact)? => Ok(Taken::Dropped),
            None => Err(UnreadableCause::UnknownContact.into()),
        };
        match taken {
            Ok(_) => {}
            Err(Halt::Unreadable(_)) if !fresh => {}
            Err(Halt::Unreadable(_)) => self.guest_unreadable(guest)?,
            Err(Halt::Store(error)) => return Err(error),
        }
        let mut position = self.guest_position(guest)?;
        position.cursor = position.cursor.max(sequence);
        position.note_drained(self.now, delivered.stored);
        self.put(&GuestPositionKey(guest), &position);
        self.effects.push(Effect::GuestAck(guest, sequence));
        Ok(())
    }

    /// What was posted to a group, copied for a card in this mailbox.
    fn guest_copy(
        &self,
        guest: GuestId,
        delivered: &Delivered,
    ) -> StoreResult<Option<(CardRecord, Copy)>, V> {
        let card: Option<CardRecord> = self.get(&CardKey(delivered.contact))?;
        let here = card.filter(|card| card.at.is_some_and(|place| place.guest == guest));
        let Some(card) = here else { return Ok(None) };
        Ok(self.open_copy(&card, &delivered.body).map(|copy| (card, copy)))
    }

    fn guest_gone(&mut self, guest: GuestId, first: Sequence, last: Sequence) -> StoreResult<(), V> {
        self.guest_stray(guest)?;
        let mut position = self.guest_position(guest)?;
        if first <= last && last > position.cursor {
            let settled = position.cursor.0.max(first.0.saturating_sub(1));
            self.guest_expired(guest, last.0.saturating_sub(settled))?;
            position.cursor = last;
            self.put(&GuestPositionKey(guest), &position);
        }
        self.effects.push(Effect::GuestAck(guest, last));
        Ok(())
    }

    /// A key package that named the mailbox has led into a group.
    pub(crate) fn guest_joined(&mut self, place: GuestPlace, card: ContactId) -> StoreResult<(), V> {
        let Some(mut record) = self.get::<GuestRecord>(&place.guest)? else { return Ok(()) };
        record.given.retain(|given| given.card != card);
        record.used = self.now;
        self.put(&place.guest, &record);
        Ok(())
    }

    /// Gives up the mailboxes in which no group is any more.
    pub(crate) fn look_after_guests(&mut self) -> StoreResult<(), V> {
        let guests = self.scan::<GuestRecord>(&Range::all(), GUESTS)?;
        if guests.is_empty() {
            return Ok(());
        }
        let lived_in = self.guests_lived_in()?;
        for (guest, mut record) in guests {
            self.take_back_old_places(guest, &mut record)?;
            // By a clock that the account's relay has confirmed, when all was taken that it had.
            let idle = self.counters.drained.since(record.used);
            if lived_in.contains(&guest) {
                if idle >= GUEST_USE_GRAIN {
                    record.used = self.counters.drained;
                    self.put(&guest, &record);
                }
                continue;
            }
            // One that its relay has not taken in a week is not waited for.
            let offered = record.registered && !(record.waiting.is_empty() && record.given.is_empty());
            if idle >= if offered { GUEST_OFFERED } else { GUEST_IDLE } {
                self.forget_guest(guest, &record, GuestRefusal::Other)?;
            }
        }
        Ok(())
    }

    /// Those in which there are groups that go on.
    fn guests_lived_in(&self) -> StoreResult<Vec<GuestId>, V> {
        let mut lived_in = Vec::new();
        for (_, group) in self.scan::<GroupRecord>(&Range::all(), GROUPS)? {
            if group.is_over() {
                continue;
            }
            let card = self.get::<CardRecord>(&CardKey(group.card))?;
            lived_in.extend(card.and_then(|card| card.at).map(|place| place.guest));
        }
        Ok(lived_in)
    }

    /// Gives up a mailbox, with all that was to be there.
    fn forget_guest(
        &mut self,
        guest: GuestId,
        record: &GuestRecord,
        why: GuestRefusal,
    ) -> StoreResult<(), V> {
        for waiting in &record.waiting {
            self.refuse_place(waiting.contact, waiting.ask, why)?;
        }
        for given in &record.given {
            self.void_place(given)?;
        }
        self.forget_invitations(|_, invitation| {
            invitation.relay.as_ref().is_some_and(|relay| relay.is_same(&record.relay))
        })?;
        self.forget_revocations_at(guest)?;
        self.delete::<GuestRecord>(&guest);
        self.delete::<GuestPosition>(&GuestPositionKey(guest));
        self.delete::<GuestTally>(&GuestTallyKey(guest));
        self.effects.push(Effect::Guests);
        Ok(())
    }
}

impl GuestRecord {
    /// The registration token that is to be tried: those who wait take turns.
    pub(crate) fn registration_token(&self) -> Option<String> {
        self.waiting.first().and_then(|waiting| waiting.token.clone())
    }

    /// A contact names the relay by an address. Whoever has its key has the relay, whatever it is called: so a name that
    /// leads nowhere keeps nobody from it who knows a better one.
    fn note_address(&mut self, by: ChatId, relay: RelayAddress) {
        self.also.retain(|(named_by, _)| *named_by != by);
        if self.named_by == by && self.relay == relay {
            return;
        }
        self.also.push((by, relay));
        if self.also.len() > GUEST_ADDRESSES {
            self.also.remove(0);
        }
    }

    /// What a contact has named counts no more, as far as somebody else has named one.
    fn unname(&mut self, by: ChatId) {
        self.also.retain(|(named_by, _)| *named_by != by);
        if self.named_by == by
            && let Some((named_by, relay)) = self.also.pop()
        {
            (self.named_by, self.relay) = (named_by, relay);
        }
    }

    /// Where the relay may be reached, the address first that has led to it.
    pub(crate) fn addresses(&self) -> Vec<RelayAddress> {
        let mut addresses = vec![self.relay.clone()];
        for (_, relay) in &self.also {
            if !addresses.contains(relay) {
                addresses.push(relay.clone());
            }
        }
        addresses
    }

    /// The newest askings of a contact, and of all contacts as many as fit.
    fn note_waiting(&mut self, waiting: Waiting) {
        self.waiting.retain(|known| known.ask != waiting.ask);
        let of_contact = self.waiting.iter().filter(|known| known.contact == waiting.contact).count();
        if of_contact >= GUEST_ASKS_OF_CONTACT
            && let Some(oldest) = self.waiting.iter().position(|known| known.contact == waiting.contact)
        {
            self.waiting.remove(oldest);
        }
        if self.waiting.len() < GUEST_ASKS {
            self.waiting.push(waiting);
        }
    }
}

impl GuestPosition {
    fn note_drained(&mut self, now: Timestamp, relay_time: Timestamp) {
        let apart = now.since(relay_time).max(relay_time.since(now));
        if apart <= CLOCK_DIFFERENCE && self.cursor >= self.head {
            self.drained = now;
        }
    }
}

impl Key for GuestId {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl Key for GuestPositionKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.0[..], &[1]].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (guest, rest) = bytes.split_first_chunk()?;
        (rest == [1]).then_some(Self(GuestId(*guest)))
    }
}
