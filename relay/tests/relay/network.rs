//! The relay over real QUIC on loopback, as its clients see it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::common::{
    claim,
    client::{Drop, Mailbox, owner},
    deposit,
    world::World,
};
use hermes_link::{
    client::{self, ConnectError},
    close,
    frame::{FrameReader, FrameWriter},
    quinn::{Connection, ConnectionError, Endpoint},
};
use hermes_relay::{
    Limits, Policy, Registration, clock,
    limits::Rate,
    serve::{Options, Server},
    store::{TokenRow, fjall::FjallStore},
};
use hermes_wire::{
    ContactId, InstanceId, MoveClaim, Refusal, RelayAddress, RelayPin, RunId, Sequence, Timestamp,
    drop::{FromDrop, ToDrop},
    limits::EPHEMERAL_BYTES,
    mailbox::{Register, ToClient, ToRelay},
    prekey::PrekeyId,
};

#[tokio::test]
async fn a_message_finds_its_way() {
    let world = World::open();
    let (bob, mut mailbox) = world.bob().await;
    assert_eq!(mailbox.registered.head, Sequence(0));
    let mut alice = world.drop_to(&bob, 1).await;
    let FromDrop::Bundle(_, bundle) = alice.fetch(1).await else { panic!() };
    assert_eq!(bundle.one_time.unwrap().id, PrekeyId(4));
    assert!(matches!(mailbox.answers.next().await.unwrap(), Some(ToClient::PrekeyStock(_))));
    let hello = deposit(1, b"hello");
    assert_eq!(alice.deposit(&hello).await, FromDrop::Receipt(hello.envelope));
    assert_eq!(mailbox.receive().await, (1, b"hello".to_vec()));
    mailbox.ack(1).await;
}

#[tokio::test]
async fn what_is_ephemeral_reaches_who_is_there_and_nobody_later() {
    let world = World::open();
    let (bob, mut mailbox) = world.bob().await;
    let mut alice = world.drop_to(&bob, 1).await;
    let here = deposit(1, b"here");
    assert_eq!(alice.ask(ToDrop::Ephemeral(here.clone())).await, FromDrop::Receipt(here.envelope));
    let passing = mailbox.receive_passing().await;
    assert_eq!((passing.contact, passing.body.as_slice()), (ContactId([1; 16]), &b"here"[..]));
    let large = deposit(2, &[0; EPHEMERAL_BYTES + 1]);
    let refused = Refusal::TooLarge { max: EPHEMERAL_BYTES as u32 };
    let answer = alice.ask(ToDrop::Ephemeral(large.clone())).await;
    assert_eq!(answer, FromDrop::DepositRefused(large.envelope, refused));
    let gone = mailbox.ask(ToRelay::Revoke(ContactId([1; 16]), Timestamp(u64::MAX))).await;
    assert_eq!(gone, ToClient::Revoked(ContactId([1; 16])));
    let answer = alice.ask(ToDrop::Ephemeral(here.clone())).await;
    assert_eq!(
        answer,
        FromDrop::DepositRefused(here.envelope, Refusal::NoEntry),
        "not from who was shut out"
    );

    drop(mailbox);
    let mut carol = world.drop_to(&bob, 2).await;
    assert_eq!(carol.ask(ToDrop::Ephemeral(here.clone())).await, FromDrop::Receipt(here.envelope));
    let kept = deposit(3, b"kept");
    carol.deposit(&kept).await;
    let mut mailbox = Mailbox::connect(&world.address, &owner(1).1, bob.register(None)).await;
    assert_eq!(mailbox.receive().await, (1, b"kept".to_vec()), "and no sequence was used up");
}

