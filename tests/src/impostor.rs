//! Somebody who writes in another's place: under the permission that a contact was given, with keys of its own.
//!
//! Below the engine, which would not do this: handshake and session straight from the protocol.

use crate::way::{body_of, permission};
use hermes_engine::{Table, View, query};
use hermes_protocol::{
    Body, Bundle, Content, Envelope, Fingerprint, IdentityKeyPair, Initiated, InitiatorParams, Invite,
    MessageId, Newer, PendingHandshake, Session, SkippedChain, SkippedKey, SkippedKeys, initiate,
};
use hermes_wire::{ContactId, MailboxId, Timestamp, prekey::SealedBundle};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use crate::duo::Peer;

/// A stranger with a contact's permission.
pub struct Impostor {
    /// Under whose permission.
    pub contact: ContactId,
    identity: [u8; 64],
    session: Session,
    /// Until the first reply has been opened.
    pending: Option<PendingHandshake>,
    /// Position of the last envelope of the victim that was looked at.
    heard: u64,
    rng: ChaCha8Rng,
}

/// The account's row.
const ACCOUNT_KEY: [u8; 1] = [0];

impl Impostor {
    /// With an identity of its own, and the permission that `friend` has for the mailbox of `victim`, whom it calls
    /// `name`.
    pub fn of(friend: &Peer, name: &str, victim: &mut Peer, seed: u64) -> Self {
        let identity = IdentityKeyPair::generate(&mut ChaCha8Rng::seed_from_u64(seed ^ 0xff));
        Self::begin(*identity.to_bytes(), contact_id(friend, name, victim), victim, seed)
    }

    /// With the friend's own identity: a thief of old keys.
    pub fn with_identity_of(friend: &Peer, name: &str, victim: &mut Peer, seed: u64) -> Self {
        Self::between(friend, friend, name, victim, seed)
    }

    /// With the identity of one and the permission of another.
    pub fn between(identity_of: &Peer, friend: &Peer, name: &str, victim: &mut Peer, seed: u64) -> Self {
        let identity = *self::identity_of(identity_of).to_bytes();
        Self::begin(identity, contact_id(friend, name, victim), victim, seed)
    }

    /// Another handshake of the same identity.
    pub fn anew(&self, victim: &mut Peer, seed: u64) -> Self {
        Self::begin(self.identity, self.contact, victim, seed)
    }

    fn begin(identity: [u8; 64], contact: ContactId, victim: &mut Peer, seed: u64) -> Self {
        let invite: Invite = victim.invite().parse().expect("an invite");
        let sealed = victim.bundle();
        Self::with_bundle(identity, contact, &invite, &sealed, victim.now, seed)
    }

    /// With an identity of its own, from what a relay gives out, far from the victim.
    pub fn from_afar(invite: &Invite, sealed: &SealedBundle, now: Timestamp, seed: u64) -> Self {
        let identity = IdentityKeyPair::generate(&mut ChaCha8Rng::seed_from_u64(seed ^ 0xff));
        Self::with_bundle(*identity.to_bytes(), ContactId([0; 16]), invite, sealed, now, seed)
    }

    /// Any invite of the victim has the key that opens its bundles.
    fn with_bundle(
        identity: [u8; 64],
        contact: ContactId,
        invite: &Invite,
        sealed: &SealedBundle,
        now: Timestamp,
        seed: u64,
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let bundle = Bundle::open(sealed, &invite.ticket.bundle_key, &invite.fingerprint, now);
        let keys = IdentityKeyPair::from_bytes(&identity);
        let params = InitiatorParams {
            identity: &keys,
            mailbox: MailboxId([7; 32]),
            peer_mailbox: invite.ticket.mailbox,
            counter: now.0.saturating_add(seed),
            unopened: &[],
        };
        let Initiated { session, pending, .. } =
            initiate(params, &bundle.expect("a bundle"), &mut rng).expect("initiated");
        Self { contact, identity, session, pending: Some(pending), heard: 0, rng }
    }

