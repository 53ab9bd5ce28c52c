//! A request that the client has no method for, and its answer as it came.

use http_body_util::BodyExt;
use hyper::{
    Method,
    body::{Bytes, Incoming},
    header,
};

use super::{Client, ClientError, collect};
use crate::limits;

/// A request as its user wrote it.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// The path with its query, percent-encoded.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
    /// The idempotency key.
    pub key: Option<String>,
}

/// The head of an answer, and what has yet to be read of it.
#[derive(Debug)]
pub struct RawReply {
    /// The HTTP status.
    pub status: u16,
    /// Whether it is a stream of events, which ends with the daemon.
    pub streams: bool,
    response: hyper::Response<Incoming>,
}

impl Client {
    /// Sends a request as it is. The daemon may take as long as it was asked to wait.
    pub async fn raw(&self, request: RawRequest) -> Result<RawReply, ClientError> {
        let garbled = |error: &dyn std::error::Error| ClientError::Garbled(error.to_string());
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| garbled(&error))?;
        let patience = limits::REPLY + limits::WAIT;
        let keyed = Self { key: request.key, ..self.clone() };
        let response = keyed.request(method, &request.path, Bytes::from(request.body), patience).await?;
        let kind = response.headers().get(header::CONTENT_TYPE);
        let streams = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        Ok(RawReply { status: response.status().as_u16(), streams, response })
    }
}

impl RawReply {
    /// All of the body; of a stream, only its end would give it.
    pub async fn body(self) -> Result<Vec<u8>, ClientError> {
        Ok(collect(self.response).await?.to_vec())
    }

    /// The next piece of a stream; nothing at its end.
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        while let Some(frame) = self.response.body_mut().frame().await {
            if let Ok(data) = frame.map_err(ClientError::Broken)?.into_data() {
                return Ok(Some(data.to_vec()));
            }
        }
        Ok(None)
    }
}
