//! Mailboxes at relays that contacts chose: what such a relay and such a contact cannot do.

use std::{ops::ControlFlow, time::Duration};

use hermes_engine::{
    Command, ContactChange, Effect, Event, GuestEvent, GuestId, Input, LinkEvent, Order, Range, Reply, Table,
    View,
    limits::{
        EARLY_BYTES_OF_CARD, EARLY_BYTES_OF_GUEST, GUEST_IDLE, GUEST_OFFERED, GUEST_PLACES, GUEST_PLACES_IN,
        GUEST_STRAYS, GUEST_STRAYS_IN, GUESTS, GUESTS_BY_CONTACT, INVITATION_KEPT, KEY_PACKAGES_KEPT,
    },
    query,
};
use hermes_protocol::{AskId, Body, blob};
use hermes_tests::duo::{Peer, greet, settle};
use hermes_wire::{
    ChannelId, ContactId, EnvelopeId, PostId, Refusal, RelayAddress, RelayPin, Sequence,
    channel::{Copy, CopyKey, Head},
    mailbox::Delivered,
};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use serde_bytes::ByteBuf;

/// Bob, and contacts of his who have his key packages and do not know each other.
fn bob_and<const COUNT: usize>() -> (Peer, [Peer; COUNT]) {
    let mut bob = Peer::new("bob", 100);
    let contacts = std::array::from_fn(|number| {
        let mut contact = Peer::new(&format!("contact{number}"), 101 + number as u64);
        greet(&mut contact, &mut bob);
        settle(&mut contact, &mut bob);
        assert!(matches!(bob.command(Command::GiveKeyPackages), Ok(Reply::Given)));
        settle(&mut contact, &mut bob);
        contact
    });
    (bob, contacts)
}

fn relay(number: u8) -> RelayAddress {
    RelayAddress::new("elsewhere.test", 4433, RelayPin([number; 32])).expect("a valid address")
}

/// Time passes, and bob's relay confirms it.
fn pass(bob: &mut Peer, time: Duration) {
    bob.now = bob.now.after(time);
    bob.register(0);
    bob.turn(Input::Tick);
}

/// A contact's program asks for a place.
fn ask(contact: &mut Peer, bob: &mut Peer, ask: u8, relay: RelayAddress, token: Option<&str>) {
    let registration_token = token.map(str::to_owned);
    let wanted = contact.forge(bob, Body::GuestWanted { ask: AskId([ask; 16]), relay, registration_token });
    bob.take(wanted.contact, wanted.body);
}

fn at_guest(bob: &mut Peer, guest: GuestId, event: GuestEvent) {
    bob.link(LinkEvent::Guest(guest, event));
}

fn guests(bob: &Peer) -> Vec<query::GuestView> {
    query::guests(&bob.store).expect("memory")
}

/// The relay has taken a mailbox, reached at this address.
fn reached(bob: &mut Peer, view: &query::GuestView, relay: RelayAddress) {
    let relay_time = bob.now;
    at_guest(bob, view.guest, GuestEvent::Registered { relay, relay_time, head: Sequence(0) });
}

/// The relay has taken the only mailbox.
fn registered(bob: &mut Peer) -> GuestId {
    let view = guests(bob).remove(0);
    reached(bob, &view, view.relay.clone());
    view.guest
}

fn rows(peer: &Peer, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let found = peer.store.scan(table, &Range::all(), Order::Ascending, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    });
    found.expect("memory");
    rows
}

fn field(row: &[u8], name: &str) -> Option<ciborium::Value> {
    let row: ciborium::Value = ciborium::from_reader(row).expect("a record");
    let value = row.into_map().ok()?.into_iter().find(|(key, _)| key.as_text() == Some(name))?.1;
    (!value.is_null()).then_some(value)
}

/// Cards in guest mailboxes, with the keys of their copies.
fn cards(bob: &Peer) -> Vec<(ContactId, CopyKey)> {
    let cards = rows(bob, Table::Route).into_iter().filter(|(key, _)| key.len() == 17);
    let elsewhere = cards.filter(|(_, row)| field(row, "at").and(field(row, "key")).is_some());
    let card = |(key, row): (Vec<u8>, Vec<u8>)| {
        let id = ContactId(key[..16].try_into().expect("an id"));
        (id, field(&row, "key").expect("a key").deserialized().expect("a key"))
    };
    elsewhere.map(card).collect()
}

