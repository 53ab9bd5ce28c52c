//! MQTT 3.1.1 (OASIS), QoS 1.

use std::net::SocketAddr;

use anyhow::Result;

use super::{Link, scheduled};

const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const SUBACK: u8 = 9;

/// Publishes.
pub struct Sender {
    link: Link,
    topic: String,
    packet: u16,
}

/// Subscribes, with a session that stays.
pub struct Receiver(Link);

impl Sender {
    /// Connects.
    pub async fn connect(address: SocketAddr, topic: u32) -> Result<Self> {
        let link = open(address, &format!("s{topic}"), true).await?;
        Ok(Self { link, topic: format!("p/{topic}"), packet: 0 })
    }

    /// Publishes.
    pub async fn send(&mut self, count: usize, payload: &[u8]) -> Result<()> {
        for _ in 0..count {
            self.packet = self.packet.checked_add(1).unwrap_or(1);
            let mut body = text(&self.topic);
            body.extend(self.packet.to_be_bytes());
            body.extend(payload);
            push(&mut self.link, 0x32, &body);
        }
        self.link.flush().await
    }

    /// PUBACKs.
    pub async fn acknowledged(&mut self) -> Result<usize> {
        Ok(packets(&mut self.link).await?.iter().filter(|(kind, _)| *kind == PUBACK).count())
    }
}

impl Receiver {
    /// Connects and subscribes.
    pub async fn connect(address: SocketAddr, topic: u32, number: u32) -> Result<Self> {
        let mut link = open(address, &format!("r{number}"), false).await?;
        let body = [&[0, 1][..], &text(&format!("p/{topic}")), &[1]].concat();
        push(&mut link, 0x82, &body);
        link.flush().await?;
        // What waited may come before the answer; it is read again by the first `receive`.
        loop {
            if link.read.windows(2).any(|bytes| bytes == [SUBACK << 4, 3]) {
                return Ok(Self(link));
            }
            link.more().await?;
        }
    }

    /// Publishes that came, each answered with a PUBACK.
    pub async fn receive(&mut self) -> Result<Vec<u64>> {
        let mut times = Vec::new();
        for (kind, body) in packets(&mut self.0).await? {
            let Some((length, rest)) = body.split_first_chunk().filter(|_| kind == PUBLISH) else { continue };
            let rest = rest.get(usize::from(u16::from_be_bytes(*length))..).unwrap_or_default();
            let Some((packet, payload)) = rest.split_first_chunk::<2>() else { continue };
            push(&mut self.0, PUBACK << 4, packet);
            times.push(scheduled(payload));
        }
        self.0.flush().await?;
        Ok(times)
    }
}

async fn open(address: SocketAddr, client: &str, clean: bool) -> Result<Link> {
    let mut link = Link::connect(address).await?;
    let flags = if clean { 2 } else { 0 };
    let body = [text("MQTT"), vec![4, flags, 0, 0], text(client)].concat();
    push(&mut link, 0x10, &body);
    link.flush().await?;
    // A CONNACK has four bytes, and more may follow it at once.
    while link.read.len() < 4 {
        link.more().await?;
    }
    anyhow::ensure!(link.read[0] == CONNACK << 4 && link.read[3] == 0, "mosquitto refused the connection");
    link.read.drain(..4);
    Ok(link)
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

fn push(link: &mut Link, first: u8, body: &[u8]) {
    link.write.push(first);
    let mut length = body.len();
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        link.write.push((length % 128) as u8 | more);
        length /= 128;
        if length == 0 {
            break;
        }
    }
    link.write.extend(body);
}

/// At least one packet: its kind and what follows the fixed header.
async fn packets(link: &mut Link) -> Result<Vec<(u8, Vec<u8>)>> {
    loop {
        let (mut found, mut at) = (Vec::new(), 0);
        while let Some((kind, body, next)) = packet(&link.read, at) {
            found.push((kind, link.read[body..next].to_vec()));
            at = next;
        }
        if !found.is_empty() {
            link.read.drain(..at);
            return Ok(found);
        }
        link.more().await?;
    }
}

/// The kind of the packet at `at`, where its body begins and where it ends, if it is there whole.
fn packet(read: &[u8], at: usize) -> Option<(u8, usize, usize)> {
    let kind = read.get(at)? >> 4;
    let (mut length, mut shift, mut next) = (0usize, 0, at + 1);
    loop {
        let byte = *read.get(next)?;
        length |= usize::from(byte & 0x7f) << shift;
        (shift, next) = (shift + 7, next + 1);
        if byte & 0x80 == 0 {
            break;
        }
    }
    (read.len() >= next + length).then_some((kind, next, next + length))
}
