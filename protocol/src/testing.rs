//! What the tests of this crate share.

use ed25519_dalek::SigningKey;
use hermes_wire::{
    ContactId, MailboxId, RelayAddress, RelayPin, Timestamp,
    token::{DropToken, Permission, SignedDropToken},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use crate::{prekey::BundleKey, ticket::Ticket};

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn ticket(seed: u8) -> Ticket {
    let mailbox = MailboxId([seed; 32]);
    let token = DropToken {
        contact: ContactId([seed; 16]),
        permission: Permission::DepositAndPrekeys,
        expiry: Timestamp(1_800_000_000_000),
        uses: Some(1),
    };
    Ticket {
        relay: RelayAddress::new("relay.example", 4433, RelayPin([7; 32])).unwrap(),
        mailbox,
        token: SignedDropToken::issue(&token, mailbox, &SigningKey::from_bytes(&[seed; 32])),
        bundle_key: BundleKey::from_bytes([seed; 32]),
    }
}
