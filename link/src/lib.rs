//! QUIC and TLS exactly as daemon and relay use them: endpoints, certificates, pins, and frames over streams.
//!
//! Both sides share this room so that neither can drift: what one allows, the other expects. Authorities and names count
//! in [`introduction`] only, which ends with a pin: a relay is its pinned key, a mailbox is its key. Deliberately absent are 0-RTT (replayable), session
//! tickets and address tokens (each would let a relay join two drop connections of one sender), and everything about
//! messages, retries and storage.

pub mod certificate;
pub mod client;
pub mod close;
pub mod credential;
pub mod frame;
pub mod introduction;
pub mod limits;
pub mod server;
mod tls;
mod transport;

pub use quinn;
