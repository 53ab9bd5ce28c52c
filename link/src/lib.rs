//! QUIC and TLS exactly as daemon and relay use them: endpoints, certificates, pins, and frames over streams.
//!
//! Both sides share this room so that neither can drift: what one allows, the other expects. Deliberately absent are
//! certificate authorities and names (a relay is its pinned key, a mailbox is its key), 0-RTT (replayable), session
//! tickets and address tokens (each would let a relay join two drop connections of one sender), and everything about
//! messages, retries and storage.

pub mod client;
pub mod close;
pub mod credential;
pub mod frame;
pub mod limits;
pub mod server;
mod tls;
mod transport;

pub use quinn;
