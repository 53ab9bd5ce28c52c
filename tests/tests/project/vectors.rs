//! Frozen vectors of handshake, ratchet and safety numbers, with every input: what a second implementation has to reproduce, and what ours
//! must still make tomorrow. A small model in Python, which shares no code with the crates, reproduces them here.
//!
//! `cargo test -p hermes-tests --test project vectors -- --ignored` writes them anew; that is a change of the protocol.

use std::{convert::Infallible, fs, io::Write, path::PathBuf, process::Command};

use crate::targets::model::support::{self, Account, EXPIRY, NOW, Rows, Stock};
use data_encoding::HEXLOWER;
use hermes_protocol::{
    Envelope, Initiated, InitiatorParams, InviteSecret, OpenEphemeralError, OpenError, PendingHandshake,
    PrekeySecret, ReplayId, SafetyCode, SafetyNumber, Session, initiate,
};
use hermes_wire::{Timestamp, codec, prekey::PrekeyKind};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{TryCryptoRng, TryRng},
};
use serde_json::{Value, json};

const HANDSHAKE: &str = "handshake.json";
const RATCHET: &str = "ratchet.json";
const SAFETY_NUMBER: &str = "safety_number.json";
/// Bytes of text in an ordinary envelope of 256 bytes: less version and kind, nonce, header, tag, MAC and length.
const EMPTY_ROOM: usize = 256 - (2 + 24 + 57 + 16 + 32 + 2);
/// A record's version stands in front of its content.
const RECORD_VERSION: usize = 1;
/// A prekey's record: version, kind, number, then the secret.
const PREKEY_HEAD: usize = RECORD_VERSION + 1 + 8;

/// Draws that are written down, so that a model can repeat what was made of them.
struct Recorder {
    rng: ChaCha20Rng,
    draws: Vec<String>,
}

impl Recorder {
    fn new(seed: u64) -> Self {
        Self { rng: support::rng(seed), draws: Vec::new() }
    }

    fn draws(&mut self) -> Vec<String> {
        std::mem::take(&mut self.draws)
    }
}

impl TryRng for Recorder {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("the protocol draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("the protocol draws bytes")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.rng.try_fill_bytes(bytes)?;
        self.draws.push(HEXLOWER.encode(bytes));
        Ok(())
    }
}

impl TryCryptoRng for Recorder {}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn prekey(secret: &PrekeySecret) -> Value {
    let record = secret.to_bytes();
    let is_kem = matches!(secret.kind(), PrekeyKind::OneTimeKem | PrekeyKind::LastResortKem);
    let length = if is_kem { 64 } else { 32 };
    json!({
        "kind": format!("{:?}", secret.kind()),
        "id": secret.id().0,
        "secret": hex(&record[PREKEY_HEAD..PREKEY_HEAD + length]),
    })
}

/// The bundle that the accounts' owner publishes, and what was drawn to seal it.
fn sealed_bundle(owner: &Account, stock: Stock, rng: &mut Recorder) -> (Value, Vec<u8>) {
    let kem = if stock == Stock::LastResort { &owner.last_resort } else { &owner.kem };
    let one_time = (stock == Stock::Full).then_some(&owner.one_time);
    let published = [Some(&owner.signed), one_time, Some(kem), Some(&owner.ff)];
    let entries =
        published.map(|secret| secret.map(|it| it.publish(&owner.keys, EXPIRY, &owner.bundle_key, rng)));
    let sealed = codec::encode(&entries);
    let frozen = json!({
        "published": published.map(|secret| secret.map(|it| it.id().0)),
        "key": hex(&owner.bundle_key.to_bytes()),
        "expiry": EXPIRY.0,
        "fingerprint": hex(owner.fingerprint().as_bytes()),
        "randomness": rng.draws(),
        "sealed": hex(&sealed),
    });
    (frozen, sealed)
}

