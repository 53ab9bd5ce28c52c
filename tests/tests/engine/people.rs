//! Who may write: blocking, letting in again, and removing a contact.

use hermes_engine::{
    Command, CommandError, ContactChange, Effect, History, Input, LinkEvent, MessageState, PresenceDue,
    Reply, SendError,
    query::{self, MessageDirection},
};
use hermes_tests::{
    duo::{Peer, carry, greet, paired, serve_fetches, settle},
    passing::said,
};
use hermes_wire::Refusal;

fn change(peer: &mut Peer, name: &str, change: ContactChange) -> Result<Reply, CommandError> {
    peer.command(Command::Contact(name.to_owned(), change))
}

fn outcome(reply: Result<Reply, CommandError>) -> Result<MessageState, SendError> {
    match reply.unwrap() {
        Reply::Sent(mut sent) => sent.remove(0).outcome.map(|sent| sent.state),
        other => panic!("{other:?}"),
    }
}

fn talked() -> (Peer, Peer) {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "one").unwrap();
    bob.send("alice", "two").unwrap();
    settle(&mut alice, &mut bob);
    (alice, bob)
}

#[test]
fn a_blocked_contact_is_not_heard_and_not_spoken_to() {
    let (mut alice, mut bob) = talked();
    bob.send("alice", "under way").unwrap();
    let under_way = bob.flying(&alice).remove(0);
    change(&mut alice, "bob", ContactChange::Block).unwrap();
    assert!(alice.effects.iter().any(|effect| matches!(effect, Effect::Revocations)));
    let revoked = query::revocations(&alice.store).unwrap();
    assert!(revoked.iter().any(|(contact, _)| *contact == under_way.contact), "the permission bob uses");
    let before = (alice.texts("bob"), alice.summary().unread, alice.summary().unreadable);

    alice.restart();
    carry(&mut bob, &mut alice);
    assert_eq!((alice.texts("bob"), alice.summary().unread, alice.summary().unreadable), before);
    assert_eq!(alice.summary().outbox, 0, "not even a receipt");
    assert_eq!(outcome(alice.send("bob", "hi")), Err(SendError::Blocked("bob".into())));
    let refused = alice.command(Command::Ping("bob".into())).unwrap_err();
    assert_eq!(refused, CommandError::Unsent(SendError::Blocked("bob".into())));
    alice.link(LinkEvent::PresenceDue(PresenceDue::Connected));
    assert_eq!(said(&alice, &bob).len(), 0);

    for (contact, _) in revoked {
        alice.link(LinkEvent::Revoked(contact));
    }
    assert!(query::revocations(&alice.store).unwrap().is_empty(), "the relay knows");
}

#[test]
fn who_is_let_in_again_writes_under_a_new_permission() {
    let (mut alice, mut bob) = talked();
    let old = bob.forge_ephemeral(&alice, hermes_protocol::Body::Ping).contact;
    change(&mut alice, "bob", ContactChange::Block).unwrap();
    bob.send("alice", "lost").unwrap();
    let key = bob.flying(&alice)[0].key;
    bob.link(LinkEvent::DepositRefused(key, Refusal::NoEntry));
    change(&mut alice, "bob", ContactChange::Unblock).unwrap();
    carry(&mut alice, &mut bob);
    bob.send("alice", "again").unwrap();
    let flying = bob.flying(&alice);
    assert!(flying.iter().all(|flying| flying.contact != old));
    settle(&mut alice, &mut bob);
    assert_eq!(alice.texts("bob").last().map(String::as_str), Some("again"));
    alice.send("bob", "welcome back").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice").last().map(String::as_str), Some("welcome back"));
    alice.restart();
    let received = alice.audit(Some("bob")).chats.remove(0).received;
    assert_eq!((received.missing, received.refused, alice.summary().missing), (0, 1, 0));
    assert_eq!((received.through, received.gaps[0].first, received.gaps[0].last), (1, 2, 2));
    assert!(received.gaps[0].while_blocked && received.findings.is_empty());
    let log = query::log(&alice.store, "bob", None, 9).unwrap().unwrap();
    let again = log.iter().find(|message| message.refused_before > 0).unwrap();
    assert_eq!((again.refused_before, again.missing_before), (1, 0));

    // What is lost from here on is missing as ever.
    bob.send("alice", "swallowed").unwrap();
    let key = bob.flying(&alice)[0].key;
    bob.link(LinkEvent::Deposited(key));
    bob.send("alice", "behind it").unwrap();
    settle(&mut alice, &mut bob);
    let received = alice.audit(Some("bob")).chats.remove(0).received;
    assert_eq!((received.missing, received.refused, alice.summary().missing), (1, 1, 1));
}

