//! The handshake from bundle to first message, and everything that must stop it.

use crate::support::*;
use hermes_protocol::{handshake::InitiatorParams, limits::UNOPENED_INITIATIONS, *};
use hermes_wire::{MailboxId, Timestamp, codec, prekey::SealedBundle};
use serde_bytes::ByteBuf;

fn accounts() -> (Account, Account) {
    (Account::new(1), Account::new(2))
}

#[test]
fn both_sides_reach_the_same_session_whatever_keys_were_left() {
    for stock in [Stock::Full, Stock::NoOneTime, Stock::LastResort] {
        let (mut alice, mut bob) = accounts();
        let bundle = bob.bundle(stock);
        assert_eq!(bundle.without_one_time_key(), stock != Stock::Full);
        assert_eq!(bundle.with_last_resort_kem(), stock == Stock::LastResort);

        let initiated = alice.initiate(&mut bob, stock);
        let mut a = Peer::new(initiated.session, Some(initiated.pending), 10);
        let envelope = a.send("hello 🦊".as_bytes());
        let (handshake, message) = first(&envelope);
        assert_eq!(handshake.prekeys().one_time.is_none(), stock != Stock::Full);
        let initiator = handshake.open_identity(bob.params(), &bob.secrets(handshake.prekeys())).unwrap();
        assert_eq!(initiator.identity, *alice.keys.identity());
        assert_eq!((initiator.mailbox, initiator.counter), (alice.mailbox, 7));

        let responded = bob.respond(&handshake).unwrap();
        assert_eq!(responded.transcript, initiated.transcript);
        assert_eq!(responded.session.id(), a.session.id());
        let mut b = Peer::new(responded.session, None, 11);
        assert_eq!(b.open(&message).unwrap(), "hello 🦊".as_bytes());
        let envelope = b.send(b"and back");
        assert_eq!(a.receive(&envelope).unwrap(), b"and back");
        assert!(matches!(Envelope::decode(&a.send(b"now without")), Ok(Envelope::Ordinary(_))));
    }
}

#[test]
fn every_first_message_carries_the_same_handshake_and_any_may_arrive_first() {
    let (mut alice, mut bob) = accounts();
    let initiated = alice.initiate(&mut bob, Stock::Full);
    let stored = PendingHandshake::from_bytes(&initiated.pending.to_bytes()).unwrap();
    assert_eq!(stored, initiated.pending);
    let mut a = Peer::new(initiated.session, Some(stored), 10);
    let envelopes: Vec<_> = (0..3u8).map(|number| a.send(&[number])).collect();
    let handshakes: Vec<_> = envelopes.iter().map(|envelope| first(envelope).0).collect();
    assert!(handshakes.iter().all(|handshake| handshake.replay_id() == handshakes[0].replay_id()));

    let mut b = Peer::new(bob.respond(&handshakes[2]).unwrap().session, None, 11);
    for (number, envelope) in envelopes.iter().enumerate().rev() {
        assert_eq!(b.receive(envelope).unwrap(), [u8::try_from(number).unwrap()]);
        assert_eq!(b.receive(envelope), Err(OpenError::Duplicate));
    }
}

#[test]
fn two_initiations_have_nothing_in_common() {
    let (mut alice, mut bob) = accounts();
    let (one, two) = (alice.initiate(&mut bob, Stock::Full), alice.initiate(&mut bob, Stock::Full));
    assert_ne!(one.transcript, two.transcript);
    assert_ne!(one.session.id(), two.session.id());
    let mut replay_ids = [one, two].map(|initiated| {
        let (_, envelope) = initiated.session.seal(Some(&initiated.pending), b"", &mut rng(3)).unwrap();
        first(&envelope).0.replay_id()
    });
    replay_ids.sort();
    assert_ne!(replay_ids[0], replay_ids[1]);
}

#[test]
fn a_responder_cannot_send_before_it_has_opened_something() {
    let (_, bob) = fresh_peers(1);
    assert_eq!(bob.session.seal(None, b"x", &mut rng(1)).err(), Some(SealError::NothingOpened));
}

