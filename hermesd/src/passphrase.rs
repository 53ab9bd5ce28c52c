//! From a passphrase to a key: Argon2id (RFC 9106), and a box that only this key opens.
//!
//! The cost is written beside what it protects, so that later versions may raise it; what a file asks for is bounded,
//! for whoever writes such a file must not have our memory.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use hermes_api::Passphrase;
use hermes_engine::{
    aead::{self, TAG_BYTES, XNONCE_BYTES as NONCE_BYTES},
    limits::{ARGON2_LANES, ARGON2_MEMORY_KIB, ARGON2_PASSES},
};
use rand::Rng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{keystore::LockedKey, random::rng};

/// Bytes of a salt, as RFC 9106, section 3.1, recommends.
pub(crate) const SALT_BYTES: usize = 16;
/// Bytes of a derived key, and of a key in a box.
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes of a box: nonce, key, tag.
pub(crate) const BOX_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;

pub(crate) type Salt = [u8; SALT_BYTES];

/// What one guess costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cost {
    /// Memory, in KiB.
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
}

/// What a passphrase or a random secret does not open, or what would cost more than it may. Which of these it is, and
/// how far one came, is told to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it does not open")]
pub(crate) struct Closed;

impl Cost {
    /// The second of the two recommended options of RFC 9106, section 4: 64 MiB, 3 passes, 4 lanes. The first one wants
    /// 2 GiB, which small machines do not have.
    #[cfg(not(test))]
    pub(crate) const RECOMMENDED: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
    /// Tests have no secrets and little time.
    #[cfg(test)]
    pub(crate) const RECOMMENDED: Self = Self { memory_kib: 32, passes: 1, lanes: 1 };

    /// The key that `secret` gives.
    pub(crate) fn derive(self, secret: &Passphrase, salt: &Salt) -> Result<LockedKey, Closed> {
        if self.memory_kib > ARGON2_MEMORY_KIB || self.passes > ARGON2_PASSES || self.lanes > ARGON2_LANES {
            return Err(Closed);
        }
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY_BYTES)).map_err(|_| Closed)?;
        let mut memory = Zeroizing::new(vec![Block::default(); params.block_count()]);
        let mut key = LockedKey::zeroed();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(
                secret.expose().as_bytes(),
                salt,
                key.expose_mut(),
                memory.as_mut_slice(),
            )
            .map_err(|_| Closed)?;
        Ok(key)
    }
}

/// Draws a salt.
pub(crate) fn salt() -> Salt {
    let mut salt = Salt::default();
    rng().fill_bytes(&mut salt);
    salt
}

/// A secret with more entropy than anyone could guess, as text that can be typed.
pub(crate) fn random_secret() -> Passphrase {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    rng().fill_bytes(bytes.as_mut_slice());
    Passphrase::new(data_encoding::BASE32_NOPAD.encode(bytes.as_slice()))
}

/// Puts a key into a box: nonce, ciphertext, tag. `place` says what it is for.
pub(crate) fn put(under: &[u8; KEY_BYTES], key: &[u8; KEY_BYTES], place: &[u8]) -> [u8; BOX_BYTES] {
    let mut closed = [0; BOX_BYTES];
    let (nonce, rest) = closed.split_at_mut(NONCE_BYTES);
    let (body, tag) = rest.split_at_mut(KEY_BYTES);
    rng().fill_bytes(nonce);
    body.copy_from_slice(key);
    let nonce: &[u8; NONCE_BYTES] =
        (&*nonce).try_into().unwrap_or_else(|_| unreachable!("split at its length"));
    tag.copy_from_slice(&aead::seal_x_detached(under, nonce, place, body));
    closed
}

/// Takes a key out of its box.
pub(crate) fn take(
    under: &[u8; KEY_BYTES],
    closed: &[u8; BOX_BYTES],
    place: &[u8],
) -> Result<LockedKey, Closed> {
    let (nonce, rest) = closed.split_first_chunk::<NONCE_BYTES>().ok_or(Closed)?;
    let (body, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(Closed)?;
    let mut key = LockedKey::zeroed();
    key.expose_mut().copy_from_slice(body);
    aead::open_x_detached(under, nonce, place, key.expose_mut(), tag).map_err(|_| Closed)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Passphrase {
        Passphrase::new(text)
    }

    /// RFC 9106, section 5.3, has a secret and associated data, which nothing here takes; so this is from the tests of
    /// the reference implementation (phc-winner-argon2, test.c: version 19, Argon2id, t=2, m=2^16, p=1).
    #[test]
    fn the_key_is_the_one_of_the_reference_implementation() {
        let cost = Cost { memory_kib: 1 << 16, passes: 2, lanes: 1 };
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(KEY_BYTES)).unwrap();
        let mut key = [0; KEY_BYTES];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(b"password", b"somesalt", &mut key)
            .unwrap();
        assert_eq!(
            data_encoding::HEXLOWER.encode(&key),
            "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"
        );
    }

    #[test]
    fn only_the_same_secret_salt_and_cost_give_the_key() {
        let cost = Cost::RECOMMENDED;
        let derive = |cost: Cost, text, salt| *cost.derive(&secret(text), &[salt; 16]).unwrap().expose();
        let key = derive(cost, "a", 1);
        assert_eq!(derive(cost, "a", 1), key);
        assert_ne!(derive(cost, "b", 1), key);
        assert_ne!(derive(cost, "a", 2), key);
        assert_ne!(derive(Cost { passes: 2, ..cost }, "a", 1), key);
    }

    #[test]
    fn a_cost_without_end_is_refused_before_it_is_paid() {
        let cost = Cost::RECOMMENDED;
        for hostile in [
            Cost { memory_kib: u32::MAX, ..cost },
            Cost { passes: u32::MAX, ..cost },
            Cost { lanes: u32::MAX, ..cost },
            Cost { memory_kib: 0, ..cost },
            Cost { passes: 0, ..cost },
            Cost { lanes: 0, ..cost },
        ] {
            assert_eq!(hostile.derive(&secret("a"), &[1; 16]).err(), Some(Closed), "{hostile:?}");
        }
    }

    #[test]
    fn a_box_opens_with_its_key_at_its_place() {
        let closed = put(&[1; 32], &[2; 32], b"here");
        assert_eq!(take(&[1; 32], &closed, b"here").unwrap().expose(), &[2; 32]);
        assert!(take(&[3; 32], &closed, b"here").is_err() && take(&[1; 32], &closed, b"there").is_err());
        for at in 0..BOX_BYTES {
            let mut bad = closed;
            bad[at] ^= 1;
            assert!(take(&[1; 32], &bad, b"here").is_err());
        }
    }
}
