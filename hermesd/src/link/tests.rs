//! The link of an account with a relay that plays a part: what is said on the wire, and when.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use hermes_engine::{Command, Invite, NewAccount, Reply};
use hermes_link::{
    credential::RelayIdentity,
    frame::{FrameReader, FrameWriter},
    quinn::{Connection, Incoming},
    server::{self, Peer},
};
use hermes_wire::{
    ContactId, EnvelopeId, FetchId, MoveClaim, Refusal, RelayAddress, Sequence,
    drop::{FromDrop, ToDrop},
    mailbox::{Deliver, Delivered, PrekeyStock, Registered, ToClient, ToRelay},
    prekey::{PrekeyId, PrekeyKind},
};
use serde_bytes::ByteBuf;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::{
    account::Account,
    clock::now,
    daemon::{Daemon, NewKeys},
};

/// A test that waits this long waits in vain.
const PATIENCE: Duration = Duration::from_secs(30);

/// A relay without a store. It tells what it hears, takes every prekey, and has no bundle at the moment.
struct Relay {
    address: RelayAddress,
    owners: mpsc::Receiver<Owner>,
    fetches: mpsc::Receiver<FetchId>,
    /// Whether it takes claims; while it does not, it does not answer them.
    takes_claims: watch::Sender<bool>,
    _endpoint: Endpoint,
}

/// A mailbox connection whose owner has registered.
struct Owner {
    connection: Connection,
    heard: mpsc::Receiver<ToRelay>,
}

/// Where a connection tells what it hears.
#[derive(Clone)]
struct Ears {
    owners: mpsc::Sender<Owner>,
    fetches: mpsc::Sender<FetchId>,
    takes_claims: watch::Receiver<bool>,
}

impl Relay {
    fn start() -> Self {
        let identity = RelayIdentity::generate().unwrap();
        let endpoint = server::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &identity).unwrap();
        let port = endpoint.local_addr().unwrap().port();
        let address = RelayAddress::new("127.0.0.1", port, identity.pin()).unwrap();
        let ((owners, owner), (fetches, fetch)) = (mpsc::channel(16), mpsc::channel(16));
        let takes_claims = watch::Sender::new(true);
        let ears = Ears { owners, fetches, takes_claims: takes_claims.subscribe() };
        let accepting = endpoint.clone();
        tokio::spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                tokio::spawn(serve(incoming, ears.clone()));
            }
        });
        Self { address, owners: owner, fetches: fetch, takes_claims, _endpoint: endpoint }
    }

    async fn account(&self, home: &TempDir, name: &str) -> Arc<Account> {
        let new = NewAccount { name: name.into(), relay: self.address.clone(), registration_token: None };
        let daemon = Daemon::of_tests(home.path());
        let keys = NewKeys { kind: hermes_api::KeyKind::File, passphrase: None };
        daemon.create_account(name.parse().unwrap(), new, keys).await.unwrap()
    }
}

async fn serve(incoming: Incoming, ears: Ears) {
    let connection = incoming.await.unwrap();
    match server::peer(&connection).unwrap() {
        Peer::Owner(_) => serve_owner(connection, ears).await,
        Peer::Depositor => {
            while let Ok((send, receive)) = connection.accept_bi().await {
                let (mut writer, mut reader) = (FrameWriter::new(send), FrameReader::<ToDrop>::new(receive));
                while let Ok(Some(frame)) = reader.next().await {
                    let answer = match frame {
                        ToDrop::FetchPrekeys(fetch) => {
                            ears.fetches.send(fetch).await.unwrap();
                            FromDrop::FetchRefused(fetch, Refusal::Busy { retry_ms: u32::MAX })
                        }
                        _ => FromDrop::Opened,
                    };
                    writer.send(&answer).await.unwrap();
                }
            }
        }
        Peer::Newcomer => panic!("this relay has no certificate"),
    }
}

async fn serve_owner(connection: Connection, ears: Ears) {
    let (send, receive) = connection.accept_bi().await.unwrap();
    let (mut writer, mut reader) = (FrameWriter::new(send), FrameReader::<ToRelay>::new(receive));
    let (hear, heard) = mpsc::channel(64);
    ears.owners.send(Owner { connection, heard }).await.unwrap();
    let mut takes_claims = ears.takes_claims;
    while let Ok(Some(frame)) = reader.next().await {
        let answer = match &frame {
            ToRelay::Register(_) => Some(ToClient::Registered(Registered {
                relay_time: now(),
                next_prekey_id: PrekeyId(1),
                stock: PrekeyKind::ALL.map(|kind| PrekeyStock { kind, count: 0 }).into(),
                max_envelope: 65_536,
                head: Sequence(50),
                claim: None,
                replaced: false,
            })),
            ToRelay::Claim(MoveClaim { next, .. }) => Some(ToClient::Claimed(*next.unverified())),
            ToRelay::PutPrekeys(prekeys) => {
                Some(ToClient::PrekeysStored(prekeys.last().map(|prekey| prekey.id).unwrap()))
            }
            ToRelay::Ping => Some(ToClient::Pong),
            _ => None,
        };
        // The test may have ended.
        let _ = hear.send(frame.clone()).await;
        if matches!(frame, ToRelay::Claim(_)) {
            let _ = takes_claims.wait_for(|takes| *takes).await;
        }
        if let Some(answer) = answer {
            writer.send(&answer).await.unwrap();
        }
    }
}

