//! Real QUIC on loopback: who is let in, who is told what, and what arrives.

use std::{
    net::SocketAddr,
    pin::pin,
    task::{Context, Poll, Waker},
};

use hermes_link::{
    client::{self, ConnectError},
    credential::{MailboxCredential, RelayIdentity},
    frame::{FrameReader, FrameWriter, ReadError},
    limits::{RELAY_ANSWERS_WINDOW, RELAY_SEND_WINDOW},
    quinn::{Connection, ConnectionError, Endpoint},
    server::{self, Peer},
};
use hermes_wire::{
    RelayAddress, RelayPin,
    mailbox::{ToClient, ToRelay},
};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn relay(identity: &RelayIdentity) -> (Endpoint, RelayAddress) {
    let endpoint = server::listen(LOOPBACK, identity).unwrap();
    let port = endpoint.local_addr().unwrap().port();
    (endpoint, RelayAddress::new("127.0.0.1", port, identity.pin()).unwrap())
}

async fn accept(endpoint: &Endpoint) -> Connection {
    endpoint.accept().await.unwrap().await.unwrap()
}

#[tokio::test]
async fn an_owner_proves_its_mailbox_and_a_depositor_nothing() {
    let (listening, address) = relay(&RelayIdentity::generate().unwrap());
    let endpoint = client::endpoint().unwrap();
    let alice = MailboxCredential::from_seed(&[1; 32]).unwrap();

    let (owner, accepted) =
        tokio::join!(client::connect_mailbox(&endpoint, &address, &alice), accept(&listening));
    assert_eq!(server::peer(&accepted), Some(Peer::Owner(alice.mailbox())));
    let (depositor, accepted) = tokio::join!(client::connect_drop(&endpoint, &address), accept(&listening));
    assert_eq!(server::peer(&accepted), Some(Peer::Depositor));
    assert!(owner.is_ok() && depositor.is_ok());
}

#[tokio::test]
async fn another_key_than_the_pinned_one_is_told_apart() {
    let (listening, address) = relay(&RelayIdentity::generate().unwrap());
    let wrong = RelayAddress::new(address.host(), address.port(), RelayPin([7; 32])).unwrap();
    let serving = tokio::spawn(async move {
        while let Some(incoming) = listening.accept().await {
            let _ = incoming.await;
        }
    });
    let endpoint = client::endpoint().unwrap();
    let refused = client::connect_drop(&endpoint, &wrong).await;
    assert!(matches!(refused, Err(ConnectError::WrongPin)), "{refused:?}");
    serving.abort();
}

#[tokio::test]
async fn a_host_without_address_is_told_apart() {
    let address = RelayAddress::new("relay.invalid", 4433, RelayPin([7; 32])).unwrap();
    let refused = client::connect_drop(&client::endpoint().unwrap(), &address).await;
    assert!(matches!(refused, Err(ConnectError::Resolve(_))), "{refused:?}");
}

#[tokio::test]
async fn frames_arrive_whole_and_in_order_and_garbage_is_refused() {
    let (listening, address) = relay(&RelayIdentity::generate().unwrap());
    let endpoint = client::endpoint().unwrap();
    let (connection, accepted) = tokio::join!(client::connect_drop(&endpoint, &address), accept(&listening));
    let connection = connection.unwrap();

    let (send, _) = connection.open_bi().await.unwrap();
    let mut writer = FrameWriter::new(send);
    for sequence in 1..=1_000 {
        writer.push(&ToRelay::Ack(hermes_wire::Sequence(sequence)));
    }
    writer.flush().await.unwrap();
    writer.finish();
    let (_, receive) = accepted.accept_bi().await.unwrap();
    let mut reader = FrameReader::<ToRelay>::new(receive);
    for sequence in 1..=1_000 {
        let frame = reader.next().await.unwrap();
        assert_eq!(frame, Some(ToRelay::Ack(hermes_wire::Sequence(sequence))));
    }
    assert!(matches!(reader.next().await, Ok(None)));

    // What has arrived, in however many packets, is there without waiting once a frame of it was read.
    let (send, _) = connection.open_bi().await.unwrap();
    let mut writer = FrameWriter::new(send);
    (1..=1_000).for_each(|sequence| writer.push(&ToRelay::Ack(hermes_wire::Sequence(sequence))));
    writer.flush().await.unwrap();
    let (_, receive) = accepted.accept_bi().await.unwrap();
    writer.finish();
    // Everything was acknowledged, so it is all at the other side.
    writer.finished().await;
    let mut reader = FrameReader::<ToRelay>::new(receive);
    assert!(reader.next().await.unwrap().is_some());
    let rest = std::iter::from_fn(|| reader.buffered().unwrap()).count();
    assert_eq!(rest, 999);

    // A length over the limit, a body that is no frame, and a stream that ends inside a frame.
    for garbage in [&[0xff, 0xff, 0xff, 0xff][..], &[0, 0, 0, 2, 0xf6, 0xf6], &[0, 0, 0, 9, 1]] {
        let (mut send, _) = connection.open_bi().await.unwrap();
        send.write_all(garbage).await.unwrap();
        send.finish().unwrap();
        let (_, receive) = accepted.accept_bi().await.unwrap();
        let refused = FrameReader::<ToRelay>::new(receive).next().await;
        assert!(matches!(refused, Err(ReadError::Malformed(_) | ReadError::Truncated)), "{refused:?}");
    }
}

