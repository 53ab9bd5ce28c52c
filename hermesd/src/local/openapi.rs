//! The API's description for programs: OpenAPI 3.1, in `docs/openapi.json`. A test makes it of the API's own types, whose
//! schemas are in it; what stands here is which route takes and gives which of them, and another test holds that against the
//! routes. So the daemon is not larger for it than the document.

#[cfg(test)]
mod document;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod tests;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

/// In one line, as all answers are, and the end of it.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// The description.
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.trim_ascii_end()).into_response()
}
