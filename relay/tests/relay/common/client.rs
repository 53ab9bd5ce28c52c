//! A client of the relay as the daemon would be one, without its cryptography.

use hermes_link::{
    client,
    credential::MailboxCredential,
    frame::{FrameReader, FrameWriter},
    quinn::{Connection, Endpoint},
};
use hermes_wire::{
    ChannelId, EnvelopeId, FetchId, Refusal, RelayAddress, Sequence, VERSION,
    channel::OpenChannel,
    drop::{Deposit, FromDrop, Open, ToDrop},
    mailbox::{Credit, Deliver, Delivered, Passing, Register, Registered, ToClient, ToRelay},
};

use super::Owner;

/// An owner with the credential that proves its mailbox.
pub fn owner(seed: u8) -> (Owner, MailboxCredential) {
    let credential = MailboxCredential::from_seed(&[seed; 32]).unwrap();
    (Owner::with_mailbox(seed, credential.mailbox()), credential)
}

/// A mailbox connection.
pub struct Mailbox {
    pub connection: Connection,
    pub control: FrameWriter<ToRelay>,
    pub answers: FrameReader<ToClient>,
    pub registered: Registered,
    deliveries: Option<FrameReader<Deliver>>,
    _endpoint: Endpoint,
}

impl Mailbox {
    /// Connects, registers, and gives full credit.
    pub async fn connect(relay: &RelayAddress, credential: &MailboxCredential, register: Register) -> Self {
        Self::try_connect(relay, credential, register).await.unwrap()
    }

    pub async fn try_connect(
        relay: &RelayAddress,
        credential: &MailboxCredential,
        register: Register,
    ) -> Result<Self, Option<ToClient>> {
        let endpoint = client::endpoint().unwrap();
        let connection = client::connect_mailbox(&endpoint, relay, credential).await.unwrap();
        let (send, receive) = connection.open_bi().await.unwrap();
        let (mut control, mut answers) = (FrameWriter::new(send), FrameReader::new(receive));
        control.send(&ToRelay::Register(register)).await.unwrap();
        let registered = match answers.next().await.unwrap() {
            Some(ToClient::Registered(registered)) => registered,
            other => return Err(other),
        };
        control.send(&ToRelay::Credit(Credit { envelopes: 256, bytes: 1024 * 1024 })).await.unwrap();
        Ok(Self { connection, control, answers, registered, deliveries: None, _endpoint: endpoint })
    }

    pub async fn ask(&mut self, frame: ToRelay) -> ToClient {
        self.control.send(&frame).await.unwrap();
        self.answers.next().await.unwrap().unwrap()
    }

    /// The next envelope's sequence and body.
    pub async fn receive(&mut self) -> (u64, Vec<u8>) {
        let envelope = self.receive_envelope().await;
        (envelope.sequence.0, envelope.body.into_vec())
    }

    pub async fn receive_envelope(&mut self) -> Delivered {
        match self.delivery().await {
            Deliver::Envelope(envelope) => envelope,
            other => panic!("{other:?}"),
        }
    }

    /// The next ephemeral envelope.
    pub async fn receive_passing(&mut self) -> Passing {
        match self.delivery().await {
            Deliver::Ephemeral(passing) => passing,
            other => panic!("{other:?}"),
        }
    }

    async fn delivery(&mut self) -> Deliver {
        let deliveries = match &mut self.deliveries {
            Some(deliveries) => deliveries,
            // QUIC shows a stream with its first byte, so it is waited for only here.
            None => self.deliveries.insert(FrameReader::new(self.connection.accept_uni().await.unwrap())),
        };
        deliveries.next().await.unwrap().unwrap()
    }

    /// Acknowledges, and waits until the relay has done so.
    pub async fn ack(&mut self, upto: u64) {
        self.control.send(&ToRelay::Ack(Sequence(upto))).await.unwrap();
        assert_eq!(self.ask(ToRelay::Ping).await, ToClient::Pong);
    }
}

/// A drop connection with one stream.
pub struct Drop {
    pub connection: Connection,
    pub requests: FrameWriter<ToDrop>,
    pub answers: FrameReader<FromDrop>,
    _endpoint: Endpoint,
}

impl Drop {
    /// Connects and opens a stream; the relay's answer is the caller's.
    pub async fn connect(relay: &RelayAddress, open: Open) -> Result<Self, Refusal> {
        Self::begin(relay, ToDrop::Open(open)).await
    }

    /// A stream to a channel.
    pub async fn channel(relay: &RelayAddress, channel: ChannelId) -> Self {
        let open = OpenChannel { version: VERSION, channel };
        Self::begin(relay, ToDrop::OpenChannel(open)).await.unwrap()
    }

    async fn begin(relay: &RelayAddress, open: ToDrop) -> Result<Self, Refusal> {
        let endpoint = client::endpoint().unwrap();
        let connection = client::connect_drop(&endpoint, relay).await.unwrap();
        let (send, receive) = connection.open_bi().await.unwrap();
        let (mut requests, mut answers) = (FrameWriter::new(send), FrameReader::new(receive));
        requests.send(&open).await.unwrap();
        match answers.next().await.unwrap().unwrap() {
            FromDrop::Opened => Ok(Self { connection, requests, answers, _endpoint: endpoint }),
            FromDrop::OpenRefused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    pub async fn ask(&mut self, frame: ToDrop) -> FromDrop {
        self.requests.send(&frame).await.unwrap();
        self.answers.next().await.unwrap().unwrap()
    }

    pub async fn deposit(&mut self, deposit: &Deposit) -> FromDrop {
        self.requests.send(&ToDrop::Deposit(deposit.clone())).await.unwrap();
        self.answers.next().await.unwrap().unwrap()
    }

    pub async fn fetch(&mut self, fetch: u8) -> FromDrop {
        self.requests.send(&ToDrop::FetchPrekeys(FetchId([fetch; 16]))).await.unwrap();
        self.answers.next().await.unwrap().unwrap()
    }

    /// Deposits everything in one go, and returns the receipts.
    pub async fn deposit_all(&mut self, deposits: &[Deposit]) -> Vec<EnvelopeId> {
        let mut receipts = Vec::new();
        for chunk in deposits.chunks(64) {
            chunk.iter().for_each(|deposit| self.requests.push(&ToDrop::Deposit(deposit.clone())));
            self.requests.flush().await.unwrap();
            for _ in chunk {
                match self.answers.next().await.unwrap().unwrap() {
                    FromDrop::Receipt(envelope) => receipts.push(envelope),
                    other => panic!("{other:?}"),
                }
            }
        }
        receipts
    }
}
