//! Rows of the daemon's store.

use crate::{keystore::StoreKey, sealing::Sealer, taint::secret};

/// Stands in for the daemon's key file.
pub mod keystore {
    pub struct StoreKey(pub [u8; 32]);

    impl StoreKey {
        pub fn copy(&self) -> Self {
            Self(self.0)
        }

        pub fn expose(&self) -> &[u8; 32] {
            &self.0
        }
    }
}

pub fn row() {
    let mut key = StoreKey([7; 32]);
    secret(&mut key.0);
    let sealer = Sealer::new(&key, [1; 16]);
    let mut value = [9; 500];
    secret(&mut value);
    let sealed = sealer.seal("session", b"k", &value);
    assert!(sealer.open("session", b"k", &sealed).is_ok());
    assert!(sealer.open("session", b"l", &sealed).is_err());
}
