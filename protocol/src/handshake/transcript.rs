//! The transcript: everything both sides must agree on before they share a key.

use hermes_wire::{
    byte_id,
    prekey::{PrekeyId, PrekeyKind},
};

use crate::{
    curve::CurvePublic,
    ffdh::PublicElement,
    handshake::{HandshakeMessage, Party},
    identity::Identity,
    kdf::{self, Label},
    kem::mlkem1024::PUBLIC_BYTES,
    prekey::kind_code,
    ratchet::{Binding, SessionId},
};

byte_id!(
    /// Hash of a handshake's transcript: the same on both sides, different for every handshake.
    TranscriptHash, 32
);

/// The recipient's public prekeys, by number in the message and by value here.
pub(super) struct ResponderPublic<'a> {
    pub signed: CurvePublic,
    pub one_time: Option<CurvePublic>,
    pub kem: &'a [u8; PUBLIC_BYTES],
    pub kem_kind: PrekeyKind,
    pub ff: &'a PublicElement,
}

impl TranscriptHash {
    /// Hashes both parties, the recipient's prekeys and the whole message. Every field has its length in front.
    pub(super) fn compute(
        initiator: Party<'_>,
        responder: Party<'_>,
        prekeys: &ResponderPublic<'_>,
        message: &HandshakeMessage,
    ) -> Self {
        let opening = &message.opening;
        let id = |id: PrekeyId| id.0.to_be_bytes();
        let one_time_id = opening.prekeys.one_time.map(id);
        let fields: [&[u8]; 19] = [
            &hermes_wire::VERSION.to_be_bytes(),
            &initiator.identity.key_bytes(),
            &responder.identity.key_bytes(),
            initiator.mailbox.as_bytes(),
            responder.mailbox.as_bytes(),
            &id(opening.prekeys.signed),
            // The flag "no one-time key".
            &[u8::from(one_time_id.is_none())],
            one_time_id.as_ref().map_or(&[], |id| id.as_slice()),
            &id(opening.prekeys.kem),
            &[kind_code(prekeys.kem_kind)],
            &id(opening.prekeys.ff),
            &prekeys.signed.0,
            prekeys.one_time.as_ref().map_or(&[], |key| key.0.as_slice()),
            prekeys.kem,
            &prekeys.ff.to_bytes(),
            opening.ephemeral.as_slice(),
            opening.finite_field.as_slice(),
            opening.ciphertext.as_slice(),
            &message.sealed_identity,
        ];
        Self(kdf::hash(Label::TRANSCRIPT, &[&kdf::framed(&fields)]))
    }

    /// Derived on both sides, never sent.
    pub(super) fn session_id(&self) -> SessionId {
        let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            kdf::hash(Label::SESSION_ID, &[&self.0]);
        SessionId(id)
    }

    /// What every message of the session is bound to: both identities, in order, and the session id.
    pub(super) fn binding(&self, initiator: &Identity, responder: &Identity) -> Binding {
        Binding(kdf::hash(
            Label::SESSION_BINDING,
            &[&initiator.key_bytes(), &responder.key_bytes(), &self.session_id().0],
        ))
    }
}
