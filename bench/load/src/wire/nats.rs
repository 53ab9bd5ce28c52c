//! The NATS client protocol, with JetStream's acknowledgements.

use std::net::SocketAddr;

use anyhow::{Result, ensure};

use super::{Kind, Link, scheduled};

/// Publishes to the stream.
pub struct Sender {
    link: Link,
    topic: u32,
}

/// A durable consumer that acknowledges all up to the last of what it read, or a plain subscription.
pub struct Receiver(Link);

struct Message {
    reply: Option<String>,
    payload: Vec<u8>,
}

impl Sender {
    /// Connects.
    pub async fn connect(address: SocketAddr, topic: u32) -> Result<Self> {
        let mut link = open(address).await?;
        link.write.extend(format!("SUB a.{topic} 1\r\n").bytes());
        Ok(Self { link, topic })
    }

    /// Publishes.
    pub async fn send(&mut self, count: usize, payload: &[u8]) -> Result<()> {
        let topic = self.topic;
        for _ in 0..count {
            publish(&mut self.link, &format!("p.{topic} a.{topic}"), payload);
        }
        self.link.flush().await
    }

    /// The stream's answers.
    pub async fn acknowledged(&mut self) -> Result<usize> {
        Ok(messages(&mut self.link).await?.len())
    }
}

impl Receiver {
    /// Connects and subscribes.
    pub async fn connect(address: SocketAddr, topic: u32, number: u32, kind: Kind) -> Result<Self> {
        let mut link = open(address).await?;
        if kind == Kind::Live {
            link.write.extend(format!("SUB p.{topic} 1\r\nPING\r\n").bytes());
            link.flush().await?;
            while !link.read.ends_with(b"PONG\r\n") {
                link.more().await?;
            }
            return Ok(Self(link));
        }
        let consumer = format!(
            r#"{{"stream_name":"S","config":{{"durable_name":"c{number}","deliver_subject":"d.{number}","filter_subject":"p.{topic}","ack_policy":"all","deliver_policy":"all","max_ack_pending":20000}}}}"#
        );
        ask(&mut link, &format!("$JS.API.CONSUMER.DURABLE.CREATE.S.c{number}"), &consumer).await?;
        link.write.extend(format!("SUB d.{number} 1\r\n").bytes());
        link.flush().await?;
        Ok(Self(link))
    }

    /// Messages that came.
    pub async fn receive(&mut self) -> Result<Vec<u64>> {
        let messages = messages(&mut self.0).await?;
        if let Some(reply) = messages.iter().filter_map(|message| message.reply.as_ref()).next_back() {
            // A plain subscriber sees the publisher's reply subject, which is not for it.
            if reply.starts_with("$JS.ACK") {
                publish(&mut self.0, reply, b"+ACK");
                self.0.flush().await?;
            }
        }
        Ok(messages.iter().map(|message| scheduled(&message.payload)).collect())
    }
}

/// Makes the stream that holds all topics.
pub async fn make_stream(address: SocketAddr) -> Result<()> {
    let mut link = open(address).await?;
    let stream = r#"{"name":"S","subjects":["p.*"],"storage":"file","retention":"limits","num_replicas":1}"#;
    ask(&mut link, "$JS.API.STREAM.CREATE.S", stream).await
}

async fn open(address: SocketAddr) -> Result<Link> {
    let mut link = Link::connect(address).await?;
    link.write.extend(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n");
    link.flush().await?;
    while !link.read.ends_with(b"PONG\r\n") {
        link.more().await?;
    }
    link.read.clear();
    Ok(link)
}

async fn ask(link: &mut Link, subject: &str, body: &str) -> Result<()> {
    // Each question has a place of its own for the answer, or all who have asked would hear it.
    link.write.extend(format!("SUB q.{subject} 9\r\n").bytes());
    publish(link, &format!("{subject} q.{subject}"), body.as_bytes());
    link.flush().await?;
    let answer = messages(link).await?.remove(0).payload;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    ensure!(!answer.contains("\"error\""), "nats: {answer}");
    Ok(())
}

fn publish(link: &mut Link, to: &str, payload: &[u8]) {
    link.write.extend(format!("PUB {to} {}\r\n", payload.len()).bytes());
    link.write.extend(payload);
    link.write.extend(b"\r\n");
}

/// At least one message.
async fn messages(link: &mut Link) -> Result<Vec<Message>> {
    loop {
        let (mut found, mut at) = (Vec::new(), 0);
        while let Some((message, next)) = message(&link.read, at) {
            if link.read[at..].starts_with(b"PING") {
                link.write.extend(b"PONG\r\n");
                link.flush().await?;
            }
            ensure!(!link.read[at..].starts_with(b"-ERR"), "nats: {}", String::from_utf8_lossy(&link.read));
            found.extend(message);
            at = next;
        }
        link.read.drain(..at);
        if !found.is_empty() {
            return Ok(found);
        }
        link.more().await?;
    }
}

/// The message at `at`, nothing for another word of the server, and where it ends, if it is there whole.
fn message(read: &[u8], at: usize) -> Option<(Option<Message>, usize)> {
    let rest = read.get(at..)?;
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    let line = std::str::from_utf8(&rest[..end]).ok()?;
    let words: Vec<_> = line.split(' ').collect();
    let begin = at + end + 2;
    if words[0] != "MSG" {
        return Some((None, begin));
    }
    let length: usize = words.last()?.parse().ok()?;
    let payload = read.get(begin..begin + length)?.to_vec();
    let reply = (words.len() == 5).then(|| words[3].to_owned());
    (read.len() >= begin + length + 2).then_some((Some(Message { reply, payload }), begin + length + 2))
}
