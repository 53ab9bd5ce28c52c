//! Who a contact is: safety numbers, and what happens when another identity writes in its place.

use hermes_engine::{
    ChangeOutcome, ChangePolicy, Command, CommandError, Compared, ContactChange, Event, FailureReason,
    MessageState, NumberOf, Reply, SendError, Trust, UnreadableCause, VerifiedBy, limits, query,
};
use hermes_tests::{
    duo::{Peer, carry, greet, paired, settle},
    impostor::Impostor,
};

fn details(peer: &Peer, name: &str) -> query::ContactDetails {
    query::contact_named(&peer.store, name).unwrap().unwrap()
}

fn say(peer: &mut Peer, name: &str, change: ContactChange) -> Result<(), CommandError> {
    match peer.command(Command::Contact(name.to_owned(), change)) {
        Ok(Reply::Contact(_)) => Ok(()),
        Ok(other) => panic!("answered with {other:?}"),
        Err(error) => Err(error),
    }
}

fn send(peer: &mut Peer, to: &str, text: &str) -> Result<(), SendError> {
    match peer.send(to, text).unwrap() {
        Reply::Sent(mut results) => results.remove(0).outcome.map(|_| ()),
        other => panic!("answered with {other:?}"),
    }
}

/// Bob, whose contact alice has been taken over by somebody who said these texts.
fn taken_over(texts: &[&str]) -> (Peer, Peer, Impostor) {
    let (alice, mut bob) = paired();
    let mut eve = Impostor::of(&alice, "bob", &mut bob, 9);
    for text in texts {
        eve.say(&mut bob, text);
    }
    (alice, bob, eve)
}

#[test]
fn both_sides_see_one_number_and_verify_by_it() {
    let (mut alice, bob) = paired();
    let seen_by_bob = details(&bob, "alice").safety;
    assert_eq!(details(&alice, "bob").safety, seen_by_bob);
    assert_eq!(details(&alice, "bob").contact.trust, Trust::Verified(VerifiedBy::Invite));

    let number: Compared = seen_by_bob.number.to_string().parse().unwrap();
    say(&mut alice, "bob", ContactChange::Verify(number)).unwrap();
    assert_eq!(details(&alice, "bob").contact.trust, Trust::Verified(VerifiedBy::Number));
    say(&mut alice, "bob", ContactChange::Unverify).unwrap();
    assert_eq!(details(&alice, "bob").contact.trust, Trust::Unverified);
    let code: Compared = seen_by_bob.code.to_string().parse().unwrap();
    say(&mut alice, "bob", ContactChange::Verify(code)).unwrap();
    alice.restart();
    assert_eq!(details(&alice, "bob").contact.trust, Trust::Verified(VerifiedBy::Number));
}

#[test]
fn the_number_of_others_verifies_nobody() {
    let (mut alice, mut bob) = paired();
    let mut carol = Peer::new("carol", 3);
    greet(&mut carol, &mut bob);
    settle(&mut carol, &mut bob);
    let number: Compared = details(&bob, "carol").safety.number.to_string().parse().unwrap();
    let refused = say(&mut alice, "bob", ContactChange::Verify(number));
    assert_eq!(refused, Err(CommandError::NumberMismatch("bob".to_owned())));
    assert_eq!(details(&alice, "bob").contact.trust, Trust::Verified(VerifiedBy::Invite));
    let nobody = say(&mut alice, "dave", ContactChange::Verify(number));
    assert_eq!(nobody, Err(CommandError::UnknownContact("dave".to_owned())));
}

#[test]
fn another_identity_stops_sending_and_is_held() {
    let (mut alice, mut bob, mut eve) = taken_over(&["first"]);
    assert!(matches!(
        &bob.events()[..],
        [Event::IdentityChanged { name, fingerprint, outcome: ChangeOutcome::Stopped, .. }]
            if name == "alice" && *fingerprint == eve.fingerprint()
    ));
    eve.say(&mut bob, "second");
    assert_eq!(bob.events(), [], "one identity is told of once");
    bob.restart();
    assert_eq!(bob.texts("alice"), Vec::<String>::new());
    assert_eq!((bob.summary().unread, bob.summary().outbox), (0, 0), "and gets no receipt");
    let shown = details(&bob, "alice");
    assert_eq!(shown.contact.trust, Trust::Changed);
    let change = shown.change.unwrap();
    assert_eq!((change.fingerprint, change.held), (eve.fingerprint(), 2));
    assert_ne!(change.safety, shown.safety);
    assert_eq!(send(&mut bob, "alice", "to whom?"), Err(SendError::IdentityChanged("alice".to_owned())));
    assert_eq!(bob.summary().outbox, 0);

    // What the contact itself says is read as before.
    alice.send("bob", "from the real one").unwrap();
    carry(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["from the real one"]);
}

