//! The event log: what happened, in numbered rows written with the change they tell of, for programs that come back to
//! hear the rest.
//!
//! A row has ids, and names only where nothing else keeps them: what a message says stands in the message, so that
//! deleting it deletes it. The oldest rows are dropped, and whoever has not read them is told how far they went. Only
//! that a message has arrived is not lost on a consumer, however late it comes back: such a row moves to a table of its
//! own, and stays there until every consumer has done with it. There are never more of them than messages.

use hermes_protocol::identity::Fingerprint;
use hermes_wire::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    account::Lookup,
    chat,
    consumer::ConsumerRecord,
    effect::{ChangeOutcome, Effect, Event, GroupEvent, MarkKind, PairingError},
    id::ChatId,
    limits::{CONSUMERS, EVENT_AGE, EVENTS, EVENTS_DROPPED_AT_ONCE},
    reference::{self, Reference},
    request::{RequestKey, RequestRecord},
    row::{ContactRecord, MessageRecord, MessageState, RenewalReason},
    rows::{self, Key, NameRow, Place, StoreResult, UnheardRow},
    store::{Range, View},
    turn::Turn,
};

/// A row of the log.
#[derive(Serialize, Deserialize)]
pub(crate) struct EventRecord {
    pub(crate) at: Timestamp,
    pub(crate) told: Told,
}

/// What a row tells, by ids.
#[derive(Serialize, Deserialize)]
pub(crate) enum Told {
    Received(Place),
    State(Place, MessageState),
    Expired(Place),
    Marked(Place, MarkKind),
    ContactReady(ChatId),
    Requested(ChatId),
    /// The contact is gone, and its name with it.
    PairingFailed(ChatId, String, PairingError),
    SessionRenewed(ChatId, RenewalReason),
    IdentityChanged(ChatId, Fingerprint, ChangeOutcome),
    RenewalFailed(ChatId),
    Group(ChatId, GroupEvent),
    StoreRestored,
    CopyStopped,
    CopySeen,
}

impl<V: View> Turn<'_, V> {
    /// Writes the events among the effects from this one on into the log.
    pub(crate) fn log_events(&mut self, from: usize) -> StoreResult<(), V> {
        let events: Vec<Event> = self.effects.iter().skip(from).filter_map(Effect::event).cloned().collect();
        let mut slowest = None;
        for event in events {
            // What nobody could look up any more is not worth a row.
            let Some(told) = self.told(event)? else { continue };
            let number = self.counters.events.saturating_add(1);
            self.put(&number, &EventRecord { at: self.now, told });
            self.counters.events = number;
            if let Some(oldest) = number.checked_sub(EVENTS) {
                let slowest = match slowest {
                    Some(slowest) => slowest,
                    None => *slowest.insert(self.slowest_consumer()?),
                };
                self.drop_event(oldest, slowest)?;
            }
        }
        Ok(())
    }

    fn told(&self, event: Event) -> StoreResult<Option<Told>, V> {
        Ok(Some(match event {
            Event::Received(reference) => return Ok(self.place_of(&reference)?.map(Told::Received)),
            Event::Expired(reference) => return Ok(self.place_of(&reference)?.map(Told::Expired)),
            Event::State { reference, state, .. } => {
                return Ok(self.place_of(&reference)?.map(|place| Told::State(place, state)));
            }
            Event::Marked { reference, what } => {
                return Ok(self.place_of(&reference)?.map(|place| Told::Marked(place, what)));
            }
            Event::ContactReady { chat, .. } => Told::ContactReady(chat),
            Event::Requested { chat, .. } => Told::Requested(chat),
            Event::PairingFailed { chat, name, reason } => Told::PairingFailed(chat, name, reason),
            Event::SessionRenewed { chat, reason, .. } => Told::SessionRenewed(chat, reason),
            Event::IdentityChanged { chat, fingerprint, outcome, .. } => {
                Told::IdentityChanged(chat, fingerprint, outcome)
            }
            Event::RenewalFailed { chat, .. } => Told::RenewalFailed(chat),
            Event::Group { chat, event, .. } => Told::Group(chat, event),
            Event::StoreRestored => Told::StoreRestored,
            Event::CopyStopped => Told::CopyStopped,
            Event::CopySeen => Told::CopySeen,
            // What passes is told to whoever listens, and kept nowhere.
            Event::Presence { .. } | Event::Pong { .. } | Event::Asked { .. } => return Ok(None),
            // Counted elsewhere, and others can make as many as they like: they would push out what is worth a row.
            Event::Unreadable(_) | Event::ForeignClaim => return Ok(None),
        }))
    }

    fn place_of(&self, reference: &Reference) -> StoreResult<Option<Place>, V> {
        let key = self.account.lookup(Lookup::Name, &[reference.chat.as_bytes()]);
        let Some(NameRow(chat)) = self.get::<NameRow>(&key)? else { return Ok(None) };
        Ok(reference::find(&self.overlay(), chat, reference)?.map(|(place, _)| place))
    }

    /// Drops rows past their age. A clock that jumps drops nothing: age counts by when the mailbox was last seen empty.
    pub(crate) fn drop_old_events(&mut self) -> StoreResult<(), V> {
        let now = self.counters.drained;
        let slowest = self.slowest_consumer()?;
        for (number, record) in self.scan::<EventRecord>(&Range::all(), EVENTS_DROPPED_AT_ONCE)? {
            if now <= record.at.after(EVENT_AGE) {
                break;
            }
            self.drop_event(number, slowest)?;
        }
        self.drop_heard_events()
    }

    /// Takes an event out of the log, and keeps it elsewhere if it tells of a message that a consumer has not had. The
    /// slowest consumer has done with every event up to `slowest`.
    fn drop_event(&mut self, number: u64, slowest: u64) -> StoreResult<(), V> {
        if slowest < number
            && let Some(record) = self.get::<EventRecord>(&number)?
            && let Told::Received(place) = &record.told
            // Nobody could be shown one that is deleted.
            && self.get::<MessageRecord>(place)?.is_some_and(|message| !message.text.is_gone())
        {
            self.put(&number, &UnheardRow(record));
        }
        self.delete::<EventRecord>(&number);
        Ok(())
    }

    /// Drops what was kept for consumers and every one of them has done with; what is left of very much, later.
    pub(crate) fn drop_heard_events(&mut self) -> StoreResult<(), V> {
        let behind = self.slowest_consumer()?.checked_add(1);
        let heard = Range { from: Vec::new(), to: behind.map(|number| number.to_bytes()) };
        for (number, _) in self.scan::<UnheardRow>(&heard, EVENTS_DROPPED_AT_ONCE)? {
            self.delete::<UnheardRow>(&number);
        }
        Ok(())
    }

    /// The number up to which every consumer has done with all events; nobody waits for anything when there is none.
    fn slowest_consumer(&self) -> StoreResult<u64, V> {
        let consumers = self.scan::<ConsumerRecord>(&Range::all(), CONSUMERS)?;
        Ok(consumers.iter().map(|(_, consumer)| consumer.acknowledged).min().unwrap_or(u64::MAX))
    }
}