#[tokio::test]
async fn what_waited_comes_on_connecting_and_unacked_comes_again() {
    let world = World::open();
    let (bob, mailbox) = world.bob().await;
    drop(mailbox);
    let mut alice = world.drop_to(&bob, 1).await;
    let all: Vec<_> = (1..=600).map(|id| deposit(id, &id.to_be_bytes())).collect();
    assert_eq!(alice.deposit_all(&all).await.len(), 600);
    let (_, credential) = owner(1);
    for first in [1, 201] {
        let mut mailbox = Mailbox::connect(&world.address, &credential, bob.register(None)).await;
        assert_eq!(mailbox.registered.head, Sequence(600));
        for sequence in first..first + 200 {
            assert_eq!(mailbox.receive().await, (sequence, (sequence as u32).to_be_bytes().to_vec()));
        }
        mailbox.ack(first + 199).await;
    }
    let mut mailbox = Mailbox::connect(&world.address, &credential, bob.register(None)).await;
    assert_eq!(mailbox.receive().await.0, 401);
}

#[tokio::test]
async fn a_restart_keeps_everything_and_says_goodbye_first() {
    let mut world = World::open();
    let (bob, mut mailbox) = world.bob().await;
    let mut alice = world.drop_to(&bob, 1).await;
    let revoked = mailbox.ask(ToRelay::Revoke(ContactId([2; 16]), Timestamp(u64::MAX))).await;
    assert_eq!(revoked, ToClient::Revoked(ContactId([2; 16])));
    alice.deposit_all(&[deposit(1, b"one"), deposit(2, b"two")]).await;
    let (_, answer) = tokio::join!(world.stop(), mailbox.answers.next());
    assert!(matches!(answer.unwrap(), Some(ToClient::GoAway(_))));
    assert!(matches!(alice.connection.closed().await, ConnectionError::ApplicationClosed(closed)
        if closed.error_code == close::DRAINING));

    world.start();
    let (_, credential) = owner(1);
    let mut mailbox = Mailbox::connect(&world.address, &credential, bob.register(None)).await;
    assert_eq!(mailbox.registered.next_prekey_id, PrekeyId(7));
    assert_eq!(mailbox.receive().await, (1, b"one".to_vec()));
    assert_eq!(mailbox.receive().await, (2, b"two".to_vec()));
    let mut alice = world.drop_to(&bob, 1).await;
    let again = deposit(2, b"two");
    assert_eq!(alice.deposit(&again).await, FromDrop::Receipt(again.envelope));
    let other = deposit(2, b"another");
    assert_eq!(alice.deposit(&other).await, FromDrop::DepositRefused(other.envelope, Refusal::IdConflict));
    alice.deposit_all(&[deposit(3, b"three")]).await;
    assert_eq!(mailbox.receive().await, (3, b"three".to_vec()));
    let mut token = bob.token(2);
    token.expiry = Timestamp(u64::MAX);
    assert_eq!(Drop::connect(&world.address, bob.open(&token)).await.err(), Some(Refusal::NoEntry));
}

#[tokio::test]
async fn the_newest_connection_of_a_mailbox_wins() {
    let world = World::open();
    let (bob, mut older) = world.bob().await;
    let (_, credential) = owner(1);
    let mut register = bob.register(None);
    register.instance = InstanceId([9; 16]);
    let mut newer = Mailbox::connect(&world.address, &credential, register).await;
    let superseded = ToClient::Refused(Refusal::Superseded { instance: InstanceId([9; 16]) });
    assert_eq!(older.answers.next().await.unwrap(), Some(superseded));
    assert!(matches!(older.connection.closed().await, ConnectionError::ApplicationClosed(closed)
        if closed.error_code == close::SUPERSEDED));
    // The older one's end takes nothing from the newer one.
    let mut alice = world.drop_to(&bob, 1).await;
    alice.deposit_all(&[deposit(1, b"hello")]).await;
    assert_eq!(newer.receive().await, (1, b"hello".to_vec()));
}

