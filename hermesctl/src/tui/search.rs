//! Looking for a text in a conversation, from the newest message to the oldest, loading what is needed.

use hermes_api::{Body, Message};

use super::{
    history,
    model::{Model, Older, Open, Search},
};

/// Begins to ask what to look for.
pub(super) fn begin(model: &mut Model) {
    if let Some(open) = &mut model.open {
        open.search = Some(Search { query: Default::default(), found: None, goes_on: false });
    }
}

/// Looks for the next older message.
pub(super) fn next(model: &mut Model) {
    let Some(open) = &mut model.open else { return };
    let Some(search) = &mut open.search else { return };
    if search.query.is_empty() {
        return;
    }
    let wanted = search.query.text().to_lowercase();
    let found = search.found.as_ref();
    let end = found.and_then(|id| open.messages.iter().position(|message| message.id == *id));
    let end = end.unwrap_or(open.messages.len());
    match open.messages[..end].iter().rposition(|message| matches(message, &wanted)) {
        Some(place) => {
            search.found = open.messages.get(place).map(|message| message.id.clone());
            search.goes_on = false;
            show(model, place);
        }
        None => match open.older {
            Older::There | Older::Asked => {
                search.goes_on = true;
                model.ask_older();
            }
            Older::Unknown | Older::None => {
                search.goes_on = false;
                let query = search.query.text().to_owned();
                model.note(format!("nothing older has {query:?}"));
            }
        },
    }
}

/// Goes on with a search that waited for older messages.
pub(super) fn go_on(model: &mut Model) {
    if model.open.as_ref().and_then(|open| open.search.as_ref()).is_some_and(|search| search.goes_on) {
        next(model);
    }
}

fn matches(message: &Message, wanted: &str) -> bool {
    matches!(&message.body, Body::Text { text } if text.to_lowercase().contains(wanted))
}

/// Scrolls so that a message is on the screen.
fn show(model: &mut Model, place: usize) {
    let size = model.size;
    let Some(open) = &mut model.open else { return };
    let below: usize = heights(open, place + 1, size.history_width, &model.zone);
    open.scroll = below.saturating_sub(size.history_height / 2);
}

fn heights(open: &Open, from: usize, width: usize, zone: &jiff::tz::TimeZone) -> usize {
    (from..open.messages.len()).map(|at| history::height(open, at, width, zone)).sum()
}
