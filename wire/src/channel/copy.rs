//! What a member receives of a channel: an envelope in its mailbox, under the contact id of its roster token.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{ChannelId, CopyKey, PostId, RosterHash, SealNonce, seal};
use crate::{
    codec,
    id::{EnvelopeId, MailboxId, Sequence},
    limits::ENVELOPE_BYTES,
};

/// Keeps the names of copies from being any other MAC.
const ID_DOMAIN: &[u8] = b"Hermes/1 copy";

/// One entry of a channel's history as one member gets it. Sequences of a channel start at 1 and have no gaps: a gap
/// between two copies is something that was posted and did not fit into the mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Copy {
    /// Someone posted.
    Message {
        /// Where.
        channel: ChannelId,
        /// Position in the channel.
        sequence: Sequence,
        /// In which epoch.
        epoch: u64,
        /// The sender's choice: the sender gets a copy too, and knows it by this.
        post: PostId,
        /// As it was posted.
        body: ByteBuf,
    },
    /// Someone ended the epoch.
    Commit {
        /// Where.
        channel: ChannelId,
        /// Position in the channel.
        sequence: Sequence,
        /// The epoch that is over.
        epoch: u64,
        /// The sender's choice.
        post: PostId,
        /// The roster of the next epoch, as the relay has it.
        roster: RosterHash,
        /// As it was posted.
        body: ByteBuf,
    },
    /// There was no room for what was posted. What comes next may be missing as well; the sequences tell.
    Missed {
        /// Where.
        channel: ChannelId,
        /// Position in the channel of the first that did not fit.
        sequence: Sequence,
    },
}

/// A copy's encoding, which is the same for every member.
pub struct CopyText {
    channel: ChannelId,
    sequence: Sequence,
    text: Zeroizing<Vec<u8>>,
}

/// An envelope that is no copy under this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// Not made under this key for this mailbox, or damaged.
    #[error("not a copy for this member")]
    Forged,
    /// The relay, or whoever has the key, made it and broke the format.
    #[error("malformed copy")]
    Malformed,
}

impl Copy {
    /// Where it belongs.
    pub fn channel(&self) -> ChannelId {
        match self {
            Self::Message { channel, .. } | Self::Commit { channel, .. } | Self::Missed { channel, .. } => {
                *channel
            }
        }
    }

    /// Its position in the channel.
    pub fn sequence(&self) -> Sequence {
        match self {
            Self::Message { sequence, .. }
            | Self::Commit { sequence, .. }
            | Self::Missed { sequence, .. } => *sequence,
        }
    }

    /// Encodes it, once for all members.
    pub fn text(&self) -> CopyText {
        let text = Zeroizing::new(codec::encode(self));
        CopyText { channel: self.channel(), sequence: self.sequence(), text }
    }

    /// The copy in an envelope's body.
    pub fn open(body: &[u8], key: &CopyKey, mailbox: MailboxId) -> Result<Self, CopyError> {
        let text = seal::open(key.as_bytes(), mailbox.as_bytes(), body).ok_or(CopyError::Forged)?;
        codec::decode(&text, ENVELOPE_BYTES).map_err(|_| CopyError::Malformed)
    }
}

impl CopyText {
    /// The body of one member's envelope: nonce ‖ XChaCha20-Poly1305(key, encoded copy, AD = mailbox).
    pub fn seal(&self, key: &CopyKey, mailbox: MailboxId, nonce: &SealNonce) -> Vec<u8> {
        seal::seal(key.as_bytes(), nonce, mailbox.as_bytes(), &self.text)
    }

    /// The id of one member's envelope: the first 16 bytes of
    /// HMAC-SHA256(key, "Hermes/1 copy" ‖ channel ‖ sequence as 8 bytes, big-endian).
    pub fn envelope(&self, key: &CopyKey) -> EnvelopeId {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104, section 2)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of 32 bytes");
        mac.update(ID_DOMAIN);
        mac.update(&self.channel.0);
        mac.update(&self.sequence.0.to_be_bytes());
        let mut id = [0; 16];
        id.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
        EnvelopeId(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::POST_BYTES;

    fn message() -> Copy {
        Copy::Message {
            channel: ChannelId([1; 32]),
            sequence: Sequence(u64::MAX),
            epoch: u64::MAX,
            post: PostId([2; 16]),
            body: ByteBuf::from(vec![3; POST_BYTES]),
        }
    }

    #[test]
    fn opens_for_its_member_only() {
        let (key, mailbox) = (CopyKey::new([4; 32]), MailboxId([5; 32]));
        let body = message().text().seal(&key, mailbox, &[6; 24]);
        assert_eq!(Copy::open(&body, &key, mailbox), Ok(message()));
        assert_eq!(Copy::open(&body, &CopyKey::new([5; 32]), mailbox), Err(CopyError::Forged));
        assert_eq!(Copy::open(&body, &key, MailboxId([6; 32])), Err(CopyError::Forged));
        assert_eq!(Copy::open(&body[1..], &key, mailbox), Err(CopyError::Forged));
        assert_eq!(Copy::open(&[], &key, mailbox), Err(CopyError::Forged));
        let nothing = seal::seal(key.as_bytes(), &[0; 24], mailbox.as_bytes(), b"nothing");
        assert_eq!(Copy::open(&nothing, &key, mailbox), Err(CopyError::Malformed));
        assert!(body.len() <= ENVELOPE_BYTES);
    }

    #[test]
    fn an_envelope_is_named_by_key_channel_and_sequence() {
        let key = CopyKey::new([4; 32]);
        let missed = |channel: u8, sequence| Copy::Missed {
            channel: ChannelId([channel; 32]),
            sequence: Sequence(sequence),
        };
        let id = |copy: Copy, key: &CopyKey| copy.text().envelope(key);
        // Computed independently: hmac.digest(bytes([4]) * 32, b"Hermes/1 copy" + bytes([1]) * 32 + bytes(7) + b"\x09",
        // "sha256")[:16].hex()
        assert_eq!(id(missed(1, 9), &key).to_string(), "fa53ec5b8f78330138117696c3a4e835");
        assert_ne!(id(missed(1, 9), &key), id(missed(1, 8), &key));
        assert_ne!(id(missed(1, 9), &key), id(missed(2, 9), &key));
        assert_ne!(id(missed(1, 9), &key), id(missed(1, 9), &CopyKey::new([5; 32])));
    }
}
