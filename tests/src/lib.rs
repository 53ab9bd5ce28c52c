//! Whole-system tests: what they share.
//!
//! [`world`] runs the real programs; [`sim`] runs engines and the relay's rules in memory, under a seed. The tests
//! themselves stand in `tests/`.

pub mod sim;
pub mod world;
