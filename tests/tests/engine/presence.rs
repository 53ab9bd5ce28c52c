//! Who is there: told in passing, to those who may know, and believed for a while.

use std::time::Duration;

use hermes_engine::{
    Audience, Command, CommandError, Effect, Event, LinkEvent, PresenceDue, Privacy, Reply,
    limits::{EPHEMERAL_AGE, PONGS, PRESENCE_ACQUAINTED, PRESENCE_HEARD, PRESENCE_LEAST},
    query::{self, SessionHealth},
};
use hermes_tests::{
    duo::{Peer, carry, greet, paired},
    passing::{pass, said},
};
use hermes_wire::{Timestamp, mailbox::Passing};

fn due(peer: &mut Peer, due: PresenceDue) {
    peer.link(LinkEvent::PresenceDue(due));
}

/// Whether the last turn told that the contact is there, or not.
fn told(peer: &Peer) -> Vec<bool> {
    let here = |event| match event {
        Event::Presence { here, .. } => Some(here),
        _ => None,
    };
    peer.events().into_iter().filter_map(here).collect()
}

fn later(alice: &mut Peer, bob: &mut Peer, by: Duration) {
    for peer in [alice, bob] {
        peer.now = peer.now.after(by);
    }
}

/// Paired a while ago: nothing that was said then counts as heard just now.
fn acquainted() -> (Peer, Peer) {
    let (mut alice, mut bob) = paired();
    later(&mut alice, &mut bob, PRESENCE_HEARD * 2);
    (alice, bob)
}

#[test]
fn who_connects_is_told_who_is_there() {
    let (mut alice, mut bob) = acquainted();
    let before = (alice.summary().outbox, alice.active_session("bob"));
    due(&mut alice, PresenceDue::Connected);
    assert_eq!(pass(&alice, &mut bob), 1);
    assert_eq!(told(&bob), [true]);
    assert_eq!(pass(&bob, &mut alice), 1, "who is there answers");
    assert_eq!((told(&alice), said(&alice, &bob).len()), (vec![true], 0), "and that is the end of it");
    assert_eq!((alice.summary().outbox, alice.active_session("bob")), before, "nothing is kept");

    later(&mut alice, &mut bob, Duration::from_secs(60));
    due(&mut alice, PresenceDue::Beat);
    assert_eq!((pass(&alice, &mut bob), told(&bob)), (1, vec![true]));
    due(&mut alice, PresenceDue::Leaving);
    assert_eq!((pass(&alice, &mut bob), told(&bob)), (1, vec![false]));
    due(&mut bob, PresenceDue::Beat);
    assert_eq!(said(&bob, &alice).len(), 0, "nobody talks to who has gone");
}

#[test]
fn nobody_is_told_twice_within_ten_seconds_nor_when_silent_for_long() {
    let (mut alice, mut bob) = acquainted();
    due(&mut alice, PresenceDue::Beat);
    assert_eq!(said(&alice, &bob).len(), 0, "bob was not heard lately");
    due(&mut bob, PresenceDue::Connected);
    pass(&bob, &mut alice);
    assert_eq!(said(&alice, &bob).len(), 1);
    for _ in 0..3 {
        due(&mut alice, PresenceDue::Beat);
        assert_eq!(said(&alice, &bob).len(), 0, "told a moment ago");
    }
    later(&mut alice, &mut bob, PRESENCE_LEAST);
    due(&mut alice, PresenceDue::Beat);
    assert_eq!(said(&alice, &bob).len(), 1);
    later(&mut alice, &mut bob, PRESENCE_HEARD);
    due(&mut alice, PresenceDue::Beat);
    assert_eq!(said(&alice, &bob).len(), 0, "bob says nothing any more");
}

#[test]
fn a_contact_of_long_ago_is_not_told_of_a_connection() {
    let (mut alice, mut bob) = paired();
    later(&mut alice, &mut bob, PRESENCE_ACQUAINTED + Duration::from_secs(61));
    due(&mut alice, PresenceDue::Connected);
    assert_eq!(said(&alice, &bob).len(), 0);
    bob.send("alice", "long time no see").unwrap();
    carry(&mut bob, &mut alice);
    due(&mut alice, PresenceDue::Connected);
    assert_eq!(said(&alice, &bob).len(), 1);
}

#[test]
fn nobody_hears_of_an_account_that_tells_nobody() {
    let (mut alice, mut bob) = acquainted();
    alice.obey(Privacy { presence: Audience::Nobody, ..Privacy::default() });
    for word in [PresenceDue::Connected, PresenceDue::Beat, PresenceDue::Leaving] {
        due(&mut alice, word);
        assert_eq!(said(&alice, &bob).len(), 0);
    }
    due(&mut bob, PresenceDue::Connected);
    pass(&bob, &mut alice);
    assert_eq!((told(&alice), said(&alice, &bob).len()), (vec![true], 0), "it hears, and does not answer");
    bob.command(Command::Ping("alice".into())).unwrap();
    assert_eq!(pass(&bob, &mut alice), 1);
    assert_eq!(said(&alice, &bob).len(), 0);
}

