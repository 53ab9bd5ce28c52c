//! Whole-system tests: what they share.
//!
//! [`world`] runs the real programs; [`sim`] runs engines and the relay's rules in memory, under a seed; [`net`] is a
//! network under the real QUIC whose packets meet with faults; [`duo`] is two engines with the network in the test's
//! hands, [`impostor`] somebody who writes in the place of one, [`passing`] what two engines say and nobody keeps,
//! [`remote`] an engine of a test at a real relay, [`scratch`] room for files, [`damage`] what a bad disk does to them,
//! [`soak`] a crowd for hours, [`stranger`] somebody who asks to be a contact.
//! The tests themselves stand in `tests/`.

pub mod damage;
pub mod duo;
pub mod impostor;
pub mod net;
pub mod passing;
pub mod remote;
pub mod scratch;
pub mod sim;
pub mod soak;
pub mod stranger;
mod way;
pub mod world;