fn delivered(bob: &Peer, sequence: u64, contact: ContactId, body: Vec<u8>) -> GuestEvent {
    GuestEvent::Delivered(Delivered {
        sequence: Sequence(sequence),
        envelope: EnvelopeId([0; 16]),
        contact,
        stored: bob.now,
        body: ByteBuf::from(body),
    })
}

/// A copy for a card of a guest mailbox, as its relay makes one.
fn copy(bob: &Peer, guest: GuestId, key: &CopyKey, bytes: usize) -> Vec<u8> {
    let mailbox = query::guest_mailbox(&bob.store, guest).expect("memory").expect("a mailbox").mailbox;
    let body = ByteBuf::from(vec![1; bytes]);
    let (channel, sequence, post) = (ChannelId([9; 32]), Sequence(9), PostId([1; 16]));
    Copy::Message { channel, sequence, epoch: 0, post, body }.text().seal(key, mailbox, &[0; 24])
}

/// A welcome that nobody can join with.
fn welcome(number: u64) -> (Vec<u8>, blob::BlobRef) {
    blob::seal(&[1; 100], &mut ChaCha8Rng::seed_from_u64(number)).expect("sealed")
}

fn invite(from: &mut Peer, bob: &mut Peer, relay: Option<RelayAddress>) {
    invite_with(from, bob, 1, relay);
}

fn invite_with(from: &mut Peer, bob: &mut Peer, number: u64, relay: Option<RelayAddress>) {
    let flying =
        from.forge(bob, Body::GroupInvite { welcome: welcome(number).1, head: Head([0; 32]), relay });
    bob.take(flying.contact, flying.body);
}

fn early_bytes(bob: &Peer) -> u64 {
    let rows = rows(bob, Table::Early).into_iter();
    rows.map(|(_, row)| field(&row, "body").expect("a body").into_bytes().expect("bytes").len() as u64).sum()
}

#[test]
fn copies_that_wait_are_sealed_for_their_card_bounded_in_bytes_and_go_with_it() {
    let (mut bob, [mut alice]) = bob_and();
    for number in 1..=4 {
        ask(&mut alice, &mut bob, number, relay(1), None);
    }
    let guest = registered(&mut bob);
    let cards = cards(&bob);
    assert_eq!(cards.len(), 4);
    let key_of_another = copy(&bob, guest, &cards[1].1, 100);
    let too_long = copy(&bob, guest, &cards[0].1, 60_000);
    for (at, body) in [vec![1, 2, 3], key_of_another, too_long].into_iter().enumerate() {
        let event = delivered(&bob, at as u64 + 1, cards[0].0, body);
        at_guest(&mut bob, guest, event);
    }
    assert_eq!((rows(&bob, Table::Early).len(), guests(&bob)[0].unreadable), (0, 3));

    let mut sequence = 10;
    let mut fill = |bob: &mut Peer, (card, key): &(ContactId, CopyKey)| {
        let body = copy(bob, guest, key, 16 * 1024);
        for _ in 0..EARLY_BYTES_OF_CARD / (16 * 1024) + 5 {
            sequence += 1;
            let event = delivered(bob, sequence, *card, body.clone());
            at_guest(bob, guest, event);
        }
        early_bytes(bob)
    };
    let of_one = fill(&mut bob, &cards[0]);
    assert!(of_one > EARLY_BYTES_OF_CARD / 2 && of_one <= EARLY_BYTES_OF_CARD, "{of_one}");
    let of_all = cards[1..].iter().map(|card| fill(&mut bob, card)).max().expect("cards");
    assert!(of_all > EARLY_BYTES_OF_GUEST / 2 && of_all <= EARLY_BYTES_OF_GUEST, "{of_all}");

    pass(&mut bob, GUEST_OFFERED);
    assert!(guests(&bob).is_empty());
    assert_eq!((rows(&bob, Table::Early).len(), rows(&bob, Table::Guest).len()), (0, 0));
}