#[test]
fn with_its_history_it_is_forgotten_that_a_contact_was_let_in_again() {
    let let_in = |alice: &mut Peer| {
        change(alice, "bob", ContactChange::Block).unwrap();
        change(alice, "bob", ContactChange::Unblock).unwrap();
    };
    let swallow = |alice: &mut Peer, bob: &mut Peer| {
        settle(alice, bob);
        bob.send("alice", "swallowed").unwrap();
        let key = bob.flying(alice)[0].key;
        bob.link(LinkEvent::Deposited(key));
        bob.send("alice", "behind it").unwrap();
        settle(alice, bob);
        let received = alice.audit(Some("bob")).chats.remove(0).received;
        (received.missing, received.refused)
    };
    for (history, again) in [(History::Kept, (0, 2)), (History::Deleted, (1, 0))] {
        let (mut alice, mut bob) = talked();
        let_in(&mut alice);
        assert_eq!(swallow(&mut alice, &mut bob), (0, 1));
        let_in(&mut alice);
        change(&mut alice, "bob", ContactChange::Remove(history)).unwrap();
        change(&mut bob, "alice", ContactChange::Remove(history)).unwrap();
        alice.turn(Input::Tick);
        greet(&mut alice, &mut bob);
        assert_eq!(swallow(&mut alice, &mut bob), again);
    }
}

#[test]
fn a_blocked_contact_does_not_come_in_by_an_invite() {
    let (mut alice, mut bob) = talked();
    change(&mut alice, "bob", ContactChange::Block).unwrap();
    change(&mut bob, "alice", ContactChange::Remove(History::Deleted)).unwrap();
    greet(&mut bob, &mut alice);
    carry(&mut bob, &mut alice);
    assert_eq!((alice.contacts(), alice.summary().outbox), (vec!["bob".to_owned()], 0));
    assert_eq!(outcome(alice.send("bob", "hi")), Err(SendError::Blocked("bob".into())));
}

#[test]
fn a_contact_whose_relay_takes_nothing_is_shown_so_until_it_does() {
    let (mut alice, mut bob) = talked();
    let refused = |alice: &Peer| query::contacts(&alice.store).unwrap().remove(0).refused;
    assert_eq!(refused(&alice), None);
    let mut since = None;
    for _ in 0..2 {
        alice.send("bob", "are you there?").unwrap();
        let key = alice.flying(&bob).remove(0).key;
        alice.link(LinkEvent::DepositRefused(key, Refusal::NoEntry));
        alice.restart();
        since = since.or(Some(alice.now));
        assert_eq!(refused(&alice), since, "since the first time");
        alice.now = alice.now.after(std::time::Duration::from_secs(60));
    }
    alice.send("bob", "let me in").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(refused(&alice), None);
}

#[test]
fn a_removed_contact_leaves_its_history_if_it_is_to() {
    let (mut alice, mut bob) = talked();
    alice.send("bob", "not sent yet").unwrap();
    change(&mut alice, "bob", ContactChange::Remove(History::Kept)).unwrap();
    assert_eq!((alice.contacts().len(), alice.summary().contacts, alice.summary().outbox), (0, 0, 0));
    assert_eq!(alice.texts("bob"), ["one", "two", "not sent yet"]);
    let log = query::log(&alice.store, "bob", None, 9).unwrap().unwrap();
    assert!(matches!(log.last().unwrap().direction, MessageDirection::Sent(MessageState::Failed(_))));
    assert_eq!(outcome(alice.send("bob", "hi")), Err(SendError::UnknownContact("bob".into())));
    assert_eq!(
        change(&mut alice, "bob", ContactChange::Block).unwrap_err(),
        CommandError::UnknownContact("bob".into())
    );
    bob.send("alice", "still there?").unwrap();
    carry(&mut bob, &mut alice);
    assert_eq!((alice.summary().unreadable, alice.summary().unread), (0, 1), "dropped, and not on record");
    for _ in 0..2 {
        alice.turn(Input::Tick);
        alice.restart();
    }
    assert!(query::audit(&alice.store, None).unwrap().unwrap().chats.is_empty());
}

