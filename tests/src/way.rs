//! What two peers say to each other's mailboxes, taken out of what a link is given.

use hermes_engine::query::{Destination, Place};
use hermes_wire::{drop::ToDrop, token::SignedDropToken};

/// The token of a way to a contact.
pub(crate) fn permission(destination: &Destination) -> &SignedDropToken {
    match &destination.place {
        Place::Mailbox(_, token) => token,
        Place::Channel(_) => panic!("two peers have no group"),
    }
}

/// The envelope that a row carries.
pub(crate) fn body_of(frame: ToDrop) -> Vec<u8> {
    match frame {
        ToDrop::Deposit(deposit) => deposit.body.into_vec(),
        other => panic!("two peers deposit, and nothing else: {other:?}"),
    }
}
