//! Message headers, and how they are sealed so that nobody can tell which messages belong to one chain.

use rand_core::CryptoRng;

use crate::{
    aead::{self, XNONCE_BYTES},
    curve::CurvePublic,
    envelope::VERSION,
    ratchet::SessionId,
    secret::HeaderKey,
};

/// Says where in the session a message stands, and what follows the header. Of one length whatever it says, so that
/// neither the turns nor the ML-KEM steps of a session show in a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// What stands between header and body.
    pub follows: Follows,
    /// The sender's ratchet key.
    pub ratchet_key: CurvePublic,
    /// Messages in the sender's previous chain.
    pub previous: u32,
    /// The message's number in its chain.
    pub index: u32,
}

/// What stands between header and body: the header's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// The body.
    Body = 1,
    /// An encapsulation key, then the body.
    Offer = 2,
    /// A ciphertext, then the body.
    Answer = 3,
}

/// Bytes of a header: kind, ratchet key, two numbers.
const HEADER_BYTES: usize = 1 + 32 + 4 + 4;
/// Bytes of a header's ciphertext and tag.
pub(super) const SEALED_HEADER_BYTES: usize = HEADER_BYTES + aead::TAG_BYTES;

/// Why a header does not open.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// Sealed under another key.
    WrongKey,
    /// The peer sealed a layout that this version does not know.
    Unknown,
}

/// A header as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SealedHeader {
    pub nonce: [u8; XNONCE_BYTES],
    /// XChaCha20-Poly1305 ciphertext and tag, [`SEALED_HEADER_BYTES`] of them.
    pub ciphertext: Vec<u8>,
}

impl Header {
    pub fn seal(
        &self,
        key: &HeaderKey,
        session: &SessionId,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> SealedHeader {
        let mut nonce = [0; XNONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let mut ciphertext = self.encode();
        aead::seal_x(key.as_bytes(), &nonce, &associated(session), &mut ciphertext);
        SealedHeader { nonce, ciphertext }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEALED_HEADER_BYTES);
        bytes.push(self.follows as u8);
        bytes.extend_from_slice(&self.ratchet_key.0);
        bytes.extend_from_slice(&self.previous.to_be_bytes());
        bytes.extend_from_slice(&self.index.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let ([follows], rest) = bytes.split_first_chunk()?;
        let (ratchet_key, rest) = rest.split_first_chunk()?;
        let (previous, rest) = rest.split_first_chunk()?;
        let index = rest.try_into().ok()?;
        Some(Self {
            follows: Follows::ALL.into_iter().find(|known| *known as u8 == *follows)?,
            ratchet_key: CurvePublic(*ratchet_key),
            previous: u32::from_be_bytes(*previous),
            index: u32::from_be_bytes(index),
        })
    }
}

impl Follows {
    const ALL: [Self; 3] = [Self::Body, Self::Offer, Self::Answer];
}

impl SealedHeader {
    pub fn open(&self, key: &HeaderKey, session: &SessionId) -> Result<Header, HeaderError> {
        let mut text = self.ciphertext.clone();
        aead::open_x(key.as_bytes(), &self.nonce, &associated(session), &mut text)
            .map_err(|_| HeaderError::WrongKey)?;
        Header::decode(&text).ok_or(HeaderError::Unknown)
    }
}

/// version || session id.
fn associated(session: &SessionId) -> [u8; 17] {
    let mut bytes = [VERSION; 17];
    for (to, from) in bytes.iter_mut().skip(1).zip(session.as_bytes()) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    const SESSION: SessionId = SessionId([4; 16]);

    #[test]
    fn opens_under_its_own_key_and_session_only() {
        let header = Header {
            follows: Follows::Offer,
            ratchet_key: CurvePublic([3; 32]),
            previous: 5,
            index: u32::MAX,
        };
        let key = HeaderKey::new(&[1; 32]);
        let sealed = header.seal(&key, &SESSION, &mut rng(1));
        assert_eq!(sealed.open(&key, &SESSION), Ok(header));
        assert_eq!(sealed.open(&HeaderKey::new(&[2; 32]), &SESSION), Err(HeaderError::WrongKey));
        assert_eq!(sealed.open(&key, &SessionId([5; 16])), Err(HeaderError::WrongKey));
    }

    #[test]
    fn a_layout_from_the_future_is_told_from_a_wrong_key() {
        let key = HeaderKey::new(&[1; 32]);
        let known = Follows::Body as u8;
        for text in
            [vec![], vec![4; HEADER_BYTES], vec![known; HEADER_BYTES - 1], vec![known; HEADER_BYTES + 1]]
        {
            let (nonce, mut ciphertext) = ([0; XNONCE_BYTES], text);
            aead::seal_x(key.as_bytes(), &nonce, &associated(&SESSION), &mut ciphertext);
            assert_eq!(SealedHeader { nonce, ciphertext }.open(&key, &SESSION), Err(HeaderError::Unknown));
        }
    }
}
