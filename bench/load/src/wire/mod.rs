//! What clients say to each server. Of the brokers' protocols just what the scenarios need is written by hand: generator
//! and server share the machine, and a full client library would be the slower side of a pair.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::server::{Server, System};

pub mod hermes;
pub mod mqtt;
pub mod nats;
pub mod redis;

/// Bytes of every payload. The first eight are its scheduled time.
pub const PAYLOAD: usize = 1024;

/// Who publishes.
pub enum Sender {
    /// Deposits, or posts to a channel.
    Hermes(Box<hermes::Sender>),
    /// QoS 1.
    Mqtt(mqtt::Sender),
    /// With the acknowledgement of the stream.
    Nats(nats::Sender),
    /// XADD.
    Redis(redis::Sender),
}

impl Sender {
    /// A publisher to the topic of that number.
    pub async fn connect(server: &Server, topic: u32) -> Result<Self> {
        Ok(match server.system {
            System::Hermes => Self::Hermes(Box::new(hermes::Sender::connect(server, topic).await?)),
            System::Mosquitto => Self::Mqtt(mqtt::Sender::connect(server.address, topic).await?),
            System::Nats => Self::Nats(nats::Sender::connect(server.address, topic).await?),
            System::Redis => Self::Redis(redis::Sender::connect(server.address, topic).await?),
        })
    }

    /// Publishes so many with this scheduled time, without waiting.
    pub async fn send(&mut self, count: usize, scheduled: u64) -> Result<()> {
        let mut payload = [0x5a; PAYLOAD];
        payload[..8].copy_from_slice(&scheduled.to_be_bytes());
        match self {
            Self::Hermes(sender) => sender.send(count, &payload).await,
            Self::Mqtt(sender) => sender.send(count, &payload).await,
            Self::Nats(sender) => sender.send(count, &payload).await,
            Self::Redis(sender) => sender.send(count, &payload).await,
        }
    }

    /// Waits for acknowledgements; how many came.
    pub async fn acknowledged(&mut self) -> Result<usize> {
        match self {
            Self::Hermes(sender) => sender.acknowledged().await,
            Self::Mqtt(sender) => sender.acknowledged().await,
            Self::Nats(sender) => sender.acknowledged().await,
            Self::Redis(sender) => sender.acknowledged().await,
        }
    }
}

/// How a subscriber stands to its topic.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What comes while it is away waits for it.
    Durable,
    /// One of many on a topic.
    Live,
}

/// Who subscribes.
pub enum Receiver {
    /// A mailbox.
    Hermes(Box<hermes::Receiver>),
    /// QoS 1.
    Mqtt(mqtt::Receiver),
    /// A durable consumer, or a plain subscription.
    Nats(nats::Receiver),
    /// XREAD.
    Redis(redis::Receiver),
}

impl Receiver {
    /// The subscriber of that number to that topic.
    pub async fn connect(server: &Server, topic: u32, number: u32, kind: Kind) -> Result<Self> {
        let address = server.address;
        Ok(match server.system {
            System::Hermes => Self::Hermes(Box::new(hermes::Receiver::connect(server, number).await?)),
            System::Mosquitto => Self::Mqtt(mqtt::Receiver::connect(address, topic, number).await?),
            System::Nats => Self::Nats(nats::Receiver::connect(address, topic, number, kind).await?),
            System::Redis => Self::Redis(redis::Receiver::connect(address, topic).await?),
        })
    }

    /// Waits for messages, acknowledges them, and gives their scheduled times (0 where the copy is sealed).
    pub async fn receive(&mut self) -> Result<Vec<u64>> {
        match self {
            Self::Hermes(receiver) => receiver.receive().await,
            Self::Mqtt(receiver) => receiver.receive().await,
            Self::Nats(receiver) => receiver.receive().await,
            Self::Redis(receiver) => receiver.receive().await,
        }
    }
}

/// A TCP connection with what was read of it and not yet understood.
pub struct Link {
    stream: TcpStream,
    /// Bytes that were read.
    pub read: Vec<u8>,
    /// Bytes to write.
    pub write: Vec<u8>,
}

impl Link {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::new(), write: Vec::new() })
    }

    /// Writes what is gathered.
    pub async fn flush(&mut self) -> Result<()> {
        self.stream.write_all(&self.write).await?;
        self.write.clear();
        Ok(())
    }

    /// Waits for more bytes.
    pub async fn more(&mut self) -> Result<()> {
        self.read.reserve(64 * 1024);
        ensure!(self.stream.read_buf(&mut self.read).await? > 0, "the server closed the connection");
        Ok(())
    }
}

/// The scheduled time in a payload.
pub fn scheduled(payload: &[u8]) -> u64 {
    payload.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
