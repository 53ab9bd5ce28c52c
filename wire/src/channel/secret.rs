//! The 32-byte secrets of a channel. None can be printed or compared in a time that tells of it, and all are wiped.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteArray;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes the secret over.
            pub fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Draws a random one.
            pub fn random(rng: &mut (impl rand_core::CryptoRng + ?Sized)) -> Self {
                let mut bytes = [0; 32];
                rand_core::Rng::fill_bytes(rng, &mut bytes);
                Self(bytes)
            }

            /// The secret's bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl ConstantTimeEq for $name {
            fn ct_eq(&self, other: &Self) -> subtle::Choice {
                self.0.ct_eq(&other.0)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.ct_eq(other).into()
            }
        }

        impl Eq for $name {}

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                ByteArray::<32>::deserialize(deserializer).map(|bytes| Self(bytes.into_array()))
            }
        }
    };
}

secret!(
    /// Permission to post in one epoch of a channel. Members derive it; the relay keeps its SHA-256.
    PostToken
);
secret!(
    /// Opens and seals the roster of one epoch. Members derive it; the relay gets it with each post and keeps it nowhere.
    RosterKey
);
secret!(
    /// Encrypts what a member receives, and names it. The member draws it; the roster has it, and nothing else.
    CopyKey
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", CopyKey::new([7; 32])), "CopyKey(..)");
        assert_eq!(PostToken::new([7; 32]), PostToken::new([7; 32]));
        assert_ne!(PostToken::new([7; 32]), PostToken::new([8; 32]));
    }
}
