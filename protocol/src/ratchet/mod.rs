//! The double ratchet with header encryption (Signal, "The Double Ratchet Algorithm", revision 4, section 4).
//!
//! HMAC-SHA256 chains, HKDF-SHA256 root steps, X25519. Beyond Signal's text: every message carries a full
//! HMAC-SHA256, which commits to the key and is checked before the body is decrypted; a message key is salted with the
//! header's random nonce, so that a restored old state cannot repeat a keystream; the whole envelope is padded; now and
//! then a turn mixes in an ML-KEM-768 secret.
//!
//! Beside the chains stand ephemeral messages, which cost no skipped key when they are lost.
//!
//! Deliberately absent: where skipped keys rest (the caller lends them through [`SkippedKeys`]), when old ones are
//! swept, and which of several sessions with one peer is the active one.

mod chain;
mod ephemeral;
mod header;
mod kem_part;
mod late;
mod message;
mod open;
mod retired;
mod root;
mod seal;
mod session;
mod skipped;
mod sparse;

use hermes_wire::byte_id;

pub use ephemeral::{EphemeralMessage, OpenEphemeralError, SealEphemeralError};
pub use message::RatchetMessage;
pub use open::{OpenError, Opened};
pub use retired::RetiredSession;
pub use seal::SealError;
pub use session::Session;
pub use skipped::{SkippedChain, SkippedChanges, SkippedKey, SkippedKeys};

pub(crate) use session::SessionSecrets;

byte_id!(
    /// Names a session on both sides; derived from the handshake's transcript, never sent.
    SessionId, 16
);

/// Hash of both identities, in order, and the session id: the associated data of every message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding(pub [u8; 32]);
