//! The relay: stores and forwards opaque envelopes, holds prekeys and blobs, and copies what is posted to channels, for
//! mailboxes whose owners come and go.
//!
//! [`Relay`] is the whole of its rules as a plain state machine over a [`Store`]: requests in, outcomes out, one
//! durable commit for each group of requests. [`serve`] puts QUIC around it. Deliberately absent: names, senders,
//! contact lists, and any key that opens a message (this crate cannot even name a ratchet).

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod acks;
pub mod admin;
pub mod backup;
pub mod blob;
pub mod certificate;
pub mod channel;
mod claim;
pub mod clock;
mod committer;
pub mod config;
mod connected;
mod deposit;
mod depositor;
mod draft;
pub mod entry;
pub mod fanout;
mod fresh;
pub mod limits;
mod metrics;
mod monitor;
mod owner;
mod places;
mod prekeys;
mod rate;
mod recent;
pub mod registration;
pub mod relay;
mod removal;
pub mod serve;
pub mod state;
pub mod store;
pub mod tokens;
mod turns;

pub use entry::Entry;
pub use limits::Limits;
pub use monitor::Monitor;
pub use relay::{Outcome, Policy, Registration, Relay, Request};
pub use store::{Store, StoreError};