#[test]
fn a_guest_s_relay_fills_no_record_and_is_left_alone_when_it_brings_what_nobody_wants() {
    let (mut bob, [mut alice]) = bob_and();
    ask(&mut alice, &mut bob, 1, relay(1), None);
    let guest = registered(&mut bob);
    let mut sequence = 0;
    let mut stray = |bob: &mut Peer| {
        sequence += 1;
        let event = delivered(bob, sequence, ContactId([7; 16]), vec![1; 300]);
        at_guest(bob, guest, event);
        assert!(!bob.events().iter().any(|event| matches!(event, Event::Unreadable(_))));
        bob.effects.iter().any(|effect| matches!(effect, Effect::GuestStrays(of) if *of == guest))
    };
    for number in 1..GUEST_STRAYS {
        assert!(!stray(&mut bob), "{number} are no reason");
    }
    assert!(stray(&mut bob));
    assert!(stray(&mut bob), "nor does another connection help");
    bob.now = bob.now.after(GUEST_STRAYS_IN);
    assert!(!stray(&mut bob));
    at_guest(&mut bob, guest, GuestEvent::Gone(Sequence(2_000), Sequence(u64::MAX)));
    assert!(bob.events().is_empty());
    let view = guests(&bob).remove(0);
    assert_eq!((view.unreadable, view.expired), (u64::from(GUEST_STRAYS) + 2, u64::MAX - 1_999));
    assert_eq!(view.last_unreadable, Some(bob.now));
    assert_eq!(bob.summary().unreadable, 0);
    assert!(rows(&bob, Table::Unreadable).is_empty());
}

#[test]
fn what_one_relay_says_of_a_blob_ends_no_fetching_at_another() {
    let (mut bob, [mut alice, mut mallory]) = bob_and();
    ask(&mut mallory, &mut bob, 1, relay(1), None);
    let guest = registered(&mut bob);
    let (bytes, welcome) = welcome(1);
    invite(&mut alice, &mut bob, None);
    invite(&mut mallory, &mut bob, Some(relay(1)));
    let wanted = |bob: &Peer| {
        let fetches = query::blob_fetches(&bob.store).expect("memory").into_iter();
        fetches.map(|fetch| fetch.mailbox).collect::<Vec<_>>()
    };
    assert_eq!(wanted(&bob), [None, Some(guest)]);
    at_guest(&mut bob, guest, GuestEvent::BlobGone(welcome.id));
    assert_eq!(wanted(&bob), [None]);
    invite(&mut mallory, &mut bob, Some(relay(1)));
    at_guest(&mut bob, guest, GuestEvent::BlobFetched(welcome.id, bytes));
    assert_eq!(wanted(&bob), [None]);
    bob.link(LinkEvent::BlobGone(welcome.id));
    assert!(wanted(&bob).is_empty());
}

#[test]
fn the_same_asking_gets_the_same_place_and_there_is_a_rate() {
    let (mut bob, [mut alice]) = bob_and();
    ask(&mut alice, &mut bob, 1, relay(1), None);
    ask(&mut alice, &mut bob, 1, relay(1), None);
    registered(&mut bob);
    let (given, answers) = (cards(&bob).len(), bob.summary().outbox);
    assert_eq!(given, 1);
    for again in 1..=20 {
        ask(&mut alice, &mut bob, 1, relay(1), None);
        assert_eq!((cards(&bob).len(), bob.summary().outbox), (1, answers + again));
    }
    let own = |bob: &Peer| {
        let given = rows(bob, Table::Route).into_iter().filter(|(key, row)| {
            key.len() == 17 && field(row, "given").is_some() && field(row, "at").is_none()
        });
        given.count()
    };
    let packages = own(&bob);
    for number in 2..=40 {
        ask(&mut alice, &mut bob, number, relay(1), None);
    }
    assert_eq!(cards(&bob).len(), GUEST_PLACES);
    bob.now = bob.now.after(GUEST_PLACES_IN);
    alice.now = bob.now;
    for number in 41..=80 {
        ask(&mut alice, &mut bob, number, relay(1), None);
    }
    assert_eq!(cards(&bob).len(), KEY_PACKAGES_KEPT, "none gives way to another");
    assert_eq!(own(&bob), packages, "nor do those for the own mailbox");
}

