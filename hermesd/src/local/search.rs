//! Finding messages.

use axum::extract::{Path, State};
use hermes_api::{ErrorCode, SearchPage, SearchQuery, V1};
use hermes_engine::{
    CommandError,
    query::{self, SearchFilter, SearchPlaceError},
};

use super::{
    Daemon,
    messages::page,
    reply::{Document, Filter, Refused, Reply},
    show,
};

const _: () = assert!(hermes_api::limits::SEARCH_TEXT_BYTES == hermes_engine::limits::SEARCH_TEXT_BYTES);

pub(super) async fn search(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Filter(asked): Filter<SearchQuery>,
) -> Reply<SearchPage> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    if !query::is_searchable(&asked.text) {
        let hint = "give a word that stands in the message";
        return Err(Refused::new(ErrorCode::Usage, "there is nothing to look for, or too much", hint));
    }
    let from = asked.from.as_deref().map(str::parse).transpose().map_err(|error: SearchPlaceError| {
        Refused::new(ErrorCode::Usage, error.to_string(), "pass on what the page before said")
    })?;
    let chat = match asked.chat {
        None => None,
        Some(name) => {
            let wanted = name.clone();
            let found = account.query(move |view| query::chat_named(view, &wanted)).await?;
            match found {
                Some(chat) => Some(chat),
                None => return Err(account.refusal(CommandError::UnknownChat(name)).await.into()),
            }
        }
    };
    let filter = SearchFilter { text: asked.text, chat, limit: page(asked.limit), from };
    let found = account.query(move |view| query::search(view, &filter)).await?;
    let messages = found.messages.into_iter();
    let messages = messages.map(|message| show::message(message, account.name().as_str())).collect();
    let next = found.next.map(|next| next.to_string());
    Ok(Document(SearchPage { v: V1, messages, read: found.read, next }))
}
