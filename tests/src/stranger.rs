//! Somebody who uses an invite for requests, and need not be honest: handshake and session straight from the protocol, so
//! that none of the engine's limits hold it back.

use hermes_protocol::{
    Body, Bundle, Content, Fingerprint, IdentityKeyPair, Initiated, InitiatorParams, Invite, MessageId,
    Newer, PendingHandshake, Session, initiate,
};
use hermes_wire::{ContactId, MailboxId, prekey::SealedBundle};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use crate::duo::Peer;

/// A stranger that has begun a session.
pub struct Stranger {
    /// Under which permission it writes.
    pub contact: ContactId,
    /// Who it is.
    pub fingerprint: Fingerprint,
    session: Session,
    pending: PendingHandshake,
    hello: Body,
    rng: ChaCha8Rng,
}

impl Stranger {
    /// One that calls itself so, by an invite of `host`, with a bundle of its own.
    pub fn new(link: &str, name: &str, host: &mut Peer, seed: u64) -> Self {
        let bundle = host.bundle();
        Self::with_bundle(link, name, host, &bundle, seed)
    }

    /// The same with a bundle that may have been used before.
    pub fn with_bundle(link: &str, name: &str, host: &Peer, bundle: &SealedBundle, seed: u64) -> Self {
        let invite: Invite = link.parse().expect("an invite");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let identity = IdentityKeyPair::generate(&mut rng);
        let params = InitiatorParams {
            identity: &identity,
            mailbox: MailboxId([7; 32]),
            peer_mailbox: invite.ticket.mailbox,
            counter: host.now.0,
            unopened: &[],
        };
        let bundle = Bundle::open(bundle, &invite.ticket.bundle_key, &invite.fingerprint, host.now);
        let Initiated { session, pending, transcript } =
            initiate(params, &bundle.expect("a bundle"), &mut rng).expect("initiated");
        let hello = Body::Hello {
            profile_name: name.to_owned(),
            ticket: invite.ticket.clone(),
            proof: Some(invite.secret.prove(&transcript)),
        };
        let token = invite.ticket.token.unverified().expect("a token");
        let fingerprint = identity.identity().fingerprint();
        Self { contact: token.contact, fingerprint, session, pending, hello, rng }
    }

    /// Its greeting arrives.
    pub fn greet(&mut self, host: &mut Peer) {
        let hello = self.hello.clone();
        self.tell(host, hello);
    }

    /// Something it says arrives.
    pub fn say(&mut self, host: &mut Peer, text: &str) {
        self.tell(host, Body::Text { text: text.to_owned(), reply_to: None, ttl: None });
    }

    /// Anything arrives.
    pub fn tell(&mut self, host: &mut Peer, body: Body) {
        let envelope = self.seal(host, body);
        host.take(self.contact, envelope);
    }

    /// Seals anything.
    pub fn seal(&mut self, host: &Peer, body: Body) -> Vec<u8> {
        let (id, sent) = (MessageId::random(&mut self.rng), host.now);
        let content = Content { id, sent, place: None, body, newer: Newer::default() };
        let sealed = self.session.seal(Some(&self.pending), &content.encode(), &mut self.rng);
        let (session, envelope) = sealed.expect("sealed");
        self.session = session;
        envelope
    }
}
