//! The event log and its consumers; and commands that are carried out once.

use std::time::Duration;

use hermes_engine::{
    ChatId, Command, CommandError, ConsumerChange, Event, Idempotency, Input, LinkEvent, MessageChange,
    Reference, Reply, limits,
    query::{self, EventEntry},
};
use hermes_tests::duo::{Peer, paired, settle};
use hermes_wire::Sequence;

fn log(peer: &Peer, after: u64) -> Vec<(u64, Event)> {
    let (missed, events) = heard_by(peer, after, None);
    assert_eq!(missed, []);
    events
}

/// Numbers that are gone, first and last.
type Missed = Vec<(u64, u64)>;

/// What a program hears behind an event: what is gone, and events.
fn heard_by(peer: &Peer, after: u64, chat: Option<ChatId>) -> (Missed, Vec<(u64, Event)>) {
    let (mut missed, mut events, mut position) = (Vec::new(), Vec::new(), after);
    loop {
        let page = query::events(&peer.store, position, chat, 7).unwrap();
        for entry in page.entries {
            match entry {
                EventEntry::Missed(first, last) => missed.push((first, last)),
                EventEntry::Event(event) => events.push((event.number, event.event)),
            }
        }
        if page.through == position {
            return (missed, events);
        }
        position = page.through;
    }
}

fn consumer(peer: &mut Peer, name: &str, change: ConsumerChange) -> Result<u64, CommandError> {
    match peer.command(Command::Consumer(name.to_owned(), change))? {
        Reply::Consumer(acknowledged) => Ok(acknowledged),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_told_stands_in_the_log_and_survives_a_restart() {
    let (mut alice, mut bob) = paired();
    let before = query::newest_event(&bob.store).unwrap();
    alice.send("bob", "one").unwrap();
    alice.send("bob", "two").unwrap();
    settle(&mut alice, &mut bob);
    bob.restart();
    let told = log(&bob, before);
    let received = |number| Event::Received(Reference::new("alice", number));
    let numbered: Vec<_> = told.iter().filter(|(_, event)| matches!(event, Event::Received(_))).collect();
    assert_eq!(numbered, [&(before + 1, received(1)), &(before + 2, received(2))]);
    let states = log(&alice, 0).into_iter().filter(|(_, event)| matches!(event, Event::State { .. })).count();
    assert_eq!(states, 4, "two messages, each relayed and delivered");
    // Of one chat only.
    let chat = query::chat_named(&bob.store, "alice").unwrap();
    assert!(heard_by(&bob, before, chat).1.len() >= 2);
    let other = query::chat_named(&alice.store, "bob").unwrap();
    assert_eq!(heard_by(&bob, before, other), (vec![], vec![]));
}

#[test]
fn a_consumer_goes_on_where_it_was() {
    let (mut alice, mut bob) = paired();
    let begin = consumer(&mut bob, "bot", ConsumerChange::Begin).unwrap();
    alice.send("bob", "one").unwrap();
    settle(&mut alice, &mut bob);
    let newest = query::newest_event(&bob.store).unwrap();
    assert_eq!(newest, begin + 1);
    assert_eq!(consumer(&mut bob, "bot", ConsumerChange::Begin), Ok(begin), "reading moves nothing");
    assert_eq!(consumer(&mut bob, "bot", ConsumerChange::Acknowledge(newest)), Ok(newest));
    assert_eq!(consumer(&mut bob, "bot", ConsumerChange::Acknowledge(begin)), Ok(newest), "nor goes back");
    bob.restart();
    assert_eq!(consumer(&mut bob, "bot", ConsumerChange::Begin), Ok(newest));
    let ahead = consumer(&mut bob, "bot", ConsumerChange::Acknowledge(newest + 1));
    assert_eq!(ahead, Err(CommandError::NoSuchEvent { given: newest + 1, newest }));
    assert_eq!(consumer(&mut bob, "bot", ConsumerChange::Forget), Ok(newest));
    let gone = CommandError::UnknownConsumer("bot".to_owned());
    assert_eq!(consumer(&mut bob, "bot", ConsumerChange::Acknowledge(1)), Err(gone));
}

#[test]
fn consumers_have_names_and_are_not_many() {
    let mut bob = Peer::new("bob", 1);
    for bad in ["", "a b", "ä", &"x".repeat(limits::CONSUMER_NAME_BYTES + 1)] {
        let refused = consumer(&mut bob, bad, ConsumerChange::Begin);
        assert_eq!(refused, Err(CommandError::BadConsumerName(bad.to_owned())));
    }
    for number in 0..limits::CONSUMERS {
        consumer(&mut bob, &format!("bot-{number}"), ConsumerChange::Begin).unwrap();
    }
    let refused = consumer(&mut bob, "one-more", ConsumerChange::Begin);
    assert_eq!(refused, Err(CommandError::TooManyConsumers(limits::CONSUMERS)));
    consumer(&mut bob, "bot-0", ConsumerChange::Begin).unwrap();
    consumer(&mut bob, "bot-0", ConsumerChange::Forget).unwrap();
    consumer(&mut bob, "one-more", ConsumerChange::Begin).unwrap();
    assert_eq!(query::consumers(&bob.store).unwrap().len(), limits::CONSUMERS);
}

#[test]
fn the_oldest_events_go_and_whoever_wanted_them_is_told() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "one").unwrap();
    settle(&mut alice, &mut bob);
    let old = query::newest_event(&bob.store).unwrap();
    // A clock that jumps alone drops nothing.
    bob.now = bob.now.after(limits::EVENT_AGE + Duration::from_secs(1));
    bob.turn(Input::Tick);
    assert_eq!(log(&bob, 0).len() as u64, old);
    bob.register(bob.head);
    bob.turn(Input::Tick);
    assert_eq!(heard_by(&bob, 0, None), (vec![(1, old)], vec![]));
    // The numbers go on, and who has read all that was there misses nothing.
    alice.now = bob.now;
    alice.send("bob", "two").unwrap();
    settle(&mut alice, &mut bob);
    let two = Event::Received(Reference::new("alice", 2));
    assert!(log(&bob, old).contains(&(old + 1, two)));
    // Numbers from another life of the store are of no use in this one.
    let newest = query::newest_event(&bob.store).unwrap();
    let page = query::events(&bob.store, newest + 5, None, 10).unwrap();
    let missed = |entry: &EventEntry| matches!(entry, EventEntry::Missed(first, last) if (*first, *last) == (newest + 1, newest + 5));
    assert!(page.through == newest && page.entries.len() == 1 && missed(&page.entries[0]), "{page:?}");
}

