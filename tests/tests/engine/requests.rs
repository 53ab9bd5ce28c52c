//! Contact requests: who asks by an invite that many may use, what the asked one sees of it, and what strangers can do.

use std::time::Duration;

use hermes_engine::{
    Command, CommandError, ContactChange, Event, History, Input, LinkEvent, MessageState, PresenceDue, Reply,
    RequestDecision, SendError, Trust, UnreadableCause, VerifiedBy, limits,
    query::{self, ContactState, EventEntry, MessageDirection, OpenInviteView, RequestView},
};
use hermes_protocol::Body;
use hermes_tests::{
    duo::{Peer, carry, paired, serve_fetches, settle},
    impostor::Impostor,
    passing::said,
    stranger::Stranger,
};
use hermes_wire::Refusal;

/// `guest` uses a link of `host`, up to the greeting in its outbox.
fn ask(guest: &mut Peer, host: &mut Peer, link: &str) {
    guest.command(Command::Accept(Box::new(link.parse().unwrap()))).unwrap();
    serve_fetches(guest, host);
}

/// Alice asks Bob, and has said so much.
fn asked(texts: &[&str]) -> (Peer, Peer) {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    let link = bob.invite_requests();
    ask(&mut alice, &mut bob, &link);
    rename(&mut alice, "pending", "bob");
    for text in texts {
        alice.send("bob", text).unwrap();
    }
    carry(&mut alice, &mut bob);
    (alice, bob)
}

fn rename(peer: &mut Peer, old: &str, new: &str) {
    peer.command(Command::Contact(old.to_owned(), ContactChange::Rename(new.to_owned()))).unwrap();
}

fn decide(peer: &mut Peer, name: &str, decision: RequestDecision) -> Result<Reply, CommandError> {
    peer.command(Command::Request(name.to_owned(), decision))
}

fn accept(peer: &mut Peer, name: &str) {
    decide(peer, name, RequestDecision::Accept(None)).unwrap();
}

fn requests(peer: &Peer) -> Vec<RequestView> {
    query::requests(&peer.store).unwrap().0
}

fn names(peer: &Peer) -> Vec<String> {
    requests(peer).into_iter().map(|request| request.name).collect()
}

fn invite(peer: &Peer) -> OpenInviteView {
    query::requests(&peer.store).unwrap().1.remove(0)
}

fn refused(peer: &Peer) -> Option<UnreadableCause> {
    invite(peer).last_refused.map(|(cause, _)| cause)
}

fn contact(peer: &Peer, name: &str) -> query::ContactView {
    query::contact_named(&peer.store, name).unwrap().unwrap().contact
}

fn logged(peer: &Peer) -> usize {
    let entries = query::events(&peer.store, 0, None, 99).unwrap().entries;
    entries.iter().filter(|entry| matches!(entry, EventEntry::Event(_))).count()
}

fn states(peer: &Peer, chat: &str) -> Vec<MessageState> {
    let log = query::log(&peer.store, chat, None, usize::MAX).unwrap().unwrap();
    let state = |message: query::MessageView| match message.direction {
        MessageDirection::Sent(state) => Some(state),
        _ => None,
    };
    log.into_iter().filter_map(state).collect()
}

