//! The event log and its consumers; and commands that are carried out once.

use std::time::Duration;

use hermes_engine::{
    Command, CommandError, ConsumerChange, Event, Idempotency, Input, LinkEvent, Reference, Reply, limits,
    query,
};
use hermes_tests::duo::{Peer, paired, settle};
use hermes_wire::Sequence;

fn log(peer: &Peer, after: u64) -> Vec<(u64, Event)> {
    let page = query::events(&peer.store, after, None, usize::MAX).unwrap();
    assert_eq!(page.missed, None);
    page.events.into_iter().map(|event| (event.number, event.event)).collect()
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
    let received = |number| Event::Received(Reference { chat: "alice".to_owned(), number });
    let numbered: Vec<_> = told.iter().filter(|(_, event)| matches!(event, Event::Received(_))).collect();
    assert_eq!(numbered, [&(before + 1, received(1)), &(before + 2, received(2))]);
    let states = log(&alice, 0).into_iter().filter(|(_, event)| matches!(event, Event::State { .. })).count();
    assert_eq!(states, 4, "two messages, each relayed and delivered");
    // Of one chat only.
    let chat = query::chat_named(&bob.store, "alice").unwrap();
    assert!(query::events(&bob.store, before, chat, 10).unwrap().events.len() >= 2);
    let other = query::chat_named(&alice.store, "bob").unwrap();
    assert!(query::events(&bob.store, before, other, 10).unwrap().events.is_empty());
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
    let page = query::events(&bob.store, 0, None, 10).unwrap();
    assert_eq!((page.missed, page.through, page.events.len()), (Some((1, old)), old, 0));
    // The numbers go on, and who has read all that was there misses nothing.
    alice.now = bob.now;
    alice.send("bob", "two").unwrap();
    settle(&mut alice, &mut bob);
    let two = Event::Received(Reference { chat: "alice".to_owned(), number: 2 });
    assert!(log(&bob, old).contains(&(old + 1, two)));
    // Numbers from another life of the store are of no use in this one.
    let newest = query::newest_event(&bob.store).unwrap();
    let page = query::events(&bob.store, newest + 5, None, 10).unwrap();
    assert_eq!((page.missed, page.through), (Some((newest + 1, newest + 5)), newest));
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
    assert_eq!(page.missed, Some((1, newest - limits::EVENTS)));
    assert_eq!(page.events[0].number, newest - limits::EVENTS + 1);
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
