//! What is said about messages, as documents of the API.

use hermes_api::{Body, Quote, Reaction};
use hermes_engine::{
    Action,
    query::{self, QuotedFrom, ReactionView},
};

use super::group::person;
use crate::local::problem::who;

pub(super) fn quote(view: query::Quote, chat: &str, account: &str) -> Quote {
    Quote {
        id: view.id.to_string(),
        reference: view.reference.map(|reference| reference.to_string()),
        from: view.from.map(|from| match from {
            QuotedFrom::Me => account.to_owned(),
            QuotedFrom::Contact => chat.to_owned(),
            QuotedFrom::Member(member) => who(&person(member)),
        }),
        text: view.text,
    }
}

pub(super) fn reaction(view: ReactionView) -> Reaction {
    let ReactionView { emoji, count, me, by } = view;
    Reaction { emoji, count, me, by: by.into_iter().map(|by| who(&person(by))).collect() }
}

pub(super) fn action(action: Action, about: Option<query::Quote>, chat: &str, account: &str) -> Body {
    let unknown = query::Quote { id: action.about(), reference: None, from: None, text: None };
    let to = quote(about.unwrap_or(unknown), chat, account);
    match action {
        Action::Reacted { emoji, .. } => Body::Reaction { to, emoji },
        Action::Edited { .. } => Body::Edit { to },
        Action::Withdrew { .. } => Body::Unsend { to },
    }
}