#[test]
fn a_copy_of_what_was_said_once_says_nothing() {
    let (mut alice, mut bob) = acquainted();
    due(&mut alice, PresenceDue::Connected);
    let old = said(&alice, &bob);
    pass(&alice, &mut bob);
    later(&mut alice, &mut bob, PRESENCE_LEAST);
    due(&mut alice, PresenceDue::Leaving);
    pass(&alice, &mut bob);
    bob.link(LinkEvent::Ephemeral(old[0].clone()));
    assert_eq!(told(&bob), [] as [bool; 0], "alice has gone since");
    bob.restart();
    bob.now = old_age(bob.now);
    bob.link(LinkEvent::Ephemeral(old[0].clone()));
    assert_eq!(told(&bob), [] as [bool; 0], "it is too old");
}

fn is_ephemeral(effect: &Effect) -> bool {
    matches!(effect, Effect::Ephemeral(_))
}

fn old_age(now: Timestamp) -> Timestamp {
    now.after(EPHEMERAL_AGE)
}

#[test]
fn garbage_and_strangers_are_passed_over() {
    let (mut alice, mut bob) = acquainted();
    due(&mut alice, PresenceDue::Connected);
    let word = said(&alice, &bob).remove(0);
    let mut forged = word.clone();
    forged.body[100] ^= 1;
    let mut stranger = word.clone();
    stranger.contact.0[0] ^= 1;
    let ordinary = Passing { body: vec![1, 2, 3].into(), ..word };
    for passing in [forged, stranger, ordinary] {
        bob.link(LinkEvent::Ephemeral(passing));
        assert!(bob.effects.is_empty(), "{:?}", bob.effects);
    }
    assert_eq!(bob.summary().unreadable, 0);
}

#[test]
fn a_ping_is_answered_at_once_and_costs_nothing() {
    let (mut alice, mut bob) = acquainted();
    let Ok(Reply::Pinged(asked)) = alice.command(Command::Ping("bob".into())) else { panic!() };
    assert_eq!(pass(&alice, &mut bob), 1);
    let ping = said(&alice, &bob).remove(0);
    assert_eq!(pass(&bob, &mut alice), 1);
    assert!(matches!(alice.events()[..], [Event::Pong { ping, .. }] if ping == asked));
    // A relay that repeats the question has no flood of answers.
    let answers = (0..100).filter(|_| {
        bob.link(LinkEvent::Ephemeral(ping.clone()));
        !said(&bob, &alice).is_empty()
    });
    assert_eq!(answers.count(), PONGS - 1);
    assert_eq!(
        alice.command(Command::Ping("carol".into())).unwrap_err(),
        CommandError::UnknownContact("carol".into())
    );
    assert_eq!(alice.summary().outbox + bob.summary().outbox, 0);
}

#[test]
fn who_is_not_paired_yet_is_neither_told_nor_pinged() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    greet(&mut alice, &mut bob);
    due(&mut alice, PresenceDue::Connected);
    assert!(!alice.effects.iter().any(is_ephemeral));
    let refused = alice.command(Command::Ping("pending".into())).unwrap_err();
    assert_eq!(refused, CommandError::NotPaired("pending".into()));
    carry(&mut alice, &mut bob);
    carry(&mut bob, &mut alice);
    assert_eq!((pass(&alice, &mut bob), pass(&bob, &mut alice)), (1, 1), "now they hear of each other");
    assert!(alice.command(Command::Ping("bob".into())).is_ok());
}

#[test]
fn peers_say_when_a_contact_was_seen_and_what_is_unread() {
    let (mut alice, mut bob) = acquainted();
    let seen = |peer: &Peer| query::peers(&peer.store).unwrap().remove(0);
    let before = seen(&alice).seen.expect("it answered the greeting");
    bob.send("alice", "one").unwrap();
    bob.send("alice", "two").unwrap();
    carry(&mut bob, &mut alice);
    let peer = seen(&alice);
    assert_eq!((peer.unread, peer.session), (2, SessionHealth::Established));
    assert!(peer.seen.unwrap() > before);
    // What goes by says so too, and goodbye to the second.
    later(&mut alice, &mut bob, Duration::from_secs(30));
    due(&mut bob, PresenceDue::Connected);
    pass(&bob, &mut alice);
    assert_eq!(seen(&alice).seen, peer.seen, "not a row for every word");
    later(&mut alice, &mut bob, Duration::from_secs(1));
    due(&mut bob, PresenceDue::Leaving);
    pass(&bob, &mut alice);
    alice.restart();
    assert!(seen(&alice).seen > peer.seen);
}
