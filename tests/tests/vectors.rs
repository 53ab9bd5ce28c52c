//! Frozen vectors of the handshake, with every input: what a second implementation has to reproduce, and what ours
//! must still make tomorrow. A small model in Python, which shares no code with the crates, reproduces them here.
//!
//! `cargo test -p hermes-tests --test vectors -- --ignored` writes them anew; that is a change of the protocol.

#[path = "../../protocol/tests/support/mod.rs"]
mod support;

use std::{convert::Infallible, fs, io::Write, path::PathBuf, process::Command};

use data_encoding::HEXLOWER;
use hermes_protocol::{Initiated, InitiatorParams, InviteSecret, PrekeySecret, ReplayId, initiate};
use hermes_wire::{codec, prekey::PrekeyKind};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{TryCryptoRng, TryRng},
};
use serde_json::{Value, json};
use support::{Account, EXPIRY, NOW, Stock};

const HANDSHAKE: &str = "handshake.json";
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

fn frozen(name: &str) -> Value {
    serde_json::from_slice(&fs::read(directory().join(name)).unwrap()).unwrap()
}

#[test]
fn the_crate_still_makes_the_frozen_handshakes() {
    assert_eq!(handshakes(), frozen(HANDSHAKE), "the protocol has changed");
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
    let text = serde_json::to_string_pretty(&handshakes()).unwrap();
    fs::write(directory().join(HANDSHAKE), text + "\n").unwrap();
}