#[test]
fn a_mangled_handshake_of_another_identity_changes_nothing() {
    let (alice, mut bob) = paired();
    let mut eve = Impostor::of(&alice, "bob", &mut bob, 9);
    let genuine = eve.seal("hi");
    for at in (0..genuine.len()).step_by(131) {
        let mut body = genuine.clone();
        body[at] ^= 1;
        bob.take(eve.contact, body);
        assert!(matches!(bob.events()[..], [Event::Unreadable(_)]), "byte {at}: {:?}", bob.events());
        assert_eq!(details(&bob, "alice").contact.trust, Trust::Verified(VerifiedBy::Invite));
    }
    bob.take(eve.contact, genuine);
    assert_eq!(details(&bob, "alice").contact.trust, Trust::Changed);
}

#[test]
fn an_accepted_key_releases_what_was_held_and_shuts_out_the_old_one() {
    let (mut alice, mut bob, mut eve) = taken_over(&["one", "two"]);
    alice.send("bob", "under way").unwrap();
    let late = alice.flying(&bob).remove(0);
    say(&mut bob, "alice", ContactChange::AcceptKey).unwrap();
    assert_eq!(bob.texts("alice"), ["one", "two"]);
    assert_eq!(bob.summary().unread, 2);
    let shown = details(&bob, "alice");
    assert_eq!((shown.contact.trust, shown.contact.fingerprint), (Trust::Unverified, eve.fingerprint()));
    assert!(shown.change.is_none());

    // Both ways with the new identity; its receipts left with the commit.
    assert_eq!(eve.receive(&bob), ["(receipt)"]);
    send(&mut bob, "alice", "welcome").unwrap();
    assert!(eve.receive(&bob).contains(&"welcome".to_owned()));
    eve.say(&mut bob, "three");
    assert_eq!(bob.texts("alice"), ["one", "two", "welcome", "three"]);

    // The old identity's session is gone, and a fresh handshake of it is no change back.
    bob.take(late.contact, late.body);
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::NoSession)]);
    let mut old = Impostor::with_identity_of(&alice, "bob", &mut bob, 10);
    old.say(&mut bob, "me again");
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::WrongIdentity)]);
    assert_eq!(details(&bob, "alice").contact.trust, Trust::Unverified);
    assert_eq!(
        say(&mut bob, "alice", ContactChange::AcceptKey),
        Err(CommandError::KeyUnchanged("alice".into()))
    );
}

#[test]
fn what_waited_for_the_old_key_leaves_until_the_new_one_is_accepted() {
    let (alice, mut bob) = paired();
    send(&mut bob, "alice", "sealed before").unwrap();
    let mut eve = Impostor::of(&alice, "bob", &mut bob, 9);
    eve.say(&mut bob, "hi");
    assert_eq!(bob.summary().outbox, 1, "it may still reach whom it was written for");
    say(&mut bob, "alice", ContactChange::AcceptKey).unwrap();
    let failed = |event: &Event| match event {
        Event::State { reference, state, .. } => Some((reference.to_string(), state.clone())),
        _ => None,
    };
    let failed: Vec<_> = bob.events().iter().filter_map(failed).collect();
    assert_eq!(failed, [("alice#1".to_owned(), MessageState::Failed(FailureReason::IdentityChanged))]);
    assert_eq!(eve.receive(&bob), ["(receipt)"], "only what was sealed for it");
}

