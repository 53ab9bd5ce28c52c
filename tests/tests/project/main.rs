//! What the repository promises of itself: its shape, and the bytes that have to stay readable.

mod architecture;
mod corpus;
#[path = "../../../fuzz/src/lib.rs"]
mod targets;
mod vectors;