#[test]
fn who_asks_is_no_contact_until_the_user_says_so() {
    let (mut alice, mut bob) = asked(&["hi, we met at the fair", "it is about the boat"]);
    assert_eq!(contact(&alice, "bob").state, ContactState::Asked);
    assert_eq!(states(&alice, "bob"), [MessageState::Relayed, MessageState::Relayed]);
    bob.restart();
    for _ in 0..2 {
        bob.turn(Input::Tick);
        bob.link(LinkEvent::PresenceDue(PresenceDue::Connected));
        bob.command(Command::GiveKeyPackages).unwrap();
        assert_eq!((bob.summary().outbox, said(&bob, &alice).len()), (0, 0), "nothing is sent to her");
    }
    let summary = bob.summary();
    assert_eq!((summary.contacts, summary.unread, summary.unreadable, summary.requests), (0, 0, 0, 1));
    assert!(query::peers(&bob.store).unwrap().is_empty() && query::chats(&bob.store).unwrap().is_empty());
    let Ok(Reply::Sent(sent)) = bob.send("alice", "hi") else { panic!() };
    assert_eq!(sent[0].outcome.clone().unwrap_err(), SendError::UnknownContact("alice".into()));

    let request = requests(&bob).remove(0);
    let texts: Vec<_> = request.said.iter().map(|said| said.text.as_str()).collect();
    assert_eq!(texts, ["hi, we met at the fair", "it is about the boat"]);
    assert_eq!((request.name.as_str(), request.profile_name.as_str(), request.held), ("alice", "alice", 2));
    assert_eq!(request.fingerprint, alice.summary().fingerprint);

    accept(&mut bob, "alice");
    assert!(bob.events().iter().any(|event| matches!(event, Event::ContactReady { .. })));
    assert_eq!((names(&bob).len(), bob.summary().unread, bob.texts("alice").len()), (0, 2, 2));
    settle(&mut bob, &mut alice);
    assert_eq!(states(&alice, "bob"), [MessageState::Delivered, MessageState::Delivered]);
    // An invite that anybody may hold vouches for nobody, on neither side.
    for (peer, name) in [(&alice, "bob"), (&bob, "alice")] {
        assert_eq!(contact(peer, name).trust, Trust::Unverified);
        assert_eq!(contact(peer, name).state, ContactState::Ready);
    }
    bob.send("alice", "welcome").unwrap();
    alice.send("bob", "thanks").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!((alice.texts("bob").len(), bob.texts("alice").len()), (4, 4));
    assert!(
        alice.audit(None).chats.iter().chain(&bob.audit(None).chats).all(|chat| chat.received.missing == 0)
    );
}

#[test]
fn one_event_tells_of_a_request_and_the_log_of_it_while_it_waits() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    let link = bob.invite_requests();
    ask(&mut alice, &mut bob, &link);
    assert!(alice.events().iter().any(|event| matches!(event, Event::Asked { .. })));
    alice.send("pending", "hi").unwrap();
    let mut told = 0;
    for flying in alice.flying(&bob) {
        bob.take(flying.contact, flying.body);
        told += bob.events().len();
    }
    assert_eq!(told, 1);
    assert_eq!(logged(&bob), 1);
    decide(&mut bob, "alice", RequestDecision::Reject).unwrap();
    assert_eq!(logged(&bob), 0, "there is nothing left to tell");
}

#[test]
fn what_is_said_beyond_the_limits_waits_with_its_author_and_comes_in_order() {
    let long = "x".repeat(limits::REQUEST_BYTES);
    let (mut alice, mut bob) = asked(&["1", "2", "3"]);
    alice.send("bob", &long).unwrap();
    alice.send("bob", "5").unwrap();
    for number in 6..9 {
        alice.send("bob", &number.to_string()).unwrap();
    }
    carry(&mut alice, &mut bob);
    alice.restart();
    assert_eq!(requests(&bob)[0].held, 3, "what waits, waits for what comes before it");
    assert_eq!(states(&alice, "bob")[3..], vec![MessageState::Queued; 5]);
    assert_eq!(invite(&bob).refused, 0);
    accept(&mut bob, "alice");
    settle(&mut bob, &mut alice);
    assert_eq!(bob.texts("alice"), ["1", "2", "3", &long, "5", "6", "7", "8"]);
    assert_eq!(states(&alice, "bob"), vec![MessageState::Delivered; 8]);

    let (mut alice, bob) = asked(&["1", "2", "3", "4", "5", "6"]);
    assert_eq!((requests(&bob)[0].held, states(&alice, "bob")[5].clone()), (5, MessageState::Queued));
    alice.send("bob", "7").unwrap();
    let waiting = query::waiting(&alice.store, None).unwrap().unwrap().0;
    assert_eq!((waiting.len(), waiting[0].sealed), (2, None), "the outbox shows what waits");
}

