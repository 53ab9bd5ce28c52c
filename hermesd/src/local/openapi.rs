//! The API's description for programs: OpenAPI 3.1. The schemas are those of the API's own types; what stands here is which
//! route takes and gives which of them, and a test holds that against the routes.

mod document;
mod operations;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

static DOCUMENT: LazyLock<String> = LazyLock::new(|| operations::describe().to_string());

/// The description. It is made once.
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}