#[test]
fn the_log_has_a_length() {
    let mut bob = Peer::new("bob", 1);
    let before = query::newest_event(&bob.store).unwrap();
    // What others can make as many of as they like does not push out the rest.
    for number in 1..=10 {
        bob.link(LinkEvent::Gone(Sequence(number), Sequence(number)));
    }
    assert_eq!(query::newest_event(&bob.store).unwrap(), before);
    for _ in 0..limits::EVENTS + 10 {
        bob.link(LinkEvent::CopySeen);
    }
    let newest = query::newest_event(&bob.store).unwrap();
    assert_eq!(newest, before + limits::EVENTS + 10);
    let page = query::events(&bob.store, 0, None, 1).unwrap();
    let [EventEntry::Missed(1, gone), EventEntry::Event(first)] = &page.entries[..] else {
        panic!("{page:?}")
    };
    assert_eq!((*gone, first.number), (newest - limits::EVENTS, newest - limits::EVENTS + 1));
}

#[test]
fn a_message_waits_for_a_consumer_that_comes_later_than_the_log_reaches() {
    let (mut alice, mut bob) = paired();
    let slow = consumer(&mut bob, "slow", ConsumerChange::Begin).unwrap();
    consumer(&mut bob, "quick", ConsumerChange::Begin).unwrap();
    for number in 0..20 {
        alice.send("bob", &format!("text {number}")).unwrap();
        settle(&mut alice, &mut bob);
        bob.link(LinkEvent::CopySeen);
    }
    for _ in 0..limits::EVENTS {
        bob.link(LinkEvent::CopySeen);
    }
    bob.restart();
    let newest = query::newest_event(&bob.store).unwrap();
    let heard = |bob: &Peer, after: u64| {
        let (missed, events) = heard_by(bob, after, None);
        // Each number is told or said to be gone, and the order is theirs.
        let gone: u64 = missed.iter().map(|(first, last)| last - first + 1).sum();
        assert_eq!(gone + events.len() as u64, newest - after);
        assert!(events.is_sorted_by_key(|(number, _)| *number));
        let received = events.into_iter().filter(|(_, event)| matches!(event, Event::Received(_)));
        received.map(|(number, _)| number).collect::<Vec<_>>()
    };
    let numbers = heard(&bob, slow);
    assert_eq!(numbers.len(), 20);
    assert_eq!(heard(&bob, numbers[4]), numbers[5..], "it may stop anywhere");
    // What everyone has is dropped; not what one has alone.
    consumer(&mut bob, "quick", ConsumerChange::Acknowledge(newest)).unwrap();
    consumer(&mut bob, "slow", ConsumerChange::Acknowledge(numbers[9])).unwrap();
    assert_eq!(heard(&bob, slow), numbers[10..]);
    consumer(&mut bob, "slow", ConsumerChange::Forget).unwrap();
    assert!(heard(&bob, slow).is_empty());
}

