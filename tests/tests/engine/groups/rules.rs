//! What an engine does with a group by itself: what it holds back, what it gives up, and what it loses.

use std::{ops::ControlFlow, time::Duration};

use hermes_engine::{
    ChangeSet, ChatId, Command, Event, GroupChange, GroupEvent, GroupStanding, Input, LinkEvent, LostReason,
    MessageState, Order, Range, Reply, SendError, Store, Table, View,
    limits::{GUESTS_BY_CONTACT, OUTBOX_AGE},
    query::{self, MessageDirection},
};

use hermes_protocol::{AskId, Body, ReceiptKind, group::GroupId};
use hermes_tests::duo::{Peer, paired, serve_fetches, settle};
use hermes_wire::{Refusal, RelayAddress, RelayPin, drop::ToDrop};

/// Two contacts, the second of whom can be added to a group by the first.
fn paired_for_groups() -> (Peer, Peer) {
    let (mut alice, mut bob) = paired();
    assert!(matches!(bob.command(Command::GiveKeyPackages), Ok(Reply::Given)));
    settle(&mut alice, &mut bob);
    (alice, bob)
}

fn create(peer: &mut Peer, members: &[&str]) -> ChatId {
    let members = members.iter().map(|member| (*member).to_owned()).collect();
    match peer.command(Command::CreateGroup("ops".to_owned(), members)) {
        Ok(Reply::Group(chat)) => chat,
        other => panic!("{other:?}"),
    }
}

/// What the link may send, in order.
fn leaving(peer: &Peer, chat: ChatId) -> Vec<&'static str> {
    let kind = |row: query::Outgoing| match row.frame {
        ToDrop::Create(_) => "create",
        ToDrop::Commit(_) => "commit",
        ToDrop::Post(_) => "post",
        _ => "?",
    };
    query::outbox(&peer.store, chat, None, 100).unwrap().into_iter().map(kind).collect()
}

fn standing(peer: &Peer) -> GroupStanding {
    query::group_named(&peer.store, "ops").unwrap().expect("a group").group.standing
}

fn state_of(peer: &Peer, text: &str) -> MessageDirection {
    let log = query::log(&peer.store, "ops", None, 100).unwrap().unwrap();
    let wanted = hermes_engine::Text::Plain(text.to_owned());
    log.into_iter().find(|message| message.text == wanted).expect("stored").direction
}

/// Whoever is asked opens a connection to where the asker says, so there are only so many.
#[test]
fn a_contact_has_only_so_many_mailboxes_made() {
    let (mut alice, mut bob) = paired();
    let mut asked = Vec::new();
    let ask = |alice: &mut Peer, bob: &mut Peer, number: u8| {
        let relay = RelayAddress::new("elsewhere.test", 4433, RelayPin([number; 32])).unwrap();
        let body =
            Body::GuestWanted { ask: AskId([number; 16]), relay: relay.clone(), registration_token: None };
        let wanted = alice.forge(bob, body);
        bob.take(wanted.contact, wanted.body);
        relay
    };
    for number in 1..=9 {
        asked.push(ask(&mut alice, &mut bob, number));
    }
    let made: Vec<_> = query::guests(&bob.store).unwrap().into_iter().map(|guest| guest.relay).collect();
    assert_eq!(made, asked[..GUESTS_BY_CONTACT]);
    // The own relay is none of them.
    let own = query::mailbox(&bob.store).unwrap().relay;
    let body = Body::GuestWanted { ask: AskId([20; 16]), relay: own, registration_token: None };
    let wanted = alice.forge(&bob, body);
    bob.take(wanted.contact, wanted.body);
    assert_eq!(query::guests(&bob.store).unwrap().len(), GUESTS_BY_CONTACT);
    assert_eq!(bob.summary().unreadable, 0);
}

/// Rows of a key agreement that cannot be read, as those of an earlier form, end the membership and nothing else.
#[test]
fn a_group_whose_rows_are_damaged_is_lost_and_the_account_goes_on() {
    let (mut alice, _bob) = paired_for_groups();
    create(&mut alice, &[]);
    let mut damage = ChangeSet::default();
    for (key, _) in rows(&alice, &[Table::Mls]) {
        damage.put(Table::Mls, key, hermes_engine::Value::new(b"{\"old\":[1,2,3]}".to_vec()));
    }
    alice.store.commit(&damage).unwrap();
    let rename = Command::Group("ops".to_owned(), GroupChange::Rename("new".to_owned()));
    assert!(alice.command(rename).is_ok());
    assert_eq!(standing(&alice), GroupStanding::Lost(LostReason::Damaged));
    alice.restart();
    alice.send("bob", "still here").unwrap();
}

fn rows(peer: &Peer, tables: &[Table]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    for table in tables.iter().copied() {
        let row = &mut |key: &[u8], value: hermes_engine::Value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        };
        peer.store.scan(table, &Range::all(), Order::Ascending, row).unwrap();
    }
    rows
}

#[test]
fn a_commit_waits_for_the_welcome_of_those_whom_it_adds() {
    let (mut alice, _bob) = paired_for_groups();
    let chat = create(&mut alice, &["bob"]);
    assert_eq!(leaving(&alice, chat), ["create"]);
    let uploads = query::uploads(&alice.store).unwrap();
    assert_eq!(uploads.len(), 1);
    alice.link(LinkEvent::BlobStored(uploads[0].blob));
    assert_eq!(leaving(&alice, chat), ["create", "commit"]);
    assert!(query::uploads(&alice.store).unwrap().is_empty());
}