#[test]
fn more_than_a_request_may_say_is_refused_and_costs_nothing() {
    let mut bob = Peer::new("bob", 2);
    let link = bob.invite_requests();
    let mut mallory = Stranger::new(&link, "mallory", &mut bob, 9);
    mallory.greet(&mut bob);
    mallory.say(&mut bob, &"x".repeat(16_000));
    assert_eq!(refused(&bob), Some(UnreadableCause::RequestFull));
    mallory.tell(&mut bob, Body::Ping);
    mallory.tell(&mut bob, Body::ResendRequest { received: 0, missing: Vec::new(), sent: 0 });
    assert_eq!((refused(&bob), requests(&bob)[0].held), (Some(UnreadableCause::BadContent), 0));
    for number in 0..20 {
        mallory.say(&mut bob, &number.to_string());
    }
    let request = requests(&bob).remove(0);
    assert_eq!((request.held, request.said[4].text.as_str()), (limits::REQUEST_MESSAGES, "4"));
    assert_eq!((bob.events(), bob.summary().unreadable, bob.summary().outbox), (vec![], 0, 0));
    // The first five are all that becomes part of the conversation, and what follows acceptance does too.
    accept(&mut bob, "mallory");
    mallory.say(&mut bob, "at last");
    assert_eq!(bob.texts("mallory"), ["0", "1", "2", "3", "4", "at last"]);
}

#[test]
fn who_is_rejected_is_forgotten_and_not_heard_by_such_an_invite_again() {
    let (mut alice, mut bob) = asked(&["hi"]);
    let again = alice.flying(&bob);
    decide(&mut bob, "alice", RequestDecision::Reject).unwrap();
    assert!(names(&bob).is_empty() && bob.summary().outbox == 0 && again.is_empty());
    assert_eq!(
        decide(&mut bob, "alice", RequestDecision::Accept(None)).unwrap_err(),
        CommandError::UnknownRequest("alice".into())
    );
    alice.send("bob", "still there?").unwrap();
    carry(&mut alice, &mut bob);
    assert_eq!(refused(&bob), Some(UnreadableCause::Rejected));
    // Nor by another one.
    for link in [bob.invite_requests(), bob.invite_requests()] {
        alice.command(Command::Contact("bob".into(), ContactChange::Remove(History::Deleted))).unwrap();
        ask(&mut alice, &mut bob, &link);
        carry(&mut alice, &mut bob);
        bob.restart();
    }
    assert!(names(&bob).is_empty() && bob.contacts().is_empty() && bob.summary().outbox == 0);
    let invites = query::requests(&bob.store).unwrap().1;
    assert_eq!(invites.iter().filter(|invite| invite.refused == 1).count(), 3, "{invites:?}");
    // An invite of her own is another matter.
    let link = bob.invite();
    ask(&mut alice, &mut bob, &link);
    settle(&mut alice, &mut bob);
    assert_eq!(
        (bob.contacts(), contact(&bob, "alice").trust),
        (vec!["alice".into()], Trust::Verified(VerifiedBy::Invite))
    );
}

