//! The initiator's side.

use hermes_wire::MailboxId;
use rand_core::CryptoRng;
use serde_bytes::ByteArray;

use crate::{
    curve::CurveSecret,
    ffdh::SecretExponent,
    handshake::{
        HandshakeError, HandshakeMessage, Party, PendingHandshake, PrekeyIds, ReplayId, TranscriptHash,
        locks::Locks, message::Opening, sealed_identity::Introduction, transcript::ResponderPublic,
    },
    identity::IdentityKeyPair,
    limits::UNOPENED_INITIATIONS,
    prekey::Bundle,
    ratchet::Session,
};

/// Who initiates, and what the sealed introduction says.
pub struct InitiatorParams<'a> {
    /// The initiator's keys.
    pub identity: &'a IdentityKeyPair,
    /// The initiator's mailbox.
    pub mailbox: MailboxId,
    /// The mailbox that the bundle was fetched for.
    pub peer_mailbox: MailboxId,
    /// Rises with every initiation of this account, so that the newest of two can be told.
    pub counter: u64,
    /// Initiations of the peer that could not be opened, newest first.
    pub unopened: &'a [ReplayId],
}

/// A session that can send at once.
pub struct Initiated {
    /// The session.
    pub session: Session,
    /// Goes with every message until the first reply has been opened.
    pub pending: PendingHandshake,
    /// What an invite's proof is bound to.
    pub transcript: TranscriptHash,
}

/// Starts a session with the owner of `bundle`, who need not be online.
pub fn initiate(
    params: InitiatorParams<'_>,
    bundle: &Bundle,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Initiated, HandshakeError> {
    if params.unopened.len() > UNOPENED_INITIATIONS {
        return Err(HandshakeError::TooManyUnopened);
    }
    if params.identity.identity() == &bundle.identity {
        return Err(HandshakeError::Oneself);
    }
    let ephemeral = CurveSecret::generate(rng);
    let exponent = SecretExponent::generate(rng);
    let (ciphertext, ss) = bundle.kem.key.encapsulate(rng);
    let opening = Opening {
        prekeys: PrekeyIds {
            signed: bundle.signed.id,
            one_time: bundle.one_time.as_ref().map(|one_time| one_time.id),
            kem: bundle.kem.id,
            ff: bundle.ff.id,
        },
        ephemeral: ByteArray::new(ephemeral.public().0),
        finite_field: Box::new(ByteArray::new(exponent.public().to_bytes())),
        ciphertext: Box::new(ByteArray::new(ciphertext)),
    };
    let locks = Locks {
        dh1: params.identity.agreement().agree(&bundle.signed.key)?,
        dh2: ephemeral.agree(bundle.identity.agreement())?,
        dh3: ephemeral.agree(&bundle.signed.key)?,
        dh4: bundle.one_time.as_ref().map(|one_time| ephemeral.agree(&one_time.key)).transpose()?,
        ss,
        z: exponent.agree(&bundle.ff.key),
    };
    let introduction = Introduction {
        identity: params.identity.identity().clone(),
        mailbox: params.mailbox,
        counter: params.counter,
        unopened: params.unopened.to_vec(),
    };
    let sealed_identity = introduction.seal(&locks.dh3, &locks.ss, &opening);
    let message = HandshakeMessage { opening, sealed_identity };
    let transcript = transcript(&params, bundle, &message);
    let session = Session::initiator(
        transcript.session_id(),
        transcript.binding(params.identity.identity(), &bundle.identity),
        locks.combine(&transcript),
        &bundle.signed.key,
        rng,
    )?;
    Ok(Initiated { session, pending: PendingHandshake::new(message), transcript })
}

fn transcript(params: &InitiatorParams<'_>, bundle: &Bundle, message: &HandshakeMessage) -> TranscriptHash {
    TranscriptHash::compute(
        Party { identity: params.identity.identity(), mailbox: params.mailbox },
        Party { identity: &bundle.identity, mailbox: params.peer_mailbox },
        &ResponderPublic {
            signed: bundle.signed.key,
            one_time: bundle.one_time.as_ref().map(|one_time| one_time.key),
            kem: bundle.kem.key.as_bytes(),
            kem_kind: bundle.kem_kind,
            ff: &bundle.ff.key,
        },
        message,
    )
}
