//! The event log, and who reads it.

use hermes_wire::Timestamp;

use crate::{
    account,
    consumer::ConsumerRecord,
    effect::Event,
    event_log::EventRecord,
    id::ChatId,
    limits::{CONSUMERS, QUERY_ROWS},
    rows::{self, Key, StoreResult, UnheardRow},
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
    /// What there is, in the order of the numbers.
    pub entries: Vec<EventEntry>,
    /// Every event up to this one was looked at.
    pub through: u64,
}

/// What a piece of the log has.
#[derive(Debug, Clone)]
pub enum EventEntry {
    /// An event.
    Event(EventView),
    /// Numbers that are not there any more, first and last.
    Missed(u64, u64),
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

/// The events behind number `after`, of all chats or of one; at most twice `limit` and twice [`QUERY_ROWS`] are looked at.
pub fn events<V: View>(
    view: &V,
    after: u64,
    chat: Option<ChatId>,
    limit: usize,
) -> StoreResult<EventPage, V> {
    let newest = newest_event(view)?;
    if after > newest {
        // Whoever knows of more has read another life of this store, which was put back since.
        let missed = EventEntry::Missed(newest.saturating_add(1), after);
        return Ok(EventPage { entries: vec![missed], through: newest });
    }
    let limit = limit.min(QUERY_ROWS);
    let range = Range { from: after.saturating_add(1).to_bytes(), to: None };
    let mut rows = rows::scan::<EventRecord, _>(view, &range, Order::Ascending, limit)?;
    // Rows go from the oldest on, so only the beginning can be missing.
    let first = rows.first().map_or(newest.saturating_add(1), |(first, _)| *first);
    let before = Range { from: range.from, to: Some(first.to_bytes()) };
    let kept = rows::scan::<UnheardRow, _>(view, &before, Order::Ascending, limit)?;
    let mut through = rows.last().map_or(newest, |(last, _)| *last);
    let mut first = first;
    if kept.len() >= limit
        && let Some((last, _)) = kept.last()
    {
        // There may be more of them in front of the log.
        rows.clear();
        (through, first) = (*last, last.saturating_add(1));
    }
    let mut entries = Vec::with_capacity(kept.len().saturating_add(rows.len()));
    let mut next = after.saturating_add(1);
    let kept = kept.into_iter().map(|(number, UnheardRow(record))| (number, record));
    for (number, EventRecord { at, told }) in kept.chain(rows) {
        if number > next {
            entries.push(EventEntry::Missed(next, number.saturating_sub(1)));
        }
        next = number.saturating_add(1);
        if chat.is_some_and(|chat| told.chat() != Some(chat)) {
            continue;
        }
        if let Some(event) = told.event(view)? {
            entries.push(EventEntry::Event(EventView { number, at, event }));
        }
    }
    if next < first {
        entries.push(EventEntry::Missed(next, first.saturating_sub(1)));
    }
    Ok(EventPage { entries, through })
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
