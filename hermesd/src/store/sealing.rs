//! Sealing of rows: XChaCha20-Poly1305 under the store key, each value bound to its place.

use hermes_engine::{
    Value,
    aead::{self, TAG_BYTES, XNONCE_BYTES as NONCE_BYTES},
};
use rand::Rng;

use crate::{keystore::StoreKey, random::rng};

/// Keeps a sealed row from meaning anything elsewhere.
const DOMAIN: &[u8] = b"Hermes/1 store row";

/// Drawn with a store; a row of one store means nothing in another, even under the same key.
pub(crate) type Epoch = [u8; 16];

/// A sealed value that is not what was sealed at this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forged;

/// Seals and opens the rows of one store.
pub(crate) struct Sealer {
    key: StoreKey,
    epoch: Epoch,
}

impl Sealer {
    pub(crate) fn new(key: &StoreKey, epoch: Epoch) -> Self {
        Self { key: key.copy(), epoch }
    }

    /// Nonce, ciphertext, tag.
    pub(crate) fn seal(&self, table: &str, key: &[u8], value: &[u8]) -> Vec<u8> {
        // Random ones of 24 bytes never repeat, so that no counter has to survive a crash or a restored copy.
        let mut nonce = [0; NONCE_BYTES];
        rng().fill_bytes(&mut nonce);
        // Reserved at once: growing would leave a copy of the plaintext behind in freed memory.
        let mut sealed = Vec::with_capacity(NONCE_BYTES + value.len() + TAG_BYTES);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(value);
        let (_, body) = sealed.split_at_mut(NONCE_BYTES);
        let tag = aead::seal_x_detached(self.key.expose(), &nonce, &self.place(table, key), body);
        sealed.extend_from_slice(&tag);
        sealed
    }

    pub(crate) fn open(&self, table: &str, key: &[u8], sealed: &[u8]) -> Result<Value, Forged> {
        let mut value = Value::default();
        self.open_into(table, key, sealed, &mut value)?;
        Ok(value)
    }

    /// The same, in the memory of another value, which ends with this.
    pub(crate) fn open_into(
        &self,
        table: &str,
        key: &[u8],
        sealed: &[u8],
        value: &mut Value,
    ) -> Result<(), Forged> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(Forged)?;
        let (body, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(Forged)?;
        value.clear();
        if value.capacity() < body.len() {
            // Growing would leave a copy of what was there behind in freed memory.
            *value = Value::new(Vec::with_capacity(body.len()));
        }
        value.extend_from_slice(body);
        // What the cipher makes of the key is for this row, and wiped behind it: only the key itself stays, where it is locked.
        aead::open_x_detached(self.key.expose(), nonce, &self.place(table, key), value.as_mut_slice(), tag)
            .map_err(|_| Forged)
    }

    /// Where a row stands. The name's length in front keeps a table and key from passing for another pair.
    fn place(&self, table: &str, key: &[u8]) -> Vec<u8> {
        let length = u32::try_from(table.len()).unwrap_or(u32::MAX).to_be_bytes();
        [DOMAIN, &self.epoch, &length, table.as_bytes(), key].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_what_was_sealed_there() {
        let key = StoreKey::generate();
        let sealer = Sealer::new(&key, [1; 16]);
        let sealed = sealer.seal("contact", b"k", b"value");
        assert_eq!(sealer.open("contact", b"k", &sealed).unwrap().as_slice(), b"value");
        assert_ne!(sealed, sealer.seal("contact", b"k", b"value"));
        assert_eq!(sealer.open("contact", b"l", &sealed), Err(Forged));
        assert_eq!(sealer.open("contac", b"tk", &sealed), Err(Forged));
        assert_eq!(Sealer::new(&key, [2; 16]).open("contact", b"k", &sealed), Err(Forged));
        assert_eq!(Sealer::new(&StoreKey::generate(), [1; 16]).open("contact", b"k", &sealed), Err(Forged));
        for cut in 0..sealed.len() {
            assert_eq!(sealer.open("contact", b"k", &sealed[..cut]), Err(Forged));
        }
    }
}
