//! A test's own engine at a real relay: it writes to real daemons, and can be made to do what no daemon does.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::way::body_of;
use hermes_engine::{LinkEvent, query};
use hermes_link::{
    client,
    credential::MailboxCredential,
    frame::{FrameReader, FrameWriter},
};
use hermes_wire::{
    EnvelopeId, FetchId, RelayAddress, RunId, Timestamp, VERSION,
    drop::{Deposit, FromDrop, ToDrop},
    mailbox::{Credit, Deliver, Register, ToClient, ToRelay},
    prekey::SealedBundle,
};
use serde_bytes::ByteBuf;
use tokio::runtime::Runtime;

use crate::duo::Peer;

/// Texts in an outbox before they are taken to the relay together.
const WRITTEN_AT_ONCE: usize = 1_000;

/// An engine in memory whose mailbox is at a real relay.
pub struct Remote {
    /// The engine.
    pub peer: Peer,
    runtime: Runtime,
}

impl Remote {
    /// An account at a relay, without keys there: it pairs by accepting.
    pub fn new(name: &str, seed: u64, relay: &RelayAddress) -> Self {
        let mut peer = Peer::at(name, seed, relay.clone());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        peer.now = Timestamp(u64::try_from(now).expect("before the year 584,000,000"));
        Self { peer, runtime: Runtime::new().expect("a runtime can be made") }
    }

    /// Accepts an invite and stays until the inviter has answered.
    pub fn pair(&mut self, invite: &str) {
        let (chat, fetch) = self.peer.accept(invite);
        let pending = query::fetches(&self.peer.store).expect("memory").remove(0);
        let bundle = self.runtime.block_on(fetch_bundle(&pending.destination, fetch));
        self.peer.link(LinkEvent::Bundle(chat, fetch, bundle));
        let destination = query::destination(&self.peer.store, chat).expect("memory").expect("a way");
        let rows = query::outbox(&self.peer.store, chat, None, usize::MAX).expect("memory");
        let settings = query::mailbox(&self.peer.store).expect("memory");
        let answer = self.runtime.block_on(async {
            // The mailbox has to exist before somebody writes to it.
            let mailbox = Mailbox::open(&settings).await;
            for row in &rows {
                deposit(&destination, row.envelope, &body_of(row.frame.clone())).await;
            }
            mailbox.next().await
        });
        for row in rows {
            self.peer.link(LinkEvent::Deposited(row.key));
        }
        self.peer.link(answer);
    }

    /// Writes texts to the only contact, all of them durable at its relay when this returns.
    pub fn write(&mut self, texts: impl Iterator<Item = String>) {
        let contact = query::contacts(&self.peer.store).expect("memory").remove(0);
        let permission = self.permission();
        let mut texts = texts.peekable();
        while texts.peek().is_some() {
            for text in texts.by_ref().take(WRITTEN_AT_ONCE) {
                self.peer.send(&contact.name, &text).expect("accepted");
            }
            let rows = query::outbox(&self.peer.store, contact.chat, None, usize::MAX).expect("memory");
            let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
            self.runtime.block_on(deposit_all(&permission, rows));
            for key in keys {
                self.peer.link(LinkEvent::Deposited(key));
            }
        }
    }

    /// The permission that the only contact gave.
    pub fn permission(&self) -> query::Destination {
        let chat = query::contacts(&self.peer.store).expect("memory")[0].chat;
        query::destination(&self.peer.store, chat).expect("memory").expect("a way")
    }

    /// The only contact's keys, fetched with its permission.
    pub fn bundle(&self) -> Box<SealedBundle> {
        self.runtime.block_on(fetch_bundle(&self.permission(), FetchId::random(&mut rand::rng())))
    }

    /// Puts an envelope into the only contact's mailbox.
    pub fn deposit(&self, body: &[u8]) {
        let envelope = EnvelopeId::random(&mut rand::rng());
        self.runtime.block_on(deposit(&self.permission(), envelope, body));
    }
}