#[test]
fn a_welcome_that_the_relay_refuses_ends_the_change_and_nothing_else() {
    let (mut alice, _bob) = paired_for_groups();
    let chat = create(&mut alice, &["bob"]);
    alice.send("ops", "it waits").unwrap();
    assert_eq!(leaving(&alice, chat), ["create"]);
    let blob = query::uploads(&alice.store).unwrap()[0].blob;
    alice.link(LinkEvent::BlobRefused(blob, Refusal::TooLarge { max: 1 }));
    let failed = |event: &Event| matches!(event, Event::Group { event: GroupEvent::ChangeFailed(_), .. });
    assert!(alice.events().iter().any(failed));
    assert_eq!(leaving(&alice, chat), ["create", "post"], "what waited for the change goes on without it");
    assert_eq!(standing(&alice), GroupStanding::Member);
}

#[test]
fn a_groups_own_rows_are_not_given_up_for_their_age() {
    let (mut alice, _bob) = paired_for_groups();
    let chat = create(&mut alice, &["bob"]);
    let blob = query::uploads(&alice.store).unwrap()[0].blob;
    alice.link(LinkEvent::BlobStored(blob));
    alice.now = alice.now.after(OUTBOX_AGE).after(Duration::from_secs(1));
    alice.turn(Input::Tick);
    assert_eq!(leaving(&alice, chat), ["create", "commit"]);
}

#[test]
fn a_store_that_was_put_back_has_lost_its_groups() {
    let (mut alice, _bob) = paired_for_groups();
    create(&mut alice, &[]);
    alice.send("ops", "before").unwrap();
    let copy = alice.snapshot();
    alice.register(alice.head);
    alice.put_back(&copy);
    alice.open_mailbox(alice.head, alice.now, false);
    alice.send("ops", "while it recovers").unwrap();
    alice.settle_claims();
    assert_eq!(standing(&alice), GroupStanding::Lost(LostReason::Restored));
    for text in ["before", "while it recovers"] {
        assert!(matches!(state_of(&alice, text), MessageDirection::Sent(MessageState::Failed(_))), "{text}");
    }
    match alice.send("ops", "after") {
        Ok(Reply::Sent(results)) => {
            assert!(matches!(results[0].outcome, Err(SendError::GroupClosed(..))));
        }
        other => panic!("{other:?}"),
    }
}

/// What stands in the row of the group.
fn group_id(peer: &Peer, chat: ChatId) -> GroupId {
    let row = peer.store.get(Table::Group, &chat.0).unwrap().unwrap();
    let row: ciborium::Value = ciborium::from_reader(row.as_slice()).unwrap();
    let id = row.as_map().unwrap().iter().find(|(key, _)| key.as_text() == Some("id")).unwrap();
    GroupId(id.1.as_bytes().unwrap().as_slice().try_into().unwrap())
}

#[test]
fn who_is_no_member_is_not_added_for_asking() {
    let (mut alice, mut bob) = paired_for_groups();
    let chat = create(&mut alice, &[]);
    let group = group_id(&alice, chat);
    for package in [vec![], vec![7; 3_000]] {
        let body = Body::GroupRejoin { group, package: package.into() };
        let asking = bob.forge(&alice, body);
        alice.take(asking.contact, asking.body);
    }
    assert_eq!(leaving(&alice, chat), ["create"]);
    assert!(!query::group_named(&alice.store, "ops").unwrap().unwrap().group.changing);
    assert_eq!(alice.summary().unreadable, 0);
}

#[test]
fn key_packages_that_their_owner_has_lost_are_void() {
    let (mut alice, mut bob) = paired();
    let before = bob.snapshot();
    assert!(matches!(bob.command(Command::GiveKeyPackages), Ok(Reply::Given)));
    settle(&mut alice, &mut bob);
    assert_eq!(offers(&alice), 2);
    bob.register(bob.head);
    bob.restore(&before);
    serve_fetches(&mut bob, &mut alice);
    settle(&mut alice, &mut bob);
    assert!(matches!(bob.command(Command::GiveKeyPackages), Ok(Reply::Given)));
    settle(&mut alice, &mut bob);
    assert_eq!(offers(&alice), 2, "the earlier ones are gone");
}

/// Key packages of others.
fn offers(peer: &Peer) -> usize {
    let mut count = 0;
    let count_one = &mut |_: &[u8], _| {
        count += 1;
        ControlFlow::Continue(())
    };
    peer.store.scan(Table::Offer, &Range::all(), Order::Ascending, count_one).unwrap();
    count
}

/// Its id may have been told by a member.
#[test]
fn whoever_is_no_member_confirms_nothing() {
    let (mut alice, mut bob) = paired_for_groups();
    create(&mut alice, &[]);
    alice.send("ops", "to nobody yet").unwrap();
    let id = query::log(&alice.store, "ops", None, 1).unwrap().unwrap()[0].id;
    let receipt = Body::Receipt { kind: ReceiptKind::Delivered, messages: vec![id] };
    let flying = bob.forge(&alice, receipt);
    alice.take(flying.contact, flying.body);
    assert_eq!(state_of(&alice, "to nobody yet"), MessageDirection::Sent(MessageState::Queued));
    assert!(query::recipients(&alice.store, &id).unwrap().is_empty());
}
