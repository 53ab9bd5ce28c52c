//! Models of the two agreements that everything else rests on, small enough that every state can be visited
//! (stateright.rs): who has a message when somebody dies, and which commit of a channel comes next.
//!
//! Each model can be broken in named ways, one for each rule that it is about; the checker has to find each of them. What a
//! model leaves out stands at its head. That the code does what the models say is not proven here: the simulations and the
//! tests of the real programs look for that.

pub mod channel;
pub mod delivery;