impl Effect {
    fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(event) => Some(event),
            _ => None,
        }
    }
}

impl Told {
    /// The chat that it is about.
    pub(crate) fn chat(&self) -> Option<ChatId> {
        match self {
            Self::Received(place) | Self::State(place, _) | Self::Expired(place) | Self::Marked(place, _) => {
                Some(place.chat)
            }
            Self::ContactReady(chat)
            | Self::Requested(chat)
            | Self::PairingFailed(chat, ..)
            | Self::SessionRenewed(chat, _)
            | Self::IdentityChanged(chat, ..)
            | Self::RenewalFailed(chat)
            | Self::Group(chat, _) => Some(*chat),
            Self::StoreRestored | Self::CopyStopped | Self::CopySeen => None,
        }
    }

    /// The event with its names as they are today; `None` when what it is about is gone.
    pub(crate) fn event<V: View>(self, view: &V) -> StoreResult<Option<Event>, V> {
        let name = |of: ChatId| name(view, of);
        Ok(match self {
            Self::Received(place) => reference(view, place)?.map(Event::Received),
            Self::Expired(place) => reference(view, place)?.map(Event::Expired),
            Self::Marked(place, what) => {
                reference(view, place)?.map(|reference| Event::Marked { reference, what })
            }
            Self::State(place, state) => match rows::get::<MessageRecord, _>(view, &place)? {
                Some(MessageRecord { id, .. }) => {
                    reference(view, place)?.map(|reference| Event::State { id, reference, state })
                }
                None => None,
            },
            Self::ContactReady(chat) => rows::get::<ContactRecord, _>(view, &chat)?.map(|contact| {
                Event::ContactReady { chat, name: contact.name, fingerprint: contact.fingerprint }
            }),
            // It is told for as long as it waits.
            Self::Requested(chat) => rows::get::<RequestRecord, _>(view, &RequestKey(chat))?.map(|request| {
                Event::Requested { chat, name: request.next.name, fingerprint: request.next.fingerprint }
            }),
            Self::PairingFailed(chat, name, reason) => Some(Event::PairingFailed { chat, name, reason }),
            Self::SessionRenewed(chat, reason) => {
                name(chat)?.map(|name| Event::SessionRenewed { chat, name, reason })
            }
            Self::IdentityChanged(chat, fingerprint, outcome) => {
                name(chat)?.map(|name| Event::IdentityChanged { chat, name, fingerprint, outcome })
            }
            Self::RenewalFailed(chat) => name(chat)?.map(|name| Event::RenewalFailed { chat, name }),
            Self::Group(chat, event) => name(chat)?.map(|name| Event::Group { chat, name, event }),
            Self::StoreRestored => Some(Event::StoreRestored),
            Self::CopyStopped => Some(Event::CopyStopped),
            Self::CopySeen => Some(Event::CopySeen),
        })
    }
}

fn reference<V: View>(view: &V, place: Place) -> StoreResult<Option<Reference>, V> {
    Ok(name(view, place.chat)?.map(|chat| Reference::of(chat, place.number)))
}

fn name<V: View>(view: &V, of: ChatId) -> StoreResult<Option<String>, V> {
    Ok(chat::find(view, &of)?.map(|chat| chat.name().to_owned()))
}
