//! RESP2: XADD, and XREAD by one reader of a stream.

use std::net::SocketAddr;

use anyhow::{Result, bail};

use super::{Link, scheduled};

/// Adds to a stream.
pub struct Sender {
    link: Link,
    key: String,
}

/// Reads a stream from its beginning.
pub struct Receiver {
    link: Link,
    key: String,
    last: Vec<u8>,
    asked: bool,
}

enum Value {
    Bytes(Vec<u8>),
    Many(Vec<Value>),
    Error(String),
}

impl Sender {
    /// Connects.
    pub async fn connect(address: SocketAddr, topic: u32) -> Result<Self> {
        Ok(Self { link: Link::connect(address).await?, key: format!("p{topic}") })
    }

    /// Adds.
    pub async fn send(&mut self, count: usize, payload: &[u8]) -> Result<()> {
        for _ in 0..count {
            command(&mut self.link, &[b"XADD", self.key.as_bytes(), b"*", b"d", payload]);
        }
        self.link.flush().await
    }

    /// Replies.
    pub async fn acknowledged(&mut self) -> Result<usize> {
        Ok(values(&mut self.link).await?.len())
    }
}

impl Receiver {
    /// Connects.
    pub async fn connect(address: SocketAddr, topic: u32) -> Result<Self> {
        let mut link = Link::connect(address).await?;
        command(&mut link, &[b"PING"]);
        link.flush().await?;
        values(&mut link).await?;
        Ok(Self { link, key: format!("p{topic}"), last: b"0".to_vec(), asked: false })
    }

    /// What was added.
    pub async fn receive(&mut self) -> Result<Vec<u64>> {
        if !self.asked {
            let ask: [&[u8]; 8] =
                [b"XREAD", b"COUNT", b"256", b"BLOCK", b"0", b"STREAMS", self.key.as_bytes(), &self.last];
            command(&mut self.link, &ask);
            self.link.flush().await?;
            self.asked = true;
        }
        let answers = values(&mut self.link).await?;
        self.asked = false;
        let mut times = Vec::new();
        for answer in answers {
            self.entries(answer, &mut times);
        }
        Ok(times)
    }

    /// Streams, each of its key and its entries, each of its id and its fields.
    fn entries(&mut self, answer: Value, times: &mut Vec<u64>) {
        let Value::Many(streams) = answer else { return };
        for stream in streams {
            let Value::Many(mut stream) = stream else { continue };
            let Some(Value::Many(entries)) = stream.pop() else { continue };
            for entry in entries {
                let Value::Many(entry) = entry else { continue };
                let [Value::Bytes(id), Value::Many(fields)] = entry.as_slice() else { continue };
                self.last.clone_from(id);
                if let Some(Value::Bytes(payload)) = fields.get(1) {
                    times.push(scheduled(payload));
                }
            }
        }
    }
}

fn command(link: &mut Link, words: &[&[u8]]) {
    link.write.extend(format!("*{}\r\n", words.len()).bytes());
    for word in words {
        link.write.extend(format!("${}\r\n", word.len()).bytes());
        link.write.extend(*word);
        link.write.extend(b"\r\n");
    }
}

/// At least one reply.
async fn values(link: &mut Link) -> Result<Vec<Value>> {
    loop {
        let (mut found, mut at) = (Vec::new(), 0);
        while let Some((value, next)) = value(&link.read, at) {
            if let Value::Error(error) = &value {
                bail!("redis: {error}");
            }
            found.push(value);
            at = next;
        }
        if !found.is_empty() {
            link.read.drain(..at);
            return Ok(found);
        }
        link.more().await?;
    }
}

/// The reply at `at` and where it ends, if it is there whole.
fn value(read: &[u8], at: usize) -> Option<(Value, usize)> {
    let rest = read.get(at..)?;
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    let line = std::str::from_utf8(rest.get(1..end)?).ok()?;
    let mut next = at + end + 2;
    match rest[0] {
        b'$' => {
            let length = line.parse().unwrap_or(0);
            let bytes = read.get(next..next + length)?.to_vec();
            (read.len() >= next + length + 2).then_some((Value::Bytes(bytes), next + length + 2))
        }
        b'*' => {
            let mut many = Vec::new();
            for _ in 0..line.parse().unwrap_or(0) {
                let (one, after) = value(read, next)?;
                many.push(one);
                next = after;
            }
            Some((Value::Many(many), next))
        }
        b'-' => Some((Value::Error(line.to_owned()), next)),
        _ => Some((Value::Bytes(line.as_bytes().to_vec()), next)),
    }
}