#[tokio::test]
async fn a_registration_that_comes_late_takes_nothing_from_a_newer_one_of_its_run() {
    let world = World::open();
    let (bob, _) = world.bob().await;
    let (_, credential) = owner(1);
    let endpoint = client::endpoint().unwrap();
    let given_up = client::connect_mailbox(&endpoint, &world.address, &credential).await.unwrap();
    let mut newer = Mailbox::connect(&world.address, &credential, bob.register(None)).await;
    let (send, _answers) = given_up.open_bi().await.unwrap();
    let mut control = FrameWriter::new(send);
    control.send(&ToRelay::Register(bob.register(None))).await.unwrap();
    assert!(matches!(given_up.closed().await, ConnectionError::ApplicationClosed(closed)
        if closed.error_code == close::DONE));
    let mut alice = world.drop_to(&bob, 1).await;
    alice.deposit_all(&[deposit(1, b"hello")]).await;
    assert_eq!(newer.receive().await, (1, b"hello".to_vec()));
    assert_eq!(newer.ask(ToRelay::Ping).await, ToClient::Pong);
}

#[tokio::test]
async fn a_claim_moves_and_a_second_run_hears_that_it_replaced_the_first() {
    let world = World::open();
    let (bob, mut first) = world.bob().await;
    assert_eq!((&first.registered.claim, first.registered.replaced), (&None, false));
    let next = bob.sign(claim(1, 1));
    let asked = ToRelay::Claim(MoveClaim { expected: None, next: next.clone() });
    assert_eq!(first.ask(asked.clone()).await, ToClient::Claimed(claim(1, 1)));
    assert_eq!(first.ask(asked).await, ToClient::Claimed(claim(1, 1)));
    let behind = ToRelay::Claim(MoveClaim { expected: None, next: bob.sign(claim(1, 2)) });
    assert_eq!(first.ask(behind).await, ToClient::ClaimRefused(Some(next.clone())));

    // The same run, whose connection broke without the relay's notice.
    let (_, credential) = owner(1);
    let again = Mailbox::connect(&world.address, &credential, bob.register(None)).await;
    assert_eq!((&again.registered.claim, again.registered.replaced), (&Some(next), false));
    let other = Register { run: RunId([9; 16]), ..bob.register(None) };
    let mut second = Mailbox::connect(&world.address, &credential, other).await;
    assert!(second.registered.replaced);
    // Another epoch empties the shelf, and its owner hears that.
    let epoch = ToRelay::Claim(MoveClaim { expected: Some(claim(1, 1)), next: bob.sign(claim(2, 1)) });
    assert_eq!(second.ask(epoch).await, ToClient::Claimed(claim(2, 1)));
    assert!(matches!(second.answers.next().await.unwrap(), Some(ToClient::PrekeyStock(stock))
        if stock.iter().all(|kind| kind.count == 0)));
    second.connection.close(0u32.into(), b"");
    drop(second);
}

#[tokio::test]
async fn a_wrong_pin_is_told_apart_and_nothing_is_said_to_the_impostor() {
    let world = World::open();
    let wrong = RelayAddress::new("127.0.0.1", world.address.port(), RelayPin([1; 32])).unwrap();
    let (_, credential) = owner(1);
    let refused = client::connect_mailbox(&client::endpoint().unwrap(), &wrong, &credential).await;
    assert!(matches!(refused, Err(ConnectError::WrongPin)), "{refused:?}");
}

#[tokio::test]
async fn garbage_closes_its_connection_and_no_other() {
    let world = World::open();
    let (bob, mut mailbox) = world.bob().await;
    let mut alice = world.drop_to(&bob, 1).await;
    let garbage = [&[0xff; 64][..], &[0, 0, 0, 1, 0xff], &[0, 0, 0, 3, 0x9f, 0x01, 0xff]];
    for bytes in garbage {
        let stranger = client::connect_drop(&client::endpoint().unwrap(), &world.address).await.unwrap();
        let (mut send, _receive) = stranger.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        assert!(matches!(stranger.closed().await, ConnectionError::ApplicationClosed(closed)
            if closed.error_code == close::BAD_FRAME));

        let (_, credential) = owner(2);
        let endpoint = client::endpoint().unwrap();
        let stranger = client::connect_mailbox(&endpoint, &world.address, &credential).await.unwrap();
        let (mut send, receive) = stranger.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        let told = FrameReader::<ToClient>::new(receive).next().await.unwrap();
        assert_eq!(told, Some(ToClient::Refused(Refusal::BadFrame)));
        assert!(matches!(stranger.closed().await, ConnectionError::ApplicationClosed(closed)
            if closed.error_code == close::BAD_FRAME));
    }
    alice.deposit_all(&[deposit(1, b"hello")]).await;
    assert_eq!(mailbox.receive().await, (1, b"hello".to_vec()));
}

