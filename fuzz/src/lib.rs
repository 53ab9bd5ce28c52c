//! What is tried with every input of a fuzz target. An input passes when nothing panics and what was accepted is
//! accepted again in the same form.
//!
//! Each target is a function of bytes without memory, so that an ordinary test replays the corpus with it. [`seeds`]
//! are real values to start from; [`parties`] are two people whose keys never change, [`group`] are a few who share some;
//! [`relay`] is one, [`records`] an account's store, [`settings`] are files of people. [`model`] is a world of two
//! parties with several sessions, which a property test of the protocol drives too.

pub mod backup;
pub mod group;
#[path = "../../protocol/tests/model/mod.rs"]
pub mod model;
pub mod parties;
pub mod records;
pub mod relay;
pub mod seeds;
pub mod settings;

use hermes_protocol::{
    Bundle, Compared, Content, Envelope, EphemeralMessage, HandshakeMessage, Identity, Invite,
    RatchetMessage, Session, SkippedChain, SkippedKey, SkippedKeys,
};
use hermes_wire::{
    Timestamp, channel, codec, drop, frame,
    introduction::Introduction,
    mailbox,
    prekey::SealedBundle,
    token::{DropToken, SignedDropToken, Use},
};
use model::{
    action::Action,
    world::{Tally, World},
};
use parties::Parties;

/// A target: its name, which is also its corpus' directory, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Actions of one world, so that an input has its end.
const ACTIONS: usize = 400;

/// Every target.
pub const TARGETS: [Target; 17] = [
    ("frame_decode", frame_decode),
    ("drop_token", drop_token),
    ("address", address),
    ("backup_import", backup::import),
    ("prekey_bundle", prekey_bundle),
    ("handshake_message", handshake_message),
    ("ratchet_message", ratchet_message),
    ("ephemeral_message", ephemeral_message),
    ("session_actions", session_actions),
    ("content", content),
    ("group_body", group::body),
    ("invite", invite),
    ("safety_code", safety_code),
    ("relay_request", relay::request),
    ("relay_ops", relay::ops),
    ("store_record", records::record),
    ("config", settings::config),
];

/// Frames of both connections in both directions, from the daemon's, the relay's and a stranger's side; and what a relay
/// seals for itself and for members.
pub fn frame_decode(bytes: &[u8]) {
    if let Some((prefix, _)) = bytes.split_first_chunk() {
        let _length = frame::body_length(*prefix);
    }
    strict::<mailbox::ToRelay>(bytes);
    strict::<mailbox::ToClient>(bytes);
    strict::<mailbox::Deliver>(bytes);
    strict::<drop::ToDrop>(bytes);
    strict::<drop::FromDrop>(bytes);
    strict::<Introduction>(bytes);
    strict::<channel::Copy>(bytes);
    strict::<channel::Roster>(bytes);
}

/// Tokens as the relay gets them from strangers.
pub fn drop_token(bytes: &[u8]) {
    let parties = Parties::get();
    if let Ok(signed) = codec::decode::<SignedDropToken>(bytes, bytes.len())
        && let Ok(token) = signed.verify(parties.bob_mailbox, parties.bob_drop_key())
    {
        let _permitted = token.permits(Use::FetchPrekeys, Timestamp(0));
        assert_eq!(SignedDropToken::issue(&token, parties.bob_mailbox, &parties.bob_drop_secret), signed);
    }
    strict::<DropToken>(bytes);
}

/// Relay addresses as people type them and tickets carry them.
pub fn address(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(address) = text.parse::<hermes_wire::RelayAddress>() {
        assert_eq!(address.to_string().parse(), Ok(address));
    }
}

/// Bundles as a relay returns them.
pub fn prekey_bundle(bytes: &[u8]) {
    strict::<Identity>(bytes);
    let Ok(sealed) = frame::decode::<SealedBundle>(bytes) else { return };
    let parties = Parties::get();
    if let Ok(bundle) =
        Bundle::open(&sealed, &parties.bundle_key, &parties.bob.identity().fingerprint(), parties.now)
    {
        assert_eq!(bundle.identity(), parties.bob.identity());
    }
}

/// Envelopes that start a session, as their recipient gets them.
pub fn handshake_message(bytes: &[u8]) {
    let Ok(Envelope::First { handshake, message }) = Envelope::decode(bytes) else { return };
    let parties = Parties::get();
    let (_prekeys, _replay) = (handshake.prekeys(), handshake.replay_id());
    if let Some(session) = respond(parties, &handshake) {
        open(&session, &message);
    }
}

