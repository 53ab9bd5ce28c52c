//! The engine's rules, one by one: what a hostile peer or relay can send, and what a user can count on.

use std::{ops::ControlFlow, time::Duration};

use hermes_engine::{
    ChangeSet, Command, CommandError, Effect, Event, FailureReason, Input, LinkEvent, MessageState, Order,
    PairingError, Range, Reply, Store, Table, UnreadableCause, View, limits, query,
};
use hermes_protocol::{Body, Envelope, ReceiptKind};
use hermes_tests::duo::{Peer, carry, greet, paired, settle};
use hermes_wire::{ContactId, Refusal, Sequence};

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_pairing_makes_a_contact_on_both_sides() {
    let (mut alice, mut bob) = paired();
    assert_eq!((alice.contacts(), bob.contacts()), (vec!["bob".to_owned()], vec!["alice".to_owned()]));
    alice.send("bob", "hi").unwrap();
    bob.send("alice", "ho").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(alice.texts("bob"), ["hi", "ho"]);
    assert_eq!(bob.texts("alice"), ["ho", "hi"]);
    assert_eq!((alice.summary().unreadable, bob.summary().unreadable), (0, 0));
}

#[test]
fn every_message_before_the_first_reply_carries_the_handshake() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    greet(&mut alice, &mut bob);
    let name = alice.contacts().remove(0);
    for text in ["one", "two", "three"] {
        alice.send(&name, text).unwrap();
    }
    let flying = alice.flying(&bob);
    assert!(flying.iter().all(|f| f.body.len() > 2_000), "an ML-KEM-1024 ciphertext is in each");
    carry(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["one", "two", "three"]);
    settle(&mut alice, &mut bob);
    alice.send("bob", "four").unwrap();
    let envelope = Envelope::decode(&alice.flying(&bob)[0].body);
    assert!(matches!(envelope, Ok(Envelope::Ordinary(_))), "after a reply it is gone");
}

/// Whatever is in it, and whether it opens or not: no history, no record of trouble, no change to any row but the
/// cursor, and it is acknowledged.
#[test]
fn an_ephemeral_envelope_is_acknowledged_and_leaves_nothing() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "hi").unwrap();
    settle(&mut alice, &mut bob);
    let text = Body::Text { text: "not by this way".into(), reply_to: None, ttl: None };
    let genuine = alice.forge_ephemeral(&bob, text);
    assert!(matches!(Envelope::decode(&genuine.body), Ok(Envelope::Ephemeral(_))));
    let mut mangled = genuine.body.clone();
    mangled[100] ^= 1;
    let rows = |peer: &Peer, table| {
        let mut rows = Vec::new();
        let found = peer.store.scan(table, &Range::all(), Order::Ascending, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        });
        found.unwrap();
        rows
    };
    let tables = [Table::Session, Table::Message, Table::SkippedKey, Table::Unreadable, Table::Outbox];
    let before = tables.map(|table| rows(&bob, table));
    for (contact, body) in
        [(genuine.contact, genuine.body.clone()), (genuine.contact, genuine.body), (genuine.contact, mangled)]
    {
        bob.take(contact, body);
        assert_eq!(bob.events(), []);
        let acknowledged = |effect: &_| matches!(effect, Effect::Ack(Sequence(at)) if *at == bob.head);
        assert!(bob.effects.iter().any(acknowledged));
    }
    assert_eq!(tables.map(|table| rows(&bob, table)), before);
    assert_eq!((bob.texts("alice"), bob.summary().unreadable), (vec!["hi".to_owned()], 0));
}

#[test]
fn a_mangled_greeting_burns_neither_invite_nor_one_time_keys() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    greet(&mut alice, &mut bob);
    let greeting = alice.flying(&bob).remove(0);
    for at in (0..greeting.body.len()).step_by(97) {
        let mut body = greeting.body.clone();
        body[at] ^= 1;
        bob.take(greeting.contact, body);
        assert!(matches!(bob.events()[..], [Event::Unreadable(_)]), "byte {at}: {:?}", bob.events());
        assert_eq!(bob.contacts(), Vec::<String>::new());
    }
    settle(&mut alice, &mut bob);
    assert_eq!(bob.contacts(), ["alice"]);
}

