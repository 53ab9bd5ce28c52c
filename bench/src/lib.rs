//! Hermes beside others: the same work on all sides, in one run, as ratios. Pairs beside Olm (vodozemac), and in [`group`]
//! groups beside OpenMLS and mls-rs.
//!
//! Of pairs, [`side`] says what both sides can do, [`hermes`] and [`olm`] do it, [`work`] is what is measured, [`sizes`] what is
//! counted, [`clock`] which time it is. The bench `pairwise` measures with criterion, both sides in turn, and prints what
//! [`report`] makes of it.
//! Deliberately absent: a judgement in a test, because the speed of a machine is no property of the code.

pub mod clock;
pub mod group;
pub mod hermes;
pub mod locks;
pub mod olm;
pub mod report;
pub mod side;
pub mod sizes;
pub mod work;
