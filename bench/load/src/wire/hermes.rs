//! A client of the relay as the daemon is one, without its cryptography of messages: TLS, tokens and frames are real.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use ed25519_dalek::SigningKey;
use hermes_link::{
    client,
    credential::MailboxCredential,
    frame::{FrameReader, FrameWriter},
    quinn::{Connection, Endpoint},
};
use hermes_wire::{
    ChannelId, ContactId, DropKey, EnvelopeId, InstanceId, PostId, RunId, Sequence, Timestamp, VERSION,
    channel::{
        Commit, CopyKey, Create, Epoch, Head, OpenChannel, Post, PostToken, PostTokenHash, Roster,
        RosterEntry, RosterKey,
    },
    drop::{Deposit, FromDrop, Open, ToDrop},
    limits::{CREDIT_BYTES, CREDIT_ENVELOPES, ROSTER_CHANGES},
    mailbox::{Credit, Deliver, Register, ToClient, ToRelay},
    token::{DropToken, Permission, SignedDropToken},
};
use serde_bytes::ByteBuf;

use super::{PAYLOAD, scheduled};
use crate::server::Server;

/// UDP sockets that all clients share: one each would be a daemon's way, and cost the generator most.
const ENDPOINTS: usize = 16;
/// Ten years.
const VALIDITY: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A drop connection with one stream.
pub struct Sender {
    requests: FrameWriter<ToDrop>,
    answers: FrameReader<FromDrop>,
    channel: bool,
    number: u128,
    _connection: Connection,
}

/// A mailbox connection.
pub struct Receiver {
    connection: Connection,
    control: FrameWriter<ToRelay>,
    _answers: FrameReader<ToClient>,
    deliveries: Option<FrameReader<Deliver>>,
}

impl Sender {
    /// Opens a stream to the mailbox of that number.
    pub async fn connect(server: &Server, topic: u32) -> Result<Self> {
        let credential = owner(topic)?;
        let token = issue(topic, Permission::Deposit, &credential);
        let open = ToDrop::Open(Open { version: VERSION, mailbox: credential.mailbox(), token });
        Self::begin(server, open, false, u128::from(topic) << 96).await
    }

    /// Makes a channel of these mailboxes and opens a stream to it.
    pub async fn channel(server: &Server, members: u32) -> Result<Self> {
        let channel = ChannelId([members as u8 ^ (members >> 8) as u8; 32]);
        let open = ToDrop::OpenChannel(OpenChannel { version: VERSION, channel });
        let mut sender = Self::begin(server, open, true, u128::from(members) << 64).await?;
        let (mut roster, mut head) = (Roster::default(), Head::first(channel));
        let entries = (0..members).map(entry).collect::<Result<Vec<_>>>()?;
        for (number, chunk) in entries.chunks(ROSTER_CHANGES).enumerate() {
            let known = roster.iter().map(|(leaf, entry)| (leaf, entry.clone()));
            let next = Roster::new(known.chain(chunk.iter().cloned()))?;
            let epoch = Epoch {
                token: PostTokenHash::of(&post_token()),
                change: roster.change_to(&next)?,
                roster: next.hash(channel),
                key: roster_key(),
            };
            let post = sender.next_post();
            let request = match number as u64 {
                0 => ToDrop::Create(Create { post, number: 0, epoch }),
                number => {
                    let body = ByteBuf::from(vec![1]);
                    let (token, roster) = (post_token(), roster_key());
                    let before = head;
                    head = head.after(&body);
                    let epoch_before = number - 1;
                    let commit =
                        Commit { post, epoch: epoch_before, token, roster, head: before, body, next: epoch };
                    ToDrop::Commit(commit)
                }
            };
            sender.requests.send(&request).await?;
            match sender.answers.next().await?.context("the relay closed the stream")? {
                FromDrop::Created(_) | FromDrop::Posted(..) => roster = next,
                other => bail!("the relay answers {other:?}"),
            }
        }
        sender.number |= u128::from(entries.len().div_ceil(ROSTER_CHANGES) as u64 - 1) << 32;
        Ok(sender)
    }

    async fn begin(server: &Server, open: ToDrop, channel: bool, number: u128) -> Result<Self> {
        let relay = server.relay.as_ref().context("no relay")?;
        let connection = client::connect_drop(endpoint()?, relay).await?;
        let (send, receive) = connection.open_bi().await?;
        let (mut requests, mut answers) = (FrameWriter::new(send), FrameReader::new(receive));
        requests.send(&open).await?;
        match answers.next().await?.context("the relay closed the stream")? {
            FromDrop::Opened => Ok(Self { requests, answers, channel, number, _connection: connection }),
            other => bail!("the relay answers {other:?}"),
        }
    }

    /// Deposits or posts.
    pub async fn send(&mut self, count: usize, payload: &[u8]) -> Result<()> {
        for _ in 0..count {
            let body = ByteBuf::from(payload);
            let request = if self.channel {
                let epoch = (self.number >> 32) as u64 & 0xffff_ffff;
                let (post, token, roster) = (self.next_post(), post_token(), roster_key());
                ToDrop::Post(Post { post, epoch, token, roster, body })
            } else {
                self.number += 1;
                ToDrop::Deposit(Deposit { envelope: EnvelopeId(self.number.to_be_bytes()), body })
            };
            self.requests.push(&request);
        }
        Ok(self.requests.flush().await?)
    }