#[test]
fn a_contact_s_token_is_tried_by_itself_and_refused_by_itself() {
    let (mut bob, [mut alice, mut mallory]) = bob_and();
    ask(&mut alice, &mut bob, 1, relay(1), Some("good"));
    ask(&mut mallory, &mut bob, 2, relay(1), Some("bad"));
    let guest = guests(&bob)[0].guest;
    let tried = |bob: &Peer| query::guest_mailbox(&bob.store, guest).expect("memory")?.registration_token;
    assert_eq!(tried(&bob).as_deref(), Some("good"), "it is not replaced while it is tried");
    let refused = |token: &str| GuestEvent::Refused(Refusal::RegistrationRefused, Some(token.to_owned()));
    at_guest(&mut bob, guest, refused("bad"));
    assert_eq!(tried(&bob).as_deref(), Some("good"));
    ask(&mut mallory, &mut bob, 3, relay(1), Some("another"));
    at_guest(&mut bob, guest, refused("good"));
    assert_eq!(tried(&bob).as_deref(), Some("another"), "whose token it was is refused and nobody else");
    at_guest(&mut bob, guest, refused("another"));
    assert!(guests(&bob).is_empty());
}

#[test]
fn who_has_many_mailboxes_made_gives_way_to_who_has_none() {
    let (mut bob, [mut alice, mut mallory, mut carol]) = bob_and();
    for number in 1..=4 {
        ask(&mut alice, &mut bob, number, relay(number), None);
        bob.now = bob.now.after(Duration::from_secs(1));
        ask(&mut mallory, &mut bob, number, relay(10 + number), None);
        bob.now = bob.now.after(Duration::from_secs(1));
    }
    assert_eq!((GUESTS, guests(&bob).len()), (2 * GUESTS_BY_CONTACT, GUESTS));
    // One that its relay has taken goes last.
    let oldest = guests(&bob).into_iter().find(|guest| guest.relay == relay(1)).expect("the first");
    reached(&mut bob, &oldest, oldest.relay.clone());
    ask(&mut carol, &mut bob, 1, relay(20), None);
    let at = |bob: &Peer, number| guests(bob).iter().any(|guest| guest.relay == relay(number));
    assert!(at(&bob, 20) && at(&bob, 1) && !at(&bob, 11), "{:?}", guests(&bob));
    assert_eq!(guests(&bob).len(), GUESTS);
    // Whoever has had as many made takes nobody's place.
    ask(&mut mallory, &mut bob, 5, relay(15), None);
    assert!(!at(&bob, 15));

    // Asking again keeps none that no relay takes.
    bob.now = bob.now.after(GUEST_IDLE / 2);
    alice.now = bob.now;
    ask(&mut alice, &mut bob, 2, relay(2), None);
    pass(&mut bob, GUEST_IDLE / 2);
    assert_eq!(guests(&bob).len(), 1);
}

#[test]
fn a_relay_under_another_name_is_the_same() {
    let (mut bob, [mut alice]) = bob_and();
    let own = query::mailbox(&bob.store).expect("memory").relay;
    let renamed = |relay: &RelayAddress| RelayAddress::new("127.0.0.1", 4433, relay.pin()).expect("valid");
    ask(&mut alice, &mut bob, 1, renamed(&own), None);
    assert!(guests(&bob).is_empty());
    ask(&mut alice, &mut bob, 2, relay(1), None);
    ask(&mut alice, &mut bob, 3, renamed(&relay(1)), None);
    assert_eq!(guests(&bob).len(), 1);
}