#[test]
fn a_greeting_without_the_invites_secret_is_refused() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    let link = bob.invite();
    // Someone who saw the relay's side of the invite knows all of it but the secret.
    let mut forged: hermes_protocol::Invite = link.parse().unwrap();
    forged.secret = hermes_protocol::InviteSecret::generate(&mut rand::rng());
    let (chat, fetch) = alice.accept(&forged.to_string());
    let bundle = bob.bundle();
    alice.link(LinkEvent::Bundle(chat, fetch, bundle));
    carry(&mut alice, &mut bob);
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::BadInviteProof)]);
    assert_eq!(bob.contacts(), Vec::<String>::new());
}

#[test]
fn an_invite_works_once() {
    let (mut alice, mut bob, mut eve) = (Peer::new("alice", 1), Peer::new("bob", 2), Peer::new("eve", 3));
    let link = bob.invite();
    for guest in [&mut alice, &mut eve] {
        let (chat, fetch) = guest.accept(&link);
        let bundle = bob.bundle();
        guest.link(LinkEvent::Bundle(chat, fetch, bundle));
    }
    carry(&mut alice, &mut bob);
    carry(&mut eve, &mut bob);
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::WrongIdentity)]);
    assert_eq!(bob.contacts(), ["alice"]);
}

#[test]
fn an_old_invite_is_over() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    greet(&mut alice, &mut bob);
    bob.now = bob.now.after(DAY * 32);
    bob.register(0);
    carry(&mut alice, &mut bob);
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::InviteOver)]);
}

#[test]
fn a_replayed_handshake_makes_no_second_session() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    greet(&mut alice, &mut bob);
    let greeting = alice.flying(&bob).remove(0);
    settle(&mut alice, &mut bob);
    // The relay gives it again, under a new sequence: a copy, known and silent.
    bob.take(greeting.contact, greeting.body);
    assert_eq!(bob.events(), []);
    assert_eq!((bob.contacts().len(), bob.summary().unreadable), (1, 0));
}

#[test]
fn a_refused_bundle_leaves_no_contact() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    let (chat, fetch) = alice.accept(&bob.invite());
    alice.link(LinkEvent::FetchRefused(chat, fetch, Refusal::InviteUsed));
    assert!(matches!(
        alice.events()[..],
        [Event::PairingFailed { reason: PairingError::Refused(Refusal::InviteUsed), .. }]
    ));
    assert_eq!(alice.contacts(), Vec::<String>::new());
}

#[test]
fn a_bundle_of_someone_else_is_refused() {
    let (mut alice, mut bob, mut eve) = (Peer::new("alice", 1), Peer::new("bob", 2), Peer::new("eve", 3));
    let (chat, fetch) = alice.accept(&bob.invite());
    let bundle = eve.bundle();
    alice.link(LinkEvent::Bundle(chat, fetch, bundle));
    assert!(matches!(alice.events()[..], [Event::PairingFailed { reason: PairingError::BadBundle(_), .. }]));
}

#[test]
fn ones_own_invite_is_refused() {
    let mut bob = Peer::new("bob", 2);
    let link = bob.invite();
    let refused = bob.command(Command::Accept(Box::new(link.parse().unwrap())));
    assert_eq!(refused.unwrap_err(), CommandError::OwnInvite);
}

#[test]
fn garbage_is_put_on_record_and_acknowledged() {
    let (alice, mut bob) = paired();
    let (before, known) = (bob.texts("alice"), ContactId([7; 16]));
    bob.take(known, vec![0; 300]);
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::Malformed)]);
    let genuine = alice.flying(&bob);
    assert!(genuine.is_empty());
    assert_eq!(query::mailbox(&bob.store).unwrap().cursor, Sequence(bob.head));
    assert_eq!(bob.texts("alice"), before);
}

#[test]
fn an_unknown_permission_is_put_on_record() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "hi").unwrap();
    let flying = alice.flying(&bob).remove(0);
    bob.take(ContactId([9; 16]), flying.body);
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::UnknownContact)]);
}

#[test]
fn a_message_delivered_twice_is_shown_once() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "once").unwrap();
    let flying = alice.flying(&bob).remove(0);
    settle(&mut alice, &mut bob);
    bob.take(flying.contact, flying.body);
    assert_eq!(bob.texts("alice"), ["once"]);
    assert_eq!(bob.summary().unreadable, 0);
}

