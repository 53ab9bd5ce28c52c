//! Finding messages, putting chats away, being left alone, and what waits to leave.

use std::{collections::BTreeSet, time::Duration};

use hermes_engine::{
    ChatChange, Command, CommandError, MessageChange, Reference, Reply, Text,
    query::{self, Found, MessageDirection, SearchFilter, SearchPlace},
};
use hermes_tests::duo::{Peer, carry, paired, settle};

const HOUR: Duration = Duration::from_secs(3_600);

fn search(peer: &Peer, text: &str, chat: Option<&str>, limit: usize, from: Option<SearchPlace>) -> Found {
    let chat = chat.map(|name| query::chat_named(&peer.store, name).unwrap().unwrap());
    query::search(&peer.store, &SearchFilter { text: text.to_owned(), chat, limit, from }).unwrap()
}

fn texts(found: &Found) -> Vec<String> {
    let text = |message: &query::MessageView| match &message.text {
        Text::Plain(text) => text.clone(),
        other => panic!("{other:?} was found"),
    };
    found.messages.iter().map(text).collect()
}

fn say(peer: &mut Peer, to: &str, text: &str) {
    peer.now = peer.now.after(Duration::from_secs(1));
    assert!(matches!(peer.send(to, text), Ok(Reply::Sent(_))));
}

#[test]
fn texts_are_found_as_they_are_now_and_by_nothing_else() {
    let (mut alice, mut bob) = paired();
    say(&mut alice, "bob", "The Build is BROKEN");
    say(&mut alice, "bob", "mended");
    settle(&mut alice, &mut bob);
    say(&mut bob, "alice", "broken again? Привет");
    settle(&mut alice, &mut bob);
    assert_eq!(
        texts(&search(&alice, "broken", None, 9, None)),
        ["The Build is BROKEN", "broken again? Привет"]
    );
    assert_eq!(texts(&search(&alice, "ПРИВЕТ", Some("bob"), 9, None)), ["broken again? Привет"]);
    // Names of fields and of people stand in the rows as well.
    for nothing in ["direction", "Plain", "bob", "alice", "needs"] {
        assert!(search(&alice, nothing, None, 9, None).messages.is_empty(), "{nothing}");
    }
    let change = MessageChange::Edit("the build works".to_owned());
    let first = Reference::new("bob", 1);
    alice.command(Command::Message(first.clone(), change)).unwrap();
    settle(&mut alice, &mut bob);
    for (peer, chat) in [(&alice, "bob"), (&bob, "alice")] {
        assert_eq!(texts(&search(peer, "build", Some(chat), 9, None)), ["the build works"]);
        assert_eq!(texts(&search(peer, "broken", Some(chat), 9, None)), ["broken again? Привет"]);
    }
    alice.command(Command::Message(first, MessageChange::Unsend)).unwrap();
    settle(&mut alice, &mut bob);
    assert!(search(&bob, "build", None, 9, None).messages.is_empty());
}

