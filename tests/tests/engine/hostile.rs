//! What a relay, a contact or a thief could try around sessions, resends and prekeys, and what comes of it.

use std::time::Duration;

use hermes_engine::{Event, Input, LinkEvent, Trust, UnreadableCause, limits, query};
use hermes_protocol::{Body, Envelope};
use hermes_tests::{
    duo::{Peer, carry, greet, pair_up, paired, serve_fetches, settle},
    impostor::Impostor,
};
use hermes_wire::prekey::PrekeyId;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_strangers_greeting_under_a_contacts_permission_changes_nobody() {
    let (mut alice, mut bob) = paired();
    let mut carol = Peer::new("carol", 3);
    greet(&mut carol, &mut bob);
    let greeting = carol.flying(&bob).remove(0);
    alice.send("bob", "x").unwrap();
    let alices = alice.flying(&bob).remove(0).contact;
    settle(&mut alice, &mut bob);
    // The relay delivers Carol's greeting as Alice's.
    bob.take(alices, greeting.body);
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::WrongIdentity)]);
    let contact = query::contact_named(&bob.store, "alice").unwrap().unwrap().contact;
    assert_ne!(contact.trust, Trust::Changed);
    // And it is not used up.
    settle(&mut carol, &mut bob);
    assert_eq!(bob.contacts(), ["alice", "carol"]);
}

#[test]
fn confirmed_messages_are_said_again_for_some_days_only() {
    for (days, said) in [(6, 3), (8, 0)] {
        let (mut alice, mut bob) = paired();
        for number in 0..3 {
            bob.send("alice", &format!("secret {number}")).unwrap();
        }
        settle(&mut alice, &mut bob);
        bob.now = bob.now.after(DAY * days);
        let mut thief = Impostor::with_identity_of(&alice, "bob", &mut bob, 10);
        thief.ask_for_everything(&mut bob);
        let texts = thief.receive(&bob);
        let secrets = texts.iter().filter(|text| text.starts_with("secret")).count();
        assert_eq!(secrets, said, "after {days} days");
    }
}

#[test]
fn one_request_seals_one_part_and_the_rest_when_that_has_left() {
    let (mut alice, mut bob) = paired();
    let many = 2 * limits::RESEND_STEP + 7;
    for number in 0..many {
        bob.send("alice", &number.to_string()).unwrap();
    }
    // The relay swallows them all.
    for flying in bob.flying(&alice) {
        bob.link(LinkEvent::Deposited(flying.key));
    }
    alice.take_garbage_from(&bob);
    serve_fetches(&mut alice, &mut bob);
    carry(&mut alice, &mut bob);
    let waiting = bob.summary().outbox;
    assert!(waiting <= limits::RESEND_STEP as u64 + 2, "{waiting} wait at once");
    settle(&mut alice, &mut bob);
    assert_eq!(alice.texts("bob").len(), many);
}

#[test]
fn a_request_beyond_the_rate_waits_and_is_heeded() {
    let (mut alice, mut bob) = pair_up(1, 2);
    for _ in 0..2 {
        bob.take_garbage_from(&alice);
        serve_fetches(&mut bob, &mut alice);
        settle(&mut alice, &mut bob);
        alice.take_garbage_from(&bob);
        serve_fetches(&mut alice, &mut bob);
        settle(&mut alice, &mut bob);
    }
    bob.send("alice", "swallowed").unwrap();
    for flying in bob.flying(&alice) {
        bob.link(LinkEvent::Deposited(flying.key));
    }
    alice.take_garbage_from(&bob);
    serve_fetches(&mut alice, &mut bob);
    settle(&mut alice, &mut bob);
    assert_eq!(alice.texts("bob"), Vec::<String>::new());
    bob.now = bob.now.after(limits::RENEWAL_WINDOW);
    bob.turn(Input::Tick);
    settle(&mut alice, &mut bob);
    assert_eq!(alice.texts("bob"), ["swallowed"]);
}

#[test]
fn a_session_that_gave_way_steers_nothing_later() {
    for (wait, redirected) in [(Duration::from_secs(60), true), (DAY * 30, false)] {
        let (mut alice, mut bob) = pair_up(1, 2);
        alice.send("bob", "1").unwrap();
        settle(&mut alice, &mut bob);
        bob.send("alice", "2").unwrap();
        let old = bob.snapshot();
        carry(&mut bob, &mut alice);
        alice.take_garbage_from(&bob);
        serve_fetches(&mut alice, &mut bob);
        settle(&mut alice, &mut bob);
        // Whoever has Bob's old store writes in the chain of then.
        let mut thief = Peer::new("thief", 9);
        let invite: hermes_protocol::Invite = thief.invite().parse().unwrap();
        let mailbox = invite.ticket.mailbox;
        bob.put_back(&old);
        let forged = bob.forge(&alice, Body::TokenRenewal(invite.ticket));
        alice.now = alice.now.after(wait);
        alice.take(forged.contact, forged.body);
        let chat = query::contact_named(&alice.store, "bob").unwrap().unwrap().contact.chat;
        let destination = query::destination(&alice.store, chat).unwrap().unwrap();
        let there = matches!(destination.place, query::Place::Mailbox(to, _) if to == mailbox);
        assert_eq!(there, redirected, "after {wait:?}");
    }
}

#[test]
fn a_mangled_copy_of_an_initiation_does_not_part_the_sides() {
    let (alice, bob) = pair_up(1, 2);
    let lower = alice.summary().fingerprint.0 < bob.summary().fingerprint.0;
    let (mut low, mut high, low_name, high_name) =
        if lower { (alice, bob, "alice", "bob") } else { (bob, alice, "bob", "alice") };
    low.take_garbage_from(&high);
    serve_fetches(&mut low, &mut high);
    let genuine = low.flying(&high).pop().unwrap();
    assert!(matches!(Envelope::decode(&genuine.body), Ok(Envelope::First { .. })));
    let mut mangled = genuine.body.clone();
    *mangled.last_mut().unwrap() ^= 1;
    high.take(genuine.contact, mangled);
    serve_fetches(&mut high, &mut low);
    carry(&mut high, &mut low);
    low.link(LinkEvent::Deposited(genuine.key));
    high.take(genuine.contact, genuine.body);
    settle(&mut low, &mut high);
    assert_eq!(low.active_session(high_name), high.active_session(low_name));
}

#[test]
fn a_relay_that_claims_to_know_more_cannot_keep_one_time_keys_away() {
    let mut bob = Peer::new("bob", 2);
    for _ in 0..12 {
        bob.last_prekey = PrekeyId(bob.last_prekey.0 + 1);
        bob.register(0);
    }
    assert!(bob.bundle().one_time.is_some());
}

#[test]
fn bundles_that_nobody_uses_do_not_end_the_one_time_keys() {
    let mut bob = Peer::new("bob", 2);
    for day in 0..60 {
        for _ in 0..100 {
            bob.bundle();
        }
        bob.now = bob.now.after(DAY);
        bob.turn(Input::Tick);
        bob.publish();
        bob.register(0);
        assert!(bob.bundle().one_time.is_some(), "day {day}");
    }
}

#[test]
fn notes_in_a_row_are_one() {
    let (mut alice, mut bob) = paired();
    for _ in 0..3 {
        alice.take_garbage_from(&bob);
        serve_fetches(&mut alice, &mut bob);
        settle(&mut alice, &mut bob);
    }
    assert_eq!(query::log(&bob.store, "alice", None, 99).unwrap().unwrap().len(), 1);
    assert_eq!(bob.summary().renewals, 3);
}
