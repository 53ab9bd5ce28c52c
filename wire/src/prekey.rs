//! Prekeys as the relay holds them: sealed, so that it sees kinds, ids and expiry only.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::time::Timestamp;

/// What a prekey is for, and whether it is used up by a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PrekeyKind {
    /// X25519 signed prekey; the newest is returned, again and again.
    Signed,
    /// X25519 one-time prekey; returned once.
    OneTime,
    /// ML-KEM-1024 one-time key; returned once.
    OneTimeKem,
    /// ML-KEM-1024 key of last resort; returned when no one-time one is left.
    LastResortKem,
    /// ffdhe2048 signed prekey; the newest is returned.
    SignedFf,
}

impl PrekeyKind {
    /// Every kind, in order.
    pub const ALL: [Self; 5] =
        [Self::Signed, Self::OneTime, Self::OneTimeKem, Self::LastResortKem, Self::SignedFf];

    /// Whether a fetch uses the key up.
    pub fn is_one_time(self) -> bool {
        matches!(self, Self::OneTime | Self::OneTimeKem)
    }
}

/// Number of a prekey: unique and rising per mailbox over all kinds, never issued twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrekeyId(pub u64);

/// One sealed prekey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct PrekeyEntry {
    /// What it is for.
    pub kind: PrekeyKind,
    /// Its number.
    pub id: PrekeyId,
    /// The relay drops it after this time.
    pub expiry: Timestamp,
    /// The public key with its signature, sealed under the owner's bundle key.
    pub sealed: ByteBuf,
}

/// What one fetch returns. Without a one-time X25519 key the handshake does without it, and says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct SealedBundle {
    /// X25519 signed prekey.
    pub signed: PrekeyEntry,
    /// X25519 one-time prekey, if one was left.
    pub one_time: Option<PrekeyEntry>,
    /// ML-KEM-1024 key: one-time, or of last resort.
    pub kem: PrekeyEntry,
    /// ffdhe2048 signed prekey.
    pub ff: PrekeyEntry,
}
