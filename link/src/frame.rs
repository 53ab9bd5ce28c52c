//! Frames over QUIC streams: typed values in, typed values out.
//!
//! Both halves are cancel-safe, so that they may stand in a `select!`: a frame half read or half written waits in the
//! value itself.

use std::{
    future::{Future, poll_fn},
    marker::PhantomData,
    pin::pin,
    task::Poll,
};

use hermes_wire::{DecodeError, frame, limits::FRAME_BYTES};
use quinn::{ConnectionError, RecvStream, SendStream, VarInt};
use serde::{Serialize, de::DeserializeOwned};

use crate::limits;

/// Bytes asked of QUIC at a time, and so the most that is buffered beyond one frame.
const READ_BYTES: usize = 64 * 1024;

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The peer sent what is no frame of this stream.
    #[error("malformed frame: {0}")]
    Malformed(#[from] DecodeError),
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Truncated,
    /// The peer gave the stream up.
    #[error("the peer gave up the stream (code {0})")]
    Reset(VarInt),
    /// The connection is gone.
    #[error("connection lost: {0}")]
    Lost(#[source] ConnectionError),
    /// The stream was stopped on this side.
    #[error("the stream is closed")]
    Closed,
}

/// Why a frame could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The peer reads no further.
    #[error("the peer stopped reading (code {0})")]
    Stopped(VarInt),
    /// The connection is gone.
    #[error("connection lost: {0}")]
    Lost(#[source] ConnectionError),
    /// The stream was finished on this side.
    #[error("the stream is closed")]
    Closed,
}

/// Reads frames of one type.
pub struct FrameReader<T> {
    stream: RecvStream,
    buffer: Vec<u8>,
    /// Where the first unread byte of `buffer` is.
    start: usize,
    /// Longest body that is waited for.
    limit: usize,
    frames: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> FrameReader<T> {
    /// Reads from `stream`.
    pub fn new(stream: RecvStream) -> Self {
        Self::limited(stream, FRAME_BYTES)
    }

    /// Reads from the `stream` of a peer that has proven nothing: a frame with a body of more than `limit` bytes is
    /// malformed, until [`Self::lift_limit`]. Half a frame is kept for as long as the peer likes.
    pub fn limited(stream: RecvStream, limit: usize) -> Self {
        Self { stream, buffer: Vec::new(), start: 0, limit, frames: PhantomData }
    }

    /// Takes frames with a body of up to `bytes` from here on, and gathers no more than that beside what it is asked for.
    pub fn limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Takes frames of every length that the protocol knows from here on.
    pub fn lift_limit(&mut self) {
        self.limit = FRAME_BYTES;
    }

    /// The next frame; `None` when the peer finished the stream after a whole one. Cancel-safe.
    ///
    /// A frame's length is checked against [`hermes_wire::limits::FRAME_BYTES`] before anything is allocated for it.
    pub async fn next(&mut self) -> Result<Option<T>, ReadError> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Some(frame));
            }
            match self.stream.read_chunk(READ_BYTES, true).await.map_err(ReadError::from)? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk.bytes),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(ReadError::Truncated),
            }
            self.gather().await;
        }
    }

    /// Takes what else has arrived, without waiting for anything. QUIC gives the bytes of one packet at a time, and who
    /// drains a burst into one batch wants all of them.
    async fn gather(&mut self) {
        // Of a peer that has proven nothing, no more than the one frame that it may send.
        let most = READ_BYTES.min(frame::PREFIX_BYTES + self.limit);
        while let Some(room) = most.checked_sub(self.buffer.len() - self.start).filter(|room| *room > 0) {
            let mut more = pin!(self.stream.read_chunk(room, true));
            let more = poll_fn(|context| Poll::Ready(more.as_mut().poll(context))).await;
            // The end of the stream and its failure are found again by the next read, after what came before them.
            let Poll::Ready(Ok(Some(chunk))) = more else { return };
            self.buffer.extend_from_slice(&chunk.bytes);
        }
    }

    /// Waits for the beginning of the next frame: the length of its body, of which nothing is read yet. `None` when the
    /// peer finished the stream after a whole frame. Cancel-safe.
    pub async fn begun(&mut self) -> Result<Option<usize>, ReadError> {
        // What came before it is not held meanwhile.
        self.compact();
        self.buffer.shrink_to(limits::IDLE_BUFFER_BYTES);
        loop {
            let waiting = self.buffer.get(self.start..).unwrap_or_default();
            if let Some((prefix, _)) = waiting.split_first_chunk() {
                return Ok(Some(frame::body_length(*prefix)?));
            }
            let missing = frame::PREFIX_BYTES - waiting.len();
            match self.stream.read_chunk(missing, true).await.map_err(ReadError::from)? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk.bytes),
                None if self.start == self.buffer.len() => return Ok(None),
                None => return Err(ReadError::Truncated),
            }
        }
    }

    /// A frame that has arrived already, without waiting: for draining a burst into one batch.
    pub fn buffered(&mut self) -> Result<Option<T>, ReadError> {
        let waiting = self.buffer.get(self.start..).unwrap_or_default();
        let Some((prefix, rest)) = waiting.split_first_chunk() else {
            self.compact();
            return Ok(None);
        };
        let length = frame::body_length(*prefix)?;
        if length > self.limit {
            return Err(DecodeError::TooLong { len: length, max: self.limit }.into());
        }
        let Some(body) = rest.get(..length) else {
            self.compact();
            return Ok(None);
        };
        let value = frame::decode(body)?;
        self.start += frame::PREFIX_BYTES + length;
        if self.start == self.buffer.len() {
            self.compact();
        }
        Ok(Some(value))
    }

    /// Tells the peer that nothing more will be read.
    pub fn stop(&mut self, code: VarInt) {
        // A stream that is closed already needs no stopping.
        let _ = self.stream.stop(code);
    }

    fn compact(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
        // A burst is no reason to hold its memory for as long as the stream lasts: most of them are idle.
        if self.buffer.is_empty() {
            self.buffer.shrink_to(limits::IDLE_BUFFER_BYTES);
        }
    }
}

