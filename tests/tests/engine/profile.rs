//! What accounts call themselves, and what that changes at others.

use hermes_engine::{Command, CommandError, ContactChange, Reply, query};
use hermes_protocol::Body;
use hermes_tests::duo::{Peer, carry, greet, paired, serve_fetches, settle};

fn call(peer: &mut Peer, name: &str) -> Result<(), CommandError> {
    peer.command(Command::SetProfile(name.to_owned())).map(|reply| assert!(matches!(reply, Reply::Profile)))
}

fn profile_of(peer: &Peer, contact: &str) -> Option<String> {
    query::contact_named(&peer.store, contact).unwrap().unwrap().profile_name
}

#[test]
fn contacts_hear_of_another_name_and_keep_their_own() {
    let (mut alice, mut bob) = paired();
    assert_eq!(
        (profile_of(&bob, "alice"), profile_of(&alice, "bob")),
        (Some("alice".into()), Some("bob".into()))
    );
    call(&mut alice, "Alice at the fair").unwrap();
    alice.restart();
    assert_eq!(query::profile(&alice.store).unwrap(), "Alice at the fair");
    settle(&mut alice, &mut bob);
    assert_eq!(bob.contacts(), ["alice"], "nobody is renamed");
    assert_eq!(profile_of(&bob, "alice").as_deref(), Some("Alice at the fair"));
    assert_eq!((bob.summary().unread, bob.texts("alice").len()), (0, 0), "it is no message");
    // The same name again is no news.
    call(&mut alice, " Alice at the fair ").unwrap();
    assert_eq!(alice.summary().outbox, 0);
    // Whoever pairs from here on hears it at first, and makes a name of it.
    let mut carol = Peer::new("carol", 3);
    greet(&mut carol, &mut alice);
    settle(&mut carol, &mut alice);
    assert_eq!(carol.contacts(), ["alice-at-the-fair"]);
}

#[test]
fn a_contact_without_a_session_hears_it_in_the_next() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "x").unwrap();
    settle(&mut alice, &mut bob);
    let old = alice.snapshot();
    alice.turn(hermes_engine::Input::Link(hermes_engine::LinkEvent::ClaimDue));
    alice.settle_claims();
    alice.restore(&old);
    call(&mut alice, "Alice anew").unwrap();
    serve_fetches(&mut alice, &mut bob);
    settle(&mut alice, &mut bob);
    assert_eq!(profile_of(&bob, "alice").as_deref(), Some("Alice anew"));
}

#[test]
fn who_is_blocked_hears_nothing() {
    let (mut alice, mut bob) = paired();
    alice.command(Command::Contact("bob".into(), ContactChange::Block)).unwrap();
    call(&mut alice, "Alice in hiding").unwrap();
    carry(&mut alice, &mut bob);
    assert_eq!(profile_of(&bob, "alice").as_deref(), Some("alice"));
}

#[test]
fn what_is_no_name_is_refused_here_and_there() {
    let (mut alice, mut bob) = paired();
    for name in ["", "  ", "\u{200b}", "two\nlines", "\u{1b}[2J", &"x".repeat(65)] {
        let refused = call(&mut alice, name).unwrap_err();
        assert_eq!(refused, CommandError::BadProfileName(name.trim().to_owned()));
    }
    call(&mut alice, &"ß".repeat(64)).unwrap();
    // A contact may say anything; it is kept as it is, for those who show it to clean.
    let forged = bob.forge(&alice, Body::Profile("\u{1b}[2Jalice\u{202e}".into()));
    alice.take(forged.contact, forged.body);
    assert_eq!(profile_of(&alice, "bob").as_deref(), Some("\u{1b}[2Jalice\u{202e}"));
    assert_eq!(alice.contacts(), ["bob"]);
    let forged = bob.forge(&alice, Body::Profile("x".repeat(65)));
    alice.take(forged.contact, forged.body);
    assert_eq!(
        (alice.summary().unreadable, profile_of(&alice, "bob").map(|name| name.len() < 65)),
        (1, Some(true))
    );
}
