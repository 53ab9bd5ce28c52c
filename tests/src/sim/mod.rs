//! Engine-level simulation: real engines, the relay's real logic, stores in memory, and a network that is a seeded
//! queue.
//!
//! Faults: connections lost with whatever was under way, requests that reach the relay after their connection was
//! given up, answers that never arrive, repeated deliveries, processes that die before and after every commit, a relay
//! that dies between a commit and its answers. Everything follows from one seed, so a failure replays.

mod abroad;
mod breach;
mod check;
mod client;
mod crowd;
mod groups;
mod large;
mod relay;
mod store;
mod world;

pub use breach::{Breach, FalseWay, mls_rows};
pub use check::Violation;
pub use crowd::{Crowd, Death, RelayCopy};
pub use groups::{GroupPlan, PreparedGroup};
pub use large::{Large, run_large};
pub use store::{Doom, MemoryStore};
pub use world::{Plan, Report, run, run_with_relay_put_back};