#[test]
fn a_name_that_leads_nowhere_keeps_nobody_from_a_relay() {
    let (mut bob, [mut mallory, mut alice]) = bob_and();
    let dead = RelayAddress::new("dead.test", 1, RelayPin([1; 32])).expect("valid");
    ask(&mut mallory, &mut bob, 1, dead.clone(), None);
    ask(&mut alice, &mut bob, 2, relay(1), None);
    let view = guests(&bob).remove(0);
    let addresses = |bob: &Peer| query::guest_addresses(&bob.store, view.guest).expect("memory");
    assert_eq!(addresses(&bob), [dead.clone(), relay(1)]);
    reached(&mut bob, &view, relay(1));
    assert_eq!((addresses(&bob), cards(&bob).len()), (vec![relay(1), dead.clone()], 2));
    // Nor does a name that leads there by way of somebody else last longer than the contact that gave it.
    reached(&mut bob, &view, dead.clone());
    assert_eq!(addresses(&bob), [dead.clone(), relay(1)]);
    reached(&mut bob, &view, relay(1));
    // However many names a contact knows.
    for number in 3..=10 {
        ask(&mut mallory, &mut bob, number, dead.clone(), None);
        ask(
            &mut mallory,
            &mut bob,
            number,
            RelayAddress::new("also.test", 1, dead.pin()).expect("valid"),
            None,
        );
    }
    assert_eq!(addresses(&bob).len(), 2);
    let also = addresses(&bob)[1].clone();
    reached(&mut bob, &view, also);
    bob.command(Command::Contact("contact0".to_owned(), ContactChange::Block)).expect("blocked");
    assert_eq!(addresses(&bob), [relay(1)], "it goes with the contact that named it");
    let other = RelayAddress::new("other.test", 1, RelayPin([2; 32])).expect("valid");
    reached(&mut bob, &view, other.clone());
    assert!(!addresses(&bob).contains(&other), "another relay is another one");
}

#[test]
fn what_only_the_relay_can_have_made_counts_and_what_a_member_posts_does_not() {
    let (mut bob, [mut alice]) = bob_and();
    ask(&mut alice, &mut bob, 1, relay(1), None);
    let guest = registered(&mut bob);
    let (card, key) = cards(&bob).remove(0);
    let good = copy(&bob, guest, &key, 100);
    let of_use = |bob: &mut Peer, event| {
        at_guest(bob, guest, event);
        !bob.effects.iter().any(|effect| matches!(effect, Effect::GuestStrays(_)))
    };
    let first = delivered(&bob, 1, card, good.clone());
    assert!(of_use(&mut bob, first));
    for at in 1..GUEST_STRAYS {
        let event = match at % 3 {
            0 => delivered(&bob, 1, card, good.clone()),
            1 => delivered(&bob, 1 + u64::from(at), card, vec![1; 10]),
            _ => GuestEvent::Gone(Sequence(1), Sequence(1)),
        };
        assert!(of_use(&mut bob, event), "{at}");
    }
    // However much it is, and though there is no room for it.
    for at in 0..1_200 {
        let posted = delivered(&bob, 2_000 + at, card, good.clone());
        assert!(of_use(&mut bob, posted), "{at}");
    }
    assert!(!of_use(&mut bob, GuestEvent::Gone(Sequence(1), Sequence(1))));
}

#[test]
fn a_place_that_led_nowhere_is_taken_back() {
    let (mut bob, [mut alice]) = bob_and();
    ask(&mut alice, &mut bob, 1, relay(1), None);
    let guest = registered(&mut bob);
    let first = cards(&bob).remove(0).0;
    pass(&mut bob, GUEST_OFFERED / 2);
    alice.now = bob.now;
    ask(&mut alice, &mut bob, 2, relay(1), None);
    bob.now = bob.now.after(GUEST_OFFERED / 2);
    bob.turn(Input::Tick);
    assert_eq!(cards(&bob).len(), 2, "a clock that nobody confirms ends nothing");
    pass(&mut bob, Duration::ZERO);
    let left: Vec<_> = cards(&bob).into_iter().map(|(card, _)| card).collect();
    assert!(left.len() == 1 && left[0] != first);
    let revoked = query::revocations_at(&bob.store, Some(guest)).expect("memory");
    assert_eq!(revoked.into_iter().map(|(card, _)| card).collect::<Vec<_>>(), [first]);
}

#[test]
fn a_contact_that_is_blocked_leaves_nothing_waiting() {
    let (mut bob, [mut mallory, mut alice]) = bob_and();
    ask(&mut mallory, &mut bob, 1, relay(1), None);
    ask(&mut mallory, &mut bob, 1, relay(2), None);
    ask(&mut alice, &mut bob, 1, relay(2), None);
    invite(&mut mallory, &mut bob, None);
    assert_eq!((guests(&bob).len(), query::blob_fetches(&bob.store).expect("memory").len()), (2, 1));
    let block = Command::Contact("contact0".to_owned(), ContactChange::Block);
    bob.command(block).expect("blocked");
    let left: Vec<_> = guests(&bob).into_iter().map(|view| view.relay).collect();
    assert_eq!(left, [relay(2)], "where somebody else waits");
    assert!(query::blob_fetches(&bob.store).expect("memory").is_empty());
}