/// Envelopes of a session, as either side gets them; and any text there and back.
pub fn ratchet_message(bytes: &[u8]) {
    let parties = Parties::get();
    if let Ok(envelope) = Envelope::decode(bytes)
        && let Some(message) = envelope.message()
    {
        open(&parties.alice_session, message);
        open(&parties.bob_session, message);
    }
    if let Ok((_, sealed)) = parties.alice_session.seal(None, bytes, &mut parties.rng()) {
        let envelope = Envelope::decode(&sealed).expect("a sealed envelope decodes");
        let message = envelope.message().expect("an ordinary envelope has a ratchet message");
        let opened = open(&parties.bob_session, message).expect("a sealed envelope opens");
        assert_eq!(opened, bytes);
    }
}

/// Ephemeral envelopes, as either side gets them; and any text there and back.
pub fn ephemeral_message(bytes: &[u8]) {
    let parties = Parties::get();
    if let Ok(Envelope::Ephemeral(message)) = Envelope::decode(bytes) {
        hear(&parties.alice_session, &message);
        hear(&parties.bob_session, &message);
    }
    if let Ok(sealed) = parties.bob_session.seal_ephemeral(bytes, &mut parties.rng()) {
        let Ok(Envelope::Ephemeral(message)) = Envelope::decode(&sealed) else {
            panic!("a sealed ephemeral envelope decodes");
        };
        assert_eq!(hear(&parties.alice_session, &message).as_deref(), Some(bytes));
    }
}

/// Two parties do to each other's messages whatever the bytes say, and each delivery does what the model says.
pub fn session_actions(bytes: &[u8]) {
    let _outcomes = play(bytes);
}

/// What came of the deliveries in a world of [`session_actions`].
pub fn play(bytes: &[u8]) -> Tally {
    let mut world = World::new(1);
    for action in Action::all(bytes).take(ACTIONS) {
        world.act(action);
    }
    world.settle()
}

/// What a peer says, after decryption.
pub fn content(bytes: &[u8]) {
    if let Ok(content) = Content::decode(bytes) {
        assert_eq!(content.encode(), bytes);
        let _hash = content.hash();
    }
}

/// Invites as people paste them.
pub fn invite(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(invite) = text.parse::<Invite>() {
        assert_eq!(invite.to_string().parse(), Ok(invite));
    }
}

/// What people type or scan to compare identities.
pub fn safety_code(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match text.parse() {
        Ok(Compared::Number(number)) => assert_eq!(number.to_string().parse(), Ok(number)),
        Ok(Compared::Code(code)) => assert_eq!(code.to_string(), text.trim()),
        Err(_) => {}
    }
}

/// Decodes a frame; one that is accepted has no other encoding.
fn strict<T: serde::Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) {
    if let Ok(value) = frame::decode::<T>(bytes) {
        assert_eq!(codec::encode(&value), bytes);
    }
}

fn respond(parties: &Parties, handshake: &HandshakeMessage) -> Option<Session> {
    let (params, keys) =
        (parties.responder(), parties.responder_keys(handshake.prekeys().one_time.is_some()));
    let initiator = handshake.open_identity(params, &keys).ok()?;
    handshake.respond(params, &keys, &initiator).ok().map(|responded| responded.session)
}

/// The text of a message; an error, which changes nothing, is nothing.
fn open(session: &Session, message: &RatchetMessage) -> Option<Vec<u8>> {
    let parties = Parties::get();
    let before = session.to_bytes();
    let opened = session.open(message, &NoSkippedKeys, parties.now, &mut parties.rng()).ok();
    assert_eq!(session.to_bytes(), before);
    opened.map(|(_, opened)| opened.plaintext.to_vec())
}

fn hear(session: &Session, message: &EphemeralMessage) -> Option<Vec<u8>> {
    let before = session.to_bytes();
    let opened = session.open_ephemeral(message).ok();
    assert_eq!(session.to_bytes(), before);
    opened.map(|text| text.to_vec())
}

/// A session that has missed nothing.
struct NoSkippedKeys;

impl SkippedKeys for NoSkippedKeys {
    fn chains(&self) -> Vec<SkippedChain> {
        Vec::new()
    }

    fn message_key(&self, _chain: u32, _index: u32) -> Option<SkippedKey> {
        None
    }

    fn stored(&self) -> Vec<(u32, u32)> {
        Vec::new()
    }
}