/// One handshake with all that went into it.
fn handshake(name: &str, seed: u64, stock: Stock, unopened: &[ReplayId]) -> (Value, Initiated, Account) {
    let (alice, bob) = (Account::new(seed), Account::new(seed + 1));
    let mut rng = Recorder::new(seed + 2);
    let (frozen_bundle, sealed) = sealed_bundle(&bob, stock, &mut rng);
    let sealed = codec::decode(&sealed, sealed.len()).unwrap();
    let bundle = hermes_protocol::Bundle::open(&sealed, &bob.bundle_key, &bob.fingerprint(), NOW).unwrap();
    let counter = seed;
    let params = InitiatorParams {
        identity: &alice.keys,
        mailbox: alice.mailbox,
        peer_mailbox: bob.mailbox,
        counter,
        unopened,
    };
    let initiated = initiate(params, &bundle, &mut rng).unwrap();
    let randomness = rng.draws();
    let (_, envelope) = initiated.session.seal(Some(&initiated.pending), b"", &mut rng).unwrap();
    let (message, _) = support::first(&envelope);
    assert_eq!(bob.respond(&message).unwrap().transcript, initiated.transcript);
    let invite_secret = InviteSecret::generate(&mut support::rng(seed + 3));
    let account = |account: &Account, prekeys: &[&PrekeySecret]| {
        json!({
            "identity": hex(account.keys.to_bytes().as_slice()),
            "fingerprint": hex(account.fingerprint().as_bytes()),
            "mailbox": hex(account.mailbox.as_bytes()),
            "prekeys": prekeys.iter().map(|secret| prekey(secret)).collect::<Vec<_>>(),
        })
    };
    let frozen = json!({
        "name": name,
        "initiator": account(&alice, &[]),
        "responder": account(&bob, &[&bob.signed, &bob.one_time, &bob.kem, &bob.last_resort, &bob.ff]),
        "bundle": frozen_bundle,
        "counter": counter,
        "unopened": unopened.iter().map(|id| hex(id.as_bytes())).collect::<Vec<_>>(),
        "randomness": randomness,
        "handshake": hex(&initiated.pending.to_bytes()[RECORD_VERSION..]),
        "transcript": hex(initiated.transcript.as_bytes()),
        "session_id": hex(initiated.session.id().as_bytes()),
        "replay_id": hex(message.replay_id().as_bytes()),
        "invite_secret": hex(&invite_secret.to_bytes()),
        "invite_proof": hex(&invite_secret.prove(&initiated.transcript)),
    });
    (frozen, initiated, bob)
}

fn handshakes() -> Value {
    let listed = [ReplayId([1; 32]), ReplayId([2; 32])];
    let cases = [
        ("every prekey", 1_001, Stock::Full, &[][..]),
        ("no one-time key left", 1_011, Stock::NoOneTime, &[]),
        ("the KEM key of last resort", 1_021, Stock::LastResort, &[]),
        ("unopened initiations listed", 1_031, Stock::Full, &listed),
    ];
    cases.map(|(name, seed, stock, unopened)| handshake(name, seed, stock, unopened).0).into_iter().collect()
}

/// Two people, what they have sent, and what became of it.
struct Conversation {
    sides: [Side; 2],
    now: Timestamp,
    rng: Recorder,
    envelopes: Vec<Vec<u8>>,
    steps: Vec<Value>,
}

struct Side {
    name: &'static str,
    session: Session,
    pending: Option<PendingHandshake>,
    rows: Rows,
}

const ALICE: usize = 0;
const BOB: usize = 1;

impl Conversation {
    /// Seals a text; its place among the envelopes.
    fn seal(&mut self, by: usize, text: &[u8]) -> usize {
        let side = &mut self.sides[by];
        let (next, envelope) = side.session.seal(side.pending.as_ref(), text, &mut self.rng).unwrap();
        side.session = next;
        self.steps.push(json!({
            "by": side.name,
            "seal": hex(text),
            "randomness": self.rng.draws(),
            "envelope": hex(&envelope),
            "session": hex(&side.session.to_bytes()),
        }));
        self.envelopes.push(envelope);
        self.envelopes.len() - 1
    }

    /// Seals an ephemeral text; its place among the envelopes.
    fn hint(&mut self, by: usize, text: &[u8]) -> usize {
        let side = &mut self.sides[by];
        let envelope = side.session.seal_ephemeral(text, &mut self.rng).unwrap();
        self.steps.push(json!({
            "by": side.name,
            "hint": hex(text),
            "randomness": self.rng.draws(),
            "envelope": hex(&envelope),
            "session": hex(&side.session.to_bytes()),
        }));
        self.envelopes.push(envelope);
        self.envelopes.len() - 1
    }

    /// Opens an ephemeral envelope, with one bit of the byte at `flipped` changed.
    fn hear(&mut self, by: usize, number: usize, flipped: Option<usize>) -> Result<(), OpenEphemeralError> {
        let mut envelope = self.envelopes[number].clone();
        let mut step = json!({ "by": self.sides[by].name, "open": number, "now": self.now.0 });
        if let Some(at) = flipped {
            envelope[at] ^= 1;
            step["flipped"] = at.into();
        }
        let Ok(Envelope::Ephemeral(message)) = Envelope::decode(&envelope) else {
            panic!("no ephemeral envelope")
        };
        let session = &self.sides[by].session;
        let result = session.open_ephemeral(&message).map(|text| step["text"] = hex(&text).into());
        if let Err(error) = &result {
            step["error"] = format!("{error:?}").into();
        }
        step["randomness"] = self.rng.draws().into();
        step["session"] = hex(&session.to_bytes()).into();
        self.steps.push(step);
        result
    }

