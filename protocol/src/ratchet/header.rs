//! Message headers, and how they are sealed so that nobody can tell which messages belong to one chain.

use rand_core::CryptoRng;

use crate::{
    aead::{self, XNONCE_BYTES},
    curve::CurvePublic,
    envelope::VERSION,
    ratchet::SessionId,
    secret::HeaderKey,
};

/// Says where in the session a message stands. One variant per layout; a layout has one length, so that the sealed
/// header of a long chain is no longer than that of a young one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// A plain Diffie-Hellman turn.
    Plain(PlainHeader),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlainHeader {
    /// The sender's ratchet key.
    pub ratchet_key: CurvePublic,
    /// Messages in the sender's previous chain.
    pub previous: u32,
    /// The message's number in its chain.
    pub index: u32,
}

/// The first byte of a plain header.
const PLAIN: u8 = 1;
const PLAIN_BYTES: usize = 1 + 32 + 4 + 4;

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
    /// XChaCha20-Poly1305 ciphertext and tag.
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
        let Self::Plain(PlainHeader { ratchet_key, previous, index }) = self;
        let mut bytes = Vec::with_capacity(PLAIN_BYTES + aead::TAG_BYTES);
        bytes.push(PLAIN);
        bytes.extend_from_slice(&ratchet_key.0);
        bytes.extend_from_slice(&previous.to_be_bytes());
        bytes.extend_from_slice(&index.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&[PLAIN])?;
        let (ratchet_key, rest) = rest.split_first_chunk()?;
        let (previous, rest) = rest.split_first_chunk()?;
        let index = rest.try_into().ok()?;
        Some(Self::Plain(PlainHeader {
            ratchet_key: CurvePublic(*ratchet_key),
            previous: u32::from_be_bytes(*previous),
            index: u32::from_be_bytes(index),
        }))
    }
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
        let header =
            Header::Plain(PlainHeader { ratchet_key: CurvePublic([3; 32]), previous: 5, index: u32::MAX });
        let key = HeaderKey::new(&[1; 32]);
        let sealed = header.seal(&key, &SESSION, &mut rng(1));
        assert_eq!(sealed.open(&key, &SESSION), Ok(header));
        assert_eq!(sealed.open(&HeaderKey::new(&[2; 32]), &SESSION), Err(HeaderError::WrongKey));
        assert_eq!(sealed.open(&key, &SessionId([5; 16])), Err(HeaderError::WrongKey));
    }

    #[test]
    fn a_layout_from_the_future_is_told_from_a_wrong_key() {
        let key = HeaderKey::new(&[1; 32]);
        for text in [vec![], vec![2; PLAIN_BYTES], vec![PLAIN; PLAIN_BYTES - 1], vec![PLAIN; PLAIN_BYTES + 1]]
        {
            let (nonce, mut ciphertext) = ([0; XNONCE_BYTES], text);
            aead::seal_x(key.as_bytes(), &nonce, &associated(&SESSION), &mut ciphertext);
            assert_eq!(SealedHeader { nonce, ciphertext }.open(&key, &SESSION), Err(HeaderError::Unknown));
        }
    }
}