#[test]
fn nothing_is_kept_that_nobody_waits_for() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "before anybody listens").unwrap();
    settle(&mut alice, &mut bob);
    let begin = consumer(&mut bob, "bot", ConsumerChange::Begin).unwrap();
    alice.send("bob", "withdrawn").unwrap();
    settle(&mut alice, &mut bob);
    let reference = Reference::new("bob", 2);
    alice.command(Command::Message(reference, MessageChange::Unsend)).unwrap();
    settle(&mut alice, &mut bob);
    bob.now = bob.now.after(limits::EVENT_AGE + Duration::from_secs(1));
    bob.register(bob.head);
    bob.turn(Input::Tick);
    assert!(begin > 0 && heard_by(&bob, 0, None).0.len() == 1, "only what is gone, in one piece");
    assert!(heard_by(&bob, 0, None).1.iter().all(|(_, event)| !matches!(event, Event::Received(_))));
}

fn once(key: &str, request: &str, command: Command) -> Command {
    Command::Once(Idempotency { key: key.to_owned(), request: request.into() }, Box::new(command))
}

#[test]
fn a_command_under_a_key_is_carried_out_once() {
    let mut alice = Peer::new("alice", 1);
    let invite = |validity: u64| Command::CreateInvite { validity: Duration::from_secs(validity) };
    let link = |reply: Result<Reply, CommandError>| match reply.unwrap() {
        Reply::Invite { link, .. } => link,
        other => panic!("{other:?}"),
    };
    let first = link(alice.command(once("k", "60", invite(60))));
    alice.restart();
    assert_eq!(link(alice.command(once("k", "60", invite(60)))), first);
    assert_ne!(link(alice.command(once("l", "60", invite(60)))), first);
    let conflict = alice.command(once("k", "90", invite(90))).unwrap_err();
    assert_eq!(conflict, CommandError::IdempotencyConflict("k".to_owned()));
    // What was refused did nothing, and may be asked for again.
    let refused = alice.command(once("m", "recover", Command::Recover)).unwrap_err();
    assert_eq!(refused, CommandError::NothingToRecover);
    link(alice.command(once("m", "60", invite(60))));
    // Keys are kept for days, and then are free again.
    alice.now = alice.now.after(Duration::from_secs(86_400 * u64::from(limits::IDEMPOTENCY_DAYS + 2)));
    alice.register(0);
    alice.turn(Input::Tick);
    assert_ne!(link(alice.command(once("k", "60", invite(60)))), first);
}