#[test]
fn a_search_goes_on_where_it_stopped() {
    let (mut alice, mut bob) = paired();
    for n in 0..10 {
        say(&mut alice, "bob", &format!("item {n}"));
    }
    settle(&mut alice, &mut bob);
    let (mut all, mut from, mut pages) = (BTreeSet::new(), None, 0);
    loop {
        let found = search(&bob, "ITEM", Some("alice"), 3, from);
        assert!(found.messages.len() <= 3);
        pages += 1;
        for text in texts(&found) {
            assert!(all.insert(text), "found twice");
        }
        from = found.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!((all.len(), pages), (10, 4));
    // In all chats the newest of the stretch are kept.
    let found = search(&bob, "item", None, 2, None);
    assert_eq!((texts(&found), found.next), (vec!["item 8".to_owned(), "item 9".to_owned()], None));
}

#[test]
fn a_chat_that_was_put_away_is_back_with_the_next_message_unless_it_is_muted() {
    let (mut alice, mut bob) = paired();
    let archived = |peer: &Peer| query::chats(&peer.store).unwrap()[0].archived;
    let change = |peer: &mut Peer, change| peer.command(Command::Chat("bob".to_owned(), change)).unwrap();
    change(&mut alice, ChatChange::Archive);
    assert!(archived(&alice));
    say(&mut bob, "alice", "hello?");
    settle(&mut alice, &mut bob);
    let chat = query::chats(&alice.store).unwrap().remove(0);
    assert_eq!((chat.archived, chat.unread), (false, 1));
    change(&mut alice, ChatChange::Archive);
    let until = alice.now.after(HOUR);
    change(&mut alice, ChatChange::Mute(Some(until)));
    say(&mut bob, "alice", "hello??");
    settle(&mut alice, &mut bob);
    assert!(archived(&alice), "nobody wants to be disturbed");
    change(&mut alice, ChatChange::Unarchive);
    assert!(!archived(&alice));
}

#[test]
fn whoever_wants_to_be_left_alone_says_so_once_for_all_chats() {
    let (mut alice, _bob) = paired();
    let until = alice.now.after(HOUR);
    assert!(matches!(alice.command(Command::Quiet(Some(until))), Ok(Reply::Quiet)));
    alice.restart();
    assert_eq!(alice.summary().quiet, Some(until));
    alice.command(Command::Quiet(None)).unwrap();
    assert_eq!(alice.summary().quiet, None);
}

#[test]
fn what_waits_is_listed_until_it_has_left() {
    let (mut alice, mut bob) = paired();
    say(&mut alice, "bob", "one");
    say(&mut alice, "bob", "two");
    let (waiting, more) = query::waiting(&alice.store, None).unwrap().unwrap();
    let names = waiting.iter().map(|waiting| waiting.message.as_ref().unwrap().reference.number);
    assert_eq!((names.collect::<Vec<_>>(), more), (vec![1, 2], false));
    assert!(waiting.iter().all(|waiting| waiting.sealed.is_some() && waiting.name == "bob"));
    assert!(query::waiting(&alice.store, Some("carol")).unwrap().is_none());
    carry(&mut alice, &mut bob);
    assert!(query::waiting(&alice.store, Some("bob")).unwrap().unwrap().0.is_empty());
    // What Bob's program tells Alice's is no message.
    let (receipts, _) = query::waiting(&bob.store, None).unwrap().unwrap();
    assert!(!receipts.is_empty() && receipts.iter().all(|waiting| waiting.message.is_none()));
}

#[test]
fn a_group_is_forgotten_once_it_was_left_and_part_by_part() {
    let mut crowd = hermes_tests::sim::Crowd::new(1, 3);
    crowd.create(&[1, 2]);
    for n in 0..5 {
        crowd.say(1, &format!("text {n}"));
    }
    crowd.settle();
    crowd.mark(2, 2, MessageChange::React(Some("👍".to_owned()))).unwrap();
    crowd.settle();
    let refused = crowd.try_change(2, hermes_engine::GroupChange::Forget);
    assert!(matches!(refused, Err(CommandError::StillMember(_))), "{refused:?}");
    crowd.change(2, hermes_engine::GroupChange::Leave);
    crowd.settle();
    crowd.try_change(2, hermes_engine::GroupChange::Forget).unwrap();
    assert!(query::groups(crowd.store(2)).unwrap().is_empty(), "at once");
    assert!(query::chat_named(crowd.store(2), "ops").unwrap().is_none());
    for _ in 0..4 {
        crowd.tick(2);
    }
    assert_eq!(query::summary(crowd.store(2)).unwrap().unread, 0);
    let rows = |table| {
        use hermes_engine::{Order, Range, View};
        let mut rows = 0;
        let scanned = crowd.store(2).scan(table, &Range::all(), Order::Ascending, &mut |_, value| {
            rows += u32::from(
                value.windows(4).any(|window| window == b"text") || table != hermes_engine::Table::Message,
            );
            std::ops::ControlFlow::Continue(())
        });
        scanned.unwrap();
        rows
    };
    use hermes_engine::Table;
    for table in [Table::Message, Table::Group, Table::Member, Table::Mls, Table::Mark, Table::Unread] {
        assert_eq!(rows(table), 0, "{table:?}");
    }
    // Whoever is added again finds another conversation.
    crowd.change(0, hermes_engine::GroupChange::Add(vec![crowd.name(2)]));
    crowd.settle();
    crowd.say(0, "welcome back");
    crowd.settle();
    assert_eq!(crowd.heard(2), ["welcome back"]);
    let log = crowd.log(2);
    assert!(!log.iter().any(|message| matches!(message.direction, MessageDirection::Sent(_))));
}

#[test]
fn a_conversation_is_read_from_anywhere_to_either_side() {
    let (mut alice, mut bob) = paired();
    for number in 1..=9 {
        say(&mut alice, "bob", &number.to_string());
    }
    settle(&mut alice, &mut bob);
    let written = |messages: Option<Vec<query::MessageView>>| {
        texts(&Found { messages: messages.unwrap(), read: 0, next: None })
    };
    let all = query::log(&bob.store, "alice", None, 99).unwrap();
    let fourth = all.as_ref().unwrap()[3].reference.clone();
    assert_eq!(written(all), ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!(written(query::log(&bob.store, "alice", Some(&fourth), 2).unwrap()), ["2", "3"]);
    assert_eq!(written(query::log_after(&bob.store, "alice", &fourth, 2).unwrap()), ["5", "6"]);
    assert_eq!(
        written(query::log_after(&bob.store, "alice", &fourth, 99).unwrap()),
        ["5", "6", "7", "8", "9"]
    );
    let last = query::log(&bob.store, "alice", None, 1).unwrap().unwrap().remove(0).reference;
    assert!(query::log_after(&bob.store, "alice", &last, 2).unwrap().unwrap().is_empty());
    for nowhere in [Reference::new("alice", 10), Reference::new("alice", u64::MAX)] {
        assert!(query::log_after(&bob.store, "alice", &nowhere, 2).unwrap().is_none());
    }
    assert!(query::log_after(&bob.store, "carol", &last, 2).unwrap().is_none());
    // What is said about messages is no row of its own.
    let change = MessageChange::React(Some("👍".to_owned()));
    alice.command(Command::Message(Reference::new("bob", 1), change)).unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(written(query::log_after(&bob.store, "alice", &fourth, 99).unwrap()).len(), 5);
}
