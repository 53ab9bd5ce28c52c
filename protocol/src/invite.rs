//! Invites: one line of text that lets a stranger start a session with a verified identity.

use std::{fmt, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use hermes_wire::codec;
use hmac::Mac;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::{ByteArray, Bytes};
use serde_tuple::{Deserialize_tuple, Serialize_tuple};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    handshake::TranscriptHash,
    identity::Fingerprint,
    kdf::{self, Label},
    limits::INVITE_CHARS,
    ticket::Ticket,
};

const SCHEME: &str = "hermes-invite:";
const VERSION: u16 = 1;

/// An invite, shown once by its maker and pasted once by its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The way to the maker's mailbox.
    pub ticket: Ticket,
    /// The identity that the user will meet there.
    pub fingerprint: Fingerprint,
    /// Proves to the maker that this invite was used.
    pub secret: InviteSecret,
}

/// Known to the maker of an invite and whoever holds it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct InviteSecret([u8; 16]);

/// Why a text is no invite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// Something else was pasted.
    #[error("an invite starts with hermes-invite:")]
    Scheme,
    /// A character is missing, changed or too many.
    #[error(
        "the invite is not whole; copy the whole line again, from hermes-invite: to its end, or ask for a new one"
    )]
    Damaged,
    /// Made by a program of another protocol version.
    #[error("the invite is of version {0}, and this program reads version {VERSION}; update the older side")]
    Version(u16),
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = WireInvite {
            version: VERSION,
            ticket: self.ticket.clone(),
            fingerprint: self.fingerprint,
            secret: self.secret.clone(),
            check: ByteArray::new(self.check()),
        };
        write!(f, "{SCHEME}{}", BASE64URL_NOPAD.encode(&codec::encode(&wire)))
    }
}

impl FromStr for Invite {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        let encoded = text.trim().strip_prefix(SCHEME).ok_or(InviteError::Scheme)?;
        if encoded.len() > INVITE_CHARS {
            return Err(InviteError::Damaged);
        }
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| InviteError::Damaged)?;
        let wire: WireInvite = codec::decode(&bytes, INVITE_CHARS).map_err(|_| newer(&bytes))?;
        if wire.version != VERSION {
            return Err(InviteError::Version(wire.version));
        }
        let invite = Self { ticket: wire.ticket, fingerprint: wire.fingerprint, secret: wire.secret };
        if invite.check() != *wire.check {
            return Err(InviteError::Damaged);
        }
        Ok(invite)
    }
}

impl Invite {
    /// Tells a link that was copied wrongly, before it leads to a pairing that cannot succeed. No protection against
    /// anyone: who makes a link makes its check.
    fn check(&self) -> [u8; 4] {
        let invite = codec::encode(&(VERSION, &self.ticket, &self.fingerprint, &self.secret));
        let [first, second, third, fourth, ..] = kdf::hash(Label::INVITE_CHECK, &[&invite]);
        [first, second, third, fourth]
    }
}

/// An invite of another version may have another shape; its first field is the version in all of them.
fn newer(bytes: &[u8]) -> InviteError {
    let version = codec::decode_tolerant::<ciborium::Value>(bytes, INVITE_CHARS)
        .ok()
        .and_then(|value| u16::try_from(value.as_array()?.first()?.as_integer()?).ok());
    match version {
        Some(version) if version != VERSION => InviteError::Version(version),
        _ => InviteError::Damaged,
    }
}

#[derive(Serialize_tuple, Deserialize_tuple)]
struct WireInvite {
    version: u16,
    ticket: Ticket,
    fingerprint: Fingerprint,
    secret: InviteSecret,
    check: ByteArray<4>,
}

impl InviteSecret {
    /// Draws a secret.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut secret = Self([0; 16]);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// The secret for the sealed store.
    pub fn to_bytes(&self) -> [u8; 16] {
        self.0
    }

