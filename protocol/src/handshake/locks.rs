//! The three locks, and how their secrets become a session's first keys.

use zeroize::Zeroizing;

use crate::{
    handshake::TranscriptHash,
    kdf::{self, Label},
    ratchet::SessionSecrets,
};

/// A 32-byte shared secret.
pub(super) type Shared = Zeroizing<[u8; 32]>;

/// What both sides have computed before the transcript is complete.
pub(super) struct Locks {
    /// X25519(IK_A, SPK_B): only the initiator's identity and this recipient can know it.
    pub dh1: Shared,
    /// X25519(EK, IK_B).
    pub dh2: Shared,
    /// X25519(EK, SPK_B).
    pub dh3: Shared,
    /// X25519(EK, OPK_B), unless the one-time keys were used up.
    pub dh4: Option<Shared>,
    /// ML-KEM-1024.
    pub ss: Shared,
    /// ffdhe2048, left-padded to 256 bytes.
    pub z: Zeroizing<[u8; 256]>,
}

impl Locks {
    /// The session's first root key, the initiator's first header key and the responder's.
    ///
    /// IKM = 32 bytes 0xFF || length-prefixed secrets: the prefix separates domains from XEdDSA-style uses of the same
    /// curve keys (X3DH, section 2.2), the lengths keep a missing DH4 from being confused with anything else.
    pub fn combine(self, transcript: &TranscriptHash) -> SessionSecrets {
        let ff = kdf::stretch(&self.z, transcript.as_bytes());
        let dh4 = self.dh4.as_ref().map_or(&[][..], |shared| shared.as_slice());
        let secrets = kdf::framed(&[
            self.dh1.as_slice(),
            self.dh2.as_slice(),
            self.dh3.as_slice(),
            dh4,
            self.ss.as_slice(),
            ff.as_slice(),
        ]);
        let mut input = Zeroizing::new(Vec::with_capacity(32 + secrets.len()));
        input.extend_from_slice(&[0xff; 32]);
        input.extend_from_slice(&secrets);
        let keys = kdf::derive::<3>(&[], &input, Label::HANDSHAKE, transcript.as_bytes());
        let [root, initiator_header, responder_header] = &*keys;
        SessionSecrets::new(root, initiator_header, responder_header)
    }
}