/// Writes frames of one type.
pub struct FrameWriter<T> {
    stream: SendStream,
    buffer: Vec<u8>,
    /// How much of `buffer` QUIC has taken.
    written: usize,
    frames: PhantomData<fn(T)>,
}

impl<T: Serialize> FrameWriter<T> {
    /// Writes to `stream`.
    pub fn new(stream: SendStream) -> Self {
        Self { stream, buffer: Vec::new(), written: 0, frames: PhantomData }
    }

    /// Writes one frame. When cancelled, the frame may be sent by the next call.
    pub async fn send(&mut self, value: &T) -> Result<(), WriteError> {
        self.push(value);
        self.flush().await
    }

    /// Gathers a frame for the next [`Self::flush`]. Flush when [`Self::pending`] passes
    /// [`limits::WRITE_BATCH_BYTES`]: nothing else bounds the gathered bytes.
    pub fn push(&mut self, value: &T) {
        frame::append(value, &mut self.buffer);
    }

    /// Bytes gathered and not yet taken by QUIC.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.written
    }

    /// Whether enough is gathered that it should be flushed.
    pub fn is_full(&self) -> bool {
        self.pending() >= limits::WRITE_BATCH_BYTES
    }

    /// Hands everything gathered to QUIC, waiting for its flow control. Cancel-safe.
    pub async fn flush(&mut self) -> Result<(), WriteError> {
        while let Some(rest) = self.buffer.get(self.written..).filter(|rest| !rest.is_empty()) {
            self.written += self.stream.write(rest).await.map_err(WriteError::from)?;
        }
        self.buffer.clear();
        self.buffer.shrink_to(limits::IDLE_BUFFER_BYTES);
        self.written = 0;
        Ok(())
    }

    /// Ends the stream after what was flushed. The peer's reader then sees a clean end.
    pub fn finish(&mut self) {
        // A stream that is closed already needs no finishing.
        let _ = self.stream.finish();
    }

    /// Waits until the peer has received everything up to the end, or reads no further.
    pub async fn finished(&mut self) {
        // Every outcome ends the wait: received, stopped or connection lost.
        let _ = self.stream.stopped().await;
    }
}

impl From<quinn::ReadError> for ReadError {
    fn from(error: quinn::ReadError) -> Self {
        match error {
            quinn::ReadError::Reset(code) => Self::Reset(code),
            quinn::ReadError::ConnectionLost(error) => Self::Lost(error),
            quinn::ReadError::ClosedStream
            | quinn::ReadError::IllegalOrderedRead
            | quinn::ReadError::ZeroRttRejected => Self::Closed,
        }
    }
}

impl From<quinn::WriteError> for WriteError {
    fn from(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::Stopped(code) => Self::Stopped(code),
            quinn::WriteError::ConnectionLost(error) => Self::Lost(error),
            quinn::WriteError::ClosedStream | quinn::WriteError::ZeroRttRejected => Self::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use hermes_wire::{
        ChannelId, EnvelopeId, RelayAddress, VERSION,
        channel::OpenChannel,
        drop::{Deposit, ToDrop},
        limits::ENVELOPE_BYTES,
    };

    use super::*;
    use crate::{client, credential::RelayIdentity, server};

    /// There are thousands of them, and each may begin as many streams as there may be.
    #[tokio::test]
    async fn of_who_has_proven_nothing_no_more_is_held_than_the_frame_that_is_waited_for() {
        const LIMIT: usize = 128;
        /// What one packet may bring besides, which is read at once.
        const PACKET: usize = 1_500;
        let identity = RelayIdentity::generate().unwrap();
        let listening = server::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &identity).unwrap();
        let port = listening.local_addr().unwrap().port();
        let address = RelayAddress::new("127.0.0.1", port, identity.pin()).unwrap();
        let endpoint = client::endpoint().unwrap();
        let (connection, accepted) = tokio::join!(client::connect_drop(&endpoint, &address), async {
            listening.accept().await.unwrap().await.unwrap()
        });
        let connection = connection.unwrap();
        server::widen(&accepted);
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        let short = ToDrop::OpenChannel(OpenChannel { version: VERSION, channel: ChannelId([7; 32]) });
        let envelope = EnvelopeId([7; 16]);
        let long = ToDrop::Deposit(Deposit { envelope, body: vec![7; ENVELOPE_BYTES].into() });
        for frame in [&short, &short, &long, &long] {
            send.write_all(&frame::encode(frame)).await.unwrap();
        }
        send.finish().unwrap();
        // Everything was acknowledged, so it is all at the other side.
        send.stopped().await.unwrap();
        let (_, receive) = accepted.accept_bi().await.unwrap();
        let mut reader = FrameReader::<ToDrop>::limited(receive, LIMIT);
        for _ in 0..2 {
            assert_eq!(reader.next().await.unwrap(), Some(short.clone()));
        }
        for longest in [Some(long), None] {
            let length = reader.begun().await.unwrap().unwrap();
            assert!(length > ENVELOPE_BYTES);
            let held = reader.buffer.capacity();
            assert!(held <= 2 * (LIMIT + PACKET), "{held} bytes");
            let Some(long) = longest else { break };
            reader.limit(length);
            assert_eq!(reader.next().await.unwrap(), Some(long));
            reader.limit(LIMIT);
        }
        assert!(matches!(reader.next().await, Err(ReadError::Malformed(_))));
    }
}