    fn open(&mut self, by: usize, number: usize) {
        self.open_as(by, number, None).unwrap();
    }

    /// Opens an envelope, with one bit of the byte at `flipped` changed.
    fn open_as(&mut self, by: usize, number: usize, flipped: Option<usize>) -> Result<(), OpenError> {
        let mut envelope = self.envelopes[number].clone();
        let mut step = json!({ "by": self.sides[by].name, "open": number, "now": self.now.0 });
        if let Some(at) = flipped {
            envelope[at] ^= 1;
            step["flipped"] = at.into();
        }
        let side = &mut self.sides[by];
        let envelope = Envelope::decode(&envelope).unwrap();
        let result = side.session.open(envelope.message().unwrap(), &side.rows, self.now, &mut self.rng);
        let result = result.map(|(next, opened)| {
            side.session = next;
            side.rows.apply(&opened.skipped);
            side.pending = None;
            step["text"] = hex(&opened.plaintext).into();
        });
        if let Err(error) = &result {
            step["error"] = format!("{error:?}").into();
        }
        step["randomness"] = self.rng.draws().into();
        step["session"] = hex(&side.session.to_bytes()).into();
        self.steps.push(step);
        result
    }

    /// Seals a text and has the other side open it.
    fn say(&mut self, by: usize, text: &[u8]) {
        let number = self.seal(by, text);
        self.open(1 - by, number);
    }
}

fn conversation() -> Value {
    let (frozen, initiated, bob) = handshake("a conversation", 2_001, Stock::Full, &[]);
    let (_, envelope) = initiated.session.seal(Some(&initiated.pending), b"", &mut support::rng(0)).unwrap();
    let responded = bob.respond(&support::first(&envelope).0).unwrap();
    let side = |name, session, pending| Side { name, session, pending, rows: Rows::default() };
    let mut talk = Conversation {
        sides: [
            side("initiator", initiated.session, Some(initiated.pending)),
            side("responder", responded.session, None),
        ],
        now: NOW,
        rng: Recorder::new(2_005),
        envelopes: Vec::new(),
        steps: Vec::new(),
    };
    let first_sessions = [ALICE, BOB].map(|by| hex(&talk.sides[by].session.to_bytes()));
    crossed_beginning(&mut talk);
    late_and_forged(&mut talk);
    ephemeral(&mut talk);
    every_bucket(&mut talk);
    due_again(&mut talk);
    let [initiator, responder] = first_sessions;
    json!({ "handshake": frozen, "initiator": initiator, "responder": responder, "steps": talk.steps })
}

/// The second message with a handshake arrives first, and so does the second reply.
fn crossed_beginning(talk: &mut Conversation) {
    let texts = [b"one", b"two"].map(|text| talk.seal(ALICE, text));
    talk.open(BOB, texts[1]);
    talk.open(BOB, texts[0]);
    assert_eq!(talk.open_as(BOB, texts[0], None), Err(OpenError::Duplicate));
    let replies = [b"three", b"fours"].map(|text| talk.seal(BOB, text));
    talk.open(ALICE, replies[1]);
    talk.open(ALICE, replies[0]);
    talk.say(ALICE, b"five");
}

/// A message of a chain that was left behind, and forgeries of every part, which change nothing.
fn late_and_forged(talk: &mut Conversation) {
    let late = talk.seal(BOB, b"late");
    talk.say(BOB, b"overtaking");
    talk.say(ALICE, b"a turn");
    let next = talk.seal(BOB, b"and another");
    let length = talk.envelopes[next].len();
    for (at, error) in [
        (2, OpenError::NotForThisSession),
        (30, OpenError::NotForThisSession),
        (length - 100, OpenError::Forged),
        (length - 40, OpenError::Forged),
        (length - 1, OpenError::Forged),
    ] {
        assert_eq!(talk.open_as(ALICE, next, Some(at)), Err(error));
    }
    talk.open(ALICE, next);
    talk.open(ALICE, late);
    assert_eq!(talk.open_as(ALICE, late, None), Err(OpenError::Duplicate));
}

