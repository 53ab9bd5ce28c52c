//! Marks memory secret and public for memcheck.

use std::{convert::Infallible, ffi::c_void, hint::black_box, ptr};

use crabgrind::memcheck::{MemState, mark_mem};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng},
};

/// No branch and no address may depend on these bytes from here on.
pub fn secret<T: ?Sized>(value: &mut T) {
    let bytes = size_of_val(value);
    mark(ptr::from_mut(value).cast(), bytes, MemState::Undefined);
    black_box(value);
}

/// The bytes of this value, without what it points to, are known to everybody or decided by everybody: say why.
pub fn public<T: ?Sized>(value: &T) {
    let bytes = size_of_val(value);
    mark(ptr::from_ref(value).cast_mut().cast(), bytes, MemState::Defined);
    black_box(value);
}

fn mark(address: *mut c_void, bytes: usize, state: MemState) {
    // The answer is of no use: the C side cuts Valgrind's -1 to 32 bits. The controls show that marks are taken.
    let _ = mark_mem(address, bytes, state);
}

/// Randomness that is secret.
pub struct SecretRng(ChaCha20Rng);

impl SecretRng {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }
}

impl TryRng for SecretRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut value = self.0.next_u32();
        secret(&mut value);
        Ok(value)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut value = self.0.next_u64();
        secret(&mut value);
        Ok(value)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        secret(bytes);
        Ok(())
    }
}

impl TryCryptoRng for SecretRng {}
