//! The handshake: one message from an initiator to a recipient who is away, behind three locks.
//!
//! X3DH (four X25519 agreements) and PQXDH (an ML-KEM-1024 encapsulation) as Signal specifies them, and a finite-field
//! Diffie-Hellman over ffdhe2048 with PBKDF2. All three secrets enter one HKDF, so every one of them has to fall; the
//! finite-field lock is never counted on. Differences from Signal: the initiator's identity travels sealed (neither
//! relay nor wire sees who writes), the whole transcript is bound, and a missing one-time key is a stated fact of it.
//!
//! Authentication is classical: it rests on X25519 (DH1) and Ed25519. Deliberately absent: which of two crossing
//! handshakes wins, the memory of replays, and the lifetime of prekeys, which need more than one message to decide.

mod initiate;
mod locks;
mod message;
mod respond;
mod sealed_identity;
mod transcript;

use hermes_wire::MailboxId;

pub use initiate::{Initiated, InitiatorParams, initiate};
pub use message::{HandshakeMessage, PendingHandshake, PrekeyIds, ReplayId};
pub use respond::{Initiator, Responded, ResponderKeys, ResponderParams};
pub use transcript::TranscriptHash;

use crate::{curve::NotContributory, ffdh::BadElement};

/// Why a handshake does not become a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The caller's prekeys are not those that the message names, or not of the right kind.
    #[error("the keys at hand are not the ones this handshake uses")]
    WrongPrekeys,
    /// The caller lists more unopened initiations than a handshake carries.
    #[error("a handshake lists at most {max} unopened initiations", max = crate::limits::UNOPENED_INITIATIONS)]
    TooManyUnopened,
    /// The sealed identity does not open: damaged, or not made for these prekeys.
    #[error("the sender's sealed identity does not open")]
    SealedIdentity,
    /// The sealed identity opened and is not one.
    #[error("the sender's identity is not valid")]
    BadIdentity,
    /// The other side is this identity itself: a reflected message, or an invite used by its maker.
    #[error("this is your own identity; a conversation needs two")]
    Oneself,
    /// A curve key of small order, which would force a known secret.
    #[error("the other side sent a forbidden curve key")]
    BadCurveKey,
    /// A finite-field value outside the group.
    #[error("the other side sent a forbidden finite-field value")]
    BadFiniteField,
}

impl From<NotContributory> for HandshakeError {
    fn from(_: NotContributory) -> Self {
        Self::BadCurveKey
    }
}

impl From<BadElement> for HandshakeError {
    fn from(_: BadElement) -> Self {
        Self::BadFiniteField
    }
}

/// One of the two ends of a session, as the transcript names it.
#[derive(Clone, Copy)]
struct Party<'a> {
    identity: &'a crate::identity::Identity,
    mailbox: MailboxId,
}
