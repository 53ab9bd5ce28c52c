//! What is missing: numbers that no message came with, messages that nobody confirmed, envelopes that said nothing.

use std::{collections::BTreeMap, ops::RangeInclusive};

use hermes_wire::Timestamp;

use super::{
    all_chats, chat_named,
    person::{People, PersonView},
};
use crate::{
    chat, gap,
    group::{VoiceKey, VoiceRecord},
    id::ChatId,
    limits::{GAPS, GROUP_ROWS, QUERY_ROWS, UNREADABLE},
    reference::Reference,
    row::{ChatRecord, Finding, GapRecord, Neighbour, Received, UnreadableCause, UnreadableRecord},
    rows::{self, ChatCountersKey, ChatRow, Key, StoreResult, UnconfirmedRow},
    store::{Order, Range, View},
};

/// What is known to be missing, and what may be.
#[derive(Debug, Clone)]
pub struct Audit {
    /// Each chat, by name.
    pub chats: Vec<ChatAudit>,
    /// Envelopes that said nothing and belong to no chat, by cause; among them those that the relay let expire.
    pub unreadable: Vec<UnreadableCount>,
}

/// One chat.
#[derive(Debug, Clone)]
pub struct ChatAudit {
    /// Its name.
    pub name: String,
    /// Of a group, one of those who have written in it; what the account has written stands by itself.
    pub member: Option<PersonView>,
    /// The contact's or the member's messages.
    pub received: ReceivedAudit,
    /// The account's own.
    pub sent: SentAudit,
    /// The contact's envelopes that could not be read, by cause.
    pub unreadable: Vec<UnreadableCount>,
}

/// What arrived from a contact.
#[derive(Debug, Clone)]
pub struct ReceivedAudit {
    /// Messages in the history.
    pub messages: u64,
    /// Every number through this one has arrived.
    pub through: u64,
    /// The highest number that has.
    pub highest: u64,
    /// Numbers between that have not.
    pub missing: u64,
    /// Which, the lowest first.
    pub gaps: Vec<GapView>,
    /// Those of the missing that are in no gap of the list.
    pub unlisted: u64,
    /// Numbers that have not arrived because the contact was blocked; not among the missing.
    pub refused: u64,
    /// What does not fit together.
    pub findings: Vec<Finding>,
}

/// Numbers in a row that have not arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapView {
    /// The lowest.
    pub first: u64,
    /// The highest.
    pub last: u64,
    /// The message before them; `None` at the beginning of the chat.
    pub before: Option<Beside>,
    /// The message behind them.
    pub after: Beside,
    /// Whether the contact was blocked then: they are not missing.
    pub while_blocked: bool,
}

/// A message beside a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// Its short name.
    pub reference: Reference,
    /// When it was sent, by the sender's clock.
    pub sent: Timestamp,
    /// When it was stored here.
    pub stored: Timestamp,
}

/// What was sent to a contact.
#[derive(Debug, Clone)]
pub struct SentAudit {
    /// Messages in the history.
    pub messages: u64,
    /// Those that the relay took and nobody has confirmed, the oldest first; at most [`QUERY_ROWS`].
    pub unconfirmed: Vec<Confirmation>,
}

/// A message that waits for its recipient's receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Its short name.
    pub reference: Reference,
    /// When the relay took it.
    pub relayed: Timestamp,
}

/// Envelopes that could not be read for one cause, among the last [`UNREADABLE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableCount {
    /// Why.
    pub cause: UnreadableCause,
    /// How many.
    pub envelopes: u64,
    /// When the first was looked at.
    pub first: Timestamp,
    /// When the last was.
    pub last: Timestamp,
}

/// What is missing in all chats, or in one. `None` when there is no such chat.
pub fn audit<V: View>(view: &V, chat: Option<&str>) -> StoreResult<Option<Audit>, V> {
    let mut wanted = match chat {
        Some(name) => match chat_named(view, name)? {
            Some(id) => vec![(id, chat::chat(view, &id)?.name().to_owned())],
            None => return Ok(None),
        },
        None => all_chats(view)?,
    };
    wanted.sort_by(|(_, a), (_, b)| a.cmp(b));
    let mut unreadable = unreadable(view)?;
    // Thousands of chats may have a thousand gaps each; the one answer for all of them lists what one alone could.
    let mut room = QUERY_ROWS;
    let mut chats = Vec::with_capacity(wanted.len());
    for (chat, name) in wanted {
        let unreadable = unreadable.remove(&Some(chat)).unwrap_or_default();
        let audit = audit_chat(view, chat, name.clone(), unreadable, room)?;
        room = room.saturating_sub(audit.received.gaps.len()).saturating_sub(audit.sent.unconfirmed.len());
        chats.push(audit);
        for voice in voices(view, chat, &name, room)? {
            room = room.saturating_sub(voice.received.gaps.len());
            chats.push(voice);
        }
    }
    Ok(Some(Audit { chats, unreadable: unreadable.remove(&None).unwrap_or_default() }))
}