#[test]
fn a_changed_message_is_refused_and_the_genuine_one_still_opens() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "genuine").unwrap();
    let flying = alice.flying(&bob).remove(0);
    let mut changed = flying.body.clone();
    *changed.last_mut().unwrap() ^= 1;
    bob.take(flying.contact, changed);
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::Forged)]);
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["genuine"]);
}

#[test]
fn a_relay_restored_from_an_old_copy_is_followed() {
    let (mut alice, mut bob) = paired();
    bob.register(0);
    bob.head = 0;
    alice.send("bob", "after the restore").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["after the restore"]);
}

#[test]
fn a_relay_restored_from_an_old_copy_gives_old_numbers_to_new_mail() {
    let (mut alice, mut bob) = paired();
    for text in ["one", "two", "three"] {
        alice.send("bob", text).unwrap();
    }
    settle(&mut alice, &mut bob);
    let (head, restored) = (bob.head, bob.head - 3);
    for text in ["four", "five", "six", "seven"] {
        alice.send("bob", text).unwrap();
    }
    // New mail has brought the restored relay past where it was before Bob comes back.
    bob.head = restored;
    bob.register(head + 1);
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["one", "two", "three", "four", "five", "six", "seven"]);
    assert_eq!(bob.summary().unreadable, 0);
}

#[test]
fn an_invite_cannot_lead_a_known_contact_astray() {
    let (mut alice, mut bob) = paired();
    let mut mallory = Peer::new("mallory", 3);
    let (real, lure) = (bob.invite(), mallory.invite());
    // Bob's name on Mallory's mailbox.
    let mut forged: hermes_protocol::Invite = lure.parse().unwrap();
    let real: hermes_protocol::Invite = real.parse().unwrap();
    forged.fingerprint = real.fingerprint;
    forged.ticket.bundle_key = real.ticket.bundle_key;
    let refused = alice.command(Command::Accept(Box::new(forged)));
    assert_eq!(refused.unwrap_err(), CommandError::AlreadyContact("bob".to_owned()));
    alice.send("bob", "still to bob").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["still to bob"]);
}

#[test]
fn an_idempotency_key_sends_once() {
    let (mut alice, mut bob) = paired();
    let first = alice.send_with("bob", "deploy done", Some("deploy-42")).unwrap();
    let again = alice.send_with("bob", "deploy done", Some("deploy-42")).unwrap();
    let id = |reply: &Reply| match reply {
        Reply::Sent(results) => results[0].outcome.clone().unwrap().id,
        other => panic!("{other:?}"),
    };
    assert_eq!(id(&first), id(&again));
    let other = alice.send_with("bob", "another text", Some("deploy-42"));
    assert_eq!(other.unwrap_err(), CommandError::IdempotencyConflict("deploy-42".to_owned()));
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["deploy done"]);
}

#[test]
fn texts_have_a_size() {
    let (mut alice, mut bob) = paired();
    assert_eq!(alice.send("bob", "").unwrap_err(), CommandError::EmptyText);
    let (largest, larger) = ("é".repeat(8 * 1024), "x".repeat(16 * 1024 + 1));
    assert_eq!(
        alice.send("bob", &larger).unwrap_err(),
        CommandError::TextTooLong { bytes: 16 * 1024 + 1, max: 16 * 1024 }
    );
    alice.send("bob", &largest).unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), [largest]);
}

#[test]
fn what_cannot_leave_for_six_days_is_reported() {
    let (mut alice, bob) = paired();
    alice.send("bob", "late").unwrap();
    alice.now = alice.now.after(DAY * 6);
    alice.turn(Input::Tick);
    assert_eq!(alice.summary().outbox, 1);
    alice.now = alice.now.after(Duration::from_millis(1));
    alice.turn(Input::Tick);
    assert!(matches!(
        alice.events()[..],
        [Event::State { state: MessageState::Failed(FailureReason::GaveUp(6)), .. }]
    ));
    assert_eq!((alice.summary().outbox, alice.flying(&bob).len()), (0, 0));
}

#[test]
fn a_refusal_for_good_is_reported() {
    let (mut alice, bob) = paired();
    alice.send("bob", "hi").unwrap();
    let key = alice.flying(&bob)[0].key;
    alice.link(LinkEvent::DepositRefused(key, Refusal::NoEntry));
    assert!(matches!(
        alice.events()[..],
        [Event::State { state: MessageState::Failed(FailureReason::Refused(Refusal::NoEntry)), .. }]
    ));
}