    /// Receipts.
    pub async fn acknowledged(&mut self) -> Result<usize> {
        let mut answer = self.answers.next().await?.context("the relay closed the stream")?;
        let mut count = 0;
        loop {
            match answer {
                FromDrop::Receipt(_) | FromDrop::Posted(..) => count += 1,
                other => bail!("the relay answers {other:?}"),
            }
            match self.answers.buffered()? {
                Some(next) => answer = next,
                None => return Ok(count),
            }
        }
    }

    fn next_post(&mut self) -> PostId {
        self.number += 1;
        PostId(self.number.to_be_bytes())
    }
}

impl Receiver {
    /// Connects the mailbox of that number and gives full credit.
    pub async fn connect(server: &Server, number: u32) -> Result<Self> {
        let credential = owner(number)?;
        let relay = server.relay.as_ref().context("no relay")?;
        let connection = client::connect_mailbox(endpoint()?, relay, &credential).await?;
        let (send, receive) = connection.open_bi().await?;
        let (mut control, mut answers) = (FrameWriter::new(send), FrameReader::new(receive));
        let register = Register {
            version: VERSION,
            instance: InstanceId([7; 16]),
            run: RunId([8; 16]),
            registration_token: None,
            drop_key: DropKey(drop_key(number).verifying_key().to_bytes()),
        };
        control.send(&ToRelay::Register(register)).await?;
        match answers.next().await?.context("the relay closed the stream")? {
            ToClient::Registered(_) => {}
            other => bail!("the relay answers {other:?}"),
        }
        control.send(&ToRelay::Credit(Credit { envelopes: CREDIT_ENVELOPES, bytes: CREDIT_BYTES })).await?;
        Ok(Self { connection, control, _answers: answers, deliveries: None })
    }

    /// Envelopes with a payload that came. Commits of a channel are shorter, and are acknowledged without a word.
    pub async fn receive(&mut self) -> Result<Vec<u64>> {
        let deliveries = match &mut self.deliveries {
            Some(deliveries) => deliveries,
            // QUIC shows a stream with its first byte.
            None => self.deliveries.insert(FrameReader::new(self.connection.accept_uni().await?)),
        };
        let mut next = Some(deliveries.next().await?.context("the relay closed the stream")?);
        let (mut times, mut spent, mut last) =
            (Vec::new(), Credit { envelopes: 0, bytes: 0 }, Sequence::default());
        while let Some(deliver) = next {
            let Deliver::Envelope(envelope) = deliver else { bail!("the relay delivers {deliver:?}") };
            last = envelope.sequence;
            spent.envelopes += 1;
            spent.bytes += envelope.body.len() as u32;
            match envelope.body.len() {
                PAYLOAD => times.push(scheduled(&envelope.body)),
                length if length > PAYLOAD => times.push(0),
                _ => {}
            }
            // What is gathered is bounded by the credit that is outstanding; half of it goes back early.
            next = if spent.envelopes < CREDIT_ENVELOPES / 2 { deliveries.buffered()? } else { None };
        }
        self.control.push(&ToRelay::Ack(last));
        self.control.push(&ToRelay::Credit(spent));
        self.control.flush().await?;
        Ok(times)
    }
}

fn endpoint() -> Result<&'static Endpoint> {
    static SOCKETS: OnceLock<Vec<Endpoint>> = OnceLock::new();
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let sockets = match SOCKETS.get() {
        Some(sockets) => sockets,
        None => {
            let opened = (0..ENDPOINTS).map(|_| client::endpoint()).collect::<Result<Vec<_>, _>>()?;
            SOCKETS.get_or_init(|| opened)
        }
    };
    sockets.get(NEXT.fetch_add(1, Ordering::Relaxed) % ENDPOINTS).context("no socket")
}

fn owner(number: u32) -> Result<MailboxCredential> {
    Ok(MailboxCredential::from_seed(&seed(number, 0x42))?)
}

fn drop_key(number: u32) -> SigningKey {
    SigningKey::from_bytes(&seed(number, 0x43))
}

/// Secret only in name: everything here is thrown away.
fn seed(number: u32, purpose: u8) -> [u8; 32] {
    let mut seed = [purpose; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    seed
}

fn issue(number: u32, permission: Permission, credential: &MailboxCredential) -> SignedDropToken {
    let expiry = Timestamp(now_ms()).after(VALIDITY);
    let token = DropToken { contact: ContactId([permission as u8; 16]), permission, expiry, uses: None };
    SignedDropToken::issue(&token, credential.mailbox(), &drop_key(number))
}

fn entry(number: u32) -> Result<(u32, RosterEntry)> {
    let credential = owner(number)?;
    let token = issue(number, Permission::Channel, &credential);
    Ok((number, RosterEntry { mailbox: credential.mailbox(), token, key: CopyKey::new(seed(number, 0x17)) }))
}

fn post_token() -> PostToken {
    PostToken::new([0x33; 32])
}

fn roster_key() -> RosterKey {
    RosterKey::new([0x44; 32])
}

fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