#[test]
fn an_invitation_s_address_is_not_where_its_welcome_is_fetched() {
    let (mut bob, [mut mallory]) = bob_and();
    ask(&mut mallory, &mut bob, 1, relay(1), None);
    registered(&mut bob);
    let own = query::mailbox(&bob.store).expect("memory").relay;
    for there in [&own, &relay(1)] {
        invite(
            &mut mallory,
            &mut bob,
            Some(RelayAddress::new("198.51.100.1", 9, there.pin()).expect("valid")),
        );
        let fetches = query::blob_fetches(&bob.store).expect("memory").into_iter();
        assert_eq!(fetches.map(|fetch| fetch.relay).collect::<Vec<_>>(), std::slice::from_ref(there));
    }
    pass(&mut bob, INVITATION_KEPT);
    assert!(query::blob_fetches(&bob.store).expect("memory").is_empty());
}

#[test]
fn invitations_to_groups_at_several_relays_wait_beside_each_other() {
    let (mut bob, [mut alice]) = bob_and();
    for number in [1, 2] {
        ask(&mut alice, &mut bob, number, relay(number), None);
    }
    for view in guests(&bob) {
        reached(&mut bob, &view, view.relay.clone());
    }
    for (number, relay) in [(1, Some(relay(1))), (2, Some(relay(2))), (3, None), (4, None)] {
        invite_with(&mut alice, &mut bob, number, relay);
    }
    assert_eq!(query::blob_fetches(&bob.store).expect("memory").len(), 4);
    // No more of each than there are places.
    for (number, relay) in [(5, Some(relay(1))), (6, None)] {
        invite_with(&mut alice, &mut bob, number, relay);
    }
    assert_eq!(query::blob_fetches(&bob.store).expect("memory").len(), 4);
}

#[test]
fn a_mailbox_that_a_place_was_just_given_in_gives_way_to_nobody() {
    let (mut bob, [mut alice, mut mallory, mut carol]) = bob_and();
    for number in 1..=4 {
        ask(&mut alice, &mut bob, number, relay(number), None);
        ask(&mut mallory, &mut bob, number, relay(10 + number), None);
    }
    for view in guests(&bob) {
        reached(&mut bob, &view, view.relay.clone());
    }
    ask(&mut carol, &mut bob, 1, relay(20), None);
    let there = |bob: &Peer| guests(bob).iter().any(|guest| guest.relay == relay(20));
    assert!(!there(&bob));
    // Who asked one of them again has a place that is good from then on; another gives way.
    bob.now = bob.now.after(GUEST_OFFERED / 2);
    alice.now = bob.now;
    for number in 1..=4 {
        ask(&mut alice, &mut bob, number, relay(number), None);
    }
    bob.now = bob.now.after(GUEST_OFFERED / 2);
    bob.register(0);
    carol.now = bob.now;
    ask(&mut carol, &mut bob, 2, relay(20), None);
    let at = |bob: &Peer, number| guests(bob).iter().any(|guest| guest.relay == relay(number));
    assert!(there(&bob) && guests(&bob).len() == GUESTS);
    assert!((1..=4).all(|number| at(&bob, number)));
}

#[test]
fn a_relay_that_has_lost_a_mailbox_is_given_another_token() {
    let (mut bob, [mut alice]) = bob_and();
    ask(&mut alice, &mut bob, 1, relay(1), None);
    let guest = registered(&mut bob);
    at_guest(&mut bob, guest, GuestEvent::Refused(Refusal::RegistrationRefused, None));
    ask(&mut alice, &mut bob, 2, relay(1), Some("token"));
    let tried = |bob: &Peer| query::guest_mailbox(&bob.store, guest).expect("memory")?.registration_token;
    assert_eq!((tried(&bob).as_deref(), cards(&bob).len()), (Some("token"), 1));
    at_guest(&mut bob, guest, GuestEvent::Refused(Refusal::RegistrationRefused, Some("token".to_owned())));
    assert_eq!(guests(&bob).len(), 1, "a place in it may be on its way into a group");
}
