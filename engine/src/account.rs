//! The account: its secrets, and what is derived from them.

use std::error::Error;

use ed25519_dalek::SigningKey;
use hermes_protocol::{
    identity::{Fingerprint, IdentityKeyPair},
    prekey::BundleKey,
    ticket::Ticket,
};
use hermes_wire::{
    ContactId, DropKey, InstanceId, MailboxId, RelayAddress, Sequence, Timestamp,
    limits::CONTACT_TOKEN_VALIDITY,
    prekey::PrekeyId,
    token::{DropToken, Permission, SignedDropToken},
};
use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    limits::REQUEST_USES,
    row::{AccountRecord, Counters, SecretBytes, StoreStanding},
    rows::{
        self, AccountKey, CountersKey, CountersRow, Hash, ProfileKey, ProfileRow, ReadError, StoreResult,
    },
    store::View,
};

/// What a new account is made from.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The account's label and first profile name.
    pub name: String,
    /// The relay that keeps its mailbox.
    pub relay: RelayAddress,
    /// What the relay may ask of a stranger.
    pub registration_token: Option<String>,
}

/// The account's secrets, opened once. No `Clone`, no `Debug`; the keys wipe themselves.
pub(crate) struct Account {
    pub(crate) relay: RelayAddress,
    pub(crate) identity: IdentityKeyPair,
    pub(crate) mailbox: MailboxId,
    pub(crate) bundle_key: BundleKey,
    drop: SigningKey,
    lookup: LookupKey,
}

impl NewAccount {
    /// Draws every key.
    pub(crate) fn draw(self, now: Timestamp, rng: &mut dyn CryptoRng) -> (AccountRecord, Counters) {
        let mut secret = || {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            SecretBytes::new(bytes)
        };
        let (mailbox, drop, lookup_key) = (secret(), secret(), secret());
        let record = AccountRecord {
            name: self.name,
            relay: self.relay,
            registration_token: self.registration_token,
            instance: InstanceId::random(rng),
            created: now,
            identity: SecretBytes::new(*IdentityKeyPair::generate(rng).to_bytes()),
            mailbox,
            drop,
            bundle_key: BundleKey::generate(rng),
            lookup_key,
        };
        let counters = Counters {
            cursor: Sequence(0),
            next_prekey: PrekeyId(1),
            prekey_floor: PrekeyId(0),
            next_initiation: 1,
            next_position: 1,
            outbox: 0,
            unread: 0,
            contacts: 0,
            unreadable: 0,
            missing: 0,
            head: Sequence(0),
            drained: now,
            registered: false,
            renewals: 0,
            last_renewal: None,
            standing: StoreStanding::Newest,
            events: 0,
            early: 0,
        };
        (record, counters)
    }
}

impl Account {
    pub(crate) fn open(record: &AccountRecord) -> Self {
        Self {
            relay: record.relay.clone(),
            identity: IdentityKeyPair::from_bytes(record.identity.expose()),
            mailbox: record.mailbox_id(),
            bundle_key: record.bundle_key.clone(),
            drop: SigningKey::from_bytes(record.drop.expose()),
            lookup: record.lookup_key(),
        }
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.identity.identity().fingerprint()
    }

    /// A contact's way to this mailbox, under a pseudonym of its own.
    pub(crate) fn contact_ticket(&self, contact: ContactId, now: Timestamp) -> Ticket {
        self.ticket(contact, now.after(CONTACT_TOKEN_VALIDITY), None)
    }

    /// An invite's way to this mailbox: one bundle, until `expiry`.
    pub(crate) fn invite_ticket(&self, contact: ContactId, expiry: Timestamp) -> Ticket {
        self.ticket(contact, expiry, Some(1))
    }

    /// The way to this mailbox of an invite for requests: many bundles, until `expiry`.
    pub(crate) fn request_ticket(&self, contact: ContactId, expiry: Timestamp) -> Ticket {
        self.ticket(contact, expiry, Some(REQUEST_USES))
    }

    /// The permission to copy what is posted to one group into this mailbox.
    pub(crate) fn channel_token(&self, contact: ContactId, now: Timestamp) -> SignedDropToken {
        channel_token(contact, now, self.mailbox, &self.drop)
    }

    fn ticket(&self, contact: ContactId, expiry: Timestamp, uses: Option<u32>) -> Ticket {
        let token = DropToken { contact, permission: Permission::DepositAndPrekeys, expiry, uses };
        Ticket {
            relay: self.relay.clone(),
            mailbox: self.mailbox,
            token: SignedDropToken::issue(&token, self.mailbox, &self.drop),
            bundle_key: self.bundle_key.clone(),
        }
    }

    pub(crate) fn lookup(&self, purpose: Lookup, parts: &[&[u8]]) -> Hash {
        self.lookup.hash(purpose, parts)
    }
}

/// The permission to copy what is posted to one group into a mailbox.
pub(crate) fn channel_token(
    contact: ContactId,
    now: Timestamp,
    mailbox: MailboxId,
    drop: &SigningKey,
) -> SignedDropToken {
    let expiry = now.after(CONTACT_TOKEN_VALIDITY);
    let token = DropToken { contact, permission: Permission::Channel, expiry, uses: None };
    SignedDropToken::issue(&token, mailbox, drop)
}

/// Keys the hashes under which a name, a fingerprint or a user's word is looked up: the store's keys are not sealed.
pub(crate) struct LookupKey(Zeroizing<[u8; 32]>);

impl LookupKey {
    pub(crate) fn hash(&self, purpose: Lookup, parts: &[&[u8]]) -> Hash {
        // A key shorter than the block is padded with zeros (RFC 2104, section 2).
        let mut block = Zeroizing::new([0; 64]);
        block.iter_mut().zip(self.0.iter()).for_each(|(to, from)| *to = *from);
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        mac.update(&[purpose as u8]);
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Hash(mac.finalize().into_bytes().into())
    }
}

/// Separates the uses of the lookup key.
#[derive(Clone, Copy)]
pub(crate) enum Lookup {
    Name = 1,
    Peer = 2,
    Idempotency = 3,
    Request = 4,
    Voice = 5,
    Consumer = 6,
    Rejected = 7,
}

impl AccountRecord {
    pub(crate) fn lookup_key(&self) -> LookupKey {
        LookupKey(Zeroizing::new(*self.lookup_key.expose()))
    }

    pub(crate) fn mailbox_id(&self) -> MailboxId {
        MailboxId(SigningKey::from_bytes(self.mailbox.expose()).verifying_key().to_bytes())
    }

    pub(crate) fn drop_key(&self) -> DropKey {
        DropKey(SigningKey::from_bytes(self.drop.expose()).verifying_key().to_bytes())
    }
}

/// The account's row.
pub(crate) fn record<V: View>(view: &V) -> StoreResult<AccountRecord, V> {
    rows::get(view, &AccountKey)?.ok_or_else(missing)
}

/// What the account calls itself.
pub(crate) fn profile<V: View>(view: &V, record: &AccountRecord) -> StoreResult<String, V> {
    let named: Option<ProfileRow> = rows::get(view, &ProfileKey)?;
    Ok(named.map_or_else(|| record.name.clone(), |row| row.0))
}

/// The account's counters.
pub(crate) fn counters<V: View>(view: &V) -> StoreResult<Counters, V> {
    rows::get::<CountersRow, _>(view, &CountersKey)?.map(|row| row.0).ok_or_else(missing)
}

fn missing<E: Error>() -> ReadError<E> {
    ReadError::NoAccount
}
