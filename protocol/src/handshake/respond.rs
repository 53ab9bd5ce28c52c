//! The responder's side, in two steps, cheap first: who writes, then everything else. Between the two the caller
//! consults its block list.

use hermes_wire::{MailboxId, prekey::PrekeyKind};

use crate::{
    ffdh::PublicElement,
    handshake::{
        HandshakeError, HandshakeMessage, Party, ReplayId, TranscriptHash,
        locks::{Locks, Shared},
        sealed_identity::Introduction,
        transcript::ResponderPublic,
    },
    identity::{Identity, IdentityKeyPair},
    kem::mlkem1024::KemPublic,
    prekey::PrekeySecret,
    ratchet::Session,
};

/// Who responds.
#[derive(Clone, Copy)]
pub struct ResponderParams<'a> {
    /// The responder's keys.
    pub identity: &'a IdentityKeyPair,
    /// The mailbox at which the message arrived.
    pub mailbox: MailboxId,
}

/// The prekeys that the message names.
#[derive(Clone, Copy)]
pub struct ResponderKeys<'a> {
    /// X25519 signed prekey.
    pub signed: &'a PrekeySecret,
    /// X25519 one-time prekey, if the message names one.
    pub one_time: Option<&'a PrekeySecret>,
    /// ML-KEM-1024 key.
    pub kem: &'a PrekeySecret,
    /// ffdhe2048 signed prekey.
    pub ff: &'a PrekeySecret,
}

/// Who claims to write. Unproven until the session's first message has opened.
pub struct Initiator {
    /// The identity.
    pub identity: Identity,
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// Rises with every initiation of that account.
    pub counter: u64,
    /// Initiations of this side that it could not open, newest first.
    pub unopened: Vec<ReplayId>,
    dh3: Shared,
    ss: Shared,
    /// The public half of the ML-KEM key, which the decapsulation gave.
    kem: KemPublic,
}

/// A session that is ready to open the first message.
pub struct Responded {
    /// The session. It can send once it has opened a message.
    pub session: Session,
    /// What an invite's proof is bound to.
    pub transcript: TranscriptHash,
}

impl HandshakeMessage {
    /// Opens the sealed identity, at the price of one X25519 agreement (DH3) and one ML-KEM decapsulation.
    pub fn open_identity(
        &self,
        params: ResponderParams<'_>,
        keys: &ResponderKeys<'_>,
    ) -> Result<Initiator, HandshakeError> {
        self.check_keys(keys)?;
        let signed = keys.signed.curve().ok_or(HandshakeError::WrongPrekeys)?;
        let kem = keys.kem.kem().ok_or(HandshakeError::WrongPrekeys)?;
        let dh3 = signed.agree(&self.opening.ephemeral())?;
        let (ss, kem) = kem.decapsulate(&self.opening.ciphertext);
        let introduction = Introduction::open(self, &dh3, &ss)?;
        if &introduction.identity == params.identity.identity() {
            return Err(HandshakeError::Oneself);
        }
        let Introduction { identity, mailbox, counter, unopened } = introduction;
        Ok(Initiator { identity, mailbox, counter, unopened, dh3, ss, kem })
    }

    /// Completes the handshake. Whether the initiator is who it claims shows when the first message opens.
    pub fn respond(
        &self,
        params: ResponderParams<'_>,
        keys: &ResponderKeys<'_>,
        initiator: &Initiator,
    ) -> Result<Responded, HandshakeError> {
        self.check_keys(keys)?;
        let element = PublicElement::parse(&self.opening.finite_field)?;
        let signed = keys.signed.curve().ok_or(HandshakeError::WrongPrekeys)?;
        let one_time = keys.one_time.and_then(PrekeySecret::curve);
        let (exponent, ff) = keys.ff.finite_field().ok_or(HandshakeError::WrongPrekeys)?;
        let ephemeral = self.opening.ephemeral();
        let locks = Locks {
            dh1: signed.agree(initiator.identity.agreement())?,
            dh2: params.identity.agreement().agree(&ephemeral)?,
            dh3: initiator.dh3.clone(),
            dh4: one_time.map(|one_time| one_time.agree(&ephemeral)).transpose()?,
            ss: initiator.ss.clone(),
            z: exponent.agree(&element),
        };
        let transcript = TranscriptHash::compute(
            Party { identity: &initiator.identity, mailbox: initiator.mailbox },
            Party { identity: params.identity.identity(), mailbox: params.mailbox },
            &ResponderPublic {
                signed: signed.public(),
                one_time: one_time.map(|one_time| one_time.public()),
                kem: initiator.kem.as_bytes(),
                kem_kind: keys.kem.kind(),
                ff,
            },
            self,
        );
        let session = Session::responder(
            transcript.session_id(),
            transcript.binding(&initiator.identity, params.identity.identity()),
            locks.combine(&transcript),
            signed,
        );
        Ok(Responded { session, transcript })
    }

    /// The keys are those that the message names, each in its own role.
    fn check_keys(&self, keys: &ResponderKeys<'_>) -> Result<(), HandshakeError> {
        let named = self.opening.prekeys;
        let fits = keys.signed.kind() == PrekeyKind::Signed
            && keys.signed.id() == named.signed
            && keys.one_time.is_none_or(|key| key.kind() == PrekeyKind::OneTime)
            && keys.one_time.map(PrekeySecret::id) == named.one_time
            && matches!(keys.kem.kind(), PrekeyKind::OneTimeKem | PrekeyKind::LastResortKem)
            && keys.kem.id() == named.kem
            && keys.ff.kind() == PrekeyKind::SignedFf
            && keys.ff.id() == named.ff;
        if fits { Ok(()) } else { Err(HandshakeError::WrongPrekeys) }
    }
}
