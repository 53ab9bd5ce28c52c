//! What an ML-KEM step puts between a message's header and its body, sealed under the header key: the recipient needs it
//! before it can know the body's keys.
//!
//! ```text
//! nonce      24 bytes
//! step        4 bytes, big-endian: the number of the step      (encrypted)
//! offer   1,184 bytes: an ML-KEM-768 encapsulation key, or     (encrypted)
//! answer  1,088 bytes: an ML-KEM-768 ciphertext                (encrypted)
//! tag        16 bytes: Poly1305
//! ```

use rand_core::CryptoRng;

use crate::{
    aead::{self, TAG_BYTES, XNONCE_BYTES},
    envelope::VERSION,
    kem::mlkem768::{CIPHERTEXT_BYTES, PUBLIC_BYTES},
    ratchet::{
        SessionId,
        header::{Follows, SealedHeader},
    },
    secret::HeaderKey,
};

/// Bytes of the step's number.
const STEP_BYTES: usize = 4;

/// One half of an exchange. Every message of a chain carries the same one, so that any of them can arrive first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KemPart {
    /// Counts the session's exchanges from 1; both sides agree on it.
    pub step: u32,
    pub half: Half,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// The encapsulation key, unchecked.
    Offer(Box<[u8; PUBLIC_BYTES]>),
    /// The ciphertext for the peer's key.
    Answer(Box<[u8; CIPHERTEXT_BYTES]>),
}

/// Sealed by somebody else, or cut short.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadKemPart;

impl Follows {
    /// Bytes between header and body.
    pub const fn sealed_bytes(self) -> usize {
        match self {
            Self::Body => 0,
            Self::Offer => XNONCE_BYTES + STEP_BYTES + PUBLIC_BYTES + TAG_BYTES,
            Self::Answer => XNONCE_BYTES + STEP_BYTES + CIPHERTEXT_BYTES + TAG_BYTES,
        }
    }
}

impl KemPart {
    /// What the header says of it.
    pub fn follows(&self) -> Follows {
        match self.half {
            Half::Offer(_) => Follows::Offer,
            Half::Answer(_) => Follows::Answer,
        }
    }

    /// The layout above, bound to the header that it stands behind.
    pub fn seal(
        &self,
        key: &HeaderKey,
        header: &SealedHeader,
        session: &SessionId,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Vec<u8> {
        let mut nonce = [0; XNONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let half: &[u8] = match &self.half {
            Half::Offer(key) => key.as_slice(),
            Half::Answer(ciphertext) => ciphertext.as_slice(),
        };
        let mut text = [&self.step.to_be_bytes(), half].concat();
        aead::seal_x(key.as_bytes(), &nonce, &associated(header, session), &mut text);
        [&nonce[..], &text].concat()
    }

    /// Opens what the header announced; `None` where it announced nothing.
    pub fn open(
        sealed: &[u8],
        follows: Follows,
        key: &HeaderKey,
        header: &SealedHeader,
        session: &SessionId,
    ) -> Result<Option<Self>, BadKemPart> {
        if follows == Follows::Body {
            return Ok(None);
        }
        let (nonce, ciphertext) = sealed.split_first_chunk().ok_or(BadKemPart)?;
        let mut text = ciphertext.to_vec();
        aead::open_x(key.as_bytes(), nonce, &associated(header, session), &mut text)
            .map_err(|_| BadKemPart)?;
        Self::decode(&text, follows).map(Some).ok_or(BadKemPart)
    }

    fn decode(text: &[u8], follows: Follows) -> Option<Self> {
        let (step, half) = text.split_first_chunk()?;
        let half = match follows {
            Follows::Body => return None,
            Follows::Offer => Half::Offer(Box::new(half.try_into().ok()?)),
            Follows::Answer => Half::Answer(Box::new(half.try_into().ok()?)),
        };
        Some(Self { step: u32::from_be_bytes(*step), half })
    }
}

/// version || session id || header nonce. Longer than what a header is bound to: neither opens as the other.
fn associated(header: &SealedHeader, session: &SessionId) -> Vec<u8> {
    [&[VERSION][..], session.as_bytes(), &header.nonce].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ratchet::header::SEALED_HEADER_BYTES, testing::rng};

    const SESSION: SessionId = SessionId([4; 16]);

    #[test]
    fn opens_behind_its_own_header_only() {
        let key = HeaderKey::new(&[1; 32]);
        let header = SealedHeader { nonce: [2; XNONCE_BYTES], ciphertext: vec![0; SEALED_HEADER_BYTES] };
        let other = SealedHeader { nonce: [3; XNONCE_BYTES], ..header.clone() };
        for half in [Half::Offer(Box::new([5; PUBLIC_BYTES])), Half::Answer(Box::new([6; CIPHERTEXT_BYTES]))]
        {
            let part = KemPart { step: 7, half };
            let sealed = part.seal(&key, &header, &SESSION, &mut rng(1));
            let follows = part.follows();
            assert_eq!(sealed.len(), follows.sealed_bytes());
            assert_eq!(KemPart::open(&sealed, follows, &key, &header, &SESSION), Ok(Some(part)));
            let wrong = HeaderKey::new(&[2; 32]);
            assert_eq!(KemPart::open(&sealed, follows, &wrong, &header, &SESSION), Err(BadKemPart));
            assert_eq!(KemPart::open(&sealed, follows, &key, &other, &SESSION), Err(BadKemPart));
            let elsewhere = SessionId([5; 16]);
            assert_eq!(KemPart::open(&sealed, follows, &key, &header, &elsewhere), Err(BadKemPart));
            let swapped = if follows == Follows::Offer { Follows::Answer } else { Follows::Offer };
            assert_eq!(KemPart::open(&sealed, swapped, &key, &header, &SESSION), Err(BadKemPart));
        }
    }
}
