//! Texts that are deleted after a time, and chats that are quiet.

use std::time::Duration;

use hermes_engine::{
    ChatChange, Command, CommandError, Effect, Event, Input, Reference, Reply, Send, Table, Text, View, query,
};
use hermes_tests::duo::{Peer, paired, settle};

const HOUR: Duration = Duration::from_secs(3_600);

fn send_for(peer: &mut Peer, text: &str, ttl: Duration) {
    let (to, text) = (vec!["bob".to_owned()], text.to_owned());
    let send = Send { to, text, reply_to: None, ttl: Some(ttl), idempotency: None };
    assert!(matches!(peer.command(Command::Send(send)), Ok(Reply::Sent(_))));
}

fn read(peer: &mut Peer, chat: &str, number: u64) {
    let reference = Reference::new(chat, number);
    assert!(matches!(peer.command(Command::MarkRead(vec![reference])), Ok(Reply::Read)));
}

fn later(peer: &mut Peer, time: Duration) {
    peer.now = peer.now.after(time);
    peer.turn(Input::Tick);
}

/// Whether any row of the store has these bytes. Nothing is sealed in memory.
fn holds(peer: &Peer, text: &str) -> bool {
    let mut found = false;
    for table in Table::ALL {
        let all = hermes_engine::Range::all();
        let scanned = peer.store.scan(table, &all, hermes_engine::Order::Ascending, &mut |_, value| {
            found |= value.windows(text.len()).any(|window| window == text.as_bytes());
            std::ops::ControlFlow::Continue(())
        });
        scanned.unwrap();
    }
    found
}

#[test]
fn a_text_goes_when_its_time_is_over_and_not_before_it_was_read() {
    let (mut alice, mut bob) = paired();
    send_for(&mut alice, "burn this", HOUR);
    settle(&mut alice, &mut bob);
    alice.send("bob", "keep this").unwrap();
    settle(&mut alice, &mut bob);
    later(&mut bob, 48 * HOUR);
    assert_eq!(bob.texts("alice"), ["burn this", "keep this"], "it waits for its reader");
    read(&mut bob, "alice", 1);
    later(&mut bob, HOUR - Duration::from_secs(1));
    assert_eq!(bob.texts("alice"), ["burn this", "keep this"]);
    later(&mut bob, Duration::from_secs(1));
    assert_eq!(bob.texts("alice"), ["(expired)", "keep this"]);
    assert!(bob.events().iter().any(|event| matches!(event, Event::Expired(at) if at.number == 1)));
    assert!(!holds(&bob, "burn this"));
    later(&mut alice, HOUR);
    assert_eq!(alice.texts("bob"), ["(expired)", "keep this"]);
    assert!(!holds(&alice, "burn this"));
}

#[test]
fn what_has_not_left_is_not_deleted() {
    let (mut alice, mut bob) = paired();
    send_for(&mut alice, "on its way", HOUR);
    later(&mut alice, 48 * HOUR);
    assert_eq!(alice.texts("bob"), ["on its way"]);
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["on its way"]);
    later(&mut alice, HOUR);
    assert_eq!(alice.texts("bob"), ["(expired)"]);
}

#[test]
fn a_chat_has_a_time_of_its_own_and_the_other_side_keeps_to_it() {
    let (mut alice, mut bob) = paired();
    assert!(matches!(
        alice.command(Command::Chat("bob".to_owned(), ChatChange::Ttl(Some(HOUR)))),
        Ok(Reply::Chat(_))
    ));
    settle(&mut alice, &mut bob);
    let chat = query::chat_named(&bob.store, "alice").unwrap().unwrap();
    assert_eq!(query::settings(&bob.store, chat).unwrap().ttl, Some(3_600));
    let log = query::log(&bob.store, "alice", None, 9).unwrap().unwrap();
    assert_eq!(log.last().unwrap().text, Text::TimerSet(Some(3_600)));
    assert_eq!(query::summary(&bob.store).unwrap().unread, 0, "there is nothing to read");
    bob.send("alice", "both ways").unwrap();
    settle(&mut alice, &mut bob);
    later(&mut bob, HOUR);
    assert_eq!(bob.texts("alice"), ["(expired)"]);
    // Nothing is missing for it: a message that is gone still counts.
    assert_eq!(query::summary(&alice.store).unwrap().missing, 0);
    alice.command(Command::Chat("bob".to_owned(), ChatChange::Ttl(None))).unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(query::settings(&bob.store, chat).unwrap().ttl, None);
}

#[test]
fn the_shell_is_told_when_something_is_due() {
    let (mut alice, mut bob) = paired();
    send_for(&mut alice, "first", HOUR);
    settle(&mut alice, &mut bob);
    let due = |effects: &[Effect]| {
        let due = effects.iter().filter_map(|effect| match effect {
            Effect::Due(at) => Some(*at),
            _ => None,
        });
        due.min()
    };
    // After a start, and whenever it asks before the time.
    alice.effects.clear();
    alice.turn(Input::Tick);
    assert_eq!(due(&alice.effects), Some(alice.now.after(HOUR)));
    alice.now = alice.now.after(HOUR);
    alice.effects.clear();
    alice.turn(Input::Tick);
    assert_eq!(due(&alice.effects), None, "nothing is left");
}

#[test]
fn times_have_limits_and_chats_have_to_exist() {
    let (mut alice, mut bob) = paired();
    for ttl in [Duration::ZERO, Duration::from_millis(999), Duration::from_secs(366 * 86_400)] {
        let refused = alice.command(Command::Chat("bob".to_owned(), ChatChange::Ttl(Some(ttl))));
        assert!(matches!(refused, Err(CommandError::TtlOutOfRange(365))), "{refused:?}");
    }
    let until = alice.now.after(HOUR);
    let unknown = alice.command(Command::Chat("zed".to_owned(), ChatChange::Mute(Some(until))));
    assert!(matches!(unknown, Err(CommandError::UnknownChat(_))), "{unknown:?}");
    alice.command(Command::Chat("bob".to_owned(), ChatChange::Mute(Some(until)))).unwrap();
    settle(&mut alice, &mut bob);
    bob.send("alice", "ring").unwrap();
    settle(&mut alice, &mut bob);
    let log = query::log(&alice.store, "bob", None, 9).unwrap().unwrap();
    assert_eq!(log.last().unwrap().muted, Some(until));
    assert_eq!(query::summary(&alice.store).unwrap().unread, 1, "it is there all the same");
    // What is settled twice is said once.
    alice.command(Command::Chat("bob".to_owned(), ChatChange::Ttl(None))).unwrap();
    assert!(alice.flying(&bob).is_empty());
}
