//! Prekeys: what a recipient leaves at its relay so that a session can start while it is away
//! (X3DH and PQXDH, section 3.2).
//!
//! Each public key is signed by its owner and lies at the relay sealed under the bundle key, which travels in tickets.
//! The relay would otherwise hold signatures against which it could test whose mailbox this is. Deliberately absent:
//! when to make, rotate and delete keys.

mod bundle;
mod entry;
mod secret;

pub use bundle::{Bundle, BundleError, BundleKey};
pub use hermes_wire::prekey::{PrekeyEntry, PrekeyId, PrekeyKind, SealedBundle};
pub use secret::PrekeySecret;

pub(crate) use entry::kind_code;