#[test]
fn a_receipt_that_overtakes_the_relays_is_not_taken_back() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "hi").unwrap();
    let flying = alice.flying(&bob).remove(0);
    bob.take(flying.contact, flying.body);
    carry(&mut bob, &mut alice);
    alice.link(LinkEvent::Deposited(flying.key));
    let log = query::log(&alice.store, "bob", None, 9).unwrap().unwrap();
    assert_eq!(log[0].direction, query::MessageDirection::Sent(MessageState::Delivered));
}

#[test]
fn only_the_recipient_can_confirm_a_message() {
    let (mut alice, mut bob) = paired();
    let mut eve = Peer::new("eve", 3);
    greet(&mut eve, &mut alice);
    settle(&mut eve, &mut alice);
    alice.send("bob", "for bob").unwrap();
    let (flying, id) = (alice.flying(&bob).remove(0), {
        let log = query::log(&alice.store, "bob", None, 9).unwrap().unwrap();
        log[0].id
    });
    assert_eq!(flying.key.chat, query::outbox_chats(&alice.store).unwrap()[0]);
    // Eve has a session with Alice, and says that she got Bob's message.
    alice.link(LinkEvent::Deposited(flying.key));
    let receipt = eve.forge(&alice, Body::Receipt { kind: ReceiptKind::Delivered, messages: vec![id] });
    alice.take(receipt.contact, receipt.body);
    let state = query::log(&alice.store, "bob", None, 9).unwrap().unwrap().remove(0).direction;
    assert_eq!(state, query::MessageDirection::Sent(MessageState::Relayed));
    bob.take(flying.contact, flying.body);
}

/// A bundle as it was fetched, long before it is used.
fn invite_with_bundle(host: &mut Peer) -> (String, Box<hermes_wire::prekey::SealedBundle>) {
    let link = host.command(Command::CreateInvite { validity: DAY * 30 });
    let Ok(Reply::Invite { link, .. }) = link else { panic!("{link:?}") };
    (link, host.bundle())
}

fn signed_prekey(host: &mut Peer) -> hermes_wire::prekey::PrekeyId {
    host.bundle().signed.id
}

#[test]
fn signed_prekeys_are_replaced_every_other_day() {
    let mut bob = Peer::new("bob", 2);
    let first = signed_prekey(&mut bob);
    bob.now = bob.now.after(DAY);
    bob.turn(Input::Tick);
    bob.publish();
    assert_eq!(signed_prekey(&mut bob), first);
    bob.now = bob.now.after(DAY);
    bob.turn(Input::Tick);
    bob.publish();
    let second = signed_prekey(&mut bob);
    assert!(second > first);
    // A clock that was years ahead for an hour does not stop the replacement for years.
    let now = bob.now;
    bob.now = now.after(DAY * 3_650);
    bob.turn(Input::Tick);
    bob.publish();
    bob.now = now;
    bob.turn(Input::Tick);
    bob.publish();
    let third = signed_prekey(&mut bob);
    bob.now = now.after(DAY * 2);
    bob.turn(Input::Tick);
    bob.publish();
    assert!(signed_prekey(&mut bob) > third);
}

#[test]
fn a_replaced_prekey_lives_as_long_as_an_envelope_may_wait() {
    for (days, lives) in [(40, true), (41, false)] {
        let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
        let (link, bundle) = invite_with_bundle(&mut bob);
        let (chat, fetch) = alice.accept(&link);
        alice.link(LinkEvent::Bundle(chat, fetch, bundle));
        bob.now = bob.now.after(DAY * 2);
        bob.turn(Input::Tick);
        bob.publish();
        bob.now = bob.now.after(DAY * days);
        bob.register(0);
        carry(&mut alice, &mut bob);
        match lives {
            true => assert_eq!(bob.contacts(), ["alice"]),
            false => assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::PrekeyGone)]),
        }
    }
}

