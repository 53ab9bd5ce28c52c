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
    ContactId, DropKey, InstanceId, MailboxId, Refusal, RelayAddress, Sequence, Timestamp,
    mailbox::Delivered, token::SignedDropToken,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

pub(crate) use self::tally::{GuestTally, GuestTallyKey};
use crate::{
    account::channel_token,
    effect::Effect,
    group::{CardKey, CardRecord, GroupRecord, KeyPackageRow},
    id::{ChatId, GuestId},
    input::GuestEvent,
    limits::{
        CLOCK_DIFFERENCE, GROUPS, GUEST_ASKS, GUEST_ASKS_OF_CONTACT, GUEST_IDLE, GUEST_OFFERED,
        GUEST_USE_GRAIN, GUESTS,
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
    /// Whether the relay has taken it.
    pub(crate) registered: bool,
    /// Who waits for it to be taken.
    waiting: Vec<Waiting>,
    /// Key packages that name it and have led nowhere yet.
    given: Vec<ContactId>,
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
        let Some(record) = self.get::<GuestRecord>(&guest)? else { return Ok(()) };
        match event {
            GuestEvent::Registered { relay_time, head } => {
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

    /// The relay takes no such mailbox. One that it had taken is kept: the relay may have lost it, and find it again.
    fn guest_refused(
        &mut self,
        guest: GuestId,
        mut record: GuestRecord,
        refusal: &Refusal,
        tried: Option<&str>,
    ) -> StoreResult<(), V> {
        if record.registered {
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
        if record.waiting.is_empty() {
            return self.forget_guest(guest, &record);
        }
        self.effects.push(Effect::Guests);
        self.put(&guest, &record);
        Ok(())
    }

    /// The same as for the account's own mailbox, but for what may come: copies for cards in this mailbox.
    fn guest_delivered(&mut self, guest: GuestId, delivered: &Delivered) -> StoreResult<(), V> {
        let sequence = delivered.sequence;
        let fresh = sequence > self.guest_position(guest)?.cursor;
        match self.take_guest_copy(guest, delivered) {
            Ok(_) => {}
            Err(Halt::Unreadable(_)) if !fresh => {}
            Err(Halt::Unreadable(cause)) => self.guest_unreadable(guest, cause)?,
            Err(Halt::Store(error)) => return Err(error),
        }
        let mut position = self.guest_position(guest)?;
        position.cursor = position.cursor.max(sequence);
        position.note_drained(self.now, delivered.stored);
        self.put(&GuestPositionKey(guest), &position);
        self.effects.push(Effect::GuestAck(guest, sequence));
        Ok(())
    }

    fn take_guest_copy(&mut self, guest: GuestId, delivered: &Delivered) -> Result<Taken, Halt<V::Error>> {
        match self.get::<CardRecord>(&CardKey(delivered.contact))? {
            Some(record) if record.at.is_some_and(|place| place.guest == guest) => {
                self.copy_arrived(delivered.contact, record, delivered)
            }
            None if self.is_revoked(delivered.contact)? => Ok(Taken::Dropped),
            _ => Err(UnreadableCause::UnknownContact.into()),
        }
    }

    fn guest_gone(&mut self, guest: GuestId, first: Sequence, last: Sequence) -> StoreResult<(), V> {
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
        record.given.retain(|given| *given != card);
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
            let idle = self.now.since(record.used);
            if lived_in.contains(&guest) {
                if idle >= GUEST_USE_GRAIN {
                    record.used = self.now;
                    self.put(&guest, &record);
                }
                continue;
            }
            let mut offered = !record.waiting.is_empty();
            for card in &record.given {
                offered |= self.get::<KeyPackageRow>(card)?.is_some();
            }
            // One that its relay has not taken in a week is not waited for.
            let offered = offered && record.registered;
            if idle >= if offered { GUEST_OFFERED } else { GUEST_IDLE } {
                self.forget_guest(guest, &record)?;
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

    fn forget_guest(&mut self, guest: GuestId, record: &GuestRecord) -> StoreResult<(), V> {
        for card in &record.given {
            self.forget_key_package(*card)?;
        }
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
