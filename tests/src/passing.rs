//! What two engines say to each other in passing, with the relay's part in the test's hands.

use hermes_engine::{Effect, LinkEvent, Store};
use hermes_wire::{drop::ToDrop, mailbox::Passing};

use crate::{duo::Peer, way::permission};
use hermes_engine::query;

/// What the last turn of `from` sent `to` in passing, as the relay of `to` hands it on.
pub fn said(from: &Peer<impl Store>, to: &Peer<impl Store>) -> Vec<Passing> {
    let owner = query::mailbox(&to.store).expect("memory");
    let said = from.effects.iter().filter_map(|effect| match effect {
        Effect::Ephemeral(ephemeral) => Some(ephemeral),
        _ => None,
    });
    said.map(|ephemeral| {
        let token = permission(&ephemeral.destination).verify(owner.mailbox, owner.drop_key);
        let ToDrop::Ephemeral(deposit) = &ephemeral.frame else { panic!("{:?}", ephemeral.frame) };
        Passing { contact: token.expect("its own token").contact, body: deposit.body.clone() }
    })
    .collect()
}

/// Hands it on; returns how many there were.
pub fn pass(from: &Peer<impl Store>, to: &mut Peer<impl Store>) -> usize {
    let said = said(from, to);
    let count = said.len();
    said.into_iter().for_each(|passing| to.link(LinkEvent::Ephemeral(passing)));
    count
}
