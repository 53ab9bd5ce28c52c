//! Groups: Hermes beside OpenMLS and mls-rs, both as they come, without what Hermes puts around them or does instead.
//!
//! [`member`] says what a member can do; [`hermes`], [`openmls`] and [`mls_rs`] do it, all with X-Wing ([`xwing`] for
//! the latter, which has none). [`grow`] makes groups, [`messages`] and [`membership`] measure in them, [`removal`] draws
//! the cost of a removal over the size of the group, [`report`] prints.

pub mod grow;
pub mod hermes;
pub mod member;
pub mod membership;
pub mod messages;
pub mod mls_rs;
pub mod openmls;
pub mod removal;
pub mod report;
pub mod xwing;
