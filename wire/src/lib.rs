//! What daemon and relay say to each other: identifiers, addresses, CBOR frames, drop tokens, channels, refusals,
//! limits.
//!
//! Everything here is pure: bytes in, values out. There is no I/O, no clock and no random source, and
//! deliberately no key that opens a message: the relay links this crate and must not be able to name a ratchet.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod address;
pub mod blob;
pub mod channel;
pub mod claim;
pub mod codec;
pub mod drop;
pub mod frame;
pub mod id;
pub mod introduction;
pub mod limits;
pub mod mailbox;
pub mod prekey;
pub mod refusal;
pub mod time;
pub mod token;

pub use address::{AddressError, RelayAddress};
pub use blob::BlobId;
pub use channel::{ChannelId, PostId};
pub use claim::{Claim, ClaimNonce, MoveClaim, RunId, SignedClaim, StoreEpoch};
pub use codec::{DecodeError, decode, encode};
pub use id::{ContactId, DropKey, EnvelopeId, FetchId, InstanceId, MailboxId, RelayPin, Sequence};
pub use introduction::RelayName;
pub use refusal::{Advice, Refusal};
pub use time::Timestamp;

/// The protocol version both sides put into their first frame. There is no negotiation: another suite is another version.
pub const VERSION: u16 = 1;