    /// Reads what [`Self::to_bytes`] gave.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Proves knowledge of the secret in the session with this transcript; worthless in any other session.
    pub fn prove(&self, transcript: &TranscriptHash) -> [u8; 32] {
        let mut key = Zeroizing::new([0; 32]);
        for (to, from) in key.iter_mut().zip(self.0) {
            *to = from;
        }
        let mut mac = kdf::mac(&key, Label::INVITE_PROOF);
        mac.update(transcript.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Checks a proof in constant time.
    pub fn verify(&self, transcript: &TranscriptHash, proof: &[u8; 32]) -> bool {
        self.prove(transcript).ct_eq(proof).into()
    }
}

impl PartialEq for InviteSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for InviteSecret {}

impl fmt::Debug for InviteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteSecret(..)")
    }
}

impl Serialize for InviteSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Bytes::new(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for InviteSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ByteArray::<16>::deserialize(deserializer).map(|bytes| Self(bytes.into_array()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{rng, ticket};

    fn invite() -> Invite {
        Invite {
            ticket: ticket(1),
            fingerprint: Fingerprint([3; 32]),
            secret: InviteSecret::generate(&mut rng(2)),
        }
    }

    #[test]
    fn round_trips() {
        let text = invite().to_string();
        assert_eq!(text.parse(), Ok(invite()));
        assert_eq!(format!("  {text}\n").parse(), Ok(invite()));
    }

    #[test]
    fn refuses_what_is_no_invite() {
        let text = invite().to_string();
        assert_eq!("hello".parse::<Invite>(), Err(InviteError::Scheme));
        assert_eq!(text[..text.len() - 4].parse::<Invite>(), Err(InviteError::Damaged));
        assert_eq!(format!("{text}AAAA").parse::<Invite>(), Err(InviteError::Damaged));
        let later = BASE64URL_NOPAD.encode(&codec::encode(&(9u16, "of another shape")));
        assert_eq!(format!("{SCHEME}{later}").parse::<Invite>(), Err(InviteError::Version(9)));
        let misshapen = BASE64URL_NOPAD.encode(&codec::encode(&(VERSION, "of another shape")));
        assert_eq!(format!("{SCHEME}{misshapen}").parse::<Invite>(), Err(InviteError::Damaged));
    }

    #[test]
    fn a_character_that_was_changed_is_noticed() {
        let text = invite().to_string();
        for at in (SCHEME.len()..text.len()).step_by(7) {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let parsed = String::from_utf8(changed).unwrap().parse::<Invite>();
            assert!(matches!(parsed, Err(InviteError::Damaged | InviteError::Version(_))), "character {at}");
        }
    }

    #[test]
    fn an_invite_is_read_up_to_its_limit_and_not_beyond() {
        // Array head, version, and the head of a text of 256 bytes or more, in front of the text.
        let later = |bytes: usize| {
            let encoded = codec::encode(&(9u16, "x".repeat(bytes - 5)));
            assert_eq!(encoded.len(), bytes);
            BASE64URL_NOPAD.encode(&encoded)
        };
        let bytes = INVITE_CHARS / 4 * 3;
        let (largest, larger) = (later(bytes), later(bytes + 1));
        assert_eq!(largest.len(), INVITE_CHARS);
        assert_eq!(format!("{SCHEME}{largest}").parse::<Invite>(), Err(InviteError::Version(9)));
        assert_eq!(format!("{SCHEME}{larger}").parse::<Invite>(), Err(InviteError::Damaged));
    }

    #[test]
    fn a_secret_is_its_bytes() {
        let (secret, other) = (InviteSecret::generate(&mut rng(1)), InviteSecret::generate(&mut rng(2)));
        assert!(InviteSecret::from_bytes(secret.to_bytes()) == secret);
        assert!(secret != other);
    }

    #[test]
    fn a_proof_is_worth_something_in_one_session_only() {
        let secret = InviteSecret::generate(&mut rng(2));
        let (here, there) = (TranscriptHash([1; 32]), TranscriptHash([2; 32]));
        assert!(secret.verify(&here, &secret.prove(&here)));
        assert!(!secret.verify(&there, &secret.prove(&here)));
        assert!(!InviteSecret::generate(&mut rng(3)).verify(&here, &secret.prove(&here)));
    }
}
