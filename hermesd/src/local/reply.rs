//! Requests in, replies out: JSON both ways, and every error in the API's one shape.

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use hermes_api::{ErrorCode, Failure, Problem};
use serde::{Serialize, de::DeserializeOwned};

use super::problem::{ToProblem, oversized};

/// What a handler returns.
pub(super) type Reply<T> = Result<Document<T>, Refused>;

/// A successful reply.
pub(super) struct Document<T>(pub(super) T);

/// A refused request.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Problem);

/// The JSON body of a request. The content type is not looked at: no browser reaches a Unix socket, and `curl -d` gets
/// it wrong.
pub(super) struct Asked<T>(pub(super) T);

/// The query of a request's URL.
pub(super) struct Filter<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Document<T> {
    fn into_response(self) -> Response {
        Json(self.0).into_response()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(Failure::from(self.0))).into_response()
    }
}

impl<E: ToProblem> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.problem())
    }
}

impl Refused {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self(Problem::new(code, message, hint))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let body =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Refused(oversized()),
                _ => usage("the request ended before its body did"),
            })?;
        // A list of values in the right order would be taken for one too.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(usage("a request is a JSON object"));
        }
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| usage(format!("the request is no such JSON: {error}")))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Filter<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(filter)| Self(filter))
            .map_err(|rejection| usage(format!("the query of the URL is wrong: {}", rejection.body_text())))
    }
}

fn usage(message: impl Into<String>) -> Refused {
    let hint = "docs/api.md describes the routes and their types; after an upgrade of hermesctl: hermesctl daemon restart";
    Refused::new(ErrorCode::Usage, message, hint)
}
