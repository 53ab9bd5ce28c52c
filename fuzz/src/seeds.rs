//! Real values, from which fuzzing starts and the committed corpus was made.

use ed25519_dalek::SigningKey;
use hermes_protocol::{
    Body, ChatPlace, Content, CounterRange, Fingerprint, Invite, InviteSecret, MessageId, Newer, ReceiptKind,
    SafetyCode, SafetyNumber,
};
use hermes_wire::{
    Claim, ClaimNonce, ContactId, DropKey, EnvelopeId, FetchId, InstanceId, MailboxId, MoveClaim,
    RelayAddress, RelayPin, RunId, Sequence, SignedClaim, StoreEpoch, codec,
    drop::{Deposit, FromDrop, Open, ToDrop},
    mailbox::{Credit, Deliver, Delivered, PrekeyStock, Register, Registered, ToClient, ToRelay},
    prekey::{PrekeyId, PrekeyKind},
    refusal::{FullScope, Refusal},
};

use super::{backup, group, parties::Parties, records, relay, settings};

pub mod channel;

/// A value: its target, its name, its bytes.
pub type Seed = (&'static str, &'static str, Vec<u8>);

/// Every real value.
pub fn all() -> Vec<Seed> {
    let mut seeds = [
        mailbox_frames(),
        drop_frames(),
        messages(),
        contents(),
        texts(),
        ephemeral(),
        actions(),
        channel::seeds(),
        groups(),
        backup::seeds(),
        records::seeds(),
        settings::seeds(),
    ]
    .concat();
    seeds.extend(relay::seeds(&seeds));
    seeds
}

fn mailbox_frames() -> Vec<Seed> {
    let parties = Parties::get();
    let entries = vec![parties.sealed_bundle.signed.clone(), parties.sealed_bundle.kem.clone()];
    let stock = vec![PrekeyStock { kind: PrekeyKind::OneTime, count: 99 }];
    let register = Register {
        version: hermes_wire::VERSION,
        instance: InstanceId([4; 16]),
        run: RunId([10; 16]),
        registration_token: Some("a-token".into()),
        drop_key: parties.bob_drop_key(),
    };
    let claim = Claim {
        epoch: StoreEpoch([11; 16]),
        counter: 3,
        nonce: ClaimNonce([12; 16]),
        succeeds: Some(ClaimNonce([13; 16])),
    };
    let claimed = SignedClaim::issue(claim, &SigningKey::from_bytes(&[14; 32]));
    let move_claim = MoveClaim { expected: Some(claim), next: claimed.clone() };
    let first_claim = MoveClaim { expected: None, next: claimed.clone() };
    let registered = Registered {
        relay_time: parties.now,
        next_prekey_id: PrekeyId(7),
        stock: stock.clone(),
        max_envelope: 65_536,
        head: Sequence(41),
        claim: Some(claimed.clone()),
        replaced: false,
    };
    let delivered = Delivered {
        sequence: Sequence(42),
        envelope: EnvelopeId([5; 16]),
        contact: ContactId([6; 16]),
        stored: parties.now,
        body: parties.first_envelope.clone().into(),
    };
    let unregistered = Register { registration_token: None, drop_key: DropKey([0; 32]), ..register.clone() };
    [
        ("register", codec::encode(&ToRelay::Register(register))),
        ("register-without-token", codec::encode(&ToRelay::Register(unregistered))),
        ("put-prekeys", codec::encode(&ToRelay::PutPrekeys(entries))),
        ("drop-prekeys", codec::encode(&ToRelay::DropPrekeys(PrekeyId(9)))),
        ("revoke", codec::encode(&ToRelay::Revoke(ContactId([6; 16]), parties.now))),
        ("ack", codec::encode(&ToRelay::Ack(Sequence(42)))),
        ("credit", codec::encode(&ToRelay::Credit(Credit { envelopes: 256, bytes: 1 << 20 }))),
        ("claim", codec::encode(&ToRelay::Claim(move_claim))),
        ("first-claim", codec::encode(&ToRelay::Claim(first_claim))),
        ("claimed", codec::encode(&ToClient::Claimed(claim))),
        ("claim-refused", codec::encode(&ToClient::ClaimRefused(Some(claimed)))),
        ("ping", codec::encode(&ToRelay::Ping)),
        ("registered", codec::encode(&ToClient::Registered(registered))),
        ("prekeys-stored", codec::encode(&ToClient::PrekeysStored(PrekeyId(9)))),
        ("prekey-stock", codec::encode(&ToClient::PrekeyStock(stock))),
        ("go-away", codec::encode(&ToClient::GoAway(1_000))),
        (
            "superseded",
            codec::encode(&ToClient::Refused(Refusal::Superseded { instance: InstanceId([8; 16]) })),
        ),
        ("version", codec::encode(&ToClient::Refused(Refusal::Version { min: 1, max: 1 }))),
        ("envelope", codec::encode(&Deliver::Envelope(delivered))),
        ("gone", codec::encode(&Deliver::Gone(Sequence(1), Sequence(41)))),
    ]
    .map(|(name, bytes)| ("frame_decode", name, bytes))
    .into()
}