    /// Its fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        IdentityKeyPair::from_bytes(&self.identity).identity().fingerprint()
    }

    /// Seals a text.
    pub fn seal(&mut self, text: &str) -> Vec<u8> {
        self.seal_body(Body::Text { text: text.to_owned(), reply_to: None, ttl: None })
    }

    fn seal_body(&mut self, body: Body) -> Vec<u8> {
        let content = Content {
            id: MessageId::random(&mut self.rng),
            sent: Timestamp(1_790_000_000_000),
            place: None,
            body,
            newer: Newer::default(),
        };
        let sealed = self.session.seal(self.pending.as_ref(), &content.encode(), &mut self.rng);
        let (session, envelope) = sealed.expect("sealed");
        self.session = session;
        envelope
    }

    /// Writes a text to the victim.
    pub fn say(&mut self, victim: &mut Peer, text: &str) {
        let envelope = self.seal(text);
        victim.take(self.contact, envelope);
    }

    /// Claims to have received nothing of what the victim ever sent.
    pub fn ask_for_everything(&mut self, victim: &mut Peer) {
        let body = Body::ResendRequest { received: 0, missing: Vec::new(), sent: 0 };
        let envelope = self.seal_body(body);
        victim.take(self.contact, envelope);
    }

    /// What of the victim's outbox it can read and has not read yet.
    pub fn receive(&mut self, victim: &Peer) -> Vec<String> {
        let mut texts = Vec::new();
        for chat in query::outbox_chats(&victim.store).expect("memory") {
            let rows = query::outbox(&victim.store, chat, Some(self.heard), usize::MAX).expect("memory");
            for row in rows {
                self.heard = row.key.position;
                let Ok(Envelope::Ordinary(message)) = Envelope::decode(&body_of(row.frame)) else { continue };
                let opened = self.session.open(&message, &NothingSkipped, victim.now, &mut self.rng);
                let Ok((session, opened)) = opened else { continue };
                self.session = session;
                self.pending = None;
                texts.push(match Content::decode(&opened.plaintext).expect("content").body {
                    Body::Text { text, .. } => text,
                    Body::Receipt { .. } => "(receipt)".to_owned(),
                    Body::ResendRequest { received, .. } => format!("(received {received})"),
                    other => format!("{other:?}"),
                });
            }
        }
        texts
    }
}

/// What nobody but its owner has.
pub fn identity_of(peer: &Peer) -> IdentityKeyPair {
    let record = peer.store.get(Table::Account, &ACCOUNT_KEY).expect("memory").expect("an account");
    let record: ciborium::Value = ciborium::from_reader(record.as_slice()).expect("a record");
    let fields = record.as_map().expect("a map");
    let identity = fields.iter().find(|(key, _)| key.as_text() == Some("identity")).expect("an identity");
    let identity = identity.1.as_bytes().expect("bytes").as_slice().try_into().expect("64 bytes");
    IdentityKeyPair::from_bytes(identity)
}

/// The contact id that stands in the friend's permission.
fn contact_id(friend: &Peer, name: &str, victim: &Peer) -> ContactId {
    let owner = query::mailbox(&victim.store).expect("memory");
    let contact = query::contact_named(&friend.store, name).expect("memory").expect("a contact");
    let destination = query::destination(&friend.store, contact.contact.chat).expect("memory");
    let token = permission(&destination.expect("a way")).verify(owner.mailbox, owner.drop_key);
    token.expect("its own token").contact
}

/// Everything arrives in order.
struct NothingSkipped;

impl SkippedKeys for NothingSkipped {
    fn chains(&self) -> Vec<SkippedChain> {
        Vec::new()
    }

    fn message_key(&self, _: u32, _: u32) -> Option<SkippedKey> {
        None
    }

    fn stored(&self) -> Vec<(u32, u32)> {
        Vec::new()
    }
}
