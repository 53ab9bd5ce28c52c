//! Symmetric keys as types: one cannot be handed in where another is meant, none can be printed, all are wiped.

/// Defines a 32-byte secret key. `Clone` is there because a ratchet step yields the next state beside the old one.
macro_rules! secret_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, ::zeroize::Zeroize, ::zeroize::ZeroizeOnDrop)]
        pub(crate) struct $name([u8; 32]);

        impl $name {
            pub(crate) fn new(bytes: &[u8; 32]) -> Self {
                Self(*bytes)
            }

            pub(crate) fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }
    };
}

secret_key!(
    /// Root key: absorbs every Diffie-Hellman output (Double Ratchet, section 2.3).
    RootKey
);
secret_key!(
    /// Chain key: yields message keys, one way (Double Ratchet, section 2.2).
    ChainKey
);
secret_key!(
    /// Header key: hides which chain and which message an envelope belongs to (Double Ratchet, section 4).
    HeaderKey
);
secret_key!(
    /// Message key: opens one message.
    MessageKey
);
secret_key!(
    /// Ephemeral key: seals what is answered to a chain outside of any chain, as often as one likes.
    EphemeralKey
);