#[test]
fn full_means_refused_and_nobody_whom_the_user_saw_gives_way() {
    let mut bob = Peer::new("bob", 2);
    let link = bob.invite_requests();
    let bundle = bob.bundle();
    // One bundle fetched once serves any number, if it has no one-time keys.
    let bundle =
        Box::new(hermes_wire::prekey::SealedBundle { one_time: None, kem: last_resort(&mut bob), ..*bundle });
    let stranger = |bob: &mut Peer, seed: u64| {
        bob.now = bob.now.after(limits::HANDSHAKE_PERIOD);
        let mut stranger = Stranger::with_bundle(&link, "crowd", bob, &bundle, seed);
        stranger.greet(bob);
        stranger
    };
    let mut first = stranger(&mut bob, 100);
    for seed in 1..limits::REQUESTS as u64 {
        stranger(&mut bob, 100 + seed);
    }
    let before = names(&bob);
    assert_eq!((before.len(), before[0].as_str(), invite(&bob).refused), (limits::REQUESTS, "crowd", 0));
    stranger(&mut bob, 7);
    assert_eq!((names(&bob), refused(&bob)), (before.clone(), Some(UnreadableCause::TooManyRequests)));
    assert_eq!((bob.events(), bob.summary().unreadable), (vec![], 0));
    // Those who wait can still say who they are.
    first.say(&mut bob, "it is me");
    assert_eq!(requests(&bob)[0].said.len(), 1);
    decide(&mut bob, "crowd-42", RequestDecision::Reject).unwrap();
    stranger(&mut bob, 8);
    assert_eq!(names(&bob).len(), limits::REQUESTS);
    assert!(names(&bob).iter().all(|name| before.contains(name)));
}

fn last_resort(peer: &mut Peer) -> hermes_wire::prekey::PrekeyEntry {
    // When all one-time keys are given out, what is left is given again and again.
    loop {
        let bundle = peer.bundle();
        if bundle.one_time.is_none() {
            return bundle.kem;
        }
    }
}

#[test]
fn a_flood_of_handshakes_and_of_junk_is_refused_and_kept_off_the_records() {
    let mut bob = Peer::new("bob", 2);
    let link = bob.invite_requests();
    last_resort(&mut bob);
    let bundle = bob.bundle();
    let secretless = {
        let mut invite: hermes_engine::Invite = link.parse().unwrap();
        let other: hermes_engine::Invite = bob.invite().parse().unwrap();
        invite.secret = other.secret.clone();
        invite.to_string()
    };
    let burst = u64::from(limits::HANDSHAKE_BURST);
    let flood = |bob: &mut Peer, seed| {
        Stranger::with_bundle(&secretless, "flood", bob, &bundle, seed).greet(bob);
        refused(bob)
    };
    for seed in 0..burst {
        assert_eq!(flood(&mut bob, seed), Some(UnreadableCause::BadInviteProof));
    }
    assert_eq!(flood(&mut bob, burst), Some(UnreadableCause::TooManyHandshakes));
    bob.now = bob.now.after(limits::HANDSHAKE_PERIOD);
    assert_eq!(flood(&mut bob, burst + 1), Some(UnreadableCause::BadInviteProof), "one more is earned");
    assert_eq!(flood(&mut bob, burst + 2), Some(UnreadableCause::TooManyHandshakes));
    // A clock that goes back shuts nobody out for longer.
    bob.now = bob.now.after(Duration::from_secs(86_400 * 2));
    bob.register(bob.head);
    let contact = Stranger::with_bundle(&link, "x", &bob, &bundle, 1).contact;
    for junk in [vec![], vec![1, 1, 0], vec![7; 300], vec![1, 2, 3]] {
        bob.take(contact, junk);
    }
    assert_eq!(invite(&bob).refused, burst + 3 + 4);
    assert_eq!((bob.summary().unreadable, bob.summary().requests), (0, 0));
    assert_eq!(logged(&bob), 0);
}

