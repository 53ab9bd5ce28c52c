//! Two parties with several sessions on a bad network, beside a reference model that says of each delivery what has to
//! come of it. A property test and a fuzz target drive it, each with actions from its own source.
//!
//! [`reference`] is the model: the ratchet with chains as names, without any cryptography. [`world`] is the real thing,
//! compared with it at every step. [`action`] is what can happen.

pub mod action;
mod reference;
#[path = "../support/mod.rs"]
pub mod support;
pub mod world;

/// One of the two parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    Alice,
    Bob,
}

impl Who {
    pub const BOTH: [Self; 2] = [Self::Alice, Self::Bob];

    pub fn other(self) -> Self {
        match self {
            Self::Alice => Self::Bob,
            Self::Bob => Self::Alice,
        }
    }
}

/// A session, on both sides: who initiated it, and which of their initiations it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub initiator: Who,
    pub number: usize,
}
