//! The event log, and who reads it.

use hermes_wire::Timestamp;

use crate::{
    account,
    consumer::ConsumerRecord,
    effect::Event,
    event_log::EventRecord,
    id::ChatId,
    limits::{CONSUMERS, QUERY_ROWS},
    rows::{self, Key, StoreResult},
    store::{Order, Range, View},
};

/// An event of the log.
#[derive(Debug, Clone)]
pub struct EventView {
    /// Its number: rising by one, and never given twice in the life of a store.
    pub number: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// A piece of the log.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// The events, the oldest first.
    pub events: Vec<EventView>,
    /// Every event up to this one was looked at.
    pub through: u64,
    /// Numbers that were asked for and are not in the log any more, first and last.
    pub missed: Option<(u64, u64)>,
}

/// A program that reads the log under a name.
#[derive(Debug, Clone)]
pub struct ConsumerView {
    /// Its name.
    pub name: String,
    /// It has done with every event up to this one.
    pub acknowledged: u64,
    /// When it first came.
    pub since: Timestamp,
}

/// The number of the last event there is.
pub fn newest_event<V: View>(view: &V) -> StoreResult<u64, V> {
    Ok(account::counters(view)?.events)
}

/// The events behind number `after`, of all chats or of one; at most `limit` and at most [`QUERY_ROWS`] are looked at.
pub fn events<V: View>(
    view: &V,
    after: u64,
    chat: Option<ChatId>,
    limit: usize,
) -> StoreResult<EventPage, V> {
    let newest = newest_event(view)?;
    if after > newest {
        // Whoever knows of more has read another life of this store, which was put back since.
        return Ok(EventPage {
            events: Vec::new(),
            through: newest,
            missed: Some((newest.saturating_add(1), after)),
        });
    }
    let range = Range { from: after.saturating_add(1).to_bytes(), to: None };
    let rows = rows::scan::<EventRecord, _>(view, &range, Order::Ascending, limit.min(QUERY_ROWS))?;
    // Rows go from the oldest on, so only the beginning can be missing.
    let before_first = rows.first().map_or(newest, |(first, _)| first.saturating_sub(1));
    let missed = (before_first > after).then(|| (after.saturating_add(1), before_first));
    let through = rows.last().map_or(newest, |(last, _)| *last);
    let mut events = Vec::with_capacity(rows.len());
    for (number, EventRecord { at, told }) in rows {
        if chat.is_some_and(|chat| told.chat() != Some(chat)) {
            continue;
        }
        if let Some(event) = told.event(view)? {
            events.push(EventView { number, at, event });
        }
    }
    Ok(EventPage { events, through, missed })
}

/// Every consumer, by name.
pub fn consumers<V: View>(view: &V) -> StoreResult<Vec<ConsumerView>, V> {
    let rows = rows::scan::<ConsumerRecord, _>(view, &Range::all(), Order::Ascending, CONSUMERS)?;
    let mut consumers: Vec<_> = rows
        .into_iter()
        .map(|(_, ConsumerRecord { name, acknowledged, since })| ConsumerView { name, acknowledged, since })
        .collect();
    consumers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(consumers)
}
