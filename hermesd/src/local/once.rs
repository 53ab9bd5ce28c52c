//! The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a request that may have been carried out
//! already is carried out once, and a repeat gets the first answer.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use hermes_api::{ErrorCode, limits, routes::IDEMPOTENCY_KEY};

use super::{problem::oversized, reply::Refused};
use crate::account::{Once, carry_out_once};

/// Runs what changes something under the key that came with it.
pub(super) async fn under_key(request: Request, next: Next) -> Response {
    let Some(header) = request.headers().get(IDEMPOTENCY_KEY).cloned() else {
        return next.run(request).await;
    };
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let key = match header.to_str() {
        Ok(key) if (1..=limits::IDEMPOTENCY_KEY_BYTES).contains(&key.len()) => key.to_owned(),
        _ => return bad_key().into_response(),
    };
    let (parts, body) = request.into_parts();
    // Two things under one key are told apart by their bytes.
    let Ok(body) = to_bytes(body, limits::REQUEST_BYTES).await else {
        return Refused(oversized()).into_response();
    };
    let asked = [parts.uri.path().as_bytes(), b"\n", &body].concat();
    let request = Request::from_parts(parts, Body::from(body));
    carry_out_once(Once { key, request: asked }, next.run(request)).await
}

fn bad_key() -> Refused {
    Refused::new(
        ErrorCode::BadIdempotencyKey,
        format!("Idempotency-Key is no text of 1 to {} characters of ASCII", limits::IDEMPOTENCY_KEY_BYTES),
        "use a UUID, or a job's name and number",
    )
}
