//! The protocol from outside: what a caller can do with it, and what a peer can do to it.

#[path = "../model/mod.rs"]
mod model;

use model::support;

mod decoders;
mod ephemeral;
mod frozen;
mod groups;
mod handshake;
mod known_answers;
mod ratchet;
mod retired;
mod sessions;
