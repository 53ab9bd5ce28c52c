//! Two people whose keys come from a fixed seed, so that an input means the same in every run.

use std::sync::OnceLock;

use ed25519_dalek::SigningKey;
use hermes_protocol::{
    Bundle, BundleKey, Envelope, IdentityKeyPair, InitiatorParams, PrekeySecret, ResponderKeys,
    ResponderParams, Session, Ticket, initiate,
};
use hermes_wire::{
    ContactId, DropKey, MailboxId, RelayAddress, RelayPin, Timestamp,
    prekey::{PrekeyId, PrekeyKind, SealedBundle},
    token::{DropToken, Permission, SignedDropToken},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::NoSkippedKeys;

/// Everything that both know, and one conversation between them.
pub struct Parties {
    /// Bob's keys; he is whom strangers write to.
    pub bob: IdentityKeyPair,
    /// Bob's mailbox.
    pub bob_mailbox: MailboxId,
    /// Signs the tokens for Bob's mailbox.
    pub bob_drop_secret: SigningKey,
    /// What opens Bob's prekeys.
    pub bundle_key: BundleKey,
    /// Bob's prekeys at the relay.
    pub sealed_bundle: SealedBundle,
    /// Alice's side of the conversation, which has received nothing yet.
    pub alice_session: Session,
    /// Bob's side, ready for any message of Alice.
    pub bob_session: Session,
    /// Alice's first envelope.
    pub first_envelope: Vec<u8>,
    /// The time at which everything happens.
    pub now: Timestamp,
    prekeys: Vec<PrekeySecret>,
}

impl Parties {
    /// The one pair.
    pub fn get() -> &'static Self {
        static PARTIES: OnceLock<Parties> = OnceLock::new();
        PARTIES.get_or_init(Self::meet)
    }

    /// Randomness, the same every time it is asked for.
    pub fn rng(&self) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(2)
    }

    /// What the relay checks tokens for Bob's mailbox with.
    pub fn bob_drop_key(&self) -> DropKey {
        DropKey(self.bob_drop_secret.verifying_key().to_bytes())
    }

    /// Bob, who responds.
    pub fn responder(&self) -> ResponderParams<'_> {
        ResponderParams { identity: &self.bob, mailbox: self.bob_mailbox }
    }

    /// The prekeys that a handshake uses.
    pub fn responder_keys(&self, with_one_time: bool) -> ResponderKeys<'_> {
        responder_keys(&self.prekeys, with_one_time)
    }

    /// A way to Bob's mailbox.
    pub fn ticket(&self) -> Ticket {
        let token = DropToken {
            contact: ContactId([3; 16]),
            permission: Permission::DepositAndPrekeys,
            expiry: self.now,
            uses: Some(1),
        };
        Ticket {
            relay: RelayAddress::new("relay.example", 4433, RelayPin([7; 32])).expect("the address is one"),
            mailbox: self.bob_mailbox,
            token: SignedDropToken::issue(&token, self.bob_mailbox, &self.bob_drop_secret),
            bundle_key: self.bundle_key.clone(),
        }
    }

    fn meet() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let now = Timestamp(1_800_000_000_000);
        let (alice, bob) = (IdentityKeyPair::generate(&mut rng), IdentityKeyPair::generate(&mut rng));
        let (alice_mailbox, bob_mailbox) = (MailboxId([1; 32]), MailboxId([2; 32]));
        let bundle_key = BundleKey::generate(&mut rng);
        let prekeys: Vec<_> =
            (1..).zip(KINDS).map(|(id, kind)| PrekeySecret::generate(kind, PrekeyId(id), &mut rng)).collect();
        let mut entries = prekeys.iter().map(|prekey| prekey.publish(&bob, now, &bundle_key, &mut rng));
        let mut entry = || entries.next().expect("there is one of each kind");
        let sealed_bundle =
            SealedBundle { signed: entry(), one_time: Some(entry()), kem: entry(), ff: entry() };

        let bundle = Bundle::open(&sealed_bundle, &bundle_key, &bob.identity().fingerprint(), now)
            .expect("the bundle is Bob's");
        let params = InitiatorParams {
            identity: &alice,
            mailbox: alice_mailbox,
            peer_mailbox: bob_mailbox,
            counter: 1,
            unopened: &[],
        };
        let initiated = initiate(params, &bundle, &mut rng).expect("Alice can initiate");
        let (alice_session, first_envelope) =
            initiated.session.seal(Some(&initiated.pending), b"hello", &mut rng).expect("a session can seal");

        let Ok(Envelope::First { handshake, message }) = Envelope::decode(&first_envelope) else {
            panic!("the first envelope starts a session");
        };
        let responder = ResponderParams { identity: &bob, mailbox: bob_mailbox };
        let keys = responder_keys(&prekeys, true);
        let initiator = handshake.open_identity(responder, &keys).expect("Bob can read who writes");
        let responded = handshake.respond(responder, &keys, &initiator).expect("Bob can respond");
        let (bob_session, _) =
            responded.session.open(&message, &NoSkippedKeys, now, &mut rng).expect("Bob can open");
        Self {
            bob,
            bob_mailbox,
            bob_drop_secret: SigningKey::from_bytes(&[2; 32]),
            bundle_key,
            sealed_bundle,
            alice_session,
            bob_session,
            first_envelope,
            now,
            prekeys,
        }
    }
}

/// One prekey of each kind, in the order of a bundle.
const KINDS: [PrekeyKind; 4] =
    [PrekeyKind::Signed, PrekeyKind::OneTime, PrekeyKind::OneTimeKem, PrekeyKind::SignedFf];

fn responder_keys(prekeys: &[PrekeySecret], with_one_time: bool) -> ResponderKeys<'_> {
    let [signed, one_time, kem, ff] = prekeys else { panic!("there is one of each kind") };
    ResponderKeys { signed, one_time: with_one_time.then_some(one_time), kem, ff }
}
