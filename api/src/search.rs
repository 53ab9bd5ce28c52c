//! Finding messages.

use serde::{Deserialize, Serialize};

use crate::{Message, V1};

/// What to look for. Stands in the query of the URL.
///
/// The history is sealed, so that it is read from end to end: a request reads a stretch of it, and [`SearchPage::next`] says
/// where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    /// Words as they stand in the text, in upper or lower case; at most [`crate::limits::SEARCH_TEXT_BYTES`].
    pub text: String,
    /// Only in the chat with this contact, or in this group.
    pub chat: Option<String>,
    /// At most this many, the newest of the stretch; at most [`crate::limits::PAGE_MESSAGES`].
    pub limit: Option<u32>,
    /// [`SearchPage::next`] of the page before.
    pub from: Option<String>,
}

/// What was found in a stretch of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchPage {
    /// The document's version.
    pub v: V1,
    /// The messages, in the order in which they were stored.
    pub messages: Vec<Message>,
    /// Rows of the history that were read.
    pub read: u64,
    /// Where to go on; nothing at the end of the history. Of a search in one chat everything beyond is older; of one in
    /// all chats it may be newer.
    pub next: Option<String>,
}