#[test]
fn the_list_of_unopened_initiations_arrives_and_is_bounded() {
    let (alice, mut bob) = accounts();
    let bundle = bob.bundle(Stock::Full);
    let list: Vec<_> =
        (0..=UNOPENED_INITIATIONS).map(|number| ReplayId([u8::try_from(number).unwrap(); 32])).collect();
    let initiate_with = |unopened| {
        let params = InitiatorParams {
            identity: &alice.keys,
            mailbox: alice.mailbox,
            peer_mailbox: bob.mailbox,
            counter: u64::MAX,
            unopened,
        };
        initiate(params, &bundle, &mut rng(4))
    };
    assert_eq!(initiate_with(&list).err(), Some(HandshakeError::TooManyUnopened));
    let initiated = initiate_with(&list[1..]).unwrap();
    let (_, envelope) = initiated.session.seal(Some(&initiated.pending), b"", &mut rng(5)).unwrap();
    let (handshake, _) = first(&envelope);
    let initiator = handshake.open_identity(bob.params(), &bob.secrets(handshake.prekeys())).unwrap();
    assert_eq!(initiator.unopened, list[1..]);
}

#[test]
fn a_bundle_of_another_identity_is_refused() {
    let (alice, mut bob) = accounts();
    let sealed = bob.sealed_bundle(Stock::Full);
    let open = |sealed: &SealedBundle, key, fingerprint: &Fingerprint, now| {
        Bundle::open(sealed, key, fingerprint, now).err()
    };
    assert_eq!(open(&sealed, &bob.bundle_key, &bob.fingerprint(), NOW), None);
    assert_eq!(open(&sealed, &bob.bundle_key, &alice.fingerprint(), NOW), Some(BundleError::WrongIdentity));
    assert_eq!(open(&sealed, &alice.bundle_key, &bob.fingerprint(), NOW), Some(BundleError::Unreadable));
    assert_eq!(open(&sealed, &bob.bundle_key, &bob.fingerprint(), EXPIRY), None);
    let late = Timestamp(EXPIRY.0 + 1);
    assert_eq!(open(&sealed, &bob.bundle_key, &bob.fingerprint(), late), Some(BundleError::Expired));
}

#[test]
fn what_a_relay_can_do_to_a_bundle_is_noticed() {
    let (_, mut bob) = accounts();
    let sealed = bob.sealed_bundle(Stock::Full);
    let refused = |change: &dyn Fn(&mut SealedBundle), error| {
        let mut changed = sealed.clone();
        change(&mut changed);
        let opened = Bundle::open(&changed, &bob.bundle_key, &bob.fingerprint(), NOW);
        assert_eq!(opened.err(), Some(error));
    };
    refused(&|bundle| bundle.signed.id.0 += 1, BundleError::Unreadable);
    refused(&|bundle| bundle.ff.expiry.0 += 1, BundleError::Unreadable);
    refused(&|bundle| bundle.kem.sealed[40] ^= 1, BundleError::Unreadable);
    refused(&|bundle| bundle.kem.sealed = ByteBuf::new(), BundleError::Unreadable);
    refused(&|bundle| bundle.kem.sealed = ByteBuf::from(vec![0; 1 << 20]), BundleError::Unreadable);
    refused(&|bundle| bundle.one_time = Some(bundle.signed.clone()), BundleError::WrongKind);
    refused(&|bundle| bundle.kem = bundle.ff.clone(), BundleError::WrongKind);
    refused(&|bundle| bundle.signed.kind = hermes_wire::prekey::PrekeyKind::OneTime, BundleError::WrongKind);
}

#[test]
fn a_key_that_the_identity_did_not_sign_is_refused() {
    // Mallory knows the bundle key (she holds a ticket) and is in league with the relay, and swaps one entry.
    let (mut mallory, mut bob) = accounts();
    mallory.bundle_key = bob.bundle_key.clone();
    let theirs = mallory.sealed_bundle(Stock::Full);
    let good = bob.sealed_bundle(Stock::Full);
    let swaps = [
        SealedBundle { one_time: theirs.one_time, ..good.clone() },
        SealedBundle { kem: theirs.kem, ..good.clone() },
        SealedBundle { ff: theirs.ff, ..good.clone() },
    ];
    for swapped in swaps {
        let opened = Bundle::open(&swapped, &bob.bundle_key, &bob.fingerprint(), NOW);
        assert_eq!(opened.err(), Some(BundleError::BadSignature));
    }
    let swapped = SealedBundle { signed: theirs.signed, ..good };
    let opened = Bundle::open(&swapped, &bob.bundle_key, &bob.fingerprint(), NOW);
    assert_eq!(opened.err(), Some(BundleError::WrongIdentity));
}

