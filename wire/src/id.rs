//! Identifiers. Each is its own type, so that one cannot be handed in where another is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines a fixed-size identifier: CBOR byte string on the wire, lower-case hex for people.
#[macro_export]
macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// The identifier's bytes.
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Draws a random identifier.
            #[allow(dead_code, reason = "some identifiers are derived instead")]
            pub fn random(rng: &mut (impl ::rand_core::CryptoRng + ?Sized)) -> Self {
                let mut bytes = [0; $len];
                ::rand_core::Rng::fill_bytes(rng, &mut bytes);
                Self(bytes)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                ::serde_bytes::ByteArray::<$len>::deserialize(deserializer).map(|bytes| Self(bytes.into_array()))
            }
        }
    };
}

byte_id!(
    /// A mailbox: the Ed25519 public key whose holder may read it. Also the subject key of the TLS client certificate.
    MailboxId, 32
);
byte_id!(
    /// The Ed25519 public key that signs a mailbox's drop tokens.
    DropKey, 32
);
byte_id!(
    /// SHA-256 of a relay's SubjectPublicKeyInfo: what a relay address pins.
    RelayPin, 32
);
byte_id!(
    /// One stored message as the relay sees it, chosen at random by the depositor; repeats of it are one deposit.
    EnvelopeId, 16
);
byte_id!(
    /// A pseudonym that a mailbox gives to one depositor; known to the relay, linked to nothing else.
    ContactId, 16
);
byte_id!(
    /// One fetch of a prekey bundle; a repeat returns the same bundle.
    FetchId, 16
);
byte_id!(
    /// One installation of a daemon: drawn once with its store.
    InstanceId, 16
);

/// Position of an envelope in its mailbox: starts at 1, gapless at assignment, in commit order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