/// Who confirms nothing of what it is sent has the relay hold that for as long as it likes.
#[tokio::test]
async fn a_client_is_sent_little_ahead_until_it_is_delivered_to() {
    let (listening, address) = relay(&RelayIdentity::generate().unwrap());
    let endpoint = client::endpoint().unwrap();
    let (connection, accepted) = tokio::join!(client::connect_drop(&endpoint, &address), accept(&listening));
    let _connection = connection.unwrap();
    let mut send = accepted.open_uni().await.unwrap();
    // Nothing here waits for anything, so that the client's side of this thread confirms nothing meanwhile.
    let mut taken = || {
        let mut taken = 0;
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(more) = pin!(send.write(&[0; 4_096])).poll(&mut context) {
            taken += more.unwrap() as u64;
        }
        taken
    };
    assert_eq!(taken(), RELAY_ANSWERS_WINDOW);
    server::widen_sending(&accepted);
    assert_eq!(taken(), RELAY_SEND_WINDOW - RELAY_ANSWERS_WINDOW);
}

#[test]
fn a_restarted_relay_resets_the_connections_of_its_former_life() {
    let identity = RelayIdentity::generate().unwrap();
    let clients = tokio::runtime::Runtime::new().unwrap();
    // On one thread that is not polled after the crash: a crash says no goodbye.
    let first_life = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (listening, address) = first_life.block_on(async { relay(&identity) });
    let port = listening.local_addr().unwrap();
    let (crash, crashes) = tokio::sync::oneshot::channel::<()>();
    let serving = std::thread::spawn(move || {
        let accepted = first_life.block_on(async {
            let accepted = accept(&listening).await;
            let (send, receive) = accepted.accept_bi().await.unwrap();
            FrameReader::<ToRelay>::new(receive).next().await.unwrap();
            let mut writer = FrameWriter::new(send);
            writer.send(&ToClient::Pong).await.unwrap();
            crashes.await.unwrap();
            (accepted, writer)
        });
        drop(first_life);
        drop((accepted, listening));
    });
    let connection = clients.block_on(async {
        let connection = client::connect_drop(&client::endpoint().unwrap(), &address).await.unwrap();
        let (send, receive) = connection.open_bi().await.unwrap();
        FrameWriter::new(send).send(&ToRelay::Ping).await.unwrap();
        assert!(FrameReader::<ToClient>::new(receive).next().await.unwrap().is_some());
        connection
    });
    crash.send(()).unwrap();
    serving.join().unwrap();
    let second_life = tokio::runtime::Runtime::new().unwrap();
    let reborn = RelayIdentity::from_pem(&identity.to_pem()).unwrap();
    let _listening = second_life.block_on(async { server::listen(port, &reborn) }).unwrap();
    clients.block_on(async {
        let (send, _receive) = connection.open_bi().await.unwrap();
        FrameWriter::new(send).send(&ToRelay::Ping).await.unwrap();
        assert_eq!(connection.closed().await, ConnectionError::Reset);
    });
}