#[test]
fn what_was_written_to_the_old_identity_is_not_said_again_to_the_new_one() {
    let (mut alice, mut bob) = paired();
    send(&mut bob, "alice", "arrived").unwrap();
    settle(&mut alice, &mut bob);
    send(&mut bob, "alice", "on its way").unwrap();
    for flying in bob.flying(&alice) {
        bob.link(hermes_engine::LinkEvent::Deposited(flying.key));
    }
    let mut eve = Impostor::of(&alice, "bob", &mut bob, 9);
    eve.ask_for_everything(&mut bob);
    say(&mut bob, "alice", ContactChange::AcceptKey).unwrap();
    assert_eq!(eve.receive(&bob), ["(received 0)"], "asked in return, and nothing told");
    eve.ask_for_everything(&mut bob);
    send(&mut bob, "alice", "to the new one").unwrap();
    assert_eq!(eve.receive(&bob), ["to the new one"]);
    eve.anew(&mut bob, 30).ask_for_everything(&mut bob);
    assert_eq!(bob.texts("alice")[..2], ["arrived", "on its way"]);
}

#[test]
fn what_is_missing_of_the_old_identity_is_not_looked_for_in_the_new_one() {
    let (mut alice, mut bob) = paired();
    for text in ["one", "swallowed", "three"] {
        alice.send("bob", text).unwrap();
    }
    for (at, flying) in alice.flying(&bob).into_iter().enumerate() {
        alice.link(hermes_engine::LinkEvent::Deposited(flying.key));
        if at != 1 {
            bob.take(flying.contact, flying.body);
        }
    }
    assert_eq!(bob.summary().missing, 1);
    let mut eve = Impostor::of(&alice, "bob", &mut bob, 9);
    eve.say(&mut bob, "hi");
    say(&mut bob, "alice", ContactChange::AcceptKey).unwrap();
    assert_eq!(bob.summary().missing, 0);
    assert!(
        query::audit(&bob.store, None).unwrap().is_some_and(|audit| audit.chats[0].received.gaps.is_empty())
    );
}

#[test]
fn a_refused_key_is_gone_for_good_and_what_it_said_is_on_record() {
    let (mut alice, mut bob, mut eve) = taken_over(&["one", "two"]);
    say(&mut bob, "alice", ContactChange::RefuseKey).unwrap();
    assert_eq!(bob.events(), vec![Event::Unreadable(UnreadableCause::WrongIdentity); 2]);
    assert_eq!(details(&bob, "alice").contact.trust, Trust::Verified(VerifiedBy::Invite));
    eve.say(&mut bob, "three");
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::Replay)]);
    let mut again = eve.anew(&mut bob, 11);
    again.say(&mut bob, "four");
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::WrongIdentity)]);
    send(&mut bob, "alice", "still you").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(alice.texts("bob"), ["still you"]);
    assert_eq!(bob.texts("alice"), ["still you"]);
}

#[test]
fn the_newest_of_several_identities_waits_and_the_limit_holds() {
    let (alice, mut bob, _) = taken_over(&["from the first"]);
    let mut second = Impostor::of(&alice, "bob", &mut bob, 20);
    second.say(&mut bob, "0");
    assert!(matches!(
        bob.events()[..],
        [Event::Unreadable(UnreadableCause::WrongIdentity), Event::IdentityChanged { .. }]
    ));
    for number in 1..limits::HELD {
        second.say(&mut bob, &number.to_string());
        assert_eq!(bob.events(), []);
    }
    second.say(&mut bob, "one too many");
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::NotHeld)]);
    say(&mut bob, "alice", ContactChange::AcceptKey).unwrap();
    let expected: Vec<_> = (0..limits::HELD).map(|number| number.to_string()).collect();
    assert_eq!(bob.texts("alice"), expected);
    second.say(&mut bob, "now there is room");
    assert_eq!(bob.texts("alice").len(), expected.len() + 1);
}

#[test]
fn an_unattended_sender_may_accept_at_once() {
    let (alice, mut bob) = paired();
    say(&mut bob, "alice", ContactChange::Policy(ChangePolicy::Accept)).unwrap();
    let mut eve = Impostor::of(&alice, "bob", &mut bob, 9);
    eve.say(&mut bob, "my new key");
    assert!(matches!(
        bob.events()[..],
        [Event::IdentityChanged { outcome: ChangeOutcome::Accepted, .. }, Event::Received(_)]
    ));
    assert_eq!(details(&bob, "alice").contact.trust, Trust::Unverified);
    send(&mut bob, "alice", "go on").unwrap();
    assert!(eve.receive(&bob).contains(&"go on".to_owned()));
    // Whoever holds the old key does not take it back.
    let mut old = Impostor::with_identity_of(&alice, "bob", &mut bob, 10);
    old.say(&mut bob, "me again");
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::WrongIdentity)]);
}

