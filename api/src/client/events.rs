//! What a client hears of an account's events.

use std::collections::VecDeque;

use http_body_util::BodyExt;
use hyper::{
    Method,
    body::{Bytes, Incoming},
};

use super::{Client, ClientError, collect, refusal};
use crate::{
    AckEvents, ConsumerState, Consumers, Event, EventFrame, EventQuery, ForgetConsumer, limits,
    routes::{self, fill},
};

impl Client {
    /// Listens to what happens. Everything after this returns is heard.
    pub async fn events(&self, account: &str) -> Result<EventStream, ClientError> {
        self.listen(account, &EventQuery::default()).await
    }

    /// Listens to some of what happens, or, as a consumer, to what has happened since it was here last.
    pub async fn listen(&self, account: &str, query: &EventQuery) -> Result<EventStream, ClientError> {
        let query = [
            ("consumer", query.consumer.clone()),
            ("kind", query.kind.clone()),
            ("contact", query.contact.clone()),
            ("group", query.group.clone()),
        ];
        let path = fill(routes::EVENTS, &[account], &query);
        let response = self.request(Method::GET, &path, Bytes::new(), limits::REPLY).await?;
        if !response.status().is_success() {
            return Err(refusal(&collect(response).await?));
        }
        Ok(EventStream { body: response.into_body(), lines: EventLines::default() })
    }

    /// Says that a consumer has done with every event up to one.
    pub async fn ack_events(&self, account: &str, ack: &AckEvents) -> Result<ConsumerState, ClientError> {
        self.post(fill(routes::EVENTS_ACK, &[account], &[]), ack, 0).await
    }

    /// Lists the consumers of an account's events.
    pub async fn consumers(&self, account: &str) -> Result<Consumers, ClientError> {
        self.get(fill(routes::CONSUMERS, &[account], &[])).await
    }

    /// Says that a consumer will not come back.
    pub async fn forget_consumer(
        &self,
        account: &str,
        forget: &ForgetConsumer,
    ) -> Result<ConsumerState, ClientError> {
        self.post(fill(routes::FORGET_CONSUMER, &[account], &[]), forget, 0).await
    }
}

/// Events as they happen, until the daemon stops.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    lines: EventLines,
}

impl EventStream {
    /// The next event; nothing when the daemon ended the stream.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        Ok(self.next_frame().await?.map(|frame| frame.event))
    }

    /// The same with its number.
    pub async fn next_frame(&mut self) -> Result<Option<EventFrame>, ClientError> {
        loop {
            if let Some(frame) = self.lines.ready.pop_front() {
                return Ok(Some(frame));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame.map_err(ClientError::Broken)?.into_data() {
                self.lines.take(&data)?;
            }
        }
    }
}

/// Server-sent events out of pieces of any size.
#[derive(Debug, Default)]
struct EventLines {
    /// Received bytes that do not end a line yet.
    pending: Vec<u8>,
    /// Whole events not yet taken.
    ready: VecDeque<EventFrame>,
}

impl EventLines {
    /// Splits bytes into lines. Only `data:` lines matter, one for each event; the others name it again or keep the
    /// connection alive.
    fn take(&mut self, data: &[u8]) -> Result<(), ClientError> {
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            if self.pending.len() + piece.len() > limits::EVENT_BYTES {
                return Err(ClientError::Garbled(format!(
                    "an event of more than {} bytes",
                    limits::EVENT_BYTES
                )));
            }
            self.pending.extend_from_slice(piece);
            if !piece.ends_with(b"\n") {
                continue;
            }
            if let Some(json) = self.pending.strip_prefix(b"data:") {
                let frame = serde_json::from_slice(json);
                self.ready.push_back(frame.map_err(|error| ClientError::Garbled(error.to_string()))?);
            }
            self.pending.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_in_pieces_of_any_size() {
        let bytes =
            b"event: x\ndata: {\"v\":1,\"event\":\"lagged\"}\n\n:\n\ndata:{\"v\":1,\"event\":\"new\"}\n\n";
        for size in 1..bytes.len() {
            let mut lines = EventLines::default();
            bytes.chunks(size).for_each(|piece| lines.take(piece).unwrap());
            let events: Vec<_> = lines.ready.into_iter().map(|frame| frame.event).collect();
            assert_eq!(events, [Event::Lagged { first: 0, last: 0 }, Event::Other], "pieces of {size}");
        }
        let mut lines = EventLines::default();
        let flood = vec![b'x'; limits::EVENT_BYTES + 1];
        assert!(matches!(lines.take(&flood), Err(ClientError::Garbled(_))));
    }
}