impl Owner {
    /// Delivers something. The stream stays open as long as what is returned is held.
    async fn deliver(&self, sequence: u64) -> FrameWriter<Deliver> {
        let mut writer = FrameWriter::new(self.connection.open_uni().await.unwrap());
        let delivered = Delivered {
            sequence: Sequence(sequence),
            envelope: EnvelopeId([1; 16]),
            contact: ContactId([2; 16]),
            stored: now(),
            body: ByteBuf::from(b"no envelope".to_vec()),
        };
        writer.send(&Deliver::Envelope(delivered)).await.unwrap();
        writer
    }

    /// The next frame that is no mere sign of life.
    async fn heard(&mut self) -> ToRelay {
        loop {
            match self.heard.recv().await.unwrap() {
                ToRelay::Ping => {}
                frame => return frame,
            }
        }
    }

    /// Until something may be delivered.
    async fn credited(&mut self) {
        while !matches!(self.heard().await, ToRelay::Credit(_)) {}
    }

    /// The first sequence that is acknowledged.
    async fn acknowledged(&mut self) -> Sequence {
        loop {
            if let ToRelay::Ack(sequence) = self.heard.recv().await.unwrap() {
                return sequence;
            }
        }
    }
}

async fn connected(account: &Account) {
    account.board().mailbox().wait_for(|status| status.state == MailboxState::Connected).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stock_counts_what_the_relay_has_taken_in() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().unwrap());
    let account = relay.account(&home, "alice").await;
    connected(&account).await;
    // Some of each one-time kind, and one of each other.
    for PrekeyStock { kind, count } in account.board().stock().unwrap() {
        assert!(if kind.is_one_time() { count > 1 } else { count == 1 }, "{count} of {kind:?}");
    }
    account.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_connection_delivered_is_acknowledged_on_it() {
    let (mut relay, home) = (Relay::start(), tempfile::tempdir().unwrap());
    let account = relay.account(&home, "alice").await;
    let mut first = relay.owners.recv().await.unwrap();
    first.credited().await;
    let _open = first.deliver(50).await;
    assert_eq!(first.acknowledged().await, Sequence(50));
    first.connection.close(0u32.into(), b"");

    // The relay is back from an old copy, in which the number was not given yet.
    let mut second = relay.owners.recv().await.unwrap();
    second.credited().await;
    let _open = second.deliver(5).await;
    assert_eq!(second.acknowledged().await, Sequence(5));
    account.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_invite_does_not_wait_for_an_older_ones_retry() {
    let (mut relay, home) = (Relay::start(), tempfile::tempdir().unwrap());
    let (alice, bob) = (relay.account(&home, "alice").await, relay.account(&home, "bob").await);
    connected(&alice).await;
    let mut asked = Vec::new();
    for _ in 0..2 {
        let validity = Duration::from_secs(600);
        let Ok(Reply::Invite { link, .. }) = alice.command(Command::CreateInvite { validity }).await else {
            panic!("no invite");
        };
        let invite: Invite = link.parse().unwrap();
        assert!(matches!(bob.command(Command::Accept(Box::new(invite))).await, Ok(Reply::Accepted { .. })));
        // The older one's next attempt is minutes away.
        let next = timeout(PATIENCE, relay.fetches.recv()).await;
        asked.push(next.expect("the newer invite waits").unwrap());
    }
    assert_ne!(asked[0], asked[1]);
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_or_put_before_the_relay_has_taken_the_claim() {
    let (mut relay, home) = (Relay::start(), tempfile::tempdir().unwrap());
    let alice = relay.account(&home, "alice").await;
    let mut owner = relay.owners.recv().await.unwrap();
    assert!(matches!(owner.heard().await, ToRelay::Register(_)));
    assert!(matches!(owner.heard().await, ToRelay::Claim(_)));
    assert!(matches!(owner.heard().await, ToRelay::Credit(_)));
    connected(&alice).await;
    let validity = Duration::from_secs(600);
    let Ok(Reply::Invite { link, .. }) = alice.command(Command::CreateInvite { validity }).await else {
        panic!("no invite");
    };

    relay.takes_claims.send_replace(false);
    let bob = relay.account(&home, "bob").await;
    let invite: Invite = link.parse().unwrap();
    assert!(matches!(bob.command(Command::Accept(Box::new(invite))).await, Ok(Reply::Accepted { .. })));
    let mut owner = relay.owners.recv().await.unwrap();
    assert!(matches!(owner.heard().await, ToRelay::Register(_)));
    assert!(matches!(owner.heard().await, ToRelay::Claim(_)));
    // Without the wait for the claim, the bundle would have been asked for long before bob's next sign of life is due.
    assert!(timeout(crate::limits::PING, relay.fetches.recv()).await.is_err());
    relay.takes_claims.send_replace(true);
    timeout(PATIENCE, relay.fetches.recv()).await.expect("bob asks for the bundle").unwrap();
    alice.stop().await;
    bob.stop().await;
}