#[test]
fn nobody_writes_to_oneself() {
    let (mut alice, mut bob) = accounts();
    let bundle = alice.bundle(Stock::Full);
    let params = InitiatorParams {
        identity: &alice.keys,
        mailbox: alice.mailbox,
        peer_mailbox: alice.mailbox,
        counter: 1,
        unopened: &[],
    };
    assert_eq!(initiate(params, &bundle, &mut rng(1)).err(), Some(HandshakeError::Oneself));

    // A message whose sealed identity is the recipient's own.
    let initiated = alice.initiate(&mut bob, Stock::Full);
    let (_, envelope) = initiated.session.seal(Some(&initiated.pending), b"", &mut rng(3)).unwrap();
    let (handshake, _) = first(&envelope);
    let reflected = ResponderParams { identity: &alice.keys, mailbox: bob.mailbox };
    let result = handshake.open_identity(reflected, &bob.secrets(handshake.prekeys()));
    assert_eq!(result.err(), Some(HandshakeError::Oneself));
}

#[test]
fn the_wrong_prekeys_are_a_named_error() {
    let (mut alice, mut bob) = accounts();
    let initiated = alice.initiate(&mut bob, Stock::Full);
    let (_, envelope) = initiated.session.seal(Some(&initiated.pending), b"", &mut rng(3)).unwrap();
    let (handshake, _) = first(&envelope);
    let good = bob.secrets(handshake.prekeys());
    for wrong in [
        ResponderKeys { signed: &bob.one_time, ..good },
        ResponderKeys { one_time: None, ..good },
        ResponderKeys { one_time: Some(&bob.signed), ..good },
        ResponderKeys { kem: &bob.last_resort, ..good },
        ResponderKeys { ff: &bob.kem, ..good },
    ] {
        assert_eq!(handshake.open_identity(bob.params(), &wrong).err(), Some(HandshakeError::WrongPrekeys));
    }
    // Another account's secrets under the same numbers.
    let other = Account::new(9);
    let wrong = ResponderKeys { signed: &other.signed, ..good };
    assert_eq!(handshake.open_identity(bob.params(), &wrong).err(), Some(HandshakeError::SealedIdentity));
}

#[test]
fn a_session_stands_only_if_identities_and_mailboxes_agree() {
    let (mut alice, mut bob) = accounts();
    let initiated = alice.initiate(&mut bob, Stock::Full);
    let (_, envelope) = initiated.session.seal(Some(&initiated.pending), b"x", &mut rng(3)).unwrap();
    let (handshake, message) = first(&envelope);
    let stranger = Account::new(9);
    let elsewhere = ResponderParams { mailbox: MailboxId([1; 32]), ..bob.params() };
    let someone_else = ResponderParams { identity: &stranger.keys, ..bob.params() };
    let secrets = bob.secrets(handshake.prekeys());
    for params in [elsewhere, someone_else] {
        let initiator = handshake.open_identity(params, &secrets).unwrap();
        let responded = handshake.respond(params, &secrets, &initiator).unwrap();
        let mut peer = Peer::new(responded.session, None, 1);
        assert_eq!(peer.open(&message), Err(OpenError::NotForThisSession));
    }
}

#[test]
fn claiming_another_identity_leads_to_no_session() {
    // Mallory seals Alice's identity, which is public to her contacts, but cannot compute DH1 without her keys.
    let (mut alice, mut bob) = accounts();
    let mut mallory = Account::new(9);
    let initiated = mallory.initiate(&mut bob, Stock::Full);
    let (_, envelope) = initiated.session.seal(Some(&initiated.pending), b"x", &mut rng(3)).unwrap();
    let (handshake, message) = first(&envelope);
    let secrets = bob.secrets(handshake.prekeys());
    let mut claimed = handshake.open_identity(bob.params(), &secrets).unwrap();
    claimed.identity = alice.keys.identity().clone();
    let responded = handshake.respond(bob.params(), &secrets, &claimed).unwrap();
    let mut peer = Peer::new(responded.session, None, 1);
    assert_eq!(peer.open(&message), Err(OpenError::NotForThisSession));
    // And her own message to Alice is no message to Bob.
    let to_alice = mallory.initiate(&mut alice, Stock::Full);
    let (_, envelope) = to_alice.session.seal(Some(&to_alice.pending), b"x", &mut rng(3)).unwrap();
    assert_eq!(bob.respond(&first(&envelope).0).err(), Some(HandshakeError::SealedIdentity));
}