#[test]
fn a_relay_that_claims_to_have_no_prekeys_is_not_fed_for_ever() {
    let mut bob = Peer::new("bob", 2);
    let made = |bob: &Peer| {
        let mut rows = 0;
        bob.store
            .scan(Table::Prekey, &Range::all(), Order::Ascending, &mut |_, _| {
                rows += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        rows
    };
    for _ in 0..20 {
        bob.link(LinkEvent::PrekeyStock(Vec::new()));
        bob.publish();
    }
    let first = made(&bob);
    bob.link(LinkEvent::PrekeyStock(Vec::new()));
    bob.publish();
    assert!(made(&bob) - first <= 3, "only kinds that are given out again and again");
    assert!(first < 2_400, "{first} secrets");
}

#[test]
fn nothing_is_deleted_by_a_clock_that_the_relay_contradicts() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    greet(&mut alice, &mut bob);
    let now = bob.now;
    bob.now = now.after(DAY * 2);
    bob.register(0);
    bob.now = now.after(DAY * 3_650);
    bob.register_at(0, now.after(DAY * 2));
    bob.turn(Input::Tick);
    bob.now = now.after(DAY * 2);
    settle(&mut alice, &mut bob);
    assert_eq!(bob.contacts(), ["alice"]);
}

#[test]
fn nothing_is_deleted_before_the_mailbox_is_empty() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    let (link, bundle) = invite_with_bundle(&mut bob);
    let (chat, fetch) = alice.accept(&link);
    alice.link(LinkEvent::Bundle(chat, fetch, bundle));
    bob.now = bob.now.after(DAY * 2);
    bob.turn(Input::Tick);
    bob.publish();
    // Bob was away; one envelope waits, and it is the one that needs the old key.
    bob.now = bob.now.after(DAY * 50);
    bob.register(1);
    bob.turn(Input::Tick);
    carry(&mut alice, &mut bob);
    assert_eq!(bob.contacts(), ["alice"]);
}

#[test]
fn names_that_collide_get_a_number() {
    let mut alice = Peer::new("alice", 1);
    for seed in [2, 3] {
        let mut bob = Peer::new("Bob", seed);
        greet(&mut bob, &mut alice);
        settle(&mut bob, &mut alice);
    }
    assert_eq!(alice.contacts(), ["bob", "bob-2"]);
}

#[test]
fn two_who_accept_each_others_invite_are_one_contact_each() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    greet(&mut alice, &mut bob);
    greet(&mut bob, &mut alice);
    settle(&mut alice, &mut bob);
    assert_eq!((alice.contacts(), bob.contacts()), (vec!["bob".to_owned()], vec!["alice".to_owned()]));
    alice.send("bob", "hi").unwrap();
    bob.send("alice", "ho").unwrap();
    settle(&mut alice, &mut bob);
    alice.send("bob", "again").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["ho", "hi", "again"]);
    assert_eq!((alice.summary().unreadable, bob.summary().unreadable), (0, 0));
}

#[test]
fn a_message_says_that_no_one_time_key_was_left() {
    for left in [true, false] {
        let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
        let (chat, fetch) = alice.accept(&bob.invite());
        let mut bundle = bob.bundle();
        bundle.one_time = bundle.one_time.filter(|_| left);
        alice.link(LinkEvent::Bundle(chat, fetch, bundle));
        settle(&mut alice, &mut bob);
        alice.send("bob", "hi").unwrap();
        settle(&mut alice, &mut bob);
        // The initiator saw what the bundle had, the responder what the handshake named.
        for (peer, other) in [(&alice, "bob"), (&bob, "alice")] {
            let log = query::log(&peer.store, other, None, 9).unwrap().unwrap();
            assert_eq!(log[0].without_one_time_key, !left, "{other}");
        }
    }
}

#[test]
fn a_peer_that_takes_no_receipts_does_not_fill_the_outbox() {
    let (mut alice, mut bob) = paired();
    let key = [1];
    let counters = bob.store.get(Table::Account, &key).unwrap().unwrap();
    let mut counters: ciborium::Value = ciborium::from_reader(counters.as_slice()).unwrap();
    for (name, value) in counters.as_map_mut().unwrap() {
        if name.as_text() == Some("outbox") {
            *value = limits::OUTBOX_ROWS_FOR_RECEIPTS.into();
        }
    }
    let mut changes = ChangeSet::default();
    changes.put(Table::Account, key.to_vec(), hermes_engine::Value::new(hermes_wire::encode(&counters)));
    bob.store.commit(&changes).unwrap();
    bob.restart();
    alice.send("bob", "hi").unwrap();
    carry(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["hi"]);
    assert_eq!(bob.summary().outbox, limits::OUTBOX_ROWS_FOR_RECEIPTS);
    // What the user sends still leaves.
    bob.send("alice", "ho").unwrap();
    assert_eq!(bob.texts("alice"), ["hi", "ho"]);
}
