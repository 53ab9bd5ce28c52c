//! The handshake, with every long-term secret, prekey secret, and drawn secret marked.

use std::hint::black_box;

use hermes_protocol::{
    HandshakeError, IdentityKeyPair, InitiatorParams, PrekeySecret, ResponderKeys, initiate,
};

use crate::{
    support::{Account, Stock, first, rng},
    taint::{SecretRng, public, secret},
};

/// The same keys, now secret.
fn secret_identity(keys: &IdentityKeyPair) -> IdentityKeyPair {
    let mut bytes = *keys.to_bytes();
    secret(&mut bytes);
    let keys = IdentityKeyPair::from_bytes(&bytes);
    // Both public keys and the cross signature: what a contact gets.
    public(keys.identity());
    keys
}

/// The same prekey, now secret.
fn secret_prekey(prekey: &PrekeySecret) -> PrekeySecret {
    // Version, kind and number stand in front. Behind the exponent of ffdhe2048 stands its public half.
    let mut bytes = prekey.to_bytes();
    let end = match bytes.len() {
        length if length > 10 + 64 => 10 + 32,
        length => length,
    };
    secret(&mut bytes[10..end]);
    PrekeySecret::from_bytes(&bytes).expect("the layout is untouched")
}

/// An initiation of Alice that Bob can answer.
struct World {
    bob: Account,
    envelope: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let (mut alice, mut bob) = (Account::new(1), Account::new(2));
        let initiated = alice.initiate(&mut bob, Stock::Full);
        let (_, envelope) =
            initiated.session.seal(Some(&initiated.pending), b"hello", &mut rng(3)).expect("sealed");
        Self { bob, envelope }
    }
}

pub fn identity() {
    black_box(secret_identity(&Account::new(1).keys));
}

pub fn publish() {
    let mut account = Account::new(1);
    account.keys = secret_identity(&account.keys);
    for prekey in [&account.signed, &account.one_time, &account.kem, &account.ff] {
        let prekey = secret_prekey(prekey);
        black_box(prekey.publish(
            &account.keys,
            crate::support::EXPIRY,
            &account.bundle_key,
            &mut account.rng,
        ));
    }
}

pub fn initiator() {
    let (mut alice, mut bob) = (Account::new(1), Account::new(2));
    let bundle = bob.bundle(Stock::Full);
    alice.keys = secret_identity(&alice.keys);
    let params = InitiatorParams {
        identity: &alice.keys,
        mailbox: alice.mailbox,
        peer_mailbox: bob.mailbox,
        counter: 7,
        unopened: &[],
    };
    // The ephemeral key, the exponent, ML-KEM's randomness and the first ratchet key.
    black_box(initiate(params, &bundle, &mut SecretRng::new(4)).expect("a good bundle"));
}

/// Up to the verdict on the sealed identity, which is forged here: what comes behind a good one is the initiator's
/// public keys, and they are checked as public keys are.
pub fn open_identity() {
    let World { mut bob, mut envelope } = World::new();
    let (handshake, _) = first(&envelope);
    bob.signed = secret_prekey(&bob.signed);
    bob.kem = secret_prekey(&bob.kem);
    let sealed_identity_end = 4 + usize::from(u16::from_be_bytes([envelope[2], envelope[3]])) - 1;
    envelope[sealed_identity_end] ^= 1;
    let (forged, _) = first(&envelope);
    let keys = bob.secrets(handshake.prekeys());
    let refused = forged.open_identity(bob.params(), &keys).err();
    assert_eq!(refused, Some(HandshakeError::SealedIdentity));
}

pub fn responder() {
    let World { mut bob, envelope } = World::new();
    let (handshake, _) = first(&envelope);
    let initiator =
        handshake.open_identity(bob.params(), &bob.secrets(handshake.prekeys())).expect("a good handshake");
    bob.keys = secret_identity(&bob.keys);
    let (signed, one_time) = (secret_prekey(&bob.signed), secret_prekey(&bob.one_time));
    let (kem, ff) = (secret_prekey(&bob.kem), secret_prekey(&bob.ff));
    let keys = ResponderKeys { signed: &signed, one_time: Some(&one_time), kem: &kem, ff: &ff };
    black_box(handshake.respond(bob.params(), &keys, &initiator).expect("a good handshake"));
}
