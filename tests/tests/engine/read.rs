//! Read receipts: a little later, several in one, and not at all when they are not wanted.

use std::time::Duration;

use hermes_engine::{
    Command, Effect, Event, Input, MessageState, Privacy, ReadReceipts,
    limits::{READ_RECEIPT_LEAST, READ_RECEIPT_MOST},
    query::{self, MessageDirection},
};
use hermes_tests::duo::{Peer, carry, paired, settle};
use hermes_wire::Timestamp;

/// Alice has sent bob so many messages, and knows that they are there.
fn sent(count: usize) -> (Peer, Peer) {
    let (mut alice, mut bob) = paired();
    for number in 0..count {
        alice.send("bob", &format!("message {number}")).unwrap();
    }
    settle(&mut alice, &mut bob);
    (alice, bob)
}

fn read(peer: &mut Peer, numbers: impl IntoIterator<Item = usize>) {
    let references = numbers.into_iter().map(|number| format!("alice#{number}").parse().unwrap());
    peer.command(Command::MarkRead(references.collect())).unwrap();
}

/// When the last turn wants to be told of the time.
fn due(peer: &Peer) -> Option<Timestamp> {
    let due = |effect: &Effect| match effect {
        Effect::Due(at) => Some(*at),
        _ => None,
    };
    peer.effects.iter().filter_map(due).min()
}

fn states(peer: &Peer) -> Vec<MessageState> {
    let log = query::log(&peer.store, "bob", None, usize::MAX).unwrap().unwrap();
    let state = |message: query::MessageView| match message.direction {
        MessageDirection::Sent(state) => Some(state),
        _ => None,
    };
    log.into_iter().filter_map(state).collect()
}

#[test]
fn authors_hear_of_reading_once_and_later() {
    let (mut alice, mut bob) = sent(3);
    read(&mut bob, [1]);
    let at = due(&bob).expect("a time");
    let wait = at.since(bob.now);
    assert!((READ_RECEIPT_LEAST..=READ_RECEIPT_MOST).contains(&wait), "{wait:?}");
    bob.now = bob.now.after(Duration::from_secs(1));
    read(&mut bob, [1, 2, 3]);
    assert_eq!(due(&bob), Some(at), "what is read meanwhile goes with it");
    bob.turn(Input::Due);
    assert_eq!((bob.summary().outbox, due(&bob)), (0, Some(at)), "not yet");

    bob.restart();
    bob.turn(Input::Due);
    assert_eq!(due(&bob), Some(at), "a restart forgets nothing");
    bob.now = at;
    bob.turn(Input::Due);
    assert_eq!((bob.summary().outbox, due(&bob)), (1, None), "one receipt for all");
    assert_eq!(states(&alice), [MessageState::Delivered, MessageState::Delivered, MessageState::Delivered]);
    carry(&mut bob, &mut alice);
    let read = |event: &Event| matches!(event, Event::State { state: MessageState::Read, .. });
    assert_eq!(alice.events().iter().filter(|event| read(event)).count(), 3);
    assert_eq!(states(&alice), [MessageState::Read, MessageState::Read, MessageState::Read]);
    bob.now = bob.now.after(Duration::from_secs(3_600));
    bob.turn(Input::Tick);
    assert_eq!(bob.summary().outbox, 0, "nothing is said twice");
}

#[test]
fn the_time_is_drawn_and_not_a_constant() {
    let waits: Vec<_> = (1..=5)
        .map(|number| {
            let (_, mut bob) = sent(1);
            bob.turn(Input::Tick);
            // Another state of the generator.
            (0..number).for_each(|_| drop(bob.invite()));
            read(&mut bob, [1]);
            due(&bob).unwrap().since(bob.now)
        })
        .collect();
    assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
}

#[test]
fn nothing_is_said_by_those_who_keep_it_to_themselves() {
    let (mut alice, mut bob) = sent(2);
    read(&mut bob, [1]);
    bob.obey(Privacy { read_receipts: ReadReceipts::Withheld, ..Privacy::default() });
    read(&mut bob, [2]);
    bob.now = bob.now.after(READ_RECEIPT_MOST);
    bob.turn(Input::Due);
    assert_eq!(bob.summary().outbox, 0, "also not of what was read before");
    settle(&mut alice, &mut bob);
    assert_eq!(states(&alice), [MessageState::Delivered, MessageState::Delivered]);
}

#[test]
fn reading_outweighs_a_delivery_receipt_that_comes_later() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "hi").unwrap();
    carry(&mut alice, &mut bob);
    read(&mut bob, [1]);
    bob.now = bob.now.after(READ_RECEIPT_MOST);
    bob.turn(Input::Due);
    let mut receipts = bob.flying(&alice);
    receipts.reverse();
    hermes_tests::duo::deliver(&mut bob, &mut alice, receipts);
    assert_eq!(states(&alice), [MessageState::Read]);
}