/// One request at a destination, and its answer.
async fn ask(destination: &query::Destination, request: ToDrop) -> FromDrop {
    let endpoint = client::endpoint().expect("a socket");
    let connection = client::connect_drop(&endpoint, &destination.relay).await.expect("a connection");
    let (send, receive) = connection.open_bi().await.expect("a stream");
    let (mut requests, mut answers) = (FrameWriter::new(send), FrameReader::new(receive));
    requests.push(&destination.opening());
    requests.push(&request);
    requests.flush().await.expect("written");
    let mut answer = async || answers.next().await.expect("an answer").expect("an answer");
    match answer().await {
        FromDrop::Opened => answer().await,
        refused => refused,
    }
}

async fn fetch_bundle(destination: &query::Destination, fetch: FetchId) -> Box<SealedBundle> {
    match ask(destination, ToDrop::FetchPrekeys(fetch)).await {
        FromDrop::Bundle(_, bundle) => Box::new(bundle),
        other => panic!("a fetch was answered with {other:?}"),
    }
}

async fn deposit(destination: &query::Destination, envelope: EnvelopeId, body: &[u8]) {
    let deposit = Deposit { envelope, body: ByteBuf::from(body) };
    match ask(destination, ToDrop::Deposit(deposit)).await {
        FromDrop::Receipt(id) => assert_eq!(id, envelope),
        other => panic!("a deposit was answered with {other:?}"),
    }
}

/// Many envelopes on one stream, in order.
async fn deposit_all(destination: &query::Destination, rows: Vec<query::Outgoing>) {
    let endpoint = client::endpoint().expect("a socket");
    let connection = client::connect_drop(&endpoint, &destination.relay).await.expect("a connection");
    let (send, receive) = connection.open_bi().await.expect("a stream");
    let (mut requests, mut answers) = (FrameWriter::new(send), FrameReader::new(receive));
    requests.push(&destination.opening());
    let envelopes: Vec<_> = rows.iter().map(|row| row.envelope).collect();
    let ask = async {
        for row in rows {
            requests.push(&row.frame);
            if requests.is_full() {
                requests.flush().await.expect("written");
            }
        }
        requests.flush().await.expect("written");
        requests
    };
    let hear = async {
        assert!(matches!(answers.next().await.expect("an answer"), Some(FromDrop::Opened)));
        for envelope in envelopes {
            match answers.next().await.expect("an answer") {
                Some(FromDrop::Receipt(id)) => assert_eq!(id, envelope),
                other => panic!("a deposit was answered with {other:?}"),
            }
        }
    };
    // The writer is kept until everything is answered: its end would close the stream.
    let _ = tokio::join!(ask, hear);
}

/// An open mailbox.
struct Mailbox {
    connection: hermes_link::quinn::Connection,
    _control: FrameWriter<ToRelay>,
    _endpoint: hermes_link::quinn::Endpoint,
}

impl Mailbox {
    async fn open(settings: &query::MailboxSettings) -> Self {
        let credential = MailboxCredential::from_seed(&settings.mailbox_seed).expect("a credential");
        let endpoint = client::endpoint().expect("a socket");
        let connection = client::connect_mailbox(&endpoint, &settings.relay, &credential).await;
        let connection = connection.expect("a connection");
        let (send, receive) = connection.open_bi().await.expect("a stream");
        let (mut control, mut answers) = (FrameWriter::new(send), FrameReader::new(receive));
        let register = Register {
            version: VERSION,
            instance: settings.instance,
            run: RunId([9; 16]),
            registration_token: None,
            drop_key: settings.drop_key,
        };
        control.send(&ToRelay::Register(register)).await.expect("written");
        match answers.next().await.expect("an answer") {
            Some(ToClient::Registered(_)) => {}
            other => panic!("a registration was answered with {other:?}"),
        }
        let credit = Credit { envelopes: 256, bytes: 1024 * 1024 };
        control.send(&ToRelay::Credit(credit)).await.expect("written");
        Self { connection, _control: control, _endpoint: endpoint }
    }

    /// What is delivered first.
    async fn next(&self) -> LinkEvent {
        let stream = self.connection.accept_uni().await.expect("a stream");
        match FrameReader::new(stream).next().await.expect("a frame") {
            Some(Deliver::Envelope(delivered)) => LinkEvent::Delivered(delivered),
            other => panic!("delivered was {other:?}"),
        }
    }
}