#[test]
fn no_changed_first_envelope_opens() {
    let (mut alice, mut bob) = accounts();
    let initiated = alice.initiate(&mut bob, Stock::Full);
    let mut a = Peer::new(initiated.session, Some(initiated.pending), 10);
    let envelope = a.send(b"hello");
    let opens = |envelope: &[u8]| {
        let Ok(Envelope::First { handshake, message }) = Envelope::decode(envelope) else { return false };
        let Ok(responded) = bob.respond(&handshake) else { return false };
        Peer::new(responded.session, None, 11).open(&message).is_ok()
    };
    assert!(opens(&envelope));
    // Every byte of the ratchet message is covered in the ratchet's tests; a handshake is dear, so every 13th here,
    // and all of the first ones, which say where the parts are.
    for position in (0..64).chain((64..envelope.len()).step_by(13)) {
        let mut changed = envelope.clone();
        changed[position] ^= 1 << (position % 8);
        assert!(!opens(&changed), "byte {position}");
    }
    for length in (0..envelope.len()).step_by(101) {
        assert!(!opens(&envelope[..length]), "length {length}");
    }
}

/// Positions of the handshake's fields in an encoded first envelope: version, kind, length, then CBOR.
fn replace(envelope: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = envelope.windows(old.len()).position(|window| window == old).unwrap();
    [&envelope[..at], new, &envelope[at + old.len()..]].concat()
}

#[test]
fn forbidden_public_values_are_refused_by_name() {
    let (mut alice, mut bob) = accounts();
    let initiated = alice.initiate(&mut bob, Stock::Full);
    let (_, envelope) = initiated.session.seal(Some(&initiated.pending), b"x", &mut rng(3)).unwrap();
    // After [[prekeys, the ephemeral key stands as a byte string of 32, the finite-field value as one of 256.
    let cbor = &envelope[4..];
    let curve = cbor.windows(2).position(|window| window == [0x58, 32]).unwrap() + 2;
    let (ephemeral, rest) = cbor[curve..].split_at(32);
    assert_eq!(rest[..3], [0x59, 1, 0]);

    let small_order = replace(&envelope, ephemeral, &[0; 32]);
    assert_eq!(bob.respond(&first(&small_order).0).err(), Some(HandshakeError::BadCurveKey));

    // The identity's seal covers the finite-field value; it is checked as a group element all the same, because a
    // sender can seal what it likes.
    let (handshake, _) = first(&envelope);
    let secrets = bob.secrets(handshake.prekeys());
    let initiator = handshake.open_identity(bob.params(), &secrets).unwrap();
    let mut one = [0; 256];
    one[255] = 1;
    for bad in [[0; 256], one, [0xff; 256]] {
        let changed = first(&replace(&envelope, &rest[3..259], &bad)).0;
        assert_eq!(changed.open_identity(bob.params(), &secrets).err(), Some(HandshakeError::SealedIdentity));
        let result = changed.respond(bob.params(), &secrets, &initiator);
        assert_eq!(result.err(), Some(HandshakeError::BadFiniteField));
    }
}

#[test]
fn an_invite_proof_holds_on_both_sides_of_one_handshake() {
    let (mut alice, mut bob) = accounts();
    let secret = InviteSecret::generate(&mut rng(1));
    let initiated = alice.initiate(&mut bob, Stock::Full);
    let (_, envelope) = initiated.session.seal(Some(&initiated.pending), b"x", &mut rng(3)).unwrap();
    let responded = bob.respond(&first(&envelope).0).unwrap();
    assert!(secret.verify(&responded.transcript, &secret.prove(&initiated.transcript)));
}

#[test]
fn a_bundle_fits_the_wires_limits() {
    let (_, mut bob) = accounts();
    let bundle = bob.sealed_bundle(Stock::Full);
    for entry in [&bundle.signed, bundle.one_time.as_ref().unwrap(), &bundle.kem, &bundle.ff] {
        assert!(codec::encode(entry).len() <= hermes_wire::limits::PREKEY_ENTRY_BYTES);
    }
}