/// An acknowledgement of what never was ends the connection that sent it. It takes no other with it, neither what the same
/// connection had acknowledged before nor the next connection of the mailbox.
#[tokio::test]
async fn who_acknowledges_what_never_was_harms_nobody_else() {
    let world = World::open();
    let (bob, mut mailbox) = world.bob().await;
    let mut alice = world.drop_to(&bob, 1).await;
    alice.deposit_all(&[deposit(1, b"one"), deposit(2, b"two")]).await;
    assert_eq!((mailbox.receive().await.0, mailbox.receive().await.0), (1, 2));
    let again = async || Mailbox::connect(&world.address, &owner(1).1, bob.register(None)).await;
    mailbox.control.push(&ToRelay::Ack(Sequence(1)));
    mailbox.control.push(&ToRelay::Ack(Sequence(u64::MAX)));
    mailbox.control.flush().await.unwrap();
    let answer = mailbox.answers.next();
    let (mut newer, answer) = tokio::join!(again(), answer);
    // It hears of whichever comes first.
    assert!(matches!(answer.unwrap(), Some(ToClient::Refused(_))));
    assert_eq!(newer.receive().await.0, 2, "the first is taken in");
    newer.ack(2).await;
    // What an earlier connection was told may be acknowledged on a later one, before that tells it.
    alice.deposit_all(&[deposit(3, b"three")]).await;
    let mut newest = again().await;
    newest.ack(3).await;
    alice.deposit_all(&[deposit(4, b"four")]).await;
    assert_eq!(again().await.receive().await.0, 4);
}

#[tokio::test]
async fn frames_out_of_place_are_bad_frames() {
    let world = World::open();
    let (bob, mut mailbox) = world.bob().await;
    // Acknowledging what was never assigned, and registering twice.
    let refused = ToClient::Refused(Refusal::BadFrame);
    assert_eq!(mailbox.ask(ToRelay::Ack(Sequence(1))).await, refused);
    let (bob, mut mailbox) = (bob.clone(), {
        let (_, credential) = owner(1);
        Mailbox::connect(&world.address, &credential, bob.register(None)).await
    });
    assert_eq!(mailbox.ask(ToRelay::Register(bob.register(None))).await, refused);
    // Depositing before, and opening after the open.
    let stranger = client::connect_drop(&client::endpoint().unwrap(), &world.address).await.unwrap();
    let (send, _receive) = stranger.open_bi().await.unwrap();
    FrameWriter::new(send).send(&ToDrop::Deposit(deposit(1, b""))).await.unwrap();
    assert!(matches!(stranger.closed().await, ConnectionError::ApplicationClosed(_)));
    let mut alice = world.drop_to(&bob, 1).await;
    alice.requests.send(&ToDrop::Open(bob.open(&bob.token(1)))).await.unwrap();
    assert!(matches!(alice.connection.closed().await, ConnectionError::ApplicationClosed(_)));
}

#[tokio::test]
async fn a_retryable_refusal_ends_the_stream_so_that_order_holds() {
    let deposits = Rate { burst: 2, period: std::time::Duration::from_secs(3_600) };
    let limits = Limits { deposits, ..Limits::default() };
    let world = World::new(Policy { registration: Registration::Open, limits });
    let (bob, mut mailbox) = world.bob().await;
    let mut alice = world.drop_to(&bob, 1).await;
    for id in 1..=4 {
        alice.requests.push(&ToDrop::Deposit(deposit(id, &[id as u8])));
    }
    alice.requests.flush().await.unwrap();
    let mut answers = Vec::new();
    while let Some(answer) = alice.answers.next().await.unwrap() {
        answers.push(answer);
    }
    assert_eq!(answers[..2], [1, 2].map(|id| FromDrop::Receipt(deposit(id, b"").envelope)));
    assert!(matches!(&answers[2..], [FromDrop::DepositRefused(envelope, Refusal::RateLimited { .. })]
        if *envelope == deposit(3, b"").envelope));
    assert_eq!(mailbox.receive().await.0, 1);
    assert_eq!(mailbox.receive().await.0, 2);
}

