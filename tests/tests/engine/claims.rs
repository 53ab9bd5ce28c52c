//! Store claims: a store that was put back from an old copy, or runs twice, notices; everything else does not.

use hermes_engine::{
    Command, CommandError, Event, Input, LinkEvent, MessageState, RenewalReason, Reply, SendError, Text,
    query::{self, Claiming, MessageDirection, StoreState, claiming},
};
use hermes_tests::duo::{Peer, carry, paired, settle};
use hermes_wire::{Claim, MailboxId, Refusal, Timestamp};

fn state(peer: &Peer) -> StoreState {
    peer.summary().store.state
}

fn held(peer: &Peer) -> Claim {
    *peer.held.as_ref().expect("the relay holds a claim").unverified()
}

fn restored(peer: &Peer) -> Option<(u64, u64)> {
    peer.summary().store.restored.map(|restored| (restored.renewed, restored.contacts))
}

fn reconnect(peer: &mut Peer) {
    peer.register(peer.head);
}

/// The relay opens the mailbox for `peer`, from which it takes the place of another run.
fn oust(peer: &mut Peer) {
    peer.open_mailbox(peer.head, peer.now, true);
    peer.settle_claims();
}

fn refusal(peer: &mut Peer, to: &str) -> SendError {
    match peer.send(to, "refused?") {
        Ok(Reply::Sent(mut results)) => results.remove(0).outcome.expect_err("it is not sealed"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_connection_and_each_due_time_claims_the_next() {
    let mut alice = Peer::new("alice", 1);
    let first = held(&alice);
    reconnect(&mut alice);
    let second = held(&alice);
    alice.link(LinkEvent::ClaimDue);
    alice.settle_claims();
    let third = held(&alice);
    assert!(first.epoch == second.epoch && second.epoch == third.epoch);
    assert_eq!([first.counter, second.counter, third.counter], [1, 2, 3]);
    assert_eq!(alice.summary().store.state, StoreState::Working);
    assert_eq!((restored(&alice), alice.summary().store.copy_seen), (None, None));
}

#[test]
fn nothing_that_is_sent_or_received_makes_a_claim() {
    let (mut alice, mut bob) = paired();
    let before = held(&alice);
    alice.send("bob", "hi").unwrap();
    settle(&mut alice, &mut bob);
    bob.send("alice", "hi").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!((alice.claim_asked(), held(&alice)), (None, before));
}

/// The contact's keys arrive, where a recovery has asked for them.
fn renew(peer: &mut Peer, contact: &mut Peer) {
    let fetch = query::fetches(&peer.store).unwrap().pop().expect("the contact's keys are asked for");
    let bundle = contact.bundle();
    peer.link(LinkEvent::Bundle(fetch.chat, fetch.fetch, bundle));
}

#[test]
fn a_store_that_was_put_back_begins_anew_with_everyone() {
    let (mut alice, mut bob) = paired();
    let copy = alice.snapshot();
    let before = held(&alice);
    alice.send("bob", "after the copy").unwrap();
    settle(&mut alice, &mut bob);
    bob.send("alice", "to the store that is lost").unwrap();
    settle(&mut alice, &mut bob);
    reconnect(&mut alice);

    alice.put_back(&copy);
    alice.open_mailbox(alice.head, alice.now, false);
    // From here on nothing is sealed with what may have been used; what is sent waits.
    assert_eq!(state(&alice), StoreState::Recovering);
    alice.send("bob", "while it recovers").unwrap();
    assert_eq!(alice.summary().outbox, 0);
    let asked = alice.claim_asked().expect("a new epoch");
    assert_ne!(asked.next.unverified().epoch, before.epoch);
    assert_eq!(asked.next.unverified().succeeds, Some(held(&alice).nonce));
    let taken = alice.relay_claims(asked);
    alice.link(taken);
    assert_eq!(alice.events(), [Event::StoreRestored]);
    alice.settle_claims();
    assert_eq!((state(&alice), restored(&alice)), (StoreState::Working, Some((0, 1))));
    alice.send("bob", "before the keys are there").unwrap();
    assert_eq!(alice.summary().outbox, 0);
    // What is still under way to it was sealed for keys that only the lost store had.
    bob.send("alice", "under way").unwrap();
    carry(&mut bob, &mut alice);
    assert_eq!(alice.summary().unreadable, 1);

    renew(&mut alice, &mut bob);
    assert_eq!(restored(&alice), Some((1, 1)));
    assert_eq!(alice.summary().last_renewal.unwrap().2, RenewalReason::Restored);
    settle(&mut alice, &mut bob);
    let theirs = |peer: &Peer, chat: &str| -> Vec<String> {
        let log = query::log(&peer.store, chat, None, 100).unwrap().unwrap();
        let received = log.into_iter().filter(|m| matches!(m.direction, MessageDirection::Received { .. }));
        let plain = received.filter_map(|message| match message.text {
            Text::Plain(text) => Some(text),
            _ => None,
        });
        plain.collect()
    };
    assert_eq!(theirs(&bob, "alice"), ["after the copy", "while it recovers", "before the keys are there"]);
    // And what only the lost store had is asked for, and said again.
    let mut again = theirs(&alice, "bob");
    again.sort();
    assert_eq!(again, ["to the store that is lost", "under way"]);
    assert_eq!((alice.summary().unreadable, bob.summary().unreadable), (1, 0));
}

#[test]
fn what_may_have_been_sealed_twice_is_sealed_anew_and_older_rows_are_kept() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "before the claim").unwrap();
    reconnect(&mut alice);
    let copy = alice.snapshot();
    alice.send("bob", "by the store that is lost").unwrap();
    settle(&mut alice, &mut bob);
    reconnect(&mut alice);

    alice.put_back(&copy);
    // The relay is not there yet, and the daemon cannot know.
    alice.send("bob", "after the restore").unwrap();
    assert_eq!(alice.summary().outbox, 2);
    reconnect(&mut alice);
    assert_eq!(alice.summary().outbox, 1);
    // The old row is what the relay has had already, byte for byte.
    carry(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["before the claim", "by the store that is lost"]);
    renew(&mut alice, &mut bob);
    settle(&mut alice, &mut bob);
    let texts = bob.texts("alice");
    assert!(texts.contains(&"after the restore".to_owned()), "{texts:?}");
    assert_eq!(texts.iter().filter(|text| *text == "before the claim").count(), 1);
    assert_eq!(bob.summary().unreadable, 0);
    let log = query::log(&alice.store, "bob", None, 10).unwrap().unwrap();
    let delivered = |m: &query::MessageView| m.direction == MessageDirection::Sent(MessageState::Delivered);
    assert_eq!(log.iter().filter(|message| delivered(message)).count(), 2);
}

#[test]
fn a_contact_whose_keys_were_not_to_be_had_is_asked_for_again() {
    let (mut alice, mut bob) = paired();
    let copy = alice.snapshot();
    reconnect(&mut alice);
    alice.put_back(&copy);
    reconnect(&mut alice);
    let fetch = query::fetches(&alice.store).unwrap().pop().expect("the contact's keys are asked for");
    alice.link(LinkEvent::FetchRefused(fetch.chat, fetch.fetch, Refusal::NoEntry));
    assert!(query::fetches(&alice.store).unwrap().is_empty());
    alice.turn(Input::Tick);
    renew(&mut alice, &mut bob);
    assert_eq!(restored(&alice), Some((1, 1)));
}

#[test]
fn a_relay_that_was_put_back_is_no_alarm() {
    let mut alice = Peer::new("alice", 1);
    let old = alice.held.clone();
    for _ in 0..3 {
        reconnect(&mut alice);
    }
    let newest = held(&alice);
    alice.held = old;
    reconnect(&mut alice);
    assert!(held(&alice).epoch == newest.epoch && held(&alice).counter > newest.counter);
    alice.held = None;
    reconnect(&mut alice);
    assert!(held(&alice).counter > newest.counter);
    assert_eq!((state(&alice), restored(&alice)), (StoreState::Working, None));
}

#[test]
fn a_relay_that_goes_back_to_an_epoch_of_ours_is_no_alarm() {
    let mut alice = Peer::new("alice", 1);
    let (copy, old) = (alice.snapshot(), alice.held.clone());
    reconnect(&mut alice);
    alice.put_back(&copy);
    reconnect(&mut alice);
    let recovered = (alice.summary().store.restored.unwrap().at, held(&alice).epoch);
    alice.now = Timestamp(alice.now.0 + 1);
    alice.held = old;
    reconnect(&mut alice);
    let after = (alice.summary().store.restored.unwrap().at, held(&alice).epoch);
    assert_eq!((state(&alice), after), (StoreState::Working, recovered));
}

#[test]
fn two_claims_under_one_number_are_two() {
    let mut alice = Peer::new("alice", 1);
    let copy = alice.snapshot();
    reconnect(&mut alice);
    let number = held(&alice).counter;
    // The copy draws the same number, and is refused before it has one of its own at the relay.
    alice.put_back(&copy);
    alice.link(LinkEvent::ClaimDue);
    let asked = alice.claim_asked().expect("a claim");
    assert_eq!(asked.next.unverified().counter, number);
    let refused = alice.relay_claims(asked);
    alice.link(refused);
    assert_eq!(state(&alice), StoreState::Recovering);
}

#[test]
fn a_crash_before_a_claim_is_sent_and_one_before_its_answer_are_no_alarm() {
    let mut alice = Peer::new("alice", 1);
    alice.link(LinkEvent::ClaimDue);
    let asked = alice.claim_asked().expect("a claim");
    alice.restart();
    // Sent or not: it is the same one.
    assert_eq!(alice.claim_asked().as_ref(), Some(&asked));
    alice.open_mailbox(0, alice.now, false);
    assert_eq!(alice.claim_asked().as_ref(), Some(&asked));
    let _lost = alice.relay_claims(asked.clone());
    alice.restart();
    reconnect(&mut alice);
    assert_eq!(held(&alice).counter, asked.next.unverified().counter + 1);
    assert_eq!((state(&alice), restored(&alice)), (StoreState::Working, None));
}

#[test]
fn a_crash_in_a_recovery_repeats_what_is_missing_of_it() {
    let (mut alice, _bob) = paired();
    let copy = alice.snapshot();
    reconnect(&mut alice);
    alice.put_back(&copy);
    alice.open_mailbox(alice.head, alice.now, false);
    let asked = alice.claim_asked().expect("a new epoch");
    alice.restart();
    alice.open_mailbox(alice.head, alice.now, false);
    assert_eq!(alice.claim_asked().as_ref(), Some(&asked), "before it was sent");
    let _lost = alice.relay_claims(asked.clone());
    alice.restart();
    assert_eq!(restored(&alice), None);
    reconnect(&mut alice);
    assert_eq!(held(&alice).epoch, asked.next.unverified().epoch, "the one that the relay took");
    assert_eq!((state(&alice), restored(&alice)), (StoreState::Working, Some((0, 1))));
}

#[test]
fn who_takes_anothers_place_and_is_behind_stops_until_the_user_decides() {
    let (mut alice, _bob) = paired();
    let copy = alice.snapshot();
    reconnect(&mut alice);
    let working = alice.held.clone();

    alice.put_back(&copy);
    oust(&mut alice);
    assert!(matches!(state(&alice), StoreState::Stopped(_)));
    assert_eq!(alice.events(), [Event::CopyStopped]);
    assert_eq!(alice.held, working, "it has claimed nothing");
    assert_eq!(refusal(&mut alice, "bob"), SendError::CopyStopped);
    alice.restart();
    assert_eq!(claiming(&alice.store).unwrap(), Claiming::Stopped);

    assert!(matches!(alice.command(Command::Recover), Ok(Reply::TakingOver)));
    assert_eq!(state(&alice), StoreState::Recovering);
    oust(&mut alice);
    assert_eq!((state(&alice), restored(&alice)), (StoreState::Working, Some((0, 1))));
    assert_eq!(held(&alice).succeeds, working.map(|claim| claim.unverified().nonce));
}

#[test]
fn who_was_ousted_stops_even_when_the_other_copy_is_away() {
    let (mut alice, _bob) = paired();
    let old = alice.snapshot();
    reconnect(&mut alice);
    let newest = alice.snapshot();
    // The old copy is started while nobody else is there: a restore, as far as it can know.
    alice.put_back(&old);
    reconnect(&mut alice);
    assert_eq!(state(&alice), StoreState::Working);
    // The newest was no old copy, and learns from the claim that it has lost its place.
    alice.put_back(&newest);
    reconnect(&mut alice);
    assert!(matches!(state(&alice), StoreState::Stopped(_)));
    assert_eq!(restored(&alice), None);
}

#[test]
fn who_was_ousted_from_a_claim_whose_answer_it_never_heard_knows_it_as_well() {
    let mut alice = Peer::new("alice", 1);
    let old = alice.snapshot();
    alice.link(LinkEvent::ClaimDue);
    let asked = alice.claim_asked().expect("a claim");
    let _lost = alice.relay_claims(asked);
    let newest = alice.snapshot();
    alice.put_back(&old);
    reconnect(&mut alice);
    assert_eq!(restored(&alice), Some((0, 0)));
    alice.put_back(&newest);
    reconnect(&mut alice);
    assert!(matches!(state(&alice), StoreState::Stopped(_)));
}

#[test]
fn a_store_in_use_cannot_have_been_put_back() {
    let mut alice = Peer::new("alice", 1);
    let mut copy = Peer::new("alice", 1);
    copy.put_back(&alice.snapshot());
    copy.held.clone_from(&alice.held);
    // Both are the newest, and the copy is the first to claim. It is gone when the other one comes back.
    reconnect(&mut copy);
    assert_eq!(state(&copy), StoreState::Working);
    alice.held.clone_from(&copy.held);
    let same = alice.snapshot();
    reconnect(&mut alice);
    assert!(matches!(state(&alice), StoreState::Stopped(_)));
    // A daemon that has only been started cannot know that its store was there before.
    alice.put_back(&same);
    alice.open_mailbox(0, alice.now, false);
    assert_eq!(state(&alice), StoreState::Recovering);
}

#[test]
fn a_claim_that_the_account_never_signed_is_none_and_told_of() {
    let mut alice = Peer::new("alice", 1);
    let other = Peer::new("other", 2);
    let own = alice.held.clone();
    alice.held = other.held.clone();
    alice.open_mailbox(0, alice.now, false);
    assert_eq!(alice.events(), [Event::ForeignClaim]);
    assert_eq!(state(&alice), StoreState::Working);
    assert_eq!(alice.claim_asked().expect("a claim").expected, None);
    alice.held = own;
    reconnect(&mut alice);
    assert_eq!(state(&alice), StoreState::Working);
    assert!(other.held.unwrap().verify(MailboxId([0; 32])).is_err());
}

#[test]
fn a_copy_that_was_seen_is_told_until_the_user_has_taken_note() {
    let mut alice = Peer::new("alice", 1);
    assert_eq!(alice.command(Command::Recover).unwrap_err(), CommandError::NothingToRecover);
    alice.link(LinkEvent::CopySeen);
    assert_eq!(alice.events(), [Event::CopySeen]);
    alice.restart();
    reconnect(&mut alice);
    assert_eq!(alice.summary().store.copy_seen, Some(alice.now));
    assert!(matches!(alice.command(Command::Recover), Ok(Reply::AlarmEnded)));
    assert_eq!(alice.summary().store.copy_seen, None);
    assert_eq!(alice.command(Command::Recover).unwrap_err(), CommandError::NothingToRecover);
}