/// Ephemeral messages under the chain that is heard and the one before it, a late one, and forgeries.
fn ephemeral(talk: &mut Conversation) {
    let late = talk.hint(ALICE, b"typing");
    assert_eq!(talk.hear(BOB, late, None), Ok(()));
    talk.say(ALICE, b"a turn of Bob's");
    assert_eq!(talk.hear(BOB, late, None), Ok(()), "again, and under the chain before");
    let longest = talk.hint(BOB, &[b'x'; 180]);
    assert_eq!(talk.hear(ALICE, longest, None), Ok(()));
    for at in [2, 26, 207, 208, 223, 224, 255] {
        assert_eq!(talk.hear(ALICE, longest, Some(at)), Err(OpenEphemeralError::NoKey));
    }
    assert_eq!(talk.hear(BOB, longest, None), Err(OpenEphemeralError::NoKey), "the wrong direction");
    talk.say(BOB, b"a turn of Alice's");
    talk.say(ALICE, b"another of Bob's");
    assert_eq!(talk.hear(BOB, late, None), Err(OpenEphemeralError::NoKey), "too late");
}

/// Texts at the edges of the padding, and one beyond its fixed sizes.
fn every_bucket(talk: &mut Conversation) {
    for length in [0, EMPTY_ROOM, EMPTY_ROOM + 1, EMPTY_ROOM + 768, EMPTY_ROOM + 769, 16_300] {
        talk.say(ALICE, &vec![b'x'; length]);
    }
}

/// Exchanges that time and number of messages make due: to the day, and with the 50th message.
fn due_again(talk: &mut Conversation) {
    for _ in 0..2 {
        talk.say(BOB, b"quiet");
        talk.say(ALICE, b"quiet");
    }
    talk.now = Timestamp(talk.now.0 + 86_400_000);
    for _ in 0..2 {
        talk.say(BOB, b"a day later");
        talk.say(ALICE, b"a day later");
    }
    // So that Alice's turns come with her 49th and 51st message since an exchange, and then with her 50th.
    for unheard in [46, 48] {
        for _ in 0..unheard {
            talk.seal(ALICE, b"unheard");
        }
        for _ in 0..3 {
            talk.say(ALICE, b"again");
            talk.say(BOB, b"again");
        }
    }
}

/// What a few pairs compare, the smaller fingerprint on either side.
fn safety_numbers() -> Value {
    let pair = |seed: u64| {
        let pair = [Account::new(seed), Account::new(seed + 1)];
        let [one, other] = pair.each_ref().map(Account::fingerprint);
        json!({
            "identities": pair.map(|account| hex(account.keys.to_bytes().as_slice())),
            "fingerprints": [hex(one.as_bytes()), hex(other.as_bytes())],
            "number": SafetyNumber::between(&one, &other).to_string(),
            "code": SafetyCode::between(&other, &one).to_string(),
        })
    };
    (3_001..3_007).step_by(2).map(pair).collect()
}

fn frozen(name: &str) -> Value {
    serde_json::from_slice(&fs::read(directory().join(name)).unwrap()).unwrap()
}

#[test]
fn the_crate_still_makes_the_frozen_handshakes() {
    assert_eq!(handshakes(), frozen(HANDSHAKE), "the protocol has changed");
}

#[test]
fn the_crate_still_makes_the_frozen_conversation() {
    assert_eq!(conversation(), frozen(RATCHET), "the protocol has changed");
}

#[test]
fn the_crate_still_makes_the_frozen_safety_numbers() {
    assert_eq!(safety_numbers(), frozen(SAFETY_NUMBER), "the protocol has changed");
}

#[test]
fn an_independent_model_reproduces_every_vector() {
    let version = "import sys; sys.exit(sys.version_info < (3, 10))";
    let found = Command::new("python3").args(["-c", version]).status();
    if !found.is_ok_and(|status| status.success()) {
        // Not through eprintln, which a passing test keeps to itself.
        let line = b"SKIPPED: the independent model needs python3, version 3.10 or newer\n";
        std::io::stderr().write_all(line).unwrap();
        return;
    }
    let output = Command::new("python3").arg("-B").arg(directory().join("check.py")).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
#[ignore = "writes the vectors"]
fn write_vectors() {
    let all = [(HANDSHAKE, handshakes()), (RATCHET, conversation()), (SAFETY_NUMBER, safety_numbers())];
    for (name, vectors) in all {
        let text = serde_json::to_string_pretty(&vectors).unwrap();
        fs::write(directory().join(name), text + "\n").unwrap();
    }
}