#[test]
fn a_name_imitates_nobody_and_stays_with_whom_the_user_saw() {
    let (_, mut bob) = paired();
    let link = bob.invite_requests();
    let ask = |bob: &mut Peer, name: &str, seed| Stranger::new(&link, name, bob, seed).greet(bob);
    for (seed, name) in
        ["alice", "ALICE", "\u{1b}[2Jalice#1\u{202e}", "аlice", "carol"].into_iter().enumerate()
    {
        ask(&mut bob, name, 50 + seed as u64);
    }
    let seen: Vec<_> = requests(&bob).into_iter().map(|request| (request.name, request.namesake)).collect();
    let mut seen: Vec<_> = seen.iter().map(|(name, of)| (name.as_str(), of.as_deref())).collect();
    seen.sort_unstable();
    // One of them is written with a Cyrillic letter, which no name keeps.
    let alice = Some("alice");
    assert_eq!(
        seen,
        [("2jalice1", None), ("alice-2", alice), ("alice-3", alice), ("carol", None), ("lice", None)]
    );
    // The name that the user saw goes on to mean the same, whoever else comes by it.
    let carol = requests(&bob).into_iter().find(|request| request.name == "carol").unwrap().fingerprint;
    ask(&mut bob, "carol", 70);
    let mut real = Peer::new("carol", 71);
    hermes_tests::duo::greet(&mut real, &mut bob);
    settle(&mut real, &mut bob);
    assert_eq!(contact(&bob, "carol").fingerprint, real.summary().fingerprint);
    let other = decide(&mut bob, "carol", RequestDecision::Accept(Some("alice".into())));
    assert_eq!(other.unwrap_err(), CommandError::NameTaken("alice".into()));
    let other = decide(&mut bob, "carol", RequestDecision::Accept(Some("no name".into())));
    assert_eq!(other.unwrap_err(), CommandError::BadName("no name".into()));
    decide(&mut bob, "carol", RequestDecision::Accept(Some("carol.fair".into()))).unwrap();
    assert_eq!(contact(&bob, "carol.fair").fingerprint, carol);
    assert_eq!(contact(&bob, "carol").fingerprint, real.summary().fingerprint);
}

#[test]
fn a_name_beyond_the_limit_is_no_request() {
    let mut bob = Peer::new("bob", 2);
    let link = bob.invite_requests();
    Stranger::new(&link, &"x".repeat(65), &mut bob, 9).greet(&mut bob);
    assert_eq!((names(&bob).len(), refused(&bob)), (0, Some(UnreadableCause::BadContent)));
}

#[test]
fn a_copy_of_a_request_is_no_other_one() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    let link = bob.invite_requests();
    ask(&mut alice, &mut bob, &link);
    alice.send("pending", "hi").unwrap();
    let flying = alice.flying(&bob);
    let take = |bob: &mut Peer| {
        for flying in &flying {
            bob.take(flying.contact, flying.body.clone());
        }
    };
    for _ in 0..3 {
        take(&mut bob);
    }
    assert_eq!((names(&bob), requests(&bob)[0].held), (vec!["alice".into()], 1));
    accept(&mut bob, "alice");
    take(&mut bob);
    assert_eq!((bob.texts("alice").len(), bob.summary().requests, bob.summary().renewals), (1, 0, 0));
    // Rejected, the same bytes are of one who was.
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    let link = bob.invite_requests();
    ask(&mut alice, &mut bob, &link);
    let greeting = alice.flying(&bob).remove(0);
    carry(&mut alice, &mut bob);
    decide(&mut bob, "alice", RequestDecision::Reject).unwrap();
    bob.take(greeting.contact, greeting.body);
    assert_eq!((names(&bob).len(), refused(&bob)), (0, Some(UnreadableCause::Rejected)));
}

#[test]
fn who_asks_again_is_the_same_request() {
    let (mut alice, mut bob) = asked(&["first"]);
    alice.command(Command::Contact("bob".into(), ContactChange::Remove(History::Kept))).unwrap();
    let link = bob.invite_requests();
    ask(&mut alice, &mut bob, &link);
    carry(&mut alice, &mut bob);
    alice.send("bob", "second").unwrap();
    carry(&mut alice, &mut bob);
    assert_eq!((names(&bob), requests(&bob)[0].held), (vec!["alice".into()], 2));
    accept(&mut bob, "alice");
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["first", "second"]);
    alice.send("bob", "third").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["first", "second", "third"]);
}