/// Numbers of a contact's messages that have not arrived, the lowest first; at most `limit` runs of them.
pub fn missing<V: View>(view: &V, chat: ChatId, limit: usize) -> StoreResult<Vec<RangeInclusive<u64>>, V> {
    let gaps = gap::gaps(view, chat, limit.min(QUERY_ROWS))?;
    Ok(gaps.into_iter().map(|(first, gap)| first..=gap.last).collect())
}

/// What each member of a group has written, former ones too.
fn voices<V: View>(view: &V, chat: ChatId, name: &str, mut room: usize) -> StoreResult<Vec<ChatAudit>, V> {
    let rows = rows::scan::<VoiceRecord, _>(view, &Range::prefix(&chat.0), Order::Ascending, GROUP_ROWS)?;
    let people = People::read(view)?;
    let mut voices = Vec::with_capacity(rows.len());
    for (VoiceKey(_, voice), VoiceRecord { author, received, .. }) in rows {
        let received = audit_received(view, voice, name, received, room)?;
        room = room.saturating_sub(received.gaps.len());
        voices.push(ChatAudit {
            name: name.to_owned(),
            member: Some(people.show(view, author)?),
            received,
            sent: SentAudit { messages: 0, unconfirmed: Vec::new() },
            unreadable: Vec::new(),
        });
    }
    Ok(voices)
}

fn audit_received<V: View>(
    view: &V,
    numbers: ChatId,
    name: &str,
    received: Received,
    room: usize,
) -> StoreResult<ReceivedAudit, V> {
    let limit = usize::try_from(GAPS).unwrap_or(usize::MAX);
    let gaps = gap::gaps(view, numbers, limit.min(room))?;
    let missing = gaps.iter().filter(|(_, gap)| !gap.while_blocked);
    let listed = missing.map(|(first, gap)| gap::length(*first, gap.last)).sum();
    Ok(ReceivedAudit {
        messages: received.messages,
        through: received.through(gaps.first().map(|(first, _)| *first)),
        highest: received.highest,
        missing: received.missing,
        unlisted: received.missing.saturating_sub(listed),
        refused: received.refused,
        gaps: gaps.into_iter().map(|(first, gap)| show(name, first, gap)).collect(),
        findings: received.findings,
    })
}

fn audit_chat<V: View>(
    view: &V,
    chat: ChatId,
    name: String,
    unreadable: Vec<UnreadableCount>,
    room: usize,
) -> StoreResult<ChatAudit, V> {
    let row: Option<ChatRow> = rows::get(view, &ChatCountersKey(chat))?;
    let ChatRecord { sent, received, .. } = row.map(|row| row.0).unwrap_or_default();
    let received = audit_received(view, chat, &name, received, room)?;
    let unconfirmed = unconfirmed(view, chat, &name, room.saturating_sub(received.gaps.len()))?;
    Ok(ChatAudit {
        member: None,
        received,
        sent: SentAudit { messages: sent, unconfirmed },
        name,
        unreadable,
    })
}

fn show(chat: &str, first: u64, gap: GapRecord) -> GapView {
    let beside = |Neighbour { number, sent, stored, .. }: Neighbour| Beside {
        reference: Reference::of(chat.to_owned(), number),
        sent,
        stored,
    };
    let (before, after) = (gap.before.map(beside), beside(gap.after));
    GapView { first, last: gap.last, before, after, while_blocked: gap.while_blocked }
}

fn unconfirmed<V: View>(
    view: &V,
    chat: ChatId,
    name: &str,
    limit: usize,
) -> StoreResult<Vec<Confirmation>, V> {
    let range = Range::prefix(&chat.to_bytes());
    let rows = rows::scan::<UnconfirmedRow, _>(view, &range, Order::Ascending, limit)?;
    let show = |(place, UnconfirmedRow(relayed)): (rows::Place, UnconfirmedRow)| Confirmation {
        reference: Reference::of(name.to_owned(), place.number),
        relayed,
    };
    Ok(rows.into_iter().map(show).collect())
}

/// What is on record as unreadable, by chat and cause.
fn unreadable<V: View>(view: &V) -> StoreResult<BTreeMap<Option<ChatId>, Vec<UnreadableCount>>, V> {
    let limit = usize::try_from(UNREADABLE).unwrap_or(usize::MAX);
    let rows = rows::scan::<UnreadableRecord, _>(view, &Range::all(), Order::Ascending, limit)?;
    let mut chats: BTreeMap<_, Vec<UnreadableCount>> = BTreeMap::new();
    for (_, UnreadableRecord { cause, envelopes, chat, at }) in rows {
        let counts = chats.entry(chat).or_default();
        match counts.iter_mut().find(|count| count.cause == cause) {
            Some(count) => {
                count.envelopes = count.envelopes.saturating_add(envelopes);
                count.last = at;
            }
            None => counts.push(UnreadableCount { cause, envelopes, first: at, last: at }),
        }
    }
    Ok(chats)
}