#[test]
fn a_history_is_deleted_to_the_last_row() {
    let (mut alice, mut bob) = talked();
    alice.send_with("bob", "kept in mind", Some("key")).unwrap();
    settle(&mut alice, &mut bob);
    change(&mut alice, "bob", ContactChange::Remove(History::Deleted)).unwrap();
    alice.restart();
    alice.turn(Input::Tick);
    assert_eq!((alice.texts("bob").len(), alice.summary().unread), (0, 0));
    assert!(query::inbox(&alice.store, &Default::default()).unwrap().is_empty());
    let again = outcome(alice.send_with("bob", "kept in mind", Some("key")));
    assert_eq!(again, Err(SendError::UnknownContact("bob".into())), "no damaged store");
}

#[test]
fn who_was_removed_can_be_paired_with_again_and_goes_on() {
    for history in [History::Kept, History::Deleted] {
        let (mut alice, mut bob) = talked();
        change(&mut alice, "bob", ContactChange::Remove(history)).unwrap();
        change(&mut bob, "alice", ContactChange::Remove(history)).unwrap();
        alice.turn(Input::Tick);
        greet(&mut alice, &mut bob);
        settle(&mut alice, &mut bob);
        assert_eq!((alice.contacts(), bob.contacts()), (vec!["bob".to_owned()], vec!["alice".to_owned()]));
        assert_eq!(alice.summary().contacts, 1);
        alice.send("bob", "three").unwrap();
        bob.send("alice", "four").unwrap();
        settle(&mut alice, &mut bob);
        serve_fetches(&mut alice, &mut bob);
        assert!(alice.texts("bob").ends_with(&["three".to_owned(), "four".to_owned()]));
        assert_eq!(bob.texts("alice").len(), if history == History::Kept { 4 } else { 2 });
        assert_eq!(alice.audit(None).chats[0].received.missing, 0);
    }
}

#[test]
fn key_packages_of_a_blocked_contact_are_void_and_nothing_else_is_hurt() {
    let (mut alice, mut bob) = talked();
    alice.command(Command::GiveKeyPackages).unwrap();
    settle(&mut alice, &mut bob);
    bob.send("alice", "under way").unwrap();
    let routes = query::revocations(&alice.store).unwrap().len();
    change(&mut alice, "bob", ContactChange::Block).unwrap();
    let revoked = query::revocations(&alice.store).unwrap().len();
    assert!(revoked > routes + 1, "the permissions inside key packages too: {revoked}");
    carry(&mut bob, &mut alice);
    for _ in 0..2 {
        alice.turn(Input::Tick);
        alice.restart();
    }
    assert_eq!(alice.summary().unreadable, 0);
    change(&mut alice, "bob", ContactChange::Unblock).unwrap();
    settle(&mut alice, &mut bob);
    alice.command(Command::GiveKeyPackages).unwrap();
    settle(&mut alice, &mut bob);
    bob.command(Command::CreateGroup("ops".to_owned(), vec!["alice".to_owned()])).unwrap();
}

#[test]
fn what_a_removed_contact_wrote_and_did_not_arrive_is_counted_no_more() {
    for (history, again) in [(History::Kept, 1), (History::Deleted, 0)] {
        let (mut alice, mut bob) = talked();
        bob.send("alice", "swallowed").unwrap();
        let key = bob.flying(&alice)[0].key;
        bob.link(LinkEvent::Deposited(key));
        bob.send("alice", "three").unwrap();
        carry(&mut bob, &mut alice);
        assert_eq!(alice.summary().missing, 1);
        change(&mut alice, "bob", ContactChange::Remove(history)).unwrap();
        assert_eq!(alice.summary().missing, 0);
        change(&mut bob, "alice", ContactChange::Remove(history)).unwrap();
        alice.turn(Input::Tick);
        greet(&mut alice, &mut bob);
        assert_eq!(alice.summary().missing, again, "what is known of it is known again");
        settle(&mut alice, &mut bob);
        let listed: u64 = alice.audit(None).chats.iter().map(|chat| chat.received.missing).sum();
        assert_eq!(alice.summary().missing, listed);
    }
}