#[test]
fn a_contact_that_uses_such_an_invite_stays_one_and_a_blocked_one_stays_out() {
    let (mut alice, mut bob) = paired();
    alice.command(Command::Contact("bob".into(), ContactChange::Remove(History::Deleted))).unwrap();
    let link = bob.invite_requests();
    ask(&mut alice, &mut bob, &link);
    settle(&mut alice, &mut bob);
    assert_eq!((names(&bob).len(), bob.contacts()), (0, vec!["alice".into()]));
    assert_eq!(contact(&bob, "alice").trust, Trust::Verified(VerifiedBy::Invite), "as before");
    alice.send("bob", "back").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["back"]);

    bob.command(Command::Contact("alice".into(), ContactChange::Block)).unwrap();
    alice.command(Command::Contact("bob".into(), ContactChange::Remove(History::Deleted))).unwrap();
    ask(&mut alice, &mut bob, &link);
    carry(&mut alice, &mut bob);
    assert_eq!((names(&bob).len(), refused(&bob)), (0, Some(UnreadableCause::Blocked)));
    assert_eq!(bob.summary().outbox, 0);
}

#[test]
fn a_contact_that_was_removed_asks_like_anybody() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "before").unwrap();
    settle(&mut alice, &mut bob);
    bob.command(Command::Contact("alice".into(), ContactChange::Remove(History::Kept))).unwrap();
    alice.command(Command::Contact("bob".into(), ContactChange::Remove(History::Kept))).unwrap();
    let link = bob.invite_requests();
    ask(&mut alice, &mut bob, &link);
    alice.send("bob", "may I?").unwrap();
    carry(&mut alice, &mut bob);
    assert_eq!((bob.contacts().len(), names(&bob)), (0, vec!["alice-2".into()]));
    assert_eq!(bob.texts("alice"), ["before"]);
    accept(&mut bob, "alice-2");
    settle(&mut alice, &mut bob);
    assert_eq!(
        (bob.texts("alice"), contact(&bob, "alice").trust),
        (vec!["before".into(), "may I?".into()], Trust::Unverified)
    );
}

#[test]
fn two_who_ask_each_other_are_contacts() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    let (of_alice, of_bob) = (alice.invite_requests(), bob.invite_requests());
    ask(&mut alice, &mut bob, &of_bob);
    ask(&mut bob, &mut alice, &of_alice);
    settle(&mut alice, &mut bob);
    assert_eq!((alice.contacts(), bob.contacts()), (vec!["bob".into()], vec!["alice".into()]));
    assert_eq!((alice.summary().requests, bob.summary().requests), (0, 0));
    alice.send("bob", "hi").unwrap();
    bob.send("alice", "hi").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!((alice.texts("bob").len(), bob.texts("alice").len()), (2, 2));
}

#[test]
fn an_invite_of_ones_own_ends_the_waiting_whichever_way_it_goes() {
    // Bob hands Alice one while she waits.
    let (mut alice, mut bob) = asked(&["hi"]);
    let link = bob.invite();
    ask(&mut alice, &mut bob, &link);
    settle(&mut alice, &mut bob);
    assert_eq!((bob.texts("alice"), names(&bob).len()), (vec!["hi".into()], 0));
    for (peer, name) in [(&alice, "bob"), (&bob, "alice")] {
        assert_eq!(contact(peer, name).trust, Trust::Verified(VerifiedBy::Invite), "{name}");
    }
    alice.send("bob", "more").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!((bob.texts("alice").len(), bob.audit(None).chats[0].received.missing), (2, 0));
    // Or she hands Bob one.
    let (mut alice, mut bob) = asked(&["hi"]);
    let link = alice.invite();
    assert!(matches!(
        bob.command(Command::Accept(Box::new(link.parse().unwrap()))),
        Ok(Reply::Accepted { .. })
    ));
    settle(&mut alice, &mut bob);
    assert_eq!(
        (bob.texts("alice"), contact(&bob, "alice").trust),
        (vec!["hi".into()], Trust::Verified(VerifiedBy::Invite))
    );
}