fn drop_frames() -> Vec<Seed> {
    let parties = Parties::get();
    let ticket = parties.ticket();
    let open = Open { version: hermes_wire::VERSION, mailbox: ticket.mailbox, token: ticket.token.clone() };
    let deposit = Deposit { envelope: EnvelopeId([5; 16]), body: vec![7; 300].into() };
    let full = Refusal::MailboxFull { scope: FullScope::Contact, retry_ms: 60_000 };
    let frames = [
        ("open", codec::encode(&ToDrop::Open(open))),
        ("deposit", codec::encode(&ToDrop::Deposit(deposit))),
        ("fetch", codec::encode(&ToDrop::FetchPrekeys(FetchId([9; 16])))),
        ("opened", codec::encode(&FromDrop::Opened)),
        ("receipt", codec::encode(&FromDrop::Receipt(EnvelopeId([5; 16])))),
        ("bundle", codec::encode(&FromDrop::Bundle(FetchId([9; 16]), parties.sealed_bundle.clone()))),
        ("full", codec::encode(&FromDrop::DepositRefused(EnvelopeId([5; 16]), full))),
        ("refused", codec::encode(&FromDrop::OpenRefused(Refusal::NoEntry))),
        ("used", codec::encode(&FromDrop::FetchRefused(FetchId([9; 16]), Refusal::InviteUsed))),
    ]
    .map(|(name, bytes)| ("frame_decode", name, bytes));
    let mut without_one_time = parties.sealed_bundle.clone();
    without_one_time.one_time = None;
    [
        frames.to_vec(),
        vec![
            ("drop_token", "invite", codec::encode(&ticket.token)),
            ("prekey_bundle", "whole", codec::encode(&parties.sealed_bundle)),
            ("prekey_bundle", "without-one-time", codec::encode(&without_one_time)),
            ("prekey_bundle", "identity", codec::encode(parties.bob.identity())),
        ],
    ]
    .concat()
}

fn messages() -> Vec<Seed> {
    let parties = Parties::get();
    let seal = |session: &hermes_protocol::Session, text: &[u8]| {
        session.seal(None, text, &mut parties.rng()).expect("a session can seal").1
    };
    vec![
        ("handshake_message", "first", parties.first_envelope.clone()),
        ("ratchet_message", "first", parties.first_envelope.clone()),
        ("ratchet_message", "from-alice", seal(&parties.alice_session, b"again")),
        ("ratchet_message", "from-bob", seal(&parties.bob_session, b"and back")),
        ("ratchet_message", "text", b"a text to seal".to_vec()),
    ]
}

fn ephemeral() -> Vec<Seed> {
    let parties = Parties::get();
    let sealed = parties.bob_session.seal_ephemeral(b"typing", &mut parties.rng());
    vec![
        ("ephemeral_message", "from-bob", sealed.expect("Bob has heard Alice")),
        ("ephemeral_message", "text", b"a text to seal".to_vec()),
    ]
}

/// Worlds in four bytes an action (see [`super::model::action::Action::from_bytes`]): what goes on, by whom, on what.
fn actions() -> Vec<Seed> {
    const BOB: u8 = 0x80;
    const SEAL: u8 = 0;
    const STORM: u8 = 32;
    const HINT: u8 = 35;
    const DELIVER: u8 = 42;
    const DUPLICATE: u8 = 82;
    const FLIP: u8 = 92;
    const SPLICE: u8 = 100;
    const INITIATE: u8 = 108;
    const SNAPSHOT: u8 = 113;
    const RESTORE: u8 = 118;
    const WAIT: u8 = 122;
    let plain = |kinds: &[u8]| kinds.iter().map(|kind| [*kind, 0, 0, 0]).collect::<Vec<_>>();
    let turns = plain(&[SEAL, BOB | DELIVER, BOB | SEAL, DELIVER].repeat(12));
    let crossing = [BOB | INITIATE, SEAL, BOB | SEAL, DELIVER, BOB | DELIVER, INITIATE, SEAL, BOB | DELIVER];
    let hints = [SEAL, BOB | DELIVER, BOB | HINT, BOB | SEAL, DELIVER, DELIVER, HINT, BOB | DUPLICATE];
    let back = [SEAL, SNAPSHOT, SEAL, BOB | DELIVER, RESTORE, SEAL, SEAL, BOB | DELIVER, BOB | DELIVER];
    let gone_back = [
        SEAL,
        BOB | SNAPSHOT,
        BOB | DUPLICATE,
        BOB | SEAL,
        BOB | RESTORE,
        BOB | DELIVER,
        BOB | SEAL,
        DELIVER,
    ];
    let storm = [[STORM, 0, 255, 0], [BOB | DELIVER, 60, 0, 0], [BOB | DELIVER, 3, 0, 0], [WAIT, 3, 0, 0]];
    let jump = [[STORM, 0, 200, 0], [BOB | DELIVER, 63, 0, 0]];
    let jumps = [&plain(&[SEAL, BOB | DELIVER])[..], &jump, &jump, &plain(&[BOB | DELIVER; 3])].concat();
    let damage =
        [[BOB | FLIP, 0, 8, 200], [BOB | FLIP, 1, 0, 9], [BOB | SPLICE, 0, 1, 1], [BOB | SPLICE, 0, 1, 3]];
    let damaged = [&plain(&[SEAL, SEAL])[..], &damage, &plain(&[BOB | DELIVER, BOB | DELIVER])].concat();
    [
        ("turns", turns),
        ("crossing", plain(&crossing.repeat(4))),
        ("hints", plain(&hints.repeat(4))),
        ("sender-went-back", plain(&back.repeat(3))),
        ("recipient-went-back", plain(&gone_back.repeat(3))),
        (
            "storm",
            [&plain(&[SEAL, BOB | DELIVER])[..], &storm, &plain(&[BOB | SEAL, DELIVER, SEAL])].concat(),
        ),
        ("jumps", jumps),
        ("damage", damaged),
    ]
    .map(|(name, actions)| ("session_actions", name, actions.concat()))
    .into()
}

