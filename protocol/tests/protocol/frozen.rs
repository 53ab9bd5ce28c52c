//! Bytes that were written once and must be understood for ever. A failure here is a change of the protocol or of a
//! record's layout, and needs a new version number.
//!
//! `cargo test -p hermes-protocol --test protocol frozen -- --ignored` writes the corpus anew.

use std::{fs, path::PathBuf};

use crate::support::*;
use hermes_protocol::{record::RecordError, *};
use hermes_wire::{MailboxId, codec, limits::FRAME_BYTES, prekey::SealedBundle};

const FIRST_TEXT: &[u8] = "The first message: \u{1f98a}".as_bytes();
const SKIPPED_TEXT: &[u8] = b"overtaken";
const LATER_TEXT: &[u8] = b"overtaking";
const EPHEMERAL_TEXT: &[u8] = b"of no use in a minute";
const CONFIRMING_TEXT: &[u8] = b"under the new root";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name)
}

fn read(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn prekey(name: &str) -> PrekeySecret {
    PrekeySecret::from_bytes(&read(name)).unwrap()
}

#[test]
fn the_first_message_opens() {
    let identity = IdentityKeyPair::from_bytes(&read("identity.key").try_into().unwrap());
    let (signed, one_time) = (prekey("signed.prekey"), prekey("one_time.prekey"));
    let (kem, ff) = (prekey("kem.prekey"), prekey("ff.prekey"));
    let mailbox = MailboxId(read("mailbox.id").try_into().unwrap());

    let (handshake, message) = first(&read("first.envelope"));
    let params = ResponderParams { identity: &identity, mailbox };
    let keys = ResponderKeys { signed: &signed, one_time: Some(&one_time), kem: &kem, ff: &ff };
    let initiator = handshake.open_identity(params, &keys).unwrap();
    let responded = handshake.respond(params, &keys, &initiator).unwrap();
    let mut peer = Peer::new(responded.session, None, 1);
    assert_eq!(peer.open(&message).unwrap(), FIRST_TEXT);
}

#[test]
fn the_bundle_opens() {
    let identity = IdentityKeyPair::from_bytes(&read("identity.key").try_into().unwrap());
    let sealed: SealedBundle = codec::decode(&read("sealed.bundle"), FRAME_BYTES).unwrap();
    let key = BundleKey::from_bytes(read("bundle.key").try_into().unwrap());
    let bundle = Bundle::open(&sealed, &key, &identity.identity().fingerprint(), NOW).unwrap();
    assert_eq!(bundle.identity(), identity.identity());
}

#[test]
fn a_stored_session_opens_its_messages() {
    let mut peer = Peer::new(Session::from_bytes(&read("session.record")).unwrap(), None, 1);
    assert_eq!(peer.receive(&read("later.envelope")).unwrap(), LATER_TEXT);
    let key = SkippedKey::from_bytes(&read("skipped.key")).unwrap();
    assert_eq!(peer.rows.keys[&(key.chain, key.index)], read("skipped.key"));
    assert_eq!(peer.receive(&read("skipped.envelope")).unwrap(), SKIPPED_TEXT);
    let chain = SkippedChain::from_bytes(&read("passed.chain")).unwrap();
    assert_eq!(*peer.rows.chains[&chain.number], *read("passed.chain"));
}

/// The session above has an ML-KEM key on offer; this one has answered it.
#[test]
fn both_sides_of_an_ml_kem_step_open_their_messages() {
    let mut peer = Peer::new(Session::from_bytes(&read("answering.record")).unwrap(), None, 1);
    assert_eq!(read("session.record").len(), 501);
    assert_eq!(read("answering.record").len(), 1_561);
    assert_eq!(peer.receive(&read("confirming.envelope")).unwrap(), CONFIRMING_TEXT);
    assert_eq!(peer.session.to_bytes().len(), 473);
}

#[test]
fn an_ephemeral_message_opens() {
    let session = Session::from_bytes(&read("session.record")).unwrap();
    let Ok(Envelope::Ephemeral(message)) = Envelope::decode(&read("ephemeral.envelope")) else {
        panic!("no ephemeral envelope")
    };
    assert_eq!(session.open_ephemeral(&message).unwrap().as_slice(), EPHEMERAL_TEXT);
}

#[test]
fn every_corpus_file_is_taken_by_its_own_decoder_only() {
    for entry in fs::read_dir(path("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let bytes = read(&name);
        assert_eq!(Envelope::decode(&bytes).is_ok(), name.ends_with(".envelope"), "{name}");
        assert_eq!(PrekeySecret::from_bytes(&bytes).is_ok(), name.ends_with(".prekey"), "{name}");
        assert_eq!(SkippedKey::from_bytes(&bytes).is_ok(), name == "skipped.key", "{name}");
        assert_eq!(Session::from_bytes(&bytes).is_ok(), name.ends_with(".record"), "{name}");
        if name.ends_with(".record") {
            let newer = [&[9], &bytes[1..]].concat();
            assert_eq!(Session::from_bytes(&newer).err(), Some(RecordError::Version(9)));
        }
    }
}

#[test]
#[ignore = "writes the corpus"]
fn write_corpus() {
    let (mut alice, mut bob) = (Account::new(101), Account::new(102));
    let initiated = alice.initiate(&mut bob, Stock::Full);
    let mut a = Peer::new(initiated.session, Some(initiated.pending), 103);
    let write = |name: &str, bytes: &[u8]| fs::write(path(name), bytes).unwrap();
    write("sealed.bundle", &codec::encode(&bob.sealed_bundle(Stock::Full)));
    write("bundle.key", &bob.bundle_key.to_bytes());
    let first_envelope = a.send(FIRST_TEXT);
    write("first.envelope", &first_envelope);
    write("identity.key", bob.keys.to_bytes().as_slice());
    write("mailbox.id", bob.mailbox.as_bytes());
    for (name, prekey) in [
        ("signed.prekey", &bob.signed),
        ("one_time.prekey", &bob.one_time),
        ("kem.prekey", &bob.kem),
        ("ff.prekey", &bob.ff),
    ] {
        write(name, &prekey.to_bytes());
    }
    let mut b = Peer::new(bob.respond(&first(&first_envelope).0).unwrap().session, None, 104);
    b.receive(&first_envelope).unwrap();
    let envelope = b.send(b"");
    a.receive(&envelope).unwrap();
    let skipped_envelope = a.send(SKIPPED_TEXT);
    let later_envelope = a.send(LATER_TEXT);
    write("session.record", &b.session.to_bytes());
    write("skipped.envelope", &skipped_envelope);
    write("later.envelope", &later_envelope);
    b.receive(&later_envelope).unwrap();
    write("skipped.key", b.rows.keys.values().next().unwrap());
    write("passed.chain", b.rows.chains.values().next().unwrap());
    write("answering.record", &a.session.to_bytes());
    write("confirming.envelope", &b.send(CONFIRMING_TEXT));
    write("ephemeral.envelope", &a.session.seal_ephemeral(EPHEMERAL_TEXT, &mut a.rng).unwrap());
}