#[test]
fn a_request_outlives_a_store_that_was_put_back() {
    let (mut alice, mut bob) = asked(&["hi"]);
    let old = bob.snapshot();
    accept(&mut bob, "alice");
    settle(&mut alice, &mut bob);
    bob.turn(Input::Link(LinkEvent::ClaimDue));
    bob.settle_claims();
    // Bob's copy knows nothing of the acceptance; its session was used further than it knows.
    bob.restore(&old);
    assert_eq!((names(&bob), bob.contacts().len()), (vec!["alice".into()], 0));
    accept(&mut bob, "alice");
    assert_eq!(bob.texts("alice"), ["hi"]);
    serve_fetches(&mut bob, &mut alice);
    settle(&mut alice, &mut bob);
    bob.send("alice", "sorry for the wait").unwrap();
    alice.send("bob", "never mind").unwrap();
    settle(&mut alice, &mut bob);
    assert!(alice.texts("bob").contains(&"sorry for the wait".to_owned()));
    assert!(bob.texts("alice").contains(&"never mind".to_owned()));

    // The same when she has heard nothing yet.
    let (mut alice, mut bob) = asked(&["hi"]);
    let old = bob.snapshot();
    bob.turn(Input::Link(LinkEvent::ClaimDue));
    bob.settle_claims();
    bob.restore(&old);
    accept(&mut bob, "alice");
    serve_fetches(&mut bob, &mut alice);
    settle(&mut alice, &mut bob);
    assert_eq!(contact(&alice, "bob").state, ContactState::Ready);
    alice.send("bob", "thanks").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["hi", "thanks"]);
    assert_eq!(states(&alice, "bob").last(), Some(&MessageState::Delivered));
}

#[test]
fn an_invite_that_is_withdrawn_ends_the_asking_and_not_the_waiting() {
    let (mut alice, mut bob) = asked(&["hi"]);
    let link = bob.invite_requests();
    let invites = query::requests(&bob.store).unwrap().1;
    let used = requests(&bob)[0].invite;
    let close = |bob: &mut Peer, id: Option<&str>| bob.command(Command::CloseRequests(id.map(str::to_owned)));
    assert!(matches!(close(&mut bob, Some("zz")), Err(CommandError::NoSuchRequestInvite(Some(_)))));
    assert!(matches!(close(&mut bob, Some("")), Err(CommandError::NoSuchRequestInvite(Some(_)))));
    assert!(matches!(close(&mut bob, Some(&used.to_string()[..8])), Ok(Reply::Closed(1))));
    assert_eq!((invites.len(), query::requests(&bob.store).unwrap().1.len()), (2, 1));
    assert!(query::revocations(&bob.store).unwrap().iter().any(|(contact, _)| *contact == used));
    // What was under way is taken, and the relay takes nothing more by it.
    alice.send("bob", "under way").unwrap();
    carry(&mut alice, &mut bob);
    assert_eq!((bob.summary().unreadable, requests(&bob)[0].held), (0, 2));
    alice.send("bob", "refused").unwrap();
    let key = alice.flying(&bob)[0].key;
    alice.link(LinkEvent::DepositRefused(key, Refusal::NoEntry));
    accept(&mut bob, "alice");
    settle(&mut bob, &mut alice);
    alice.send("bob", "here I am").unwrap();
    settle(&mut bob, &mut alice);
    assert_eq!(bob.texts("alice"), ["hi", "under way", "here I am"]);
    assert!(matches!(close(&mut bob, None), Ok(Reply::Closed(1))));
    assert_eq!(close(&mut bob, None).unwrap_err(), CommandError::NoSuchRequestInvite(None));
    let mut carol = Peer::new("carol", 3);
    ask(&mut carol, &mut bob, &link);
    carry(&mut carol, &mut bob);
    assert_eq!((names(&bob).len(), bob.contacts()), (0, vec!["alice".into()]));
}

