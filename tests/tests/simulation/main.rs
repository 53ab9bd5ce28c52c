//! Engines and the relay's rules under a seed, with faults all along.

mod group_size;
mod groups;
mod pairs;