#[tokio::test]
async fn a_registration_token_made_while_the_relay_runs_works_once() {
    let world = World::new(Policy::default());
    let row = TokenRow { uses: 1, expiry: clock::now().after(std::time::Duration::from_secs(60)) };
    let token = world.tokens().issue(row).unwrap();
    let refused = Some(Some(ToClient::Refused(Refusal::RegistrationRefused)));
    let (bob, credential) = owner(1);
    let none = Mailbox::try_connect(&world.address, &credential, bob.register(None)).await;
    assert_eq!(none.err(), refused);
    Mailbox::connect(&world.address, &credential, bob.register(Some(&token))).await;
    let (carol, credential) = owner(2);
    let spent = Mailbox::try_connect(&world.address, &credential, carol.register(Some(&token))).await;
    assert_eq!(spent.err(), refused);
    assert!(world.tokens().list().is_empty());
}

/// Of 100 places 75 are for strangers, and 38 of those for one address. One is Alice's.
#[tokio::test]
async fn owners_come_in_while_strangers_hold_all_that_they_can() {
    let world = World::open();
    let (bob, mailbox) = world.bob().await;
    let mut alice = world.drop_to(&bob, 1).await;
    drop(mailbox);
    let mut held = Vec::new();
    for (address, stay) in [([127, 0, 0, 1], 37), ([127, 0, 0, 2], 74)] {
        let endpoint = Endpoint::client(SocketAddr::from((address, 0))).unwrap();
        for _ in 0..40 {
            held.push(client::connect_drop(&endpoint, &world.address).await.unwrap());
        }
        let others = held.len() - stay;
        let closed = || held.iter().filter_map(Connection::close_reason).collect::<Vec<_>>();
        while closed().len() < others {
            tokio::task::yield_now().await;
        }
        assert!(closed().iter().all(|reason| matches!(reason, ConnectionError::ApplicationClosed(closed)
            if closed.error_code == close::NO_PLACE)));
        held.retain(|connection| connection.close_reason().is_none());
        assert_eq!(held.len(), stay);
    }
    let mut mailbox = Mailbox::connect(&world.address, &owner(1).1, bob.register(None)).await;
    alice.deposit_all(&[deposit(1, b"hello")]).await;
    assert_eq!(mailbox.receive().await.0, 1);
}

/// Anybody can make a key. Of 100 places 25 are for those who have just come, and 13 of those for one address.
#[tokio::test]
async fn who_has_a_key_and_no_mailbox_is_no_owner() {
    let world = World::open();
    let endpoint = client::endpoint().unwrap();
    let mut held = Vec::new();
    for key in 1..=13 {
        held.push(client::connect_mailbox(&endpoint, &world.address, &owner(key).1).await.unwrap());
    }
    let next = client::connect_mailbox(&endpoint, &world.address, &owner(14).1).await;
    assert!(matches!(next, Err(ConnectError::Refused)), "{next:?}");
}

#[tokio::test]
async fn more_connections_than_allowed_are_refused() {
    let mut world = World::open();
    world.stop().await;
    let options = Options {
        listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
        connections: 1,
        policy: world.policy.clone(),
        tokens: world.tokens(),
    };
    let store = FjallStore::open(&world.directory.path().join("store")).unwrap();
    let server = Server::start(&world.identity, store, options).unwrap();
    let port = server.local_addr().unwrap().port();
    let address = RelayAddress::new("127.0.0.1", port, world.identity.pin()).unwrap();
    let endpoint = client::endpoint().unwrap();
    let _first = client::connect_drop(&endpoint, &address).await.unwrap();
    let second = client::connect_drop(&endpoint, &address).await;
    assert!(matches!(second, Err(ConnectError::Refused)), "{second:?}");
    server.stop().await.unwrap();
}