#[test]
fn invites_for_requests_are_few_and_end() {
    let mut bob = Peer::new("bob", 2);
    let mut more = |days: u64| {
        let validity = Duration::from_secs(days * 86_400);
        bob.command(Command::InviteRequests { validity }).map(|_| ())
    };
    assert_eq!(more(366), Err(CommandError::ValidityTooLong(365)));
    for _ in 0..limits::REQUEST_INVITES {
        more(365).unwrap();
    }
    assert_eq!(more(1), Err(CommandError::TooManyRequestInvites(limits::REQUEST_INVITES)));

    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    let link = bob.invite_requests();
    ask(&mut alice, &mut bob, &link);
    bob.now = bob.now.after(Duration::from_secs(86_400 * 32));
    bob.register(0);
    carry(&mut alice, &mut bob);
    assert_eq!((names(&bob).len(), refused(&bob)), (0, Some(UnreadableCause::InviteOver)));
    bob.turn(Input::Tick);
    assert!(query::requests(&bob.store).unwrap().1.is_empty());
}

#[test]
fn a_name_that_the_user_gave_outlasts_the_answer() {
    let (mut alice, mut bob) = asked(&[]);
    rename(&mut alice, "bob", "robert");
    accept(&mut bob, "alice");
    settle(&mut alice, &mut bob);
    assert_eq!(alice.contacts(), ["robert"]);
}

#[test]
fn a_request_may_wait_for_longer_than_the_keys_it_began_with_live() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    let validity = limits::REQUEST_INVITE_VALIDITY;
    let Ok(Reply::Invite { link, .. }) = bob.command(Command::InviteRequests { validity }) else { panic!() };
    ask(&mut alice, &mut bob, &link);
    carry(&mut alice, &mut bob);
    for days in [3, 45, 45] {
        bob.now = bob.now.after(Duration::from_secs(days * 86_400));
        bob.register(bob.head);
        bob.turn(Input::Tick);
        bob.publish();
    }
    alice.now = bob.now;
    alice.send("pending", "still there").unwrap();
    carry(&mut alice, &mut bob);
    assert_eq!((requests(&bob)[0].held, invite(&bob).refused), (1, 0));
    accept(&mut bob, "alice");
    settle(&mut alice, &mut bob);
    assert_eq!(
        (bob.texts("alice"), alice.texts("bob")),
        (vec!["still there".into()], vec!["still there".into()])
    );
}

#[test]
fn what_another_identity_said_in_a_contacts_place_stays_held_when_the_contact_greets_again() {
    for public in [true, false] {
        let (mut alice, mut bob) = paired();
        let mut mallory = Impostor::of(&alice, "bob", &mut bob, 9);
        mallory.say(&mut bob, "I am alice");
        assert_eq!(contact(&bob, "alice").trust, Trust::Changed);
        alice.command(Command::Contact("bob".into(), ContactChange::Remove(History::Deleted))).unwrap();
        let link = if public { bob.invite_requests() } else { bob.invite() };
        ask(&mut alice, &mut bob, &link);
        settle(&mut alice, &mut bob);
        alice.send("bob", "it is me").unwrap();
        settle(&mut alice, &mut bob);
        assert_eq!(
            (bob.texts("alice"), contact(&bob, "alice").trust),
            (vec!["it is me".into()], Trust::Changed)
        );
    }
}

#[test]
fn messages_that_lead_nowhere_are_opened_so_often_and_no_more() {
    let mut bob = Peer::new("bob", 2);
    let link = bob.invite_requests();
    let mut mallory = Stranger::new(&link, "mallory", &mut bob, 9);
    mallory.greet(&mut bob);
    for _ in 0..limits::REQUEST_TRIES {
        mallory.tell(&mut bob, Body::Ping);
        assert_eq!(refused(&bob), Some(UnreadableCause::BadContent));
    }
    bob.restart();
    mallory.say(&mut bob, "one too many");
    assert_eq!((refused(&bob), requests(&bob)[0].held), (Some(UnreadableCause::RequestFull), 0));
}
