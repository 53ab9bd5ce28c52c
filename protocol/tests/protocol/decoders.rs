//! Every decoder that takes bytes from others, fed with garbage: an error is fine, a panic is not.

use crate::support::*;
use hermes_protocol::*;
use hermes_wire::{
    Timestamp, codec,
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind, SealedBundle},
};
use proptest::{collection::vec, prelude::*};
use serde_bytes::ByteBuf;

fn decode_everything(bytes: &[u8]) {
    let _ = Envelope::decode(bytes);
    let _ = Content::decode(bytes);
    let _ = codec::decode::<Identity>(bytes, 1024);
    let _ = codec::decode::<Ticket>(bytes, 4096);
    let _ = Session::from_bytes(bytes);
    let _ = SkippedChain::from_bytes(bytes);
    let _ = SkippedKey::from_bytes(bytes);
    let _ = PrekeySecret::from_bytes(bytes);
    let _ = PendingHandshake::from_bytes(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = text.parse::<Invite>();
    }
}

/// Genuine bytes of every kind, as seeds.
fn genuine() -> Vec<Vec<u8>> {
    let (mut alice, mut bob) = settled_peers(1);
    let first = fresh_peers(1).0.send(b"first");
    let skipped = alice.send(b"skipped");
    let envelope = alice.send(b"x");
    bob.receive(&envelope).unwrap();
    let mut account = Account::new(1);
    let bundle = account.sealed_bundle(Stock::Full);
    let mut seeds = vec![
        first,
        skipped,
        alice.session.to_bytes().to_vec(),
        account.kem.to_bytes().to_vec(),
        account.signed.to_bytes().to_vec(),
        codec::encode(account.keys.identity()),
        bundle.signed.sealed.to_vec(),
    ];
    seeds.extend(bob.rows.chains.into_values());
    seeds.extend(bob.rows.keys.into_values());
    seeds
}

#[test]
fn truncated_values_are_errors() {
    for seed in genuine() {
        for length in 0..seed.len() {
            decode_everything(&seed[..length]);
        }
    }
}

#[test]
fn records_have_one_length() {
    let (alice, _) = settled_peers(1);
    let bytes = alice.session.to_bytes();
    assert_eq!(Session::from_bytes(&bytes[..bytes.len() - 1]).err(), Some(RecordError::Malformed));
    assert_eq!(Session::from_bytes(&[&bytes[..], &[0]].concat()).err(), Some(RecordError::Malformed));
    let mut newer = bytes.to_vec();
    newer[0] = 2;
    assert_eq!(Session::from_bytes(&newer).err(), Some(RecordError::Version(2)));
}

#[test]
fn a_message_has_at_least_its_fixed_parts() {
    let message = |length: usize| [&[1, 2][..], &vec![0; length]].concat();
    assert!(Envelope::decode(&message(24 + 57 + 16 + 32)).is_ok());
    assert_eq!(Envelope::decode(&message(24 + 57 + 16 + 32 - 1)), Err(EnvelopeError::Malformed));
}

#[test]
fn envelopes_of_the_future_are_told_from_broken_ones() {
    assert_eq!(Envelope::decode(&[2, 1, 0]), Err(EnvelopeError::Newer));
    assert_eq!(Envelope::decode(&[1, 9, 0]), Err(EnvelopeError::Newer));
    assert_eq!(Envelope::decode(&[1]), Err(EnvelopeError::Malformed));
    assert_eq!(Envelope::decode(&[1, 2, 0]), Err(EnvelopeError::Malformed));
    assert_eq!(Envelope::decode(&vec![1; 65_537]), Err(EnvelopeError::TooLong));
}

proptest! {
    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..600)) {
        decode_everything(&bytes);
        let entry = |kind| PrekeyEntry { kind, id: PrekeyId(1), expiry: EXPIRY, sealed: ByteBuf::from(bytes.clone()) };
        let bundle = SealedBundle {
            signed: entry(PrekeyKind::Signed),
            one_time: Some(entry(PrekeyKind::OneTime)),
            kem: entry(PrekeyKind::OneTimeKem),
            ff: entry(PrekeyKind::SignedFf),
        };
        let key = BundleKey::from_bytes([1; 32]);
        let opened = Bundle::open(&bundle, &key, &Fingerprint([0; 32]), Timestamp(0));
        prop_assert_eq!(opened.err(), Some(BundleError::Unreadable));
    }

    #[test]
    fn random_bytes_behind_a_plausible_beginning(kind in 1u8..=3, bytes in vec(any::<u8>(), 0..600)) {
        decode_everything(&[&[1, kind], &bytes[..]].concat());
        decode_everything(&[&[1], &bytes[..]].concat());
    }

    #[test]
    fn changed_values(which in any::<prop::sample::Index>(), changes in vec(any::<(prop::sample::Index, u8)>(), 1..8)) {
        thread_local!(static SEEDS: Vec<Vec<u8>> = genuine());
        let mut bytes = SEEDS.with(|seeds| seeds[which.index(seeds.len())].clone());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        decode_everything(&bytes);
    }
}