#[test]
fn a_number_says_which_of_two_keys_it_belongs_to_and_decides_nothing() {
    let (_, mut bob, _) = taken_over(&["hi"]);
    let shown = details(&bob, "alice");
    let verify = |bob: &mut Peer, number: String| {
        say(bob, "alice", ContactChange::Verify(number.parse().unwrap())).unwrap_err()
    };
    let of = |number| CommandError::KeyChanged { name: "alice".to_owned(), number };
    let new = verify(&mut bob, shown.change.unwrap().safety.number.to_string());
    assert_eq!(new, of(NumberOf::NewKey));
    assert_eq!(verify(&mut bob, shown.safety.code.to_string()), of(NumberOf::PresentKey));
    assert_eq!(verify(&mut bob, "0".repeat(60)), CommandError::NumberMismatch("alice".to_owned()));
    assert_eq!(details(&bob, "alice").contact.trust, Trust::Changed);
}

#[test]
fn an_identity_that_is_another_contact_is_no_change() {
    let (alice, mut bob) = paired();
    let mut carol = Peer::new("carol", 3);
    greet(&mut carol, &mut bob);
    settle(&mut carol, &mut bob);
    let mut carol_as_alice = Impostor::between(&carol, &alice, "bob", &mut bob, 12);
    carol_as_alice.say(&mut bob, "I am alice");
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::WrongIdentity)]);
    assert_eq!(details(&bob, "alice").contact.trust, Trust::Verified(VerifiedBy::Invite));
}

#[test]
fn a_key_that_has_become_another_contact_is_not_accepted() {
    let (alice, mut bob) = paired();
    let mut carol = Peer::new("carol", 3);
    let mut carol_as_alice = Impostor::between(&carol, &alice, "bob", &mut bob, 12);
    carol_as_alice.say(&mut bob, "I am alice");
    greet(&mut carol, &mut bob);
    settle(&mut carol, &mut bob);
    let refused = say(&mut bob, "alice", ContactChange::AcceptKey).unwrap_err();
    assert_eq!(refused, CommandError::KeyOfAnother { name: "alice".into(), other: "carol".into() });
    say(&mut bob, "alice", ContactChange::RefuseKey).unwrap();
    assert_eq!(bob.contacts(), ["alice", "carol"]);
}

#[test]
fn a_contact_is_renamed_exactly_and_its_messages_with_it() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "hi").unwrap();
    settle(&mut alice, &mut bob);
    let rename =
        |peer: &mut Peer, old: &str, new: &str| say(peer, old, ContactChange::Rename(new.to_owned()));
    rename(&mut bob, "alice", "alice.work").unwrap();
    assert_eq!(
        (bob.contacts(), bob.texts("alice.work")),
        (vec!["alice.work".to_owned()], vec!["hi".to_owned()])
    );
    assert!(matches!(send(&mut bob, "alice", "gone"), Err(SendError::UnknownContact(_))));
    send(&mut bob, "alice.work", "here").unwrap();
    settle(&mut alice, &mut bob);
    rename(&mut bob, "alice.work", "alice.work").unwrap();
    for bad in ["", "Alice", "a b", "-a", "a#1", "\u{202e}a", &"x".repeat(33)] {
        assert_eq!(rename(&mut bob, "alice.work", bad), Err(CommandError::BadName(bad.to_owned())));
    }
    let mut carol = Peer::new("carol", 3);
    greet(&mut carol, &mut bob);
    settle(&mut carol, &mut bob);
    let taken = rename(&mut bob, "carol", "alice.work");
    assert_eq!(taken, Err(CommandError::NameTaken("alice.work".to_owned())));
    rename(&mut bob, "alice.work", "alice").unwrap();
    rename(&mut bob, "carol", "alice.work").unwrap();
    assert_eq!(bob.contacts(), ["alice", "alice.work"]);
}