fn contents() -> Vec<Seed> {
    let parties = Parties::get();
    let content = |place, body| {
        Content { id: MessageId([1; 16]), sent: parties.now, place, body, newer: Newer::default() }.encode()
    };
    let place = Some(ChatPlace { counter: 1, previous: [0; 32] });
    let text = |text: &str, reply_to| Body::Text { text: text.to_owned(), reply_to, ttl: None };
    let receipt = Body::Receipt { kind: ReceiptKind::Delivered, messages: vec![MessageId([2; 16]); 3] };
    let missing = CounterRange { first: 3, last: 4 };
    let hello = Body::Hello { profile_name: "bob".into(), ticket: parties.ticket(), proof: Some([9; 32]) };
    [
        ("text", content(place, text("hello\nworld \u{1f44b}", None))),
        ("reply", content(place, text("yes", Some(MessageId([3; 16]))))),
        ("receipt", content(None, receipt)),
        ("hello", content(None, hello)),
        ("token-renewal", content(None, Body::TokenRenewal(parties.ticket()))),
        (
            "resend-request",
            content(None, Body::ResendRequest { received: 9, missing: vec![missing], sent: 7 }),
        ),
    ]
    .map(|(name, bytes)| ("content", name, bytes))
    .into()
}

/// What is done to each kind of body of a group (see [`super::group`]).
fn groups() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = vec![
        ("group_body", "message", vec![group::MESSAGE]),
        ("group_body", "commit", vec![group::COMMIT]),
        ("group_body", "wish", vec![group::WISH]),
        ("group_body", "welcome", vec![group::WELCOME]),
        ("group_body", "key-package", vec![group::PACKAGE]),
        ("group_body", "raw-message", vec![group::RAW, 1, 1, 0, 0]),
        ("group_body", "raw-commit", [&[group::RAW, 1, 2][..], &[0; 130]].concat()),
        ("group_body", "newer", vec![group::RAW, 2, 1]),
    ];
    let edits = [
        ("message-flipped", group::MESSAGE, [group::FLIP, 0, 120, 1]),
        ("message-as-commit", group::MESSAGE, [group::FLIP, 0, 1, 3]),
        ("commit-cut", group::COMMIT, [group::CUT, 2, 0, 0]),
        ("commit-as-wish", group::COMMIT, [group::FLIP, 0, 1, 1]),
        ("wish-spliced", group::WISH, [group::SPLICE, 0, 40, group::COMMIT]),
        ("welcome-longer", group::WELCOME, [group::INSERT, 0, 3, 255]),
        ("welcome-flipped", group::WELCOME, [group::FLIP, 16, 0, 128]),
        ("key-package-flipped", group::PACKAGE, [group::FLIP, 9, 0, 4]),
    ];
    let edited =
        |(name, kind, edit): (&'static str, u8, [u8; 4])| ("group_body", name, [&[kind][..], &edit].concat());
    seeds.extend(edits.map(edited));
    seeds
}

fn texts() -> Vec<Seed> {
    let parties = Parties::get();
    let invite = Invite {
        ticket: parties.ticket(),
        fingerprint: parties.bob.identity().fingerprint(),
        secret: InviteSecret::generate(&mut parties.rng()),
    };
    let (own, other) = (invite.fingerprint, Fingerprint([9; 32]));
    let address =
        |host| RelayAddress::new(host, 4433, RelayPin([7; 32])).expect("an address").to_string().into_bytes();
    vec![
        ("invite", "invite", invite.to_string().into_bytes()),
        ("address", "name", address("relay.example")),
        ("address", "ipv4", address("127.0.0.1")),
        ("address", "ipv6", address("::1")),
        ("drop_token", "mailbox", codec::encode(&MailboxId([2; 32]))),
        ("safety_code", "number", SafetyNumber::between(&own, &other).to_string().into_bytes()),
        ("safety_code", "code", SafetyCode::between(&own, &other).to_string().into_bytes()),
    ]
}
